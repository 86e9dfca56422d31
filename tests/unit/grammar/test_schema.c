/* test_schema.c: JSON schemas: which texts they allow, and that what is not enforced is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "sooth/model.h"

static struct sooth_grammar *compile(const char *schema)
{
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    if (sooth_grammar_schema(schema, strlen(schema), &g, &err) != SOOTH_OK)
        fail_msg("%s: %s", schema, err.text);
    return g;
}

static void schemas_allow_what_they_say(void **state)
{
    static const struct { const char *schema, *yes[8], *no[10]; } cases[] = {
        {"{\"type\":\"null\"}", {"null"}, {"nul", "\"null\"", ""}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "True"}},
        {"{\"type\":[\"boolean\",\"null\"]}", {"true", "null"}, {"0"}},
        {"{\"type\":\"number\"}", {"0", "-1", "12.5", "1e9", "-0.25E-3", "123456789012345678"}, {"01", ".5", "1.", "+1", "1e", "0x1", "-", "1e999"}},
        {"{\"type\":\"number\",\"minimum\":0}", {"0", "3.5"}, {"-1", "-0.5"}},
        {"{\"type\":\"integer\"}", {"0", "-7", "999999999999999999"}, {"1.0", "1e3", "007", "1000000000000000000"}},
        {"{\"type\":\"integer\",\"minimum\":7,\"maximum\":1234}", {"7", "9", "10", "99", "1234", "1000"}, {"6", "0", "1235", "2000", "-7", "10000"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":-12,\"exclusiveMaximum\":5}", {"-11", "-1", "0", "4"}, {"-12", "5", "-20", "-0", "10"}},
        {"{\"type\":\"integer\",\"maximum\":-3.5}", {"-4", "-40"}, {"-3", "0", "4"}},
        {"{\"type\":\"string\"}", {"\"\"", "\"a\xC3\xA9\\n\\u00e9\"", "\"\\\"\""}, {"\"", "a", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "\"\xFF\""}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", {"\"ab\"", "\"\xE4\xB8\x96\xC3\xA9x\"", "\"\\u0041\\n\""}, {"\"a\"", "\"abcd\"", "\"\""}},
        {"{\"type\":\"string\",\"maxLength\":0}", {"\"\""}, {"\"a\""}},
        {"{\"pattern\":\"^[A-Z]\\\\d{2,3}(-x|y)?$\"}", {"\"A12\"", "\"Z999-x\"", "\"A12y\""}, {"\"a12\"", "\"A1\"", "\"A1234\"", "\"A12-\""}},
        {"{\"pattern\":\"b+\"}", {"\"b\"", "\"abc\"", "\"\\nbb\""}, {"\"ac\"", "\"\""}},
        {"{\"pattern\":\"^a|b$\"}", {"\"axx\"", "\"xxb\""}, {"\"xax\"", "\"bx\""}},
        {"{\"pattern\":\"^[^a]$\"}", {"\"b\"", "\"\\\"\"", "\"\\n\"", "\"\xE4\xB8\x96\""}, {"\"a\"", "\"\"\"", "\"\\\""}},
        {"{\"pattern\":\"^\\\\.\\\\\\\\\\\"[.\\\\]-]$\"}", {"\".\\\\\\\"-\"", "\".\\\\\\\"]\""}, {"\"x\\\\\\\"-\""}},
        {"{\"pattern\":\"^.{2}\\\\s\\\\S\\\\w\\\\W$\"}", {"\"ab c_!\"", "\"\xC3\xA9z\\txy-\""}, {"\"ab cd\"", "\"a cd!\""}},
        {"{\"format\":\"date\"}", {"\"2024-02-28\"", "\"1999-12-31\"", "\"2024-04-30\""}, {"\"2024-02-30\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"24-01-01\""}},
        {"{\"format\":\"date-time\"}", {"\"2024-02-28T23:59:59Z\"", "\"2024-02-28T00:00:00.5+01:30\""}, {"\"2024-02-28\"", "\"2024-02-28T24:00:00Z\""}},
        {"{\"format\":\"uuid\"}", {"\"01234567-89ab-cdef-0123-456789abcdef\""}, {"\"0123\""}},
        {"{\"const\":{\"a\":[1,\"x\\n\",null]}}", {"{\"a\":[1,\"x\\n\",null]}"}, {"{\"a\": [1,\"x\\n\",null]}", "{}"}},
        {"{\"enum\":[\"a\",1.50,true,null]}", {"\"a\"", "1.50", "true", "null"}, {"1.5", "a", "false"}},
        {"{\"type\":\"integer\",\"enum\":[\"a\",1,2.5]}", {"1"}, {"\"a\"", "2.5"}},
        {"{\"items\":{\"type\":\"boolean\"},\"maxItems\":2}", {"[]", "[true]", "[ true, false ]", "[\n  true,\n  false\n]"}, {"[true,true,true]", "[1]", "[,]", "[true,]"}},
        {"{\"items\":{\"type\":\"null\"},\"minItems\":2}", {"[null,null]", "[null,null,null,null]"}, {"[]", "[null]"}},
        {"{\"items\":{\"type\":\"null\"},\"minItems\":3,\"maxItems\":3}", {"[null,null,null]"}, {"[null,null]", "[null,null,null,null]"}},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":{\"const\":3}}", {"[]", "[1]", "[1,2]", "[1,2,3,3]"}, {"[2]", "[1,3]", "[1,2,2]"}},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"minItems\":1}", {"[1]", "[1,2]"}, {"[]", "[1,2,3]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]", "[ ]"}, {"[1]"}},
        {"{\"type\":\"array\"}", {"[]", "[1,[\"a\",{}],{\"b\":null}]"}, {"[1", "{}"}},
        {"{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2},\"c\":{\"const\":3}},\"required\":[\"b\"]}",
         {"{\"b\":2}", "{\"a\":1,\"b\":2}", "{\"b\":2,\"c\":3}", "{ \"a\": 1, \"b\": 2, \"c\": 3 }"}, {"{}", "{\"a\":1}", "{\"b\":2,\"a\":1}", "{\"b\":2,}", "{,\"b\":2}", "{\"b\":2,\"d\":4}"}},
        {"{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}}}", {"{}", "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"}, {"{\"a\":1\"b\":2}", "{\"c\":1}"}},
        {"{\"type\":\"object\"}", {"{}", "{\"x\":1,\"y\":{\"z\":[]}}"}, {"[]", "{\"x\"}", "{x:1}"}},
        {"{\"properties\":{\"ab\":{\"const\":1},\"ac\":{\"const\":2}},\"required\":[\"ab\"],\"additionalProperties\":{\"type\":\"null\"}}",
         {"{\"ab\":1}", "{\"ab\":1,\"x\":null,\"\":null}", "{\"ab\":1,\"a\":null,\"abc\":null,\"ad\":null}", "{\"ab\":1,\"ac\":2,\"\xC3\xA9\":null}"},
         {"{\"x\":null}", "{\"ab\":1,\"ab\":null}", "{\"ab\":1,\"ac\":null}", "{\"ab\":1,\"x\":1}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", {"{}", "{\"q\":1}", "{\"q\":1,\"r\":2}"}, {"{\"q\":null}"}},
        {"{\"type\":\"object\",\"additionalProperties\":false}", {"{}"}, {"{\"q\":1}"}},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", {"\"a\"", "1"}, {"1.5", "null"}},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"enum\":[1,2]}]}", {"\"a\"", "1"}, {"3"}},
        {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"x\"}},\"required\":[\"k\"]},{\"properties\":{\"k\":{\"const\":\"y\"},\"v\":{}},\"required\":[\"k\"]}]}",
         {"{\"k\":\"x\"}", "{\"k\":\"y\",\"v\":[1]}"}, {"{\"k\":\"z\"}", "{\"k\":\"x\",\"v\":1}"}},
        {"{\"allOf\":[{\"type\":\"null\"}]}", {"null"}, {"1"}},
        {"{\"$defs\":{\"n/~\":{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/n~1~0\"},{\"type\":\"null\"}]}},\"required\":[\"next\"]}},\"$ref\":\"#/$defs/n~1~0\"}",
         {"{\"next\":null}", "{\"next\":{\"next\":{\"next\":null}}}"}, {"{\"next\":1}", "{}"}},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", {"[]", "[[],[[]]]"}, {"[1]"}},
        {"true", {"1", "\"a\"", "{\"a\":[null]}"}, {"", "nope"}},
        {"{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[1],\"$schema\":\"s\",\"$comment\":\"c\"}", {"1", "[]"}, {"x"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sooth_grammar *g = compile(cases[i].schema);
        for (size_t k = 0; k < 8 && cases[i].yes[k]; k++)
            if (!sooth_grammar_accepts(g, cases[i].yes[k], strlen(cases[i].yes[k])))
                fail_msg("%s refuses %s", cases[i].schema, cases[i].yes[k]);
        for (size_t k = 0; k < 10 && cases[i].no[k]; k++)
            if (sooth_grammar_accepts(g, cases[i].no[k], strlen(cases[i].no[k])))
                fail_msg("%s accepts %s", cases[i].schema, cases[i].no[k]);
        sooth_grammar_free(g);
    }
}

/* Integer bounds digit by digit: every pair of small bounds against counting. */
static void integer_bounds_are_exact(void **state)
{
    static const int bounds[] = {-120, -100, -99, -10, -9, -1, 0, 1, 5, 9, 10, 19, 99, 100, 101, 199};
    for (size_t a = 0; a < 16; a++)
        for (size_t b = a; b < 16; b++) {
            char schema[100], text[16];
            snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", bounds[a], bounds[b]);
            struct sooth_grammar *g = compile(schema);
            for (int v = -130; v < 210; v++) {
                snprintf(text, sizeof text, "%d", v);
                if (sooth_grammar_accepts(g, text, strlen(text)) != (v >= bounds[a] && v <= bounds[b]))
                    fail_msg("%s and %d", schema, v);
            }
            sooth_grammar_free(g);
        }
}

