/* lane.h: sixteen numbers side by side, the only thing the kernels are written in.
 *
 * `vf` is 16 floats, `vi` is 16 int32 (or 64 bytes). Three bodies for one meaning: AVX-512 registers, pairs of AVX2
 * registers, and plain arrays. The arrays are the definition. Everything is exactly rounded or integer, so the three
 * agree bit for bit; anything whose result is left to the processor (approximate reciprocals, min/max with NaN on the
 * other side, conversions out of range) stays out of this file.
 *
 * Only files compiled once per level include this; everything is static. */
#ifndef KERNEL_LANE_H
#define KERNEL_LANE_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "core/kernel/half.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES 16
#if !defined(__AVX2__) /* nothing to keep in registers: small code instead */
#define LANE_INLINE static inline __attribute__((unused))
#define LANE_UNROLL
#else
#define LANE_INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define LANE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LANE_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

/* How many rows of x one kernel call carries in registers, and whether byte products need the +128 correction. */
#if defined(__AVX512F__)
#define LANE_INT_ROWS 8
#elif defined(__AVX2__)
#define LANE_INT_ROWS 3
#else
#define LANE_INT_ROWS 2
#endif

#if defined(__AVX512F__)
/* ------------------------------------------------------------------ AVX-512 */
typedef __m512 vf;
typedef __m512i vi;

LANE_INLINE __mmask16 lane_mask(size_t n) { return (__mmask16)((1u << n) - 1); }
LANE_INLINE vf vf_set(float s) { return _mm512_set1_ps(s); }
LANE_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
LANE_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
LANE_INLINE vf vf_loadn(const float *p, size_t n) { return _mm512_maskz_loadu_ps(lane_mask(n), p); }
LANE_INLINE void vf_storen(float *p, vf a, size_t n) { _mm512_mask_storeu_ps(p, lane_mask(n), a); }
LANE_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
LANE_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
LANE_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
LANE_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
LANE_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
LANE_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
LANE_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
LANE_INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
LANE_INLINE vf vf_from_bits(vi a) { return _mm512_castsi512_ps(a); }
LANE_INLINE vi vf_bits(vf a) { return _mm512_castps_si512(a); }
LANE_INLINE vf vf_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
LANE_INLINE vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
LANE_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
LANE_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vf_from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
LANE_INLINE vi vi_set(int32_t s) { return _mm512_set1_epi32(s); }
LANE_INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
LANE_INLINE void vi_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
LANE_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
LANE_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
LANE_INLINE vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
LANE_INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
LANE_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
LANE_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
LANE_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
LANE_INLINE vi vi_shl(vi a, unsigned n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128((int)n)); }
LANE_INLINE vi vi_shr(vi a, unsigned n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128((int)n)); }
#define VI_SHL(a, n) _mm512_slli_epi32(a, n)
#define VI_SHR(a, n) _mm512_srli_epi32(a, n)
LANE_INLINE vi vi_load_u8(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
LANE_INLINE vi vi_load_i8(const int8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
LANE_INLINE void vi_store_i8(int8_t *p, vi a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
LANE_INLINE vi vi_book(const uint8_t *book, vi i)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)book)), i);
}
LANE_INLINE void vi_store_high(uint16_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16)));
}
/* Halves of pairs of registers change places, then quarters, and so on down to single numbers. */
LANE_INLINE void vi_turn(const vi *a, vi *b)
{
    vi t[LANES], u[LANES];
    LANE_UNROLL
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    LANE_UNROLL
    for (int i = 0; i < LANES; i += 4) {
        u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* u[4g + j], quarter q: column 4q + j of rows 4g .. 4g + 3. */
    LANE_UNROLL
    for (int j = 0; j < 4; j++) {
        const vi lo = _mm512_shuffle_i32x4(u[j], u[j + 4], 0x88), lo2 = _mm512_shuffle_i32x4(u[j + 8], u[j + 12], 0x88);
        const vi hi = _mm512_shuffle_i32x4(u[j], u[j + 4], 0xDD), hi2 = _mm512_shuffle_i32x4(u[j + 8], u[j + 12], 0xDD);
        b[j] = _mm512_shuffle_i32x4(lo, lo2, 0x88);
        b[j + 8] = _mm512_shuffle_i32x4(lo, lo2, 0xDD);
        b[j + 4] = _mm512_shuffle_i32x4(hi, hi2, 0x88);
        b[j + 12] = _mm512_shuffle_i32x4(hi, hi2, 0xDD);
    }
}
#if defined(__AVX512VNNI__)
#define LANE_BYTE_OFFSET 128
LANE_INLINE vi vi_dot7(vi acc, vi w, vi x) { return _mm512_dpbusd_epi32(acc, w, x); }
LANE_INLINE vi vi_dot8(vi acc, vi w, vi x) { return _mm512_dpbusd_epi32(acc, w, x); }
#else
#define LANE_BYTE_OFFSET 0
LANE_INLINE vi vi_dot7(vi acc, vi w, vi x)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), _mm512_set1_epi16(1)));
}
LANE_INLINE vi vi_dot8(vi acc, vi w, vi x)
{
    const vi s = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
    return vi_dot7(acc, _mm512_abs_epi8(s), _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(s), _mm512_setzero_si512(), x));
}
#endif

