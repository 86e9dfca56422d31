/* op_rope.c: rotary positions (Su et al. 2021, arXiv:2104.09864): each pair (u, v) of a head turns by the angle p·θ_i of its
 * row's position, (u cos − v sin, v cos + u sin). Backward turns back: the same with −sin. */
#include <string.h>
#include "core/tensor/run.h"

static bool rope_shape(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    size_t head = n->args.rope.head_dim;
    if (head == 0 || x->cols % head || n->args.rope.rope->dim > head)
        return shape_fail(r, n, "columns", x->cols, head);
    if (x->rows != r->rows->n)
        return shape_fail(r, n, "rows", x->rows, r->rows->n);
    return shape_same(r, n);
}

struct rope_job {
    struct run *r;
    const struct rope_table *t;
    const struct rope *rope;
    float *v; /* turned in place */
    size_t rows, cols, head;
};

enum { ROPE_ROWS = 16 };

static void rope_tile(void *ctx, size_t tile, unsigned worker)
{
    struct rope_job *j = ctx;
    size_t half = j->rope->dim / 2, end = (tile + 1) * ROPE_ROWS < j->rows ? (tile + 1) * ROPE_ROWS : j->rows;
    for (size_t i = tile * ROPE_ROWS; i < end; i++)
        for (size_t h = 0; h < j->cols; h += j->head)
            j->r->k->rope(j->v + i * j->cols + h, j->t->cos + i * half, j->t->sin + i * half, j->rope->dim, j->rope->halves);
}

static void rope_run(struct run *r, struct rope_job *j)
{
    run_tiles(r, (j->rows + ROPE_ROWS - 1) / ROPE_ROWS, (double)(2 * j->rows * j->cols), rope_tile, j);
}

static void rope_forward(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    const struct rope_table *t = run_rope(r, n->args.rope.rope);
    struct rope_job j = {r, t, n->args.rope.rope, n->out[0]->v, x->rows, x->cols, n->args.rope.head_dim};
    if (!t)
        return;
    memcpy(n->out[0]->v, x->v, x->rows * x->cols * sizeof *x->v);
    rope_run(r, &j);
}

static void rope_backward(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    float *dx = node_grad(r, n, 0);
    size_t count = x->rows * x->cols, half = n->args.rope.rope->dim / 2 * x->rows;
    const struct rope_table *t = run_rope(r, n->args.rope.rope);
    float *g = dx ? run_scratch(r, count, sizeof *g) : NULL, *sin = g ? run_scratch(r, half, sizeof *sin) : NULL;
    if (!sin || !t)
        return;
    struct rope_table back = {t->rope, t->cos, sin, NULL};
    struct rope_job j = {r, &back, n->args.rope.rope, g, x->rows, x->cols, n->args.rope.head_dim};
    memcpy(g, n->out[0]->g, count * sizeof *g);
    for (size_t i = 0; i < half; i++)
        sin[i] = -t->sin[i];
    rope_run(r, &j);
    r->k->add(dx, dx, g, count);
}

const struct op op_row_rope = {"rope", "turn pairs by an angle that grows with the position", rope_shape, rope_forward, rope_backward};

struct mat *op_rope(struct run *r, const struct rope *rope, size_t head_dim, struct mat *x)
{
    struct node n = {.op = &op_row_rope, .in = {x}, .n_in = 1};
    n.args.rope.rope = rope;
    n.args.rope.head_dim = head_dim;
    return op_call(r, &n);
}
