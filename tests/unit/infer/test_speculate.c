/* test_speculate.c: guessing ahead changes nothing; a shifted context is a fresh run over what is kept; many at once
 * are as each alone. */
#include "tiny_model.h"
#include "model/infer/infer.h"

static const char *const prompts[] = {
    "the water in the tank is over the line and the water in the tank is over the line and the water in",
    "a", "user is reading the note on the wall, user is reading the note", "1 2 3 4 5 6 7 1 2 3 4"};
enum { PROMPTS = 4, CROWD = 40 };

static void guesses_change_nothing(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2), *twin = tiny_open("infer/tiny-llama.gguf", 0, 1);
    size_t guessed = 0, right = 0;
    for (size_t i = 0; i < PROMPTS; i++)
        for (unsigned hot = 0; hot < 3; hot++) {
            struct sooth_prompt p = tiny_text(prompts[i]), without = tiny_text("a");
            struct sooth_generate_options o = tiny_options(60);
            struct sooth_generation plain, g;
            o.sampling.temperature = hot * 0.7;
            o.sampling.top_p = hot == 2 ? 0.8 : 1;
            o.sampling.repeat_penalty = hot == 2 ? 1.1 : 1;
            o.sampling.seed = i;
            o.strategy = hot == 1 ? "cad:gate=0" : NULL; /* streams guess together */
            o.without = &without;
            tiny_generate(m, &p, &o, &plain);
            for (unsigned way = 1; way < 4; way++) {
                o.lookup = way & 1;
                o.draft = way & 2 ? twin : NULL;
                tiny_generate(m, &p, &o, &g);
                tiny_same(&plain, &g);
                if (way == 2 && hot != 1) {
                    guessed += g.n_guessed;
                    right += g.n_right;
                }
                sooth_generation_release(&g);
            }
            sooth_generation_release(&plain);
        }
    assert_true(guessed > 100 && right > guessed / 2); /* the twin is mostly right, also when drawing */
    sooth_model_close(twin);
    sooth_model_close(m);
}

static void guesses_stay_inside_the_context_and_the_limit(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 48, 1), *twin = tiny_open("infer/tiny-llama.gguf", 0, 1);
    for (size_t n = 0; n < 24; n++) {
        struct sooth_prompt p = tiny_text("1 2 1 2 1 2 1 2");
        struct sooth_generate_options o = tiny_options(n);
        struct sooth_generation plain, g;
        tiny_generate(m, &p, &o, &plain);
        o.draft = n % 2 ? twin : NULL;
        o.lookup = n % 2 == 0;
        tiny_generate(m, &p, &o, &g);
        tiny_same(&plain, &g);
        assert_true(!n || g.n_tokens <= n);
        sooth_generation_release(&g);
        sooth_generation_release(&plain);
    }
    sooth_model_close(twin);
    sooth_model_close(m);
}

/* After each shift what follows is what a fresh session says to the kept tokens. */
static void lesson_serving_08_a_shifted_context_is_a_fresh_run_over_what_is_kept(void **state)
{
    enum { CONTEXT = 48, TOKENS = 100 };
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", CONTEXT, 1);
    struct sooth_generate_options o = tiny_options(TOKENS);
    struct sooth_generation g;
    int32_t held[CONTEXT + 1];
    struct sooth_tokens t;
    struct sooth_prompt p = tiny_text("the water in the tank");
    o.sampling.temperature = 1; /* so that it does not fall into a loop */
    o.sampling.seed = 3;
    o.context_shift = true;
    for (unsigned lookup = 0; lookup < 2; lookup++) {
        o.lookup = lookup;
        tiny_generate(m, &p, &o, &g);
        assert_int_equal(g.finish, SOOTH_FINISH_LENGTH);
        assert_int_equal(g.n_tokens, TOKENS);
        assert_true(g.n_dropped >= TOKENS - CONTEXT);
        assert_int_equal(sooth_tokenize(m, p.text, p.len, true, false, &t, NULL), SOOTH_OK);
        size_t n = t.count;
        memcpy(held, t.ids, n * sizeof *held);
        for (size_t i = 0; i < g.n_tokens; i++) {
            struct sooth_generate_options one = tiny_options(1);
            struct sooth_generation fresh;
            struct sooth_prompt ids = {.ids = held, .n_ids = n};
            tiny_generate(m, &ids, &one, &fresh); /* greedy, but its alternatives are those of the row */
            assert_true(fresh.top[0].id == g.top[i * 3].id && fresh.top[0].logprob == g.top[i * 3].logprob);
            sooth_generation_release(&fresh);
            held[n++] = g.ids[i];
            if (n == CONTEXT) {
                size_t drop = (n - t.count) / 2;
                memmove(held + t.count, held + t.count + drop, (n - t.count - drop) * sizeof *held);
                n -= drop;
            }
        }
        sooth_tokens_release(&t);
        sooth_generation_release(&g);
    }
    sooth_model_close(m);
}

