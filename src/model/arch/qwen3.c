/* qwen3.c: Qwen3: as Qwen2 without biases, and with queries and keys normalised head by head (RMSNorm of one head's numbers, one
 * weight for all heads) before they are rotated, which keeps their products small however large the weights grow. Heads need not
 * be width / heads wide. */
#include "model/arch/arch_model.h"

static const struct arch_param params[] = {
    {"attn_norm", "attn_norm.weight", "input_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm)},
    {"attn_q", "attn_q.weight", "self_attn.q_proj.weight", 'q', 'd', INIT_NORMAL, BLOCK(q)},
    {"attn_k", "attn_k.weight", "self_attn.k_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(k)},
    {"attn_v", "attn_v.weight", "self_attn.v_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(v)},
    {"attn_q_norm", "attn_q_norm.weight", "self_attn.q_norm.weight", 0, 'h', INIT_ONE, BLOCK(q_norm)},
    {"attn_k_norm", "attn_k_norm.weight", "self_attn.k_norm.weight", 0, 'h', INIT_ONE, BLOCK(k_norm)},
    {"attn_output", "attn_output.weight", "self_attn.o_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o)},
    {"ffn_norm", "ffn_norm.weight", "post_attention_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm)},
    {"ffn_gate", "ffn_gate.weight", "mlp.gate_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(gate)},
    {"ffn_up", "ffn_up.weight", "mlp.up_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_down", "ffn_down.weight", "mlp.down_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down)},
    {0},
};

static enum sooth_status qwen3_configure(struct arch_model *m, struct sooth_error *err)
{
    enum sooth_status status = arch_local_layers(m, qwen_is_local, err);
    return status ? status : arch_rope(m, false, true, &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *qwen3_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    struct mat *qkv[3], *gu[2];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim,
                               .scale = m->scale, .window = arch_window(m, layer), .causal = true};

    struct mat *h = op_rmsnorm(r, b->attn_norm, m->eps, x);                                     /* [n, dim] */
    op_linears(r, 3, (const struct weight *[]){b->q, b->k, b->v}, NULL, h, qkv);
    struct mat *q = op_rope(r, &m->rope, i->head_dim, op_rmsnorm(r, b->q_norm, m->eps, qkv[0])); /* [n, heads·head] */
    struct mat *k = op_rope(r, &m->rope, i->head_dim, op_rmsnorm(r, b->k_norm, m->eps, qkv[1])); /* [n, kv_heads·head] */
    struct mat *a = run_hook(r, HOOK_HEADS, layer, op_attend(r, &attend, q, k, qkv[2]));        /* [n, heads·head] */
    x = op_add(r, x, run_hook(r, HOOK_ATTEND, layer, op_linear(r, b->o, NULL, a)));             /* [n, dim] */
    h = op_rmsnorm(r, b->ffn_norm, m->eps, x);
    op_linears(r, 2, (const struct weight *[]){b->gate, b->up}, NULL, h, gu);                   /* 2 x [n, ff] */
    h = run_hook(r, HOOK_FF_HIDDEN, layer, op_glu(r, m->act, gu[0], gu[1]));
    h = run_hook(r, HOOK_FF, layer, op_linear(r, b->down, NULL, h));                            /* [n, dim] */
    return run_hook(r, HOOK_BLOCK, layer, op_add(r, x, h));
}

static struct mat *qwen3_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, x);
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, qwen3_block, m, l, x);
    return op_rmsnorm(r, m->top.output_norm, m->eps, op_wanted(r, x));
}

const struct arch_row arch_qwen3 = {
    .name = "qwen3", .note = "Qwen3", .gguf_arch = "qwen3", .hf_arch = "qwen3",
    .hf_block = "model.layers.", .hf_prefixes = {"-model."}, .decoder = true, .rms = true, .eps = 1e-6, .act = ACT_SILU, .params = params, .tops = llama_tops,
    .configure = qwen3_configure, .hidden = qwen3_hidden, .hf = {"qwen3", "Qwen3ForCausalLM", "hidden_act", "silu", false, NULL},
};
