/* test_panel.c: products over packed panels: every level and every number of rows gives the bits of plain C, one row at
 * a time; and plain C equals the sum written out from the drawing in panel.h. */
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

enum { ROWS = 40, TILES = 3, WIDTH = 71 }; /* rows of x, rows of W: five panels, the last one short */
static const size_t widths[] = { 256, 512, 1536 };

static bool half_at(enum panel_kind kind, size_t at)
{
    const size_t size = panel_sizes[kind].bytes;
    at %= size;
    switch (kind) {
    case PANEL_Q4: case PANEL_Q5: case PANEL_Q8: case PANEL_NL4: case PANEL_NF4: case PANEL_K3: case PANEL_K6: return at < 32;
    case PANEL_Q4M: case PANEL_Q5M: case PANEL_K2: case PANEL_K4: case PANEL_K5: return at < 64;
    default: return false;
    }
}
/* MX4's scales are exponents. */
static bool exponent_at(enum panel_kind kind, size_t at) { return kind == PANEL_MX4 && at % panel_sizes[kind].bytes < 16; }

/* Any bytes are a panel, as long as the f16 fields are numbers of a sane size. */
static uint8_t *random_panels(enum panel_kind kind, size_t cols, uint64_t seed)
{
    const size_t bytes = panel_bytes(kind, cols), total = bytes * ((WIDTH + 15) / 16);
    uint8_t *p = mem_aligned(64, total);
    struct rng r;
    rng_seed(&r, seed);
    for (size_t i = 0; i < total; i += 2) {
        uint16_t v = (uint16_t)rng_u64(&r);
        if (half_at(kind, i % bytes))
            v = half_put(rng_normal(&r) * 0.01f);
        if (exponent_at(kind, i % bytes))
            v = (uint16_t)((115 + v % 11) * 0x101);
        if (kind == PANEL_F16)
            v = half_put(rng_normal(&r));
        if (kind == PANEL_BF16 || kind == PANEL_PAIRS)
            v = bhalf_put(rng_normal(&r));
        memcpy(p + i, &v, 2);
    }
    for (size_t i = 0; kind == PANEL_F32 && i < total; i += 4) {
        const float f = rng_normal(&r);
        memcpy(p + i, &f, 4);
    }
    return p;
}

struct input {
    float *x;
    struct act_tile *tiles;
    uint16_t *halves;
    struct act act;
};
static struct input random_input(const struct kernel *k, size_t cols)
{
    struct input in = { mem_array(ROWS * cols, 4), mem_aligned(64, TILES * cols / 32 * sizeof(struct act_tile)),
                        mem_array(ROWS * cols, 2), { 0 } };
    struct rng r;
    rng_seed(&r, cols);
    for (size_t i = 0; i < ROWS * cols; i++)
        in.x[i] = rng_normal(&r) * (i % 97 == 0 ? 20.0f : 1.0f);
    memset(in.x + 3 * cols, 0, 32 * 4);
    memset(in.tiles, 0xFF, TILES * cols / 32 * sizeof(struct act_tile)); /* NaN in the rows that are not there */
    for (size_t i = 0; i < ROWS; i++)
        k->act_quantize(in.x + i * cols, cols, in.tiles + i / 16 * (cols / 32), i % 16);
    k->pair_rows(in.x, cols, ROWS, cols, in.halves, cols);
    in.act = (struct act){ in.tiles, cols, in.halves };
    return in;
}
static void input_free(struct input *in)
{
    mem_free(in->x);
    mem_free(in->tiles);
    mem_free(in->halves);
}

static void levels_quantize_alike(void **state)
{
    struct input c = random_input(kernel_at(0), 576);
    for (size_t l = 1; kernel_at(l); l++) {
        struct input k = random_input(kernel_at(l), 576);
        assert_memory_equal(k.tiles, c.tiles, TILES * 576 / 32 * sizeof *c.tiles);
        input_free(&k);
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < 576; j++) {
            const struct act_tile *t = c.tiles + i / 16 * 18 + j / 32;
            assert_true(fabsf(c.x[i * 576 + j] - t->d[i % 16] * t->q[i % 16][j % 32]) <= 0.51f * t->d[i % 16]);
        }
    /* halves go to the even neighbour */
    static struct act_tile t;
    float x[32] = { 127, 2.5f, 3.5f, -2.5f, -0.5f };
    x[20] = -7;
    kernel_get()->act_quantize(x, 32, &t, 5);
    const int8_t *q = t.q[5];
    assert_true(t.d[5] == 1 && q[0] == 127 && q[1] == 2 && q[2] == 4 && q[3] == -2 && q[4] == 0 && q[20] == -7);
    assert_true(t.sum[5] == 124 && t.half[5] == -7 && t.s[5] == 124);
    input_free(&c);
}

