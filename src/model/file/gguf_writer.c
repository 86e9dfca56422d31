/* gguf_writer.c: the GGUF writer (version 3; the layout is drawn in gguf.c).
 *
 * Keys and tensor descriptions gather in memory; gguf_writer_open puts them into the file; the data
 * follows as it comes. The writer keeps the reader's rules: what it accepts, the reader accepts. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "model/file/tensor_view.h"

enum { ALIGNMENT = 32, MAX_TENSOR_NAME = 63 };

struct gguf_writer {
    struct buf keys, infos;
    struct map names;  /* of keys and, behind a zero byte, of tensors */
    VEC(size_t) sizes; /* bytes of each tensor */
    uint64_t key_count;
    size_t offset;      /* where the next declared tensor starts */
    size_t at, written; /* tensor whose data comes now, and how much of it has come */
    struct file_writer out;
    bool open;
    struct sooth_error first; /* the first failure; status SOOTH_OK until then */
};

struct gguf_writer *gguf_writer_new(void)
{
    struct gguf_writer *w = mem_calloc(1, sizeof *w);
    if (w)
        w->out.fd = -1;
    return w;
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    if (w->open)
        file_writer_abort(&w->out);
    buf_release(&w->keys);
    buf_release(&w->infos);
    map_release(&w->names);
    vec_free(&w->sizes);
    mem_free(w);
}

static void put(struct buf *b, const void *p, size_t n)
{
    buf_add(b, p, n);
}

