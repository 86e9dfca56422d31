/* fit.h: the loop: epochs of steps, validation, log, checkpoints, and going on after a stop.
 *
 * A step takes batch · accumulate units. Its loss is the mean over all trained tokens of all of them, whatever micro-batch they fell
 * into: −(1/N) Σ log p with N counted before the first forward. The last step of an epoch may have fewer units; it is taken, not dropped.
 *
 * Everything a step depends on follows from its number and the seed (order, dropout, learning rate) or is in the checkpoint (weights,
 * moments, latest losses): a run that was killed and resumed ends with the same bits as one that was not. */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H
#include "learn/train/checkpoint.h"
#include "learn/train/learner.h"

/* Told after every step; false: save and stop. */
struct fit_step {
    uint64_t step, total;
    double epoch, loss, grad_norm, rate, eval_loss; /* NAN: not measured */
    uint64_t tokens;
    bool skipped, saved;
};
typedef bool fit_told(void *user, const struct fit_step *s);
/* A loss and, with train, its gradient; learner_nll is the plain one. */
typedef enum sooth_status fit_loss(void *user, struct learner *l, const struct batch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err);

struct fit_options {
    double epochs;           /* used when steps is 0 */
    uint64_t steps;
    double rate, floor;      /* learning rate; share of it at the end */
    const struct schedule_row *schedule;
    uint64_t warmup;         /* steps */
    size_t batch, accumulate;
    uint64_t eval_every, save_every; /* steps; 0: at the end only (evaluation also before the first) */
    size_t keep;             /* checkpoints that stay; 0 = all */
    uint64_t patience;       /* evaluations without improvement until the run stops; 0 = never */
    double outlier;          /* a loss so many standard deviations over the latest ones costs its step; 0 = none */
    uint64_t seed;
    const char *out;         /* directory; NULL: nothing is written */
    const char *facts;       /* what must be the same when the run goes on: "name=value\n" lines */
    bool resume;
    checkpoint_extra *extra; /* writes the result into OUT and into every checkpoint; may be NULL */
    fit_loss *loss;          /* NULL: learner_nll */
    fit_told *told;
    void *user;              /* of extra, loss and told */
};
void fit_options_init(struct fit_options *o);

enum fit_end { FIT_DONE, FIT_STOPPED, FIT_PATIENCE };
struct fit_result {
    uint64_t step, total, resumed_at; /* resumed_at: 0 when the run began anew */
    double loss, eval_before, eval_after; /* NAN: not measured */
    uint64_t skipped;
    enum fit_end end;
};

uint64_t fit_total(const struct fit_options *o, size_t units);    /* steps of the whole run */
/* Mean loss over a set, in batches of `batch` examples; nothing is trained. */
enum sooth_status fit_evaluate(struct learner *l, const struct examples *e, size_t batch, fit_loss *loss, void *user, double *mean, struct sooth_error *err);
enum sooth_status fit_run(struct learner *l, const struct examples *train, struct units *units, const struct examples *valid,
                          const struct fit_options *o, struct fit_result *out, struct sooth_error *err);
/* Rows of the largest micro-batch of any step, left in b: what a probe measures memory and time with. */
enum sooth_status fit_largest(struct learner *l, const struct examples *train, struct units *units, const struct fit_options *o, struct batch *b, struct sooth_error *err);

#endif
