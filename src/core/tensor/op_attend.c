/* op_attend.c: the only op that looks at sequences: softmax(scale·q Kᵀ) V over what each row may see.
 *
 * With a cache, the rows' keys and values are first stored behind what their slots hold; without one, each sequence gets a
 * small cache of its own for the length of the call. From there on both are the same: the kernel walks keys in tiles of 64
 * counted from index 0 and never forms a T×T matrix, so a prompt read whole, in pieces or token by token gives the same bits.
 *
 * A piece of work is one sequence, one key-value head and 16 of its rows with all query heads that share that head.
 * Backward makes the weights again from each row's peak and sum, which a recording forward leaves (attend_back_ops.h); a piece is
 * then one sequence and one key-value head, whose keys' gradients belong to nobody else. */
#include <math.h>
#include <string.h>
#include "core/tensor/run.h"

enum { ATTEND_ROWS = 16 };

struct attend_piece {
    const void *k, *v;
    size_t ldv;
    struct attend_query *queries;
    size_t count;
};
struct attend_job {
    struct run *r;
    const struct attend_op *a;
    struct attend_piece *pieces;
    enum kv_type type;
};

static bool attend_shape(struct run *r, struct node *n)
{
    const struct attend_op *a = &n->args.attend;
    if (n->in[0]->cols != a->heads * a->dk)
        return shape_fail(r, n, "query columns", n->in[0]->cols, a->heads * a->dk);
    if (n->in[1]->cols != a->kv_heads * a->dk)
        return shape_fail(r, n, "key columns", n->in[1]->cols, a->kv_heads * a->dk);
    if (n->in[2]->cols != a->kv_heads * a->dv)
        return shape_fail(r, n, "value columns", n->in[2]->cols, a->kv_heads * a->dv);
    for (unsigned i = 0; i < 3; i++)
        if (n->in[i]->rows != r->rows->n)
            return shape_fail(r, n, "rows", n->in[i]->rows, r->rows->n);
    if (a->kv_heads == 0 || a->heads % a->kv_heads)
        return shape_fail(r, n, "heads", a->heads, a->kv_heads);
    if (a->dk > ATTEND_MAX_DIM || a->dv > ATTEND_MAX_DIM || a->dv % 4 || a->dk % 4)
        return shape_fail(r, n, "head size", a->dk > a->dv ? a->dk : a->dv, ATTEND_MAX_DIM);
    if (r->o.cache && !a->causal) {
        run_fail(r, SOOTH_ERR_INTERNAL, "attention that is not causal cannot use a cache");
        return false;
    }
    n->rows[0] = n->in[0]->rows;
    n->cols[0] = a->heads * a->dv;
    return true;
}

/* Keys [lo, hi) that row i of the group sees. */
static void attend_span(const struct attend_op *a, const struct group *g, size_t i, size_t *lo, size_t *hi)
{
    size_t at = g->base + i;
    *hi = a->causal ? at + 1 : g->base + g->count;
    *lo = a->causal && a->window && at + 1 > a->window ? at + 1 - a->window : 0;
}

/* The prefix rows belong to the sequence's beginning: they are stored with its first rows. */
static size_t prefix_here(const struct run *r, const struct node *n, const struct group *g)
{
    return n->n_in > 3 && (!r->o.cache || kv_cache_length(r->o.cache, g->seq) == 0) ? r->o.prefix_rows : 0;
}

/* Somewhere in this run a sequence begins, so that its prefix must be made. */
static bool prefix_begins(const struct run *r)
{
    if (!r->o.prefix || !r->o.prefix_rows)
        return false;
    for (size_t i = 0; i < r->n_groups; i++)
        if (!r->o.cache || kv_cache_length(r->o.cache, r->groups[i].seq) == 0)
            return true;
    return false;
}

