/* test_adapt_use.c: adapters in use: scaled, stacked, switched off, merged and taken out again; dropout; every method learns;
 * and what has gone wrong elsewhere, by number. */
#include <unistd.h>
#include "adapt_fixture.h"
#include "core/base/fsio.h"
#include "model/adapt/adapt_tensor.h"

static int32_t ids[T];
static char dir[64];

static int fill(void **state)
{
    for (size_t i = 0; i < T; i++)
        ids[i] = (int32_t)((i * 29 + 7) % 90) + 3;
    strcpy(dir, "/tmp/sooth-adapt-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int clear(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

struct bench {
    struct tensor_file *f;
    struct arch_model *m;
};

static struct bench bench_open(const char *name, bool no_pack)
{
    struct arch_options ao = {.no_pack = no_pack};
    struct bench b = {.f = arch_open(name)};
    b.m = arch_open_model(b.f, &ao);
    return b;
}

static void bench_close(struct bench *b)
{
    arch_free(b->m);
    tensor_file_close(b->f);
}

static struct adapt *shaken(const struct arch_model *m, struct adapt_options o, float by)
{
    struct adapt *a = adapt_open_new(m, &o);
    adapt_shake(a, by);
    return a;
}

static void close_enough(const float *a, const float *b, size_t n, double bound, const char *what)
{
    if (!(furthest(a, b, n) <= bound))
        fail_msg("%s: %g apart", what, furthest(a, b, n));
}

/* AdamW-less: plain steps along the gradient. */
static void step(struct adapt *a, const struct grads *g, float lr)
{
    struct sooth_error err = {0};
    for (size_t i = 0; i < adapt_trained(a); i++)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++)
            adapt_values(a, i)[j] -= lr * grads_find(g, adapt_weight(a, i))[j];
    assert_int_equal(adapt_refresh(a, &err), SOOTH_OK);
}

/* ---- worn ---- */

static void half_the_scale_is_half_of_b(void **state)
{
    struct bench b = bench_open("llama", false);
    size_t n;
    struct adapt *a = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 3}, 0.2f);
    adapt_scale(a, 0.5f);
    float *half = adapt_run(b.m, a, ids, T, &n);
    adapt_scale(a, 1);
    for (size_t i = 1; i < adapt_trained(a); i += 2)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++)
            adapt_values(a, i)[j] *= 0.5f;
    float *same = adapt_run(b.m, a, ids, T, &n);
    close_enough(half, same, n, 1e-5, "half the scale");
    mem_free(half);
    mem_free(same);
    adapt_free(a);
    bench_close(&b);
}

static void several_are_worn_at_once(void **state)
{
    static const char *const methods[] = {"lora", "dora", "prompt", "adapter", "ptuning2"};
    struct bench b = bench_open("llama", false);
    struct adapt *a[5];
    struct sooth_error err = {0};
    struct adapt_set *s = adapt_set_new(), *reversed = adapt_set_new();
    size_t n;
    for (size_t i = 0; i < 5; i++) {
        a[i] = shaken(b.m, (struct adapt_options){.method = methods[i], .variant = i == 3 ? "double" : NULL, .rank = 3, .tokens = 3, .width = 4}, 0.1f);
        assert_int_equal(adapt_set_add(s, a[i], &err), SOOTH_OK);
    }
    for (size_t i = 5; i-- > 0;)
        assert_int_equal(adapt_set_add(reversed, a[i], &err), SOOTH_OK);
    float *all = set_run(b.m, s, ids, T, &n), *other = set_run(b.m, reversed, ids, T, &n);
    assert_int_equal(adapt_set_rows(s), 3);
    assert_int_equal(adapt_set_start(s), 6);
    close_enough(all, other, n, 1e-4, "the order of a set");
    for (size_t only = 0; only < 5; only++) {
        for (size_t i = 0; i < 5; i++)
            adapt_on(a[i], i == only);
        float *one = set_run(b.m, s, ids, T, &n), *alone = adapt_run(b.m, a[only], ids, T, &n);
        assert_memory_equal(one, alone, n * sizeof *one);
        assert_true(furthest(one, all, n) > 1e-3);
        mem_free(one);
        mem_free(alone);
    }
    for (size_t i = 0; i < 5; i++)
        adapt_free(a[i]);
    adapt_set_free(s);
    adapt_set_free(reversed);
    mem_free(all);
    mem_free(other);
    bench_close(&b);
}

