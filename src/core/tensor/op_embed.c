/* op_embed.c: rows of a table by number: token, position and type embeddings. y[i] = W[id(i)]; dW[id(i)] += dy[i]. */
#include "core/tensor/run.h"

static int64_t embed_id(const struct run *r, const struct node *n, size_t i)
{
    const struct rows *rows = r->rows;
    if (n->op == &op_row_lookup)
        return n->args.embed.index ? n->args.embed.index[i] : (int64_t)i;
    switch (n->args.embed.ids) {
    case IDS_TOKEN:
        return rows->token[i] + n->args.embed.offset;
    case IDS_POSITION:
        return (int64_t)rows->pos[i] + n->args.embed.offset;
    default:
        return (rows->type ? rows->type[i] : 0) + n->args.embed.offset;
    }
}

static bool embed_shape(struct run *r, struct node *n)
{
    n->rows[0] = n->op == &op_row_lookup ? n->args.embed.n : r->rows->n;
    n->cols[0] = n->w[0]->q.cols;
    for (size_t i = 0; i < n->rows[0]; i++) {
        int64_t id = embed_id(r, n, i);
        if (id < 0 || (uint64_t)id >= n->w[0]->q.rows) {
            run_fail(r, SOOTH_ERR_ARG, "number %lld is outside '%s', which has %zu rows", (long long)id, n->w[0]->name, n->w[0]->q.rows);
            return false;
        }
    }
    return true;
}

static void embed_forward(struct run *r, struct node *n)
{
    for (size_t i = 0; i < n->rows[0]; i++)
        qmat_row(&n->w[0]->q, (size_t)embed_id(r, n, i), n->out[0]->v + i * n->cols[0]);
}

static void embed_backward(struct run *r, struct node *n)
{
    float *dw = node_weight_grad(r, n, 0);
    for (size_t i = 0; dw && i < n->rows[0]; i++) {
        float *row = dw + (size_t)embed_id(r, n, i) * n->cols[0];
        r->k->add(row, row, n->out[0]->g + i * n->cols[0], n->cols[0]);
    }
}

const struct op op_row_embed = {"embed", "rows of a table by token, position or type", embed_shape, embed_forward, embed_backward};
const struct op op_row_lookup = {"lookup", "rows of a table by given numbers", embed_shape, embed_forward, embed_backward};

struct mat *op_embed(struct run *r, const struct weight *w, enum op_ids ids, int64_t offset)
{
    struct node n = {.op = &op_row_embed, .w = {w}};
    n.args.embed.ids = ids;
    n.args.embed.offset = offset;
    struct mat *y = op_call(r, &n);
    const struct adapter *a = adapters_find(r->o.adapters, w);
    return y && ids == IDS_TOKEN && a && a->embed ? a->embed(r, a, w, y) : y;
}

struct mat *op_lookup(struct run *r, const struct weight *w, const int32_t *ids, size_t count)
{
    struct node n = {.op = &op_row_lookup, .w = {w}};
    n.args.embed.index = ids;
    n.args.embed.n = count;
    return op_call(r, &n);
}
