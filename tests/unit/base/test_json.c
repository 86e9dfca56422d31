/* test_json.c: what RFC 8259 accepts and refuses, hostile texts, and the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/json.h"

static void write_back(struct json_writer *w, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        jsonw_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        jsonw_bool(w, v->type == JSON_TRUE);
        break;
    case JSON_NUMBER:
        jsonw_double(w, v->number, 17);
        break;
    case JSON_STRING:
        jsonw_stringn(w, v->text, v->len);
        break;
    case JSON_ARRAY:
        jsonw_array(w);
        for (const struct json *c = v->child; c; c = c->next)
            write_back(w, c);
        jsonw_end_array(w);
        break;
    case JSON_OBJECT:
        jsonw_object(w);
        for (const struct json *c = v->child; c; c = c->next) {
            jsonw_key(w, c->key);
            write_back(w, c);
        }
        jsonw_end_object(w);
    }
}

/* Parses, writes back, compares; want NULL: must be refused with a sentence. */
static void check_flags(const char *text, size_t len, unsigned flags, const char *want)
{
    struct arena a;
    struct sooth_error e = {0};
    struct buf out = BUF_INIT;
    struct json_writer w;
    struct json *v;
    char *exact = mem_dup(text, len); /* no NUL behind it: the sanitizer sees a step too far */
    arena_init(&a, 0);
    v = json_parse(&a, exact, len, flags, NULL, &e);
    if (!want) {
        if (v || !e.text[0])
            fail_msg("accepted: %.*s", (int)len, text);
    } else {
        if (!v)
            fail_msg("refused: %.*s: %s", (int)len, text, e.text);
        jsonw_init(&w, &out);
        write_back(&w, v);
        assert_string_equal(buf_str(&out), want);
    }
    buf_release(&out);
    arena_release(&a);
    mem_free(exact);
}

static void check(const char *text, const char *want)
{
    check_flags(text, strlen(text), 0, want);
}

static void test_accepts(void **state)
{
    check(" [ 1 , -0 , 1.5e3 , 0.25, 1E-2, 123456789012 ] ", "[1,-0,1500,0.25,0.01,123456789012]");
    check("{\"a\":{\"b\":[]},\"c\":[{},[[]]],\"\":null}",
          "{\"a\":{\"b\":[]},\"c\":[{},[[]]],\"\":null}");
    check("\"\\u0041\\n\\/\\\"\\\\\\b\\f\\r\\t\"", "\"A\\n/\\\"\\\\\\b\\f\\r\\t\"");
    check("\"\\uD83D\\uDE00\"", "\"\xF0\x9F\x98\x80\"");
    check("\"\\u0000x\"", "\"\\u0000x\"");
    check("\"\\uD83Dx\\uDE00\"", "\"\xEF\xBF\xBDx\xEF\xBF\xBD\""); /* lone halves */
    check("\"\\uD83D\\uD83D\\uDE00\"", "\"\xEF\xBF\xBD\xF0\x9F\x98\x80\"");
    check("true", "true");
    check("\n\t\r null", "null");
    check("\"\x7F\xE4\xB8\xAD\"", "\"\x7F\xE4\xB8\xAD\"");
    check("1e999", "null"); /* read as infinity, which JSON cannot write */
    check("{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}");
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "[",
                                      "]",
                                      "{",
                                      "}",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "[1}",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,",
                                      "{\"a\":1,}",
                                      "{\"a\" 1}",
                                      "{a:1}",
                                      "{1:1}",
                                      "{'a':1}",
                                      "{\"a\":1]",
                                      "{,}",
                                      "tru",
                                      "True",
                                      "nul",
                                      "nan",
                                      "NaN",
                                      "Infinity",
                                      "-",
                                      "+1",
                                      "01",
                                      "-01",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "1.e1",
                                      "0x10",
                                      "1 2",
                                      "[] []",
                                      "\"",
                                      "\"a",
                                      "\"\\",
                                      "\"\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12G4\"",
                                      "\"\\u",
                                      "\"\\uD83D\\u\"",
                                      "\"\n\"",
                                      "\"\t\"",
                                      "\"\xFF\"",
                                      "\"\xC0\x80\"",
                                      "\"\xED\xA0\x80\"",
                                      "\"\xE4\xB8\"",
                                      "\xEF\xBB\xBF[]",
                                      "// x\n1",
                                      "[1]x",
                                      "\"a\"\"b\"",
                                      "\v1",
                                      "[\"a\",\n4\n,1,",
                                      "{\"a\":\"b\",,\"c\":1}",
                                      "[\"\\\xE5\"]",
                                      "*",
                                      "[*]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check(bad[i], NULL);
    check_flags("1\0", 2, 0, NULL);
    check_flags("\"a\0b\"", 5, 0, NULL);
    check_flags("[1,\0]", 5, 0, NULL);
}

