/* op_select.c: choosing and gathering rows and columns; pooling a sequence into one row. */
#include <string.h>
#include "core/tensor/run.h"

/* ---- columns ---- */

static bool columns_shape(struct run *r, struct node *n)
{
    size_t from = n->args.columns.from, count = n->args.columns.count, have = n->in[0]->cols;
    if (from > have || count > have - from)
        return shape_fail(r, n, "last column", from + count, have);
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = n->args.columns.count;
    return true;
}

static void columns_forward(struct run *r, struct node *n)
{
    for (size_t i = 0; i < n->rows[0]; i++)
        memcpy(n->out[0]->v + i * n->cols[0], n->in[0]->v + i * n->in[0]->cols + n->args.columns.from, n->cols[0] * sizeof(float));
}

static void columns_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0);
    for (size_t i = 0; d && i < n->rows[0]; i++) {
        float *row = d + i * n->in[0]->cols + n->args.columns.from;
        r->k->add(row, row, n->out[0]->g + i * n->cols[0], n->cols[0]);
    }
}

/* ---- concat ---- */

static bool concat_shape(struct run *r, struct node *n)
{
    if (n->in[0]->cols != n->in[1]->cols)
        return shape_fail(r, n, "columns", n->in[1]->cols, n->in[0]->cols);
    n->rows[0] = n->in[0]->rows + n->in[1]->rows;
    n->cols[0] = n->in[0]->cols;
    return true;
}

static void concat_forward(struct run *r, struct node *n)
{
    size_t a = n->in[0]->rows * n->cols[0], b = n->in[1]->rows * n->cols[0];
    memcpy(n->out[0]->v, n->in[0]->v, a * sizeof(float));
    memcpy(n->out[0]->v + a, n->in[1]->v, b * sizeof(float));
}

static void concat_backward(struct run *r, struct node *n)
{
    const float *g = n->out[0]->g;
    for (unsigned i = 0; i < 2; i++) {
        size_t count = n->in[i]->rows * n->cols[0];
        float *d = node_grad(r, n, i);
        if (d)
            r->k->add(d, d, g, count);
        g += count;
    }
}

/* ---- join: columns of a, then columns of b ---- */

static bool join_shape(struct run *r, struct node *n)
{
    if (n->in[0]->rows != n->in[1]->rows)
        return shape_fail(r, n, "rows", n->in[1]->rows, n->in[0]->rows);
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = n->in[0]->cols + n->in[1]->cols;
    return true;
}

static void join_forward(struct run *r, struct node *n)
{
    size_t a = n->in[0]->cols, b = n->in[1]->cols;
    for (size_t i = 0; i < n->rows[0]; i++) {
        memcpy(n->out[0]->v + i * (a + b), n->in[0]->v + i * a, a * sizeof(float));
        memcpy(n->out[0]->v + i * (a + b) + a, n->in[1]->v + i * b, b * sizeof(float));
    }
}

static void join_backward(struct run *r, struct node *n)
{
    for (unsigned k = 0; k < 2; k++) {
        size_t d = n->in[k]->cols, at = k ? n->in[0]->cols : 0;
        float *dx = node_grad(r, n, k);
        for (size_t i = 0; dx && i < n->rows[0]; i++)
            r->k->add(dx + i * d, dx + i * d, n->out[0]->g + i * n->cols[0] + at, d);
    }
}

/* ---- place: rows of x whose position is first + k become row k of p ---- */

static bool place_shape(struct run *r, struct node *n)
{
    if (n->in[0]->rows != r->rows->n)
        return shape_fail(r, n, "rows", n->in[0]->rows, r->rows->n);
    if (n->in[0]->cols != n->in[1]->cols)
        return shape_fail(r, n, "columns", n->in[1]->cols, n->in[0]->cols);
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = n->in[0]->cols;
    return true;
}

/* The row of p that stands at row i of x, or SIZE_MAX. */
static size_t placed(const struct run *r, const struct node *n, size_t i)
{
    uint32_t pos = r->rows->pos[i], first = n->args.place.first;
    return pos >= first && pos - first < n->in[1]->rows ? pos - first : SIZE_MAX;
}

static void place_forward(struct run *r, struct node *n)
{
    for (size_t i = 0, d = n->cols[0]; i < n->rows[0]; i++) {
        size_t k = placed(r, n, i);
        memcpy(n->out[0]->v + i * d, k == SIZE_MAX ? n->in[0]->v + i * d : n->in[1]->v + k * d, d * sizeof(float));
    }
}

static void place_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0), *dp = node_grad(r, n, 1);
    for (size_t i = 0, d = n->cols[0]; i < n->rows[0]; i++) {
        size_t k = placed(r, n, i);
        float *to = k == SIZE_MAX ? (dx ? dx + i * d : NULL) : dp ? dp + k * d : NULL;
        if (to)
            r->k->add(to, to, n->out[0]->g + i * d, d);
    }
}

/* ---- rows: by index, or those the caller wants ---- */

static const uint32_t *chosen(const struct run *r, const struct node *n)
{
    return n->op == &op_row_wanted ? r->wanted : n->args.rows.index;
}