static void rows_and_levels_agree_to_the_bit(void **state)
{
    static float want[ROWS * WIDTH], got[ROWS * 80];
    for (int kind = 0; kind < PANEL_KINDS; kind++)
        for (size_t s = 0; s < sizeof widths / sizeof *widths; s++) {
            const size_t cols = widths[s];
            uint8_t *p = random_panels(kind, cols, (uint64_t)kind);
            struct input in = random_input(kernel_at(0), cols);
            const struct panel_view v = { p, panel_bytes(kind, cols), WIDTH, cols };
            for (size_t i = 0; i < ROWS; i++)
                kernel_at(0)->panel_mul[kind](&v, 0, 5, in.x, cols, &in.act, i, i + 1, want, WIDTH);
            for (size_t l = 0; kernel_at(l); l++)
                for (size_t n = 1; n <= ROWS && (kind != PANEL_PAIRS || strcmp(kernel_at(l)->name, "bf16")); n += s ? 13 : 1) { /* test_pairs.c */
                    const size_t i0 = n % 3 && n < ROWS ? 1 : 0, i1 = i0 + n > ROWS ? ROWS : i0 + n;
                    memset(got, 0x7F, sizeof got);
                    /* in two halves of panels, into a wider matrix */
                    kernel_at(l)->panel_mul[kind](&v, 0, 2, in.x, cols, &in.act, i0, i1, got, 80);
                    kernel_at(l)->panel_mul[kind](&v, 2, 5, in.x, cols, &in.act, i0, i1, got, 80);
                    for (size_t i = 0; i < ROWS; i++) {
                        const bool inside = i >= i0 && i < i1;
                        if (inside && memcmp(got + i * 80, want + i * WIDTH, WIDTH * 4))
                            fail_msg("kind %d, %zu columns, %s, %zu rows: row %zu differs", kind, cols, kernel_at(l)->name,
                                     n, i);
                        for (size_t o = inside ? WIDTH : 0; o < 80; o++) /* nothing else is touched */
                            assert_true(half_bits(got[i * 80 + o]) == 0x7F7F7F7Fu);
                    }
                }
            input_free(&in);
            mem_free(p);
        }
}

/* The drawing of panel.h, read slowly: quant q of lane r, column c of a block of 32 at w. */
static int quant_at(enum panel_kind kind, const uint8_t *w, int r, int c)
{
    const int half = c / 16, k = c % 16 / 4, j = c % 4;
    if (kind == PANEL_Q8)
        return w[64 * (4 * half + k) + 4 * r + j] - 128;
    if (kind == PANEL_K2)
        return w[64 * half + 4 * r + j] >> 2 * k & 3;
    if (kind == PANEL_K3)
        return (w[64 + 64 * half + 4 * r + j] >> 2 * k & 3) + (w[4 * r + j] >> (4 * half + k) & 1) * 4 - 4;
    const bool five = kind == PANEL_Q5 || kind == PANEL_Q5M || kind == PANEL_K5, six = kind == PANEL_K6;
    const uint8_t *n = w + (five ? 64 : six ? 128 : 0);
    int q = n[64 * k + 4 * r + j] >> 4 * half & 15;
    if (five)
        q |= (w[4 * r + j] >> (4 * half + k) & 1) << 4;
    if (six)
        q |= (w[64 * half + 4 * r + j] >> 2 * k & 3) << 4;
    if (kind == PANEL_NL4 || kind == PANEL_NF4)
        return (kind == PANEL_NL4 ? panel_book_nl4 : panel_book_nf4)[q] - 128;
    if (kind == PANEL_MX4)
        return panel_book_mx4[q] - 12;
    return q - (kind == PANEL_Q4 ? 8 : kind == PANEL_Q5 ? 16 : six ? 32 : 0);
}
static float half_field(const uint8_t *p, int r) { return half_get(half_load(p + 2 * r)); }

static double weight_at(enum panel_kind kind, const uint8_t *p, int r, size_t c)
{
    const uint8_t *w = p + panel_bytes(kind, c / panel_sizes[kind].unit * panel_sizes[kind].unit);
    const int l = (int)(c % 32), sub = (int)(c % 256 / 32);
    switch (kind) {
    case PANEL_Q4: case PANEL_Q5: case PANEL_Q8: case PANEL_NL4: case PANEL_NF4:
        return half_field(w, r) * quant_at(kind, w + 32, r, l);
    case PANEL_MX4: return ldexp(quant_at(kind, w + 16, r, l), w[r] - 128);
    case PANEL_K2: {
        const uint8_t *b = w + 64 + 160 * sub, st = b[16 * (l / 16) + r];
        return half_field(w, r) * (st & 15) * quant_at(kind, b + 32, r, l) - half_field(w + 32, r) * (st >> 4);
    }
    case PANEL_K3: {
        const uint8_t *b = w + 32 + 224 * sub;
        return half_field(w, r) * (int8_t)b[16 * (l / 16) + r] * quant_at(kind, b + 32, r, l);
    }
    case PANEL_Q4M: case PANEL_Q5M: return half_field(w, r) * quant_at(kind, w + 64, r, l) + half_field(w + 32, r);
    case PANEL_K6: {
        const uint8_t *b = w + 32 + 416 * sub;
        return half_field(w, r) * (int8_t)b[16 * (l / 16) + r] * quant_at(kind, b + 32, r, l);
    }
    default: {
        const uint8_t *b = w + 64 + (kind == PANEL_K5 ? 352 : 288) * sub;
        return half_field(w, r) * b[r] * quant_at(kind, b + 32, r, l) - half_field(w + 32, r) * b[16 + r];
    }
    }
}

