/* engine.h: a model with its cache and its run: rows of one forward in, logits of the wanted ones out.
 *
 *     engine_clear(e)                          forget the rows of the last forward
 *     engine_row(e, seq, pos, token, want)     again and again; rows of a sequence are neighbours
 *     engine_exit(e, layer, raw)               the logits that the last row would have after `layer` blocks
 *     engine_run(e, err)
 *     e->logits      [wanted, vocab]           in the order of the wanted rows
 *     e->exit_logits [exits, vocab]            in the order of the calls; both until the next engine_run
 *
 * Generation has one engine for the model that speaks, and one more for each model that guesses ahead or is
 * contrasted with. Thread use: one engine, one thread at a time. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "sooth/model.h"

struct engine_exit {
    uint32_t row, layer; /* layer 0: the embeddings; j: the output of block j */
    bool raw;            /* not brought through the final norm */
};
struct adapt_set;
struct engine {
    const struct sooth_model *model;
    struct kv_cache *cache;
    struct run *run;
    size_t vocab, dim;
    size_t lead, start; /* rows of virtual tokens before each text; cache places before it, trained prefix included */
    hook_fn *worn_hook; /* of the adapters */
    void *worn_user;
    VEC(int32_t) token;
    VEC(uint32_t) pos;
    VEC(uint32_t) seq;
    VEC(uint8_t) want;
    VEC(int32_t) target; /* -1: not asked for */
    size_t n_wanted;
    VEC(struct engine_exit) exits;
    VEC(float) exit_x; /* [exits, dim] as the blocks gave them */
    float *logits, *exit_logits;
};

/* A cache of n_seq sequences of at most context tokens. The model must be a local decoder. */
enum sooth_status engine_new(const struct sooth_model *model, size_t n_seq, size_t context, struct engine **out,
                             struct sooth_error *err);
void engine_free(struct engine *e);
/* From now on with these adapters (NULL: none), borrowed; all caches are emptied. */
enum sooth_status engine_wear(struct engine *e, struct adapt_set *set, struct sooth_error *err);

/* Texts in the cache, counted in their own tokens: what adapters put before them is dealt with here. */
size_t engine_cached(const struct engine *e, size_t seq);
void engine_keep(struct engine *e, size_t seq, size_t length); /* forgets all tokens behind the first `length` */
enum sooth_status engine_copy(struct engine *e, size_t dst, size_t src, size_t length);

void engine_clear(struct engine *e);
bool engine_row(struct engine *e, size_t seq, size_t pos, int32_t token, bool want); /* false: no memory */
void engine_target(struct engine *e, int32_t token); /* what should follow the last row, for engine_score */
bool engine_exit(struct engine *e, unsigned layer, bool raw);
/* Does nothing when there are no rows. A failure leaves the cache as it was. */
enum sooth_status engine_run(struct engine *e, struct sooth_error *err);
/* Instead of logits: the log-probability of each wanted row's target [wanted], at *out until the next forward. */
enum sooth_status engine_score(struct engine *e, const float **out, struct sooth_error *err);
#endif
