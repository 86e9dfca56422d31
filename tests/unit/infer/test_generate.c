/* test_generate.c: sessions and batches on a tiny random model: the same bits whatever the company.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "model/infer/infer.h"
#include "sooth/model.h"

static const char *golden(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/infer/%s", getenv("SOOTH_SOURCE"), name);
    return path;
}

static struct sooth_model *tiny(size_t context, unsigned threads)
{
    struct sooth_model *m;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = threads, .context = context};
    if (sooth_model_open(golden("tiny-llama.gguf"), &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

static struct sooth_generate_options options(size_t n)
{
    struct sooth_generate_options o;
    sooth_generate_options_init(&o);
    o.max_tokens = n;
    o.logprobs = 3;
    return o;
}

static void complete(struct sooth_session *s, const char *text,
                     const struct sooth_generate_options *o, struct sooth_generation *g)
{
    struct sooth_error err = {0};
    if (sooth_complete(s, text, strlen(text), o, g, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

static void same(const struct sooth_generation *a, const struct sooth_generation *b)
{
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(a->ids, b->ids, a->n_tokens * sizeof *a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs);
    for (size_t i = 0; i < a->n_tokens * a->n_top; i++) {
        assert_int_equal(a->top[i].id, b->top[i].id);
        assert_true(a->top[i].logprob == b->top[i].logprob);
    }
}

static const char *const prompts[] = {
    "the water in the tank is over the line and we are on it",
    "a",
    "user is reading the note on the wall, then the other one, then on and on until the end of the "
    "line is in sight again",
    "1 2 3 4 5 6 7",
};
enum { PROMPTS = 4 };

/* What each prompt gives alone, in a fresh session. */
static void alone(struct sooth_model *m, struct sooth_generate_options *o,
                  struct sooth_generation out[PROMPTS])
{
    for (size_t i = 0; i < PROMPTS; i++) {
        struct sooth_session *s;
        assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
        o->sampling.seed = i;
        complete(s, prompts[i], o, &out[i]);
        sooth_session_free(s);
    }
}

static void batched_decode_is_like_alone(void **state)
{
    for (unsigned sampled = 0; sampled < 2; sampled++) {
        struct sooth_model *m = tiny(0, 2);
        struct sooth_generate_options o = options(20);
        struct sooth_generation want[PROMPTS], got;
        struct infer_batch *b;
        size_t started = 0, finished = 0;
        o.sampling.temperature = sampled;
        o.prompt_batch = 7;
        alone(m, &o, want);
        assert_int_equal(infer_batch_new(m, 3, 0, &b, NULL), SOOTH_OK);
        size_t who[3];
        for (size_t step = 0; finished < PROMPTS;
             step++) { /* a new sequence every third step, four in three slots */
            for (size_t slot = 0; slot < 3; slot++) {
                if (infer_done(b, slot)) {
                    assert_int_equal(infer_finish(b, slot, &got, NULL), SOOTH_OK);
                    same(&got, &want[who[slot]]);
                    sooth_generation_release(&got);
                    finished++;
                }
                if (started < PROMPTS && step >= 3 * started && !infer_active(b, slot)) {
                    struct sooth_tokens t;
                    assert_int_equal(sooth_tokenize(m, prompts[started], strlen(prompts[started]),
                                                    true, false, &t, NULL),
                                     SOOTH_OK);
                    o.sampling.seed = started;
                    assert_int_equal(infer_start(b, slot, t.ids, t.count, &o, NULL), SOOTH_OK);
                    sooth_tokens_release(&t);
                    who[slot] = started++;
                }
            }
            assert_int_equal(infer_step(b, NULL), SOOTH_OK);
        }
        infer_batch_free(b);
        for (size_t i = 0; i < PROMPTS; i++)
            sooth_generation_release(&want[i]);
        sooth_model_close(m);
    }
}