static void what_does_not_go_together_is_refused(void **state)
{
    struct bench b = bench_open("llama", false), c = bench_open("gemma3", false);
    struct adapt_options full = {.method = "full", .targets = "attn_q"}, lora = {.method = "lora"};
    struct adapt *x = adapt_open_new(b.m, &full), *y = adapt_open_new(b.m, &full), *z = adapt_open_new(c.m, &lora);
    struct adapt_set *s = adapt_set_new();
    struct sooth_error err = {0};
    assert_int_equal(adapt_set_add(s, x, &err), SOOTH_OK);
    assert_int_equal(adapt_set_add(s, y, &err), SOOTH_ERR_ARG);
    assert_string_equal(err.text, "two adapters replace 'blk.0.attn_q.weight'");
    assert_int_equal(adapt_set_add(s, z, &err), SOOTH_ERR_ARG);
    adapt_set_free(s);
    adapt_free(x);
    adapt_free(y);
    adapt_free(z);
    bench_close(&b);
    bench_close(&c);
}

/* Merged into the model's weights, then taken out by putting back what was there. */
static void merging_gives_the_same_results(void **state)
{
    static const char *const models[] = {"llama", "gemma3", "gpt2", "bert"}, *const methods[] = {"lora", "qlora", "dora", "full"};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < 4; i++) {
            struct bench b = bench_open(models[k], true);
            size_t n, count = arch_weights(b.m);
            struct adapt *a = shaken(b.m, (struct adapt_options){.method = methods[i], .rank = 3, .targets = i == 3 ? "all" : "all-linear"}, 0.1f);
            struct adapt_set *s = adapt_set_new();
            struct sooth_error err = {0};
            struct qmat *before = mem_calloc(count, sizeof *before);
            assert_int_equal(adapt_set_add(s, a, &err), SOOTH_OK);
            assert_int_equal(adapt_mergeable(s, &err), SOOTH_OK);
            float *plain = adapt_run(b.m, NULL, ids, T, &n), *worn = adapt_run(b.m, a, ids, T, &n);
            for (size_t w = 0; w < count; w++) {
                struct qmat *q = (struct qmat *)&arch_weight_at(b.m, w)->weight->q;
                float *merged = mem_array(q->rows * q->cols, sizeof *merged), *base = mem_array(q->cols, sizeof *base);
                for (size_t row = 0; row < q->rows; row++)
                    adapt_merged_row(s, arch_weight_at(b.m, w)->weight, ADAPT_PRODUCT, row, base, merged + row * q->cols);
                before[w] = *q;
                mem_free(base);
                qmat_init(q, qtype_by_id(0), q->rows, q->cols, merged);
            }
            float *held = adapt_run(b.m, NULL, ids, T, &n);
            close_enough(held, worn, n, 1e-4, methods[i]);
            assert_true(furthest(held, plain, n) > 1e-2);
            for (size_t w = 0; w < count; w++) {
                struct qmat *q = (struct qmat *)&arch_weight_at(b.m, w)->weight->q;
                mem_free((void *)q->data);
                *q = before[w];
            }
            float *again = adapt_run(b.m, NULL, ids, T, &n);
            assert_memory_equal(again, plain, n * sizeof *again);
            mem_free(plain);
            mem_free(worn);
            mem_free(held);
            mem_free(again);
            mem_free(before);
            adapt_set_free(s);
            adapt_free(a);
            bench_close(&b);
        }
}

static void dropout_is_drawn_by_number(void **state)
{
    struct bench b = bench_open("llama", false);
    size_t n;
    for (int dora = 0; dora < 2; dora++) {
        struct adapt *a = shaken(b.m, (struct adapt_options){.method = dora ? "dora" : "lora", .rank = 3, .dropout = 0.3}, 0.2f);
        float *y[4];
        static const uint64_t draws[] = {0, 1, 2, 1};
        for (int i = 0; i < 4; i++) {
            adapt_dropout(a, draws[i]);
            y[i] = adapt_run(b.m, a, ids, T, &n);
        }
        assert_memory_equal(y[1], y[3], n * sizeof **y);
        assert_true(furthest(y[1], y[2], n) > 1e-3 && furthest(y[0], y[1], n) > 1e-3);
        struct grads *g = adapt_grads(a), *again = adapt_grads(a);
        adapt_loss(b.m, a, g, false, ids, T);
        adapt_loss(b.m, a, again, true, ids, T); /* the masks of a block that is run again are its own */
        for (size_t i = 0; i < adapt_trained(a); i++)
            assert_memory_equal(grads_find(g, adapt_weight(a, i)), grads_find(again, adapt_weight(a, i)),
                                adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols * sizeof(float));
        for (int i = 0; i < 4; i++)
            mem_free(y[i]);
        grads_free(g);
        grads_free(again);
        adapt_free(a);
    }
    bench_close(&b);
}

