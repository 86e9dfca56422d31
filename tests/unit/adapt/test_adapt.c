/* test_adapt.c: every method of the table on every tiny architecture: at the start the model is as it was, the base never
 * changes, gradients agree with differences, every way of running gives the same bits, worn, scaled, stacked, merged. */
#include "adapt_fixture.h"

static int32_t ids[T];
static const char *const archs[] = {"llama", "llama_yarn", "gemma3", "gpt2", "phi3", "qwen3", "deepnorm", "nomic_bert", "bert", "xlmr", "bert_cls"};

static int fill(void **state)
{
    for (size_t i = 0; i < T; i++)
        ids[i] = (int32_t)((i * 29 + 7) % 90) + 3;
    return 0;
}

/* Calls fn for every method, kind and architecture. */
struct subject {
    struct tensor_file *file;
    struct arch_model *model;
    struct adapt_options o;
    const char *arch;
};

static void every(void (*fn)(struct subject *s), bool no_pack)
{
    struct arch_options ao = {.no_pack = no_pack};
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++)
        for (size_t i = 0; adapt_method_at(i, NULL); i++)
            for (size_t v = 0; v == 0 || adapt_variant_at(i, v); v++) {
                struct subject s = {.file = arch_open(archs[k]), .arch = archs[k]};
                s.model = arch_open_model(s.file, &ao);
                s.o = (struct adapt_options){.method = adapt_method_at(i, NULL), .variant = adapt_variant_at(i, v), .rank = 3, .tokens = 5, .width = 6};
                fn(&s);
                arch_free(s.model);
                tensor_file_close(s.file);
            }
}

/* ---- at the start ---- */

static void starts_as_the_model(struct subject *s)
{
    size_t n, m;
    uint64_t before = base_hash(s->model);
    struct adapt *a = adapt_open_new(s->model, &s->o);
    float *plain = adapt_run(s->model, NULL, ids, T, &n), *worn = adapt_run(s->model, a, ids, T, &m);
    assert_int_equal(n, m);
    assert_true(adapt_parameters(a) > 0);
    if (adapt_start(a) == 0 && furthest(plain, worn, n) > 2e-6)
        fail_msg("%s on %s starts %g away", s->o.method, s->arch, furthest(plain, worn, n));
    adapt_shake(a, 0.1f);
    float *moved = adapt_run(s->model, a, ids, T, &m);
    if (furthest(moved, plain, n) < 1e-3)
        fail_msg("%s on %s changes nothing", s->o.method, s->arch);
    adapt_on(a, false);
    float *off = adapt_run(s->model, a, ids, T, &m);
    assert_int_equal(n, m);
    assert_memory_equal(off, plain, n * sizeof *off);
    assert_true(base_hash(s->model) == before);
    mem_free(plain);
    mem_free(worn);
    mem_free(moved);
    mem_free(off);
    adapt_free(a);
}

static void every_method_starts_as_the_model(void **state)
{
    every(starts_as_the_model, false);
}

/* ---- gradients ---- */

static double difference(struct subject *s, struct adapt *a, float *v, float h)
{
    float at = *v;
    *v = at + h;
    double up = (double)adapt_loss(s->model, a, NULL, false, ids, T);
    *v = at - h;
    double down = (double)adapt_loss(s->model, a, NULL, false, ids, T);
    *v = at;
    return (up - down) / (2 * (double)h);
}

static void differences(struct subject *s, struct adapt *a, struct grads *g, size_t i)
{
    const struct weight *w = adapt_weight(a, i);
    size_t count = w->q.rows * w->q.cols, step = count / 7 + 1;
    float *v = adapt_values(a, i);
    const float *got = grads_find(g, w);
    double top = 0;
    for (size_t j = 0; j < count; j++)
        top = fmax(top, fabs((double)got[j]));
    for (size_t j = i % step; j < count; j += step) {
        double want = difference(s, a, &v[j], 5e-3f), bound = 3e-2 * fabs(want) + 2e-2 * top + 1e-3;
        if (!(fabs(want - (double)got[j]) <= bound)) /* a kink of ReLU between the two points? */
            want = difference(s, a, &v[j], 5e-4f);
        if (!(fabs(want - (double)got[j]) <= bound))
            fail_msg("%s on %s: gradient of '%s'[%zu] is %g, differences say %g", s->o.method, s->arch, w->name, j, (double)got[j], want);
    }
}

static void gradients_agree(struct subject *s)
{
    struct adapt *a = adapt_open_new(s->model, &s->o);
    adapt_shake(a, 0.05f);
    struct grads *g = adapt_grads(a), *again = adapt_grads(a);
    float loss = adapt_loss(s->model, a, g, false, ids, T), same = adapt_loss(s->model, a, again, true, ids, T);
    assert_true(loss == same);
    for (size_t i = 0; i < adapt_trained(a); i++) {
        const struct weight *w = adapt_weight(a, i);
        double sum = 0;
        for (size_t j = 0; j < w->q.rows * w->q.cols; j++)
            sum += fabs((double)grads_find(g, w)[j]);
        if (!(sum > 0) && strcmp(s->o.method, "full"))
            fail_msg("%s on %s: no gradient reaches '%s'", s->o.method, s->arch, w->name);
        if (memcmp(grads_find(g, w), grads_find(again, w), w->q.rows * w->q.cols * sizeof(float)))
            fail_msg("%s on %s: checkpoints change the gradient of '%s'", s->o.method, s->arch, w->name);
        differences(s, a, g, i);
    }
    grads_free(g);
    grads_free(again);
    adapt_free(a);
}

static void every_gradient_agrees_with_differences(void **state)
{
    every(gradients_agree, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_starts_as_the_model),
        cmocka_unit_test(every_gradient_agrees_with_differences),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
