/* test_quantize.c: models made smaller: mixtures, importance, budgets, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "core/quant/quant.h"
#include "model/file/file.h"
#include "sooth/quantize.h"

static char root[64], text[24000];

static const char *under(const char *name)
{
    static char path[8][256];
    static unsigned turn;
    char *p = path[turn++ % 8];
    snprintf(p, 256, "%s/%s", root, name);
    return p;
}
static const char *source(void)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/tests/golden/infer/tiny-llama.gguf", getenv("SOOTH_SOURCE"));
    return path;
}

/* A llama of 2 layers with rows of 256 and a vocabulary borrowed from the tiny model, random weights in f32. */
enum { D = 256, F = 512, LAYERS = 8 };
static void wide_model(const char *path)
{
    static const struct { const char *name; uint64_t cols, rows; } block[] = {
        { "attn_norm.weight", D, 0 }, { "attn_q.weight", D, D }, { "attn_k.weight", D, 64 }, { "attn_v.weight", D, 64 }, { "attn_output.weight", D, D },
        { "ffn_norm.weight", D, 0 }, { "ffn_gate.weight", D, F }, { "ffn_up.weight", D, F }, { "ffn_down.weight", F, D } };
    struct tensor_file *f;
    struct gguf_writer *w = gguf_writer_new();
    struct rng r;
    rng_seed(&r, 4);
    assert_int_equal(tensor_file_open(source(), NULL, &f, NULL), SOOTH_OK);
    const uint64_t vocab = tensor_file_find(f, "token_embd.weight")->dims[1];
    for (size_t i = 0; i < tensor_file_values(f); i++)
        if (strncmp(tensor_file_value_at(f, i)->key, "llama.", 6) && strcmp(tensor_file_value_at(f, i)->key, "general.file_type"))
            gguf_put_value(w, tensor_file_value_at(f, i));
    gguf_put_uint(w, "llama.block_count", LAYERS);
    gguf_put_uint(w, "llama.embedding_length", D);
    gguf_put_uint(w, "llama.feed_forward_length", F);
    gguf_put_uint(w, "llama.attention.head_count", 4);
    gguf_put_uint(w, "llama.attention.head_count_kv", 1);
    gguf_put_uint(w, "llama.context_length", 128);
    gguf_put_float(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    for (int data = 0; data < 2; data++) {
        for (int l = -1; l <= LAYERS; l++)
            for (size_t i = 0; i < (l < 0 || l == LAYERS ? 1 : sizeof block / sizeof *block); i++) {
                char name[64];
                const bool top = l < 0, last = l == LAYERS;
                const uint64_t dims[2] = { top || last ? D : block[i].cols, top ? vocab : last ? 0 : block[i].rows };
                const size_t n = dims[0] * (dims[1] ? dims[1] : 1);
                snprintf(name, sizeof name, "blk.%d.%s", l, block[i].name);
                if (!data) {
                    gguf_put_tensor(w, top ? "token_embd.weight" : last ? "output_norm.weight" : name, TYPE_F32, dims[1] ? 2 : 1, dims);
                    continue;
                }
                float *x = mem_array(n, sizeof *x);
                for (size_t k = 0; k < n; k++)
                    x[k] = dims[1] ? rng_normal(&r) * (k % 7 == 0 ? 0.2f : 0.05f) : 1.0f;
                assert_int_equal(gguf_writer_add(w, x, n * sizeof *x, NULL), SOOTH_OK);
                mem_free(x);
            }
        if (!data)
            assert_int_equal(gguf_writer_open(w, path, NULL), SOOTH_OK);
    }
    assert_int_equal(gguf_writer_commit(w, NULL), SOOTH_OK);
    gguf_writer_free(w);
    tensor_file_close(f);
}

static int set_up(void **state)
{
    strcpy(root, "/tmp/sooth-quantize-XXXXXX");
    for (size_t n = 0; n + 40 < sizeof text;)
        n += (size_t)sprintf(text + n, "%zu the tank is full, open valve %zu. ", n % 89, n % 13);
    if (!mkdtemp(root))
        return -1;
    wide_model(under("wide.gguf"));
    return 0;
}
static int tear_down(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct sooth_quantize_options options(const char *type)
{
    return (struct sooth_quantize_options){ .type = type, .threads = 2, .context = 64, .chunks = 3 };
}
static struct sooth_quantize_result quantize(const char *out, const struct sooth_quantize_options *o)
{
    struct sooth_quantize_result r;
    struct sooth_error err = { 0 };
    if (sooth_quantize(under("wide.gguf"), out, o, &r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct tensor_file *f;
    assert_int_equal(tensor_file_open(out, NULL, &f, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_bytes(f), r.bytes);
    tensor_file_close(f);
    return r;
}

/* Every number format: written, read back, run; the divergence falls as bits rise, and 16 bits cost next to nothing. */
static void every_format_makes_a_model(void **state)
{
    double worst = 0;
    for (size_t k = 0; qtype_at(k); k++) {
        const struct qtype *t = qtype_at(k);
        struct sooth_quantize_options o = options(t->name);
        o.measure = text;
        o.measure_len = strlen(text);
        if (t->id >= QTYPE_NF4)
            continue;
        const struct sooth_quantize_result r = quantize(under("out.gguf"), &o);
        assert_true(r.measured && r.divergence.kl >= 0 && isfinite(r.divergence.perplexity));
        assert_string_equal(r.types[0].type, t->name);
        print_message("# %s: %.3g\n", t->name, r.divergence.kl);
        assert_true(r.divergence.kl < (t->bytes == 4 ? 1e-6 : t->block == 1 ? 1e-3 : !strcmp(t->name, "q8_0") ? 0.02 : 5));
        worst = fmax(worst, r.divergence.kl);
        if (!strcmp(t->name, "q2_k"))
            assert_true(r.divergence.kl == worst && r.divergence.kl > 1e-3);
    }
}

static const char *type_of(const struct tensor_file *f, const char *name)
{
    const struct file_tensor *t = tensor_file_find(f, name);
    assert_non_null(t);
    return tensor_type_find(t->type)->name;
}

/* The mixture q4_k_m of 8 layers: 6 bits for values and the way down in layers 0, 3, 6 and 7, and for the output. */
static void a_mixture_is_what_it_is_called(void **state)
{
    struct sooth_quantize_options o = options("q4_k_m");
    struct tensor_file *f;
    char name[64];
    o.no_measure = true;
    quantize(under("mix.gguf"), &o);
    assert_int_equal(tensor_file_open(under("mix.gguf"), NULL, &f, NULL), SOOTH_OK);
    for (int l = 0; l < LAYERS; l++) {
        static const bool more[LAYERS] = { 1, 0, 0, 1, 0, 0, 1, 1 };
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", l);
        assert_string_equal(type_of(f, name), more[l] ? "q6_k" : "q4_k");
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", l);
        assert_string_equal(type_of(f, name), more[l] ? "q6_k" : "q4_k");
        snprintf(name, sizeof name, "blk.%d.ffn_up.weight", l);
        assert_string_equal(type_of(f, name), "q4_k");
        snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", l);
        assert_string_equal(type_of(f, name), "f32");
    }
    assert_string_equal(type_of(f, "token_embd.weight"), "q6_k");
    assert_int_equal(tensor_file_uint(f, "general.file_type", 0), 15);
    tensor_file_close(f);
    const char *note, *type;
    for (size_t i = 0; (type = sooth_quantize_type(i, &note)); i++) { /* every name in the list works */
        o = options(type);
        o.no_measure = true;
        quantize(under("mix.gguf"), &o);
    }
}

static bool same_file(const char *a, const char *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    assert_int_equal(file_read(a, 1 << 26, &x, NULL), SOOTH_OK);
    assert_int_equal(file_read(b, 1 << 26, &y, NULL), SOOTH_OK);
    const bool same = x.len == y.len && !memcmp(x.data, y.data, x.len);
    buf_release(&x);
    buf_release(&y);
    return same;
}

/* Importance changes the file, is the same from a text and from the file it was kept in, and on any number of threads. */
static void importance_is_kept_and_read(void **state)
{
    struct sooth_quantize_options o = options("q4_k");
    o.no_measure = true;
    quantize(under("plain.gguf"), &o);
    o.text = text;
    o.text_len = strlen(text);
    o.save_importance = under("im.gguf");
    quantize(under("text.gguf"), &o);
    o.text = NULL;
    o.save_importance = NULL;
    o.importance = under("im.gguf");
    o.threads = 1;
    quantize(under("read.gguf"), &o);
    assert_false(same_file(under("plain.gguf"), under("text.gguf")));
    assert_true(same_file(under("read.gguf"), under("text.gguf")));
    struct tensor_file *f;
    assert_int_equal(tensor_file_open(under("im.gguf"), NULL, &f, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_count(f), 2 * 7 * LAYERS); /* of q and k and v alike, though they share an input */
    assert_string_equal(tensor_file_string(f, "general.type", ""), "imatrix");
    const struct file_tensor *count = tensor_file_find(f, "blk.3.attn_k.weight.counts");
    assert_true(count && *(const float *)count->data == 3 * 64);
    tensor_file_close(f);
    struct sooth_error err = { 0 };
    o.importance = under("plain.gguf");
    assert_int_equal(sooth_quantize(under("wide.gguf"), under("no.gguf"), &o, NULL, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "importance"));
    assert_false(file_exists(under("no.gguf")));
}

/* A budget is kept to the byte, is spent, and loses no more than the mixture of that size. */
static void a_budget_is_kept_and_well_spent(void **state)
{
    struct sooth_quantize_options o = options("q4_k_m");
    o.text = text;
    o.text_len = strlen(text);
    const struct sooth_quantize_result fixed = quantize(under("fixed.gguf"), &o);
    o.type = NULL;
    o.bytes = fixed.bytes;
    const struct sooth_quantize_result free = quantize(under("free.gguf"), &o);
    assert_true(free.bytes <= fixed.bytes && free.bytes > fixed.bytes * 97 / 100);
    assert_true(free.divergence.kl <= fixed.divergence.kl);
    o.bytes = fixed.bytes / 2;
    struct sooth_error err = { 0 };
    assert_int_equal(sooth_quantize(under("wide.gguf"), under("no.gguf"), &o, NULL, &err), SOOTH_ERR_LIMIT);
    assert_false(file_exists(under("no.gguf")));
}

/* Lesson 25: one number that is not finite ends it with the tensor's name, and no file is left. */
static void lesson_serving_25_the_quantizer_names_what_is_not_finite(void **state)
{
    struct buf data = BUF_INIT;
    struct tensor_file *f;
    struct sooth_quantize_options o = options("q4_k");
    struct sooth_error err = { 0 };
    o.no_measure = true;
    assert_int_equal(file_read(under("wide.gguf"), 1 << 26, &data, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_open(under("wide.gguf"), NULL, &f, NULL), SOOTH_OK);
    /* the file is one mapping, so that distances in it are offsets in the copy */
    const struct file_tensor *first = tensor_file_at(f, 0), *t = tensor_file_find(f, "blk.5.ffn_up.weight");
    const struct file_tensor *last = tensor_file_at(f, tensor_file_count(f) - 1);
    const size_t end = (size_t)((const char *)last->data + last->bytes - (const char *)first->data);
    const size_t at = data.len - ((end + 31) / 32 * 32) + (size_t)((const char *)t->data - (const char *)first->data);
    assert_memory_equal(data.data + at, t->data, 64);
    memcpy(data.data + at + 4 * 1234, &(float){ NAN }, 4);
    tensor_file_close(f);
    assert_int_equal(file_write_atomic(under("nan.gguf"), data.data, data.len, NULL), SOOTH_OK);
    buf_release(&data);
    assert_int_equal(sooth_quantize(under("nan.gguf"), under("no.gguf"), &o, NULL, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "blk.5.ffn_up.weight"));
    assert_non_null(strstr(err.text, "1234"));
    assert_false(file_exists(under("no.gguf")) || file_exists(under("no.gguf.unchecked")));
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct { const char *type, *method; uint64_t bytes; bool text; } bad[] = {
        { NULL, NULL, 0, false }, { "q4_k", NULL, 1000000, false }, { "q9_x", NULL, 0, false }, { "q4_k", "guess", 0, false } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sooth_quantize_options o = { .type = bad[i].type, .method = bad[i].method, .bytes = bad[i].bytes };
        struct sooth_error err = { 0 };
        assert_int_equal(sooth_quantize(under("wide.gguf"), under("no.gguf"), &o, NULL, &err), SOOTH_ERR_ARG);
        assert_true(err.text[0] != 0);
    }
    struct sooth_quantize_options o = { .type = "q4_k", .text = "too short", .text_len = 9 };
    assert_int_equal(sooth_quantize(under("wide.gguf"), under("no.gguf"), &o, NULL, NULL), SOOTH_ERR_ARG);
    assert_int_equal(sooth_quantize(under("nothing.gguf"), under("no.gguf"), &(struct sooth_quantize_options){ .type = "q8_0" }, NULL, NULL), SOOTH_ERR_NOTFOUND);
    assert_false(file_exists(under("no.gguf")));
}

/* The same model twice is no divergence at all; another vocabulary cannot be compared. */
static void divergence_of_itself_is_zero(void **state)
{
    struct sooth_model_options mo = { .threads = 2 };
    struct sooth_model *a, *b;
    struct sooth_divergence d;
    struct sooth_perplexity p;
    assert_int_equal(sooth_model_open(under("wide.gguf"), &mo, &a, NULL), SOOTH_OK);
    assert_int_equal(sooth_model_open(under("wide.gguf"), &mo, &b, NULL), SOOTH_OK);
    assert_int_equal(sooth_divergence_measure(a, b, text, strlen(text), 64, 2, NULL, NULL, &d, NULL), SOOTH_OK);
    assert_int_equal(sooth_perplexity(a, text, strlen(text), 64, 2, NULL, NULL, &p, NULL), SOOTH_OK);
    assert_true(fabs(d.kl) < 1e-6 && d.same_top == 1 && d.tokens == 2 * 31 && d.chunks == 2);
    assert_true(fabs(d.perplexity / p.value - 1) < 1e-5 && fabs(d.source_perplexity / p.value - 1) < 1e-5);
    assert_true(fabs(d.perplexity_error / p.error - 1) < 1e-3);
    sooth_model_close(a);
    sooth_model_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_makes_a_model),
        cmocka_unit_test(a_mixture_is_what_it_is_called),
        cmocka_unit_test(importance_is_kept_and_read),
        cmocka_unit_test(a_budget_is_kept_and_well_spent),
        cmocka_unit_test(lesson_serving_25_the_quantizer_names_what_is_not_finite),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(divergence_of_itself_is_zero),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