static void lesson_serving_14_what_is_not_enforced_is_refused(void **state)
{
    static const struct { const char *schema, *words; } bad[] = {
        {"{\"type\":\"string\",\"contentEncoding\":\"base64\"}", "'contentEncoding'"}, {"{\"not\":{}}", "'not'"},
        {"{\"if\":{}}", "'if'"}, {"{\"patternProperties\":{}}", "'patternProperties'"}, {"{\"uniqueItems\":true}", "'uniqueItems'"},
        {"{\"multipleOf\":2}", "'multipleOf'"}, {"{\"minProperties\":1}", "'minProperties'"}, {"{\"contains\":{}}", "'contains'"},
        {"{\"dependentRequired\":{}}", "'dependentRequired'"}, {"{\"propertyNames\":{}}", "'propertyNames'"},
        {"{\"unevaluatedProperties\":false}", "'unevaluatedProperties'"}, {"{\"nonsense\":1}", "'nonsense'"},
        {"{\"type\":\"string\",\"format\":\"email\"}", "'email'"}, {"{\"type\":\"number\",\"maximum\":3}", "'maximum'"},
        {"{\"type\":\"number\",\"minimum\":2}", "'minimum'"}, {"{\"$ref\":\"http://x/y\"}", "$ref"}, {"{\"$ref\":\"#/a\"}", "$ref"},
        {"{\"$ref\":\"#\"}", "begins with itself"}, {"{\"$ref\":\"#/a\",\"minimum\":1}", "beside"}, {"{\"allOf\":[{},{}]}", "'allOf'"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "'oneOf'"}, {"{\"anyOf\":[{}],\"minLength\":1}", "beside"},
        {"{\"enum\":[1],\"minimum\":0}", "beside"}, {"{\"type\":\"array\",\"items\":[{}]}", "'prefixItems'"},
        {"{\"pattern\":\"(?=a)\"}", "look-around"}, {"{\"pattern\":\"\\\\bx\"}", "escape"}, {"{\"pattern\":\"(a)\\\\1\"}", "escape"},
        {"{\"pattern\":\"a^b\"}", "ends only"}, {"{\"pattern\":\"(a\"}", "not closed"}, {"{\"pattern\":\"a)\"}", "closed"},
        {"{\"pattern\":\"[a\"}", "not closed"}, {"{\"pattern\":\"a**\"}", "repeat"}, {"{\"pattern\":\"\\\\p{L}\"}", "escape"},
        {"{\"pattern\":\"^a$\",\"maxLength\":3}", "together"}, {"{\"properties\":{},\"required\":[\"x\"]}", "'x'"},
        {"{\"type\":\"strin\"}", "'type'"}, {"{\"type\":[]}", "'type'"}, {"{\"type\":1}", "'type'"}, {"false", "false"}, {"1", "object"},
        {"[]", "object"}, {"{\"enum\":[]}", "'enum'"}, {"{\"enum\":1}", "'enum'"}, {"{\"type\":\"null\",\"const\":1}", "'const'"},
        {"{\"minItems\":3,\"maxItems\":2}", "no list"}, {"{\"minLength\":3,\"maxLength\":2}", "no string"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "no whole number"}, {"{\"minLength\":-1}", "'minLength'"},
        {"{\"minLength\":1.5}", "'minLength'"}, {"{\"type\":\"integer\",\"minimum\":1e300}", "2^53"},
        {"{\"type\":\"integer\",\"minimum\":\"3\"}", "'minimum'"}, {"{\"a\":1,\"a\":2}", "a"}, {"{", "schema"}, {"", "schema"},
        {"{\"properties\":[]}", "'properties'"}, {"{\"required\":1,\"properties\":{}}", "'required'"},
        {"{\"additionalProperties\":1}", "'additionalProperties'"}, {"{\"prefixItems\":1}", "'prefixItems'"}, {"{\"anyOf\":1}", "'anyOf'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sooth_grammar *g;
        struct sooth_error err = {0};
        uint64_t live = mem_live();
        enum sooth_status s = sooth_grammar_schema(bad[i].schema, strlen(bad[i].schema), &g, &err);
        if (s == SOOTH_OK || g || !strstr(err.text, bad[i].words))
            fail_msg("%s: '%s' does not say %s", bad[i].schema, err.text, bad[i].words);
        assert_int_equal(mem_live(), live);
    }
}

static void lesson_serving_15_large_string_limits_work(void **state)
{
    static const size_t lengths[] = {1, 1999, 2000, 100000};
    for (unsigned nested = 0; nested < 2; nested++)
        for (size_t i = 0; i < 4; i++) {
            char schema[300];
            struct buf text = BUF_INIT;
            snprintf(schema, sizeof schema, nested ? "{\"items\":{\"items\":{\"type\":\"string\",\"maxLength\":%zu},\"maxItems\":%zu}}" : "{\"type\":\"string\",\"maxLength\":%zu}",
                     lengths[i], lengths[i]);
            struct sooth_grammar *g = compile(schema);
            for (size_t over = 0; over < 2; over++) {
                buf_clear(&text);
                buf_puts(&text, nested ? "[[\"" : "\"");
                for (size_t k = 0; k < lengths[i] + over; k++)
                    buf_putc(&text, 'x');
                buf_puts(&text, nested ? "\"]]" : "\"");
                assert_int_equal(sooth_grammar_accepts(g, text.data, text.len), !over);
            }
            buf_release(&text);
            sooth_grammar_free(g);
        }
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    const char far[] = "{\"type\":\"string\",\"maxLength\":1000001}";
    assert_int_equal(sooth_grammar_schema(far, strlen(far), &g, &err), SOOTH_ERR_LIMIT);
    assert_non_null(strstr(err.text, "'maxLength'"));
}

static void lesson_serving_16_deep_schemas_are_answered(void **state)
{
    static const struct { const char *open, *middle, *close; } shapes[] = {
        {"{\"properties\":{\"a\":", "{}", "}}"}, {"{\"items\":", "{}", "}"}, {"{\"anyOf\":[", "{}", "]}"}, {"[", "", "]"},
        {"(", "a", ")"}};
    static const size_t depths[] = {10, 50, 1000, 100000};
    for (size_t k = 0; k < 5; k++)
        for (size_t i = 0; i < 4; i++) {
            struct buf b = BUF_INIT;
            struct sooth_grammar *g;
            struct sooth_error err = {0};
            if (k == 4)
                buf_puts(&b, "{\"pattern\":\"");
            for (size_t d = 0; d < depths[i]; d++)
                buf_puts(&b, shapes[k].open);
            buf_puts(&b, shapes[k].middle);
            for (size_t d = 0; d < depths[i]; d++)
                buf_puts(&b, shapes[k].close);
            if (k == 4)
                buf_puts(&b, "\"}");
            enum sooth_status s = sooth_grammar_schema(b.data, b.len, &g, &err);
            assert_true(depths[i] <= 50 && k != 3 ? s == SOOTH_OK : s != SOOTH_OK && err.text[0]);
            sooth_grammar_free(g);
            buf_release(&b);
        }
}

static void compiling_survives_failing_memory(void **state)
{
    static const char text[] = "{\"properties\":{\"a\":{\"enum\":[1,[\"x\"]]},\"b\":{\"$ref\":\"#/$defs/s\"}},\"$defs\":{\"s\":{\"pattern\":\"^[a-c]+$\"}},"
                               "\"additionalProperties\":{\"type\":[\"integer\",\"array\"],\"items\":{\"maxLength\":3}}}";
    struct sooth_grammar *g = NULL;
    uint64_t live = mem_live();
    for (uint64_t at = 1; !g; at++) {
        struct sooth_error err = {0};
        mem_fail_at(at);
        enum sooth_status s = sooth_grammar_schema(text, sizeof text - 1, &g, &err);
        mem_fail_at(0);
        if (!(s == SOOTH_OK ? g != NULL : s == SOOTH_ERR_NOMEM && !g))
            fail_msg("allocation %u: %d %s", (unsigned)at, s, err.text);
        assert_true(g || mem_live() == live);
    }
    sooth_grammar_free(g);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_allow_what_they_say),
        cmocka_unit_test(integer_bounds_are_exact),
        cmocka_unit_test(lesson_serving_14_what_is_not_enforced_is_refused),
        cmocka_unit_test(lesson_serving_15_large_string_limits_work),
        cmocka_unit_test(lesson_serving_16_deep_schemas_are_answered),
        cmocka_unit_test(compiling_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
