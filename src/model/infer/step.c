/* step.c: one step of a batch: a forward for everybody, then a token for each that is ready.
 *
 *            step 1            step 2          step 3
 *   slot 0   prompt [512]      prompt [88]     1 row          rows of one run, neighbours by sequence
 *   slot 1   1 row             1 row           1 row          (ragged: no padding)
 *   slot 2   -                 prompt [30]     1 + 4 rows     (four tokens guessed ahead)
 *
 * Only the rows that a sampler will look at are wanted, so logits are computed for those alone. The row that a sequence
 * gets depends on its own tokens only (tensor.h), so neither neighbours nor the size of prompt pieces nor a warm cache nor
 * guesses change a bit of the result.
 *
 * A slot that contrasts has two streams, each with its own prompt; both get every token. It is ready when each has at
 * most one piece left to read; until then the last token of a prompt that is through waits.
 *
 * Guesses d1..dk are read behind the last token in the same forward. Row i gives what the sampler, with its own draws,
 * chooses after i guesses: as long as that is the guess itself the next row holds too, and the first that differs is
 * the right token all the same. So the tokens are those of plain generation, whatever was guessed; the rows behind are cut
 * off the cache again. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "model/infer/slot.h"

/* ---- rows ---- */

static size_t slot_piece(const struct batch_slot *s)
{
    return s->options.prompt_batch ? s->options.prompt_batch : BATCH_PROMPT;
}

static bool slot_is_ready(const struct batch_slot *s)
{
    for (size_t t = 0; t <= STREAM_OTHER; t++)
        if (s->stream[t].engine && s->stream[t].ids.count - stream_cached(&s->stream[t]) > slot_piece(s))
            return false;
    return true;
}

/* Rows for the tokens that the cache does not hold; when ready all of them, and the guesses. */
static bool stream_rows(struct batch_slot *s, struct stream *t, bool exits)
{
    size_t from = stream_cached(t), left = t->ids.count - from, most = slot_piece(s);
    size_t n = s->ready ? left : left - 1 < most ? left - 1 : most;
    t->first = t->engine->n_wanted;
    if (exits)
        s->first_exit = t->engine->exits.count;
    for (size_t i = 0; i < n + (s->ready ? s->n_draft : 0); i++) {
        int32_t id = i < n ? t->ids.items[from + i] : s->draft[i - n];
        bool want = s->ready && i + 1 >= n;
        if (!engine_row(t->engine, t->seq, from + i, id, want))
            return false;
        for (size_t j = 0; want && exits && j < s->strategy.n_layers; j++)
            if (!engine_exit(t->engine, s->strategy.layers[j], s->strategy.raw_exits))
                return false;
    }
    return true;
}

static bool batch_rows(struct infer_batch *b)
{
    for (size_t e = 0; e < BATCH_ENGINES; e++)
        if (b->engine[e])
            engine_clear(b->engine[e]);
    for (size_t i = 0; i < b->n_slots; i++) {
        struct batch_slot *s = &b->slots[i];
        if (!infer_active(b, i))
            continue;
        s->ready = slot_is_ready(s);
        for (size_t t = 0; t <= STREAM_OTHER; t++)
            if (s->stream[t].engine && !stream_rows(s, &s->stream[t], t == STREAM_MAIN))
                return false;
    }
    return true;
}

/* ---- a token ---- */

static bool slot_keep_logprobs(struct batch_slot *s, const float *logits, size_t vocab, int32_t id)
{
    double norm = logprob_norm(logits, vocab);
    if (!vec_push(&s->logprobs, logprob_of(logits[id], norm)) || !vec_reserve(&s->top, s->top.count + s->options.logprobs))
        return false;
    logprob_top(logits, vocab, norm, s->top.items + s->top.count, s->options.logprobs);
    s->top.count += s->options.logprobs;
    return true;
}

/* The choice after `ahead` right guesses; -1 and s->status on failure. Log-probabilities are of the row as the model gave it. */
static int32_t slot_choose(struct infer_batch *b, struct batch_slot *s, size_t ahead)
{
    const struct stream *main = &s->stream[STREAM_MAIN], *other = &s->stream[STREAM_OTHER];
    struct strategy_view view = {.z = main->engine->logits + (main->first + ahead) * b->vocab, .vocab = b->vocab};
    float *raw = NULL;
    if (s->options.logprobs && !(raw = mem_dup(view.z, b->vocab * sizeof *raw))) {
        s->status = SOOTH_ERR_NOMEM;
        return -1;
    }
    if (other->engine)
        view.other = other->engine->logits + (other->first + ahead) * b->vocab;
    if (s->strategy.n_layers)
        view.exits = main->engine->exit_logits + (s->first_exit + ahead * s->strategy.n_layers) * b->vocab;
    if (s->strategy.row->combine)
        s->strategy.row->combine(&s->strategy, &view);
    if (s->strategy.row->before)
        s->strategy.row->before(&s->strategy, &s->sampler, buf_str(&s->text.text), s->text.text.len);
    s->status = s->matcher ? constrain_mask(s->matcher, view.z, b->vocab) : SOOTH_OK;
    int32_t id = s->status == SOOTH_OK ? sampler_pick(&s->sampler, view.z) : -1;
    if (id < 0)
        s->status = s->status == SOOTH_OK ? SOOTH_ERR_FORMAT : s->status;
    else if (raw && !token_is_end(b->model->tokenizer, id) && !slot_keep_logprobs(s, raw, b->vocab, id)) {
        s->status = SOOTH_ERR_NOMEM;
        id = -1;
    }
    mem_free(raw);
    return id;
}

