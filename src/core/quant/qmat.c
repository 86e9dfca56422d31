/* qmat.c: the weight matrix: packing, and the product y = x Wᵀ cut into tiles for the pool.
 *
 * Tiles are chosen for caches and balance only: the kernels promise (core/kernel/panel_ops.h, gemm_ops.h) that an output
 * is the same however rows and panels are grouped, so nothing here can change a bit of a result.
 * Several matrices with one input are one job: x is quantized once, and the pool is woken once. */
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/quant/qmat_parts.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern const struct qtype qtype_q8_0;

#define QMAT_ROWS 96        /* rows of x in a tile */
#define QMAT_PLAIN_ROWS 512 /* the same for matrices that are dequantized for each tile */
#define QMAT_PAIR_ROWS 256  /* the same for bf16: larger, since its products are faster than reading x */
#define QMAT_TILE 24576     /* bytes of panels in a tile, roughly */
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

/* One panel of 16 rows in bf16 pairs. */
static void qmat_pack_pairs(const struct qmat *m, size_t row, size_t rows, uint16_t *panel)
{
    float x[PANEL_ROWS * QMAT_SPAN];
    for (size_t c = 0; c < m->cols; c += QMAT_SPAN) {
        const size_t n = m->cols - c < QMAT_SPAN ? m->cols - c : QMAT_SPAN;
        for (size_t r = 0; r < rows; r++)
            m->type->dequant(qmat_at(m, row + r, c), x + r * QMAT_SPAN, n);
        kernel_get()->pair_pack_turned(x, QMAT_SPAN, rows, n, panel + c * PANEL_ROWS, 0);
    }
}

static void qmat_pack_tile(void *ctx, size_t p, unsigned worker)
{
    struct qmat *m = ctx;
    const size_t row = p * PANEL_ROWS, left = m->rows - row, rows = left < PANEL_ROWS ? left : PANEL_ROWS;
    unsigned char *panel = (unsigned char *)m->panels + p * m->panel_bytes;
    if (m->kind == PANEL_PAIRS)
        qmat_pack_pairs(m, row, rows, (uint16_t *)panel);
    else if (m->kind != m->type->panel)
        qmat_pack_int8(m, row, rows, panel);
    else
        m->type->pack(qmat_at(m, row, 0), qmat_row_bytes(m), rows, m->cols, panel);
}

static enum panel_kind qmat_kind(const struct qmat *m, enum qmat_compute compute)
{
    if (m->cols % PANEL_BLOCK)
        return m->type->panel;
    return compute == QMAT_BF16 ? PANEL_PAIRS : compute == QMAT_INT8 && m->type->panel <= PANEL_BF16 ? PANEL_Q8 : m->type->panel;
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

struct qmat qmat_slice(const struct qmat *m, size_t from, size_t count)
{
    struct qmat s = *m;
    s.rows = count;
    s.own = false;
    s.data = m->data ? qmat_at(m, from, 0) : NULL;
    s.panels = m->panels ? (char *)m->panels + from / PANEL_ROWS * m->panel_bytes : NULL;
    return s;
}

void qmat_row(const struct qmat *m, size_t i, float *dst) { m->type->dequant(qmat_at(m, i, 0), dst, m->cols); }

/* ---- y = x Wᵀ ---- */

struct qmat_run {
    const struct qmat_job *jobs;
    size_t count;
    const float *x;
    size_t ldx, n, cols;
    struct act_tile *tiles; /* x in 8 bits */
    uint16_t *halves;       /* x in bf16, [n, depth] */
    size_t depth;           /* cols, or for bf16 the next multiple of 32 */
    uint16_t *slab;         /* panels of a part of a matrix that is not packed */
    const struct kernel *kernel;
};

/* What the jobs need x and the slab to be. */
struct qmat_needs {
    bool ints, halves;
    size_t slab; /* bytes */
};
static bool qmat_is_slab(const struct qmat_job *j) { return !j->w->panels && j->bf16; }
static struct qmat_needs qmat_needs(const struct qmat_job *jobs, size_t count)
{
    struct qmat_needs needs = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct qmat *w = jobs[i].w;
        needs.ints |= w->panels && w->kind > PANEL_PAIRS;
        needs.halves |= qmat_is_slab(&jobs[i]) || (w->panels && w->kind == PANEL_PAIRS);
        if (qmat_is_slab(&jobs[i])) {
            const size_t bytes = qmat_slab_panels(w) * qmat_depth(w->cols) * PANEL_ROWS * sizeof(uint16_t);
            needs.slab = bytes > needs.slab ? bytes : needs.slab;
        }
    }
    return needs;
}

