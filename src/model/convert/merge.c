/* merge.c: adapters worked into a model's weights: W' = W + sBA (LoRA), diag(m/c)(W + sBA) (DoRA), the trained copy (full).
 *
 * Each changed matrix is made row by row in f32, from the file's own numbers, and rounded once into the wanted format. Rounding a merged weight back
 * into few bits is where merging costs something: what the adapter learned may be smaller than a step of the format. So the cost is
 * measured every time, against the adapters worn by the same base (merge_cost.c), and a limit may be set.
 *
 * A table of embeddings that is the output matrix too, adapted in one of the uses, becomes two tensors.
 * The file is written under another name and takes its own when everything has been measured. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/vec.h"
#include "model/convert/convert.h"
#include "model/convert/merge.h"
#include "model/infer/infer.h"

enum { MERGE_PATH = 4096, MERGE_ROWS = 32 };

/* One tensor of the new file. */
struct merged_tensor {
    const char *name;
    const struct file_tensor *from;
    const struct weight *w;       /* NULL: copied as it is */
    enum adapt_use use;
    const struct qtype *type;
    uint64_t dims[TENSOR_DIMS];
    bool changed;
};

struct merge {
    const struct sooth_merge_options *o;
    struct sooth_model *base;
    struct infer_parts parts;
    struct adapt_set *set;
    VEC(struct adapt *) adapters;
    VEC(struct merged_tensor) tensors;
    const struct qtype *type;     /* NULL: each its own */
    char base_copy[MERGE_PATH];   /* GGUF made of a base that is none; "" = not needed */
};

/* ---- what will be written ---- */

/* The wanted format where the columns allow it, else one of nearly its size. */
static const struct qtype *type_for(const struct merge *m, const struct file_tensor *t)
{
    const struct qtype *own = qtype_by_id(t->type), *q = m->type;
    if (!q || t->ndim < 2)
        return own;
    if (t->dims[0] % q->block)
        q = qtype_by_name(t->dims[0] % 32 ? "f16" : "q8_0");
    return q;
}

static enum sooth_status plan_one(struct merge *m, const struct file_tensor *t, const char *name, enum adapt_use use, struct sooth_error *err)
{
    struct merged_tensor e = {.name = name, .from = t, .use = use, .type = type_for(m, t)};
    const struct weight *w = arch_weight_find(m->parts.arch, t->name);
    memcpy(e.dims, t->dims, sizeof e.dims);
    if (!e.type)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' has a number format that cannot be written", t->name);
    e.changed = w && adapt_changes(m->set, w, use);
    e.w = e.changed || (w && e.type->id != t->type) ? w : NULL;
    if (!e.w)
        e.type = qtype_by_id(t->type);
    return vec_push(&m->tensors, e) ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status plan_all(struct merge *m, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    const struct file_tensor *table = tensor_file_find(m->parts.file, "token_embd.weight");
    bool alone = tensor_file_find(m->parts.file, "output.weight") != NULL;
    for (size_t i = 0; i < tensor_file_count(m->parts.file) && !status; i++) {
        const struct file_tensor *t = tensor_file_at(m->parts.file, i);
        status = plan_one(m, t, t->name, t == table ? ADAPT_LOOKUP : ADAPT_PRODUCT, err);
    }
    if (!status && table && !alone && adapt_unties(m->set, arch_weight_find(m->parts.arch, table->name)))
        status = plan_one(m, table, "output.weight", ADAPT_PRODUCT, err);
    return status;
}

/* ---- writing ---- */

struct rows_job {
    const struct merge *m;
    const struct merged_tensor *t;
    size_t row, count, row_bytes;
    float *scratch;          /* [threads][2][cols] */
    char *out;
};

static void rows_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct rows_job *j = ctx;
    size_t cols = j->t->w->q.cols;
    float *base = j->scratch + worker * 2 * cols, *merged = base + cols;
    adapt_merged_row(j->m->set, j->t->w, j->t->use, j->row + tile, base, merged);
    qtype_quantize_row(j->t->type, merged, NULL, j->out + tile * j->row_bytes, cols);
}

