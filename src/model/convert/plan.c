/* plan.c: what a conversion will write: facts, and tensors with the change each one needs. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/quant/quant.h"
#include "model/convert/convert.h"

enum { PLAN_MEMORY = 1 << 30, PLAN_ROWS = 16 /* in a tile */ };

void plan_init(struct convert_plan *p)
{
    memset(p, 0, sizeof *p);
    arena_init(&p->arena, PLAN_MEMORY);
}

void plan_release(struct convert_plan *p)
{
    arena_release(&p->arena);
    vec_free(&p->tensors);
    vec_free(&p->facts);
}

bool plan_put(struct convert_plan *p, const struct file_value *v)
{
    for (size_t i = 0; i < p->facts.count; i++) { /* a later word on the same fact wins */
        if (strcmp(p->facts.items[i].key, v->key) == 0) {
            p->facts.items[i] = *v;
            return true;
        }
    }
    return vec_push(&p->facts, *v);
}

bool plan_uint(struct convert_plan *p, const char *key, uint64_t v)
{
    return plan_put(p, &(struct file_value){.key = key, .type = VALUE_U32, .u = v});
}
bool plan_bool(struct convert_plan *p, const char *key, bool v)
{
    return plan_put(p, &(struct file_value){.key = key, .type = VALUE_BOOL, .u = v});
}

void plan_drop(struct convert_plan *p, const char *key)
{
    for (size_t i = 0; i < p->facts.count; i++)
        if (strcmp(p->facts.items[i].key, key) == 0) {
            memmove(&p->facts.items[i], &p->facts.items[i + 1], (p->facts.count - i - 1) * sizeof *p->facts.items);
            p->facts.count--;
            return;
        }
}

bool plan_string(struct convert_plan *p, const char *key, const char *text, size_t len)
{
    const char *copy = arena_strndup(&p->arena, text, len);
    return copy &&
           plan_put(p, &(struct file_value){.key = key, .type = VALUE_STRING, .s = {copy, len}});
}

void plan_move_rows(struct convert_plan *p, uint64_t skip, uint64_t zero)
{
    struct convert_tensor *t = &p->tensors.items[p->tensors.count - 1];
    uint64_t rows = t->dims[1];
    t->skip_rows = skip < rows ? skip : rows;
    t->zero_rows = zero;
    if (zero)
        t->type = TYPE_F32;
    t->dims[1] = rows - t->skip_rows + zero;
    tensor_type_size(tensor_type_find(t->type), t->ndim, t->dims, &t->bytes);
}

enum sooth_status plan_tensor(struct convert_plan *p, const char *name,
                              const struct file_tensor *from, enum convert_change change,
                              size_t heads, struct sooth_error *err)
{
    struct convert_tensor t = {.name = arena_strdup(&p->arena, name),
                               .from = from,
                               .change = change,
                               .heads = heads,
                               .type = from->type,
                               .ndim = from->ndim};
    memcpy(t.dims, from->dims, sizeof t.dims);
    if (change == CONVERT_PLUS_ONE || change == CONVERT_MINUS_ONE || from->ndim < 2)
        t.type = TYPE_F32;
    if (!qtype_by_id(from->type))
        return err_set(err, SOOTH_ERR_UNSUPPORTED,
                       "tensor '%s' has a number format that cannot be converted", from->name);
    bool rows = change == CONVERT_PAIR || change == CONVERT_HALVE;
    if (rows && (!heads || from->dims[from->ndim > 1 ? 1 : 0] % (2 * heads)))
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' cannot be divided into %zu heads",
                       from->name, heads);
    if (change == CONVERT_TURN) {
        if (from->ndim != 2)
            return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' is no matrix", from->name);
        if (qtype_by_id(from->type)->block > 1)
            t.type = TYPE_F32; /* blocks lie along the old rows */
        t.dims[0] = from->dims[1];
        t.dims[1] = from->dims[0];
    }
    if (!tensor_type_size(tensor_type_find(t.type), t.ndim, t.dims, &t.bytes))
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' has impossible dimensions", from->name);
    return t.name && vec_push(&p->tensors, t) ? SOOTH_OK : err_nomem(err);
}

/* Row r of the new tensor is this row of the old one: within each head of d rows, [2][d/2] <->
 * [d/2][2]. */
static uint64_t plan_source_row(const struct convert_tensor *t, uint64_t row, uint64_t rows)
{
    if (t->change != CONVERT_PAIR && t->change != CONVERT_HALVE)
        return row;
    uint64_t d = rows / t->heads, head = row / d, i = row % d, half = d / 2;
    return head * d + (t->change == CONVERT_PAIR ? i % 2 * half + i / 2 : i % half * 2 + i / half);
}

