/* test_file_models.c: files other programs wrote: small committed ones, and the real models where
 * they are installed. */
#include "file_fixture.h"

static const char *model(const char *name)
{
    static char path[1000];
    const char *dir = getenv("SOOTH_MODELS"), *source = getenv("SOOTH_SOURCE");
    if (dir)
        snprintf(path, sizeof path, "%s/%s", dir, name);
    else
        snprintf(path, sizeof path, "%s/models/%s", source ? source : ".", name);
    return path;
}

static void check_model(const char *name, const char *format, size_t tensors, const char *key,
                        uint64_t want)
{
    struct tensor_file *f;
    struct sooth_error e;
    if (!file_exists(model(name))) {
        printf("# %s is not there\n", model(name));
        skip();
    }
    if (tensor_file_open(model(name), NULL, &f, &e))
        fail_msg("%s", e.text);
    assert_string_equal(tensor_file_format(f), format);
    assert_int_equal(tensor_file_count(f), tensors);
    assert_int_equal(tensor_file_uint(f, key, 0), want);
    assert_true(tensor_file_memory(f) < 16 << 20);
    tensor_file_close(f);
}

static void test_smollm2(void **state)
{
    check_model("smollm2.gguf", "gguf", 272, "llama.block_count", 30);
}

static void test_gemma3(void **state)
{
    check_model("gemma3.gguf", "gguf", 236, "gemma3.attention.sliding_window", 512);
}

static void test_minilm(void **state)
{
    check_model("minilm", "safetensors", 104, "bert.pooling_type", 1);
}

static void test_e5(void **state)
{
    check_model("e5-small-q4.bin", "e5s1", 197, "bert.vocab_size", 250037);
}

/* Written by the reference Python packages: tools/golden/file_golden.py. */
static void check_golden(const char *name)
{
    char path[1000];
    struct tensor_file *f;
    struct sooth_error e;
    const struct file_tensor *a, *b;
    snprintf(path, sizeof path, "%s/tests/golden/file/%s", getenv("SOOTH_SOURCE"), name);
    if (tensor_file_open(path, NULL, &f, &e))
        fail_msg("%s", e.text);
    a = tensor_file_find(f, "a.weight");
    b = tensor_file_find(f, "b.weight");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->dims[0], 3);
    assert_int_equal(a->dims[1], 2);
    assert_int_equal(b->type, TYPE_F16);
    for (int i = 0; i < 6; i++) {
        float x;
        memcpy(&x, (const char *)a->data + 4 * i, 4);
        assert_true(x == (float)i / 2);
    }
    if (!strcmp(tensor_file_format(f), "gguf")) {
        size_t n;
        assert_string_equal(tensor_file_string(f, "general.architecture", ""), "llama");
        assert_int_equal(tensor_file_uint(f, "llama.block_count", 0), 1);
        assert_true(tensor_file_float(f, "llama.rope.freq_base", 0) == 10000);
        assert_int_equal(tensor_file_strings(f, "tokenizer.ggml.tokens", &n)[1].len, 6);
        assert_true(tensor_file_bool(f, "tokenizer.ggml.add_bos_token", false));
        assert_int_equal(tensor_file_int(f, "test.negative", 0), -7);
        assert_int_equal(tensor_file_uint(f, "test.long", 0), (uint64_t)1 << 40);
    } else {
        assert_string_equal(tensor_file_string(f, "format", ""), "np");
    }
    tensor_file_close(f);
}

static void test_golden_gguf(void **state)
{
    check_golden("small.gguf");
}

static void test_golden_safetensors(void **state)
{
    check_golden("small.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smollm2),     cmocka_unit_test(test_gemma3),
        cmocka_unit_test(test_minilm),      cmocka_unit_test(test_e5),
        cmocka_unit_test(test_golden_gguf), cmocka_unit_test(test_golden_safetensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
