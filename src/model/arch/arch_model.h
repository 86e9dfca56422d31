/* arch_model.h: inside of a loaded model; private to this folder. */
#ifndef ARCH_ARCH_MODEL_H
#define ARCH_ARCH_MODEL_H
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "model/arch/arch.h"
#include "model/file/file.h"

/* The weights of one block; NULL where the architecture or the file has none. */
struct arch_block {
    const struct weight *attn_norm, *attn_norm_bias, *q, *k, *v, *o, *q_bias, *k_bias, *v_bias, *o_bias;
    const struct weight *qkv, *qkv_bias, *q_norm, *k_norm, *post_attn_norm; /* qkv: three in one matrix */
    const struct weight *ffn_norm, *ffn_norm_bias, *gate, *up, *down, *up_bias, *down_bias, *post_ffn_norm;
    const struct weight *attn_out_norm, *attn_out_norm_bias, *out_norm, *out_norm_bias; /* after the residual (BERT) */
};
/* Outside the blocks. */
struct arch_top {
    const struct weight *token_embd, *position_embd, *type_embd, *embd_norm, *embd_norm_bias, *output_norm, *output_norm_bias, *output;
    const struct weight *cls, *cls_bias, *cls_output, *cls_output_bias; /* head of a classifier */
};

struct arch_model {
    const struct arch_row *row;
    const struct tensor_file *file;
    struct arch_info info;
    struct arena arena;           /* vectors, names, the list */
    struct qmat_space space;      /* packed weights */
    struct arch_top top;
    struct arch_block *blocks;
    VEC(struct arch_weight) list;
    float eps, scale, attn_softcap, final_softcap;
    float residual;               /* DeepNorm's α */
    enum op_act act;              /* of the feed-forward */
    size_t positions, position_offset; /* rows of the table; what is added to a position */
    size_t session;               /* tokens a session will use at most */
    bool odd_windows;             /* they lie otherwise than GGUF, which does not tell, would have them */
    struct rope rope, rope_local;
    struct arch_rope_facts rope_facts;
    uint8_t *local;               /* [layers] 1: sliding window, and rope_local where there is one; NULL: all global */
};

/* Where the weights of a row of the parameter list go. Shapes in symbols: d width, f feed-forward, F twice that, q heads·head size,
 * k key-value heads·head size, Q q + 2k (fused), h head size, v vocabulary, t token types, p positions, c classes; rows 0: a vector. */
enum {
    PARAM_OPTIONAL = 1,
    PARAM_PLUS_ONE = 2,   /* safetensors hold g, the model wants 1 + g */
    PARAM_PAIRS = 4,      /* GGUF has each head's rows as rotary neighbours, safetensors as halves */
    PARAM_TRANSPOSED = 8, /* safetensors hold [in, out] */
    PARAM_HEAD = 16       /* of a classifier: needed if there is one, else left alone */
};
struct arch_param {
    const char *role, *gguf, *hf; /* without "blk.N." and the block prefix of HF */
    char rows, cols;
    enum arch_init init;
    size_t offset;                /* of the pointer in arch_block or arch_top */
    unsigned flags;
};
#define BLOCK(f) offsetof(struct arch_block, f)
#define TOP(f) offsetof(struct arch_top, f)

struct arch_row {
    const char *name, *note;
    const char *gguf_arch, *hf_arch;         /* general.architecture in either container; NULL: not there */
    const char *gguf_alias;                  /* where gguf_arch is NULL: what GGUF calls it, another row's name */
    bool gguf_windows;                       /* GGUF has words for its sliding windows */
    struct arch_hf hf;                       /* how a directory calls it */
    const char *hf_block, *hf_prefixes[3];   /* "model.layers.%d."; prefixes that may stand before every name */
    bool decoder, rms;                       /* rms: RMSNorm, else LayerNorm */
    double eps;                              /* of the norms, where the files do not say */
    enum op_act act;                         /* unless config.json says another */
    const struct arch_param *params, *tops;  /* ended by a NULL role */
    enum sooth_status (*configure)(struct arch_model *m, struct sooth_error *err); /* what is the architecture's own */
    struct mat *(*hidden)(const struct arch_model *m, struct run *r);              /* all rows, final norm included */
};

/* A fact "{arch}.{name}" of the model's file. */
uint64_t arch_uint(const struct arch_model *m, const char *name, uint64_t fallback);
bool arch_bool(const struct arch_model *m, const char *name, bool fallback);
double arch_real(const struct arch_model *m, const char *name, double fallback);
const char *arch_text(const struct arch_model *m, const char *name, const char *fallback);

/* config.json, of a model of several kinds of input the part about text; NULL for other containers. */
const struct json *arch_config(const struct arch_model *m);

const struct arch_row *arch_row_named(const char *name); /* NULL: there is none */

/* Finds, checks and wires every weight of the row's list (params.c). */
enum sooth_status arch_weights_load(struct arch_model *m, struct sooth_error *err);
/* Tells fn each weight of the row's list as a directory of safetensors would hold it. */
enum sooth_status arch_parts_list(const struct arch_model *m, arch_part_fn *fn, void *user, struct sooth_error *err);

/* The file's tensor for a weight outside the blocks, by its role; NULL if absent. */
const struct file_tensor *arch_top_tensor(const struct arch_model *m, const char *role);

/* Which layers have the sliding window: config.json's layer_types, else what `is_local` says (arch.c). */
enum sooth_status arch_local_layers(struct arch_model *m, bool (*is_local)(const struct arch_model *m, size_t layer), struct sooth_error *err);
bool arch_every_layer(const struct arch_model *m, size_t layer); /* an is_local: true where there is a window at all */
static inline size_t arch_window(const struct arch_model *m, unsigned layer) { return m->local && m->local[layer] ? m->info.window : 0; }

/* Angles a position (rope.c). `local`: the base of sliding-window layers, which are never scaled. */
enum sooth_status arch_rope(struct arch_model *m, bool local, bool halves, struct rope *out, struct sooth_error *err);
bool qwen_is_local(const struct arch_model *m, size_t layer); /* another (qwen2.c) */
/* Llama's list and forward, for what differs from it in its names and facts only (llama.c). */
extern const struct arch_param llama_tops[], llama_params[];
struct mat *llama_hidden(const struct arch_model *m, struct run *r);

#endif
