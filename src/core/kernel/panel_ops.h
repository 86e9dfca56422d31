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
#include "core/kernel/pair_ops.h"

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

LANE_INLINE bool panel_is_k(enum panel_kind kind) { return kind >= PANEL_K2; }
/* A minimum for each block of 32 columns. K2 has two, see panel_halves. */
LANE_INLINE bool panel_has_min(enum panel_kind kind)
{
    return kind == PANEL_Q4M || kind == PANEL_Q5M || kind == PANEL_K4 || kind == PANEL_K5;
}
/* Columns 0..15 and 16..31 of a block have scales of their own. */
LANE_INLINE bool panel_halves(enum panel_kind kind) { return kind == PANEL_K2 || kind == PANEL_K3 || kind == PANEL_K6; }
/* Quants are whole bytes once unpacked: more than the 7 bits that all products take unharmed. */
LANE_INLINE bool panel_wide(enum panel_kind kind) { return kind == PANEL_Q8 || kind == PANEL_NL4 || kind == PANEL_NF4; }
LANE_INLINE const uint8_t *panel_book(enum panel_kind kind)
{
    return kind == PANEL_NL4 ? panel_book_nl4 : kind == PANEL_NF4 ? panel_book_nf4 : kind == PANEL_MX4 ? panel_book_mx4 : NULL;
}
LANE_INLINE bool panel_five(enum panel_kind kind)
{
    return kind == PANEL_Q5 || kind == PANEL_Q5M || kind == PANEL_K5;
}
LANE_INLINE int32_t panel_offset(enum panel_kind kind)
{
    return panel_wide(kind)    ? 128
           : kind == PANEL_Q4  ? 8
           : kind == PANEL_Q5  ? 16
           : kind == PANEL_MX4 ? 12
           : kind == PANEL_K3  ? 4
           : kind == PANEL_K6  ? 32
                               : 0;
}

LANE_INLINE size_t panel_quant_bytes(enum panel_kind kind)
{
    return kind == PANEL_Q8   ? 512
           : panel_five(kind) ? 320
           : kind == PANEL_K2 ? 128
           : kind == PANEL_K3 ? 192
           : kind == PANEL_K6 ? 384
                              : 256;
}

/* Low bits (2), and K3's third bit: a = columns 4k.., b = columns 16 + 4k.. */
LANE_INLINE void panel_unpack_low(const enum panel_kind kind, const uint8_t *w, const int k, vi *a, vi *b)
{
    const uint8_t *low = w + (kind == PANEL_K3 ? 64 : 0);
    const vi two = vi_set(0x03030303), bit2 = vi_set(0x04040404);
    *a = vi_and(vi_shr(vi_load(low), (unsigned)(2 * k)), two);
    *b = vi_and(vi_shr(vi_load(low + 64), (unsigned)(2 * k)), two);
    if (kind == PANEL_K3) {
        const vi h = vi_load(w);
        *a = vi_or(*a, vi_and(k < 2 ? vi_shl(h, (unsigned)(2 - k)) : vi_shr(h, (unsigned)(k - 2)), bit2));
        *b = vi_or(*b, vi_and(vi_shr(h, (unsigned)(k + 2)), bit2));
    }
}

/* Line k of the quants at w: a = columns 4k.., b = columns 16 + 4k.. */
LANE_INLINE void panel_unpack(const enum panel_kind kind, const uint8_t *w, const int k, vi *a, vi *b)
{
    if (kind == PANEL_Q8) {
        *a = vi_load(w + 64 * k);
        *b = vi_load(w + 64 * (k + 4));
        return;
    }
    if (kind == PANEL_K2 || kind == PANEL_K3) {
        panel_unpack_low(kind, w, k, a, b);
        return;
    }
    const vi v = vi_load(w + panel_quant_bytes(kind) - 256 + 64 * k), low4 = vi_set(0x0F0F0F0F);
    *a = vi_and(v, low4);
    *b = vi_and(VI_SHR(v, 4), low4);
    if (panel_book(kind)) {
        *a = vi_book(panel_book(kind), *a);
        *b = vi_book(panel_book(kind), *b);
    }
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
    return panel_wide(kind) ? (float)LANE_BYTE_OFFSET : (float)panel_offset(kind);
}

/* Quants of one block times rows [row, row + R) of x: exact sums, offset included. lo: all columns, or for kinds with two
 * scales columns 0..15 with 16..31 in hi. Returns the bytes read. */
LANE_INLINE size_t panel_sums(const enum panel_kind kind, const int R, const uint8_t *w, const int8_t (*x)[PANEL_BLOCK],
                              vi *lo, vi *hi)
{
    LANE_UNROLL
    for (int r = 0; r < R; r++)
        lo[r] = hi[r] = vi_set(0);
    /* One row alone: two chains of products instead of one hide the latency. */
    const bool split = panel_halves(kind) || R == 1;
    LANE_UNROLL
    for (int k = 0; k < 4; k++) {
        vi a, b;
        panel_unpack(kind, w, k, &a, &b);
        LANE_UNROLL
        for (int r = 0; r < R; r++) {
            vi *second = split ? hi : lo;
            const vi xa = vi_bytes(x[r] + 4 * k), xb = vi_bytes(x[r] + 16 + 4 * k);
            lo[r] = panel_wide(kind) ? vi_dot8(lo[r], a, xa) : vi_dot7(lo[r], a, xa);
            second[r] = panel_wide(kind) ? vi_dot8(second[r], b, xb) : vi_dot7(second[r], b, xb);
        }
    }
    if (split && !panel_halves(kind))
        lo[0] = vi_add(lo[0], hi[0]);
    return panel_quant_bytes(kind);
}

