/* test_vocab.c: nine published vocabularies, 46 texts each: ids exactly as the models' own tokenizers give them. */
#include "token_support.h"

/* The next line of numbers; false at the end. */
static bool next_line(const char **at, struct token_ids *want)
{
    want->count = 0;
    if (!**at)
        return false;
    while (**at && **at != '\n') {
        char *end;
        long v = strtol(*at, &end, 10);
        if (end == *at) {
            (*at)++;
            continue;
        }
        vec_push(want, (int32_t)v);
        *at = end;
        while (**at == ' ')
            (*at)++;
    }
    *at += **at == '\n';
    return true;
}

static void check_roundtrip(const struct tokenizer *t, const char *text, size_t len, const struct token_ids *ids)
{
    struct buf back = BUF_INIT;
    token_decode(t, ids->items, ids->count, &back);
    assert_int_equal(back.len, len);
    if (len)
        assert_memory_equal(back.data, text, len);
    buf_release(&back);
}

/* Spans rise, stay inside the text and together cover it. */
static void check_spans(const struct tokenizer *t, const char *text, size_t len, bool exact)
{
    struct token_segment s = {SEG_TEXT, text, len};
    struct token_ids ids = {0};
    struct token_spans spans = {0};
    size_t at = 0;
    assert_int_equal(token_encode(t, &s, 1, 0, &ids, &spans, NULL), SOOTH_OK);
    assert_int_equal(ids.count, spans.count);
    for (size_t i = 0; i < spans.count; i++) {
        assert_true(spans.items[i].start <= spans.items[i].end && spans.items[i].end <= len);
        assert_true(spans.items[i].start >= (i ? spans.items[i - 1].start : 0));
        if (exact) {
            assert_true(spans.items[i].start <= at);
            at = spans.items[i].end;
        }
    }
    if (exact)
        assert_int_equal(at, len);
    vec_free(&ids);
    vec_free(&spans);
}

static void check_vocab(const char *name, bool lossless)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[4096], shown[128];
    size_t in_len, out_len, cases = 0;
    struct tokenizer *t = open_vocab(name);
    struct token_ids want = {0}, ids = {0};
    char *in, *out;
    const char *line, *text;
    snprintf(shown, sizeof shown, "data/vocab/ggml-vocab-%s.gguf.inp", name);
    in = read_all(shared_path(shown, path, sizeof path), &in_len);
    snprintf(shown, sizeof shown, "data/vocab/ggml-vocab-%s.gguf.out", name);
    out = read_all(shared_path(shown, path, sizeof path), &out_len);
    line = out;
    for (text = in; text < in + in_len; cases++) {
        const char *end = memmem(text, in_len - (size_t)(text - in), separator, strlen(separator));
        size_t len = (size_t)((end ? end : in + in_len) - text);
        if (!end)
            break;
        assert_true(next_line(&line, &want));
        ids.count = 0;
        assert_int_equal(token_encode_text(t, text, len, 0, &ids, NULL), SOOTH_OK);
        if (ids.count != want.count || (ids.count && memcmp(ids.items, want.items, ids.count * sizeof *ids.items))) {
            print_message("%s, case %zu, text '%.*s':\n", name, cases, (int)len, text);
            for (size_t i = 0; i < want.count || i < ids.count; i++)
                print_message("  %d %d\n", i < want.count ? want.items[i] : -1, i < ids.count ? ids.items[i] : -1);
            fail();
        }
        if (lossless)
            check_roundtrip(t, text, len, &ids);
        check_spans(t, text, len, lossless);
        text = end + strlen(separator);
    }
    assert_int_equal(cases, 46);
    assert_int_equal(token_warnings(t), 0);
    vec_free(&want);
    vec_free(&ids);
    mem_free(in);
    mem_free(out);
    tokenizer_free(t);
}

static void vocab_gpt2(void **state) { (void)state; check_vocab("gpt-2", true); }
static void vocab_llama_bpe(void **state) { (void)state; check_vocab("llama-bpe", true); }
static void vocab_llama_spm(void **state) { (void)state; check_vocab("llama-spm", true); }
static void vocab_qwen2(void **state) { (void)state; check_vocab("qwen2", false); }
static void vocab_phi3(void **state) { (void)state; check_vocab("phi-3", true); }
static void vocab_deepseek_llm(void **state) { (void)state; check_vocab("deepseek-llm", true); }
static void vocab_bert_bge(void **state) { (void)state; check_vocab("bert-bge", false); }
static void vocab_starcoder(void **state) { (void)state; check_vocab("starcoder", true); }
static void vocab_command_r(void **state) { (void)state; check_vocab("command-r", true); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocab_gpt2), cmocka_unit_test(vocab_llama_bpe), cmocka_unit_test(vocab_llama_spm),
        cmocka_unit_test(vocab_qwen2), cmocka_unit_test(vocab_phi3), cmocka_unit_test(vocab_deepseek_llm),
        cmocka_unit_test(vocab_bert_bge), cmocka_unit_test(vocab_starcoder), cmocka_unit_test(vocab_command_r),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