/* Every prefix of a text that has everything is refused, and every one-byte change ends in an
 * answer. */
static void test_truncated_and_damaged(void **state)
{
    static const char text[] =
        "{\"k\\u00e9\":[1.5e-3,true,null,\"\\uD83D\\uDE00\"],\"b\":{\"c\":[[],{}]}}";
    struct arena a;
    for (size_t n = 0; n < sizeof text - 1; n++)
        check_flags(text, n, 0, NULL);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int c = 0; c < 256; c++) {
            char copy[sizeof text];
            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            json_parse(&a, copy, sizeof text - 1, JSON_UNIQUE_KEYS, NULL, NULL);
            arena_clear(&a);
        }
    arena_release(&a);
}

static void test_duplicate_keys(void **state)
{
    struct buf b = BUF_INIT;
    check_flags("{\"a\":1,\"b\":{\"a\":1},\"\\u0061\":2}", 28, JSON_UNIQUE_KEYS, NULL);
    check_flags("{\"a\":{\"x\":1},\"b\":{\"x\":1}}", 25, JSON_UNIQUE_KEYS,
                "{\"a\":{\"x\":1},\"b\":{\"x\":1}}");
    for (int last = 0; last < 2; last++) {
        buf_clear(&b);
        buf_putc(&b, '{');
        for (int i = 0; i < 100; i++)
            buf_printf(&b, "\"k%d\":0,", i);
        buf_printf(&b, "\"k%d\":0}", last ? 50 : 100);
        check_flags(b.data, b.len, JSON_UNIQUE_KEYS, last ? NULL : b.data);
    }
    buf_release(&b);
}

static struct json *parse_repeated(struct arena *a, const char *piece, size_t times,
                                   const char *end, struct sooth_error *e)
{
    struct buf b = BUF_INIT;
    struct json *v;
    for (size_t i = 0; i < times; i++)
        buf_puts(&b, piece);
    buf_puts(&b, end);
    v = json_parse(a, b.data, b.len, JSON_UNIQUE_KEYS, NULL, e);
    buf_release(&b);
    return v;
}

static void test_hostile(void **state)
{
    struct arena a;
    struct sooth_error e;
    arena_init(&a, 64 << 20);
    assert_null(parse_repeated(&a, "[", 1000000, "", &e));
    assert_int_equal(e.status, SOOTH_ERR_LIMIT);
    assert_null(parse_repeated(&a, "{\"a\":", 1000000, "", &e));
    assert_int_equal(e.status, SOOTH_ERR_LIMIT);
    assert_null(parse_repeated(&a, "[", JSON_MAX_DEPTH, "", &e));
    assert_int_equal(e.status, SOOTH_ERR_FORMAT); /* deep enough, but unfinished */
    arena_clear(&a);
    assert_null(parse_repeated(&a, "[[],", 1, "", &e));
    arena_release(&a);
    arena_init(&a, 1 << 20);
    {
        struct buf b = BUF_INIT;
        buf_putc(&b, '[');
        for (int i = 0; i < 100000; i++)
            buf_puts(&b, "0,");
        buf_puts(&b, "0]");
        assert_null(json_parse(&a, b.data, b.len, 0, NULL, &e));
        assert_int_equal(e.status, SOOTH_ERR_LIMIT);
        buf_release(&b);
    }
    arena_release(&a);
}

