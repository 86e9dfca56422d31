/* vector_ops.h: functions on one or two rows of numbers: reductions, maps, norms, conversions.
 * The contracts are in kernel.h; this is the body that level.c compiles once per instruction set. */
#ifndef KERNEL_VECTOR_OPS_H
#define KERNEL_VECTOR_OPS_H
#include <stdbool.h>
#include "core/kernel/lane_math.h"

/* Element i goes to lane i mod 64: four accumulators, one for each 16 of 64. BODY(i, part) sees offset and length. */
#define VEC_REDUCE(BODY) \
    vf s_[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() }; \
    size_t i = 0; \
    for (; i + 4 * LANES <= n; i += 4 * LANES) { \
        s_[0] = BODY(vf_load, , i, s_[0]); \
        s_[1] = BODY(vf_load, , i + LANES, s_[1]); \
        s_[2] = BODY(vf_load, , i + 2 * LANES, s_[2]); \
        s_[3] = BODY(vf_load, , i + 3 * LANES, s_[3]); \
    } \
    for (int j_ = 0; i < n; i += LANES, j_++) { \
        const size_t m_ = n - i < LANES ? n - i : LANES; \
        s_[j_] = BODY(vf_loadn, VEC_COMMA m_, i, s_[j_]); \
    } \
    return vf_sum(vf_add(vf_add(s_[0], s_[1]), vf_add(s_[2], s_[3])))
#define VEC_COMMA ,
#define VEC_DOT(load, m, at, s) vf_fma(load(a + (at) m), load(b + (at) m), s)
#define VEC_SUM(load, m, at, s) vf_add(load(x + (at) m), s)

static float vec_dot(const float *a, const float *b, size_t n) { VEC_REDUCE(VEC_DOT); }
static float vec_sum(const float *x, size_t n) { VEC_REDUCE(VEC_SUM); }
static float vec_sum_squares(const float *x, size_t n) { return vec_dot(x, x, n); }

static float vec_sum_squares_from(const float *x, float mean, size_t n)
{
    float part[4 * LANES];
    vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
    for (size_t i = 0; i < n; i += 4 * LANES) {
        const size_t m = n - i < 4 * LANES ? n - i : 4 * LANES;
        for (size_t j = 0; j < 4 * LANES; j++)
            part[j] = j < m ? x[i + j] - mean : 0.0f;
        for (int j = 0; j < 4; j++) {
            const vf d = vf_load(part + j * LANES);
            s[j] = vf_fma(d, d, s[j]);
        }
    }
    return vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
}

static float vec_max(const float *x, size_t n)
{
    vf m = vf_set(-INFINITY);
    size_t i = 0;
    bool nan = false;
    for (; i + LANES <= n; i += LANES)
        m = vf_max(m, vf_load(x + i)); /* a NaN in x replaces m, and is replaced again: looked for below */
    float top = vf_top(m);
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    const float sum = vec_sum(x, n);
    for (i = 0; sum != sum && i < n; i++) /* a sum may also be NaN because of opposite infinities */
        nan |= x[i] != x[i];
    return nan ? NAN : top;
}

static int32_t vec_dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
    vi s = vi_set(0);
    const vi flip = vi_set((int32_t)0x80808080u), ones = vi_set(0x01010101);
    vi sum_b = vi_set(0);
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const vi vb = vi_load(b + i);
        s = vi_dot8(s, vi_xor(vi_load(a + i), flip), vb);
        if (LANE_BYTE_OFFSET)
            sum_b = vi_dot7(sum_b, ones, vb);
    }
    int32_t t = vi_sum(s) - LANE_BYTE_OFFSET * vi_sum(sum_b);
    for (; i < n; i++)
        t += (int32_t)a[i] * b[i];
    return t;
}

static void vec_dot_rows(const float *q, const float *base, size_t ld, size_t rows, size_t n, float *out)
{
    for (size_t i = 0; i < rows; i++)
        out[i] = vec_dot(q, base + i * ld, n);
}

