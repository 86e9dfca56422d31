/* arch.h: model architectures: one file each, one row in a table; loading a model and running it.
 *
 * A row names each weight once (GGUF name, Hugging Face name, shape in symbols, initialisation): loading, saving,
 * freezing, quantizing and `info` walk that list. The forward is written once, with ops, and serves training, prompt
 * processing, decoding, batched serving, embedding and scoring.
 *
 * A forward for each use (see core/tensor/tensor.h for the five lines around it):
 *
 *   prompt     rows: one sequence, positions L, L+1, ... (L = kv_cache_length of the slot), want only the last row.
 *              A long prompt may be cut anywhere: the bits do not change. 512 rows a run is a good size.
 *   decode     rows: one row a conversation, each its own slot, all wanted. One to forty: same code.
 *   mixed      some slots with prompts, others with one token: just rows.
 *   embedding  no cache; each text is a sequence, positions from 0, packed without padding; all rows wanted:
 *              h = arch_hidden; e = op_unit(r, op_pool(r, arch_info(m)->pool, h))   [texts, dim]
 *   scores     no cache; each sequence is a text or a pair, its first row wanted: arch_scores(m, r, arch_hidden(m, r))
 *   tokens     the same, e = op_unit(r, h): one vector a token (late interaction)
 *   scoring    target[i] = the token that should follow row i, or -1; p = arch_logprobs(m, r, h)   [wanted, 1]
 *   training   as scoring with a tape, then run_backward on op_weigh of the log-probabilities.
 *
 * Thread use: a loaded model is immutable and may serve several runs at once. */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/tensor/tensor.h"
#include "sooth/error.h"

struct tensor_file; /* model/file/file.h */
struct arch_model;

enum arch_pool { ARCH_POOL_NONE, ARCH_POOL_MEAN, ARCH_POOL_FIRST, ARCH_POOL_LAST };

/* What the file says about the model; constant after loading. */
struct arch_info {
    const char *arch;             /* "llama", "gemma3", "bert", "xlmr" */
    bool decoder;                 /* causal, has logits; else an encoder */
    size_t layers, dim, heads, kv_heads, head_dim, ff, vocab;
    size_t context;               /* positions the model was made for */
    size_t window;                /* sliding window of the local layers; 0 = none */
    size_t types;                 /* token types; 0 = none */
    size_t labels;                /* classes of a sequence classifier or cross-encoder; 0 = it has no such head */
    float eps;                    /* of the norms */
    enum arch_pool pool;          /* as the model's files say; NONE for decoders */
    uint64_t parameters;          /* numbers in all weights */
    uint64_t file_bytes;          /* of those weights as stored */
    uint64_t memory_bytes;        /* planned: what loading takes beside the mapped file */
    const struct qtype *type;     /* commonest number format by bytes */
};

struct arch_options {
    struct pool *pool;            /* for packing */
    enum qmat_compute compute;    /* QMAT_NATIVE: the numbers of the file; QMAT_INT8: F32, F16, BF16 repacked to 8 bits;
                                   * QMAT_BF16: every format as bf16 */
    bool no_pack;                 /* keep file form only: slow forward, little memory (tests, training) */
    size_t context;               /* tokens a session will use at most; chooses long-context rope factors. 0 = model's */
    uint64_t max_bytes;           /* ceiling for memory_bytes; 0 = none */
};

/* f must outlive the model. Every tensor's shape is checked against the configuration; a missing, surplus or
 * mis-shaped tensor and an unknown rope type are named. *out is NULL on failure. options may be NULL. */
enum sooth_status arch_load(const struct tensor_file *f, const struct arch_options *options, struct arch_model **out,
                            struct sooth_error *err);
void arch_free(struct arch_model *m);
const struct arch_info *arch_info(const struct arch_model *m);

/* Final hidden states of the wanted rows [wanted, dim]. */
struct mat *arch_hidden(const struct arch_model *m, struct run *r);
/* What arch_hidden does last, for states taken from between the blocks: the final norm of a decoder, x [n, dim]. */
struct mat *arch_final_norm(const struct arch_model *m, struct run *r, struct mat *x);
/* Logits of hidden states [n, vocab]; fails on an encoder. */
struct mat *arch_logits(const struct arch_model *m, struct run *r, struct mat *h);
/* Log-probability of each wanted row's rows.target [wanted, 1]; the logits are never all in memory. */
struct mat *arch_logprobs(const struct arch_model *m, struct run *r, struct mat *h);
/* Pooled vectors as the model's files say, then unit length: [sequences, dim]. */
struct mat *arch_pooled(const struct arch_model *m, struct run *r, struct mat *h);

/* Scores of each class before any softmax [sequences, labels]; h as arch_hidden gave it. Fails where there is no such head. */
struct mat *arch_scores(const struct arch_model *m, struct run *r, struct mat *h);

/* A cache for n_seq sequences of n_ctx tokens. SOOTH_ERR_ARG for an encoder. */
enum sooth_status arch_cache_new(const struct arch_model *m, size_t n_seq, size_t n_ctx, enum kv_type type,
                                 struct kv_cache **out, struct sooth_error *err);

