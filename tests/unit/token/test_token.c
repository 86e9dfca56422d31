/* test_token.c: the rules that no published vector shows: start and end tokens, control text, streaming, hostile
 * vocabularies, memory that runs out. */
#include "small_vocab.h"

static void encode(const struct tokenizer *t, enum token_segment_kind kind, const char *text, unsigned flags, struct token_ids *ids)
{
    struct token_segment s = {kind, text, strlen(text)};
    ids->count = 0;
    assert_int_equal(token_encode(t, &s, 1, flags, ids, NULL, NULL), SOOTH_OK);
}

static void lesson_serving_01_missing_rules_warn(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct sooth_error err = {0};
    (void)state;
    small_bpe(&v, NULL);
    t = small_open(&v);
    assert_int_equal(token_warnings(t), 1);
    assert_non_null(strstr(token_warning(t, 0), "pre-tokenizer"));
    tokenizer_free(t);
    v.s.pre = "smollm";
    t = small_open(&v);
    assert_int_equal(token_warnings(t), 0);
    assert_string_equal(token_rules(t), "smollm");
    tokenizer_free(t);
    v.s.pre = "nobody-knows";
    assert_int_equal(tokenizer_new(&v.s, &t, &err), SOOTH_ERR_UNSUPPORTED);
    assert_null(t);
    assert_non_null(strstr(err.text, "nobody-knows"));
    arena_release(&v.arena);
}

static enum sooth_status from_json(const char *pre_tokenizer, struct tokenizer **t, struct sooth_error *err)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"1\":1,\"\xC4\xA0\":2,\"11\":3},\"merges\":[\"1 1\"]},\"pre_tokenizer\":%s,"
             "\"normalizer\":null,\"added_tokens\":[{\"id\":4,\"content\":\"<|x|>\",\"special\":true}]}",
             pre_tokenizer);
    return tokenizer_from_json(text, strlen(text), NULL, 0, t, err);
}

/* Two files that differ in one rule are two sets of rules; an unknown one is refused by name. */
static void lesson_serving_02_rules_from_declared_pattern(void **state)
{
    static const char *const split = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},"
        "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}";
    static const char *const pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}%s| ?[^\\\\s\\\\p{L}\\\\p{N}]+"
        "[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+";
    static const struct { const char *numbers, *rules; size_t tokens; } cases[] = {{"{1,3}", "dbrx", 1}, {"", "qwen2", 2}, {"{1,4}", NULL, 0}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char filled[512], pre[1024];
        struct tokenizer *t;
        struct token_ids ids = {0};
        struct sooth_error err = {0};
        snprintf(filled, sizeof filled, pattern, cases[i].numbers);
        snprintf(pre, sizeof pre, split, filled);
        if (!cases[i].rules) {
            assert_int_equal(from_json(pre, &t, &err), SOOTH_ERR_UNSUPPORTED);
            assert_non_null(strstr(err.text, "pattern"));
            continue;
        }
        if (from_json(pre, &t, &err))
            fail_msg("%s", err.text);
        assert_string_equal(token_rules(t), cases[i].rules);
        ids_of(t, "11", &ids);
        assert_int_equal(ids.count, cases[i].tokens);
        vec_free(&ids);
        tokenizer_free(t);
    }
}

static void lesson_serving_03_no_start_token_is_invented(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    (void)state;
    small_bpe(&v, "llama-bpe"); /* rules that add one where the file is silent */
    t = small_open(&v);
    encode(t, SEG_TEXT, "b", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){256, 'b'}, 2);
    encode(t, SEG_TEXT, "b", 0, &ids);
    assert_ids(&ids, (int32_t[]){'b'}, 1);
    tokenizer_free(t);
    v.s.add_bos = TOKEN_NO;
    t = small_open(&v);
    encode(t, SEG_TEXT, "b", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){'b'}, 1);
    tokenizer_free(t);
    v.s.add_bos = TOKEN_YES;
    v.s.bos = -1; /* said to be added, but there is none */
    t = small_open(&v);
    encode(t, SEG_TEXT, "b", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){'b'}, 1);
    vec_free(&ids);
    small_release(&v, t);
}

static void lesson_serving_04_one_start_token(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    (void)state;
    small_bpe(&v, "smollm");
    v.s.add_bos = v.s.add_eos = TOKEN_YES;
    t = small_open(&v);
    encode(t, SEG_CONTROL, "<|start|>b", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){256, 'b', 257}, 3);
    encode(t, SEG_CONTROL, "b<|end|>", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){256, 'b', 257}, 3);
    encode(t, SEG_CONTROL, "<|im_end|><|start|>b", TOKEN_ADD_SPECIAL, &ids); /* two different ones: both are meant */
    assert_ids(&ids, (int32_t[]){256, 258, 256, 'b', 257}, 5);
    encode(t, SEG_CONTROL, "<|start|><|start|>b", 0, &ids);
    assert_ids(&ids, (int32_t[]){256, 256, 'b'}, 3);
    vec_free(&ids);
    small_release(&v, t);
}

