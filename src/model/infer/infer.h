/* infer.h: what the public model header does not show: several sequences generated together.
 *
 * A batch holds one KV cache with a number of slots. A sequence is started in a slot at any time
 * and shares every forward with the others: each step takes one row of each sequence that is
 * generating and a piece of each prompt that is still being read. What a sequence gets does not
 * depend on its neighbours, to the bit.
 *
 *     infer_start(b, slot, ids, n, &options, err)   // again and again, whenever a slot is free
 *     while (infer_step(b, err) == SOOTH_OK && ...)
 *         if (infer_done(b, slot))
 *             infer_finish(b, slot, &generation, err)
 *
 * A slot remembers its tokens after the end: a later prompt that starts like them is only read from
 * there on. Thread use: one batch, one thread at a time. Several batches may share a model. */
#ifndef INFER_INFER_H
#define INFER_INFER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/vec.h"
#include "model/infer/reader.h"
#include "sooth/model.h"

struct arch_model;
struct arena;
struct infer_batch;
struct json;
struct pool;
struct tensor_file;
struct token_segments;
struct tokenizer;

/* What an open local model is made of, for the floors above that train or change it. */
struct infer_parts {
    struct arch_model *arch; /* NULL for a remote model, and where only the vocabulary was opened */
    const struct tokenizer *tokenizer;
    const struct tensor_file *file;
    struct pool *pool;
    bool has_template; /* of its own; else infer_render uses the plain one */
};
struct infer_parts infer_parts(const struct sooth_model *model);
/* A list of {role, content, ...} by the model's template, as typed segments in the arena: exactly
 * what a chat with these messages would read. prompt: up to where the answer begins. tools may be
 * NULL. */
enum sooth_status infer_render(const struct sooth_model *model, const struct json *messages,
                               const struct json *tools, bool prompt, struct arena *a,
                               struct token_segments *out, struct sooth_error *err);

/* context: tokens a slot may hold; 0 = as the model was opened. The model must be a local decoder.
 */
enum sooth_status infer_batch_new(struct sooth_model *model, size_t slots, size_t context,
                                  struct infer_batch **out, struct sooth_error *err);
void infer_batch_free(struct infer_batch *b);
size_t infer_context(const struct infer_batch *b); /* tokens a text may have, adapters' virtual ones taken off */

/* From the next start on with these adapters (NULL: none); takes the set over, not its members. key tells sets apart: what was read
 * with another one is not reused. SOOTH_ERR_BUSY while a slot is in use. */
struct adapt_set;
enum sooth_status infer_wear(struct infer_batch *b, struct adapt_set *set, uint64_t key, struct sooth_error *err);

/* Starts a sequence in a slot that is not active. ids are copied; the strings and callbacks of
 * options are borrowed until infer_finish. A prompt that leaves no room for one token is
 * SOOTH_ERR_LIMIT with both counts. */
enum sooth_status infer_start(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                              const struct sooth_generate_options *options,
                              struct sooth_error *err);
/* Tells how many tokens of the prompt were left out before it was started; for the generation's n_dropped. */
void infer_dropped(struct infer_batch *b, size_t slot, size_t dropped);
/* One forward for all active slots. A failure ends every active sequence; what one sequence alone
 * did wrong is told by its infer_finish. */
enum sooth_status infer_step(struct infer_batch *b, struct sooth_error *err);
/* The idle slot whose cache begins most like ids; SIZE_MAX: none is idle. */
size_t infer_slot_for(const struct infer_batch *b, const int32_t *ids, size_t n);
bool infer_active(const struct infer_batch *b, size_t slot); /* started, not yet done */
bool infer_done(const struct infer_batch *b, size_t slot);   /* to be collected with infer_finish */
size_t infer_active_count(const struct infer_batch *b);
/* Ends a sequence early; infer_finish then gives what there is, as SOOTH_FINISH_CANCELLED. */
void infer_cancel(struct infer_batch *b, size_t slot);
enum sooth_status infer_finish(struct infer_batch *b, size_t slot, struct sooth_generation *out,
                               struct sooth_error *err);

/* Log-probability of ids[from..n) each after those before it; from >= 1. Uses and fills an idle
 * slot's cache. out: [n - from]. */
enum sooth_status infer_score(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                              size_t from, float *out, struct sooth_error *err);

/* ---- how far one distribution is from another ---- */

struct arch_model;
struct adapters;
struct pool;
struct divergence;

/* What was found at the scored tokens of one window or many. */
struct divergence_sum {
    VEC(float) kl;              /* Σ p (log p - log q) at each, in nats */
    double nll, nll2, base_nll; /* of the true tokens: Σ -log q, its square, Σ -log p */
    size_t same;                /* tokens where both think the same likeliest */
};
/* Windows of `context` tokens of which the second half is scored (windows.c), read by `base`, which must be a decoder. */
enum sooth_status divergence_new(const struct arch_model *base, struct pool *pool, size_t context,
                                 struct divergence **out, struct sooth_error *err);
void divergence_free(struct divergence *d);
/* One window more: base reads it, and its distributions are kept (scored tokens x vocabulary x 4 bytes). start >= 0 stands
 * in place of the first token. */
enum sooth_status divergence_add(struct divergence *d, const int32_t *ids, int32_t start, struct sooth_error *err);
void divergence_clear(struct divergence *d);
/* Adds to sum what `other` (the base itself, perhaps, with adapters) thinks of the windows. */
enum sooth_status divergence_measure(struct divergence *d, const struct arch_model *other, const struct adapters *adapters,
                                     struct divergence_sum *sum, struct sooth_error *err);
/* Means, quantiles and perplexities; sorts sum. sum must hold something. */
void divergence_summary(struct divergence_sum *sum, size_t chunks, struct sooth_divergence *out);
void divergence_sum_release(struct divergence_sum *sum);
#endif
