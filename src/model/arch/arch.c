/* arch.c: the table of architectures; loading a model; the four forwards everybody uses. */
#include "model/arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

#define ROW(x) extern const struct arch_row arch_##x;
#include "model/arch/arch_rows.inc"
#undef ROW

static const struct arch_row *const arch_rows[] = {
#define ROW(x) &arch_##x,
#include "model/arch/arch_rows.inc"
#undef ROW
};

const char *arch_name_at(size_t i, const char **note)
{
    if (i >= sizeof arch_rows / sizeof *arch_rows)
        return NULL;
    if (note)
        *note = arch_rows[i]->note;
    return arch_rows[i]->name;
}

static const struct arch_row *row_find(const char *arch, bool gguf)
{
    for (size_t i = 0; i < sizeof arch_rows / sizeof *arch_rows; i++) {
        const char *name = gguf ? arch_rows[i]->gguf_arch : arch_rows[i]->hf_arch;
        if (name && strcmp(name, arch) == 0)
            return arch_rows[i];
    }
    return NULL;
}

const struct arch_hf *arch_hf_of(const char *name, bool *decoder)
{
    for (size_t i = 0; i < sizeof arch_rows / sizeof *arch_rows; i++)
        if (strcmp(arch_rows[i]->name, name) == 0) {
            if (decoder)
                *decoder = arch_rows[i]->decoder;
            return arch_rows[i]->hf_arch ? &arch_rows[i]->hf : NULL;
        }
    return NULL;
}

const struct arch_hf *arch_hf(const struct arch_model *m)
{
    return &m->row->hf;
}

const struct arch_row *arch_row_named(const char *name)
{
    for (size_t i = 0; i < sizeof arch_rows / sizeof *arch_rows; i++)
        if (strcmp(arch_rows[i]->name, name) == 0)
            return arch_rows[i];
    return NULL;
}

bool arch_is_encoder(const struct tensor_file *f)
{
    const struct arch_row *row = row_find(tensor_file_string(f, "general.architecture", ""), strcmp(tensor_file_format(f), "safetensors") != 0);
    return row && !row->decoder;
}

/* ---- facts ---- */

static const char *key_of(const struct arch_model *m, const char *name, char out[128])
{
    snprintf(out, 128, "%s.%s", tensor_file_string(m->file, "general.architecture", ""), name);
    return out;
}

uint64_t arch_uint(const struct arch_model *m, const char *name, uint64_t fallback)
{
    char key[128];
    return tensor_file_uint(m->file, key_of(m, name, key), fallback);
}

bool arch_bool(const struct arch_model *m, const char *name, bool fallback)
{
    char key[128];
    return tensor_file_bool(m->file, key_of(m, name, key), fallback);
}

double arch_real(const struct arch_model *m, const char *name, double fallback)
{
    char key[128];
    return tensor_file_float(m->file, key_of(m, name, key), fallback);
}

const char *arch_text(const struct arch_model *m, const char *name, const char *fallback)
{
    char key[128];
    return tensor_file_string(m->file, key_of(m, name, key), fallback);
}

const struct json *arch_config(const struct arch_model *m)
{
    const struct json *config = tensor_file_config(m->file), *text = json_get(config, "text_config");
    return text && !json_get(config, "hidden_size") ? text : config;
}

/* ---- configuration ---- */

static const struct {
    const char *key;
    size_t offset;
    uint64_t most;
} needed[] = {
    {"block_count", offsetof(struct arch_info, layers), 1000},
    {"embedding_length", offsetof(struct arch_info, dim), 65536},
    {"feed_forward_length", offsetof(struct arch_info, ff), 1 << 20},
    {"attention.head_count", offsetof(struct arch_info, heads), 1024},
    {"context_length", offsetof(struct arch_info, context), (uint64_t)1 << 28},
};

enum { MAX_LABELS = 4096 };

static enum sooth_status number_out(const char *key, uint64_t v, struct sooth_error *err)
{
    if (v == 0)
        return err_set(err, SOOTH_ERR_FORMAT, "the model's files do not say '%s'", key);
    return err_set(err, SOOTH_ERR_FORMAT, "'%s' is %llu, which no model has", key, (unsigned long long)v);
}

/* Some tables are as long as their tensors say, whatever number the file states; `fallback` where there is none. */
static size_t rows_of(const struct arch_model *m, const char *role, uint64_t fallback)
{
    const struct file_tensor *t = arch_top_tensor(m, role);
    return t ? (size_t)t->dims[1] : (size_t)fallback;
}

