/* test_classify.c: classifiers and cross-encoders as transformers has them (tools/golden/cross.py): ids of pairs, also cut ones; scores
 * of heads; reranking by a head; what has no head says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/arena.h"
#include "core/base/fsio.h"
#include "core/base/json.h"
#include "sooth/model.h"

enum { PAIRS = 8 };

struct cross {
    struct arena arena;
    const struct json *want;
    struct sooth_model *model;
    const char *a[PAIRS], *b[PAIRS];
};

static void cross_open(struct cross *c, const char *name, const char *compute)
{
    char path[2048];
    struct buf text = BUF_INIT;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = 2, .compute = compute};
    arena_init(&c->arena, 0);
    snprintf(path, sizeof path, "%s/tests/golden/infer/%s/want.json", getenv("SOOTH_SOURCE"), name);
    assert_int_equal(file_read(path, 1 << 20, &text, &err), SOOTH_OK);
    c->want = json_parse(&c->arena, text.data, text.len, 0, NULL, &err);
    assert_non_null(c->want);
    assert_int_equal(c->want->len, PAIRS);
    buf_release(&text);
    *strrchr(path, '/') = 0;
    if (sooth_model_open(path, &o, &c->model, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < PAIRS; i++) {
        c->a[i] = json_string(json_at(c->want, i), "a", "");
        c->b[i] = json_string(json_at(c->want, i), "b", "");
    }
}

static void cross_close(struct cross *c)
{
    sooth_model_close(c->model);
    arena_release(&c->arena);
}

static double logit(const struct cross *c, size_t pair, size_t class)
{
    return json_at(json_get(json_at(c->want, pair), "logits"), class)->number;
}

static void scores_equal_the_reference(void **state)
{
    static const char *const names[] = {"tiny-cross", "tiny-classes"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct cross c;
        float scores[PAIRS * 3], one[3];
        size_t cut, n;
        cross_open(&c, names[k], "f32");
        n = sooth_model_info(c.model)->n_classes;
        assert_int_equal(n, k ? 3 : 1);
        assert_string_equal(sooth_model_info(c.model)->classes[n - 1], k ? "contradiction" : "relevance");
        struct sooth_pairs pairs = {.a = c.a, .b = c.b, .n = PAIRS};
        assert_int_equal(sooth_classify(c.model, &pairs, scores, &cut, NULL), SOOTH_OK);
        assert_int_equal(cut, 3);
        for (size_t i = 0; i < PAIRS; i++) {
            pairs = (struct sooth_pairs){.a = c.a + i, .b = c.b + i, .n = 1};
            assert_int_equal(sooth_classify(c.model, &pairs, one, NULL, NULL), SOOTH_OK);
            assert_memory_equal(one, scores + i * n, n * sizeof *one); /* alone as in company */
            for (size_t j = 0; j < n; j++)
                if (!(fabs((double)scores[i * n + j] - logit(&c, i, j)) < 1e-4))
                    fail_msg("%s, pair %zu: %g, not %g", names[k], i, (double)scores[i * n + j], logit(&c, i, j));
        }
        cross_close(&c);
    }
}

static void reranking_asks_the_head(void **state)
{
    struct cross c;
    float scores[PAIRS];
    struct sooth_error err = {0};
    (void)state;
    cross_open(&c, "tiny-cross", "f32");
    const char *passages[2] = {c.b[0], c.b[6]}; /* both of the same question */
    assert_int_equal(sooth_rerank(c.model, c.a[0], strlen(c.a[0]), passages, NULL, 2, scores, &err), SOOTH_OK);
    for (size_t i = 0; i < 2; i++)
        assert_true(fabs((double)scores[i] - 1 / (1 + exp(-logit(&c, i * 6, 0)))) < 1e-5);
    cross_close(&c);
    cross_open(&c, "tiny-classes", "auto");
    assert_int_equal(sooth_rerank(c.model, c.a[0], strlen(c.a[0]), passages, NULL, 0, scores, &err), SOOTH_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "3 classes"));
    cross_close(&c);
}

static void what_has_no_head_says_so(void **state)
{
    char path[2048];
    struct sooth_model *m;
    struct sooth_error err = {0};
    float score;
    const char *text = "water";
    struct sooth_pairs pairs = {.a = &text, .n = 1};
    (void)state;
    snprintf(path, sizeof path, "%s/tests/golden/infer/tiny-bert", getenv("SOOTH_SOURCE"));
    assert_int_equal(sooth_model_open(path, NULL, &m, &err), SOOTH_OK);
    assert_int_equal(sooth_model_info(m)->n_classes, 0);
    assert_int_equal(sooth_classify(m, &pairs, &score, NULL, &err), SOOTH_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "is no classifier"));
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_equal_the_reference),
        cmocka_unit_test(reranking_asks_the_head),
        cmocka_unit_test(what_has_no_head_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
