/* bench_kernels.c: the kernels alone: checked against plain C, then timed as shares of this machine's own peaks.
 *
 * usage: bench_kernels [SECONDS-A-CASE] [NAME-PART]
 * The matrices of whole models are made up (random codes in the models' shapes and formats), so no model is needed; what is
 * left out of their times is attention, norms and sampling. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"
#include "core/kernel/peak.h"
#include "core/quant/quant.h"

enum { LANES = 16 };
static double seconds_each = 0.4;
static const char *only;
static struct pool *pools[2];

static bool wanted(const char *name) { return !only || strstr(name, only); }

/* ---- peaks of one core ---- */

static double read_peak[2], f32_peak = 1, i8_peak = 1, bf16_peak = 1, tile_peak;
static void peaks(void)
{
    struct peaks p;
    peaks_measure(&p);
    f32_peak = p.f32 > 0 ? p.f32 : 1;
    i8_peak = p.i8 > 0 ? p.i8 : 4 * f32_peak;
    bf16_peak = p.bf16 > 0 ? p.bf16 : f32_peak;
    tile_peak = p.tile;
    for (int t = 0; t < 2; t++)
        read_peak[t] = peak_read(pools[t]);
    printf("kernels %s; one core: f32 %.0f, bf16 %.0f, bf16 tiles %.0f GFLOP/s, int8 %.0f GOP/s; memory read %.1f / %.1f GB/s on 1 / 2 threads\n",
           kernel_get()->name, f32_peak / 1e9, bf16_peak / 1e9, tile_peak / 1e9, i8_peak / 1e9, read_peak[0] / 1e9, read_peak[1] / 1e9);
}

/* ---- timing: the least of the times that fit ---- */

typedef void timed(void *ctx);
static double least_time(timed *fn, void *ctx)
{
    double best = INFINITY, total = 0;
    fn(ctx);
    for (int i = 0; i < 3 || total < seconds_each; i++) {
        const double t0 = clock_seconds();
        fn(ctx);
        const double t = clock_seconds() - t0;
        best = t < best ? t : best;
        total += t;
    }
    return best;
}

/* ---- matrices ---- */

struct shape { const char *type; size_t rows, cols; int group; }; /* matrices of one group share their input */
struct model {
    struct qmat *w;
    size_t count;
    const int *group;
    float *x, *y;
    void *scratch;
    size_t n, threads, skip; /* the last `skip` matrices are for decoding only */
};

static struct qmat matrix(const char *type, size_t rows, size_t cols, bool pack, enum qmat_compute compute,
                          struct qmat_space *space)
{
    const struct qtype *t = qtype_by_name(type);
    struct qmat m;
    struct rng r;
    float row[4096];
    size_t bytes;
    if (!qtype_bytes(t, rows, cols, &bytes) || cols > 4096)
        abort();
    char *data = mem_alloc(bytes);
    rng_seed(&r, rows + cols);
    for (size_t c = 0; c < cols; c++)
        row[c] = rng_normal(&r) * 0.05f;
    t->quantize(row, data, cols);
    for (size_t i = 1; i < rows; i++)
        memcpy(data + i * (bytes / rows), data, bytes / rows);
    qmat_init(&m, t, rows, cols, data);
    if (pack) {
        if (space)
            qmat_pack_in(&m, pools[1], compute, space, NULL);
        else
            qmat_pack(&m, pools[1], compute, NULL);
        mem_free(data);
        m.data = NULL;
    }
    return m;
}

static void model_step(void *ctx)
{
    struct model *m = ctx;
    const size_t count = m->count - (m->n > 1 ? m->skip : 0);
    for (size_t i = 0; i < count;) {
        struct qmat_job jobs[4];
        size_t k = 0, at = 0;
        for (; i + k < count && m->group[i + k] == m->group[i]; k++) {
            jobs[k] = (struct qmat_job){ &m->w[i + k], m->y + at, m->w[i + k].rows, NULL, false };
            at += m->n * m->w[i + k].rows;
        }
        qmat_mul(pools[m->threads - 1], jobs, k, m->x, m->w[i].cols, m->n, m->scratch);
        i += k;
    }
}

