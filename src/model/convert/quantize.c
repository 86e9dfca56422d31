/* quantize.c: the way in: a model becomes a smaller file, and is measured against what it was.
 *
 * Order of work: plan a plain copy, list its matrices, load the source where it has to be run, gather importance, choose
 * formats, let the quantizer prepare, write and read back, run the result beside the source. Nothing has the output's name
 * before it was read back. */
#include "model/convert/quantize.h"
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/arch/arch.h"
#include "model/token/token.h"

enum { QUANTIZE_PATH = 4096, QUANTIZE_WINDOWS = 16, QUANTIZE_CONTEXT = 512, QUANTIZE_LEAST = 64 };

#define ROW(x) extern const struct quantizer quantizer_##x;
#include "model/convert/quantizer_rows.inc"
#undef ROW
#define ROW(x) &quantizer_##x,
static const struct quantizer *const quantizers[] = {
#include "model/convert/quantizer_rows.inc"
};
#undef ROW

const struct quantizer *quantizer_at(size_t i)
{
    return i < sizeof quantizers / sizeof *quantizers ? quantizers[i] : NULL;
}

const struct quantizer *quantizer_find(const char *name)
{
    for (size_t i = 0; quantizer_at(i); i++)
        if (!strcmp(quantizer_at(i)->name, name))
            return quantizer_at(i);
    return NULL;
}

const char *sooth_quantize_type(size_t i, const char **note)
{
    return recipe_name_at(i, note);
}

const char *sooth_quantize_method(size_t i, const char **note)
{
    const struct quantizer *q = quantizer_at(i);
    *note = q ? q->note : "";
    return q ? q->name : NULL;
}

void quant_note(const struct quant_source *s, const char *what, size_t done, size_t total)
{
    if (s->note)
        s->note(s->user, what, done, total);
}

/* ---- the source ---- */

enum sooth_status quant_forward(const struct quant_source *s, const struct run_options *o, size_t window, struct sooth_error *err)
{
    const size_t n = s->context;
    uint32_t *pos = mem_calloc(2 * n, sizeof *pos);
    int32_t *token = mem_calloc(n, sizeof *token);
    struct run *run = run_new(o);
    enum sooth_status status = pos && token && run ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; status == SOOTH_OK && i < n; i++) {
        pos[i] = (uint32_t)i; /* the second half stays zero: one sequence */
        token[i] = i == 0 && s->start >= 0 ? s->start : s->ids[window * n + i];
    }
    if (status == SOOTH_OK) {
        const struct rows rows = {.n = n, .token = token, .pos = pos, .seq = pos + n};
        run_begin(run, &rows);
        arch_hidden(s->arch, run);
        status = run_end(run, err);
    }
    run_free(run);
    mem_free(token);
    mem_free(pos);
    return status;
}

/* Tokens of a text, cut into windows. */
static enum sooth_status source_read(struct quant_source *s, const char *text, size_t len, const struct sooth_quantize_options *o,
                                     struct sooth_error *err)
{
    struct tokenizer *t;
    struct token_ids ids = {0};
    const size_t most = arch_info(s->arch)->context, limit = o->chunks ? o->chunks : QUANTIZE_WINDOWS;
    enum sooth_status status = tokenizer_from_file(s->file, &t, err);
    if (status != SOOTH_OK)
        return status;
    status = token_encode_text(t, text, len, TOKEN_ADD_SPECIAL, &ids, err);
    mem_free(s->ids);
    s->ids = ids.items;
    s->start = token_adds_bos(t) ? token_special(t, ROLE_BOS) : -1;
    s->context = o->context ? o->context : QUANTIZE_CONTEXT;
    s->context = most && most < s->context ? most : s->context;
    if (!o->context && ids.count < s->context)
        s->context = ids.count; /* a short text is one short window */
    s->windows = s->context ? ids.count / s->context : 0;
    s->windows = s->windows < limit ? s->windows : limit;
    if (status == SOOTH_OK && (!s->windows || s->context < QUANTIZE_LEAST))
        status = err_set(err, SOOTH_ERR_ARG, "a text of %zu tokens is too short to calibrate or measure with", ids.count);
    tokenizer_free(t);
    return status;
}

static enum sooth_status source_load(struct quant_source *s, quant_tensors *list, struct sooth_error *err)
{
    const struct arch_options options = {.pool = s->pool};
    quant_note(s, "loading", 0, 1);
    enum sooth_status status = arch_load(s->file, &options, &s->arch, err);
    for (size_t i = 0; status == SOOTH_OK && i < list->count; i++) {
        list->items[i].weight = arch_weight_find(s->arch, list->items[i].to->name);
        if (!list->items[i].weight)
            status = err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' is not one of the model's weights", list->items[i].to->name);
    }
    return status;
}

