/* kblock.h: what the super-block formats share: 8 six-bit scales and minima in 12 bytes, and the search for them.
 *
 * A super-block is 256 elements in 8 sub-blocks of 32; sub-block s has x = d·sc[s]·q - dmin·mn[s].
 *
 *     bytes 0..3    low 6 bits: sc[0..3];  top 2 bits: bits 4, 5 of sc[4..7]
 *     bytes 4..7    low 6 bits: mn[0..3];  top 2 bits: bits 4, 5 of mn[4..7]
 *     bytes 8..11   low nibble: sc[4..7];  high nibble: mn[4..7]
 *
 * The search for scale a and minimum b >= 0 of a sub-block minimizes Σ w (x - (a q - b))², w = rms(x) + |x|: it tries
 * 21 inverse scales around top/range, and for each the weighted least squares fit of (a, b) to the rounded q. */
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

static inline int kblock_round(float v, int top)
{
    return v > 0 ? v < (float)top ? (int)(v + 0.5f) : top : 0;
}

/* Scale of 32 elements; *min gets b >= 0. */
static inline float kblock_fit(const float *x, int top, float *min)
{
    float lo = 0, hi = x[0], squares = 0, w[32], best = INFINITY, a = 0, b = 0;
    for (int j = 0; j < 32; j++) {
        lo = x[j] < lo ? x[j] : lo;
        hi = x[j] > hi ? x[j] : hi;
        squares += x[j] * x[j];
    }
    *min = -lo;
    if (!(hi - lo > 0x1p-100f && hi - lo < 0x1p100f)) /* flat, or outside what f16 scales can hold */
        return hi > lo ? (hi - lo) / (float)top : 0.0f;
    const float rms = sqrtf(squares / 32);
    for (int j = 0; j < 32; j++)
        w[j] = rms + fabsf(x[j]);
    for (int step = -1; step <= 20; step++) { /* step -1: the plain range */
        const float inv = (step < 0 ? (float)top : (float)top - 1 + 0.1f * (float)step) / (hi - lo);
        float sw = 0, sl = 0, sl2 = 0, sx = 0, sxl = 0, error = 0;
        int q[32];
        for (int j = 0; j < 32; j++) {
            q[j] = kblock_round((x[j] - lo) * inv, top);
            const float l = (float)q[j];
            sw += w[j], sl += w[j] * l, sl2 += w[j] * l * l, sx += w[j] * x[j], sxl += w[j] * l * x[j];
        }
        const float det = sw * sl2 - sl * sl;
        float ta = 1 / inv, tb = -lo;
        if (step >= 0 && det > 0) {
            ta = (sw * sxl - sx * sl) / det;
            tb = (sxl * sl - sl2 * sx) / det;
            if (tb < 0)
                tb = 0, ta = sxl / sl2;
        }
        for (int j = 0; j < 32; j++) {
            const float e = x[j] - (ta * (float)q[j] - tb);
            error += w[j] * e * e;
        }
        if (error < best)
            best = error, a = ta, b = tb;
    }
    *min = b;
    return a > 0 ? a : 0;
}

/* Writes d, dmin and the 12 scale bytes; code gets 256 codes in 0..top. */
static inline void kblock_quantize(const float *x, int top, uint8_t *block, uint8_t *code)
{
    float a[8], b[8], amax = 0, bmax = 0;
    uint8_t sc[8], mn[8];
    for (int s = 0; s < 8; s++) {
        a[s] = kblock_fit(x + 32 * s, top, b + s);
        amax = a[s] > amax ? a[s] : amax;
        bmax = b[s] > bmax ? b[s] : bmax;
    }
    const float ia = format_inverse(amax / 63), ib = format_inverse(bmax / 63);
    half_store(block, half_put(amax / 63));
    half_store(block + 2, half_put(bmax / 63));
    for (int s = 0; s < 8; s++) {
        sc[s] = (uint8_t)kblock_round(a[s] * ia, 63);
        mn[s] = (uint8_t)kblock_round(b[s] * ib, 63);
    }
    kblock_put_scales(block + 4, sc, mn);
    const float d = half_get(half_load(block)), dmin = half_get(half_load(block + 2));
    for (int i = 0; i < 256; i++)
        code[i] = (uint8_t)kblock_round((x[i] + dmin * (float)mn[i / 32]) * format_inverse(d * (float)sc[i / 32]), top);
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