#elif defined(__AVX2__)
/* ------------------------------------------------------------------ AVX2 + FMA + F16C */
typedef struct { __m256 a, b; } vf;
typedef struct { __m256i a, b; } vi;

#define LANE_F2(x, y) ((vf){ x, y })
#define LANE_I2(x, y) ((vi){ x, y })
LANE_INLINE vf vf_set(float s) { return LANE_F2(_mm256_set1_ps(s), _mm256_set1_ps(s)); }
LANE_INLINE vf vf_load(const float *p) { return LANE_F2(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
LANE_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a.a); _mm256_storeu_ps(p + 8, a.b); }
LANE_INLINE vf vf_loadn(const float *p, size_t n)
{
    float t[LANES] = { 0 };
    memcpy(t, p, n * sizeof *t);
    return vf_load(t);
}
LANE_INLINE void vf_storen(float *p, vf a, size_t n)
{
    float t[LANES];
    vf_store(t, a);
    memcpy(p, t, n * sizeof *t);
}
LANE_INLINE vf vf_add(vf a, vf b) { return LANE_F2(_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)); }
LANE_INLINE vf vf_sub(vf a, vf b) { return LANE_F2(_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)); }
LANE_INLINE vf vf_mul(vf a, vf b) { return LANE_F2(_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)); }
LANE_INLINE vf vf_div(vf a, vf b) { return LANE_F2(_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b)); }
LANE_INLINE vf vf_max(vf a, vf b) { return LANE_F2(_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)); }
LANE_INLINE vf vf_min(vf a, vf b) { return LANE_F2(_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)); }
LANE_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return LANE_F2(_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b));
}
LANE_INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no)
{
    return LANE_F2(_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
                   _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ)));
}
LANE_INLINE vf vf_from_bits(vi a) { return LANE_F2(_mm256_castsi256_ps(a.a), _mm256_castsi256_ps(a.b)); }
LANE_INLINE vi vf_bits(vf a) { return LANE_I2(_mm256_castps_si256(a.a), _mm256_castps_si256(a.b)); }
LANE_INLINE vf vf_from_int(vi a) { return LANE_F2(_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)); }
LANE_INLINE vf vf_load_f16(const uint16_t *p)
{
    return LANE_F2(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                   _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))));
}
LANE_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
LANE_INLINE vf vf_load_bf16(const uint16_t *p)
{
    const vi t = LANE_I2(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)),
                         _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8))));
    return vf_from_bits(LANE_I2(_mm256_slli_epi32(t.a, 16), _mm256_slli_epi32(t.b, 16)));
}
LANE_INLINE vi vi_set(int32_t s) { return LANE_I2(_mm256_set1_epi32(s), _mm256_set1_epi32(s)); }
LANE_INLINE vi vi_load(const void *p)
{
    return LANE_I2(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1));
}
LANE_INLINE void vi_store(void *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, a.a);
    _mm256_storeu_si256((__m256i *)p + 1, a.b);
}
LANE_INLINE vi vi_add(vi a, vi b) { return LANE_I2(_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)); }
LANE_INLINE vi vi_sub(vi a, vi b) { return LANE_I2(_mm256_sub_epi32(a.a, b.a), _mm256_sub_epi32(a.b, b.b)); }
LANE_INLINE vi vi_mul(vi a, vi b) { return LANE_I2(_mm256_mullo_epi32(a.a, b.a), _mm256_mullo_epi32(a.b, b.b)); }
LANE_INLINE vi vi_max(vi a, vi b) { return LANE_I2(_mm256_max_epi32(a.a, b.a), _mm256_max_epi32(a.b, b.b)); }
LANE_INLINE vi vi_and(vi a, vi b) { return LANE_I2(_mm256_and_si256(a.a, b.a), _mm256_and_si256(a.b, b.b)); }
LANE_INLINE vi vi_or(vi a, vi b) { return LANE_I2(_mm256_or_si256(a.a, b.a), _mm256_or_si256(a.b, b.b)); }
LANE_INLINE vi vi_xor(vi a, vi b) { return LANE_I2(_mm256_xor_si256(a.a, b.a), _mm256_xor_si256(a.b, b.b)); }
#define VI_SHL(x, n) LANE_I2(_mm256_slli_epi32((x).a, n), _mm256_slli_epi32((x).b, n))
#define VI_SHR(x, n) LANE_I2(_mm256_srli_epi32((x).a, n), _mm256_srli_epi32((x).b, n))
LANE_INLINE vi vi_shl(vi x, unsigned n)
{
    const __m128i c = _mm_cvtsi32_si128((int)n);
    return LANE_I2(_mm256_sll_epi32(x.a, c), _mm256_sll_epi32(x.b, c));
}
LANE_INLINE vi vi_shr(vi x, unsigned n)
{
    const __m128i c = _mm_cvtsi32_si128((int)n);
    return LANE_I2(_mm256_srl_epi32(x.a, c), _mm256_srl_epi32(x.b, c));
}
LANE_INLINE vi vi_load_u8(const uint8_t *p)
{
    const __m128i t = _mm_loadu_si128((const __m128i *)p);
    return LANE_I2(_mm256_cvtepu8_epi32(t), _mm256_cvtepu8_epi32(_mm_srli_si128(t, 8)));
}
LANE_INLINE vi vi_load_i8(const int8_t *p)
{
    const __m128i t = _mm_loadu_si128((const __m128i *)p);
    return LANE_I2(_mm256_cvtepi8_epi32(t), _mm256_cvtepi8_epi32(_mm_srli_si128(t, 8)));
}
LANE_INLINE void vi_store_i8(int8_t *p, vi x)
{
    const __m128i a = _mm_packs_epi32(_mm256_castsi256_si128(x.a), _mm256_extracti128_si256(x.a, 1));
    const __m128i b = _mm_packs_epi32(_mm256_castsi256_si128(x.b), _mm256_extracti128_si256(x.b, 1));
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(a, b));
}
LANE_INLINE vi vi_book(const uint8_t *book, vi i)
{
    const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)book));
    return LANE_I2(_mm256_shuffle_epi8(t, i.a), _mm256_shuffle_epi8(t, i.b));
}
LANE_INLINE void vi_store_high(uint16_t *p, vi x)
{
    const __m256i t = _mm256_packus_epi32(_mm256_srli_epi32(x.a, 16), _mm256_srli_epi32(x.b, 16));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(t, 0xD8));
}
#define LANE_BYTE_OFFSET 0
LANE_INLINE __m256i lane_dot7(__m256i acc, __m256i w, __m256i x)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
/* |w - 128| <= 128 times |x| <= 127, twice: 32512 still fits the signed 16-bit sums of maddubs. */
LANE_INLINE __m256i lane_dot8(__m256i acc, __m256i w, __m256i x)
{
    const __m256i s = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    return lane_dot7(acc, _mm256_abs_epi8(s), _mm256_sign_epi8(x, s));
}
LANE_INLINE vi vi_dot7(vi acc, vi w, vi x) { return LANE_I2(lane_dot7(acc.a, w.a, x.a), lane_dot7(acc.b, w.b, x.b)); }
LANE_INLINE vi vi_dot8(vi acc, vi w, vi x) { return LANE_I2(lane_dot8(acc.a, w.a, x.a), lane_dot8(acc.b, w.b, x.b)); }

