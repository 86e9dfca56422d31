/* op_simple.c: element by element: sums, products, rows, dropout. Each row of the table is three short functions. */
#include <math.h>
#include <string.h>
#include "core/tensor/flat.h"

/* ---- two matrices, one number, one row ---- */

static void add_part(const struct flat *f, size_t from, size_t count)
{
    f->r->k->add(f->n->out[0]->v + from, f->n->in[0]->v + from, f->n->in[1]->v + from, count);
}

static void add_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = add_part}, 1);
}

static void add_back_part(const struct flat *f, size_t from, size_t count)
{
    const float *g = f->n->out[0]->g + from;
    if (f->fresh[0])
        memcpy(f->grad[0] + from, g, count * sizeof *g);
    else
        f->r->k->add(f->grad[0] + from, f->grad[0] + from, g, count);
}

/* Nobody reads the sum's gradient after this: the first input without one takes it over. */
static void add_backward(struct run *r, struct node *n)
{
    bool given = false;
    for (unsigned i = 0; i < 2; i++) {
        struct flat f = {.r = r, .n = n, .part = add_back_part};
        if (n->in[i]->needs && !n->in[i]->g && !given) {
            n->in[i]->g = n->out[0]->g;
            given = true;
        } else if ((f.grad[0] = node_grad_write(r, n, i, &f.fresh[0]))) {
            flat_run(&f, 1);
        }
    }
}

static void mul_part(const struct flat *f, size_t from, size_t count)
{
    f->r->k->mul(f->n->out[0]->v + from, f->n->in[0]->v + from, f->n->in[1]->v + from, count);
}

static void mul_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = mul_part}, 1);
}

static void mul_back_part(const struct flat *f, size_t from, size_t count)
{
    for (unsigned i = 0; i < 2; i++)
        if (f->grad[i])
            flat_product(f, i, f->n->out[0]->g + from, f->n->in[1 - i]->v + from, from, count);
}

static void mul_backward(struct run *r, struct node *n)
{
    struct flat f = {.r = r, .n = n, .part = mul_back_part};
    flat_grads(&f);
    flat_run(&f, 2);
}

static void scale_part(const struct flat *f, size_t from, size_t count)
{
    f->r->k->scale(f->n->out[0]->v + from, f->n->in[0]->v + from, f->n->args.number.value, count);
}

static void scale_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = scale_part}, 1);
}

static void scale_back_part(const struct flat *f, size_t from, size_t count)
{
    const float *g = f->n->out[0]->g + from;
    if (f->fresh[0])
        f->r->k->scale(f->grad[0] + from, g, f->n->args.number.value, count);
    else
        f->r->k->axpy(f->grad[0] + from, f->n->args.number.value, g, count);
}

static void scale_backward(struct run *r, struct node *n)
{
    struct flat f = {.r = r, .n = n, .part = scale_back_part};
    flat_grads(&f);
    if (f.grad[0])
        flat_run(&f, 1);
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
        r->k->add(dx, dx, n->out[0]->g, mat_count(n->in[0]));
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

static void dropout_part(const struct flat *f, size_t from, size_t count)
{
    const struct node *n = f->n;
    float keep = 1 / (1 - n->args.dropout.share);
    for (size_t i = from; i < from + count; i++)
        n->out[0]->v[i] = dropped(n, i) ? 0 : keep * n->in[0]->v[i];
}

static void dropout_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = dropout_part}, 4);
}

static void dropout_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), keep = 1 / (1 - n->args.dropout.share);
    for (size_t i = 0; dx && i < mat_count(n->in[0]); i++)
        dx[i] += dropped(n, i) ? 0 : keep * n->out[0]->g[i];
}

static void softcap_forward(struct run *r, struct node *n)
{
    r->k->softcap(n->out[0]->v, n->in[0]->v, n->args.number.value, mat_count(n->in[0]));
}

static void softcap_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0), cap = n->args.number.value;
    for (size_t i = 0; d && i < mat_count(n->in[0]); i++) {
        float t = n->out[0]->v[i] / cap;
        d[i] += n->out[0]->g[i] * (1 - t * t);
    }
}

static void logsigmoid_forward(struct run *r, struct node *n)
{
    for (size_t i = 0; i < mat_count(n->in[0]); i++) {
        double x = (double)n->in[0]->v[i];
        n->out[0]->v[i] = (float)(x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)));
    }
}

static void logsigmoid_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0);
    for (size_t i = 0; d && i < mat_count(n->in[0]); i++)
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
