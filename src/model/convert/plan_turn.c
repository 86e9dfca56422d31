/* plan_turn.c: a matrix with its rows as columns, for the change CONVERT_TURN.
 *
 * Row r of the new matrix is gathered from column r of the old one and coded in the new type. Where both are the same format of
 * single numbers they are moved as they are; else the old matrix is decoded first, because blocks lie along its rows. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/quant/quant.h"
#include "model/convert/convert.h"

/* old [cols, rows] of elements of `size` bytes -> row r of the new one */
static void gather(char *row, const char *old, size_t r, size_t rows, size_t cols, size_t size)
{
    for (size_t c = 0; c < cols; c++)
        memcpy(row + c * size, old + (c * rows + r) * size, size);
}

enum sooth_status plan_turned(const struct convert_tensor *t, struct buf *out, const void **bytes,
                              struct sooth_error *err)
{
    const struct qtype *from = qtype_by_id(t->from->type), *to = qtype_by_id(t->type);
    const size_t rows = (size_t)t->dims[1], cols = (size_t)t->dims[0];
    const size_t row_bytes = cols / to->block * to->bytes;
    const bool moved = from == to && from->block == 1;
    float *decoded = moved ? NULL : mem_array(rows * cols, sizeof *decoded); /* bytes of the file were checked */
    float *x = mem_array(cols, sizeof *x);
    buf_clear(out);
    if ((!moved && !decoded) || !x || !buf_reserve(out, t->bytes)) {
        mem_free(decoded);
        mem_free(x);
        return err_nomem(err);
    }
    if (!moved)
        from->dequant(t->from->data, decoded, rows * cols);
    for (size_t r = 0; r < rows; r++) {
        char *row = out->data + r * row_bytes;
        if (moved) {
            gather(row, t->from->data, r, rows, cols, from->bytes);
            continue;
        }
        gather((char *)x, (const char *)decoded, r, rows, cols, sizeof *x);
        qtype_quantize_row(to, x, t->importance, row, cols);
    }
    mem_free(decoded);
    mem_free(x);
    out->len = t->bytes;
    *bytes = out->data;
    return SOOTH_OK;
}