bool arch_every_layer(const struct arch_model *m, size_t layer)
{
    (void)layer;
    return m->info.window > 0;
}

enum sooth_status arch_local_layers(struct arch_model *m, bool (*is_local)(const struct arch_model *m, size_t layer), struct sooth_error *err)
{
    const struct json *types = json_get(arch_config(m), "layer_types");
    m->local = arena_calloc(&m->arena, m->info.layers, 1);
    if (!m->local)
        return err_nomem(err);
    if (types && types->type == JSON_NULL)
        types = NULL;
    if (types && (types->type != JSON_ARRAY || types->len != m->info.layers))
        return err_set(err, SOOTH_ERR_FORMAT, "config.json names %zu layer types for %zu layers", types->len, m->info.layers);
    for (size_t i = 0; i < m->info.layers; i++) {
        const struct json *t = json_at(types, i);
        m->local[i] = types ? t->type == JSON_STRING && strcmp(t->text, "sliding_attention") == 0 : is_local(m, i);
    }
    return SOOTH_OK;
}

/* GGUF does not tell the activation: there it is the architecture's own. */
static enum sooth_status activation(struct arch_model *m, struct sooth_error *err)
{
    static const struct {
        const char *name;
        enum op_act act;
    } names[] = {{"silu", ACT_SILU}, {"swish", ACT_SILU}, {"swiglu", ACT_SILU}, {"gelu", ACT_GELU}, {"gelu_pytorch_tanh", ACT_GELU_TANH}, {"gelu_new", ACT_GELU_TANH},
                 {"relu", ACT_RELU}, {"tanh", ACT_TANH}};
    const struct json *config = arch_config(m);
    const char *name = json_string(config, "hidden_activation", json_string(config, "hidden_act", json_string(config, "activation_function", NULL)));
    m->act = m->row->act;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            m->act = names[i].act;
            return SOOTH_OK;
        }
    return name ? err_set(err, SOOTH_ERR_UNSUPPORTED, "hidden_act '%s' is not known", name) : SOOTH_OK;
}

static enum sooth_status pooling(struct arch_model *m, struct sooth_error *err)
{
    static const enum arch_pool pools[] = {ARCH_POOL_NONE, ARCH_POOL_MEAN, ARCH_POOL_FIRST, ARCH_POOL_LAST};
    uint64_t pool = arch_uint(m, "pooling_type", m->row->decoder ? 0 : 1);
    if (pool == 4) /* GGUF's "rank": the head of a classifier looks at the first token */
        pool = 2;
    if (pool > 3)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "pooling_type %llu is not known", (unsigned long long)pool);
    m->info.pool = pools[pool];
    return SOOTH_OK;
}

static enum sooth_status configure(struct arch_model *m, const struct arch_options *o, struct sooth_error *err)
{
    struct arch_info *i = &m->info;
    i->arch = m->row->name;
    i->decoder = m->row->decoder;
    for (size_t n = 0; n < sizeof needed / sizeof *needed; n++) {
        uint64_t v = arch_uint(m, needed[n].key, 0);
        if (v == 0 || v > needed[n].most)
            return number_out(needed[n].key, v, err);
        *(size_t *)((char *)i + needed[n].offset) = (size_t)v;
    }
    i->kv_heads = (size_t)arch_uint(m, "attention.head_count_kv", i->heads);
    i->head_dim = (size_t)arch_uint(m, "attention.key_length", i->dim / i->heads);
    i->vocab = rows_of(m, "token_embd", arch_uint(m, "vocab_size", 0));
    i->window = (size_t)arch_uint(m, "attention.sliding_window", 0);
    i->labels = rows_of(m, "cls_output", 0);
    i->types = rows_of(m, "token_types", 0);
    m->positions = i->context;
    if (i->kv_heads == 0 || i->kv_heads > i->heads || i->heads % i->kv_heads)
        return number_out("attention.head_count_kv", i->kv_heads ? i->kv_heads : 1 << 30, err);
    if (i->head_dim == 0 || i->head_dim > ATTEND_MAX_DIM || i->head_dim % 4)
        return number_out("attention.key_length", i->head_dim ? i->head_dim : 1 << 30, err);
    if (i->vocab == 0 || i->vocab > INT32_MAX)
        return number_out("vocab_size", i->vocab, err);
    if (i->labels > MAX_LABELS)
        return number_out("the number of classes", i->labels, err);
    m->eps = (float)arch_real(m, arch_eps_key(m), m->row->eps);
    m->scale = (float)arch_real(m, "attention.scale", 1 / sqrt((double)i->head_dim));
    m->attn_softcap = (float)arch_real(m, "attn_logit_softcapping", 0);
    m->final_softcap = (float)arch_real(m, "final_logit_softcapping", 0);
    i->eps = m->eps;
    if (!(m->eps >= 0) || !(m->scale > 0) || !(m->attn_softcap >= 0) || !(m->final_softcap >= 0))
        return err_set(err, SOOTH_ERR_FORMAT, "a norm's epsilon or an attention scale is not a positive number");
    m->session = o->context ? o->context : i->context;
    enum sooth_status status = activation(m, err);
    if (!status)
        status = pooling(m, err);
    return status ? status : m->row->configure(m, err);
}

