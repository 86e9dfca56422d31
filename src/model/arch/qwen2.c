/* qwen2.c: Qwen2 and Qwen2.5: Llama with biases on q, k and v, and rotary halves in both containers.
 *
 * A sliding window is written in every config.json and used in almost none: use_sliding_window says whether, and then the layers from
 * max_window_layers on have it. */
#include "core/base/json.h"
#include "model/arch/arch_model.h"

static const struct arch_param params[] = {
    {"attn_norm", "attn_norm.weight", "input_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_norm)},
    {"attn_q", "attn_q.weight", "self_attn.q_proj.weight", 'q', 'd', INIT_NORMAL, BLOCK(q)},
    {"attn_q_bias", "attn_q.bias", "self_attn.q_proj.bias", 0, 'q', INIT_ZERO, BLOCK(q_bias)},
    {"attn_k", "attn_k.weight", "self_attn.k_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(k)},
    {"attn_k_bias", "attn_k.bias", "self_attn.k_proj.bias", 0, 'k', INIT_ZERO, BLOCK(k_bias)},
    {"attn_v", "attn_v.weight", "self_attn.v_proj.weight", 'k', 'd', INIT_NORMAL, BLOCK(v)},
    {"attn_v_bias", "attn_v.bias", "self_attn.v_proj.bias", 0, 'k', INIT_ZERO, BLOCK(v_bias)},
    {"attn_output", "attn_output.weight", "self_attn.o_proj.weight", 'd', 'q', INIT_NORMAL_DEEP, BLOCK(o)},
    {"ffn_norm", "ffn_norm.weight", "post_attention_layernorm.weight", 0, 'd', INIT_ONE, BLOCK(ffn_norm)},
    {"ffn_gate", "ffn_gate.weight", "mlp.gate_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(gate)},
    {"ffn_up", "ffn_up.weight", "mlp.up_proj.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_down", "ffn_down.weight", "mlp.down_proj.weight", 'd', 'f', INIT_NORMAL_DEEP, BLOCK(down)},
    {0},
};

bool qwen_is_local(const struct arch_model *m, size_t layer)
{
    const struct json *config = arch_config(m);
    return m->info.window && json_bool(config, "use_sliding_window", false) && (int64_t)layer >= json_int(config, "max_window_layers", 0);
}

static enum sooth_status qwen2_configure(struct arch_model *m, struct sooth_error *err)
{
    enum sooth_status status = arch_local_layers(m, qwen_is_local, err);
    return status ? status : arch_rope(m, false, true, &m->rope, err);
}

const struct arch_row arch_qwen2 = {
    .name = "qwen2", .note = "Qwen2 and Qwen2.5", .gguf_arch = "qwen2", .hf_arch = "qwen2",
    .hf_block = "model.layers.", .hf_prefixes = {"-model."}, .decoder = true, .rms = true, .eps = 1e-6, .act = ACT_SILU, .params = params, .tops = llama_tops,
    .configure = qwen2_configure, .hidden = llama_hidden, .hf = {"qwen2", "Qwen2ForCausalLM", "hidden_act", "silu", false, NULL},
};
