/* test_arch.c: every architecture against PyTorch (tests/golden/arch, made by tools/golden/arch.py), in both containers; gradients of a
 * whole model; and the agreement of all ways of running it. */
#include "arch_fixture.h"
#include "core/base/json.h"

static const float *floats(const struct tensor_file *f, const char *name, size_t *n)
{
    const struct file_tensor *t = tensor_file_find(f, name);
    if (!t)
        fail_msg("no '%s'", name);
    *n = (size_t)(t->dims[0] * t->dims[1]);
    return t->data;
}

/* What PyTorch says about: logits of decoders, hidden states of encoders, scores of classifiers. */
static float *outcome(struct run *r, const struct arch_model *m, const int32_t *ids, size_t n, const uint8_t *types)
{
    if (!arch_info(m)->labels)
        return arch_run(r, m, ids, n, 0, 0, types, arch_info(m)->decoder);
    uint32_t pos[256], seq[256] = {0};
    uint8_t want[256] = {1};
    struct sooth_error err = {0};
    for (size_t i = 0; i < n; i++)
        pos[i] = (uint32_t)i;
    struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seq, .type = types, .want = want};
    run_begin(r, &rows);
    struct mat *y = arch_scores(m, r, arch_hidden(m, r));
    if (run_end(r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(y->rows, 1);
    return mem_dup(y->v, y->cols * sizeof *y->v);
}

/* Largest difference to PyTorch, in both inputs. */
static double difference(const char *model, const char *want_dir)
{
    char want_path[128], name[32];
    snprintf(want_path, sizeof want_path, "%s/want.safetensors", want_dir);
    struct tensor_file *f = arch_open(model), *want = arch_open(want_path);
    struct arch_model *m = arch_open_model(f, NULL);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    double worst = 0;
    for (int i = 0; i < 2; i++) {
        size_t n, count;
        uint8_t types[256] = {0};
        snprintf(name, sizeof name, "ids.%d", i);
        const int32_t *ids = (const int32_t *)(const void *)floats(want, name, &n);
        snprintf(name, sizeof name, "types.%d", i);
        if (tensor_file_find(want, name)) {
            const int32_t *t = (const int32_t *)(const void *)floats(want, name, &count);
            for (size_t j = 0; j < n; j++)
                types[j] = (uint8_t)t[j];
        }
        snprintf(name, sizeof name, "out.%d", i);
        const float *ref = floats(want, name, &count);
        float *y = outcome(r, m, ids, n, types);
        for (size_t j = 0; j < count; j++)
            worst = fmax(worst, fabs((double)y[j] - (double)ref[j]) / (1 + fabs((double)ref[j])));
        mem_free(y);
    }
    run_free(r);
    arch_free(m);
    tensor_file_close(f);
    tensor_file_close(want);
    return worst;
}

/* Every directory of tests/golden/arch with a want.safetensors, and its GGUF twin where there is one. */
static const struct golden {
    const char *name;
    bool twin, grads;
} goldens[] = {
    {"llama", true, true},   {"llama_yarn", true, false}, {"mistral", false, false},   {"qwen2", true, false},    {"qwen2_window", false, false},
    {"qwen3", true, true},   {"phi3", true, true},        {"gemma3", true, false},     {"gpt2", true, true},      {"deepnorm", true, true},
    {"bert", true, false},   {"xlmr", true, false},       {"nomic_bert", true, false}, {"bert_cls", true, false}, {"xlmr_cls", true, false},
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static void outputs_equal_pytorch(void **state)
{
    for (size_t i = 0; i < GOLDENS; i++)
        for (int twin = 0; twin <= goldens[i].twin; twin++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", goldens[i].name, twin ? ".gguf" : "");
            double d = difference(name, goldens[i].name);
            print_message("# %s: %.2g\n", name, d);
            if (!(d < 1e-4))
                fail_msg("%s differs by %g", name, d);
        }
}

/* A row of the table without a golden would be a definition that nothing holds to the reference. */
static void every_architecture_has_a_golden(void **state)
{
    const char *name;
    for (size_t i = 0; (name = arch_name_at(i, NULL)); i++) {
        bool found = false;
        for (size_t k = 0; k < GOLDENS && !found; k++) {
            struct tensor_file *f = arch_open(goldens[k].name);
            struct arch_options o = {.no_pack = true};
            struct arch_model *m = arch_open_model(f, &o);
            found = strcmp(arch_info(m)->arch, name) == 0;
            arch_free(m);
            tensor_file_close(f);
        }
        if (!found)
            fail_msg("architecture '%s' has no golden", name);
    }
}

/* ---- gradients, every parameter ---- */

static void compare_gradient(const struct arch_weight *w, const float *ours, const float *ref, size_t count)
{
    size_t cols = w->weight->q.cols, rows = w->weight->q.rows;
    double top = 0, worst = 0;
    for (size_t j = 0; j < count; j++) {
        size_t at = w->change == ARCH_TRANSPOSED ? j % rows * cols + j / rows : j;
        top = fmax(top, fabs((double)ref[j]));
        worst = fmax(worst, fabs((double)ref[j] - (double)ours[at]));
    }
    if (!(worst <= 2e-4 * top + 1e-7))
        fail_msg("%s: gradient differs by %g of %g", w->hf_name, worst, top);
}

static void gradients_of(const char *name)
{
    char want_path[128];
    snprintf(want_path, sizeof want_path, "%s/want.safetensors", name);
    struct tensor_file *f = arch_open(name), *want = arch_open(want_path);
    struct arch_options ao = {.no_pack = true};
    struct arch_model *m = arch_open_model(f, &ao);
    size_t n, count, n_weights = arch_weights(m);
    const int32_t *ids = (const int32_t *)(const void *)floats(want, "ids.0", &n);
    const struct weight **weights = mem_calloc(n_weights, sizeof *weights);
    for (size_t i = 0; i < n_weights; i++)
        weights[i] = arch_weight_at(m, i)->weight;
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        struct grads *g = grads_new(weights, n_weights);
        struct run_options o = {.grads = g, .tape = true, .checkpoint = checkpoint == 1};
        struct run *r = run_new(&o);
        struct sooth_error err = {0};
        uint32_t pos[256], seq[256] = {0};
        int32_t target[256];
        float c[256];
        for (size_t i = 0; i < n; i++) {
            pos[i] = (uint32_t)i;
            target[i] = i + 1 < n ? ids[i + 1] : -1;
            c[i] = -1.0f / (float)(n - 1);
        }
        struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seq, .target = target};
        run_begin(r, &rows);
        struct mat *loss = op_weigh(r, c, arch_logprobs(m, r, arch_hidden(m, r)));
        assert_int_equal(run_end(r, &err), SOOTH_OK);
        assert_true(fabsf(loss->v[0] - floats(want, "loss", &count)[0]) < 1e-4f);
        assert_int_equal(run_backward(r, loss, 1, &err), SOOTH_OK);
        for (size_t i = 0; i < n_weights; i++) {
            char key[256];
            snprintf(key, sizeof key, "grad.%s", arch_weight_at(m, i)->hf_name);
            const float *ref = floats(want, key, &count);
            compare_gradient(arch_weight_at(m, i), grads_find(g, weights[i]), ref, count);
        }
        run_free(r);
        grads_free(g);
    }
    mem_free(weights);
    arch_free(m);
    tensor_file_close(f);
    tensor_file_close(want);
}

