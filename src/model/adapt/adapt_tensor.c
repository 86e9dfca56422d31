/* adapt_tensor.c: from weights in memory to tensors of a file and back.
 *
 * Rotary pairs: a head's rows in halves [0 .. d/2) [d/2 .. d) and as neighbours hold the same numbers in another order. Safetensors of
 * llama's kind have halves, GGUF neighbours; a B of LoRA, a bias or a magnitude on q or k follows its weight's rows, a prefix's keys follow them
 * in columns. An adapter is kept in the order of the model it is attached to, and turned only when the file's order differs. */
#include "model/adapt/adapt_tensor.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/near.h"

void tensors_init(struct adapt_tensors *t, enum adapt_layout layout)
{
    *t = (struct adapt_tensors){.layout = layout};
    arena_init(&t->arena, (size_t)1 << 28);
}

void tensors_release(struct adapt_tensors *t)
{
    vec_free(&t->list);
    arena_release(&t->arena);
}

struct adapt_tensor *tensors_add(struct adapt_tensors *t, struct weight *w, const char *format, ...)
{
    char name[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(name, sizeof name, format, ap);
    va_end(ap);
    struct adapt_tensor e = {.w = w, .name = arena_strdup(&t->arena, name), .vector = w->q.rows == 1};
    return e.name && vec_push(&t->list, e) ? &t->list.items[t->list.count - 1] : NULL;
}

void tensors_pair(struct adapt_tensors *t, struct adapt_tensor *e, const struct adapt *a, const struct arch_weight *on, bool columns)
{
    bool file_pairs = t->layout == LAYOUT_GGUF;
    size_t along = on->vector ? on->weight->q.cols : on->weight->q.rows;
    if (!e || on->change != ARCH_PAIRS || file_pairs == arch_is_gguf(a->model))
        return;
    e->heads = along / arch_info(a->model)->head_dim;
    e->columns = columns;
    e->halves = !file_pairs;
}

enum sooth_status tensors_list(struct adapt_tensors *t, const struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = a->row->tensors(a, t, err);
    return !status && (t->list.failed || t->arena.failed) ? err_nomem(err) : status;
}

/* ---- one number's place ---- */

/* Where the number at i of n, in heads of d, lies in the file. */
static size_t paired(const struct adapt_tensor *e, size_t i, size_t n)
{
    size_t d = n / e->heads, head = i / d, k = i % d;
    return head * d + (e->halves ? k % 2 * (d / 2) + k / 2 : k % (d / 2) * 2 + k / (d / 2));
}

static size_t file_rows(const struct adapt_tensor *e) { return e->turned ? e->w->q.cols : e->w->q.rows; }
static size_t file_cols(const struct adapt_tensor *e) { return e->wide ? e->wide : e->turned ? e->w->q.rows : e->w->q.cols; }

static size_t place(const struct adapt_tensor *e, size_t i, size_t j)
{
    const struct qmat *q = &e->w->q;
    bool along_columns = e->columns || e->vector;
    if (e->heads && along_columns)
        j = paired(e, j, q->cols);
    else if (e->heads)
        i = paired(e, i, q->rows);
    return e->turned ? j * file_cols(e) + i : i * file_cols(e) + e->at + j;
}

/* ---- writing ---- */

static float *image_tensor(struct adapt_image *im, const struct adapt_tensor *e)
{
    size_t rows = file_rows(e), cols = file_cols(e), count;
    for (size_t i = 0; i < im->list.count; i++)
        if (strcmp(im->list.items[i].name, e->name) == 0)
            return (float *)im->list.items[i].data;
    if (!size_mul(rows, cols, &count))
        return NULL;
    float *v = arena_array(&im->arena, count, sizeof *v);
    struct file_tensor t = {.name = e->name, .type = TYPE_F32, .ndim = e->vector ? 1 : 2, .dims = {cols, rows, 1, 1}, .data = v,
                            .bytes = count * sizeof *v};
    return v && vec_push(&im->list, t) ? v : NULL;
}

enum sooth_status image_make(struct adapt_image *im, const struct adapt_tensors *t, struct sooth_error *err)
{
    *im = (struct adapt_image){.list = {0}};
    arena_init(&im->arena, 0);
    for (size_t k = 0; k < t->list.count; k++) {
        const struct adapt_tensor *e = &t->list.items[k];
        float *out = image_tensor(im, e);
        if (!out)
            return err_nomem(err);
        for (size_t i = 0; i < e->w->q.rows; i++)
            for (size_t j = 0; j < e->w->q.cols; j++) {
                float v = adapt_numbers(e->w)[i * e->w->q.cols + j] - e->plus;
                out[place(e, i, j)] = e->times != 0 ? (float)((double)v * e->times) : v;
            }
    }
    return SOOTH_OK;
}

void image_release(struct adapt_image *im)
{
    vec_free(&im->list);
    arena_release(&im->arena);
}

/* ---- reading ---- */

const char *tensor_bare_name(const char *name)
{
    static const char *const beginnings[] = {"base_model.", "model.", "language_model.", "transformer.", "bert.", "roberta.", "text_model.", "module."};
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
            if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0) {
                name += strlen(beginnings[i]);
                again = true;
            }
    }
    return name;
}

