/* op_norm.c: normalisation over the last axis, or over each head's part of it.
 *
 *     RMSNorm    y = g·x/√(mean x² + ε)                   (Zhang & Sennrich 2019)
 *     LayerNorm  y = g·(x − μ)/√(σ² + ε) + b, σ² biased   (Ba et al. 2016)
 *
 * Backward, with q = g·dy and x̂ the normalised row: RMS dx = (q − x̂·mean(q·x̂))/rms; Layer dx = (q − mean q − x̂·mean(q·x̂))/σ;
 * dg = Σ dy·x̂, db = Σ dy. A weight of k numbers normalises each group of k columns alone (one head of queries). */
#include <math.h>
#include <string.h>
#include "core/tensor/run.h"

static bool norm_shape(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    size_t k = n->w[0]->q.cols;
    if (n->w[0]->q.rows != 1 || k == 0 || x->cols % k)
        return shape_fail(r, n, "columns", x->cols, k);
    if (n->w[1] && !shape_vector(r, n, n->w[1], k))
        return false;
    n->rows[0] = x->rows;
    n->cols[0] = x->cols;
    return true;
}

struct norm_job {
    struct run *r;
    struct node *n;
    const float *b; /* LayerNorm: the bias, or zeros */
    bool layer;
};

enum { NORM_ROWS = 8, NORM_COLUMNS = 64 }; /* of a tile */

static void norm_tile(void *ctx, size_t tile, unsigned worker)
{
    struct norm_job *j = ctx;
    const struct mat *x = j->n->in[0];
    size_t k = j->n->w[0]->q.cols, from = tile * NORM_ROWS, to = from + NORM_ROWS < x->rows ? from + NORM_ROWS : x->rows;
    const float *g = weight_vec(j->n->w[0]);
    for (size_t i = from * (x->cols / k); i < to * (x->cols / k); i++) {
        if (j->layer)
            j->r->k->layernorm(j->n->out[0]->v + i * k, x->v + i * k, g, j->b, k, j->n->args.norm.eps);
        else
            j->r->k->rmsnorm(j->n->out[0]->v + i * k, x->v + i * k, g, k, j->n->args.norm.eps);
    }
}

static void norm_run(struct run *r, struct node *n, bool layer)
{
    struct norm_job j = {r, n, weight_vec(n->w[1]), layer};
    const struct mat *x = n->in[0];
    struct arena_mark mark = arena_mark(&r->arena);
    size_t k = n->w[0]->q.cols;
    if (layer && !j.b) {
        float *zeros = run_scratch(r, k, sizeof *zeros);
        if (!zeros)
            return;
        memset(zeros, 0, k * sizeof *zeros);
        j.b = zeros;
    }
    run_tiles(r, (x->rows + NORM_ROWS - 1) / NORM_ROWS, (double)(x->rows * x->cols), norm_tile, &j);
    arena_reset(&r->arena, mark);
}

static void rmsnorm_forward(struct run *r, struct node *n)
{
    norm_run(r, n, false);
}

static void layernorm_forward(struct run *r, struct node *n)
{
    norm_run(r, n, true);
}

struct back_job {
    struct run *r;
    struct node *n;
    float *dx, *dg, *db;
    float *stat; /* [groups of all rows][2]: mean, inverse deviation */
    size_t k, groups;
    bool layer, fresh;
};

static void back_rows(void *ctx, size_t tile, unsigned worker)
{
    const struct back_job *j = ctx;
    const struct mat *x = j->n->in[0];
    size_t k = j->k, step = NORM_ROWS * (x->cols / k), from = tile * step, to = from + step < j->groups ? from + step : j->groups;
    for (size_t i = from; i < to; i++)
        j->r->k->norm_back(j->dx ? j->dx + i * k : NULL, j->n->out[0]->g + i * k, x->v + i * k, weight_vec(j->n->w[0]), k, j->n->args.norm.eps,
                           j->layer, !j->fresh, j->stat + 2 * i);
}

/* Some columns of the weights' gradients, over all rows in order. */
static void back_columns(void *ctx, size_t tile, unsigned worker)
{
    const struct back_job *j = ctx;
    size_t k = j->k, from = tile * NORM_COLUMNS, count = k - from < NORM_COLUMNS ? k - from : NORM_COLUMNS;
    float h[NORM_COLUMNS];
    for (size_t i = 0; i < j->groups; i++) {
        const float *x = j->n->in[0]->v + i * k + from, *dy = j->n->out[0]->g + i * k + from, *stat = j->stat + 2 * i;
        for (size_t c = 0; j->dg && c < count; c++)
            h[c] = (x[c] - stat[0]) * stat[1];
        if (j->dg)
            j->r->k->mul_add(j->dg + from, dy, h, count);
        if (j->db)
            j->r->k->add(j->db + from, j->db + from, dy, count);
    }
}

static void norm_back(struct run *r, struct node *n, bool layer)
{
    const struct mat *x = n->in[0];
    struct back_job j = {.r = r, .n = n, .k = n->w[0]->q.cols, .layer = layer};
    double work = (double)(x->rows * x->cols);
    j.groups = x->rows * (x->cols / j.k);
    j.dx = node_grad_write(r, n, 0, &j.fresh);
    j.dg = node_weight_grad(r, n, 0);
    j.db = node_weight_grad(r, n, 1);
    struct arena_mark mark = arena_mark(&r->arena);
    j.stat = run_scratch(r, j.groups, 2 * sizeof *j.stat);
    if (j.stat)
        run_tiles(r, (x->rows + NORM_ROWS - 1) / NORM_ROWS, 4 * work, back_rows, &j);
    if (j.stat && (j.dg || j.db))
        run_tiles(r, (j.k + NORM_COLUMNS - 1) / NORM_COLUMNS, 2 * work, back_columns, &j);
    arena_reset(&r->arena, mark);
}

static void rmsnorm_backward(struct run *r, struct node *n)
{
    norm_back(r, n, false);
}

static void layernorm_backward(struct run *r, struct node *n)
{
    norm_back(r, n, true);
}

const struct op op_row_rmsnorm = {"rmsnorm", "divide by the root mean square", norm_shape, rmsnorm_forward, rmsnorm_backward};
const struct op op_row_layernorm = {"layernorm", "centre and divide by the deviation", norm_shape, layernorm_forward, layernorm_backward};

struct mat *op_rmsnorm(struct run *r, const struct weight *w, float eps, struct mat *x)
{
    struct node n = {.op = &op_row_rmsnorm, .in = {x}, .w = {w}, .n_in = 1};
    n.args.norm.eps = eps;
    return op_call(r, &n);
}

struct mat *op_layernorm(struct run *r, const struct weight *w, const struct weight *b, float eps, struct mat *x)
{
    struct node n = {.op = &op_row_layernorm, .in = {x}, .w = {w, b}, .n_in = 1};
    n.args.norm.eps = eps;
    return op_call(r, &n);
}