static void store_head(const struct run *r, const struct node *n, const struct group *g, size_t head, enum kv_type type, void *k, void *v)
{
    const struct attend_op *a = &n->args.attend;
    size_t prefix = prefix_here(r, n, g), kc = a->kv_heads * a->dk, vc = a->kv_heads * a->dv;
    for (size_t i = 0; i < prefix; i++) {
        kv_store_key(type, k, i, n->in[3]->v + i * kc + head * a->dk, a->dk);
        kv_store_value(type, v, a->dv, i, n->in[4]->v + i * vc + head * a->dv, a->dv);
    }
    for (size_t i = 0; i < g->count; i++) {
        kv_store_key(type, k, g->base + i, n->in[1]->v + (g->first + i) * kc + head * a->dk, a->dk);
        kv_store_value(type, v, a->dv, g->base + i, n->in[2]->v + (g->first + i) * vc + head * a->dv, a->dv);
    }
}

/* Where a head's keys and values lie after they have been stored. */
static bool place_head(struct run *r, struct node *n, const struct group *g, size_t head, const void **k, const void **v)
{
    const struct attend_op *a = &n->args.attend;
    void *keys, *values;
    enum kv_type type = KV_F32;
    if (r->o.cache) {
        type = kv_cache_type(r->o.cache);
        keys = kv_cache_keys(r->o.cache, g->seq, a->layer, head);
        values = kv_cache_values(r->o.cache, g->seq, a->layer, head);
    } else {
        size_t length = g->base + g->count;
        keys = arena_alloc(&r->arena, kv_key_bytes(type, length, a->dk));
        values = arena_alloc(&r->arena, length * a->dv * sizeof(float));
        if (!keys || !values)
            return false;
    }
    store_head(r, n, g, head, type, keys, values);
    *k = keys;
    *v = values;
    return true;
}

/* The pieces of one sequence and head. */
static size_t cut_pieces(struct run *r, struct node *n, const struct group *g, size_t head, const void *k, const void *v,
                         struct attend_piece *out, struct attend_query **next)
{
    const struct attend_op *a = &n->args.attend;
    size_t share = a->heads / a->kv_heads, pieces = 0;
    for (size_t from = 0; from < g->count; from += ATTEND_ROWS) {
        struct attend_piece *p = &out[pieces++];
        size_t to = from + ATTEND_ROWS < g->count ? from + ATTEND_ROWS : g->count;
        *p = (struct attend_piece){k, v, a->dv, *next, 0};
        for (size_t i = from; i < to; i++)
            for (size_t s = 0; s < share; s++) {
                size_t lo, hi, row = g->first + i, h = head * share + s;
                attend_span(a, g, i, &lo, &hi);
                p->queries[p->count++] = (struct attend_query){.q = n->in[0]->v + (row * a->heads + h) * a->dk,
                                                               .out = n->out[0]->v + (row * a->heads + h) * a->dv,
                                                               .lo = (uint32_t)lo, .hi = (uint32_t)hi,
                                                               .stat = n->keep ? (float *)n->keep + 2 * (row * a->heads + h) : NULL};
            }
        *next += p->count;
    }
    return pieces;
}

static void attend_tile(void *ctx, size_t tile, unsigned worker)
{
    struct attend_job *j = ctx;
    const struct attend_piece *p = &j->pieces[tile];
    struct attend a = {.queries = p->queries, .count = p->count, .k = p->k, .v = p->v, .ldv = p->ldv, .type = j->type,
                       .dk = j->a->dk, .dv = j->a->dv, .scale = j->a->scale, .softcap = j->a->softcap};
    j->r->k->attend(&a);
}