static enum sooth_status source_importance(const struct quant_source *s, struct importance *im, quant_tensors *list,
                                           const struct sooth_quantize_options *o, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    if (o->importance)
        status = importance_read(im, o->importance, err);
    else if (o->text)
        status = importance_gather(im, s, err);
    if (status == SOOTH_OK && o->save_importance)
        status = importance_write(im, o->save_importance, "calibration text", s->windows, s->context, err);
    return status == SOOTH_OK ? importance_apply(im, list, err) : status;
}

/* ---- the result ---- */

static enum sooth_status result_write(const struct quant_source *s, struct convert_plan *p, quant_tensors *list, int file_type,
                                      const char *out, struct sooth_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        plan_retype(list->items[i].to, list->items[i].type->id);
    plan_drop(p, "general.file_type");
    if ((file_type >= 0 && !plan_uint(p, "general.file_type", (uint64_t)file_type)) || !plan_uint(p, "general.quantization_version", 2))
        return err_nomem(err);
    quant_note(s, "writing", 0, 1);
    return convert_write_gguf(p, s->pool, out, err);
}

static void result_count(struct sooth_quantize_result *r, const struct convert_plan *p)
{
    for (size_t i = 0; i < p->tensors.count; i++) {
        const struct convert_tensor *t = &p->tensors.items[i];
        const char *name = tensor_type_find(t->type)->name;
        size_t k = 0;
        while (k < r->n_types && strcmp(r->types[k].type, name) != 0)
            k++;
        if (k == sizeof r->types / sizeof *r->types)
            continue;
        r->n_types = k == r->n_types ? k + 1 : r->n_types;
        r->types[k].type = name;
        r->types[k].tensors++;
        r->types[k].bytes += t->bytes;
        for (; k > 0 && r->types[k].bytes > r->types[k - 1].bytes; k--) {
            const struct sooth_quantize_count swap = r->types[k];
            r->types[k] = r->types[k - 1];
            r->types[k - 1] = swap;
        }
    }
}

static enum sooth_status result_measure(struct quant_source *s, const char *out, struct sooth_divergence *found, struct sooth_error *err)
{
    const struct arch_options options = {.pool = s->pool};
    struct tensor_file *f = NULL;
    struct arch_model *small = NULL;
    struct divergence *d = NULL;
    struct divergence_sum sum = {0};
    enum sooth_status status = tensor_file_open(out, NULL, &f, err);
    if (status == SOOTH_OK)
        status = arch_load(f, &options, &small, err);
    if (status == SOOTH_OK)
        status = divergence_new(s->arch, s->pool, s->context, &d, err);
    for (size_t i = 0; i < s->windows && status == SOOTH_OK; i++) {
        quant_note(s, "measuring", i, s->windows);
        divergence_clear(d);
        status = divergence_add(d, s->ids + i * s->context, s->start, err);
        if (status == SOOTH_OK)
            status = divergence_measure(d, small, NULL, &sum, err);
    }
    if (status == SOOTH_OK)
        divergence_summary(&sum, s->windows, found);
    divergence_sum_release(&sum);
    divergence_free(d);
    arch_free(small);
    tensor_file_close(f);
    return status;
}

/* ---- all of it ---- */

struct quantize {
    const struct sooth_quantize_options *o;
    const struct recipe *recipe;
    const struct quantizer *method;
    struct quant_source source;
    struct convert_plan plan;
    quant_tensors list;
    struct importance *importance;
};

static enum sooth_status check_options(struct quantize *q, struct sooth_error *err)
{
    const struct sooth_quantize_options *o = q->o;
    q->method = quantizer_find(o->method ? o->method : "nearest");
    if (!q->method)
        return err_set(err, SOOTH_ERR_ARG, "unknown method '%.40s'", o->method);
    const char *type = o->type ? o->type : o->bytes ? NULL : q->method->type;
    q->recipe = type ? recipe_find(type) : NULL;
    if (!o->type == !o->bytes && !q->method->type)
        return err_set(err, SOOTH_ERR_ARG, "either a type or a number of bytes must be given, and not both");
    if (type && !q->recipe)
        return err_set(err, SOOTH_ERR_ARG, "unknown number format or mixture '%.40s'", type);
    if (q->method->type && (o->bytes || strcmp(type, q->method->type) != 0))
        return err_set(err, SOOTH_ERR_ARG, "method '%s' writes %s only", q->method->name, q->method->type);
    if (!o->text && (q->method->needs_text || (o->save_importance && !o->importance)))
        return err_set(err, SOOTH_ERR_ARG, "method '%s' and importance need a text to calibrate with", q->method->name);
    return SOOTH_OK;
}

/* Loads and reads what the options need; a budget without a text is measured on the sample. */
static enum sooth_status prepare_source(struct quantize *q, struct sooth_error *err)
{
    const struct sooth_quantize_options *o = q->o;
    const char *text = o->text ? o->text : quant_sample_text;
    if (o->no_measure && !o->text && !o->bytes)
        return SOOTH_OK;
    enum sooth_status status = source_load(&q->source, &q->list, err);
    if (status == SOOTH_OK && o->bytes && !arch_info(q->source.arch)->decoder)
        status = err_set(err, SOOTH_ERR_UNSUPPORTED, "a budget is met by measuring what a model generates; this one is an encoder");
    if (status == SOOTH_OK && (o->text || o->bytes))
        status = source_read(&q->source, text, o->text ? o->text_len : strlen(text), o, err);
    return status;
}

