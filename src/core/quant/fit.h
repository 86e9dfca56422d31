/* fit.h: the searches that choose scales for codes. Only the files of this folder include it.
 *
 * All of them minimize Σ w (x - x̂)² (or Σ w |x - x̂|) over a few trial scales near the obvious one, solving for the best
 * scale in closed form each time. Sums run in index order in f32 and rounding is to the even neighbour, so that the codes
 * are those of the reference quantizers of the same formats, byte for byte. */
#ifndef QUANT_FIT_H
#define QUANT_FIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FIT_NOTHING 1e-15f /* a group whose largest magnitude is below this is zero */

/* Nearest integer, halves to even, for |v| < 2^22; for anything else some integer. */
static inline int fit_round(float v)
{
    const float shifted = v + 12582912.0f; /* 1.5 · 2^23: the integer lies in the low bits */
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (bits & 0x007FFFFF) - 0x00400000;
}
static inline int fit_clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Trial inverse scales (first + i·step + top) / (max - min), i = 0..count. */
struct fit_trials {
    float first, step;
    int count;
    bool absolute; /* errors count by magnitude instead of by square */
};
extern const struct fit_trials fit_fine; /* 37 trials, for weighted searches */

/* x ≈ a·code - b with code in 0..top and b >= 0, which goes to *min; returns a. n <= 32. */
float fit_affine(const float *x, const float *w, int n, int top, const struct fit_trials *t, uint8_t *code, float *min);
/* x ≈ a (code - half) with code in 0..2·half-1; w NULL means x². Zero groups get code 0 and a = 0. */
float fit_signed(const float *x, const float *w, int n, int half, uint8_t *code);
/* The same with w = x², by moving one code at a time while that helps: better than fit_signed for very few bits. */
float fit_signed_climb(const float *x, int n, int half, uint8_t *code);
/* x >= 0: x ≈ a·code with code in 0..top. For the scales of scales. */
float fit_positive(const float *x, const float *w, int n, int top, uint8_t *code);

/* w = importance · sqrt(spread + x²): what a column matters, times how much a weight of this size may be off. */
void fit_weights(const float *x, const float *importance, int n, float spread, float *w);
float fit_squares(const float *x, size_t n); /* Σ x², in order */
#endif
