/* safetensors_writer.c: one safetensors file (the layout is drawn in safetensors.c). The header is
 * padded with spaces so that the data starts at a multiple of 8; the format asks for no more. */
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "model/file/tensor_view.h"

static enum sooth_status write_entry(struct json_writer *w, const struct file_tensor *t, size_t *at,
                                     struct sooth_error *err)
{
    const struct tensor_type *type = tensor_type_find(t->type);
    size_t bytes, end;
    if (!safetensors_dtype(t->type) || !tensor_type_size(type, t->ndim, t->dims, &bytes) ||
        bytes != t->bytes || !size_add(*at, bytes, &end) || end > INT64_MAX)
        return err_set(err, SOOTH_ERR_ARG, "tensor '%s' cannot be written to a safetensors file",
                       t->name);
    jsonw_key(w, t->name);
    jsonw_object(w);
    jsonw_key(w, "dtype");
    jsonw_string(w, safetensors_dtype(t->type));
    jsonw_key(w, "shape");
    jsonw_array(w);
    for (uint32_t i = t->ndim; i-- > 0;)
        jsonw_int(w, (int64_t)t->dims[i]);
    jsonw_end_array(w);
    jsonw_key(w, "data_offsets");
    jsonw_array(w);
    jsonw_int(w, (int64_t)*at);
    jsonw_int(w, (int64_t)end);
    jsonw_end_array(w);
    jsonw_end_object(w);
    *at = end;
    return SOOTH_OK;
}

static enum sooth_status write_header(struct buf *head, const struct file_tensor *tensors,
                                      size_t count, const struct file_value *facts, size_t n,
                                      struct sooth_error *err)
{
    struct json_writer w;
    size_t at = 0;
    enum sooth_status status = SOOTH_OK;
    jsonw_init(&w, head);
    jsonw_object(&w);
    if (n) {
        jsonw_key(&w, "__metadata__");
        jsonw_object(&w);
        for (size_t i = 0; i < n; i++) {
            jsonw_key(&w, facts[i].key);
            jsonw_stringn(&w, facts[i].s.text, facts[i].s.len);
        }
        jsonw_end_object(&w);
    }
    for (size_t i = 0; i < count && !status; i++)
        status = write_entry(&w, &tensors[i], &at, err);
    jsonw_end_object(&w);
    while (head->len % 8 && buf_putc(head, ' '))
        ;
    if (!status && head->failed)
        status = err_nomem(err);
    return status;
}

enum sooth_status safetensors_write(const char *path, const struct file_tensor *tensors,
                                    size_t count, const struct file_value *facts, size_t n,
                                    struct sooth_error *err)
{
    struct buf head = BUF_INIT;
    struct file_writer out;
    uint64_t len;
    enum sooth_status status = write_header(&head, tensors, count, facts, n, err);
    if (!status)
        status = file_writer_open(&out, path, err);
    if (status) {
        buf_release(&head);
        return status;
    }
    len = head.len;
    status = file_writer_add(&out, &len, sizeof len, err);
    if (!status)
        status = file_writer_add(&out, head.data, head.len, err);
    for (size_t i = 0; i < count && !status; i++)
        status = file_writer_add(&out, tensors[i].data, tensors[i].bytes, err);
    if (status)
        file_writer_abort(&out);
    else
        status = file_writer_commit(&out, err);
    buf_release(&head);
    return status;
}
