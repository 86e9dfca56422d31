/* nf4.c: 4-bit NormalFloat (Dettmers et al. 2023, QLoRA): blocks of 64; a code is one of 16 quantiles of a normal
 * distribution, so that each is used about equally often by weights that are normal.
 *
 *     4 bytes f32 peak | 32 bytes: HIGH nibble of byte j = element 2j, low nibble = element 2j+1
 *
 * x = peak · level, peak = max|x| of the block, level the nearest; an exact midpoint goes to the lower one. Half of the
 * levels lie below zero, one is zero, eight above: the quantiles of 8 and 9 equal steps of probability.
 *
 * Double quantization brings the scales from 32 bits to 8 + 32/256: 4.127 bits a weight against 4.5. It is the container's
 * business (model/file): a matrix in memory has plain scales. GGUF has no number for NF4. */
#include "core/quant/nf4.h"
#include "core/quant/format.h"
#include <stdlib.h>

const float nf4_levels[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};
#define NF4_STEPS 112.0f /* what the kernel's book stands for at level 1 */

static float nf4_peak(const uint8_t *b) { return half_from_bits(format_load32(b)); }

static void nf4_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 64, b += 36)
        for (int j = 0; j < 32; j++) {
            dst[i + 2 * j] = nf4_levels[b[4 + j] >> 4] * nf4_peak(b);
            dst[i + 2 * j + 1] = nf4_levels[b[4 + j] & 15] * nf4_peak(b);
        }
}

static unsigned nf4_code(float v)
{
    unsigned c = 0;
    while (c < 15 && v > (nf4_levels[c] + nf4_levels[c + 1]) / 2)
        c++;
    return c;
}

static void nf4_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst;
    for (size_t i = 0; i < n; i += 64, b += 36) {
        float peak = 0;
        for (int j = 0; j < 64; j++)
            peak = fabsf(src[i + j]) > peak ? fabsf(src[i + j]) : peak;
        const float inverse = 1.0f / (peak > 1e-38f ? peak : 1e-38f);
        const uint32_t bits = half_bits(peak);
        for (int j = 0; j < 4; j++)
            b[j] = (uint8_t)(bits >> 8 * j);
        for (int j = 0; j < 32; j++)
            b[4 + j] = (uint8_t)(nf4_code(src[i + 2 * j] * inverse) << 4 | nf4_code(src[i + 2 * j + 1] * inverse));
    }
}

/* Scales that no f16 of the packed form can hold count as bad too: no weight is anywhere near. */
static size_t nf4_check(const void *src, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 64, b += 36)
        if (!(fabsf(nf4_peak(b)) < 65504 * NF4_STEPS))
            return i;
    return SIZE_MAX;
}

static void nf4_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_NF4, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 64, b += 36)
            for (int half = 0; half < 2; half++, out += 288) {
                uint8_t nibbles[16];
                const uint8_t *q = b + 4 + 16 * half; /* element e: byte e/2, even ones high */
                for (int j = 0; j < 16; j++) {
                    const int lo = q[j / 2] >> (j % 2 ? 0 : 4) & 15, hi = q[8 + j / 2] >> (j % 2 ? 0 : 4) & 15;
                    nibbles[j] = (uint8_t)(lo | hi << 4);
                }
                half_store(out + 2 * r, half_put(nf4_peak(b) / NF4_STEPS));
                format_panel_nibbles(out + 32, r, nibbles);
            }
    }
}

const struct qtype qtype_nf4 = { "nf4", QTYPE_NF4, 64, 36, nf4_dequant, nf4_quantize, nf4_check, nf4_pack, PANEL_NF4, NULL };

/* ---- double quantization ---- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Cut i of [0.1, 1] into `parts`, from the nearer end: the bits of the map everybody has. */
static float dynamic_cut(int i, int parts)
{
    const float step = (1.0f - 0.1f) / (float)parts;
    return i < (parts + 1) / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(parts - i), 1.0f);
}

void nf4_dynamic_map(float map[256])
{
    static const float decade[7] = { 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1 };
    size_t n = 0;
    for (int e = 0; e < 7; e++)
        for (int i = 0; i < 1 << e; i++, n += 2) {
            map[n] = (dynamic_cut(i, 1 << e) + dynamic_cut(i + 1, 1 << e)) / 2 * decade[e];
            map[n + 1] = -map[n];
        }
    map[n++] = 0;
    map[n++] = 1;
    qsort(map, n, sizeof *map, by_value);
}

/* The nearest entry, the lower one of two equally near. */
static uint8_t dynamic_code(const float map[256], float v)
{
    size_t lo = 0, hi = 255;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (v < map[mid])
            hi = mid;
        else
            lo = mid;
    }
    return (uint8_t)(v - map[lo] > map[hi] - v ? hi : lo);
}

void nf4_nest(const float *scale, size_t n, const float map[256], float *offset, uint8_t *code, float *peaks)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)scale[i];
    *offset = n ? (float)(sum / (double)n) : 0;
    for (size_t from = 0; from < n; from += NF4_NEST) {
        const size_t to = from + NF4_NEST < n ? from + NF4_NEST : n;
        float peak = 0;
        for (size_t i = from; i < to; i++)
            peak = fabsf(scale[i] - *offset) > peak ? fabsf(scale[i] - *offset) : peak;
        peaks[from / NF4_NEST] = peak;
        for (size_t i = from; i < to; i++)
            code[i] = dynamic_code(map, peak > 0 ? (scale[i] - *offset) * (1.0f / peak) : 0.0f);
    }
}