static enum sooth_status choose_and_write(struct quantize *q, const char *out, struct sooth_error *err)
{
    const struct arch_info *info = q->source.arch ? arch_info(q->source.arch) : NULL;
    char key[96];
    const char *arch = tensor_file_string(q->source.file, "general.architecture", "");
    snprintf(key, sizeof key, "%.60s.attention.head_count", arch);
    uint64_t heads = info ? info->heads : tensor_file_uint(q->source.file, key, 1);
    snprintf(key, sizeof key, "%.60s.attention.head_count_kv", arch);
    uint64_t kv = info ? info->kv_heads : tensor_file_uint(q->source.file, key, heads);
    enum sooth_status status = SOOTH_OK;
    if (q->recipe)
        recipe_apply(q->recipe, &q->list, kv ? (size_t)(heads / kv) : 1);
    else
        status = budget_choose(&q->source, &q->plan, &q->list, q->o->bytes, kv ? (size_t)(heads / kv) : 1, err);
    if (status == SOOTH_OK && q->method->prepare)
        status = q->method->prepare(&q->source, &q->plan, &q->list, err);
    if (status == SOOTH_OK)
        status = result_write(&q->source, &q->plan, &q->list, q->recipe ? recipe_file_type(q->recipe) : -1, out, err);
    return status;
}

static enum sooth_status measure_result(struct quantize *q, const char *out, struct sooth_quantize_result *r, struct sooth_error *err)
{
    const struct sooth_quantize_options *o = q->o;
    const char *text = o->measure ? o->measure : o->text ? o->text : quant_sample_text;
    const size_t len = o->measure ? o->measure_len : o->text ? o->text_len : strlen(text);
    if (o->no_measure || !q->source.arch || !arch_info(q->source.arch)->decoder)
        return SOOTH_OK;
    enum sooth_status status = source_read(&q->source, text, len, o, err);
    if (status == SOOTH_OK)
        status = result_measure(&q->source, out, &r->divergence, err);
    r->measured = status == SOOTH_OK;
    return status;
}

static enum sooth_status quantize_run(struct quantize *q, const char *out, struct sooth_quantize_result *r, struct sooth_error *err)
{
    enum sooth_status status = convert_plan_gguf(q->source.file, &q->plan, err);
    if (status == SOOTH_OK)
        status = quant_list(&q->plan, &q->list, err);
    if (status == SOOTH_OK)
        status = prepare_source(q, err);
    if (status == SOOTH_OK)
        status = source_importance(&q->source, q->importance, &q->list, q->o, err);
    if (status == SOOTH_OK)
        status = choose_and_write(q, out, err);
    if (status == SOOTH_OK)
        status = measure_result(q, out, r, err);
    if (status == SOOTH_OK && !tensor_file_intact(q->source.file))
        status = err_set(err, SOOTH_ERR_IO, "'%s' changed while it was read", tensor_file_path(q->source.file));
    if (status == SOOTH_OK) {
        r->source_bytes = tensor_file_bytes(q->source.file);
        status = convert_gguf_bytes(&q->plan, &r->bytes, err);
        result_count(r, &q->plan);
    }
    return status;
}

enum sooth_status sooth_quantize(const char *in, const char *out, const struct sooth_quantize_options *options,
                                 struct sooth_quantize_result *result, struct sooth_error *err)
{
    struct sooth_error own = {0};
    struct sooth_quantize_result unread;
    struct tensor_file *f = NULL;
    char path[QUANTIZE_PATH];
    struct quantize q = {.o = options, .source = {.note = options->note, .user = options->user, .start = -1}};
    err = err ? err : &own;
    result = result ? result : &unread;
    memset(result, 0, sizeof *result);
    if (!out || !*out)
        return err_set(err, SOOTH_ERR_ARG, "quantize needs a name to write to");
    enum sooth_status status = check_options(&q, err);
    if (status == SOOTH_OK)
        status = sooth_model_find(in, path, sizeof path, err);
    if (status == SOOTH_OK)
        status = tensor_file_open(path, NULL, &f, err);
    if (status != SOOTH_OK)
        return status;
    plan_init(&q.plan);
    q.source.file = f;
    q.source.pool = pool_new(options->threads);
    q.importance = importance_new();
    status = q.source.pool && q.importance ? quantize_run(&q, out, result, err) : err_nomem(err);
    if (status != SOOTH_OK)
        memset(result, 0, sizeof *result);
    importance_free(q.importance);
    arch_free(q.source.arch);
    mem_free(q.source.ids);
    vec_free(&q.list);
    plan_release(&q.plan);
    pool_free(q.source.pool);
    tensor_file_close(f);
    return status;
}
