/* gguf.c: the GGUF reader, versions 2 and 3.
 *
 *     "GGUF" | u32 version | i64 tensor count | i64 key count
 *     keys:     string, u32 type, value            string: u64 length, bytes
 *     tensors:  string, u32 n, n x i64 size (fastest first), u32 type, u64 offset
 *     zeros up to general.alignment (32)
 *     data:     each tensor at its offset from here; offsets follow one another in file order,
 * padded to the alignment
 *
 * Everything is little endian and read in place. Each count is first compared with the bytes that
 * are left, divided by the smallest record it could count, so nothing is allocated for a promise
 * the file cannot keep. Ceilings: 16 MiB a string, 2^26 elements an array, 2^18 tensors, 2^16 keys,
 * 1 MiB alignment.
 *
 * Left out: version 1, big-endian files, arrays of arrays. Models in several files:
 * gguf_split.c. */
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "model/file/tensor_view.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little endian and read in place"
#endif

enum {
    MAX_STRING = 16 << 20,
    MAX_ELEMENTS = 64 << 20,
    MAX_ALIGNMENT = 1 << 20,
    MAX_TENSOR_NAME = 63
};
enum { MIN_KEY = 8 + 4 + 1, MIN_TENSOR = 8 + 4 + 4 + 8 }; /* smallest records */

struct cursor {
    const unsigned char *data;
    size_t at, size;
    struct sooth_error *err;
};

static enum sooth_status truncated(const struct cursor *c)
{
    return err_set(c->err, SOOTH_ERR_FORMAT, "GGUF file is truncated or damaged at byte %zu of %zu",
                   c->at, c->size);
}

static bool take(struct cursor *c, void *out, size_t n)
{
    if (c->size - c->at < n)
        return false;
    memcpy(out, c->data + c->at, n);
    c->at += n;
    return true;
}

static enum sooth_status take_string(struct cursor *c, struct file_string *s)
{
    uint64_t len;
    *s = (struct file_string){0};
    if (!take(c, &len, sizeof len) || len > c->size - c->at)
        return truncated(c);
    if (len > MAX_STRING)
        return err_set(c->err, SOOTH_ERR_LIMIT, "a string of %llu bytes at byte %zu is too long",
                       (unsigned long long)len, c->at);
    *s = (struct file_string){(const char *)c->data + c->at, (size_t)len};
    c->at += (size_t)len;
    return SOOTH_OK;
}

static enum sooth_status bad_bool(const struct cursor *c)
{
    return err_set(c->err, SOOTH_ERR_FORMAT, "a truth value before byte %zu is neither 0 nor 1",
                   c->at);
}

union number {
    uint8_t u8;
    int8_t i8;
    uint16_t u16;
    int16_t i16;
    uint32_t u32;
    int32_t i32;
    float f32;
    uint64_t u64;
    int64_t i64;
    double f64;
};

static void widen(struct file_value *v, const union number *n)
{
    switch (v->type) {
    case VALUE_U8:
    case VALUE_BOOL:
        v->u = n->u8;
        break;
    case VALUE_I8:
        v->i = n->i8;
        break;
    case VALUE_U16:
        v->u = n->u16;
        break;
    case VALUE_I16:
        v->i = n->i16;
        break;
    case VALUE_U32:
        v->u = n->u32;
        break;
    case VALUE_I32:
        v->i = n->i32;
        break;
    case VALUE_F32:
        v->f = (double)n->f32;
        break;
    case VALUE_U64:
        v->u = n->u64;
        break;
    case VALUE_I64:
        v->i = n->i64;
        break;
    case VALUE_F64:
        v->f = n->f64;
        break;
    case VALUE_STRING:
    case VALUE_ARRAY:
        break;
    }
}

static enum sooth_status take_scalar(struct tensor_file *f, struct cursor *c, struct file_value *v)
{
    union number n;
    enum sooth_status status;
    if (v->type == VALUE_STRING) {
        status = take_string(c, &v->s);
        if (!status && !(v->s.text = arena_strndup(&f->arena, v->s.text, v->s.len)))
            status = view_nomem(f, c->err);
        return status;
    }
    if (!take(c, &n, value_size(v->type)))
        return truncated(c);
    widen(v, &n);
    return v->type == VALUE_BOOL && v->u > 1 ? bad_bool(c) : SOOTH_OK;
}

