/* test_stop.c: stop strings and whole characters, whatever the pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/rng.h"
#include "core/base/utf8.h"
#include "model/infer/stop.h"

struct heard {
    char text[1024];
    size_t len, calls;
    bool whole; /* every piece was valid UTF-8 */
};
static bool hear(void *user, const char *text, size_t len)
{
    struct heard *h = user;
    h->whole = h->whole && utf8_valid(text, len);
    memcpy(h->text + h->len, text, len);
    h->len += len;
    h->calls++;
    return true;
}

/* The definition, written plainly: the first position where a stop ends; of those, the longest. */
static size_t plain_end(const char *text, size_t len, const char *const *stop, size_t n)
{
    for (size_t end = 1; end <= len; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < n; i++) {
            size_t k = strlen(stop[i]);
            if (k <= end && memcmp(text + end - k, stop[i], k) == 0 && k > longest)
                longest = k;
        }
        if (longest)
            return end - longest;
    }
    return len;
}

static void feed(struct stop_stream *s, const char *text, size_t len, const bool *cut)
{
    for (size_t at = 0; at < len;) {
        size_t end = at + 1;
        while (end < len && !cut[end])
            end++;
        if (!stop_add(s, text + at, end - at))
            break;
        at = end;
    }
    stop_end(s);
}

static void lesson_serving_10_random_texts_and_all_splits(void **state)
{
    struct rng rng;
    rng_seed(&rng, 10);
    for (unsigned round = 0; round < 400; round++) {
        char text[16], stops[3][6];
        const char *stop[3];
        size_t len = 1 + rng_below(&rng, 11), n = 1 + rng_below(&rng, 3);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)('a' + rng_below(&rng, 2));
        for (size_t i = 0; i < n; i++) {
            size_t k = 1 + rng_below(&rng, 4);
            for (size_t j = 0; j < k; j++)
                stops[i][j] = (char)('a' + rng_below(&rng, 2));
            stops[i][k] = 0;
            stop[i] = stops[i];
        }
        size_t want = plain_end(text, len, stop, n);
        for (unsigned mask = 0; mask < 1u << (len - 1); mask++) {
            bool cut[16] = {false};
            struct heard h = {.whole = true};
            struct stop_stream s;
            for (size_t i = 1; i < len; i++)
                cut[i] = mask >> (i - 1) & 1;
            assert_int_equal(stop_init(&s, stop, n, hear, &h, NULL), SOOTH_OK);
            feed(&s, text, len, cut);
            assert_int_equal(h.len, want);
            assert_memory_equal(h.text, text, want);
            assert_int_equal(s.text.len, want);
            assert_int_equal(s.stopped, want < len);
            stop_release(&s);
        }
    }
}

/* A four-byte character as 1 + 1 + 2 bytes, plain text, an invalid byte in the middle, a truncated
 * one at the end. */
static void lesson_serving_11_characters_come_out_whole(void **state)
{
    const char *pieces[] = {"\xF0", "\x9F", "\x98\x80", "ok", "\xFF", "y", "\xE4\xB8"};
    const char *after[] = {"",
                           "",
                           "\xF0\x9F\x98\x80",
                           "\xF0\x9F\x98\x80ok",
                           "\xF0\x9F\x98\x80ok\xEF\xBF\xBD",
                           "\xF0\x9F\x98\x80ok\xEF\xBF\xBDy",
                           "\xF0\x9F\x98\x80ok\xEF\xBF\xBDy"};
    struct heard h = {.whole = true};
    struct stop_stream s;
    assert_int_equal(stop_init(&s, NULL, 0, hear, &h, NULL), SOOTH_OK);
    for (size_t i = 0; i < 7; i++) {
        assert_true(stop_add(&s, pieces[i], strlen(pieces[i])));
        h.text[h.len] = 0;
        assert_string_equal(h.text, after[i]);
        assert_true(s.n_pending <= 3);
    }
    stop_end(&s);
    assert_true(h.whole);
    assert_true(h.len > strlen(after[6]));
    assert_true(utf8_valid(h.text, h.len));
    stop_release(&s);
}

/* Any bytes, any cuts: what comes out is the same valid text. */
static void lesson_serving_11_invalid_bytes_do_not_depend_on_cuts(void **state)
{
    static const char alphabet[] = {'a',    '\xF0', '\x9F', '\x98', '\x80', '\xE4',
                                    '\xC3', '\xA9', '\xFF', '\xED', '\xA0'};
    struct rng rng;
    rng_seed(&rng, 11);
    for (unsigned round = 0; round < 20000; round++) {
        char text[12];
        bool none[12] = {false}, cut[12];
        size_t len = 1 + rng_below(&rng, sizeof text);
        for (size_t i = 0; i < len; i++) {
            text[i] = alphabet[rng_below(&rng, sizeof alphabet)];
            cut[i] = rng_below(&rng, 2);
        }
        struct heard a = {.whole = true}, b = {.whole = true};
        struct stop_stream s;
        assert_int_equal(stop_init(&s, NULL, 0, hear, &a, NULL), SOOTH_OK);
        feed(&s, text, len, none);
        stop_release(&s);
        assert_int_equal(stop_init(&s, NULL, 0, hear, &b, NULL), SOOTH_OK);
        feed(&s, text, len, cut);
        stop_release(&s);
        assert_true(a.whole && b.whole);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.text, b.text, a.len);
    }
}

static void multibyte_stops_and_bad_arguments(void **state)
{
    const char *stop[] = {"\xE3\x80\x82\xE5\xAE\x8C", "zz"};
    struct heard h = {.whole = true};
    struct stop_stream s;
    assert_int_equal(stop_init(&s, stop, 2, hear, &h, NULL), SOOTH_OK);
    const char *text = "\xE5\xA5\xBD\xE3\x80\x82\xE5\xAE\x89\xE3\x80\x82\xE5\xAE\x8C\xE4\xBA\x86";
    for (size_t i = 0; i < strlen(text) && stop_add(&s, text + i, 1); i++)
        assert_true(h.whole);
    stop_end(&s);
    assert_true(s.stopped);
    assert_int_equal(h.len, 9);
    stop_release(&s);
    const char *empty[] = {""};
    struct sooth_error err = {0};
    assert_int_equal(stop_init(&s, empty, 1, hear, &h, &err), SOOTH_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_10_random_texts_and_all_splits),
        cmocka_unit_test(lesson_serving_11_characters_come_out_whole),
        cmocka_unit_test(lesson_serving_11_invalid_bytes_do_not_depend_on_cuts),
        cmocka_unit_test(multibyte_stops_and_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
