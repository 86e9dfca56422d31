/* loop.h: the loop: epochs of steps, validation, log, checkpoints, and going on after a stop.
 *
 * A step takes batch · accumulate units. Its loss is the mean over all trained tokens of all of them, whatever micro-batch they fell
 * into: −(1/N) Σ log p with N counted before the first forward. The last step of an epoch may have fewer units; it is taken, not dropped.
 *
 * Everything a step depends on follows from its number and the seed (order, dropout, learning rate) or is in the checkpoint (weights,
 * moments, latest losses): a run that was killed and resumed ends with the same bits as one that was not. */
#ifndef TRAIN_LOOP_H
#define TRAIN_LOOP_H
#include "learn/train/checkpoint.h"
#include "learn/train/learner.h"

/* Told after every step; false: save and stop. */
struct loop_step {
    uint64_t step, total;
    double epoch, loss, grad_norm, rate, eval_loss; /* NAN: not measured */
    uint64_t tokens;
    bool skipped, saved;
};
typedef bool loop_told(void *user, const struct loop_step *s);
/* A loss and, with train, its gradient; learner_nll is the plain one. */
typedef enum sooth_status loop_loss(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err);

enum sooth_status loop_plain(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err);

struct loop_options {
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
    loop_loss *loss;          /* NULL: learner_nll */
    loop_told *told;
    void *user;              /* of extra, loss and told */
};
void loop_options_init(struct loop_options *o);

enum loop_end { LOOP_DONE, LOOP_STOPPED, LOOP_PATIENCE };
struct loop_result {
    uint64_t step, total, resumed_at; /* resumed_at: 0 when the run began anew */
    double loss, eval_before, eval_after; /* NAN: not measured */
    uint64_t skipped;
    enum loop_end end;
};

uint64_t loop_total(const struct loop_options *o, size_t units);    /* steps of the whole run */
/* Mean loss over a set, in batches of `batch` examples; nothing is trained. */
enum sooth_status loop_evaluate(struct learner *l, const struct examples *e, size_t batch, loop_loss *loss, void *user, double *mean, struct sooth_error *err);
enum sooth_status loop_run(struct learner *l, const struct examples *train, struct units *units, const struct examples *valid,
                          const struct loop_options *o, struct loop_result *out, struct sooth_error *err);
/* Rows of the largest micro-batch of any step, left in b: what a probe measures memory and time with. */
enum sooth_status loop_largest(struct learner *l, const struct examples *train, struct units *units, const struct loop_options *o, struct minibatch *b, struct sooth_error *err);

#endif
