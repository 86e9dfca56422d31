/* panel_ops.h: products of quantized activations with packed panels, and the quantization of activations.
 *
 *     y[lane] = Σ over blocks of 32 columns:  (d_w[lane] · d_x) · Σ q_w q_x  (+ m_w[lane] · s_x)
 *
 * The inner sum is exact in int32; the outer one is a fused multiply-add per block, in block order, into the lane's own
 * accumulator. So the result of a row depends on nothing else, and R rows at a time only means that the unpacking of a
 * weight line is shared by R rows. Offsets (8, 16, 32, 128) leave through the block sums of x, before the scale,
 * in integers. Layouts are drawn in panel.h. */
#ifndef KERNEL_PANEL_OPS_H
#define KERNEL_PANEL_OPS_H
#include "core/kernel/gemm_ops.h"
#include "core/kernel/kernel.h"

static void panel_act_quantize(const float *x, size_t n, int8_t *q, struct act_block *blocks)
{
    for (size_t b = 0; b < n / PANEL_BLOCK; b++, x += PANEL_BLOCK, q += PANEL_BLOCK) {
        const vf x0 = vf_load(x), x1 = vf_load(x + LANES);
        /* Bits of |x| order like integers, with infinity and NaN on top. */
        const vi a = vi_max(vf_bits(vf_abs(x0)), vf_bits(vf_abs(x1)));
        int32_t t[LANES];
        vi_store(t, a);
        for (int w = LANES / 2; w > 0; w /= 2)
            for (int l = 0; l < w; l++)
                t[l] = t[l] > t[l + w] ? t[l] : t[l + w];
        float top;
        memcpy(&top, t, 4);
        /* Below 2^-100 the reciprocal could overflow; such a block is nothing next to any bias. */
        const bool zero = t[0] < 0x0D800000, bad = t[0] >= 0x7F800000;
        const float inv = zero || bad ? 0.0f : 127.0f / top;
        const vf vi_inv = vf_set(inv), none = vf_zero();
        const vi q0 = vf_to_int(bad ? none : vf_mul(x0, vi_inv)), q1 = vf_to_int(bad ? none : vf_mul(x1, vi_inv));
        vi_store_i8(q, q0);
        vi_store_i8(q + LANES, q1);
        blocks[b].d = bad ? NAN : zero ? 0.0f : top / 127.0f;
        blocks[b].sum[0] = vi_sum(q0);
        blocks[b].sum[1] = vi_sum(q1);
        blocks[b].s = blocks[b].d * (float)(blocks[b].sum[0] + blocks[b].sum[1]);
    }
}

/* R rows of x: pointers advance block by block, strides are from row to row. */
struct panel_x {
    const int8_t *q;
    const struct act_block *b;
    size_t q_row, b_row;
};

LANE_INLINE bool panel_is_k(enum panel_kind kind) { return kind == PANEL_K4 || kind == PANEL_K5 || kind == PANEL_K6; }
LANE_INLINE bool panel_has_min(enum panel_kind kind) { return kind == PANEL_Q4M || kind == PANEL_Q5M; }
LANE_INLINE bool panel_five(enum panel_kind kind)
{
    return kind == PANEL_Q5 || kind == PANEL_Q5M || kind == PANEL_K5;
}
LANE_INLINE int32_t panel_offset(enum panel_kind kind)
{
    return kind == PANEL_Q4 ? 8 : kind == PANEL_Q5 ? 16 : kind == PANEL_K6 ? 32 : kind == PANEL_Q8 ? LANE_BYTE_OFFSET : 0;
}

