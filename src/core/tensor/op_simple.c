/* op_simple.c: element by element: activations, gates, sums, products. Each row of the table is three short functions. */
#include <math.h>
#include <string.h>
#include "core/tensor/run.h"

static size_t count_of(const struct mat *m)
{
    return m->rows * m->cols;
}

/* Work on [from, to) of the flat arrays, in tiles. */
struct flat_job {
    struct run *r;
    struct node *n;
    void (*part)(struct run *r, struct node *n, size_t from, size_t count);
    size_t count;
};

enum { FLAT_TILE = 8192 };

static void flat_tile(void *ctx, size_t tile, unsigned worker)
{
    struct flat_job *j = ctx;
    size_t from = tile * FLAT_TILE, count = j->count - from < FLAT_TILE ? j->count - from : FLAT_TILE;
    j->part(j->r, j->n, from, count);
}

static void flat_run(struct run *r, struct node *n, double cost, void (*part)(struct run *, struct node *, size_t, size_t))
{
    struct flat_job j = {r, n, part, count_of(n->out[0])};
    run_tiles(r, (j.count + FLAT_TILE - 1) / FLAT_TILE, cost * (double)j.count, flat_tile, &j);
}

/* ---- activations ---- */

static const char *const act_names[ACT_COUNT] = {"silu", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid"};

const char *op_act_name(enum op_act a)
{
    return a < ACT_COUNT ? act_names[a] : NULL;
}

static void act_apply(const struct kernel *k, enum op_act act, float *y, const float *x, size_t n)
{
    switch (act) {
    case ACT_SILU:
        k->silu(y, x, n);
        return;
    case ACT_GELU:
        k->gelu(y, x, n);
        return;
    case ACT_GELU_TANH:
        k->gelu_tanh(y, x, n);
        return;
    case ACT_TANH:
        k->tanh(y, x, n);
        return;
    case ACT_RELU:
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] > 0 ? x[i] : 0;
        return;
    default: /* σ(x) = (1 + tanh(x/2)) / 2 */
        k->scale(y, x, 0.5f, n);
        k->tanh(y, y, n);
        for (size_t i = 0; i < n; i++)
            y[i] = 0.5f + 0.5f * y[i];
    }
}

static double act_slope(enum op_act act, double x)
{
    double s, t, u;
    switch (act) {
    case ACT_SILU:
        s = 1 / (1 + exp(-x));
        return s * (1 + x * (1 - s));
    case ACT_GELU:
        return 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) * 0.3989422804014327;
    case ACT_GELU_TANH:
        u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
        t = tanh(u);
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
    case ACT_TANH:
        t = tanh(x);
        return 1 - t * t;
    case ACT_RELU:
        return x > 0;
    default:
        s = 1 / (1 + exp(-x));
        return s * (1 - s);
    }
}

static void act_part(struct run *r, struct node *n, size_t from, size_t count)
{
    act_apply(r->k, n->args.act.act, n->out[0]->v + from, n->in[0]->v + from, count);
}

static void act_forward(struct run *r, struct node *n)
{
    flat_run(r, n, 8, act_part);
}

static void act_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0);
    for (size_t i = 0; dx && i < count_of(n->in[0]); i++)
        dx[i] += n->out[0]->g[i] * (float)act_slope(n->args.act.act, (double)n->in[0]->v[i]);
}

/* act(gate)·up */
static void glu_part(struct run *r, struct node *n, size_t from, size_t count)
{
    const float *gate = n->in[0]->v + from, *up = n->in[1]->v + from;
    float *y = n->out[0]->v + from;
    if (n->args.act.act == ACT_SILU) {
        r->k->silu_mul(y, gate, up, count);
    } else if (n->args.act.act == ACT_GELU_TANH) {
        r->k->gelu_tanh_mul(y, gate, up, count);
    } else {
        act_apply(r->k, n->args.act.act, y, gate, count);
        r->k->mul(y, y, up, count);
    }
}

static void glu_forward(struct run *r, struct node *n)
{
    flat_run(r, n, 8, glu_part);
}

static void glu_backward(struct run *r, struct node *n)
{
    float *dg = node_grad(r, n, 0), *du = node_grad(r, n, 1), a[64];
    const float *g = n->out[0]->g, *gate = n->in[0]->v, *up = n->in[1]->v;
    for (size_t i = 0; i < count_of(n->in[0]); i += 64) {
        size_t m = count_of(n->in[0]) - i < 64 ? count_of(n->in[0]) - i : 64;
        act_apply(r->k, n->args.act.act, a, gate + i, m);
        for (size_t j = 0; j < m; j++) {
            if (du)
                du[i + j] += g[i + j] * a[j];
            if (dg)
                dg[i + j] += g[i + j] * up[i + j] * (float)act_slope(n->args.act.act, (double)gate[i + j]);
        }
    }
}

const struct op op_row_act = {"act", "an activation function", shape_same, act_forward, act_backward};
const struct op op_row_glu = {"glu", "a gated activation, act(gate) times up", shape_same, glu_forward, glu_backward};

