/* gpt2.c: GPT-2 (Radford et al. 2019): learned positions, LayerNorm before attention and feed-forward, q, k, v in one matrix,
 * tanh-GELU, the embedding as output matrix.
 *
 * Safetensors hold the four matrices of a block as [in, out] (the original's one-by-one convolutions), GGUF as [out, in]; the loader turns
 * them. Positions beyond the table do not exist: the context cannot be stretched. */
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

static const struct arch_param tops[] = {
    {"token_embd", "token_embd.weight", "transformer.wte.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)},
    {"position_embd", "position_embd.weight", "transformer.wpe.weight", 'p', 'd', INIT_NORMAL, TOP(position_embd)},
    {"output_norm", "output_norm.weight", "transformer.ln_f.weight", 0, 'd', INIT_ONE, TOP(output_norm)},
    {"output_norm_bias", "output_norm.bias", "transformer.ln_f.bias", 0, 'd', INIT_ZERO, TOP(output_norm_bias)},
    {"output", "output.weight", "lm_head.weight", 'v', 'd', INIT_NORMAL, TOP(output), PARAM_OPTIONAL},
    {0},
};
static const struct arch_param params[] = {
    {"attn_norm", "attn_norm.weight", "ln_1.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm)},
    {"attn_norm_bias", "attn_norm.bias", "ln_1.bias", 0, 'd', INIT_ZERO, BLOCK(attn_norm_bias)},
    {"attn_qkv", "attn_qkv.weight", "attn.c_attn.weight", 'Q', 'd', INIT_NORMAL, BLOCK(qkv), PARAM_TRANSPOSED},
    {"attn_qkv_bias", "attn_qkv.bias", "attn.c_attn.bias", 0, 'Q', INIT_ZERO, BLOCK(qkv_bias)},
    {"attn_output", "attn_output.weight", "attn.c_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o), PARAM_TRANSPOSED},
    {"attn_output_bias", "attn_output.bias", "attn.c_proj.bias", 0, 'd', INIT_ZERO, BLOCK(o_bias)},
    {"ffn_norm", "ffn_norm.weight", "ln_2.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm)},
    {"ffn_norm_bias", "ffn_norm.bias", "ln_2.bias", 0, 'd', INIT_ZERO, BLOCK(ffn_norm_bias)},
    {"ffn_up", "ffn_up.weight", "mlp.c_fc.weight", 'f', 'd', INIT_NORMAL, BLOCK(up), PARAM_TRANSPOSED},
    {"ffn_up_bias", "ffn_up.bias", "mlp.c_fc.bias", 0, 'f', INIT_ZERO, BLOCK(up_bias)},
    {"ffn_down", "ffn_down.weight", "mlp.c_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down), PARAM_TRANSPOSED},
    {"ffn_down_bias", "ffn_down.bias", "mlp.c_proj.bias", 0, 'd', INIT_ZERO, BLOCK(down_bias)},
    {0},
};

static enum sooth_status gpt2_configure(struct arch_model *m, struct sooth_error *err)
{
    const struct json *config = arch_config(m);
    if (json_bool(config, "scale_attn_by_inverse_layer_idx", false) || !json_bool(config, "scale_attn_weights", true))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'scale_attn_by_inverse_layer_idx' and unscaled attention are not known");
    return SOOTH_OK;
}

/* x [n, dim] -> [n, dim] */
static struct mat *gpt2_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    const size_t q_cols = i->heads * i->head_dim, k_cols = i->kv_heads * i->head_dim;
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim,
                               .scale = m->scale, .causal = true};

    struct mat *h = op_layernorm(r, b->attn_norm, b->attn_norm_bias, m->eps, x);                /* [n, dim] */
    struct mat *qkv = op_linear(r, b->qkv, b->qkv_bias, h);                                     /* [n, 3·dim] */
    struct mat *q = op_columns(r, 0, q_cols, qkv), *k = op_columns(r, q_cols, k_cols, qkv);     /* [n, heads·head] each */
    struct mat *a = op_attend(r, &attend, q, k, op_columns(r, q_cols + k_cols, k_cols, qkv));
    a = op_linear(r, b->o, b->o_bias, run_hook(r, HOOK_HEADS, layer, a));                       /* [n, dim] */
    x = op_add(r, x, run_hook(r, HOOK_ATTEND, layer, a));
    h = op_linear(r, b->up, b->up_bias, op_layernorm(r, b->ffn_norm, b->ffn_norm_bias, m->eps, x)); /* [n, ff] */
    h = run_hook(r, HOOK_FF_HIDDEN, layer, op_act(r, m->act, h));
    h = run_hook(r, HOOK_FF, layer, op_linear(r, b->down, b->down_bias, h));                    /* [n, dim] */
    return run_hook(r, HOOK_BLOCK, layer, op_add(r, x, h));
}

static struct mat *gpt2_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, op_add(r, x, op_embed(r, m->top.position_embd, IDS_POSITION, 0)));
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, gpt2_block, m, l, x);
    return op_layernorm(r, m->top.output_norm, m->top.output_norm_bias, m->eps, op_wanted(r, x));
}

const struct arch_row arch_gpt2 = {
    .name = "gpt2", .note = "GPT-2", .gguf_arch = "gpt2", .hf_arch = "gpt2",
    .hf_block = "transformer.h.", .hf_prefixes = {"-transformer."}, .decoder = true, .eps = 1e-5, .act = ACT_GELU_TANH, .params = params, .tops = tops,
    .configure = gpt2_configure, .hidden = gpt2_hidden, .hf = {"gpt2", "GPT2LMHeadModel", "activation_function", "gelu_new", true, NULL},
};
