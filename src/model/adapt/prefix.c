/* prefix.c: prefix tuning (Li & Liang 2021, arXiv:2101.00190) and P-tuning v2 (Liu et al. 2021, arXiv:2110.07602): keys and values
 * of p imaginary tokens, in every layer, are trained.
 *
 *     attend(q, [P^K_l; K], [P^V_l; V])       P_l [p, kv_heads·head] each
 *
 * They are entries of the cache: keys as after rotation, seen by every query, stored once with a sequence's first rows. The text's
 * positions begin at p.
 *
 * Prefix tuning makes all of them out of one table by a network, because training them directly was found unsteady:
 *
 *     [P^K_0, P^V_0, P^K_1, ..] = W_2 tanh(W_1 E)       E [p, c], W_1 [k, c], W_2 [2·L·c, k],  c = kv_heads·head
 *
 * The network serves training only (adapt_settle drops it). P-tuning v2 is the same without the network; so is the kind
 * "direct". Direct entries start as keys and values of real tokens, those of `start` or drawn from the vocabulary:
 * entries of zeros would not be without effect either, since they take their share of attention. An encoder has no cache to read real ones
 * from; there they start small and random.
 *
 * Left out: dropout on the prefix; the multi-task stage of v2 (train one, then start from it). */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/rng.h"
#include "model/adapt/adapt_tensor.h"

struct prefix {
    size_t width;                  /* of keys, and of values, in one layer */
    struct weight *e;              /* network: [p, width]; NULL: direct */
    struct adapt_layer in, out;
    struct weight **k, **v;        /* direct: [layers], [p, width] */
};

/* ---- direct entries ---- */

static bool direct_add(struct adapt *a, struct prefix *p)
{
    size_t layers = arch_info(a->model)->layers;
    p->k = arena_calloc(&a->arena, 2 * layers, sizeof *p->k);
    p->v = p->k ? p->k + layers : NULL;
    for (size_t l = 0; p->k && l < layers; l++) {
        p->k[l] = adapt_add(a, a->o.tokens, p->width, "prefix.%zu.k", l);
        p->v[l] = adapt_add(a, a->o.tokens, p->width, "prefix.%zu.v", l);
        if (!p->k[l] || !p->v[l])
            return false;
    }
    return p->k != NULL;
}

/* Keys and values of real tokens, read out of a cache after a forward over them. */
static enum sooth_status direct_start(struct adapt *a, struct prefix *p, struct sooth_error *err)
{
    size_t n = a->o.tokens, layers = arch_info(a->model)->layers;
    struct kv_cache *cache;
    struct rng rng;
    enum sooth_status status = arch_cache_new(a->model, 1, n, KV_F32, &cache, err);
    if (status)
        return status;
    struct run_options o = {.pool = a->o.pool, .cache = cache};
    struct run *r = run_new(&o);
    int32_t *token = mem_calloc(n, sizeof *token);
    uint32_t *pos = mem_calloc(2 * n, sizeof *pos);
    rng_seed(&rng, adapt_seed_of(a, "start"));
    for (size_t i = 0; token && pos && i < n; i++) {
        token[i] = a->o.start_count ? a->o.start[i % a->o.start_count] : (int32_t)rng_below(&rng, arch_info(a->model)->vocab);
        pos[i] = (uint32_t)i;
    }
    status = r && token && pos ? SOOTH_OK : err_nomem(err);
    if (!status) {
        struct rows rows = {.n = n, .token = token, .pos = pos, .seq = pos + n};
        run_begin(r, &rows);
        arch_hidden(a->model, r);
        status = run_end(r, err);
    }
    for (size_t l = 0; l < layers && !status; l++)
        kv_cache_read(cache, 0, l, 0, n, adapt_numbers(p->k[l]), adapt_numbers(p->v[l]));
    run_free(r);
    kv_cache_free(cache);
    mem_free(token);
    mem_free(pos);
    return status;
}

static enum sooth_status direct_attach(struct adapt *a, struct prefix *p, struct sooth_error *err)
{
    if (!direct_add(a, p))
        return err_nomem(err);
    if (arch_info(a->model)->decoder)
        return direct_start(a, p, err);
    for (size_t i = 0; i < a->trained.count; i++)
        adapt_draw_normal(a, a->trained.items[i], 0.02f);
    return SOOTH_OK;
}

/* ---- the network ---- */

static enum sooth_status network_attach(struct adapt *a, struct prefix *p, struct sooth_error *err)
{
    const struct arch_info *i = arch_info(a->model);
    size_t hidden = a->o.width ? a->o.width : i->dim < 512 ? i->dim : 512;
    a->o.width = hidden;
    if (!(p->e = adapt_add(a, a->o.tokens, p->width, "embedding")) || !adapt_layer_add(a, hidden, p->width, "transform.0", &p->in) ||
        !adapt_layer_add(a, 2 * i->layers * p->width, hidden, "transform.2", &p->out))
        return err_nomem(err);
    adapt_draw_normal(a, p->e, 1);
    return SOOTH_OK;
}

