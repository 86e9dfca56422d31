/* test_hf_dir.c: Hugging Face directories: configuration, shards, and an index that lies. */
#include "file_fixture.h"
#include <ftw.h>
#include <sys/stat.h>

static char root[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    return remove(path);
}

static int setup(void **state)
{
    snprintf(root, sizeof root, "/tmp/sooth-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text, size_t len)
{
    char path[200], *slash;
    struct sooth_error e;
    snprintf(path, sizeof path, "%s/%s", root, name);
    slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(dir_make(path, &e), SOOTH_OK);
    *slash = '/';
    assert_int_equal(file_write_atomic(path, text, len, &e), SOOTH_OK);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* A safetensors file with these one-byte tensors. */
static void put_tensors(const char *file, const char *const *names, size_t n)
{
    struct buf b = BUF_INIT, header = BUF_INIT;
    uint64_t len;
    buf_putc(&header, '{');
    for (size_t i = 0; i < n; i++)
        buf_printf(&header, "%s\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
                   i ? "," : "", names[i], i, i + 1);
    buf_putc(&header, '}');
    len = header.len;
    buf_add(&b, &len, 8);
    buf_add(&b, header.data, header.len);
    buf_add(&b, "xxxxxxxx", n);
    put(file, b.data, b.len);
    buf_release(&b);
    buf_release(&header);
}

static enum sooth_status open_root(struct tensor_file **f, struct sooth_error *e)
{
    uint64_t live = mem_live();
    enum sooth_status status = tensor_file_open(root, NULL, f, e);
    if (status) {
        assert_null(*f);
        assert_int_equal(mem_live(), live);
    }
    return status;
}

static void refused(enum sooth_status want, const char *word)
{
    struct tensor_file *f;
    struct sooth_error e;
    assert_int_equal(open_root(&f, &e), want);
    if (!strstr(e.text, word))
        fail_msg("'%s' does not say '%s'", e.text, word);
}

static const char *const two[] = {"a", "b"};

static void test_config_is_translated(void **state)
{
    struct tensor_file *f;
    struct sooth_error e;
    struct buf part = BUF_INIT;
    size_t n;
    refused(SOOTH_ERR_NOTFOUND, "holds no model");
    put_text(
        "config.json",
        "{\"model_type\":\"gemma3_text\",\"hidden_size\":640,\"num_hidden_layers\":18,"
        "\"rms_norm_eps\":1e-6,\"rope_theta\":1000000.0,\"sliding_window\":512,\"head_dim\":256,"
        "\"eos_token_id\":[1,106],\"bos_token_id\":2,\"query_pre_attn_scalar\":256,"
        "\"num_attention_heads\":\"four\",\"tie_word_embeddings\":true,"
        "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8.0}}");
    put_text("1_Pooling/config.json",
             "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}");
    put_text("config_sentence_transformers.json",
             "{\"prompts\":{\"query\":\"q: \",\"document\":\"d: \"}}");
    put_text("tokenizer.json", "{}");
    put_tensors("model.safetensors", two, 2);
    if (open_root(&f, &e))
        fail_msg("%s", e.text);
    assert_string_equal(tensor_file_string(f, "general.architecture", ""), "gemma3");
    assert_int_equal(tensor_file_uint(f, "gemma3.block_count", 0), 18);
    assert_int_equal(tensor_file_uint(f, "gemma3.embedding_length", 0), 640);
    assert_int_equal(tensor_file_uint(f, "gemma3.attention.key_length", 0), 256);
    assert_true(tensor_file_float(f, "gemma3.rope.freq_base", 0) == 1e6);
    assert_true((float)tensor_file_float(f, "gemma3.attention.layer_norm_rms_epsilon", 0) == 1e-6f);
    assert_true(tensor_file_float(f, "gemma3.attention.scale", 0) == 0.0625);
    assert_true(tensor_file_bool(f, "gemma3.tie_word_embeddings", false));
    assert_string_equal(tensor_file_string(f, "gemma3.rope.scaling.type", ""), "linear");
    assert_true(tensor_file_float(f, "gemma3.rope.scaling.factor", 0) == 8);
    assert_null(tensor_file_value(f, "gemma3.attention.head_count")); /* a text is no number */
    assert_int_equal(tensor_file_uint(f, "tokenizer.ggml.eos_token_id", 0), 1);
    assert_int_equal(tensor_file_uints(f, "tokenizer.ggml.eos_token_ids", &n)[1], 106);
    assert_int_equal(n, 2);
    assert_int_equal(tensor_file_uint(f, "gemma3.pooling_type", 0), 2);
    assert_string_equal(tensor_file_string(f, "sooth.embed.query_prefix", ""), "q: ");
    assert_string_equal(tensor_file_string(f, "sooth.embed.passage_prefix", ""), "d: ");
    assert_int_equal(json_int(tensor_file_config(f), "hidden_size", 0), 640);
    assert_int_equal(tensor_file_part(f, "tokenizer.json", &part, &e), SOOTH_OK);
    assert_string_equal(part.data, "{}");
    assert_int_equal(tensor_file_part(f, "absent.json", &part, &e), SOOTH_ERR_NOTFOUND);
    assert_int_equal(tensor_file_count(f), 2);
    buf_release(&part);
    tensor_file_close(f);
}

static void test_broken_config(void **state)
{
    put_tensors("model.safetensors", two, 2);
    put_text("config.json", "{\"hidden_size\":3}");
    refused(SOOTH_ERR_FORMAT, "no model_type");
    put_text("config.json", "{\"model_type\":");
    refused(SOOTH_ERR_FORMAT, "'config.json': invalid JSON");
    put_text("config.json", "[]");
    refused(SOOTH_ERR_FORMAT, "no model_type");
    put_text("config.json", "{\"model_type\":\"bert\",\"model_type\":\"llama\"}");
    refused(SOOTH_ERR_FORMAT, "duplicate key");
    put_text("config.json", "{\"model_type\":\"a\\u0001b\",\"hidden_size\":1}");
    refused(SOOTH_ERR_FORMAT, "impossible name");
}

static void put_index(const char *map)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "{\"metadata\":{\"total_size\":4},\"weight_map\":%s}", map);
    put("model.safetensors.index.json", b.data, b.len);
    buf_release(&b);
}

static void test_shards(void **state)
{
    static const char *const cd[] = {"c", "d"};
    struct tensor_file *f;
    struct sooth_error e;
    put_text("config.json", "{\"model_type\":\"bert\"}");
    put_tensors("model-1.safetensors", two, 2);
    put_tensors("model-2.safetensors", cd, 2);
    put_index("{\"a\":\"model-1.safetensors\",\"c\":\"model-2.safetensors\",\"b\":\"model-1."
              "safetensors\","
              "\"d\":\"model-2.safetensors\"}");
    if (open_root(&f, &e))
        fail_msg("%s", e.text);
    assert_int_equal(tensor_file_count(f), 4);
    fixture_touch(f);
    assert_true(tensor_file_intact(f));
    tensor_file_close(f);
    for (uint64_t n = 1;; n++) {
        enum sooth_status status;
        mem_fail_at(n);
        status = open_root(&f, &e);
        mem_fail_at(0);
        if (!status)
            break;
        assert_true(n < 10000);
    }
    tensor_file_close(f);
    put_index("{\"a\":\"model-1.safetensors\",\"c\":\"model-2.safetensors\",\"d\":\"model-2."
              "safetensors\"}");
    refused(SOOTH_ERR_FORMAT, "lists 3 tensors, its files hold 4");
    put_index("{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\",\"c\":\"model-2."
              "safetensors\","
              "\"d\":\"model-2.safetensors\"}");
    refused(SOOTH_ERR_FORMAT, "'b' is not in the file");
    put_index("{\"a\":\"model-1.safetensors\",\"x\":\"model-1.safetensors\"}");
    refused(SOOTH_ERR_FORMAT, "'x' is not in the file");
    put_index("{\"a\":\"model-3.safetensors\"}");
    refused(SOOTH_ERR_NOTFOUND, "model-3");
    put_index("{}");
    refused(SOOTH_ERR_FORMAT, "no weight_map");
    put_index("{\"a\":7}");
    refused(SOOTH_ERR_FORMAT, "names no file");
    put_tensors("model-2.safetensors", two, 2);
    put_index("{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\"}");
    refused(SOOTH_ERR_FORMAT, "occurs twice");
}

static void threat_index_paths(void **state)
{
    static const char *const bad[] = {"../model.safetensors",
                                      "/etc/passwd",
                                      "sub/model.safetensors",
                                      ".hidden",
                                      "",
                                      "..",
                                      ".",
                                      "a\\\\b",
                                      "model\\u0000.x",
                                      "a b",
                                      "a\\nb",
                                      "\\u4e2d"};
    char from[200], to[200];
    put_text("config.json", "{\"model_type\":\"bert\"}");
    put_tensors("model.safetensors", two, 2);
    put_tensors("sub/model.safetensors", two, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = BUF_INIT;
        buf_printf(&b, "{\"a\":\"%s\",\"b\":\"%s\"}", bad[i], bad[i]);
        put_index(b.data);
        refused(SOOTH_ERR_FORMAT, "");
        buf_release(&b);
    }
    snprintf(from, sizeof from, "%s/sub/model.safetensors", root);
    snprintf(to, sizeof to, "%s/link.safetensors", root);
    assert_int_equal(symlink(from, to), 0);
    put_index("{\"a\":\"link.safetensors\",\"b\":\"link.safetensors\"}");
    refused(SOOTH_ERR_FORMAT, "symbolic link");
    put_index("{\"a\":\"sub\"}");
    refused(SOOTH_ERR_IO, "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_is_translated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(threat_index_paths, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
