/* test_constrain.c: generation under a grammar: 500 texts of a model with random weights against a validator that knows nothing of
 * the grammar room; what nothing forbids is as without a grammar; guesses and crowds change nothing here either. */
#include "tiny_model.h"
#include <regex.h>
#include "core/base/json.h"
#include "core/base/utf8.h"

/* ---- a small validator, by the words of the standard ---- */

static bool valid(const struct json *root, const struct json *schema, const struct json *v);

static bool type_is(const char *name, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL: return !strcmp(name, "null");
    case JSON_FALSE: case JSON_TRUE: return !strcmp(name, "boolean");
    case JSON_NUMBER: return !strcmp(name, "number") || (!strcmp(name, "integer") && v->number == floor(v->number));
    case JSON_STRING: return !strcmp(name, "string");
    case JSON_ARRAY: return !strcmp(name, "array");
    default: return !strcmp(name, "object");
    }
}

static bool equal(const struct json *a, const struct json *b)
{
    if (a->type != b->type || a->len != b->len)
        return a->type == JSON_NUMBER && b->type == JSON_NUMBER && a->number == b->number;
    if (a->type == JSON_STRING || a->type == JSON_NUMBER)
        return !memcmp(a->text, b->text, a->len);
    const struct json *y = b->child;
    for (const struct json *x = a->child; x; x = x->next, y = y->next)
        if ((x->key && strcmp(x->key, y->key)) || !equal(x, y))
            return false;
    return true;
}

static bool number_in(const struct json *s, double x, const char *least, const char *most)
{
    return x >= json_number(s, least, -INFINITY) && x <= json_number(s, most, INFINITY);
}

