/* benchkernels.c: the products of every number format on every level of kernel this machine can run: first compared with plain C, then
 * timed on one core, as shares of the machine's own peaks measured a moment before.
 *
 *   one row    what decoding does: bytes of packed weights a second, against reading memory. The matrices lie one behind the
 *              other in memory larger than the caches.
 *   128 rows   what prompts do: multiply-adds a second, against the instruction that the format's arithmetic is made of.
 *
 * The best of several runs counts: other programs only ever make it slower. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"
#include "core/kernel/peak.h"
#include "core/quant/quant.h"
#include "sooth/model.h"

enum { BENCH_OUT = 512, BENCH_COLS = 1024, BENCH_ROWS = 128, BENCH_MEMORY = 256 << 20 };

struct kernel_bench {
    struct qmat w;            /* packed; its panels are repeated in many */
    char *many;               /* copies of the panels, larger than the caches */
    size_t n_many, size;      /* of one copy */
    float *x, *want, *y;      /* [BENCH_ROWS, BENCH_COLS], [BENCH_ROWS, BENCH_OUT] */
    uint16_t *halves;
    struct act_tile *tiles;
    struct act act;
    struct peaks peaks;
    double read;
};

static void bench_product(const struct kernel_bench *b, const struct kernel *k, const void *panels, size_t rows, float *y)
{
    struct panel_view v = {panels, b->w.panel_bytes, BENCH_OUT, BENCH_COLS};
    k->panel_mul[b->w.kind](&v, 0, BENCH_OUT / PANEL_ROWS, b->x, BENCH_COLS, &b->act, 0, rows, y, BENCH_OUT);
}

/* Seconds for one product of `rows` rows, the least of several runs. */
static double bench_seconds(const struct kernel_bench *b, const struct kernel *k, size_t rows)
{
    double best = INFINITY, end = clock_seconds() + 0.06;
    for (size_t run = 0, at = 0; run < 3 || clock_seconds() < end; run++) {
        size_t count = rows == 1 ? b->n_many / 4 : 1; /* one row: a stretch of memory nobody touched lately */
        double t0 = clock_seconds();
        for (size_t i = 0; i < count; i++)
            bench_product(b, k, b->many + (rows == 1 ? at++ % b->n_many * b->size : 0), rows, b->y);
        best = fmin(best, (clock_seconds() - t0) / (double)count);
    }
    return best;
}

static double bench_peak(const struct kernel_bench *b, const struct kernel *k)
{
    if (b->w.kind == PANEL_PAIRS)
        return !strcmp(k->name, "amx") ? b->peaks.tile : !strcmp(k->name, "bf16") ? b->peaks.bf16 : b->peaks.f32;
    return b->w.kind > PANEL_PAIRS && b->peaks.i8 > 0 ? b->peaks.i8 : b->peaks.f32;
}

static void bench_level(struct kernel_bench *b, const struct kernel *k, const char *format, sooth_kernel_fn *fn, void *user)
{
    double ops = 2.0 * BENCH_ROWS * BENCH_OUT * BENCH_COLS, peak = bench_peak(b, k);
    struct sooth_kernel_bench row = {.format = format, .level = k->name};
    bench_product(b, k, b->many, BENCH_ROWS, b->y);
    row.same_bits = memcmp(b->y, b->want, BENCH_ROWS * BENCH_OUT * sizeof *b->y) == 0;
    if (row.same_bits) { /* a wrong kernel's speed is of no interest */
        row.one_row_bytes = (double)b->size / bench_seconds(b, k, 1);
        row.one_row_share = b->read > 0 ? row.one_row_bytes / b->read : 0;
        row.many_rows_ops = ops / bench_seconds(b, k, BENCH_ROWS);
        row.many_rows_share = peak > 0 ? row.many_rows_ops / peak : 0;
    }
    fn(user, &row);
}

