/* hf_config.c: config.json and its companions, translated to GGUF keys.
 *
 * GGUF's keys are "{architecture}.{fact}", so the architecture's name comes first, from model_type.
 * Facts that are missing or of the wrong kind are left out: whoever needs them says so. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "model/file/tensor_view.h"

enum kind { WHOLE, REAL, TRUTH };
static const struct {
    const char *hf, *gguf;
    enum kind kind;
} facts[] = {
    {"num_hidden_layers", "block_count", WHOLE},
    {"hidden_size", "embedding_length", WHOLE},
    {"intermediate_size", "feed_forward_length", WHOLE},
    {"num_attention_heads", "attention.head_count", WHOLE},
    {"num_key_value_heads", "attention.head_count_kv", WHOLE},
    {"head_dim", "attention.key_length", WHOLE},
    {"max_position_embeddings", "context_length", WHOLE},
    {"vocab_size", "vocab_size", WHOLE},
    {"type_vocab_size", "token_type_count", WHOLE},
    {"sliding_window", "attention.sliding_window", WHOLE},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", REAL},
    {"layer_norm_eps", "attention.layer_norm_epsilon", REAL},
    {"rope_theta", "rope.freq_base", REAL},
    {"rope_local_base_freq", "rope.freq_base_swa", REAL},
    {"attn_logit_softcapping", "attn_logit_softcapping", REAL},
    {"final_logit_softcapping", "final_logit_softcapping", REAL},
    {"tie_word_embeddings", "tie_word_embeddings", TRUTH},
    {"residual_scale", "residual_scale", REAL},
    /* GPT-2's names, and nomic_bert's; a name above goes before them */
    {"n_layer", "block_count", WHOLE},
    {"n_embd", "embedding_length", WHOLE},
    {"n_inner", "feed_forward_length", WHOLE},
    {"n_head", "attention.head_count", WHOLE},
    {"n_positions", "context_length", WHOLE},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", REAL},
    {"rotary_emb_base", "rope.freq_base", REAL},
};
static const struct {
    const char *hf, *gguf;
} ids[] = {
    {"bos_token_id", "tokenizer.ggml.bos_token_id"},
    {"eos_token_id", "tokenizer.ggml.eos_token_id"},
    {"pad_token_id", "tokenizer.ggml.padding_token_id"},
};
enum { MAX_ADDED = 40, MAX_PROMPT = 4096 }; /* room for every fact there is */

struct translation {
    struct tensor_file *f;
    const struct json *config;
    const char *arch;
    struct sooth_error *err;
    enum sooth_status status; /* the first failure */
};

static const char *architecture(const char *model_type)
{
    static const char *const names[][2] = {{"gemma3_text", "gemma3"},
                                           {"roberta", "xlm-roberta"},
                                           {"nomic_bert", "nomic-bert"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i][0], model_type))
            return names[i][1];
    return model_type;
}

/* "{arch}.{name}", in the view's arena. */
static const char *full_key(struct translation *t, const char *name)
{
    size_t n = strlen(t->arch), m = strlen(name);
    char *key = arena_array(&t->f->arena, n + m + 2, 1);
    if (!key) {
        t->status = view_nomem(t->f, t->err);
        return NULL;
    }
    memcpy(key, t->arch, n);
    key[n] = '.';
    memcpy(key + n + 1, name, m + 1);
    return key;
}

static void put_fact(struct translation *t, const char *key, const struct json *v, enum kind kind)
{
    if (!v || t->status)
        return;
    if (kind == TRUTH && (v->type == JSON_TRUE || v->type == JSON_FALSE))
        t->status = view_put_bool(t->f, key, v->type == JSON_TRUE, t->err);
    else if (kind == REAL && v->type == JSON_NUMBER && isfinite(v->number))
        t->status = view_put_float(t->f, key, v->number, t->err);
    else if (kind == WHOLE && v->type == JSON_NUMBER && v->number >= 0 && v->number < 0x1p53 &&
             v->number == floor(v->number))
        t->status = view_put_uint(t->f, key, (uint64_t)v->number, t->err);
}

