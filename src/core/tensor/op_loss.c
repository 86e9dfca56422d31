/* op_loss.c: softmax, unit length, and log-probabilities of targets with the vocabulary product fused in.
 *
 * op_logprob never keeps the [n, V] logits: rows go in chunks, log p = z_t − log Σ exp z; backward makes the chunk again,
 * dz = dy (onehot − softmax), then dx = dz W and dW = dzᵀ x. With a cap, z = cap·tanh(x Wᵀ / cap). */
#include <math.h>
#include <string.h>
#include "core/tensor/run.h"

static void softmax_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, d = n->cols[0]; i < n->rows[0]; i++)
        r->k->softmax(n->out[0]->v + i * d, n->in[0]->v + i * d, d);
}

static void softmax_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0);
    size_t d = n->cols[0];
    for (size_t i = 0; dx && i < n->rows[0]; i++) {
        const float *p = n->out[0]->v + i * d, *g = n->out[0]->g + i * d;
        float mean = r->k->dot(p, g, d);
        for (size_t j = 0; j < d; j++)
            dx[i * d + j] += p[j] * (g[j] - mean);
    }
}

#define UNIT_LEAST 1e-12f

static float length_of(struct run *r, const float *x, size_t d)
{
    float s = sqrtf(r->k->sum_squares(x, d));
    return s > UNIT_LEAST ? s : UNIT_LEAST;
}

static void unit_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, d = n->cols[0]; i < n->rows[0]; i++)
        r->k->scale(n->out[0]->v + i * d, n->in[0]->v + i * d, 1.0f / length_of(r, n->in[0]->v + i * d, d), d);
}

static void unit_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0);
    size_t d = n->cols[0];
    for (size_t i = 0; dx && i < n->rows[0]; i++) {
        const float *y = n->out[0]->v + i * d, *g = n->out[0]->g + i * d;
        float inv = 1.0f / length_of(r, n->in[0]->v + i * d, d), along = r->k->dot(y, g, d);
        for (size_t j = 0; j < d; j++)
            dx[i * d + j] += (g[j] - y[j] * along) * inv;
    }
}

/* ---- log-probability ---- */

enum { LOGPROB_ROWS = 32 };

/* NULL targets: those of the run's wanted rows. */
static int32_t target_of(const struct run *r, const struct node *n, size_t i)
{
    return n->args.logprob.targets ? n->args.logprob.targets[i] : r->rows->target[r->wanted[i]];
}

static bool targets_shape(struct run *r, struct node *n, size_t vocab)
{
    if (!n->args.logprob.targets && (!r->rows->target || n->in[0]->rows != r->n_wanted))
        return shape_fail(r, n, "targets", 0, n->in[0]->rows);
    for (size_t i = 0; i < n->in[0]->rows; i++)
        if (target_of(r, n, i) >= 0 && (size_t)target_of(r, n, i) >= vocab)
            return shape_fail(r, n, "target", (size_t)target_of(r, n, i), vocab);
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = 1;
    return true;
}

static bool logprob_shape(struct run *r, struct node *n)
{
    const struct qmat *q = &n->w[0]->q;
    if (q->cols != n->in[0]->cols)
        return shape_fail(r, n, "columns of the input", n->in[0]->cols, q->cols);
    return targets_shape(r, n, q->rows);
}

/* log softmax(z)[target] */
static float log_softmax_at(const struct kernel *k, const float *z, size_t v, int32_t target)
{
    float top = k->max(z, v), e[1024];
    double sum = 0;
    for (size_t j = 0; j < v; j += 1024) {
        size_t m = v - j < 1024 ? v - j : 1024;
        for (size_t l = 0; l < m; l++)
            e[l] = z[j + l] - top;
        k->exp(e, e, m);
        sum += (double)k->sum(e, m);
    }
    return (float)((double)(z[target] - top) - log(sum));
}

struct chunk {
    struct run *r;
    struct node *n;
    float *z;    /* [rows, V] capped logits; in backward they become dz */
    size_t from;
    bool back;
};

static void chunk_row(void *ctx, size_t i, unsigned worker)
{
    struct chunk *c = ctx;
    const struct kernel *k = c->r->k;
    size_t v = c->n->w[0]->q.rows, row = c->from + i;
    float *z = c->z + i * v, cap = c->n->args.logprob.softcap;
    int32_t target = target_of(c->r, c->n, row);
    if (target < 0) {
        if (c->back)
            memset(z, 0, v * sizeof *z);
        else
            c->n->out[0]->v[row] = 0;
        return;
    }
    if (cap > 0)
        k->softcap(z, z, cap, v);
    if (!c->back) {
        c->n->out[0]->v[row] = log_softmax_at(k, z, v, target);
        return;
    }
    float dy = c->n->out[0]->g[row];
    if (cap > 0) {
        float *p = c->z + (LOGPROB_ROWS + i) * v; /* second half of the buffer: the softmax */
        k->softmax(p, z, v);
        for (size_t j = 0; j < v; j++)
            z[j] = dy * (((size_t)target == j) - p[j]) * (1 - (z[j] / cap) * (z[j] / cap));
        return;
    }
    k->softmax(z, z, v);
    k->scale(z, z, -dy, v);
    z[target] += dy;
}

