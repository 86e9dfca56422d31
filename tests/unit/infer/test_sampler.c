/* test_sampler.c: the chain against a plain reference that sorts everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/kernel/kernel.h"
#include "model/infer/sampler.h"
#include "model/infer/select.h"

static struct sooth_sampling plain(void)
{
    return (struct sooth_sampling){
        .temperature = 1, .top_p = 1, .repeat_penalty = 1, .repeat_last = 64, .seed = 7};
}

static float weight(float x)
{
    kernel_get()->exp(&x, &x, 1);
    return x;
}

static int by_order(const void *a, const void *b)
{
    return select_before(a, b) ? -1 : 1;
}

/* The definition: sort, cut, cut, cut, weigh, walk. */
static int32_t sorted_pick(const struct sooth_sampling *p, struct rng *rng, const float *logits,
                           size_t vocab, struct select_item *items)
{
    size_t n = vocab;
    for (size_t i = 0; i < vocab; i++)
        items[i] = (struct select_item){logits[i], 0, (int32_t)i};
    qsort(items, vocab, sizeof *items, by_order);
    float max = items[0].logit;
    if (p->top_k > 0 && (size_t)p->top_k < n)
        n = (size_t)p->top_k;
    if (p->top_p < 1) {
        double total = 0, sum = 0;
        for (size_t i = 0; i < n; i++)
            total += (double)weight(items[i].logit - max);
        for (size_t i = 0; i < n; i++) {
            sum += (double)weight(items[i].logit - max);
            if (sum >= p->top_p * total) {
                n = i + 1;
                break;
            }
        }
    }
    if (p->min_p > 0)
        while (n > 1 && !(items[n - 1].logit >= max + (float)log(p->min_p)))
            n--;
    double total = 0, sum = 0, u = rng_double(rng);
    float scale = (float)(1 / p->temperature);
    for (size_t i = 0; i < n; i++)
        total += (double)weight((items[i].logit - max) * scale);
    for (size_t i = 0; i < n; i++) {
        sum += (double)weight((items[i].logit - max) * scale);
        if (sum >= u * total)
            return items[i].id;
    }
    return items[n - 1].id;
}

static void compare_draws(size_t vocab, const struct sooth_sampling *p, unsigned draws,
                          float spread, bool ties)
{
    float *logits = mem_array(vocab, sizeof *logits), *row = mem_array(vocab, sizeof *row);
    struct select_item *items = mem_array(vocab, sizeof *items);
    struct sampler s;
    struct rng rng, noise;
    rng_seed(&noise, vocab + (uint64_t)p->top_k);
    assert_int_equal(sampler_init(&s, p, vocab, NULL), SOOTH_OK);
    rng_seed(&rng, p->seed);
    for (unsigned d = 0; d < draws; d++) {
        for (size_t i = 0; i < vocab; i++) {
            logits[i] = rng_normal(&noise) * spread;
            if (ties)
                logits[i] = roundf(logits[i] * 4) / 4;
        }
        memcpy(row, logits, vocab * sizeof *row);
        assert_int_equal(sampler_pick(&s, row), sorted_pick(p, &rng, logits, vocab, items));
    }
    sampler_release(&s);
    mem_free(items);
    mem_free(row);
    mem_free(logits);
}

static void lesson_serving_23_same_draws_as_the_sorted_reference(void **state)
{
    static const struct {
        double temperature;
        int top_k;
        double top_p, min_p;
    } settings[] = {{1, 0, 1, 0},      {0.8, 40, 0.95, 0.05}, {1, 0, 0.9, 0}, {2, 0, 1, 0},
                    {1, 0, 1, 0.02},   {0.3, 0, 0.5, 0.1},    {1, 1, 1, 0},   {1.5, 5000, 0.99, 0},
                    {5, 100000, 1, 0}, {1, 1024, 0.7, 0.01}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct sooth_sampling p = plain();
        p.temperature = settings[i].temperature;
        p.top_k = settings[i].top_k;
        p.top_p = settings[i].top_p;
        p.min_p = settings[i].min_p;
        for (unsigned ties = 0; ties < 2; ties++) {
            compare_draws(1000, &p, 100, 3, ties);
            compare_draws(33, &p, 100, 1, ties);
            compare_draws(262144, &p, 1, 2, ties);
        }
    }
}

static void greedy_is_exact_and_ties_go_to_the_lowest_id(void **state)
{
    float logits[] = {-1, 3, 3, 2, 3};
    struct sooth_sampling p = plain();
    struct sampler s;
    p.temperature = 0;
    assert_int_equal(sampler_init(&s, &p, 5, NULL), SOOTH_OK);
    assert_int_equal(sampler_pick(&s, logits), 1);
    sampler_release(&s);
    p.temperature = 1;
    p.top_k = 1;
    assert_int_equal(sampler_init(&s, &p, 5, NULL), SOOTH_OK);
    assert_int_equal(sampler_pick(&s, logits), 1);
    sampler_release(&s);
}

