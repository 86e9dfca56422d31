/* test_text.c: UTF-8, Unicode, hashes, random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

static void test_utf8_every_code_point(void **state)
{
    char b[4];
    size_t size;
    for (uint32_t c = 0; c < 0x110000; c++) {
        size_t n = utf8_encode(c, b);
        uint32_t back = utf8_decode(b, n, &size);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (back != (surrogate ? 0xFFFD : c) || size != n || utf8_pending(b, n) ||
            utf8_pending(b, n - 1) != n - 1)
            fail_msg("U+%04X", c);
    }
    assert_int_equal(utf8_encode(0x110000, b), 3);
}

/* Every string of up to three bytes, and four-byte ones at the edges: valid exactly when some
 * encoding equals it. */
static void test_utf8_refuses(void **state)
{
    static const char *const bad[] = {"\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\x80",
                                      "\xFF",
                                      "\xE4\xB8",
                                      "\xF0\x9F\x98",
                                      "\xC3(",
                                      "\xE2\x28\xA1"};
    size_t valid = 0, size;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &size), UTF8_BAD);
        assert_int_equal(size, 1);
    }
    for (uint32_t v = 0; v < 1 << 24; v++) {
        char s[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        if ((v >> 16) >= 0xE0)
            valid += utf8_decode(s, 3, &size) != UTF8_BAD;
    }
    assert_int_equal(valid, 0x10000 - 0x800 - 0x800); /* the three-byte code points, no more */
}

static void test_utf8_boundaries(void **state)
{
    const char *s = "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\x80z";
    static const size_t floors[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 12};
    size_t len = strlen(s);
    for (size_t i = 0; i <= len; i++)
        assert_int_equal(utf8_floor(s, len, i), floors[i]);
    assert_int_equal(utf8_floor(s, len, 99), len);
    assert_int_equal(utf8_length(s, len), 6);
    assert_int_equal(utf8_pending("a\xF0\x9F\x98", 4), 3);
    assert_int_equal(utf8_pending("a\xE4", 2), 1);
    assert_int_equal(utf8_pending("a\xED\xA0", 3), 0); /* never becomes a character */
    assert_int_equal(utf8_pending("a\x80\x80", 3), 0);
    assert_int_equal(utf8_pending("", 0), 0);
}

static void test_unicode_classes(void **state)
{
    assert_int_equal(uni_class('a'), UNI_LETTER);
    assert_int_equal(uni_class(0x4E2D), UNI_LETTER);
    assert_int_equal(uni_class(0x301), UNI_MARK);
    assert_int_equal(uni_class(0x661), UNI_NUMBER);
    assert_int_equal(uni_class(0x3002), UNI_PUNCT);
    assert_int_equal(uni_class('$'), UNI_SYMBOL);
    assert_int_equal(uni_class(0x1F600), UNI_SYMBOL);
    assert_int_equal(uni_class(0x3000), UNI_SPACE);
    assert_int_equal(uni_class('\n'), UNI_SPACE | UNI_CONTROL);
    assert_int_equal(uni_class(0x200B), UNI_CONTROL);
    assert_int_equal(uni_class(0x378), UNI_UNASSIGNED);
    assert_int_equal(uni_class(0x20001), UNI_LETTER);
    assert_int_equal(uni_class(0xFFFFFFFF), 0);
    assert_true(uni_is_han(0x3007) && uni_is_han(0x2A6D6) && uni_is_han(0xFA0E) &&
                !uni_is_han(0x3042));
    assert_true(uni_is_cjk(0x3042) && uni_is_cjk(0xAC00) && uni_is_cjk(0x3105) && !uni_is_cjk('a'));
    assert_int_equal(uni_lower(0x130), 'i'); /* the simple mapping, no dot */
    assert_int_equal(uni_upper(0xE9), 0xC9);
}

static void check_form(enum uni_form form, const char *in, const char *want)
{
    struct buf out = BUF_INIT;
    assert_int_equal(uni_normalize(form, in, strlen(in), &out, NULL), SOOTH_OK);
    assert_string_equal(buf_str(&out), want);
    buf_release(&out);
}

static void test_unicode_forms(void **state)
{
    struct buf out = BUF_INIT;
    check_form(UNI_NFC, "e\xCC\x81", "\xC3\xA9");
    check_form(UNI_NFD, "\xC3\xA9", "e\xCC\x81");
    check_form(UNI_NFKC, "\xEF\xBC\xA1\xEF\xAC\x81\xE2\x91\xA0", "Afi1");
    check_form(UNI_NFKD, "\xEF\xB7\xBA\xEF\xB7\xBA", /* the eighteenfold one, twice */
               "\xD8\xB5\xD9\x84\xD9\x89 \xD8\xA7\xD9\x84\xD9\x84\xD9\x87 "
               "\xD8\xB9\xD9\x84\xD9\x8A\xD9\x87 "
               "\xD9\x88\xD8\xB3\xD9\x84\xD9\x85"
               "\xD8\xB5\xD9\x84\xD9\x89 \xD8\xA7\xD9\x84\xD9\x84\xD9\x87 "
               "\xD8\xB9\xD9\x84\xD9\x8A\xD9\x87 "
               "\xD9\x88\xD8\xB3\xD9\x84\xD9\x85");
    check_form(UNI_CASEFOLD,
               "Stra\xC3\x9F"
               "E",
               "strasse");
    check_form(UNI_NFC, "a\xFFz\xF0\x9F\x98\x80", "a\xEF\xBF\xBDz\xF0\x9F\x98\x80");
    check_form(UNI_NFC, "", "");
    for (uint64_t n = 1; n <= 3; n++) {
        mem_fail_at(n);
        assert_int_equal(uni_normalize(UNI_NFKD, "\xEF\xB7\xBA", 3, &out, NULL), SOOTH_ERR_NOMEM);
        mem_fail_at(0);
        buf_release(&out);
    }
}