static void bench_model(const char *name, size_t layers, const struct shape *layer, size_t per, struct shape head)
{
    if (!wanted(name))
        return;
    struct model m = { .skip = 1 };
    const size_t count = layers * per + 1;
    int *group = mem_array(count, sizeof *group);
    struct qmat_space space;
    size_t packed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct shape s = i + 1 == count ? head : layer[i % per];
        struct qmat w;
        qmat_init(&w, qtype_by_name(s.type), s.rows, s.cols, NULL);
        packed += qmat_packed_bytes(&w, QMAT_NATIVE);
    }
    if (qmat_space_init(&space, packed, NULL))
        abort();
    double bytes = 0, ops = 0, peak_cols = 0, peak_rows = 0;
    m.w = mem_array(count, sizeof *m.w);
    for (size_t i = 0; i < count; i++) {
        const struct shape s = i + 1 == count ? head : layer[i % per];
        m.w[i] = matrix(s.type, s.rows, s.cols, true, QMAT_NATIVE, &space);
        group[i] = (int)(i / per) * 16 + s.group;
        bytes += (double)m.w[i].panel_bytes * (double)((s.rows + 15) / 16);
        ops += i + 1 == count ? 0 : 2.0 * (double)(s.rows * s.cols);
        peak_cols = fmax(peak_cols, (double)s.cols);
        peak_rows += i < per ? (double)s.rows : 0;
    }
    m.group = group;
    m.count = count;
    const size_t most = 512;
    size_t most_scratch = 64;
    m.x = mem_array(most * (size_t)peak_cols, 4);
    m.y = mem_array(most * (size_t)peak_rows + head.rows, 4);
    for (size_t i = 0; i < per; i++) {
        const struct qmat_job job = { .w = &m.w[i] };
        const size_t need = qmat_scratch(&job, 1, most);
        most_scratch = need > most_scratch ? need : most_scratch;
    }
    m.scratch = mem_aligned(64, most_scratch);
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < most * (size_t)peak_cols; i++)
        m.x[i] = rng_normal(&r);
    for (m.threads = 1; m.threads <= 2; m.threads++) {
        m.n = 1;
        double t = least_time(model_step, &m);
        printf("%-10s %zu thr  decode    %7.1f tok/s  %6.1f MB a token, %5.1f GB/s = %3.0f %% of read peak\n", name, m.threads,
               1 / t, bytes / 1e6, bytes / t / 1e9, 100 * bytes / t / read_peak[m.threads - 1]);
        static const size_t ns[] = { 4, 16, 128, 512 };
        for (int k = 0; k < 4; k++) {
            m.n = ns[k];
            t = least_time(model_step, &m);
            printf("%-10s %zu thr  rows %4zu %7.0f tok/s  %6.0f GOP/s = %3.0f %% of int8 peak\n", name, m.threads, m.n,
                   (double)m.n / t, ops * (double)m.n / t / 1e9, 100 * ops * (double)m.n / t / i8_peak / (double)m.threads);
        }
    }
    qmat_space_release(&space);
    mem_free(m.w);
    mem_free(m.x);
    mem_free(m.y);
    mem_free(m.scratch);
    mem_free(group);
}

/* ---- single products ---- */