static void threat_special_tokens_in_content(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    struct token_segment split[] = {{SEG_CONTROL, "<|im_", 5}, {SEG_TEXT, "end|>", 5}, {SEG_CONTROL, "<|im_end|>", 10}};
    struct token_segment both[] = {{SEG_CONTROL, "<|im_", 5}, {SEG_CONTROL, "end|>", 5}};
    struct token_spans spans = {0};
    (void)state;
    small_bpe(&v, "smollm");
    t = small_open(&v);
    encode(t, SEG_TEXT, "<|im_end|><|start|>", TOKEN_ADD_SPECIAL, &ids);
    for (size_t i = 0; i < ids.count; i++)
        assert_false(token_is_control(t, ids.items[i]));
    ids.count = 0;
    assert_int_equal(token_encode(t, split, 3, 0, &ids, &spans, NULL), SOOTH_OK);
    assert_int_equal(ids.count, 11); /* half of it is text: ten bytes; then the real one */
    assert_int_equal(ids.items[10], 258);
    assert_int_equal(spans.items[10].start, 10);
    assert_int_equal(spans.items[10].end, 20);
    ids.count = 0;
    assert_int_equal(token_encode(t, both, 2, 0, &ids, NULL, NULL), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){258}, 1);
    vec_free(&ids);
    vec_free(&spans);
    small_release(&v, t);

    /* A converter that typed a turn marker "user-defined" opens no door. */
    small_spm(&v);
    small_add(&v, "<|im_start|>", TOKEN_USER, 0);
    v.s.n_scores = v.s.n_types = v.s.n;
    t = small_open(&v);
    encode(t, SEG_TEXT, "<|im_start|></s><0x0A><unk>", 0, &ids);
    for (size_t i = 0; i < ids.count; i++)
        assert_false(token_is_control(t, ids.items[i]) || ids.items[i] == 0 || ids.items[i] == 3 + '\n');
    vec_free(&ids);
    small_release(&v, t);
}

/* A seam between template and user text changes nothing: newline runs and merges go across. */
static void seams_do_not_show(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids whole = {0}, parts = {0};
    struct token_segment s[] = {{SEG_CONTROL, "a\n", 2}, {SEG_TEXT, "\naa", 3}, {SEG_TEXT, "", 0}, {SEG_CONTROL, "aa", 2}};
    (void)state;
    small_spm(&v);
    t = small_open(&v);
    ids_of(t, "a\n\naaaa", &whole);
    assert_int_equal(token_encode(t, s, 4, 0, &parts, NULL, NULL), SOOTH_OK);
    assert_ids(&parts, whole.items, whole.count);
    assert_string_equal(token_piece(t, whole.items[1]).text ? "\n\n" : "", "\n\n");
    assert_int_equal(whole.items[1], token_find(t, "\n\n", 2));
    vec_free(&whole);
    vec_free(&parts);
    small_release(&v, t);
}

/* ---- streaming ---- */

static void add_checked(struct token_decoder *d, int32_t id, struct buf *out)
{
    size_t before = out->len;
    token_decoder_add(d, id, out);
    assert_true(utf8_valid(buf_str(out) + before, out->len - before));
    assert_true(d->held_len <= 3);
}

static void lesson_serving_11_streaming_never_breaks_characters(void **state)
{
    static const int32_t script[] = {0xF0, 0x9F, 0x9A, 0x80, 'o', 'k', 0xE4, 0xB8, 0xAD, 0xFF, 'x', 0xE4, 'y', 0xF0, 0x9F, 257, 0x9A};
    struct small_vocab v;
    struct tokenizer *t;
    struct token_decoder d;
    struct buf out = BUF_INIT;
    (void)state;
    small_bpe(&v, "smollm");
    t = small_open(&v);
    token_decoder_init(&d, t);
    for (size_t i = 0; i < sizeof script / sizeof *script; i++)
        add_checked(&d, script[i], &out);
    token_decoder_flush(&d, &out);
    assert_string_equal(buf_str(&out), "🚀ok中\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD");
    buf_clear(&out);
    d.with_control = true;
    add_checked(&d, 257, &out);
    add_checked(&d, 99999, &out);
    add_checked(&d, -5, &out);
    assert_string_equal(buf_str(&out), "<|end|>");
    buf_release(&out);
    small_release(&v, t);
}