struct mat *op_act(struct run *r, enum op_act act, struct mat *x)
{
    struct node n = {.op = &op_row_act, .in = {x}, .n_in = 1};
    n.args.act.act = act;
    return op_call(r, &n);
}

struct mat *op_glu(struct run *r, enum op_act act, struct mat *gate, struct mat *up)
{
    struct node n = {.op = &op_row_glu, .in = {gate, up}, .n_in = 2};
    n.args.act.act = act;
    return op_call(r, &n);
}

/* ---- two matrices, one number, one row ---- */

static void add_forward(struct run *r, struct node *n)
{
    r->k->add(n->out[0]->v, n->in[0]->v, n->in[1]->v, count_of(n->in[0]));
}

static void add_backward(struct run *r, struct node *n)
{
    for (unsigned i = 0; i < 2; i++) {
        float *d = node_grad(r, n, i);
        if (d)
            r->k->add(d, d, n->out[0]->g, count_of(n->in[0]));
    }
}

static void mul_forward(struct run *r, struct node *n)
{
    r->k->mul(n->out[0]->v, n->in[0]->v, n->in[1]->v, count_of(n->in[0]));
}

static void mul_backward(struct run *r, struct node *n)
{
    for (unsigned i = 0; i < 2; i++) {
        float *d = node_grad(r, n, i);
        for (size_t j = 0; d && j < count_of(n->in[0]); j++)
            d[j] += n->out[0]->g[j] * n->in[1 - i]->v[j];
    }
}

static void scale_forward(struct run *r, struct node *n)
{
    r->k->scale(n->out[0]->v, n->in[0]->v, n->args.number.value, count_of(n->in[0]));
}

static void scale_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0);
    if (d)
        r->k->axpy(d, n->args.number.value, n->out[0]->g, count_of(n->in[0]));
}

static bool row_shape(struct run *r, struct node *n)
{
    return shape_vector(r, n, n->w[0], n->in[0]->cols) && shape_same(r, n);
}

static void add_row_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, d = n->in[0]->cols; i < n->in[0]->rows; i++)
        r->k->add(n->out[0]->v + i * d, n->in[0]->v + i * d, weight_vec(n->w[0]), d);
}

static void add_row_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dw = node_weight_grad(r, n, 0);
    size_t d = n->in[0]->cols;
    if (dx)
        r->k->add(dx, dx, n->out[0]->g, count_of(n->in[0]));
    for (size_t i = 0; dw && i < n->in[0]->rows; i++)
        r->k->add(dw, dw, n->out[0]->g + i * d, d);
}

static void mul_row_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, d = n->in[0]->cols; i < n->in[0]->rows; i++)
        r->k->mul(n->out[0]->v + i * d, n->in[0]->v + i * d, weight_vec(n->w[0]), d);
}

static void mul_row_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dw = node_weight_grad(r, n, 0);
    const float *w = weight_vec(n->w[0]), *g = n->out[0]->g;
    size_t d = n->in[0]->cols;
    for (size_t i = 0; i < n->in[0]->rows; i++)
        for (size_t j = 0; j < d; j++) {
            if (dx)
                dx[i * d + j] += g[i * d + j] * w[j];
            if (dw)
                dw[j] += g[i * d + j] * n->in[0]->v[i * d + j];
        }
}

/* (m/c): one division a column, so that m = c is exactly the row itself. */
static bool ratio_row_shape(struct run *r, struct node *n)
{
    return shape_vector(r, n, n->w[1], n->in[0]->cols) && row_shape(r, n);
}

static void ratio_row_forward(struct run *r, struct node *n)
{
    const float *m = weight_vec(n->w[0]), *c = weight_vec(n->w[1]);
    for (size_t i = 0, d = n->in[0]->cols; i < n->in[0]->rows; i++)
        for (size_t j = 0; j < d; j++)
            n->out[0]->v[i * d + j] = n->in[0]->v[i * d + j] * (m[j] / c[j]);
}

static void ratio_row_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dm = node_weight_grad(r, n, 0), *dc = node_weight_grad(r, n, 1);
    const float *m = weight_vec(n->w[0]), *c = weight_vec(n->w[1]), *g = n->out[0]->g, *x = n->in[0]->v;
    size_t d = n->in[0]->cols;
    for (size_t i = 0; i < n->in[0]->rows; i++)
        for (size_t j = 0; j < d; j++) {
            if (dx)
                dx[i * d + j] += g[i * d + j] * (m[j] / c[j]);
            if (dm)
                dm[j] += g[i * d + j] * x[i * d + j] / c[j];
            if (dc)
                dc[j] -= g[i * d + j] * x[i * d + j] * m[j] / (c[j] * c[j]);
        }
}

/* Is number i dropped? A counter mixed with the key (splitmix64's finisher): no state, so threads and a block that is run
 * again in backward see the same mask. */