static void attend_forward(struct run *r, struct node *n)
{
    const struct attend_op *a = &n->args.attend;
    if (r->o.tape && r->record && !(n->keep = run_scratch(r, r->rows->n * a->heads, 2 * sizeof(float))))
        return;
    struct arena_mark mark = arena_mark(&r->arena);
    size_t most = r->n_groups + r->rows->n / ATTEND_ROWS + 1, pieces = 0;
    double work = 0;
    struct attend_query *queries = run_scratch(r, r->rows->n * a->heads, sizeof *queries), *next = queries;
    struct attend_piece *piece = run_scratch(r, (most + r->n_groups) * a->kv_heads, sizeof *piece);
    if (!queries || !piece)
        return;
    for (size_t i = 0; i < r->n_groups; i++)
        for (size_t head = 0; head < a->kv_heads; head++) {
            const struct group *g = &r->groups[i];
            const void *k, *v;
            if (!place_head(r, n, g, head, &k, &v)) {
                run_fail(r, SOOTH_ERR_NOMEM, "out of memory for the keys of %zu tokens", g->count);
                return;
            }
            pieces += cut_pieces(r, n, g, head, k, v, piece + pieces, &next);
            work += (double)g->count * (double)(g->base + g->count) * (double)(a->dk + a->dv) * (double)(a->heads / a->kv_heads);
        }
    struct attend_job j = {r, a, piece, r->o.cache ? kv_cache_type(r->o.cache) : KV_F32};
    run_tiles(r, pieces, work, attend_tile, &j);
    arena_reset(&r->arena, mark);
}

/* ---- backward ---- */

struct back_piece {
    const struct group *g;
    size_t head;
    float *k, *v, *k_rows, *grad_k, *grad_v;
    struct attend_query *queries; /* [count, heads that share the key-value head] */
};
struct back_job {
    struct run *r;
    struct node *n;
    float *dq, *dk, *dv, *dpk, *dpv; /* of q, k, v and the prefix; NULL = not wanted */
    struct back_piece *pieces;
    size_t prefix; /* rows */
};

static void back_queries(const struct back_job *b, const struct back_piece *p)
{
    const struct node *n = b->n;
    const struct attend_op *a = &n->args.attend;
    size_t share = a->heads / a->kv_heads;
    for (size_t i = 0; i < p->g->count; i++)
        for (size_t s = 0; s < share; s++) {
            size_t lo, hi, at = (p->g->first + i) * a->heads + p->head * share + s;
            attend_span(a, p->g, i, &lo, &hi);
            p->queries[i * share + s] = (struct attend_query){
                .q = n->in[0]->v + at * a->dk, .out = n->out[0]->v + at * a->dv, .lo = (uint32_t)lo, .hi = (uint32_t)hi,
                .stat = (float *)n->keep + 2 * at, .grad_out = n->out[0]->g + at * a->dv, .grad_q = b->dq ? b->dq + at * a->dk : NULL};
        }
}

/* Row j of a sequence's keys (or values), or of their gradients: the prefix first. */
static float *seen(const struct back_job *b, const struct back_piece *p, float *m, float *prefix, size_t j, size_t d)
{
    const struct attend_op *a = &b->n->args.attend;
    float *base = j < b->prefix ? prefix : m;
    size_t row = j < b->prefix ? j : p->g->first + j - b->prefix;
    return base ? base + (row * a->kv_heads + p->head) * d : NULL;
}

static void back_gather(const struct back_job *b, const struct back_piece *p, size_t length)
{
    const struct node *n = b->n;
    const struct attend_op *a = &n->args.attend;
    float *pk = b->prefix ? n->in[3]->v : NULL, *pv = b->prefix ? n->in[4]->v : NULL;
    for (size_t j = 0; j < length; j++) {
        const float *k = seen(b, p, n->in[1]->v, pk, j, a->dk);
        kv_store_key(KV_F32, p->k, j, k, a->dk);
        memcpy(p->k_rows + j * a->dk, k, a->dk * sizeof *k);
        kv_store_key(KV_F32, p->v, j, seen(b, p, n->in[2]->v, pv, j, a->dv), a->dv);
    }
}

static void back_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct back_job *b = ctx;
    const struct back_piece *p = &b->pieces[tile];
    const struct attend_op *a = &b->n->args.attend;
    const struct kernel *k = b->r->k;
    size_t length = b->prefix + p->g->count;
    back_gather(b, p, length);
    back_queries(b, p);
    memset(p->grad_k, 0, length * a->dk * sizeof *p->grad_k);
    memset(p->grad_v, 0, length * a->dv * sizeof *p->grad_v);
    k->attend_back(&(struct attend_back){.queries = p->queries, .count = p->g->count * (a->heads / a->kv_heads), .k = p->k, .v = p->v,
                                         .k_rows = p->k_rows, .grad_k = b->dk || b->dpk ? p->grad_k : NULL, .grad_v = b->dv || b->dpv ? p->grad_v : NULL,
                                         .dk = a->dk, .dv = a->dv, .scale = a->scale, .softcap = a->softcap});
    /* Several sequences share the rows of a prefix: those are added afterwards, in order. */
    for (size_t j = b->prefix; j < length; j++) {
        float *dk = seen(b, p, b->dk, NULL, j, a->dk), *dv = seen(b, p, b->dv, NULL, j, a->dv);
        if (dk)
            k->add(dk, dk, p->grad_k + j * a->dk, a->dk);
        if (dv)
            k->add(dv, dv, p->grad_v + j * a->dv, a->dv);
    }
}

