/* safetensors.c: the safetensors reader.
 *
 *     u64 header length N (at most 100,000,000) | N bytes of JSON, spaces at its end allowed | one
 * buffer
 *     {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
 * [0, 24]}, ...}
 *
 * Offsets count from the buffer's start. Sorted by where they begin, the tensors tile the buffer
 * exactly: no holes, no overlap, nothing behind the last. Shapes are written slowest first and are
 * turned round here. Sizes of zero and scalars without dimensions are legal. NaN in the data is
 * nobody's error here. */
#include <stdlib.h>
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "model/file/tensor_view.h"

enum { MAX_HEADER = 100000000 };

struct entry {
    const struct json *node; /* for the name */
    struct file_tensor tensor;
    size_t begin, end;
};

static const struct {
    const char *name;
    uint32_t type;
} dtypes[] = {
    {"F32", TYPE_F32},   {"F16", TYPE_F16},         {"BF16", TYPE_BF16},       {"I64", TYPE_I64},
    {"I32", TYPE_I32},   {"I16", TYPE_I16},         {"I8", TYPE_I8},           {"U8", TYPE_U8},
    {"BOOL", TYPE_BOOL}, {"F64", TYPE_F64},         {"U16", TYPE_U16},         {"U32", TYPE_U32},
    {"U64", TYPE_U64},   {"F8_E4M3", TYPE_F8_E4M3}, {"F8_E5M2", TYPE_F8_E5M2},
};

const char *safetensors_dtype(uint32_t type)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].type == type)
            return dtypes[i].name;
    return NULL;
}

/* A size as JSON: digits only. */
static bool whole_number(const struct json *j, uint64_t *out)
{
    uint64_t v = 0;
    if (!j || j->type != JSON_NUMBER)
        return false;
    for (const char *p = j->text; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    *out = v;
    return true;
}

static bool read_shape(const struct json *shape, struct file_tensor *t)
{
    uint64_t d;
    size_t left;
    if (!shape || shape->type != JSON_ARRAY)
        return false;
    left = shape->len;
    t->ndim = left < TENSOR_DIMS ? (uint32_t)left : TENSOR_DIMS;
    for (size_t i = 0; i < TENSOR_DIMS; i++)
        t->dims[i] = 1;
    for (const struct json *j = shape->child; j; j = j->next) {
        uint64_t *to =
            &t->dims[--left < TENSOR_DIMS ? left
                                          : TENSOR_DIMS - 1]; /* many slow ones share the last */
        if (!whole_number(j, &d) || __builtin_mul_overflow(*to, d, to))
            return false;
    }
    return true;
}

static enum sooth_status read_entry(const struct json *node, struct entry *e,
                                    struct sooth_error *err)
{
    const char *dtype = json_string(node, "dtype", NULL);
    const struct json *offsets = json_get(node, "data_offsets");
    uint64_t begin, end;
    size_t i = 0, n = sizeof dtypes / sizeof *dtypes;
    e->node = node;
    if (!dtype || !offsets || offsets->type != JSON_ARRAY || offsets->len != 2 ||
        !whole_number(offsets->child, &begin) || !whole_number(offsets->child->next, &end) ||
        begin > end || !size_from_u64(begin, &e->begin) || !size_from_u64(end, &e->end))
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' has no proper dtype or data_offsets",
                       node->key);
    while (i < n && strcmp(dtypes[i].name, dtype))
        i++;
    if (i == n)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' has unknown dtype '%s'", node->key,
                       dtype);
    e->tensor.type = dtypes[i].type;
    if (!read_shape(json_get(node, "shape"), &e->tensor) ||
        !tensor_type_size(tensor_type_find(e->tensor.type), e->tensor.ndim, e->tensor.dims,
                          &e->tensor.bytes))
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' has an impossible shape", node->key);
    if (e->end - e->begin != e->tensor.bytes)
        return err_set(err, SOOTH_ERR_FORMAT,
                       "tensor '%s' has %zu bytes of data for a shape of %zu", node->key,
                       e->end - e->begin, e->tensor.bytes);
    return SOOTH_OK;
}