static void bench_product(const char *type, enum qmat_compute compute, bool pack, size_t n, size_t rows, size_t cols)
{
    static const int group[] = { 0 };
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", type, compute == QMAT_INT8 ? "/int8" : "", pack ? "" : "/unpacked");
    if (!wanted(name))
        return;
    struct qmat w = matrix(type, rows, cols, pack, compute, NULL);
    struct model m = { .w = &w, .count = 1, .group = group, .n = n };
    m.x = mem_array(n * cols, 4);
    m.y = mem_array(n * rows, 4);
    const struct qmat_job job = { .w = &w };
    m.scratch = mem_aligned(64, qmat_scratch(&job, 1, n));
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < n * cols; i++)
        m.x[i] = rng_normal(&r);
    const bool ints = w.panels && w.kind > PANEL_BF16;
    for (m.threads = 1; m.threads <= 2; m.threads++) {
        const double t = least_time(model_step, &m), ops = 2.0 * (double)n * (double)rows * (double)cols;
        printf("%-14s %zu thr  %zux%zux%zu  %6.0f GOP/s = %3.0f %% of %s peak\n", name, m.threads, n, rows, cols, ops / t / 1e9,
               100 * ops / t / (ints ? i8_peak : f32_peak) / (double)m.threads, ints ? "int8" : "f32");
    }
    qmat_release(&w);
    mem_free(m.x);
    mem_free(m.y);
    mem_free(m.scratch);
}

/* ---- the plain product of every level ---- */

struct plain {
    const struct kernel *k;
    size_t m, n, d;
    float *a, *b, *c;
    uint16_t *rows, *panels;
};
static void plain_f32(void *ctx)
{
    struct plain *p = ctx;
    p->k->gemm(p->m, p->n, p->d, p->a, p->d, 1, p->b, p->n, LANES, p->c, p->n, false);
}
static void plain_pairs(void *ctx)
{
    struct plain *p = ctx;
    p->k->gemm_pairs(p->m, p->n, p->d, p->rows, p->d, p->panels, p->d * LANES, p->c, p->n, false);
}

static void bench_plain(size_t m, size_t n, size_t d)
{
    if (!wanted("gemm"))
        return;
    struct plain p = { NULL, m, n, d, mem_aligned(64, m * d * 4), mem_aligned(64, n * d * 4), mem_aligned(64, m * n * 4), mem_aligned(64, m * d * 2), mem_aligned(64, n * d * 2) };
    memset(p.a, 0, m * d * 4);
    memset(p.b, 0, n * d * 4);
    memset(p.rows, 0, m * d * 2);
    memset(p.panels, 0, n * d * 2);
    for (size_t l = 0; (p.k = kernel_at(l)); l++) {
        const double t = least_time(plain_f32, &p), u = least_time(plain_pairs, &p), ops = 2.0 * (double)m * (double)n * (double)d;
        const double peak = strcmp(p.k->name, "amx") ? strcmp(p.k->name, "bf16") ? f32_peak : bf16_peak : tile_peak;
        printf("gemm %-7s %zux%zux%zu  f32 %6.1f GFLOP/s = %3.0f %%, bf16 pairs %6.1f GFLOP/s = %3.0f %% of what the level can\n", p.k->name, m, n, d,
               ops / t / 1e9, 100 * ops / t / f32_peak, ops / u / 1e9, 100 * ops / u / peak);
    }
    mem_free(p.a);
    mem_free(p.b);
    mem_free(p.c);
    mem_free(p.rows);
    mem_free(p.panels);
}

/* ---- attention of one key-value head ---- */

static void attend_once(void *ctx) { kernel_get()->attend(ctx); }

static void bench_attend(size_t tokens, size_t keys, size_t share, size_t d, enum kv_type type)
{
    if (!wanted("attend"))
        return;
    const size_t count = tokens * share, ldq = share * d;
    float *q = mem_calloc(tokens * ldq, 4), *out = mem_array(tokens * ldq, 4);
    void *k = mem_calloc(1, kv_key_bytes(type, keys, d)), *v = mem_calloc(keys * d, 4);
    struct attend_query *qs = mem_array(count, sizeof *qs);
    double ops = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t t = i / share, hi = keys - tokens + t + 1;
        qs[i] = (struct attend_query){ q + t * ldq + i % share * d, out + t * ldq + i % share * d, 0, (uint32_t)hi };
        ops += 4.0 * (double)hi * (double)d;
    }
    struct attend a = { qs, count, k, v, d, type, d, d, 0.125f, 0 };
    const double t = least_time(attend_once, &a);
    printf("attend %s %4zu tokens x %zu heads, %4zu keys of %3zu: %8.1f us  %5.1f GFLOP/s = %3.0f %% of f32 peak\n",
           type == KV_F16 ? "f16" : "f32", tokens, share, keys, d, t * 1e6, ops / t / 1e9, 100 * ops / t / f32_peak);
    mem_free(q);
    mem_free(out);
    mem_free(k);
    mem_free(v);
    mem_free(qs);
}

