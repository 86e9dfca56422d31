/* importance.c: what an error in each column of a matrix costs: the mean square of what is multiplied with it.
 *
 * For y = W x an error dW gives E|dW x|² = Σ over columns of dW² E[x²] when the inputs are uncorrelated: columns that see
 * large inputs must be coded better. An observer on `linear` sums x² over the tokens of the calibration text. The
 * output and the embedding are left out: the first would need the logits of every token, the second multiplies nothing.
 *
 * File: GGUF, general.type "imatrix"; of each matrix NAME the tensors NAME.in_sum2 [columns] and NAME.counts [1]; keys
 * imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size. Importance = in_sum2 / counts. A column that never saw anything
 * gets a millionth of the mean, not zero: a block of zeros would be coded as zero. */
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/convert/quantize.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct importance_entry {
    char *name;
    size_t cols;
    double *sum;  /* [cols] while gathering */
    float *value; /* [cols] mean squares */
    double count;
};
struct importance {
    struct map names; /* index in entries */
    VEC(struct importance_entry) entries;
    bool failed;
};

struct importance *importance_new(void)
{
    struct importance *im = mem_calloc(1, sizeof *im);
    if (im)
        map_init(&im->names);
    return im;
}

void importance_free(struct importance *im)
{
    if (!im)
        return;
    for (size_t i = 0; i < im->entries.count; i++) {
        mem_free(im->entries.items[i].name);
        mem_free(im->entries.items[i].sum);
        mem_free(im->entries.items[i].value);
    }
    vec_free(&im->entries);
    map_release(&im->names);
    mem_free(im);
}

static struct importance_entry *entry_find(const struct importance *im, const char *name)
{
    uint64_t i;
    return map_find(&im->names, name, strlen(name), &i) ? &im->entries.items[i] : NULL;
}

/* The entry of that name, new with zero sums where there is none; NULL: no memory. */
static struct importance_entry *entry_get(struct importance *im, const char *name, size_t cols)
{
    struct importance_entry *old = entry_find(im, name);
    if (old)
        return old;
    struct importance_entry e = {.name = mem_alloc(strlen(name) + 1), .cols = cols, .sum = mem_calloc(cols, sizeof *e.sum),
                                 .value = mem_calloc(cols, sizeof *e.value)};
    if (e.name && e.sum && e.value && map_put(&im->names, name, strlen(name), im->entries.count) && vec_push(&im->entries, e)) {
        memcpy(e.name, name, strlen(name) + 1);
        return &im->entries.items[im->entries.count - 1];
    }
    mem_free(e.name);
    mem_free(e.sum);
    mem_free(e.value);
    im->failed = true;
    return NULL;
}

/* ---- gathering ---- */

static void importance_observe(void *user, const char *op, const struct weight *w, const struct mat *x, const struct mat *y)
{
    struct importance *im = user;
    if (im->failed || !w || !x || strcmp(op, "linear") != 0)
        return;
    struct importance_entry *e = entry_get(im, w->name, x->cols);
    for (size_t r = 0; e && r < x->rows; r++)
        for (size_t c = 0; c < x->cols; c++)
            e->sum[c] += (double)x->v[r * x->cols + c] * (double)x->v[r * x->cols + c];
    if (e)
        e->count += (double)x->rows;
}

enum sooth_status importance_gather(struct importance *im, const struct quant_source *s, struct sooth_error *err)
{
    struct run_options o = {.pool = s->pool, .observer = importance_observe, .observer_user = im};
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < s->windows && status == SOOTH_OK; i++) {
        quant_note(s, "importance", i, s->windows);
        status = quant_forward(s, &o, i, err);
        if (status == SOOTH_OK && im->failed)
            status = err_nomem(err);
    }
    for (size_t i = 0; i < im->entries.count; i++)
        for (size_t c = 0; c < im->entries.items[i].cols; c++)
            im->entries.items[i].value[c] = (float)im->entries.items[i].sum[c] / (float)im->entries.items[i].count;
    return status;
}

/* ---- files ---- */