static void gradients_equal_pytorch(void **state)
{
    for (size_t i = 0; i < GOLDENS; i++)
        if (goldens[i].grads)
            gradients_of(goldens[i].name);
}

/* ---- agreement: all at once, in pieces, token by token, in a crowd: the same bits ---- */

static void same_bits(const float *a, const float *b, size_t n, const char *what, const char *model)
{
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s: %s gives other bits", model, what);
}

static void agree(const char *name, struct pool *pool, enum qmat_compute compute)
{
    struct tensor_file *f = arch_open(name);
    struct arch_options ao = {.pool = pool, .compute = compute};
    struct arch_model *m = arch_open_model(f, &ao);
    struct sooth_error err = {0};
    size_t vocab = arch_info(m)->vocab, n = 40;
    int32_t ids[64];
    for (size_t i = 0; i < 64; i++)
        ids[i] = (int32_t)((i * 37 + 11) % 90) + 3;
    struct run_options plain = {.pool = pool};
    struct run *r = run_new(&plain);
    float *whole = arch_run(r, m, ids, n, 0, 0, NULL, true);   /* no cache: as in training */
    run_free(r);

    struct kv_cache *kv = NULL;
    assert_int_equal(arch_cache_new(m, 5, 64, KV_F32, &kv, &err), SOOTH_OK);
    struct run_options cached = {.pool = pool, .cache = kv};
    r = run_new(&cached);
    float *prefill = arch_run(r, m, ids, n, 0, 0, NULL, true);
    same_bits(whole, prefill, n * vocab, "prefill", name);
    for (size_t at = 0, piece = 1; at < n; at += piece, piece = piece * 2 % 13 + 1) {
        piece = at + piece > n ? n - at : piece;
        float *y = arch_run(r, m, ids + at, piece, (uint32_t)at, 1, NULL, true);
        same_bits(whole + at * vocab, y, piece * vocab, "a prompt in pieces", name);
        mem_free(y);
    }
    for (size_t at = 0; at < n; at++) {
        float *y = arch_run(r, m, ids + at, 1, (uint32_t)at, 2, NULL, true);
        same_bits(whole + at * vocab, y, vocab, "decoding", name);
        mem_free(y);
    }
    /* three sequences at different places in one run */
    int32_t crowd[64];
    uint32_t pos[64], seq[64];
    size_t count = 0, lens[3] = {1, 7, 3}, ats[3] = {30, 5, 12};
    for (uint32_t s = 0; s < 3; s++) {
        kv_cache_truncate(kv, s, ats[s]);
        for (size_t i = 0; i < lens[s]; i++, count++) {
            crowd[count] = ids[ats[s] + i];
            pos[count] = (uint32_t)(ats[s] + i);
            seq[count] = s;
        }
    }
    struct rows rows = {.n = count, .token = crowd, .pos = pos, .seq = seq};
    run_begin(r, &rows);
    struct mat *y = arch_logits(m, r, arch_hidden(m, r));
    assert_int_equal(run_end(r, &err), SOOTH_OK);
    for (size_t i = 0; i < count; i++)
        same_bits(whole + pos[i] * vocab, y->v + i * vocab, vocab, "a batch of conversations", name);
    mem_free(whole);
    mem_free(prefill);
    run_free(r);
    kv_cache_free(kv);
    arch_free(m);
    tensor_file_close(f);
}

