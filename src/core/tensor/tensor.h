/* tensor.h: the five concepts everything above is written with: weight, rows, run, op, layer.
 *
 *   weight  a named matrix in any number format, read-only in forward.
 *   rows    the input of any forward: N tokens, each with a position, a sequence and "result wanted".
 *   run     arena, rows, optional tape, optional KV cache, adapters, hooks, observer. The only thing that differs
 *           between training and serving, and opaque: a model file cannot see which it is.
 *   op      a row of the op table (op.h): shape rule, forward, backward. Activations are f32 matrices [rows, dim].
 *   layer   the only scope: releases the arena after each block when serving, is a gradient checkpoint when training.
 *
 * Ops run at once; a run that records leaves a note on its tape. An op given NULL returns NULL and the run remembers the
 * first failure, so a model has no error checks: run_end tells. No backward is computed below the lowest trained thing.
 *
 * A promise: the numbers of one row do not depend on the other rows of the run, on how a prompt was cut into runs, on
 * what else the cache holds, or on the number of threads. With an f32 cache training-forward, prefill, decode and
 * batched decode agree to the bit.
 *
 * Serving, the five lines (prompt, one token, forty conversations: only `rows` differs):
 *
 *     run_begin(r, &rows);                      // rows.seq = slots of the cache, positions go on where the slot ends
 *     struct mat *h = arch_hidden(model, r);    // [wanted, dim], after the final norm
 *     struct mat *y = arch_logits(model, r, h); // [wanted, vocab], in the order of the wanted rows
 *     status = run_end(r, err);                 // first failure; on success the cache now holds the rows
 *     ... y->v ...                              // valid until the next run_begin
 *
 * Thread use: weights and attachments may be shared; a run, a cache and a tape belong to one thread at a time. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "core/kernel/kernel.h"
#include "core/quant/quant.h"
#include "sooth/error.h"

struct run;
struct kv_cache;

/* ---- weight ---- */

struct weight {
    const char *name;  /* borrowed; the GGUF name for the model's own weights */
    struct qmat q;     /* [rows, cols]; a vector is [1, n] and always F32 (weight_vec) */
};
static inline const float *weight_vec(const struct weight *w) { return w ? w->q.data : NULL; }

/* Gradients of the trained weights, zeroed by the caller; a weight that is not in the list is frozen. */
struct grads;
struct grads *grads_new(const struct weight *const *weights, size_t n); /* zeroed; NULL when out of memory */
void grads_free(struct grads *g);
void grads_clear(struct grads *g);                                      /* all zero again */
float *grads_find(const struct grads *g, const struct weight *w);       /* [rows, cols], or NULL: frozen */

/* ---- matrix of activations ---- */

struct mat {
    float *v;           /* [rows, cols], row-major, no gaps */
    size_t rows, cols;
    float *g;           /* gradient, while a backward pass needs it; else NULL */
    bool needs;         /* something below is trained */
};

/* ---- rows ---- */

/* Rows of one sequence are neighbours, positions going up by one; a sequence occurs once. With a cache, seq is
 * the slot and the first row comes right after what the slot holds. */
struct rows {
    size_t n;
    const int32_t *token;
    const uint32_t *pos;
    const uint32_t *seq;
    const uint8_t *want;    /* NULL: every row wanted */
    const uint8_t *type;    /* token types (BERT pairs); NULL: all 0 */
    const int32_t *target;  /* for arch_logprobs, per row; NULL when there is none */
};

/* ---- KV cache ---- */

struct kv_shape {
    size_t layers, heads; /* key-value heads */
    size_t dk, dv;        /* of one head */
};

/* Keys (rotated) and values of n_seq sequences of at most n_ctx tokens each. Memory grows with what is stored.
 * Each key and value is rounded once, when it is stored: KV_F32 not at all, KV_F16 to half the memory, KV_Q8 and KV_Q4 to 27 and
 * 14 % of it (heads of a multiple of 32). The promise above holds for each type among runs that use the cache. */