static void put_u32(struct buf *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static void put_u64(struct buf *b, uint64_t v)
{
    put(b, &v, sizeof v);
}

static void put_text(struct buf *b, const char *s, size_t len)
{
    put_u64(b, len);
    put(b, s, len);
}

/* False after a failure; otherwise the name is new and noted. */
static bool new_name(struct gguf_writer *w, const char *kind, const char *name)
{
    struct buf tagged = BUF_INIT;
    bool fresh = true;
    if (w->first.status)
        return false;
    buf_add(&tagged, kind, 1);
    buf_puts(&tagged, name);
    if (w->open)
        err_set(&w->first, SOOTH_ERR_ARG, "'%s' comes after the file was opened", name);
    else if (tagged.failed || !map_add(&w->names, tagged.data, tagged.len, 0, &fresh))
        err_nomem(&w->first);
    else if (!fresh)
        err_set(&w->first, SOOTH_ERR_ARG, "'%s' is written twice", name);
    buf_release(&tagged);
    return !w->first.status;
}

static void put_scalar(struct buf *b, const struct file_value *v)
{
    float f32 = (float)v->f;
    switch (v->type) {
    case VALUE_U8:
    case VALUE_BOOL:
        put(b, &(uint8_t){(uint8_t)v->u}, 1);
        break;
    case VALUE_I8:
        put(b, &(int8_t){(int8_t)v->i}, 1);
        break;
    case VALUE_U16:
        put(b, &(uint16_t){(uint16_t)v->u}, 2);
        break;
    case VALUE_I16:
        put(b, &(int16_t){(int16_t)v->i}, 2);
        break;
    case VALUE_U32:
        put_u32(b, (uint32_t)v->u);
        break;
    case VALUE_I32:
        put(b, &(int32_t){(int32_t)v->i}, 4);
        break;
    case VALUE_F32:
        put(b, &f32, 4);
        break;
    case VALUE_U64:
        put_u64(b, v->u);
        break;
    case VALUE_I64:
        put(b, &v->i, 8);
        break;
    case VALUE_F64:
        put(b, &v->f, 8);
        break;
    case VALUE_STRING:
        put_text(b, v->s.text, v->s.len);
        break;
    case VALUE_ARRAY:
        break;
    }
}

static void put_array(struct buf *b, const struct file_value *v)
{
    put_u32(b, v->item);
    put_u64(b, v->count);
    if (v->item != VALUE_STRING) {
        put(b, v->items, v->count * value_size(v->item));
        return;
    }
    for (size_t i = 0; i < v->count; i++)
        put_text(b, v->strings[i].text, v->strings[i].len);
}

void gguf_put_value(struct gguf_writer *w, const struct file_value *v)
{
    if (!new_name(w, "k", v->key))
        return;
    put_text(&w->keys, v->key, strlen(v->key));
    put_u32(&w->keys, v->type);
    if (v->type == VALUE_ARRAY)
        put_array(&w->keys, v);
    else
        put_scalar(&w->keys, v);
    w->key_count++;
    if (w->keys.failed)
        err_nomem(&w->first);
}

void gguf_put_uint(struct gguf_writer *w, const char *key, uint32_t v)
{
    gguf_put_value(w, &(struct file_value){.key = key, .type = VALUE_U32, .u = v});
}

void gguf_put_int(struct gguf_writer *w, const char *key, int32_t v)
{
    gguf_put_value(w, &(struct file_value){.key = key, .type = VALUE_I32, .i = v});
}

void gguf_put_float(struct gguf_writer *w, const char *key, float v)
{
    gguf_put_value(w, &(struct file_value){.key = key, .type = VALUE_F32, .f = (double)v});
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    gguf_put_value(w, &(struct file_value){.key = key, .type = VALUE_BOOL, .u = v});
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *v)
{
    gguf_put_value(w, &(struct file_value){.key = key, .type = VALUE_STRING, .s = {v, strlen(v)}});
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t ndim,
                     const uint64_t *dims)
{
    const struct tensor_type *t = type < TYPE_U8 ? tensor_type_find(type) : NULL;
    size_t bytes = 0, next = 0;
    if (!new_name(w, "t", name))
        return;
    if (!t || ndim > TENSOR_DIMS || !*name || strlen(name) > MAX_TENSOR_NAME ||
        !tensor_type_size(t, ndim, dims, &bytes) || !size_add(w->offset, bytes, &next) ||
        !size_align(next, ALIGNMENT, &next)) {
        err_set(&w->first, SOOTH_ERR_ARG,
                "tensor '%s' cannot be written to a GGUF file: its name, type or shape", name);
        return;
    }
    put_text(&w->infos, name, strlen(name));
    put_u32(&w->infos, ndim);
    put(&w->infos, dims, ndim * sizeof *dims);
    put_u32(&w->infos, type);
    put_u64(&w->infos, w->offset);
    w->offset = next;
    if (!vec_push(&w->sizes, bytes) || w->infos.failed)
        err_nomem(&w->first);
}

static enum sooth_status report(const struct gguf_writer *w, struct sooth_error *err)
{
    if (err && w->first.status)
        *err = w->first;
    return w->first.status;
}

static void write_bytes(struct gguf_writer *w, const void *p, size_t n)
{
    if (!w->first.status)
        file_writer_add(&w->out, p, n, &w->first);
}

static void pad(struct gguf_writer *w)
{
    static const char zeros[ALIGNMENT];
    write_bytes(w, zeros, (size_t)(-w->out.bytes % ALIGNMENT));
}

enum { HEAD_BYTES = 24 }; /* magic, version, two counts */

enum sooth_status gguf_writer_bytes(const struct gguf_writer *w, uint64_t *bytes, struct sooth_error *err)
{
    size_t head = 0, total = 0;
    if (w->first.status)
        return report(w, err);
    if (!size_align(HEAD_BYTES + w->keys.len + w->infos.len, ALIGNMENT, &head) || !size_add(head, w->offset, &total))
        return err_set(err, SOOTH_ERR_LIMIT, "the file would be too large");
    *bytes = total;
    return SOOTH_OK;
}

enum sooth_status gguf_writer_open(struct gguf_writer *w, const char *path, struct sooth_error *err)
{
    struct buf head = BUF_INIT;
    if (w->first.status)
        return report(w, err);
    if (w->open)
        err_set(&w->first, SOOTH_ERR_ARG, "'%s' is already open", path);
    else
        w->open = !file_writer_open(&w->out, path, &w->first);
    put(&head, "GGUF", 4);
    put_u32(&head, 3);
    put_u64(&head, w->sizes.count);
    put_u64(&head, w->key_count);
    if (head.failed && !w->first.status)
        err_nomem(&w->first);
    write_bytes(w, head.data, head.len);
    write_bytes(w, w->keys.data, w->keys.len);
    write_bytes(w, w->infos.data, w->infos.len);
    pad(w);
    buf_release(&head);
    return report(w, err);
}

/* Steps over tensors that are complete. */
static void finish_tensors(struct gguf_writer *w)
{
    while (w->at < w->sizes.count && w->written == w->sizes.items[w->at] && !w->first.status) {
        w->at++;
        w->written = 0;
        pad(w);
    }
}

enum sooth_status gguf_writer_add(struct gguf_writer *w, const void *data, size_t bytes,
                                  struct sooth_error *err)
{
    const char *p = data;
    if (!w->open && !w->first.status)
        err_set(&w->first, SOOTH_ERR_ARG, "data comes before the file was opened");
    for (finish_tensors(w); bytes && !w->first.status; finish_tensors(w)) {
        size_t room = w->at < w->sizes.count ? w->sizes.items[w->at] - w->written : 0;
        size_t n = bytes < room ? bytes : room;
        if (!n)
            err_set(&w->first, SOOTH_ERR_ARG, "more data than the declared tensors hold");
        write_bytes(w, p, n);
        w->written += n;
        p += n;
        bytes -= n;
    }
    return report(w, err);
}

enum sooth_status gguf_writer_commit(struct gguf_writer *w, struct sooth_error *err)
{
    if (!w->open && !w->first.status)
        err_set(&w->first, SOOTH_ERR_ARG, "nothing was opened to be written");
    finish_tensors(w);
    if (!w->first.status && w->at < w->sizes.count)
        err_set(&w->first, SOOTH_ERR_ARG, "data of %zu tensors is missing", w->sizes.count - w->at);
    if (w->first.status)
        return report(w, err);
    w->open = false;
    file_writer_commit(&w->out, &w->first);
    return report(w, err);
}
