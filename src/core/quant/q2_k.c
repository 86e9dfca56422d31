/* q2_k.c: super-blocks of 256 in 16 groups of 16, 4-bit scales and minima: x = d·sc·q - dmin·mn, q in 0..3.
 *
 *     16 bytes: low nibble sc, high nibble mn of each group | 64 bytes codes | 2 bytes f16 d | 2 bytes f16 dmin
 *
 * Element e: two bits of byte 32(e/128) + e%32 of the codes, shifted by 2(e%128/32).
 *
 * Quantizing: scale and minimum of each group by fit_affine, by absolute error with weights |x| (with importance: by
 * square with fit_weights), then the 16 scales and minima to 4 bits, then codes again with what is stored. */
#include "core/quant/format.h"

static inline int q2_k_code(const uint8_t *b, int e) { return b[16 + 32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3; }

static void q2_k_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 256, b += 84) {
        const float d = half_get(half_load(b + 80)), dmin = half_get(half_load(b + 82));
        for (int e = 0; e < 256; e++)
            dst[i + e] = d * (float)(b[e / 16] & 15) * (float)q2_k_code(b, e) - dmin * (float)(b[e / 16] >> 4);
    }
}

/* 16 numbers >= 0 over their largest, to 4 bits; returns what one step is worth. */
static float q2_k_round_scales(const float *x, uint8_t *code)
{
    float top = 0;
    for (int g = 0; g < 16; g++)
        top = x[g] > top ? x[g] : top;
    for (int g = 0; g < 16; g++)
        code[g] = (uint8_t)(top > 0 ? fit_clamp(fit_round(15.0f / top * x[g]), 0, 15) : 0);
    return top > 0 ? top / 15.0f : 0.0f;
}

static void q2_k_block(const float *x, const float *importance, uint8_t *b)
{
    static const struct fit_trials plain = { -0.5f, 0.1f, 15, true };
    const float spread = fit_squares(x, 256) / 256;
    float a[16], m[16], sum[16];
    uint8_t code[256], sc[16], mn[16];
    for (int g = 0; g < 16; g++) {
        const float *xg = x + 16 * g;
        float w[16];
        sum[g] = 0;
        for (int j = 0; !importance && j < 16; j++)
            w[j] = fabsf(xg[j]);
        if (importance)
            fit_weights(xg, importance + 16 * g, 16, spread, w);
        for (int j = 0; j < 16; j++)
            sum[g] += w[j];
        a[g] = fit_affine(xg, w, 16, 3, importance ? &fit_fine : &plain, code + 16 * g, m + g);
    }
    half_store(b + 80, half_put(importance ? fit_positive(a, sum, 16, 15, sc) : q2_k_round_scales(a, sc)));
    half_store(b + 82, half_put(importance ? fit_positive(m, sum, 16, 15, mn) : q2_k_round_scales(m, mn)));
    memset(b + 16, 0, 64);
    for (int e = 0; e < 256; e++) {
        const int g = e / 16;
        const float d = half_get(half_load(b + 80)) * (float)sc[g], dm = half_get(half_load(b + 82)) * (float)mn[g];
        b[g] = (uint8_t)(sc[g] | mn[g] << 4);
        if (d != 0)
            code[e] = (uint8_t)fit_clamp(fit_round((x[e] + dm) / d), 0, 3);
        b[16 + 32 * (e / 128) + e % 32] |= (uint8_t)(code[e] << 2 * (e % 128 / 32));
    }
}

static void q2_k_encode(const float *src, const float *importance, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i += 256)
        q2_k_block(src + i, importance ? importance + i : NULL, (uint8_t *)dst + i / 256 * 84);
}
static void q2_k_quantize(const float *src, void *dst, size_t n) { q2_k_encode(src, NULL, dst, n); }

static size_t q2_k_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i += 256) {
        const uint8_t *b = (const uint8_t *)src + i / 256 * 84;
        if (!half_is_finite(half_load(b + 80)) || !half_is_finite(half_load(b + 82)))
            return i;
    }
    return SIZE_MAX;
}

static void q2_k_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_K2, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 256, b += 84) {
            memcpy(out + 2 * r, b + 80, 2);
            memcpy(out + 32 + 2 * r, b + 82, 2);
            out += 64;
            for (int t = 0; t < 8; t++, out += 160) {
                uint8_t code[32];
                out[r] = b[2 * t];
                out[16 + r] = b[2 * t + 1];
                for (int j = 0; j < 32; j++)
                    code[j] = (uint8_t)q2_k_code(b, 32 * t + j);
                format_panel_pairs(out + 32, r, code);
            }
        }
    }
}

const struct qtype qtype_q2_k = { "q2_k", 10, 256, 84, q2_k_dequant, q2_k_quantize, q2_k_check, q2_k_pack, PANEL_K2,
                                  q2_k_encode };