static size_t qmat_tile_bytes(size_t n, size_t cols) { return (n + 15) / 16 * (cols / PANEL_BLOCK) * sizeof(struct act_tile); }
static size_t qmat_half_bytes(size_t n, size_t cols) { return (n * qmat_depth(cols) * sizeof(uint16_t) + 63) / 64 * 64; }

size_t qmat_scratch(const struct qmat_job *jobs, size_t count, size_t n)
{
    const struct qmat_needs needs = qmat_needs(jobs, count);
    const size_t cols = count ? jobs[0].w->cols : 0;
    return (needs.ints ? qmat_tile_bytes(n, cols) : 0) + (needs.halves ? qmat_half_bytes(n, cols) : 0) + needs.slab + 64;
}

static void qmat_prepare_rows(struct qmat_run *r, size_t from, size_t to)
{
    for (size_t i = from; r->tiles && i < to; i++)
        r->kernel->act_quantize(r->x + i * r->ldx, r->cols, r->tiles + i / 16 * (r->cols / PANEL_BLOCK), i % 16);
    if (r->halves)
        r->kernel->pair_rows(r->x + from * r->ldx, r->ldx, to - from, r->cols, r->halves + from * r->depth, r->depth);
}
static void qmat_prepare_tile(void *ctx, size_t tile, unsigned worker)
{
    struct qmat_run *r = ctx;
    const size_t from = tile * 16, to = from + 16 < r->n ? from + 16 : r->n;
    qmat_prepare_rows(r, from, to);
}

/* Panels of one matrix in one tile: a multiple of four where there are many, for the f32 kernels. */
static size_t qmat_group(const struct qmat *w, size_t n)
{
    if (!w->panels)
        return 4;
    const size_t fit = n > 8 ? 4 : QMAT_TILE / (w->panel_bytes + 1);
    return fit < 1 ? 1 : fit > 16 ? 16 : fit;
}
static size_t qmat_rows_tile(const struct qmat *w)
{
    return !w->panels ? QMAT_PLAIN_ROWS : w->kind == PANEL_PAIRS ? QMAT_PAIR_ROWS : QMAT_ROWS;
}
static size_t qmat_row_tiles(const struct qmat *w, size_t n) { return (n + qmat_rows_tile(w) - 1) / qmat_rows_tile(w); }
static size_t qmat_tiles(const struct qmat_job *j, size_t n)
{
    const size_t g = qmat_group(j->w, n);
    return qmat_is_slab(j) ? 0 : (qmat_panel_count(j->w) + g - 1) / g * qmat_row_tiles(j->w, n);
}

/* Not packed: 64 outputs at a time are dequantized and transposed on the stack, and multiplied in f32. */
static void qmat_mul_plain(const struct qmat_run *r, const struct qmat_job *j, size_t row, size_t rows, size_t i0, size_t i1)
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
        r->kernel->gemm(i1 - i0, rows, k, r->x + i0 * r->ldx + c, r->ldx, 1, b, PANEL_ROWS, PANEL_ROWS * QMAT_SPAN,
                        j->y + i0 * j->ldy + row, j->ldy, c > 0);
    }
}

static void qmat_mul_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_run *r = ctx;
    const struct qmat_job *j = r->jobs;
    for (size_t t; tile >= (t = qmat_tiles(j, r->n)); j++)
        tile -= t;
    const struct qmat *w = j->w;
    const size_t row_tiles = qmat_row_tiles(w, r->n), group = qmat_group(w, r->n), panels = qmat_panel_count(w);
    const size_t p0 = tile / row_tiles * group, p1 = p0 + group < panels ? p0 + group : panels;
    const size_t i0 = tile % row_tiles * qmat_rows_tile(w), i1 = i0 + qmat_rows_tile(w) < r->n ? i0 + qmat_rows_tile(w) : r->n;
    if (w->panels) {
        const struct panel_view v = { w->panels, w->panel_bytes, w->rows, w->cols };
        const struct act act = { r->tiles, r->cols, r->halves };
        r->kernel->panel_mul[w->kind](&v, p0, p1, r->x, r->ldx, &act, i0, i1, j->y, j->ldy);
    }
    const size_t o0 = p0 * PANEL_ROWS, o1 = p1 * PANEL_ROWS < w->rows ? p1 * PANEL_ROWS : w->rows;
    if (!w->panels)
        qmat_mul_plain(r, j, o0, o1 - o0, i0, i1);
    if (j->bias)
        r->kernel->add_rows(j->y + i0 * j->ldy + o0, j->ldy, j->bias + o0, i1 - i0, o1 - o0);
}

