/* op.c: the op table, the one way an op is called, and the walk back over the tape.
 *
 * Reverse-mode differentiation in its plainest form: the tape is a list of nodes, newest first; backward visits each node
 * whose output received a gradient and lets it add to its inputs'. A node is recorded only if an input or a weight of it
 * is trained, so nothing below the lowest trained thing is ever visited or kept. */
#include "core/tensor/op.h"
#include <assert.h>
#include <string.h>
#include "core/tensor/run.h"

#define ROW(x) &op_row_##x,
static const struct op *const op_table[] = {
#include "core/tensor/op_rows.inc"
};
#undef ROW

const struct op *op_at(size_t i)
{
    return i < sizeof op_table / sizeof *op_table ? op_table[i] : NULL;
}

static bool inputs_ready(struct run *r, const struct node *n)
{
    if (r->failed)
        return false;
    for (unsigned i = 0; i < n->n_in; i++)
        if (!n->in[i])
            return run_fail(r, SOOTH_ERR_INTERNAL, "op '%s' was given nothing", n->op->name), false;
    return true;
}

static bool anything_trained(struct run *r, const struct node *n)
{
    for (unsigned i = 0; i < n->n_in; i++)
        if (n->in[i]->needs)
            return true;
    for (unsigned i = 0; i < OP_WEIGHTS; i++)
        if (n->w[i] && grads_find(r->o.grads, n->w[i]))
            return true;
    return false;
}

static bool outputs_new(struct run *r, struct node *n)
{
    for (unsigned i = 0; i < n->n_out; i++) {
        struct mat *m = run_scratch(r, 1, sizeof *m);
        float *v = m ? run_scratch(r, n->rows[i], n->cols[i] * sizeof *v) : NULL;
        if (!v)
            return false;
        *m = (struct mat){.v = v, .rows = n->rows[i], .cols = n->cols[i]};
        n->out[i] = m;
    }
    return true;
}

static void tape_add(struct run *r, const struct node *n)
{
    struct node *copy = run_scratch(r, 1, sizeof *copy);
    if (!copy)
        return;
    *copy = *n;
    copy->prev = r->tape;
    r->tape = copy;
    for (unsigned i = 0; i < n->n_out; i++)
        n->out[i]->needs = true;
}

struct mat *op_call(struct run *r, struct node *n)
{
    if (!n->n_out)
        n->n_out = 1;
    memset(n->out, 0, sizeof n->out);
    for (unsigned i = 0; r->o.adapters && i < OP_WEIGHTS; i++)
        n->w[i] = adapters_stand_in(r->o.adapters, n->w[i]);
    if (!inputs_ready(r, n) || !n->op->shape(r, n) || !outputs_new(r, n))
        return NULL;
    n->op->forward(r, n);
    if (r->o.tape && (anything_trained(r, n) || (n->op == &op_row_layer && r->trained))) {
        r->trained = true;
        if (r->record)
            tape_add(r, n);
    }
    if (r->failed) {
        memset(n->out, 0, sizeof n->out);
        return NULL;
    }
    for (unsigned i = 0; r->o.observer && i < n->n_out; i++)
        r->o.observer(r->o.observer_user, n->op->name, n->w[i], n->n_in ? n->in[0] : NULL, n->out[i]);
    return n->out[0];
}

/* ---- backward ---- */

static float *mat_grad(struct run *r, struct mat *m)
{
    if (!m->g && (m->g = run_scratch(r, m->rows, m->cols * sizeof *m->g)))
        memset(m->g, 0, m->rows * m->cols * sizeof *m->g);
    return m->g;
}

float *node_grad(struct run *r, struct node *n, unsigned i)
{
    return n->in[i]->needs ? mat_grad(r, n->in[i]) : NULL;
}

float *node_grad_write(struct run *r, struct node *n, unsigned i, bool *fresh)
{
    struct mat *m = n->in[i];
    *fresh = m->needs && !m->g;
    if (*fresh)
        m->g = run_scratch(r, m->rows, m->cols * sizeof *m->g);
    return m->needs ? m->g : NULL;
}

float *node_weight_grad(struct run *r, const struct node *n, unsigned i)
{
    return n->w[i] ? grads_find(r->o.grads, n->w[i]) : NULL;
}

void tape_backward(struct run *r, struct node *last)
{
    for (struct node *n = last; n && !r->failed; n = n->prev)
        for (unsigned i = 0; i < n->n_out; i++)
            if (n->out[i]->g) {
                n->op->backward(r, n);
                break;
            }
}

enum sooth_status run_backward(struct run *r, struct mat *loss, float seed, struct sooth_error *err)
{
    float *g;
    if (!loss || r->failed || !r->o.tape)
        run_fail(r, SOOTH_ERR_INTERNAL, "nothing was recorded to differentiate");
    else if (loss->rows * loss->cols != 1)
        run_fail(r, SOOTH_ERR_INTERNAL, "a loss of %zu x %zu numbers", loss->rows, loss->cols);
    else if (loss->needs && (g = mat_grad(r, loss))) {
        *g += seed;
        tape_backward(r, r->tape);
    }
    if (!r->failed)
        return SOOTH_OK;
    if (err)
        *err = r->error;
    return r->error.status;
}

/* ---- shape rules ---- */

bool shape_fail(struct run *r, const struct node *n, const char *what, size_t got, size_t want)
{
    run_fail(r, SOOTH_ERR_INTERNAL, "op '%s'%s%s: %s is %zu, not %zu", n->op->name, n->w[0] ? " on " : "",
             n->w[0] ? n->w[0]->name : "", what, got, want);
    return false;
}

bool shape_same(struct run *r, struct node *n)
{
    for (unsigned i = 1; i < n->n_in; i++) {
        if (n->in[i]->rows != n->in[0]->rows)
            return shape_fail(r, n, "rows", n->in[i]->rows, n->in[0]->rows);
        if (n->in[i]->cols != n->in[0]->cols)
            return shape_fail(r, n, "columns", n->in[i]->cols, n->in[0]->cols);
    }
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = n->in[0]->cols;
    return true;
}

bool shape_vector(struct run *r, const struct node *n, const struct weight *w, size_t cols)
{
    if (w->q.rows != 1 || w->q.cols != cols)
        return shape_fail(r, n, "vector length", w->q.rows * w->q.cols, cols);
    assert(w->q.type == qtype_by_id(0));
    return true;
}
