/* bottleneck.c: adapters in the first sense of the word (Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00247):
 * small networks between the layers of a frozen model.
 *
 *     A(h) = W_u σ(W_d h + b_d) + b_u          W_d [m, d], W_u [d, m]: 2md + m + d parameters
 *
 *     houlsby    two a layer, x + A(x) on the output of attention and on that of the feed-forward, before the residual; the layer's
 *                norms are trained too. σ is GELU.
 *     double     the same two without the norms, σ = SiLU (AdapterHub's double_seq_bn)
 *     pfeiffer   one a layer, after the feed-forward, on the residual sum s: s + A(s) where norms come first; in post-norm models
 *                s + A(N(s)), and then the model's own norm N again, as AdapterHub does. σ is ReLU.
 *
 * W_u starts at zero, which is the identity exactly; the paper's N(0, 1e-3) only comes near it.
 * Nothing can be merged: the networks are not linear.
 * Left out: parallel and compacter kinds, a classification head. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"
#include "model/adapt/bottleneck.h"

static const struct kind {
    const char *name;
    enum op_act act;
    bool attend, ff, sum, norms;
} kinds[] = {
    {"houlsby", ACT_GELU, true, true, false, true},
    {"double", ACT_SILU, true, true, false, false},
    {"pfeiffer", ACT_RELU, false, false, true, false},
};

static const struct arch_weight *in_layer(const struct adapt *a, const char *role, int layer)
{
    for (size_t i = 0; i < arch_weights(a->model); i++)
        if (arch_weight_at(a->model, i)->layer == layer && strcmp(arch_weight_at(a->model, i)->role, role) == 0)
            return arch_weight_at(a->model, i);
    return NULL;
}

static bool network_add(struct adapt *a, size_t layer, const char *place, struct bottleneck_net *out)
{
    char name[2][64];
    size_t d = arch_info(a->model)->dim, m = a->o.width;
    snprintf(name[0], sizeof name[0], "blk.%zu.%s.adapter_down", layer, place);
    snprintf(name[1], sizeof name[1], "blk.%zu.%s.adapter_up", layer, place);
    if (!adapt_layer_add(a, m, d, name[0], &out->down) || !adapt_layer_add(a, d, m, name[1], &out->up))
        return false;
    memset(adapt_numbers(out->down.b), 0, m * sizeof(float));
    memset(adapt_numbers(out->up.w), 0, d * m * sizeof(float));
    memset(adapt_numbers(out->up.b), 0, d * sizeof(float));
    return true;
}

/* Copies of the norms' weights and biases stand in for them. */
static enum sooth_status norms_add(struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = adapt_find_sites(a, true, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) {
        struct adapt_site *s = &a->sites.items[i];
        if (!(s->part[0] = adapt_add(a, 1, s->on->q.cols, "%s", s->name)))
            return err_nomem(err);
        qmat_row(&s->on->q, 0, adapt_numbers(s->part[0]));
    }
    return status;
}

static enum sooth_status bottleneck_attach(struct adapt *a, struct sooth_error *err)
{
    const struct arch_info *i = arch_info(a->model);
    struct bottleneck *b = a->own = arena_calloc(&a->arena, 1, sizeof *b);
    const struct kind *kind = kinds;
    while (strcmp(kind->name, a->o.variant) != 0)
        kind++;
    a->o.width = a->o.width ? a->o.width : i->dim >= 32 ? i->dim / 16 : 2;
    if (!b || !(b->attend = arena_calloc(&a->arena, 3 * i->layers, sizeof *b->attend)))
        return err_nomem(err);
    b->ff = b->attend + i->layers;
    b->sum = b->ff + i->layers;
    b->act = kind->act;
    for (int k = 0; a->o.activation && k < ACT_COUNT; k++)
        if (strcmp(op_act_name((enum op_act)k), a->o.activation) == 0)
            b->act = (enum op_act)k;
    a->o.activation = op_act_name(b->act);
    for (size_t l = 0; l < i->layers; l++)
        if ((kind->attend && !network_add(a, l, "attn", &b->attend[l])) || (kind->ff && !network_add(a, l, "ffn", &b->ff[l])) ||
            (kind->sum && !network_add(a, l, "ffn", &b->sum[l])))
            return err_nomem(err);
    b->post_norm = in_layer(a, "layer_output_norm", 0) != NULL;
    if (!kind->norms)
        return SOOTH_OK;
    a->o.targets = "*norm*";
    return norms_add(a, err);
}

