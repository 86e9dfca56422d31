/* adapt_file.c: opening and saving adapters.
 *
 * Opening: the kind of directory or file is recognised, its reader says which method, sizes and weights it holds, the method is
 * attached, and its weights are filled from the tensors, each of which must fit and none of which may be left over. Memory is bounded by
 * the size of the files before anything is attached.
 *
 * Saving: written under another name, opened again, compared number by number with what is in memory, and only then
 * moved to its place. A network that makes a prompt or prefix goes beside it, in encoder.safetensors, so that training can go on; other
 * programs see what it makes. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "model/adapt/adapt_tensor.h"

static const struct adapt_format *const formats[] = {&adapt_format_peft, &adapt_format_hub, &adapt_format_mlx, &adapt_format_gguf};

enum { PATH_MOST = 4096, CONFIG_MOST = 16 << 20 };

/* ---- opening ---- */

struct source {
    char path[PATH_MOST];
    struct tensor_file *weights, *encoder; /* encoder: NULL where there is none */
    const struct json *config, *meta;
    struct arena arena;
};

static enum sooth_status json_open(struct source *s, const char *dir, const char *name, const struct json **out, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    char path[PATH_MOST + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *out = NULL;
    if (!file_exists(path))
        return SOOTH_OK;
    enum sooth_status status = file_read(path, CONFIG_MOST, &text, err);
    if (!status && !(*out = json_parse(&s->arena, buf_str(&text), text.len, JSON_UNIQUE_KEYS, NULL, err)))
        status = err_prefix(err, "'%s'", path);
    else if (!status && (*out)->type != JSON_OBJECT)
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' is not a JSON object", path);
    buf_release(&text);
    return status;
}

static enum sooth_status directory_open(struct source *s, const char *dir, struct sooth_error *err)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapter.safetensors", "adapters.safetensors"};
    static const char *const pickled[] = {"adapter_model.bin", "pytorch_adapter.bin"};
    char path[PATH_MOST + 64];
    enum sooth_status status = json_open(s, dir, "adapter_config.json", &s->config, err);
    if (!status && !s->config)
        status = err_set(err, SOOTH_ERR_NOTFOUND, "'%s' holds no 'adapter_config.json'", dir);
    if (!status)
        status = json_open(s, dir, "sooth.json", &s->meta, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && !status && !s->weights; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (file_exists(path))
            status = tensor_file_open(path, NULL, &s->weights, err);
    }
    for (size_t i = 0; i < sizeof pickled / sizeof *pickled && !status && !s->weights; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, pickled[i]);
        if (file_exists(path)) {
            err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' is a pickle, which may run code when it is read", path);
            return err_hint(err, "save the adapter again with safetensors");
        }
    }
    if (!status && !s->weights)
        status = err_set(err, SOOTH_ERR_NOTFOUND, "'%s' holds no safetensors file of an adapter", dir);
    snprintf(path, sizeof path, "%s/encoder.safetensors", dir);
    if (!status && file_exists(path))
        status = tensor_file_open(path, NULL, &s->encoder, err);
    return status;
}

static void source_close(struct source *s)
{
    tensor_file_close(s->weights);
    tensor_file_close(s->encoder);
    arena_release(&s->arena);
}

static enum sooth_status source_open(struct source *s, const char *path, struct sooth_error *err)
{
    *s = (struct source){.weights = NULL};
    arena_init(&s->arena, (size_t)1 << 28);
    if (strlen(path) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "a path of %zu bytes", strlen(path));
    snprintf(s->path, sizeof s->path, "%s", path);
    return file_is_dir(path) ? directory_open(s, path, err) : tensor_file_open(path, NULL, &s->weights, err);
}

/* The network's weights by their own names, from encoder.safetensors. */
static enum sooth_status encoder_list(struct adapt_tensors *t, const struct adapt *a, struct sooth_error *err)
{
    for (size_t i = 0; i < a->trained.count; i++)
        tensors_add(t, a->trained.items[i], "%s", a->trained.items[i]->name);
    return t->list.failed || t->arena.failed ? err_nomem(err) : SOOTH_OK;
}

static enum sooth_status attach(const struct source *s, struct adapt_found *found, const struct adapt_format *format, const struct arch_model *model,
                                const struct adapt_open_options *o, struct adapt **out, struct sooth_error *err)
{
    const char *kind = json_string(found->meta, "variant", NULL);
    bool network = s->encoder && kind && found->o.variant && strcmp(kind, found->o.variant) != 0;
    const struct tensor_file *from = network ? s->encoder : s->weights;
    struct adapt_tensors t;
    found->o.variant = network ? kind : found->o.variant;
    found->o.targets = found->targets.len ? buf_str(&found->targets) : NULL;
    found->o.ranks = found->ranks.len ? buf_str(&found->ranks) : NULL;
    found->o.alphas = found->alphas.len ? buf_str(&found->alphas) : NULL;
    found->o.pool = o ? o->pool : NULL;
    enum sooth_status status = adapt_attach(model, &found->o, 8 * tensor_file_bytes(from) + ((uint64_t)64 << 20), out, err);
    if (status)
        return status;
    tensors_init(&t, network ? LAYOUT_GGUF : format->layout);
    status = network ? encoder_list(&t, *out, err) : tensors_list(&t, *out, err);
    if (!status)
        status = tensors_read(&t, from, format->spare, err);
    if (!status)
        status = adapt_refresh(*out, err);
    tensors_release(&t);
    if (status) {
        adapt_free(*out);
        *out = NULL;
    }
    return status;
}

