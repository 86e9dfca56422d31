/* q5_1.c: blocks of 32 with scale and minimum; a 5-bit code q stands for d q + m.
 *
 *     2 bytes f16 d | 2 bytes f16 m | 4 bytes: bit j = fifth bit of element j | 16 bytes: nibbles of elements j and j+16
 *
 * m is the least value, d the range over 31. */
#include "core/quant/format.h"

static void q5_1_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 24) {
        const float d = half_get(half_load(b)), m = half_get(half_load(b + 2));
        const uint32_t high = format_load32(b + 4);
        for (int j = 0; j < 16; j++) {
            dst[i + j] = d * (float)((b[8 + j] & 15) | (int)(high >> j & 1) << 4) + m;
            dst[i + j + 16] = d * (float)(b[8 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4) + m;
        }
    }
}

static void q5_1_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst, code[32];
    for (size_t i = 0; i < n; i += 32, b += 24) {
        float m;
        half_store(b, half_put(format_codes_min(src + i, code, 31, &m)));
        half_store(b + 2, half_put(m));
        format_put_codes(code, b + 8, b + 4);
    }
}

static void q5_1_weigh(const float *src, const float *importance, void *dst, size_t n)
{
    const float spread = fit_squares(src, n) / (float)n;
    uint8_t *b = dst, code[32];
    float w[32];
    for (size_t i = 0; i < n; i += 32, b += 24) {
        float m;
        fit_weights(src + i, importance + i, 32, spread, w);
        half_store(b, half_put(fit_affine(src + i, w, 32, 31, &fit_fine, code, &m)));
        half_store(b + 2, half_put(-m));
        format_put_codes(code, b + 8, b + 4);
    }
}

static size_t q5_1_check(const void *src, size_t n) { return format_check_halves(src, n, 32, 24, 2); }
static void q5_1_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    format_pack32(src, stride, rows, cols, panel, 2, true);
}

const struct qtype qtype_q5_1 = { "q5_1", 7, 32, 24, q5_1_dequant, q5_1_quantize, q5_1_check,
                                 q5_1_pack, PANEL_Q5M, q5_1_weigh };