static enum sooth_status read_entry(struct importance *im, const struct tensor_file *f, const struct file_tensor *t, size_t stem,
                                    struct sooth_error *err)
{
    char name[256];
    if (stem + 8 > sizeof name)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' has a name that is too long", t->name);
    snprintf(name, sizeof name, "%.*s.counts", (int)stem, t->name);
    const struct file_tensor *counts = tensor_file_find(f, name);
    name[stem] = 0;
    const float count = counts && counts->type == TYPE_F32 && counts->bytes == sizeof(float) ? *(const float *)counts->data : 0;
    if (t->type != TYPE_F32 || t->ndim < 1 || t->bytes != t->dims[0] * sizeof(float) || !(count > 0) || !isfinite(count))
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' holds no sums and counts of one matrix", t->name);
    struct importance_entry *e = entry_get(im, name, (size_t)t->dims[0]);
    if (!e)
        return err_nomem(err);
    e->count = (double)count;
    for (size_t c = 0; c < e->cols; c++) {
        const float v = ((const float *)t->data)[c];
        if (!(v >= 0) || !isfinite(v))
            return err_set(err, SOOTH_ERR_FORMAT, "'%s' holds %g where a sum of squares is wanted", t->name, (double)v);
        e->value[c] = v / count;
        e->sum[c] = (double)v;
    }
    return SOOTH_OK;
}

enum sooth_status importance_read(struct importance *im, const char *path, struct sooth_error *err)
{
    struct tensor_file *f;
    enum sooth_status status = tensor_file_open(path, NULL, &f, err);
    if (status != SOOTH_OK)
        return status;
    if (strcmp(tensor_file_string(f, "general.type", ""), "imatrix") != 0)
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' is not an importance matrix", path);
    for (size_t i = 0; i < tensor_file_count(f) && status == SOOTH_OK; i++) {
        const struct file_tensor *t = tensor_file_at(f, i);
        const size_t len = strlen(t->name);
        if (len > 8 && strcmp(t->name + len - 8, ".in_sum2") == 0)
            status = read_entry(im, f, t, len - 8, err);
    }
    tensor_file_close(f);
    return status;
}

/* Two tensors an entry, declared and then written. */
static enum sooth_status put_entries(const struct importance *im, struct gguf_writer *w, bool data, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < im->entries.count && status == SOOTH_OK; i++) {
        const struct importance_entry *e = &im->entries.items[i];
        struct buf name = BUF_INIT, sums = BUF_INIT;
        if (!data) {
            gguf_put_tensor(w, buf_printf(&name, "%s.in_sum2", e->name) ? name.data : "", TYPE_F32, 2, (uint64_t[]){e->cols, 1});
            buf_clear(&name);
            gguf_put_tensor(w, buf_printf(&name, "%s.counts", e->name) ? name.data : "", TYPE_F32, 2, (uint64_t[]){1, 1});
        } else {
            for (size_t c = 0; c < e->cols; c++)
                buf_add(&sums, &(float){(float)e->sum[c]}, sizeof(float));
            status = sums.failed ? err_nomem(err) : gguf_writer_add(w, sums.data, sums.len, err);
            if (status == SOOTH_OK)
                status = gguf_writer_add(w, &(float){(float)e->count}, sizeof(float), err);
        }
        buf_release(&name);
        buf_release(&sums);
    }
    return status;
}

enum sooth_status importance_write(const struct importance *im, const char *path, const char *data_set, size_t chunks, size_t context,
                                   struct sooth_error *err)
{
    const struct file_string set = {data_set, strlen(data_set)};
    const struct file_value sets = {.key = "imatrix.datasets", .type = VALUE_ARRAY, .item = VALUE_STRING, .count = 1, .strings = &set};
    struct gguf_writer *w = gguf_writer_new();
    if (!w)
        return err_nomem(err);
    gguf_put_string(w, "general.type", "imatrix");
    gguf_put_value(w, &sets);
    gguf_put_uint(w, "imatrix.chunk_count", (uint32_t)chunks);
    gguf_put_uint(w, "imatrix.chunk_size", (uint32_t)context);
    put_entries(im, w, false, err);
    enum sooth_status status = gguf_writer_open(w, path, err);
    if (status == SOOTH_OK)
        status = put_entries(im, w, true, err);
    if (status == SOOTH_OK)
        status = gguf_writer_commit(w, err);
    gguf_writer_free(w);
    return status;
}

enum sooth_status importance_apply(const struct importance *im, quant_tensors *list, struct sooth_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct quant_tensor *t = &list->items[i];
        struct importance_entry *e = entry_find(im, t->to->name);
        double mean = 0;
        if (!e)
            continue;
        if (e->cols != t->cols)
            return err_set(err, SOOTH_ERR_FORMAT, "importance of %zu columns for '%s', which has %zu", e->cols, t->to->name, t->cols);
        for (size_t c = 0; c < e->cols; c++)
            mean += (double)e->value[c] / (double)e->cols;
        for (size_t c = 0; c < e->cols; c++)
            if (e->value[c] == 0)
                e->value[c] = mean > 0 ? (float)(mean * 1e-6) : 1.0f;
        t->importance = t->to->importance = e->value;
    }
    return SOOTH_OK;
}
