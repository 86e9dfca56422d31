/* panel_ops.h: products of quantized activations with packed panels, and the quantization of activations.
 *
 *     y[lane] = Σ over blocks of 32 columns:  (d_w[lane] · d_x) · Σ q_w q_x  (+ m_w[lane] · s_x)
 *
 * The inner sum is exact in int32; the outer one is a fused multiply-add per block, in block order, into the lane's own
 * accumulator. So the result of a row depends on nothing else, and R rows at a time only means that the unpacking of a
 * weight line is shared by R rows. Offsets (8, 16, 32, 128) leave through the block sums of x before the scale,
 * exactly: all these numbers are integers below 2^24. Layouts are drawn in panel.h. */
#ifndef KERNEL_PANEL_OPS_H
#define KERNEL_PANEL_OPS_H
#include "core/kernel/gemm_ops.h"
#include "core/kernel/kernel.h"

#define PANEL_AHEAD 2048

static void panel_act_quantize(const float *x, size_t n, struct act_tile *tiles, size_t row)
{
    for (struct act_tile *tile = tiles; tile < tiles + n / PANEL_BLOCK; tile++, x += PANEL_BLOCK) {
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
        vi_store_i8(tile->q[row], q0);
        vi_store_i8(tile->q[row] + LANES, q1);
        const float half = (float)vi_sum(q1), sum = (float)vi_sum(vi_add(q0, q1));
        tile->d[row] = bad ? NAN : zero ? 0.0f : top / 127.0f;
        tile->s[row] = tile->d[row] * sum;
        tile->sum[row] = sum;
        tile->half[row] = half;
    }
}

LANE_INLINE bool panel_is_k(enum panel_kind kind) { return kind == PANEL_K4 || kind == PANEL_K5 || kind == PANEL_K6; }
LANE_INLINE bool panel_has_min(enum panel_kind kind) { return kind == PANEL_Q4M || kind == PANEL_Q5M; }
LANE_INLINE bool panel_five(enum panel_kind kind)
{
    return kind == PANEL_Q5 || kind == PANEL_Q5M || kind == PANEL_K5;
}
LANE_INLINE int32_t panel_offset(enum panel_kind kind)
{
    return kind == PANEL_Q4 ? 8 : kind == PANEL_Q5 ? 16 : kind == PANEL_K6 ? 32 : kind == PANEL_Q8 ? 128 : 0;
}

LANE_INLINE size_t panel_quant_bytes(enum panel_kind kind)
{
    return kind == PANEL_Q8 ? 512 : panel_five(kind) ? 320 : kind == PANEL_K6 ? 384 : 256;
}

/* Line k of nibbles with its high bits: a = columns 4k.., b = columns 16 + 4k.. */
LANE_INLINE void panel_unpack(const enum panel_kind kind, const uint8_t *w, const uint8_t *nibbles, const int k, vi *a, vi *b)
{
    const vi v = vi_load(nibbles + 64 * k), low4 = vi_set(0x0F0F0F0F);
    *a = vi_and(v, low4);
    *b = vi_and(VI_SHR(v, 4), low4);
    if (panel_five(kind)) {
        const vi h = vi_load(w), bit4 = vi_set(0x10101010);
        *a = vi_or(*a, vi_and(vi_shl(h, (unsigned)(4 - k)), bit4));
        *b = vi_or(*b, vi_and(vi_shr(h, (unsigned)k), bit4));
    }
    if (kind == PANEL_K6) {
        const vi h0 = vi_load(w), h1 = vi_load(w + 64), bits = vi_set(0x30303030);
        *a = vi_or(*a, vi_and(k < 2 ? vi_shl(h0, (unsigned)(4 - 2 * k)) : vi_shr(h0, (unsigned)(2 * k - 4)), bits));
        *b = vi_or(*b, vi_and(k < 2 ? vi_shl(h1, (unsigned)(4 - 2 * k)) : vi_shr(h1, (unsigned)(2 * k - 4)), bits));
    }
}

/* What the vector product leaves in the sums: AVX2's signed trick takes the 128 of byte lines off by itself. */
LANE_INLINE float panel_left(enum panel_kind kind)
{
    return kind == PANEL_Q8 ? (float)LANE_BYTE_OFFSET : (float)panel_offset(kind);
}

/* Quants of one block times rows [row, row + R) of x: exact sums, offset included. lo: all columns, or for K6 columns
 * 0..15 with 16..31 in hi. Returns the bytes read. */
LANE_INLINE size_t panel_sums(const enum panel_kind kind, const int R, const uint8_t *w, const int8_t (*x)[PANEL_BLOCK],
                              vi *lo, vi *hi)
{
    LANE_UNROLL
    for (int r = 0; r < R; r++)
        lo[r] = hi[r] = vi_set(0);
    /* One row alone: two chains of products instead of one hide the latency. */
    const bool split = kind == PANEL_K6 || R == 1;
    if (kind == PANEL_Q8) {
        LANE_UNROLL
        for (int k = 0; k < 4; k++) {
            const vi a = vi_load(w + 64 * k), b = vi_load(w + 64 * (k + 4));
            LANE_UNROLL
            for (int r = 0; r < R; r++) {
                vi *second = split ? hi : lo;
                lo[r] = vi_dot8(lo[r], a, vi_bytes(x[r] + 4 * k));
                second[r] = vi_dot8(second[r], b, vi_bytes(x[r] + 16 + 4 * k));
            }
        }
    } else {
        const uint8_t *nibbles = w + (panel_five(kind) ? 64 : kind == PANEL_K6 ? 128 : 0);
        LANE_UNROLL
        for (int k = 0; k < 4; k++) {
            vi a, b;
            panel_unpack(kind, w, nibbles, k, &a, &b);
            LANE_UNROLL
            for (int r = 0; r < R; r++) {
                vi *second = split ? hi : lo;
                lo[r] = vi_dot7(lo[r], a, vi_bytes(x[r] + 4 * k));
                second[r] = vi_dot7(second[r], b, vi_bytes(x[r] + 16 + 4 * k));
            }
        }
    }
    if (split && kind != PANEL_K6)
        lo[0] = vi_add(lo[0], hi[0]);
    return panel_quant_bytes(kind);
}

