/* test_qmat.c: products of packed matrices: right, and the same to the bit however the work is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"
#include "core/quant/quant.h"

struct made {
    struct qmat w;
    void *data;
    float *dense; /* [rows, cols], what the codes stand for */
};

static struct made make(const struct qtype *t, size_t rows, size_t cols, uint64_t seed)
{
    struct made m = { 0 };
    struct rng r;
    size_t bytes;
    assert_true(qtype_bytes(t, rows, cols, &bytes));
    m.data = mem_alloc(bytes);
    m.dense = mem_array(rows * cols, sizeof *m.dense);
    rng_seed(&r, seed);
    for (size_t i = 0; i < rows * cols; i++)
        m.dense[i] = rng_normal(&r) * 0.1f + 0.01f;
    t->quantize(m.dense, m.data, rows * cols);
    t->dequant(m.data, m.dense, rows * cols);
    qmat_init(&m.w, t, rows, cols, m.data);
    return m;
}
static void unmake(struct made *m)
{
    qmat_release(&m->w);
    mem_free(m->data);
    mem_free(m->dense);
}
static float *inputs(size_t n, size_t cols, uint64_t seed)
{
    float *x = mem_array(n * cols, sizeof *x);
    struct rng r;
    rng_seed(&r, seed);
    for (size_t i = 0; i < n * cols; i++)
        x[i] = rng_normal(&r);
    return x;
}
static void multiply(struct pool *pool, const struct qmat *w, float *y, const float *x, size_t n)
{
    const struct qmat_job job = { w, y, w->rows, NULL, false };
    void *scratch = mem_aligned(64, qmat_scratch(&job, 1, n));
    qmat_mul(pool, &job, 1, x, w->cols, n, scratch);
    mem_free(scratch);
}

/* Against sums in double precision of what the codes stand for. Packed integer products carry the error of 8-bit
 * activations, about 0.5 % of the norm of the terms; all else is f32 rounding. */
static void check_product(const struct qtype *t, size_t rows, size_t cols, size_t n, enum qmat_compute compute, bool pack)
{
    struct made m = make(t, rows, cols, rows + cols);
    float *x = inputs(n, cols, 5), *y = mem_array(n * rows, sizeof *y);
    double error = 0, square = 0;
    if (pack)
        assert_int_equal(qmat_pack(&m.w, NULL, compute, NULL), SOOTH_OK);
    multiply(NULL, &m.w, y, x, n);
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < rows; o++) {
            double s = 0;
            for (size_t c = 0; c < cols; c++) {
                const double term = (double)x[i * cols + c] * m.dense[o * cols + c];
                s += term;
                square += term * term;
            }
            error += (s - y[i * rows + o]) * (s - y[i * rows + o]);
        }
    const bool ints = m.w.panels && m.w.kind > PANEL_PAIRS;
    if (!(sqrt(error / square) < (ints ? 0.02 : 1e-6)))
        fail_msg("%s %zux%zu n=%zu: relative error %g", t->name, rows, cols, n, sqrt(error / square));
    mem_free(x);
    mem_free(y);
    unmake(&m);
}

static void every_format_multiplies(void **state)
{
    static const size_t shapes[][2] = { { 576, 576 }, { 50, 640 }, { 16, 2048 }, { 1, 384 }, { 33, 1536 }, { 129, 256 } };
    for (size_t k = 0; qtype_at(k); k++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const struct qtype *t = qtype_at(k);
            if (shapes[s][1] % t->block)
                continue;
            check_product(t, shapes[s][0], shapes[s][1], 1 + 2 * s, QMAT_NATIVE, true);
            check_product(t, shapes[s][0], shapes[s][1], 1 + 2 * s, QMAT_NATIVE, false);
            check_product(t, shapes[s][0], shapes[s][1], 3, QMAT_INT8, true);
        }
    check_product(qtype_by_name("f32"), 37, 77, 5, QMAT_NATIVE, true);
    check_product(qtype_by_name("f32"), 37, 77, 5, QMAT_INT8, true); /* not a multiple of 32: stays f32 */
    check_product(qtype_by_name("f16"), 5, 1, 2, QMAT_NATIVE, true);
}

