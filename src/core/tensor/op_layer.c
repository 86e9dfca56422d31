/* op_layer.c: the only scope.
 *
 * Serving: the block's memory is released when it ends; its output is carried in one of two buffers that layers use in turn.
 * Training: the block's notes stay on the tape; or, with checkpoint, only its input does: backward runs the block again
 * with the tape on, walks that piece of tape, and forgets it (Chen et al. 2016, arXiv:1604.06174): memory of one block
 * instead of all, for one more forward. */
#include <string.h>
#include "core/tensor/run.h"

static struct mat *carry(struct run *r, const struct mat *y)
{
    int i = r->lane[0] && r->lane_out == 0 ? 1 : 0;
    size_t need = y->rows * y->cols;
    if (r->lane_size[i] < need) {
        r->lane[i] = arena_alloc(&r->lasting, sizeof *r->lane[i]);
        float *v = r->lane[i] ? arena_alloc(&r->lasting, need * sizeof *v) : NULL;
        if (!v) {
            run_fail(r, SOOTH_ERR_NOMEM, "out of memory between layers");
            return NULL;
        }
        r->lane[i]->v = v;
        r->lane_size[i] = need;
    }
    float *v = r->lane[i]->v;
    memcpy(v, y->v, need * sizeof *v);
    *r->lane[i] = (struct mat){.v = v, .rows = y->rows, .cols = y->cols};
    r->lane_out = i;
    return r->lane[i];
}

static struct mat *layer_serve(struct run *r, block_fn *block, const void *model, unsigned layer, struct mat *x)
{
    struct arena_mark mark = arena_mark(&r->arena);
    struct mat *y = block(r, model, layer, x);
    struct mat *out = y && !r->failed ? carry(r, y) : NULL;
    arena_reset(&r->arena, mark);
    return out;
}

/* ---- checkpoint ---- */

static bool layer_shape(struct run *r, struct node *n)
{
    return shape_same(r, n);
}

static void layer_forward(struct run *r, struct node *n)
{
    struct arena_mark mark = arena_mark(&r->arena);
    bool record = r->record;
    r->record = false;
    r->trained = false;
    struct mat *y = n->args.layer.block(r, n->args.layer.model, n->args.layer.layer, n->in[0]);
    r->record = record;
    if (y && (y->rows != n->rows[0] || y->cols != n->cols[0]))
        run_fail(r, SOOTH_ERR_INTERNAL, "a checkpointed layer may not change the shape of its rows");
    else if (y)
        memcpy(n->out[0]->v, y->v, y->rows * y->cols * sizeof *y->v);
    arena_reset(&r->arena, mark);
}

/* The gradient that comes in is nobody's once the block is done: it becomes the input's, where that has none. */
static void layer_backward(struct run *r, struct node *n)
{
    struct mat *in = n->in[0];
    bool fresh = in->needs && !in->g;
    float *dx = !in->needs ? NULL : fresh ? n->out[0]->g : in->g;
    struct arena_mark mark = arena_mark(&r->arena);
    struct mat x = {.v = in->v, .rows = in->rows, .cols = in->cols, .needs = in->needs};
    struct node *tape = r->tape;
    size_t count = x.rows * x.cols;
    r->tape = NULL;
    struct mat *y = n->args.layer.block(r, n->args.layer.model, n->args.layer.layer, &x);
    if (y && !r->failed) {
        y->g = n->out[0]->g;
        tape_backward(r, r->tape);
    }
    if (fresh && x.g && x.g != dx)
        memcpy(dx, x.g, count * sizeof *dx);
    else if (fresh && !x.g)
        memset(dx, 0, count * sizeof *dx);
    else if (dx && !fresh && x.g)
        r->k->add(dx, dx, x.g, count);
    in->g = dx;
    r->tape = tape;
    arena_reset(&r->arena, mark);
}

const struct op op_row_layer = {"layer", "a block whose inside is computed again in backward", layer_shape, layer_forward, layer_backward};

struct mat *op_layer(struct run *r, block_fn *block, const void *model, unsigned layer, struct mat *x)
{
    if (!x || r->failed)
        return NULL;
    if (!r->o.tape)
        return layer_serve(r, block, model, layer, x);
    if (!r->o.checkpoint)
        return block(r, model, layer, x);
    struct node n = {.op = &op_row_layer, .in = {x}, .n_in = 1};
    n.args.layer.block = block;
    n.args.layer.model = model;
    n.args.layer.layer = layer;
    return op_call(r, &n);
}
