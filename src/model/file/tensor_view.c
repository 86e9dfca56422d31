/* tensor_view.c: filling in and asking the common view. */
#include "model/file/tensor_view.h"
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"

enum sooth_status view_nomem(const struct tensor_file *f, struct sooth_error *err)
{
    if (f->arena.limited)
        return err_set(err, SOOTH_ERR_LIMIT, "reading it needs more than %zu bytes of memory",
                       f->arena.max);
    return err_nomem(err);
}

enum sooth_status view_reserve(struct tensor_file *f, uint64_t tensors, uint64_t values,
                               struct sooth_error *err)
{
    struct file_tensor *t;
    struct file_value *v;
    if (tensors > VIEW_MAX_TENSORS - f->tensor_count)
        return err_set(err, SOOTH_ERR_LIMIT, "%llu tensors are more than the %d that are read",
                       (unsigned long long)tensors, VIEW_MAX_TENSORS);
    if (values > VIEW_MAX_VALUES - f->value_count)
        return err_set(err, SOOTH_ERR_LIMIT, "%llu keys are more than the %d that are read",
                       (unsigned long long)values, VIEW_MAX_VALUES);
    t = arena_array(&f->arena, f->tensor_count + tensors, sizeof *t);
    v = arena_array(&f->arena, f->value_count + values, sizeof *v);
    if (!t || !v)
        return view_nomem(f, err);
    if (f->tensor_count)
        memcpy(t, f->tensors, f->tensor_count * sizeof *t);
    if (f->value_count)
        memcpy(v, f->values, f->value_count * sizeof *v);
    f->tensors = t;
    f->values = v;
    f->tensor_cap = f->tensor_count + tensors;
    f->value_cap = f->value_count + values;
    return SOOTH_OK;
}

/* Names are shown to people and compared as C strings: valid UTF-8, no control characters, no NUL.
 */
static bool name_ok(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return false;
    return len && len <= VIEW_MAX_NAME && utf8_valid(s, len);
}

/* Checks, copies and registers a name under index i. */
static enum sooth_status register_name(struct tensor_file *f, struct map *names, const char *what,
                                       const char *s, size_t len, size_t i, const char **copy,
                                       struct sooth_error *err)
{
    bool fresh;
    if (!name_ok(s, len))
        return err_set(err, SOOTH_ERR_FORMAT, "%s number %zu has an impossible name", what, i);
    *copy = arena_strndup(&f->arena, s, len);
    if (!*copy)
        return view_nomem(f, err);
    if (!map_add(names, s, len, i, &fresh))
        return err_nomem(err);
    return fresh ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "%s '%s' occurs twice", what, *copy);
}

enum sooth_status view_add_tensor(struct tensor_file *f, const char *name, size_t len,
                                  const struct file_tensor *t, struct sooth_error *err)
{
    struct file_tensor *to;
    enum sooth_status status;
    if (f->tensor_count == f->tensor_cap)
        return err_set(err, SOOTH_ERR_INTERNAL, "no room was reserved for a tensor");
    to = &f->tensors[f->tensor_count];
    *to = *t;
    status =
        register_name(f, &f->tensor_names, "tensor", name, len, f->tensor_count, &to->name, err);
    if (status)
        return status;
    for (uint32_t i = to->ndim; i < TENSOR_DIMS; i++)
        to->dims[i] = 1;
    f->tensor_count++;
    return SOOTH_OK;
}

enum sooth_status view_add_value(struct tensor_file *f, const char *key, size_t len,
                                 const struct file_value *v, struct sooth_error *err)
{
    struct file_value *to;
    enum sooth_status status;
    if (f->value_count == f->value_cap)
        return err_set(err, SOOTH_ERR_INTERNAL, "no room was reserved for a key");
    to = &f->values[f->value_count];
    *to = *v;
    status = register_name(f, &f->value_keys, "key", key, len, f->value_count, &to->key, err);
    if (status)
        return status;
    f->value_count++;
    return SOOTH_OK;
}

enum sooth_status view_put_uint(struct tensor_file *f, const char *key, uint64_t v,
                                struct sooth_error *err)
{
    struct file_value value = {.type = v > UINT32_MAX ? VALUE_U64 : VALUE_U32, .u = v};
    return view_add_value(f, key, strlen(key), &value, err);
}

enum sooth_status view_put_float(struct tensor_file *f, const char *key, double v,
                                 struct sooth_error *err)
{
    struct file_value value = {.type = VALUE_F32, .f = (float)v};
    return view_add_value(f, key, strlen(key), &value, err);
}

enum sooth_status view_put_bool(struct tensor_file *f, const char *key, bool v,
                                struct sooth_error *err)
{
    struct file_value value = {.type = VALUE_BOOL, .u = v};
    return view_add_value(f, key, strlen(key), &value, err);
}

