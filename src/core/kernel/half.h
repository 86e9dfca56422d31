/* half.h: one 16-bit float to and from f32, in plain C; the same bits as the processors' own instructions.
 *
 * f16 = sign 1, exponent 5 (bias 15), mantissa 10. bf16 = the upper half of an f32. Rounding is to nearest even; NaN
 * stays NaN and becomes quiet. */
#ifndef KERNEL_HALF_H
#define KERNEL_HALF_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline float half_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t half_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static inline float half_get(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7FFFu) << 13;
    if (rest >= 0x0F800000u) /* infinity or NaN */
        return half_from_bits(sign | rest | 0x7F800000u | (rest > 0x0F800000u ? 0x00400000u : 0));
    /* Exponent and mantissa are in place; 2^112 shifts the bias, for normal and subnormal numbers alike. */
    return half_from_bits(sign | half_bits(half_from_bits(rest) * 0x1p112f));
}
static inline uint16_t half_put(float f)
{
    const uint16_t sign = (uint16_t)(half_bits(f) >> 16 & 0x8000u);
    uint32_t u = half_bits(f) & 0x7FFFFFFFu;
    if (u > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (u >> 13 & 0x3FFu));
    if (u >= 0x477FF000u) /* 65520 and up */
        return (uint16_t)(sign | 0x7C00u);
    if (u < 0x38800000u) /* subnormal: adding 0.5 lines the bits up, and rounds */
        return (uint16_t)(sign | (half_bits(half_from_bits(u) + 0.5f) - 0x3F000000u));
    u += 0xFFFu + (u >> 13 & 1u);
    return (uint16_t)(sign | (u - 0x38000000u) >> 13);
}
static inline bool half_is_finite(uint16_t h) { return (h & 0x7C00u) != 0x7C00u; }
static inline uint16_t half_load(const void *p) /* little-endian */
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline void half_store(void *p, uint16_t h)
{
    uint8_t *b = p;
    b[0] = (uint8_t)h;
    b[1] = (uint8_t)(h >> 8);
}
static inline float bhalf_get(uint16_t h) { return half_from_bits((uint32_t)h << 16); }
static inline uint16_t bhalf_put(float f)
{
    const uint32_t u = half_bits(f);
    return (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? u >> 16 | 0x40u : (u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}
#endif
