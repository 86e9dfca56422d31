/* qmat.c: the weight matrix: packing, and products forward and backward cut into tiles for the pool.
 *
 * Tiles are chosen for caches and balance only: the kernels promise (core/kernel/panel_ops.h, gemm_ops.h) that an output
 * is the same however rows and panels are grouped, so nothing here can change a bit of a result.
 * Several matrices with one input are one job: x is quantized once, and the pool is woken once. */
#include "core/quant/quant.h"
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern const struct qtype qtype_q8_0;

#define QMAT_ROWS 96        /* rows of x in a tile */
#define QMAT_TILE 24576     /* bytes of panels in a tile, roughly */
#define QMAT_SPAN 256       /* columns dequantized at a time: a multiple of every block */
#define QMAT_HUGE ((size_t)2 << 20)
#define QMAT_INLINE 16384   /* this many activations are quantized without waking the pool */

void qmat_init(struct qmat *m, const struct qtype *type, size_t rows, size_t cols, const void *data)
{
    *m = (struct qmat){ .type = type, .rows = rows, .cols = cols, .data = data, .kind = type->panel };
}

void qmat_release(struct qmat *m)
{
    if (m->own)
        mem_free(m->panels);
    m->panels = NULL;
    m->kind = m->type ? m->type->panel : 0;
}

static size_t qmat_panel_count(const struct qmat *m) { return (m->rows + PANEL_ROWS - 1) / PANEL_ROWS; }
static size_t qmat_row_bytes(const struct qmat *m) { return m->cols / m->type->block * m->type->bytes; }
static const char *qmat_at(const struct qmat *m, size_t row, size_t col)
{
    return (const char *)m->data + row * qmat_row_bytes(m) + col / m->type->block * m->type->bytes;
}

/* ---- packing ---- */

static void qmat_pack_int8(const struct qmat *m, size_t row, size_t rows, unsigned char *panel)
{
    float x[QMAT_SPAN];
    unsigned char q[PANEL_ROWS][QMAT_SPAN / 32 * 34];
    for (size_t c = 0; c < m->cols; c += QMAT_SPAN) {
        const size_t n = m->cols - c < QMAT_SPAN ? m->cols - c : QMAT_SPAN;
        for (size_t r = 0; r < rows; r++) {
            m->type->dequant(qmat_at(m, row + r, c), x, n);
            qtype_q8_0.quantize(x, q[r], n);
        }
        qtype_q8_0.pack(q, sizeof q[0], rows, n, panel + panel_bytes(PANEL_Q8, c));
    }
}

static void qmat_pack_tile(void *ctx, size_t p, unsigned worker)
{
    struct qmat *m = ctx;
    const size_t row = p * PANEL_ROWS, left = m->rows - row, rows = left < PANEL_ROWS ? left : PANEL_ROWS;
    unsigned char *panel = (unsigned char *)m->panels + p * m->panel_bytes;
    if (m->kind != m->type->panel)
        qmat_pack_int8(m, row, rows, panel);
    else
        m->type->pack(qmat_at(m, row, 0), qmat_row_bytes(m), rows, m->cols, panel);
}

static enum panel_kind qmat_kind(const struct qmat *m, enum qmat_compute compute)
{
    return compute == QMAT_INT8 && m->type->panel <= PANEL_BF16 && m->cols % PANEL_BLOCK == 0 ? PANEL_Q8 : m->type->panel;
}

size_t qmat_packed_bytes(const struct qmat *m, enum qmat_compute compute)
{
    size_t total;
    const bool fits = size_mul(panel_bytes(qmat_kind(m, compute), m->cols), qmat_panel_count(m), &total) &&
                      size_align(total, 64, &total);
    return fits ? total : SIZE_MAX;
}

static void qmat_fill(struct qmat *m, struct pool *pool, enum qmat_compute compute, void *panels, bool own)
{
    m->panels = panels;
    m->own = own;
    m->kind = (uint8_t)qmat_kind(m, compute);
    m->panel_bytes = panel_bytes(m->kind, m->cols);
    pool_run(pool, qmat_panel_count(m), qmat_pack_tile, m);
}

enum sooth_status qmat_pack(struct qmat *m, struct pool *pool, enum qmat_compute compute, struct sooth_error *err)
{
    const size_t total = qmat_packed_bytes(m, compute);
    if (m->panels)
        return SOOTH_OK;
    void *panels = total < SIZE_MAX ? mem_aligned(64, total ? total : 64) : NULL;
    if (!panels)
        return err_nomem(err);
    qmat_fill(m, pool, compute, panels, true);
    return SOOTH_OK;
}

enum sooth_status qmat_pack_in(struct qmat *m, struct pool *pool, enum qmat_compute compute, struct qmat_space *space,
                               struct sooth_error *err)
{
    const size_t total = qmat_packed_bytes(m, compute);
    if (m->panels)
        return SOOTH_OK;
    if (total > space->size - space->used)
        return err_set(err, SOOTH_ERR_LIMIT, "no room for a matrix of %zu x %zu in the memory set aside", m->rows, m->cols);
    qmat_fill(m, pool, compute, space->base + space->used, false);
    space->used += total;
    return SOOTH_OK;
}

