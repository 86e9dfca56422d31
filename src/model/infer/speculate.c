/* speculate.c: guesses of what comes next, so that one reading of the weights may yield several tokens.
 *
 * Decoding reads every weight for one token; checking k guesses reads them once for k + 1 rows. A guess costs nothing when
 * it is wrong but the rows it took, and never changes the result (step.c). Two sources:
 *
 *   lookup   the longest ending of the text so far, of 4 down to 2 tokens, is looked for earlier in it; what followed
 *            there is guessed to follow again (Saxena 2023). Good where the answer quotes the prompt.
 *   draft    a small model with the same vocabulary is run ahead (Leviathan et al. 2023). It draws with a copy of
 *            the sampler's generator, so at a temperature too both tend to make the same choice.
 *
 * How far to guess is learnt: twice as far after all were right, one less after a miss, between 1 and 16. */
#include <string.h>
#include "core/base/error.h"
#include "model/infer/slot.h"

enum { LOOKUP_MOST = 4, LOOKUP_LEAST = 2 };

static size_t slot_room(const struct infer_batch *b, const struct batch_slot *s)
{
    size_t room = s->draft_width, held = s->stream[STREAM_MAIN].ids.count;
    const struct stream *other = &s->stream[STREAM_OTHER];
    if (other->engine && other->ids.count > held)
        held = other->ids.count;
    if (b->context - held < room)
        room = b->context - held;
    if (s->options.max_tokens && s->options.max_tokens - s->out.count - 1 < room)
        room = s->options.max_tokens - s->out.count - 1; /* the step itself gives one more */
    return room;
}

static void speculate_lookup(struct batch_slot *s, size_t room)
{
    const int32_t *ids = s->stream[STREAM_MAIN].ids.items;
    size_t n = s->stream[STREAM_MAIN].ids.count;
    for (size_t m = LOOKUP_MOST; m >= LOOKUP_LEAST; m--) {
        for (size_t at = n > m ? n - m : 0; at-- > 0;) { /* the latest place first */
            if (memcmp(ids + at, ids + n - m, m * sizeof *ids) != 0)
                continue;
            for (size_t i = at + m; i < n && s->n_draft < room; i++)
                s->draft[s->n_draft++] = ids[i];
            return;
        }
    }
}

/* ---- a draft model ---- */

/* Rows for what the draft model has not read, a piece at a time; it guesses when it is up to date. */
static bool draft_begin(struct infer_batch *b, struct batch_slot *s)
{
    struct stream *t = &s->stream[STREAM_DRAFT], *main = &s->stream[STREAM_MAIN];
    if (!stream_set(b, t, main->ids.items, main->ids.count, main->ids.count - 1))
        return false;
    size_t from = stream_cached(t), left = t->ids.count - from, n = left < BATCH_PROMPT ? left : BATCH_PROMPT;
    s->drafting = n == left && s->state == SLOT_DECODE && slot_room(b, s);
    s->draft_rng = s->sampler.rng;
    t->first = t->engine->n_wanted;
    for (size_t i = 0; i < n; i++)
        if (!engine_row(t->engine, t->seq, from + i, t->ids.items[from + i], s->drafting && i + 1 == n))
            return false;
    return true;
}

/* Takes what the sampler would choose from this row, its own generator untouched, and asks for the next. */
static bool draft_take(struct infer_batch *b, struct batch_slot *s, float *logits)
{
    struct stream *t = &s->stream[STREAM_DRAFT];
    struct rng own = s->sampler.rng;
    s->sampler.rng = s->draft_rng;
    int32_t id = sampler_pick(&s->sampler, logits);
    s->draft_rng = s->sampler.rng;
    s->sampler.rng = own;
    s->drafting = false;
    if (id < 0)
        return true;
    s->draft[s->n_draft++] = id;
    if (s->n_draft >= slot_room(b, s) || token_is_end(b->model->tokenizer, id))
        return true;
    s->drafting = true;
    t->first = t->engine->n_wanted;
    return vec_push(&t->ids, id) && engine_row(t->engine, t->seq, t->ids.count - 1, id, true);
}

/* All slots that draft with one engine, a token each a forward. */
static enum sooth_status speculate_draft(struct infer_batch *b, struct engine *e, struct sooth_error *err)
{
    engine_clear(e);
    for (size_t i = 0; i < b->n_slots; i++)
        if (infer_active(b, i) && b->slots[i].stream[STREAM_DRAFT].engine == e && !draft_begin(b, &b->slots[i]))
            return err_nomem(err);
    while (e->token.count) {
        enum sooth_status status = engine_run(e, err);
        if (status != SOOTH_OK)
            return status;
        float *logits = e->logits; /* valid until the next forward */
        engine_clear(e);
        for (size_t i = 0; i < b->n_slots; i++) {
            struct batch_slot *s = &b->slots[i];
            struct stream *t = &s->stream[STREAM_DRAFT];
            if (infer_active(b, i) && t->engine == e && s->drafting && !draft_take(b, s, logits + t->first * b->vocab))
                return err_nomem(err);
        }
    }
    return SOOTH_OK;
}

enum sooth_status speculate_step(struct infer_batch *b, struct sooth_error *err)
{
    bool drafts[BATCH_ENGINES] = {false};
    for (size_t i = 0; i < b->n_slots; i++) {
        struct batch_slot *s = &b->slots[i];
        s->n_draft = 0;
        s->drafting = false;
        if (!infer_active(b, i))
            continue;
        if (s->options.lookup && s->state == SLOT_DECODE)
            speculate_lookup(s, slot_room(b, s));
        for (size_t e = 0; e < BATCH_ENGINES; e++)
            drafts[e] = drafts[e] || (b->engine[e] && s->stream[STREAM_DRAFT].engine == b->engine[e]);
    }
    enum sooth_status status = SOOTH_OK;
    for (size_t e = 0; e < BATCH_ENGINES && status == SOOTH_OK; e++)
        if (drafts[e])
            status = speculate_draft(b, b->engine[e], err);
    return status;
}

void speculate_learn(struct batch_slot *s, size_t right)
{
    s->n_guessed += s->n_draft;
    s->n_right += right;
    if (!s->n_draft)
        return;
    if (right == s->n_draft)
        s->draft_width = 2 * s->draft_width < DRAFT_MOST ? 2 * s->draft_width : DRAFT_MOST;
    else if (s->draft_width > 1)
        s->draft_width--;
}
