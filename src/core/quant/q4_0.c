/* q4_0.c: blocks of 32 with one scale; a 4-bit code q stands for d (q - 8).
 *
 *     2 bytes f16 d | 16 bytes: low nibble of byte j = element j, high nibble = element j+16
 *
 * d is the value of largest magnitude, with its sign, over -8: that value is met exactly by code 0. */
#include "core/quant/format.h"

static void q4_0_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 18) {
        const float d = half_get(half_load(b));
        for (int j = 0; j < 16; j++) {
            dst[i + j] = d * (float)((b[2 + j] & 15) - 8);
            dst[i + j + 16] = d * (float)((b[2 + j] >> 4) - 8);
        }
    }
}

static void q4_0_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst, code[32];
    for (size_t i = 0; i < n; i += 32, b += 18) {
        half_store(b, half_put(format_codes_signed(src + i, code, 8, 15)));
        format_put_codes(code, b + 2, NULL);
    }
}

static void q4_0_weigh(const float *src, const float *importance, void *dst, size_t n)
{
    const float spread = fit_squares(src, n) / (float)n;
    uint8_t *b = dst, code[32];
    float w[32];
    for (size_t i = 0; i < n; i += 32, b += 18) {
        fit_weights(src + i, importance + i, 32, spread, w);
        half_store(b, half_put(fit_signed(src + i, w, 32, 8, code)));
        format_put_codes(code, b + 2, NULL);
    }
}

static size_t q4_0_check(const void *src, size_t n) { return format_check_halves(src, n, 32, 18, 1); }
static void q4_0_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    format_pack32(src, stride, rows, cols, panel, 1, false);
}

const struct qtype qtype_q4_0 = { "q4_0", 2, 32, 18, q4_0_dequant, q4_0_quantize, q4_0_check,
                                 q4_0_pack, PANEL_Q4, q4_0_weigh };
