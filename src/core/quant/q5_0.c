/* q5_0.c: blocks of 32 with one scale; a 5-bit code q stands for d (q - 16).
 *
 *     2 bytes f16 d | 4 bytes: bit j = fifth bit of element j | 16 bytes: low nibble j = element j, high nibble = element j+16
 *
 * d is the value of largest magnitude, with its sign, over -16: that value is met exactly by code 0. */
#include "core/quant/format.h"

static void q5_0_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 22) {
        const float d = half_get(half_load(b));
        const uint32_t high = format_load32(b + 2);
        for (int j = 0; j < 16; j++) {
            dst[i + j] = d * (float)(((b[6 + j] & 15) | (int)(high >> j & 1) << 4) - 16);
            dst[i + j + 16] = d * (float)((b[6 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4) - 16);
        }
    }
}

static void q5_0_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst, code[32];
    for (size_t i = 0; i < n; i += 32, b += 22) {
        half_store(b, half_put(format_codes_signed(src + i, code, 16, 31)));
        format_put_codes(code, b + 6, b + 2);
    }
}

static void q5_0_weigh(const float *src, const float *importance, void *dst, size_t n)
{
    const float spread = fit_squares(src, n) / (float)n;
    uint8_t *b = dst, code[32];
    float w[32];
    for (size_t i = 0; i < n; i += 32, b += 22) {
        fit_weights(src + i, importance + i, 32, spread, w);
        half_store(b, half_put(fit_signed(src + i, w, 32, 16, code)));
        format_put_codes(code, b + 6, b + 2);
    }
}

static size_t q5_0_check(const void *src, size_t n) { return format_check_halves(src, n, 32, 22, 1); }
static void q5_0_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    format_pack32(src, stride, rows, cols, panel, 1, true);
}

const struct qtype qtype_q5_0 = { "q5_0", 6, 32, 22, q5_0_dequant, q5_0_quantize, q5_0_check,
                                 q5_0_pack, PANEL_Q5, q5_0_weigh };