static enum sooth_status take_strings(struct tensor_file *f, struct cursor *c, struct file_value *v)
{
    struct file_string *s = arena_array(&f->arena, v->count, sizeof *s);
    if (!s)
        return view_nomem(f, c->err);
    v->strings = s;
    for (size_t i = 0; i < v->count; i++) {
        enum sooth_status status = take_string(c, &s[i]);
        if (status)
            return status;
    }
    return SOOTH_OK;
}

static enum sooth_status take_array(struct tensor_file *f, struct cursor *c, struct file_value *v)
{
    uint32_t item;
    uint64_t count;
    size_t least; /* bytes of an element */
    void *copy;
    if (!take(c, &item, sizeof item) || !take(c, &count, sizeof count))
        return truncated(c);
    if (item > VALUE_F64 || item == VALUE_ARRAY)
        return err_set(c->err, SOOTH_ERR_UNSUPPORTED, "arrays of value type %u are not read", item);
    v->item = (enum value_type)item;
    least = v->item == VALUE_STRING ? sizeof(uint64_t) : value_size(v->item);
    if (count > (c->size - c->at) / least)
        return truncated(c);
    if (count > MAX_ELEMENTS)
        return err_set(c->err, SOOTH_ERR_LIMIT, "an array of %llu elements is too long",
                       (unsigned long long)count);
    v->count = (size_t)count;
    if (v->item == VALUE_STRING)
        return take_strings(f, c, v);
    copy = arena_array(&f->arena, v->count,
                       value_size(v->item)); /* the file's bytes may be unaligned */
    if (!copy)
        return view_nomem(f, c->err);
    if (!take(c, copy, v->count * value_size(v->item)))
        return truncated(c);
    v->items = copy;
    if (v->item == VALUE_BOOL)
        for (size_t i = 0; i < v->count; i++)
            if (((const unsigned char *)copy)[i] > 1)
                return bad_bool(c);
    return SOOTH_OK;
}

static enum sooth_status take_key(struct tensor_file *f, struct cursor *c)
{
    struct file_string key;
    struct file_value v = {0};
    uint32_t type;
    enum sooth_status status = take_string(c, &key);
    if (status)
        return status;
    if (!take(c, &type, sizeof type))
        return truncated(c);
    if (type > VALUE_F64)
        return err_set(c->err, SOOTH_ERR_FORMAT, "key number %zu has unknown value type %u",
                       f->value_count, type);
    v.type = (enum value_type)type;
    status = v.type == VALUE_ARRAY ? take_array(f, c, &v) : take_scalar(f, c, &v);
    return status ? status : view_add_value(f, key.text, key.len, &v, c->err);
}

/* One tensor's description; *sum is where its data must start, and is moved behind them. */
static enum sooth_status take_tensor(struct tensor_file *f, struct cursor *c, size_t alignment,
                                     size_t *sum)
{
    struct file_string name;
    struct file_tensor t = {0};
    const struct tensor_type *type;
    uint64_t offset;
    enum sooth_status status = take_string(c, &name);
    if (status)
        return status;
    if (name.len > MAX_TENSOR_NAME)
        return err_set(c->err, SOOTH_ERR_FORMAT,
                       "the name of tensor number %zu is longer than %d bytes", f->tensor_count,
                       MAX_TENSOR_NAME);
    if (!take(c, &t.ndim, sizeof t.ndim))
        return truncated(c);
    if (t.ndim > TENSOR_DIMS)
        return err_set(c->err, SOOTH_ERR_FORMAT, "tensor '%.*s' has %u dimensions", (int)name.len,
                       name.text, t.ndim);
    if (!take(c, t.dims, t.ndim * sizeof *t.dims) || !take(c, &t.type, sizeof t.type) ||
        !take(c, &offset, sizeof offset))
        return truncated(c);
    type = t.type < TYPE_U8 ? tensor_type_find(t.type) : NULL;
    if (!type)
        return err_set(c->err, SOOTH_ERR_UNSUPPORTED,
                       "tensor '%.*s' is in number format %u, which is unknown or retired",
                       (int)name.len, name.text, t.type);
    if (!tensor_type_size(type, t.ndim, t.dims, &t.bytes))
        return err_set(c->err, SOOTH_ERR_FORMAT, "tensor '%.*s' has an impossible shape for %s",
                       (int)name.len, name.text, type->name);
    if (offset != *sum || !size_add(*sum, t.bytes, sum) || !size_align(*sum, alignment, sum))
        return err_set(c->err, SOOTH_ERR_FORMAT,
                       "tensor '%.*s' does not start where the one before it ends", (int)name.len,
                       name.text);
    return view_add_tensor(f, name.text, name.len, &t, c->err);
}

