/* iq4_nl.c: blocks of 32 with one scale; a 4-bit code stands for one of 16 uneven levels, denser near zero as weights are.
 *
 *     2 bytes f16 d | 16 bytes: low nibble of byte j = element j, high nibble = element j+16
 *
 * x = d · level. The levels -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113 are kept once, in the kernel's book.
 * Quantizing: 16 trial scales that put the peak at -127 + t, |t| <= 7, and first at +127; least squares with w = x² or by
 * importance; then all codes again with the best scale. */
#include "core/quant/format.h"

static inline int iq4_nl_level(int code) { return (int)panel_book_nl4[code] - 128; }

static void iq4_nl_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 18) {
        const float d = half_get(half_load(b));
        for (int j = 0; j < 16; j++) {
            dst[i + j] = d * (float)iq4_nl_level(b[2 + j] & 15);
            dst[i + j + 16] = d * (float)iq4_nl_level(b[2 + j] >> 4);
        }
    }
}

/* The nearest level, the upper one of two equally near; NaN gives some code. */
static uint8_t iq4_nl_code(float v)
{
    int lo = 0, hi = 15;
    if (v <= (float)iq4_nl_level(0))
        return 0;
    if (v >= (float)iq4_nl_level(15))
        return 15;
    while (hi - lo > 1) {
        const int mid = (lo + hi) / 2;
        if (v < (float)iq4_nl_level(mid))
            hi = mid;
        else
            lo = mid;
    }
    return (uint8_t)(v - (float)iq4_nl_level(lo) < (float)iq4_nl_level(hi) - v ? lo : hi);
}

static float iq4_nl_scale(const float *x, const float *w)
{
    float most = 0, peak = 0, d = 0, best = 0;
    for (int j = 0; j < 32; j++)
        if (fabsf(x[j]) > most)
            most = fabsf(x[j]), peak = x[j];
    if (most < FIT_NOTHING)
        return 0;
    for (int trial = -8; trial <= 7; trial++) {
        const bool first = trial == -8;
        const float id = first ? 1 / (peak / 127.0f) : ((float)trial - 127.0f) / peak;
        float sxl = 0, sl2 = 0;
        for (int j = 0; j < 32; j++) {
            const float l = (float)iq4_nl_level(iq4_nl_code(id * x[j]));
            sxl += w[j] * l * x[j];
            sl2 += w[j] * l * l;
        }
        if (first || (sl2 > 0 && sxl * sxl > best * sl2)) {
            d = sl2 > 0 ? sxl / sl2 : 0.0f;
            best = d * sxl;
        }
    }
    return d;
}

static void iq4_nl_encode(const float *src, const float *importance, void *dst, size_t n)
{
    uint8_t *b = dst, code[32];
    float w[32];
    for (size_t i = 0; i < n; i += 32, b += 18) {
        const float *x = src + i, spread = fit_squares(x, 32) * (2.0f / 32);
        for (int j = 0; !importance && j < 32; j++)
            w[j] = x[j] * x[j];
        if (importance)
            fit_weights(x, importance + i, 32, spread, w);
        const float d = iq4_nl_scale(x, w), id = d != 0 ? 1 / d : 0.0f;
        half_store(b, half_put(d));
        for (int j = 0; j < 32; j++)
            code[j] = iq4_nl_code(id * x[j]);
        format_put_codes(code, b + 2, NULL);
    }
}
static void iq4_nl_quantize(const float *src, void *dst, size_t n) { iq4_nl_encode(src, NULL, dst, n); }

static size_t iq4_nl_check(const void *src, size_t n) { return format_check_halves(src, n, 32, 18, 1); }
static void iq4_nl_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    format_pack32(src, stride, rows, cols, panel, 1, false);
}

const struct qtype qtype_iq4_nl = { "iq4_nl", 20, 32, 18, iq4_nl_dequant, iq4_nl_quantize, iq4_nl_check, iq4_nl_pack, PANEL_NL4,
                                    iq4_nl_encode };
