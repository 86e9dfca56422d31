/* test_mem.c: allocation, vectors, buffers, arenas, maps; each also with every allocation failing
 * in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/vec.h"

/* Runs scenario with the n-th allocation failing, n = 1, 2, ..., until it needs fewer than n.
 * Nothing may leak. */
static unsigned each_allocation_fails(bool (*scenario)(void))
{
    uint64_t live = mem_live();
    for (unsigned n = 1; n < 100000; n++) {
        bool ok;
        mem_fail_at(n);
        ok = scenario();
        mem_fail_at(0);
        assert_int_equal(mem_live(), live);
        if (ok)
            return n - 1; /* a scenario that succeeds met no failure */
    }
    fail_msg("the scenario never succeeds");
    return 0;
}

static void test_checked(void **state)
{
    size_t v = 7;
    assert_false(size_add(SIZE_MAX, 1, &v));
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &v));
    assert_true(size_align(33, 32, &v));
    assert_int_equal(v, 64);
    assert_false(size_align(SIZE_MAX - 3, 32, &v));
    assert_true(range_inside(10, 0, 10));
    assert_false(range_inside(11, 0, 10));
    assert_false(range_inside(UINT64_MAX, 2, 10));
    assert_false(range_inside(5, UINT64_MAX, 10));
}

static void test_alloc_counts(void **state)
{
    uint64_t live = mem_live(), count = mem_count();
    void *a = mem_alloc(0), *b = mem_aligned(256, 10), *c = mem_dup("xyz", 4);
    assert_non_null(a);
    assert_int_equal((uintptr_t)b % 256, 0);
    assert_string_equal(c, "xyz");
    assert_int_equal(mem_live(), live + 3);
    assert_int_equal(mem_count(), count + 3);
    mem_free(a);
    mem_free(b);
    c = mem_realloc(c, 10, 10);
    mem_free(c);
    mem_free(NULL);
    assert_int_equal(mem_live(), live);
    assert_null(mem_strdup(NULL));
    assert_null(mem_array(SIZE_MAX / 2, 3));
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_null(mem_realloc(NULL, SIZE_MAX / 2, 3));
    assert_int_equal(mem_live(), live);
}

static void test_alloc_fails_once(void **state)
{
    void *p;
    mem_fail_at(2);
    p = mem_alloc(1);
    assert_non_null(p);
    assert_null(mem_alloc(1));
    mem_free(p);
    p = mem_alloc(1);
    assert_non_null(p);
    mem_free(p);
    mem_fail_at(0);
}

static void test_vec(void **state)
{
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(vec_push(&v, i * i));
    assert_int_equal(v.items[999], 999 * 999);
    mem_fail_at(1);
    assert_false(vec_reserve(&v, 100000));
    assert_true(v.failed);
    assert_int_equal(v.items[999], 999 * 999);
    vec_free(&v);
    assert_null(v.items);
}

static bool buf_scenario(void)
{
    struct buf b = BUF_INIT;
    char *taken;
    bool ok;
    for (int i = 0; i < 300; i++)
        buf_printf(&b, "%d,", i);
    ok = !b.failed;
    taken = buf_take(&b);
    assert_true(ok == (taken != NULL));
    if (ok)
        assert_memory_equal(taken + strlen(taken) - 8, "298,299,", 8);
    mem_free(taken);
    return ok;
}

static void test_buf(void **state)
{
    struct buf b;
    char *s;
    buf_init(&b, 10);
    assert_string_equal(buf_str(&b), "");
    assert_true(buf_puts(&b, "12345"));
    assert_true(buf_add(&b, "\0z", 2));
    assert_int_equal(b.len, 7);
    assert_true(buf_put_utf8(&b, 0x4E2D));
    assert_false(buf_putc(&b, 'x')); /* eleventh byte */
    assert_false(buf_puts(&b, ""));  /* the failure sticks */
    assert_null(buf_take(&b));
    assert_int_equal(b.len, 0);
    assert_false(buf_printf(&b, "%s", "12345678901"));
    assert_string_equal(buf_str(&b), "");
    buf_clear(&b);
    assert_true(buf_printf(&b, "%s", "1234567890"));
    s = buf_take(&b);
    assert_string_equal(s, "1234567890");
    mem_free(s);
    s = buf_take(&b); /* an empty one gives an empty string */
    assert_string_equal(s, "");
    mem_free(s);
    assert_true(each_allocation_fails(buf_scenario) > 2);
}

static bool arena_scenario(void)
{
    struct arena a;
    bool ok;
    arena_init(&a, 0);
    for (size_t i = 1; i < 200; i++)
        arena_calloc(&a, i, 100);
    ok = !a.failed && arena_strdup(&a, "end");
    arena_release(&a);
    return ok;
}