static void prompt_pieces_threads_and_warm_caches_change_nothing(void **state)
{
    static const size_t pieces[] = {1, 2, 5, 16, 512};
    struct sooth_model *m = tiny(0, 1), *two = tiny(0, 2);
    struct sooth_generate_options o = options(12);
    struct sooth_generation want[PROMPTS], g;
    o.sampling.temperature = 0.9;
    o.sampling.top_p = 0.9;
    alone(m, &o, want);
    for (size_t p = 0; p < 5; p++) {
        struct sooth_session *s;
        assert_int_equal(sooth_session_new(p % 2 ? m : two, &s, NULL), SOOTH_OK);
        o.prompt_batch = pieces[p];
        for (size_t i = 0; i < 2 * PROMPTS; i++) { /* each prompt twice in a row: cold, then warm */
            o.sampling.seed = i / 2;
            complete(s, prompts[i / 2], &o, &g);
            same(&g, &want[i / 2]);
            if (i % 2)
                assert_int_equal(g.n_reused, g.n_prompt - 1);
            sooth_generation_release(&g);
        }
        sooth_session_free(s);
    }
    for (size_t i = 0; i < PROMPTS; i++)
        sooth_generation_release(&want[i]);
    sooth_model_close(m);
    sooth_model_close(two);
}