/* One text over and over: the loss falls, the base stays. */
static void every_method_learns(void **state)
{
    struct bench b = bench_open("llama", true);
    uint64_t before = base_hash(b.m);
    for (size_t i = 0; adapt_method_at(i, NULL); i++)
        for (size_t v = 0; v == 0 || adapt_variant_at(i, v); v++) {
            struct adapt_options o = {.method = adapt_method_at(i, NULL), .variant = adapt_variant_at(i, v), .rank = 4, .tokens = 6, .width = 8};
            struct adapt *a = adapt_open_new(b.m, &o);
            struct grads *g = adapt_grads(a);
            float first = 0, last = 0;
            for (int s = 0; s < 60; s++) {
                grads_clear(g);
                last = adapt_loss(b.m, a, g, false, ids, T);
                first = s ? first : last;
                step(a, g, strcmp(o.method, "prompt") && strcmp(o.method, "ptuning2") ? 0.05f : 0.3f);
            }
            if (!(last < 0.93f * first))
                fail_msg("%s %s: the loss went from %g to %g", o.method, o.variant ? o.variant : "", (double)first, (double)last);
            grads_free(g);
            adapt_free(a);
        }
    assert_true(base_hash(b.m) == before);
    bench_close(&b);
}

/* At the start DoRA's gradients of A and B are LoRA's; merged it is what it was worn as (above). */
static void dora_starts_with_the_gradients_of_lora(void **state)
{
    struct bench b = bench_open("llama", true);
    struct adapt_options lo = {.method = "lora", .rank = 3, .targets = "attn_q"}, d = {.method = "dora", .rank = 3, .targets = "attn_q"};
    struct adapt *x = adapt_open_new(b.m, &lo), *y = adapt_open_new(b.m, &d);
    struct grads *gx = adapt_grads(x), *gy = adapt_grads(y);
    adapt_loss(b.m, x, gx, false, ids, T);
    adapt_loss(b.m, y, gy, false, ids, T);
    size_t pairs = 0;
    for (size_t i = 0; i < adapt_trained(x); i++)
        for (size_t j = 0; j < adapt_trained(y); j++)
            if (strcmp(adapt_weight(x, i)->name, adapt_weight(y, j)->name) == 0) {
                size_t n = adapt_weight(x, i)->q.rows * adapt_weight(x, i)->q.cols;
                assert_memory_equal(adapt_values(x, i), adapt_values(y, j), n * sizeof(float));
                close_enough(grads_find(gx, adapt_weight(x, i)), grads_find(gy, adapt_weight(y, j)), n, 1e-6, adapt_weight(x, i)->name);
                pairs++;
            }
    assert_int_equal(pairs, adapt_trained(x));
    grads_free(gx);
    grads_free(gy);
    adapt_free(x);
    adapt_free(y);
    bench_close(&b);
}

/* ---- what has gone wrong elsewhere ---- */

static double size_of(const struct grads *g, const struct weight *w)
{
    double sum = 0;
    for (size_t j = 0; j < w->q.rows * w->q.cols; j++)
        sum += fabs((double)grads_find(g, w)[j]);
    return sum;
}

static void lesson_training_15_every_a_and_b_is_reached(void **state)
{
    struct bench b = bench_open("llama", false);
    struct adapt_options o = {.method = "lora", .rank = 3, .targets = "all-linear"};
    struct adapt *a = adapt_open_new(b.m, &o);
    struct grads *g = adapt_grads(a);
    for (int s = 0; s < 2; s++) {
        grads_clear(g);
        adapt_loss(b.m, a, g, true, ids, T);
        for (size_t i = 0; i < adapt_trained(a); i++) {
            bool is_b = strstr(adapt_weight(a, i)->name, ".lora_b") != NULL;
            assert_true(is_b || s ? size_of(g, adapt_weight(a, i)) > 0 : size_of(g, adapt_weight(a, i)) == 0);
        }
        step(a, g, 0.1f);
    }
    grads_free(g);
    adapt_free(a);
    bench_close(&b);
}