enum sooth_status qmat_space_init(struct qmat_space *s, size_t bytes, struct sooth_error *err)
{
    size_t size;
    *s = (struct qmat_space){ 0 };
    if (!size_align(bytes ? bytes : 1, QMAT_HUGE, &size) || !(s->base = mem_aligned(QMAT_HUGE, size)))
        return err_nomem(err);
    s->size = size;
#if defined(MADV_HUGEPAGE)
    madvise(s->base, size, MADV_HUGEPAGE); /* a wish: nothing depends on it */
#endif
    return SOOTH_OK;
}

void qmat_space_release(struct qmat_space *s)
{
    mem_free(s->base);
    *s = (struct qmat_space){ 0 };
}

void qmat_drop_source(const struct qmat *m)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)m->data;
    const uintptr_t first = (from + page - 1) / page * page, last = (from + m->rows * qmat_row_bytes(m)) / page * page;
    if (m->data && last > first)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

void qmat_row(const struct qmat *m, size_t i, float *dst) { m->type->dequant(qmat_at(m, i, 0), dst, m->cols); }

/* ---- y = x Wᵀ ---- */

struct qmat_run {
    const struct qmat_job *jobs;
    size_t count;
    const float *x;
    size_t ldx, n, cols;
    struct act_tile *tiles;
    const struct kernel *kernel;
};

size_t qmat_scratch(size_t n, size_t cols)
{
    return (n + 15) / 16 * (cols / PANEL_BLOCK) * sizeof(struct act_tile) + 64;
}

static void qmat_quantize_rows(struct qmat_run *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        r->kernel->act_quantize(r->x + i * r->ldx, r->cols, r->tiles + i / 16 * (r->cols / PANEL_BLOCK), i % 16);
}
static void qmat_quantize_tile(void *ctx, size_t tile, unsigned worker)
{
    struct qmat_run *r = ctx;
    const size_t from = tile * 16, to = from + 16 < r->n ? from + 16 : r->n;
    qmat_quantize_rows(r, from, to);
}

/* Panels of one matrix in one tile: a multiple of four where there are many, for the f32 kernels. */
static size_t qmat_group(const struct qmat *w, size_t n)
{
    if (!w->panels)
        return 4;
    const size_t fit = n > 8 ? 4 : QMAT_TILE / (w->panel_bytes + 1);
    return fit < 1 ? 1 : fit > 16 ? 16 : fit;
}
static size_t qmat_row_tiles(const struct qmat *w, size_t n) { return w->panels ? (n + QMAT_ROWS - 1) / QMAT_ROWS : 1; }
static size_t qmat_tiles(const struct qmat *w, size_t n)
{
    const size_t g = qmat_group(w, n);
    return (qmat_panel_count(w) + g - 1) / g * qmat_row_tiles(w, n);
}

/* Not packed: 64 outputs at a time are dequantized and transposed on the stack, and multiplied in f32. */
static void qmat_mul_plain(const struct qmat_run *r, const struct qmat_job *j, size_t row, size_t rows)
{
    const struct qmat *w = j->w;
    float span[QMAT_SPAN];
    _Alignas(64) float b[4 * PANEL_ROWS * QMAT_SPAN];
    for (size_t c = 0; c < r->cols; c += QMAT_SPAN) {
        const size_t k = r->cols - c < QMAT_SPAN ? r->cols - c : QMAT_SPAN;
        for (size_t i = 0; i < rows; i++) {
            float *out = b + i / PANEL_ROWS * PANEL_ROWS * QMAT_SPAN + i % PANEL_ROWS;
            w->type->dequant(qmat_at(w, row + i, c), span, k);
            for (size_t l = 0; l < k; l++)
                out[l * PANEL_ROWS] = span[l];
        }
        r->kernel->gemm(r->n, rows, k, r->x + c, r->ldx, 1, b, PANEL_ROWS, PANEL_ROWS * QMAT_SPAN, j->y + row, j->ldy,
                        c > 0);
    }
}

static void qmat_mul_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_run *r = ctx;
    const struct qmat_job *j = r->jobs;
    for (size_t t; tile >= (t = qmat_tiles(j->w, r->n)); j++)
        tile -= t;
    const struct qmat *w = j->w;
    const size_t row_tiles = qmat_row_tiles(w, r->n), group = qmat_group(w, r->n), panels = qmat_panel_count(w);
    const size_t p0 = tile / row_tiles * group, p1 = p0 + group < panels ? p0 + group : panels;
    size_t i0 = 0, i1 = r->n;
    if (w->panels) {
        i0 = tile % row_tiles * QMAT_ROWS;
        i1 = i0 + QMAT_ROWS < r->n ? i0 + QMAT_ROWS : r->n;
        const struct panel_view v = { w->panels, w->panel_bytes, w->rows, w->cols };
        const struct act act = { r->tiles, r->cols };
        r->kernel->panel_mul[w->kind](&v, p0, p1, r->x, r->ldx, &act, i0, i1, j->y, j->ldy);
    }
    const size_t o0 = p0 * PANEL_ROWS, o1 = p1 * PANEL_ROWS < w->rows ? p1 * PANEL_ROWS : w->rows;
    if (!w->panels)
        qmat_mul_plain(r, j, o0, o1 - o0);
    for (size_t i = i0; j->bias && i < i1; i++)
        r->kernel->add(j->y + i * j->ldy + o0, j->y + i * j->ldy + o0, j->bias + o0, o1 - o0);
}

