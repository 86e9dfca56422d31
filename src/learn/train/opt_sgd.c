/* opt_sgd.c: stochastic gradient descent with momentum β1 and decoupled decay:
 *
 *     m ← β1 m + g        θ ← θ (1 − η λ) − η m
 *
 * Half the state of AdamW, and a learning rate that must fit the size of the gradients. State: m, f32. */
#include "learn/train/optimizer.h"

static size_t sgd_bytes(size_t n)
{
    return n * sizeof(float);
}

static void sgd_step(const struct optimizer_step *s, float *w, const float *g, void *state, size_t n)
{
    float *m = state;
    const float keep = (float)(1 - s->rate * s->decay), rate = (float)s->rate, b1 = (float)s->beta1, scale = (float)s->scale;
    for (size_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + g[i] * scale;
        w[i] = w[i] * keep - rate * m[i];
    }
}

const struct optimizer_row optimizer_sgd = {"sgd", "stochastic gradient descent with momentum (4 bytes a number)", false, sgd_bytes, sgd_step};