static const char *in_dir(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void save(struct adapt *a, const char *name)
{
    struct sooth_error err = {0};
    if (adapt_save(a, in_dir(name), &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

/* Opening must fail, and the sentence hold the given words. */
static void refused(const char *name, const struct arch_model *m, const char *words)
{
    struct adapt *a;
    struct sooth_error err = {0};
    if (adapt_open(in_dir(name), m, NULL, &a, &err) == SOOTH_OK)
        fail_msg("'%s' was accepted", words);
    assert_null(a);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void rewrite(const char *name, const char *from, const char *to)
{
    struct buf text = BUF_INIT;
    struct sooth_error err = {0};
    assert_int_equal(file_read(in_dir(name), 1 << 20, &text, &err), SOOTH_OK);
    char *at = memmem(text.data, text.len, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    assert_int_equal(file_write_atomic(in_dir(name), text.data, text.len, &err), SOOTH_OK);
    buf_release(&text);
}

static void lesson_training_16_a_save_is_whole(void **state)
{
    struct bench b = bench_open("llama", false);
    struct adapt *a = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 3, .targets = "attn_q,attn_v"}, 0.1f), *c;
    struct tensor_file *f;
    struct sooth_error err = {0};
    save(a, "whole");
    assert_int_equal(tensor_file_open(in_dir("whole/adapter_model.safetensors"), NULL, &f, &err), SOOTH_OK);
    assert_int_equal(tensor_file_count(f), 2 * 2 * arch_info(b.m)->layers);
    tensor_file_close(f);
    assert_int_equal(adapt_open(in_dir("whole"), b.m, NULL, &c, &err), SOOTH_OK);
    adapt_free(c);
    rewrite("whole/adapter_model.safetensors", "layers.0.self_attn.q_proj.lora_A", "layers.0.self_attn.q_proj.lora_X");
    refused("whole", b.m, "lora_");
    save(a, "whole");
    rewrite("whole/adapter_model.safetensors", "\"F32\"", "\"F99\"");
    refused("whole", b.m, "adapter");
    adapt_values(a, 0)[3] = NAN; /* what cannot be read back is not kept */
    assert_int_not_equal(adapt_save(a, in_dir("nan"), &err), SOOTH_OK);
    assert_false(file_exists(in_dir("nan/adapter_config.json")));
    adapt_free(a);
    bench_close(&b);
}

static void lesson_training_17_an_adapter_that_fits_nothing(void **state)
{
    struct bench b = bench_open("llama", false);
    struct adapt *a, *c;
    struct sooth_error err = {0};
    struct adapt_options o = {.method = "lora", .targets = "q_porj"};
    assert_int_equal(adapt_new(b.m, &o, &a, &err), SOOTH_ERR_ARG);
    assert_string_equal(err.text, "no weight of the model is called 'q_porj'");
    assert_string_equal(err.hint, "did you mean 'q_proj'");
    o.method = "lorra";
    assert_int_equal(adapt_new(b.m, &o, &a, &err), SOOTH_ERR_ARG);
    assert_string_equal(err.hint, "did you mean 'lora'");
    a = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 3}, 0.1f);
    save(a, "other");
    char id[65], wrong[65];
    adapt_base_id(b.m, id);
    strcpy(wrong, id);
    wrong[5] = wrong[5] == '0' ? '1' : '0';
    rewrite("other/sooth.json", id, wrong);
    refused("other", b.m, "trained on another model");
    struct adapt_open_options any = {.any_base = true};
    assert_int_equal(adapt_open(in_dir("other"), b.m, &any, &c, &err), SOOTH_OK);
    adapt_free(c);
    save(a, "other");
    rewrite("other/adapter_model.safetensors", "base_model.model.model.layers.1.self_attn.v_proj.lora_A", "base_model.model.model.layers.7.self_attn.v_proj.lora_A");
    rewrite("other/adapter_model.safetensors", "base_model.model.model.layers.1.self_attn.v_proj.lora_B", "base_model.model.model.layers.7.self_attn.v_proj.lora_B");
    refused("other", b.m, "which this model does not have");
    adapt_free(a);
    bench_close(&b);
    b = bench_open("gemma3", false);
    refused("other", b.m, "adapter");
    bench_close(&b);
}

/* The same quantized model has the same mark, another one another. */
static void marks_tell_models_apart(void **state)
{
    char id[3][65];
    static const char *const names[] = {"llama", "llama.gguf", "llama_yarn"};
    for (int i = 0; i < 3; i++) {
        struct bench b = bench_open(names[i], true);
        adapt_base_id(b.m, id[i]);
        bench_close(&b);
    }
    assert_string_equal(id[0], id[1]);
    assert_string_not_equal(id[0], id[2]);
}

static void lesson_training_18_scales_of_every_source(void **state)
{
    struct bench b = bench_open("llama", false);
    static const char config[] = "{\"fine_tune_type\": \"lora\", \"lora_parameters\": {\"rank\": 3, \"scale\": 20.0, \"dropout\": 0.0}}";
    struct adapt *a = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 3, .alpha = 60, .targets = "attn_q,attn_k,ffn_down"}, 0.02f), *c;
    struct adapt_tensors t;
    struct adapt_image im;
    struct sooth_error err = {0};
    size_t n;
    tensors_init(&t, LAYOUT_MLX); /* both matrices turned, as MLX writes them */
    assert_int_equal(tensors_list(&t, a, &err), SOOTH_OK);
    assert_int_equal(image_make(&im, &t, &err), SOOTH_OK);
    assert_int_equal(dir_make(in_dir("mlx"), &err), SOOTH_OK);
    assert_int_equal(safetensors_write(in_dir("mlx/adapters.safetensors"), im.list.items, im.list.count, NULL, 0, &err), SOOTH_OK);
    assert_int_equal(file_write_atomic(in_dir("mlx/adapter_config.json"), config, strlen(config), &err), SOOTH_OK);
    if (adapt_open(in_dir("mlx"), b.m, NULL, &c, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    float *x = adapt_run(b.m, a, ids, T, &n), *y = adapt_run(b.m, c, ids, T, &n);
    assert_memory_equal(x, y, n * sizeof *x);
    mem_free(x);
    mem_free(y);
    /* rsLoRA with one rank and with two: alpha / sqrt(rank), whatever a file can state */
    static const char *const ranks[] = {NULL, "attn_k=7"};
    for (int i = 0; i < 2; i++) {
        struct adapt *r = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 3, .alpha = 5, .rslora = true, .ranks = ranks[i],
                                                             .alphas = i ? "attn_q=9" : NULL, .targets = "attn_q,attn_k"}, 0.1f), *back;
        assert_int_equal(adapt_save_gguf(r, in_dir("rs.gguf"), &err), SOOTH_OK);
        assert_int_equal(adapt_open(in_dir("rs.gguf"), b.m, NULL, &back, &err), SOOTH_OK);
        x = adapt_run(b.m, r, ids, T, &n);
        y = adapt_run(b.m, back, ids, T, &n);
        close_enough(x, y, n, i ? 2e-5 : 0, "rsLoRA through GGUF");
        mem_free(x);
        mem_free(y);
        adapt_free(r);
        adapt_free(back);
    }
    image_release(&im);
    tensors_release(&t);
    adapt_free(a);
    adapt_free(c);
    bench_close(&b);
}

