/* pair_ops.h: products of bf16 numbers with f32 sums, and packing into what they read (contracts in kernel.h).
 *
 * bf16 is the upper half of an f32, so the product of two is exact in f32 and only sums round. The processors' instructions
 * take two neighbours along the sum at once; B therefore lies in panels of 16 columns, a line for each pair of k:
 *
 *     line p:  B[2p,0] B[2p+1,0] | B[2p,1] B[2p+1,1] | ... | B[2p,15] B[2p+1,15]          64 bytes, 16 lanes of a pair
 *
 * A has plain rows. Both are padded with zeros to a multiple of 32 k, the depth of a tile (amx_ops.h). A block of 32 k
 * gives an element, as TDPBF16PS has it,
 *
 *     e = Σ a[2p] b[2p],  o = Σ a[2p+1] b[2p+1]   16 fused steps each, from 0;      C += e + o
 *
 * and that order is the definition, which level amx and the levels without such instructions share to the bit (but for
 * numbers below 2^-126, which tiles take for 0). Level bf16 has VDPBF16PS, which adds straight to C: for each pair first
 * the odd product, then the even one. Its results differ from the others' in the last bits, and by no more than rounding. */
#ifndef KERNEL_PAIR_OPS_H
#define KERNEL_PAIR_OPS_H
#include <stdbool.h>
#include "core/kernel/lane.h"

#define PAIR_DEPTH 32 /* k of a block */

/* ---- packing ---- */

/* The bf16 nearest to each lane, ties to even, in the upper halves; the lower ones are noise. A NaN stays one: a + a. */
LANE_INLINE vi pair_round(vf a)
{
    const vi u = vf_bits(a), r = vi_add(u, vi_add(vi_set(0x7FFF), vi_and(VI_SHR(u, 16), vi_set(1))));
    return vf_bits(vf_select_lt(vf_abs(a), vf_set(INFINITY), vf_from_bits(r), vf_add(a, a)));
}
LANE_INLINE vi pair_join(vf even, vf odd)
{
    return vi_or(VI_SHR(pair_round(even), 16), vi_and(pair_round(odd), vi_set((int32_t)0xFFFF0000u)));
}
LANE_INLINE size_t pair_depth(size_t k) { return (k + PAIR_DEPTH - 1) / PAIR_DEPTH * PAIR_DEPTH; }

static void pair_rows(const float *x, size_t ldx, size_t rows, size_t cols, uint16_t *y, size_t ldy)
{
    for (size_t i = 0; i < rows; i++, x += ldx, y += ldy) {
        size_t j = 0;
        for (; j + LANES <= cols; j += LANES)
            vi_store_high(y + j, pair_round(vf_load(x + j)));
        if (j < cols) {
            vi_store_high(y + j, pair_round(vf_loadn(x + j, cols - j)));
            j += LANES;
        }
        if (j < pair_depth(cols))
            memset(y + j, 0, (pair_depth(cols) - j) * sizeof *y);
    }
}

/* Line p of 16 columns of x, of which n exist. */
LANE_INLINE vi pair_line(const float *x, size_t ldx, size_t k, size_t n, size_t p)
{
    const vf even = 2 * p < k ? vf_loadn(x + 2 * p * ldx, n) : vf_zero();
    const vf odd = 2 * p + 1 < k ? vf_loadn(x + (2 * p + 1) * ldx, n) : vf_zero();
    return pair_join(even, odd);
}

static void pair_pack(const float *x, size_t ldx, size_t k, size_t n, uint16_t *y, size_t panel)
{
    for (size_t p = 0; p < pair_depth(k) / 2; p++)
        for (size_t j = 0; j < n; j += LANES)
            vi_store(y + j / LANES * panel + p * 2 * LANES, pair_line(x + j, ldx, k, n - j < LANES ? n - j : LANES, p));
}

/* 16 x 16 pairs: y[i] = column i of t. */
LANE_INLINE void pair_turn(const vi *t, uint16_t *y, size_t ldy)
{
    vi v[LANES];
    vi_turn(t, v);
    for (int i = 0; i < LANES; i++)
        vi_store(y + (size_t)i * ldy, v[i]);
}

static void pair_pack_turned(const float *x, size_t ldx, size_t n, size_t k, uint16_t *y, size_t panel)
{
    for (size_t i = 0; i < n; i += LANES, y += panel)
        for (size_t l = 0; l < pair_depth(k); l += PAIR_DEPTH) {
            const size_t rows = n - i < LANES ? n - i : LANES, cols = k - l < PAIR_DEPTH ? k - l : PAIR_DEPTH;
            uint16_t t[LANES][PAIR_DEPTH];
            vi v[LANES];
            if (rows < LANES)
                memset(t, 0, sizeof t);
            pair_rows(x + i * ldx + l, ldx, rows, cols, t[0], PAIR_DEPTH);
            for (int r = 0; r < LANES; r++)
                v[r] = vi_load(t[r]);
            pair_turn(v, y + l * LANES, 2 * LANES);
        }
}