struct kv_cache *kv_cache_new(const struct kv_shape *shape, size_t n_seq, size_t n_ctx, enum kv_type type);
void kv_cache_free(struct kv_cache *c);
size_t kv_cache_length(const struct kv_cache *c, size_t seq);
size_t kv_cache_context(const struct kv_cache *c);
size_t kv_cache_sequences(const struct kv_cache *c);
uint64_t kv_cache_bytes(const struct kv_cache *c);             /* allocated now */
void kv_cache_truncate(struct kv_cache *c, size_t seq, size_t length); /* keeps the first `length` tokens; 0 empties */
/* Keys (rotated) and values of n tokens from `from`, as f32 [n, heads·dk] and [n, heads·dv]. */
void kv_cache_read(const struct kv_cache *c, size_t seq, size_t layer, size_t from, size_t n, float *k, float *v);
/* dst becomes a copy of the first `length` tokens of src (branches of one prompt). SOOTH_ERR_NOMEM leaves dst empty. */
enum sooth_status kv_cache_copy(struct kv_cache *c, size_t dst, size_t src, size_t length);

/* ---- run ---- */

/* What hangs on a weight; each function may be NULL. Written with ops. */
struct adapter {
    /* linear hands its product over: y is x Wᵀ without bias; the result replaces it. */
    struct mat *(*linear)(struct run *r, const struct adapter *a, const struct weight *w, struct mat *x, struct mat *y);
    /* embed its rows: y[i] = W[token i]. */
    struct mat *(*embed)(struct run *r, const struct adapter *a, const struct weight *w, struct mat *y);
    /* The weight that every op reads in place of w: a trained copy. NULL or w: w itself. */
    const struct weight *(*stand_in)(const struct adapter *a, const struct weight *w);
};
struct adapters;
struct adapters *adapters_new(void);
void adapters_free(struct adapters *a); /* the adapters themselves are borrowed */
enum sooth_status adapters_attach(struct adapters *a, const struct weight *w, const struct adapter *adapter);

/* Points where activations may be read or replaced; absent unless attached. */
enum hook_site {
    HOOK_TOKENS,    /* token embeddings, before positions, types and a norm join them */
    HOOK_EMBED,     /* input of the first block */
    HOOK_HEADS,     /* attention heads, before the output projection */
    HOOK_ATTEND,    /* attention output, before the residual add */
    HOOK_FF_HIDDEN, /* before the down projection */
    HOOK_FF,        /* feed-forward output, before the residual add */
    HOOK_BLOCK,     /* residual stream after the block */
    HOOK_SUM        /* feed-forward output and residual added, before the norm; in post-norm blocks only */
};
/* Returns x or what replaces it (made by ops of r). */
typedef struct mat *hook_fn(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x);
/* Told after every op, once for each output: w is the weight it was made with or NULL, x the first input or NULL. */
typedef void observer_fn(void *user, const char *op, const struct weight *w, const struct mat *x, const struct mat *y);

/* Trained cache entries (prefix tuning): k [prefix_rows, kv_heads·dk] as after rotation, v [prefix_rows, kv_heads·dv],
 * before the first row of every sequence; made by ops of r. With a cache they are stored with a slot's first rows and
 * count in its length. A windowed layer sees them only while they lie in its window. */
typedef void prefix_fn(void *user, struct run *r, unsigned layer, struct mat **k, struct mat **v);

/* Arithmetic of products with weights that are not packed, and of gradients; packed weights have their own. Sums are f32. */
enum run_products {
    PRODUCTS_F32,
    PRODUCTS_BF16_BACK, /* gradients in bf16: the numbers of a forward are those of PRODUCTS_F32 */
    PRODUCTS_BF16
};

struct run_options {
    struct pool *pool;
    struct kv_cache *cache;          /* NULL: every run stands alone (embedding, scoring, training) */
    const struct grads *grads;       /* with tape: what is trained */
    const struct adapters *adapters; /* NULL: none; run_adapters switches */
    hook_fn *hook;
    void *hook_user;
    observer_fn *observer;
    void *observer_user;
    prefix_fn *prefix;
    void *prefix_user;
    size_t prefix_rows;
    bool tape;                       /* record, so that run_backward works; not together with a cache */
    enum run_products products;
    bool checkpoint;                 /* with tape: layers keep only their input and are run again in backward */
    size_t max_bytes;                /* ceiling of the arena; 0 = none */
};

