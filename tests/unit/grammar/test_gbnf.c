/* test_gbnf.c: grammars as text: what they accept, how bad ones are refused, and that none can hurt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/base/utf8.h"
#include "model/grammar/rules.h"
#include "sooth/model.h"

static struct sooth_grammar *parse(const char *text)
{
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    if (sooth_grammar_gbnf(text, strlen(text), &g, &err) != SOOTH_OK)
        fail_msg("%s: %s", text, err.text);
    return g;
}

static void grammars_accept_what_they_say(void **state)
{
    static const struct { const char *grammar, *yes[6], *no[6]; } cases[] = {
        {"root ::= \"a\"", {"a"}, {"", "b", "aa"}},
        {"root ::=", {""}, {"a"}},
        {"root ::= \"a\" | \"b\" \"c\" | ", {"a", "bc", ""}, {"b", "abc"}},
        {"root ::= [a-c]+ [^a-z]*\n", {"a", "abc", "cab7", "a é€😀"}, {"", "7", "ad"}},
        {"root ::= x y? x*\nx ::= \"ab\" # words\ny ::= [0-9]", {"ab", "ab1", "abab", "ab9abab"}, {"a", "ab12", "1ab"}},
        {"root ::= (\"a\" | \"b\"\n | \"c\"){2,3}", {"ab", "ccc"}, {"a", "abca"}},
        {"root ::= \"x\"{3}", {"xxx"}, {"xx", "xxxx"}},
        {"root ::= \"x\"{2,}", {"xx", "xxxxxxx"}, {"", "x"}},
        {"root ::= \"x\"{,2}", {"", "x", "xx"}, {"xxx"}},
        {"root ::= \"x\"{0}", {""}, {"x"}},
        {"root ::= ([a-z]{2} \",\"){2} | \"\"", {"ab,cd,", ""}, {"ab,", "ab,cd", "a,bc,"}},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\\n\"", {"A\xC3\xA9\xF0\x9F\x98\x80\"\\\n"}, {"A"}},
        {"root ::= [\\]\\-a]+", {"]-a"}, {"b", "\\"}},
        {"root ::= .", {"a", "\n", "é", "世", "😀"}, {"", "ab", "\xC3", "\xED\xA0\x80", "\xFF"}},
        {"root ::= [世-丗]", {"世", "丗"}, {"丘", "a"}},
        {"root ::= \"(\" root \")\" | \"x\"", {"x", "(x)", "((((x))))"}, {"(x", "()", "x)"}},
        {"root ::= a\na ::= \"1\" a | \"2\"", {"2", "1112"}, {"1", "21"}},
        {"root ::= \"a\"\n     | \"b\"\n", {"a", "b"}, {"c"}},
        {"root ::= (n \".\")*\nn ::= | \"1\" n", {"", ".", "11.1.", "..."}, {"1"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sooth_grammar *g = parse(cases[i].grammar);
        for (size_t k = 0; k < 6 && cases[i].yes[k]; k++)
            if (!sooth_grammar_accepts(g, cases[i].yes[k], strlen(cases[i].yes[k])))
                fail_msg("%s refuses '%s'", cases[i].grammar, cases[i].yes[k]);
        for (size_t k = 0; k < 6 && cases[i].no[k]; k++)
            if (sooth_grammar_accepts(g, cases[i].no[k], strlen(cases[i].no[k])))
                fail_msg("%s accepts '%s'", cases[i].grammar, cases[i].no[k]);
        sooth_grammar_free(g);
    }
}

/* A class accepts its characters, each encoded, and no others: all of Unicode against the ranges. */
static void classes_are_their_ranges(void **state)
{
    struct rng rng;
    rng_seed(&rng, 4);
    for (unsigned round = 0; round < 12; round++) {
        struct rules b;
        struct class_range r[5], copy[5];
        struct sooth_grammar *g;
        size_t n = 1 + rng_below(&rng, 4);
        bool others = round % 2;
        static const uint32_t edges[] = {0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF, 0xFFF, 0x1000, 0x3FFFF, 0x40000};
        for (size_t i = 0; i < n; i++) {
            uint32_t x = round < 6 ? edges[rng_below(&rng, 14)] : (uint32_t)rng_below(&rng, 0x110000);
            uint32_t y = round < 6 ? edges[rng_below(&rng, 14)] : (uint32_t)rng_below(&rng, 0x3000) + x;
            y = y > 0x10FFFF ? 0x10FFFF : y;
            r[i] = (struct class_range){x < y ? x : y, x < y ? y : x};
        }
        memcpy(copy, r, sizeof r);
        rules_init(&b);
        uint32_t root = rules_named(&b, "root", 4);
        rules_define(&b, root, rules_class(&b, r, n, others));
        enum sooth_status status = rules_finish(&b, root, &g, NULL);
        if (status == SOOTH_ERR_ARG) /* all of Unicode was taken away */
            continue;
        assert_int_equal(status, SOOTH_OK);
        uint32_t step = 1;
        for (uint32_t c = 0; c <= 0x10FFFF; c += step) {
            bool in = false, near = false;
            char bytes[4];
            for (size_t i = 0; i < n; i++) {
                in = in || (c >= copy[i].lo && c <= copy[i].hi);
                near = near || (c + 300 >= copy[i].lo && c <= copy[i].lo + 300) || (c + 300 >= copy[i].hi && c <= copy[i].hi + 300);
            }
            step = near || c < 0x900 ? 1 : 97;
            if (c >= 0xD800 && c <= 0xDFFF)
                continue;
            size_t len = utf8_encode(c, bytes);
            if (sooth_grammar_accepts(g, bytes, len) != (in != others))
                fail_msg("U+%04X in round %u", c, round);
        }
        sooth_grammar_free(g);
    }
}

