/* mxfp4.c: OCP microscaling FP4: blocks of 32 with a power of two as scale and 4-bit floats (E2M1) as codes.
 *
 *     1 byte e | 16 bytes: low nibble of byte j = element j, high nibble = element j+16
 *
 * A code is sign, two bits of exponent, one of mantissa: 0 0.5 1 1.5 2 3 4 6 and their negatives; x = 2^(e-127) · code. The
 * kernel's book holds the values doubled, hence 2^(e-128) below. e = 255 is "not a number".
 *
 * Quantizing: e = floor(log2 max|x|) - 2, so that the peak lies in [4, 8); nearest value, the first of two equally near. */
#include "core/quant/format.h"

static inline float mxfp4_value(int code) { return (float)((int)panel_book_mx4[code] - 12); }
static inline float mxfp4_scale(uint8_t e) { return half_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23); }

static void mxfp4_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 17) {
        const float d = mxfp4_scale(b[0]);
        for (int j = 0; j < 16; j++) {
            dst[i + j] = mxfp4_value(b[1 + j] & 15) * d;
            dst[i + j + 16] = mxfp4_value(b[1 + j] >> 4) * d;
        }
    }
}

static uint8_t mxfp4_code(float x, float d)
{
    float least = fabsf(mxfp4_value(0) * d - x);
    int best = 0;
    for (int c = 1; c < 16; c++) {
        const float error = fabsf(mxfp4_value(c) * d - x);
        if (error < least)
            least = error, best = c;
    }
    return (uint8_t)best;
}

static void mxfp4_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst, code[32];
    for (size_t i = 0; i < n; i += 32, b += 17) {
        float most = 0;
        for (int j = 0; j < 32; j++)
            most = fabsf(src[i + j]) > most ? fabsf(src[i + j]) : most;
        const int e = most > 0 ? (int)floorf(log2f(most)) + 125 : 0;
        b[0] = (uint8_t)fit_clamp(e, 0, 254);
        for (int j = 0; j < 32; j++)
            code[j] = mxfp4_code(src[i + j], mxfp4_scale(b[0]));
        format_put_codes(code, b + 1, NULL);
    }
}

static size_t mxfp4_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i += 32)
        if (((const uint8_t *)src)[i / 32 * 17] == 255)
            return i;
    return SIZE_MAX;
}

static void mxfp4_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_MX4, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 32, b += 17, out += 272) {
            out[r] = b[0];
            format_panel_nibbles(out + 16, r, b + 1);
        }
    }
}

const struct qtype qtype_mxfp4 = { "mxfp4", 39, 32, 17, mxfp4_dequant, mxfp4_quantize, mxfp4_check, mxfp4_pack, PANEL_MX4, NULL };