/* The promise of quant.h: a row alone, in any batch, on any number of threads: the same bits. */
static void rows_do_not_depend_on_company(void **state)
{
    enum { MOST = 130 };
    struct pool *pools[] = { NULL, pool_new(2), pool_new(5) };
    for (size_t k = 0; qtype_at(k); k++) {
        const struct qtype *t = qtype_at(k);
        struct made m = make(t, 71, 512, k);
        float *x = inputs(MOST, 512, 11), *alone = mem_array(MOST * 71, sizeof *alone), *y = mem_array(MOST * 71, sizeof *y);
        assert_int_equal(qmat_pack(&m.w, pools[1], QMAT_NATIVE, NULL), SOOTH_OK);
        for (size_t i = 0; i < MOST; i++)
            multiply(NULL, &m.w, alone + i * 71, x + i * 512, 1);
        for (size_t n = 1; n <= MOST; n = n < 40 ? n + 1 : n + 45)
            for (int p = 0; p < 3; p++) {
                memset(y, 0xFF, n * 71 * sizeof *y);
                multiply(pools[p], &m.w, y, x, n);
                if (memcmp(y, alone, n * 71 * sizeof *y))
                    fail_msg("%s: rows of a batch of %zu on pool %d differ from rows alone", t->name, n, p);
            }
        mem_free(x);
        mem_free(y);
        mem_free(alone);
        unmake(&m);
    }
    pool_free(pools[1]);
    pool_free(pools[2]);
}

static void several_matrices_share_one_job(void **state)
{
    struct made a = make(qtype_by_name("q4_1"), 70, 96, 1), b = make(qtype_by_name("f32"), 9, 96, 2),
                c = make(qtype_by_name("q8_0"), 33, 96, 3);
    struct pool *pool = pool_new(3);
    float *x = inputs(6, 96, 4), one[6 * 70], ya[6 * 80], yb[6 * 9], yc[6 * 33], bias[9];
    for (int i = 0; i < 9; i++)
        bias[i] = (float)i;
    qmat_pack(&a.w, pool, QMAT_NATIVE, NULL);
    qmat_pack(&b.w, pool, QMAT_NATIVE, NULL);
    qmat_pack(&c.w, pool, QMAT_NATIVE, NULL);
    const struct qmat_job jobs[] = { { &a.w, ya, 80, NULL, false }, { &b.w, yb, 9, bias, false }, { &c.w, yc, 33, NULL, false } };
    void *scratch = mem_aligned(64, qmat_scratch(jobs, 3, 6));
    memset(ya, 0, sizeof ya);
    qmat_mul(pool, jobs, 3, x, 96, 6, scratch);
    multiply(NULL, &a.w, one, x, 6);
    for (int i = 0; i < 6; i++) {
        assert_memory_equal(ya + 80 * i, one + 70 * i, 70 * sizeof *one);
        assert_true(ya[80 * i + 70] == 0); /* nothing beyond the row */
    }
    multiply(NULL, &b.w, one, x, 6);
    for (int i = 0; i < 54; i++)
        assert_true(yb[i] == one[i] + bias[i % 9]);
    multiply(NULL, &c.w, one, x, 6);
    assert_memory_equal(yc, one, sizeof yc);
    mem_free(scratch);
    mem_free(x);
    pool_free(pool);
    unmake(&a);
    unmake(&b);
    unmake(&c);
}

