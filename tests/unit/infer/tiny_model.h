/* tiny_model.h: the tiny random model of tests/golden/infer, and what tests of generation share. */
#ifndef TEST_TINY_MODEL_H
#define TEST_TINY_MODEL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "sooth/model.h"

static inline struct sooth_model *tiny_open(const char *file, size_t context, unsigned threads)
{
    static char path[1024];
    struct sooth_model *m;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = threads, .context = context};
    snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("SOOTH_SOURCE"), file);
    if (sooth_model_open(path, &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

static inline struct sooth_generate_options tiny_options(size_t tokens)
{
    struct sooth_generate_options o;
    sooth_generate_options_init(&o);
    o.max_tokens = tokens;
    o.logprobs = 3;
    return o;
}

/* In a fresh session. */
static inline void tiny_generate(struct sooth_model *m, const struct sooth_prompt *p, const struct sooth_generate_options *o,
                                 struct sooth_generation *g)
{
    struct sooth_session *s;
    struct sooth_error err = {0};
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    if (sooth_generate(s, p, o, g, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    sooth_session_free(s);
}

static inline void tiny_same(const struct sooth_generation *a, const struct sooth_generation *b)
{
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(a->ids, b->ids, a->n_tokens * sizeof *a->ids);
    if (a->n_tokens && a->logprobs)
        assert_memory_equal(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs);
    for (size_t i = 0; i < a->n_tokens * a->n_top; i++) {
        assert_int_equal(a->top[i].id, b->top[i].id);
        assert_true(a->top[i].logprob == b->top[i].logprob);
    }
}

static inline struct sooth_prompt tiny_text(const char *text)
{
    return (struct sooth_prompt){.text = text, .len = strlen(text)};
}
#endif
