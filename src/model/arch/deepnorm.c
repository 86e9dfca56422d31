/* deepnorm.c: a post-norm decoder that can be made very deep (Wang et al. 2022, "DeepNet").
 *
 *     x = LayerNorm( α·x + o( attend( rope(q(x)), rope(k(x)), v(x) ) ) )
 *     x = LayerNorm( α·x + down( gelu(up(x)) ) )                           biases everywhere, no norm after the last block
 *     α = (2·layers)^¼ of the residual       β = (8·layers)^−¼, the Xavier gain at the start of up, down, v and o; q and k keep gain 1
 *
 * Plain post-norm (α = β = 1) lets the first steps of training move a deep model so far that its norms squash what comes back; α and β
 * bound the change of the output by a constant whatever the depth. β is a matter of initialisation alone and not of this file.
 *
 * No published family has this shape, so its directory is ours (docs/arch/models/deepnorm.md): model_type "deepnorm", Llama's keys,
 * layer_norm_eps, and residual_scale for another α (1: plain post-norm). */
#include <math.h>
#include "core/base/error.h"
#include "model/arch/arch_model.h"

static const struct arch_param tops[] = {
    {"token_embd", "token_embd.weight", "model.embed_tokens.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)},
    {"output", "output.weight", "lm_head.weight", 'v', 'd', INIT_NORMAL, TOP(output), PARAM_OPTIONAL},
    {0},
};
static const struct arch_param params[] = {
    {"attn_q", "attn_q.weight", "self_attn.q_proj.weight", 'q', 'd', INIT_XAVIER, BLOCK(q)},
    {"attn_q_bias", "attn_q.bias", "self_attn.q_proj.bias", 0, 'q', INIT_ZERO, BLOCK(q_bias)},
    {"attn_k", "attn_k.weight", "self_attn.k_proj.weight", 'k', 'd', INIT_XAVIER, BLOCK(k)},
    {"attn_k_bias", "attn_k.bias", "self_attn.k_proj.bias", 0, 'k', INIT_ZERO, BLOCK(k_bias)},
    {"attn_v", "attn_v.weight", "self_attn.v_proj.weight", 'k', 'd', INIT_XAVIER_DEEP, BLOCK(v)},
    {"attn_v_bias", "attn_v.bias", "self_attn.v_proj.bias", 0, 'k', INIT_ZERO, BLOCK(v_bias)},
    {"attn_output", "attn_output.weight", "self_attn.out_proj.weight", 'd', 'q', INIT_XAVIER_DEEP, BLOCK(o)},
    {"attn_output_bias", "attn_output.bias", "self_attn.out_proj.bias", 0, 'd', INIT_ZERO, BLOCK(o_bias)},
    {"attn_output_norm", "attn_output_norm.weight", "self_attn_layer_norm.weight", 0, 'd', INIT_ONE, BLOCK(attn_out_norm)},
    {"attn_output_norm_bias", "attn_output_norm.bias", "self_attn_layer_norm.bias", 0, 'd', INIT_ZERO, BLOCK(attn_out_norm_bias)},
    {"ffn_up", "ffn_up.weight", "fc1.weight", 'f', 'd', INIT_XAVIER_DEEP, BLOCK(up)},
    {"ffn_up_bias", "ffn_up.bias", "fc1.bias", 0, 'f', INIT_ZERO, BLOCK(up_bias)},
    {"ffn_down", "ffn_down.weight", "fc2.weight", 'd', 'f', INIT_XAVIER_DEEP, BLOCK(down)},
    {"ffn_down_bias", "ffn_down.bias", "fc2.bias", 0, 'd', INIT_ZERO, BLOCK(down_bias)},
    {"layer_output_norm", "layer_output_norm.weight", "final_layer_norm.weight", 0, 'd', INIT_ONE, BLOCK(out_norm)},
    {"layer_output_norm_bias", "layer_output_norm.bias", "final_layer_norm.bias", 0, 'd', INIT_ZERO, BLOCK(out_norm_bias)},
    {0},
};

static enum sooth_status deepnorm_configure(struct arch_model *m, struct sooth_error *err)
{
    m->residual = (float)arch_real(m, "residual_scale", pow(2.0 * (double)m->info.layers, 0.25));
    if (!(m->residual > 0) || !isfinite(m->residual))
        return err_set(err, SOOTH_ERR_FORMAT, "residual_scale is not a positive number");
    return arch_rope(m, false, true, &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *deepnorm_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    struct mat *qkv[3];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim,
                               .scale = m->scale, .causal = true};

    op_linears(r, 3, (const struct weight *[]){b->q, b->k, b->v}, (const struct weight *[]){b->q_bias, b->k_bias, b->v_bias}, x, qkv);
    struct mat *q = op_rope(r, &m->rope, i->head_dim, qkv[0]);                                  /* [n, heads·head] */
    struct mat *k = op_rope(r, &m->rope, i->head_dim, qkv[1]);                                  /* [n, kv_heads·head] */
    struct mat *a = run_hook(r, HOOK_HEADS, layer, op_attend(r, &attend, q, k, qkv[2]));        /* [n, heads·head] */
    a = op_add(r, op_scale(r, m->residual, x), run_hook(r, HOOK_ATTEND, layer, op_linear(r, b->o, b->o_bias, a)));
    x = op_layernorm(r, b->attn_out_norm, b->attn_out_norm_bias, m->eps, a);                    /* [n, dim] */
    struct mat *h = op_act(r, m->act, op_linear(r, b->up, b->up_bias, x));                      /* [n, ff] */
    h = op_linear(r, b->down, b->down_bias, run_hook(r, HOOK_FF_HIDDEN, layer, h));             /* [n, dim] */
    h = run_hook(r, HOOK_SUM, layer, op_add(r, op_scale(r, m->residual, x), run_hook(r, HOOK_FF, layer, h)));
    return run_hook(r, HOOK_BLOCK, layer, op_layernorm(r, b->out_norm, b->out_norm_bias, m->eps, h));
}

static struct mat *deepnorm_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, x);
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, deepnorm_block, m, l, x);
    return op_wanted(r, x);
}

const struct arch_row arch_deepnorm = {
    .name = "deepnorm", .note = "post-norm decoder with DeepNorm's constants", .gguf_arch = "deepnorm", .hf_arch = "deepnorm",
    .hf_block = "model.layers.", .hf_prefixes = {NULL}, .decoder = true, .eps = 1e-6, .act = ACT_GELU, .params = params, .tops = tops,
    .configure = deepnorm_configure, .hidden = deepnorm_hidden, .hf = {"deepnorm", "DeepNormForCausalLM", "hidden_act", "gelu", false, NULL},
};