/* q is the signed side, so its sum for the correction is taken once for all rows. */
static int32_t vec_code_sum(const int8_t *q, size_t whole)
{
    vi sum = vi_set(0);
    for (size_t i = 0; LANE_BYTE_OFFSET && i < whole; i += 4 * LANES)
        sum = vi_dot7(sum, vi_set(0x01010101), vi_load(q + i));
    return LANE_BYTE_OFFSET * vi_sum(sum);
}

LANE_INLINE int32_t vec_row_i8(const int8_t *q, const int8_t *b, size_t whole, size_t n, int32_t sum)
{
    const vi flip = vi_set((int32_t)0x80808080u);
    vi s = vi_set(0), t = vi_set(0);
    size_t i = 0;
    for (; i + 8 * LANES <= whole; i += 8 * LANES) {
        s = vi_dot8(s, vi_xor(vi_load(b + i), flip), vi_load(q + i));
        t = vi_dot8(t, vi_xor(vi_load(b + i + 4 * LANES), flip), vi_load(q + i + 4 * LANES));
    }
    for (; i < whole; i += 4 * LANES)
        s = vi_dot8(s, vi_xor(vi_load(b + i), flip), vi_load(q + i));
    int32_t dot = vi_sum(vi_add(s, t)) - sum;
    for (; i < n; i++)
        dot += (int32_t)q[i] * b[i];
    return dot;
}

static void vec_dot_rows_i8(const int8_t *q, const int8_t *base, size_t ld, size_t rows, size_t n, int32_t *out)
{
    const size_t whole = n / (4 * LANES) * (4 * LANES);
    const int32_t sum = vec_code_sum(q, whole);
    for (size_t r = 0; r < rows; r++)
        out[r] = vec_row_i8(q, base + r * ld, whole, n, sum);
}

static void vec_dot_some_i8(const int8_t *q, const int8_t *base, size_t ld, const uint32_t *rows, size_t count, size_t n, int32_t *out)
{
    const size_t whole = n / (4 * LANES) * (4 * LANES);
    const int32_t sum = vec_code_sum(q, whole);
    for (size_t r = 0; r < count; r++)
        out[r] = vec_row_i8(q, base + rows[r] * ld, whole, n, sum);
}

/* y[i] = EXPR of X(a) for each named input a. */
#define VEC_MAP(EXPR) \
    size_t i = 0; \
    for (; i + LANES <= n; i += LANES) \
        vf_store(y + i, EXPR(VEC_WHOLE)); \
    if (i < n) \
        vf_storen(y + i, EXPR(VEC_PART), n - i)
#define VEC_WHOLE(p) vf_load((p) + i)
#define VEC_PART(p) vf_loadn((p) + i, n - i)
#define VEC_FUNCTION(name, args, EXPR) static void name args { VEC_MAP(EXPR); }
#define X1 (float *y, const float *x, size_t n)