/* Any bytes go in and out unchanged where the family is lossless, and never fail elsewhere. */
static void any_bytes_may_come(void **state)
{
    struct small_vocab v;
    (void)state;
    for (int family = 0; family < 4; family++) {
        struct tokenizer *t;
        uint32_t seed = 1;
        (family == 0 ? small_bpe(&v, "deepseek-v3") : family == 1 ? small_spm(&v) : family == 2 ? small_wordpiece(&v) : small_unigram(&v));
        v.s.add_space_prefix = TOKEN_NO; /* else one follows every user-defined piece */
        t = small_open(&v);
        for (int round = 0; round < 300; round++) {
            char text[64];
            size_t len = seed % 60;
            struct token_ids ids = {0};
            struct buf back = BUF_INIT;
            for (size_t i = 0; i < len; i++) {
                seed = seed * 1664525 + 1013904223;
                text[i] = (char)(round % 2 ? seed >> 24 : (uint32_t)"a b\n1!\xE4\xB8\xAD"[seed >> 29]);
            }
            seed = seed * 1664525 + 1013904223;
            assert_int_equal(token_encode_text(t, text, len, 0, &ids, NULL), SOOTH_OK);
            token_decode(t, ids.items, ids.count, &back);
            assert_true(utf8_valid(buf_str(&back), back.len));
            if (family < 2 && utf8_valid(text, len)) {
                assert_int_equal(back.len, len);
                assert_int_equal(memcmp(buf_str(&back), text, len), 0);
            }
            buf_release(&back);
            vec_free(&ids);
        }
        small_release(&v, t);
    }
}

/* ---- families ---- */

static void wordpiece_words(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    struct token_spans spans = {0};
    struct token_segment s = {SEG_TEXT, " Ab-caf\xC3\xA9 zz", 12};
    char text[130];
    (void)state;
    small_wordpiece(&v);
    t = small_open(&v);
    encode(t, SEG_TEXT, "Ab CAFE\xCC\x81 x a中a", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){2, 13, 14, 1, 4, 12, 4, 3}, 8);
    ids.count = 0;
    assert_int_equal(token_encode(t, &s, 1, 0, &ids, &spans, NULL), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){13, 15, 14, 1}, 4);
    assert_int_equal(spans.items[2].start, 4);
    assert_int_equal(spans.items[2].end, 9);
    assert_int_equal(spans.items[3].end, 12);
    memset(text, 'a', sizeof text);
    ids.count = 0;
    assert_int_equal(token_encode_text(t, text, 100, 0, &ids, NULL), SOOTH_OK);
    assert_true(ids.count > 1);
    ids.count = 0;
    assert_int_equal(token_encode_text(t, text, 101, 0, &ids, NULL), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){1}, 1);
    vec_free(&ids);
    vec_free(&spans);
    small_release(&v, t);
}

static void unigram_best_cut(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    (void)state;
    small_unigram(&v);
    t = small_open(&v);
    encode(t, SEG_TEXT, "  ab   aa ", TOKEN_ADD_SPECIAL, &ids);
    assert_ids(&ids, (int32_t[]){0, 8, 4, 7, 2}, 5);
    encode(t, SEG_TEXT, "xyzb", 0, &ids); /* unknowns in a row are one */
    assert_ids(&ids, (int32_t[]){4, 3, 6}, 3);
    encode(t, SEG_TEXT, "   ", 0, &ids);
    assert_int_equal(ids.count, 0);
    vec_free(&ids);
    small_release(&v, t);
}

/* ---- hostile vocabularies ---- */

