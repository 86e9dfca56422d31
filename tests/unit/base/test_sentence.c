/* test_sentence.c: sentence boundaries, by hand-cut examples ('|' marks a boundary) and by properties. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/base/sentence.h"
#include "core/base/utf8.h"

/* The example without its marks, cut, and put together with marks between sentences that had blanks or nothing. */
static void check(const char *marked)
{
    struct buf plain = BUF_INIT, got = BUF_INIT, want = BUF_INIT;
    for (const char *p = marked; *p; p++) {
        if (*p != '|')
            buf_putc(&plain, *p);
    }
    size_t at = 0;
    struct sentence t;
    while (sentence_next(buf_str(&plain), plain.len, &at, &t)) {
        buf_add(&got, plain.data + t.start, t.end - t.start);
        buf_putc(&got, '\n');
    }
    for (const char *p = marked; *p;) { /* want: pieces between marks, blanks trimmed */
        const char *e = strchr(p, '|');
        size_t n = e ? (size_t)(e - p) : strlen(p);
        while (n && (*p == ' ' || *p == '\n'))
            p++, n--;
        size_t m = n;
        while (m && (p[m - 1] == ' ' || p[m - 1] == '\n'))
            m--;
        buf_add(&want, p, m);
        buf_putc(&want, '\n');
        p += n;
        if (*p == '|')
            p++;
    }
    assert_string_equal(buf_str(&got), buf_str(&want));
    buf_release(&plain);
    buf_release(&got);
    buf_release(&want);
}

static void sentence_latin(void **state)
{
    static const char *const cases[] = {
        "One. |Two! |Three?",
        "Dr. Smith met Mr. J. R. R. Tolkien at 5 p.m. in the house. |They talked.",
        "It costs 3.14 euros. |See fig. 3 and eq. (4) for more, e.g. the curve.",
        "He said \"Stop.\" |Then he left. |(It was late.) |Nobody spoke.",
        "\"Really?\" she asked. |\"Yes!\" he said.",
        "Version 1.2.3 of example.org/index.html?a=b.c is out. |Run foo.sh now.",
        "Wait... what is it? |Well... |This is new.",
        "He works in the U.S. |The office is in Boston, with the U.S. Navy near.",
        "1. Install it. |2. Run it.",
        "Use apples, pears, etc. |Bananas are out.",
        "Use apples, etc. when you can.",
        "He said no. |Then he said yes, see no. 5 below.",
        "The tool is ready. |dpkg-source then unpacks it.",
        "It works. |then it stops.",
        "Smith et al. show this. |Yahoo! is a name.",
        "A line\n|another line\n\n|a third",
        "Plan B. |The next one is C.",
        "Acme Inc. builds it for Foo Ltd. |It is good.",
        "What?! |No way!!! |Fine.",
        "Это дом. |Он стоит здесь. |Γεια. |Ναι.",
        "It was 1999. |Nothing happened.",
        "J. Doe wrote it in approx. three days.",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i]);
}

static void sentence_chinese(void **state)
{
    static const char *const cases[] = {
        "今天下雨。|明天呢？|太好了！|走吧；|再见。",
        "他说：“你好。”|然后走了。",
        "「好。」|她说（真的。）|完了。",
        "他走了……|后来又回来。",
        "圆周率是3.14。|版本为v1.2.3。",
        "第一行\n|第二行",
        "什么？！|不会吧！！！|好。",
        "使用 gcc 4.9.2 编译。|然后运行 foo.sh。",
        "他问“真的吗？”，没有人回答。",
        "1.安装软件。|2.运行。",
        "今日は雨です。|明日は？",
        "Debian 很好。|It is free. |对。",
        "天气好.|我们走.",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i]);
}

static bool blank_only(const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = utf8_decode(s + i, n - i, &k);
        if (!(c <= ' ' || c == 0xA0 || c == 0x3000 || c == 0x2028 || c == 0x85 || c == 0x2009))
            return false;
    }
    return true;
}

static void sentence_properties(void **state)
{
    static const char *const bits[] = { "a", "Dr", ".", "。", "”", " ", "\n", "e\xCC\x81", "\xCC\x81", "\xFF", "…", "！", "7", "中",
                                        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", "\"", ")", "?", "The", "\xE3\x80\x80", "U.S", "\xC2\xA0" };
    struct rng r;
    (void)state;
    rng_seed(&r, 7);
    for (int round = 0; round < 3000; round++) {
        struct buf b = BUF_INIT;
        for (size_t n = rng_below(&r, 30); n-- > 0;)
            buf_puts(&b, bits[rng_below(&r, sizeof bits / sizeof *bits)]);
        size_t at = 0, done = 0;
        struct sentence t;
        while (sentence_next(buf_str(&b), b.len, &at, &t)) {
            assert_true(t.start < t.end && t.start >= done && t.end <= b.len && at >= t.end);
            assert_true(blank_only(b.data + done, t.start - done));
            assert_null(memchr(b.data + t.start, '\n', t.end - t.start));
            if (t.end < b.len) { /* never before a continuation byte of a valid character or a combining mark */
                assert_int_equal(utf8_floor(b.data, b.len, t.end), t.end);
                assert_false(b.data[t.end] == '\xCC');
            }
            done = t.end;
        }
        assert_true(blank_only(buf_str(&b) + done, b.len - done));
        buf_release(&b);
    }
}

static double seconds_for(const char *unit, size_t times)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < times; i++)
        buf_puts(&b, unit);
    double t0 = clock_seconds();
    size_t at = 0;
    struct sentence t;
    while (sentence_next(b.data, b.len, &at, &t))
        ;
    t0 = clock_seconds() - t0;
    buf_release(&b);
    return t0;
}

static void sentence_linear(void **state)
{
    static const char *const units[] = { "a. b ", ".", "”", " ", "x", "\xFF", "。，", "e.g.) " };
    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double small = seconds_for(units[i], 20000), big = seconds_for(units[i], 160000);
        assert_true(big < 40 * small + 0.2); /* 8 times the text; a quadratic one needs 64 times */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sentence_latin), cmocka_unit_test(sentence_chinese),
                                        cmocka_unit_test(sentence_properties), cmocka_unit_test(sentence_linear) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
