/* test_darts.c: a made character map read back by the rules of its format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/rng.h"
#include "core/base/utf8.h"
#include "model/file/file.h"
#include "model/convert/darts.h"

static uint32_t unit_at(const struct buf *map, size_t i)
{
    uint32_t bytes, unit;
    memcpy(&bytes, map->data, 4);
    assert_true(i < bytes / 4);
    memcpy(&unit, map->data + 4 + 4 * i, 4);
    return unit;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 512) >> 6);
}

/* What a character becomes, or NULL when the map does not know it. */
static const char *look_up(const struct buf *map, uint32_t c)
{
    uint32_t bytes;
    char key[4];
    size_t len = utf8_encode(c, key), at = offset_of(unit_at(map, 0));
    memcpy(&bytes, map->data, 4);
    for (size_t i = 0; i < len; i++) {
        at ^= (unsigned char)key[i];
        uint32_t unit = unit_at(map, at);
        if ((unit & 0x800000FFu) != (unsigned char)key[i])
            return NULL;
        at ^= offset_of(unit);
        if ((unit >> 8 & 1) && i + 1 == len)
            return map->data + 4 + bytes + (unit_at(map, at) & 0x7FFFFFFFu);
    }
    return NULL;
}

static void replacements_come_back(void **state)
{
    enum { N = 3000 };
    static uint32_t from[N];
    static char texts[N][8];
    static struct file_string to[N];
    struct rng rng;
    struct buf map = BUF_INIT;
    uint32_t c = 1;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < N; i++) { /* all four lengths, dense and sparse */
        c += 1 + (uint32_t)rng_below(&rng, i % 500 < 250 ? 2 : 900);
        while (c >= 0xD800 && c < 0xE000)
            c += 0x800;
        from[i] = c;
        to[i] = (struct file_string){
            texts[i], (size_t)snprintf(texts[i], 8, "%x", (unsigned)(i % 7 ? i : 0))};
        if (i % 11 == 0)
            to[i].len = 0, texts[i][0] = 0;
    }
    assert_true(c < 0x110000);
    assert_int_equal(darts_build(from, to, N, &map, NULL), SOOTH_OK);
    size_t known = 0;
    for (uint32_t x = 1; x < 0x110000; x++) {
        if (x >= 0xD800 && x < 0xE000)
            continue;
        const char *got = look_up(&map, x);
        bool key = known < N && from[known] == x;
        if (key) {
            if (!got)
                fail_msg("U+%04X", x);
            assert_string_equal(got, texts[known++]);
        } else {
            assert_null(got);
        }
    }
    assert_int_equal(known, N);
    buf_release(&map);
}

static void an_empty_map_is_valid(void **state)
{
    struct buf map = BUF_INIT;
    assert_int_equal(darts_build(NULL, NULL, 0, &map, NULL), SOOTH_OK);
    assert_null(look_up(&map, 'a'));
    buf_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replacements_come_back),
                                       cmocka_unit_test(an_empty_map_is_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