static enum sooth_status read_facts(struct tensor_file *f, const struct json *facts,
                                    struct sooth_error *err)
{
    if (facts->type != JSON_OBJECT)
        return err_set(err, SOOTH_ERR_FORMAT, "__metadata__ is not an object");
    for (const struct json *j = facts->child; j; j = j->next) {
        struct file_value v = {.type = VALUE_STRING};
        enum sooth_status status;
        if (j->type != JSON_STRING)
            return err_set(err, SOOTH_ERR_FORMAT, "__metadata__ '%s' is not a text", j->key);
        if (!(v.s.text = arena_strndup(&f->arena, j->text, j->len)))
            return view_nomem(f, err);
        v.s.len = j->len;
        if (tensor_file_value(f, j->key))
            continue; /* another shard said the same */
        status = view_add_value(f, j->key, j->key_len, &v, err);
        if (status)
            return status;
    }
    return SOOTH_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end; /* an empty one goes before its neighbour */
}

static enum sooth_status place(struct tensor_file *f, struct entry *entries, size_t n,
                               const unsigned char *buffer, size_t size, struct sooth_error *err)
{
    size_t at = 0;
    qsort(entries, n, sizeof *entries, by_begin);
    for (size_t i = 0; i < n; i++) {
        struct entry *e = &entries[i];
        enum sooth_status status;
        if (e->begin != at || e->end > size)
            return err_set(err, SOOTH_ERR_FORMAT,
                           "tensor '%s' leaves a hole, overlaps another or ends beyond the file",
                           e->node->key);
        at = e->end;
        e->tensor.data = buffer + e->begin;
        status = view_add_tensor(f, e->node->key, e->node->key_len, &e->tensor, err);
        if (status)
            return status;
    }
    if (at != size)
        return err_set(err, SOOTH_ERR_FORMAT, "%zu bytes follow the last tensor", size - at);
    return SOOTH_OK;
}

static enum sooth_status read_header(struct tensor_file *f, struct arena *scratch, const char *text,
                                     size_t len, const unsigned char *buffer, size_t size,
                                     struct sooth_error *err)
{
    const struct json *root = json_parse(scratch, text, len, JSON_UNIQUE_KEYS, NULL, err), *facts;
    struct entry *entries;
    size_t n = 0;
    enum sooth_status status;
    if (!root)
        return err->status;
    facts = json_get(root, "__metadata__");
    entries = arena_calloc(scratch, root->len, sizeof *entries);
    if (!entries)
        return scratch->limited
                   ? err_set(err, SOOTH_ERR_LIMIT, "the header needs more than %zu bytes of memory",
                             scratch->max)
                   : err_nomem(err);
    status = view_reserve(f, root->len, facts ? facts->len : 0, err);
    if (!status && facts)
        status = read_facts(f, facts, err);
    for (const struct json *j = root->child; j && !status; j = j->next)
        if (j != facts)
            status = read_entry(j, &entries[n++], err);
    return status ? status : place(f, entries, n, buffer, size, err);
}

enum sooth_status safetensors_read(struct tensor_file *f, const struct map_file *m,
                                   struct sooth_error *err)
{
    uint64_t len;
    struct arena scratch;
    enum sooth_status status;
    f->format = "safetensors";
    if (m->size < sizeof len + 2)
        return err_set(err, SOOTH_ERR_FORMAT, "safetensors file of %zu bytes is truncated",
                       m->size);
    memcpy(&len, m->data, sizeof len);
    if (len > MAX_HEADER)
        return err_set(err, SOOTH_ERR_LIMIT, "safetensors header of %llu bytes is too long",
                       (unsigned long long)len);
    if (len > m->size - sizeof len || m->data[sizeof len] != '{')
        return err_set(err, SOOTH_ERR_FORMAT, "safetensors header is truncated or damaged");
    arena_init(&scratch, f->arena.max);
    status = read_header(f, &scratch, (const char *)m->data + sizeof len, (size_t)len,
                         m->data + sizeof len + len, m->size - sizeof len - (size_t)len, err);
    arena_release(&scratch);
    return status;
}
