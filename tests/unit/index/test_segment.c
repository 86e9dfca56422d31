/* Terms of the full-text index. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/buf.h"
#include "core/base/rng.h"
#include "core/base/utf8.h"
#include "know/index/index.h"
#include "know/index/segment.h"
#include "know/index/stem.h"

static bool join(void *user, enum term_kind kind, const char *term, size_t len)
{
    static const char marks[] = {' ', '*', ' ', '.', ' '};
    struct buf *b = user;
    if (b->len)
        buf_putc(b, ' ');
    buf_add(b, term, len);
    if (marks[kind] != ' ')
        buf_putc(b, marks[kind]);
    return true;
}

static void check(const char *text, const char *want)
{
    struct buf b = BUF_INIT;
    assert_int_equal(segment_text(text, strlen(text), join, &b, NULL), SOOTH_OK);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
}

/* "*": a code beside its parts; ".": a single character beside its pairs. */
static void words_and_codes(void **state)
{
    check("The Driver's pages, installed.", "the driver page instal");
    check("don't", "don't* don t");
    check("run dh_make or ~rc1", "run dh_make* dh make or ~rc1* rc1 rc* 1*");
    check("C++ and C# (.kicad_dru)", "c++* c and c#* c .kicad_dru* kicad dru");
    check("20.04 x86_64 810MB", "20.04* 20 04 x86_64* x86 x* 86* 64 810mb 810* mb*");
    check("", "");
    check("... * \" ?", "");
}

static void han_runs(void **state)
{
    check("数据库", "数. 数据 据. 据库 库.");
    check("库", "库");
    check("gen-itgc后50条", "gen-itgc* gen itgc 后 50 条");
    check("什么？", "什. 什么 么.");
}

static void lesson_rag_12_traditional_is_simplified_in_the_index(void **state)
{
    check("數據庫", "数. 数据 据. 据库 库.");
    check("臺灣的軟體", "台. 台湾 湾. 湾的 的. 的软 软. 软体 体.");
}

static void lesson_rag_13_width_and_forms_fold(void **state)
{
    check("ＡＢＣ１２３", "abc123 abc* 123*");
    check("classiﬁcation ㎏ ①", "classif kg 1");
    check("Café Ürün", "cafe urun");
}

static void lesson_rag_03_ligatures_are_letters(void **state)
{
    check("e\xEF\xAC\x83"
          "cient",
          "effici");
    check("efficient", "effici");
}

/* True when every term of the question is among those of the text. */
static bool has_term(const char *text, const char *term);

/* 一百二十 = 120, 二〇二四年 = 2024; common words with a numeral in them are no numbers. */
static void numerals_are_the_numbers_they_are(void **state)
{
    static const char *const pairs[][2] = {
        {"一百二十元", "120"},   {"二〇二四年三月五日", "2024"}, {"二〇二四年三月五日", "3"},
        {"二〇二四年三月五日", "5"}, {"三千五百万", "35000000"}, {"十二条", "12"},
        {"第二十章", "20"},      {"兩萬", "20000"},             {"一万零三百", "10300"},
        {"三个月", "3"},         {"十月一日", "1"},             {"1,500 yuan", "1500"},
        {"12,345,678", "12345678"}, {"二零零八", "2008"},      {"壹 1,50", "50"},
    };
    static const char *const none[][2] = {
        {"一个", "1"}, {"一些人", "1"}, {"统一的", "1"}, {"百十千", "100"}, {"三心二意", "3"}, {"1,50", "150"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!has_term(pairs[i][0], pairs[i][1]))
            fail_msg("'%s' lacks %s", pairs[i][0], pairs[i][1]);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (has_term(none[i][0], none[i][1]))
            fail_msg("'%s' has %s", none[i][0], none[i][1]);
}

struct wanted {
    const char *term;
    bool found;
};

static bool compare_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct wanted *w = user;
    w->found |= strlen(w->term) == len && memcmp(w->term, term, len) == 0;
    return true;
}

static bool has_term(const char *text, const char *term)
{
    struct wanted w = {term, false};
    assert_int_equal(segment_text(text, strlen(text), compare_term, &w, NULL), SOOTH_OK);
    return w.found;
}

