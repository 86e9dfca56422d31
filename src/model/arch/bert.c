/* bert.c: BERT and XLM-RoBERTa encoders: learned positions, LayerNorm after each residual, GELU, attention both ways.
 *
 * They differ in two things. XLM-R's table of positions begins with two rows that are never used, so a text starts at position 2;
 * GGUF leaves those rows out and calls both "bert". And XLM-R has one token type.
 *
 * With a head they are classifiers and cross-encoders: scores = W2·tanh(W1·h + b1) + b2 over the first token's vector h (arch_scores). BERT calls
 * the first of the two its pooler and has it in any file; without the second it is left alone. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/arch/arch_model.h"

/* The embeddings, which both have. */
#define EMBEDDINGS \
    {"token_embd", "token_embd.weight", "embeddings.word_embeddings.weight", 'v', 'd', INIT_NORMAL, TOP(token_embd)}, \
    {"position_embd", "position_embd.weight", "embeddings.position_embeddings.weight", 'p', 'd', INIT_NORMAL, TOP(position_embd)}, \
    {"token_types", "token_types.weight", "embeddings.token_type_embeddings.weight", 't', 'd', INIT_NORMAL, TOP(type_embd), PARAM_OPTIONAL}, \
    {"token_embd_norm", "token_embd_norm.weight", "embeddings.LayerNorm.weight", 0, 'd', INIT_ONE, TOP(embd_norm)}, \
    {"token_embd_norm_bias", "token_embd_norm.bias", "embeddings.LayerNorm.bias", 0, 'd', INIT_ZERO, TOP(embd_norm_bias)}

static const struct arch_param bert_tops[] = {
    EMBEDDINGS,
    {"cls", "cls.weight", "pooler.dense.weight", 'd', 'd', INIT_NORMAL, TOP(cls), PARAM_HEAD},
    {"cls_bias", "cls.bias", "pooler.dense.bias", 0, 'd', INIT_ZERO, TOP(cls_bias), PARAM_HEAD},
    {"cls_output", "cls.output.weight", "classifier.weight", 'c', 'd', INIT_NORMAL, TOP(cls_output), PARAM_HEAD},
    {"cls_output_bias", "cls.output.bias", "classifier.bias", 0, 'c', INIT_ZERO, TOP(cls_output_bias), PARAM_HEAD},
    {0},
};
static const struct arch_param xlmr_tops[] = {
    EMBEDDINGS,
    {"cls", "cls.weight", "classifier.dense.weight", 'd', 'd', INIT_NORMAL, TOP(cls), PARAM_HEAD},
    {"cls_bias", "cls.bias", "classifier.dense.bias", 0, 'd', INIT_ZERO, TOP(cls_bias), PARAM_HEAD},
    {"cls_output", "cls.output.weight", "classifier.out_proj.weight", 'c', 'd', INIT_NORMAL, TOP(cls_output), PARAM_HEAD},
    {"cls_output_bias", "cls.output.bias", "classifier.out_proj.bias", 0, 'c', INIT_ZERO, TOP(cls_output_bias), PARAM_HEAD},
    {0},
};
static const struct arch_param params[] = {
    {"attn_q", "attn_q.weight", "attention.self.query.weight", 'q', 'd', INIT_NORMAL, BLOCK(q)},
    {"attn_q_bias", "attn_q.bias", "attention.self.query.bias", 0, 'q', INIT_ZERO, BLOCK(q_bias)},
    {"attn_k", "attn_k.weight", "attention.self.key.weight", 'k', 'd', INIT_NORMAL, BLOCK(k)},
    {"attn_k_bias", "attn_k.bias", "attention.self.key.bias", 0, 'k', INIT_ZERO, BLOCK(k_bias)},
    {"attn_v", "attn_v.weight", "attention.self.value.weight", 'k', 'd', INIT_NORMAL, BLOCK(v)},
    {"attn_v_bias", "attn_v.bias", "attention.self.value.bias", 0, 'k', INIT_ZERO, BLOCK(v_bias)},
    {"attn_output", "attn_output.weight", "attention.output.dense.weight", 'd', 'q', INIT_NORMAL, BLOCK(o)},
    {"attn_output_bias", "attn_output.bias", "attention.output.dense.bias", 0, 'd', INIT_ZERO, BLOCK(o_bias)},
    {"attn_output_norm", "attn_output_norm.weight", "attention.output.LayerNorm.weight", 0, 'd', INIT_ONE, BLOCK(attn_out_norm)},
    {"attn_output_norm_bias", "attn_output_norm.bias", "attention.output.LayerNorm.bias", 0, 'd', INIT_ZERO, BLOCK(attn_out_norm_bias)},
    {"ffn_up", "ffn_up.weight", "intermediate.dense.weight", 'f', 'd', INIT_NORMAL, BLOCK(up)},
    {"ffn_up_bias", "ffn_up.bias", "intermediate.dense.bias", 0, 'f', INIT_ZERO, BLOCK(up_bias)},
    {"ffn_down", "ffn_down.weight", "output.dense.weight", 'd', 'f', INIT_NORMAL, BLOCK(down)},
    {"ffn_down_bias", "ffn_down.bias", "output.dense.bias", 0, 'd', INIT_ZERO, BLOCK(down_bias)},
    {"layer_output_norm", "layer_output_norm.weight", "output.LayerNorm.weight", 0, 'd', INIT_ONE, BLOCK(out_norm)},
    {"layer_output_norm_bias", "layer_output_norm.bias", "output.LayerNorm.bias", 0, 'd', INIT_ZERO, BLOCK(out_norm_bias)},
    {0},
};