static enum sooth_status bench_matrix(struct kernel_bench *b, const struct qtype *t, struct rng *rng, struct sooth_error *err)
{
    size_t bytes;
    float row[BENCH_COLS];
    char *data = qtype_bytes(t, BENCH_OUT, BENCH_COLS, &bytes) ? mem_alloc(bytes) : NULL;
    if (!data)
        return err_nomem(err);
    for (size_t i = 0; i < BENCH_COLS; i++)
        row[i] = rng_normal(rng) * 0.05f;
    t->quantize(row, data, BENCH_COLS);
    for (size_t i = 1; i < BENCH_OUT; i++)
        memcpy(data + i * (bytes / BENCH_OUT), data, bytes / BENCH_OUT);
    qmat_init(&b->w, t, BENCH_OUT, BENCH_COLS, data);
    enum sooth_status status = qmat_pack(&b->w, NULL, QMAT_NATIVE, err);
    mem_free(data);
    b->w.data = NULL;
    if (status != SOOTH_OK)
        return status;
    b->size = b->w.panel_bytes * (BENCH_OUT / PANEL_ROWS);
    b->n_many = BENCH_MEMORY / b->size;
    for (size_t i = 0; i < b->n_many; i++)
        memcpy(b->many + i * b->size, b->w.panels, b->size);
    return SOOTH_OK;
}

static void bench_inputs(struct kernel_bench *b, struct rng *rng)
{
    for (size_t i = 0; i < BENCH_ROWS * BENCH_COLS; i++)
        b->x[i] = rng_normal(rng);
    for (size_t i = 0; i < BENCH_ROWS; i++)
        kernel_at(0)->act_quantize(b->x + i * BENCH_COLS, BENCH_COLS, b->tiles + i / PANEL_ROWS * (BENCH_COLS / PANEL_BLOCK), i % PANEL_ROWS);
    kernel_at(0)->f32_to_bf16(b->halves, b->x, BENCH_ROWS * BENCH_COLS);
    b->act = (struct act){.tiles = b->tiles, .cols = BENCH_COLS, .halves = b->halves};
}

enum sooth_status sooth_bench_kernels(sooth_kernel_fn *fn, void *user, struct sooth_peaks *out, struct sooth_error *err)
{
    struct kernel_bench b = {.many = mem_aligned(64, BENCH_MEMORY),
                             .x = mem_aligned(64, BENCH_ROWS * BENCH_COLS * sizeof(float)),
                             .want = mem_aligned(64, BENCH_ROWS * BENCH_OUT * sizeof(float)),
                             .y = mem_aligned(64, BENCH_ROWS * BENCH_OUT * sizeof(float)),
                             .halves = mem_aligned(64, BENCH_ROWS * BENCH_COLS * sizeof(uint16_t)),
                             .tiles = mem_aligned(64, BENCH_ROWS / PANEL_ROWS * (BENCH_COLS / PANEL_BLOCK) * sizeof(struct act_tile))};
    struct pool *pool = pool_new(1);
    struct rng rng;
    enum sooth_status status = b.many && b.x && b.want && b.y && b.halves && b.tiles && pool ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK) {
        rng_seed(&rng, 1);
        peaks_measure(&b.peaks);
        b.read = peak_read(pool);
        *out = (struct sooth_peaks){b.peaks.f32, b.peaks.i8, b.peaks.bf16, b.peaks.tile, b.read};
        bench_inputs(&b, &rng);
    }
    for (size_t t = 0; status == SOOTH_OK && qtype_at(t); t++) {
        status = bench_matrix(&b, qtype_at(t), &rng, err);
        if (status == SOOTH_OK)
            bench_product(&b, kernel_at(0), b.many, BENCH_ROWS, b.want);
        for (size_t l = 0; status == SOOTH_OK && kernel_at(l); l++)
            bench_level(&b, kernel_at(l), qtype_at(t)->name, fn, user);
        qmat_release(&b.w);
        memset(&b.w, 0, sizeof b.w);
    }
    pool_free(pool);
    mem_free(b.many);
    mem_free(b.x);
    mem_free(b.want);
    mem_free(b.y);
    mem_free(b.halves);
    mem_free(b.tiles);
    return status;
}