static void lesson_serving_25_rows_that_are_not_numbers_are_refused(void **state)
{
    float bad[][3] = {{1, NAN, 2}, {INFINITY, 0, 0}, {-INFINITY, -INFINITY, -INFINITY}};
    float masked[] = {-INFINITY, -5, -INFINITY};
    struct sooth_sampling p = plain();
    struct sampler s;
    for (unsigned greedy = 0; greedy < 2; greedy++) {
        p.temperature = greedy ? 0 : 1;
        assert_int_equal(sampler_init(&s, &p, 3, NULL), SOOTH_OK);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(sampler_pick(&s, bad[i]), -1);
        assert_int_equal(sampler_pick(&s, masked), 1);
        sampler_release(&s);
    }
}

static void seeds_repeat_and_differ(void **state)
{
    float logits[64], row[64];
    int32_t ids[3][32];
    for (size_t i = 0; i < 64; i++)
        logits[i] = (float)(i % 7) * 0.1f;
    for (unsigned run = 0; run < 3; run++) {
        struct sooth_sampling p = plain();
        struct sampler s;
        p.seed = run < 2 ? 1 : 2;
        assert_int_equal(sampler_init(&s, &p, 64, NULL), SOOTH_OK);
        for (size_t i = 0; i < 32; i++) {
            memcpy(row, logits, sizeof row);
            ids[run][i] = sampler_pick(&s, row);
        }
        sampler_release(&s);
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_not_equal(ids[0], ids[2], sizeof ids[0]);
}

/* Frequencies of draws follow exp(z/T): chi-square of 4 cells, 3 degrees of freedom, p = 0.001
 * is 16.27. */
static void draws_follow_the_distribution(void **state)
{
    const float logits[] = {0, 1, 2, 0.5f};
    double want[4], total = 0, chi = 0;
    unsigned seen[4] = {0}, draws = 20000;
    struct sooth_sampling p = plain();
    struct sampler s;
    p.temperature = 0.7;
    assert_int_equal(sampler_init(&s, &p, 4, NULL), SOOTH_OK);
    for (unsigned i = 0; i < draws; i++) {
        float row[4];
        memcpy(row, logits, sizeof row);
        seen[sampler_pick(&s, row)]++;
    }
    for (size_t i = 0; i < 4; i++)
        total += want[i] = exp((double)logits[i] / 0.7);
    for (size_t i = 0; i < 4; i++) {
        double e = draws * want[i] / total;
        chi += (seen[i] - e) * (seen[i] - e) / e;
    }
    assert_true(chi < 16.27);
    sampler_release(&s);
}

static void repeat_penalty_forgets_old_tokens(void **state)
{
    struct sooth_sampling p = plain();
    struct sampler s;
    p.temperature = 0;
    p.repeat_penalty = 2;
    p.repeat_last = 2;
    assert_int_equal(sampler_init(&s, &p, 3, NULL), SOOTH_OK);
    float a[] = {3, 2, -1};
    sampler_accept(&s, 0);
    sampler_accept(&s, 0); /* twice in the window weakens once */
    assert_int_equal(sampler_pick(&s, a), 1);
    assert_true(a[0] == 1.5f);
    sampler_accept(&s, 2);
    sampler_accept(&s, 1);
    float b[] = {3, 5, -1};
    assert_int_equal(sampler_pick(&s, b), 0);
    assert_true(b[0] == 3 && b[1] == 2.5f && b[2] == -2);
    sampler_release(&s);
}

static void bad_numbers_are_named(void **state)
{
    struct sooth_sampling bad[8];
    static const char *const says[] = {"temperature", "temperature", "top-k",          "top-p",
                                       "top-p",       "min-p",       "repeat penalty", "window"};
    for (size_t i = 0; i < 8; i++)
        bad[i] = plain();
    bad[0].temperature = NAN;
    bad[1].temperature = -1;
    bad[2].top_k = -1;
    bad[3].top_p = 0;
    bad[4].top_p = NAN;
    bad[5].min_p = 2;
    bad[6].repeat_penalty = INFINITY;
    bad[7].repeat_last = -1;
    for (size_t i = 0; i < 8; i++) {
        struct sampler s;
        struct sooth_error err = {0};
        assert_int_equal(sampler_init(&s, &bad[i], 10, &err), SOOTH_ERR_ARG);
        assert_non_null(strstr(err.text, says[i]));
    }
}

static void logprobs_are_logs_of_the_raw_distribution(void **state)
{
    const float logits[] = {1, 2, 3, -INFINITY, 3};
    double norm = logprob_norm(logits, 5), sum = exp(1) + exp(2) + 2 * exp(3);
    struct sooth_logprob top[6];
    assert_true(fabs(norm - log(sum)) < 1e-6);
    assert_true(fabsf(logprob_of(2, norm) - (float)(2 - log(sum))) < 1e-6f);
    assert_true(logprob_of(-INFINITY, norm) == LOGPROB_FLOOR);
    logprob_top(logits, 5, norm, top, 6);
    assert_int_equal(top[0].id, 2);
    assert_int_equal(top[1].id, 4);
    assert_int_equal(top[2].id, 1);
    assert_int_equal(top[4].id, -1);
    for (size_t i = 0; i < 6; i++)
        assert_true(isfinite(top[i].logprob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_23_same_draws_as_the_sorted_reference),
        cmocka_unit_test(greedy_is_exact_and_ties_go_to_the_lowest_id),
        cmocka_unit_test(lesson_serving_25_rows_that_are_not_numbers_are_refused),
        cmocka_unit_test(seeds_repeat_and_differ),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(repeat_penalty_forgets_old_tokens),
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(logprobs_are_logs_of_the_raw_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