static enum sooth_status tensor_write(const struct merge *m, const struct merged_tensor *t, struct gguf_writer *w, struct sooth_error *err)
{
    if (!t->w)
        return gguf_writer_add(w, t->from->data, t->from->bytes, err);
    struct rows_job j = {.m = m, .t = t};
    size_t cols = t->w->q.cols, rows = t->w->q.rows;
    if (!qtype_bytes(t->type, 1, cols, &j.row_bytes))
        return err_set(err, SOOTH_ERR_INTERNAL, "tensor '%s' does not divide into blocks", t->name);
    j.scratch = mem_array(pool_threads(m->parts.pool), 2 * cols * sizeof *j.scratch);
    j.out = mem_array(MERGE_ROWS, j.row_bytes);
    enum sooth_status status = j.scratch && j.out ? SOOTH_OK : err_nomem(err);
    for (j.row = 0; j.row < rows && !status; j.row += j.count) {
        j.count = rows - j.row < MERGE_ROWS ? rows - j.row : MERGE_ROWS;
        pool_run(m->parts.pool, j.count, rows_tile, &j);
        status = gguf_writer_add(w, j.out, j.count * j.row_bytes, err);
    }
    mem_free(j.scratch);
    mem_free(j.out);
    return status;
}

static void facts_copy(const struct merge *m, struct gguf_writer *w)
{
    for (size_t i = 0; i < tensor_file_values(m->parts.file); i++) {
        const struct file_value *v = tensor_file_value_at(m->parts.file, i);
        if (strncmp(v->key, "split.", 6) != 0 && !(m->type && strcmp(v->key, "general.file_type") == 0))
            gguf_put_value(w, v);
    }
}

static enum sooth_status file_make(struct merge *m, const char *path, struct sooth_merge *out, struct sooth_error *err)
{
    struct gguf_writer *w = gguf_writer_new();
    if (!w)
        return err_nomem(err);
    facts_copy(m, w);
    for (size_t i = 0; i < m->tensors.count; i++) {
        const struct merged_tensor *t = &m->tensors.items[i];
        gguf_put_tensor(w, t->name, t->type->id, t->from->ndim, t->dims);
        out->changed += t->changed;
    }
    enum sooth_status status = gguf_writer_open(w, path, err);
    for (size_t i = 0; i < m->tensors.count && !status; i++) {
        status = tensor_write(m, &m->tensors.items[i], w, err);
        if (!status && m->o->on_tensor)
            m->o->on_tensor(m->o->user, i + 1, m->tensors.count);
    }
    if (!status)
        status = gguf_writer_commit(w, err);
    gguf_writer_free(w);
    return status;
}

/* ---- opening ---- */

static struct sooth_model_options model_options(const struct sooth_merge_options *o)
{
    return (struct sooth_model_options){.threads = o->threads};
}

/* A base that is no GGUF file is made one first: the merged file is written after it. */
static enum sooth_status base_open(struct merge *m, const char *out, struct sooth_error *err)
{
    struct sooth_model_options mo = model_options(m->o);
    enum sooth_status status = sooth_model_open(m->o->model, &mo, &m->base, err);
    if (!status && strcmp(sooth_model_info(m->base)->format, "gguf") != 0) {
        sooth_model_close(m->base);
        m->base = NULL;
        snprintf(m->base_copy, sizeof m->base_copy, "%s.base", out);
        status = sooth_convert(m->o->model, m->base_copy, err);
        if (!status)
            status = sooth_model_open(m->base_copy, &mo, &m->base, err);
    }
    if (!status)
        m->parts = infer_parts(m->base);
    if (!status && !m->parts.arch)
        status = err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' has no weights to merge into", m->o->model);
    return status;
}

/* "PATH:0.5" is a path and a scale; a path that exists as it stands is only that. */
static void path_and_scale(const char *text, char path[MERGE_PATH], float *scale)
{
    char *colon, *end;
    snprintf(path, MERGE_PATH, "%s", text);
    *scale = 1;
    if (file_exists(path) || file_is_dir(path) || !(colon = strrchr(path, ':')))
        return;
    double v = strtod(colon + 1, &end);
    if (end != colon + 1 && *end == 0) {
        *colon = 0;
        *scale = (float)v;
    }
}

static enum sooth_status adapters_open(struct merge *m, struct sooth_error *err)
{
    struct adapt_open_options ao = {.pool = m->parts.pool, .any_base = m->o->any_base};
    enum sooth_status status = (m->set = adapt_set_new()) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < m->o->n_adapters && !status; i++) {
        char path[MERGE_PATH];
        float scale;
        struct adapt *a;
        path_and_scale(m->o->adapters[i], path, &scale);
        status = adapt_open(path, m->parts.arch, &ao, &a, err);
        if (status)
            break;
        adapt_scale(a, scale);
        status = vec_push(&m->adapters, a) ? adapt_set_add(m->set, a, err) : err_nomem(err);
    }
    return status ? status : adapt_mergeable(m->set, err);
}