static void put_named(struct translation *t, const char *name, const struct json *v, enum kind kind)
{
    const char *key = v && !t->status ? full_key(t, name) : NULL;
    if (key && !tensor_file_value(t->f, key))
        put_fact(t, key, v, kind);
}

/* GPT-2 leaves the width of its feed-forward unsaid: four times the model's. */
static void unsaid_width(struct translation *t)
{
    struct json four = {.type = JSON_NUMBER, .number = 4 * json_number(t->config, "n_embd", 0)};
    if (four.number > 0)
        put_named(t, "feed_forward_length", &four, WHOLE);
}

/* "rope_scaling": {"rope_type": "llama3", "factor": 8, ...}. */
static void rope_scaling(struct translation *t)
{
    static const char *const names[][2] = {
        {"factor", "rope.scaling.factor"},
        {"low_freq_factor", "rope.scaling.low_freq_factor"},
        {"high_freq_factor", "rope.scaling.high_freq_factor"},
        {"original_max_position_embeddings", "rope.scaling.original_context_length"},
    };
    const struct json *scaling = json_get(t->config, "rope_scaling");
    const char *type = json_string(scaling, "rope_type", json_string(scaling, "type", NULL)), *key;
    if (!type || t->status || !(key = full_key(t, "rope.scaling.type")))
        return;
    t->status = view_put_string(t->f, key, type, t->err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_named(t, names[i][1], json_get(scaling, names[i][0]), i == 3 ? WHOLE : REAL);
}

/* Gemma scales queries by a number that is not the head size: the scale itself is GGUF's fact. */
static void query_scale(struct translation *t)
{
    double scalar = json_number(t->config, "query_pre_attn_scalar", 0);
    const char *key = scalar > 0 && isfinite(scalar) && !t->status ? full_key(t, "attention.scale")
                                                                   : NULL;
    if (key)
        t->status = view_put_float(t->f, key, 1 / sqrt(scalar), t->err);
}

static void special_ids(struct translation *t)
{
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const struct json *v = json_get(t->config, ids[i].hf);
        struct file_value list = {.type = VALUE_ARRAY, .item = VALUE_U32};
        uint32_t *items;
        if (!v || v->type != JSON_ARRAY) {
            put_fact(t, ids[i].gguf, v, WHOLE);
            continue;
        }
        put_fact(t, ids[i].gguf, v->child,
                 WHOLE); /* several end tokens: the first, and all of them */
        items = arena_array(&t->f->arena, v->len, sizeof *items);
        if (!items || t->status || strcmp(ids[i].hf, "eos_token_id"))
            continue;
        for (const struct json *j = v->child; j; j = j->next)
            if (j->type == JSON_NUMBER && j->number >= 0 && j->number <= UINT32_MAX &&
                j->number == floor(j->number))
                items[list.count++] = (uint32_t)j->number;
        list.items = items;
        t->status = view_add_value(t->f, "tokenizer.ggml.eos_token_ids",
                                   strlen("tokenizer.ggml.eos_token_ids"), &list, t->err);
    }
}

/* "id2label": {"0": "entailment", ...} as a list; left out when it is not one. */
static void class_names(struct translation *t)
{
    const struct json *names = json_get(t->config, "id2label");
    struct file_value list = {.type = VALUE_ARRAY, .item = VALUE_STRING};
    if (t->status || !names || names->type != JSON_OBJECT || !names->len)
        return;
    struct file_string *items = arena_calloc(&t->f->arena, names->len, sizeof *items);
    const char *key = full_key(t, "classifier.output_labels");
    for (size_t i = 0; items && i < names->len; i++)
        items[i].text = "";
    for (const struct json *j = items ? names->child : NULL; j; j = j->next) {
        size_t i = (size_t)strtoul(j->key, NULL, 10);
        if (j->type != JSON_STRING || i >= names->len)
            return;
        items[i] = (struct file_string){j->text, j->len};
    }
    list.strings = items;
    list.count = names->len;
    if (!items || !key)
        t->status = view_nomem(t->f, t->err);
    else
        t->status = view_add_value(t->f, key, strlen(key), &list, t->err);
}

