/* qmat_parts.h: what the two files of the matrix share: where weights lie in the file form, and how much of a matrix that is
 * not packed is dequantized at a time. Private to this folder. */
#ifndef QUANT_QMAT_PARTS_H
#define QUANT_QMAT_PARTS_H
#include "core/kernel/kernel.h"
#include "core/quant/quant.h"

#define QMAT_SPAN 256                 /* columns dequantized at a time: a multiple of every block */
#define QMAT_SLAB ((size_t)2 << 20)   /* bytes of a slab, which should stay in the second-level cache, roughly */

static inline size_t qmat_row_bytes(const struct qmat *m) { return m->cols / m->type->block * m->type->bytes; }
static inline const char *qmat_at(const struct qmat *m, size_t row, size_t col)
{
    return (const char *)m->data + row * qmat_row_bytes(m) + col / m->type->block * m->type->bytes;
}
static inline size_t qmat_depth(size_t k) { return (k + 31) / 32 * 32; } /* of bf16 pairs */

/* Panels of 16 rows in a slab of bf16; the whole matrix when it fits. */
static inline size_t qmat_slab_panels(const struct qmat *m)
{
    const size_t bytes = qmat_depth(m->cols) * PANEL_ROWS * sizeof(uint16_t), all = (m->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t fit = QMAT_SLAB / bytes / 4 * 4;
    return fit < 4 ? (all < 4 ? all : 4) : fit < all ? fit : all;
}
#endif
