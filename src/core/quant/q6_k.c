/* q6_k.c: super-blocks of 256 in 16 groups of 16 with 8-bit scales: x = d·sc·(q - 32), q in 0..63.
 *
 *     128 bytes low nibbles | 64 bytes two high bits | 16 signed scales | 2 bytes f16 d
 *
 * Block t = 0..7 of 32 elements, half h = t/4, part p = t%4, element l: low nibble in byte 64h + 32(p&1) + l, shifted by
 * 4(p>>1); high bits in byte 32h + l, shifted by 2p; scale 2t + l/16.
 *
 * Quantizing: per 16 elements the scale a that minimizes Σ w (x - a q)² over 19 trial scales with |q| <= 32, w = x² or the
 * importance as it is; the largest of the 16 scales becomes -128, and all codes are rounded again with the stored scales. */
#include "core/quant/format.h"

static inline int q6_k_code(const uint8_t *b, int t, int l)
{
    const int h = t / 4, p = t % 4;
    return (b[64 * h + 32 * (p & 1) + l] >> 4 * (p >> 1) & 15) | (b[128 + 32 * h + l] >> 2 * p & 3) << 4;
}

static void q6_k_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 256, b += 210) {
        const float d = half_get(half_load(b + 208));
        for (int t = 0; t < 8; t++)
            for (int l = 0; l < 32; l++)
                dst[i + 32 * t + l] = d * (float)(int8_t)b[192 + 2 * t + l / 16] * (float)(q6_k_code(b, t, l) - 32);
    }
}

static void q6_k_put_codes(const uint8_t *code, uint8_t *b)
{
    memset(b, 0, 192);
    for (int j = 0; j < 256; j++) {
        const int t = j / 32, l = j % 32, h = t / 4, p = t % 4;
        b[64 * h + 32 * (p & 1) + l] |= (uint8_t)((code[j] & 15) << 4 * (p >> 1));
        b[128 + 32 * h + l] |= (uint8_t)((code[j] >> 4) << 2 * p);
    }
}

static void q6_k_block(const float *x, const float *importance, uint8_t *b)
{
    uint8_t code[256];
    float a[16], top = 0;
    for (int g = 0; g < 16; g++) {
        a[g] = fit_signed(x + 16 * g, importance ? importance + 16 * g : NULL, 16, 32, code + 16 * g);
        top = fabsf(a[g]) > fabsf(top) ? a[g] : top;
    }
    memset(b, 0, 210);
    if (fabsf(top) < FIT_NOTHING)
        return;
    const float inverse = -128.0f / top;
    half_store(b + 208, half_put(1 / inverse));
    for (int g = 0; g < 16; g++) {
        const int scale = fit_clamp(fit_round(inverse * a[g]), -128, 127);
        const float d = half_get(half_load(b + 208)) * (float)scale;
        b[192 + g] = (uint8_t)(int8_t)scale;
        for (int j = 16 * g; d != 0 && j < 16 * g + 16; j++)
            code[j] = (uint8_t)(fit_clamp(fit_round(x[j] / d), -32, 31) + 32);
    }
    q6_k_put_codes(code, b);
}

static void q6_k_encode(const float *src, const float *importance, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i += 256)
        q6_k_block(src + i, importance ? importance + i : NULL, (uint8_t *)dst + i / 256 * 210);
}
static void q6_k_quantize(const float *src, void *dst, size_t n) { q6_k_encode(src, NULL, dst, n); }

static size_t q6_k_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i += 256)
        if (!half_is_finite(half_load((const uint8_t *)src + i / 256 * 210 + 208)))
            return i;
    return SIZE_MAX;
}

static void q6_k_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_K6, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 256, b += 210) {
            memcpy(out + 2 * r, b + 208, 2);
            out += 32;
            for (int t = 0; t < 8; t++, out += 416) {
                uint8_t nibbles[16], high[32];
                out[r] = b[192 + 2 * t];
                out[16 + r] = b[192 + 2 * t + 1];
                for (int j = 0; j < 16; j++)
                    nibbles[j] = (uint8_t)((q6_k_code(b, t, j) & 15) | (q6_k_code(b, t, j + 16) & 15) << 4);
                for (int j = 0; j < 32; j++)
                    high[j] = (uint8_t)(q6_k_code(b, t, j) >> 4);
                format_panel_pairs(out + 32, r, high);
                format_panel_nibbles(out + 160, r, nibbles);
            }
        }
    }
}

const struct qtype qtype_q6_k = { "q6_k", 14, 256, 210, q6_k_dequant, q6_k_quantize, q6_k_check, q6_k_pack, PANEL_K6,
                                  q6_k_encode };