/* [p, 2·layers·width] */
static struct mat *project(const struct adapt *a, struct run *r)
{
    const struct prefix *p = a->own;
    struct mat *h = op_act(r, ACT_TANH, adapt_layer_run(r, &p->in, op_lookup(r, p->e, NULL, a->o.tokens)));
    return adapt_layer_run(r, &p->out, h);
}

/* ---- the row ---- */

static enum sooth_status prefix_attach(struct adapt *a, struct sooth_error *err)
{
    struct prefix *p = a->own = arena_calloc(&a->arena, 1, sizeof *p);
    if (!p)
        return err_nomem(err);
    p->width = arch_info(a->model)->kv_heads * arch_info(a->model)->head_dim;
    a->prefix_rows = a->o.tokens;
    return strcmp(a->o.variant, "direct") == 0 ? direct_attach(a, p, err) : network_attach(a, p, err);
}

/* The network runs once a forward, before the layers, and all of them read its output. */
static struct mat *prefix_hook(struct run *r, const struct adapt *a, uint32_t first, enum hook_site site, unsigned layer, struct mat *x)
{
    const struct prefix *p = a->own;
    if (site == HOOK_TOKENS && p->e)
        run_share(r, a, project(a, r));
    return x;
}

static void prefix_give(struct run *r, const struct adapt *a, unsigned layer, struct mat **k, struct mat **v)
{
    const struct prefix *p = a->own;
    if (p->e) {
        struct mat *all = run_shared(r, a);
        *k = op_columns(r, 2 * layer * p->width, p->width, all);
        *v = op_columns(r, (2 * layer + 1) * p->width, p->width, all);
    } else {
        *k = op_lookup(r, p->k[layer], NULL, a->o.tokens);
        *v = op_lookup(r, p->v[layer], NULL, a->o.tokens);
    }
}

static enum sooth_status prefix_settle(struct adapt *a, struct sooth_error *err)
{
    struct prefix *p = a->own;
    size_t layers = arch_info(a->model)->layers, n = a->o.tokens, wide = 2 * layers * p->width;
    if (!p->e)
        return SOOTH_OK;
    float *all = mem_array(n, wide * sizeof *all);
    enum sooth_status status = all ? adapt_compute(a, project, all, err) : err_nomem(err);
    if (!status) {
        a->trained.count = 0;
        status = direct_add(a, p) ? SOOTH_OK : err_nomem(err);
    }
    for (size_t l = 0; l < layers && !status; l++)
        for (size_t i = 0; i < n; i++) {
            memcpy(adapt_numbers(p->k[l]) + i * p->width, all + i * wide + 2 * l * p->width, p->width * sizeof *all);
            memcpy(adapt_numbers(p->v[l]) + i * p->width, all + i * wide + (2 * l + 1) * p->width, p->width * sizeof *all);
        }
    if (!status) {
        p->e = NULL;
        a->o.variant = "direct";
    }
    mem_free(all);
    return status;
}

/* One tensor [p, 2·layers·width]: keys and values of each layer are slices of its columns; keys in the file's rotary order. */
static enum sooth_status prefix_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    const struct prefix *p = a->own;
    size_t layers = arch_info(a->model)->layers;
    const struct arch_weight *keys = NULL;
    if (t->layout == LAYOUT_HUB || t->layout == LAYOUT_MLX)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a prefix is not kept in this kind of directory");
    for (size_t i = 0; i < arch_weights(a->model) && !keys; i++)
        if (strcmp(arch_weight_at(a->model, i)->role, "attn_k") == 0)
            keys = arch_weight_at(a->model, i);
    for (size_t l = 0; l < 2 * layers; l++) {
        struct adapt_tensor *e = tensors_add(t, l % 2 ? p->v[l / 2] : p->k[l / 2], "prompt_embeddings");
        if (!e)
            return err_nomem(err);
        e->vector = false;
        e->at = l * p->width;
        e->wide = 2 * layers * p->width;
        if (keys && l % 2 == 0)
            tensors_pair(t, e, a, keys, true);
    }
    return SOOTH_OK;
}

static const char *const kinds[] = {"mlp", "direct", NULL}, *const kinds_v2[] = {"direct", "mlp", NULL};
const struct adapt_method adapt_row_prefix = {
    .name = "prefix", .note = "keys and values before the text in every layer, made by a network", .variants = kinds, .attach = prefix_attach,
    .settle = prefix_settle, .hook = prefix_hook, .prefix = prefix_give, .tensors = prefix_tensors,
    .peft = "PREFIX_TUNING",
};
const struct adapt_method adapt_row_ptuning2 = {
    .name = "ptuning2", .note = "keys and values before the text in every layer, trained directly", .variants = kinds_v2, .attach = prefix_attach,
    .settle = prefix_settle, .hook = prefix_hook, .prefix = prefix_give, .tensors = prefix_tensors,
    .peft = "PREFIX_TUNING",
};
