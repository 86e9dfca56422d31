/* gemma3.c: Gemma 3 text models: embeddings times √d, RMSNorm before and after attention and feed-forward, queries and keys
 * normalised head by head, gated tanh-GELU; five layers with a sliding window and rotary base 10,000, then one that sees all.
 *
 * Safetensors store g of a norm where the model multiplies by 1 + g; GGUF stores 1 + g. GGUF does not tell the pattern of
 * layers nor the local base: both are built in. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

static const struct arch_param tops[] = {
    {"token_embd", "token_embd.weight", "model.embed_tokens.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)},
    {"output_norm", "output_norm.weight", "model.norm.weight", 0, 'd', INIT_ONE, TOP(output_norm), PARAM_PLUS_ONE},
    {"output", "output.weight", "lm_head.weight", 'v', 'd', INIT_NORMAL, TOP(output), PARAM_OPTIONAL},
    {0},
};
static const struct arch_param params[] = {
    {"attn_norm", "attn_norm.weight", "input_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm), PARAM_PLUS_ONE},
    {"attn_q", "attn_q.weight", "self_attn.q_proj.weight", 'q', 'd', INIT_NORMAL, BLOCK(q)},
    {"attn_k", "attn_k.weight", "self_attn.k_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(k)},
    {"attn_v", "attn_v.weight", "self_attn.v_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(v)},
    {"attn_q_norm", "attn_q_norm.weight", "self_attn.q_norm.weight", 0, 'h', INIT_ONE, BLOCK(q_norm), PARAM_PLUS_ONE},
    {"attn_k_norm", "attn_k_norm.weight", "self_attn.k_norm.weight", 0, 'h', INIT_ONE, BLOCK(k_norm), PARAM_PLUS_ONE},
    {"attn_output", "attn_output.weight", "self_attn.o_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o)},
    {"post_attention_norm", "post_attention_norm.weight", "post_attention_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(post_attn_norm), PARAM_PLUS_ONE},
    {"ffn_norm", "ffn_norm.weight", "pre_feedforward_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm), PARAM_PLUS_ONE},
    {"ffn_gate", "ffn_gate.weight", "mlp.gate_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(gate)},
    {"ffn_up", "ffn_up.weight", "mlp.up_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_down", "ffn_down.weight", "mlp.down_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down)},
    {"post_ffw_norm", "post_ffw_norm.weight", "post_feedforward_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(post_ffn_norm), PARAM_PLUS_ONE},
    {0},
};

enum { PATTERN = 6 }; /* every sixth layer is global */

static bool gemma3_is_local(const struct arch_model *m, size_t layer)
{
    size_t pattern = (size_t)json_int(arch_config(m), "sliding_window_pattern", PATTERN);
    return pattern == 0 || (layer + 1) % pattern != 0;
}

static enum sooth_status gemma3_configure(struct arch_model *m, struct sooth_error *err)
{
    if (json_bool(arch_config(m), "use_bidirectional_attention", false))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'use_bidirectional_attention': Gemma 3 as an embedder is not known");
    if (m->info.window == 0)
        m->info.window = 512;
    enum sooth_status status = arch_local_layers(m, gemma3_is_local, err);
    for (size_t i = 0; i < m->info.layers && !status; i++)
        m->odd_windows |= m->local[i] != ((i + 1) % PATTERN != 0);
    if (!status)
        status = arch_rope(m, true, true, &m->rope_local, err);
    return status ? status : arch_rope(m, false, true, &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *gemma3_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    const struct rope *rope = m->local[layer] ? &m->rope_local : &m->rope;
    struct mat *qkv[3], *gu[2];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim, .scale = m->scale,
                               .softcap = m->attn_softcap, .window = arch_window(m, layer), .causal = true};

    struct mat *h = op_rmsnorm(r, b->attn_norm, m->eps, x);                                             /* [n, dim] */
    op_linears(r, 3, (const struct weight *[]){b->q, b->k, b->v}, NULL, h, qkv);
    struct mat *q = op_rope(r, rope, i->head_dim, op_rmsnorm(r, b->q_norm, m->eps, qkv[0]));            /* [n, heads·head] */
    struct mat *k = op_rope(r, rope, i->head_dim, op_rmsnorm(r, b->k_norm, m->eps, qkv[1]));            /* [n, kv_heads·head] */
    struct mat *a = run_hook(r, HOOK_HEADS, layer, op_attend(r, &attend, q, k, qkv[2]));                /* [n, heads·head] */
    a = op_rmsnorm(r, b->post_attn_norm, m->eps, op_linear(r, b->o, NULL, a));                          /* [n, dim] */
    x = op_add(r, x, run_hook(r, HOOK_ATTEND, layer, a));
    h = op_rmsnorm(r, b->ffn_norm, m->eps, x);
    op_linears(r, 2, (const struct weight *[]){b->gate, b->up}, NULL, h, gu);                           /* 2 x [n, ff] */
    h = run_hook(r, HOOK_FF_HIDDEN, layer, op_glu(r, m->act, gu[0], gu[1]));
    h = op_rmsnorm(r, b->post_ffn_norm, m->eps, op_linear(r, b->down, NULL, h));                        /* [n, dim] */
    return run_hook(r, HOOK_BLOCK, layer, op_add(r, x, run_hook(r, HOOK_FF, layer, h)));
}

static struct mat *gemma3_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = op_scale(r, sqrtf((float)m->info.dim), op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    x = run_hook(r, HOOK_EMBED, 0, run_hook(r, HOOK_TOKENS, 0, x));
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, gemma3_block, m, l, x);
    return op_rmsnorm(r, m->top.output_norm, m->eps, op_wanted(r, x));
}

const struct arch_row arch_gemma3 = {
    .name = "gemma3", .note = "Gemma 3, text", .gguf_arch = "gemma3", .gguf_windows = true, .hf_arch = "gemma3", .hf_block = "model.layers.",
    .hf_prefixes = {"-model.", "language_model."}, .decoder = true, .rms = true, .eps = 1e-6, .act = ACT_GELU_TANH, .params = params, .tops = tops, .configure = gemma3_configure,
    .hidden = gemma3_hidden,
    .hf = {"gemma3_text", "Gemma3ForCausalLM", "hidden_activation", "gelu_pytorch_tanh", false, NULL, true},
};