static void lesson_training_20_a_tied_table_in_either_use(void **state)
{
    static const char *const targets[] = {"token_embd", "output", "token_embd,lm_head"};
    struct bench b = bench_open("llama", true);
    assert_null(arch_weight_find(b.m, "output.weight")); /* tied */
    for (size_t k = 0; k < 3; k++) {
        struct adapt *a = shaken(b.m, (struct adapt_options){.method = "lora", .rank = 2, .targets = targets[k]}, 0.1f), *c;
        struct sooth_error err = {0};
        struct adapt_set *s = adapt_set_new();
        struct grads *g = adapt_grads(a);
        const struct weight *table = arch_weight_find(b.m, "token_embd.weight");
        size_t n;
        assert_int_equal(adapt_trained(a), k == 2 ? 4 : 2);
        assert_int_equal(adapt_set_add(s, a, &err), SOOTH_OK);
        assert_true(adapt_changes(s, table, ADAPT_LOOKUP) == (k != 1) && adapt_changes(s, table, ADAPT_PRODUCT) == (k != 0) && adapt_unties(s, table));
        adapt_loss(b.m, a, g, false, ids, T);
        for (size_t i = 0; i < adapt_trained(a); i++)
            for (size_t j = i; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j += 37) {
                float *v = &adapt_values(a, i)[j], at = *v, h = 5e-3f;
                *v = at + h;
                double up = (double)adapt_loss(b.m, a, NULL, false, ids, T);
                *v = at - h;
                double want = (up - (double)adapt_loss(b.m, a, NULL, false, ids, T)) / (2 * (double)h), got = (double)grads_find(g, adapt_weight(a, i))[j];
                *v = at;
                if (!(fabs(want - got) <= 2e-3 + 3e-2 * fabs(want)))
                    fail_msg("%s: gradient of %s is %g, differences say %g", targets[k], adapt_weight(a, i)->name, got, want);
            }
        save(a, "tied");
        assert_int_equal(adapt_open(in_dir("tied"), b.m, NULL, &c, &err), SOOTH_OK);
        float *x = adapt_run(b.m, a, ids, T, &n), *y = adapt_run(b.m, c, ids, T, &n);
        assert_memory_equal(x, y, n * sizeof *x);
        mem_free(x);
        mem_free(y);
        grads_free(g);
        adapt_set_free(s);
        adapt_free(a);
        adapt_free(c);
    }
    bench_close(&b);
}

