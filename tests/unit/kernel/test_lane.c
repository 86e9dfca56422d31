/* test_lane.c: rows of numbers: every level gives the bits of plain C, and plain C is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/rng.h"
#include "core/kernel/kernel.h"

enum { N = 700 };
static const size_t sizes[] = { 0, 1, 2, 15, 16, 17, 31, 48, 63, 64, 65, 127, 128, 200, 384, 576, 640, 699 };
static float a[N], b[N], w[N], want[N], got[N];
static float stat[2];
static int8_t ia[8 * N], ib[8 * N];

static void fill(uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int i = 0; i < N; i++) {
        a[i] = rng_normal(&r) * 3;
        b[i] = rng_normal(&r);
        w[i] = rng_float(&r) + 0.5f;
    }
    for (int i = 0; i < 8 * N; i++) {
        ia[i] = (int8_t)(rng_below(&r, 256) - 128);
        ib[i] = (int8_t)(rng_below(&r, 255) - 127);
    }
}

/* Each reduction and map of a level, by number; 0 when there is none of that number. */
static int reduce(const struct kernel *k, int which, size_t n, float *out)
{
    switch (which) {
    case 0: *out = k->dot(a, b, n); return 1;
    case 1: *out = k->sum(a, n); return 1;
    case 2: *out = k->sum_squares(a, n); return 1;
    case 3: *out = k->max(a, n); return 1;
    }
    return 0;
}
static int map(const struct kernel *k, int which, size_t n, float *y)
{
    memcpy(y, w, sizeof w);
    switch (which) {
    case 0: k->add(y, a, b, n); return 1;
    case 1: k->mul(y, a, b, n); return 1;
    case 2: k->scale(y, a, 0.3f, n); return 1;
    case 3: k->axpy(y, 0.7f, a, n); return 1;
    case 4: k->exp(y, a, n); return 1;
    case 5: k->tanh(y, a, n); return 1;
    case 6: k->silu(y, a, n); return 1;
    case 7: k->gelu(y, a, n); return 1;
    case 8: k->gelu_tanh(y, a, n); return 1;
    case 9: k->silu_mul(y, a, b, n); return 1;
    case 10: k->gelu_tanh_mul(y, a, b, n); return 1;
    case 11: k->softcap(y, a, 30, n); return 1;
    case 12: k->rmsnorm(y, a, w, n, 1e-5f); return 1;
    case 13: k->rmsnorm(y, a, NULL, n, 1e-6f); return 1;
    case 14: k->layernorm(y, a, w, b, n, 1e-12f); return 1;
    case 15: k->softmax(y, a, n); return 1;
    case 16: k->rope(y, a, b, n / 2 * 2, true); return 1;
    case 17: k->rope(y, a, b, n / 2 * 2, false); return 1;
    case 18: k->f32_to_f16((uint16_t *)y, a, n); return 1;
    case 19: k->f32_to_bf16((uint16_t *)y, a, n); return 1;
    case 20: k->f16_to_f32(y, (const uint16_t *)ia, n); return 1;
    case 22: k->exp_from(y, a, 2.5f, n); return 1;
    case 23: k->mul_add(y, a, b, n); return 1;
    case 24: k->silu_slope(y, a, n); return 1;
    case 25: k->gelu_slope(y, a, n); return 1;
    case 26: k->gelu_tanh_slope(y, a, n); return 1;
    case 27: case 28: case 29: case 30: /* over y itself, which holds the sum so far */
        k->norm_back(y, a, b, w, n, 1e-5f, which & 1, which > 28, stat);
        return 1;
    case 21: k->bf16_to_f32(y, (const uint16_t *)ia, n); return 1;
    }
    return 0;
}

static void levels_agree_to_the_bit(void **state)
{
    const struct kernel *c = kernel_at(0);
    assert_string_equal(c->name, "c");
    for (size_t l = 1; kernel_at(l); l++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const struct kernel *k = kernel_at(l);
            float x, y;
            fill(s);
            for (int f = 0; reduce(c, f, sizes[s], &x); f++) {
                reduce(k, f, sizes[s], &y);
                if (memcmp(&x, &y, 4))
                    fail_msg("%s: reduction %d of %zu: %g, not %g", k->name, f, sizes[s], y, x);
            }
            for (int f = 0; map(c, f, sizes[s], want); f++) {
                map(k, f, sizes[s], got);
                if (memcmp(want, got, sizeof want))
                    fail_msg("%s: map %d of %zu differs", k->name, f, sizes[s]);
            }
        }
}