static bool rows_shape(struct run *r, struct node *n)
{
    bool wanted = n->op == &op_row_wanted;
    n->rows[0] = wanted ? r->n_wanted : n->args.rows.n;
    n->cols[0] = n->in[0]->cols;
    if (wanted && n->in[0]->rows != r->rows->n)
        return shape_fail(r, n, "rows", n->in[0]->rows, r->rows->n);
    for (size_t i = 0; i < n->rows[0]; i++)
        if (chosen(r, n)[i] >= n->in[0]->rows)
            return shape_fail(r, n, "row number", chosen(r, n)[i], n->in[0]->rows);
    return true;
}

static void rows_forward(struct run *r, struct node *n)
{
    for (size_t i = 0; i < n->rows[0]; i++)
        memcpy(n->out[0]->v + i * n->cols[0], n->in[0]->v + chosen(r, n)[i] * n->cols[0], n->cols[0] * sizeof(float));
}

static void rows_backward(struct run *r, struct node *n)
{
    float *d = node_grad(r, n, 0);
    for (size_t i = 0; d && i < n->rows[0]; i++) {
        float *row = d + chosen(r, n)[i] * n->cols[0];
        r->k->add(row, row, n->out[0]->g + i * n->cols[0], n->cols[0]);
    }
}

/* ---- pool: x has the wanted rows only, in order ---- */

static bool pool_shape(struct run *r, struct node *n)
{
    if (n->in[0]->rows != r->n_wanted)
        return shape_fail(r, n, "rows", n->in[0]->rows, r->n_wanted);
    n->rows[0] = r->n_groups;
    n->cols[0] = n->in[0]->cols;
    return true;
}

static void pool_forward(struct run *r, struct node *n)
{
    const float *x = n->in[0]->v;
    size_t d = n->cols[0];
    memset(n->out[0]->v, 0, n->rows[0] * d * sizeof(float));
    for (size_t i = 0; i < r->n_groups; i++) {
        float *y = n->out[0]->v + i * d;
        size_t count = r->groups[i].wanted;
        for (size_t j = 0; j < count && n->args.pool.kind == POOL_MEAN; j++)
            r->k->add(y, y, x + j * d, d);
        if (count && n->args.pool.kind == POOL_MEAN)
            r->k->scale(y, y, 1.0f / (float)count, d);
        else if (count)
            memcpy(y, x + (n->args.pool.kind == POOL_LAST ? count - 1 : 0) * d, d * sizeof(float));
        x += count * d;
    }
}

static void pool_backward(struct run *r, struct node *n)
{
    float *dx = node_grad(r, n, 0);
    size_t d = n->cols[0];
    for (size_t i = 0; dx && i < r->n_groups; i++) {
        size_t count = r->groups[i].wanted, last = n->args.pool.kind == POOL_LAST && count ? count - 1 : 0;
        const float *g = n->out[0]->g + i * d;
        for (size_t j = 0; j < count && n->args.pool.kind == POOL_MEAN; j++)
            r->k->axpy(dx + j * d, 1.0f / (float)count, g, d);
        if (count && n->args.pool.kind != POOL_MEAN)
            r->k->add(dx + last * d, dx + last * d, g, d);
        dx += count * d;
    }
}

const struct op op_row_columns = {"columns", "some columns", columns_shape, columns_forward, columns_backward};
const struct op op_row_concat = {"concat", "rows of a, then rows of b", concat_shape, concat_forward, concat_backward};
const struct op op_row_join = {"join", "columns of a, then columns of b", join_shape, join_forward, join_backward};
const struct op op_row_place = {"place", "rows at some positions replaced", place_shape, place_forward, place_backward};
const struct op op_row_wanted = {"wanted", "the rows whose results are wanted", rows_shape, rows_forward, rows_backward};
const struct op op_row_rows = {"rows", "chosen rows", rows_shape, rows_forward, rows_backward};
const struct op op_row_pool = {"pool", "one row a sequence: mean, first or last", pool_shape, pool_forward, pool_backward};

struct mat *op_columns(struct run *r, size_t from, size_t count, struct mat *x)
{
    struct node n = {.op = &op_row_columns, .in = {x}, .n_in = 1};
    n.args.columns.from = from;
    n.args.columns.count = count;
    return op_call(r, &n);
}

struct mat *op_concat(struct run *r, struct mat *a, struct mat *b)
{
    struct node n = {.op = &op_row_concat, .in = {a, b}, .n_in = 2};
    return op_call(r, &n);
}

struct mat *op_join(struct run *r, struct mat *a, struct mat *b)
{
    struct node n = {.op = &op_row_join, .in = {a, b}, .n_in = 2};
    return op_call(r, &n);
}

struct mat *op_place(struct run *r, uint32_t first, struct mat *p, struct mat *x)
{
    struct node n = {.op = &op_row_place, .in = {x, p}, .n_in = 2};
    n.args.place.first = first;
    return op_call(r, &n);
}

struct mat *op_wanted(struct run *r, struct mat *x)
{
    struct node n = {.op = &op_row_wanted, .in = {x}, .n_in = 1};
    return op_call(r, &n);
}

struct mat *op_rows(struct run *r, const uint32_t *index, size_t count, struct mat *x)
{
    struct node n = {.op = &op_row_rows, .in = {x}, .n_in = 1};
    n.args.rows.index = index;
    n.args.rows.n = count;
    return op_call(r, &n);
}

struct mat *op_pool(struct run *r, enum op_pool kind, struct mat *x)
{
    struct node n = {.op = &op_row_pool, .in = {x}, .n_in = 1};
    n.args.pool.kind = kind;
    return op_call(r, &n);
}
