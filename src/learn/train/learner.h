/* learner.h: what is being trained: an adapt, its gradients, its optimizer and the run that records.
 *
 *     learner_new                                          once
 *     for each step:
 *         learner_clear                                    gradients to zero
 *         for each micro-batch: learner_begin, ops ..., learner_backward
 *         learner_step                                     clip, check, optimizer
 *
 * What the loss is made of is the caller's business, written with ops: learner_nll is the one that fine-tuning uses.
 * Thread use: one learner, one thread at a time. */
#ifndef TRAIN_LEARNER_H
#define TRAIN_LEARNER_H
#include "core/tensor/tensor.h"
#include "learn/train/minibatch.h"
#include "learn/train/optimizer.h"
#include "model/adapt/adapt.h"

struct learner_options {
    const char *optimizer;      /* NULL = "adamw" */
    double beta1, beta2, epsilon, decay, clip; /* clip: longest gradient, 0 = none */
    bool checkpoint;            /* layers keep their input only */
    enum run_products products; /* of what is trained, and of gradients */
    size_t max_bytes;           /* ceiling of activations; 0 = none */
    const char *page_dir;       /* of a paged optimizer */
};
void learner_options_init(struct learner_options *o); /* adamw, 0.9, 0.999, 1e-8, 0, 1 */

struct learner {
    const struct arch_model *model;
    struct adapt *adapt;
    struct pool *pool;
    struct grads *grads;
    struct optimizer optimizer;
    struct learner_options o;
    struct run *run, *eval;     /* recording; not */
    struct run_options wear;    /* adapters, hook and prefix of the adapt */
    uint64_t steps;             /* of the optimizer */
};

/* model and adapt are borrowed. */
enum sooth_status learner_new(const struct arch_model *model, struct adapt *adapt, struct pool *pool, const struct learner_options *o,
                              struct learner **out, struct sooth_error *err);
void learner_free(struct learner *l);
/* A batch laid out as the adapt wants it. */
void learner_batch(const struct learner *l, struct minibatch *b);
void learner_clear(struct learner *l);

/* Mean-free negative log-likelihood: Σ −weight · log p over the batch's trained targets; with `train` its gradient is added.
 * draw: of dropout, 0 none. */
enum sooth_status learner_nll(struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err);

/* Length of the gradient; the step is taken only when it is finite (*taken). */
enum sooth_status learner_step(struct learner *l, double rate, double *norm, bool *taken, struct sooth_error *err);

#endif