struct run *run_new(const struct run_options *options); /* NULL when out of memory */
void run_free(struct run *r);
void run_adapters(struct run *r, const struct adapters *adapters); /* NULL: off */
/* Starts a forward; rows stay the caller's and must live until run_end (run_backward when recording). */
void run_begin(struct run *r, const struct rows *rows);
/* The first failure, or SOOTH_OK; on success the cache's sequences have grown by the rows. */
enum sooth_status run_end(struct run *r, struct sooth_error *err);
/* After run_end: adds d(loss)/d(weight) to the grads; loss is [1, 1]. seed is d(loss)/d(loss), usually 1. */
enum sooth_status run_backward(struct run *r, struct mat *loss, float seed, struct sooth_error *err);
size_t run_peak(const struct run *r);                    /* most bytes the arena ever held */
void run_fail(struct run *r, enum sooth_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
const struct rows *run_rows(const struct run *r);
size_t run_wanted(const struct run *r);                  /* rows wanted */
struct mat *run_mat(struct run *r, size_t rows, size_t cols); /* zeroed constant in the run's arena */
/* A matrix made once a forward, outside the layers, and read inside them (a prefix out of its network): its gradient outlives
 * the layers. run_shared: what was shared under this key in this forward, or NULL. */
struct mat *run_share(struct run *r, const void *key, struct mat *m);
struct mat *run_shared(const struct run *r, const void *key);
struct mat *run_hook(struct run *r, enum hook_site site, unsigned layer, struct mat *x);

/* ---- layer ---- */

typedef struct mat *block_fn(struct run *r, const void *model, unsigned layer, struct mat *x);
struct mat *op_layer(struct run *r, block_fn *block, const void *model, unsigned layer, struct mat *x);

/* ---- ops; [n, d] are shapes ---- */

enum op_act { ACT_SILU, ACT_GELU, ACT_GELU_TANH, ACT_RELU, ACT_TANH, ACT_SIGMOID, ACT_COUNT };
const char *op_act_name(enum op_act a);

/* Rows of w by an id of each row. */
enum op_ids { IDS_TOKEN, IDS_POSITION, IDS_TYPE };
struct mat *op_embed(struct run *r, const struct weight *w, enum op_ids ids, int64_t offset); /* id + offset; [n, w.cols] */
/* [n, w.cols]; ids NULL: rows 0 .. n-1 */
struct mat *op_lookup(struct run *r, const struct weight *w, const int32_t *ids, size_t n);

struct mat *op_linear(struct run *r, const struct weight *w, const struct weight *bias, struct mat *x); /* x Wᵀ + b */
struct mat *op_product(struct run *r, const struct weight *w, struct mat *x); /* x Wᵀ, whatever is attached to w: for adapters */
/* Several matrices over one input in one job: y[i] = x w[i]ᵀ + bias[i]. bias may be NULL, or hold NULLs. On failure all y
 * are NULL. count <= 4. */
void op_linears(struct run *r, size_t count, const struct weight *const *w, const struct weight *const *bias, struct mat *x,
                struct mat **y);

/* w [1, k] with k dividing d: each group of k columns is normalised alone (k = d, or one head). */
struct mat *op_rmsnorm(struct run *r, const struct weight *w, float eps, struct mat *x);
struct mat *op_layernorm(struct run *r, const struct weight *w, const struct weight *b, float eps, struct mat *x);

/* Rotary positions. freq: radians a position, for each pair; made once by the model (arch/rope.c). */
struct rope {
    size_t dim;            /* numbers rotated at the start of each head; even */
    const double *freq;    /* [dim / 2] */
    double scale;          /* cos and sin are multiplied by it; 1 */
    bool halves;           /* pairs (i, i + dim/2), else (2i, 2i+1) */
    /* dynamic NTK: past `dynamic_from` positions the base grows with the position; 0 = off */
    double dynamic_base, dynamic_factor;
    size_t dynamic_from;
};
struct mat *op_rope(struct run *r, const struct rope *rope, size_t head_dim, struct mat *x);

struct attend_op {
    unsigned layer;        /* which part of the cache */
    size_t heads, kv_heads;
    size_t dk, dv;
    float scale, softcap;  /* softcap 0 = off */
    size_t window;         /* causal: a row sees itself and window - 1 before it; 0 = all */
    bool causal;           /* else every row sees its whole sequence (no cache then) */
};
/* q [n, heads·dk], k [n, kv_heads·dk], v [n, kv_heads·dv] -> [n, heads·dv]. */
struct mat *op_attend(struct run *r, const struct attend_op *a, struct mat *q, struct mat *k, struct mat *v);

struct mat *op_act(struct run *r, enum op_act act, struct mat *x);
struct mat *op_glu(struct run *r, enum op_act act, struct mat *gate, struct mat *up); /* act(gate) · up */
struct mat *op_add(struct run *r, struct mat *a, struct mat *b);
struct mat *op_mul(struct run *r, struct mat *a, struct mat *b);
struct mat *op_scale(struct run *r, float s, struct mat *x);
struct mat *op_add_row(struct run *r, const struct weight *w, struct mat *x); /* each row + w [1, d] */
struct mat *op_mul_row(struct run *r, const struct weight *w, struct mat *x); /* each row · w [1, d] */
struct mat *op_ratio_row(struct run *r, const struct weight *m, const struct weight *c, struct mat *x); /* each row · m/c */
/* Each number is 0 with probability share in [0, 1), else divided by 1 - share. The key alone tells which. */
struct mat *op_dropout(struct run *r, float share, uint64_t key, struct mat *x);
struct mat *op_softcap(struct run *r, float cap, struct mat *x);              /* cap·tanh(x/cap) */
struct mat *op_softmax(struct run *r, struct mat *x);                         /* over each row */
struct mat *op_logsigmoid(struct run *r, struct mat *x);
struct mat *op_unit(struct run *r, struct mat *x);                            /* each row / max(its length, 1e-12) */
struct mat *op_columns(struct run *r, size_t from, size_t count, struct mat *x);
struct mat *op_concat(struct run *r, struct mat *a, struct mat *b);           /* rows of a, then rows of b */
struct mat *op_join(struct run *r, struct mat *a, struct mat *b);             /* columns of a, then columns of b */
/* x [n, d], its rows at positions first .. first + p.rows - 1 of every sequence replaced by those of p [.., d]. */
struct mat *op_place(struct run *r, uint32_t first, struct mat *p, struct mat *x);
/* One direction of an LSTM over all rows as one sequence: gates [n, 4h] is x W_ihᵀ + b_ih (order i, f, g, o), w [4h, h] and
 * b [1, 4h] act on the state, both f32. -> [n, h] */
struct mat *op_lstm(struct run *r, const struct weight *w, const struct weight *b, bool reverse, struct mat *gates);
struct mat *op_wanted(struct run *r, struct mat *x);                          /* the wanted rows, in order */
struct mat *op_rows(struct run *r, const uint32_t *index, size_t n, struct mat *x); /* chosen rows; may repeat */

enum op_pool { POOL_MEAN, POOL_FIRST, POOL_LAST };
struct mat *op_pool(struct run *r, enum op_pool kind, struct mat *x);         /* [n, d] -> [sequences, d], wanted rows only */

/* Log-probability of each row's target under softmax(cap(x Wᵀ)), the [n, V] logits never kept: computed in
 * chunks of rows, again in backward. targets [x.rows], NULL: rows.target of the wanted rows, which x then has; a negative
 * one gives 0 and no gradient. -> [n, 1] */
struct mat *op_logprob(struct run *r, const struct weight *w, float softcap, const int32_t *targets, struct mat *x);
/* The same of logits that are there: log softmax(z)[target] -> [n, 1]. */
struct mat *op_target(struct run *r, const int32_t *targets, struct mat *z);
struct mat *op_weigh(struct run *r, const float *c, struct mat *x);           /* Σ c[i]·x.v[i] over all numbers -> [1, 1] */

#endif