static enum sooth_status bert_configure(struct arch_model *m, struct sooth_error *err)
{
    const char *kind = json_string(arch_config(m), "position_embedding_type", "absolute");
    return strcmp(kind, "absolute") == 0 ? SOOTH_OK : err_set(err, SOOTH_ERR_UNSUPPORTED, "position_embedding_type '%s' is not known", kind);
}

static enum sooth_status xlmr_configure(struct arch_model *m, struct sooth_error *err)
{
    if (m->positions <= 2)
        return err_set(err, SOOTH_ERR_FORMAT, "an XLM-RoBERTa model with %zu positions", m->positions);
    m->position_offset = 2;
    m->info.context = m->positions - 2;
    return bert_configure(m, err);
}

/* x [n, dim] -> [n, dim] */
static struct mat *bert_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct arch_model *m = model;
    const struct arch_block *b = &m->blocks[layer];
    const struct arch_info *i = &m->info;
    struct mat *qkv[3];
    struct attend_op attend = {.layer = layer, .heads = i->heads, .kv_heads = i->kv_heads, .dk = i->head_dim, .dv = i->head_dim, .scale = m->scale};

    op_linears(r, 3, (const struct weight *[]){b->q, b->k, b->v}, (const struct weight *[]){b->q_bias, b->k_bias, b->v_bias}, x, qkv);
    struct mat *a = run_hook(r, HOOK_HEADS, layer, op_attend(r, &attend, qkv[0], qkv[1], qkv[2])); /* [n, heads·head] */
    a = run_hook(r, HOOK_ATTEND, layer, op_linear(r, b->o, b->o_bias, a));                         /* [n, dim] */
    x = op_layernorm(r, b->attn_out_norm, b->attn_out_norm_bias, m->eps, op_add(r, x, a));
    struct mat *h = op_act(r, m->act, op_linear(r, b->up, b->up_bias, x));                       /* [n, ff] */
    h = run_hook(r, HOOK_FF_HIDDEN, layer, h);
    h = run_hook(r, HOOK_FF, layer, op_linear(r, b->down, b->down_bias, h));                       /* [n, dim] */
    x = run_hook(r, HOOK_SUM, layer, op_add(r, x, h));
    return run_hook(r, HOOK_BLOCK, layer, op_layernorm(r, b->out_norm, b->out_norm_bias, m->eps, x));
}

static struct mat *bert_hidden(const struct arch_model *m, struct run *r)
{
    struct mat *x = run_hook(r, HOOK_TOKENS, 0, op_embed(r, m->top.token_embd, IDS_TOKEN, 0));
    if (m->top.type_embd)
        x = op_add(r, x, op_embed(r, m->top.type_embd, IDS_TYPE, 0));
    x = op_add(r, x, op_embed(r, m->top.position_embd, IDS_POSITION, (int64_t)m->position_offset));
    x = run_hook(r, HOOK_EMBED, 0, op_layernorm(r, m->top.embd_norm, m->top.embd_norm_bias, m->eps, x));
    for (unsigned l = 0; l < m->info.layers; l++)
        x = op_layer(r, bert_block, m, l, x);
    return op_wanted(r, x);
}

const struct arch_row arch_bert = {
    .name = "bert", .note = "BERT encoders: MiniLM, bge; GGUF's name for XLM-R too", .gguf_arch = "bert", .hf_arch = "bert",
    .hf_block = "encoder.layer.", .hf_prefixes = {"bert."}, .decoder = false, .eps = 1e-12, .act = ACT_GELU, .params = params, .tops = bert_tops, .configure = bert_configure,
    .hidden = bert_hidden, .hf = {"bert", "BertModel", "hidden_act", "gelu", false, "BertForSequenceClassification"},
};
const struct arch_row arch_xlmr = {
    .name = "xlmr", .note = "XLM-RoBERTa encoders as safetensors: e5, bge-m3", .gguf_arch = NULL, .gguf_alias = "bert", .hf_arch = "xlm-roberta",
    .hf_block = "encoder.layer.", .hf_prefixes = {"roberta.", "bert."}, .decoder = false, .eps = 1e-12, .act = ACT_GELU, .params = params, .tops = xlmr_tops, .configure = xlmr_configure,
    .hidden = bert_hidden, .hf = {"xlm-roberta", "XLMRobertaModel", "hidden_act", "gelu", false, "XLMRobertaForSequenceClassification"},
};
