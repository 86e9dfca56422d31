/* op_act.c: activations and gates, with their slopes: dx = g·act'(x); a gated unit act(gate)·up gives g·up·act'(gate) to the gate
 * and g·act(gate) to up. Also the cutting of flat work (flat.h). */
#include <math.h>
#include <string.h>
#include "core/tensor/flat.h"

/* ---- flat work ---- */

static void flat_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct flat *f = ctx;
    size_t from = tile * FLAT_TILE, all = mat_count(f->n->out[0]);
    f->part(f, from, all - from < FLAT_TILE ? all - from : FLAT_TILE);
}

void flat_run(const struct flat *f, double cost)
{
    size_t all = mat_count(f->n->out[0]);
    if (!f->r->failed)
        run_tiles(f->r, (all + FLAT_TILE - 1) / FLAT_TILE, cost * (double)all, flat_tile, (void *)f);
}

void flat_grads(struct flat *f)
{
    for (unsigned i = 0; i < 2 && i < f->n->n_in; i++)
        f->grad[i] = node_grad_write(f->r, f->n, i, &f->fresh[i]);
}

void flat_product(const struct flat *f, unsigned i, const float *a, const float *b, size_t from, size_t count)
{
    if (f->fresh[i])
        f->r->k->mul(f->grad[i] + from, a, b, count);
    else
        f->r->k->mul_add(f->grad[i] + from, a, b, count);
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

static void act_slope(const struct kernel *k, enum op_act act, float *y, const float *x, size_t n)
{
    switch (act) {
    case ACT_SILU:
        k->silu_slope(y, x, n);
        return;
    case ACT_GELU:
        k->gelu_slope(y, x, n);
        return;
    case ACT_GELU_TANH:
        k->gelu_tanh_slope(y, x, n);
        return;
    case ACT_RELU:
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] > 0;
        return;
    case ACT_TANH:
        k->tanh(y, x, n);
        for (size_t i = 0; i < n; i++)
            y[i] = 1 - y[i] * y[i];
        return;
    default: /* σ (1 − σ) */
        act_apply(k, act, y, x, n);
        for (size_t i = 0; i < n; i++)
            y[i] *= 1 - y[i];
    }
}

static void act_part(const struct flat *f, size_t from, size_t count)
{
    act_apply(f->r->k, f->n->args.act.act, f->n->out[0]->v + from, f->n->in[0]->v + from, count);
}

static void act_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = act_part}, 8);
}

enum { SLOPE_PART = 512 }; /* numbers whose slopes wait on the stack */

static void act_back_part(const struct flat *f, size_t from, size_t count)
{
    float slope[SLOPE_PART];
    for (size_t end = from + count; from < end; from += SLOPE_PART) {
        size_t m = end - from < SLOPE_PART ? end - from : SLOPE_PART;
        act_slope(f->r->k, f->n->args.act.act, slope, f->n->in[0]->v + from, m);
        flat_product(f, 0, f->n->out[0]->g + from, slope, from, m);
    }
}

static void act_backward(struct run *r, struct node *n)
{
    struct flat f = {.r = r, .n = n, .part = act_back_part};
    flat_grads(&f);
    if (f.grad[0])
        flat_run(&f, 12);
}

static void glu_part(const struct flat *f, size_t from, size_t count)
{
    const struct kernel *k = f->r->k;
    const float *gate = f->n->in[0]->v + from, *up = f->n->in[1]->v + from;
    float *y = f->n->out[0]->v + from;
    if (f->n->args.act.act == ACT_SILU) {
        k->silu_mul(y, gate, up, count);
    } else if (f->n->args.act.act == ACT_GELU_TANH) {
        k->gelu_tanh_mul(y, gate, up, count);
    } else {
        act_apply(k, f->n->args.act.act, y, gate, count);
        k->mul(y, y, up, count);
    }
}

static void glu_forward(struct run *r, struct node *n)
{
    flat_run(&(struct flat){.r = r, .n = n, .part = glu_part}, 8);
}

static void glu_back_part(const struct flat *f, size_t from, size_t count)
{
    const struct kernel *k = f->r->k;
    float t[SLOPE_PART];
    for (size_t end = from + count; from < end; from += SLOPE_PART) {
        size_t m = end - from < SLOPE_PART ? end - from : SLOPE_PART;
        const float *g = f->n->out[0]->g + from, *gate = f->n->in[0]->v + from, *up = f->n->in[1]->v + from;
        if (f->grad[0]) {
            act_slope(k, f->n->args.act.act, t, gate, m);
            k->mul(t, t, up, m);
            flat_product(f, 0, g, t, from, m);
        }
        if (f->grad[1]) {
            act_apply(k, f->n->args.act.act, t, gate, m);
            flat_product(f, 1, g, t, from, m);
        }
    }
}

static void glu_backward(struct run *r, struct node *n)
{
    struct flat f = {.r = r, .n = n, .part = glu_back_part};
    flat_grads(&f);
    flat_run(&f, 24);
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