/* Everything a float can be, through the functions with bounds inside. */
static void levels_agree_on_hard_numbers(void **state)
{
    static const uint32_t odd[] = { 0, 0x80000000u, 1, 0x80000001u, 0x007FFFFFu, 0x7F7FFFFFu, 0xFF7FFFFFu, 0x7F800000u,
                                    0xFF800000u, 0x7FC00000u, 0xFFC00001u, 0x42B17218u, 0xC2AEAC50u, 0x477FE000u,
                                    0x477FF000u, 0x33000000u, 0x33000001u, 0x38800000u, 0x387FFFFFu, 0x3F200000u };
    struct rng r;
    rng_seed(&r, 8);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            const uint32_t u = i < 20 && round == 0 ? odd[i] : (uint32_t)rng_u64(&r);
            memcpy(&a[i], &u, 4);
            b[i] = 1.5f;
        }
        for (size_t l = 1; kernel_at(l); l++)
            for (int f = 0; f <= 26 && map(kernel_at(0), f, N, want); f++) {
                if (f == 16 || f == 17 || (f >= 12 && f <= 15)) /* NaN of a sum has no one pattern */
                    continue;
                map(kernel_at(l), f, N, got);
                for (int i = 0; i < N; i++)
                    if (memcmp(want + i, got + i, 4) && !(isnan(want[i]) && isnan(got[i])))
                        fail_msg("%s: map %d of %a: %a, not %a", kernel_at(l)->name, f, a[i], got[i], want[i]);
            }
    }
}

static void plain_c_is_right(void **state)
{
    const struct kernel *k = kernel_at(0);
    double dot = 0, sum = 0, squares = 0, top = -INFINITY, e = 0;
    fill(1);
    for (int i = 0; i < N; i++) {
        dot += (double)a[i] * b[i];
        sum += a[i];
        squares += (double)a[i] * a[i];
        top = a[i] > top ? a[i] : top;
    }
    assert_true(fabs(k->dot(a, b, N) - dot) < 1e-3 && fabs(k->sum(a, N) - sum) < 1e-3);
    assert_true(fabs(k->sum_squares(a, N) - squares) < 1e-2 && k->max(a, N) == (float)top);
    assert_true(k->max(a, 0) == -INFINITY && k->sum(a, 0) == 0);
    k->softmax(got, a, N);
    for (int i = 0; i < N; i++)
        e += exp(a[i] - top);
    for (int i = 0; i < N; i++)
        assert_true(fabs(got[i] - exp(a[i] - top) / e) < 1e-6);
    k->rmsnorm(got, a, w, N, 1e-5f);
    for (int i = 0; i < N; i++)
        assert_true(fabs(got[i] - a[i] / sqrt(squares / N + 1e-5) * w[i]) < 1e-5);
    k->layernorm(got, a, w, b, N, 1e-5f);
    const double mean = sum / N, var = squares / N - mean * mean;
    for (int i = 0; i < N; i++)
        assert_true(fabs(got[i] - ((a[i] - mean) / sqrt(var + 1e-5) * w[i] + b[i])) < 1e-4);
    a[50] = NAN;
    assert_true(isnan(k->max(a, N)) && isnan(k->sum(a, N)));
}

