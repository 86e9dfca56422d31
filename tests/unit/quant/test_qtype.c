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
#include "core/quant/nf4.h"
#include "core/quant/quant.h"

static size_t unhex(const char *s, void *out, size_t max)
{
    size_t n = 0;
    unsigned v;
    for (; sscanf(s, "%2x", &v) == 1 && n < max; s += 2)
        ((unsigned char *)out)[n++] = (unsigned char)v;
    return n;
}

static uint64_t fnv(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static void golden_case(size_t at, const char *name, const char *xs, const char *ws, const char *bs, const char *hash, bool *weighted)
{
    float x[256], w[256], got[256];
    unsigned char block[512], made[512];
    const struct qtype *t = qtype_by_name(name);
    assert_non_null(t);
    const size_t n = unhex(xs, x, sizeof x) / 4, bytes = unhex(bs, block, sizeof block);
    *weighted = *ws != '-';
    if (*weighted)
        assert_int_equal(unhex(ws, w, sizeof w), 4 * n);
    assert_int_equal(bytes, n / t->block * t->bytes);
    t->dequant(block, got, n);
    if (fnv(got, 4 * n) != strtoull(hash, NULL, 16))
        fail_msg("case %zu, %s: dequantized values differ", at, name);
    qtype_quantize_row(t, x, *weighted ? w : NULL, made, n);
    if (memcmp(made, block, bytes))
        fail_msg("case %zu, %s: quantized blocks differ", at, name);
}

/* Double quantization: the map, and the codes and peaks of 700 scales. */
static void golden_nest(const char *xs, const char *map_hex, const char *offset_hex, const char *codes_hex, const char *peaks_hex)
{
    static float x[700], map[256], want_map[256], peaks[3], want_peaks[3], offset, want_offset;
    static uint8_t codes[700], want_codes[700];
    assert_int_equal(unhex(xs, x, sizeof x), sizeof x);
    assert_int_equal(unhex(map_hex, want_map, sizeof want_map), sizeof want_map);
    assert_int_equal(unhex(offset_hex, &want_offset, 4), 4);
    assert_int_equal(unhex(codes_hex, want_codes, sizeof want_codes), sizeof want_codes);
    assert_int_equal(unhex(peaks_hex, want_peaks, sizeof want_peaks), sizeof want_peaks);
    nf4_dynamic_map(map);
    assert_memory_equal(map, want_map, sizeof map);
    nf4_nest(x, 700, map, &offset, codes, peaks);
    assert_memory_equal(&offset, &want_offset, 4);
    assert_memory_equal(peaks, want_peaks, sizeof peaks);
    assert_memory_equal(codes, want_codes, sizeof codes);
}

static void golden_blocks(void **state)
{
    char path[600];
    struct buf text = BUF_INIT;
    size_t cases = 0, weighted = 0, nests = 0, of[64] = { 0 };
    snprintf(path, sizeof path, "%s/tests/golden/quant/blocks.txt", getenv("SOOTH_SOURCE"));
    assert_int_equal(file_read(path, 1 << 22, &text, NULL), SOOTH_OK);
    char *save = NULL;
    for (char *l = strtok_r(text.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save), cases++) {
        char *word = NULL, *f[6] = { strtok_r(l, " ", &word) };
        bool w = false;
        for (int i = 1; i < 6; i++)
            f[i] = strtok_r(NULL, " ", &word);
        if (!strcmp(f[0], "nest")) {
            golden_nest(f[1], f[2], f[3], f[4], f[5]), nests++;
            continue;
        }
        golden_case(cases, f[0], f[1], f[2], f[3], f[4], &w);
        weighted += w;
        for (size_t k = 0; qtype_at(k); k++)
            of[k] += !strcmp(qtype_at(k)->name, f[0]);
    }
    buf_release(&text);
    for (size_t k = 0; qtype_at(k); k++)
        assert_true(of[k] >= 16 - 2 || !strcmp(qtype_at(k)->name, "f32")); /* every format has its blocks */
    assert_true(weighted >= 40 && nests == 1);
}

/* Where half of the columns hardly matter, the others come out better. */
static void importance_moves_errors(void **state)
{
    enum { N = 4096 };
    static float x[N], w[N], y[N];
    static unsigned char data[4 * N];
    struct rng r;
    rng_seed(&r, 8);
    for (int i = 0; i < N; i++) {
        x[i] = rng_normal(&r);
        w[i] = i % 2 ? 1.0f : 0.01f;
    }
    for (size_t k = 0; qtype_at(k); k++) {
        const struct qtype *t = qtype_at(k);
        double error[2] = { 0, 0 }, all[2] = { 0, 0 };
        for (int weigh = 0; t->weigh && weigh < 2; weigh++) {
            qtype_quantize_row(t, x, weigh ? w : NULL, data, N);
            t->dequant(data, y, N);
            for (int i = 0; i < N; i++) {
                const double e = ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
                error[weigh] += w[i] * e;
                all[weigh] += e;
            }
        }
        /* (the 32-element formats search only when they weigh, so that there both errors fall) */
        if (t->weigh && !(error[1] < 0.97 * error[0] && (t->block == 32 || all[1] > all[0])))
            fail_msg("%s: weighted error %g after %g, plain error %g after %g", t->name, error[1], error[0], all[1], all[0]);
    }
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
        { "q5_1", 0.04f }, { "q5_0", 0.045f }, { "q4_k", 0.076f }, { "q4_1", 0.08f }, { "q4_0", 0.09f }, { "iq4_nl", 0.08f }, { "nf4", 0.093f },
        { "mxfp4", 0.13f }, { "q3_k", 0.17f }, { "q2_k", 0.31f },
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

/* Where in a block the scale (or the minimum, 0: none) lies. */
static size_t scale_at(const char *name, int minimum)
{
    static const struct { const char *name; size_t scale, minimum; } at[] = {
        { "q4_1", 0, 2 }, { "q5_1", 0, 2 }, { "q4_k", 0, 2 }, { "q5_k", 0, 2 }, { "q2_k", 80, 82 }, { "q3_k", 108, 0 }, { "q6_k", 208, 0 },
    };
    for (size_t k = 0; k < sizeof at / sizeof *at; k++)
        if (!strcmp(at[k].name, name))
            return minimum ? at[k].minimum : at[k].scale;
    return 0;
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
        const size_t block = 700 / t->block;
        for (size_t j = 0; j < 4; j++) {
            t->quantize(x, data, N);
            assert_true(qtype_check(t, data, N) == SIZE_MAX);
            unsigned char *p = data + block * t->bytes + scale_at(t->name, 0);
            if (t->bytes == 4 || !strcmp(t->name, "nf4"))
                memcpy(p, &(float){ j < 2 ? INFINITY : NAN }, 4);
            else if (!strcmp(t->name, "mxfp4"))
                *p = 255;
            else if (!strcmp(t->name, "bf16"))
                half_store(p, j < 2 ? 0x7F80 : 0xFFC0);
            else
                half_store(p, bad[j]);
            assert_int_equal(qtype_check(t, data, N), block * t->block);
            if (scale_at(t->name, 1)) { /* the minimum too */
                t->quantize(x, data, N);
                half_store(data + block * t->bytes + scale_at(t->name, 1), bad[j]);
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
        cmocka_unit_test(importance_moves_errors),
        cmocka_unit_test(written_out_blocks),
        cmocka_unit_test(every_row_keeps_its_precision),
        cmocka_unit_test(hard_numbers_stay_finite),
        cmocka_unit_test(lesson_serving_25_bad_scales_are_found),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
