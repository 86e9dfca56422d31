/* kblock.h: what the super-block formats share: 8 six-bit scales and minima in 12 bytes, and the search for them.
 *
 * A super-block is 256 elements in 8 sub-blocks of 32; sub-block s has x = d·sc[s]·q - dmin·mn[s].
 *
 *     bytes 0..3    low 6 bits: sc[0..3];  top 2 bits: bits 4, 5 of sc[4..7]
 *     bytes 4..7    low 6 bits: mn[0..3];  top 2 bits: bits 4, 5 of mn[4..7]
 *     bytes 8..11   low nibble: sc[4..7];  high nibble: mn[4..7]
 *
 * Without importance the search weighs an element by rms + |x| of its sub-block and the scales are rounded; with it, by
 * fit_weights, and the scales are themselves fitted. Codes are rounded again with the scales as stored. */
#ifndef QUANT_KBLOCK_H
#define QUANT_KBLOCK_H
#include "core/quant/format.h"

static inline void kblock_scales(const uint8_t *b, uint8_t *sc, uint8_t *mn)
{
    for (int s = 0; s < 4; s++) {
        sc[s] = b[s] & 63;
        mn[s] = b[s + 4] & 63;
        sc[s + 4] = (uint8_t)((b[s + 8] & 15) | (b[s] >> 6) << 4);
        mn[s + 4] = (uint8_t)(b[s + 8] >> 4 | (b[s + 4] >> 6) << 4);
    }
}

static inline void kblock_put_scales(uint8_t *b, const uint8_t *sc, const uint8_t *mn)
{
    for (int s = 0; s < 4; s++) {
        b[s] = (uint8_t)(sc[s] | (sc[s + 4] >> 4) << 6);
        b[s + 4] = (uint8_t)(mn[s] | (mn[s + 4] >> 4) << 6);
        b[s + 8] = (uint8_t)((sc[s + 4] & 15) | (mn[s + 4] & 15) << 4);
    }
}

/* x <= 0 gives 0. Divides by the largest of 8, rounds to 63; returns what one step is worth. */
static inline float kblock_round_scales(const float *x, uint8_t *code)
{
    float top = 0;
    for (int s = 0; s < 8; s++)
        top = x[s] > top ? x[s] : top;
    const float inverse = top > 0 ? 63.0f / top : 0.0f;
    for (int s = 0; s < 8; s++)
        code[s] = (uint8_t)fit_clamp(fit_round(inverse * x[s]), 0, 63);
    return top / 63.0f;
}

/* Writes d, dmin and the 12 scale bytes; code gets 256 codes in 0..top. importance may be NULL. */
static inline void kblock_quantize(const float *x, const float *importance, int top, const struct fit_trials *plain,
                                   uint8_t *block, uint8_t *code)
{
    const float spread = 2 * fit_squares(x, 256) / 256;
    float a[8], b[8], sum[8];
    uint8_t sc[8], mn[8];
    for (int s = 0; s < 8; s++) {
        const float *xs = x + 32 * s, rms = sqrtf(fit_squares(xs, 32) / 32);
        float w[32];
        sum[s] = 0;
        for (int j = 0; !importance && j < 32; j++)
            w[j] = rms + fabsf(xs[j]);
        if (importance)
            fit_weights(xs, importance + 32 * s, 32, spread, w);
        for (int j = 0; j < 32; j++)
            sum[s] += w[j];
        a[s] = fit_affine(xs, w, 32, top, importance ? &fit_fine : plain, code + 32 * s, b + s);
    }
    half_store(block, half_put(importance ? fit_positive(a, sum, 8, 63, sc) : kblock_round_scales(a, sc)));
    half_store(block + 2, half_put(importance ? fit_positive(b, sum, 8, 63, mn) : kblock_round_scales(b, mn)));
    kblock_put_scales(block + 4, sc, mn);
    for (int i = 0; i < 256; i++) {
        const float d = half_get(half_load(block)) * (float)sc[i / 32], m = half_get(half_load(block + 2)) * (float)mn[i / 32];
        if (d != 0)
            code[i] = (uint8_t)fit_clamp(fit_round((x[i] + m) / d), 0, top);
    }
}

/* Panels K4 and K5; a file block is d, dmin, 12 scale bytes, `high` bytes of fifth bits (0 or 32), 128 nibble bytes. */
static inline void kblock_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel, size_t high)
{
    const size_t bytes = 144 + high, sub = 32 + (high ? 64 : 0) + 256;
    if (rows < PANEL_ROWS)
        memset(panel, 0, cols / 256 * (64 + 8 * sub));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 256, b += bytes) {
            uint8_t sc[8], mn[8];
            memcpy(out + 2 * r, b, 2);
            memcpy(out + 32 + 2 * r, b + 2, 2);
            out += 64;
            kblock_scales(b + 4, sc, mn);
            for (int s = 0; s < 8; s++, out += sub) {
                const uint8_t *q = b + 16 + high + 32 * (s / 2);
                uint8_t nibbles[16];
                uint32_t fifth = 0;
                out[r] = sc[s];
                out[16 + r] = mn[s];
                for (int j = 0; j < 16; j++)
                    nibbles[j] = (uint8_t)(s & 1 ? q[j] >> 4 | (q[j + 16] & 0xF0) : (q[j] & 15) | q[j + 16] << 4);
                for (int j = 0; high && j < 32; j++)
                    fifth |= (uint32_t)(b[16 + j] >> s & 1) << j;
                if (high)
                    format_panel_fifth(out + 32, r, fifth);
                format_panel_nibbles(out + sub - 256, r, nibbles);
            }
        }
    }
}
#endif