static void lesson_serving_09_a_prompt_that_fills_the_context_still_ends(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 32, 1);
    struct sooth_generate_options o = tiny_options(40);
    struct sooth_generation g;
    char text[64];
    o.context_shift = true;
    o.sampling.temperature = 1;
    for (size_t n = 20; n < 60; n += 3) { /* "z": a token a letter */
        memset(text, 'z', n);
        struct sooth_prompt p = {.text = text, .len = n};
        tiny_generate(m, &p, &o, &g);
        assert_true(g.n_prompt <= 24 && g.n_tokens <= 40);
        assert_true(n <= 24 ? g.n_prompt == n : g.n_dropped >= n - 24);
        sooth_generation_release(&g);
    }
    int32_t ids[31];
    struct infer_batch *b; /* the whole window but one is kept */
    for (size_t i = 0; i < 31; i++)
        ids[i] = 100;
    assert_int_equal(infer_batch_new(m, 1, 0, &b, NULL), SOOTH_OK);
    assert_int_equal(infer_start(b, 0, ids, 31, &o, NULL), SOOTH_OK);
    size_t steps = 0;
    for (; infer_active(b, 0) && steps < 1000; steps++)
        assert_int_equal(infer_step(b, NULL), SOOTH_OK);
    assert_true(steps <= 41);
    assert_int_equal(infer_finish(b, 0, &g, NULL), SOOTH_OK);
    sooth_generation_release(&g);
    infer_batch_free(b);
    o.max_tokens = 0;
    struct sooth_session *s;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_complete(s, "z", 1, &o, &g, NULL), SOOTH_ERR_ARG); /* it would never end */
    sooth_session_free(s);
    sooth_model_close(m);
}

/* The oldest turns go, the system's and the last stay, and what is left is a prompt like any other. */
static void lesson_serving_19_a_shortened_chat_keeps_the_system_turn(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 128, 1);
    struct sooth_generate_options o = tiny_options(4);
    struct sooth_message all[12], kept[12];
    struct sooth_generation g, want;
    struct sooth_session *s;
    struct sooth_error err = {0};
    all[0] = (struct sooth_message){"system", "zzz"};
    for (size_t i = 1; i < 12; i++)
        all[i] = (struct sooth_message){i % 2 ? "user" : "assistant", "zzzzzzzzzz"};
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_chat(s, all, 12, &o, &g, &err), SOOTH_ERR_LIMIT);
    sooth_session_free(s);
    o.context_shift = true;
    struct sooth_prompt p = {.messages = all, .n_messages = 12};
    tiny_generate(m, &p, &o, &g);
    assert_true(g.n_dropped > 0);
    bool found = false;
    for (size_t drop = 1; drop < 11 && !found; drop++) {
        kept[0] = all[0];
        memcpy(kept + 1, all + 1 + drop, (11 - drop) * sizeof *kept);
        struct sooth_prompt fewer = {.messages = kept, .n_messages = 12 - drop};
        o.context_shift = false;
        assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
        if (sooth_generate(s, &fewer, &o, &want, NULL) == SOOTH_OK) {
            found = want.n_prompt == g.n_prompt;
            if (found)
                tiny_same(&want, &g);
            sooth_generation_release(&want);
        }
        sooth_session_free(s);
    }
    assert_true(found);
    sooth_generation_release(&g);
    sooth_model_close(m);
}