/* The scales of a block: d and m (or, for K6, d and the scales of both halves), from w; K kinds keep the f16 factors of
 * 256 columns in `big`. Returns the bytes read. */
struct panel_scales { vf d, m, s0, s1, big_d, big_m; };
LANE_INLINE struct panel_scales panel_no_scales(void)
{
    return (struct panel_scales){ vf_zero(), vf_zero(), vf_zero(), vf_zero(), vf_zero(), vf_zero() };
}
LANE_INLINE size_t panel_read_scales(const enum panel_kind kind, const uint8_t *w, size_t b, struct panel_scales *s)
{
    const uint8_t *start = w;
    if (!panel_is_k(kind)) {
        s->d = vf_load_f16((const uint16_t *)w);
        if (panel_has_min(kind))
            s->m = vf_load_f16((const uint16_t *)w + LANES);
        return panel_has_min(kind) ? 64 : 32;
    }
    if (b % 8 == 0) {
        s->big_d = vf_load_f16((const uint16_t *)w);
        w += 32;
        if (kind != PANEL_K6) {
            s->big_m = vf_neg(vf_load_f16((const uint16_t *)w));
            w += 32;
        }
    }
    if (kind == PANEL_K6) {
        s->d = s->big_d;
        s->s0 = vf_from_int(vi_load_i8((const int8_t *)w));
        s->s1 = vf_from_int(vi_load_i8((const int8_t *)w + LANES));
    } else {
        s->d = vf_mul(s->big_d, vf_from_int(vi_load_u8(w)));
        s->m = vf_mul(s->big_m, vf_from_int(vi_load_u8(w + LANES)));
    }
    return (size_t)(w - start) + 32;
}

LANE_INLINE void panel_rows(const enum panel_kind kind, const int R, const uint8_t *w, size_t cols, const struct act_tile *x,
                            size_t row, float *y, size_t ldy, size_t last)
{
    vf acc[LANE_INT_ROWS];
    struct panel_scales s = panel_no_scales();
    const float left = panel_left(kind);
    LANE_UNROLL
    for (int r = 0; r < R; r++)
        acc[r] = vf_zero();
    for (size_t b = 0; b < cols / PANEL_BLOCK; b++, x++) {
        vi lo[LANE_INT_ROWS], hi[LANE_INT_ROWS];
        w += panel_read_scales(kind, w, b, &s);
        if (R == 1) /* weights come from memory: ask for them over the page ends where the hardware's reading ahead stops */
            LANE_UNROLL
            for (int ahead = 0; ahead < (int)panel_quant_bytes(kind); ahead += 64)
                __builtin_prefetch(w + PANEL_AHEAD + ahead);
        w += panel_sums(kind, R, w, x->q + row, lo, hi);
        LANE_UNROLL
        for (int r = 0; r < R; r++) {
            const size_t i = row + (size_t)r;
            vf sum = vf_from_int(lo[r]);
            if (kind == PANEL_K6) {
                /* 2 · 65,024 · 128 < 2^24: these differences, products and their sum are exact in f32. */
                sum = vf_fma(vf_set(x->sum[i] - x->half[i]), vf_set(-left), sum);
                const vf high = vf_fma(vf_set(x->half[i]), vf_set(-left), vf_from_int(hi[r]));
                sum = vf_fma(sum, s.s0, vf_mul(high, s.s1));
            } else if (left != 0) {
                sum = vf_fma(vf_set(x->sum[i]), vf_set(-left), sum);
            }
            acc[r] = vf_fma(vf_mul(s.d, vf_set(x->d[i])), sum, acc[r]);
            if (panel_has_min(kind) || kind == PANEL_K4 || kind == PANEL_K5)
                acc[r] = vf_fma(s.m, vf_set(x->s[i]), acc[r]);
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

#define PANEL_CASE(r) case r: panel_rows(kind, r, w, v->cols, x, i % 16, yi, ldy, last); break;
LANE_INLINE void panel_mul(const enum panel_kind kind, const struct panel_view *v, size_t p0, size_t p1,
                           const struct act *act, size_t i0, size_t i1, float *y, size_t ldy)
{
    const size_t nb = act->cols / PANEL_BLOCK;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *w = (const uint8_t *)v->panels + p * v->panel_bytes;
        const size_t outputs = v->rows - p * LANES, last = outputs < LANES ? outputs : LANES;
        for (size_t i = i0; i < i1;) {
            const size_t in_tile = 16 - i % 16, want = i1 - i < in_tile ? i1 - i : in_tile;
            const size_t rows = want < LANE_INT_ROWS ? want : LANE_INT_ROWS;
            const struct act_tile *x = act->tiles + i / 16 * nb;
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
#if !defined(__AMX_INT8__) /* amx_ops.h has its own */
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
#endif

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
