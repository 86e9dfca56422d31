/* test_optimizer.c: optimizers against PyTorch's numbers and against each other; schedules by hand. */
#include "train_fixture.h"
#include "core/base/rng.h"
#include "learn/train/trainlog.h"

struct golden { struct buf text; struct arena a; const struct json *root; };

static void golden_open(struct golden *g)
{
    *g = (struct golden){.text = BUF_INIT};
    arena_init(&g->a, 0);
    assert_int_equal(file_read(train_golden("train/optimizer.json"), 1 << 24, &g->text, NULL), SOOTH_OK);
    assert_non_null(g->root = json_parse(&g->a, g->text.data, g->text.len, 0, NULL, NULL));
}

static void numbers(const struct json *list, float *out)
{
    for (const struct json *v = list->child; v; v = v->next)
        *out++ = (float)v->number;
}

enum { N = 40, STEPS = 20 };

static void like_pytorch(const char *name, const char *key, struct optimizer_step step, double decay, double clip, double bound)
{
    struct golden g;
    struct optimizer o;
    float w[N], grad[N], want[N];
    golden_open(&g);
    numbers(json_get(g.root, "start"), w);
    numbers(json_get(g.root, key), want);
    struct optimizer_item item = {w, grad, N, true};
    assert_int_equal(optimizer_init(&o, optimizer_row_find(name), &item, 1, "/tmp", NULL), SOOTH_OK);
    for (size_t s = 0; s < STEPS; s++) {
        numbers(json_at(json_get(g.root, "grads"), s), grad);
        double norm = optimizer_grad_norm(&o);
        if (clip > 0) {
            assert_float_equal(norm, json_at(json_get(g.root, "norms"), s)->number, norm * 1e-6);
            step.scale = norm > clip ? clip / norm : 1;
        }
        step.t = s + 1;
        optimizer_apply(&o, NULL, step, decay);
    }
    for (size_t i = 0; i < N; i++)
        if (fabs((double)(w[i] - want[i])) > bound * (1 + fabs((double)want[i])))
            fail_msg("%s: number %zu is %.9g, not %.9g", name, i, (double)w[i], (double)want[i]);
    optimizer_release(&o);
    arena_release(&g.a);
    buf_release(&g.text);
}

static const struct optimizer_step adam = {.rate = 1e-2, .scale = 1, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};

static void adamw_is_pytorchs(void **state)
{
    like_pytorch("adamw", "adamw", adam, 0.1, 1, 1e-6);
    like_pytorch("adamw-paged", "adamw", adam, 0.1, 1, 1e-6);
    like_pytorch("adamw8", "adamw", adam, 0.1, 1, 2e-2); /* moments of 8 bits: a few thousandths off after 20 steps */
}

static void sgd_is_pytorchs(void **state)
{
    like_pytorch("sgd", "sgd", (struct optimizer_step){.rate = 1e-3, .scale = 1, .beta1 = 0.9}, 0, 0, 1e-6);
}

/* min Σ c (w - 1)²: every optimizer of the table gets there, whatever the number of threads, with tiles and without. */
static void every_optimizer_finds_the_bottom(void **state)
{
    enum { BIG = 70000 };
    for (size_t r = 0; optimizer_row_at(r); r++) {
        float *w[2], *g = mem_calloc(BIG, sizeof *g);
        for (unsigned t = 0; t < 2; t++) {
            struct pool *pool = pool_new(t + 1);
            struct optimizer o;
            w[t] = mem_calloc(BIG, sizeof **w);
            struct optimizer_item item = {w[t], g, BIG, true};
            assert_int_equal(optimizer_init(&o, optimizer_row_at(r), &item, 1, "/tmp", NULL), SOOTH_OK);
            for (unsigned s = 1; s <= 200; s++) {
                for (size_t i = 0; i < BIG; i++)
                    g[i] = (0.5f + (float)(i % 7)) * (w[t][i] - 1);
                struct optimizer_step step = adam;
                step.t = s;
                step.rate = 0.02 * (200.0 - s) / 200 + 1e-4;
                optimizer_apply(&o, pool, step, 0);
            }
            for (size_t i = 0; i < BIG; i += 997)
                if (fabsf(w[t][i] - 1) > 0.02f)
                    fail_msg("%s: number %zu ends at %g", optimizer_row_at(r)->name, i, (double)w[t][i]);
            optimizer_release(&o);
            pool_free(pool);
        }
        assert_memory_equal(w[0], w[1], BIG * sizeof **w);
        mem_free(w[0]), mem_free(w[1]), mem_free(g);
    }
}

/* Lesson 14: small rates still move the weights: 1000 steps of 1e-6 end where doubles end. */
static void lesson_training_14_small_rates_move_the_weights(void **state)
{
    float w = 0.5f, g = 0;
    double ref = 0.5, m = 0, v = 0;
    struct optimizer o;
    struct optimizer_item item = {&w, &g, 1, false};
    assert_int_equal(optimizer_init(&o, optimizer_row_find("adamw"), &item, 1, NULL, NULL), SOOTH_OK);
    for (unsigned t = 1; t <= 1000; t++) {
        struct optimizer_step step = adam;
        step.rate = 1e-6;
        step.t = t;
        g = 1e-3f * (float)(1 + t % 3);
        m = 0.9 * m + 0.1 * (double)g;
        v = 0.95 * v + 0.05 * (double)g * (double)g;
        ref -= 1e-6 * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.95, t))) + 1e-8);
        optimizer_apply(&o, NULL, step, 0);
    }
    assert_true(fabs(ref - 0.5) > 9e-4);
    assert_true(fabs((double)w - ref) < 0.02 * fabs(ref - 0.5));
    optimizer_release(&o);
}

static void schedules_by_hand(void **state)
{
    const struct schedule_row *cosine = schedule_row_find("cosine"), *linear = schedule_row_find("linear"), *constant = schedule_row_find("constant");
    assert_float_equal(schedule_factor(cosine, 0, 110, 10, 0), 0.1, 1e-12);
    assert_float_equal(schedule_factor(cosine, 9, 110, 10, 0), 1, 1e-12);
    assert_float_equal(schedule_factor(cosine, 60, 110, 10, 0), 0.5, 1e-12);
    assert_float_equal(schedule_factor(cosine, 60, 110, 10, 0.2), 0.6, 1e-12);
    assert_float_equal(schedule_factor(linear, 85, 110, 10, 0), 0.25, 1e-12);
    assert_float_equal(schedule_factor(constant, 85, 110, 10, 0.1), 1, 1e-12);
    assert_float_equal(schedule_factor(linear, 200, 110, 10, 0.1), 0.1, 1e-12);
    assert_null(schedule_row_find("square"));
}

static void events_carry_the_known_checksum(void **state)
{
    assert_int_equal(tfevents_crc("123456789", 9), 0xe3069283u); /* CRC-32C's check value */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_is_pytorchs),
        cmocka_unit_test(sgd_is_pytorchs),
        cmocka_unit_test(every_optimizer_finds_the_bottom),
        cmocka_unit_test(lesson_training_14_small_rates_move_the_weights),
        cmocka_unit_test(schedules_by_hand),
        cmocka_unit_test(events_carry_the_known_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
