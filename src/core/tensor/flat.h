/* flat.h: ops that take numbers one by one: work on stretches of flat arrays, forward and backward. Private to this folder. */
#ifndef TENSOR_FLAT_H
#define TENSOR_FLAT_H
#include "core/tensor/run.h"

static inline size_t mat_count(const struct mat *m) { return m->rows * m->cols; }

struct flat {
    struct run *r;
    struct node *n;
    void (*part)(const struct flat *f, size_t from, size_t count);
    float *grad[2]; /* backward: of the first two inputs; NULL where none is wanted */
    bool fresh[2];  /* to be written, not added to (node_grad_write) */
};

/* The part over all numbers of the first output, cut by FLAT_TILE. cost: multiply-adds a number, about. */
enum { FLAT_TILE = 8192 };
void flat_run(const struct flat *f, double cost);
void flat_grads(struct flat *f);
/* a · b goes to the gradient of input i at `from`. */
void flat_product(const struct flat *f, unsigned i, const float *a, const float *b, size_t from, size_t count);
#endif
