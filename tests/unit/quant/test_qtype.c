/* test_qtype.c: number formats against blocks made by the reference, and against broken numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "core/kernel/half.h"
#include "core/quant/quant.h"

static size_t unhex(const char *s, void *out, size_t max)
{
    size_t n = 0;
    unsigned v;
    for (; sscanf(s, "%2x", &v) == 1 && n < max; s += 2)
        ((unsigned char *)out)[n++] = (unsigned char)v;
    return n;
}

static void golden_blocks(void **state)
{
    char path[600];
    struct buf text = BUF_INIT;
    size_t cases = 0, quantized = 0;
    snprintf(path, sizeof path, "%s/tests/golden/quant/blocks.txt", getenv("SOOTH_SOURCE"));
    assert_int_equal(file_read(path, 1 << 20, &text, NULL), SOOTH_OK);
    char *save = NULL;
    for (char *l = strtok_r(text.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save), cases++) {
        char *word = NULL, *name = strtok_r(l, " ", &word), *xs = strtok_r(NULL, " ", &word);
        char *bs = strtok_r(NULL, " ", &word), *ys = strtok_r(NULL, " ", &word);
        float x[256], y[256], got[256];
        unsigned char block[512], made[512];
        const struct qtype *t = qtype_by_name(name);
        assert_non_null(t);
        const size_t bytes = unhex(bs, block, sizeof block), n = unhex(ys, y, sizeof y) / 4;
        assert_int_equal(bytes, n / t->block * t->bytes);
        t->dequant(block, got, n);
        if (memcmp(got, y, 4 * n))
            fail_msg("case %zu, %s: dequantized values differ", cases, name);
        if (*xs == '-')
            continue;
        unhex(xs, x, sizeof x);
        t->quantize(x, made, n);
        if (memcmp(made, block, bytes))
            fail_msg("case %zu, %s: quantized blocks differ", cases, name);
        quantized++;
    }
    buf_release(&text);
    assert_true(cases > 150 && quantized > 150);
}

/* The three blocks every description of the formats can be checked with: x = (i - 16)/4. */
static void written_out_blocks(void **state)
{
    static const char *const want[][2] = {
        { "q4_0", "0038809191a2a2b3b3c4c4d5d5e6e6f7f7f8" },
        { "q4_1", "223800c480809191a2a2b3b3c4c4d5d5e6e6f7f7" },
        { "q8_0", "082881899199a1a9b1b9c0c8d0d8e0e8f0f80008101820283038404750586068" },
    };
    float x[32];
    for (int i = 0; i < 32; i++)
        x[i] = (float)(i - 16) / 4;
    for (int k = 0; k < 2; k++) {
        unsigned char block[64], expect[64];
        const struct qtype *t = qtype_by_name(want[k][0]);
        t->quantize(x, block, 32);
        assert_int_equal(unhex(want[k][1], expect, 64), t->bytes);
        assert_memory_equal(block, expect, t->bytes);
    }
    unsigned char block[34];
    qtype_by_name("q8_0")->quantize(x, block, 32);
    assert_int_equal(block[0], 0x08);
    assert_int_equal(block[1], 0x28);
    static const int8_t q[] = { -127, -119, -111, -103, -95, -87, -79, -71, -64, -56, -48, -40, -32, -24, -16, -8, 0, 8, 16 };
    assert_memory_equal(block + 2, q, sizeof q);
    assert_int_equal(block[33], 119);
}

/* Each format's error against normal numbers stays where it belongs; a format that mixes up elements would not. */
static void every_row_keeps_its_precision(void **state)
{
    static const struct { const char *name; float error; } most[] = {
        { "f32", 0 }, { "f16", 3e-4f }, { "bf16", 2.5e-3f }, { "q8_0", 0.006f }, { "q6_k", 0.02f }, { "q5_k", 0.04f },
        { "q5_1", 0.04f }, { "q5_0", 0.045f }, { "q4_k", 0.076f }, { "q4_1", 0.08f }, { "q4_0", 0.09f },
    };
    enum { N = 8192 };
    static float x[N], y[N];
    static unsigned char data[4 * N];
    struct rng r;
    size_t rows = 0;
    rng_seed(&r, 3);
    for (int i = 0; i < N; i++)
        x[i] = rng_normal(&r);
    for (const struct qtype *t; (t = qtype_at(rows)); rows++) {
        double error = 0, square = 0;
        float limit = -1;
        for (size_t k = 0; k < sizeof most / sizeof *most; k++)
            if (!strcmp(most[k].name, t->name))
                limit = most[k].error;
        assert_true(limit >= 0); /* a new format states its error here */
        assert_int_equal(256 % t->block, 0); /* qmat.c cuts columns by 256 */
        t->quantize(x, data, N);
        t->dequant(data, y, N);
        assert_true(qtype_check(t, data, N) == SIZE_MAX);
        for (int i = 0; i < N; i++) {
            error += (double)(x[i] - y[i]) * (x[i] - y[i]);
            square += (double)x[i] * x[i];
        }
        if (sqrt(error / square) > limit)
            fail_msg("%s: relative error %.4f over %.4f", t->name, sqrt(error / square), limit);
        assert_ptr_equal(qtype_by_id(t->id), t);
        assert_ptr_equal(qtype_by_name(t->name), t);
    }
    assert_int_equal(rows, sizeof most / sizeof *most);
    assert_null(qtype_by_id(4)); /* retired */
    assert_null(qtype_by_name("q9_9"));
    assert_ptr_equal(qtype_by_name("Q4_K"), qtype_by_id(12));
}