/* PEFT once wrote this name with an end of its own. */
static size_t bare_length(const char *bare)
{
    size_t n = strlen(bare);
    static const char old[] = ".lora_magnitude_vector.weight";
    return n > sizeof old && strcmp(bare + n - (sizeof old - 1), old) == 0 ? n - 7 : n;
}

/* AdapterHub's names hold the adapter's own ("..output.adapters.NAME.adapter_up.weight"): here it is always "sooth". */
static bool name_given(struct buf *out, const char *bare)
{
    const char *own = strstr(bare, ".adapters."), *end = own ? strchr(own + 10, '.') : NULL;
    buf_clear(out);
    if (!end)
        return buf_add(out, bare, bare_length(bare));
    return buf_add(out, bare, (size_t)(own + 10 - bare)) && buf_puts(out, "sooth") && buf_puts(out, end);
}

static enum sooth_status names_of(const struct tensor_file *f, struct map *names, struct sooth_error *err)
{
    struct buf name = BUF_INIT;
    bool fresh = true, ok = true;
    for (size_t i = 0; i < tensor_file_count(f) && ok && fresh; i++)
        ok = name_given(&name, tensor_bare_name(tensor_file_at(f, i)->name)) && map_add(names, name.data, name.len, i, &fresh);
    enum sooth_status status = !ok ? err_nomem(err) : SOOTH_OK;
    if (ok && !fresh)
        status = err_set(err, SOOTH_ERR_FORMAT, "two tensors of the adapter are '%s'", name.data);
    buf_release(&name);
    return status;
}

static enum sooth_status read_one(const struct adapt_tensor *e, const struct file_tensor *t, struct sooth_error *err)
{
    const struct qtype *type = qtype_by_id(t->type);
    size_t rows = file_rows(e), cols = file_cols(e);
    uint64_t have = t->dims[1] * t->dims[2] * t->dims[3], numbers = have * t->dims[0];
    if (e->vector ? numbers != (uint64_t)rows * cols : (t->dims[0] != cols || have != rows))
        return err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' is %llu x %llu where this model needs %zu x %zu", t->name, (unsigned long long)have,
                       (unsigned long long)t->dims[0], rows, cols);
    if (!type)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' has a number format that adapters do not come in", t->name);
    float *v = mem_array(rows * cols, sizeof *v);
    if (!v)
        return err_nomem(err);
    type->dequant(t->data, v, rows * cols);
    size_t bad = quant_find_bad(v, rows * cols);
    for (size_t i = 0; i < e->w->q.rows && bad == rows * cols; i++)
        for (size_t j = 0; j < e->w->q.cols; j++) {
            float x = v[place(e, i, j)];
            adapt_numbers(e->w)[i * e->w->q.cols + j] = (e->times != 0 ? (float)((double)x / e->times) : x) + e->plus;
        }
    mem_free(v);
    return bad < rows * cols ? err_set(err, SOOTH_ERR_FORMAT, "tensor '%s' holds a number that is not finite, at index %zu", t->name, bad) : SOOTH_OK;
}

