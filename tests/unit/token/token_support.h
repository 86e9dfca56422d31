/* token_support.h: finding the study data and the models; small vocabularies written in place. */
#ifndef TESTS_TOKEN_SUPPORT_H
#define TESTS_TOKEN_SUPPORT_H
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
#include "core/base/fsio.h"
#include "core/base/vec.h"
#include "model/token/token.h"

static inline const char *support_dir(const char *variable, const char *beside, char *out, size_t size)
{
    const char *dir = getenv(variable), *source = getenv("SOOTH_SOURCE");
    if (dir)
        snprintf(out, size, "%s", dir);
    else
        snprintf(out, size, "%s/%s", source ? source : ".", beside);
    return out;
}

/* $SOOTH_SHARED/path, or a skipped test where it is absent. */
static inline const char *shared_path(const char *path, char *out, size_t size)
{
    char dir[4000];
    support_dir("SOOTH_SHARED", "../shared", dir, sizeof dir);
    assert_true(snprintf(out, size, "%s/%s", dir, path) < (int)size);
    if (access(out, R_OK)) {
        print_message("skipped: no %s\n", out);
        skip();
    }
    return out;
}

static inline const char *model_path(const char *path, char *out, size_t size)
{
    char dir[4000];
    support_dir("SOOTH_MODELS", "models", dir, sizeof dir);
    assert_true(snprintf(out, size, "%s/%s", dir, path) < (int)size);
    if (access(out, R_OK)) {
        print_message("skipped: no %s\n", out);
        skip();
    }
    return out;
}

static inline const char *golden_path(const char *name, char *out, size_t size)
{
    const char *source = getenv("SOOTH_SOURCE");
    assert_true(snprintf(out, size, "%s/tests/golden/token/%s", source ? source : ".", name) < (int)size);
    return out;
}

static inline struct tokenizer *open_tokenizer(const char *path)
{
    struct sooth_error err = {0};
    struct tensor_file *f = NULL;
    struct tokenizer *t = NULL;
    if (tensor_file_open(path, NULL, &f, &err) || tokenizer_from_file(f, &t, &err))
        fail_msg("%s: %s", path, err.text);
    tensor_file_close(f);
    return t;
}

/* A gzipped vocabulary of the study data. */
static inline struct tokenizer *open_vocab(const char *name)
{
    char path[4096], command[9000], temp[] = "/tmp/sooth-vocab-XXXXXX";
    struct tokenizer *t;
    int fd;
    snprintf(command, sizeof command, "data/vocab/ggml-vocab-%s.gguf.gz", name);
    shared_path(command, path, sizeof path);
    fd = mkstemp(temp);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "gzip -dc '%s' > '%s'", path, temp);
    assert_int_equal(system(command), 0);
    t = open_tokenizer(temp);
    unlink(temp);
    return t;
}

static inline char *read_all(const char *path, size_t *len)
{
    struct sooth_error err = {0};
    struct buf b = BUF_INIT;
    if (file_read(path, 64 << 20, &b, &err))
        fail_msg("%s", err.text);
    *len = b.len;
    return buf_take(&b);
}

static inline void ids_of(const struct tokenizer *t, const char *text, struct token_ids *ids)
{
    struct sooth_error err = {0};
    if (token_encode_text(t, text, strlen(text), 0, ids, &err))
        fail_msg("%s", err.text);
}

static inline void assert_ids(const struct token_ids *ids, const int32_t *want, size_t n)
{
    assert_int_equal(ids->count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids->items[i], want[i]);
}
#endif