static double seconds_for_keys(size_t n)
{
    struct arena a;
    struct buf b = BUF_INIT;
    double best = 1e9;
    buf_putc(&b, '{');
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s\"key%zu\":%zu", i ? "," : "", i, i);
    buf_putc(&b, '}');
    arena_init(&a, 0);
    for (int i = 0; i < 3; i++) {
        double start = clock_cpu(), took;
        assert_non_null(json_parse(&a, b.data, b.len, JSON_UNIQUE_KEYS, NULL, NULL));
        took = clock_cpu() - start;
        best = took < best ? took : best;
        arena_clear(&a);
    }
    arena_release(&a);
    buf_release(&b);
    return best;
}

static void threat_quadratic_keys(void **state)
{
    assert_true(seconds_for_keys(400000) <
                10 * seconds_for_keys(100000)); /* quadratic would be 16 */
}

static void test_lookups(void **state)
{
    static const char text[] = "{\"s\":\"x\",\"i\":9007199254740993,\"f\":1.5,\"e\":1e3,\"t\":true,"
                               "\"a\":[10,20],\"big\":1e30}";
    struct arena a;
    struct json *v;
    size_t used;
    arena_init(&a, 0);
    v = json_parse(&a, text, sizeof text - 1, 0, &used, NULL);
    assert_int_equal(used, sizeof text - 1);
    assert_string_equal(json_string(v, "s", "no"), "x");
    assert_string_equal(json_string(v, "i", "no"), "no");
    assert_int_equal(json_int(v, "i", -1), 9007199254740993); /* a double cannot hold it */
    assert_int_equal(json_int(v, "f", -1), -1);
    assert_int_equal(json_int(v, "e", -1), 1000);
    assert_int_equal(json_int(v, "big", -1), -1);
    assert_true(json_number(v, "f", 0) == 1.5);
    assert_true(json_bool(v, "t", false));
    assert_true(json_bool(v, "s", true));
    assert_true(json_at(json_get(v, "a"), 1)->number == 20);
    assert_null(json_at(json_get(v, "a"), 2));
    assert_null(json_get(json_get(v, "a"), "a"));
    assert_null(json_get(NULL, "a"));
    v = json_parse(&a, "{} trailing", 11, JSON_ALLOW_TAIL, &used, NULL);
    assert_non_null(v);
    assert_int_equal(used, 2);
    arena_release(&a);
}

static void test_writer(void **state)
{
    struct buf b = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &b);
    jsonw_object(&w);
    jsonw_key(&w, "a\"\n");
    jsonw_array(&w);
    jsonw_int(&w, INT64_MIN);
    jsonw_double(&w, 0.1, 9);
    jsonw_double(&w, NAN, 9);
    jsonw_double(&w, -INFINITY, 9);
    jsonw_double(&w, 0.1 + 0.2, 99);
    jsonw_string(&w, NULL);
    jsonw_stringn(&w, "\xFF\x01\0", 3);
    jsonw_end_array(&w);
    jsonw_key(&w, "b");
    jsonw_object(&w);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    assert_string_equal(
        buf_str(&b), "{\"a\\\"\\n\":[-9223372036854775808,0.1,null,null,0.30000000000000004,null,"
                     "\"\xEF\xBF\xBD\\u0001\\u0000\"],\"b\":{}}");
    assert_int_equal(w.depth, 0);
    buf_release(&b);
}

static void test_locale_is_ignored(void **state)
{
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip(); /* no locale with a decimal comma here */
    check("[1.5,0.25]", "[1.5,0.25]");
    setlocale(LC_NUMERIC, "C");
}

static void fail_json_allocations(void **state)
{
    struct buf b = BUF_INIT;
    uint64_t live;
    buf_putc(&b, '{');
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "\"key%d\":[\"value\",%d],", i, i);
    buf_puts(&b, "\"z\":0}");
    live = mem_live();
    for (uint64_t n = 1;; n++) {
        struct arena a;
        struct sooth_error e = {0};
        struct json *v;
        arena_init(&a, 0);
        mem_fail_at(n);
        v = json_parse(&a, b.data, b.len, JSON_UNIQUE_KEYS, NULL, &e);
        mem_fail_at(0);
        arena_release(&a);
        assert_int_equal(mem_live(), live);
        if (v)
            break;
        assert_int_equal(e.status, SOOTH_ERR_NOMEM);
        assert_true(n < 1000);
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_truncated_and_damaged),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(threat_quadratic_keys),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_locale_is_ignored),
        cmocka_unit_test(fail_json_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
