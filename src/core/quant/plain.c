/* plain.c: the formats without blocks: f32, f16, bf16. */
#include "core/kernel/kernel.h"
#include "core/quant/format.h"

static void f32_copy(const void *src, float *dst, size_t n) { memcpy(dst, src, n * sizeof *dst); }
static void f32_quantize(const float *src, void *dst, size_t n) { memcpy(dst, src, n * sizeof *src); }
static size_t f32_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, (const char *)src + 4 * i, 4);
        if ((u & 0x7F800000u) == 0x7F800000u)
            return i;
    }
    return SIZE_MAX;
}

/* Files align tensors, but rows inside a block of memory may sit anywhere: go through aligned pieces. */
static void f16_dequant(const void *src, float *dst, size_t n)
{
    uint16_t t[256];
    for (size_t i = 0; i < n; i += 256) {
        const size_t m = n - i < 256 ? n - i : 256;
        memcpy(t, (const char *)src + 2 * i, 2 * m);
        kernel_get()->f16_to_f32(dst + i, t, m);
    }
}
static void f16_quantize(const float *src, void *dst, size_t n)
{
    uint16_t t[256];
    for (size_t i = 0; i < n; i += 256) {
        const size_t m = n - i < 256 ? n - i : 256;
        kernel_get()->f32_to_f16(t, src + i, m);
        memcpy((char *)dst + 2 * i, t, 2 * m);
    }
}
static size_t f16_check(const void *src, size_t n) { return format_check_halves(src, n, 1, 2, 1); }

static void bf16_dequant(const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = bhalf_get(half_load((const char *)src + 2 * i));
}
static void bf16_quantize(const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        half_store((char *)dst + 2 * i, bhalf_put(src[i]));
}
static size_t bf16_check(const void *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((half_load((const char *)src + 2 * i) & 0x7F80u) == 0x7F80u)
            return i;
    return SIZE_MAX;
}

/* Transposes 16 rows of `size`-byte numbers. */
static inline void plain_pack(const void *src, size_t stride, size_t rows, size_t cols, void *panel, size_t size)
{
    char *out = panel;
    if (rows < PANEL_ROWS)
        memset(panel, 0, cols * PANEL_ROWS * size);
    for (size_t c = 0; c < cols; c += 16)
        for (size_t r = 0; r < rows; r++)
            for (size_t j = c; j < c + 16 && j < cols; j++)
                memcpy(out + (j * PANEL_ROWS + r) * size, (const char *)src + r * stride + j * size, size);
}
static void plain_pack4(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    plain_pack(src, stride, rows, cols, panel, 4);
}
static void plain_pack2(const void *src, size_t stride, size_t rows, size_t cols, void *panel)
{
    plain_pack(src, stride, rows, cols, panel, 2);
}

const struct qtype qtype_f32 = { "f32", 0, 1, 4, f32_copy, f32_quantize, f32_check, plain_pack4, PANEL_F32 };
const struct qtype qtype_f16 = { "f16", 1, 1, 2, f16_dequant, f16_quantize, f16_check, plain_pack2, PANEL_F16 };
const struct qtype qtype_bf16 = { "bf16", 30, 1, 2, bf16_dequant, bf16_quantize, bf16_check, plain_pack2, PANEL_BF16 };
