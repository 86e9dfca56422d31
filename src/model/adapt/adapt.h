/* adapt.h: what is trained or attached to a model: one method a file, one row of a table.
 *
 * A `struct adapt` is one method attached to one loaded model: it owns the trained weights, f32 all of them, and never
 * touches the model's. It reaches the forward through the seams of core/tensor (adapters of weights, hooks, trained cache
 * entries), so model files cannot see it, and it cannot see whether a run trains or serves.
 *
 *     struct adapt *a;                                      // attach
 *     struct adapt_options o = {.method = "lora", .rank = 8, .targets = "attn_q,attn_v"};
 *     adapt_new(model, &o, &a, err);
 *     adapt_apply(a, &run_options);                         // then run_new
 *
 *     for (i < adapt_trained(a)) list[i] = adapt_weight(a, i);  g = grads_new(list, n)       // train
 *     each micro-batch:  adapt_dropout(a, ++draw);  forward, run_backward
 *     each step:         adapt_values(a, i)[...] -= ...;  adapt_refresh(a);
 *     adapt_dropout(a, 0);                                  // evaluate, serve
 *
 * Virtual tokens. Prefixes live in the cache (run_options.prefix); soft prompts are rows: before the first token of every sequence
 * the caller puts adapt_rows(..) rows, any token, not wanted, no target, whose embeddings the adapter replaces. Positions count
 * both: placeholders begin at run_options.prefix_rows, the text at adapt_start(..). With a cache that is what
 * kv_cache_length says. A caller that does so for every method (most give 0, 0) serves every method.
 *
 * Several adapts are worn at once through a struct adapt_set; each is scaled, or switched off, by itself. Switching takes
 * effect in the next forward, except that virtual tokens are counted when the set is applied.
 *
 * Thread use: any number of runs may read an adapt that nobody is changing. */
#ifndef ADAPT_ADAPT_H
#define ADAPT_ADAPT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "sooth/error.h"

struct adapt;
struct adapt_set;

struct adapt_options {
    const char *method;      /* a row of the table; NULL: "lora" */
    const char *variant;     /* of methods that come in several kinds ("houlsby", "lstm"); NULL: the first */
    /* Which weights: words with commas between them. A role ("attn_q", "output"), a module of Hugging Face ("q_proj", the whole
     * path), or a pattern over either name ("blk.0.*"); with ? behind it a word may fit nothing. "all-linear": every product inside the blocks. NULL: the method's own. */
    const char *targets;
    size_t rank;             /* 0: 8 */
    double alpha;            /* 0: twice the rank */
    bool rslora;             /* divide alpha by the root of the rank */
    const char *ranks;       /* exceptions, "attn_q=4,blk.0.*=16"; the first that fits counts; NULL: none */
    const char *alphas;
    double dropout;          /* share of the low-rank branch's inputs dropped while training, in [0, 1) */
    size_t tokens;           /* virtual tokens; 0: 16 */
    size_t width;            /* inside of a bottleneck, an encoder, a prefix's projection; 0: the method's own */
    const int32_t *start;    /* tokens whose embeddings begin a soft prompt, repeated as needed; NULL: drawn */
    size_t start_count;
    const char *activation;  /* inside a bottleneck: "relu", "gelu", ...; NULL: its kind's own */
    const char *base;        /* what files shall call the model; NULL: "" */
    uint64_t seed;
    struct pool *pool;       /* borrowed; may be NULL */
};

/* The model is borrowed and must outlive the adapt. At the start every method but those of virtual tokens leaves the model's
 * results as they are. *out is NULL on failure. */
enum sooth_status adapt_new(const struct arch_model *model, const struct adapt_options *options, struct adapt **out,
                            struct sooth_error *err);
void adapt_free(struct adapt *a); /* NULL is fine */

const char *adapt_method_at(size_t i, const char **note);         /* NULL past the last */
const char *adapt_variant_at(size_t i, size_t v);                 /* kinds of method i, the usual one first; NULL past the last */
const char *adapt_method_of(const struct adapt *a);
const struct arch_model *adapt_model(const struct adapt *a);

