/* plan.c: what a conversion will write: facts, and tensors with the change each one needs. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/quant/quant.h"
#include "model/convert/convert.h"

enum { PLAN_MEMORY = 1 << 30 };

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

/* Appends one row of the old tensor as the new one wants it. */
static bool plan_row(const struct convert_tensor *t, const char *from, size_t cols, struct buf *out)
{
    const struct qtype *q = qtype_by_id(t->from->type);
    float add = t->change == CONVERT_PLUS_ONE    ? 1.0f
                : t->change == CONVERT_MINUS_ONE ? -1.0f
                                                 : 0.0f;
    size_t at = out->len;
    if (t->type == t->from->type && add == 0)
        return buf_add(out, from, cols / q->block * q->bytes);
    if (!buf_reserve(out, cols * sizeof(float)))
        return false;
    float *row = (float *)(void *)(out->data + at); /* rows are whole floats, so it stays aligned */
    q->dequant(from, row, cols);
    for (size_t i = 0; i < cols; i++)
        row[i] += add;
    out->len += cols * sizeof(float);
    return true;
}

enum sooth_status plan_bytes(const struct convert_tensor *t, struct buf *out, const void **bytes,
                             struct sooth_error *err)
{
    const struct qtype *q = qtype_by_id(t->from->type);
    bool by_row = t->change == CONVERT_PAIR || t->change == CONVERT_HALVE;
    if (t->change == CONVERT_TURN)
        return plan_turned(t, out, bytes, err);
    if (t->change == CONVERT_SAME && t->type == t->from->type && !t->zero_rows) {
        *bytes = (const char *)t->from->data +
                 t->skip_rows * (t->from->bytes / (t->ndim > 1 ? t->from->dims[1] : 1));
        return SOOTH_OK;
    }
    /* A vector is one row, but for the changes that move single rows. */
    uint64_t total = 1, cols = t->ndim > 1 ? t->dims[0] : by_row ? 1 : t->dims[0];
    for (unsigned d = 0; d < t->ndim; d++)
        total *= t->dims[d];
    uint64_t rows = cols ? total / cols - t->zero_rows : 0;
    size_t row_bytes = cols / q->block * q->bytes;
    buf_clear(out);
    for (uint64_t i = 0; i < t->zero_rows * cols; i++)
        buf_add(out, "\0\0\0\0", sizeof(float));
    for (uint64_t r = 0; r < rows && !out->failed; r++)
        if (!plan_row(t,
                      (const char *)t->from->data +
                          (plan_source_row(t, r, rows) + t->skip_rows) * row_bytes,
                      cols, out))
            break;
    if (out->failed || out->len != t->bytes)
        return out->failed ? err_nomem(err)
                           : err_set(err, SOOTH_ERR_INTERNAL,
                                     "tensor '%s' came out with the wrong size", t->name);
    *bytes = out->data;
    return SOOTH_OK;
}