/* Quants of one block: exact sums of each half (columns 0..15 and 16..31) of R rows. Returns the bytes read. */
LANE_INLINE size_t panel_sums(const enum panel_kind kind, const int R, const uint8_t *w, struct panel_x x, vi *lo, vi *hi)
{
    const int32_t offset = panel_offset(kind);
    LANE_UNROLL
    for (int r = 0; r < R; r++) {
        const int32_t *sum = x.b[r * x.b_row].sum;
        lo[r] = offset ? vi_set(-offset * sum[0]) : vi_set(0);
        hi[r] = offset ? vi_set(-offset * sum[1]) : vi_set(0);
    }
    if (kind == PANEL_Q8) {
        LANE_UNROLL
        for (int k = 0; k < 4; k++) {
            const vi a = vi_load(w + 64 * k), b = vi_load(w + 64 * (k + 4));
            LANE_UNROLL
            for (int r = 0; r < R; r++) {
                lo[r] = vi_dot8(lo[r], a, vi_bytes(x.q + r * x.q_row + 4 * k));
                hi[r] = vi_dot8(hi[r], b, vi_bytes(x.q + r * x.q_row + 16 + 4 * k));
            }
        }
        return 512;
    }
    const vi low4 = vi_set(0x0F0F0F0F), bit4 = vi_set(0x10101010), bits45 = vi_set(0x30303030);
    const uint8_t *nibbles = w + (panel_five(kind) ? 64 : kind == PANEL_K6 ? 128 : 0);
    vi h0, h1;
    if (panel_five(kind) || kind == PANEL_K6)
        h0 = vi_load(w);
    if (kind == PANEL_K6)
        h1 = vi_load(w + 64);
    LANE_UNROLL
    for (int k = 0; k < 4; k++) {
        const vi v = vi_load(nibbles + 64 * k);
        vi a = vi_and(v, low4), b = vi_and(VI_SHR(v, 4), low4);
        if (panel_five(kind)) {
            a = vi_or(a, vi_and(vi_shl(h0, (unsigned)(4 - k)), bit4));
            b = vi_or(b, vi_and(vi_shr(h0, (unsigned)k), bit4));
        }
        if (kind == PANEL_K6) {
            a = vi_or(a, vi_and(k < 2 ? vi_shl(h0, (unsigned)(4 - 2 * k)) : vi_shr(h0, (unsigned)(2 * k - 4)), bits45));
            b = vi_or(b, vi_and(k < 2 ? vi_shl(h1, (unsigned)(4 - 2 * k)) : vi_shr(h1, (unsigned)(2 * k - 4)), bits45));
        }
        LANE_UNROLL
        for (int r = 0; r < R; r++) {
            lo[r] = vi_dot7(lo[r], a, vi_bytes(x.q + r * x.q_row + 4 * k));
            hi[r] = vi_dot7(hi[r], b, vi_bytes(x.q + r * x.q_row + 16 + 4 * k));
        }
    }
    return (size_t)(nibbles - w) + 256;
}

LANE_INLINE void panel_rows(const enum panel_kind kind, const int R, const uint8_t *w, size_t cols, struct panel_x x,
                            float *y, size_t ldy, size_t last)
{
    vf acc[LANE_INT_ROWS];
    LANE_UNROLL
    for (int r = 0; r < R; r++)
        acc[r] = vf_zero();
    vf big_d = vf_zero(), big_m = vf_zero();
    for (size_t b = 0; b < cols / PANEL_BLOCK; b++, x.q += PANEL_BLOCK, x.b++) {
        vi lo[LANE_INT_ROWS], hi[LANE_INT_ROWS], s0, s1;
        vf d, m;
        if (panel_is_k(kind)) {
            if (b % 8 == 0) {
                big_d = vf_load_f16((const uint16_t *)w);
                w += 32;
                if (kind != PANEL_K6) {
                    big_m = vf_neg(vf_load_f16((const uint16_t *)w));
                    w += 32;
                }
            }
            if (kind == PANEL_K6) {
                s0 = vi_load_i8((const int8_t *)w);
                s1 = vi_load_i8((const int8_t *)w + 16);
                d = big_d;
            } else {
                d = vf_mul(big_d, vf_from_int(vi_load_u8(w)));
                m = vf_mul(big_m, vf_from_int(vi_load_u8(w + 16)));
            }
            w += 32;
        } else {
            d = vf_load_f16((const uint16_t *)w);
            w += 32;
            if (panel_has_min(kind)) {
                m = vf_load_f16((const uint16_t *)w);
                w += 32;
            }
        }
        w += panel_sums(kind, R, w, x, lo, hi);
        LANE_UNROLL
        for (int r = 0; r < R; r++) {
            const struct act_block *xb = x.b + r * x.b_row;
            const vi sum = kind == PANEL_K6 ? vi_add(vi_mul(lo[r], s0), vi_mul(hi[r], s1)) : vi_add(lo[r], hi[r]);
            acc[r] = vf_fma(vf_mul(d, vf_set(xb->d)), vf_from_int(sum), acc[r]);
            if (panel_has_min(kind) || kind == PANEL_K4 || kind == PANEL_K5)
                acc[r] = vf_fma(m, vf_set(xb->s), acc[r]);
        }
    }
    LANE_UNROLL
    for (int r = 0; r < R; r++) {
        if (last == LANES)
            vf_store(y + r * ldy, acc[r]);
        else
            vf_storen(y + r * ldy, acc[r], last);
    }
}