static void test_arena(void **state)
{
    struct arena a;
    struct arena_mark m;
    char *kept, *p;
    uint64_t count;
    arena_init(&a, 0);
    kept = arena_strndup(&a, "keep me", 4);
    m = arena_mark(&a);
    for (int round = 0; round < 50; round++) {
        if (round == 1)
            count = mem_count();
        for (size_t i = 1; i < 60; i++) {
            p = arena_alloc(&a, i * 977);
            assert_int_equal((uintptr_t)p % 64, 0);
            memset(p, round, i * 977);
            assert_int_equal((uintptr_t)arena_array(&a, i, 3) % 16, 0);
        }
        arena_reset(&a, m);
    }
    assert_int_equal(mem_count(), count); /* later rounds asked the system for nothing */
    assert_string_equal(kept, "keep");
    assert_int_equal(a.used, 5);
    assert_true(a.peak > 59 * 60 / 2 * 977);
    p = arena_calloc(&a, 100, 10); /* reused memory is zeroed */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    arena_clear(&a);
    assert_int_equal(a.used, 0);
    arena_release(&a);

    arena_init(&a, 1000);
    assert_non_null(arena_alloc(&a, 900));
    assert_null(arena_alloc(&a, 200));
    assert_null(arena_alloc(&a, 1)); /* the failure sticks */
    arena_clear(&a);
    assert_non_null(arena_alloc(&a, 1000));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    arena_release(&a);
    assert_true(each_allocation_fails(arena_scenario) > 2);
}

/* A mark taken on an empty arena, and marks older than a block taken from the spares. */
static void test_arena_marks_nest(void **state)
{
    struct arena a;
    arena_init(&a, 0);
    for (int round = 0; round < 20; round++) {
        struct arena_mark outer = arena_mark(&a), inner;
        unsigned char *x = arena_alloc(&a, 3000), *y;
        memset(x, 1, 3000);
        inner = arena_mark(&a);
        for (int i = 0; i < 5; i++)
            memset(arena_alloc(&a, 5000 + (size_t)round * 999), 2, 5000);
        arena_reset(&a, inner);
        y = arena_alloc(&a, 100);
        memset(y, 3, 100);
        assert_int_equal(x[2999], 1);
        arena_reset(&a, outer);
        assert_int_equal(a.used, 0);
    }
    arena_release(&a);
}

static bool map_scenario(void)
{
    struct map m;
    bool ok = true;
    map_init(&m);
    for (int i = 0; i < 500; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "k%d", i);
        ok = map_put(&m, key, (size_t)n, (uint64_t)i) && ok;
    }
    assert_true(ok == !m.failed);
    map_release(&m);
    return ok;
}

static void test_map(void **state)
{
    struct map m;
    size_t at = 0, len, n = 0;
    const char *key;
    uint64_t v, sum = 0;
    bool fresh;
    map_init(&m);
    assert_false(map_find(&m, "a", 1, &v));
    for (uint64_t i = 0; i < 10000; i++) /* binary keys, the empty one among them */
        assert_true(map_put(&m, &i, i % 9, i));
    assert_true(map_find(&m, "", 0, &v));
    assert_int_equal(v, 9999);
    map_release(&m);
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(map_add(&m, &i, 8, i, &fresh) && fresh);
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(map_add(&m, &i, 8, 0, &fresh) && !fresh);
    assert_int_equal(m.count, 10000);
    while (map_next(&m, &at, &key, &len, &v)) {
        assert_int_equal(len, 8);
        assert_memory_equal(key, &v, 8);
        sum += v;
        n++;
    }
    assert_int_equal(n, 10000);
    assert_int_equal(sum, 10000 * 9999 / 2);
    map_release(&m);
    assert_true(each_allocation_fails(map_scenario) > 4);
}

static void test_error(void **state)
{
    struct sooth_error e;
    char longer[700];
    assert_int_equal(err_set(NULL, SOOTH_ERR_IO, "x"), SOOTH_ERR_IO);
    assert_int_equal(err_set(&e, SOOTH_ERR_FORMAT, "bad name '%s'", "a\nb\x1b[31m\xff\xc2\x85"),
                     SOOTH_ERR_FORMAT);
    assert_string_equal(e.text, "bad name 'a?b?[31m?"
                                "?'");
    assert_string_equal(e.hint, "");
    assert_int_equal(err_hint(&e, "try %d", 3), SOOTH_ERR_FORMAT);
    assert_string_equal(e.hint, "try 3");
    err_prefix(&e, "file '%s'", "x.gguf");
    assert_string_equal(e.text, "file 'x.gguf': bad name 'a?b?[31m?"
                                "?'");
    memset(longer, 0, sizeof longer);
    for (int i = 0; i + 3 < 699; i += 3)
        memcpy(longer + i, "\xe4\xb8\xad", 3);
    err_set(&e, SOOTH_ERR_ARG, "%s", longer);
    assert_int_equal(strlen(e.text), 510); /* 511 would cut a character */
    err_nomem(&e);
    assert_int_equal(e.status, SOOTH_ERR_NOMEM);
    for (int s = SOOTH_OK; s <= SOOTH_ERR_INTERNAL; s++)
        assert_string_not_equal(sooth_status_name((enum sooth_status)s), "unknown");
}

static void remember(void *user, enum log_level level, const char *line)
{
    snprintf(user, 100, "%d:%s", level, line);
}

static void test_log(void **state)
{
    char seen[100] = "";
    log_write(LOG_WARN, "nobody listens");
    log_set(remember, seen);
    log_write(LOG_INFO, "two\nlines %d", 7);
    log_set(NULL, NULL);
    log_write(LOG_WARN, "silence again");
    assert_string_equal(seen, "1:two lines 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checked),
        cmocka_unit_test(test_alloc_counts),
        cmocka_unit_test(test_alloc_fails_once),
        cmocka_unit_test(test_vec),
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_marks_nest),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
