/* lane_math.h: exp, tanh, erf and what is built on them, on sixteen lanes.
 *
 * Polynomials fitted for minimax error (iteratively reweighted least squares) and evaluated by Horner's rule with fused
 * multiply-adds in one written order: unlike libm, the same bits on every machine and every width. NaN passes
 * through: bounds are applied with the NaN-keeping operand second (lane.h: min and max return b when unordered). */
#ifndef KERNEL_LANE_MATH_H
#define KERNEL_LANE_MATH_H
#include "core/kernel/lane.h"

#define LM_POLY(p, x, c) vf_fma(p, x, vf_set(c))

/* exp(x) = 2^n · exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) = 1 + r + r² q(r). ln 2 is taken off in two parts
 * (the first has 9 trailing zero bits, so n · part is exact). 2^n is applied as two factors so that the top of
 * the range overflows to infinity; below -87.33 (the smallest normal number) the result is 0. */
LANE_INLINE vf lm_exp(vf x)
{
    const vf c = vf_max(vf_set(-88.0f), vf_min(vf_set(89.0f), x));
    const vf n = vf_round(vf_mul(c, vf_set(1.44269504f)));
    const vf r = vf_fma(n, vf_set(-1.42860677e-6f), vf_fma(n, vf_set(-0.693145752f), c));
    vf q = vf_set(0.00138145708f);
    q = LM_POLY(q, r, 0.00836873055f);
    q = LM_POLY(q, r, 0.041668389f);
    q = LM_POLY(q, r, 0.166665211f);
    q = LM_POLY(q, r, 0.49999994f);
    q = vf_fma(vf_mul(r, r), q, r);
    q = vf_add(q, vf_set(1.0f));
    const vi i = vf_to_int(n);
    const vi half = vi_sub(VI_SHR(vi_add(i, vi_set(256)), 1), vi_set(128)); /* floor(n/2), n >= -256 */
    const vf s = vf_from_bits(VI_SHL(vi_add(half, vi_set(127)), 23));
    const vf t = vf_from_bits(VI_SHL(vi_add(vi_sub(i, half), vi_set(127)), 23));
    return vf_select_lt(x, vf_set(-87.3365448f), vf_zero(), vf_mul(vf_mul(q, s), t));
}

/* |x| < 0.625: x + x³ p(x²); else 1 - 2/(exp(2|x|) + 1) with the sign of x. */
LANE_INLINE vf lm_tanh(vf x)
{
    const vf a = vf_abs(x), s = vf_mul(x, x);
    vf p = vf_set(0.00214753882f);
    p = LM_POLY(p, s, -0.00818267651f);
    p = LM_POLY(p, s, 0.0217029676f);
    p = LM_POLY(p, s, -0.0539472029f);
    p = LM_POLY(p, s, 0.133332103f);
    p = LM_POLY(p, s, -0.333333313f);
    const vf small = vf_fma(vf_mul(x, s), p, x);
    const vf e = vf_add(lm_exp(vf_add(a, a)), vf_set(1.0f));
    const vf big = vf_sub(vf_set(1.0f), vf_div(vf_set(2.0f), e));
    return vf_select_lt(a, vf_set(0.625f), small, vf_copysign(big, x));
}

/* |x| < 1: x p(x²); else 1 - exp(-|x| g(|x|)) with the sign of x, |x| cut at 4 where erf is 1 in f32. */
LANE_INLINE vf lm_erf(vf x)
{
    const vf a = vf_min(vf_set(4.0f), vf_abs(x)), s = vf_mul(x, x);
    vf p = vf_set(7.88912294e-05f);
    p = LM_POLY(p, s, -0.000802084222f);
    p = LM_POLY(p, s, 0.00518953567f);
    p = LM_POLY(p, s, -0.0268544443f);
    p = LM_POLY(p, s, 0.112836003f);
    p = LM_POLY(p, s, -0.37612626f);
    p = LM_POLY(p, s, 1.12837911f);
    vf g = vf_set(4.42698638e-06f);
    g = LM_POLY(g, a, -3.93015871e-05f);
    g = LM_POLY(g, a, -8.18731205e-05f);
    g = LM_POLY(g, a, 0.00302024744f);
    g = LM_POLY(g, a, -0.0228215307f);
    g = LM_POLY(g, a, 0.105404153f);
    g = LM_POLY(g, a, 0.635551512f);
    g = LM_POLY(g, a, 1.12856793f);
    const vf big = vf_sub(vf_set(1.0f), lm_exp(vf_neg(vf_mul(a, g))));
    return vf_select_lt(a, vf_set(1.0f), vf_mul(x, p), vf_copysign(big, x));
}

LANE_INLINE vf lm_silu(vf x) { return vf_div(x, vf_add(vf_set(1.0f), lm_exp(vf_neg(x)))); }
LANE_INLINE vf lm_gelu(vf x)
{
    const vf h = vf_mul(x, vf_set(0.5f));
    return vf_fma(h, lm_erf(vf_mul(x, vf_set(0.707106781f))), h);
}
LANE_INLINE vf lm_gelu_tanh(vf x)
{
    const vf h = vf_mul(x, vf_set(0.5f));
    const vf u = vf_mul(x, vf_fma(vf_mul(x, x), vf_set(0.0356774081f), vf_set(0.797884561f)));
    return vf_fma(h, lm_tanh(u), h);
}
/* ---- slopes, for gradients ---- */

/* σ (1 + x (1 − σ)) */
LANE_INLINE vf lm_silu_slope(vf x)
{
    const vf s = vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), lm_exp(vf_neg(x))));
    return vf_mul(s, vf_fma(x, vf_sub(vf_set(1.0f), s), vf_set(1.0f)));
}
/* Φ(x) + x φ(x) */
LANE_INLINE vf lm_gelu_slope(vf x)
{
    const vf phi = vf_mul(vf_set(0.398942280f), lm_exp(vf_mul(vf_set(-0.5f), vf_mul(x, x))));
    const vf half = vf_fma(vf_set(0.5f), lm_erf(vf_mul(x, vf_set(0.707106781f))), vf_set(0.5f));
    return vf_select_lt(vf_abs(x), vf_set(100.0f), vf_fma(x, phi, half), half);
}
/* (1 + t)/2 + x/2 (1 − t²) u', t = tanh u */
LANE_INLINE vf lm_gelu_tanh_slope(vf x)
{
    const vf s = vf_mul(x, x);
    const vf t = lm_tanh(vf_mul(x, vf_fma(s, vf_set(0.0356774081f), vf_set(0.797884561f))));
    const vf u = vf_fma(s, vf_set(0.107032224f), vf_set(0.797884561f));
    const vf rest = vf_mul(vf_mul(vf_mul(vf_set(0.5f), x), vf_fma(vf_neg(t), t, vf_set(1.0f))), u);
    const vf half = vf_fma(vf_set(0.5f), t, vf_set(0.5f));
    return vf_select_lt(vf_abs(x), vf_set(100.0f), vf_add(half, rest), half);
}
#endif
