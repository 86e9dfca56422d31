/* op_linear.c: y = x Wᵀ + b, for up to four matrices over one input in one job.
 *
 * Number formats, activation quantization and the choice of kernels are qmat's business. A weight with an adapter hands
 * its product over before the bias is added; the adapter is written with ops, so its gradient needs nothing here.
 * Backward: dx = dy W, dW = dyᵀ x, db = Σ dy. */
#include "core/tensor/run.h"

enum { BIAS = 4 }; /* n->w[0..3] matrices, n->w[4..7] their biases */

static bool linear_shape(struct run *r, struct node *n)
{
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct qmat *q = &n->w[i]->q;
        if (q->cols != n->in[0]->cols)
            return shape_fail(r, n, "columns of the input", n->in[0]->cols, q->cols);
        if (n->w[BIAS + i] && !shape_vector(r, n, n->w[BIAS + i], q->rows))
            return false;
        n->rows[i] = n->in[0]->rows;
        n->cols[i] = q->rows;
    }
    return true;
}

static void linear_forward(struct run *r, struct node *n)
{
    struct qmat_job jobs[4];
    const struct mat *x = n->in[0];
    struct arena_mark mark = arena_mark(&r->arena);
    for (unsigned i = 0; i < n->n_out; i++)
        jobs[i] = (struct qmat_job){&n->w[i]->q, n->out[i]->v, n->cols[i], weight_vec(n->w[BIAS + i]), r->o.products == PRODUCTS_BF16};
    void *scratch = arena_alloc(&r->arena, qmat_scratch(jobs, n->n_out, x->rows));
    if (!scratch) {
        run_fail(r, SOOTH_ERR_NOMEM, "out of memory multiplying %zu rows", x->rows);
        return;
    }
    qmat_mul(r->o.pool, jobs, n->n_out, x->v, x->cols, x->rows, scratch);
    arena_reset(&r->arena, mark);
}

static void linear_backward(struct run *r, struct node *n)
{
    const struct mat *x = n->in[0];
    bool fresh;
    float *dx = node_grad_write(r, n, 0, &fresh); /* some output has a gradient, or this would not run */
    size_t most = 0;
    for (unsigned i = 0; i < n->n_out; i++)
        most = n->cols[i] > most ? n->cols[i] : most;
    struct arena_mark mark = arena_mark(&r->arena);
    void *scratch = run_scratch(r, qmat_back_scratch(most, x->cols, x->rows, r->o.products != PRODUCTS_F32), 1);
    for (unsigned i = 0; scratch && i < n->n_out; i++) {
        const float *dy = n->out[i]->g;
        if (!dy)
            continue;
        if (dx)
            qmat_mul_t(r->o.pool, &n->w[i]->q, dx, x->cols, dy, n->cols[i], x->rows, !fresh, r->o.products != PRODUCTS_F32, scratch);
        fresh = false;
        float *dw = node_weight_grad(r, n, i), *db = node_weight_grad(r, n, BIAS + i);
        if (dw)
            qmat_add_outer(r->o.pool, dw, n->cols[i], x->cols, dy, n->cols[i], x->v, x->cols, x->rows, r->o.products != PRODUCTS_F32, scratch);
        for (size_t row = 0; db && row < x->rows; row++)
            r->k->add(db, db, dy + row * n->cols[i], n->cols[i]);
    }
    arena_reset(&r->arena, mark);
}

const struct op op_row_linear = {"linear", "x Wᵀ + b in any number format", linear_shape, linear_forward, linear_backward};

static const struct adapter *linear_adapter(const struct run *r, const struct weight *w)
{
    const struct adapter *a = adapters_find(r->o.adapters, w);
    return a && a->linear ? a : NULL;
}

struct mat *op_product(struct run *r, const struct weight *w, struct mat *x)
{
    struct node n = {.op = &op_row_linear, .in = {x}, .n_in = 1, .n_out = 1, .w = {w}};
    return op_call(r, &n);
}

void op_linears(struct run *r, size_t count, const struct weight *const *w, const struct weight *const *bias, struct mat *x, struct mat **y)
{
    struct node n = {.op = &op_row_linear, .in = {x}, .n_in = 1, .n_out = (unsigned)count};
    for (size_t i = 0; i < count; i++) {
        n.w[i] = w[i];
        n.w[BIAS + i] = bias && !linear_adapter(r, w[i]) ? bias[i] : NULL;
    }
    bool ok = op_call(r, &n) != NULL;
    for (size_t i = 0; i < count; i++) {
        const struct adapter *a = linear_adapter(r, w[i]);
        y[i] = ok ? n.out[i] : NULL;
        if (a && y[i])
            y[i] = a->linear(r, a, w[i], x, y[i]);
        if (a && y[i] && bias && bias[i])
            y[i] = op_add_row(r, bias[i], y[i]);
    }
}

struct mat *op_linear(struct run *r, const struct weight *w, const struct weight *bias, struct mat *x)
{
    struct mat *y;
    op_linears(r, 1, &w, &bias, x, &y);
    return y;
}