/* Makes room by forgetting the older half of what was generated; the prompt stays. What is left is read again from where
 * the prompt ends, so that what follows is what a fresh session would say to the kept tokens. */
static void slot_shift(struct batch_slot *s)
{
    size_t n = s->stream[STREAM_MAIN].ids.count - s->keep, drop = n > 1 ? n / 2 : n;
    for (size_t t = 0; t <= STREAM_OTHER; t++) {
        struct stream *st = &s->stream[t];
        if (!st->engine)
            continue;
        size_t keep = st->ids.count - n;
        memmove(st->ids.items + keep, st->ids.items + keep + drop, (n - drop) * sizeof *st->ids.items);
        st->ids.count -= drop;
        engine_keep(st->engine, st->seq, drop < n ? keep : keep - 1); /* the last token is always read */
    }
    s->n_dropped += drop;
}

static bool slot_full(const struct infer_batch *b, const struct batch_slot *s)
{
    const struct stream *other = &s->stream[STREAM_OTHER];
    return s->stream[STREAM_MAIN].ids.count >= b->context || (other->engine && other->ids.count >= b->context);
}

/* One token more; true when the next row may be looked at. */
static bool slot_take(struct infer_batch *b, struct batch_slot *s, size_t ahead)
{
    int32_t id = slot_choose(b, s, ahead);
    if (id < 0 || token_is_end(b->model->tokenizer, id)) {
        slot_end(s, SOOTH_FINISH_STOP);
        return false;
    }
    sampler_accept(&s->sampler, id);
    buf_clear(&s->piece);
    token_decoder_add(&s->decoder, id, &s->piece);
    bool kept = vec_push(&s->out, id);
    for (size_t t = 0; t <= STREAM_OTHER; t++)
        kept = kept && (!s->stream[t].engine || vec_push(&s->stream[t].ids, id));
    if (s->matcher && s->status == SOOTH_OK)
        s->status = matcher_add(s->matcher, id, NULL);
    bool more = kept && s->status == SOOTH_OK && stop_add(&s->text, buf_str(&s->piece), s->piece.len);
    if (!kept || s->text.failed || s->piece.failed || s->status != SOOTH_OK) {
        s->status = s->status == SOOTH_OK ? SOOTH_ERR_NOMEM : s->status;
        slot_end(s, SOOTH_FINISH_STOP);
    } else if (!more) {
        slot_end(s, s->text.cancelled ? SOOTH_FINISH_CANCELLED : SOOTH_FINISH_STOP);
    } else if (s->matcher && matcher_ended(s->matcher)) {
        slot_end(s, SOOTH_FINISH_STOP);
    } else if (s->options.max_tokens && s->out.count >= s->options.max_tokens) {
        slot_end(s, SOOTH_FINISH_LENGTH);
    } else if (slot_full(b, s) && !s->options.context_shift) {
        slot_end(s, SOOTH_FINISH_LENGTH);
    }
    return s->state == SLOT_DECODE && ahead < s->n_draft && id == s->draft[ahead] && !slot_full(b, s);
}

static void slot_advance(struct infer_batch *b, struct batch_slot *s)
{
    size_t held[2], right = 0;
    if (s->state == SLOT_PROMPT) {
        s->prompt_done = clock_seconds();
        s->state = SLOT_DECODE;
    }
    for (size_t t = 0; t <= STREAM_OTHER; t++)
        held[t] = s->stream[t].ids.count;
    while (slot_take(b, s, right))
        right++;
    for (size_t t = 0; t <= STREAM_OTHER; t++)
        if (s->stream[t].engine)
            engine_keep(s->stream[t].engine, s->stream[t].seq, held[t] + right);
    speculate_learn(s, right);
    if (s->state == SLOT_DECODE && slot_full(b, s))
        slot_shift(s);
}

static enum sooth_status batch_failed(struct infer_batch *b, enum sooth_status status)
{
    b->failed = true;
    for (size_t i = 0; i < b->n_slots; i++) {
        if (!infer_active(b, i))
            continue;
        b->slots[i].status = status;
        slot_end(&b->slots[i], SOOTH_FINISH_STOP);
    }
    return status;
}

enum sooth_status infer_step(struct infer_batch *b, struct sooth_error *err)
{
    enum sooth_status status = speculate_step(b, err);
    if (status == SOOTH_OK && !batch_rows(b))
        status = err_nomem(err);
    for (size_t e = 0; status == SOOTH_OK && e < BATCH_ENGINES; e++)
        if (b->engine[e])
            status = engine_run(b->engine[e], err);
    if (status != SOOTH_OK)
        return batch_failed(b, status);
    for (size_t i = 0; i < b->n_slots; i++) {
        struct batch_slot *s = &b->slots[i];
        if (!infer_active(b, i))
            continue;
        if (s->state == SLOT_PROMPT && s->options.on_prompt)
            s->options.on_prompt(s->options.user, stream_cached(&s->stream[STREAM_MAIN]), s->n_prompt);
        if (s->ready)
            slot_advance(b, s);
    }
    return SOOTH_OK;
}
