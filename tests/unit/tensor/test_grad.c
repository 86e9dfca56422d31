/* test_grad.c: every row of the op table against central differences, inputs and weights, and its refusals.
 *
 * The loss is a fixed random weighting of all outputs. f32 forwards limit what differences can show: h = 1e-2 and a relative error of 2e-2
 * on sums of many terms; an op whose backward is wrong by a factor or a sign is off by far more. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/tensor/op.h"
#include "core/tensor/run.h"

enum { N = 7, D = 32, ROWS_MAX = 64 };

static struct rng rng;
static float store[16][4096]; /* data of weights */
static struct weight weights[16];
static const struct weight *trained[16];
static size_t n_weights;

static const struct weight *weight_of(size_t rows, size_t cols)
{
    struct weight *w = &weights[n_weights];
    for (size_t i = 0; i < rows * cols; i++)
        store[n_weights][i] = 0.5f * rng_normal(&rng) + (rows == 1 ? 1 : 0);
    w->name = "w";
    qmat_init(&w->q, qtype_by_id(0), rows, cols, store[n_weights]);
    trained[n_weights++] = w;
    return w;
}

static const uint32_t positions[N] = {0, 1, 2, 3, 0, 1, 2}, sequences[N] = {0, 0, 0, 0, 1, 1, 1};
static const int32_t tokens[N] = {3, 1, 4, 1, 5, 2, 6}, targets[N] = {1, 4, -1, 5, 2, 6, 3};
static const uint8_t wanted[N] = {1, 1, 0, 1, 1, 0, 1}, types[N] = {0, 0, 1, 1, 0, 1, 1};
static const uint32_t chosen[5] = {6, 0, 0, 3, 2};
static const double freq[8] = {1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005};
static const struct rope rope_halves = {.dim = 16, .freq = freq, .scale = 1.1, .halves = true}, rope_pairs = {.dim = 16, .freq = freq, .scale = 1};

/* x: an embedding of trained rows, so that its gradient is that of a weight. */
struct given {
    struct run *r;
    const struct weight *x, *y, *w, *v, *b;
};

static struct mat *input(struct given *g, const struct weight *w)
{
    static const int32_t all[N] = {0, 1, 2, 3, 4, 5, 6};
    return op_lookup(g->r, w, all, N);
}

static struct mat *square(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct weight *w = model;
    return op_add(r, x, op_act(r, ACT_TANH, op_linear(r, w, NULL, x)));
}

static struct mat *build(const char *op, unsigned variant, struct given *g)
{
    struct run *r = g->r;
    struct mat *x = input(g, g->x), *y = input(g, g->y);
    if (!strcmp(op, "embed"))
        return op_add(r, op_embed(r, g->x, variant ? IDS_POSITION : IDS_TOKEN, 0), op_embed(r, g->y, IDS_TYPE, 1));
    if (!strcmp(op, "lookup"))
        return op_lookup(r, g->x, tokens, N);
    if (!strcmp(op, "linear"))
        return op_linear(r, g->w, variant ? g->b : NULL, x);
    if (!strcmp(op, "rmsnorm"))
        return op_rmsnorm(r, variant ? g->v : g->b, 1e-5f, x);
    if (!strcmp(op, "layernorm"))
        return op_layernorm(r, g->b, variant ? g->b : NULL, 1e-5f, x);
    if (!strcmp(op, "rope"))
        return op_rope(r, variant ? &rope_halves : &rope_pairs, 16, x);
    if (!strcmp(op, "attend")) {
        struct attend_op a = {.heads = 2, .kv_heads = 1, .dk = 16, .dv = 16, .scale = 0.7f, .causal = variant != 1, .window = variant == 2 ? 2 : 0,
                              .softcap = variant == 3 ? 1.5f : 0};
        return op_attend(r, &a, x, op_columns(r, 0, 16, y), op_columns(r, 16, 16, y));
    }
    if (!strcmp(op, "act"))
        return op_act(r, (enum op_act)variant, x);
    if (!strcmp(op, "glu"))
        return op_glu(r, (enum op_act)variant, x, y);
    if (!strcmp(op, "add"))
        return op_add(r, x, variant ? x : y);
    if (!strcmp(op, "mul"))
        return op_mul(r, x, variant ? x : y);
    if (!strcmp(op, "scale"))
        return op_scale(r, -1.7f, x);
    if (!strcmp(op, "add_row"))
        return op_add_row(r, g->b, x);
    if (!strcmp(op, "mul_row"))
        return op_mul_row(r, g->b, x);
    if (!strcmp(op, "softcap"))
        return op_softcap(r, 1.3f, x);
    if (!strcmp(op, "softmax"))
        return op_softmax(r, x);
    if (!strcmp(op, "logsigmoid"))
        return op_logsigmoid(r, x);
    if (!strcmp(op, "unit"))
        return op_unit(r, x);
    if (!strcmp(op, "columns"))
        return op_columns(r, 5, 9, x);
    if (!strcmp(op, "concat"))
        return op_concat(r, x, y);
    if (!strcmp(op, "wanted"))
        return op_wanted(r, x);
    if (!strcmp(op, "rows"))
        return op_rows(r, chosen, 5, x);
    if (!strcmp(op, "pool"))
        return op_pool(r, (enum op_pool)variant, op_wanted(r, x));
    if (!strcmp(op, "logprob"))
        return op_logprob(r, g->w, variant ? 2.0f : 0, targets, x);
    if (!strcmp(op, "weigh")) {
        static float c[N * D];
        for (size_t i = 0; i < N * D; i++)
            c[i] = (float)(i % 5) - 2;
        return op_weigh(r, c, x);
    }
    if (!strcmp(op, "layer"))
        return op_layer(r, square, g->w, 0, x);
    return NULL;
}

