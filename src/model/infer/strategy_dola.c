/* strategy_dola.c: decoding by contrasting layers (DoLa; Chuang et al. 2023): facts are said to ripen in late blocks.
 *
 * Some blocks j have their output brought through the final norm and the output matrix as if the model ended there, q_j.
 * The one that differs most from the whole model is contrasted with it:
 *
 *     M = argmax_j JSD(q_N, q_j)        F(y) = log q_N(y) - log q_M(y)   if q_N(y) >= plausible · max q_N, else -inf
 *
 * Candidates are every second block of the lower half (high=0, for long reasoning) or of the upper half (high=1, for
 * short facts); of models of more than 40 blocks the first or last 20. Block 0 is left out where the output matrix is
 * the embedding, which would only give the token itself.
 *
 * reference=1 repeats what the authors' program does and the paper does not say: exits that skip the final norm, and the
 * divergence (KL(m|q_N) + KL(m|q_j)) / 2V, with the arguments of each KL exchanged. It is there for comparison: on a small
 * model un-normalised exits destroy answers (docs/book/decoding.md). Repeats grow likelier: a repeat penalty of 1.2 helps. */
#include <math.h>
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"

enum { DOLA_HIGH, DOLA_PLAUSIBLE, DOLA_REFERENCE, DOLA_BIG = 40 };
static const struct strategy_param dola_params[] = {
    [DOLA_HIGH] = {"high", 1, 0, 1},
    [DOLA_PLAUSIBLE] = {"plausible", 0.1, 0, 1},
    [DOLA_REFERENCE] = {"reference", 0, 0, 1},
    {0},
};

static enum sooth_status dola_prepare(struct strategy *s, const struct strategy_model *m, struct sooth_sampling *sampling,
                                      struct sooth_error *err)
{
    size_t n = m->layers, first = m->tied ? 2 : 0, middle = n / 2;
    bool high = s->p[DOLA_HIGH] >= 0.5;
    size_t from = !high ? first : n > DOLA_BIG ? n - 20 : middle, to = high ? n : n > DOLA_BIG ? 20 : middle;
    for (size_t j = from; j < to && s->n_layers < STRATEGY_EXITS; j += 2)
        s->layers[s->n_layers++] = (unsigned)j;
    if (!s->n_layers) /* a model of a block or two: its last block against the one before, or against its input */
        s->layers[s->n_layers++] = n > 1 ? (unsigned)n - 1 : 0;
    s->raw_exits = s->p[DOLA_REFERENCE] >= 0.5;
    return SOOTH_OK;
}

static double dola_reference(const float *a, double a_norm, const float *b, double b_norm, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double la = (double)a[i] - a_norm, lb = (double)b[i] - b_norm, m = (exp(la) + exp(lb)) / 2;
        if (m > 0)
            sum += m * (2 * log(m) - la - lb);
    }
    return sum / 2 / (double)n;
}

static void dola_combine(const struct strategy *s, const struct strategy_view *v)
{
    double norm = logprob_norm(v->z, v->vocab), most = -1, far_norm = 0;
    const float *far = NULL;
    for (size_t j = 0; j < s->n_layers; j++) {
        const float *q = v->exits + j * v->vocab;
        double q_norm = logprob_norm(q, v->vocab);
        double d = (s->raw_exits ? dola_reference : strategy_jsd)(v->z, norm, q, q_norm, v->vocab);
        if (!far || d > most) {
            most = d;
            far = q;
            far_norm = q_norm;
        }
    }
    float best = -INFINITY;
    for (size_t i = 0; i < v->vocab; i++)
        best = v->z[i] > best ? v->z[i] : best;
    double least = (double)best + log(s->p[DOLA_PLAUSIBLE]);
    for (size_t i = 0; i < v->vocab; i++) {
        double z = (double)v->z[i];
        v->z[i] = z < least ? -INFINITY : (float)((z - norm) - ((double)far[i] - far_norm));
    }
}

const struct strategy_row strategy_dola = {
    .name = "dola", .note = "the whole model against its own earlier blocks (high, plausible, reference)",
    .params = dola_params, .prepare = dola_prepare, .combine = dola_combine};
