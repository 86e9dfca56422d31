/* test_convert_vocab.c: vocabularies there and back: published GGUF ones become tokenizer.json, and those GGUF facts again; the ids of every
 * published text stay what they are. Weights take no part. */
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
#include "core/base/vec.h"
#include "model/convert/convert.h"
#include "model/file/file.h"
#include "model/token/token.h"

static char root[64];

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

/* The published file as GGUF, unpacked; skips where there is none. */
static struct tensor_file *vocabulary(const char *name, struct buf *texts)
{
    const char *shared = getenv("SOOTH_SHARED"), *source = getenv("SOOTH_SOURCE");
    char packed[2048], command[4400], path[256];
    struct tensor_file *f;
    struct sooth_error err = {0};
    snprintf(packed, sizeof packed, "%s%s/data/vocab/ggml-vocab-%s.gguf", shared ? shared : source, shared ? "" : "/../shared", name);
    snprintf(path, sizeof path, "%s/%s.gguf", root, name);
    snprintf(command, sizeof command, "gzip -dc '%s.gz' > '%s' 2> /dev/null", packed, path);
    if (system(command) != 0) {
        print_message("[  SKIPPED ] no '%s.gz'\n", packed);
        skip();
    }
    if (tensor_file_open(path, NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    snprintf(command, sizeof command, "%s.inp", packed);
    assert_int_equal(file_read(command, 1 << 20, texts, &err), SOOTH_OK);
    return f;
}

static void same_ids(const struct tokenizer *a, const struct tokenizer *b, unsigned flags, const struct buf *texts, const char *what)
{
    size_t lines = 0;
    for (size_t at = 0; at < texts->len; lines++) {
        const char *end = memchr(texts->data + at, '\n', texts->len - at);
        size_t len = end ? (size_t)(end - texts->data) - at + 1 : texts->len - at;
        struct token_ids x = {0}, y = {0};
        assert_int_equal(token_encode_text(a, texts->data + at, len, flags, &x, NULL), SOOTH_OK);
        assert_int_equal(token_encode_text(b, texts->data + at, len, flags, &y, NULL), SOOTH_OK);
        if (x.count != y.count || memcmp(x.items, y.items, x.count * sizeof *x.items))
            fail_msg("%s: other ids for '%.*s'", what, (int)len, texts->data + at);
        vec_free(&x);
        vec_free(&y);
        at += len;
    }
    assert_true(lines > 50);
}

/* The directory's tokenizer as facts of a GGUF file again. Start and end tokens are another matter: config.json's. */
static void and_back(const struct tokenizer *t, const struct buf *texts, const char *name)
{
    static const char config[] = "{\"model_type\":\"llama\"}";
    struct sooth_error err = {0};
    struct convert_plan plan;
    struct tensor_file *dir, *f;
    struct tokenizer *again;
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", root);
    assert_int_equal(file_write_atomic(path, config, strlen(config), &err), SOOTH_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", root);
    assert_int_equal(safetensors_write(path, NULL, 0, NULL, 0, &err), SOOTH_OK);
    assert_int_equal(tensor_file_open(root, NULL, &dir, &err), SOOTH_OK);
    plan_init(&plan);
    if (vocab_to_gguf(dir, &plan, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    struct gguf_writer *w = gguf_writer_new();
    for (size_t i = 0; i < plan.facts.count; i++)
        gguf_put_value(w, &plan.facts.items[i]);
    gguf_put_string(w, "tokenizer.ggml.pre", token_rules(t));
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", token_adds_space(t));
    snprintf(path, sizeof path, "%s/again.gguf", root);
    assert_int_equal(gguf_writer_open(w, path, &err), SOOTH_OK);
    assert_int_equal(gguf_writer_commit(w, &err), SOOTH_OK);
    gguf_writer_free(w);
    plan_release(&plan);
    tensor_file_close(dir);
    assert_int_equal(tensor_file_open(path, NULL, &f, &err), SOOTH_OK);
    if (tokenizer_from_file(f, &again, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    same_ids(t, again, 0, texts, name);
    tokenizer_free(again);
    tensor_file_close(f);
}

static void there(const char *name)
{
    struct buf texts = BUF_INIT, json = BUF_INIT, config = BUF_INIT;
    struct sooth_error err = {0};
    struct tokenizer *t, *back;
    char path[256];
    struct tensor_file *f = vocabulary(name, &texts);
    assert_int_equal(tokenizer_from_file(f, &t, &err), SOOTH_OK);
    if (vocab_to_hf(f, root, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    snprintf(path, sizeof path, "%s/tokenizer.json", root);
    assert_int_equal(file_read(path, 256 << 20, &json, &err), SOOTH_OK);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", root);
    assert_int_equal(file_read(path, 1 << 20, &config, &err), SOOTH_OK);
    if (tokenizer_from_json(json.data, json.len, config.data, config.len, &back, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    assert_string_equal(token_kind(back), token_kind(t));
    assert_int_equal(token_adds_bos(back), token_adds_bos(t));
    assert_int_equal(token_adds_space(back), token_adds_space(t));
    same_ids(t, back, TOKEN_ADD_SPECIAL, &texts, name);
    and_back(t, &texts, name);
    tokenizer_free(t);
    tokenizer_free(back);
    tensor_file_close(f);
    buf_release(&texts);
    buf_release(&json);
    buf_release(&config);
}

static void llama_spm(void **state) { there("llama-spm"); }
static void phi3(void **state) { there("phi-3"); }
static void llama_bpe(void **state) { there("llama-bpe"); }
static void qwen2(void **state) { there("qwen2"); }
static void starcoder(void **state) { there("starcoder"); }
static void gpt2(void **state) { there("gpt-2"); }
static void command_r(void **state) { there("command-r"); }
static void bert_bge(void **state) { there("bert-bge"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_spm), cmocka_unit_test(phi3), cmocka_unit_test(llama_bpe), cmocka_unit_test(qwen2), cmocka_unit_test(starcoder),
        cmocka_unit_test(gpt2), cmocka_unit_test(command_r), cmocka_unit_test(bert_bge),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
