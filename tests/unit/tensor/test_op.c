/* test_op.c: every row of the op table: it has a shape rule, a forward, a backward and at least one case (op_cases.h), and
 * for every case the gradient equals central differences, does not depend on threads, and stops at what is frozen.
 *
 * Differences are taken in float at two widths and extrapolated, (4 D(h) − D(2h)) / 3, the loss summed in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/tensor/run.h"
#include "op_cases.h"

#define STEP 1e-2f
#define TOLERANCE 4e-3 /* of the largest gradient of the same weight */

struct bench {
    const struct op_case *c;
    struct weight w[CASE_WEIGHTS];
    const struct weight *list[CASE_WEIGHTS];
    size_t n;
    float out_weights[4096]; /* the loss is Σ of these times the output */
    const char *seen;        /* the op that the case is about, once it ran */
};

static void bench_open(struct bench *b, const struct op_case *c)
{
    static const char *const names[CASE_WEIGHTS] = {"w0", "w1", "w2", "w3", "w4", "w5"};
    struct rng rng;
    rng_seed(&rng, 42);
    *b = (struct bench){.c = c};
    for (size_t i = 0; i < sizeof b->out_weights / sizeof *b->out_weights; i++)
        b->out_weights[i] = rng_normal(&rng);
    for (; b->n < CASE_WEIGHTS && c->shape[b->n][0]; b->n++) {
        size_t rows = c->shape[b->n][0], cols = c->shape[b->n][1];
        float *v = mem_array(rows * cols, sizeof *v);
        assert_non_null(v);
        for (size_t i = 0; i < rows * cols; i++) {
            v[i] = rng_normal(&rng);
            if (c->away && fabsf(v[i]) < 0.1f)
                v[i] = 0.5f;
        }
        b->w[b->n].name = names[b->n];
        qmat_init(&b->w[b->n].q, qtype_by_id(0), rows, cols, v);
        b->list[b->n] = &b->w[b->n];
    }
}

static void bench_close(struct bench *b)
{
    for (size_t i = 0; i < b->n; i++)
        mem_free((void *)b->w[i].q.data);
}

static void bench_prefix(void *user, struct run *r, unsigned layer, struct mat **k, struct mat **v)
{
    struct bench *b = user;
    *k = in(r, b->list[3]);
    *v = in(r, b->list[4]);
}

static void bench_observe(void *user, const char *op, const struct weight *w, const struct mat *x, const struct mat *y)
{
    struct bench *b = user;
    if (strcmp(op, b->c->op) == 0)
        b->seen = op;
}

static struct run_options bench_options(struct bench *b)
{
    struct run_options o = {.observer = bench_observe, .observer_user = b, .prefix_rows = b->c->prefix, .prefix_user = b};
    o.prefix = b->c->prefix ? bench_prefix : NULL;
    return o;
}

static double loss_of(struct bench *b)
{
    struct run_options o = bench_options(b);
    struct run *r = run_new(&o);
    struct sooth_error err = {0};
    double sum = 0;
    assert_non_null(r);
    run_begin(r, &case_rows);
    struct mat *y = b->c->build(r, b->list);
    if (run_end(r, &err) != SOOTH_OK)
        fail_msg("%s (%s): %s", b->c->op, b->c->name, err.text);
    for (size_t i = 0; i < y->rows * y->cols; i++)
        sum += (double)b->out_weights[i] * (double)y->v[i];
    run_free(r);
    return sum;
}

static void gradients(struct bench *b, struct pool *pool, struct grads *g)
{
    struct run_options o = bench_options(b);
    o.pool = pool;
    o.tape = true;
    o.checkpoint = true;
    o.grads = g;
    struct run *r = run_new(&o);
    struct sooth_error err = {0};
    assert_non_null(r);
    run_begin(r, &case_rows);
    struct mat *loss = op_weigh(r, b->out_weights, b->c->build(r, b->list));
    if (run_end(r, &err) != SOOTH_OK || run_backward(r, loss, 1, &err) != SOOTH_OK)
        fail_msg("%s (%s): %s", b->c->op, b->c->name, err.text);
    run_free(r);
}

static double central(struct bench *b, float *x, float h)
{
    float at = *x;
    *x = at + h;
    double up = loss_of(b);
    *x = at - h;
    double down = loss_of(b);
    *x = at;
    return (up - down) / (2 * (double)h);
}

static void check_case(const struct op_case *c)
{
    struct bench b;
    bench_open(&b, c);
    struct grads *g = grads_new(b.list, b.n);
    assert_non_null(g);
    gradients(&b, NULL, g);
    if (!b.seen)
        fail_msg("the case '%s' never runs op '%s'", c->name, c->op);
    for (size_t i = 0; i < b.n; i++) {
        size_t n = b.w[i].q.rows * b.w[i].q.cols, stride = n / 37 + 1;
        const float *grad = grads_find(g, b.list[i]);
        float *x = (float *)b.w[i].q.data;
        double top = 1e-3;
        for (size_t j = 0; j < n; j++)
            top = fmax(top, fabs((double)grad[j]));
        for (size_t j = 0; j < n; j += stride) {
            double d = (4 * central(&b, x + j, STEP) - central(&b, x + j, 2 * STEP)) / 3;
            if (!(fabs(d - (double)grad[j]) <= TOLERANCE * top))
                fail_msg("%s (%s): d/dw%zu[%zu] is %g, differences say %g", c->op, c->name, i, j, (double)grad[j], d);
        }
    }
    grads_free(g);
    bench_close(&b);
}

