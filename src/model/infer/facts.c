/* facts.c: what is known about a model once it is open. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch.h"
#include "model/file/file.h"
#include "model/infer/handle.h"

enum { FACTS_CONTEXT = 8192 };

static uint64_t facts_number(const struct tensor_file *f, const char *key)
{
    char full[256];
    snprintf(full, sizeof full, "%s.%s", tensor_file_string(f, "general.architecture", ""), key);
    return tensor_file_uint(f, full, 0);
}

/* From the loaded weights where there are any, else from the file's own words. */
static void facts_shape(struct sooth_model *m)
{
    struct sooth_model_info *i = &m->info;
    const struct arch_info *a = m->arch ? arch_info(m->arch) : NULL;
    static const char *const pools[] = {"", "mean", "cls", "last"};
    i->arch = tensor_file_string(m->file, "general.architecture", "");
    if (!a) {
        i->layers = facts_number(m->file, "block_count");
        i->dim = facts_number(m->file, "embedding_length");
        i->heads = facts_number(m->file, "attention.head_count");
        i->ff = facts_number(m->file, "feed_forward_length");
        i->vocab = token_vocab_size(m->tokenizer);
        m->context_most = facts_number(m->file, "context_length");
        i->kind = arch_is_encoder(m->file) ? SOOTH_MODEL_ENCODER : SOOTH_MODEL_DECODER;
        i->weights = i->pooling = i->compute = "";
        return;
    }
    i->kind = a->decoder ? SOOTH_MODEL_DECODER : SOOTH_MODEL_ENCODER;
    i->layers = a->layers;
    i->dim = a->dim;
    i->heads = a->heads;
    i->kv_heads = a->kv_heads;
    i->head_dim = a->head_dim;
    i->ff = a->ff;
    i->vocab = a->vocab;
    i->parameters = a->parameters;
    i->memory_bytes = a->memory_bytes;
    i->weights = a->type ? a->type->name : "";
    i->pooling = a->decoder ? "" : pools[a->pool];
    m->context_most = a->context;
}

static const char *facts_last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Tokens a text may have: positions, the sentence configuration's limit, the tokenizer's. */
static enum sooth_status facts_limit(struct sooth_model *m, struct sooth_error *err)
{
    static const char *const files[][2] = {{"sentence_bert_config.json", "max_seq_length"},
                                           {"tokenizer_config.json", "model_max_length"}};
    size_t limit = m->context_most;
    uint64_t own = tensor_file_uint(m->file, "sooth.embed.max_tokens", 0);
    limit = own && own < limit ? (size_t)own : limit;
    for (size_t i = 0; i < 2; i++) {
        struct buf text;
        struct arena arena;
        buf_init(&text, 16 << 20);
        arena_init(&arena, 64 << 20);
        struct sooth_error why;
        enum sooth_status status = tensor_file_part(m->file, files[i][0], &text, &why);
        const struct json *j =
            status == SOOTH_OK ? json_parse(&arena, buf_str(&text), text.len, 0, NULL, &why) : NULL;
        double most = json_number(j, files[i][1], 0); /* some say 1e30: no limit */
        if (most >= 4 && most < (double)limit)
            limit = (size_t)most;
        bool lost = !j && status != SOOTH_ERR_NOTFOUND;
        arena_release(&arena);
        buf_release(&text);
        if (lost) {
            if (err)
                *err = why;
            return err_prefix(err, "'%s'", files[i][0]), why.status;
        }
    }
    m->embed_limit = limit;
    return SOOTH_OK;
}

/* "e5" as a word of the name: "multilingual-e5-small", "e5.gguf", "intfloat/e5-base". */
static bool facts_is_e5(const char *name)
{
    for (const char *at = name ? strcasestr(name, "e5") : NULL; at; at = strcasestr(at + 1, "e5")) {
        bool starts = at == name || strchr("-_./ ", at[-1]),
             ends = !at[2] || strchr("-_./ ", at[2]);
        if (starts && ends)
            return true;
    }
    return false;
}

static void facts_prefixes(struct sooth_model *m)
{
    m->query_prefix = tensor_file_string(m->file, "sooth.embed.query_prefix", NULL);
    m->passage_prefix = tensor_file_string(m->file, "sooth.embed.passage_prefix", NULL);
    if (m->query_prefix || m->passage_prefix)
        return;
    /* Two families were trained with these, and most of their files do not say so. */
    if (strcmp(m->info.arch, "nomic-bert") == 0) {
        m->query_prefix = "search_query: ";
        m->passage_prefix = "search_document: ";
    } else if (facts_is_e5(m->info.name) || facts_is_e5(facts_last_part(m->info.path))) {
        m->query_prefix = "query: ";
        m->passage_prefix = "passage: ";
    }
}

/* Strings of an array are not terminated in a mapped file: copied. */
static enum sooth_status facts_classes(struct sooth_model *m, struct sooth_error *err)
{
    char key[128];
    size_t named = 0, n = m->arch ? arch_info(m->arch)->labels : 0;
    snprintf(key, sizeof key, "%.60s.classifier.output_labels", m->info.arch);
    const struct file_string *names = tensor_file_strings(m->file, key, &named);
    const char **list = arena_calloc(&m->arena, n + 1, sizeof *list);
    if (!list)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (!(list[i] = i < named && names[i].len < 256
                            ? arena_strndup(&m->arena, names[i].text, names[i].len)
                            : ""))
            return err_nomem(err);
    m->info.classes = list;
    m->info.n_classes = n;
    return SOOTH_OK;
}

static enum sooth_status facts_warnings(struct sooth_model *m, struct sooth_error *err)
{
    size_t n = token_warnings(m->tokenizer),
           more = m->template || !token_template(m->tokenizer) ? 0 : 1;
    const char **list = arena_calloc(&m->arena, n + more + 1, sizeof *list);
    if (!list)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++)
        list[i] = token_warning(m->tokenizer, i);
    if (more)
        list[n++] =
            "the chat template uses something this build does not know: chatting will say what";
    m->info.warnings = list;
    m->info.n_warnings = n;
    return SOOTH_OK;
}

enum sooth_status model_read_facts(struct sooth_model *m, const struct sooth_model_options *options,
                                   struct sooth_error *err)
{
    struct sooth_model_info *i = &m->info;
    facts_shape(m);
    i->format = tensor_file_format(m->file);
    i->name = tensor_file_string(m->file, "general.name", facts_last_part(i->path));
    i->file_bytes = tensor_file_bytes(m->file);
    i->tokenizer = token_kind(m->tokenizer);
    i->pretokenizer = token_rules(m->tokenizer);
    i->add_bos = token_adds_bos(m->tokenizer);
    i->has_template = token_template(m->tokenizer) != NULL;
    size_t most = options->context ? options->context : FACTS_CONTEXT;
    i->context = most < m->context_most ? most : m->context_most;
    if (options->context > m->context_most)
        return err_set(err, SOOTH_ERR_ARG, "model '%s' allows a context of %zu tokens, not %zu",
                       i->path, m->context_most, options->context);
    facts_prefixes(m);
    enum sooth_status status = facts_limit(m, err);
    if (status == SOOTH_OK)
        status = facts_classes(m, err);
    return status == SOOTH_OK ? facts_warnings(m, err) : status;
}