static void lesson_training_21_rotary_order_of_q_and_k(void **state)
{
    struct bench hf = bench_open("llama", false), gguf = bench_open("llama.gguf", false);
    static const char *const methods[] = {"lora", "dora", "ptuning2", "full"};
    for (size_t i = 0; i < 4; i++) {
        struct adapt *a = shaken(hf.m, (struct adapt_options){.method = methods[i], .rank = 3, .tokens = 4, .targets = "attn_q,attn_k"}, 0.2f), *b, *c;
        struct sooth_error err = {0};
        size_t n;
        save(a, "hf");
        assert_int_equal(adapt_open(in_dir("hf"), gguf.m, NULL, &b, &err), SOOTH_OK);
        assert_int_equal(adapt_save_gguf(b, in_dir("b.gguf"), &err), SOOTH_OK);
        assert_int_equal(adapt_open(in_dir("b.gguf"), hf.m, NULL, &c, &err), SOOTH_OK);
        float *x = adapt_run(hf.m, a, ids, T, &n), *y = adapt_run(gguf.m, b, ids, T, &n), *z = adapt_run(hf.m, c, ids, T, &n);
        close_enough(x, y, n, 1e-4, methods[i]);
        close_enough(x, z, n, 1e-5, methods[i]);
        mem_free(x);
        mem_free(y);
        mem_free(z);
        adapt_free(a);
        adapt_free(b);
        adapt_free(c);
    }
    bench_close(&hf);
    bench_close(&gguf);
}

static void lesson_training_23_a_prefix_of_real_tokens_is_those_tokens(void **state)
{
    static const char *const models[] = {"llama", "gemma3", "gpt2"};
    enum { P = 5 };
    for (size_t k = 0; k < 3; k++) {
        struct bench b = bench_open(models[k], false);
        struct adapt_options o = {.method = "ptuning2", .tokens = P, .start = ids, .start_count = P};
        struct adapt_options soft = {.method = "prompt", .tokens = P, .start = ids, .start_count = P};
        struct adapt *a = adapt_open_new(b.m, &o), *p = adapt_open_new(b.m, &soft);
        size_t n, whole_n, cols = arch_info(b.m)->vocab;
        float *whole = adapt_run(b.m, NULL, ids, T, &whole_n), *after = adapt_run(b.m, a, ids + P, T - P, &n), *prompt = adapt_run(b.m, p, ids + P, T - P, &n);
        assert_memory_equal(after, whole + P * cols, n * sizeof *after);
        assert_memory_equal(prompt, whole + P * cols, n * sizeof *prompt);
        mem_free(whole);
        mem_free(after);
        mem_free(prompt);
        adapt_free(a);
        adapt_free(p);
        bench_close(&b);
    }
}

