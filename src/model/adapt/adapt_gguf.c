/* adapt_gguf.c: adapters as GGUF files.
 *
 * LoRA as llama.cpp reads it:
 *
 *     general.type = "adapter", general.architecture = the model's, adapter.type = "lora", adapter.lora.alpha = f32
 *     <tensor>.lora_a [r, in], <tensor>.lora_b [out, r]       e.g. blk.0.attn_q.weight.lora_a
 *
 * Its loader multiplies by alpha / r with each tensor's own r. So rsLoRA's alpha / √r is written as alpha·√r, and where one alpha cannot
 * say it for all tensors, the rest is folded into B. Rows of q and k are in this container's rotary order, as their weights'. A file that
 * does not come from here is read by the same rule; alpha 0 means a factor of 1.
 *
 * The other methods have no form elsewhere. Ours has the same head, adapter.type = the method, and tensors by the names that they have in
 * training. "sooth.adapter" holds our notes (adapt_meta.c), in files of either sort.
 * Left out: activation by token (alora). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

double gguf_alpha(const struct adapt *a)
{
    const struct adapt_site *s = a->sites.count ? &a->sites.items[0] : NULL;
    return s ? (double)s->scale * (double)s->rank : a->o.alpha;
}

static bool is_lora(const char *method)
{
    return strcmp(method, "lora") == 0 || strcmp(method, "qlora") == 0;
}

static void facts_put(const struct adapt *a, struct gguf_writer *w, const char *meta)
{
    gguf_put_string(w, "general.architecture", arch_gguf_name(a->model));
    gguf_put_string(w, "general.type", "adapter");
    gguf_put_string(w, "adapter.type", is_lora(a->row->name) ? "lora" : a->row->name);
    if (a->row->peft && strcmp(a->row->peft, "LORA") == 0)
        gguf_put_float(w, "adapter.lora.alpha", (float)gguf_alpha(a));
    gguf_put_string(w, "sooth.adapter", meta);
}

enum sooth_status adapt_write_gguf(const struct adapt *a, const char *path, struct sooth_error *err)
{
    struct adapt_tensors t;
    struct adapt_image im = {.list = {0}};
    struct buf meta = BUF_INIT;
    struct gguf_writer *w = gguf_writer_new();
    tensors_init(&t, LAYOUT_GGUF);
    enum sooth_status status = w ? meta_write(a, &meta, err) : err_nomem(err);
    if (!status)
        status = tensors_list(&t, a, err);
    if (!status)
        status = image_make(&im, &t, err);
    if (!status) {
        facts_put(a, w, buf_str(&meta));
        for (size_t i = 0; i < im.list.count; i++)
            gguf_put_tensor(w, im.list.items[i].name, TYPE_F32, im.list.items[i].ndim, im.list.items[i].dims);
        status = gguf_writer_open(w, path, err);
    }
    for (size_t i = 0; i < im.list.count && !status; i++)
        status = gguf_writer_add(w, im.list.items[i].data, im.list.items[i].bytes, err);
    if (!status)
        status = gguf_writer_commit(w, err);
    gguf_writer_free(w);
    image_release(&im);
    tensors_release(&t);
    buf_release(&meta);
    return status;
}

/* ---- reading ---- */

static bool gguf_is(const struct tensor_file *f, const struct json *config)
{
    return strcmp(tensor_file_format(f), "gguf") == 0 && strcmp(tensor_file_string(f, "general.type", ""), "adapter") == 0;
}

/* The alpha of one weight: from our notes, which know what was folded into B; else the file's. */
static double alpha_of(const struct adapt_found *out, const char *name)
{
    return json_number(json_get(out->meta, "alphas"), name, -1);
}

static enum sooth_status pairs_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, struct sooth_error *err)
{
    double alpha = tensor_file_float(f, "adapter.lora.alpha", 0);
    enum sooth_status status = SOOTH_OK;
    if (!(alpha >= 0 && alpha <= 1e6))
        return err_set(err, SOOTH_ERR_FORMAT, "an alpha of %g", alpha);
    out->o.rslora = json_bool(out->meta, "rslora", false);
    out->o.rank = (size_t)json_int(out->meta, "rank", 0);
    out->o.alpha = json_number(out->meta, "alpha", alpha);
    for (size_t i = 0; i < tensor_file_count(f) && !status; i++) {
        const struct file_tensor *ta = tensor_file_at(f, i), *tb;
        char name[256], other[300];
        size_t n = strlen(ta->name);
        if (n < 8 || n >= sizeof name || strcmp(ta->name + n - 7, ".lora_a") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - 7), ta->name);
        snprintf(other, sizeof other, "%s.lora_b", name);
        tb = tensor_file_find(f, other);
        size_t rank = tb ? (size_t)tb->dims[0] : 0;
        if (!rank || rank > 65536)
            return err_set(err, SOOTH_ERR_FORMAT, "the adapter has no tensor '%s' that goes with '%s'", other, ta->name);
        out->o.rank = out->o.rank ? out->o.rank : rank;
        /* without our notes: alpha / rank by tensor; alpha 0 is a factor of 1 */
        status = found_site(out, m, name, rank, out->meta ? alpha_of(out, name) : alpha > 0 ? -1 : (double)rank, err);
    }
    if (!status && out->o.alpha == 0)
        out->o.alpha = (double)out->o.rank;
    return !status && !out->targets.len ? err_set(err, SOOTH_ERR_FORMAT, "the adapter is empty: no tensor of it is a LoRA's") : status;
}

static enum sooth_status gguf_find(struct adapt_found *out, const struct arch_model *m, const struct tensor_file *f, const struct json *config,
                                   struct sooth_error *err)
{
    const char *arch = tensor_file_string(f, "general.architecture", ""), *type = tensor_file_string(f, "adapter.type", "");
    const char *meta = tensor_file_string(f, "sooth.adapter", NULL);
    const struct file_tensor *p = tensor_file_find(f, "prompt_embeddings");
    if (strcmp(arch, arch_gguf_name(m)) != 0)
        return err_set(err, SOOTH_ERR_FORMAT, "the adapter is for architecture '%s', the model's is '%s'", arch, arch_gguf_name(m));
    if (meta) {
        const struct json *j = json_parse(&out->arena, meta, strlen(meta), JSON_UNIQUE_KEYS, NULL, err);
        if (!j)
            return err_prefix(err, "'sooth.adapter'");
        meta_take(out, j);
    }
    if (is_lora(type) || strcmp(type, "dora") == 0) {
        out->o.method = out->o.method && is_lora(out->o.method) && is_lora(type) ? out->o.method : type;
        return pairs_find(out, m, f, err);
    }
    out->o.method = type;
    out->o.tokens = p && p->dims[1] && p->dims[1] <= 65536 ? (size_t)p->dims[1] : 1;
    out->o.variant = p && strcmp(type, "prompt") != 0 ? "direct" : out->o.variant;
    for (size_t i = 0; strcmp(type, "full") == 0 && i < tensor_file_count(f); i++)
        buf_printf(&out->targets, "%s,", tensor_file_at(f, i)->name);
    return SOOTH_OK;
}

const struct adapt_format adapt_format_gguf = {"GGUF", LAYOUT_GGUF, gguf_is, gguf_find, NULL};