/* A small optional JSON file of the directory; NULL when it is absent. One that cannot be read or
 * parsed is a failure: without it the model would pool or prefix wrongly and not say so. */
static const struct json *companion(struct translation *t, struct arena *a, const char *name)
{
    struct sooth_error own;
    struct buf text;
    const struct json *root = NULL;
    enum sooth_status status;
    if (t->status)
        return NULL;
    buf_init(&text, 1 << 20);
    status = tensor_file_part(t->f, name, &text, &own);
    if (!status)
        root = json_parse(a, buf_str(&text), text.len, JSON_UNIQUE_KEYS, NULL, &own);
    if (!root && (status != SOOTH_ERR_NOTFOUND)) {
        t->status = status ? status : own.status;
        if (t->err) {
            *t->err = own;
            err_prefix(t->err, "'%s'", name);
        }
    }
    buf_release(&text);
    return root;
}

/* How sentence-transformers pools and prefixes: GGUF's pooling numbers are 1 mean, 2 first token, 3
 * last token. */
static void sentence_transformers(struct translation *t)
{
    static const char *const modes[] = {"pooling_mode_mean_tokens", "pooling_mode_cls_token",
                                        "pooling_mode_lasttoken"};
    struct arena a;
    const struct json *pooling, *prompts;
    const char *key, *query, *passage;
    arena_init(&a, 16 << 20);
    pooling = companion(t, &a, "1_Pooling/config.json");
    for (unsigned i = 0; i < 3; i++)
        if (json_bool(pooling, modes[i], false) && !t->status) {
            if ((key = full_key(t, "pooling_type")))
                t->status = view_put_uint(t->f, key, i + 1, t->err);
            break;
        }
    prompts = json_get(companion(t, &a, "config_sentence_transformers.json"), "prompts");
    query = json_string(prompts, "query", NULL);
    passage = json_string(prompts, "passage", json_string(prompts, "document", NULL));
    if (query && !t->status && strlen(query) < MAX_PROMPT)
        t->status = view_put_string(t->f, "sooth.embed.query_prefix", query, t->err);
    if (passage && !t->status && strlen(passage) < MAX_PROMPT)
        t->status = view_put_string(t->f, "sooth.embed.passage_prefix", passage, t->err);
    arena_release(&a);
}

enum sooth_status hf_config_read(struct tensor_file *f, struct sooth_error *err)
{
    struct translation t = {f, f->config, NULL, err, SOOTH_OK};
    const struct json *inner =
        json_get(f->config, "text_config"); /* a vision model's language half */
    const char *model_type;
    bool encoder;
    if (inner && !json_get(f->config, "hidden_size"))
        t.config = inner;
    model_type = json_string(t.config, "model_type", NULL);
    if (!model_type || !*model_type || strlen(model_type) > 64)
        return err_set(err, SOOTH_ERR_FORMAT, "config.json names no model_type");
    t.arch = architecture(model_type);
    t.status = view_reserve(f, 0, MAX_ADDED, err);
    if (!t.status)
        t.status = view_put_string(f, "general.architecture", t.arch, err);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        put_named(&t, facts[i].gguf, json_get(t.config, facts[i].hf), facts[i].kind);
    unsaid_width(&t);
    encoder = !strcmp(t.arch, "bert") || !strcmp(t.arch, "xlm-roberta") ||
              !strcmp(t.arch, "nomic-bert");
    if (encoder && !t.status) {
        const char *key = full_key(&t, "attention.causal");
        if (key)
            t.status = view_put_bool(f, key, false, err);
    }
    rope_scaling(&t);
    query_scale(&t);
    special_ids(&t);
    class_names(&t);
    sentence_transformers(&t);
    return t.status;
}