static void pair_rows_turned(const float *x, size_t ldx, size_t k, size_t n, uint16_t *y, size_t ldy)
{
    for (size_t j = 0; j < n; j += LANES)
        for (size_t l = 0; l < pair_depth(k); l += PAIR_DEPTH) {
            const size_t cols = n - j < LANES ? n - j : LANES, some = k - l < PAIR_DEPTH ? k - l : PAIR_DEPTH;
            vi v[LANES], t[LANES];
            for (size_t p = 0; p < LANES; p++)
                v[p] = pair_line(x + l * ldx + j, ldx, some, cols, p);
            vi_turn(v, t);
            for (size_t i = 0; i < cols; i++)
                vi_store(y + (j + i) * ldy + l, t[i]);
        }
}

/* ---- the product ---- */

#if defined(__AVX512BF16__)
#define PAIR_ROWS 6
#define PAIR_WIDE 4
#elif defined(__AVX512F__)
#define PAIR_ROWS 2
#define PAIR_WIDE 4
#else
#define PAIR_ROWS 2
#define PAIR_WIDE 1
#endif

LANE_INLINE vi pair_set(const uint16_t *a)
{
    int32_t t;
    memcpy(&t, a, 4);
    return vi_set(t);
}

#if defined(__AVX512BF16__)
LANE_INLINE void pair_block(const int rows, const int cols, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel,
                            vf (*s)[PAIR_WIDE])
{
    for (size_t p = 0; p < PAIR_DEPTH / 2; p++) {
        vi w[PAIR_WIDE];
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            w[j] = vi_load(b + (size_t)j * panel + p * 2 * LANES);
        LANE_UNROLL
        for (int i = 0; i < rows; i++) {
            const vi x = pair_set(a + (size_t)i * lda + 2 * p);
            LANE_UNROLL
            for (int j = 0; j < cols; j++)
                s[i][j] = _mm512_dpbf16_ps(s[i][j], (__m512bh)x, (__m512bh)w[j]);
        }
    }
}
#else
LANE_INLINE void pair_block(const int rows, const int cols, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel,
                            vf (*s)[PAIR_WIDE])
{
    vf e[PAIR_ROWS][PAIR_WIDE], o[PAIR_ROWS][PAIR_WIDE];
    const vi high = vi_set((int32_t)0xFFFF0000u);
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            e[i][j] = o[i][j] = vf_zero();
    }
    for (size_t p = 0; p < PAIR_DEPTH / 2; p++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++) {
            const vi w = vi_load(b + (size_t)j * panel + p * 2 * LANES);
            const vf even = vf_from_bits(VI_SHL(w, 16)), odd = vf_from_bits(vi_and(w, high));
            LANE_UNROLL
            for (int i = 0; i < rows; i++) {
                const vi x = pair_set(a + (size_t)i * lda + 2 * p);
                e[i][j] = vf_fma(vf_from_bits(VI_SHL(x, 16)), even, e[i][j]);
                o[i][j] = vf_fma(vf_from_bits(vi_and(x, high)), odd, o[i][j]);
            }
        }
    }
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            s[i][j] = vf_add(s[i][j], vf_add(e[i][j], o[i][j]));
    }
}
#endif

/* `last` < 16 (then cols is 1): only so many columns of C exist. */
LANE_INLINE void pair_tile(const int rows, const int cols, size_t k, const uint16_t *a, size_t lda, const uint16_t *b,
                           size_t panel, float *c, size_t ldc, size_t last, bool add)
{
    vf s[PAIR_ROWS][PAIR_WIDE];
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            s[i][j] = !add ? vf_zero() : vf_loadn(c + (size_t)i * ldc + j * LANES, last);
    }
    for (size_t l = 0; l < k; l += PAIR_DEPTH)
        pair_block(rows, cols, a + l, lda, b + l * LANES, panel, s);
    LANE_UNROLL
    for (int i = 0; i < rows; i++) {
        LANE_UNROLL
        for (int j = 0; j < cols; j++)
            vf_storen(c + (size_t)i * ldc + j * LANES, s[i][j], last);
    }
}

#define PAIR_CASE(r) \
    case r: \
        if (wide) \
            pair_tile(r, PAIR_WIDE, k, a + i * lda, lda, bj, panel, cj, ldc, LANES, add); \
        else \
            pair_tile(r, 1, k, a + i * lda, lda, bj, panel, cj, ldc, last, add); \
        break;
static void __attribute__((unused)) pair_gemm(size_t m, size_t n, size_t k, const uint16_t *a, size_t lda, const uint16_t *b,
                                              size_t panel, float *c, size_t ldc, bool add)
{
    for (size_t j = 0; j < n;) {
        const bool wide = n - j >= PAIR_WIDE * LANES;
        const size_t last = n - j < LANES ? n - j : LANES;
        const uint16_t *bj = b + j / LANES * panel;
        for (size_t i = 0; i < m;) {
            const size_t rows = m - i < PAIR_ROWS ? m - i : PAIR_ROWS;
            float *cj = c + i * ldc + j;
            switch (rows) {
            PAIR_CASE(1)
            PAIR_CASE(2)
#if PAIR_ROWS == 6
            PAIR_CASE(3)
            PAIR_CASE(4)
            PAIR_CASE(5)
            PAIR_CASE(6)
#endif
            }
            i += rows;
        }
        j += wide ? PAIR_WIDE * LANES : LANES;
    }
}
#endif
