/* sampler.h: from a row of logits to one token.
 *
 * Thread use: one sampler, one thread at a time. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H
#include <stddef.h>
#include <stdint.h>
#include "core/base/rng.h"
#include "sooth/model.h"

struct select_item;
struct sampler {
    struct sooth_sampling p;
    struct rng rng;
    size_t vocab;
    struct select_item *items; /* [vocab], NULL when greedy */
    int32_t *recent; /* ring of the last p.repeat_last tokens; NULL when the penalty is off */
    size_t recent_at, recent_count;
};

/* Checks the numbers (SOOTH_ERR_ARG names the bad one) and seeds the generator. */
enum sooth_status sampler_init(struct sampler *s, const struct sooth_sampling *p, size_t vocab,
                               struct sooth_error *err);
void sampler_release(struct sampler *s);
/* Tells the sampler a token of the prompt or one that was chosen. */
void sampler_accept(struct sampler *s, int32_t id);
/* Chooses; logits [vocab] may be changed. -1 when the row holds a NaN or no finite value. */
int32_t sampler_pick(struct sampler *s, float *logits);
/* The stages in order, for listings: NULL after the last. */
const char *sampler_stage_name(size_t i, const char **note);

/* Log-probabilities of the raw distribution: log p(id) = logit - logsumexp(logits), never below
 * LOGPROB_FLOOR. */
#define LOGPROB_FLOOR (-9999.0f)
double logprob_norm(const float *logits, size_t n); /* logsumexp */
float logprob_of(float logit, double norm);
/* The n_top most likely tokens, best first, ties to the lowest id; rows that are missing get id -1.
 */
void logprob_top(const float *logits, size_t n, double norm, struct sooth_logprob *top,
                 size_t n_top);
#endif