enum sooth_status tensors_read(const struct adapt_tensors *t, const struct tensor_file *f, tensors_spare *spare, struct sooth_error *err)
{
    struct map names;
    map_init(&names);
    uint8_t *used = mem_calloc(tensor_file_count(f) + 1, 1);
    enum sooth_status status = used ? names_of(f, &names, err) : err_nomem(err);
    for (size_t i = 0; i < t->list.count && !status; i++) {
        const char *bare = tensor_bare_name(t->list.items[i].name);
        uint64_t at;
        if (!map_find(&names, bare, strlen(bare), &at)) {
            status = err_set(err, SOOTH_ERR_FORMAT, "the adapter has no tensor '%s'", t->list.items[i].name);
        } else {
            used[at] = 1;
            status = read_one(&t->list.items[i], tensor_file_at(f, at), err);
        }
    }
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++)
        if (!used[i] && !(spare && spare(tensor_file_at(f, i)->name)))
            status = err_set(err, SOOTH_ERR_UNSUPPORTED, "tensor '%s' of the adapter would be without effect", tensor_file_at(f, i)->name);
    mem_free(used);
    map_release(&names);
    return status;
}

/* ---- sites ---- */

enum sooth_status found_site(struct adapt_found *f, const struct arch_model *m, const char *module, size_t rank, double alpha, struct sooth_error *err)
{
    const char *bare = tensor_bare_name(module), *near = NULL;
    unsigned best = NEAR_NONE;
    const char *name = NULL;
    for (size_t i = 0; i < arch_weights(m) && !name; i++) {
        const struct arch_weight *w = arch_weight_at(m, i);
        const char *have = tensor_bare_name(w->hf_name);
        size_t n = strlen(have) > 7 && !w->vector ? strlen(have) - 7 : 0; /* ".weight" */
        if (strcmp(w->weight->name, module) == 0 || (n && strlen(bare) == n && strncmp(bare, have, n) == 0))
            name = w->weight->name;
        else if (near_better(bare, have, &best))
            near = w->hf_name;
    }
    if (!name && arch_info(m)->decoder && (strcmp(bare, "lm_head") == 0 || strcmp(bare, "output.weight") == 0))
        name = "output.weight";
    if (!name) {
        err_set(err, SOOTH_ERR_FORMAT, "the adapter changes '%s', which this model does not have", module);
        if (near)
            err_hint(err, "the nearest that it has is '%s'", near);
        return SOOTH_ERR_FORMAT;
    }
    buf_printf(&f->targets, "%s,", name);
    buf_printf(&f->ranks, "%s=%zu,", name, rank);
    if (alpha >= 0)
        buf_printf(&f->alphas, "%s=%.17g,", name, alpha);
    return f->targets.failed || f->ranks.failed || f->alphas.failed ? err_nomem(err) : SOOTH_OK;
}

/* ---- JSON of one pair a line ---- */

struct json_writer pretty_key(struct pretty *p, const char *key)
{
    struct json_writer w;
    buf_puts(p->out, p->any ? ",\n  " : "{\n  ");
    p->any = true;
    jsonw_init(&w, p->out);
    jsonw_string(&w, key);
    buf_puts(p->out, ": ");
    jsonw_init(&w, p->out);
    return w;
}

void pretty_end(struct pretty *p)
{
    buf_puts(p->out, "\n}\n");
}
