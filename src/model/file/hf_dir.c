/* hf_dir.c: a Hugging Face model directory.
 *
 *     config.json                    hyperparameters: translated to GGUF keys by hf_config.c
 *     model.safetensors              the weights, or
 *     model.safetensors.index.json   {"weight_map": {"tensor name": "file name", ...}} and the
 * files it names tokenizer.json, ...            read on demand with tensor_file_part
 *
 * The names in the index come from a stranger. They must be plain file names, are opened beneath
 * the directory and never through a symbolic link; and the index must tell the truth: every tensor
 * it lists lies in the file it names, and no file holds one that it does not list. */
#include <string.h>
#include "core/base/error.h"
#include "model/file/tensor_view.h"

enum { MAX_SHARDS = 1024, MAX_JSON = 64 << 20 };

/* Reads and parses a JSON file of the directory into an arena; NULL and SOOTH_ERR_NOTFOUND when
 * there is none. */
static const struct json *read_json(const struct tensor_file *f, struct arena *a, const char *name,
                                    struct sooth_error *err)
{
    struct buf text;
    const struct json *root = NULL;
    buf_init(&text, MAX_JSON);
    if (!tensor_file_part(f, name, &text, err)) {
        root = json_parse(a, buf_str(&text), text.len, JSON_UNIQUE_KEYS, NULL, err);
        if (!root)
            err_prefix(err, "'%s'", name);
    }
    buf_release(&text);
    return root;
}

static enum sooth_status add_map(struct tensor_file *f, struct map_file *m, struct sooth_error *err)
{
    if (vec_push(&f->maps, *m))
        return safetensors_read(f, m, err);
    map_file_close(m);
    return err_nomem(err);
}

static enum sooth_status read_single(struct tensor_file *f, struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    struct map_file m;
    enum sooth_status status;
    if (!buf_printf(&path, "%s/model.safetensors", f->dir))
        status = err_nomem(err);
    else
        status = map_file_open(buf_str(&path), &m, err);
    buf_release(&path);
    return status ? status : add_map(f, &m, err);
}

/* Each shard once, in the order the index first names them. owner: tensor name to shard number. */
static enum sooth_status read_shards(struct tensor_file *f, const struct json *weights,
                                     struct map *shards, struct map *owner, struct sooth_error *err)
{
    for (const struct json *j = weights->child; j; j = j->next) {
        struct map_file m;
        enum sooth_status status;
        uint64_t number;
        if (j->type != JSON_STRING || strlen(j->text) != j->len)
            return err_set(err, SOOTH_ERR_FORMAT, "the index names no file for tensor '%s'",
                           j->key);
        if (map_find(shards, j->text, j->len, &number)) {
            if (!map_put(owner, j->key, j->key_len, number))
                return err_nomem(err);
            continue;
        }
        if (shards->count == MAX_SHARDS)
            return err_set(err, SOOTH_ERR_LIMIT, "the index names more than %d files", MAX_SHARDS);
        status = map_file_open_beneath(f->dir, j->text, &m, err);
        if (!status)
            status = add_map(f, &m, err);
        if (status)
            return err_prefix(err, "index entry '%s'", j->key);
        if (!map_put(owner, j->key, j->key_len, shards->count) ||
            !map_put(shards, j->text, j->len, shards->count))
            return err_nomem(err);
    }
    return SOOTH_OK;
}

static bool inside(const struct map_file *m, const struct file_tensor *t)
{
    const unsigned char *p = t->data;
    return p >= m->data && p <= m->data + m->size;
}

static enum sooth_status check_index(const struct tensor_file *f, const struct json *weights,
                                     const struct map *owner, struct sooth_error *err)
{
    if (owner->count != f->tensor_count)
        return err_set(err, SOOTH_ERR_FORMAT, "the index lists %zu tensors, its files hold %zu",
                       owner->count, f->tensor_count);
    for (const struct json *j = weights->child; j; j = j->next) {
        const struct file_tensor *t = strlen(j->key) == j->key_len ? tensor_file_find(f, j->key)
                                                                   : NULL;
        uint64_t number;
        if (!t || !map_find(owner, j->key, j->key_len, &number) ||
            !inside(&f->maps.items[number], t))
            return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' is not in the file the index names",
                           j->key);
    }
    return SOOTH_OK;
}

static enum sooth_status read_index(struct tensor_file *f, const struct json *index,
                                    struct sooth_error *err)
{
    const struct json *weights = json_get(index, "weight_map");
    struct map shards, owner;
    enum sooth_status status;
    if (!weights || weights->type != JSON_OBJECT || !weights->len)
        return err_set(err, SOOTH_ERR_FORMAT, "model.safetensors.index.json has no weight_map");
    map_init(&shards);
    map_init(&owner);
    status = read_shards(f, weights, &shards, &owner, err);
    if (!status)
        status = check_index(f, weights, &owner, err);
    map_release(&shards);
    map_release(&owner);
    return status;
}

enum sooth_status hf_dir_read(struct tensor_file *f, struct sooth_error *err)
{
    struct arena scratch;
    const struct json *index;
    enum sooth_status status;
    f->format = "safetensors";
    f->dir = f->path;
    f->config = read_json(f, &f->arena, "config.json", err);
    if (!f->config) {
        if (err->status == SOOTH_ERR_NOTFOUND)
            err_set(err, SOOTH_ERR_NOTFOUND, "directory '%s' holds no model: it has no config.json",
                    f->path);
        return err->status;
    }
    status = hf_config_read(f, err);
    if (status)
        return status;
    arena_init(&scratch, f->arena.max);
    index = read_json(f, &scratch, "model.safetensors.index.json", err);
    if (index)
        status = read_index(f, index, err);
    else if (err->status == SOOTH_ERR_NOTFOUND)
        status = read_single(f, err);
    else
        status = err->status;
    arena_release(&scratch);
    return status;
}