#define VEC_ADD(X) vf_add(X(a), X(b))
VEC_FUNCTION(vec_add, (float *y, const float *a, const float *b, size_t n), VEC_ADD)
#define VEC_MUL(X) vf_mul(X(a), X(b))
VEC_FUNCTION(vec_mul, (float *y, const float *a, const float *b, size_t n), VEC_MUL)
#define VEC_SCALE(X) vf_mul(X(x), vf_set(s))
VEC_FUNCTION(vec_scale, (float *y, const float *x, float s, size_t n), VEC_SCALE)
#define VEC_AXPY(X) vf_fma(X(x), vf_set(a), X(y))
VEC_FUNCTION(vec_axpy, (float *y, float a, const float *x, size_t n), VEC_AXPY)
#define VEC_EXP(X) lm_exp(X(x))
VEC_FUNCTION(vec_exp, X1, VEC_EXP)
#define VEC_TANH(X) lm_tanh(X(x))
VEC_FUNCTION(vec_tanh, X1, VEC_TANH)
#define VEC_SILU(X) lm_silu(X(x))
VEC_FUNCTION(vec_silu, X1, VEC_SILU)
#define VEC_GELU(X) lm_gelu(X(x))
VEC_FUNCTION(vec_gelu, X1, VEC_GELU)
#define VEC_GELU_TANH(X) lm_gelu_tanh(X(x))
VEC_FUNCTION(vec_gelu_tanh, X1, VEC_GELU_TANH)
#define VEC_SILU_MUL(X) vf_mul(lm_silu(X(gate)), X(up))
VEC_FUNCTION(vec_silu_mul, (float *y, const float *gate, const float *up, size_t n), VEC_SILU_MUL)
#define VEC_GELU_TANH_MUL(X) vf_mul(lm_gelu_tanh(X(gate)), X(up))
VEC_FUNCTION(vec_gelu_tanh_mul, (float *y, const float *gate, const float *up, size_t n), VEC_GELU_TANH_MUL)
#define VEC_SOFTCAP(X) vf_mul(vf_set(cap), lm_tanh(vf_div(X(x), vf_set(cap))))
VEC_FUNCTION(vec_softcap, (float *y, const float *x, float cap, size_t n), VEC_SOFTCAP)
#define VEC_NORM(X) vf_fma(vf_mul(vf_sub(X(x), vf_set(mean)), vf_set(inv)), X(w), X(b))
VEC_FUNCTION(vec_normed, (float *y, const float *x, const float *w, const float *b, float mean, float inv, size_t n),
             VEC_NORM)
#define VEC_RMS(X) vf_mul(vf_mul(X(x), vf_set(inv)), X(w))
VEC_FUNCTION(vec_rmsed, (float *y, const float *x, const float *w, float inv, size_t n), VEC_RMS)
#define VEC_SHIFT_EXP(X) lm_exp(vf_sub(X(x), vf_set(top)))
VEC_FUNCTION(vec_shift_exp, (float *y, const float *x, float top, size_t n), VEC_SHIFT_EXP)

#define VEC_MUL_ADD(X) vf_fma(X(a), X(b), X(y))
VEC_FUNCTION(vec_mul_add, (float *y, const float *a, const float *b, size_t n), VEC_MUL_ADD)
#define VEC_SILU_SLOPE(X) lm_silu_slope(X(x))
VEC_FUNCTION(vec_silu_slope, X1, VEC_SILU_SLOPE)
#define VEC_GELU_SLOPE(X) lm_gelu_slope(X(x))
VEC_FUNCTION(vec_gelu_slope, X1, VEC_GELU_SLOPE)
#define VEC_GELU_TANH_SLOPE(X) lm_gelu_tanh_slope(X(x))
VEC_FUNCTION(vec_gelu_tanh_slope, X1, VEC_GELU_TANH_SLOPE)

/* q = w dy, h = (x − mean) inv: dx = inv (q − a − h b), a and b being means of q and of q h. Without a mean: RMS. */
#define VEC_SUM_Q(load, m, at, s) vf_fma(load(w + (at) m), load(dy + (at) m), s)
#define VEC_SUM_QH(load, m, at, s) \
    vf_fma(vf_mul(load(w + (at) m), load(dy + (at) m)), vf_mul(vf_sub(load(x + (at) m), vf_set(mean)), vf_set(inv)), s)
static float vec_norm_q(const float *dy, const float *w, size_t n) { VEC_REDUCE(VEC_SUM_Q); }
static float vec_norm_qh(const float *dy, const float *x, const float *w, float mean, float inv, size_t n)
{
    VEC_REDUCE(VEC_SUM_QH);
}
#define VEC_NORM_BACK(X) \
    vf_mul(vf_set(inv), vf_fma(vf_mul(vf_sub(X(x), vf_set(mean)), vf_set(inv)), vf_set(-b), vf_fma(X(w), X(dy), vf_set(-a))))