/* ---- packing ---- */

/* Tables that are only looked up stay in file form. */
static bool is_product(const struct arch_model *m, const struct arch_weight *w)
{
    const struct arch_top *t = &m->top;
    if (w->vector || w->weight == t->position_embd || w->weight == t->type_embd)
        return false;
    return w->weight != t->token_embd || (m->row->decoder && !t->output);
}

static enum sooth_status plan(struct arch_model *m, const struct arch_options *o, struct sooth_error *err)
{
    uint64_t bytes = m->arena.used, by_type[64] = {0}, most = 0;
    for (size_t i = 0; i < m->list.count; i++) {
        const struct qmat *q = &m->list.items[i].weight->q;
        size_t size = 0;
        if (!o->no_pack && is_product(m, &m->list.items[i]))
            bytes += qmat_packed_bytes(q, o->compute);
        if (qtype_bytes(q->type, q->rows, q->cols, &size) && q->type->id < 64 && !m->list.items[i].vector && (by_type[q->type->id] += size) > most) {
            most = by_type[q->type->id];
            m->info.type = q->type;
        }
    }
    m->info.memory_bytes = bytes;
    if (o->max_bytes && bytes > o->max_bytes)
        return err_set(err, SOOTH_ERR_NOMEM, "the model needs %.1f MB of memory, over the ceiling of %.1f MB", (double)bytes / 1e6, (double)o->max_bytes / 1e6);
    return SOOTH_OK;
}

static enum sooth_status pack(struct arch_model *m, const struct arch_options *o, struct sooth_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < m->list.count; i++)
        if (is_product(m, &m->list.items[i]) && !size_add(total, qmat_packed_bytes(&m->list.items[i].weight->q, o->compute), &total))
            return err_nomem(err);
    enum sooth_status status = o->no_pack ? SOOTH_OK : qmat_space_init(&m->space, total, err);
    for (size_t i = 0; i < m->list.count && !o->no_pack && !status; i++) {
        struct qmat *q = (struct qmat *)&m->list.items[i].weight->q; /* ours until the model is handed out */
        if (!is_product(m, &m->list.items[i]))
            continue;
        size_t bad = qtype_check(q->type, q->data, q->rows * q->cols);
        if (bad != SIZE_MAX)
            return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' holds a number that is not finite, near index %zu", m->list.items[i].weight->name, bad);
        status = qmat_pack_in(q, o->pool, o->compute, &m->space, err);
        if (!status && (arch_is_gguf(m) || m->list.items[i].change != ARCH_TRANSPOSED)) /* what was turned is no part of the file */
            qmat_drop_source(q);
    }
    return status;
}

/* A model of the file's architecture and configuration, its weights not yet looked for. */
static enum sooth_status model_new(const struct tensor_file *f, const struct arch_options *o, struct arch_model **out, struct sooth_error *err)
{
    const char *arch = tensor_file_string(f, "general.architecture", NULL);
    *out = NULL;
    if (!arch)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' does not say its architecture", tensor_file_path(f));
    const struct arch_row *row = row_find(arch, strcmp(tensor_file_format(f), "safetensors") != 0);
    if (!row) {
        err_set(err, SOOTH_ERR_UNSUPPORTED, "architecture '%s' is not known", arch);
        return err_hint(err, "'sooth list arch' shows those that are");
    }
    struct arch_model *m = *out = mem_calloc(1, sizeof *m);
    if (!m)
        return err_nomem(err);
    m->row = row;
    m->file = f;
    arena_init(&m->arena, (size_t)1 << 32);
    return configure(m, o, err);
}

enum sooth_status arch_load(const struct tensor_file *f, const struct arch_options *options, struct arch_model **out, struct sooth_error *err)
{
    static const struct arch_options none;
    const struct arch_options *o = options ? options : &none;
    enum sooth_status status = model_new(f, o, out, err);
    struct arch_model *m = *out;
    if (!status)
        status = arch_weights_load(m, err);
    if (!status)
        status = plan(m, o, err);
    if (!status)
        status = pack(m, o, err);
    if (status) {
        arch_free(m);
        *out = NULL;
    }
    return status;
}

