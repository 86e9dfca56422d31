/* random_model.h: models of random numbers in every architecture and number format, two blocks or six, 256 wide, written as GGUF; with
 * a vocabulary of V letters and signs. The same writer damages them. */
#ifndef TEST_RANDOM_MODEL_H
#define TEST_RANDOM_MODEL_H
#include "arch_fixture.h"
#include "core/base/rng.h"

enum { D = 256, F = 256, HEAD = 64, HEADS = 4, KV = 2, V = 80, CONTEXT = 64 };

struct shape {
    const char *name;
    size_t rows, cols; /* rows 0: a vector */
};
static const struct shape llama_block[] = {{"attn_norm.weight", 0, D}, {"attn_q.weight", D, D}, {"attn_k.weight", KV * HEAD, D},
    {"attn_v.weight", KV * HEAD, D}, {"attn_output.weight", D, D}, {"ffn_norm.weight", 0, D}, {"ffn_gate.weight", F, D}, {"ffn_up.weight", F, D},
    {"ffn_down.weight", D, F}, {0}};
static const struct shape gemma3_block[] = {{"attn_norm.weight", 0, D}, {"attn_q.weight", D, D}, {"attn_k.weight", KV * HEAD, D},
    {"attn_v.weight", KV * HEAD, D}, {"attn_output.weight", D, D}, {"attn_q_norm.weight", 0, HEAD}, {"attn_k_norm.weight", 0, HEAD},
    {"post_attention_norm.weight", 0, D}, {"ffn_norm.weight", 0, D}, {"ffn_gate.weight", F, D}, {"ffn_up.weight", F, D}, {"ffn_down.weight", D, F},
    {"post_ffw_norm.weight", 0, D}, {0}};
static const struct shape bert_block[] = {{"attn_q.weight", D, D}, {"attn_q.bias", 0, D}, {"attn_k.weight", D, D}, {"attn_k.bias", 0, D},
    {"attn_v.weight", D, D}, {"attn_v.bias", 0, D}, {"attn_output.weight", D, D}, {"attn_output.bias", 0, D}, {"attn_output_norm.weight", 0, D},
    {"attn_output_norm.bias", 0, D}, {"ffn_up.weight", F, D}, {"ffn_up.bias", 0, F}, {"ffn_down.weight", D, F}, {"ffn_down.bias", 0, D},
    {"layer_output_norm.weight", 0, D}, {"layer_output_norm.bias", 0, D}, {0}};
static const struct shape qwen2_block[] = {{"attn_norm.weight", 0, D}, {"attn_q.weight", D, D}, {"attn_q.bias", 0, D}, {"attn_k.weight", KV * HEAD, D},
    {"attn_k.bias", 0, KV * HEAD}, {"attn_v.weight", KV * HEAD, D}, {"attn_v.bias", 0, KV * HEAD}, {"attn_output.weight", D, D},
    {"ffn_norm.weight", 0, D}, {"ffn_gate.weight", F, D}, {"ffn_up.weight", F, D}, {"ffn_down.weight", D, F}, {0}};
static const struct shape qwen3_block[] = {{"attn_norm.weight", 0, D}, {"attn_q.weight", D, D}, {"attn_k.weight", KV * HEAD, D},
    {"attn_v.weight", KV * HEAD, D}, {"attn_q_norm.weight", 0, HEAD}, {"attn_k_norm.weight", 0, HEAD}, {"attn_output.weight", D, D},
    {"ffn_norm.weight", 0, D}, {"ffn_gate.weight", F, D}, {"ffn_up.weight", F, D}, {"ffn_down.weight", D, F}, {0}};
static const struct shape phi3_block[] = {{"attn_norm.weight", 0, D}, {"attn_qkv.weight", D + 2 * KV * HEAD, D}, {"attn_output.weight", D, D},
    {"ffn_norm.weight", 0, D}, {"ffn_up.weight", 2 * F, D}, {"ffn_down.weight", D, F}, {0}};
static const struct shape gpt2_block[] = {{"attn_norm.weight", 0, D}, {"attn_norm.bias", 0, D}, {"attn_qkv.weight", D + 2 * KV * HEAD, D},
    {"attn_qkv.bias", 0, D + 2 * KV * HEAD}, {"attn_output.weight", D, D}, {"attn_output.bias", 0, D}, {"ffn_norm.weight", 0, D},
    {"ffn_norm.bias", 0, D}, {"ffn_up.weight", F, D}, {"ffn_up.bias", 0, F}, {"ffn_down.weight", D, F}, {"ffn_down.bias", 0, D}, {0}};
static const struct shape nomic_block[] = {{"attn_qkv.weight", 3 * D, D}, {"attn_output.weight", D, D}, {"attn_output_norm.weight", 0, D},
    {"attn_output_norm.bias", 0, D}, {"ffn_up.weight", F, D}, {"ffn_gate.weight", F, D}, {"ffn_down.weight", D, F},
    {"layer_output_norm.weight", 0, D}, {"layer_output_norm.bias", 0, D}, {0}};
static const struct shape decoder_top[] = {{"token_embd.weight", V, D}, {"output_norm.weight", 0, D}, {0}};
static const struct shape bert_top[] = {{"token_embd.weight", V, D}, {"position_embd.weight", CONTEXT, D}, {"token_types.weight", 2, D},
    {"token_embd_norm.weight", 0, D}, {"token_embd_norm.bias", 0, D}, {0}};
static const struct shape gpt2_top[] = {{"token_embd.weight", V, D}, {"position_embd.weight", CONTEXT, D}, {"output_norm.weight", 0, D},
    {"output_norm.bias", 0, D}, {0}};
