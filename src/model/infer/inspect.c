/* inspect.c: what a model file holds, tensor by tensor and fact by fact, without loading it. */
#include <stdio.h>
#include <string.h>
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/file/file.h"
#include "sooth/model.h"

enum { INSPECT_VALUE = 200, INSPECT_PATH = 4096 };

static enum sooth_status inspect_open(const char *path, struct tensor_file **f,
                                      struct sooth_error *err)
{
    char found[INSPECT_PATH];
    *f = NULL;
    enum sooth_status status = sooth_model_find(path, found, sizeof found, err);
    return status == SOOTH_OK ? tensor_file_open(found, NULL, f, err) : status;
}

enum sooth_status sooth_file_tensors(const char *path, sooth_tensor_fn *fn, void *user,
                                     struct sooth_error *err)
{
    struct tensor_file *f;
    enum sooth_status status = inspect_open(path, &f, err);
    for (size_t i = 0; status == SOOTH_OK && i < tensor_file_count(f); i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        const struct tensor_type *type = tensor_type_find(t->type);
        struct sooth_tensor_info info = {.name = t->name,
                                         .type = type ? type->name : "unknown",
                                         .n_dims = t->ndim,
                                         .bytes = t->bytes};
        memcpy(info.dims, t->dims, sizeof info.dims);
        if (!fn(user, &info))
            break;
    }
    tensor_file_close(f);
    return status;
}

static void inspect_number(struct buf *b, enum value_type type, const void *p)
{
    switch (type) {
    case VALUE_U8:
        buf_printf(b, "%u", *(const uint8_t *)p);
        break;
    case VALUE_I8:
        buf_printf(b, "%d", *(const int8_t *)p);
        break;
    case VALUE_U16:
        buf_printf(b, "%u", *(const uint16_t *)p);
        break;
    case VALUE_I16:
        buf_printf(b, "%d", *(const int16_t *)p);
        break;
    case VALUE_U32:
        buf_printf(b, "%lu", (unsigned long)*(const uint32_t *)p);
        break;
    case VALUE_I32:
        buf_printf(b, "%ld", (long)*(const int32_t *)p);
        break;
    case VALUE_U64:
        buf_printf(b, "%llu", (unsigned long long)*(const uint64_t *)p);
        break;
    case VALUE_I64:
        buf_printf(b, "%lld", (long long)*(const int64_t *)p);
        break;
    case VALUE_F32:
        buf_printf(b, "%.7g", (double)*(const float *)p);
        break;
    case VALUE_F64:
        buf_printf(b, "%.15g", *(const double *)p);
        break;
    case VALUE_BOOL:
        buf_puts(b, *(const uint8_t *)p ? "true" : "false");
        break;
    default:
        buf_puts(b, "?");
    }
}

static size_t inspect_size(enum value_type type)
{
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return sizes[type];
}

static void inspect_array(struct buf *b, const struct file_value *v)
{
    buf_printf(b, "[%zu] ", v->count);
    for (size_t i = 0; i < v->count && b->len < INSPECT_VALUE; i++) {
        if (i)
            buf_puts(b, ", ");
        if (v->item == VALUE_STRING)
            buf_add(b, v->strings[i].text,
                    v->strings[i].len < INSPECT_VALUE ? v->strings[i].len : INSPECT_VALUE);
        else if (inspect_size(v->item))
            inspect_number(b, v->item, (const char *)v->items + i * inspect_size(v->item));
    }
}

static void inspect_value(struct buf *b, const struct file_value *v)
{
    buf_clear(b);
    if (v->type == VALUE_ARRAY)
        inspect_array(b, v);
    else if (v->type == VALUE_STRING)
        buf_add(b, v->s.text, v->s.len < 4 * INSPECT_VALUE ? v->s.len : 4 * INSPECT_VALUE);
    else if (v->type == VALUE_F32 || v->type == VALUE_F64)
        buf_printf(b, "%.7g", v->f);
    else if (v->type == VALUE_BOOL)
        buf_puts(b, v->u ? "true" : "false");
    else if (v->type == VALUE_I8 || v->type == VALUE_I16 || v->type == VALUE_I32 ||
             v->type == VALUE_I64)
        buf_printf(b, "%lld", (long long)v->i);
    else
        buf_printf(b, "%llu", (unsigned long long)v->u);
    if (b->len > INSPECT_VALUE) {
        b->len = utf8_floor(b->data, b->len, INSPECT_VALUE);
        b->data[b->len] = 0;
        buf_puts(b, "...");
    }
}

enum sooth_status sooth_file_meta(const char *path, sooth_meta_fn *fn, void *user,
                                  struct sooth_error *err)
{
    struct tensor_file *f;
    struct buf text = BUF_INIT;
    enum sooth_status status = inspect_open(path, &f, err);
    for (size_t i = 0; status == SOOTH_OK && i < tensor_file_values(f); i++) {
        const struct file_value *v = tensor_file_value_at(f, i);
        inspect_value(&text, v);
        if (text.failed)
            status = err_nomem(err);
        else if (!fn(user, v->key, buf_str(&text)))
            break;
    }
    buf_release(&text);
    tensor_file_close(f);
    return status;
}