/* The scales of a block: d and m, with halves also the scales s and minima t of each, from w; K kinds keep the f16 factors
 * of 256 columns in `big`. Returns the bytes read. */
struct panel_scales { vf d, m, s[2], t[2], big_d, big_m; };
LANE_INLINE struct panel_scales panel_no_scales(void)
{
    const vf z = vf_zero();
    return (struct panel_scales){ z, z, { z, z }, { z, z }, z, z };
}
LANE_INLINE size_t panel_read_scales(const enum panel_kind kind, const uint8_t *w, size_t b, struct panel_scales *s)
{
    const uint8_t *start = w;
    if (kind == PANEL_MX4) { /* an exponent is the upper bits of an f32; the book is doubled, hence the half */
        s->d = vf_mul(vf_from_bits(VI_SHL(vi_load_u8(w), 23)), vf_set(0.5f));
        return 16;
    }
    if (!panel_is_k(kind)) {
        s->d = vf_load_f16((const uint16_t *)w);
        if (panel_has_min(kind))
            s->m = vf_load_f16((const uint16_t *)w + LANES);
        return panel_has_min(kind) ? 64 : 32;
    }
    if (b % 8 == 0) {
        s->big_d = vf_load_f16((const uint16_t *)w);
        w += 32;
        if (kind != PANEL_K3 && kind != PANEL_K6) {
            s->big_m = vf_neg(vf_load_f16((const uint16_t *)w));
            w += 32;
        }
    }
    if (panel_halves(kind)) {
        s->d = s->big_d;
        s->m = s->big_m;
        LANE_UNROLL
        for (int h = 0; h < 2; h++) {
            const vi both = vi_load_u8(w + h * LANES);
            s->s[h] = kind == PANEL_K2 ? vf_from_int(vi_and(both, vi_set(15)))
                                       : vf_from_int(vi_load_i8((const int8_t *)w + h * LANES));
            s->t[h] = vf_from_int(VI_SHR(both, 4));
        }
    } else {
        s->d = vf_mul(s->big_d, vf_from_int(vi_load_u8(w)));
        s->m = vf_mul(s->big_m, vf_from_int(vi_load_u8(w + LANES)));
    }
    return (size_t)(w - start) + 32;
}

/* K2: - e d_x (t[0] Σ first half of x + t[1] Σ second half); the bracket is an exact integer. */
LANE_INLINE vf panel_half_mins(vf m, const vf *t, float d, float sum, float half, vf acc)
{
    const vf both = vf_fma(t[0], vf_set(sum - half), vf_mul(t[1], vf_set(half)));
    return vf_fma(vf_mul(m, vf_set(d)), both, acc);
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
            if (panel_halves(kind)) {
                /* 2 · 65,024 · 128 < 2^24: these differences, products and their sum are exact in f32. */
                sum = vf_fma(vf_set(x->sum[i] - x->half[i]), vf_set(-left), sum);
                const vf high = vf_fma(vf_set(x->half[i]), vf_set(-left), vf_from_int(hi[r]));
                sum = vf_fma(sum, s.s[0], vf_mul(high, s.s[1]));
            } else if (left != 0) {
                sum = vf_fma(vf_set(x->sum[i]), vf_set(-left), sum);
            }
            acc[r] = vf_fma(vf_mul(s.d, vf_set(x->d[i])), sum, acc[r]);
            if (panel_has_min(kind))
                acc[r] = vf_fma(s.m, vf_set(x->s[i]), acc[r]);
            if (kind == PANEL_K2)
                acc[r] = panel_half_mins(s.m, s.t, x->d[i], x->sum[i], x->half[i], acc[r]);
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
PANEL_INT(NL4)
PANEL_INT(NF4)
PANEL_INT(MX4)
PANEL_INT(K2)
PANEL_INT(K3)
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

#if !defined(__AMX_BF16__) /* amx_ops.h has its own */
#define PANEL_PAIR_GEMM pair_gemm
#else
static void amx_gemm_pairs(size_t m, size_t n, size_t k, const uint16_t *a, size_t lda, const uint16_t *b, size_t panel,
                           float *c, size_t ldc, bool add);
#define PANEL_PAIR_GEMM amx_gemm_pairs
#endif
static void panel_mul_PAIRS(PANEL_ARGS)
{
    const size_t end = p1 * LANES < w->rows ? p1 * LANES : w->rows, panel = w->panel_bytes / sizeof(uint16_t);
    PANEL_PAIR_GEMM(i1 - i0, end - p0 * LANES, w->cols, act->halves + i0 * act->cols, act->cols,
                    (const uint16_t *)w->panels + p0 * panel, panel, y + i0 * ldy + p0 * LANES, ldy, false);
}
PANEL_FLOAT(F32, float, gemm_f32)
PANEL_FLOAT(F16, uint16_t, gemm_f16)
PANEL_FLOAT(BF16, uint16_t, gemm_bf16)
#endif
