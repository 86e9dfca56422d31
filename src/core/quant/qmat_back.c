/* qmat_back.c: the products of backward passes: dx = dy W through any number format, and dW = dyᵀ x.
 *
 * W is frozen and may be quantized; no f32 copy of it is kept. Its rows come in slabs: a slab is dequantized, by all threads,
 * in the order that the product reads (f32 rows, or pairs of rows in bf16), then all rows of dy go over it, and the sum
 * passes through dx to the next slab. Every number of dx is one sum over the rows of W in order (f32: one fused step a row;
 * bf16: blocks of 32 rows, core/kernel/pair_ops.h), however tiles and slabs are cut. The same holds for dW over n. */
#include "core/quant/qmat_parts.h"

enum { BACK_ROWS = 96, BACK_PAIR_ROWS = 256, BACK_COLS = 64 };

struct qmat_back {
    const struct qmat *w;
    float *out;
    const float *dy, *x;
    size_t ldout, lddy, ldx, n, rows, cols;
    size_t from, some;      /* rows of W in the slab */
    size_t col_tiles, tile_rows;
    bool add;
    float *dense;           /* slab in f32: [some, cols] */
    uint16_t *a, *b;        /* bf16: left side in rows, right side in panels of 16 columns */
    size_t lda, panel;
    const struct kernel *kernel;
};

static size_t round64(size_t bytes) { return (bytes + 63) / 64 * 64; }
static size_t col_panels(size_t cols) { return (cols + PANEL_ROWS - 1) / PANEL_ROWS; }

/* Rows of W in a slab: a multiple of 32. */
static size_t slab_rows(size_t rows, size_t cols, bool bf16)
{
    const size_t fit = QMAT_SLAB / (col_panels(cols) * PANEL_ROWS * (bf16 ? sizeof(uint16_t) : sizeof(float))) / 32 * 32;
    const size_t all = qmat_depth(rows);
    return fit < 32 ? 32 : fit < all ? fit : all;
}

static size_t mul_t_bytes(size_t rows, size_t cols, size_t n, bool bf16)
{
    const size_t slab = slab_rows(rows, cols, bf16) * col_panels(cols) * PANEL_ROWS;
    return bf16 ? round64(slab * sizeof(uint16_t)) + n * qmat_depth(rows) * sizeof(uint16_t) : slab * sizeof(float);
}

size_t qmat_back_scratch(size_t rows, size_t cols, size_t n, bool bf16)
{
    const size_t t = mul_t_bytes(rows, cols, n, bf16), outer = (rows + col_panels(cols) * PANEL_ROWS) * qmat_depth(n) * sizeof(uint16_t);
    return 64 + (bf16 && outer > t ? outer : t);
}

/* ---- dx = dy W ---- */

static void dense_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t first = tile * 32, last = first + 32 < b->some ? first + 32 : b->some;
    for (size_t r = first; r < last; r++)
        b->w->type->dequant(qmat_at(b->w, b->from + r, 0), b->dense + r * b->cols, b->cols);
}

static void pairs_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t first = tile * 32, rows = b->some - first < 32 ? b->some - first : 32;
    float w[32 * QMAT_SPAN];
    for (size_t c = 0; c < b->cols; c += QMAT_SPAN) {
        const size_t cols = b->cols - c < QMAT_SPAN ? b->cols - c : QMAT_SPAN;
        for (size_t r = 0; r < rows; r++)
            b->w->type->dequant(qmat_at(b->w, b->from + first + r, c), w + r * QMAT_SPAN, cols);
        b->kernel->pair_pack(w, QMAT_SPAN, rows, cols, b->b + c / PANEL_ROWS * b->panel + first * PANEL_ROWS, b->panel);
    }
}

static void rows_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t i = tile * 16, n = b->n - i < 16 ? b->n - i : 16;
    b->kernel->pair_rows(b->dy + i * b->lddy, b->lddy, n, b->rows, b->a + i * b->lda, b->lda);
}