static unsigned variants(const char *op)
{
    if (!strcmp(op, "act") || !strcmp(op, "glu"))
        return ACT_COUNT;
    if (!strcmp(op, "attend"))
        return 4;
    if (!strcmp(op, "pool"))
        return 3;
    return 2;
}

static double loss_of(const char *op, unsigned variant, struct given *g, const struct run_options *o, struct mat **loss)
{
    static float c[ROWS_MAX * D];
    static struct rows rows = {.n = N, .token = tokens, .pos = positions, .seq = sequences, .want = wanted, .type = types};
    struct sooth_error err = {0};
    for (size_t i = 0; i < ROWS_MAX * D; i++)
        c[i] = sinf((float)i * 1.7f + 0.3f);
    run_begin(g->r, &rows);
    struct mat *y = build(op, variant, g);
    *loss = op_weigh(g->r, c, y);
    if (run_end(g->r, &err) != SOOTH_OK)
        fail_msg("%s: %s", op, err.text);
    return (double)(*loss)->v[0];
}

static void check(const char *op, unsigned variant, bool checkpoint)
{
    n_weights = 0;
    rng_seed(&rng, 5);
    struct given g = {NULL, weight_of(N, D), weight_of(N, D), weight_of(D, D), weight_of(1, 16), weight_of(1, D)};
    struct grads *grads = grads_new(trained, n_weights);
    struct run_options o = {.tape = true, .grads = grads, .checkpoint = checkpoint};
    struct sooth_error err = {0};
    struct mat *loss;
    g.r = run_new(&o);
    loss_of(op, variant, &g, &o, &loss);
    if (run_backward(g.r, loss, 1, &err) != SOOTH_OK)
        fail_msg("%s: %s", op, err.text);
    bool any = false;
    for (size_t w = 0; w < n_weights; w++) {
        const float *d = grads_find(grads, trained[w]);
        size_t count = trained[w]->q.rows * trained[w]->q.cols;
        for (size_t k = 0; k < 30; k++) {
            size_t i = count <= 30 ? k % count : rng_below(&rng, count);
            float kept = store[w][i], h = 1e-2f;
            struct mat *unused;
            store[w][i] = kept + h;
            double up = loss_of(op, variant, &g, &o, &unused);
            store[w][i] = kept - h;
            double down = loss_of(op, variant, &g, &o, &unused);
            store[w][i] = kept;
            double slope = (up - down) / (2 * (double)h);
            any = any || slope != 0;
            bool kink = !strcmp(op, "act") || !strcmp(op, "glu"); /* relu within h of 0 has no slope */
            if (fabs(slope - (double)d[i]) > 2e-2 * (fabs(slope) + 0.3) && !(kink && variant == ACT_RELU && fabsf(kept) < 2 * h))
                fail_msg("%s variant %u: weight %zu[%zu] has gradient %g, differences say %g", op, variant, w, i, (double)d[i], slope);
        }
    }
    if (!any)
        fail_msg("%s: nothing depends on anything", op);
    run_free(g.r);
    grads_free(grads);
}