/* dx = dy W and dW += dyᵀ x against sums in double precision. */
static void backward_products(void **state)
{
    enum { N = 7, ROWS = 70, COLS = 512 };
    struct pool *pool = pool_new(2);
    void *scratch = mem_aligned(64, qmat_back_scratch(ROWS, COLS, N, false));
    for (size_t k = 0; qtype_at(k); k++) {
        struct made m = make(qtype_at(k), ROWS, COLS, 9);
        float *dy = inputs(N, ROWS, 1), *dx = inputs(N, COLS, 2), *before = mem_dup(dx, N * COLS * sizeof *dx);
        qmat_mul_t(pool, &m.w, dx, COLS, dy, ROWS, N, true, false, scratch);
        for (size_t i = 0; i < N; i++)
            for (size_t c = 0; c < COLS; c++) {
                double s = before[i * COLS + c];
                for (size_t o = 0; o < ROWS; o++)
                    s += (double)dy[i * ROWS + o] * m.dense[o * COLS + c];
                assert_true(fabs(s - dx[i * COLS + c]) < 1e-4);
            }
        qmat_mul_t(pool, &m.w, before, COLS, dy, ROWS, N, false, false, scratch);
        mem_free(dy);
        mem_free(dx);
        mem_free(before);
        unmake(&m);
    }
    float *dy = inputs(N, ROWS, 3), *x = inputs(N, COLS, 4), *dw = inputs(ROWS, COLS, 5), *was = mem_dup(dw, ROWS * COLS * 4);
    qmat_add_outer(pool, dw, ROWS, COLS, dy, ROWS, x, COLS, N, false, scratch);
    for (size_t o = 0; o < ROWS; o++)
        for (size_t c = 0; c < COLS; c++) {
            double s = was[o * COLS + c];
            for (size_t i = 0; i < N; i++)
                s += (double)dy[i * ROWS + o] * x[i * COLS + c];
            assert_true(fabs(s - dw[o * COLS + c]) < 1e-4);
        }
    mem_free(dy);
    mem_free(x);
    mem_free(dw);
    mem_free(was);
    mem_free(scratch);
    pool_free(pool);
}

/* ---- bf16 ---- */

static float near(float x) { return bhalf_get(bhalf_put(x)); }
static void round_all(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = near(x[i]);
}

/* Against sums in double of the rounded numbers: what is left is the rounding of f32 sums. */
static void check_sum(const struct qtype *t, double got, double want, double size)
{
    if (!(fabs(got - want) <= 2e-6 * size + 1e-12))
        fail_msg("%s: %g, not %g", t->name, got, want);
}

/* Packed or dequantized on the way, alone or in a batch, on any number of threads: the same bits, near the truth. */
static void bf16_products(void **state)
{
    enum { N = 300 };
    static const size_t shapes[][2] = { { 71, 512 }, { 130, 1280 }, { 1, 256 } };
    struct pool *pool = pool_new(3);
    for (size_t k = 0; qtype_at(k); k++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const size_t rows = shapes[s][0], cols = shapes[s][1], n = s ? 5 : N;
            struct made m = make(qtype_at(k), rows, cols, k), p = make(qtype_at(k), rows, cols, k);
            float *x = inputs(n, cols, 5), *y = mem_array(n * rows, 4), *z = mem_array(n * rows, 4), bias[130];
            for (size_t o = 0; o < rows; o++)
                bias[o] = (float)o;
            assert_int_equal(qmat_pack(&p.w, pool, QMAT_BF16, NULL), SOOTH_OK);
            assert_int_equal(p.w.kind, PANEL_PAIRS);
            const struct qmat_job file = { &m.w, y, rows, bias, true }, packed = { &p.w, z, rows, bias, false };
            void *scratch = mem_aligned(64, qmat_scratch(&file, 1, n));
            assert_true(qmat_scratch(&packed, 1, n) <= qmat_scratch(&file, 1, n));
            qmat_mul(pool, &file, 1, x, cols, n, scratch);
            qmat_mul(pool, &packed, 1, x, cols, n, scratch);
            assert_memory_equal(y, z, n * rows * sizeof *y);
            for (size_t i = 0; i < n; i++)
                qmat_mul(NULL, &(struct qmat_job){ &m.w, z + i * rows, rows, bias, true }, 1, x + i * cols, cols, 1, scratch);
            assert_memory_equal(y, z, n * rows * sizeof *y);
            round_all(x, n * cols);
            round_all(m.dense, rows * cols);
            for (size_t i = 0; i < n; i += 7)
                for (size_t o = 0; o < rows; o++) {
                    double sum = bias[o], size = 1 + fabs(sum);
                    for (size_t c = 0; c < cols; c++) {
                        sum += (double)x[i * cols + c] * m.dense[o * cols + c];
                        size += fabs((double)x[i * cols + c] * m.dense[o * cols + c]);
                    }
                    check_sum(qtype_at(k), y[i * rows + o], sum, size);
                }
            mem_free(scratch);
            mem_free(x);
            mem_free(y);
            mem_free(z);
            unmake(&m);
            unmake(&p);
        }
    pool_free(pool);
}