/* Against libm in double precision over the whole range; errors in units of the last place of f32. */
static void functions_are_accurate(void **state)
{
    const struct kernel *k = kernel_get();
    double most_exp = 0, most_tanh = 0, most_gelu = 0, most_silu = 0, most_gt = 0;
    for (float x = -90; x < 90; x += 0.00371f) {
        float y[5];
        k->exp(y, &x, 1);
        k->tanh(y + 1, &x, 1);
        k->gelu(y + 2, &x, 1);
        k->silu(y + 3, &x, 1);
        k->gelu_tanh(y + 4, &x, 1);
        const double e = exp(x), t = tanh(x), u = 0.7978845608028654 * (x + 0.044715 * (double)x * x * x);
        if (x > -87.3 && x < 88.7)
            most_exp = fmax(most_exp, fabs(y[0] - e) / e);
        most_tanh = fmax(most_tanh, fabs(y[1] - t) / fabs(t));
        most_gelu = fmax(most_gelu, fabs(y[2] - 0.5 * x * (1 + erf(x * 0.7071067811865476))));
        most_silu = fmax(most_silu, fabs(y[3] - x / (1 + exp(-(double)x))));
        most_gt = fmax(most_gt, fabs(y[4] - 0.5 * x * (1 + tanh(u))));
    }
    for (float x = -30; x < 30; x += 0.00371f) {
        float y[3];
        k->silu_slope(y, &x, 1);
        k->gelu_slope(y + 1, &x, 1);
        k->gelu_tanh_slope(y + 2, &x, 1);
        const double s = 1 / (1 + exp(-(double)x)), t = tanh(0.7978845608028654 * (x + 0.044715 * (double)x * x * x));
        assert_true(fabs(y[0] - s * (1 + x * (1 - s))) < 1e-6);
        assert_true(fabs(y[1] - (0.5 * (1 + erf(x * 0.7071067811865476)) + x * exp(-0.5 * x * x) * 0.3989422804014327)) < 1e-6);
        assert_true(fabs(y[2] - (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * (double)x * x))) < 2e-6);
    }
    assert_true(most_exp < 2 * 0x1p-23);
    assert_true(most_tanh < 4 * 0x1p-23);
    assert_true(most_gelu < 1e-6 && most_silu < 5e-6 && most_gt < 1e-6);
    float y[3], x[3] = { -INFINITY, INFINITY, 89 };
    k->exp(y, x, 3);
    assert_true(y[0] == 0 && isinf(y[1]) && isinf(y[2]));
}

static void byte_products_are_exact(void **state)
{
    fill(3);
    memset(ia + 100, -128, 400); /* the worst sums of saturating instructions */
    memset(ib + 100, -127, 400);
    for (size_t l = 0; kernel_at(l); l++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const size_t n = sizes[s];
            int32_t out[5], some[5];
            static const uint32_t rows[5] = { 4, 0, 3, 3, 1 };
            kernel_at(l)->dot_rows_i8(ib, ia, N, 5, n, out);
            kernel_at(l)->dot_some_i8(ib, ia, N, rows, 5, n, some);
            for (size_t r = 0; r < 5; r++) {
                int32_t sum = 0;
                for (size_t i = 0; i < n; i++)
                    sum += ia[r * N + i] * ib[i];
                assert_int_equal(kernel_at(l)->dot_i8(ia + r * N, ib, n), sum);
                assert_int_equal(out[r], sum);
                assert_int_equal(some[r], out[rows[r]]);
            }
        }
}

static void rows_of_dots(void **state)
{
    float out[4];
    fill(4);
    kernel_get()->dot_rows(b, a, 150, 4, 130, out);
    for (int r = 0; r < 4; r++)
        assert_true(out[r] == kernel_get()->dot(b, a + 150 * r, 130));
}

static void every_half_survives(void **state)
{
    for (size_t l = 0; kernel_at(l); l++)
        for (uint32_t h = 0; h < 65536; h += 16) {
            uint16_t in[16], out[16];
            float f[16];
            for (unsigned i = 0; i < 16; i++)
                in[i] = (uint16_t)(h + i);
            kernel_at(l)->f16_to_f32(f, in, 16);
            kernel_at(l)->f32_to_f16(out, f, 16);
            for (unsigned i = 0; i < 16; i++) {
                const float one = half_get(in[i]);
                const bool nan = (in[i] & 0x7FFF) > 0x7C00;
                assert_true(!memcmp(f + i, &one, 4));
                assert_int_equal(out[i], nan ? in[i] | 0x200 : in[i]);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_agree_to_the_bit), cmocka_unit_test(levels_agree_on_hard_numbers),
        cmocka_unit_test(plain_c_is_right),        cmocka_unit_test(functions_are_accurate),
        cmocka_unit_test(byte_products_are_exact), cmocka_unit_test(rows_of_dots),
        cmocka_unit_test(every_half_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