/* One tile of the result: rows of dy (or of W, for dW) by columns. */
static void product_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t c = tile % b->col_tiles * BACK_COLS, i = tile / b->col_tiles * b->tile_rows, all = b->w ? b->n : b->rows;
    const size_t cols = b->cols - c < BACK_COLS ? b->cols - c : BACK_COLS, m = all - i < b->tile_rows ? all - i : b->tile_rows;
    float *out = b->out + i * b->ldout + c;
    if (b->b)
        b->kernel->gemm_pairs(m, cols, b->w ? qmat_depth(b->some) : qmat_depth(b->n), b->a + i * b->lda + (b->w ? b->from : 0), b->lda,
                              b->b + c / PANEL_ROWS * b->panel, b->panel, out, b->ldout, b->add);
    else if (b->w)
        b->kernel->gemm(m, cols, b->some, b->dy + i * b->lddy + b->from, b->lddy, 1, b->dense + c, b->cols, PANEL_ROWS, out,
                        b->ldout, b->add);
    else
        b->kernel->gemm(m, cols, b->n, b->dy + i, 1, b->lddy, b->x + c, b->ldx, PANEL_ROWS, out, b->ldout, true);
}

static void product_run(struct pool *pool, struct qmat_back *b, size_t rows)
{
    pool_run(pool, b->col_tiles * ((rows + b->tile_rows - 1) / b->tile_rows), product_tile, b);
}

void qmat_mul_t(struct pool *pool, const struct qmat *w, float *dx, size_t lddx, const float *dy, size_t lddy, size_t n,
                bool add, bool bf16, void *scratch)
{
    const size_t step = slab_rows(w->rows, w->cols, bf16);
    struct qmat_back b = { .w = w, .out = dx, .ldout = lddx, .dy = dy, .lddy = lddy, .n = n, .rows = w->rows, .cols = w->cols,
                           .col_tiles = (w->cols + BACK_COLS - 1) / BACK_COLS, .tile_rows = bf16 ? BACK_PAIR_ROWS : BACK_ROWS,
                           .add = add, .kernel = kernel_get() };
    if (bf16) {
        b.b = scratch;
        b.panel = step * PANEL_ROWS;
        b.a = (uint16_t *)((char *)scratch + round64(step * col_panels(w->cols) * PANEL_ROWS * sizeof *b.a));
        b.lda = qmat_depth(w->rows);
        pool_run(pool, (n + 15) / 16, rows_tile, &b);
    } else {
        b.dense = scratch;
    }
    for (b.from = 0; b.from < w->rows; b.from += step) {
        b.some = w->rows - b.from < step ? w->rows - b.from : step;
        pool_run(pool, (b.some + 31) / 32, bf16 ? pairs_tile : dense_tile, &b);
        product_run(pool, &b, n);
        b.add = true;
    }
}

/* ---- dW += dyᵀ x ---- */

static void turn_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t left = (b->rows + 63) / 64;
    if (tile < left) {
        const size_t r = tile * 64, rows = b->rows - r < 64 ? b->rows - r : 64;
        b->kernel->pair_rows_turned(b->dy + r, b->lddy, b->n, rows, b->a + r * b->lda, b->lda);
    } else {
        const size_t c = (tile - left) * 64, cols = b->cols - c < 64 ? b->cols - c : 64;
        b->kernel->pair_pack(b->x + c, b->ldx, b->n, cols, b->b + c / PANEL_ROWS * b->panel, b->panel);
    }
}

void qmat_add_outer(struct pool *pool, float *dw, size_t rows, size_t cols, const float *dy, size_t lddy, const float *x,
                    size_t ldx, size_t n, bool bf16, void *scratch)
{
    struct qmat_back b = { .out = dw, .ldout = cols, .dy = dy, .lddy = lddy, .x = x, .ldx = ldx, .n = n, .rows = rows, .cols = cols,
                           .col_tiles = (cols + BACK_COLS - 1) / BACK_COLS, .tile_rows = BACK_ROWS, .add = true,
                           .kernel = kernel_get() };
    if (bf16) {
        b.lda = qmat_depth(n);
        b.panel = b.lda * PANEL_ROWS;
        b.b = scratch;
        b.a = b.b + col_panels(cols) * b.panel;
        pool_run(pool, (rows + 63) / 64 + (cols + 63) / 64, turn_tile, &b);
    }
    product_run(pool, &b, rows);
}
