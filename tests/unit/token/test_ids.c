/* test_ids.c: four models' vocabularies against the reference tokenizers (tests/golden/token/ids.json, made by
 * tools/golden/token_ids.py). */
#include "token_support.h"
#include "core/base/arena.h"
#include "core/base/json.h"

static const struct json *golden(struct arena *a)
{
    char path[4096];
    size_t len;
    char *text;
    const struct json *j;
    struct sooth_error err = {0};
    text = read_all(golden_path("ids.json", path, sizeof path), &len);
    arena_init(a, 0);
    j = json_parse(a, text, len, 0, NULL, &err);
    if (!j)
        fail_msg("%s", err.text);
    mem_free(text);
    return j;
}

static void check_list(const char *text, const struct json *want, const struct token_ids *ids)
{
    size_t i = 0;
    bool same = want && want->len == ids->count;
    for (const struct json *e = same ? want->child : NULL; e; e = e->next, i++)
        same = same && (int32_t)e->number == ids->items[i];
    if (same)
        return;
    print_message("text '%s':\n want", text);
    for (const struct json *e = want ? want->child : NULL; e; e = e->next)
        print_message(" %d", (int)e->number);
    print_message("\n got ");
    for (i = 0; i < ids->count; i++)
        print_message(" %d", ids->items[i]);
    print_message("\n");
    fail();
}

static void check_model(const char *file, const char *name)
{
    char path[4096];
    struct arena a;
    struct tokenizer *t = open_tokenizer(model_path(file, path, sizeof path)); /* skips here where there is none */
    const struct json *g = golden(&a);
    struct token_ids ids = {0};
    size_t n = 0;
    for (const struct json *c = json_get(g, "cases")->child; c; c = c->next, n++) {
        const struct json *text = json_get(c, "text");
        if (!json_get(c, name))
            continue;
        ids.count = 0;
        assert_int_equal(token_encode_text(t, text->text, text->len, 0, &ids, NULL), SOOTH_OK);
        check_list(text->text, json_get(c, name), &ids);
        assert_int_equal(token_count(t, text->text, text->len), ids.count);
    }
    assert_true(n >= 50);
    vec_free(&ids);
    tokenizer_free(t);
    arena_release(&a);
}

static void ids_smollm2(void **state) { (void)state; check_model("smollm2.gguf", "smollm2"); }
static void ids_gemma3(void **state) { (void)state; check_model("gemma3.gguf", "gemma3"); }
static void ids_minilm(void **state) { (void)state; check_model("minilm", "minilm"); }
static void ids_e5(void **state) { (void)state; check_model("e5-small-q4.bin", "e5"); }

static void pairs_minilm(void **state)
{
    char path[4096];
    struct arena a;
    struct tokenizer *t = open_tokenizer(model_path("minilm", path, sizeof path));
    const struct json *g = golden(&a);
    struct token_ids ids = {0};
    (void)state;
    for (const struct json *c = json_get(g, "pairs")->child; c; c = c->next) {
        const struct json *x = json_get(c, "a"), *y = json_get(c, "b");
        struct token_pair pair;
        ids.count = 0;
        assert_int_equal(token_encode_pair(t, x->text, x->len, y->text, y->len, 0, &ids, &pair, NULL), SOOTH_OK);
        check_list(x->text, json_get(c, "minilm"), &ids);
        assert_int_equal(ids.items[pair.second - 1], token_special(t, ROLE_EOS));
    }
    vec_free(&ids);
    tokenizer_free(t);
    arena_release(&a);
}

/* <s> 0, </s> 2: <s> a </s></s> b </s> */
static void pairs_e5(void **state)
{
    char path[4096];
    struct tokenizer *t = open_tokenizer(model_path("e5-small-q4.bin", path, sizeof path));
    struct token_ids ids = {0};
    struct token_pair pair;
    (void)state;
    assert_int_equal(token_encode_pair(t, "Hello", 5, "world", 5, 0, &ids, &pair, NULL), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){0, 35378, 2, 2, 8999, 2}, 6);
    assert_int_equal(pair.second, 4);
    assert_false(pair.typed || pair.cut);
    ids.count = 0;
    assert_int_equal(token_encode_text(t, "Hello", 5, TOKEN_ADD_SPECIAL, &ids, NULL), SOOTH_OK);
    assert_ids(&ids, (int32_t[]){0, 35378, 2}, 3);
    vec_free(&ids);
    tokenizer_free(t);
}

/* Added tokens that swallow blanks, also over the seam between template and text. */
static void added_tokens_strip_as_the_reference(void **state)
{
    char path[4096];
    size_t len;
    struct arena a;
    struct tokenizer *t;
    struct sooth_error err = {0};
    char *text = read_all(golden_path("added.json", path, sizeof path), &len);
    (void)state;
    arena_init(&a, 0);
    const struct json *g = json_parse(&a, text, len, 0, NULL, &err), *json = json_get(g, "tokenizer");
    assert_non_null(json);
    if (tokenizer_from_json(json->text, json->len, NULL, 0, &t, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    for (const struct json *c = json_get(g, "cases")->child; c; c = c->next) {
        const struct json *x = json_get(c, "text");
        struct token_ids ids = {0};
        struct token_segment whole = {SEG_CONTROL, x->text, x->len};
        assert_int_equal(token_encode(t, &whole, 1, 0, &ids, NULL, NULL), SOOTH_OK);
        check_list(x->text, json_get(c, "ids"), &ids);
        vec_free(&ids);
    }
    struct token_ids ids = {0};
    struct token_segment parts[] = {{SEG_CONTROL, "a<r>\n", 5}, {SEG_TEXT, "  <p>", 5}};
    assert_int_equal(token_encode(t, parts, 2, 0, &ids, NULL, NULL), SOOTH_OK);
    assert_int_equal(ids.count, 5); /* a, the token, and three bytes of text that name nothing */
    vec_free(&ids);
    tokenizer_free(t);
    arena_release(&a);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_smollm2), cmocka_unit_test(ids_gemma3), cmocka_unit_test(ids_minilm), cmocka_unit_test(ids_e5),
        cmocka_unit_test(added_tokens_strip_as_the_reference), cmocka_unit_test(pairs_minilm), cmocka_unit_test(pairs_e5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
