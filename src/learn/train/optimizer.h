/* optimizer.h: the table of optimizers, and the state that goes with a list of trained weights.
 *
 * An optimizer is a row: how many bytes of state n numbers need, and one step over a stretch of them. Steps work number by
 * number (or block by block of 256), so a stretch may be any run of whole tiles and the result does not depend on threads.
 *
 * Thread use: one struct optimizer, one thread at a time; the step itself uses the pool. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "sooth/error.h"

/* What every number of one step shares. */
struct optimizer_step {
    double rate;        /* learning rate now */
    double scale;       /* gradients are multiplied by it first: the clip */
    double beta1, beta2, epsilon;
    double decay;       /* already 0 for what does not decay */
    uint64_t t;         /* number of this step, from 1 */
};

enum { OPTIMIZER_BLOCK = 256, OPTIMIZER_TILE = 65536 }; /* a tile is whole blocks */

struct optimizer_row {
    const char *name, *note;
    bool paged;                                  /* the state lies in a file, not in memory */
    size_t (*bytes)(size_t n);                   /* state of n numbers; additive over whole blocks */
    /* w, g [n] and the state of the same n numbers. */
    void (*step)(const struct optimizer_step *s, float *w, const float *g, void *state, size_t n);
};
const struct optimizer_row *optimizer_row_at(size_t i);          /* NULL past the last */
const struct optimizer_row *optimizer_row_find(const char *name); /* NULL if unknown */

/* One trained weight as an optimizer sees it; all borrowed. */
struct optimizer_item {
    float *w;
    const float *g;
    size_t n;
    bool decays;        /* matrices do, norms and biases do not */
};

struct optimizer {
    const struct optimizer_row *row;
    struct optimizer_item *items;
    void **states;      /* [count] */
    size_t count;
    void *memory;       /* of all states, one stretch */
    size_t bytes;
};

/* items are copied. page_dir: where a paged state's file lives (it has no name and vanishes with the process). */
enum sooth_status optimizer_init(struct optimizer *o, const struct optimizer_row *row, const struct optimizer_item *items, size_t count,
                                 const char *page_dir, struct sooth_error *err);
void optimizer_release(struct optimizer *o);
/* Length of all gradients together, summed in double in a fixed order; NaN or infinite when one of them is. */
double optimizer_grad_norm(const struct optimizer *o);
void optimizer_apply(struct optimizer *o, struct pool *pool, struct optimizer_step step, double decay);

/* ---- schedules: the learning rate over a run ---- */

struct schedule_row {
    const char *name, *note;
    double (*factor)(double progress, double floor); /* progress 0..1 after warm-up -> 1..floor */
};
const struct schedule_row *schedule_row_at(size_t i);
const struct schedule_row *schedule_row_find(const char *name);
/* Factor of step (from 0) of total: rises as (step + 1) / warmup, then follows the row. */
double schedule_factor(const struct schedule_row *row, uint64_t step, uint64_t total, uint64_t warmup, double floor);

#endif