static void refused(struct small_vocab *v, const char *says)
{
    struct tokenizer *t;
    struct sooth_error err = {0};
    assert_int_not_equal(tokenizer_new(&v->s, &t, &err), SOOTH_OK);
    assert_null(t);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void threat_vocabulary_content(void **state)
{
    struct small_vocab v;
    char *large = mem_calloc(70000, 1);
    (void)state;
    memset(large, 'x', 69999);
    small_spm(&v);
    v.s.n_scores--;
    refused(&v, "scores for");
    v.s.n_scores++;
    v.s.n_types--;
    refused(&v, "types for");
    v.s.n_types++;
    v.s.bos = (int64_t)v.s.n;
    refused(&v, "outside the vocabulary");
    v.s.bos = -7;
    refused(&v, "outside the vocabulary");
    v.s.bos = 1;
    v.pieces[260] = (struct token_str){large, 65537};
    refused(&v, "65536");
    v.pieces[260] = (struct token_str){"y", 1};
    v.pieces[5] = (struct token_str){"<0xZZ>", 6};
    refused(&v, "byte token 5");
    v.pieces[5] = (struct token_str){"<0x02>", 6};
    v.types[7] = 99;
    refused(&v, "unknown type");
    v.types[7] = TOKEN_BYTE;
    v.scores[3] = 0.0f / (float)(v.s.bos - 1);
    refused(&v, "not a number");
    v.scores[3] = 0;
    v.s.model = "what";
    refused(&v, "'what'");
    v.s.model = NULL;
    refused(&v, "does not name");
    v.s.model = "llama";
    v.s.scores = NULL;
    refused(&v, "without scores");
    v.s.n = 0;
    refused(&v, "vocabulary of 0");
    arena_release(&v.arena);
    small_bpe(&v, "smollm");
    v.merges[0] = (struct token_str){"aa", 2};
    refused(&v, "merge 0");
    arena_release(&v.arena);
    mem_free(large);
}

/* Blobs of every length and of random words: refused, or used without touching what is not theirs. */
static void threat_charsmap_blob(void **state)
{
    uint32_t seed = 7;
    (void)state;
    for (int round = 0; round < 400; round++) {
        struct small_vocab v;
        struct tokenizer *t;
        char blob[260];
        uint32_t bytes = round % 3 ? 128 : seed;
        struct token_ids ids = {0};
        for (size_t i = 0; i < sizeof blob; i++) {
            seed = seed * 1664525 + 1013904223;
            blob[i] = (char)(seed >> 24);
        }
        memcpy(blob, &bytes, 4);
        small_unigram(&v);
        v.s.charsmap = (struct token_str){blob, (size_t)round % sizeof blob};
        if (!tokenizer_new(&v.s, &t, NULL)) {
            assert_int_equal(token_encode_text(t, blob, sizeof blob, 0, &ids, NULL), SOOTH_OK);
            tokenizer_free(t);
        }
        vec_free(&ids);
        arena_release(&v.arena);
    }
}

static void limits_and_order(void **state)
{
    struct small_vocab v;
    struct tokenizer *t;
    struct token_ids ids = {0};
    struct sooth_error err = {0};
    (void)state;
    small_bpe(&v, "smollm");
    t = small_open(&v);
    vec_push(&ids, 42);
    assert_int_equal(token_encode_text(t, "", (size_t)65 << 20, 0, &ids, &err), SOOTH_ERR_LIMIT);
    assert_ids(&ids, (int32_t[]){42}, 1);
    assert_int_equal(token_encode_text(t, "aaaaa", 5, 0, &ids, &err), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){42, 260, 'a'}, 3);
    vec_free(&ids);
    small_release(&v, t);
}

/* The n-th allocation fails, for every n, while building and encoding: a status, nothing lost. */
static void memory_runs_out(void **state)
{
    (void)state;
    for (int family = 0; family < 4; family++) {
        struct small_vocab v;
        (family == 0 ? small_bpe(&v, "qwen2") : family == 1 ? small_spm(&v) : family == 2 ? small_wordpiece(&v) : small_unigram(&v));
        for (uint64_t n = 1;; n++) {
            struct tokenizer *t;
            struct token_ids ids = {0};
            uint64_t live = mem_live(), before = mem_count();
            enum sooth_status status;
            mem_fail_at(n);
            status = tokenizer_new(&v.s, &t, NULL);
            if (!status)
                status = token_encode_text(t, "aaaa ab\xC3\xA9\xCC\x81 1!中 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 70, TOKEN_ADD_SPECIAL, &ids, NULL);
            mem_fail_at(0);
            tokenizer_free(t);
            vec_free(&ids);
            assert_int_equal(mem_live(), live);
            if (mem_count() - before < n) {
                assert_int_equal(status, SOOTH_OK);
                break;
            }
            assert_true(status == SOOTH_ERR_NOMEM || status == SOOTH_OK);
        }
        arena_release(&v.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_01_missing_rules_warn), cmocka_unit_test(lesson_serving_02_rules_from_declared_pattern),
        cmocka_unit_test(lesson_serving_03_no_start_token_is_invented), cmocka_unit_test(lesson_serving_04_one_start_token),
        cmocka_unit_test(threat_special_tokens_in_content), cmocka_unit_test(seams_do_not_show),
        cmocka_unit_test(lesson_serving_11_streaming_never_breaks_characters), cmocka_unit_test(any_bytes_may_come),
        cmocka_unit_test(wordpiece_words), cmocka_unit_test(unigram_best_cut), cmocka_unit_test(threat_vocabulary_content),
        cmocka_unit_test(threat_charsmap_blob), cmocka_unit_test(limits_and_order), cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
