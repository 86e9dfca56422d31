/* test_real.c: the two language models as they are shipped (skipped aloud where they are not installed): the greedy
 * continuation of a sentence and the perplexity of a text are those of llama.cpp 0.5.0 on the same files. */
#include "arch_fixture.h"
#include "core/base/buf.h"
#include "core/base/fsio.h"
#include "sooth/model.h"

static const char *model_path(const char *name)
{
    static char path[4096];
    const char *dir = getenv("SOOTH_MODELS"), *source = getenv("SOOTH_SOURCE");
    snprintf(path, sizeof path, "%s%s/%s", dir ? dir : source ? source : ".", dir ? "" : "/models", name);
    if (file_exists(path))
        return path;
    print_message("SKIP '%s' is not installed\n", path);
    skip();
    return NULL;
}

/* Greedy: `given` ids, then `count` that must follow. */
static void continues(const char *name, const int32_t *given, size_t n, const int32_t *then, size_t count)
{
    struct sooth_error err = {0};
    struct tensor_file *f;
    struct kv_cache *kv;
    if (tensor_file_open(model_path(name), NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct arch_model *m = arch_open_model(f, NULL);
    assert_int_equal(arch_cache_new(m, 1, 64, KV_F32, &kv, &err), SOOTH_OK);
    struct run_options o = {.cache = kv};
    struct run *r = run_new(&o);
    size_t vocab = arch_info(m)->vocab, at = 0;
    for (size_t i = 0; i < count; i++) {
        float *y = arch_run(r, m, i ? &then[i - 1] : given, i ? 1 : n, (uint32_t)at, 0, NULL, true), *last = y + (i ? 0 : n - 1) * vocab;
        size_t best = 0;
        for (size_t j = 1; j < vocab; j++)
            best = last[j] > last[best] ? j : best;
        at += i ? 1 : n;
        mem_free(y);
        if ((int32_t)best != then[i])
            fail_msg("%s: token %zu is %zu, not %d", name, i, best, then[i]);
    }
    run_free(r);
    kv_cache_free(kv);
    arch_free(m);
    tensor_file_close(f);
}

static void smollm2_knows_the_capital(void **state)
{
    static const int32_t given[] = {504, 3575, 282, 4649, 314}, then[] = {7042, 30}; /* "The capital of France is" " Paris" "." */
    continues("smollm2.gguf", given, 5, then, 2);
}

static void gemma3_goes_on_like_the_reference(void **state)
{
    /* BOS "The capital of France is" " the capital of the country of France." */
    static const int32_t given[] = {2, 818, 5279, 529, 7001, 563}, then[] = {506, 5279, 529, 506, 2891, 529, 7001, 236761};
    continues("gemma3.gguf", given, 6, then, 8);
}

/* The first four windows of 512 tokens, second halves scored; llama-perplexity -c 512 --chunks 4. */
static void perplexity(const char *name, double want)
{
    const char *shared = getenv("SOOTH_SHARED"), *source = getenv("SOOTH_SOURCE"), *file = model_path(name);
    char path[4096];
    struct buf text = BUF_INIT;
    struct sooth_error err = {0};
    struct sooth_model *m;
    struct sooth_perplexity p;
    snprintf(path, sizeof path, "%s%s/data/text/ppl.txt", shared ? shared : source ? source : ".", shared ? "" : "/../shared");
    if (!file_exists(path)) {
        print_message("SKIP '%s' is not there\n", path);
        skip();
    }
    assert_int_equal(file_read(path, 1 << 24, &text, &err), SOOTH_OK);
    if (sooth_model_open(file, NULL, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(sooth_perplexity(m, text.data, 16384, 512, 4, NULL, NULL, &p, &err), SOOTH_OK);
    print_message("%s: perplexity %.4f, llama.cpp %.4f\n", name, p.value, want);
    assert_int_equal(p.chunks, 4);
    assert_true(fabs(p.value / want - 1) < 0.005);
    sooth_model_close(m);
    buf_release(&text);
}

static void smollm2_perplexity(void **state)
{
    perplexity("smollm2.gguf", 16.0279);
}

static void gemma3_perplexity(void **state)
{
    perplexity("gemma3.gguf", 14.1514);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_knows_the_capital),
        cmocka_unit_test(gemma3_goes_on_like_the_reference),
        cmocka_unit_test(smollm2_perplexity),
        cmocka_unit_test(gemma3_perplexity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