/* A long matrix, so that its rows come in several slabs; and columns that are no whole panel. */
static void bf16_gradients(void **state)
{
    enum { N = 37, ROWS = 2100, COLS = 600, ODD = 77 };
    struct pool *pool = pool_new(2);
    static const char *const formats[] = { "f32", "q8_0", "q4_1" };
    for (int f = 0; f < 3; f++) {
        const struct qtype *t = qtype_by_name(formats[f]);
        const size_t cols = f ? 608 : COLS, rows = f ? 64 : ROWS;
        struct made m = make(t, rows, cols, 3);
        float *dy = inputs(N, rows, 1), *dx = inputs(N, cols, 2), *was = mem_dup(dx, N * cols * 4), *one = mem_dup(dx, cols * 4);
        void *scratch = mem_aligned(64, qmat_back_scratch(rows, cols, N, true));
        qmat_mul_t(pool, &m.w, dx, cols, dy, rows, N, true, true, scratch);
        qmat_mul_t(NULL, &m.w, one, cols, dy, rows, 1, true, true, scratch);
        assert_memory_equal(one, dx, cols * sizeof *dx);
        round_all(dy, N * rows);
        round_all(m.dense, rows * cols);
        for (size_t i = 0; i < N; i += 4)
            for (size_t c = 0; c < cols; c += 3) {
                double sum = was[i * cols + c], size = 1 + fabs(sum);
                for (size_t o = 0; o < rows; o++) {
                    sum += (double)dy[i * rows + o] * m.dense[o * cols + c];
                    size += fabs((double)dy[i * rows + o] * m.dense[o * cols + c]);
                }
                check_sum(t, dx[i * cols + c], sum, size);
            }
        mem_free(scratch);
        mem_free(dy);
        mem_free(dx);
        mem_free(was);
        mem_free(one);
        unmake(&m);
    }
    float *dy = inputs(N, ODD, 3), *x = inputs(N, 90, 4), *dw = inputs(ODD, 90, 5), *was = mem_dup(dw, ODD * 90 * 4), *dv = mem_dup(dw, ODD * 90 * 4);
    void *scratch = mem_aligned(64, qmat_back_scratch(ODD, 90, N, true));
    qmat_add_outer(pool, dw, ODD, 90, dy, ODD, x, 90, N, true, scratch);
    qmat_add_outer(NULL, dv, ODD, 90, dy, ODD, x, 90, N, true, scratch);
    assert_memory_equal(dv, dw, ODD * 90 * sizeof *dw);
    round_all(dy, N * ODD);
    round_all(x, N * 90);
    for (size_t o = 0; o < ODD; o++)
        for (size_t c = 0; c < 90; c++) {
            double sum = was[o * 90 + c], size = 1 + fabs(sum);
            for (size_t i = 0; i < N; i++) {
                sum += (double)dy[i * ODD + o] * x[i * 90 + c];
                size += fabs((double)dy[i * ODD + o] * x[i * 90 + c]);
            }
            check_sum(qtype_at(0), dw[o * 90 + c], sum, size);
        }
    mem_free(scratch);
    mem_free(dy);
    mem_free(x);
    mem_free(dw);
    mem_free(dv);
    mem_free(was);
    pool_free(pool);
}

static void rows_can_be_looked_up(void **state)
{
    for (size_t k = 0; qtype_at(k); k++) {
        struct made m = make(qtype_at(k), 20, 256, 1);
        float row[256];
        qmat_pack(&m.w, NULL, QMAT_NATIVE, NULL);
        for (size_t i = 0; i < 20; i++) {
            qmat_row(&m.w, i, row);
            assert_memory_equal(row, m.dense + 256 * i, sizeof row);
        }
        unmake(&m);
    }
}