#define PANEL_CASE(r) case r: panel_rows(kind, r, w, v->cols, x, yi, ldy, last); break;
LANE_INLINE void panel_mul(const enum panel_kind kind, const struct panel_view *v, size_t p0, size_t p1,
                           const struct act *act, size_t i0, size_t i1, float *y, size_t ldy)
{
    const size_t nb = act->cols / PANEL_BLOCK;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *w = (const uint8_t *)v->panels + p * v->panel_bytes;
        const size_t left = v->rows - p * LANES, last = left < LANES ? left : LANES;
        for (size_t i = i0; i < i1;) {
            const size_t left_rows = i1 - i, rows = left_rows < LANE_INT_ROWS ? left_rows : LANE_INT_ROWS;
            const struct panel_x x = { act->q + i * act->cols, act->blocks + i * nb, act->cols, nb };
            float *yi = y + i * ldy + p * LANES;
            switch (rows) {
            PANEL_CASE(1)
            PANEL_CASE(2)
#if LANE_INT_ROWS >= 3
            PANEL_CASE(3)
#endif
#if LANE_INT_ROWS == 8
            PANEL_CASE(4)
            PANEL_CASE(5)
            PANEL_CASE(6)
            PANEL_CASE(7)
            PANEL_CASE(8)
#endif
            }
            i += rows;
        }
    }
}

#define PANEL_ARGS \
    const struct panel_view *w, size_t p0, size_t p1, const float *x, size_t ldx, const struct act *act, size_t i0, \
        size_t i1, float *y, size_t ldy
#define PANEL_INT(kind) \
    static void panel_mul_##kind(PANEL_ARGS) { panel_mul(PANEL_##kind, w, p0, p1, act, i0, i1, y, ldy); }
PANEL_INT(Q4)
PANEL_INT(Q4M)
PANEL_INT(Q5)
PANEL_INT(Q5M)
PANEL_INT(Q8)
PANEL_INT(K4)
PANEL_INT(K5)
PANEL_INT(K6)

#define PANEL_FLOAT(kind, type, gemm) \
    static void panel_mul_##kind(PANEL_ARGS) \
    { \
        const size_t end = p1 * LANES < w->rows ? p1 * LANES : w->rows; \
        gemm(i1 - i0, end - p0 * LANES, w->cols, x + i0 * ldx, ldx, 1, \
             (const type *)((const char *)w->panels + p0 * w->panel_bytes), LANES, w->panel_bytes / sizeof(type), \
             y + i0 * ldy + p0 * LANES, ldy, false); \
    }
PANEL_FLOAT(F32, float, gemm_f32)
PANEL_FLOAT(F16, uint16_t, gemm_f16)
PANEL_FLOAT(BF16, uint16_t, gemm_bf16)
#endif