static void every_op_agrees_with_finite_differences(void **state)
{
    for (size_t i = 0; op_at(i); i++) {
        const struct op *op = op_at(i);
        size_t cases = 0;
        assert_true(op->name && op->note && op->shape && op->forward && op->backward);
        for (size_t j = 0; j < sizeof op_cases / sizeof *op_cases; j++)
            if (strcmp(op_cases[j].op, op->name) == 0) {
                check_case(&op_cases[j]);
                cases++;
            }
        if (!cases)
            fail_msg("op '%s' has no case", op->name);
    }
}

static void gradients_do_not_depend_on_threads(void **state)
{
    struct pool *pool = pool_new(3);
    for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++) {
        struct bench b;
        bench_open(&b, &op_cases[i]);
        struct grads *one = grads_new(b.list, b.n), *three = grads_new(b.list, b.n);
        gradients(&b, NULL, one);
        gradients(&b, pool, three);
        for (size_t k = 0; k < b.n; k++)
            assert_memory_equal(grads_find(one, b.list[k]), grads_find(three, b.list[k]), b.w[k].q.rows * b.w[k].q.cols * sizeof(float));
        grads_free(one);
        grads_free(three);
        bench_close(&b);
    }
    pool_free(pool);
}

/* Each weight trained alone gets the bits it gets among others, and the others get nothing. */
static void frozen_weights_change_nothing(void **state)
{
    for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++) {
        struct bench b;
        bench_open(&b, &op_cases[i]);
        struct grads *all = grads_new(b.list, b.n);
        gradients(&b, NULL, all);
        for (size_t k = 0; k < b.n; k++) {
            struct grads *one = grads_new(&b.list[k], 1);
            gradients(&b, NULL, one);
            assert_memory_equal(grads_find(all, b.list[k]), grads_find(one, b.list[k]), b.w[k].q.rows * b.w[k].q.cols * sizeof(float));
            assert_true(b.n == 1 || !grads_find(one, b.list[(k + 1) % b.n]));
            grads_free(one);
        }
        grads_free(all);
        bench_close(&b);
    }
}

static void frozen_things_are_not_recorded(void **state)
{
    static const struct op_case c = {"linear", "", {{N, 6}, {6, 6}, {6, 6}}, NULL};
    struct bench b;
    bench_open(&b, &c);
    struct grads *g = grads_new(&b.list[2], 1);
    struct run_options o = {.tape = true, .grads = g};
    struct run *r = run_new(&o);
    run_begin(r, &case_rows);
    struct mat *h = op_linear(r, b.list[1], NULL, in(r, b.list[0]));
    assert_true(h && !h->needs && !r->tape);
    assert_true(op_linear(r, b.list[2], NULL, h)->needs);
    assert_non_null(r->tape);
    assert_null(r->tape->prev);
    run_free(r);
    grads_free(g);
    bench_close(&b);
}

/* x moves through a frozen quantized matrix (QLoRA's base): dx = dy·dequant(W). */
static void gradient_flows_through_a_quantized_weight(void **state)
{
    static const char *const formats[] = {"q8_0", "q4_1", "q4_k", "f16"};
    float w[5 * 256];
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < 5 * 256; i++)
        w[i] = rng_normal(&rng);
    for (size_t f = 0; f < 4; f++) {
        const struct qtype *t = qtype_by_name(formats[f]);
        size_t bytes;
        assert_non_null(t);
        assert_true(qtype_bytes(t, 5, 256, &bytes));
        void *packed = mem_alloc(bytes);
        t->quantize(w, packed, 5 * 256);
        struct bench b;
        static const struct op_case c = {"linear", "quantized", {{N, 256}, {5, 256}}, case_linear};
        bench_open(&b, &c);
        float back[256], dy[5];
        mem_free((void *)b.w[1].q.data);
        qmat_init(&b.w[1].q, t, 5, 256, packed);
        struct grads *g = grads_new(b.list, 1); /* only the input */
        gradients(&b, NULL, g);
        for (size_t i = 0; i < N; i++) {
            double want[256] = {0};
            for (size_t o = 0; o < 5; o++) {
                dy[o] = b.out_weights[i * 5 + o];
                qmat_row(&b.w[1].q, o, back);
                for (size_t j = 0; j < 256; j++)
                    want[j] += (double)dy[o] * (double)back[j];
            }
            for (size_t j = 0; j < 256; j++)
                assert_true(fabs(want[j] - (double)grads_find(g, b.list[0])[i * 256 + j]) < 1e-4);
        }
        grads_free(g);
        bench_close(&b);
    }
}

/* ---- failures ---- */

