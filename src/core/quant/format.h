/* format.h: what the files of formats share: reading and writing small fields, and laying 16 rows side by side.
 * Only the files of this folder include it. */
#ifndef QUANT_FORMAT_H
#define QUANT_FORMAT_H
#include "core/kernel/half.h"
#include "core/kernel/panel.h"
#include "core/quant/fit.h"
#include "core/quant/quant.h"
#include <math.h>

/* 1/d, or 0 where d is zero or so small that the code would not be a number. */
static inline float format_inverse(float d)
{
    const float id = d != 0 ? 1.0f / d : 0.0f;
    return isfinite(id) ? id : 0.0f;
}

/* Looks at `halves` f16 fields at the start of each block. */
static inline size_t format_check_halves(const void *src, size_t n, size_t block, size_t bytes, size_t halves)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n / block; i++, b += bytes)
        for (size_t h = 0; h < halves; h++)
            if (!half_is_finite(half_load(b + 2 * h)))
                return i * block;
    return SIZE_MAX;
}

/* Codes 0..15 or 0..31 of 32 elements to 16 nibble bytes and, where high is not NULL, 4 bytes of fifth bits. */
static inline void format_put_codes(const uint8_t *code, uint8_t *nibbles, uint8_t *high)
{
    uint32_t bits = 0;
    for (int j = 0; j < 32; j++)
        bits |= (uint32_t)(code[j] >> 4) << j;
    for (int j = 0; j < 16; j++)
        nibbles[j] = (uint8_t)((code[j] & 15) | (code[j + 16] & 15) << 4);
    for (int j = 0; high && j < 4; j++)
        high[j] = (uint8_t)(bits >> 8 * j);
}
static inline uint32_t format_load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Truncates into 0..top; NaN (an overflow met a zero) gives 0. */
static inline uint8_t format_clip(float v, int top) { return (uint8_t)(v > 0 ? v < (float)top ? (int)v : top : 0); }

/* d = signed value of largest magnitude (the first wins) / -half; code = min(top, trunc(x/d + half + 0.5)). */
static inline float format_codes_signed(const float *x, uint8_t *code, int half, int top)
{
    float peak = 0, most = 0;
    for (int j = 0; j < 32; j++)
        if (fabsf(x[j]) > most)
            most = fabsf(x[j]), peak = x[j];
    const float d = peak / (float)-half, id = format_inverse(d);
    for (int j = 0; j < 32; j++)
        code[j] = format_clip(x[j] * id + ((float)half + 0.5f), top);

    return d;
}

/* m = min, d = (max - min)/top, code = trunc((x - m)/d + 0.5). */
static inline float format_codes_min(const float *x, uint8_t *code, int top, float *m)
{
    float lo = x[0], hi = x[0];
    for (int j = 1; j < 32; j++) {
        lo = x[j] < lo ? x[j] : lo;
        hi = x[j] > hi ? x[j] : hi;
    }
    const float d = (hi - lo) / (float)top, id = format_inverse(d);
    for (int j = 0; j < 32; j++)
        code[j] = format_clip((x[j] - lo) * id + 0.5f, top);

    *m = lo;
    return d;
}

/* ---- panels: the layouts are drawn in core/kernel/panel.h ---- */

/* 16 bytes of nibbles (bytes j: columns j and 16+j) of row r into the four nibble lines. */
static inline void format_panel_nibbles(uint8_t *lines, size_t r, const uint8_t *nibbles)
{
    for (int k = 0; k < 4; k++)
        memcpy(lines + 64 * k + 4 * r, nibbles + 4 * k, 4);
}
/* 32 fifth bits (bit c for column c) of row r into the line of high bits. */
static inline void format_panel_fifth(uint8_t *line, size_t r, uint32_t bits)
{
    for (int j = 0; j < 4; j++) {
        unsigned b = 0;
        for (int k = 0; k < 4; k++)
            b |= (bits >> (4 * k + j) & 1u) << k | (bits >> (16 + 4 * k + j) & 1u) << (4 + k);
        line[4 * r + j] = (uint8_t)b;
    }
}

/* 32 two-bit numbers of row r into two lines: column 16h+4k+j at bits 2k of line h, byte j. */
static inline void format_panel_pairs(uint8_t *lines, size_t r, const uint8_t *two)
{
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 4; j++) {
            unsigned bits = 0;
            for (int k = 0; k < 4; k++)
                bits |= (two[16 * h + 4 * k + j] & 3u) << 2 * k;
            lines[64 * h + 4 * r + j] = (uint8_t)bits;
        }
}

/* Panels of the 32-element formats. Fields of a file block: `halves` f16, then 4 bytes of high bits if five, then 16. */
static inline void format_pack32(const void *src, size_t stride, size_t rows, size_t cols, void *panel, size_t halves,
                                 bool five)
{
    const size_t bytes = 2 * halves + (five ? 4 : 0) + 16, line = 32 * halves + (five ? 64 : 0) + 256;
    if (rows < PANEL_ROWS)
        memset(panel, 0, cols / 32 * line);
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 32, b += bytes, out += line) {
            for (size_t h = 0; h < halves; h++)
                memcpy(out + 32 * h + 2 * r, b + 2 * h, 2);
            if (five)
                format_panel_fifth(out + 32 * halves, r, format_load32(b + 2 * halves));
            format_panel_nibbles(out + line - 256, r, b + bytes - 16);
        }
    }
}
#endif
