/* test_convert_arch.c: every architecture there and back: a tiny directory of tests/golden/arch becomes GGUF, that a directory, that
 * GGUF again; all four give the same numbers, for all four the reference's are known. What GGUF has no word for is refused. */
#include <math.h>
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
#include "model/arch/arch.h"
#include "model/file/file.h"
#include "sooth/model.h"

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

static void copy(const char *from_dir, const char *name, const char *to_dir)
{
    char path[2048];
    struct buf b = BUF_INIT;
    snprintf(path, sizeof path, "%s/tests/golden/%s/%s", getenv("SOOTH_SOURCE"), from_dir, name);
    assert_int_equal(file_read(path, 1 << 22, &b, NULL), SOOTH_OK);
    snprintf(path, sizeof path, "%s/%s", to_dir, name);
    assert_int_equal(file_write_atomic(path, b.data, b.len, NULL), SOOTH_OK);
    buf_release(&b);
}

/* XLM-R's kind of tokenizer: by it a GGUF file that says "bert" is known for what it is. */
static const char unigram[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},{\"id\":1,\"content\":\"<pad>\",\"special\":true},"
    "{\"id\":2,\"content\":\"</s>\",\"special\":true},{\"id\":3,\"content\":\"<unk>\",\"special\":true}],\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","
    "\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}]},\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"<s>\",0],"
    "[\"<pad>\",0],[\"</s>\",0],[\"<unk>\",0],[\"\xE2\x96\x81\",-2],[\"a\",-3],[\"b\",-4]]}}";

/* The golden's weights with a tokenizer beside them, which it lacks. */
static void lay(const char *name, char dir[256])
{
    char from[256];
    snprintf(dir, 256, "%s/%s", root, name);
    snprintf(from, sizeof from, "arch/%s", name);
    assert_int_equal(dir_make(dir, NULL), SOOTH_OK);
    copy(from, "config.json", dir);
    copy(from, "model.safetensors", dir);
    if (!strncmp(name, "xlmr", 4)) {
        snprintf(from, sizeof from, "%s/tokenizer.json", dir);
        assert_int_equal(file_write_atomic(from, unigram, strlen(unigram), NULL), SOOTH_OK);
        return;
    }
    copy("infer/tiny-bert", "tokenizer.json", dir);
    copy("infer/tiny-bert", "tokenizer_config.json", dir);
}

/* Logits, hidden states or scores of one text. */
static float *outcome(const char *path, size_t *count)
{
    struct tensor_file *f;
    struct arch_model *m;
    struct sooth_error err = {0};
    int32_t ids[24];
    uint32_t pos[24], seq[24] = {0};
    uint8_t want[24] = {1};
    if (tensor_file_open(path, NULL, &f, &err) != SOOTH_OK || arch_load(f, NULL, &m, &err) != SOOTH_OK)
        fail_msg("%s: %s", path, err.text);
    for (size_t i = 0; i < 24; i++) {
        ids[i] = (int32_t)(i * 29 % 85) + 6;
        pos[i] = (uint32_t)i;
    }
    struct run_options o = {0};
    struct run *r = run_new(&o);
    struct rows rows = {.n = 24, .token = ids, .pos = pos, .seq = seq, .want = arch_info(m)->labels ? want : NULL};
    run_begin(r, &rows);
    struct mat *h = arch_hidden(m, r);
    struct mat *y = arch_info(m)->labels ? arch_scores(m, r, h) : arch_info(m)->decoder ? arch_logits(m, r, h) : h;
    if (run_end(r, &err) != SOOTH_OK)
        fail_msg("%s: %s", path, err.text);
    *count = y->rows * y->cols;
    float *out = mem_dup(y->v, *count * sizeof *out);
    run_free(r);
    arch_free(m);
    tensor_file_close(f);
    return out;
}

static void convert(const char *in, const char *out)
{
    struct sooth_error err = {0};
    if (sooth_convert(in, out, &err) != SOOTH_OK)
        fail_msg("%s to %s: %s", in, out, err.text);
}

/* `bits`: not one differs; else rounding of a config's numbers to float and of rotations in another order may show. */
static void same(const float *a, const char *path, size_t n, bool bits)
{
    size_t count;
    float *b = outcome(path, &count);
    assert_int_equal(count, n);
    if (bits && memcmp(a, b, n * sizeof *a))
        fail_msg("%s has other bits", path);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 2e-5f * (1 + fabsf(a[i]))))
            fail_msg("%s: number %zu is %g, not %g", path, i, (double)b[i], (double)a[i]);
    mem_free(b);
}

static void there_and_back(void **state)
{
    static const struct {
        const char *name;
        bool bits; /* the same rotations in the same order */
    } all[] = {{"llama", false}, {"llama_yarn", false}, {"qwen2", true}, {"qwen3", true}, {"phi3", false}, {"gemma3", true}, {"gpt2", true},
               {"deepnorm", true}, {"bert", true}, {"xlmr", true}, {"nomic_bert", true}, {"bert_cls", true}, {"xlmr_cls", true}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char dir[256], gguf[300], back[300], again[300];
        size_t n;
        lay(all[i].name, dir);
        snprintf(gguf, sizeof gguf, "%s.gguf", dir);
        snprintf(back, sizeof back, "%s-back/", dir);
        snprintf(again, sizeof again, "%s-again.gguf", dir);
        float *first = outcome(dir, &n);
        convert(dir, gguf);
        same(first, gguf, n, all[i].bits);
        convert(gguf, back);
        same(first, back, n, all[i].bits);
        convert(back, again);
        same(first, again, n, all[i].bits);
        mem_free(first);
    }
}

