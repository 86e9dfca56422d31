/* gguf_split.c: a GGUF model in several files.
 *
 *     NAME-00001-of-00003.gguf      every fact, and the first tensors    split.no 0, split.count 3, split.tensors.count 291
 *     NAME-00002-of-00003.gguf      more tensors                         split.no 1, split.count 3
 *     NAME-00003-of-00003.gguf      the rest                             split.no 2, split.count 3
 *
 * The first part is opened by name; the others are found by theirs, which come from the user's path and never from the file. Each must
 * say that it is the part it is taken for, no tensor may occur twice, and together they must be as many as the first says. Facts of
 * the later parts are not looked at.
 *
 * Left out: opening a model by a later part (the error names the first), writing parts. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/file/tensor_view.h"

enum { MAX_PARTS = 1024, SUFFIX = 20 }; /* "-00001-of-00003.gguf" */

/* "-0000N-of-0000M.gguf", N from 1. */
static void suffix(char out[SUFFIX + 1], size_t no, size_t count)
{
    snprintf(out, SUFFIX + 1, "-%05u-of-%05u.gguf", (unsigned)(no + 1) % 100000, (unsigned)count % 100000);
}

/* Is the view, just read, part `no` of `count`? */
static enum sooth_status check_part(const struct tensor_file *part, const char *path, size_t no, size_t count, struct sooth_error *err)
{
    uint64_t says = tensor_file_uint(part, "split.no", UINT64_MAX), of = tensor_file_uint(part, "split.count", 0);
    if (says == no && of == count)
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_FORMAT, "'%s' does not say that it is part %zu of %zu", path, no + 1, count);
}

/* The tensors of one more file; its mapping becomes f's. */
static enum sooth_status add_part(struct tensor_file *f, const char *path, size_t no, size_t count, struct sooth_error *err)
{
    struct tensor_file part = {.path = path};
    struct map_file m;
    enum sooth_status status = map_file_open(path, &m, err);
    if (status)
        return status;
    if (!vec_push(&f->maps, m)) {
        map_file_close(&m);
        return err_nomem(err);
    }
    arena_init(&part.arena, f->arena.max);
    map_init(&part.tensor_names);
    map_init(&part.value_keys);
    if (m.size < 4 || memcmp(m.data, "GGUF", 4))
        status = err_set(err, SOOTH_ERR_FORMAT, "it is not a GGUF file");
    else
        status = gguf_read(&part, &m, err);
    if (status)
        err_prefix(err, "'%s'", path);
    else if (!(status = check_part(&part, path, no, count, err)))
        status = view_reserve(f, part.tensor_count, 0, err);
    for (size_t i = 0; i < part.tensor_count && !status; i++)
        status = view_add_tensor(f, part.tensors[i].name, strlen(part.tensors[i].name), &part.tensors[i], err);
    map_release(&part.tensor_names);
    map_release(&part.value_keys);
    arena_release(&part.arena);
    return status;
}

static enum sooth_status misnamed(const struct tensor_file *f, const char *want, size_t count, struct sooth_error *err)
{
    uint64_t no = tensor_file_uint(f, "split.no", 0);
    err_set(err, SOOTH_ERR_UNSUPPORTED, "this is part %llu of a split model of %zu files", (unsigned long long)no + 1, count);
    return err_hint(err, "open the one whose name ends in '%s', with the others beside it", want);
}

enum sooth_status gguf_split_read(struct tensor_file *f, struct sooth_error *err)
{
    size_t count = (size_t)tensor_file_uint(f, "split.count", 0), len = strlen(f->path);
    uint64_t total = tensor_file_uint(f, "split.tensors.count", 0);
    char want[SUFFIX + 1];
    struct buf path = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (count > MAX_PARTS)
        return err_set(err, SOOTH_ERR_LIMIT, "a model in %zu files: at most %d are read", count, MAX_PARTS);
    suffix(want, 0, count);
    if (tensor_file_uint(f, "split.no", 0) != 0 || len <= SUFFIX || strcmp(f->path + len - SUFFIX, want))
        return misnamed(f, want, count, err);
    for (size_t no = 1; no < count && !status; no++) {
        suffix(want, no, count);
        buf_clear(&path);
        if (!buf_add(&path, f->path, len - SUFFIX) || !buf_puts(&path, want))
            status = err_nomem(err);
        else
            status = add_part(f, buf_str(&path), no, count, err);
    }
    buf_release(&path);
    if (!status && total && total != f->tensor_count)
        status = err_set(err, SOOTH_ERR_FORMAT, "%zu tensors in %zu files, where the first says %llu", f->tensor_count, count,
                         (unsigned long long)total);
    return status;
}