static enum sooth_status recognise(const struct source *s, const struct adapt_format **out, struct sooth_error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->is(s->weights, s->config)) {
            *out = formats[i];
            return SOOTH_OK;
        }
    return err_set(err, SOOTH_ERR_FORMAT, "'%s' is no adapter that this build knows", s->path);
}

static enum sooth_status base_check(const struct adapt_found *found, const struct arch_model *model, const struct adapt_open_options *o,
                                    struct sooth_error *err)
{
    char id[65];
    adapt_base_id(model, id);
    if (!found->base[0] || strcmp(found->base, id) == 0 || (o && o->any_base))
        return SOOTH_OK;
    err_set(err, SOOTH_ERR_ARG, "the adapter was trained on another model: its mark is %.16s, this model's %s", found->base, id);
    return err_hint(err, "wearing it anyway has to be asked for");
}

enum sooth_status adapt_open(const char *path, const struct arch_model *model, const struct adapt_open_options *o, struct adapt **out,
                             struct sooth_error *err)
{
    struct source s;
    struct adapt_found found = {.o = {0}};
    const struct adapt_format *format = NULL;
    *out = NULL;
    arena_init(&found.arena, (size_t)1 << 26);
    enum sooth_status status = source_open(&s, path, err);
    if (!status)
        status = recognise(&s, &format, err);
    if (!status)
        status = format->find(&found, model, s.weights, s.config, err);
    if (!status && s.meta) {
        const char *variant = found.o.variant;
        meta_take(&found, s.meta);
        found.o.variant = variant && strcmp(variant, "direct") == 0 ? variant : found.o.variant;
    }
    if (!status)
        status = base_check(&found, model, o, err);
    if (!status)
        status = attach(&s, &found, format, model, o, out, err);
    if (status && status != SOOTH_ERR_NOMEM)
        err_prefix(err, "adapter '%s'", path);
    buf_release(&found.targets);
    buf_release(&found.ranks);
    buf_release(&found.alphas);
    arena_release(&found.arena);
    source_close(&s);
    return status;
}

/* ---- saving ---- */

/* A twin whose network has been run and dropped; a itself where it has none. */
static enum sooth_status settled(struct adapt *a, struct adapt **out, struct sooth_error *err)
{
    *out = a;
    if (!a->row->settle || strcmp(a->o.variant, "direct") == 0)
        return SOOTH_OK;
    struct adapt *b;
    enum sooth_status status = adapt_new(a->model, &a->o, &b, err);
    if (status)
        return status;
    for (size_t i = 0; i < a->trained.count; i++)
        memcpy(adapt_values(b, i), adapt_values(a, i), a->trained.items[i]->q.rows * a->trained.items[i]->q.cols * sizeof(float));
    status = adapt_settle(b, err);
    if (status)
        adapt_free(b);
    else
        *out = b;
    return status;
}

/* Is what the path holds what is in memory? Numbers that were folded on the way may differ in their last bits. */
static enum sooth_status verify(const struct adapt *a, const char *path, struct sooth_error *err)
{
    struct adapt *b;
    struct adapt_open_options o = {.pool = a->o.pool};
    enum sooth_status status = adapt_open(path, a->model, &o, &b, err);
    if (status)
        return err_prefix(err, "what was saved cannot be opened");
    bool same = strcmp(a->row->name, b->row->name) == 0 && a->trained.count == b->trained.count && a->sites.count == b->sites.count;
    for (size_t i = 0; same && a->row->product && i < a->sites.count; i++)
        same = fabsf(a->sites.items[i].scale - b->sites.items[i].scale) <= 1e-6f * fabsf(a->sites.items[i].scale);
    for (size_t i = 0; same && i < a->trained.count; i++) {
        const struct qmat *x = &a->trained.items[i]->q, *y = &b->trained.items[i]->q;
        same = strcmp(a->trained.items[i]->name, b->trained.items[i]->name) == 0 && x->rows == y->rows && x->cols == y->cols;
        for (size_t j = 0; same && j < x->rows * x->cols; j++) {
            float u = ((const float *)x->data)[j], v = ((const float *)y->data)[j];
            same = u == v || fabsf(u - v) <= 3e-7f * fabsf(u);
        }
    }
    adapt_free(b);
    return same ? SOOTH_OK : err_set(err, SOOTH_ERR_IO, "what was saved as '%s' is not what is in memory", path);
}