static void bad_grammars_are_refused_with_the_line(void **state)
{
    static const struct { const char *grammar, *words; } bad[] = {
        {"", "'root' is used but not defined"}, {"x ::= \"a\"", "'root'"}, {"root ::= y", "'y'"}, {"root = \"a\"", "line 1"},
        {"root ::= \"a\nroot ::= b", "line 1"}, {"root ::= [a", "line 1"}, {"root ::= (\"a\"", "line 1"}, {"root ::= \"a\")", "line 1"},
        {"root ::= \"a\"\n\n::= x", "line 3"}, {"root ::= \"a\"\nroot ::= \"b\"", "line 2"}, {"root ::= *", "line 1"},
        {"root ::= \"a\"{3,1}", "backwards"}, {"root ::= \"a\"{x}", "number"}, {"root ::= \"a\"{1000001}", "1000000"},
        {"root ::= \"a\"{99999999999999999999}", "1000000"}, {"root ::= [b-a]", "backwards"}, {"root ::= []", "empty class"},
        {"root ::= \"\\q\"", "escape"}, {"root ::= \"\\xZZ\"", "hexadecimal"}, {"root ::= \"\\uD800\"", "no character"},
        {"root ::= \"\\UFFFFFFFF\"", "no character"}, {"root ::= \"\xFF\"", "UTF-8"}, {"root ::= <[12]>", "not supported"},
        {"root ::= ([a]?){3}", "not supported"}, {"root ::= \"a\" root", "no text satisfies"},
        {"root ::= x\nx ::= \"a\" y\ny ::= \"b\" x", "no text satisfies"}, {"root ::= &", "unexpected"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sooth_grammar *g;
        struct sooth_error err = {0};
        uint64_t live = mem_live();
        enum sooth_status s = sooth_grammar_gbnf(bad[i].grammar, strlen(bad[i].grammar), &g, &err);
        if (s == SOOTH_OK || g || !strstr(err.text, bad[i].words))
            fail_msg("%s: '%s' does not say %s", bad[i].grammar, err.text, bad[i].words);
        assert_int_equal(mem_live(), live);
    }
}

/* ---- threats ---- */

static void threat_grammar_left_recursion_is_found_however_long(void **state)
{
    static const char *const bad[] = {"root ::= root \"a\" | \"b\"", "root ::= x\nx ::= y?\ny ::= \"\" x \"a\" | \"c\"",
                                      "root ::= n x\nn ::= \"a\"?\nx ::= n x | \"b\"", "root ::= (root)* \"a\""};
    struct sooth_grammar *g;
    struct sooth_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(sooth_grammar_gbnf(bad[i], strlen(bad[i]), &g, &err), SOOTH_ERR_ARG);
        assert_non_null(strstr(err.text, "begins with itself"));
    }
    for (unsigned closed = 0; closed < 2; closed++) { /* a chain of 30,000 rules, then the cycle */
        struct buf b = BUF_INIT;
        buf_puts(&b, "root ::= r0\n");
        for (unsigned i = 0; i < 30000; i++)
            buf_printf(&b, "r%u ::= r%u \"x\" | \"y\"\n", i, i + 1);
        buf_printf(&b, "r30000 ::= %s", closed ? "r0" : "\"z\"");
        enum sooth_status s = sooth_grammar_gbnf(b.data, b.len, &g, &err);
        assert_int_equal(s, closed ? SOOTH_ERR_ARG : SOOTH_OK);
        if (s == SOOTH_OK) /* each place has its own chain of calls: bounded, not slow */
            assert_false(sooth_grammar_accepts(g, "q", 1));
        sooth_grammar_free(g);
        buf_release(&b);
    }
}

