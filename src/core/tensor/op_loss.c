/* op_loss.c: softmax, unit length, and log-probabilities of targets with the vocabulary product fused in.
 *
 * op_logprob never keeps the [n, V] logits. The vocabulary goes by in slabs of some MB of logits for all rows; each row keeps
 * its highest logit and the sum of exponentials so far, in blocks of 512 so that the order of the sum is always the same, and
 * log p = z_t − top − log sum. Backward makes the slabs again, dz = dy (onehot − exp(z − top)/sum), dx += dz W and dW += dzᵀ x,
 * so a weight is dequantized once a pass (Wijmans et al. 2024, arXiv:2411.09009). With a cap, z = cap·tanh(x Wᵀ / cap). */
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

enum { LOGPROB_ROWS = 2048, LOGPROB_BLOCK = 512, LOGPROB_SLAB = 8 << 20 }; /* rows and bytes of a slab of logits */

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

struct slab {
    struct run *r;
    struct node *n;
    float *z;              /* [rows, wide] logits; in backward they become dz */
    size_t from, rows;     /* of x */
    size_t first, wide;    /* of the vocabulary */
    float *top;            /* [x.rows] */
    double *sum;           /* [x.rows] */
    bool back;
};

static void slab_sum(struct slab *s, size_t row, const float *z)
{
    const struct kernel *k = s->r->k;
    float e[LOGPROB_BLOCK];
    for (size_t j = 0; j < s->wide; j += LOGPROB_BLOCK) {
        size_t m = s->wide - j < LOGPROB_BLOCK ? s->wide - j : LOGPROB_BLOCK;
        float top = k->max(z + j, m), was = s->top[row];
        top = top > was || top != top ? top : was;
        k->exp_from(e, z + j, top, m);
        s->sum[row] = s->sum[row] * exp((double)(was - top)) + (double)k->sum(e, m);
        s->top[row] = top;
    }
}

/* dz = dy (onehot − p), and through the cap, whose slope is 1 − (z/cap)². */
static void slab_slope(struct slab *s, size_t row, float *z, float cap)
{
    const struct kernel *k = s->r->k;
    float dy = s->n->out[0]->g[row], scale = (float)((double)-dy / s->sum[row]), slope[LOGPROB_BLOCK];
    size_t target = (size_t)target_of(s->r, s->n, row);
    for (size_t j = 0; j < s->wide; j += LOGPROB_BLOCK) {
        size_t m = s->wide - j < LOGPROB_BLOCK ? s->wide - j : LOGPROB_BLOCK;
        for (size_t l = 0; cap > 0 && l < m; l++)
            slope[l] = 1 - (z[j + l] / cap) * (z[j + l] / cap);
        k->exp_from(z + j, z + j, s->top[row], m);
        k->scale(z + j, z + j, scale, m);
        if (target >= s->first + j && target < s->first + j + m)
            z[target - s->first] += dy;
        if (cap > 0)
            k->mul(z + j, z + j, slope, m);
    }
}

static void slab_row(void *ctx, size_t i, unsigned worker)
{
    struct slab *s = ctx;
    size_t row = s->from + i;
    float *z = s->z + i * s->wide, cap = s->n->args.logprob.softcap;
    int32_t target = target_of(s->r, s->n, row);
    if (target < 0) {
        if (s->back)
            memset(z, 0, s->wide * sizeof *z);
        return;
    }
    if (cap > 0)
        s->r->k->softcap(z, z, cap, s->wide);
    if (s->back) {
        slab_slope(s, row, z, cap);
        return;
    }
    slab_sum(s, row, z);
    if ((size_t)target >= s->first && (size_t)target < s->first + s->wide)
        s->n->out[0]->v[row] = z[(size_t)target - s->first];
}

/* Logits, or their gradients, of rows [from, from + rows) and of all the vocabulary. */
static void slabs_run(struct slab *s, size_t most, void *scratch, void *turned, float *dx, float *dw)
{
    struct run *r = s->r;
    const struct mat *x = s->n->in[0];
    const struct qmat *w = &s->n->w[0]->q;
    const float *xs = x->v + s->from * x->cols;
    for (s->first = 0; s->first < w->rows; s->first += most) {
        s->wide = w->rows - s->first < most ? w->rows - s->first : most;
        const struct qmat part = qmat_slice(w, s->first, s->wide);
        const struct qmat_job job = {&part, s->z, s->wide, NULL, r->o.products == PRODUCTS_BF16};
        qmat_mul(r->o.pool, &job, 1, xs, x->cols, s->rows, scratch);
        run_tiles(r, s->rows, (double)s->rows * (double)s->wide * 8, slab_row, s);
        if (dx)
            qmat_mul_t(r->o.pool, &part, dx + s->from * x->cols, x->cols, s->z, s->wide, s->rows, true, r->o.products != PRODUCTS_F32, turned);
        if (dw)
            qmat_add_outer(r->o.pool, dw + s->first * x->cols, s->wide, x->cols, s->z, s->wide, xs, x->cols, s->rows, r->o.products != PRODUCTS_F32, turned);
    }
}

static void logprob_run(struct run *r, struct node *n, bool back, float *dx, float *dw)
{
    const struct mat *x = n->in[0];
    size_t rows = x->rows < LOGPROB_ROWS ? x->rows : LOGPROB_ROWS, v = n->w[0]->q.rows;
    size_t wide = LOGPROB_SLAB / sizeof(float) / (rows ? rows : 1) / LOGPROB_BLOCK * LOGPROB_BLOCK, most = wide < v ? wide : v;
    struct slab s = {.r = r, .n = n, .back = back, .sum = n->keep, .top = (float *)((double *)n->keep + x->rows)};
    struct arena_mark mark = arena_mark(&r->arena);
    s.z = run_scratch(r, rows, most * sizeof *s.z);
    const struct qmat part = qmat_slice(&n->w[0]->q, 0, most);
    const struct qmat_job job = {&part, s.z, most, NULL, r->o.products == PRODUCTS_BF16};
    void *scratch = run_scratch(r, qmat_scratch(&job, 1, rows), 1);
    void *turned = back ? run_scratch(r, qmat_back_scratch(most, x->cols, rows, r->o.products != PRODUCTS_F32), 1) : NULL;
    for (s.from = 0; !r->failed && s.from < x->rows; s.from += rows) {
        s.rows = x->rows - s.from < rows ? x->rows - s.from : rows;
        slabs_run(&s, most, scratch, turned, dx, dw);
    }
    arena_reset(&r->arena, mark);
}

static void logprob_forward(struct run *r, struct node *n)
{
    size_t rows = n->rows[0];
    float *y = n->out[0]->v;
    double *sum = run_scratch(r, rows, sizeof *sum + sizeof(float));
    if (!(n->keep = sum))
        return;
    float *top = (float *)(sum + rows);
    for (size_t i = 0; i < rows; i++) {
        sum[i] = 0;
        top[i] = -INFINITY;
    }
    logprob_run(r, n, false, NULL, NULL);
    for (size_t i = 0; i < rows; i++)
        y[i] = target_of(r, n, i) < 0 ? 0 : (float)((double)(y[i] - top[i]) - log(sum[i]));
}

static void logprob_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dw = node_weight_grad(r, n, 0);
    logprob_run(r, n, true, dx, dw);
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
