/* listing.c: names in the tables of this floor and the one below, for listings and help. */
#include <string.h>
#include "core/quant/quant.h"
#include "model/arch/arch.h"
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"
#include "sooth/model.h"

static const char *list_qtype(size_t i, const char **note)
{
    const struct qtype *t = qtype_at(i);
    if (t && note)
        *note = t->block > 1 ? "blocks of weights with their own scale" : "one number a weight";
    return t ? t->name : NULL;
}

static const char *list_tokenizer(size_t i, const char **note)
{
    static const char *const kinds[][2] = {
        {"bpe", "byte-level BPE: merges by rank"},
        {"spm", "SentencePiece BPE: merges by score"},
        {"wordpiece", "greedy longest match (BERT)"},
        {"unigram", "most probable segmentation (XLM-R)"},
    };
    if (i >= sizeof kinds / sizeof *kinds)
        return NULL;
    if (note)
        *note = kinds[i][1];
    return kinds[i][0];
}

static const struct list_table {
    const char *name;
    const char *(*at)(size_t i, const char **note);
} list_tables[] = {
    {"arch", arch_name_at},
    {"qtype", list_qtype},
    {"sampler", sampler_stage_name},
    {"strategy", strategy_name_at},
    {"tokenizer", list_tokenizer},
};

const char *sooth_list_tables(size_t i)
{
    return i < sizeof list_tables / sizeof *list_tables ? list_tables[i].name : NULL;
}

const char *sooth_list(const char *table, size_t i, const char **note)
{
    if (note)
        *note = "";
    for (size_t t = 0; t < sizeof list_tables / sizeof *list_tables; t++)
        if (strcmp(list_tables[t].name, table) == 0)
            return list_tables[t].at(i, note);
    return NULL;
}

const char *sooth_version(void)
{
    return SOOTH_VERSION;
}