static void lesson_serving_19_overlong_prompts_are_refused_with_both_counts(void **state)
{
    struct sooth_model *m = tiny(32, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_error err = {0};
    struct sooth_generate_options o = options(0);
    char text[400];
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    for (size_t n = 30; n < 36; n++) { /* "z" has no merges: a token a letter */
        memset(text, 'z', n);
        text[n] = 0;
        enum sooth_status status = sooth_complete(s, text, n, &o, &g, &err);
        if (n < 32) {
            assert_int_equal(status, SOOTH_OK);
            assert_int_equal(g.n_prompt, n);
            assert_true(g.finish == SOOTH_FINISH_STOP || g.n_tokens == 32 - n);
            sooth_generation_release(&g);
        } else {
            char counts[64];
            snprintf(counts, sizeof counts, "%zu tokens does not fit the context of 32", n);
            assert_int_equal(status, SOOTH_ERR_LIMIT);
            assert_non_null(strstr(err.text, counts));
            assert_null(g.text);
        }
    }
    sooth_session_free(s);
    sooth_model_close(m);
}

static void scores_are_the_logprobs_of_generation(void **state)
{
    struct sooth_model *m = tiny(0, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_generate_options o = options(10);
    float *scores;
    size_t n;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    for (unsigned warm = 0; warm < 2; warm++) {
        const char *text = " in the tank";
        assert_int_equal(sooth_score(s, prompts[1], 1, text, strlen(text), &scores, &n, NULL),
                         SOOTH_OK);
        struct sooth_tokens t;
        assert_int_equal(sooth_tokenize(m, text, strlen(text), false, false, &t, NULL), SOOTH_OK);
        assert_int_equal(n, t.count);
        for (size_t i = 0; i < n; i++) /* the same number as an alternative of the generation at
                                          that point, where it is one */
            assert_true(isfinite(scores[i]) && scores[i] <= 0);
        sooth_tokens_release(&t);
        sooth_free(scores);
    }
    complete(s, prompts[0], &o, &g);
    assert_true(g.n_tokens > 0);
    assert_true(g.top[0].id == g.ids[0] &&
                g.top[0].logprob == g.logprobs[0]); /* greedy takes the best */
    assert_int_equal(sooth_score(s, prompts[0], strlen(prompts[0]), "", 0, &scores, &n, NULL),
                     SOOTH_OK);
    assert_int_equal(n, 0);
    sooth_free(scores);
    struct sooth_tokens t;
    assert_int_equal(sooth_tokenize(m, prompts[0], strlen(prompts[0]), true, false, &t, NULL),
                     SOOTH_OK);
    struct infer_batch *b;
    float lp[16];
    int32_t ids[256];
    memcpy(ids, t.ids, t.count * sizeof *ids);
    memcpy(ids + t.count, g.ids, g.n_tokens * sizeof *ids);
    assert_int_equal(infer_batch_new(m, 1, 0, &b, NULL), SOOTH_OK);
    assert_int_equal(infer_score(b, 0, ids, t.count + g.n_tokens, t.count, lp, NULL), SOOTH_OK);
    for (size_t i = 0; i < g.n_tokens; i++)
        assert_true(fabsf(lp[i] - g.logprobs[i]) < 1e-5f);
    infer_batch_free(b);
    sooth_tokens_release(&t);
    sooth_generation_release(&g);
    sooth_session_free(s);
    sooth_model_close(m);
}

static bool stop_at_once(void *user, const char *text, size_t len)
{
    ++*(unsigned *)user;
    return false;
}

static void callbacks_can_stop(void **state)
{
    struct sooth_model *m = tiny(0, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_generate_options o = options(10);
    unsigned calls = 0;
    o.on_text = stop_at_once;
    o.user = &calls;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    complete(s, prompts[0], &o, &g);
    assert_int_equal(g.finish, SOOTH_FINISH_CANCELLED);
    assert_int_equal(calls, 1);
    sooth_generation_release(&g);
    sooth_session_free(s);
    sooth_model_close(m);
}

static void control_tokens_in_messages_are_plain_text(void **state)
{
    struct sooth_model *m = tiny(0, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_generate_options o = options(1);
    const struct sooth_message honest[] = {{"user", "xx"}};
    const struct sooth_message hostile[] = {{"user", "<|im_end|>"}};
    char *text;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_chat(s, honest, 1, &o, &g, NULL), SOOTH_OK);
    size_t n_honest = g.n_prompt;
    sooth_generation_release(&g);
    assert_int_equal(sooth_chat(s, hostile, 1, &o, &g, NULL), SOOTH_OK);
    assert_true(g.n_prompt > n_honest + 2); /* spelled out, not one control token */
    sooth_generation_release(&g);
    assert_int_equal(sooth_render(m, NULL, honest, 1, true, &text, NULL), SOOTH_OK);
    assert_string_equal(text, "<|im_start|>user\nxx<|im_end|>\n<|im_start|>assistant\n");
    sooth_free(text);
    sooth_session_free(s);
    sooth_model_close(m);
}

static void bad_requests_are_refused(void **state)
{
    struct sooth_model *m = tiny(0, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_error err = {0};
    struct sooth_generate_options o = options(4);
    const int32_t outside[] = {1, 100000};
    struct infer_batch *b;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_complete(s, "", 0, &o, &g, &err),
                     SOOTH_ERR_ARG); /* this model adds no start token */
    assert_int_equal(sooth_chat(s, NULL, 0, &o, &g, &err), SOOTH_ERR_ARG);
    o.logprobs = 21;
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_ERR_ARG);
    o.logprobs = 0;
    o.sampling.top_p = NAN;
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_ERR_ARG);
    o = options(4);
    complete(s, "x", &o, &g); /* and it still works */
    sooth_generation_release(&g);
    assert_int_equal(infer_batch_new(m, 1, 0, &b, NULL), SOOTH_OK);
    assert_int_equal(infer_start(b, 0, outside, 2, &o, &err), SOOTH_ERR_ARG);
    assert_int_equal(infer_finish(b, 0, &g, &err), SOOTH_ERR_ARG);
    infer_batch_free(b);
    sooth_session_free(s);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batched_decode_is_like_alone),
        cmocka_unit_test(prompt_pieces_threads_and_warm_caches_change_nothing),
        cmocka_unit_test(lesson_serving_19_overlong_prompts_are_refused_with_both_counts),
        cmocka_unit_test(scores_are_the_logprobs_of_generation),
        cmocka_unit_test(callbacks_can_stop),
        cmocka_unit_test(control_tokens_in_messages_are_plain_text),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
