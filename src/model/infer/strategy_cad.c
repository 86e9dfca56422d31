/* strategy_cad.c: context-aware decoding (Shi et al. 2023): trust the documents over what the model remembers.
 *
 * The same answer is continued under two prompts, with the context c and without it. What the context made likelier is
 * made likelier still:
 *
 *     z = (1 + a) log p(y | c, x, y<t)  -  a log p(y | x, y<t)          p ~ p_c (p_c / p_0)^a
 *
 * The price: where both prompts like the same token, the contrast takes it away. So the contrast is switched on for a
 * token only when the two distributions are far apart, JSD(p_c, p_0) >= gate (nats, at most 0.693). gate=0 is the
 * method as published; adaptive=1 takes a = JSD itself (AdaCAD; Wang et al. 2024). `plausible` b > 0 also
 * removes what has p_c < b max p_c.
 *
 * With a = 0 the logits are untouched, to the bit. Costs two rows a token, read in one forward. */
#include <math.h>
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"

enum { CAD_ALPHA, CAD_GATE, CAD_ADAPTIVE, CAD_PLAUSIBLE };
static const struct strategy_param cad_params[] = {
    [CAD_ALPHA] = {"alpha", 0.5, 0, 10},
    [CAD_GATE] = {"gate", 0.25, 0, 1},
    [CAD_ADAPTIVE] = {"adaptive", 0, 0, 1},
    [CAD_PLAUSIBLE] = {"plausible", 0, 0, 1},
    {0},
};

static void cad_combine(const struct strategy *s, const struct strategy_view *v)
{
    double norm = logprob_norm(v->z, v->vocab), other = logprob_norm(v->other, v->vocab), alpha = s->p[CAD_ALPHA];
    if (s->p[CAD_GATE] > 0 || s->p[CAD_ADAPTIVE] > 0) {
        double jsd = strategy_jsd(v->z, norm, v->other, other, v->vocab);
        if (jsd < s->p[CAD_GATE])
            return;
        alpha = s->p[CAD_ADAPTIVE] > 0 ? jsd : alpha;
    }
    if (alpha <= 0)
        return;
    float best = -INFINITY;
    for (size_t i = 0; i < v->vocab; i++)
        best = v->z[i] > best ? v->z[i] : best;
    double least = s->p[CAD_PLAUSIBLE] > 0 ? (double)best + log(s->p[CAD_PLAUSIBLE]) : -INFINITY;
    for (size_t i = 0; i < v->vocab; i++) {
        double z = (double)v->z[i];
        v->z[i] = z < least ? -INFINITY : (float)((1 + alpha) * (z - norm) - alpha * ((double)v->other[i] - other));
    }
}

const struct strategy_row strategy_cad = {
    .name = "cad", .note = "context-aware: what the context made likelier counts more (alpha, gate, adaptive, plausible)",
    .params = cad_params, .other_prompt = true, .combine = cad_combine};
