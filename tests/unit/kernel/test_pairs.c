/* test_pairs.c: bf16 products: packing and product have the bits of plain C at every level but "bf16", whose own bits do not
 * depend on how the work is cut; all are as near to sums in double precision as rounding allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"

enum { M = 70, N = 83, K = 150, DEPTH = 160, PANEL = DEPTH * 16, PANELS = 6, LDC = 96 };

struct sides {
    float a[M * K], b[K * N];                     /* of bf16 numbers already, so that products are exact */
    uint16_t rows[M * DEPTH], panels[PANELS * PANEL];
};

static float near(struct rng *r) { return bhalf_get(bhalf_put(rng_normal(r))); }

static void sides_fill(struct sides *s, const struct kernel *k)
{
    struct rng r;
    rng_seed(&r, 7);
    for (int i = 0; i < M * K; i++)
        s->a[i] = near(&r);
    for (int i = 0; i < K * N; i++)
        s->b[i] = near(&r);
    memset(s->rows, 0xFF, sizeof s->rows);
    memset(s->panels, 0, sizeof s->panels);
    k->pair_rows(s->a, K, M, K, s->rows, DEPTH);
    k->pair_pack(s->b, N, K, N, s->panels, PANEL);
}

static void levels_pack_alike(void **state)
{
    static struct sides c, s;
    static float at[K * M], bt[N * K];
    static uint16_t rows[M * DEPTH], panels[PANELS * PANEL];
    sides_fill(&c, kernel_at(0));
    for (int i = 0; i < M; i++)
        for (int l = 0; l < DEPTH; l++)
            assert_int_equal(c.rows[i * DEPTH + l], l < K ? bhalf_put(c.a[i * K + l]) : 0);
    for (int j = 0; j < N; j++)
        for (int l = 0; l < DEPTH; l++)
            assert_int_equal(c.panels[j / 16 * PANEL + l / 2 * 32 + j % 16 * 2 + l % 2], l < K ? bhalf_put(c.b[l * N + j]) : 0);
    for (int i = 0; i < M; i++)
        for (int l = 0; l < K; l++)
            at[l * M + i] = c.a[i * K + l];
    for (int l = 0; l < K; l++)
        for (int j = 0; j < N; j++)
            bt[j * K + l] = c.b[l * N + j];
    for (size_t l = 0; kernel_at(l); l++) {
        sides_fill(&s, kernel_at(l));
        assert_memory_equal(&s, &c, sizeof s);
        memset(rows, 0xFF, sizeof rows);
        memset(panels, 0xFF, sizeof panels);
        kernel_at(l)->pair_rows_turned(at, M, K, M, rows, DEPTH);
        kernel_at(l)->pair_pack_turned(bt, K, N, K, panels, PANEL);
        assert_memory_equal(rows, c.rows, sizeof rows);
        assert_memory_equal(panels, c.panels, sizeof panels);
    }
}

static void rounding_is_to_nearest_even(void **state)
{
    static const float hard[] = { 0, -0.0f, 1, INFINITY, -INFINITY, NAN, 1.00390625f, 1.01171875f, 3.3895314e38f, 3.4e38f, 1e-40f, -2.5e-39f };
    enum { HARD = sizeof hard / sizeof *hard };
    for (size_t l = 0; kernel_at(l); l++) {
        uint16_t y[32];
        kernel_at(l)->pair_rows(hard, HARD, 1, HARD, y, 32);
        for (int i = 0; i < HARD; i++)
            assert_int_equal(y[i], bhalf_put(hard[i]));
    }
}

static void product(const struct kernel *k, const struct sides *s, size_t i0, size_t m, size_t j0, size_t n, float *c, bool add)
{
    k->gemm_pairs(m, n, DEPTH, s->rows + i0 * DEPTH, DEPTH, s->panels + j0 / 16 * PANEL, PANEL, c + i0 * LDC + j0, LDC, add);
}

static void products_are_near_the_truth(void **state)
{
    static struct sides s;
    static float c[M * LDC];
    sides_fill(&s, kernel_at(0));
    for (size_t l = 0; kernel_at(l); l++)
        for (int add = 0; add < 2; add++) {
            for (int i = 0; i < M * LDC; i++)
                c[i] = 0.5f;
            product(kernel_at(l), &s, 0, M, 0, N, c, add);
            for (int i = 0; i < M; i++)
                for (int j = 0; j < LDC; j++) {
                    double sum = add || j >= N ? 0.5 : 0, size = 1;
                    for (int d = 0; j < N && d < K; d++) {
                        const double t = (double)s.a[i * K + d] * s.b[d * N + j];
                        sum += t;
                        size += fabs(t);
                    }
                    if (!(fabs(sum - c[i * LDC + j]) <= 2e-6 * size))
                        fail_msg("%s: [%d, %d] is %g, not %g", kernel_at(l)->name, i, j, c[i * LDC + j], sum);
                }
        }
}

/* Level bf16 is compared with itself, the others with plain C. */
static void cuts_and_levels_change_no_bit(void **state)
{
    static struct sides s;
    static float want[M * LDC], got[M * LDC];
    sides_fill(&s, kernel_at(0));
    for (size_t l = 0; kernel_at(l); l++) {
        const struct kernel *k = kernel_at(l), *spec = strcmp(k->name, "bf16") ? kernel_at(0) : k;
        for (int i = 0; i < M; i++)
            for (size_t j = 0; j < N; j += 16)
                product(spec, &s, (size_t)i, 1, j, N - j < 16 ? N - j : 16, want, false);
        for (size_t m = 1; m <= M; m += m < 36 ? 1 : 17) {
            memset(got, 0x7F, sizeof got);
            for (size_t i = 0; i < M; i += m) {
                const size_t some = M - i < m ? M - i : m, cut = m % 2 ? 32 : 48;
                product(k, &s, i, some, 0, cut, got, false);
                product(k, &s, i, some, cut, N - cut, got, false);
            }
            for (int i = 0; i < M; i++) {
                if (memcmp(got + i * LDC, want + i * LDC, N * sizeof *got))
                    fail_msg("%s, %zu rows at a time: row %d differs", k->name, m, i);
                for (int j = N; j < LDC; j++) /* nothing else is touched */
                    assert_true(half_bits(got[i * LDC + j]) == 0x7F7F7F7Fu);
            }
        }
        /* in two stretches of k: the sum passes through C */
        k->gemm_pairs(M, N, 64, s.rows, DEPTH, s.panels, PANEL, got, LDC, false);
        k->gemm_pairs(M, N, DEPTH - 64, s.rows + 64, DEPTH, s.panels + 64 * 16, PANEL, got, LDC, true);
        for (int i = 0; i < M; i++)
            assert_memory_equal(got + i * LDC, want + i * LDC, N * sizeof *got);
    }
}

static void a_nan_stays_in_its_row_and_column(void **state)
{
    static struct sides s;
    static float c[M * LDC];
    for (size_t l = 0; kernel_at(l); l++) {
        sides_fill(&s, kernel_at(l));
        s.rows[5 * DEPTH + 77] = 0x7FC0;
        s.panels[2 * PANEL + 9 * 32 + 7 * 2] = 0x7F80; /* column 39: infinity */
        product(kernel_at(l), &s, 0, M, 0, N, c, false);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                assert_int_equal(!!isnan(c[i * LDC + j]), i == 5);
                assert_int_equal(!!isinf(c[i * LDC + j]), i != 5 && j == 39);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_pack_alike),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(products_are_near_the_truth),
        cmocka_unit_test(cuts_and_levels_change_no_bit),
        cmocka_unit_test(a_nan_stays_in_its_row_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