#else
/* ------------------------------------------------------------------ plain C: the definition */
typedef struct { float f[LANES]; } vf;
typedef struct { int32_t i[LANES]; } vi;

#define LANE_EACH(type, expr) \
    do { type r_; for (int l = 0; l < LANES; l++) r_.LANE_MEMBER_##type[l] = (expr); return r_; } while (0)
#define LANE_MEMBER_vf f
#define LANE_MEMBER_vi i
LANE_INLINE vf vf_set(float s) { LANE_EACH(vf, s); }
LANE_INLINE vf vf_load(const float *p) { LANE_EACH(vf, p[l]); }
LANE_INLINE void vf_store(float *p, vf a) { memcpy(p, a.f, sizeof a.f); }
LANE_INLINE vf vf_loadn(const float *p, size_t n) { LANE_EACH(vf, (size_t)l < n ? p[l] : 0.0f); }
LANE_INLINE void vf_storen(float *p, vf a, size_t n) { memcpy(p, a.f, n * sizeof *p); }
LANE_INLINE vf vf_add(vf a, vf b) { LANE_EACH(vf, a.f[l] + b.f[l]); }
LANE_INLINE vf vf_sub(vf a, vf b) { LANE_EACH(vf, a.f[l] - b.f[l]); }
LANE_INLINE vf vf_mul(vf a, vf b) { LANE_EACH(vf, a.f[l] * b.f[l]); }
LANE_INLINE vf vf_div(vf a, vf b) { LANE_EACH(vf, a.f[l] / b.f[l]); }
LANE_INLINE vf vf_max(vf a, vf b) { LANE_EACH(vf, a.f[l] > b.f[l] ? a.f[l] : b.f[l]); } /* b when unordered */
LANE_INLINE vf vf_min(vf a, vf b) { LANE_EACH(vf, a.f[l] < b.f[l] ? a.f[l] : b.f[l]); } /* b when unordered */
LANE_INLINE vf vf_fma(vf a, vf b, vf c) { LANE_EACH(vf, fmaf(a.f[l], b.f[l], c.f[l])); }
LANE_INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no) { LANE_EACH(vf, a.f[l] < b.f[l] ? yes.f[l] : no.f[l]); }
LANE_INLINE vf vf_from_bits(vi a) { vf r; memcpy(&r, &a, sizeof r); return r; }
LANE_INLINE vi vf_bits(vf a) { vi r; memcpy(&r, &a, sizeof r); return r; }
LANE_INLINE vf vf_from_int(vi a) { LANE_EACH(vf, (float)a.i[l]); }
LANE_INLINE vf vf_load_f16(const uint16_t *p) { LANE_EACH(vf, half_get(p[l])); }
LANE_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    for (int l = 0; l < LANES; l++)
        p[l] = half_put(a.f[l]);
}
LANE_INLINE vf vf_load_bf16(const uint16_t *p)
{
    vi t;
    for (int l = 0; l < LANES; l++)
        t.i[l] = (int32_t)((uint32_t)p[l] << 16);
    return vf_from_bits(t);
}
LANE_INLINE vi vi_set(int32_t s) { LANE_EACH(vi, s); }
LANE_INLINE vi vi_load(const void *p) { vi r; memcpy(&r, p, sizeof r); return r; }
LANE_INLINE void vi_store(void *p, vi a) { memcpy(p, &a, sizeof a); }
LANE_INLINE vi vi_add(vi a, vi b) { LANE_EACH(vi, (int32_t)((uint32_t)a.i[l] + (uint32_t)b.i[l])); }
LANE_INLINE vi vi_sub(vi a, vi b) { LANE_EACH(vi, (int32_t)((uint32_t)a.i[l] - (uint32_t)b.i[l])); }
LANE_INLINE vi vi_mul(vi a, vi b) { LANE_EACH(vi, (int32_t)((uint32_t)a.i[l] * (uint32_t)b.i[l])); }
LANE_INLINE vi vi_max(vi a, vi b) { LANE_EACH(vi, a.i[l] > b.i[l] ? a.i[l] : b.i[l]); }
LANE_INLINE vi vi_and(vi a, vi b) { LANE_EACH(vi, a.i[l] & b.i[l]); }
LANE_INLINE vi vi_or(vi a, vi b) { LANE_EACH(vi, a.i[l] | b.i[l]); }
LANE_INLINE vi vi_xor(vi a, vi b) { LANE_EACH(vi, a.i[l] ^ b.i[l]); }
LANE_INLINE vi vi_shl(vi a, unsigned n) { LANE_EACH(vi, (int32_t)((uint32_t)a.i[l] << n)); }
LANE_INLINE vi vi_shr(vi a, unsigned n) { LANE_EACH(vi, (int32_t)((uint32_t)a.i[l] >> n)); }
#define VI_SHL(a, n) vi_shl(a, n)
#define VI_SHR(a, n) vi_shr(a, n)
LANE_INLINE vi vi_load_u8(const uint8_t *p) { LANE_EACH(vi, p[l]); }
LANE_INLINE vi vi_load_i8(const int8_t *p) { LANE_EACH(vi, p[l]); }
LANE_INLINE void vi_store_i8(int8_t *p, vi a)
{
    for (int l = 0; l < LANES; l++)
        p[l] = (int8_t)a.i[l];
}
/* Each byte of i, 0..15, becomes that entry of the book. */
LANE_INLINE vi vi_book(const uint8_t *book, vi i)
{
    uint8_t b[4 * LANES];
    memcpy(b, &i, sizeof b);
    for (int l = 0; l < 4 * LANES; l++)
        b[l] = book[b[l] & 15];
    memcpy(&i, b, sizeof b);
    return i;
}
LANE_INLINE void vi_store_high(uint16_t *p, vi a)
{
    for (int l = 0; l < LANES; l++)
        p[l] = (uint16_t)((uint32_t)a.i[l] >> 16);
}
#define LANE_BYTE_OFFSET 128
/* acc[lane] += Σ of four products of an unsigned byte of w and a signed byte of x. */
LANE_INLINE vi vi_dot7(vi acc, vi w, vi x)
{
    uint8_t u[4 * LANES];
    int8_t s[4 * LANES];
    memcpy(u, &w, sizeof u);
    memcpy(s, &x, sizeof s);
    for (int l = 0; l < LANES; l++)
        acc.i[l] += u[4 * l] * s[4 * l] + u[4 * l + 1] * s[4 * l + 1] + u[4 * l + 2] * s[4 * l + 2] +
                    u[4 * l + 3] * s[4 * l + 3];
    return acc;
}
LANE_INLINE vi vi_dot8(vi acc, vi w, vi x) { return vi_dot7(acc, w, x); }
#endif

