/* op_lstm.c: one direction of a long short-term memory (Hochreiter & Schmidhuber 1997) over the rows as one sequence.
 *
 *     a = gates_t + W h_{t-1} + b        [4h], in torch's order i, f, g, o
 *     c_t = σ(f) c_{t-1} + σ(i) tanh(g)      h_t = σ(o) tanh(c_t)
 *
 * The input's part of the gates is a plain linear made before; two directions are two calls, one of them in reverse. Backward walks
 * the steps the other way: da from dh and dc, then dh_{t-1} = Wᵀ da, dW += da h_{t-1}ᵀ, db += da. Meant for the few rows of a prompt's
 * encoder: plain loops, one thread. */
#include <math.h>
#include <string.h>
#include "core/tensor/run.h"

static size_t state_size(const struct node *n)
{
    return n->w[0]->q.cols;
}

static bool lstm_shape(struct run *r, struct node *n)
{
    size_t h = state_size(n);
    if (n->w[0]->q.rows != 4 * h || n->w[0]->q.type->id != 0)
        return shape_fail(r, n, "rows of the state's matrix", n->w[0]->q.rows, 4 * h);
    if (n->in[0]->cols != 4 * h)
        return shape_fail(r, n, "columns of the gates", n->in[0]->cols, 4 * h);
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = h;
    return shape_vector(r, n, n->w[1], 4 * h);
}

static size_t step_row(const struct node *n, size_t step)
{
    return n->args.lstm.reverse ? n->in[0]->rows - 1 - step : step;
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* keep: for each row σ(i), σ(f), tanh(g), σ(o), c. */
static void lstm_forward(struct run *r, struct node *n)
{
    size_t h = state_size(n), rows = n->in[0]->rows;
    float *keep = run_scratch(r, rows, 5 * h * sizeof *keep);
    const float *w = n->w[0]->q.data, *b = weight_vec(n->w[1]), *before = NULL, *cell = NULL;
    n->keep = keep;
    for (size_t t = 0; keep && t < rows; t++) {
        size_t row = step_row(n, t);
        float *a = keep + row * 5 * h, *c = a + 4 * h, *y = n->out[0]->v + row * h;
        for (size_t j = 0; j < 4 * h; j++)
            a[j] = n->in[0]->v[row * 4 * h + j] + b[j] + (before ? r->k->dot(w + j * h, before, h) : 0);
        for (size_t j = 0; j < h; j++) {
            a[j] = sigmoid(a[j]);
            a[h + j] = sigmoid(a[h + j]);
            a[2 * h + j] = tanhf(a[2 * h + j]);
            a[3 * h + j] = sigmoid(a[3 * h + j]);
            c[j] = a[j] * a[2 * h + j] + (cell ? a[h + j] * cell[j] : 0);
            y[j] = a[3 * h + j] * tanhf(c[j]);
        }
        before = y;
        cell = c;
    }
}

/* From dh [h] and the cell's gradient dc [h]: da [4h]; dc becomes the one of the step before. */
static void gates_back(const float *a, const float *cell, size_t h, const float *dh, float *dc, float *da)
{
    const float *c = a + 4 * h;
    for (size_t j = 0; j < h; j++) {
        float i = a[j], f = a[h + j], g = a[2 * h + j], o = a[3 * h + j], t = tanhf(c[j]);
        float d = dc[j] + dh[j] * o * (1 - t * t);
        da[j] = d * g * i * (1 - i);
        da[h + j] = cell ? d * cell[j] * f * (1 - f) : 0;
        da[2 * h + j] = d * i * (1 - g * g);
        da[3 * h + j] = dh[j] * t * o * (1 - o);
        dc[j] = d * f;
    }
}

static void lstm_backward(struct run *r, struct node *n)
{
    size_t h = state_size(n), rows = n->in[0]->rows;
    const float *keep = n->keep, *w = n->w[0]->q.data;
    float *dx = node_grad(r, n, 0), *dw = node_weight_grad(r, n, 0), *db = node_weight_grad(r, n, 1);
    struct arena_mark mark = arena_mark(&r->arena);
    float *dh = run_scratch(r, 6 * h, sizeof *dh), *dc = dh + h, *da = dc + h;
    if (dh)
        memset(dh, 0, 6 * h * sizeof *dh);
    for (size_t t = rows; dh && t-- > 0;) {
        size_t row = step_row(n, t);
        const float *before = t ? n->out[0]->v + step_row(n, t - 1) * h : NULL;
        r->k->add(dh, dh, n->out[0]->g + row * h, h);
        gates_back(keep + row * 5 * h, t ? keep + step_row(n, t - 1) * 5 * h + 4 * h : NULL, h, dh, dc, da);
        if (dx)
            r->k->add(dx + row * 4 * h, dx + row * 4 * h, da, 4 * h);
        if (db)
            r->k->add(db, db, da, 4 * h);
        memset(dh, 0, h * sizeof *dh);
        for (size_t j = 0; before && j < 4 * h; j++) {
            r->k->axpy(dh, da[j], w + j * h, h);
            if (dw)
                r->k->axpy(dw + j * h, da[j], before, h);
        }
    }
    arena_reset(&r->arena, mark);
}

const struct op op_row_lstm = {"lstm", "one direction of a long short-term memory", lstm_shape, lstm_forward, lstm_backward};

struct mat *op_lstm(struct run *r, const struct weight *w, const struct weight *b, bool reverse, struct mat *gates)
{
    struct node n = {.op = &op_row_lstm, .in = {gates}, .w = {w, b}, .n_in = 1};
    n.args.lstm.reverse = reverse;
    return op_call(r, &n);
}
