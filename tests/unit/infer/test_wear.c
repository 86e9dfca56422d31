/* test_wear.c: adapters in generation: the numbers of a forward that wears them, caches that do not mix, everything else as ever. */
#include "tiny_model.h"
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "model/adapt/adapt.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/sampler.h"

static char dir[64];

static int begin(void **state)
{
    strcpy(dir, "/tmp/sooth_wear_XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* A saved adapter of the method, away from its start. */
static const char *saved(struct sooth_model *m, const char *method)
{
    static char path[128];
    struct adapt_options o = {.method = method, .rank = 2, .tokens = 3, .seed = 7};
    struct adapt *a;
    struct rng rng;
    struct sooth_error err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, method);
    if (access(path, F_OK) == 0)
        return path;
    if (adapt_new(m->arch, &o, &a, &err) != SOOTH_OK)
        fail_msg("%s: %s", method, err.text);
    rng_seed(&rng, 3);
    for (size_t i = 0; i < adapt_trained(a); i++)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++)
            adapt_values(a, i)[j] += 0.1f * rng_normal(&rng);
    assert_int_equal(adapt_refresh(a, &err), SOOTH_OK);
    if (adapt_settle(a, &err) != SOOTH_OK || adapt_save(a, path, &err) != SOOTH_OK)
        fail_msg("%s: %s", method, err.text);
    adapt_free(a);
    return path;
}

static struct sooth_adapter *open_adapter(struct sooth_model *m, const char *method, double scale)
{
    struct sooth_adapter *a;
    struct sooth_error err = {0};
    if (sooth_adapter_open(m, saved(m, method), scale, &a, &err) != SOOTH_OK)
        fail_msg("%s: %s", method, err.text);
    return a;
}

