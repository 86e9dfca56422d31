/* q4_k.c: super-blocks of 256 in 8 sub-blocks of 32, 6-bit scales and minima: x = d·sc·q - dmin·mn, q in 0..15.
 *
 *     2 bytes f16 d | 2 bytes f16 dmin | 12 bytes scales (kblock.h) | 128 bytes codes
 *
 * Chunk c = 0..3 of 32 code bytes: low nibbles are sub-block 2c, high nibbles sub-block 2c + 1.
 */
#include "core/quant/kblock.h"

static void q4_k_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 256, b += 144) {
        const float d = half_get(half_load(b)), dmin = half_get(half_load(b + 2));
        uint8_t sc[8], mn[8];
        kblock_scales(b + 4, sc, mn);
        for (int s = 0; s < 8; s++) {
            const float a = d * (float)sc[s], m = dmin * (float)mn[s];
            for (int j = 0; j < 32; j++)
                dst[i + 32 * s + j] = a * (float)(b[16 + 32 * (s / 2) + j] >> 4 * (s & 1) & 15) - m;
        }
    }
}

static void q4_k_encode(const float *src, const float *importance, void *dst, size_t n)
{
    static const struct fit_trials plain = { -1, 0.1f, 20, false };
    uint8_t *b = dst, code[256];
    for (size_t i = 0; i < n; i += 256, b += 144) {
        kblock_quantize(src + i, importance ? importance + i : NULL, 15, &plain, b, code);
        for (int c = 0; c < 4; c++)
            for (int j = 0; j < 32; j++)
                b[16 + 32 * c + j] = (uint8_t)(code[64 * c + j] | code[64 * c + 32 + j] << 4);
    }
}

static void q4_k_quantize(const float *src, void *dst, size_t n) { q4_k_encode(src, NULL, dst, n); }
static size_t q4_k_check(const void *src, size_t n) { return format_check_halves(src, n, 256, 144, 2); }
static void q4_k_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    kblock_pack(src, stride, rows, cols, panel, 0);
}

const struct qtype qtype_q4_k = { "q4_k", 12, 256, 144, q4_k_dequant, q4_k_quantize, q4_k_check, q4_k_pack, PANEL_K4, q4_k_encode };
