/* file.c: opening a model file by what its first bytes say, and closing it. */
#include "model/file/file.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/file/tensor_view.h"

static enum sooth_status read_one(struct tensor_file *f, struct sooth_error *err)
{
    struct map_file m;
    enum sooth_status status = map_file_open(f->path, &m, err);
    if (status)
        return status;
    if (!vec_push(&f->maps, m)) {
        map_file_close(&m);
        return err_nomem(err);
    }
    if (m.size >= 4 && !memcmp(m.data, "GGUF", 4)) {
        status = gguf_read(f, &m, err);
        return !status && tensor_file_uint(f, "split.count", 0) > 1 ? gguf_split_read(f, err) : status;
    }
    if (m.size >= 4 && !memcmp(m.data, "E5S1", 4))
        return e5s1_read(f, &m, err);
    if (m.size >= 9 && m.data[8] == '{')
        return safetensors_read(f, &m, err);
    status = err_set(err, SOOTH_ERR_FORMAT, "not a model file (neither GGUF nor safetensors)");
    if (m.size >= 2 && (!memcmp(m.data, "PK", 2) || m.data[0] == 0x80))
        err_hint(err,
                 "PyTorch files hold programs and are never read: convert them to safetensors");
    return status;
}

enum sooth_status tensor_file_open(const char *path, const struct tensor_file_options *options,
                                   struct tensor_file **out, struct sooth_error *err)
{
    struct tensor_file *f = mem_calloc(1, sizeof *f);
    struct sooth_error local; /* a prefix needs the sentence, also when the caller wants none */
    enum sooth_status status;
    *out = NULL;
    if (!f)
        return err_nomem(err);
    if (!err)
        err = &local;
    arena_init(&f->arena, options && options->max_memory ? options->max_memory : (size_t)1 << 30);
    map_init(&f->tensor_names);
    map_init(&f->value_keys);
    f->path = arena_strdup(&f->arena, path);
    if (!f->path)
        status = view_nomem(f, err);
    else if (file_is_dir(path))
        status = hf_dir_read(f, err);
    else
        status = read_one(f, err);
    if (!status)
        status = vocab_check(f, err);
    if (!status && !tensor_file_intact(f))
        status = err_set(err, SOOTH_ERR_IO, "the file changed while it was read");
    if (!status) {
        *out = f;
        return SOOTH_OK;
    }
    if (status != SOOTH_ERR_IO && status != SOOTH_ERR_NOTFOUND && status != SOOTH_ERR_NOMEM)
        err_prefix(err, "'%s'", path);
    tensor_file_close(f);
    return status;
}

void tensor_file_close(struct tensor_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->maps.count; i++)
        map_file_close(&f->maps.items[i]);
    vec_free(&f->maps);
    map_release(&f->tensor_names);
    map_release(&f->value_keys);
    arena_release(&f->arena);
    mem_free(f);
}

const char *tensor_file_format(const struct tensor_file *f)
{
    return f->format;
}

const char *tensor_file_path(const struct tensor_file *f)
{
    return f->path;
}

uint64_t tensor_file_bytes(const struct tensor_file *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->maps.count; i++)
        sum += f->maps.items[i].size;
    return sum;
}

size_t tensor_file_memory(const struct tensor_file *f)
{
    return f->arena.used + f->tensor_names.keys.used + f->value_keys.keys.used;
}

bool tensor_file_intact(const struct tensor_file *f)
{
    for (size_t i = 0; i < f->maps.count; i++)
        if (!map_file_intact(&f->maps.items[i]))
            return false;
    return true;
}

const struct json *tensor_file_config(const struct tensor_file *f)
{
    return f->config;
}

enum sooth_status tensor_file_part(const struct tensor_file *f, const char *name, struct buf *out,
                                   struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    enum sooth_status status;
    if (!f->dir)
        return err_set(err, SOOTH_ERR_NOTFOUND, "'%s' is one file and has no '%s'", f->path, name);
    if (!buf_printf(&path, "%s/%s", f->dir, name))
        status = err_nomem(err);
    else
        status = file_read(buf_str(&path), (size_t)256 << 20, out, err);
    buf_release(&path);
    return status;
}