static void worn(struct sooth_model *m, struct sooth_adapter *a, const struct sooth_prompt *p, const struct sooth_generate_options *o,
                 struct sooth_generation *g)
{
    struct sooth_session *s;
    struct sooth_error err = {0};
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    if (sooth_session_wear(s, &a, a != NULL, &err) != SOOTH_OK || sooth_generate(s, p, o, g, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    sooth_session_free(s);
}

/* Log-probability of `id` after ids, by a run of the adapt itself, no cache. */
static float by_hand(struct sooth_model *m, const char *method, const int32_t *ids, size_t n, int32_t id)
{
    struct adapt *a;
    struct run_options o = {0};
    struct adapt_open_options open = {0};
    int32_t token[128] = {0};
    uint32_t pos[128], seq[128] = {0};
    uint8_t want[128] = {0};
    assert_int_equal(adapt_open(saved(m, method), m->arch, &open, &a, NULL), SOOTH_OK);
    assert_int_equal(adapt_apply(a, &o, NULL), SOOTH_OK);
    size_t lead = adapt_rows(a), start = adapt_start(a);
    for (size_t i = 0; i < lead + n; i++) {
        pos[i] = (uint32_t)(start - lead + i);
        token[i] = i < lead ? 0 : ids[i - lead];
    }
    want[lead + n - 1] = 1;
    struct rows rows = {.n = lead + n, .token = token, .pos = pos, .seq = seq, .want = want};
    struct run *r = run_new(&o);
    run_begin(r, &rows);
    struct mat *y = arch_logits(m->arch, r, arch_hidden(m->arch, r));
    assert_int_equal(run_end(r, NULL), SOOTH_OK);
    float lp = logprob_of(y->v[id], logprob_norm(y->v, y->cols));
    run_free(r);
    adapt_free(a);
    return lp;
}

/* Every method of the table that can be saved for serving. */
static void each_method_gives_the_numbers_of_its_own_run(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_prompt p = tiny_text("the water in the tank");
    struct sooth_tokens t;
    const char *method;
    assert_int_equal(sooth_tokenize(m, p.text, p.len, true, false, &t, NULL), SOOTH_OK);
    for (size_t i = 0; (method = adapt_method_at(i, NULL)); i++) {
        struct sooth_generate_options o = tiny_options(12);
        struct sooth_generation plain, g, pieces, none;
        if (strcmp(method, "full") == 0) /* that is a model of its own */
            continue;
        struct sooth_adapter *a = open_adapter(m, method, 1), *off = open_adapter(m, method, 0);
        tiny_generate(m, &p, &o, &plain);
        worn(m, a, &p, &o, &g);
        float want = by_hand(m, method, t.ids, t.count, g.ids[0]);
        if (g.logprobs[0] != want)
            fail_msg("%s: %.9g, not %.9g", method, (double)g.logprobs[0], (double)want);
        assert_true(g.top[0].logprob != plain.top[0].logprob);
        o.prompt_batch = 2;
        o.lookup = true;
        worn(m, a, &p, &o, &pieces);
        tiny_same(&g, &pieces);
        if (strcmp(method, "prompt") && strcmp(method, "prefix") && strncmp(method, "ptuning", 7)) { /* scale 0 takes virtual tokens away too */
            worn(m, off, &p, &o, &none);
            tiny_same(&plain, &none);
            sooth_generation_release(&none);
        }
        sooth_adapter_close(a);
        sooth_adapter_close(off);
        sooth_generation_release(&plain);
        sooth_generation_release(&g);
        sooth_generation_release(&pieces);
    }
    sooth_tokens_release(&t);
    sooth_model_close(m);
}

/* On, off, another one, the same again: each time as in a fresh session, and nothing read with one set is used with another. */
static void caches_do_not_mix_adapters(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2);
    struct sooth_prompt p = tiny_text("user is reading the note on the wall");
    struct sooth_generate_options o = tiny_options(10);
    struct sooth_adapter *kinds[4] = {NULL, open_adapter(m, "lora", 1), open_adapter(m, "lora", 2), open_adapter(m, "prefix", 1)};
    struct sooth_generation want[4], g;
    struct sooth_session *s;
    static const size_t order[] = {0, 1, 1, 0, 2, 3, 3, 1, 2, 0};
    for (size_t i = 0; i < 4; i++)
        worn(m, kinds[i], &p, &o, &want[i]);
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    for (size_t i = 0; i < 10; i++) {
        size_t k = order[i];
        bool again = i && order[i - 1] == k;
        if (!again)
            assert_int_equal(sooth_session_wear(s, &kinds[k], k != 0, NULL), SOOTH_OK);
        assert_int_equal(sooth_generate(s, &p, &o, &g, NULL), SOOTH_OK);
        tiny_same(&want[k], &g);
        assert_int_equal(g.n_reused, again ? g.n_prompt - 1 : 0);
        sooth_generation_release(&g);
    }
    float *a, *b;
    size_t n;
    assert_int_equal(sooth_session_wear(s, &kinds[3], 1, NULL), SOOTH_OK); /* scoring counts virtual tokens right too */
    assert_int_equal(sooth_score(s, "the", 3, " tank is", 8, &a, &n, NULL), SOOTH_OK);
    assert_int_equal(sooth_score(s, "the", 3, " tank is", 8, &b, &n, NULL), SOOTH_OK);
    assert_memory_equal(a, b, n * sizeof *a);
    sooth_free(a);
    sooth_free(b);
    sooth_session_free(s);
    for (size_t i = 0; i < 4; i++) {
        sooth_generation_release(&want[i]);
        sooth_adapter_close(kinds[i]);
    }
    sooth_model_close(m);
}

static void several_are_worn_at_once_and_in_a_crowd(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 64, 2);
    struct sooth_adapter *two[2] = {open_adapter(m, "prompt", 1), open_adapter(m, "lora", 0.5)};
    struct sooth_prompt p[3] = {tiny_text("the water"), tiny_text("the wall and the tank"), tiny_text("1 2 3")};
    struct sooth_generate_options o = tiny_options(0);
    struct sooth_generation want[3], g;
    struct sooth_session *s;
    struct sooth_batch *b;
    struct sooth_error err = {0};
    size_t slot[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
        assert_int_equal(sooth_session_wear(s, two, 2, NULL), SOOTH_OK);
        if (sooth_generate(s, &p[i], &o, &want[i], &err) != SOOTH_OK) /* until the context is full, virtual tokens counted */
            fail_msg("%s", err.text);
        assert_true(want[i].finish == SOOTH_FINISH_STOP || want[i].n_prompt + want[i].n_tokens == 64 - 3);
        sooth_session_free(s);
    }
    assert_int_equal(sooth_batch_new(m, 3, 0, &b, NULL), SOOTH_OK);
    assert_int_equal(sooth_batch_wear(b, two, 2, NULL), SOOTH_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sooth_batch_start(b, &p[i], &o, &slot[i], NULL), SOOTH_OK);
    assert_int_equal(sooth_batch_wear(b, NULL, 0, NULL), SOOTH_ERR_BUSY);
    while (sooth_batch_active(b))
        assert_int_equal(sooth_batch_step(b, NULL), SOOTH_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sooth_batch_finish(b, slot[i], &g, NULL), SOOTH_OK);
        tiny_same(&want[i], &g);
        sooth_generation_release(&g);
        sooth_generation_release(&want[i]);
    }
    sooth_batch_free(b);
    sooth_adapter_close(two[0]);
    sooth_adapter_close(two[1]);
    sooth_model_close(m);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1), *other = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_adapter *a = open_adapter(m, "lora", 1), *none;
    struct sooth_session *s;
    struct sooth_error err = {0};
    uint64_t live = mem_live();
    assert_true(sooth_adapter_open(m, "/nowhere", 1, &none, &err) != SOOTH_OK && !none && err.text[0]);
    assert_int_equal(sooth_adapter_open(m, saved(m, "lora"), NAN, &none, &err), SOOTH_ERR_ARG);
    assert_int_equal(mem_live(), live);
    assert_int_equal(sooth_session_new(other, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_session_wear(s, &a, 1, &err), SOOTH_ERR_ARG);
    sooth_session_free(s);
    assert_int_equal(mem_live(), live);
    sooth_adapter_close(a);
    sooth_model_close(other);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_gives_the_numbers_of_its_own_run),
        cmocka_unit_test(caches_do_not_mix_adapters),
        cmocka_unit_test(several_are_worn_at_once_and_in_a_crowd),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
