/* phi3.c: Phi-3, Phi-3.5 and Phi-4-mini: Llama with q, k, v in one matrix and gate, up in another, and long contexts by two lists
 * of divisors (longrope, once called su).
 *
 *     qkv    [q rows | k rows | v rows]        one product, its columns taken apart
 *     up     [gate rows | up rows]
 *
 * Rotary pairs are halves in both containers; Phi-4-mini rotates three quarters of a head. The files state a sliding window for
 * every layer, mostly one that no text fills. */
#include "core/base/error.h"
#include "model/arch/arch_model.h"

static const struct arch_param params[] = {
    {"attn_norm", "attn_norm.weight", "input_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm)},
    {"attn_qkv", "attn_qkv.weight", "self_attn.qkv_proj.weight", 'Q', 'd', INIT_NORMAL, BLOCK(qkv)},
    {"attn_output", "attn_output.weight", "self_attn.o_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o)},
    {"ffn_norm", "ffn_norm.weight", "post_attention_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm)},
    {"ffn_up", "ffn_up.weight", "mlp.gate_up_proj.weight", 'F', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_down", "ffn_down.weight", "mlp.down_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down)},
    {0},
};

static enum sooth_status phi3_configure(struct arch_model *m, struct sooth_error *err)
{
    enum sooth_status status = arch_local_layers(m, arch_every_layer, err);
    return status ? status : arch_rope(m, false, true, &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *phi3_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    const size_t q_cols = i->heads * i->head_dim, k_cols = i->kv_heads * i->head_dim;
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim,
                               .scale = m->scale, .window = arch_window(m, layer), .causal = true};

    struct mat *qkv = op_linear(r, b->qkv, NULL, op_rmsnorm(r, b->attn_norm, m->eps, x));       /* [n, (heads + 2·kv_heads)·head] */
    struct mat *q = op_rope(r, &m->rope, i->head_dim, op_columns(r, 0, q_cols, qkv));           /* [n, heads·head] */
    struct mat *k = op_rope(r, &m->rope, i->head_dim, op_columns(r, q_cols, k_cols, qkv));      /* [n, kv_heads·head] */
    struct mat *a = op_attend(r, &attend, q, k, op_columns(r, q_cols + k_cols, k_cols, qkv));   /* [n, heads·head] */
    a = op_linear(r, b->o, NULL, run_hook(r, HOOK_HEADS, layer, a));                            /* [n, dim] */
    x = op_add(r, x, run_hook(r, HOOK_ATTEND, layer, a));
    struct mat *gu = op_linear(r, b->up, NULL, op_rmsnorm(r, b->ffn_norm, m->eps, x));          /* [n, 2·ff] */
    struct mat *h = op_glu(r, m->act, op_columns(r, 0, i->ff, gu), op_columns(r, i->ff, i->ff, gu));
    h = op_linear(r, b->down, NULL, run_hook(r, HOOK_FF_HIDDEN, layer, h));                     /* [n, dim] */
    return run_hook(r, HOOK_BLOCK, layer, op_add(r, x, run_hook(r, HOOK_FF, layer, h)));
}

static struct mat *phi3_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, x);
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, phi3_block, m, l, x);
    return op_rmsnorm(r, m->top.output_norm, m->eps, op_wanted(r, x));
}

const struct arch_row arch_phi3 = {
    .name = "phi3", .note = "Phi-3, Phi-3.5, Phi-4-mini", .gguf_arch = "phi3", .gguf_windows = true, .hf_arch = "phi3",
    .hf_block = "model.layers.", .hf_prefixes = {"-model."}, .decoder = true, .rms = true, .eps = 1e-5, .act = ACT_SILU, .params = params, .tops = llama_tops,
    .configure = phi3_configure, .hidden = phi3_hidden, .hf = {"phi3", "Phi3ForCausalLM", "hidden_act", "silu", false, NULL},
};
