/* q5_k.c: as q4_k with a fifth bit: x = d·sc·q - dmin·mn, q in 0..31.
 *
 *     2 bytes f16 d | 2 bytes f16 dmin | 12 bytes scales (kblock.h) | 32 bytes: bit s of byte j = fifth bit of element j
 *     of sub-block s | 128 bytes of low nibbles as in q4_k */
#include "core/quant/kblock.h"

static void q5_k_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 256, b += 176) {
        const float d = half_get(half_load(b)), dmin = half_get(half_load(b + 2));
        uint8_t sc[8], mn[8];
        kblock_scales(b + 4, sc, mn);
        for (int s = 0; s < 8; s++) {
            const float a = d * (float)sc[s], m = dmin * (float)mn[s];
            for (int j = 0; j < 32; j++) {
                const int q = (b[48 + 32 * (s / 2) + j] >> 4 * (s & 1) & 15) | (b[16 + j] >> s & 1) << 4;
                dst[i + 32 * s + j] = a * (float)q - m;
            }
        }
    }
}

static void q5_k_encode(const float *src, const float *importance, void *dst, size_t n)
{
    static const struct fit_trials plain = { -0.5f, 0.1f, 15, false };
    uint8_t *b = dst, code[256];
    for (size_t i = 0; i < n; i += 256, b += 176) {
        kblock_quantize(src + i, importance ? importance + i : NULL, 31, &plain, b, code);
        memset(b + 16, 0, 32);
        for (int j = 0; j < 256; j++)
            b[16 + j % 32] |= (uint8_t)((code[j] >> 4) << (j / 32));
        for (int c = 0; c < 4; c++)
            for (int j = 0; j < 32; j++)
                b[48 + 32 * c + j] = (uint8_t)((code[64 * c + j] & 15) | (code[64 * c + 32 + j] & 15) << 4);
    }
}

static void q5_k_quantize(const float *src, void *dst, size_t n) { q5_k_encode(src, NULL, dst, n); }
static size_t q5_k_check(const void *src, size_t n) { return format_check_halves(src, n, 256, 176, 2); }
static void q5_k_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    kblock_pack(src, stride, rows, cols, panel, 32);
}

const struct qtype qtype_q5_k = { "q5_k", 13, 256, 176, q5_k_dequant, q5_k_quantize, q5_k_check, q5_k_pack, PANEL_K5, q5_k_encode };