static void merge_close(struct merge *m)
{
    adapt_set_free(m->set);
    for (size_t i = 0; i < m->adapters.count; i++)
        adapt_free(m->adapters.items[i]);
    vec_free(&m->adapters);
    vec_free(&m->tensors);
    sooth_model_close(m->base);
    if (m->base_copy[0])
        unlink(m->base_copy);
}

/* ---- the whole ---- */

static enum sooth_status measure(struct merge *m, const char *path, struct sooth_merge *out, struct sooth_error *err)
{
    struct sooth_model_options mo = model_options(m->o);
    struct sooth_model *merged = NULL;
    enum sooth_status status = sooth_model_open(path, &mo, &merged, err);
    if (status)
        return err_prefix(err, "the merged file cannot be opened");
    out->bytes = sooth_model_info(merged)->file_bytes;
    out->type = m->type ? m->type->name : arch_info(m->parts.arch)->type ? arch_info(m->parts.arch)->type->name : "";
    if (arch_info(m->parts.arch)->decoder)
        status = merge_cost(m->o, m->base, m->set, merged, out, err);
    sooth_model_close(merged);
    if (!status && m->o->max_kl > 0 && out->kl > m->o->max_kl)
        status = err_set(err, SOOTH_ERR_LIMIT, "merging changes the model's predictions by %.4f nats a token, over the limit of %.4f", out->kl, m->o->max_kl);
    return status;
}

enum sooth_status sooth_merge(const struct sooth_merge_options *o, const char *path, struct sooth_merge *out, struct sooth_error *err)
{
    struct merge m = {.o = o};
    struct sooth_error own = {0};
    char partial[MERGE_PATH];
    err = err ? err : &own;
    *out = (struct sooth_merge){0};
    if (!o->n_adapters || !path || strlen(path) > MERGE_PATH - 16)
        return err_set(err, SOOTH_ERR_ARG, "merging wants an adapter and a name to write to");
    if (o->type && strcmp(o->type, "same") != 0 && (!(m.type = qtype_by_name(o->type)) || m.type->id >= QTYPE_NF4))
        return err_set(err, SOOTH_ERR_ARG, "'%s' is no number format of GGUF files", o->type);
    snprintf(partial, sizeof partial, "%s.partial", path);
    enum sooth_status status = base_open(&m, path, err);
    if (!status)
        status = adapters_open(&m, err);
    if (!status)
        status = plan_all(&m, err);
    if (!status)
        status = file_make(&m, partial, out, err);
    out->untied = m.tensors.count > (m.parts.file ? tensor_file_count(m.parts.file) : SIZE_MAX);
    if (!status)
        status = measure(&m, partial, out, err);
    if (!status && rename(partial, path) != 0)
        status = err_set(err, SOOTH_ERR_IO, "cannot rename '%s': %s", partial, strerror(errno));
    if (status)
        unlink(partial);
    merge_close(&m);
    return status;
}

/* ---- one adapter, another form ---- */

enum sooth_status sooth_adapter_convert(const char *adapter, const char *model, const char *out, bool any_base, struct sooth_error *err)
{
    struct adapt_open_options ao = {.any_base = any_base};
    struct sooth_error own = {0};
    char path[MERGE_PATH];
    struct tensor_file *f = NULL;
    struct arch_model *m = NULL;
    struct adapt *a = NULL;
    size_t n = strlen(out);
    struct arch_options lean = {.no_pack = true};
    err = err ? err : &own;
    enum sooth_status status = sooth_model_find(model, path, sizeof path, err);
    if (!status)
        status = tensor_file_open(path, NULL, &f, err);
    if (!status)
        status = arch_load(f, &lean, &m, err);
    if (!status)
        status = adapt_open(adapter, m, &ao, &a, err);
    if (!status)
        status = n > 5 && strcmp(out + n - 5, ".gguf") == 0 ? adapt_save_gguf(a, out, err) : adapt_save(a, out, err);
    adapt_free(a);
    arch_free(m);
    tensor_file_close(f);
    return status;
}