/* ---- the trained weights: names are unique and stay the same from run to run ---- */

size_t adapt_trained(const struct adapt *a);
const struct weight *adapt_weight(const struct adapt *a, size_t i);
float *adapt_values(const struct adapt *a, size_t i);             /* its numbers [rows, cols], to be changed in place */
uint64_t adapt_parameters(const struct adapt *a);                 /* numbers in all of them */
/* To be called when the numbers have been changed: makes again what is held constant in a forward (DoRA's norms). */
enum sooth_status adapt_refresh(struct adapt *a, struct sooth_error *err);
/* Dropout of the next forwards: the masks of this draw; 0: none. The same draw gives the same masks, whatever the threads. */
void adapt_dropout(struct adapt *a, uint64_t draw);

/* Ends training: networks that only make other numbers (P-tuning's encoder, a prefix's projection) are run once and dropped, and
 * what they made is trained from here on. Results stay the same to the bit of rounding. */
enum sooth_status adapt_settle(struct adapt *a, struct sooth_error *err);

/* ---- wearing ---- */

void adapt_scale(struct adapt *a, float scale);                   /* multiplies what is added; 1 at first */
void adapt_on(struct adapt *a, bool on);

/* Sets adapters, hook and prefix of the options; they must be free. The adapt (or set) must outlive the run. */
enum sooth_status adapt_apply(struct adapt *a, struct run_options *options, struct sooth_error *err);
size_t adapt_rows(const struct adapt *a);                         /* placeholder rows before each sequence */
uint32_t adapt_start(const struct adapt *a);                      /* position of the text's first token */

struct adapt_set *adapt_set_new(void);                            /* NULL when out of memory */
void adapt_set_free(struct adapt_set *s);                         /* not its members */
/* Borrows a. Members share one model. Two that both stand in for one weight are refused. */
enum sooth_status adapt_set_add(struct adapt_set *s, struct adapt *a, struct sooth_error *err);
enum sooth_status adapt_set_apply(struct adapt_set *s, struct run_options *options, struct sooth_error *err);
size_t adapt_set_rows(const struct adapt_set *s);
uint32_t adapt_set_start(const struct adapt_set *s);

/* ---- files ---- */

struct adapt_open_options {
    struct pool *pool;      /* borrowed; may be NULL */
    bool any_base;          /* wear it even if it was trained on another model */
};
/* A directory of PEFT, AdapterHub or MLX, or a GGUF adapter, attached to the model. Everything in it must fit and be used. The
 * method is known afterwards by adapt_method_of. What was saved with its network opens with it: adapt_settle before serving. */
enum sooth_status adapt_open(const char *path, const struct arch_model *model, const struct adapt_open_options *o, struct adapt **out,
                             struct sooth_error *err);
/* A directory in PEFT's layout (AdapterHub's for bottlenecks), or one GGUF file (llama.cpp's form for LoRA, ours for the others). Either is
 * opened again and compared before it takes its place. */
enum sooth_status adapt_save(struct adapt *a, const char *dir, struct sooth_error *err);
enum sooth_status adapt_save_gguf(struct adapt *a, const char *path, struct sooth_error *err);
/* Tells models apart, not their quantizations. */
void adapt_base_id(const struct arch_model *m, char out[65]);

/* ---- merging ---- */

/* A table of embeddings may be the output matrix too: what is attached to the one use leaves the other alone. Every other weight
 * has one use, the product. */
enum adapt_use { ADAPT_PRODUCT, ADAPT_LOOKUP };
bool adapt_changes(const struct adapt_set *s, const struct weight *w, enum adapt_use use);
bool adapt_unties(const struct adapt_set *s, const struct weight *table); /* its two uses come out different */
/* SOOTH_ERR_UNSUPPORTED when a member is no change of weights (prompts, prefixes, bottlenecks). */
enum sooth_status adapt_mergeable(const struct adapt_set *s, struct sooth_error *err);
/* Row i of the weight as the set wears it; base and merged [cols] get the model's own and the changed one. */
void adapt_merged_row(const struct adapt_set *s, const struct weight *w, enum adapt_use use, size_t i, float *base, float *merged);

#endif