static void chunks_run(struct run *r, struct node *n, bool back, float *dx, float *dw)
{
    const struct mat *x = n->in[0];
    size_t v = n->w[0]->q.rows, rows = x->rows < LOGPROB_ROWS ? x->rows : LOGPROB_ROWS;
    bool capped = back && n->args.logprob.softcap > 0;
    struct arena_mark mark = arena_mark(&r->arena);
    struct chunk c = {.r = r, .n = n, .back = back};
    c.z = run_scratch(r, capped ? 2 * LOGPROB_ROWS : rows, v * sizeof *c.z);
    struct qmat_job job = {&n->w[0]->q, c.z, v, NULL, r->o.bf16};
    void *scratch = c.z ? arena_alloc(&r->arena, qmat_scratch(&job, 1, rows)) : NULL;
    void *turned = scratch && back ? arena_alloc(&r->arena, qmat_back_scratch(v, x->cols, rows, r->o.bf16)) : NULL;
    if (!scratch || (back && !turned)) {
        run_fail(r, SOOTH_ERR_NOMEM, "out of memory for the logits of %zu rows", rows);
        return;
    }
    for (c.from = 0; c.from < x->rows; c.from += rows) {
        size_t m = x->rows - c.from < rows ? x->rows - c.from : rows;
        const float *xc = x->v + c.from * x->cols;
        qmat_mul(r->o.pool, &job, 1, xc, x->cols, m, scratch);
        run_tiles(r, m, (double)m * (double)v * 8, chunk_row, &c);
        if (dx)
            qmat_mul_t(r->o.pool, &n->w[0]->q, dx + c.from * x->cols, x->cols, c.z, v, m, true, r->o.bf16, turned);
        if (dw)
            qmat_add_outer(r->o.pool, dw, v, x->cols, c.z, v, xc, x->cols, m, r->o.bf16, turned);
    }
    arena_reset(&r->arena, mark);
}

static void logprob_forward(struct run *r, struct node *n)
{
    chunks_run(r, n, false, NULL, NULL);
}

static void logprob_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dw = node_weight_grad(r, n, 0);
    chunks_run(r, n, true, dx, dw);
}

/* ---- the same of logits that are in memory: dz = dy (onehot − softmax) ---- */

static bool target_shape(struct run *r, struct node *n)
{
    return targets_shape(r, n, n->in[0]->cols);
}

static void target_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, v = n->in[0]->cols; i < n->rows[0]; i++) {
        int32_t target = target_of(r, n, i);
        n->out[0]->v[i] = target < 0 ? 0 : log_softmax_at(r->k, n->in[0]->v + i * v, v, target);
    }
}

static void target_backward(struct run *r, struct node *n)
{
    size_t v = n->in[0]->cols;
    float *dz = node_grad(r, n, 0);
    struct arena_mark mark = arena_mark(&r->arena);
    float *p = dz ? run_scratch(r, v, sizeof *p) : NULL;
    for (size_t i = 0; p && i < n->rows[0]; i++) {
        int32_t target = target_of(r, n, i);
        if (target < 0)
            continue;
        r->k->softmax(p, n->in[0]->v + i * v, v);
        r->k->axpy(dz + i * v, -n->out[0]->g[i], p, v);
        dz[i * v + (size_t)target] += n->out[0]->g[i];
    }
    arena_reset(&r->arena, mark);
}

/* ---- weighted sum ---- */

static bool weigh_shape(struct run *r, struct node *n)
{
    n->rows[0] = n->cols[0] = 1;
    return true;
}

static void weigh_forward(struct run *r, struct node *n)
{
    double sum = 0;
    for (size_t i = 0; i < n->in[0]->rows * n->in[0]->cols; i++)
        sum += (double)n->args.weigh.c[i] * (double)n->in[0]->v[i];
    n->out[0]->v[0] = (float)sum;
}

static void weigh_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0);
    if (dx)
        r->k->axpy(dx, n->out[0]->g[0], n->args.weigh.c, n->in[0]->rows * n->in[0]->cols);
}

const struct op op_row_softmax = {"softmax", "exp, normalised over each row", shape_same, softmax_forward, softmax_backward};
const struct op op_row_unit = {"unit", "each row divided by its length", shape_same, unit_forward, unit_backward};
const struct op op_row_logprob = {"logprob", "log-probability of targets, vocabulary product fused", logprob_shape, logprob_forward, logprob_backward};
const struct op op_row_target = {"target", "log-probability of targets under given logits", target_shape, target_forward, target_backward};
const struct op op_row_weigh = {"weigh", "a weighted sum of all numbers", weigh_shape, weigh_forward, weigh_backward};

struct mat *op_softmax(struct run *r, struct mat *x)
{
    struct node n = {.op = &op_row_softmax, .in = {x}, .n_in = 1};
    return op_call(r, &n);
}

struct mat *op_unit(struct run *r, struct mat *x)
{
    struct node n = {.op = &op_row_unit, .in = {x}, .n_in = 1};
    return op_call(r, &n);
}

struct mat *op_target(struct run *r, const int32_t *targets, struct mat *z)
{
    struct node n = {.op = &op_row_target, .in = {z}, .n_in = 1};
    n.args.logprob.targets = targets;
    return op_call(r, &n);
}

struct mat *op_logprob(struct run *r, const struct weight *w, float softcap, const int32_t *targets, struct mat *x)
{
    const struct adapter *a = adapters_find(r->o.adapters, w);
    if (a && a->linear) { /* what an adapter adds cannot be fused: the logits are kept */
        struct mat *z = op_linear(r, w, NULL, x);
        return op_target(r, targets, softcap > 0 ? op_softcap(r, softcap, z) : z);
    }
    struct node n = {.op = &op_row_logprob, .in = {x}, .w = {w}, .n_in = 1};
    n.args.logprob.softcap = softcap;
    n.args.logprob.targets = targets;
    return op_call(r, &n);
}

struct mat *op_weigh(struct run *r, const float *c, struct mat *x)
{
    struct node n = {.op = &op_row_weigh, .in = {x}, .n_in = 1};
    n.args.weigh.c = c;
    return op_call(r, &n);
}