static bool dropped(const struct node *n, size_t i)
{
    uint64_t z = n->args.dropout.key + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53 < (double)n->args.dropout.share;
}

static void dropout_part(struct run *r, struct node *n, size_t from, size_t count)
{
    float keep = 1 / (1 - n->args.dropout.share);
    for (size_t i = from; i < from + count; i++)
        n->out[0]->v[i] = dropped(n, i) ? 0 : keep * n->in[0]->v[i];
}

static void dropout_forward(struct run *r, struct node *n)
{
    flat_run(r, n, 4, dropout_part);
}

static void dropout_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), keep = 1 / (1 - n->args.dropout.share);
    for (size_t i = 0; dx && i < count_of(n->in[0]); i++)
        dx[i] += dropped(n, i) ? 0 : keep * n->out[0]->g[i];
}

static void softcap_forward(struct run *r, struct node *n)
{
    r->k->softcap(n->out[0]->v, n->in[0]->v, n->args.number.value, count_of(n->in[0]));
}

static void softcap_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0), cap = n->args.number.value;
    for (size_t i = 0; d && i < count_of(n->in[0]); i++) {
        float t = n->out[0]->v[i] / cap;
        d[i] += n->out[0]->g[i] * (1 - t * t);
    }
}

static void logsigmoid_forward(struct run *r, struct node *n)
{
    for (size_t i = 0; i < count_of(n->in[0]); i++) {
        double x = (double)n->in[0]->v[i];
        n->out[0]->v[i] = (float)(x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)));
    }
}

static void logsigmoid_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0);
    for (size_t i = 0; d && i < count_of(n->in[0]); i++)
        d[i] += n->out[0]->g[i] * (float)(1 / (1 + exp((double)n->in[0]->v[i])));
}

const struct op op_row_add = {"add", "a + b", shape_same, add_forward, add_backward};
const struct op op_row_mul = {"mul", "a · b", shape_same, mul_forward, mul_backward};
const struct op op_row_scale = {"scale", "a number times x", shape_same, scale_forward, scale_backward};
const struct op op_row_add_row = {"add_row", "a vector added to each row", row_shape, add_row_forward, add_row_backward};
const struct op op_row_mul_row = {"mul_row", "each row times a vector", row_shape, mul_row_forward, mul_row_backward};
const struct op op_row_ratio_row = {"ratio_row", "each row times one vector over another", ratio_row_shape, ratio_row_forward, ratio_row_backward};
const struct op op_row_dropout = {"dropout", "a share of the numbers zero, the others larger", shape_same, dropout_forward, dropout_backward};
const struct op op_row_softcap = {"softcap", "cap · tanh(x / cap)", shape_same, softcap_forward, softcap_backward};
const struct op op_row_logsigmoid = {"logsigmoid", "log of the logistic function", shape_same, logsigmoid_forward, logsigmoid_backward};

struct mat *op_add(struct run *r, struct mat *a, struct mat *b)
{
    struct node n = {.op = &op_row_add, .in = {a, b}, .n_in = 2};
    return op_call(r, &n);
}

struct mat *op_mul(struct run *r, struct mat *a, struct mat *b)
{
    struct node n = {.op = &op_row_mul, .in = {a, b}, .n_in = 2};
    return op_call(r, &n);
}

static struct mat *with_number(struct run *r, const struct op *op, float value, struct mat *x)
{
    struct node n = {.op = op, .in = {x}, .n_in = 1};
    n.args.number.value = value;
    return op_call(r, &n);
}

struct mat *op_scale(struct run *r, float s, struct mat *x)
{
    return with_number(r, &op_row_scale, s, x);
}

struct mat *op_softcap(struct run *r, float cap, struct mat *x)
{
    return with_number(r, &op_row_softcap, cap, x);
}

struct mat *op_logsigmoid(struct run *r, struct mat *x)
{
    return with_number(r, &op_row_logsigmoid, 0, x);
}

struct mat *op_ratio_row(struct run *r, const struct weight *m, const struct weight *c, struct mat *x)
{
    struct node n = {.op = &op_row_ratio_row, .in = {x}, .w = {m, c}, .n_in = 1};
    return op_call(r, &n);
}

struct mat *op_dropout(struct run *r, float share, uint64_t key, struct mat *x)
{
    struct node n = {.op = &op_row_dropout, .in = {x}, .n_in = 1};
    n.args.dropout.share = share;
    n.args.dropout.key = key;
    return share > 0 ? op_call(r, &n) : x;
}

struct mat *op_add_row(struct run *r, const struct weight *w, struct mat *x)
{
    struct node n = {.op = &op_row_add_row, .in = {x}, .w = {w}, .n_in = 1};
    return op_call(r, &n);
}

struct mat *op_mul_row(struct run *r, const struct weight *w, struct mat *x)
{
    struct node n = {.op = &op_row_mul_row, .in = {x}, .w = {w}, .n_in = 1};
    return op_call(r, &n);
}