static void all_paths_agree_to_the_bit(void **state)
{
    static const char *const names[] = {"llama", "llama_yarn.gguf", "mistral", "qwen2.gguf", "qwen2_window", "qwen3", "phi3", "phi3.gguf",
                                        "gemma3", "gemma3.gguf", "gpt2", "gpt2.gguf", "deepnorm"};
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        struct pool *pool = pool_new(threads);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            agree(names[i], pool, QMAT_NATIVE);
            agree(names[i], pool, QMAT_INT8);
            agree(names[i], pool, QMAT_BF16);
        }
        pool_free(pool);
    }
}

/* ---- encoders: a text alone or among others ---- */

static void encoders_do_not_see_their_neighbours(void **state)
{
    static const char *const names[] = {"bert", "xlmr.gguf", "nomic_bert"};
    for (size_t k = 0; k < 3; k++) {
        struct tensor_file *f = arch_open(names[k]);
        struct arch_model *m = arch_open_model(f, NULL);
        struct run_options o = {0};
        struct run *r = run_new(&o);
        struct sooth_error err = {0};
        size_t dim = arch_info(m)->dim;
        int32_t ids[30];
        uint32_t pos[30], seq[30];
        for (size_t i = 0; i < 30; i++) {
            ids[i] = (int32_t)(i * 7 % 80) + 6;
            seq[i] = i < 11 ? 0 : i < 16 ? 1 : 2;
            pos[i] = (uint32_t)(i - (i < 11 ? 0 : i < 16 ? 11 : 16));
        }
        struct rows rows = {.n = 30, .token = ids, .pos = pos, .seq = seq};
        run_begin(r, &rows);
        struct mat *h = arch_hidden(m, r);
        assert_int_equal(run_end(r, &err), SOOTH_OK);
        float *together = mem_dup(h->v, 30 * dim * sizeof *together);
        float *alone = arch_run(r, m, ids + 11, 5, 0, 0, NULL, false);
        same_bits(together + 11 * dim, alone, 5 * dim, "a text among others", names[k]);
        mem_free(together);
        mem_free(alone);
        run_free(r);
        arch_free(m);
        tensor_file_close(f);
    }
}

static void wrong_files_are_named(void **state)
{
    struct tensor_file *f = arch_open("llama/want.safetensors");
    struct arch_model *m = NULL;
    struct sooth_error err = {0};
    assert_int_not_equal(arch_load(f, NULL, &m, &err), SOOTH_OK);
    assert_null(m);
    assert_true(err.text[0]);
    tensor_file_close(f);
    f = arch_open("llama");
    struct arch_options o = {.max_bytes = 1000};
    assert_int_equal(arch_load(f, &o, &m, &err), SOOTH_ERR_NOMEM);
    tensor_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_equal_pytorch),
        cmocka_unit_test(every_architecture_has_a_golden),
        cmocka_unit_test(gradients_equal_pytorch),
        cmocka_unit_test(all_paths_agree_to_the_bit),
        cmocka_unit_test(encoders_do_not_see_their_neighbours),
        cmocka_unit_test(wrong_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