/* ------------------------------------------------------------------ common to all */
#if !defined(__AVX512F__)
LANE_INLINE void vi_turn(const vi *a, vi *b) /* b[i], lane l = a[l], lane i */
{
    int32_t t[LANES][LANES], u[LANES][LANES];
    memcpy(t, a, sizeof t);
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < LANES; l++)
            u[i][l] = t[l][i];
    memcpy(b, u, sizeof u);
}
#endif
LANE_INLINE vf vf_zero(void) { return vf_set(0.0f); }
LANE_INLINE vf vf_neg(vf a) { return vf_from_bits(vi_xor(vf_bits(a), vi_set(INT32_MIN))); }
LANE_INLINE vf vf_abs(vf a) { return vf_from_bits(vi_and(vf_bits(a), vi_set(INT32_MAX))); }
/* |magnitude| with the sign of sign */
LANE_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return vf_from_bits(vi_or(vi_and(vf_bits(magnitude), vi_set(INT32_MAX)), vi_and(vf_bits(sign), vi_set(INT32_MIN))));
}
/* The four bytes at p in every lane. */
LANE_INLINE vi vi_bytes(const int8_t *p)
{
    int32_t t;
    memcpy(&t, p, 4);
    return vi_set(t);
}
/* Nearest integer, halves to even, for |x| < 2^22: adding 1.5·2^23 leaves the integer in the low mantissa bits. */
#define LANE_MAGIC 12582912.0f
LANE_INLINE vf vf_round(vf a) { return vf_sub(vf_add(a, vf_set(LANE_MAGIC)), vf_set(LANE_MAGIC)); }
LANE_INLINE vi vf_to_int(vf a) { return vi_sub(vf_bits(vf_add(a, vf_set(LANE_MAGIC))), vi_set(0x4B400000)); }

/* Sum of lanes by halves, in one order everywhere. */
LANE_INLINE float vf_sum(vf a)
{
    float t[LANES];
    vf_store(t, a);
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int l = 0; l < w; l++)
            t[l] += t[l + w];
    return t[0];
}
LANE_INLINE float vf_top(vf a)
{
    float t[LANES];
    vf_store(t, a);
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int l = 0; l < w; l++)
            t[l] = t[l] > t[l + w] ? t[l] : t[l + w];
    return t[0];
}
LANE_INLINE int32_t vi_sum(vi a)
{
    int32_t t[LANES], s = 0;
    vi_store(t, a);
    for (int l = 0; l < LANES; l++)
        s += t[l];
    return s;
}
#endif
