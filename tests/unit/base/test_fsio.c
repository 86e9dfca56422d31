/* test_fsio.c: files read, mapped and replaced, with every system call failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/fsio.h"

static char dir[64], path[128];

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/sooth-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static unsigned entries(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static int remove_dir(void **state)
{
    unlink(path);
    return rmdir(dir);
}

static void expect(const char *want)
{
    struct buf b = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 20, &b, NULL), SOOTH_OK);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
}

static void test_round_trip(void **state)
{
    struct sooth_error e;
    struct buf b = BUF_INIT;
    struct file_writer w;
    assert_int_equal(file_write_atomic(path, "first", 5, &e), SOOTH_OK);
    expect("first");
    assert_int_equal(file_writer_open(&w, path, &e), SOOTH_OK);
    assert_int_equal(file_writer_add(&w, "sec", 3, &e), SOOTH_OK);
    expect("first"); /* until the commit */
    assert_int_equal(file_writer_add(&w, "ond", 3, &e), SOOTH_OK);
    assert_int_equal(w.bytes, 6);
    assert_int_equal(file_writer_commit(&w, &e), SOOTH_OK);
    expect("second");
    assert_int_equal(file_writer_open(&w, path, &e), SOOTH_OK);
    file_writer_add(&w, "third", 5, &e);
    file_writer_abort(&w);
    expect("second");
    assert_int_equal(entries(), 1);
    assert_int_equal(file_read(path, 5, &b, &e), SOOTH_ERR_LIMIT);
    assert_int_equal(b.len, 0);
    assert_int_equal(file_read(path, 6, &b, &e), SOOTH_OK);
    assert_int_equal(file_read(path, 6, &b, &e), SOOTH_OK); /* appends */
    assert_string_equal(b.data, "secondsecond");
    buf_release(&b);
}

static void test_what_is_no_file(void **state)
{
    struct sooth_error e;
    struct buf b = BUF_INIT;
    struct map_file m;
    char fifo[128];
    assert_int_equal(file_read("/nonexistent/x", 10, &b, &e), SOOTH_ERR_NOTFOUND);
    assert_int_equal(map_file_open("/nonexistent/x", &m, &e), SOOTH_ERR_NOTFOUND);
    assert_int_equal(file_read(dir, 10, &b, &e), SOOTH_ERR_IO);
    assert_int_equal(map_file_open("/dev/zero", &m, &e), SOOTH_ERR_IO);
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(file_read(fifo, 10, &b, &e), SOOTH_ERR_IO); /* and does not hang */
    unlink(fifo);
    assert_true(file_exists(dir) && file_is_dir(dir) && !file_is_dir(path) && !file_exists(fifo));
    assert_int_equal(file_write_atomic("/nonexistent/x", "", 0, &e), SOOTH_ERR_IO);
    buf_release(&b);
}

static void test_map(void **state)
{
    struct sooth_error e;
    struct map_file m;
    assert_int_equal(file_write_atomic(path, "mapped", 6, &e), SOOTH_OK);
    assert_int_equal(map_file_open(path, &m, &e), SOOTH_OK);
    assert_int_equal(m.size, 6);
    assert_memory_equal(m.data, "mapped", 6);
    assert_true(map_file_intact(&m));
    assert_int_equal(truncate(path, 3), 0);
    assert_false(map_file_intact(&m));
    map_file_close(&m);
    assert_false(map_file_intact(&m));
    assert_int_equal(file_write_atomic(path, "", 0, &e), SOOTH_OK);
    assert_int_equal(map_file_open(path, &m, &e), SOOTH_OK);
    assert_int_equal(m.size, 0);
    assert_non_null(m.data);
    assert_true(map_file_intact(&m));
    map_file_close(&m);
}

static void test_dir_make(void **state)
{
    struct sooth_error e;
    char deep[160];
    snprintf(deep, sizeof deep, "%s/a//b/c/", dir);
    assert_int_equal(dir_make(deep, &e), SOOTH_OK);
    assert_int_equal(dir_make(deep, &e), SOOTH_OK);
    assert_true(file_is_dir(deep));
    for (int i = 0; i < 3; i++) {
        static const char *const parts[] = {"a/b/c", "a/b", "a"};
        snprintf(deep, sizeof deep, "%s/%s", dir, parts[i]);
        assert_int_equal(rmdir(deep), 0);
    }
    file_write_atomic(path, "", 0, &e);
    snprintf(deep, sizeof deep, "%s/x", path);
    assert_int_equal(dir_make(deep, &e), SOOTH_ERR_IO);
}

/* Whatever fails, the name holds the old bytes or the new ones, and no temporary stays. */
static void fail_every_call(void **state)
{
    struct sooth_error e;
    uint64_t live = mem_live();
    for (int memory = 0; memory < 2; memory++)
        for (uint64_t n = 1;; n++) {
            enum sooth_status s;
            assert_int_equal(file_write_atomic(path, "old", 3, &e), SOOTH_OK);
            e.text[0] = 0;
            (memory ? mem_fail_at : file_fail_at)(n);
            s = file_write_atomic(path, "newer", 5, &e);
            (memory ? mem_fail_at : file_fail_at)(0);
            assert_int_equal(entries(), 1);
            assert_int_equal(mem_live(), live);
            expect(s ? "old" : "newer");
            if (!s)
                break;
            assert_true(e.text[0]);
        }
    for (uint64_t n = 1;; n++) {
        struct buf b = BUF_INIT;
        enum sooth_status s;
        file_fail_at(n);
        s = file_read(path, 100, &b, &e);
        file_fail_at(0);
        assert_int_equal(b.len, s ? 0 : 5);
        buf_release(&b);
        if (!s)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_map),        cmocka_unit_test(test_dir_make),
        cmocka_unit_test(fail_every_call),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