static struct mat *network_run(struct run *r, const struct bottleneck *b, const struct bottleneck_net *n, float strength, struct mat *x)
{
    struct mat *h = op_act(r, b->act, adapt_layer_run(r, &n->down, x));
    h = adapt_layer_run(r, &n->up, h);
    return strength == 1 ? h : op_scale(r, strength, h);
}

static struct mat *bottleneck_hook(struct run *r, const struct adapt *a, uint32_t first, enum hook_site site, unsigned layer, struct mat *x)
{
    const struct bottleneck *b = a->own;
    const struct bottleneck_net *n = site == HOOK_ATTEND ? &b->attend[layer] : site == HOOK_FF ? &b->ff[layer] : NULL;
    struct mat *in = x;
    if (site == (b->post_norm ? HOOK_SUM : HOOK_BLOCK))
        n = &b->sum[layer];
    if (!n || !n->down.w)
        return x;
    if (site == HOOK_SUM)
        in = op_layernorm(r, in_layer(a, "layer_output_norm", (int)layer)->weight, in_layer(a, "layer_output_norm_bias", (int)layer)->weight,
                          arch_info(a->model)->eps, x);
    return op_add(r, x, network_run(r, b, n, adapt_strength(a), in));
}

static const struct weight *bottleneck_stand_in(const struct adapt *a, const struct adapt_site *s)
{
    return s->part[0];
}

/* The name of a layer's place in an AdapterHub directory: encoders like BERT hold adapters in the output modules, decoders in the layer. */
static void hub_place(const struct adapt *a, size_t layer, bool attention, char out[256])
{
    const struct arch_weight *o = in_layer(a, "attn_output", (int)layer);
    const char *hf = o ? o->hf_name : "", *dot = hf;
    if (strncmp(hf, "encoder.layer.", 14) == 0) {
        snprintf(out, 256, "encoder.layer.%zu.%soutput.adapters", layer, attention ? "attention." : "");
        return;
    }
    while (*dot && !(*dot >= '0' && *dot <= '9'))
        dot++;
    snprintf(out, 256, "%.*s%zu.%s_adapters.adapters", (int)(dot - hf), hf, layer, attention ? "attention" : "output");
}

static bool network_list(const struct adapt *a, const struct bottleneck_net *n, size_t layer, bool attention, struct adapt_tensors *t)
{
    static const char *const hub[] = {"adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias"};
    struct weight *w[] = {n->down.w, n->down.b, n->up.w, n->up.b};
    char place[256];
    hub_place(a, layer, attention, place);
    for (size_t k = 0; k < 4; k++) {
        struct adapt_tensor *e = t->layout == LAYOUT_GGUF ? tensors_add(t, w[k], "%s", w[k]->name) : tensors_add(t, w[k], "%s.sooth.%s", place, hub[k]);
        if (!e)
            return false;
        e->vector = k % 2 == 1;
    }
    return true;
}

static enum sooth_status bottleneck_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    const struct bottleneck *b = a->own;
    if (t->layout == LAYOUT_PEFT || t->layout == LAYOUT_MLX)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a bottleneck adapter is not kept in this kind of directory");
    for (size_t l = 0; l < arch_info(a->model)->layers; l++)
        if ((b->attend[l].down.w && !network_list(a, &b->attend[l], l, true, t)) || (b->ff[l].down.w && !network_list(a, &b->ff[l], l, false, t)) ||
            (b->sum[l].down.w && !network_list(a, &b->sum[l], l, false, t)))
            return err_nomem(err);
    return copies_tensors(a, t, err);
}

static const char *const names[] = {"houlsby", "double", "pfeiffer", NULL};
const struct adapt_method adapt_row_adapter = {
    .name = "adapter", .note = "small networks after attention and feed-forward", .variants = names, .attach = bottleneck_attach,
    .hook = bottleneck_hook, .stand_in = bottleneck_stand_in, .tensors = bottleneck_tensors,
};