enum sooth_status arch_parts(const struct tensor_file *f, arch_part_fn *fn, void *user, struct sooth_error *err)
{
    static const struct arch_options none;
    struct arch_model *m;
    enum sooth_status status = model_new(f, &none, &m, err);
    if (!status)
        status = arch_parts_list(m, fn, user, err);
    arch_free(m);
    return status;
}

void arch_free(struct arch_model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->list.count; i++)
        qmat_release((struct qmat *)&m->list.items[i].weight->q);
    qmat_space_release(&m->space);
    vec_free(&m->list);
    arena_release(&m->arena);
    mem_free(m);
}

const struct arch_info *arch_info(const struct arch_model *m)
{
    return &m->info;
}

size_t arch_weights(const struct arch_model *m)
{
    return m->list.count;
}

const struct arch_weight *arch_weight_at(const struct arch_model *m, size_t i)
{
    return &m->list.items[i];
}

const struct weight *arch_weight_find(const struct arch_model *m, const char *gguf_name)
{
    for (size_t i = 0; i < m->list.count; i++)
        if (strcmp(m->list.items[i].weight->name, gguf_name) == 0)
            return m->list.items[i].weight;
    return NULL;
}

/* ---- forwards ---- */

static const struct weight *head(const struct arch_model *m)
{
    return m->top.output ? m->top.output : m->top.token_embd;
}

struct mat *arch_hidden(const struct arch_model *m, struct run *r)
{
    return m->row->hidden(m, r);
}

struct mat *arch_final_norm(const struct arch_model *m, struct run *r, struct mat *x)
{
    const struct arch_top *t = &m->top;
    if (!t->output_norm) /* the last block ends in a norm of its own */
        return x;
    return t->output_norm_bias ? op_layernorm(r, t->output_norm, t->output_norm_bias, m->eps, x)
                               : op_rmsnorm(r, t->output_norm, m->eps, x);
}

struct mat *arch_logits(const struct arch_model *m, struct run *r, struct mat *h)
{
    if (!m->row->decoder) {
        run_fail(r, SOOTH_ERR_UNSUPPORTED, "an encoder has no logits");
        return NULL;
    }
    struct mat *z = op_linear(r, head(m), NULL, h);
    return m->final_softcap > 0 ? op_softcap(r, m->final_softcap, z) : z;
}

struct mat *arch_logprobs(const struct arch_model *m, struct run *r, struct mat *h)
{
    if (!m->row->decoder) {
        run_fail(r, SOOTH_ERR_UNSUPPORTED, "an encoder has no logits");
        return NULL;
    }
    return op_logprob(r, head(m), m->final_softcap, NULL, h);
}

struct mat *arch_pooled(const struct arch_model *m, struct run *r, struct mat *h)
{
    enum op_pool kind = m->info.pool == ARCH_POOL_FIRST ? POOL_FIRST : m->info.pool == ARCH_POOL_LAST ? POOL_LAST : POOL_MEAN;
    return op_unit(r, op_pool(r, kind, h));
}

struct mat *arch_scores(const struct arch_model *m, struct run *r, struct mat *h)
{
    if (!m->info.labels) {
        run_fail(r, SOOTH_ERR_UNSUPPORTED, "the model has no classifier");
        return NULL;
    }
    struct mat *first = op_act(r, ACT_TANH, op_linear(r, m->top.cls, m->top.cls_bias, op_pool(r, POOL_FIRST, h)));
    return op_linear(r, m->top.cls_output, m->top.cls_output_bias, first);
}

enum sooth_status arch_cache_new(const struct arch_model *m, size_t n_seq, size_t n_ctx, enum kv_type type, struct kv_cache **out, struct sooth_error *err)
{
    struct kv_shape shape = {m->info.layers, m->info.kv_heads, m->info.head_dim, m->info.head_dim};
    *out = NULL;
    if (!m->row->decoder)
        return err_set(err, SOOTH_ERR_ARG, "an encoder needs no cache");
    if (!kv_type_fits(type, m->info.head_dim))
        return err_set(err, SOOTH_ERR_ARG, "heads of %zu numbers cannot be kept in blocks of 32: cache '%s'", m->info.head_dim, kv_type_name(type));
    *out = kv_cache_new(&shape, n_seq, n_ctx, type);
    return *out ? SOOTH_OK : err_nomem(err);
}
