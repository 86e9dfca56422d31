/* test_fail_model.c: the N-th allocation, or the N-th read, fails: a clean status, or the very same
 * result; nothing leaked, and the next try works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "sooth/model.h"
#include "sooth/quantize.h"

static const char *golden(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/tests/golden/infer/%s", getenv("SOOTH_SOURCE"), name);
    return path;
}

static struct sooth_model *open_quietly(const char *name, enum sooth_status *status)
{
    struct sooth_model_options o = {.threads = 1};
    struct sooth_model *m;
    struct sooth_error err = {0};
    *status = sooth_model_open(golden(name), &o, &m, &err);
    assert_true((*status == SOOTH_OK) == (m != NULL));
    assert_true(*status == SOOTH_OK || (err.text[0] && err.status == *status));
    return m;
}

static uint64_t made; /* a hash of what the work came to */
static char root[64];

static enum sooth_status open_and_generate(void)
{
    enum sooth_status status;
    struct sooth_model *m = open_quietly("tiny-llama.gguf", &status);
    struct sooth_session *s = NULL;
    struct sooth_generation g = {0};
    struct sooth_generate_options o;
    const char *stop[] = {"zq"};
    const struct sooth_message hello[] = {{"user", "open the valve"}};
    float *scores = NULL;
    size_t n;
    sooth_generate_options_init(&o);
    o.max_tokens = 4;
    o.logprobs = 2;
    o.stop = stop;
    o.n_stop = 1;
    o.sampling.temperature = 0.5;
    o.sampling.repeat_penalty = 1.1;
    if (status == SOOTH_OK)
        status = sooth_session_new(m, &s, NULL);
    if (status == SOOTH_OK)
        status = sooth_chat(s, hello, 1, &o, &g, NULL);
    assert_true(status == SOOTH_OK || (!g.text && !g.ids));
    if (status == SOOTH_OK)
        made =
            hash64(g.text, g.len, hash64(g.logprobs, g.n_tokens * sizeof *g.logprobs, g.n_prompt));
    sooth_generation_release(&g);
    if (status == SOOTH_OK)
        status = sooth_score(s, "the", 3, " tank", 5, &scores, &n, NULL);
    if (status == SOOTH_OK)
        made = hash64(scores, n * sizeof *scores, made);
    sooth_free(scores);
    sooth_session_free(s);
    sooth_model_close(m);
    return status;
}

static enum sooth_status open_and_embed(void)
{
    enum sooth_status status;
    struct sooth_model *m = open_quietly("tiny-bert", &status);
    const char *texts[] = {"open the valve", "the tank is full"};
    float v[64], scores[2];
    if (status == SOOTH_OK)
        status = sooth_embed(m, SOOTH_EMBED_QUERY, texts, NULL, 2, v, NULL, NULL);
    if (status == SOOTH_OK)
        status = sooth_rerank(m, texts[0], strlen(texts[0]), texts, NULL, 2, scores, NULL);
    if (status == SOOTH_OK)
        made = hash64(v, sizeof v, hash64(scores, sizeof scores, sooth_embed_limit(m)));
    sooth_model_close(m);
    return status;
}

static const char *under(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, 256, "%s/%s", root, name);
    return p;
}

static enum sooth_status convert_both_ways(void)
{
    static const char *const files[] = {"a.gguf",
                                        "a/model.safetensors",
                                        "a/config.json",
                                        "a/tokenizer.json",
                                        "a/tokenizer_config.json",
                                        "a/1_Pooling/config.json",
                                        "a/sentence_bert_config.json"};
    enum sooth_status status = sooth_convert(golden("tiny-bert"), under("a.gguf"), NULL);
    if (status == SOOTH_OK)
        status = sooth_convert(under("a.gguf"), under("a/"), NULL);
    mem_fail_at(0); /* what follows is the test's own */
    file_fail_at(0);
    made = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == SOOTH_OK; i++) {
        struct buf bytes = BUF_INIT;
        assert_int_equal(file_read(under(files[i]), 1 << 24, &bytes, NULL), SOOTH_OK);
        made = hash64(bytes.data, bytes.len, made);
        buf_release(&bytes);
    }
    assert_false(file_exists(under("a.gguf.unchecked")));
    return status;
}

