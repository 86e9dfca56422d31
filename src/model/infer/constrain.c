/* constrain.c: generation held to a grammar: what may not come next gets the logit -inf before anything is chosen.
 *
 *     logits -> strategy -> mask -> penalty -> ... -> draw -> the matcher takes the token
 *
 * The mask comes before the sampler's filters: otherwise top-p might leave only tokens that are not allowed. Where the text is one
 * of the grammar's and nothing can follow, generation ends by itself, also in a vocabulary without an end token. The trie
 * of a vocabulary is made when a grammar first needs it, and kept with the model; a slot keeps its matcher, with the masks it
 * learnt, while requests come with the same grammar. */
#include <math.h>
#include "core/base/error.h"
#include "model/infer/slot.h"

static enum sooth_status model_trie(struct sooth_model *m, const struct token_trie **out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    pthread_mutex_lock(&m->lock);
    if (!m->trie)
        status = token_trie_new(m->tokenizer, m->info.vocab, &m->trie, err);
    *out = m->trie;
    pthread_mutex_unlock(&m->lock);
    return status;
}

enum sooth_status slot_constrain(struct infer_batch *b, struct batch_slot *s, const struct sooth_grammar *grammar,
                                 struct sooth_error *err)
{
    const struct token_trie *trie;
    if (s->matcher && matcher_grammar(s->matcher) == grammar) {
        matcher_reset(s->matcher);
        return SOOTH_OK;
    }
    matcher_free(s->matcher);
    s->matcher = NULL;
    enum sooth_status status = grammar ? model_trie(b->model, &trie, err) : SOOTH_OK;
    return status == SOOTH_OK && grammar ? matcher_new(grammar, trie, &s->matcher, err) : status;
}

enum sooth_status constrain_mask(struct matcher *m, float *logits, size_t vocab)
{
    struct sooth_error err = {0};
    const uint64_t *mask = matcher_mask(m, &err);
    uint64_t any = 0;
    if (!mask)
        return err.status;
    for (size_t at = 0; at < vocab; at += 64) {
        uint64_t bits = mask[at / 64];
        size_t n = vocab - at < 64 ? vocab - at : 64;
        any |= bits;
        for (size_t i = 0; i < n && ~bits; i++)
            logits[at + i] = bits >> i & 1 ? logits[at + i] : -INFINITY;
    }
    return any ? SOOTH_OK : SOOTH_ERR_UNSUPPORTED; /* no token of this vocabulary can go on */
}
