/* test_convert.c: a model says the same after it has changed its container, there and back. */
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
#include "model/file/file.h"
#include "sooth/model.h"

static char root[64];

static const char *under(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, 256, "%s/%s", root, name);
    return p;
}
static const char *golden(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/tests/golden/infer/%s", getenv("SOOTH_SOURCE"), name);
    return path;
}

static int set_up(void **state)
{
    strcpy(root, "/tmp/sooth-convert-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}
static int tear_down(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void convert(const char *in, const char *out)
{
    struct sooth_error err = {0};
    if (sooth_convert(in, out, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

static struct sooth_model *open_model(const char *path)
{
    struct sooth_model *m;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = 1, .compute = "f32"};
    if (sooth_model_open(path, &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

static const char *const texts[] = {"The tank is full.", "open the valve, opened 水箱", "",
                                    "café CAFÉ 42"};

static void same_tokens(const struct sooth_model *a, const struct sooth_model *b)
{
    for (size_t i = 0; i < 4; i++) {
        struct sooth_tokens x, y;
        assert_int_equal(sooth_tokenize(a, texts[i], strlen(texts[i]), true, false, &x, NULL),
                         SOOTH_OK);
        assert_int_equal(sooth_tokenize(b, texts[i], strlen(texts[i]), true, false, &y, NULL),
                         SOOTH_OK);
        assert_int_equal(x.count, y.count);
        if (x.count)
            assert_memory_equal(x.ids, y.ids, x.count * sizeof *x.ids);
        sooth_tokens_release(&x);
        sooth_tokens_release(&y);
    }
}

static void same_vectors(struct sooth_model *a, struct sooth_model *b)
{
    size_t dim = sooth_embed_dim(a);
    float *x = calloc(4 * dim, sizeof *x), *y = calloc(4 * dim, sizeof *y);
    assert_int_equal(sooth_embed_dim(b), dim);
    assert_int_equal(sooth_embed_limit(a), sooth_embed_limit(b));
    assert_string_equal(sooth_model_info(a)->pooling, sooth_model_info(b)->pooling);
    assert_string_equal(sooth_embed_prefix(a, SOOTH_EMBED_QUERY),
                        sooth_embed_prefix(b, SOOTH_EMBED_QUERY));
    assert_int_equal(sooth_embed(a, SOOTH_EMBED_QUERY, texts, NULL, 4, x, NULL, NULL), SOOTH_OK);
    assert_int_equal(sooth_embed(b, SOOTH_EMBED_QUERY, texts, NULL, 4, y, NULL, NULL), SOOTH_OK);
    assert_memory_equal(x, y, 4 * dim * sizeof *x);
    free(x);
    free(y);
}

static void bert_directory_to_gguf_and_back(void **state)
{
    convert(golden("tiny-bert"), under("bert.gguf"));
    struct sooth_model *dir = open_model(golden("tiny-bert")),
                       *gguf = open_model(under("bert.gguf"));
    assert_string_equal(sooth_model_info(gguf)->format, "gguf");
    same_tokens(dir, gguf);
    same_vectors(dir, gguf);
    convert(under("bert.gguf"), under("bert/"));
    struct sooth_model *back = open_model(under("bert"));
    same_tokens(dir, back);
    sooth_model_close(back);
    sooth_model_close(gguf);
    sooth_model_close(dir);
    struct tensor_file *was, *is; /* and the numbers are the same, to the bit */
    assert_int_equal(tensor_file_open(golden("tiny-bert"), NULL, &was, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_open(under("bert"), NULL, &is, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_count(was), tensor_file_count(is));
    for (size_t i = 0; i < tensor_file_count(was); i++) {
        const struct file_tensor *a = tensor_file_at(was, i), *b = tensor_file_find(is, a->name);
        assert_non_null(b);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    tensor_file_close(was);
    tensor_file_close(is);
}

static void generate(struct sooth_model *m, struct sooth_generation *g)
{
    struct sooth_session *s;
    struct sooth_generate_options o;
    const struct sooth_message hello[] = {{"user", "open the valve"}};
    sooth_generate_options_init(&o);
    o.max_tokens = 16;
    o.logprobs = 1;
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    assert_int_equal(sooth_chat(s, hello, 1, &o, g, NULL), SOOTH_OK);
    sooth_session_free(s);
}

/* Rotated rows change their order on the way to the directory and get it back: the model says the
 * same each time. */
static void llama_gguf_to_directory_and_back(void **state)
{
    convert(golden("tiny-llama.gguf"), under("llama/"));
    convert(under("llama"), under("llama.gguf"));
    struct sooth_model *m[3] = {open_model(golden("tiny-llama.gguf")), open_model(under("llama")),
                                open_model(under("llama.gguf"))};
    struct sooth_generation want, got;
    generate(m[0], &want);
    for (size_t i = 1; i < 3; i++) {
        same_tokens(m[0], m[i]);
        generate(m[i], &got);
        assert_int_equal(got.n_prompt, want.n_prompt);
        assert_string_equal(got.text, want.text);
        for (size_t t = 0; t < want.n_tokens; t++)
            assert_true(got.logprobs[t] - want.logprobs[t] < 1e-4f &&
                        want.logprobs[t] - got.logprobs[t] < 1e-4f);
        sooth_generation_release(&got);
    }
    sooth_generation_release(&want);
    for (size_t i = 0; i < 3; i++)
        sooth_model_close(m[i]);
}

static void e5s1_to_gguf(void **state)
{
    const char *models = getenv("SOOTH_MODELS");
    char path[2048];
    snprintf(path, sizeof path, "%s%s/e5-small-q4.bin", models ? models : getenv("SOOTH_SOURCE"),
             models ? "" : "/models");
    if (access(path, R_OK) != 0) {
        print_message("[  SKIPPED ] no '%s'\n", path);
        skip();
    }
    convert(path, under("e5.gguf"));
    struct sooth_model *a = open_model(path), *b = open_model(under("e5.gguf"));
    same_tokens(a, b);
    same_vectors(a, b);
    sooth_model_close(a);
    sooth_model_close(b);
}

static void what_cannot_be_converted_leaves_nothing(void **state)
{
    struct sooth_error err = {0};
    assert_int_equal(file_write_atomic(under("text.gguf"), "not a model", 11, NULL), SOOTH_OK);
    assert_int_equal(sooth_convert(under("text.gguf"), under("out.gguf"), &err), SOOTH_ERR_FORMAT);
    assert_false(file_exists(under("out.gguf")));
    assert_int_equal(sooth_convert("no/such", under("out.gguf"), &err), SOOTH_ERR_NOTFOUND);
    assert_int_equal(sooth_convert(golden("tiny-bert"), under("no/such/out.gguf"), &err),
                     SOOTH_ERR_IO);
    assert_int_equal(sooth_convert(golden("tiny-bert"), under("copy/"), &err), SOOTH_ERR_ARG);
    assert_int_equal(sooth_convert(golden("tiny-bert"), "", NULL), SOOTH_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert_directory_to_gguf_and_back),
        cmocka_unit_test(llama_gguf_to_directory_and_back),
        cmocka_unit_test(e5s1_to_gguf),
        cmocka_unit_test(what_cannot_be_converted_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