static enum sooth_status tensors_save(const struct adapt_tensors *t, const char *path, struct sooth_error *err)
{
    static const struct file_value torch = {.key = "format", .type = VALUE_STRING, .s = {"pt", 2}};
    struct adapt_image im;
    enum sooth_status status = image_make(&im, t, err);
    if (!status)
        status = safetensors_write(path, im.list.items, im.list.count, &torch, 1, err);
    image_release(&im);
    return status;
}

static enum sooth_status text_save(const struct buf *text, const char *dir, const char *name, struct sooth_error *err)
{
    char path[PATH_MOST + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_write_atomic(path, text->data, text->len, err);
}

/* All files of a directory: `flat` is a, or its settled twin. */
static enum sooth_status directory_write(const struct adapt *a, const struct adapt *flat, const char *dir, struct sooth_error *err)
{
    bool hub = a->row->peft == NULL && a->row->tensors != copies_tensors;
    char path[PATH_MOST + 64];
    struct buf config = BUF_INIT, meta = BUF_INIT;
    struct adapt_tensors t, e;
    tensors_init(&t, hub ? LAYOUT_HUB : LAYOUT_PEFT);
    tensors_init(&e, LAYOUT_GGUF);
    enum sooth_status status = tensors_list(&t, flat, err);
    snprintf(path, sizeof path, "%s/%s", dir, hub ? "adapter.safetensors" : "adapter_model.safetensors");
    if (!status)
        status = tensors_save(&t, path, err);
    snprintf(path, sizeof path, "%s/encoder.safetensors", dir);
    if (!status && flat != a)
        status = encoder_list(&e, a, err);
    if (!status && flat != a)
        status = tensors_save(&e, path, err);
    if (!status)
        status = hub ? hub_config(a, &config, err) : peft_config(a, &config, err);
    if (!status)
        status = meta_write(a, &meta, err);
    if (!status)
        status = text_save(&config, dir, "adapter_config.json", err);
    if (!status)
        status = text_save(&meta, dir, "sooth.json", err);
    buf_release(&config);
    buf_release(&meta);
    tensors_release(&t);
    tensors_release(&e);
    return status;
}

static const char *const saved[] = {"adapter_model.safetensors", "adapter.safetensors", "encoder.safetensors", "sooth.json", "adapter_config.json"};

/* The configuration comes last: without it a directory is no adapter. A former encoder that the new one lacks goes. */
static enum sooth_status move_in(const char *from, const char *dir, struct sooth_error *err)
{
    char a[PATH_MOST + 64], b[PATH_MOST + 64];
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
        snprintf(a, sizeof a, "%s/%s", from, saved[i]);
        snprintf(b, sizeof b, "%s/%s", dir, saved[i]);
        if (!file_exists(a))
            unlink(b);
        else if (rename(a, b) != 0)
            return err_set(err, SOOTH_ERR_IO, "cannot rename '%s': %s", a, strerror(errno));
    }
    return SOOTH_OK;
}

static void throw_away(const char *dir)
{
    char path[PATH_MOST + 64];
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, saved[i]);
        unlink(path);
    }
    rmdir(dir);
}

enum sooth_status adapt_save(struct adapt *a, const char *dir, struct sooth_error *err)
{
    char partial[PATH_MOST];
    struct adapt *flat = NULL;
    if (snprintf(partial, sizeof partial, "%s/.partial", dir) >= (int)sizeof partial)
        return err_set(err, SOOTH_ERR_ARG, "a path of %zu bytes", strlen(dir));
    enum sooth_status status = settled(a, &flat, err);
    if (!status)
        status = dir_make(partial, err);
    if (!status)
        status = directory_write(a, flat, partial, err);
    if (!status)
        status = verify(a, partial, err);
    if (!status)
        status = move_in(partial, dir, err);
    throw_away(partial);
    if (flat != a)
        adapt_free(flat);
    return status;
}

enum sooth_status adapt_save_gguf(struct adapt *a, const char *path, struct sooth_error *err)
{
    char partial[PATH_MOST];
    struct adapt *flat = NULL;
    if (snprintf(partial, sizeof partial, "%s.partial", path) >= (int)sizeof partial)
        return err_set(err, SOOTH_ERR_ARG, "a path of %zu bytes", strlen(path));
    enum sooth_status status = settled(a, &flat, err);
    if (!status)
        status = adapt_write_gguf(flat, partial, err);
    if (!status)
        status = verify(flat, partial, err);
    if (!status && rename(partial, path) != 0)
        status = err_set(err, SOOTH_ERR_IO, "cannot rename '%s': %s", partial, strerror(errno));
    if (status)
        unlink(partial);
    if (flat != a)
        adapt_free(flat);
    return status;
}
