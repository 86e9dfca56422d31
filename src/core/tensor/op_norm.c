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

enum { NORM_ROWS = 8 }; /* rows a tile */

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

/* One group of k numbers. mean is 0 and q's mean is not taken out for RMSNorm. */
static void norm_back_row(const float *x, const float *g, const float *dy, float *dx, float *dg, float *db, size_t k, float eps, bool layer)
{
    double sum = 0, squares = 0, mq = 0, mqx = 0;
    for (size_t i = 0; i < k; i++)
        sum += (double)x[i];
    double mean = layer ? sum / (double)k : 0;
    for (size_t i = 0; i < k; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double inv = 1 / sqrt(squares / (double)k + (double)eps);
    for (size_t i = 0; i < k; i++) {
        double q = (double)g[i] * (double)dy[i], xh = ((double)x[i] - mean) * inv;
        mq += q;
        mqx += q * xh;
    }
    mq = layer ? mq / (double)k : 0;
    mqx /= (double)k;
    for (size_t i = 0; i < k; i++) {
        double q = (double)g[i] * (double)dy[i], xh = ((double)x[i] - mean) * inv;
        if (dx)
            dx[i] += (float)((q - mq - xh * mqx) * inv);
        if (dg)
            dg[i] += (float)((double)dy[i] * xh);
        if (db)
            db[i] += dy[i];
    }
}

static void norm_back(struct run *r, struct node *n, bool layer)
{
    const struct mat *x = n->in[0];
    size_t k = n->w[0]->q.cols;
    float *dx = node_grad(r, n, 0), *dg = node_weight_grad(r, n, 0), *db = node_weight_grad(r, n, 1);
    for (size_t i = 0; i < x->rows * (x->cols / k); i++)
        norm_back_row(x->v + i * k, weight_vec(n->w[0]), n->out[0]->g + i * k, dx ? dx + i * k : NULL, dg, db, k, n->args.norm.eps, layer);
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
