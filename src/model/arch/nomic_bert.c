/* nomic_bert.c: nomic-embed-text: BERT's post-norm encoder with rotary positions, a gated feed-forward, and no biases but the norms'.
 *
 *     x = norm( token + type )
 *     x = norm( x + o( attend( rope(q), rope(k), v ) ) )        q, k, v in one matrix
 *     x = norm( x + down( silu(gate(x)) · up(x) ) )
 *
 * The published directory states factors for stretching texts beyond the 2,048 tokens it was trained on; they change nothing up to
 * there, and there the context ends here. */
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

static const struct arch_param tops[] = {
    {"token_embd", "token_embd.weight", "embeddings.word_embeddings.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)},
    {"token_types", "token_types.weight", "embeddings.token_type_embeddings.weight", 't', 'd', INIT_NORMAL, TOP(type_embd), PARAM_OPTIONAL},
    {"token_embd_norm", "token_embd_norm.weight", "emb_ln.weight", 0, 'd', INIT_ONE, TOP(embd_norm)},
    {"token_embd_norm_bias", "token_embd_norm.bias", "emb_ln.bias", 0, 'd', INIT_ZERO, TOP(embd_norm_bias)},
    {0},
};
static const struct arch_param params[] = {
    {"attn_qkv", "attn_qkv.weight", "attn.Wqkv.weight", 'Q', 'd', INIT_NORMAL, BLOCK(qkv)},
    {"attn_output", "attn_output.weight", "attn.out_proj.weight", 'd', 'q', INIT_NORMAL, BLOCK(o)},
    {"attn_output_norm", "attn_output_norm.weight", "norm1.weight", 0, 'd', INIT_ONE, BLOCK(attn_out_norm)},
    {"attn_output_norm_bias", "attn_output_norm.bias", "norm1.bias", 0, 'd', INIT_ZERO, BLOCK(attn_out_norm_bias)},
    {"ffn_up", "ffn_up.weight", "mlp.fc11.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_gate", "ffn_gate.weight", "mlp.fc12.weight", 'f', 'd', INIT_NORMAL, BLOCK(gate)},
    {"ffn_down", "ffn_down.weight", "mlp.fc2.weight", 'd', 'f', INIT_NORMAL, BLOCK(down)},
    {"layer_output_norm", "layer_output_norm.weight", "norm2.weight", 0, 'd', INIT_ONE, BLOCK(out_norm)},
    {"layer_output_norm_bias", "layer_output_norm.bias", "norm2.bias", 0, 'd', INIT_ZERO, BLOCK(out_norm_bias)},
    {0},
};

enum { TRAINED = 2048 };

static enum sooth_status nomic_bert_configure(struct arch_model *m, struct sooth_error *err)
{
    const struct json *config = arch_config(m);
    if (json_bool(config, "prenorm", false) || json_bool(config, "use_rms_norm", false))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "'prenorm' and 'use_rms_norm' are not known in a nomic_bert model");
    int64_t trained = json_int(config, "max_trained_positions", TRAINED);
    if (config && trained > 0 && m->info.context > (size_t)trained)
        m->info.context = (size_t)trained;
    return arch_rope(m, false, true, &m->rope, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *nomic_bert_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    const size_t q_cols = i->heads * i->head_dim, k_cols = i->kv_heads * i->head_dim;
    struct mat *gu[2];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim, .scale = m->scale};

    struct mat *qkv = op_linear(r, b->qkv, NULL, x);                                            /* [n, 3·dim] */
    struct mat *q = op_rope(r, &m->rope, i->head_dim, op_columns(r, 0, q_cols, qkv));           /* [n, heads·head] */
    struct mat *k = op_rope(r, &m->rope, i->head_dim, op_columns(r, q_cols, k_cols, qkv));
    struct mat *a = op_attend(r, &attend, q, k, op_columns(r, q_cols + k_cols, k_cols, qkv));
    a = op_linear(r, b->o, NULL, run_hook(r, HOOK_HEADS, layer, a));                            /* [n, dim] */
    x = op_layernorm(r, b->attn_out_norm, b->attn_out_norm_bias, m->eps, op_add(r, x, run_hook(r, HOOK_ATTEND, layer, a)));
    op_linears(r, 2, (const struct weight *[]){b->gate, b->up}, NULL, x, gu);                   /* 2 x [n, ff] */
    struct mat *h = run_hook(r, HOOK_FF_HIDDEN, layer, op_glu(r, m->act, gu[0], gu[1]));
    h = run_hook(r, HOOK_FF, layer, op_linear(r, b->down, NULL, h));                            /* [n, dim] */
    x = run_hook(r, HOOK_SUM, layer, op_add(r, x, h));
    return run_hook(r, HOOK_BLOCK, layer, op_layernorm(r, b->out_norm, b->out_norm_bias, m->eps, x));
}

static struct mat *nomic_bert_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    if (m->top.type_embd)
        x = op_add(r, x, op_embed(r, m->top.type_embd, IDS_TYPE, 0));
    x = run_hook(r, HOOK_EMBED, 0, op_layernorm(r, m->top.embd_norm, m->top.embd_norm_bias, m->eps, x));
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, nomic_bert_block, m, l, x);
    return op_wanted(r, x);
}

const struct arch_row arch_nomic_bert = {
    .name = "nomic-bert", .note = "nomic-embed-text encoders", .gguf_arch = "nomic-bert", .hf_arch = "nomic-bert",
    .hf_block = "encoder.layers.", .hf_prefixes = {"bert."}, .decoder = false, .eps = 1e-12, .act = ACT_SILU, .params = params, .tops = tops,
    .configure = nomic_bert_configure, .hidden = nomic_bert_hidden, .hf = {"nomic_bert", "NomicBertModel", "hidden_act", "silu", false, NULL},
};
