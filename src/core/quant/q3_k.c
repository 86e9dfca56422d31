/* q3_k.c: super-blocks of 256 in 16 groups of 16 with 6-bit scales: x = d (sc - 32)(q - 4), q in 0..7.
 *
 *     32 bytes: bit e/32 of byte e%32 = third bit of element e | 64 bytes of two bits as in q2_k | 12 bytes scales | 2 bytes f16 d
 *
 *     scale g: low nibble of byte g%8 for g < 8, its high nibble for g >= 8; two high bits in byte 8 + g%4, shifted by 2(g/4)
 *
 * Quantizing: the scale of each group by moving single codes (fit_signed_climb; with importance fit_signed), the largest
 * becomes -32, then codes again with what is stored. */
#include "core/quant/format.h"

static inline int q3_k_code(const uint8_t *b, int e)
{
    return (b[32 + 32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3) | (b[e % 32] >> e / 32 & 1) << 2;
}
static inline int q3_k_scale(const uint8_t *b, int g)
{
    return ((b[96 + g % 8] >> 4 * (g / 8) & 15) | (b[104 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
}

static void q3_k_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 256, b += 110) {
        const float d = half_get(half_load(b + 108));
        for (int e = 0; e < 256; e++)
            dst[i + e] = d * (float)q3_k_scale(b, e / 16) * (float)(q3_k_code(b, e) - 4);
    }
}

/* Scales to codes 0..63 with -32 for the largest; returns d. */
static float q3_k_round_scales(const float *a, uint8_t *code)
{
    float top = 0;
    for (int g = 0; g < 16; g++)
        top = fabsf(a[g]) > fabsf(top) ? a[g] : top;
    memset(code, 0, 16);
    if (top == 0)
        return 0;
    const float inverse = -32.0f / top;
    for (int g = 0; g < 16; g++)
        code[g] = (uint8_t)(fit_clamp(fit_round(inverse * a[g]), -32, 31) + 32);
    return 1 / inverse;
}

static void q3_k_block(const float *x, const float *importance, uint8_t *b)
{
    const float spread = 2 * fit_squares(x, 256) / 256;
    float a[16], sum[16];
    uint8_t code[256], sc[16];
    for (int g = 0; g < 16; g++) {
        float w[16];
        sum[g] = 0;
        if (importance)
            fit_weights(x + 16 * g, importance + 16 * g, 16, spread, w);
        for (int j = 0; importance && j < 16; j++)
            sum[g] += w[j];
        a[g] = importance ? fit_signed(x + 16 * g, w, 16, 4, code + 16 * g) : fit_signed_climb(x + 16 * g, 16, 4, code + 16 * g);
    }
    memset(b, 0, 110);
    half_store(b + 108, half_put(importance ? fit_signed(a, sum, 16, 32, sc) : q3_k_round_scales(a, sc)));
    const float all = half_get(half_load(b + 108));
    for (int g = 0; g < 16; g++) {
        b[96 + g % 8] |= (uint8_t)((sc[g] & 15) << 4 * (g / 8));
        b[104 + g % 4] |= (uint8_t)((sc[g] >> 4) << 2 * (g / 4));
    }
    for (int e = 0; e < 256; e++) {
        const float d = all * (float)q3_k_scale(b, e / 16);
        if (d != 0)
            code[e] = (uint8_t)(fit_clamp(fit_round(x[e] / d), -4, 3) + 4);
        b[e % 32] |= (uint8_t)((code[e] >> 2) << e / 32);
        b[32 + 32 * (e / 128) + e % 32] |= (uint8_t)((code[e] & 3) << 2 * (e % 128 / 32));
    }
}

static void q3_k_encode(const float *src, const float *importance, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i += 256)
        q3_k_block(src + i, importance ? importance + i : NULL, (uint8_t *)dst + i / 256 * 110);
}
static void q3_k_quantize(const float *src, void *dst, size_t n) { q3_k_encode(src, NULL, dst, n); }

static size_t q3_k_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i += 256)
        if (!half_is_finite(half_load((const uint8_t *)src + i / 256 * 110 + 108)))
            return i;
    return SIZE_MAX;
}

static void q3_k_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_K3, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 256, b += 110) {
            memcpy(out + 2 * r, b + 108, 2);
            out += 32;
            for (int t = 0; t < 8; t++, out += 224) {
                uint8_t code[32];
                uint32_t third = 0;
                for (int h = 0; h < 2; h++)
                    out[16 * h + r] = (uint8_t)(int8_t)q3_k_scale(b, 2 * t + h);
                for (int j = 0; j < 32; j++) {
                    code[j] = (uint8_t)q3_k_code(b, 32 * t + j);
                    third |= (uint32_t)(code[j] >> 2) << j;
                }
                format_panel_fifth(out + 32, r, third);
                format_panel_pairs(out + 96, r, code);
            }
        }
    }
}

const struct qtype qtype_q3_k = { "q3_k", 11, 256, 110, q3_k_dequant, q3_k_quantize, q3_k_check, q3_k_pack, PANEL_K3,
                                  q3_k_encode };