static void lesson_training_23_networks_are_saved_and_settled(void **state)
{
    static const char *const methods[] = {"ptuning", "prefix"}, *const kinds[] = {"lstm", "mlp"};
    struct bench b = bench_open("llama", false);
    for (size_t i = 0; i < 2; i++) {
        struct adapt *a = shaken(b.m, (struct adapt_options){.method = methods[i], .variant = kinds[i], .tokens = 4, .width = 6}, 0.1f), *c, *flat;
        struct sooth_error err = {0};
        size_t n, weights = adapt_trained(a);
        save(a, "net");
        assert_int_equal(adapt_open(in_dir("net"), b.m, NULL, &c, &err), SOOTH_OK);
        assert_int_equal(adapt_trained(c), weights); /* training goes on with the network */
        unlink(in_dir("net/encoder.safetensors"));
        assert_int_equal(adapt_open(in_dir("net"), b.m, NULL, &flat, &err), SOOTH_OK);
        float *x = adapt_run(b.m, a, ids, T, &n), *y = adapt_run(b.m, c, ids, T, &n), *z = adapt_run(b.m, flat, ids, T, &n);
        float *zero = adapt_run(b.m, NULL, ids, T, &n);
        assert_memory_equal(x, y, n * sizeof *x);
        assert_memory_equal(x, z, n * sizeof *x); /* dropping the network changes nothing */
        assert_true(furthest(x, zero, n) > 1e-3);
        assert_int_equal(adapt_settle(c, &err), SOOTH_OK);
        assert_true(adapt_trained(c) == adapt_trained(flat) && adapt_trained(c) != weights);
        mem_free(x);
        mem_free(y);
        mem_free(z);
        mem_free(zero);
        adapt_free(a);
        adapt_free(c);
        adapt_free(flat);
    }
    bench_close(&b);
}

/* ---- memory that fails ---- */

static void failing_memory_leaves_nothing_behind(void **state)
{
    static const char *const methods[] = {"lora", "dora", "ptuning", "prefix", "adapter", "prompt"};
    struct bench b = bench_open("llama", false);
    for (size_t i = 0; i < 6; i++) {
        struct adapt_options o = {.method = methods[i], .rank = 2, .tokens = 2, .width = 4};
        struct sooth_error err = {0};
        struct adapt *a = NULL, *c;
        enum sooth_status status = SOOTH_ERR_NOMEM;
        for (uint64_t n = 1; status != SOOTH_OK; n++) {
            uint64_t live = mem_live();
            mem_fail_at(n);
            status = adapt_new(b.m, &o, &a, &err);
            mem_fail_at(0);
            assert_true(status == SOOTH_OK || (status == SOOTH_ERR_NOMEM && !a && mem_live() == live));
        }
        save(a, "memory");
        status = SOOTH_ERR_NOMEM;
        for (uint64_t n = 1; status != SOOTH_OK; n++) {
            uint64_t live = mem_live();
            mem_fail_at(n);
            status = adapt_open(in_dir("memory"), b.m, NULL, &c, &err);
            mem_fail_at(0);
            if (status != SOOTH_OK && (c || mem_live() != live))
                fail_msg("%s: allocation %llu failing leaves something behind", methods[i], (unsigned long long)n);
        }
        adapt_free(a);
        adapt_free(c);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_the_scale_is_half_of_b),
        cmocka_unit_test(several_are_worn_at_once),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(merging_gives_the_same_results),
        cmocka_unit_test(dropout_is_drawn_by_number),
        cmocka_unit_test(every_method_learns),
        cmocka_unit_test(dora_starts_with_the_gradients_of_lora),
        cmocka_unit_test(lesson_training_15_every_a_and_b_is_reached),
        cmocka_unit_test(lesson_training_16_a_save_is_whole),
        cmocka_unit_test(lesson_training_17_an_adapter_that_fits_nothing),
        cmocka_unit_test(marks_tell_models_apart),
        cmocka_unit_test(lesson_training_18_scales_of_every_source),
        cmocka_unit_test(lesson_training_20_a_tied_table_in_either_use),
        cmocka_unit_test(lesson_training_21_rotary_order_of_q_and_k),
        cmocka_unit_test(lesson_training_23_a_prefix_of_real_tokens_is_those_tokens),
        cmocka_unit_test(lesson_training_23_networks_are_saved_and_settled),
        cmocka_unit_test(failing_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, fill, clear);
}