static bool back_piece_new(struct run *r, struct node *n, const struct group *g, size_t head, size_t prefix, struct back_piece *p)
{
    const struct attend_op *a = &n->args.attend;
    size_t length = prefix + g->count, whole = kv_key_bytes(KV_F32, length, 1) / sizeof(float);
    *p = (struct back_piece){.g = g, .head = head};
    p->k = run_scratch(r, whole, a->dk * sizeof *p->k);
    p->v = run_scratch(r, whole, a->dv * sizeof *p->v);
    p->k_rows = run_scratch(r, length, a->dk * sizeof *p->k_rows);
    p->grad_k = run_scratch(r, length, a->dk * sizeof *p->grad_k);
    p->grad_v = run_scratch(r, length, a->dv * sizeof *p->grad_v);
    p->queries = run_scratch(r, g->count * (a->heads / a->kv_heads), sizeof *p->queries);
    return !r->failed;
}

static void attend_backward(struct run *r, struct node *n)
{
    const struct attend_op *a = &n->args.attend;
    struct back_job b = {.r = r, .n = n, .prefix = n->n_in > 3 ? r->o.prefix_rows : 0};
    size_t count = r->n_groups * a->kv_heads;
    double work = 0;
    b.dq = node_grad(r, n, 0);
    b.dk = node_grad(r, n, 1);
    b.dv = node_grad(r, n, 2);
    b.dpk = n->n_in > 3 ? node_grad(r, n, 3) : NULL;
    b.dpv = n->n_in > 3 ? node_grad(r, n, 4) : NULL;
    struct arena_mark mark = arena_mark(&r->arena);
    b.pieces = run_scratch(r, count, sizeof *b.pieces);
    for (size_t i = 0; i < count && b.pieces; i++) {
        const struct group *g = &r->groups[i / a->kv_heads];
        if (!back_piece_new(r, n, g, i % a->kv_heads, b.prefix, &b.pieces[i]))
            return;
        work += (double)g->count * (double)(b.prefix + g->count) * (double)(a->heads / a->kv_heads) * (double)(3 * a->dk + 2 * a->dv);
    }
    if (b.pieces)
        run_tiles(r, count, work, back_tile, &b);
    for (size_t i = 0; i < count && b.pieces; i++)
        for (size_t j = 0; j < b.prefix; j++) {
            const struct back_piece *p = &b.pieces[i];
            float *dk = seen(&b, p, NULL, b.dpk, j, a->dk), *dv = seen(&b, p, NULL, b.dpv, j, a->dv);
            if (dk)
                r->k->add(dk, dk, p->grad_k + j * a->dk, a->dk);
            if (dv)
                r->k->add(dv, dv, p->grad_v + j * a->dv, a->dv);
        }
    arena_reset(&r->arena, mark);
}

const struct op op_row_attend = {"attend", "softmax attention over sequences and their cache", attend_shape, attend_forward, attend_backward};

struct mat *op_attend(struct run *r, const struct attend_op *a, struct mat *q, struct mat *k, struct mat *v)
{
    struct node n = {.op = &op_row_attend, .in = {q, k, v}, .n_in = 3};
    n.args.attend = *a;
    if (!r->failed && prefix_begins(r)) {
        r->o.prefix(r->o.prefix_user, r, a->layer, &n.in[3], &n.in[4]);
        n.n_in = 5;
    }
    return op_call(r, &n);
}
