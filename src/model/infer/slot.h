/* slot.h: inside of a batch, for the files that make its steps. */
#ifndef INFER_SLOT_H
#define INFER_SLOT_H
#include "core/base/vec.h"
#include "model/grammar/grammar.h"
#include "model/infer/engine.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"
#include "model/infer/sampler.h"
#include "model/infer/stop.h"
#include "model/infer/strategy.h"

enum { BATCH_PROMPT = 512, BATCH_TOP = 20, BATCH_ENGINES = 4, DRAFT_MOST = 16 };
enum slot_state { SLOT_IDLE, SLOT_PROMPT, SLOT_DECODE, SLOT_DONE };

/* Who reads the tokens of a slot, and where in a cache: sequence slot + role · n_slots. */
enum stream_role { STREAM_MAIN, STREAM_OTHER, STREAM_DRAFT, STREAM_ROLES };
struct stream {
    struct engine *engine; /* NULL: not in use */
    size_t seq;
    uint64_t key;     /* what the cached tokens were read with (adapters) */
    VEC(int32_t) ids; /* prompt, then what was generated; the cache holds a prefix of them */
    size_t first;     /* of this step's wanted rows of the engine */
};

struct batch_slot {
    enum slot_state state;
    bool ready;                     /* this step brings logits */
    struct stream stream[STREAM_ROLES];
    VEC(int32_t) out;               /* generated, without the end token */
    size_t n_prompt, n_reused, n_dropped, keep;
    struct sooth_generate_options options;
    struct strategy strategy;
    struct matcher *matcher;        /* NULL: any text; kept for the next request of the same grammar */
    struct sampler sampler;
    struct stop_stream text;
    struct token_decoder decoder;
    struct buf piece;               /* of the token just chosen */
    VEC(float) logprobs;
    VEC(struct sooth_logprob) top;
    int32_t draft[DRAFT_MOST];      /* guessed to follow */
    size_t n_draft, draft_width, first_exit;
    bool drafting;                  /* the draft model's row of this forward is wanted */
    struct rng draft_rng;
    size_t n_guessed, n_right;
    enum sooth_finish finish;
    enum sooth_status status;       /* what this sequence alone did wrong */
    double started, prompt_done, ended;
};

struct infer_batch {
    struct sooth_model *model;
    struct engine *engine[BATCH_ENGINES]; /* [0]: the model; then those that guess or contrast */
    size_t n_slots, vocab;
    size_t context, whole_context; /* tokens of a text; what adapters put before it counted too */
    struct batch_slot *slots;
    struct adapt_set *worn; /* by engine 0; NULL: none */
    uint64_t key;           /* of what is worn */
    bool failed; /* a forward failed: what the caches hold is not known, so nothing of it is reused */
};

static inline size_t stream_cached(const struct stream *t)
{
    return engine_cached(t->engine, t->seq);
}
/* Makes the stream hold ids, keeping the cache of the longest common beginning but at most `most` tokens of it; false: no memory. */
bool stream_set(struct infer_batch *b, struct stream *t, const int32_t *ids, size_t n, size_t most);
void slot_end(struct batch_slot *s, enum sooth_finish finish);

/* constrain.c: a matcher at the beginning of a text, or none; and the mask on a row of logits. */
enum sooth_status slot_constrain(struct infer_batch *b, struct batch_slot *s, const struct sooth_grammar *grammar,
                                 struct sooth_error *err);
enum sooth_status constrain_mask(struct matcher *m, float *logits, size_t vocab);

/* speculate.c: guesses for every slot that decodes, at most draft_width of them; then told how many were right. */
enum sooth_status speculate_step(struct infer_batch *b, struct sooth_error *err);
void speculate_learn(struct batch_slot *s, size_t right);
#endif