static bool pattern_fits(const char *pattern, const char *text)
{
    regex_t r;
    assert_int_equal(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool fits = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return fits;
}

static bool object_valid(const struct json *root, const struct json *s, const struct json *v)
{
    const struct json *properties = json_get(s, "properties"), *more = json_get(s, "additionalProperties"), *required = json_get(s, "required");
    for (const struct json *r = required ? required->child : NULL; r; r = r->next)
        if (!json_get(v, r->text))
            return false;
    for (const struct json *m = v->child; m; m = m->next) {
        const struct json *p = json_get(properties, m->key);
        if (p ? !valid(root, p, m) : more && !valid(root, more, m))
            return false;
    }
    return true;
}

static bool array_valid(const struct json *root, const struct json *s, const struct json *v)
{
    const struct json *prefix = json_get(s, "prefixItems"), *items = json_get(s, "items");
    size_t i = 0;
    for (const struct json *e = v->child; e; e = e->next, i++) {
        const struct json *p = json_at(prefix, i);
        if (p ? !valid(root, p, e) : items && !valid(root, items, e))
            return false;
    }
    return number_in(s, (double)v->len, "minItems", "maxItems");
}

static bool valid(const struct json *root, const struct json *s, const struct json *v)
{
    const struct json *w, *e;
    bool any = false;
    if (s->type != JSON_OBJECT)
        return s->type == JSON_TRUE;
    if (json_get(s, "$ref")) /* the schemas here refer to one place */
        return valid(root, json_get(json_get(root, "$defs"), "node"), v);
    if ((w = json_get(s, "const")) && !equal(w, v))
        return false;
    if ((w = json_get(s, "enum"))) {
        for (e = w->child; e; e = e->next)
            any = any || equal(e, v);
        if (!any)
            return false;
    }
    if ((w = json_get(s, "anyOf"))) {
        for (any = false, e = w->child; e; e = e->next)
            any = any || valid(root, e, v);
        return any;
    }
    if ((w = json_get(s, "type"))) {
        any = w->type == JSON_STRING && type_is(w->text, v);
        for (e = w->child; e; e = e->next)
            any = any || type_is(e->text, v);
        if (!any)
            return false;
    }
    if (v->type == JSON_STRING && ((w = json_get(s, "pattern")) && !pattern_fits(w->text, v->text)))
        return false;
    if (v->type == JSON_STRING)
        return number_in(s, (double)utf8_length(v->text, v->len), "minLength", "maxLength");
    if (v->type == JSON_NUMBER)
        return number_in(s, v->number, "minimum", "maximum");
    return v->type == JSON_OBJECT ? object_valid(root, s, v) : v->type == JSON_ARRAY ? array_valid(root, s, v) : true;
}

/* ---- 500 texts ---- */

static const char *const schemas[] = {
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":120},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"the\",\"in\",7]},\"maxItems\":3}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}",
    "{\"type\":\"array\",\"items\":{\"type\":[\"boolean\",\"null\"]},\"minItems\":2,\"maxItems\":6}",
    "{\"type\":\"string\",\"pattern\":\"^[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?$\"}",
    "{\"type\":\"string\",\"minLength\":3,\"maxLength\":9}",
    "{\"type\":\"integer\",\"minimum\":-1050,\"maximum\":77}",
    "{\"anyOf\":[{\"const\":{\"a\":[1,2]}},{\"type\":\"string\",\"maxLength\":4},{\"type\":\"null\"}]}",
    "{\"prefixItems\":[{\"type\":\"integer\",\"minimum\":1,\"maximum\":31},{\"type\":\"string\",\"maxLength\":5}],\"items\":{\"type\":\"boolean\"},\"type\":\"array\",\"maxItems\":4}",
    "{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"enum\":[1,2,3]},\"next\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/node\"}]}},\"required\":[\"v\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/node\"}",
    "{\"type\":\"object\",\"properties\":{\"is\":{\"type\":\"boolean\"}},\"required\":[\"is\"],\"additionalProperties\":{\"enum\":[null]}}",
    "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"maxItems\":2},\"minItems\":1,\"maxItems\":3}",
};
enum { SCHEMAS = sizeof schemas / sizeof *schemas, TEXTS = 500, SLOTS = 20 };

static struct sooth_grammar *compile(const char *schema)
{
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    if (sooth_grammar_schema(schema, strlen(schema), &g, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return g;
}

static void check_text(const char *schema, const struct sooth_generation *g)
{
    struct arena a;
    arena_init(&a, 0);
    const struct json *s = json_parse(&a, schema, strlen(schema), 0, NULL, NULL);
    const struct json *v = json_parse(&a, g->text, g->len, 0, NULL, NULL);
    if (!v || !valid(s, s, v))
        fail_msg("'%s' does not satisfy %s", g->text, schema);
    arena_release(&a);
}

static void lesson_serving_14_five_hundred_texts_of_random_weights_validate(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_grammar *g[SCHEMAS];
    struct sooth_prompt p = tiny_text("the tank");
    struct sooth_batch *b;
    size_t started = 0, finished = 0, cut = 0, who[SLOTS];
    for (size_t i = 0; i < SCHEMAS; i++)
        g[i] = compile(schemas[i]);
    assert_int_equal(sooth_batch_new(m, SLOTS, 0, &b, NULL), SOOTH_OK);
    while (finished < TEXTS) {
        struct sooth_generate_options o;
        size_t slot;
        sooth_generate_options_init(&o);
        o.max_tokens = 0;
        for (; started < TEXTS; started++) {
            o.grammar = g[started % SCHEMAS];
            o.sampling.temperature = 1 + (double)(started % 3) / 2;
            o.sampling.seed = started;
            if (sooth_batch_start(b, &p, &o, &slot, NULL) != SOOTH_OK)
                break;
            who[slot] = started;
        }
        assert_int_equal(sooth_batch_step(b, NULL), SOOTH_OK);
        for (slot = 0; slot < SLOTS; slot++) {
            struct sooth_generation out;
            struct sooth_error err = {0};
            if (!sooth_batch_done(b, slot))
                continue;
            if (sooth_batch_finish(b, slot, &out, &err) != SOOTH_OK)
                fail_msg("%s", err.text);
            if (out.finish == SOOTH_FINISH_LENGTH) /* the context was full first */
                cut++;
            else
                check_text(schemas[who[slot] % SCHEMAS], &out);
            sooth_generation_release(&out);
            finished++;
        }
    }
    print_message("# %d texts, %zu of them cut by the context\n", (int)TEXTS, cut);
    assert_true(cut < TEXTS / 20);
    sooth_batch_free(b);
    for (size_t i = 0; i < SCHEMAS; i++)
        sooth_grammar_free(g[i]);
    sooth_model_close(m);
}

/* ---- nothing else changes ---- */

static void a_grammar_that_allows_all_is_plain_decoding(void **state)
{
    static const char any[] = "root ::= .*";
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_grammar *g;
    size_t compared = 0;
    assert_int_equal(sooth_grammar_gbnf(any, strlen(any), &g, NULL), SOOTH_OK);
    for (char c = 'a'; c <= 'z'; c++) { /* greedy: a draw would notice the tokens that are no characters */
        char text[] = {c, ' ', 't', 'h', 0};
        struct sooth_prompt p = tiny_text(text);
        struct sooth_generate_options o = tiny_options(6);
        struct sooth_generation plain, held;
        tiny_generate(m, &p, &o, &plain);
        bool broken = strstr(plain.text, "\xEF\xBF\xBD") != NULL; /* bytes that are no characters: the grammar would not have them */
        for (size_t i = 0; i < plain.n_tokens; i++)
            broken = broken || plain.ids[i] < 3 || plain.ids[i] >= 280; /* control and padding tokens are no text at all */
        o.grammar = g;
        tiny_generate(m, &p, &o, &held);
        if (!broken) {
            tiny_same(&plain, &held);
            compared++;
        }
        sooth_generation_release(&plain);
        sooth_generation_release(&held);
    }
    assert_true(compared > 3);
    sooth_grammar_free(g);
    sooth_model_close(m);
}

static void guesses_and_threads_change_nothing_under_a_grammar(void **state)
{
    static const char list[] = "root ::= item (\", \" item){3,12} \".\"\nitem ::= \"the \" [a-z]{2,5} | [0-9]{1,3}";
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2), *twin = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_grammar *g;
    struct sooth_prompt p = tiny_text("the tank, the wall, the tank, the wall"), without = tiny_text("a");
    assert_int_equal(sooth_grammar_gbnf(list, strlen(list), &g, NULL), SOOTH_OK);
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct sooth_generate_options o = tiny_options(80);
        struct sooth_generation plain, got;
        o.grammar = g;
        o.sampling.temperature = (double)(seed % 3) / 2;
        o.sampling.seed = seed;
        o.strategy = seed % 2 ? "cad:gate=0" : NULL;
        o.without = &without;
        tiny_generate(twin, &p, &o, &plain);
        assert_true(plain.finish == SOOTH_FINISH_LENGTH || sooth_grammar_accepts(g, plain.text, plain.len));
        for (unsigned way = 0; way < 4; way++) {
            o.lookup = way & 1;
            o.draft = way & 2 ? twin : NULL;
            tiny_generate(m, &p, &o, &got);
            tiny_same(&plain, &got);
            sooth_generation_release(&got);
        }
        sooth_generation_release(&plain);
    }
    sooth_grammar_free(g);
    sooth_model_close(twin);
    sooth_model_close(m);
}

/* A slot keeps its matcher between requests, also when the grammar changes in between and when one failed. */
static void a_session_goes_from_grammar_to_grammar(void **state)
{
    static const char *const texts[] = {"root ::= \"yes\" | \"no\"", "root ::= [0-9]{4}", "root ::= \"\xE4\xB8\x96\"{2}"};
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_session *s;
    struct sooth_grammar *g[3];
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sooth_grammar_gbnf(texts[i], strlen(texts[i]), &g[i], NULL), SOOTH_OK);
    for (size_t i = 0; i < 12; i++) {
        struct sooth_generate_options o = tiny_options(i == 5 ? 1 : 30);
        struct sooth_generation out;
        struct sooth_error err = {0};
        const struct sooth_grammar *now = i % 4 == 3 ? NULL : g[i % 4 / (i > 7 ? 3 : 1)];
        o.grammar = now;
        if (sooth_complete(s, "a", 1, &o, &out, &err) != SOOTH_OK)
            fail_msg("%s", err.text);
        if (now && out.finish == SOOTH_FINISH_STOP)
            assert_true(sooth_grammar_accepts(now, out.text, out.len));
        assert_true(!now || i == 5 || out.finish == SOOTH_FINISH_STOP);
        sooth_generation_release(&out);
    }
    for (size_t i = 0; i < 3; i++)
        sooth_grammar_free(g[i]);
    sooth_session_free(s);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_14_five_hundred_texts_of_random_weights_validate),
        cmocka_unit_test(a_grammar_that_allows_all_is_plain_decoding),
        cmocka_unit_test(guesses_and_threads_change_nothing_under_a_grammar),
        cmocka_unit_test(a_session_goes_from_grammar_to_grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
