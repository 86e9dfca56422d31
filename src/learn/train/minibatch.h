/* minibatch.h: examples laid end to end as the rows of one forward, and the order in which a run visits them.
 *
 *     token   v v <s> user Hi </s> assistant Hello !      v v <s> user ...      v: placeholders of a soft prompt
 *     pos     0 1  2   3   4   5      6        7   8      0 1  2   3            restart with every example
 *     seq     0 0  0   0   0   0      0        0   0      1 1  1   1            an example sees only itself
 *     target  - -  -   -   -   - Hello         ! </s>     ...                   wanted rows have one
 *
 * There is no padding, so examples of any lengths share a forward and nothing is computed for nothing; attention is
 * block-diagonal because a sequence sees only itself. */
#ifndef TRAIN_MINIBATCH_H
#define TRAIN_MINIBATCH_H
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "learn/train/example.h"

struct minibatch {
    VEC(int32_t) token;
    VEC(int32_t) target;
    VEC(uint32_t) pos;
    VEC(uint32_t) seq;
    VEC(uint8_t) want;
    VEC(float) weight;      /* one a wanted row: what op_weigh multiplies its log-probability by */
    size_t sequences, trained;
    size_t places;          /* placeholder rows before each sequence */
    uint32_t first, start;  /* positions of the first placeholder and of the text */
};
void minibatch_init(struct minibatch *b, size_t places, uint32_t first, uint32_t start);
void minibatch_release(struct minibatch *b);
void minibatch_clear(struct minibatch *b);
/* Rows up to the last trained target; weight for each trained target. False when memory is out. */
bool minibatch_add(struct minibatch *b, const struct example *x, float weight);
struct rows minibatch_rows(const struct minibatch *b); /* borrowed */

/* ---- order ---- */

/* A unit is what --batch counts: one example, or with packing a bin of several that fill `most` tokens together. */
struct units {
    VEC(uint32_t) first;    /* [count + 1] of unit i in `member` */
    VEC(uint32_t) member;   /* examples */
    VEC(uint32_t) order;    /* of the units in the epoch last asked for */
    uint64_t seed, epoch;
};
bool units_make(struct units *u, const struct examples *e, bool pack, size_t most, uint64_t seed);
void units_release(struct units *u);
size_t units_count(const struct units *u);
/* The unit at place i of an epoch: a fixed permutation of (seed, epoch), so that a position is two numbers and no state. */
size_t units_at(struct units *u, uint64_t epoch, size_t i);

#endif
