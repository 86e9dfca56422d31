/* adapt_meta.c: what other programs' formats cannot say about an adapter: our method and its kind, and which model it was trained on.
 *
 * A directory holds it as sooth.json beside their files, a GGUF file as the value "sooth.adapter".
 *
 *     {"method": "dora", "variant": null, "width": 0, ..., "base": {"arch": "llama", "id": "9f.."}}
 *
 * The id of a model is a hash of its norms' numbers and its sizes: every quantization of one model keeps its norms in f32 and so has the same
 * id; another model, or one that was trained further as a whole, has another. Two models that differ in matrices only are not told apart. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/hash.h"
#include "model/adapt/adapt_tensor.h"

void adapt_base_id(const struct arch_model *m, char out[65])
{
    const struct arch_info *i = arch_info(m);
    uint64_t sizes[] = {i->layers, i->dim, i->heads, i->kv_heads, i->head_dim, i->ff, i->vocab};
    unsigned char digest[32];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, sizes, sizeof sizes);
    for (size_t k = 0; k < arch_weights(m); k++) {
        const struct arch_weight *w = arch_weight_at(m, k);
        if (w->vector && strstr(w->role, "norm"))
            sha256_add(&h, w->weight->q.data, w->weight->q.cols * sizeof(float));
    }
    sha256_end(&h, digest);
    hash_hex(digest, out);
    out[16] = 0; /* 64 bits tell models apart well enough, and fit a line */
}

enum sooth_status meta_write(const struct adapt *a, struct buf *out, struct sooth_error *err)
{
    struct json_writer w;
    char id[65];
    adapt_base_id(a->model, id);
    jsonw_init(&w, out);
    jsonw_object(&w);
    jsonw_key(&w, "method");
    jsonw_string(&w, a->row->name);
    jsonw_key(&w, "variant");
    jsonw_string(&w, a->o.variant);
    jsonw_key(&w, "activation");
    jsonw_string(&w, a->o.activation);
    jsonw_key(&w, "width");
    jsonw_int(&w, (int64_t)a->o.width);
    jsonw_key(&w, "rank");
    jsonw_int(&w, (int64_t)a->o.rank);
    jsonw_key(&w, "alpha");
    jsonw_double(&w, a->o.alpha, 17);
    jsonw_key(&w, "alphas");
    jsonw_object(&w);
    for (size_t i = 0; i < a->sites.count; i++)
        if (a->sites.items[i].alpha != a->o.alpha) {
            jsonw_key(&w, a->sites.items[i].name);
            jsonw_double(&w, a->sites.items[i].alpha, 17);
        }
    jsonw_end_object(&w);
    jsonw_key(&w, "rslora");
    jsonw_bool(&w, a->o.rslora);
    jsonw_key(&w, "dropout");
    jsonw_double(&w, a->o.dropout, 9);
    jsonw_key(&w, "base");
    jsonw_object(&w);
    jsonw_key(&w, "name");
    jsonw_string(&w, a->o.base);
    jsonw_key(&w, "arch");
    jsonw_string(&w, arch_info(a->model)->arch);
    jsonw_key(&w, "id");
    jsonw_string(&w, id);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    buf_putc(out, '\n');
    return out->failed ? err_nomem(err) : SOOTH_OK;
}

void meta_take(struct adapt_found *f, const struct json *meta)
{
    const struct json *base = json_get(meta, "base");
    const char *id = json_string(base, "id", "");
    int64_t width = json_int(meta, "width", 0);
    f->meta = meta;
    f->o.method = json_string(meta, "method", f->o.method);
    f->o.variant = json_string(meta, "variant", f->o.variant);
    f->o.activation = json_string(meta, "activation", NULL);
    f->o.dropout = json_number(meta, "dropout", f->o.dropout);
    f->o.base = json_string(base, "name", f->o.base);
    f->o.width = width > 0 ? (size_t)width : f->o.width;
    if (strlen(id) < sizeof f->base)
        memcpy(f->base, id, strlen(id) + 1);
}