/* ---- every level against plain C before any time is believed ---- */

static bool check_levels(void)
{
    enum { ROWS = 9, COLS = 512, OUT = 40 };
    static float x[ROWS * COLS], want[ROWS * OUT], got[ROWS * OUT];
    static _Alignas(64) struct act_tile tiles[COLS / 32];
    struct rng r;
    rng_seed(&r, 4);
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = rng_normal(&r);
    for (size_t i = 0; i < ROWS; i++)
        kernel_at(0)->act_quantize(x + i * COLS, COLS, tiles, i);
    const struct act act = { tiles, COLS };
    for (size_t t = 0; qtype_at(t); t++) {
        struct qmat w = matrix(qtype_at(t)->name, OUT, COLS, true, QMAT_NATIVE, NULL);
        const struct panel_view v = { w.panels, w.panel_bytes, OUT, COLS };
        kernel_at(0)->panel_mul[w.kind](&v, 0, 3, x, COLS, &act, 0, ROWS, want, OUT);
        for (size_t l = 1; kernel_at(l); l++) {
            kernel_at(l)->panel_mul[w.kind](&v, 0, 3, x, COLS, &act, 0, ROWS, got, OUT);
            if (memcmp(want, got, sizeof want)) {
                printf("%s of %s differs from plain C\n", kernel_at(l)->name, qtype_at(t)->name);
                return false;
            }
        }
        qmat_release(&w);
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 1 && atof(argv[1]) > 0)
        seconds_each = atof(argv[1]);
    only = argc > 2 ? argv[2] : NULL;
    pools[0] = pool_new(1);
    pools[1] = pool_new(2);
    if (!check_levels())
        return 1;
    peaks();
    static const struct shape smollm2[] = {
        { "q4_1", 576, 576, 0 },  { "q4_1", 192, 576, 0 },  { "q4_1", 192, 576, 0 }, { "q4_1", 576, 576, 1 },
        { "q4_1", 1536, 576, 2 }, { "q4_1", 1536, 576, 2 }, { "q4_1", 576, 1536, 3 },
    };
    static const struct shape gemma3[] = {
        { "q5_0", 1024, 640, 0 }, { "q5_0", 256, 640, 0 },  { "q8_0", 256, 640, 0 },  { "q4_k", 640, 1024, 1 },
        { "q5_0", 2048, 640, 2 }, { "q5_0", 2048, 640, 2 }, { "q6_k", 640, 2048, 3 },
    };
    bench_model("smollm2", 30, smollm2, 7, (struct shape){ "q8_0", 49152, 576, 0 });
    bench_model("gemma3", 18, gemma3, 7, (struct shape){ "q8_0", 262144, 640, 0 });
    for (size_t t = 0; qtype_at(t); t++)
        bench_product(qtype_at(t)->name, QMAT_NATIVE, true, 512, 1536, 512);
    bench_product("f32", QMAT_NATIVE, true, 512, 384, 1536);
    bench_product("f32", QMAT_NATIVE, true, 512, 1536, 384);
    bench_product("f32", QMAT_INT8, true, 512, 1536, 384);
    bench_product("f32", QMAT_NATIVE, false, 512, 1536, 384);
    bench_plain(256, 64, 576);
    bench_plain(256, 576, 576);
    bench_plain(64, 64, 64);
    for (int type = 0; type < 2; type++) {
        bench_attend(1, 512, 3, 64, type);
        bench_attend(1, 512, 4, 256, type);
        bench_attend(16, 512, 3, 64, type);
        bench_attend(128, 512, 3, 64, type);
    }
    pool_free(pools[0]);
    pool_free(pools[1]);
    return 0;
}