/* ---- matrices that are not packed, in bf16: a slab of panels is made, then multiplied, by all threads each ---- */

struct qmat_slab {
    const struct qmat_run *run;
    const struct qmat_job *job;
    size_t p0, panels; /* of the matrix */
};
enum { SLAB_GROUP = 4 };

static void qmat_slab_pack(void *ctx, size_t p, unsigned worker)
{
    const struct qmat_slab *s = ctx;
    const struct qmat *w = s->job->w;
    const size_t row = (s->p0 + p) * PANEL_ROWS, left = w->rows - row;
    qmat_pack_pairs(w, row, left < PANEL_ROWS ? left : PANEL_ROWS, s->run->slab + p * PANEL_ROWS * s->run->depth);
}

/* Tiles go through the panels of one stretch of rows, which stay in the cache, before the next. */
static void qmat_slab_mul(void *ctx, size_t tile, unsigned worker)
{
    const struct qmat_slab *s = ctx;
    const struct qmat_run *r = s->run;
    const struct qmat *w = s->job->w;
    const size_t groups = (s->panels + SLAB_GROUP - 1) / SLAB_GROUP, p = tile % groups * SLAB_GROUP, panel = r->depth * PANEL_ROWS;
    const size_t i0 = tile / groups * QMAT_PAIR_ROWS, i1 = i0 + QMAT_PAIR_ROWS < r->n ? i0 + QMAT_PAIR_ROWS : r->n;
    const size_t o0 = (s->p0 + p) * PANEL_ROWS, most = s->panels - p < SLAB_GROUP ? s->panels - p : SLAB_GROUP;
    const size_t outputs = w->rows - o0 < most * PANEL_ROWS ? w->rows - o0 : most * PANEL_ROWS;
    r->kernel->gemm_pairs(i1 - i0, outputs, r->depth, r->halves + i0 * r->depth, r->depth, r->slab + p * panel, panel,
                          s->job->y + i0 * s->job->ldy + o0, s->job->ldy, false);
    if (s->job->bias)
        r->kernel->add_rows(s->job->y + i0 * s->job->ldy + o0, s->job->ldy, s->job->bias + o0, i1 - i0, outputs);
}

static void qmat_mul_slabs(struct pool *pool, const struct qmat_run *r, const struct qmat_job *j)
{
    const size_t all = qmat_panel_count(j->w), step = qmat_slab_panels(j->w);
    for (size_t p0 = 0; p0 < all; p0 += step) {
        struct qmat_slab s = { r, j, p0, all - p0 < step ? all - p0 : step };
        pool_run(pool, s.panels, qmat_slab_pack, &s);
        pool_run(pool, (s.panels + SLAB_GROUP - 1) / SLAB_GROUP * ((r->n + QMAT_PAIR_ROWS - 1) / QMAT_PAIR_ROWS), qmat_slab_mul, &s);
    }
}

void qmat_mul(struct pool *pool, const struct qmat_job *jobs, size_t count, const float *x, size_t ldx, size_t n,
              void *scratch)
{
    if (n == 0 || count == 0)
        return;
    struct qmat_run r = { .jobs = jobs, .count = count, .x = x, .ldx = ldx, .n = n, .cols = jobs[0].w->cols,
                          .depth = qmat_depth(jobs[0].w->cols), .kernel = kernel_get() };
    const struct qmat_needs needs = qmat_needs(jobs, count);
    char *at = scratch;
    size_t tiles = 0;
    if (needs.ints) {
        r.tiles = (struct act_tile *)at;
        at += qmat_tile_bytes(n, r.cols);
    }
    if (needs.halves) {
        r.halves = (uint16_t *)at;
        at += qmat_half_bytes(n, r.cols);
    }
    r.slab = (uint16_t *)at;
    for (size_t j = 0; j < count; j++)
        tiles += qmat_tiles(&jobs[j], n);
    if (n * r.cols <= QMAT_INLINE)
        qmat_prepare_rows(&r, 0, n);
    else if (needs.ints || needs.halves)
        pool_run(pool, (n + 15) / 16, qmat_prepare_tile, &r);
    if (tiles)
        pool_run(pool, tiles, qmat_mul_tile, &r);
    for (size_t j = 0; j < count; j++)
        if (qmat_is_slab(&jobs[j]))
            qmat_mul_slabs(pool, &r, &jobs[j]);
}