static const struct shape nomic_top[] = {{"token_embd.weight", V, D}, {"token_types.weight", 2, D}, {"token_embd_norm.weight", 0, D},
    {"token_embd_norm.bias", 0, D}, {0}};
static const struct shape embedding_top[] = {{"token_embd.weight", V, D}, {0}};
static const struct family {
    const char *arch;
    unsigned layers;
    const struct shape *top, *block;
    bool decoder, whole; /* whole: as many key-value heads as heads */
} families[] = {{"llama", 2, decoder_top, llama_block, true, false}, {"gemma3", 6, decoder_top, gemma3_block, true, false},
                {"bert", 2, bert_top, bert_block, false, true}, {"qwen2", 2, decoder_top, qwen2_block, true, false},
                {"qwen3", 2, decoder_top, qwen3_block, true, false}, {"phi3", 2, decoder_top, phi3_block, true, false},
                {"gpt2", 2, gpt2_top, gpt2_block, true, false}, {"deepnorm", 2, embedding_top, bert_block, true, true},
                {"nomic-bert", 2, nomic_top, nomic_block, false, true}};

/* What is done to one tensor of the file. */
struct damage {
    const char *tensor;
    enum { SOUND, LEFT_OUT, WIDER, NOT_FINITE, BESIDE } kind; /* BESIDE: another tensor of that name is added */
};

static char random_path[64]; /* where the model is written */

static inline void key(char out[64], const char *arch, const char *name)
{
    snprintf(out, 64, "%s.%s", arch, name);
}

/* Single characters: no merges, no special tokens. */
static inline void put_vocabulary(struct gguf_writer *w)
{
    static struct file_string tokens[V];
    static char letters[V];
    for (size_t i = 0; i < V; i++) {
        letters[i] = (char)(0x21 + i);
        tokens[i] = (struct file_string){&letters[i], 1};
    }
    struct file_value v = {.key = "tokenizer.ggml.tokens", .type = VALUE_ARRAY, .item = VALUE_STRING, .count = V, .strings = tokens};
    gguf_put_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_string(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_put_value(w, &v);
}

static inline void put_facts(struct gguf_writer *w, const struct family *f)
{
    static const struct {
        const char *name;
        uint32_t value;
    } facts[] = {{"embedding_length", D}, {"feed_forward_length", F}, {"attention.head_count", HEADS}, {"context_length", CONTEXT},
                 {"attention.sliding_window", 8}};
    char k[64];
    gguf_put_string(w, "general.architecture", f->arch);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        key(k, f->arch, facts[i].name);
        gguf_put_uint(w, k, facts[i].value);
    }
    key(k, f->arch, "block_count");
    gguf_put_uint(w, k, f->layers);
    key(k, f->arch, "attention.head_count_kv");
    gguf_put_uint(w, k, f->whole ? HEADS : KV);
    key(k, f->arch, f->decoder ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
    gguf_put_float(w, k, 1e-5f);
    put_vocabulary(w);
}

/* Declares (data false) or writes a tensor. */
static inline void put_tensor(struct gguf_writer *w, const char *name, const struct shape *s, const struct qtype *t, const struct damage *d, bool data,
                       struct rng *rng)
{
    bool hit = d && !strcmp(d->tensor, name);
    size_t rows = s->rows ? s->rows : 1, cols = hit && d->kind == WIDER ? 2 * s->cols : s->cols, bytes;
    const struct qtype *type = s->rows ? t : qtype_by_name("f32");
    uint64_t dims[2] = {cols, rows};
    struct sooth_error err = {0};
    if (hit && d->kind == LEFT_OUT)
        return;
    if (!data) {
        gguf_put_tensor(w, name, type->id, s->rows ? 2 : 1, dims);
        return;
    }
    assert_true(qtype_bytes(type, rows, cols, &bytes));
    float *v = mem_array(rows * cols, sizeof *v);
    void *q = mem_alloc(bytes);
    assert_true(v && q);
    for (size_t i = 0; i < rows * cols; i++)
        v[i] = s->rows ? rng_normal(rng) * 0.08f : 1 + rng_normal(rng) * 0.2f;
    type->quantize(v, q, rows * cols);
    if (hit && d->kind == NOT_FINITE)
        memset(q, 0xFF, 4); /* a NaN as f32, f16 and as the scale of a block */
    assert_int_equal(gguf_writer_add(w, q, bytes, &err), SOOTH_OK);
    mem_free(v);
    mem_free(q);
}

static inline void put_tensors(struct gguf_writer *w, const struct family *f, const struct qtype *t, const struct damage *d, bool data)
{
    struct rng rng;
    char name[64];
    rng_seed(&rng, 11);
    for (const struct shape *s = f->top; s->name; s++)
        put_tensor(w, s->name, s, t, d, data, &rng);
    for (unsigned l = 0; l < f->layers; l++)
        for (const struct shape *s = f->block; s->name; s++) {
            snprintf(name, sizeof name, "blk.%u.%s", l, s->name);
            put_tensor(w, name, s, t, d, data, &rng);
        }
    if (d && d->kind == BESIDE)
        put_tensor(w, d->tensor, &f->top[0], t, NULL, data, &rng);
}

static inline struct tensor_file *model_file(const struct family *f, const struct qtype *t, const struct damage *d)
{
    struct sooth_error err = {0};
    struct tensor_file *file;
    struct gguf_writer *w = gguf_writer_new();
    put_facts(w, f);
    put_tensors(w, f, t, d, false);
    assert_int_equal(gguf_writer_open(w, random_path, &err), SOOTH_OK);
    put_tensors(w, f, t, d, true);
    if (gguf_writer_commit(w, &err) != SOOTH_OK || tensor_file_open(random_path, NULL, &file, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    gguf_writer_free(w);
    return file;
}
#endif
