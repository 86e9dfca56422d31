/* op_rope.c: rotary positions (Su et al. 2021, arXiv:2104.09864): each pair (u, v) of a head turns by the angle p·θ_i of its
 * row's position, (u cos − v sin, v cos + u sin). Backward turns back: the same with −sin. */
#include <string.h>
#include "core/tensor/run.h"

static bool rope_shape(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    size_t head = n->args.rope.head_dim;
    if (head == 0 || head > ATTEND_MAX_DIM || x->cols % head || n->args.rope.rope->dim > head)
        return shape_fail(r, n, "columns", x->cols, head);
    if (x->rows != r->rows->n)
        return shape_fail(r, n, "rows", x->rows, r->rows->n);
    return shape_same(r, n);
}

struct rope_job {
    struct run *r;
    const struct rope_table *t;
    const struct rope *rope;
    float *v; /* what comes out */
    size_t rows, cols, head;
    const float *from; /* what goes in: x, or in backward the gradient */
    bool fresh;        /* backward: v is new, not to be added to */
};

enum { ROPE_ROWS = 16 };

static void rope_tile(void *ctx, size_t tile, unsigned worker)
{
    struct rope_job *j = ctx;
    size_t half = j->rope->dim / 2, end = (tile + 1) * ROPE_ROWS < j->rows ? (tile + 1) * ROPE_ROWS : j->rows;
    memcpy(j->v + tile * ROPE_ROWS * j->cols, j->from + tile * ROPE_ROWS * j->cols, (end - tile * ROPE_ROWS) * j->cols * sizeof *j->v);
    for (size_t i = tile * ROPE_ROWS; i < end; i++)
        for (size_t h = 0; h < j->cols; h += j->head)
            j->r->k->rope(j->v + i * j->cols + h, j->t->cos + i * half, j->t->sin + i * half, j->rope->dim, j->rope->halves);
}

static void rope_forward(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    const struct rope_table *t = run_rope(r, n->args.rope.rope);
    struct rope_job j = {r, t, n->args.rope.rope, n->out[0]->v, x->rows, x->cols, n->args.rope.head_dim, x->v, false};
    if (!t)
        return;
    run_tiles(r, (j.rows + ROPE_ROWS - 1) / ROPE_ROWS, (double)(2 * j.rows * j.cols), rope_tile, &j);
}

/* dx of some rows: the gradient turned back, written or added. */
static void rope_back_tile(void *ctx, size_t tile, unsigned worker)
{
    struct rope_job *j = ctx;
    const struct kernel *k = j->r->k;
    size_t half = j->rope->dim / 2, end = (tile + 1) * ROPE_ROWS < j->rows ? (tile + 1) * ROPE_ROWS : j->rows;
    float head[ATTEND_MAX_DIM], sin[ATTEND_MAX_DIM / 2];
    for (size_t i = tile * ROPE_ROWS; i < end; i++) {
        k->scale(sin, j->t->sin + i * half, -1, half);
        for (size_t h = i * j->cols; h < (i + 1) * j->cols; h += j->head) {
            float *to = j->fresh ? j->v + h : head;
            memcpy(to, j->from + h, j->head * sizeof *to);
            k->rope(to, j->t->cos + i * half, sin, j->rope->dim, j->rope->halves);
            if (!j->fresh)
                k->add(j->v + h, j->v + h, head, j->head);
        }
    }
}

static void rope_backward(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    bool fresh;
    float *dx = node_grad_write(r, n, 0, &fresh);
    const struct rope_table *t = run_rope(r, n->args.rope.rope);
    struct rope_job j = {r, t, n->args.rope.rope, dx, x->rows, x->cols, n->args.rope.head_dim, n->out[0]->g, fresh};
    if (dx && t)
        run_tiles(r, (j.rows + ROPE_ROWS - 1) / ROPE_ROWS, (double)(3 * j.rows * j.cols), rope_back_tile, &j);
}

const struct op op_row_rope = {"rope", "turn pairs by an angle that grows with the position", rope_shape, rope_forward, rope_backward};

struct mat *op_rope(struct run *r, const struct rope *rope, size_t head_dim, struct mat *x)
{
    struct node n = {.op = &op_row_rope, .in = {x}, .n_in = 1};
    n.args.rope.rope = rope;
    n.args.rope.head_dim = head_dim;
    return op_call(r, &n);
}