static void plain_c_follows_the_drawing(void **state)
{
    static float y[2 * WIDTH];
    const size_t cols = 512;
    struct input in = random_input(kernel_at(0), cols);
    for (int kind = PANEL_Q4; kind < PANEL_KINDS; kind++) {
        uint8_t *p = random_panels(kind, cols, 99);
        const struct panel_view v = { p, panel_bytes(kind, cols), WIDTH, cols };
        kernel_at(0)->panel_mul[kind](&v, 0, 5, in.x, cols, &in.act, 0, 2, y, WIDTH);
        for (size_t i = 0; i < 2; i++)
            for (size_t o = 0; o < WIDTH; o++) {
                double s = 0, size = 0;
                for (size_t c = 0; c < cols; c++) {
                    const double t = (double)in.tiles[c / 32].d[i] * in.tiles[c / 32].q[i][c % 32] *
                                     weight_at(kind, p + o / 16 * v.panel_bytes, (int)(o % 16), c);
                    s += t;
                    size += fabs(t);
                }
                if (fabs(s - y[i * WIDTH + o]) > 1e-5 * size)
                    fail_msg("kind %d, row %zu, output %zu: %g, not %g", kind, i, o, y[i * WIDTH + o], s);
            }
        mem_free(p);
    }
    input_free(&in);
}

/* Bytes at their limits: sums that saturating instructions would cut. */
static void extreme_bytes(void **state)
{
    enum { COLS = 256 };
    static float x[COLS], want[16 * 16], got[16 * 16];
    static _Alignas(64) struct act_tile tiles[COLS / 32];
    const struct act act = { tiles, COLS };
    for (int i = 0; i < COLS; i++)
        x[i] = i % 5 ? -3.0f : 3.0f;
    for (size_t i = 0; i < 16; i++)
        kernel_at(0)->act_quantize(x, COLS, tiles, i);
    for (int kind = PANEL_Q4; kind < PANEL_KINDS; kind++)
        for (int fill = 0; fill < 256; fill += 51) {
            const size_t bytes = panel_bytes(kind, COLS);
            uint8_t *p = mem_aligned(64, bytes);
            memset(p, fill, bytes);
            for (size_t i = 0; i < bytes; i += 2)
                if (half_at(kind, i) || exponent_at(kind, i))
                    half_store(p + i, half_at(kind, i) ? 0x3C00 : 0x7F7F);
            const struct panel_view v = { p, bytes, 16, COLS };
            kernel_at(0)->panel_mul[kind](&v, 0, 1, x, COLS, &act, 0, 16, want, 16);
            for (size_t l = 1; kernel_at(l); l++) {
                kernel_at(l)->panel_mul[kind](&v, 0, 1, x, COLS, &act, 0, 16, got, 16);
                assert_memory_equal(got, want, sizeof got);
            }
            mem_free(p);
        }
}

static void gemm_agrees_to_the_bit(void **state)
{
    enum { M = 29, NN = 83, K = 403 };
    static float a[M * K], b[K * NN], want[M * NN], got[M * NN];
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < M * K; i++)
        a[i] = rng_normal(&r);
    for (int i = 0; i < K * NN; i++)
        b[i] = rng_normal(&r);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < NN; j++) {
            float s = 0.5f;
            for (int l = 0; l < K; l++)
                s = fmaf(a[i * K + l], b[l * NN + j], s);
            want[i * NN + j] = s;
        }
    for (size_t l = 0; kernel_at(l); l++)
        for (size_t m = 1; m <= M; m += 4)
            for (size_t n = 1; n <= NN; n += 41) {
                for (int i = 0; i < M * NN; i++)
                    got[i] = 0.5f;
                kernel_at(l)->gemm(m, n, K, a, K, 1, b, NN, 16, got, NN, true);
                for (size_t i = 0; i < M; i++)
                    for (size_t j = 0; j < NN; j++) {
                        const float w = i < m && j < n ? want[i * NN + j] : 0.5f;
                        assert_true(got[i * NN + j] == w);
                    }
            }
    kernel_get()->gemm(2, 3, 0, a, K, 1, b, NN, 16, got, NN, false); /* an empty sum is zero */
    assert_true(got[0] == 0 && got[NN + 2] == 0 && got[3] == want[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_quantize_alike), cmocka_unit_test(rows_and_levels_agree_to_the_bit),
        cmocka_unit_test(plain_c_follows_the_drawing), cmocka_unit_test(extreme_bytes),
        cmocka_unit_test(gemm_agrees_to_the_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
