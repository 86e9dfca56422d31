/* op.h: the op table and what an op sees; private to this folder.
 *
 * A row has a shape rule, a forward and a backward; a row without one of them does not build (op.c checks at compile
 * time that the listed names exist, the table test that none of the pointers is NULL). One call:
 *
 *     struct node n = { .op = &op_row_add, .in = { a, b }, .n_in = 2 };
 *     return op_call(r, &n);
 *
 * op_call returns NULL at once when an input is NULL, asks the shape rule for the outputs' sizes, allocates them in the
 * run's arena, runs forward, and, when something below is trained, copies the node onto the tape.
 *
 * Backward finds d(loss)/d(out) in out[i]->g (NULL: nothing flows there) and adds to node_grad(r, n, i) and to
 * grads_find of its weights; both are NULL where nothing is wanted. */
#ifndef TENSOR_OP_H
#define TENSOR_OP_H
#include "core/base/arena.h"
#include "core/tensor/tensor.h"

enum { OP_IN = 5, OP_OUT = 4, OP_WEIGHTS = 8 };

union op_args {
    struct { enum op_ids ids; int64_t offset; const int32_t *index; size_t n; } embed;
    struct { size_t count; } linear;
    struct { float eps; } norm;
    struct { const struct rope *rope; size_t head_dim; } rope;
    struct attend_op attend;
    struct { enum op_act act; } act;
    struct { float value; } number;
    struct { float share; uint64_t key; } dropout;
    struct { uint32_t first; } place;
    struct { bool reverse; } lstm;
    struct { size_t from, count; } columns;
    struct { const uint32_t *index; size_t n; } rows;
    struct { enum op_pool kind; } pool;
    struct { float softcap; const int32_t *targets; } logprob;
    struct { const float *c; } weigh;
    struct { block_fn *block; const void *model; unsigned layer; } layer;
};

struct node {
    const struct op *op;
    struct mat *in[OP_IN], *out[OP_OUT];
    const struct weight *w[OP_WEIGHTS]; /* NULL entries are fine */
    union op_args args;
    unsigned n_in, n_out;               /* n_out 0 counts 1 */
    size_t rows[OP_OUT], cols[OP_OUT];  /* filled by the shape rule */
    void *keep;                         /* what forward left for backward */
    struct node *prev;                  /* on the tape */
};

struct op {
    const char *name, *note;
    bool (*shape)(struct run *r, struct node *n);    /* fills rows and cols; false after run_fail */
    void (*forward)(struct run *r, struct node *n);
    void (*backward)(struct run *r, struct node *n);
};
const struct op *op_at(size_t i);                    /* NULL past the last */

/* NULL on failure; further outputs are in n->out. */
struct mat *op_call(struct run *r, struct node *n);
/* Zeroed gradient of input i; NULL if it needs none or memory ran out. */
float *node_grad(struct run *r, struct node *n, unsigned i);
/* The same for an op that passes over all of it: when *fresh, nothing is there yet and every number is to be written, else added
 * to. An input that is given twice is fresh the first time only. */
float *node_grad_write(struct run *r, struct node *n, unsigned i, bool *fresh);
/* The trained weight's gradient; NULL while frozen. */
float *node_weight_grad(struct run *r, const struct node *n, unsigned i);

/* Backward of the nodes from the newest. */
void tape_backward(struct run *r, struct node *last);

/* Shape rules that several ops share. */
bool shape_same(struct run *r, struct node *n);      /* out like in[0]; every input alike */
bool shape_fail(struct run *r, const struct node *n, const char *what, size_t got, size_t want);
bool shape_vector(struct run *r, const struct node *n, const struct weight *w, size_t cols); /* w is [1, cols] F32 */

/* fn over tiles, in the pool when work (about one per multiply-add) is worth waking it. */
void run_tiles(struct run *r, size_t tiles, double work, pool_tile *fn, void *ctx);

#define ROW(x) extern const struct op op_row_##x;
#include "core/tensor/op_rows.inc"
#undef ROW
#endif