static void check_decode(const char *encoding, const char *in, size_t len, const char *want,
                         size_t want_bad)
{
    struct buf out = BUF_INIT;
    size_t bad = 99;
    assert_int_equal(uni_decode(encoding, in, len, &out, &bad, NULL), SOOTH_OK);
    assert_string_equal(buf_str(&out), want);
    assert_int_equal(bad, want_bad);
    buf_release(&out);
}

static void test_unicode_decode(void **state)
{
    struct buf out = BUF_INIT;
    struct sooth_error e;
    char big[9000];
    check_decode("gb18030", "\xD6\xD0\xCE\xC4", 4, "\xE4\xB8\xAD\xE6\x96\x87", 0);
    check_decode("big5", "\xA4\xA4\xA4\xE5", 4, "\xE4\xB8\xAD\xE6\x96\x87", 0);
    check_decode("shift_jis", "\x93\xFA", 2, "\xE6\x97\xA5", 0);
    check_decode("windows-1252", "\x80", 1, "\xE2\x82\xAC", 0);
    check_decode("utf-16le", "\x2D\x4E\x3D\xD8\x00\xDE", 6, "\xE4\xB8\xAD\xF0\x9F\x98\x80", 0);
    check_decode("utf-16le", "\x3D\xD8", 2, "\xEF\xBF\xBD", 1);
    check_decode("utf-8", "a\xFF", 2, "a\xEF\xBF\xBD", 1);
    check_decode("gb18030", "", 0, "", 0);
    assert_int_equal(uni_decode("no-such", "a", 1, &out, NULL, &e), SOOTH_ERR_ARG);
    assert_int_equal(uni_decode("", "a", 1, &out, NULL, &e), SOOTH_ERR_ARG);
    assert_int_equal(uni_decode("../../x", "a", 1, &out, NULL, &e), SOOTH_ERR_ARG);
    big[0] = 'x'; /* puts every pair across a boundary of the inner pieces sooner or later */
    big[1] = 0;
    for (size_t i = 2; i + 4 <= sizeof big; i += 4)
        memcpy(big + i, "\x3D\xD8\x00\xDE", 4);
    assert_int_equal(uni_decode("utf-16le", big, 8998, &out, NULL, NULL), SOOTH_OK);
    assert_int_equal(utf8_length(out.data, out.len), 1 + 8996 / 4);
    assert_true(utf8_valid(out.data, out.len));
    buf_release(&out);
}

static void test_sha256(void **state)
{
    char hex[65], text[200];
    sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(text, 'a', sizeof text);
    for (size_t len = 0; len < sizeof text; len++) { /* any split gives the same digest */
        struct sha256 s;
        unsigned char digest[32];
        char pieces[65];
        sha256_hex(text, len, hex);
        sha256_init(&s);
        sha256_add(&s, text, len / 3);
        sha256_add(&s, text, len - len / 3);
        sha256_end(&s, digest);
        hash_hex(digest, pieces);
        assert_string_equal(hex, pieces);
    }
}

static void test_hash64(void **state)
{
    /* Flipping any bit of the input or the seed flips about half of the output. */
    unsigned char in[40] = {0};
    for (size_t len = 1; len <= sizeof in; len++) {
        unsigned flips = 0;
        uint64_t h = hash64(in, len, 1);
        for (size_t bit = 0; bit < len * 8; bit++) {
            in[bit / 8] ^= (unsigned char)(1 << bit % 8);
            flips += (unsigned)__builtin_popcountll(h ^ hash64(in, len, 1));
            in[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        assert_true(flips > len * 8 * 24 && flips < len * 8 * 40);
        assert_true(h != hash64(in, len, 2) && h != hash64(in, len - 1, 1));
    }
}

static void test_rng(void **state)
{
    struct rng r, again;
    double sum = 0, squares = 0;
    unsigned hits[7] = {0};
    r = (struct rng){{1, 2, 3, 4}}; /* the first outputs of the authors' code for this state */
    assert_int_equal(rng_u64(&r), 11520);
    assert_int_equal(rng_u64(&r), 0);
    assert_int_equal(rng_u64(&r), 1509978240);
    assert_int_equal(rng_u64(&r), 1215971899390074240u);
    rng_seed(&r, 42);
    rng_seed(&again, 42);
    for (int i = 0; i < 70000; i++) {
        float f = rng_float(&r);
        double d = rng_double(&r);
        assert_true(f >= 0 && f < 1 && d >= 0 && d < 1);
        hits[rng_below(&r, 7)]++;
        d = rng_normal(&r);
        assert_true(isfinite(d));
        sum += d;
        squares += d * d;
    }
    for (int i = 0; i < 7; i++)
        assert_true(hits[i] > 9500 && hits[i] < 10500);
    assert_true(fabs(sum / 70000) < 0.02 && fabs(squares / 70000 - 1) < 0.03);
    assert_true(rng_u64(&again) == (rng_seed(&r, 42), rng_u64(&r)));
    assert_int_equal(rng_below(&r, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_every_code_point),
        cmocka_unit_test(test_utf8_refuses),
        cmocka_unit_test(test_utf8_boundaries),
        cmocka_unit_test(test_unicode_classes),
        cmocka_unit_test(test_unicode_forms),
        cmocka_unit_test(test_unicode_decode),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hash64),
        cmocka_unit_test(test_rng),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