static void stems(void **state)
{
    static const char *const pairs[][2] = {
        {"caresses", "caress"},
        {"ponies", "poni"},
        {"feed", "feed"},
        {"agreed", "agre"},
        {"hopping", "hop"},
        {"filing", "file"},
        {"happy", "happi"},
        {"rate", "rate"},
        {"cease", "ceas"},
        {"controlling", "control"},
        {"relational", "relat"},
        {"installed", "instal"},
        {"installation", "instal"},
        {"installing", "instal"},
        {"adoption", "adopt"},
        {"electrical", "electr"},
        {"sky", "sky"},
        {"generalizations", "gener"},
        {"is", "is"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char word[32];
        size_t n = strlen(pairs[i][0]);
        memcpy(word, pairs[i][0], n + 1);
        word[stem_english(word, n)] = '\0';
        assert_string_equal(word, pairs[i][1]);
    }
}

static bool valid_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    assert_true(len > 0 && len <= TERM_MAX);
    assert_true(utf8_valid(term, len));
    ++*(size_t *)user;
    return true;
}

/* What is marked, in brackets. */
static void marked(const char *query, const char *text, size_t most, const char *want)
{
    struct sooth_snippet s;
    struct buf b = BUF_INIT;
    assert_int_equal(sooth_snippet_make(query, text, strlen(text), most, &s, NULL), SOOTH_OK);
    assert_true(s.end - s.start <= (most ? most : 240) && utf8_valid(text + s.start, s.end - s.start));
    size_t at = s.start;
    for (size_t i = 0; i < s.n_marks; i++) {
        buf_add(&b, text + at, s.marks[i].start - at);
        buf_printf(&b, "[%.*s]", (int)(s.marks[i].end - s.marks[i].start), text + s.marks[i].start);
        at = s.marks[i].end;
    }
    buf_add(&b, text + at, s.end - at);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
}

static void snippets_mark_what_matched(void **state)
{
    marked("notice period", "The NOTICES are short; periods vary.", 0, "The [NOTICES] are short; [periods] vary.");
    marked("数据库", "本數據庫很大", 0, "本[數據庫]很大");
    marked("120", "共一百二十元", 0, "共[一百二十]元");
    marked("dh_make", "run dh_make -s now", 0, "run [dh_make] -s now");
    marked("absent", "nothing here", 0, "nothing here");
    marked("", "nothing here", 0, "nothing here");
    marked("end", "a long beginning that says nothing at all about it and then the end", 30, "all about it and then the [end]");
}

static void any_bytes_give_valid_terms(void **state)
{
    static const char *const bits[] = {"a",  "Z9", "_",    "..",       "数",
                                       "據", "é",  "\xFF", "\xE4\xB8", " ",
                                       "\n", "ﬁ",  "Ａ",   "'",        "\xF0\x9F\x98\x80",
                                       "한"};
    struct rng r;
    rng_seed(&r, 7);
    for (int round = 0; round < 300; round++) {
        struct buf b = BUF_INIT;
        size_t count = 0;
        for (size_t i = 0, n = rng_below(&r, 600); i < n; i++)
            buf_puts(&b, bits[rng_below(&r, sizeof bits / sizeof *bits)]);
        assert_int_equal(segment_text(buf_str(&b), b.len, valid_term, &count, NULL), SOOTH_OK);
        assert_true(count <= 3 * b.len);
        buf_release(&b);
    }
    char word[5000];
    memset(word, 'x', sizeof word);
    size_t count = 0;
    segment_text(word, sizeof word, valid_term, &count, NULL);
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_codes),
        cmocka_unit_test(han_runs),
        cmocka_unit_test(lesson_rag_12_traditional_is_simplified_in_the_index),
        cmocka_unit_test(lesson_rag_13_width_and_forms_fold),
        cmocka_unit_test(lesson_rag_03_ligatures_are_letters),
        cmocka_unit_test(snippets_mark_what_matched),
        cmocka_unit_test(numerals_are_the_numbers_they_are),
        cmocka_unit_test(stems),
        cmocka_unit_test(any_bytes_give_valid_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
