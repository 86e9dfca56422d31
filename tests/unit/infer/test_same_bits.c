/* test_same_bits.c: one request, the same tokens and numbers: on one thread or three, alone or in a crowd of forty, with a cold cache or a
 * warm one, its prompt in one piece or in many, with guesses or without; for every architecture that generates and every number
 * format. */
#include "../arch/random_model.h"
#include "tiny_model.h"
#include <unistd.h>

enum { PROMPTS = 4, CROWD = 40, TOKENS = 6 };

static int32_t prompt_ids[PROMPTS][20];
static const size_t prompt_len[PROMPTS] = {20, 1, 13, 17};

static struct sooth_model *open_threads(unsigned threads)
{
    struct sooth_model_options o = {.threads = threads};
    struct sooth_model *m;
    struct sooth_error err = {0};
    if (sooth_model_open(random_path, &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

static struct sooth_generate_options request(size_t prompt)
{
    struct sooth_generate_options o = tiny_options(TOKENS);
    o.sampling.temperature = prompt % 2 ? 0.8 : 0;
    o.sampling.seed = prompt;
    return o;
}

static struct sooth_prompt ids_of(size_t prompt)
{
    return (struct sooth_prompt){.ids = prompt_ids[prompt], .n_ids = prompt_len[prompt]};
}

static void same_bits(const struct sooth_generation *a, const struct sooth_generation *b, const char *arch, const char *type, const char *what)
{
    bool same = a->n_tokens == b->n_tokens && !memcmp(a->ids, b->ids, a->n_tokens * sizeof *a->ids) &&
                !memcmp(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs) &&
                !memcmp(a->top, b->top, a->n_tokens * a->n_top * sizeof *a->top);
    if (!same)
        fail_msg("%s, %s: %s gives other bits", arch, type, what);
}

/* Forty requests in forty slots, every one started a step after another, prompts in pieces of 1 to 7. */
static void crowd(struct sooth_model *m, const struct sooth_generation *want, const char *arch, const char *type)
{
    struct sooth_batch *b;
    size_t started = 0, finished = 0, who[CROWD], slot;
    struct sooth_error err = {0};
    assert_int_equal(sooth_batch_new(m, CROWD, 0, &b, NULL), SOOTH_OK);
    while (finished < CROWD) {
        for (size_t i = 0; i < 8 && started < CROWD; i++, started++) {
            struct sooth_generate_options o = request(started % PROMPTS);
            struct sooth_prompt p = ids_of(started % PROMPTS);
            o.prompt_batch = started % 3 ? 1 + started % 7 : 0;
            o.lookup = started % 5 == 1;
            if (sooth_batch_start(b, &p, &o, &slot, &err) != SOOTH_OK)
                fail_msg("%s", err.text);
            who[slot] = started;
        }
        if (sooth_batch_step(b, &err) != SOOTH_OK)
            fail_msg("%s", err.text);
        for (slot = 0; slot < CROWD; slot++) {
            struct sooth_generation g;
            if (!sooth_batch_done(b, slot))
                continue;
            assert_int_equal(sooth_batch_finish(b, slot, &g, NULL), SOOTH_OK);
            same_bits(&want[who[slot] % PROMPTS], &g, arch, type, "a crowd of forty");
            sooth_generation_release(&g);
            finished++;
        }
    }
    sooth_batch_free(b);
}

static void check(const char *arch, const char *type)
{
    struct sooth_model *one = open_threads(1), *three = open_threads(3);
    struct sooth_generation want[PROMPTS], g;
    struct sooth_session *s;
    for (size_t i = 0; i < PROMPTS; i++) {
        struct sooth_generate_options o = request(i);
        struct sooth_prompt p = ids_of(i);
        tiny_generate(one, &p, &o, &want[i]);
        assert_int_equal(want[i].n_tokens, TOKENS);
    }
    assert_int_equal(sooth_session_new(three, &s, NULL), SOOTH_OK);
    for (size_t i = 0; i < 2 * PROMPTS; i++) { /* each twice: cold, then warm */
        struct sooth_generate_options o = request(i / 2);
        struct sooth_prompt p = ids_of(i / 2);
        o.prompt_batch = i % 3;
        assert_int_equal(sooth_generate(s, &p, &o, &g, NULL), SOOTH_OK);
        same_bits(&want[i / 2], &g, arch, type, i % 2 ? "a warm cache on three threads" : "three threads");
        assert_true(i % 2 == 0 || g.n_reused == g.n_prompt - 1);
        sooth_generation_release(&g);
    }
    sooth_session_free(s);
    crowd(three, want, arch, type);
    for (size_t i = 0; i < PROMPTS; i++)
        sooth_generation_release(&want[i]);
    sooth_model_close(one);
    sooth_model_close(three);
}

static void the_same_bits_for_every_architecture_and_format(void **state)
{
    size_t cases = 0;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (size_t t = 0; families[f].decoder && qtype_at(t); t++) {
            if (qtype_at(t)->id >= QTYPE_NF4) /* not in GGUF */
                continue;
            tensor_file_close(model_file(&families[f], qtype_at(t), NULL));
            check(families[f].arch, qtype_at(t)->name);
            cases++;
        }
    print_message("# %zu cases\n", cases);
    assert_true(cases > 50);
}

/* A new architecture that generates belongs in the list of random models. */
static void every_architecture_is_there(void **state)
{
    static const char *const elsewhere[] = {"mistral"}; /* llama's blocks by another name */
    const char *name;
    for (size_t i = 0; (name = sooth_list("arch", i, NULL)); i++) {
        bool found = false;
        for (size_t f = 0; f < sizeof families / sizeof *families; f++)
            found = found || !strncmp(families[f].arch, name, 4);
        for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere; k++)
            found = found || !strcmp(elsewhere[k], name);
        if (!found && strcmp(name, "xlmr"))
            fail_msg("architecture '%s' has no random model", name);
    }
}

static int begin(void **state)
{
    snprintf(random_path, sizeof random_path, "/tmp/sooth_bits_%ld.gguf", (long)getpid());
    for (size_t i = 0; i < PROMPTS; i++)
        for (size_t k = 0; k < 20; k++)
            prompt_ids[i][k] = (int32_t)((i * 29 + k * k * 7 + k) % V);
    return 0;
}

static int end(void **state)
{
    return unlink(random_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bits_for_every_architecture_and_format),
        cmocka_unit_test(every_architecture_is_there),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
