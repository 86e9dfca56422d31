/* file_fixture.h: files made of bytes for the tests of this folder, and the questions all
 * containers are asked. */
#ifndef TEST_FILE_FIXTURE_H
#define TEST_FILE_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "model/file/file.h"

static char fixture_dir[64], fixture_path[80];

static inline int fixture_setup(void **state)
{
    snprintf(fixture_dir, sizeof fixture_dir, "/tmp/sooth-test-XXXXXX");
    if (!mkdtemp(fixture_dir))
        return -1;
    snprintf(fixture_path, sizeof fixture_path, "%s/model", fixture_dir);
    return 0;
}

static inline int fixture_teardown(void **state)
{
    unlink(fixture_path);
    return rmdir(fixture_dir);
}

static inline void fixture_write(const void *bytes, size_t len)
{
    FILE *f = fopen(fixture_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Reads everything the view offers, so that a sanitizer sees a pointer that leads outside. */
static inline uint64_t fixture_touch(const struct tensor_file *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < tensor_file_values(f); i++) {
        const struct file_value *v = tensor_file_value_at(f, i);
        sum += strlen(v->key);
        if (v->type == VALUE_STRING)
            sum += strlen(v->s.text);
        else if (v->type == VALUE_ARRAY && v->item == VALUE_STRING)
            for (size_t k = 0; k < v->count; k++)
                for (size_t c = 0; c < v->strings[k].len; c++)
                    sum += (unsigned char)v->strings[k].text[c];
        else if (v->type == VALUE_ARRAY && v->count)
            sum += *(const unsigned char *)v->items;
    }
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        for (size_t k = 0; k < t->bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        assert_ptr_equal(tensor_file_find(f, t->name), t);
    }
    return sum;
}

/* Opens what was written; on failure there must be one clean sentence, no file and nothing leaked.
 */
static inline enum sooth_status fixture_open(struct sooth_error *e)
{
    struct tensor_file *f = (struct tensor_file *)1;
    struct tensor_file_options options = {.max_memory = 64 << 20};
    uint64_t live = mem_live();
    enum sooth_status status;
    *e = (struct sooth_error){0};
    status = tensor_file_open(fixture_path, &options, &f, e);
    if (status) {
        assert_null(f);
        assert_int_equal(e->status, status);
        assert_true(strlen(e->text) > 10);
        assert_null(strchr(e->text, '\n'));
        assert_int_not_equal(status, SOOTH_ERR_INTERNAL);
    } else {
        fixture_touch(f);
    }
    tensor_file_close(f);
    assert_int_equal(mem_live(), live);
    return status;
}

/* Expects a refusal whose sentence holds the word. */
static inline void fixture_refused(const void *bytes, size_t len, enum sooth_status want,
                                   const char *word)
{
    struct sooth_error e;
    fixture_write(bytes, len);
    assert_int_equal(fixture_open(&e), want);
    if (!strstr(e.text, word))
        fail_msg("'%s' does not say '%s'", e.text, word);
}

/* The file cut at every byte: refused each time. From whole (where a cut is harmless) on it may
 * open. */
static inline void fixture_truncate_everywhere(const void *bytes, size_t len, size_t whole)
{
    struct sooth_error e;
    fixture_write(bytes, len);
    while (len-- > 0) {
        enum sooth_status status;
        assert_int_equal(truncate(fixture_path, (off_t)len), 0);
        status = fixture_open(&e);
        if (len < whole && status != SOOTH_ERR_FORMAT)
            fail_msg("cut at byte %zu: status %d", len, status);
    }
}

static const uint64_t fixture_worst[] = {0,
                                         1,
                                         0x7FFFFFFF,
                                         0x80000000,
                                         0xFFFFFFFF,
                                         0x7FFFFFFFFFFFFFFF,
                                         0x8000000000000000,
                                         0xFFFFFFFFFFFFFFFF,
                                         0xFFFFFFFFFFFFFFE0,
                                         0x100000000,
                                         0x2000000000000001};
enum { FIXTURE_WORST = sizeof fixture_worst / sizeof *fixture_worst };

/* A field of a file, to be set to its worst values. */
struct fixture_field {
    size_t at;
    unsigned width;
    const char *what;
};

static inline void fixture_worst_values(const struct buf *good, const struct fixture_field *fields,
                                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < FIXTURE_WORST; k++) {
            struct sooth_error e;
            char *copy = mem_dup(good->data, good->len);
            uint64_t worst = fixture_worst[k], kept = 0;
            memcpy(&kept, copy + fields[i].at, fields[i].width);
            memcpy(copy + fields[i].at, &worst, fields[i].width);
            if (fields[i].width == 4)
                worst &= 0xFFFFFFFF;
            fixture_write(copy, good->len);
            if (!fixture_open(&e) && worst != kept && worst > 0x10000)
                fail_msg("%s = %llu was accepted", fields[i].what, (unsigned long long)worst);
            mem_free(copy);
        }
}

/* Every allocation and every read fails in turn. */
static inline void fixture_fail_everything(void)
{
    for (int memory = 0; memory < 2; memory++)
        for (uint64_t n = 1;; n++) {
            struct sooth_error e;
            enum sooth_status status;
            (memory ? mem_fail_at : file_fail_at)(n);
            status = fixture_open(&e);
            (memory ? mem_fail_at : file_fail_at)(0);
            if (!status)
                break;
            assert_int_equal(status, memory ? SOOTH_ERR_NOMEM : SOOTH_ERR_IO);
            assert_true(n < 10000);
        }
}
#endif