VEC_FUNCTION(vec_norm_write, (float *y, const float *dy, const float *x, const float *w, float mean, float inv, float a, float b,
                              size_t n), VEC_NORM_BACK)
#define VEC_NORM_BACK_ADD(X) vf_add(X(y), VEC_NORM_BACK(X))
VEC_FUNCTION(vec_norm_add, (float *y, const float *dy, const float *x, const float *w, float mean, float inv, float a, float b,
                            size_t n), VEC_NORM_BACK_ADD)

static void vec_norm_back(float *dx, const float *dy, const float *x, const float *w, size_t n, float eps, bool layer, bool add,
                          float *stat)
{
    const float mean = layer ? vec_sum(x, n) / (float)n : 0.0f;
    const float inv = 1.0f / sqrtf((layer ? vec_sum_squares_from(x, mean, n) : vec_sum_squares(x, n)) / (float)n + eps);
    stat[0] = mean;
    stat[1] = inv;
    if (!dx)
        return;
    const float a = layer ? vec_norm_q(dy, w, n) / (float)n : 0.0f, b = vec_norm_qh(dy, x, w, mean, inv, n) / (float)n;
    if (add)
        vec_norm_add(dx, dy, x, w, mean, inv, a, b, n);
    else
        vec_norm_write(dx, dy, x, w, mean, inv, a, b, n);
}

static void vec_add_rows(float *y, size_t ldy, const float *b, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++, y += ldy)
        vec_add(y, y, b, n);
}

static void vec_rmsnorm(float *y, const float *x, const float *w, size_t n, float eps)
{
    const float inv = 1.0f / sqrtf(vec_sum_squares(x, n) / (float)n + eps);
    if (w)
        vec_rmsed(y, x, w, inv, n);
    else
        vec_scale(y, x, inv, n);
}

static void vec_layernorm(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
    const float mean = vec_sum(x, n) / (float)n;
    const float inv = 1.0f / sqrtf(vec_sum_squares_from(x, mean, n) / (float)n + eps);
    vec_normed(y, x, w, b, mean, inv, n);
}

static void vec_softmax(float *y, const float *x, size_t n)
{
    vec_shift_exp(y, x, vec_max(x, n), n);
    vec_scale(y, y, 1.0f / vec_sum(y, n), n);
}

static void vec_rope(float *x, const float *c, const float *s, size_t n, bool halves)
{
    const size_t h = n / 2;
    if (!halves) {
        for (size_t i = 0; i < h; i++) {
            const float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = fmaf(a, c[i], -(b * s[i]));
            x[2 * i + 1] = fmaf(b, c[i], a * s[i]);
        }
        return;
    }
    size_t i = 0;
    for (; i + LANES <= h; i += LANES) {
        const vf a = vf_load(x + i), b = vf_load(x + h + i), vc = vf_load(c + i), vs = vf_load(s + i);
        vf_store(x + i, vf_fma(a, vc, vf_neg(vf_mul(b, vs))));
        vf_store(x + h + i, vf_fma(b, vc, vf_mul(a, vs)));
    }
    for (; i < h; i++) {
        const float a = x[i], b = x[h + i];
        x[i] = fmaf(a, c[i], -(b * s[i]));
        x[h + i] = fmaf(b, c[i], a * s[i]);
    }
}

static void vec_f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(y + i, vf_load_f16(x + i));
    if (i < n) {
        uint16_t t[LANES] = { 0 };
        memcpy(t, x + i, (n - i) * sizeof *t);
        vf_storen(y + i, vf_load_f16(t), n - i);
    }
}

static void vec_f32_to_f16(uint16_t *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store_f16(y + i, vf_load(x + i));
    if (i < n) {
        uint16_t t[LANES];
        vf_store_f16(t, vf_loadn(x + i, n - i));
        memcpy(y + i, t, (n - i) * sizeof *t);
    }
}

static void vec_bf16_to_f32(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bhalf_get(x[i]);
}

static void vec_f32_to_bf16(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bhalf_put(x[i]);
}
#endif