enum sooth_status view_put_string(struct tensor_file *f, const char *key, const char *v,
                                  struct sooth_error *err)
{
    struct file_value value = {.type = VALUE_STRING, .s = {arena_strdup(&f->arena, v), strlen(v)}};
    return value.s.text ? view_add_value(f, key, strlen(key), &value, err) : view_nomem(f, err);
}

size_t value_size(enum value_type t)
{
    static const unsigned char size[] = {
        [VALUE_U8] = 1,  [VALUE_I8] = 1,  [VALUE_BOOL] = 1, [VALUE_U16] = 2,
        [VALUE_I16] = 2, [VALUE_U32] = 4, [VALUE_I32] = 4,  [VALUE_F32] = 4,
        [VALUE_U64] = 8, [VALUE_I64] = 8, [VALUE_F64] = 8,  [VALUE_STRING] = 0,
    };
    return size[t];
}

/* ---- asking ---- */

size_t tensor_file_count(const struct tensor_file *f)
{
    return f->tensor_count;
}

const struct file_tensor *tensor_file_at(const struct tensor_file *f, size_t i)
{
    return &f->tensors[i];
}

const struct file_tensor *tensor_file_find(const struct tensor_file *f, const char *name)
{
    uint64_t i;
    return map_find(&f->tensor_names, name, strlen(name), &i) ? &f->tensors[i] : NULL;
}

size_t tensor_file_values(const struct tensor_file *f)
{
    return f->value_count;
}

const struct file_value *tensor_file_value_at(const struct tensor_file *f, size_t i)
{
    return &f->values[i];
}

const struct file_value *tensor_file_value(const struct tensor_file *f, const char *key)
{
    uint64_t i;
    return map_find(&f->value_keys, key, strlen(key), &i) ? &f->values[i] : NULL;
}

static bool is_unsigned(enum value_type t)
{
    return t == VALUE_U8 || t == VALUE_U16 || t == VALUE_U32 || t == VALUE_U64;
}

static bool is_signed(enum value_type t)
{
    return t == VALUE_I8 || t == VALUE_I16 || t == VALUE_I32 || t == VALUE_I64;
}

uint64_t tensor_file_uint(const struct tensor_file *f, const char *key, uint64_t fallback)
{
    const struct file_value *v = tensor_file_value(f, key);
    if (v && is_unsigned(v->type))
        return v->u;
    return v && is_signed(v->type) && v->i >= 0 ? (uint64_t)v->i : fallback;
}

int64_t tensor_file_int(const struct tensor_file *f, const char *key, int64_t fallback)
{
    const struct file_value *v = tensor_file_value(f, key);
    if (v && is_signed(v->type))
        return v->i;
    return v && is_unsigned(v->type) && v->u <= INT64_MAX ? (int64_t)v->u : fallback;
}

double tensor_file_float(const struct tensor_file *f, const char *key, double fallback)
{
    const struct file_value *v = tensor_file_value(f, key);
    if (!v)
        return fallback;
    if (v->type == VALUE_F32 || v->type == VALUE_F64)
        return v->f;
    return is_unsigned(v->type) ? (double)v->u : is_signed(v->type) ? (double)v->i : fallback;
}

bool tensor_file_bool(const struct tensor_file *f, const char *key, bool fallback)
{
    const struct file_value *v = tensor_file_value(f, key);
    return v && v->type == VALUE_BOOL ? v->u != 0 : fallback;
}

const char *tensor_file_string(const struct tensor_file *f, const char *key, const char *fallback)
{
    const struct file_value *v = tensor_file_value(f, key);
    return v && v->type == VALUE_STRING ? v->s.text : fallback;
}

static const void *array(const struct tensor_file *f, const char *key, enum value_type item,
                         size_t *count)
{
    const struct file_value *v = tensor_file_value(f, key);
    bool found = v && v->type == VALUE_ARRAY && v->item == item;
    *count = found ? v->count : 0;
    return found ? v->items : NULL;
}

const struct file_string *tensor_file_strings(const struct tensor_file *f, const char *key,
                                              size_t *count)
{
    return array(f, key, VALUE_STRING, count);
}

const float *tensor_file_floats(const struct tensor_file *f, const char *key, size_t *count)
{
    return array(f, key, VALUE_F32, count);
}

const uint32_t *tensor_file_uints(const struct tensor_file *f, const char *key, size_t *count)
{
    return array(f, key, VALUE_U32, count);
}

const int32_t *tensor_file_ints(const struct tensor_file *f, const char *key, size_t *count)
{
    const int32_t *p = array(f, key, VALUE_I32, count);
    if (p)
        return p;
    p = array(f, key, VALUE_U32, count); /* some writers store small positive numbers so */
    for (size_t i = 0; i < *count; i++)
        if (p[i] < 0)
            return *count = 0, NULL;
    return p;
}