static void threat_grammar_nesting_is_bounded(void **state)
{
    static const size_t depths[] = {10, 400, 1000, 100000};
    for (size_t i = 0; i < 4; i++) {
        struct buf b = BUF_INIT;
        struct sooth_grammar *g;
        struct sooth_error err = {0};
        buf_puts(&b, "root ::= ");
        for (size_t d = 0; d < depths[i]; d++)
            buf_putc(&b, '(');
        buf_puts(&b, "\"a\"");
        for (size_t d = 0; d < depths[i]; d++)
            buf_puts(&b, ")");
        enum sooth_status s = sooth_grammar_gbnf(b.data, b.len, &g, &err);
        assert_int_equal(s, depths[i] <= 400 ? SOOTH_OK : SOOTH_ERR_ARG);
        if (s == SOOTH_OK)
            assert_true(sooth_grammar_accepts(g, "a", 1));
        else
            assert_non_null(strstr(err.text, "nested"));
        sooth_grammar_free(g);
        buf_release(&b);
    }
}

/* Texts with very many readings: either the readings are few states, or it gives up; never time or memory without a bound. */
static void threat_grammar_ambiguity_is_bounded(void **state)
{
    static const char *const many[] = {
        "root ::= (\"a\" | \"a\" | \"aa\" | \"a\"*)* \"b\"", "root ::= x*\nx ::= \"a\" | x2\nx2 ::= \"a\" x?",
        "root ::= (((((\"a\"?)*)*)*)*)*", "root ::= s\ns ::= \"a\" s s | \"a\" s | \"a\"",
        "root ::= x{1,1000} \"b\"\nx ::= (\"a\"{1,1000}){1,1000}"};
    char text[3000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        struct sooth_grammar *g = parse(many[i]);
        (void)sooth_grammar_accepts(g, text, sizeof text); /* it comes back: the test's own limit watches */
        text[5] = 'b';
        if (!sooth_grammar_accepts(g, text, i == 0 || i == 4 ? 6 : 5))
            fail_msg("%s", many[i]);
        text[5] = 'a';
        sooth_grammar_free(g);
    }
}

static void threat_grammar_huge_repeats_cost_nothing(void **state)
{
    struct sooth_grammar *g = parse("root ::= (\"a\"{1000000} | [b-c]{999999,1000000}){1,1000000}");
    uint64_t live = mem_live();
    char text[4096];
    memset(text, 'b', sizeof text);
    assert_false(sooth_grammar_accepts(g, text, sizeof text));
    assert_int_equal(mem_live(), live);
    sooth_grammar_free(g);
    g = parse("root ::= \"a\"{2000}");
    memset(text, 'a', sizeof text);
    assert_true(sooth_grammar_accepts(g, text, 2000));
    assert_false(sooth_grammar_accepts(g, text, 1999));
    assert_false(sooth_grammar_accepts(g, text, 2001));
    sooth_grammar_free(g);
}

static void threat_grammar_size_is_bounded(void **state)
{
    struct buf b = BUF_INIT;
    struct sooth_grammar *g;
    struct sooth_error err = {0};
    buf_puts(&b, "root ::= \"a\"\n");
    for (unsigned i = 0; i < 110000 && b.len < 1000000; i++)
        buf_printf(&b, "r%x::=\"\"\n", i);
    enum sooth_status s = sooth_grammar_gbnf(b.data, b.len, &g, &err);
    assert_true(s == SOOTH_OK || s == SOOTH_ERR_LIMIT);
    sooth_grammar_free(g);
    while (b.len <= 1 << 20)
        buf_puts(&b, "# a comment that goes on\n");
    assert_int_equal(sooth_grammar_gbnf(b.data, b.len, &g, &err), SOOTH_ERR_LIMIT);
    buf_clear(&b);
    buf_puts(&b, "root ::= ");
    for (unsigned i = 0; i < 20000; i++)
        buf_puts(&b, ".[^a]x"); /* dozens of nodes each; x is not defined */
    s = sooth_grammar_gbnf(b.data, b.len, &g, &err);
    assert_true(s == SOOTH_ERR_LIMIT || s == SOOTH_ERR_ARG);
    buf_release(&b);
}

static void compiling_survives_failing_memory(void **state)
{
    static const char text[] = "root ::= (a | \"b\"{2,5} [^x-z])* \na ::= \"[\" root \"]\"";
    struct sooth_grammar *g = NULL;
    uint64_t live = mem_live();
    for (uint64_t at = 1; !g; at++) {
        struct sooth_error err = {0};
        mem_fail_at(at);
        enum sooth_status s = sooth_grammar_gbnf(text, sizeof text - 1, &g, &err);
        mem_fail_at(0);
        assert_true(s == SOOTH_OK ? g != NULL : s == SOOTH_ERR_NOMEM && !g);
        assert_true(g || mem_live() == live);
    }
    sooth_grammar_free(g);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammars_accept_what_they_say),
        cmocka_unit_test(classes_are_their_ranges),
        cmocka_unit_test(bad_grammars_are_refused_with_the_line),
        cmocka_unit_test(threat_grammar_left_recursion_is_found_however_long),
        cmocka_unit_test(threat_grammar_nesting_is_bounded),
        cmocka_unit_test(threat_grammar_ambiguity_is_bounded),
        cmocka_unit_test(threat_grammar_huge_repeats_cost_nothing),
        cmocka_unit_test(threat_grammar_size_is_bounded),
        cmocka_unit_test(compiling_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