static void every_op_against_differences(void **state)
{
    const struct op *op;
    size_t count = 0;
    for (size_t i = 0; (op = op_at(i)); i++, count++) {
        assert_non_null(op->shape);
        assert_non_null(op->forward);
        assert_non_null(op->backward);
        assert_true(op->name[0] && op->note[0]);
        for (unsigned v = 0; v < variants(op->name); v++)
            check(op->name, v, !strcmp(op->name, "layer") && v == 1);
    }
    assert_true(count >= 25);
}

/* ---- what is frozen costs nothing; failures stick ---- */

static void frozen_things_are_not_recorded(void **state)
{
    n_weights = 0;
    rng_seed(&rng, 9);
    const struct weight *x = weight_of(N, D), *w = weight_of(D, D), *top = weight_of(D, D);
    struct grads *grads = grads_new(&top, 1);
    struct run_options o = {.tape = true, .grads = grads};
    struct run *r = run_new(&o);
    struct rows rows = {.n = N, .token = tokens, .pos = positions, .seq = sequences};
    run_begin(r, &rows);
    struct mat *h = op_linear(r, w, NULL, op_embed(r, x, IDS_TOKEN, 0));
    assert_false(h->needs);
    assert_null(r->tape);
    assert_true(op_linear(r, top, NULL, h)->needs);
    assert_non_null(r->tape);
    run_free(r);
    grads_free(grads);
}

static void failures_stick(void **state)
{
    n_weights = 0;
    const struct weight *x = weight_of(N, D), *w = weight_of(4, 5);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    struct sooth_error err = {0};
    struct rows rows = {.n = N, .token = tokens, .pos = positions, .seq = sequences};
    run_begin(r, &rows);
    struct mat *y = op_linear(r, w, NULL, op_embed(r, x, IDS_TOKEN, 0)); /* 32 columns into 5 */
    assert_null(y);
    assert_null(op_act(r, ACT_SILU, y));
    assert_int_not_equal(run_end(r, &err), SOOTH_OK);
    assert_non_null(strstr(err.text, "linear"));
    static const int32_t far[N] = {0, 1, 2, 99, 1, 1, 1};
    rows.token = far;
    run_begin(r, &rows);
    assert_null(op_embed(r, x, IDS_TOKEN, 0));
    assert_int_equal(run_end(r, &err), SOOTH_ERR_ARG);
    static const uint32_t torn[N] = {0, 0, 1, 0, 1, 1, 1};
    rows.token = tokens;
    rows.seq = torn;
    run_begin(r, &rows);
    assert_int_not_equal(run_end(r, &err), SOOTH_OK);
    run_free(r);
}

static void the_cache_forgets_what_it_is_told_to(void **state)
{
    struct kv_shape shape = {2, 1, 16, 16};
    struct kv_cache *c = kv_cache_new(&shape, 2, 300, KV_F16);
    assert_non_null(c);
    assert_int_equal(kv_cache_reserve(c, 0, 301), SOOTH_ERR_LIMIT);
    assert_int_equal(kv_cache_reserve(c, 0, 270), SOOTH_OK);
    kv_cache_grow(c, 0, 270);
    assert_int_equal(kv_cache_copy(c, 1, 0, 100), SOOTH_OK);
    assert_int_equal(kv_cache_length(c, 1), 100);
    kv_cache_truncate(c, 0, 17);
    assert_int_equal(kv_cache_length(c, 0), 17);
    assert_true(kv_cache_bytes(c) > 0);
    kv_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_against_differences),
        cmocka_unit_test(frozen_things_are_not_recorded),
        cmocka_unit_test(failures_stick),
        cmocka_unit_test(the_cache_forgets_what_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