/* A row with a NaN or an infinity comes out NaN and leaves its neighbours alone; tiny rows come out as zeros. */
static void hard_activations(void **state)
{
    struct made m = make(qtype_by_name("q4_1"), 20, 64, 1);
    float *x = inputs(5, 64, 2), y[5 * 20], clean[5 * 20];
    qmat_pack(&m.w, NULL, QMAT_NATIVE, NULL);
    multiply(NULL, &m.w, clean, x, 5);
    x[64 + 40] = NAN;
    x[2 * 64 + 3] = -INFINITY;
    for (int i = 0; i < 64; i++)
        x[3 * 64 + i] = 1e-42f;
    multiply(NULL, &m.w, y, x, 5);
    for (int o = 0; o < 20; o++) {
        assert_true(isnan(y[20 + o]) && isnan(y[40 + o]));
        assert_true(y[60 + o] == 0);
    }
    assert_memory_equal(y, clean, 20 * sizeof *y);
    assert_memory_equal(y + 80, clean + 80, 20 * sizeof *y);
    mem_free(x);
    unmake(&m);
}

static void packing_without_memory(void **state)
{
    struct made m = make(qtype_by_name("q4_0"), 20, 64, 1);
    struct sooth_error err = { 0 };
    mem_fail_at(1);
    assert_int_equal(qmat_pack(&m.w, NULL, QMAT_NATIVE, &err), SOOTH_ERR_NOMEM);
    mem_fail_at(0);
    assert_null(m.w.panels);
    assert_int_equal(qmat_pack(&m.w, NULL, QMAT_NATIVE, &err), SOOTH_OK);
    unmake(&m);
}

static void many_matrices_in_one_space(void **state)
{
    struct made m[3] = { make(qtype_by_name("q4_1"), 20, 64, 1), make(qtype_by_name("f32"), 33, 96, 2),
                         make(qtype_by_name("q8_0"), 7, 64, 3) };
    struct qmat_space space;
    struct sooth_error err = { 0 };
    size_t total = 0;
    for (int i = 0; i < 2; i++)
        total += qmat_packed_bytes(&m[i].w, QMAT_INT8);
    mem_fail_at(1);
    assert_int_equal(qmat_space_init(&space, total, &err), SOOTH_ERR_NOMEM);
    mem_fail_at(0);
    assert_int_equal(qmat_space_init(&space, total, &err), SOOTH_OK);
    space.size = total; /* not a byte more, to see the end */
    for (int i = 0; i < 2; i++) {
        float *x = inputs(3, m[i].w.cols, 4), in_space[3 * 33], own[3 * 33];
        assert_int_equal(qmat_pack_in(&m[i].w, NULL, QMAT_INT8, &space, &err), SOOTH_OK);
        assert_int_equal((uintptr_t)m[i].w.panels % 64, 0);
        multiply(NULL, &m[i].w, in_space, x, 3);
        qmat_release(&m[i].w);
        assert_int_equal(qmat_pack(&m[i].w, NULL, QMAT_INT8, &err), SOOTH_OK);
        multiply(NULL, &m[i].w, own, x, 3);
        assert_memory_equal(in_space, own, 3 * m[i].w.rows * sizeof *own);
        mem_free(x);
    }
    assert_int_equal(space.used, total);
    assert_int_equal(qmat_pack_in(&m[2].w, NULL, QMAT_NATIVE, &space, &err), SOOTH_ERR_LIMIT);
    assert_null(m[2].w.panels);
    qmat_space_release(&space);
    for (int i = 0; i < 3; i++)
        unmake(&m[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_multiplies),
        cmocka_unit_test(rows_do_not_depend_on_company),
        cmocka_unit_test(several_matrices_share_one_job),
        cmocka_unit_test(backward_products),
        cmocka_unit_test(bf16_products),
        cmocka_unit_test(bf16_gradients),
        cmocka_unit_test(rows_can_be_looked_up),
        cmocka_unit_test(hard_activations),
        cmocka_unit_test(packing_without_memory),
        cmocka_unit_test(many_matrices_in_one_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
