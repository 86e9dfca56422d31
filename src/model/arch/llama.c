/* llama.c: Llama and its kin (SmolLM2; Mistral and Qwen2 share list and block): pre-norm RMSNorm, rotary positions, grouped-query attention, gated SiLU.
 *
 * GGUF stores q and k with rows permuted so that rotary pairs are neighbours; safetensors hold halves. Nothing else differs. */
#include <math.h>
#include <string.h>
#include "model/arch/arch_model.h"

const struct arch_param llama_tops[] = {
    {"token_embd", "token_embd.weight", "model.embed_tokens.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)},
    {"output_norm", "output_norm.weight", "model.norm.weight", 0, 'd', INIT_ONE, TOP(output_norm)},
    {"output", "output.weight", "lm_head.weight", 'v', 'd', INIT_NORMAL, TOP(output), PARAM_OPTIONAL},
    {0},
};
const struct arch_param llama_params[] = {
    {"attn_norm", "attn_norm.weight", "input_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm)},
    {"attn_q", "attn_q.weight", "self_attn.q_proj.weight", 'q', 'd', INIT_NORMAL, BLOCK(q), PARAM_PAIRS},
    {"attn_q_bias", "attn_q.bias", "self_attn.q_proj.bias", 0, 'q', INIT_ZERO, BLOCK(q_bias), PARAM_OPTIONAL | PARAM_PAIRS},
    {"attn_k", "attn_k.weight", "self_attn.k_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(k), PARAM_PAIRS},
    {"attn_k_bias", "attn_k.bias", "self_attn.k_proj.bias", 0, 'k', INIT_ZERO, BLOCK(k_bias), PARAM_OPTIONAL | PARAM_PAIRS},
    {"attn_v", "attn_v.weight", "self_attn.v_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(v)},
    {"attn_v_bias", "attn_v.bias", "self_attn.v_proj.bias", 0, 'k', INIT_ZERO, BLOCK(v_bias), PARAM_OPTIONAL},
    {"attn_output", "attn_output.weight", "self_attn.o_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o)},
    {"attn_output_bias", "attn_output.bias", "self_attn.o_proj.bias", 0, 'd', INIT_ZERO, BLOCK(o_bias), PARAM_OPTIONAL},
    {"ffn_norm", "ffn_norm.weight", "post_attention_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm)},
    {"ffn_gate", "ffn_gate.weight", "mlp.gate_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(gate)},
    {"ffn_up", "ffn_up.weight", "mlp.up_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_down", "ffn_down.weight", "mlp.down_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down)},
    {0},
};

static enum sooth_status llama_configure(struct arch_model *m, struct sooth_error *err)
{
    return arch_rope(m, false, !arch_is_gguf(m), &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *llama_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    struct mat *qkv[3], *gu[2];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim,
                               .scale = m->scale, .window = arch_window(m, layer), .causal = true};

    struct mat *h = op_rmsnorm(r, b->attn_norm, m->eps, x);                                     /* [n, dim] */
    op_linears(r, 3, (const struct weight *[]){b->q, b->k, b->v}, (const struct weight *[]){b->q_bias, b->k_bias, b->v_bias}, h, qkv);
    struct mat *q = op_rope(r, &m->rope, i->head_dim, qkv[0]);                                  /* [n, heads·head] */
    struct mat *k = op_rope(r, &m->rope, i->head_dim, qkv[1]);                                  /* [n, kv_heads·head] */
    struct mat *a = run_hook(r, HOOK_HEADS, layer, op_attend(r, &attend, q, k, qkv[2]));        /* [n, heads·head] */
    a = run_hook(r, HOOK_ATTEND, layer, op_linear(r, b->o, b->o_bias, a));                      /* [n, dim] */
    x = op_add(r, x, a);
    h = op_rmsnorm(r, b->ffn_norm, m->eps, x);
    op_linears(r, 2, (const struct weight *[]){b->gate, b->up}, NULL, h, gu);                   /* 2 x [n, ff] */
    h = run_hook(r, HOOK_FF_HIDDEN, layer, op_glu(r, m->act, gu[0], gu[1]));
    h = run_hook(r, HOOK_FF, layer, op_linear(r, b->down, NULL, h));                            /* [n, dim] */
    return run_hook(r, HOOK_BLOCK, layer, op_add(r, x, h));
}

struct mat *llama_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, x);
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, llama_block, m, l, x);
    return op_rmsnorm(r, m->top.output_norm, m->eps, op_wanted(r, x));
}

const struct arch_row arch_llama = {
    .name = "llama", .note = "Llama 1 to 3, SmolLM2, and what shares their shape", .gguf_arch = "llama", .hf_arch = "llama",
    .hf_block = "model.layers.", .hf_prefixes = {"-model."}, .decoder = true, .rms = true, .eps = 1e-6, .act = ACT_SILU, .params = llama_params, .tops = llama_tops,
    .configure = llama_configure, .hidden = llama_hidden, .hf = {"llama", "LlamaForCausalLM", "hidden_act", "silu", false, NULL},
};
