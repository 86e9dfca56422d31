/* strategy_contrast.c: contrastive decoding (Li et al. 2022): what an expert knows and an amateur does not.
 *
 *     s(y) = log p_expert(y) - log p_amateur(y; T)     for y with p_expert(y) >= plausible · max p_expert, else -inf
 *
 * with the amateur at temperature T. beta > 0 is the later form (O'Brien and Lewis 2023) over the same set,
 * (1 + beta) z_expert - beta z_amateur. The models must share a vocabulary. Equal scores go to the expert's favourite:
 * a millionth of its log-probability is added, so an amateur that equals the expert leaves its choice alone. */
#include <math.h>
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"

enum { CONTRAST_PLAUSIBLE, CONTRAST_TEMPERATURE, CONTRAST_BETA };
static const struct strategy_param contrast_params[] = {
    [CONTRAST_PLAUSIBLE] = {"plausible", 0.1, 0, 1},
    [CONTRAST_TEMPERATURE] = {"temperature", 0.5, 0.01, 100},
    [CONTRAST_BETA] = {"beta", 0, 0, 10},
    {0},
};

/* logsumexp of z / t */
static double contrast_norm(const float *z, size_t n, double t)
{
    float max = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        max = z[i] > max ? z[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp(((double)z[i] - (double)max) / t);
    return (double)max / t + log(sum);
}

static void contrast_combine(const struct strategy *s, const struct strategy_view *v)
{
    double beta = s->p[CONTRAST_BETA], t = beta > 0 ? 1 : s->p[CONTRAST_TEMPERATURE];
    double norm = logprob_norm(v->z, v->vocab), other = contrast_norm(v->other, v->vocab, t);
    float best = -INFINITY;
    for (size_t i = 0; i < v->vocab; i++)
        best = v->z[i] > best ? v->z[i] : best;
    double least = (double)best + log(s->p[CONTRAST_PLAUSIBLE]); /* log 0: everything is plausible */
    for (size_t i = 0; i < v->vocab; i++) {
        double expert = (double)v->z[i] - norm, amateur = (double)v->other[i] / t - other;
        double score = beta > 0 ? (1 + beta) * expert - beta * amateur : expert - amateur + 1e-6 * expert;
        v->z[i] = (double)v->z[i] < least ? -INFINITY : (float)score;
    }
}

const struct strategy_row strategy_contrast = {
    .name = "contrast", .note = "what the model likes better than a weaker one does (plausible, temperature, beta)",
    .params = contrast_params, .other_model = true, .combine = contrast_combine};