/* The same weights under the names of older files. */
static void renamed(const char *name, const char *from, const char *to)
{
    char dir[256], path[300], gguf[300];
    struct tensor_file *f;
    size_t n;
    lay(name, dir);
    float *first = outcome(dir, &n);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(tensor_file_open(path, NULL, &f, NULL), SOOTH_OK);
    size_t count = tensor_file_count(f), changed = 0;
    struct file_tensor *list = mem_calloc(count, sizeof *list);
    char (*names)[256] = mem_calloc(count, sizeof *names);
    for (size_t i = 0; i < count; i++) {
        list[i] = *tensor_file_at(f, i);
        const char *at = strstr(list[i].name, from);
        snprintf(names[i], 256, "%s", list[i].name);
        if (at)
            snprintf(names[i], 256, "%.*s%s%s", (int)(at - list[i].name), list[i].name, to, at + strlen(from));
        changed += at != NULL;
        list[i].name = names[i];
    }
    assert_true(changed > 2);
    snprintf(gguf, sizeof gguf, "%s/renamed.safetensors", dir);
    assert_int_equal(safetensors_write(gguf, list, count, NULL, 0, NULL), SOOTH_OK);
    tensor_file_close(f);
    assert_int_equal(rename(gguf, path), 0);
    same(first, dir, n, true);
    snprintf(gguf, sizeof gguf, "%s-renamed.gguf", dir);
    convert(dir, gguf);
    same(first, gguf, n, true);
    mem_free(first);
    mem_free(list);
    mem_free(names);
}

static void names_of_older_files(void **state)
{
    renamed("gpt2", "transformer.", "");
    renamed("bert", "LayerNorm.weight", "LayerNorm.gamma");
    renamed("bert_cls", "LayerNorm.bias", "LayerNorm.beta");
    renamed("qwen2", "model.", "");
}

static void prefixes_of_nomic(void **state)
{
    char dir[256];
    struct sooth_model *m;
    struct sooth_error err = {0};
    lay("nomic_bert", dir);
    if (sooth_model_open(dir, NULL, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_string_equal(sooth_embed_prefix(m, SOOTH_EMBED_QUERY), "search_query: ");
    assert_string_equal(sooth_embed_prefix(m, SOOTH_EMBED_PASSAGE), "search_document: ");
    sooth_model_close(m);
}

static void refused(const char *name, const char *find, const char *put, const char *says)
{
    char dir[256], path[300];
    struct buf b = BUF_INIT, changed = BUF_INIT;
    struct sooth_error err = {0};
    lay(name, dir);
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(file_read(path, 1 << 20, &b, NULL), SOOTH_OK);
    buf_puts(&b, "");
    char *at = strstr(buf_str(&b), find);
    if (!at)
        fail_msg("%s: no %s", name, find);
    buf_add(&changed, b.data, (size_t)(at - b.data));
    buf_puts(&changed, put);
    buf_puts(&changed, at + strlen(find));
    assert_int_equal(file_write_atomic(path, changed.data, changed.len, NULL), SOOTH_OK);
    snprintf(path, sizeof path, "%s-refused.gguf", dir);
    if (sooth_convert(dir, path, &err) != SOOTH_ERR_UNSUPPORTED || !strstr(err.text, says))
        fail_msg("%s: '%s'", name, err.text);
    assert_false(file_exists(path));
    buf_release(&b);
    buf_release(&changed);
}

static void what_gguf_has_no_word_for(void **state)
{
    refused("mistral", "\"mistral\"", "\"mistral\"", "sliding window");
    refused("qwen2_window", "\"qwen2\"", "\"qwen2\"", "sliding window");
    refused("qwen2", "\"rope_type\": \"default\"", "\"rope_type\": \"dynamic\", \"factor\": 2.0", "'dynamic'");
    refused("qwen2", "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\", \"factor\": 2.0, \"attention_factor\": 1.3", "'yarn'");
    refused("qwen2", "\"silu\"", "\"gelu\"", "activation 'gelu'");
    refused("gemma3", "\"full_attention\"", "\"sliding_attention\"", "sliding window");
}

/* ntk folds into the base, linear has a key: both schemas of config.json reach GGUF. */
static void scaled_positions_reach_gguf(void **state)
{
    static const char *const kinds[] = {"\"rope_type\": \"linear\", \"factor\": 4.0", "\"rope_type\": \"ntk\", \"factor\": 4.0",
                                        "\"rope_type\": \"yarn\", \"factor\": 4.0, \"beta_fast\": 16.0, \"original_max_position_embeddings\": 64"};
    for (size_t i = 0; i < 3; i++) {
        char dir[256], path[300];
        struct buf b = BUF_INIT, changed = BUF_INIT;
        size_t n;
        static const char find[] = "\"rope_type\": \"default\"";
        lay("qwen3", dir);
        snprintf(path, sizeof path, "%s/config.json", dir);
        assert_int_equal(file_read(path, 1 << 20, &b, NULL), SOOTH_OK);
        buf_puts(&b, "");
        char *at = strstr(buf_str(&b), find);
        assert_non_null(at);
        buf_add(&changed, b.data, (size_t)(at - b.data));
        buf_puts(&changed, kinds[i]);
        buf_puts(&changed, at + strlen(find));
        assert_int_equal(file_write_atomic(path, changed.data, changed.len, NULL), SOOTH_OK);
        float *first = outcome(dir, &n);
        snprintf(path, sizeof path, "%s-%zu.gguf", dir, i);
        convert(dir, path);
        same(first, path, n, false);
        mem_free(first);
        buf_release(&b);
        buf_release(&changed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(names_of_older_files),
        cmocka_unit_test(prefixes_of_nomic),
        cmocka_unit_test(what_gguf_has_no_word_for),
        cmocka_unit_test(scaled_positions_reach_gguf),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
