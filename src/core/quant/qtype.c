/* qtype.c: the table of number formats; its rows are listed in meson.build. */
#include "core/quant/quant.h"
#include "core/base/checked.h"
#include <math.h>
#include <strings.h>

#define ROW(x) extern const struct qtype qtype_##x;
#include "core/quant/qtype_rows.inc"
#undef ROW
#define ROW(x) &qtype_##x,
static const struct qtype *const qtype_rows[] = {
#include "core/quant/qtype_rows.inc"
};
#undef ROW
#define QTYPE_ROWS (sizeof qtype_rows / sizeof *qtype_rows)

const struct qtype *qtype_at(size_t i) { return i < QTYPE_ROWS ? qtype_rows[i] : NULL; }

const struct qtype *qtype_by_id(uint32_t id)
{
    for (size_t i = 0; i < QTYPE_ROWS; i++)
        if (qtype_rows[i]->id == id)
            return qtype_rows[i];
    return NULL;
}

const struct qtype *qtype_by_name(const char *name)
{
    for (size_t i = 0; i < QTYPE_ROWS; i++)
        if (!strcasecmp(qtype_rows[i]->name, name))
            return qtype_rows[i];
    return NULL;
}

void qtype_quantize_row(const struct qtype *t, const float *row, const float *importance, void *dst, size_t n)
{
    if (importance && t->weigh)
        t->weigh(row, importance, dst, n);
    else
        t->quantize(row, dst, n);
}

bool qtype_bytes(const struct qtype *t, uint64_t rows, uint64_t cols, size_t *bytes)
{
    size_t r, c, n;
    return size_from_u64(rows, &r) && size_from_u64(cols, &c) && c % t->block == 0 &&
           size_mul(c / t->block, t->bytes, &n) && size_mul(n, r, bytes);
}

size_t quant_find_bad(const float *x, size_t n)
{
    size_t i = 0;
    while (i < n && isfinite(x[i]))
        i++;
    return i;
}

size_t qtype_check(const struct qtype *t, const void *data, size_t n) { return t->check(data, n); }