static char calibration[3000];

/* By a budget: importance, slopes, candidates, writing and measuring, all on one window. */
static enum sooth_status quantize_by_budget(void)
{
    struct sooth_quantize_options o = {.text = calibration, .text_len = strlen(calibration), .save_importance = under("im.gguf"),
                                       .context = 64, .chunks = 1, .threads = 1, .bytes = 60000};
    struct sooth_quantize_result r;
    struct buf bytes = BUF_INIT;
    remove(under("q.gguf"));
    enum sooth_status status = sooth_quantize(golden("tiny-llama.gguf"), under("q.gguf"), &o, &r, NULL);
    mem_fail_at(0);
    file_fail_at(0);
    if (status == SOOTH_OK) {
        assert_int_equal(file_read(under("q.gguf"), 1 << 24, &bytes, NULL), SOOTH_OK);
        made = hash64(bytes.data, bytes.len, hash64(&r.divergence, sizeof r.divergence, 0));
        buf_release(&bytes);
    }
    assert_false(file_exists(under("q.gguf.unchecked")));
    return status;
}

/* Every N up to 300, then every hundredth part further on. */
static void fail_each(enum sooth_status (*work)(void), void (*fail_at)(uint64_t), uint64_t total)
{
    assert_int_equal(work(), SOOTH_OK);
    uint64_t live = mem_live(), want = made;
    for (uint64_t n = 1; n <= total; n += n < 300 ? 1 : n / 100) {
        fail_at(n);
        enum sooth_status status = work();
        fail_at(0);
        if (mem_live() != live)
            fail_msg("failure %lu of %lu leaks %ld allocations (status %s)", (unsigned long)n,
                     (unsigned long)total, (long)(mem_live() - live), sooth_status_name(status));
        assert_true(status != SOOTH_ERR_INTERNAL);
        if (status == SOOTH_OK && made != want)
            fail_msg("failure %lu of %lu is not told, but changes the result", (unsigned long)n,
                     (unsigned long)total);
    }
    assert_int_equal(work(), SOOTH_OK);
    assert_int_equal(mem_live(), live);
}

static void fail_allocations(enum sooth_status (*work)(void))
{
    assert_int_equal(work(), SOOTH_OK); /* what is made once in a process is made now */
    uint64_t before = mem_count();
    assert_int_equal(work(), SOOTH_OK);
    fail_each(work, mem_fail_at, mem_count() - before);
}

static void generation_survives_every_failed_allocation(void **state)
{
    fail_allocations(open_and_generate);
}
static void embedding_survives_every_failed_allocation(void **state)
{
    fail_allocations(open_and_embed);
}
static void conversion_survives_every_failed_allocation(void **state)
{
    fail_allocations(convert_both_ways);
}

static void failed_reads_and_writes_are_told(void **state)
{
    fail_each(open_and_generate, file_fail_at, 8);
    fail_each(open_and_embed, file_fail_at, 16);
    fail_each(convert_both_ways, file_fail_at, 40);
    fail_each(quantize_by_budget, file_fail_at, 24);
}
static void quantizing_survives_every_failed_allocation(void **state)
{
    fail_allocations(quantize_by_budget);
}

static int set_up(void **state)
{
    strcpy(root, "/tmp/sooth-fail-XXXXXX");
    for (size_t n = 0; n + 40 < sizeof calibration;)
        n += (size_t)sprintf(calibration + n, "%zu open the valve, the tank is full. ", n % 31);
    return mkdtemp(root) ? 0 : -1;
}
static int tear_down(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generation_survives_every_failed_allocation),
        cmocka_unit_test(embedding_survives_every_failed_allocation),
        cmocka_unit_test(conversion_survives_every_failed_allocation),
        cmocka_unit_test(quantizing_survives_every_failed_allocation),
        cmocka_unit_test(failed_reads_and_writes_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