/* Zeros, one value, extremes and subnormal numbers: finite out, no undefined conversion on the way. */
static void hard_numbers_stay_finite(void **state)
{
    static const float levels[] = { 0, -0.0f, 1, -3e38f, 3e38f, 1e-45f, -1e-40f, 1.2e-38f, 6e4f, -7e4f };
    float x[256], y[256];
    unsigned char data[1024];
    for (size_t k = 0; qtype_at(k); k++) {
        const struct qtype *t = qtype_at(k);
        for (size_t a = 0; a < sizeof levels / 4; a++)
            for (size_t b = 0; b < sizeof levels / 4; b++) {
                for (int i = 0; i < 256; i++)
                    x[i] = i % 3 ? levels[a] : levels[b];
                t->quantize(x, data, 256);
                if (fabsf(levels[a]) <= 6e4f && fabsf(levels[b]) <= 6e4f) { /* beyond, f16 scales may overflow */
                    assert_true(qtype_check(t, data, 256) == SIZE_MAX);
                    t->dequant(data, y, 256);
                    for (int i = 0; i < 256; i++)
                        assert_true(isfinite(y[i]) && fabsf(y[i] - x[i]) <= 0.25f * 6e4f);
                }
            }
    }
}

/* One NaN or infinity in the source is found and named; one in a stored scale is found by the loader's check. */
static void lesson_serving_25_bad_scales_are_found(void **state)
{
    enum { N = 1024 };
    static float x[N];
    static unsigned char data[4 * N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 17) - 8;
    assert_int_equal(quant_find_bad(x, N), N);
    x[700] = NAN;
    assert_int_equal(quant_find_bad(x, N), 700);
    x[700] = -INFINITY;
    assert_int_equal(quant_find_bad(x, N), 700);
    x[700] = 1;
    for (size_t k = 0; qtype_at(k); k++) {
        const struct qtype *t = qtype_at(k);
        static const uint16_t bad[] = { 0x7C00, 0xFC00, 0x7E00, 0xFE01 };
        const size_t at = strcmp(t->name, "q6_k") ? 0 : 208, block = 700 / t->block;
        for (size_t j = 0; j < 4; j++) {
            t->quantize(x, data, N);
            assert_true(qtype_check(t, data, N) == SIZE_MAX);
            unsigned char *p = data + block * t->bytes + at;
            if (t->bytes == 4)
                memcpy(p, &(float){ j < 2 ? INFINITY : NAN }, 4);
            else if (!strcmp(t->name, "bf16"))
                half_store(p, j < 2 ? 0x7F80 : 0xFFC0);
            else
                half_store(p, bad[j]);
            assert_int_equal(qtype_check(t, data, N), block * t->block);
            if (t->block > 1 && strstr(t->name, "_0") == NULL && strcmp(t->name, "q6_k")) { /* the minimum too */
                t->quantize(x, data, N);
                half_store(data + block * t->bytes + 2, bad[j]);
                assert_int_equal(qtype_check(t, data, N), block * t->block);
            }
        }
    }
}

static void sizes_are_checked(void **state)
{
    size_t n = 7;
    assert_true(qtype_bytes(qtype_by_name("q4_1"), 3, 64, &n) && n == 3 * 40);
    assert_true(qtype_bytes(qtype_by_name("f32"), 0, 5, &n) && n == 0);
    assert_false(qtype_bytes(qtype_by_name("q4_1"), 3, 65, &n));
    assert_false(qtype_bytes(qtype_by_name("q4_k"), 1, 128, &n));
    assert_false(qtype_bytes(qtype_by_name("f32"), UINT64_MAX / 2, 4, &n));
    assert_false(qtype_bytes(qtype_by_name("f16"), 1ull << 33, 1ull << 33, &n));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_blocks),
        cmocka_unit_test(written_out_blocks),
        cmocka_unit_test(every_row_keeps_its_precision),
        cmocka_unit_test(hard_numbers_stay_finite),
        cmocka_unit_test(lesson_serving_25_bad_scales_are_found),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