void plan_retype(struct convert_tensor *t, uint32_t type)
{
    t->type = type;
    tensor_type_size(tensor_type_find(type), t->ndim, t->dims, &t->bytes);
}

/* A tensor on its way, row by row. */
struct plan_job {
    const struct convert_tensor *t;
    const struct qtype *from, *to;
    const char *data;       /* of the old tensor, or the ready one */
    size_t rows, cols, old_bytes, new_bytes; /* of a row */
    char *out;
    float *scratch;         /* [threads, cols] */
};

static void plan_row(const struct plan_job *j, size_t row, float *x)
{
    const struct convert_tensor *t = j->t;
    const size_t source = (size_t)(plan_source_row(t, row, j->rows) + t->skip_rows);
    const float add = t->change == CONVERT_PLUS_ONE ? 1.0f : t->change == CONVERT_MINUS_ONE ? -1.0f : 0.0f;
    const char *from = j->data + source * j->old_bytes;
    char *out = j->out + row * j->new_bytes;
    if (t->ready || (j->from == j->to && add == 0 && !t->col_scale && !t->row_scale)) {
        memcpy(out, from, j->new_bytes);
        return;
    }
    j->from->dequant(from, x, j->cols);
    for (size_t i = 0; i < j->cols; i++)
        x[i] = (x[i] + add) * (t->col_scale ? t->col_scale[i] : 1.0f) * (t->row_scale ? t->row_scale[source] : 1.0f);
    qtype_quantize_row(j->to, x, t->importance, out, j->cols);
}

static void plan_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct plan_job *j = ctx;
    const size_t from = tile * PLAN_ROWS, to = from + PLAN_ROWS < j->rows ? from + PLAN_ROWS : j->rows;
    for (size_t r = from; r < to; r++)
        plan_row(j, r, j->scratch + worker * j->cols);
}

/* Codes of a NaN or an infinity mean nothing: better no file than one with a hole in it. */
static enum sooth_status plan_finite(const struct convert_tensor *t, const struct plan_job *j, struct sooth_error *err)
{
    const size_t bad = j->from == j->to || t->ready ? SIZE_MAX : qtype_check(j->from, t->from->data, j->rows * j->cols);
    if (bad == SIZE_MAX)
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' holds a number that is not finite, near index %zu", t->from->name, bad);
}

enum sooth_status plan_bytes(const struct convert_tensor *t, struct pool *pool, struct buf *out, const void **bytes,
                             struct sooth_error *err)
{
    const struct qtype *q = qtype_by_id(t->from->type);
    const bool by_row = t->change == CONVERT_PAIR || t->change == CONVERT_HALVE;
    if (t->change == CONVERT_TURN && !t->ready)
        return plan_turned(t, out, bytes, err);
    if (t->change == CONVERT_SAME && t->type == t->from->type && !t->zero_rows && !t->ready && !t->col_scale && !t->row_scale) {
        *bytes = (const char *)t->from->data + t->skip_rows * (t->from->bytes / (t->ndim > 1 ? t->from->dims[1] : 1));
        return SOOTH_OK;
    }
    /* A vector is one row, but for the changes that move single rows. */
    uint64_t total = 1, cols = t->ndim > 1 ? t->dims[0] : by_row ? 1 : t->dims[0];
    for (unsigned d = 0; d < t->ndim; d++)
        total *= t->dims[d];
    struct plan_job j = {.t = t, .from = q, .to = qtype_by_id(t->type), .data = t->ready ? t->ready : t->from->data,
                         .rows = cols ? total / cols - t->zero_rows : 0, .cols = cols};
    j.new_bytes = cols / j.to->block * j.to->bytes;
    j.old_bytes = t->ready ? j.new_bytes : cols / q->block * q->bytes;
    enum sooth_status status = plan_finite(t, &j, err);
    if (status != SOOTH_OK)
        return status;
    buf_clear(out);
    j.scratch = mem_array(cols * pool_threads(pool), sizeof *j.scratch);
    if (!j.scratch || !buf_reserve(out, t->bytes)) {
        mem_free(j.scratch);
        return err_nomem(err);
    }
    memset(out->data, 0, t->zero_rows * j.new_bytes);
    j.out = out->data + t->zero_rows * j.new_bytes;
    if (j.new_bytes * (j.rows + t->zero_rows) == t->bytes)
        pool_run(pool, (j.rows + PLAN_ROWS - 1) / PLAN_ROWS, plan_tile, &j);
    else
        status = err_set(err, SOOTH_ERR_INTERNAL, "tensor '%s' came out with the wrong size", t->name);
    mem_free(j.scratch);
    out->len = t->bytes;
    *bytes = out->data;
    return status;
}
