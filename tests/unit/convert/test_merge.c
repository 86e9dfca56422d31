/* test_merge.c: adapters merged into a real quantized model, and what it costs, measured by the program itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "model/adapt/adapt.h"
#include "model/infer/infer.h"
#include "sooth/adapter.h"

static char dir[64], base[4096];

static const char *at(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

/* LoRA with a random B on q, k, v of SmolLM2's Q4_1 file. */
static int make(void **state)
{
    const char *models = getenv("SOOTH_MODELS"), *source = getenv("SOOTH_SOURCE");
    struct sooth_model *m;
    struct adapt *a;
    struct sooth_error err;
    struct rng rng;
    struct adapt_options o = {.method = "lora", .rank = 4, .targets = "attn_q,attn_k,attn_v"};
    snprintf(base, sizeof base, "%s%s/smollm2.gguf", models ? models : source ? source : ".", models ? "" : "/models");
    strcpy(dir, "/tmp/sooth-merge-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    if (!file_exists(base))
        return 0;
    if (sooth_model_open(base, NULL, &m, &err) || adapt_new(infer_parts(m).arch, &o, &a, &err))
        return 1;
    rng_seed(&rng, 4);
    for (size_t i = 1; i < adapt_trained(a); i += 2)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++)
            adapt_values(a, i)[j] = 0.03f * rng_normal(&rng);
    int failed = adapt_save(a, at("lora"), &err) != SOOTH_OK;
    adapt_free(a);
    sooth_model_close(m);
    return failed;
}

static int clear(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void lesson_training_19_merging_into_few_bits_is_measured(void **state)
{
    if (!file_exists(base))
        skip(); /* no model here: 'make models' fetches it */
    const char *adapter = at("lora"), *out = at("merged.gguf");
    struct sooth_merge same, wide, none;
    struct sooth_error err = {0};
    struct sooth_merge_options o = {.model = base, .adapters = &adapter, .n_adapters = 1};
    if (sooth_merge(&o, out, &same, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(same.changed, 90);
    assert_true(!same.untied && same.tokens > 200 && strcmp(same.type, "q4_1") == 0 && file_exists(out));
    assert_int_equal(unlink(out), 0);
    o.type = "f16";
    if (sooth_merge(&o, out, &wide, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    print_message("# KL of a merge: q4_1 %.4f, f16 %.4f; perplexity base %.2f, worn %.2f, merged %.2f and %.2f\n", same.kl, wide.kl, same.perplexity_base,
                  same.perplexity_adapter, same.perplexity_merged, wide.perplexity_merged);
    assert_true(wide.kl < 0.02 && same.kl < 0.1 && wide.kl < same.kl);
    assert_true(wide.perplexity_adapter > 1 && wide.perplexity_adapter == same.perplexity_adapter);
    assert_int_equal(unlink(out), 0);
    o.type = NULL;
    o.max_kl = same.kl / 2;
    assert_int_equal(sooth_merge(&o, out, &none, &err), SOOTH_ERR_LIMIT);
    assert_false(file_exists(out)); /* what costs too much is not kept */
    o.type = "q9_9";
    assert_int_equal(sooth_merge(&o, out, &none, &err), SOOTH_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lesson_training_19_merging_into_few_bits_is_measured)};
    return cmocka_run_group_tests(tests, make, clear);
}