void qmat_mul(struct pool *pool, const struct qmat_job *jobs, size_t count, const float *x, size_t ldx, size_t n,
              void *scratch)
{
    if (n == 0 || count == 0)
        return;
    struct qmat_run r = { .jobs = jobs, .count = count, .x = x, .ldx = ldx, .n = n, .cols = jobs[0].w->cols,
                          .kernel = kernel_get() };
    bool ints = false;
    size_t tiles = 0;
    for (size_t j = 0; j < count; j++) {
        ints |= jobs[j].w->panels && jobs[j].w->kind > PANEL_BF16;
        tiles += qmat_tiles(jobs[j].w, n);
    }
    if (ints) {
        r.tiles = scratch;
        if (n * r.cols <= QMAT_INLINE)
            qmat_quantize_rows(&r, 0, n);
        else
            pool_run(pool, (n + 15) / 16, qmat_quantize_tile, &r);
    }
    pool_run(pool, tiles, qmat_mul_tile, &r);
}

/* ---- backward ---- */

struct qmat_back {
    const struct qmat *w;
    float *out;
    const float *dy, *x;
    size_t ldout, lddy, ldx, n, rows, cols, col_tiles;
    bool add;
    const struct kernel *kernel;
};

#define QMAT_BACK_ROWS 32 /* rows of W dequantized at a time */

static void qmat_mul_t_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t c = tile % b->col_tiles * QMAT_SPAN, i = tile / b->col_tiles * QMAT_ROWS;
    const size_t cols = b->cols - c < QMAT_SPAN ? b->cols - c : QMAT_SPAN;
    const size_t m = b->n - i < QMAT_ROWS ? b->n - i : QMAT_ROWS;
    float w[QMAT_BACK_ROWS * QMAT_SPAN];
    for (size_t r = 0; r < b->rows; r += QMAT_BACK_ROWS) {
        const size_t k = b->rows - r < QMAT_BACK_ROWS ? b->rows - r : QMAT_BACK_ROWS;
        for (size_t l = 0; l < k; l++)
            b->w->type->dequant(qmat_at(b->w, r + l, c), w + l * QMAT_SPAN, cols);
        b->kernel->gemm(m, cols, k, b->dy + i * b->lddy + r, b->lddy, 1, w, QMAT_SPAN, PANEL_ROWS,
                        b->out + i * b->ldout + c, b->ldout, b->add || r > 0);
    }
}

void qmat_mul_t(struct pool *pool, const struct qmat *w, float *dx, size_t lddx, const float *dy, size_t lddy, size_t n,
                bool add)
{
    struct qmat_back b = { .w = w, .out = dx, .ldout = lddx, .dy = dy, .lddy = lddy, .n = n, .rows = w->rows,
                           .cols = w->cols, .col_tiles = (w->cols + QMAT_SPAN - 1) / QMAT_SPAN, .add = add,
                           .kernel = kernel_get() };
    pool_run(pool, b.col_tiles * ((n + QMAT_ROWS - 1) / QMAT_ROWS), qmat_mul_t_tile, &b);
}

static void qmat_outer_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_back *b = ctx;
    const size_t c = tile % b->col_tiles * QMAT_SPAN, r = tile / b->col_tiles * QMAT_ROWS;
    const size_t cols = b->cols - c < QMAT_SPAN ? b->cols - c : QMAT_SPAN;
    const size_t m = b->rows - r < QMAT_ROWS ? b->rows - r : QMAT_ROWS;
    b->kernel->gemm(m, cols, b->n, b->dy + r, 1, b->lddy, b->x + c, b->ldx, PANEL_ROWS, b->out + r * b->ldout + c,
                    b->ldout, true);
}

void qmat_add_outer(struct pool *pool, float *dw, size_t rows, size_t cols, const float *dy, size_t lddy, const float *x,
                    size_t ldx, size_t n)
{
    struct qmat_back b = { .out = dw, .ldout = cols, .dy = dy, .lddy = lddy, .x = x, .ldx = ldx, .n = n, .rows = rows,
                           .cols = cols, .col_tiles = (cols + QMAT_SPAN - 1) / QMAT_SPAN, .kernel = kernel_get() };
    pool_run(pool, b.col_tiles * ((rows + QMAT_ROWS - 1) / QMAT_ROWS), qmat_outer_tile, &b);
}