static enum sooth_status header(struct cursor *c, uint64_t *tensors, uint64_t *keys)
{
    uint32_t version;
    c->at = 4; /* the magic has been seen */
    *tensors = *keys = 0;
    if (!take(c, &version, sizeof version))
        return truncated(c);
    if (version && !(version & 0xFFFF))
        return err_set(c->err, SOOTH_ERR_UNSUPPORTED,
                       "GGUF file is big-endian (version field 0x%08x)", version);
    if (version != 2 && version != 3)
        return err_set(c->err, SOOTH_ERR_UNSUPPORTED, "GGUF version %u is not read, only 2 and 3",
                       version);
    if (!take(c, tensors, sizeof *tensors) || !take(c, keys, sizeof *keys))
        return truncated(c);
    if (*keys > (c->size - c->at) / MIN_KEY || *tensors > (c->size - c->at) / MIN_TENSOR)
        return err_set(c->err, SOOTH_ERR_FORMAT,
                       "%llu keys and %llu tensors do not fit in %zu bytes",
                       (unsigned long long)*keys, (unsigned long long)*tensors, c->size);
    return SOOTH_OK;
}

static enum sooth_status find_alignment(const struct tensor_file *f, size_t *alignment,
                                        struct sooth_error *err)
{
    const struct file_value *v = tensor_file_value(f, "general.alignment");
    if (!v)
        return SOOTH_OK;
    if (v->type != VALUE_U32 || !v->u || (v->u & (v->u - 1)) || v->u > MAX_ALIGNMENT)
        return err_set(err, SOOTH_ERR_FORMAT,
                       "general.alignment must be a u32 power of two up to %d", MAX_ALIGNMENT);
    *alignment = (size_t)v->u;
    return SOOTH_OK;
}

/* Points the tensors at their bytes. */
static enum sooth_status place(struct tensor_file *f, struct cursor *c, size_t alignment)
{
    size_t start;
    if (!f->tensor_count)
        return SOOTH_OK; /* a vocabulary alone: even the padding may be missing */
    if (!size_align(c->at, alignment, &start))
        return truncated(c);
    for (size_t i = 0; i < f->tensor_count; i++) {
        struct file_tensor *t = &f->tensors[i];
        if (!range_inside(start, t->bytes, c->size))
            return err_set(c->err, SOOTH_ERR_FORMAT,
                           "tensor '%s' ends beyond the file's %zu bytes: truncated file", t->name,
                           c->size);
        t->data = c->data + start;
        if (!size_add(start, t->bytes, &start) || !size_align(start, alignment, &start))
            return truncated(c);
    }
    return SOOTH_OK;
}

enum sooth_status gguf_read(struct tensor_file *f, const struct map_file *m,
                            struct sooth_error *err)
{
    struct cursor c = {m->data, 0, m->size, err};
    uint64_t tensors, keys;
    size_t alignment = 32, sum = 0;
    enum sooth_status status = header(&c, &tensors, &keys);
    f->format = "gguf";
    if (!status)
        status = view_reserve(f, tensors, keys, err);
    for (uint64_t i = 0; i < keys && !status; i++)
        status = take_key(f, &c);
    if (!status)
        status = find_alignment(f, &alignment, err);
    for (uint64_t i = 0; i < tensors && !status; i++)
        status = take_tensor(f, &c, alignment, &sum);
    return status ? status : place(f, &c, alignment);
}
