/* recipe.c: which number format each matrix gets: llama.cpp's mixtures, as a table.
 *
 * Some matrices hurt more than others: values and the feed-forward's way down in the first and last eighth of the layers and
 * in every third between ("more"), and the output. A recipe is a base format and exceptions by role and place. "q4_k" alone
 * is that format everywhere; "q4_k_m" the mixture of that name. Rows that a block does not divide get the format that stands
 * in. Norms, biases, tables of positions and of token types are never touched. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "model/convert/quantize.h"

enum place { ALL, MORE, FIRST_TWO, FIRST_FOUR, FIRST_EIGHTH, FIRST_SIXTEENTH };
struct rule {
    const char *role;
    enum place place;
    const char *type;
    size_t heads_per_kv; /* only from so many query heads a key head on */
};
struct recipe {
    const char *name, *base, *note;
    int file_type; /* of GGUF */
    bool output;   /* the output, or the tied embedding, gets q6_k (q8_0 where that does not fit) */
    struct rule rules[6]; /* the first that fits wins */
};

#define V "attn_v"
#define DOWN "ffn_down"
#define OUT "attn_output"
#define QKV "attn_qkv"
static const struct recipe recipes[] = {
    { "q2_k_m", "q2_k", "2.6 bits; llama.cpp's Q2_K", 10, true, { { V, ALL, "q4_k", 4 }, { V, ALL, "q3_k", 0 }, { DOWN, ALL, "q3_k", 0 }, { OUT, ALL, "q3_k", 0 } } },
    { "q3_k_s", "q3_k", "3.4 bits", 11, true, { { 0 } } },
    { "q3_k_m", "q3_k", "3.9 bits", 12, true, { { V, FIRST_TWO, "q5_k", 0 }, { V, ALL, "q4_k", 0 }, { DOWN, FIRST_SIXTEENTH, "q5_k", 0 }, { DOWN, ALL, "q4_k", 0 },
        { OUT, ALL, "q4_k", 0 }, { QKV, ALL, "q4_k", 0 } } },
    { "q3_k_l", "q3_k", "4.2 bits", 13, true, { { V, ALL, "q5_k", 0 }, { DOWN, ALL, "q5_k", 0 }, { OUT, ALL, "q5_k", 0 }, { QKV, ALL, "q4_k", 0 } } },
    { "q4_k_s", "q4_k", "4.6 bits", 14, true, { { V, FIRST_FOUR, "q5_k", 0 }, { DOWN, FIRST_EIGHTH, "q5_k", 0 } } },
    { "q4_k_m", "q4_k", "4.8 bits", 15, true, { { V, MORE, "q6_k", 0 }, { DOWN, MORE, "q6_k", 0 }, { QKV, ALL, "q5_k", 0 } } },
    { "q5_k_s", "q5_k", "5.5 bits", 16, true, { { 0 } } },
    { "q5_k_m", "q5_k", "5.7 bits", 17, true, { { V, MORE, "q6_k", 0 }, { DOWN, MORE, "q6_k", 0 }, { QKV, ALL, "q6_k", 0 } } },
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* Every number format, everywhere. */
#define PLAIN(name, file_type) { name, name, "this format for every matrix", file_type, false, { { 0 } } }
static const struct recipe plain[] = {
    PLAIN("f32", 0), PLAIN("f16", 1), PLAIN("bf16", 32), PLAIN("q4_0", 2), PLAIN("q4_1", 3), PLAIN("q5_0", 8), PLAIN("q5_1", 9),
    PLAIN("q8_0", 7), PLAIN("q2_k", -1), PLAIN("q3_k", -1), PLAIN("q4_k", -1), PLAIN("q5_k", -1), PLAIN("q6_k", 18),
    PLAIN("iq4_nl", 25), PLAIN("mxfp4", -1),
};
enum { PLAINS = sizeof plain / sizeof *plain };

const struct recipe *recipe_find(const char *name)
{
    for (size_t i = 0; i < RECIPES; i++)
        if (!strcasecmp(name, recipes[i].name))
            return &recipes[i];
    for (size_t i = 0; i < PLAINS; i++)
        if (!strcasecmp(name, plain[i].name))
            return &plain[i];
    return NULL;
}

const char *recipe_name_at(size_t i, const char **note)
{
    const struct recipe *r = i < RECIPES ? &recipes[i] : i < RECIPES + PLAINS ? &plain[i - RECIPES] : NULL;
    if (r)
        *note = r->note;
    return r ? r->name : NULL;
}

int recipe_file_type(const struct recipe *r)
{
    return r->file_type;
}

/* "blk.3.attn_v.weight" -> "attn_v", 3; "output.weight" -> "output", -1. False: not such a name. */
static bool role_of(const char *name, char role[32], int *layer)
{
    int used = 0;
    const size_t len = strlen(name);
    *layer = -1;
    if (len < 7 || strcmp(name + len - 7, ".weight") != 0)
        return false;
    if (sscanf(name, "blk.%4d.%n", layer, &used) < 1 || !used)
        *layer = -1, used = 0;
    const size_t n = len - 7 - (size_t)used;
    if (!n || n > 31)
        return false;
    memcpy(role, name + used, n);
    role[n] = 0;
    return true;
}

static bool role_quantized(const char *role)
{
    static const char *const kept[] = {"position_embd", "token_types", "ffn_gate_inp", "rope_freqs"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (!strcmp(role, kept[i]))
            return false;
    return strstr(role, "norm") == NULL;
}

enum sooth_status quant_list(struct convert_plan *p, quant_tensors *list, struct sooth_error *err)
{
    for (size_t i = 0; i < p->tensors.count; i++) {
        struct convert_tensor *t = &p->tensors.items[i];
        struct quant_tensor q = {.to = t, .type = qtype_by_id(t->type)};
        if (t->ndim != 2 || t->zero_rows || !q.type || !role_of(t->name, q.role, &q.layer) || !role_quantized(q.role))
            continue;
        q.cols = (size_t)t->dims[0];
        q.rows = (size_t)t->dims[1];
        if (!vec_push(list, q))
            return err_nomem(err);
    }
    return list->count ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "there is no matrix in it that can be quantized");
}

const struct qtype *quant_fitting(const struct qtype *type, size_t cols)
{
    static const char *const others[][2] = {{"q2_k", "q4_0"}, {"q3_k", "q4_0"}, {"q4_k", "q5_0"}, {"q5_k", "q5_1"}, {"q6_k", "q8_0"}};
    for (size_t i = 0; cols % type->block && i < sizeof others / sizeof *others; i++)
        if (!strcmp(type->name, others[i][0])) {
            type = qtype_by_name(others[i][1]);
            break;
        }
    return cols % type->block ? qtype_by_name("f16") : type;
}

uint64_t quant_bytes(const struct quant_tensor *t, const struct qtype *type)
{
    return (uint64_t)(t->cols / type->block) * type->bytes * t->rows;
}

static bool place_holds(enum place p, int layer, int layers)
{
    const int eighth = layers / 8;
    switch (p) {
    case ALL: return true;
    case MORE: return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    case FIRST_TWO: return layer < 2;
    case FIRST_FOUR: return layer < 4;
    case FIRST_EIGHTH: return layer < eighth;
    case FIRST_SIXTEENTH: return layer < layers / 16;
    }
    return false;
}

static const char *rule_type(const struct recipe *r, const struct quant_tensor *t, int layers, size_t heads_per_kv)
{
    for (size_t i = 0; i < 6 && r->rules[i].role; i++)
        if (!strcmp(r->rules[i].role, t->role) && heads_per_kv >= r->rules[i].heads_per_kv && place_holds(r->rules[i].place, t->layer, layers))
            return r->rules[i].type;
    return r->base;
}

void recipe_apply(const struct recipe *r, quant_tensors *list, size_t heads_per_kv)
{
    int layers = 0;
    bool output = false;
    for (size_t i = 0; i < list->count; i++) {
        layers = list->items[i].layer >= layers ? list->items[i].layer + 1 : layers;
        output |= !strcmp(list->items[i].role, "output");
    }
    for (size_t i = 0; i < list->count; i++) {
        struct quant_tensor *t = &list->items[i];
        const bool last = !strcmp(t->role, output ? "output" : "token_embd");
        const struct qtype *type = qtype_by_name(rule_type(r, t, layers, heads_per_kv));
        if (r->output && last)
            type = qtype_by_name(t->cols % type->block ? "q8_0" : "q6_k");
        t->type = quant_fitting(type, t->cols);
    }
}
