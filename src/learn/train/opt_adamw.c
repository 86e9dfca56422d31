/* opt_adamw.c: AdamW: a running mean of the gradient divided by the root of a running mean of its square, so that every
 * number moves about one learning rate a step whatever the size of its gradients (Kingma & Ba 2015); decay acts on the
 * weight itself and not through the moments (Loshchilov & Hutter 2019, arXiv:1711.05101).
 *
 *     m ← β1 m + (1 − β1) g        v ← β2 v + (1 − β2) g²
 *     θ ← θ (1 − η λ) − η (m / (1 − β1ᵗ)) / (√(v / (1 − β2ᵗ)) + ε)
 *
 * State, f32, by tiles of 65,536 numbers:  | m [n] | v [n] |  for each tile. */
#include <math.h>
#include "learn/train/optimizer.h"

static size_t adamw_bytes(size_t n)
{
    return 2 * n * sizeof(float);
}

static void adamw_step(const struct optimizer_step *s, float *w, const float *g, void *state, size_t n)
{
    float *m = state, *v = m + n;
    const double c1 = 1 - pow(s->beta1, (double)s->t), c2 = 1 - pow(s->beta2, (double)s->t);
    const float b1 = (float)s->beta1, b2 = (float)s->beta2, a1 = (float)(1 - s->beta1), a2 = (float)(1 - s->beta2);
    const float keep = (float)(1 - s->rate * s->decay), size = (float)(s->rate / c1), root = (float)(1 / sqrt(c2));
    const float epsilon = (float)s->epsilon, scale = (float)s->scale;
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * scale;
        m[i] = b1 * m[i] + a1 * x;
        v[i] = b2 * v[i] + a2 * x * x;
        w[i] = w[i] * keep - size * m[i] / (sqrtf(v[i]) * root + epsilon);
    }
}

const struct optimizer_row optimizer_adamw = {"adamw", "AdamW, moments in f32 (8 bytes a number)", false, adamw_bytes, adamw_step};
const struct optimizer_row optimizer_adamw_paged = {"adamw-paged", "AdamW, moments in f32 in a mapped file", true, adamw_bytes, adamw_step};