static void nothing_in_gives_nothing_out(void **state)
{
    struct bench b;
    bench_open(&b, &op_cases[0]);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    struct sooth_error err = {0};
    struct mat *y[2] = {(struct mat *)&b, (struct mat *)&b};
    run_begin(r, &case_rows);
    run_fail(r, SOOTH_ERR_CANCELLED, "the first reason");
    run_fail(r, SOOTH_ERR_IO, "a later reason");
    assert_null(op_embed(r, b.list[0], IDS_TOKEN, 0));
    op_linears(r, 2, (const struct weight *[]){b.list[0], b.list[1]}, NULL, NULL, y);
    assert_true(!y[0] && !y[1]);
    assert_null(op_layer(r, case_block, &b, 0, NULL));
    assert_int_equal(run_end(r, &err), SOOTH_ERR_CANCELLED);
    assert_string_equal(err.text, "the first reason");
    run_begin(r, &case_rows); /* the next run is not burdened */
    assert_non_null(op_embed(r, b.list[0], IDS_TOKEN, 0));
    assert_int_equal(run_end(r, &err), SOOTH_OK);
    run_free(r);
    bench_close(&b);
}

static void expect_failure(struct run *r, struct mat *y, enum sooth_status status, const char *part)
{
    struct sooth_error err = {0};
    assert_null(y);
    assert_int_equal(run_end(r, &err), status);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not speak of '%s'", err.text, part);
    run_begin(r, &case_rows);
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    static const struct op_case c = {"add", "", {{N, 8}, {N, 6}, {4, 8}, {1, 5}}, NULL};
    static const uint32_t far[1] = {N};
    static const int32_t high[N] = {0, 0, 0, 0, 0, 0, 0, 0, 4}, low[1] = {-1};
    struct bench b;
    bench_open(&b, &c);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    run_begin(r, &case_rows);
    expect_failure(r, op_add(r, in(r, b.list[0]), in(r, b.list[1])), SOOTH_ERR_INTERNAL, "op 'add'");
    expect_failure(r, op_linear(r, b.list[1], NULL, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "w1");
    expect_failure(r, op_linear(r, b.list[2], b.list[3], in(r, b.list[0])), SOOTH_ERR_INTERNAL, "vector length is 5, not 4");
    expect_failure(r, op_rmsnorm(r, b.list[3], 1e-5f, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "op 'rmsnorm'");
    expect_failure(r, op_columns(r, 3, 6, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "last column");
    expect_failure(r, op_columns(r, SIZE_MAX, 2, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "column");
    expect_failure(r, op_rows(r, far, 1, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "op 'rows'");
    expect_failure(r, op_pool(r, POOL_MEAN, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "op 'pool'");
    expect_failure(r, op_lookup(r, b.list[0], low, 1), SOOTH_ERR_ARG, "number -1");
    expect_failure(r, op_embed(r, b.list[2], IDS_TOKEN, 0), SOOTH_ERR_ARG, "which has 4 rows");
    expect_failure(r, op_logprob(r, b.list[2], 0, high, in(r, b.list[0])), SOOTH_ERR_INTERNAL, "target");
    expect_failure(r, op_rope(r, &rope_halves, 8, in(r, b.list[1])), SOOTH_ERR_INTERNAL, "op 'rope'");
    expect_failure(r, op_attend(r, &(struct attend_op){.heads = 2, .kv_heads = 1, .dk = 4, .dv = 4}, in(r, b.list[0]), in(r, b.list[1]), in(r, b.list[1])),
                   SOOTH_ERR_INTERNAL, "key columns");
    run_free(r);
    bench_close(&b);
}

/* Every allocation of a training step fails once: a status, nothing leaked. */
static void memory_that_runs_out_is_a_status(void **state)
{
    struct bench b;
    bench_open(&b, &op_cases[sizeof op_cases / sizeof *op_cases - 1]);
    uint64_t live = mem_live();
    bool done = false;
    for (uint64_t at = 1; !done && at < 1000; at++) {
        struct sooth_error err = {0};
        mem_fail_at(at);
        struct grads *g = grads_new(b.list, b.n);
        struct run_options o = {.tape = true, .checkpoint = at % 2 == 0, .grads = g};
        struct run *r = g ? run_new(&o) : NULL;
        if (r) {
            run_begin(r, &case_rows);
            struct mat *loss = op_weigh(r, b.out_weights, b.c->build(r, b.list));
            enum sooth_status s = run_end(r, &err);
            s = s ? s : run_backward(r, loss, 1, &err);
            assert_true(s == SOOTH_OK || s == SOOTH_ERR_NOMEM);
            done = s == SOOTH_OK;
        }
        mem_fail_at(0);
        run_free(r);
        grads_free(g);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_agrees_with_finite_differences),
        cmocka_unit_test(gradients_do_not_depend_on_threads),
        cmocka_unit_test(frozen_weights_change_nothing),
        cmocka_unit_test(frozen_things_are_not_recorded),
        cmocka_unit_test(gradient_flows_through_a_quantized_weight),
        cmocka_unit_test(nothing_in_gives_nothing_out),
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
