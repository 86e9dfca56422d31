/* q8_0.c: blocks of 32 signed bytes with one scale: value = d q.
 *
 *     2 bytes f16 d | 32 signed bytes
 *
 * d = max|x| / 127, q = x/d rounded, halves away from zero. */
#include "core/quant/format.h"

static void q8_0_dequant(const void *src, float *dst, size_t n)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i += 32, b += 34) {
        const float d = half_get(half_load(b));
        for (int j = 0; j < 32; j++)
            dst[i + j] = (float)(int8_t)b[2 + j] * d;
    }
}

static void q8_0_quantize(const float *src, void *dst, size_t n)
{
    uint8_t *b = dst;
    for (size_t i = 0; i < n; i += 32, b += 34) {
        float most = 0;
        for (int j = 0; j < 32; j++)
            most = fabsf(src[i + j]) > most ? fabsf(src[i + j]) : most;
        const float d = most / 127.0f, id = format_inverse(d);
        half_store(b, half_put(d));
        for (int j = 0; j < 32; j++) {
            const float a = fabsf(src[i + j] * id), whole = floorf(a), up = whole + floorf(2 * (a - whole));
            const int q = (int)up > 127 ? 127 : (int)up;
            b[2 + j] = (uint8_t)(src[i + j] < 0 ? -q : q);
        }
    }
}

static size_t q8_0_check(const void *src, size_t n) { return format_check_halves(src, n, 32, 34, 1); }

static void q8_0_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    if (rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(PANEL_Q8, cols));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *b = (const uint8_t *)src + r * stride;
        uint8_t *out = panel;
        for (size_t c = 0; c < cols; c += 32, b += 34, out += 544) {
            memcpy(out + 2 * r, b, 2);
            for (int k = 0; k < 8; k++) {
                uint32_t t;
                memcpy(&t, b + 2 + 4 * k, 4);
                t ^= 0x80808080u;
                memcpy(out + 32 + 64 * k + 4 * r, &t, 4);
            }
        }
    }
}

const struct qtype qtype_q8_0 = { "q8_0", 8, 32, 34, q8_0_dequant, q8_0_quantize, q8_0_check, q8_0_pack, PANEL_Q8 };