/* ---- the parameter list ---- */

/* DEEP: σ / √(2·layers). XAVIER: uniform, gain 1; XAVIER_DEEP: gain (8·layers)^−¼, DeepNorm's β. */
enum arch_init { INIT_NORMAL, INIT_NORMAL_DEEP, INIT_ONE, INIT_ZERO, INIT_XAVIER, INIT_XAVIER_DEEP };
/* How the two containers store one weight differently; conversions do and undo it. */
enum arch_change {
    ARCH_SAME,
    ARCH_PLUS_ONE,   /* safetensors hold g, GGUF 1 + g */
    ARCH_PAIRS,      /* safetensors hold the rows of a head as halves, GGUF as neighbours */
    ARCH_TRANSPOSED  /* safetensors hold [in, out], GGUF [out, in] */
};

bool arch_is_gguf(const struct arch_model *m); /* weights lie as GGUF has them (E5S1 follows it); else as safetensors */

/* One entry of the loaded list. Weights that are tied or absent do not appear. */
struct arch_weight {
    const struct weight *weight;  /* weight->name is the GGUF name, "blk.3.attn_q.weight" */
    const struct file_tensor *from; /* where it is in the file, whatever it is called there */
    const char *hf_name;          /* "model.layers.3.self_attn.q_proj.weight" */
    const char *role;             /* "attn_q", "ffn_down", "token_embd", ...: what targets of adapters name */
    int layer;                    /* -1 outside the blocks */
    enum arch_init init;
    enum arch_change change;
    bool vector;
};
size_t arch_weights(const struct arch_model *m);
const struct arch_weight *arch_weight_at(const struct arch_model *m, size_t i);
const struct weight *arch_weight_find(const struct arch_model *m, const char *gguf_name); /* NULL if absent */

/* ---- making a new model ---- */

/* A weight that a directory of safetensors with this configuration holds. */
struct arch_part {
    const char *name;             /* Hugging Face's */
    const char *role;
    size_t rows, cols;            /* as the model has them; rows 1: a vector */
    enum arch_init init;
    enum arch_change change;
    bool vector, optional;
};
typedef enum sooth_status arch_part_fn(void *user, const struct arch_part *part, struct sooth_error *err);
/* f: a directory whose config.json counts and whose weights do not: it may hold none. In the order of the list. */
enum sooth_status arch_parts(const struct tensor_file *f, arch_part_fn *fn, void *user, struct sooth_error *err);

/* ---- the table ---- */

/* How the positions are turned, as the model's files say. */
struct arch_rope_facts {
    const char *type;            /* "none", "linear", "ntk", "dynamic", "yarn", "llama3", "longrope" */
    size_t dim;                  /* numbers of a head that are turned; 0 = learned positions, or none */
    double base, base_local, factor, original, beta_fast, beta_slow; /* base_local: of sliding-window layers, 0 = they have none of their own */
    double scale;                /* of cosine and sine */
    bool usual;                  /* yarn: nothing is said that GGUF has no key for */
    const float *divisors;       /* [dim / 2] llama3; else NULL */
    const float *near, *far;     /* [dim / 2] longrope's lists; else NULL */
};
const struct arch_rope_facts *arch_rope_facts(const struct arch_model *m);

/* The name of the fact about its norms' epsilon, without the architecture's. */
const char *arch_eps_key(const struct arch_model *m);
/* What queries are scaled by, as its power −2: the head size, unless the files say another. */
double arch_query_scalar(const struct arch_model *m);
/* Rows a row of this layer sees, itself among them; 0 = all. */
size_t arch_layer_window(const struct arch_model *m, size_t layer);
/* What GGUF calls the architecture; "bert" for xlmr, "llama" for mistral. */
const char *arch_gguf_name(const struct arch_model *m);
/* Is there anything about the model that GGUF has no word for? SOOTH_ERR_UNSUPPORTED names it. */
enum sooth_status arch_gguf_check(const struct arch_model *m, struct sooth_error *err);
/* The name in a Hugging Face directory that a weight would have as one of architecture `name` (NULL: m's own): GGUF calls several
 * families bert. Static text or in out. */
const char *arch_hf_name(const char *name, const struct arch_weight *w, char out[192]);

/* How a Hugging Face directory calls an architecture. */
struct arch_hf {
    const char *model_type, *class, *act_key, *act;
    bool short_names; /* n_embd for hidden_size and so on */
    const char *class_headed; /* with a classifier; NULL: there is none */
    bool query_scalar;        /* the scale of queries stands in config.json */
};
const struct arch_hf *arch_hf(const struct arch_model *m);
const struct arch_hf *arch_hf_of(const char *name, bool *decoder); /* decoder may be NULL; by the row's name; NULL if unknown or never a directory */
bool arch_is_encoder(const struct tensor_file *f); /* by its architecture's name; false for one that is not known */

const char *arch_name_at(size_t i, const char **note); /* NULL past the last */

#endif
