/* test_gguf_split.c: a model in three files, as the reference package wrote it (tools/golden/file_golden.py), and what may be wrong with one. */
#include "file_fixture.h"
#include "core/base/fsio.h"

enum { PARTS = 3 };

static void part_path(char out[128], size_t no, const char *count)
{
    snprintf(out, 128, "%s/m-%05zu-of-%s.gguf", fixture_dir, no + 1, count);
}

static struct buf golden_part(size_t no)
{
    char path[4096];
    struct buf b = BUF_INIT;
    snprintf(path, sizeof path, "%s/tests/golden/file/small-%05zu-of-00003.gguf", getenv("SOOTH_SOURCE"), no + 1);
    assert_int_equal(file_read(path, 1 << 20, &b, NULL), SOOTH_OK);
    return b;
}

/* Puts the parts where they belong: order[i] says whose bytes become part i; -1: none. */
static void lay(const int order[PARTS])
{
    char path[128];
    for (size_t i = 0; i < PARTS; i++) {
        part_path(path, i, "00003");
        unlink(path);
        if (order[i] < 0)
            continue;
        struct buf b = golden_part((size_t)order[i]);
        assert_int_equal(file_write_atomic(path, b.data, b.len, NULL), SOOTH_OK);
        buf_release(&b);
    }
}

static void clear(void)
{
    lay((const int[PARTS]){-1, -1, -1});
}

static enum sooth_status open_part(size_t no, struct tensor_file **f, struct sooth_error *err)
{
    char path[128];
    part_path(path, no, "00003");
    return tensor_file_open(path, NULL, f, err);
}

static void three_files_are_one_model(void **state)
{
    struct tensor_file *f;
    struct sooth_error err = {0};
    lay((const int[PARTS]){0, 1, 2});
    if (open_part(0, &f, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(tensor_file_count(f), 5);
    assert_int_equal(tensor_file_uint(f, "llama.block_count", 0), 1);
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%zu.weight", i);
        const struct file_tensor *t = tensor_file_find(f, name);
        assert_non_null(t);
        assert_int_equal(t->dims[0] * t->dims[1], 6);
        for (size_t k = 0; k < 6; k++)
            assert_true(((const float *)t->data)[k] == (float)k / 2 + (float)i);
    }
    assert_true(tensor_file_intact(f));
    tensor_file_close(f);
    clear();
}

static void refused(const int order[PARTS], size_t no, enum sooth_status status, const char *says)
{
    struct tensor_file *f;
    struct sooth_error err = {0};
    lay(order);
    enum sooth_status got = open_part(no, &f, &err);
    assert_null(f);
    if (got != status || !strstr(err.text, says))
        fail_msg("%s: '%s'", sooth_status_name(got), err.text);
    clear();
}

static void parts_that_do_not_belong(void **state)
{
    refused((const int[PARTS]){0, 1, -1}, 0, SOOTH_ERR_NOTFOUND, "m-00003-of-00003.gguf");
    refused((const int[PARTS]){0, 2, 1}, 0, SOOTH_ERR_FORMAT, "part 2 of 3");
    refused((const int[PARTS]){0, 1, 0}, 0, SOOTH_ERR_FORMAT, "part 3 of 3");
    refused((const int[PARTS]){0, 1, 2}, 1, SOOTH_ERR_UNSUPPORTED, "part 2 of a split model of 3 files");
    refused((const int[PARTS]){1, 1, 2}, 0, SOOTH_ERR_UNSUPPORTED, "split model");
}

/* The k-th byte of part 2 or 3 is another, or the part ends there: a clear refusal or a model, never a crash. */
static void threat_gguf_split_damaged(void **state)
{
    for (size_t no = 1; no < PARTS; no++) {
        struct buf good = golden_part(no);
        char path[128];
        lay((const int[PARTS]){0, 1, 2});
        part_path(path, no, "00003");
        for (size_t at = 0; at < good.len; at++)
            for (int cut = 0; cut < 2; cut++) {
                struct tensor_file *f;
                struct sooth_error err = {0};
                char kept = good.data[at];
                good.data[at] = (char)(kept ^ 0xFF);
                assert_int_equal(file_write_atomic(path, good.data, cut ? at : good.len, NULL), SOOTH_OK);
                good.data[at] = kept;
                enum sooth_status status = open_part(0, &f, &err);
                assert_true(status == SOOTH_OK ? f != NULL : !f && err.text[0]);
                if (cut)
                    assert_true(status != SOOTH_OK || at >= good.len - 8); /* all but the last padding is needed */
                if (f)
                    fixture_touch(f);
                tensor_file_close(f);
            }
        buf_release(&good);
    }
    clear();
}

/* A first part that promises many. */
static void threat_gguf_split_counts(void **state)
{
    struct buf b = golden_part(0);
    struct sooth_error err = {0};
    struct tensor_file *f;
    char path[128], *at = memmem(b.data, b.len, "split.count", 11);
    assert_non_null(at);
    at += 11 + 4; /* past the value's type */
    memset(at, 0xFF, 2);
    part_path(path, 0, "65535");
    assert_int_equal(file_write_atomic(path, b.data, b.len, NULL), SOOTH_OK);
    assert_int_equal(tensor_file_open(path, NULL, &f, &err), SOOTH_ERR_LIMIT);
    unlink(path);
    buf_release(&b);
}

static void fail_gguf_split_read(void **state)
{
    struct tensor_file *f = NULL;
    uint64_t live = mem_live();
    lay((const int[PARTS]){0, 1, 2});
    for (uint64_t at = 1; !f; at++) {
        mem_fail_at(at);
        enum sooth_status status = open_part(0, &f, NULL);
        mem_fail_at(0);
        assert_true(status == SOOTH_OK || status == SOOTH_ERR_NOMEM);
        assert_true(f || mem_live() == live);
        assert_true(at < 1000);
    }
    tensor_file_close(f);
    assert_int_equal(mem_live(), live);
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_files_are_one_model), cmocka_unit_test(parts_that_do_not_belong), cmocka_unit_test(threat_gguf_split_damaged),
        cmocka_unit_test(threat_gguf_split_counts),  cmocka_unit_test(fail_gguf_split_read),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