/* Forty requests of all kinds in eight slots and in forty, each as if it were alone. */
static void a_crowd_of_forty_is_like_each_alone(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2), *twin = tiny_open("infer/tiny-llama.gguf", 0, 1);
    static struct sooth_generation want[CROWD];
    struct sooth_generate_options o[CROWD];
    struct sooth_prompt p[CROWD], without = tiny_text("the note");
    static const char *const strategies[] = {NULL, "cad:gate=0", "dola", "contrast", "nucleus"};
    for (size_t i = 0; i < CROWD; i++) {
        p[i] = tiny_text(prompts[i % PROMPTS]);
        o[i] = tiny_options(5 + i % 17);
        o[i].sampling.seed = i;
        o[i].sampling.temperature = i % 3;
        o[i].strategy = strategies[i % 5];
        if (i % 5 == 4)
            o[i].sampling.temperature = 1;
        o[i].without = &without;
        o[i].amateur = twin;
        o[i].lookup = i % 4 == 1;
        o[i].draft = i % 4 == 2 ? twin : NULL;
        o[i].prompt_batch = i % 7 == 3 ? 5 : 0;
        tiny_generate(m, &p[i], &o[i], &want[i]);
    }
    for (size_t slots = 8; slots <= CROWD; slots += 32) {
        struct sooth_batch *b;
        struct sooth_error err = {0};
        size_t started = 0, finished = 0, who[CROWD], reused = 0;
        assert_int_equal(sooth_batch_new(m, slots, 0, &b, NULL), SOOTH_OK);
        while (finished < CROWD) {
            size_t slot;
            while (started < CROWD && sooth_batch_start(b, &p[started], &o[started], &slot, &err) == SOOTH_OK)
                who[slot] = started++;
            assert_true(started == CROWD || err.status == SOOTH_ERR_BUSY);
            if (sooth_batch_step(b, &err) != SOOTH_OK)
                fail_msg("%s", err.text);
            for (slot = 0; slot < slots; slot++) {
                struct sooth_generation g;
                if (!sooth_batch_done(b, slot))
                    continue;
                assert_int_equal(sooth_batch_finish(b, slot, &g, NULL), SOOTH_OK);
                tiny_same(&want[who[slot]], &g);
                reused += g.n_reused > 0;
                sooth_generation_release(&g);
                finished++;
            }
        }
        assert_true(slots == CROWD || reused > 0); /* prompts that begin alike are read once */
        sooth_batch_free(b);
    }
    for (size_t i = 0; i < CROWD; i++)
        sooth_generation_release(&want[i]);
    sooth_model_close(twin);
    sooth_model_close(m);
}

/* A beginning that another slot has read is copied, and what follows has the same bits. */
static void beginnings_are_shared_between_slots(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    char text[120];
    struct sooth_generate_options o = tiny_options(8);
    struct sooth_batch *b;
    struct sooth_generation g[2], want;
    size_t slot[2];
    assert_int_equal(sooth_batch_new(m, 2, 0, &b, NULL), SOOTH_OK);
    for (size_t i = 0; i < 2; i++) {
        memset(text, 'z', 99);
        strcpy(text + 99, i ? "q" : "x");
        struct sooth_prompt p = tiny_text(text);
        assert_int_equal(sooth_batch_start(b, &p, &o, &slot[i], NULL), SOOTH_OK);
        assert_int_equal(sooth_batch_step(b, NULL), SOOTH_OK); /* the first is still at work when the second comes */
    }
    while (sooth_batch_active(b))
        assert_int_equal(sooth_batch_step(b, NULL), SOOTH_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sooth_batch_finish(b, slot[i], &g[i], NULL), SOOTH_OK);
        assert_int_equal(g[i].n_reused, i ? 99 : 0);
        text[99] = i ? 'q' : 'x';
        struct sooth_prompt p = tiny_text(text);
        tiny_generate(m, &p, &o, &want);
        tiny_same(&want, &g[i]);
        sooth_generation_release(&want);
        sooth_generation_release(&g[i]);
    }
    sooth_batch_free(b);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_change_nothing),
        cmocka_unit_test(guesses_stay_inside_the_context_and_the_limit),
        cmocka_unit_test(lesson_serving_08_a_shifted_context_is_a_fresh_run_over_what_is_kept),
        cmocka_unit_test(lesson_serving_09_a_prompt_that_fills_the_context_still_ends),
        cmocka_unit_test(lesson_serving_19_a_shortened_chat_keeps_the_system_turn),
        cmocka_unit_test(a_crowd_of_forty_is_like_each_alone),
        cmocka_unit_test(beginnings_are_shared_between_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
