/* batch.c: the life of sequences in slots: start, collect, score; step.c makes them grow.
 *
 * A slot keeps its tokens after the end: a new prompt that begins like them is read only from where they part. Where
 * another slot's cache begins more like it, that beginning is copied. Cached keys and values are those of one model with one
 * set of adapters: each stream remembers the key of what it was read with, and another key reuses nothing. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "model/adapt/adapt.h"
#include "model/arch/arch.h"
#include "model/infer/slot.h"

enum { SHARE_LEAST = 32 }; /* tokens below which copying a beginning is not worth it */

enum sooth_status infer_batch_new(struct sooth_model *model, size_t slots, size_t context, struct infer_batch **out,
                                  struct sooth_error *err)
{
    *out = NULL;
    struct infer_batch *b = mem_calloc(1, sizeof *b);
    if (!b)
        return err_nomem(err);
    b->model = model;
    b->n_slots = slots;
    b->context = b->whole_context = context ? context : model->info.context;
    b->slots = mem_calloc(slots, sizeof *b->slots);
    enum sooth_status status =
        b->slots ? engine_new(model, slots * STREAM_ROLES, b->context, &b->engine[0], err) : err_nomem(err);
    if (status != SOOTH_OK) {
        infer_batch_free(b);
        return status;
    }
    b->vocab = b->engine[0]->vocab;
    *out = b;
    return SOOTH_OK;
}

size_t infer_context(const struct infer_batch *b)
{
    return b->context;
}

static void slot_clear(struct batch_slot *s)
{
    sampler_release(&s->sampler);
    stop_release(&s->text);
    buf_release(&s->piece);
    vec_free(&s->logprobs);
    vec_free(&s->top);
    vec_free(&s->out);
    s->state = SLOT_IDLE;
}

void infer_batch_free(struct infer_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; b->slots && i < b->n_slots; i++) {
        slot_clear(&b->slots[i]);
        matcher_free(b->slots[i].matcher);
        for (size_t t = 0; t < STREAM_ROLES; t++)
            vec_free(&b->slots[i].stream[t].ids);
    }
    for (size_t i = 0; i < BATCH_ENGINES; i++)
        engine_free(b->engine[i]);
    adapt_set_free(b->worn);
    mem_free(b->slots);
    mem_free(b);
}

/* ---- streams: what a cache holds ---- */

static size_t stream_common(const struct infer_batch *b, const struct stream *t, const struct engine *engine, const int32_t *ids,
                            size_t most)
{
    size_t common = 0;
    if (b->failed || t->engine != engine || t->key != b->key)
        return 0;
    for (size_t cached = stream_cached(t); common < cached && common < most && common < t->ids.count;)
        if (t->ids.items[common] == ids[common])
            common++;
        else
            break;
    return common;
}

bool stream_set(struct infer_batch *b, struct stream *t, const int32_t *ids, size_t n, size_t most)
{
    size_t common = stream_common(b, t, t->engine, ids, most);
    engine_keep(t->engine, t->seq, common);
    t->ids.count = common;
    t->key = b->key;
    if (!vec_reserve(&t->ids, n)) {
        t->ids.failed = false;
        return false;
    }
    memcpy(t->ids.items + common, ids + common, (n - common) * sizeof *ids);
    t->ids.count = n;
    return true;
}

/* Copies the beginning of the prompt from the slot whose cache holds most of it, if that is more than this one has. */
static void stream_share(struct infer_batch *b, struct stream *t, const int32_t *ids, size_t most)
{
    size_t best = stream_common(b, t, t->engine, ids, most) + SHARE_LEAST;
    const struct stream *from = NULL;
    for (size_t i = 0; i < b->n_slots; i++) {
        const struct stream *other = &b->slots[i].stream[STREAM_MAIN];
        size_t common = other == t ? 0 : stream_common(b, other, t->engine, ids, most);
        if (common >= best) {
            best = common;
            from = other;
        }
    }
    if (!from || !vec_reserve(&t->ids, best)) {
        t->ids.failed = false;
        return;
    }
    t->ids.count = 0; /* a copy that runs out of memory leaves the cache empty: then all is read */
    if (engine_copy(t->engine, t->seq, from->seq, best) == SOOTH_OK) {
        memcpy(t->ids.items, ids, best * sizeof *ids);
        t->ids.count = best;
        t->key = b->key;
    }
}

static void slot_stream(struct infer_batch *b, size_t slot, enum stream_role role, struct engine *engine)
{
    struct stream *t = &b->slots[slot].stream[role];
    if (t->engine != engine)
        t->ids.count = 0;
    t->engine = engine;
    t->seq = slot + role * b->n_slots;
}

/* ---- adapters ---- */

enum sooth_status infer_wear(struct infer_batch *b, struct adapt_set *set, uint64_t key, struct sooth_error *err)
{
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->slots[i].state != SLOT_IDLE)
            return err_set(err, SOOTH_ERR_BUSY, "adapters cannot be changed while something is generated");
    size_t before = set ? adapt_set_start(set) : 0;
    if (before + 2 > b->whole_context)
        return err_set(err, SOOTH_ERR_LIMIT, "the adapters put %zu tokens before a text, the context has %zu", before, b->whole_context);
    enum sooth_status status = engine_wear(b->engine[0], set, err);
    if (status != SOOTH_OK)
        return status;
    adapt_set_free(b->worn);
    b->worn = set;
    b->key = key;
    b->context = b->whole_context - before;
    return SOOTH_OK;
}

/* ---- engines beside the first ---- */

static enum sooth_status batch_same_vocabulary(const struct sooth_model *a, const struct sooth_model *b, struct sooth_error *err)
{
    size_t n = token_vocab_size(a->tokenizer);
    bool same = n == token_vocab_size(b->tokenizer) && a->info.vocab == b->info.vocab;
    for (size_t i = 0; same && i < n; i++) {
        struct token_str x = token_piece(a->tokenizer, (int32_t)i), y = token_piece(b->tokenizer, (int32_t)i);
        same = x.len == y.len && memcmp(x.text, y.text, x.len) == 0;
    }
    return same ? SOOTH_OK
                : err_set(err, SOOTH_ERR_ARG, "models '%s' and '%s' do not share a vocabulary", a->info.path, b->info.path);
}

static enum sooth_status batch_engine(struct infer_batch *b, const struct sooth_model *model, struct engine **out,
                                      struct sooth_error *err)
{
    for (size_t i = 0; i < BATCH_ENGINES; i++) {
        struct engine *e = b->engine[i];
        if (e && e->model == model) {
            *out = e;
            return SOOTH_OK;
        }
        if (e)
            continue;
        if (model->remote || !model->arch)
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' cannot help another one generate", model->info.path);
        enum sooth_status status = batch_same_vocabulary(b->model, model, err);
        if (status == SOOTH_OK)
            status = engine_new(model, b->n_slots * STREAM_ROLES, b->context, &b->engine[i], err);
        *out = b->engine[i];
        return status;
    }
    return err_set(err, SOOTH_ERR_LIMIT, "a session works with at most %d models at once", (int)BATCH_ENGINES);
}

/* ---- start ---- */

static enum sooth_status batch_check_ids(const struct infer_batch *b, const int32_t *ids, size_t n, size_t room,
                                         struct sooth_error *err)
{
    if (!n)
        return err_set(err, SOOTH_ERR_ARG, "the prompt is empty and the model has no start token");
    if (n + room > b->context) {
        err_set(err, SOOTH_ERR_LIMIT, "prompt of %zu tokens does not fit the context of %zu tokens", n, b->context);
        return b->context < model_context_most(b->model)
                   ? err_hint(err, "the model allows a context of up to %zu tokens", model_context_most(b->model))
                   : SOOTH_ERR_LIMIT;
    }
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= b->vocab)
            return err_set(err, SOOTH_ERR_ARG, "token %d is outside the vocabulary of %zu", (int)ids[i], b->vocab);
    return SOOTH_OK;
}

/* The prompt that a strategy contrasts with: the one without context, or the same one for another model. */
static enum sooth_status slot_other(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n, struct sooth_error *err)
{
    struct batch_slot *s = &b->slots[slot];
    const struct strategy_row *row = s->strategy.row;
    struct stream *t = &s->stream[STREAM_OTHER];
    struct engine *engine = b->engine[0];
    struct prompt other = {0};
    enum sooth_status status = SOOTH_OK;
    t->engine = row->other_prompt || row->other_model ? t->engine : NULL;
    if (row->other_model && !s->options.amateur)
        return err_set(err, SOOTH_ERR_ARG, "strategy '%s' wants a weaker model to contrast with", row->name);
    if (row->other_prompt && !s->options.without)
        return err_set(err, SOOTH_ERR_ARG, "strategy '%s' wants the prompt without its context too", row->name);
    if (row->other_model)
        status = batch_engine(b, s->options.amateur, &engine, err);
    if (status == SOOTH_OK && row->other_prompt) {
        status = prompt_tokens(b->model, s->options.without, 0, &other, err);
        ids = other.tokens.ids;
        n = other.tokens.count;
    }
    if (status == SOOTH_OK && (row->other_prompt || row->other_model)) {
        status = batch_check_ids(b, ids, n, 1, err);
        slot_stream(b, slot, STREAM_OTHER, engine);
        if (status == SOOTH_OK && !stream_set(b, t, ids, n, n - 1))
            status = err_nomem(err);
    }
    sooth_tokens_release(&other.tokens);
    return status;
}

static enum sooth_status slot_prepare(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                                      const struct sooth_generate_options *options, struct sooth_error *err)
{
    struct batch_slot *s = &b->slots[slot];
    struct strategy_model facts = {arch_info(b->model->arch)->layers, !arch_weight_find(b->model->arch, "output.weight")};
    enum sooth_status status = batch_check_ids(b, ids, n, 1, err);
    s->options = *options;
    if (status == SOOTH_OK && options->logprobs > BATCH_TOP)
        status = err_set(err, SOOTH_ERR_ARG, "at most %d alternatives a token, not %u", (int)BATCH_TOP, options->logprobs);
    if (status == SOOTH_OK && options->context_shift && !options->max_tokens)
        status = err_set(err, SOOTH_ERR_ARG, "generation that shifts its context needs a number of tokens to stop at");
    if (status == SOOTH_OK)
        status = strategy_init(&s->strategy, options->strategy, &facts, &s->options.sampling, err);
    if (status == SOOTH_OK)
        status = sampler_init(&s->sampler, &s->options.sampling, b->vocab, err);
    if (status == SOOTH_OK)
        status = stop_init(&s->text, options->stop, options->n_stop, options->on_text, options->user, err);
    if (status == SOOTH_OK)
        status = slot_constrain(b, s, options->grammar, err);
    if (status == SOOTH_OK)
        status = slot_other(b, slot, ids, n, err);
    struct engine *draft = NULL;
    if (status == SOOTH_OK && options->draft)
        status = batch_engine(b, options->draft, &draft, err);
    if (status != SOOTH_OK)
        return status;
    slot_stream(b, slot, STREAM_DRAFT, draft);
    slot_stream(b, slot, STREAM_MAIN, b->engine[0]);
    stream_share(b, &s->stream[STREAM_MAIN], ids, n - 1);
    return stream_set(b, &s->stream[STREAM_MAIN], ids, n, n - 1) ? SOOTH_OK : err_nomem(err);
}

enum sooth_status infer_start(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                              const struct sooth_generate_options *options, struct sooth_error *err)
{
    if (slot >= b->n_slots || b->slots[slot].state != SLOT_IDLE)
        return err_set(err, SOOTH_ERR_BUSY, "slot %zu is not free", slot);
    struct batch_slot *s = &b->slots[slot];
    enum sooth_status status = slot_prepare(b, slot, ids, n, options, err);
    if (status != SOOTH_OK) {
        slot_clear(s);
        return status;
    }
    for (size_t i = 0; i < n; i++)
        sampler_accept(&s->sampler, ids[i]);
    token_decoder_init(&s->decoder, b->model->tokenizer);
    s->decoder.started = s->matcher != NULL; /* every byte that the grammar saw is shown, a first blank too */
    s->n_prompt = n;
    s->n_reused = stream_cached(&s->stream[STREAM_MAIN]);
    s->n_draft = s->n_guessed = s->n_right = s->n_dropped = 0;
    s->keep = n;
    s->draft_width = 4;
    s->status = SOOTH_OK;
    s->finish = SOOTH_FINISH_STOP;
    s->started = s->prompt_done = s->ended = clock_seconds();
    s->state = SLOT_PROMPT;
    return SOOTH_OK;
}

void infer_dropped(struct infer_batch *b, size_t slot, size_t dropped)
{
    b->slots[slot].n_dropped = dropped;
}

size_t infer_slot_for(const struct infer_batch *b, const int32_t *ids, size_t n)
{
    size_t best = SIZE_MAX, most = 0;
    for (size_t i = 0; i < b->n_slots; i++) {
        if (b->slots[i].state != SLOT_IDLE)
            continue;
        const struct stream *t = &b->slots[i].stream[STREAM_MAIN];
        size_t common = stream_common(b, t, b->engine[0], ids, n);
        /* of slots that help equally, the one that forgets least */
        if (best == SIZE_MAX || common > most ||
            (common == most && t->ids.count < b->slots[best].stream[STREAM_MAIN].ids.count)) {
            best = i;
            most = common;
        }
    }
    return best;
}

bool infer_active(const struct infer_batch *b, size_t slot)
{
    return b->slots[slot].state == SLOT_PROMPT || b->slots[slot].state == SLOT_DECODE;
}
bool infer_done(const struct infer_batch *b, size_t slot)
{
    return b->slots[slot].state == SLOT_DONE;
}

size_t infer_active_count(const struct infer_batch *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->n_slots; i++)
        count += infer_active(b, i);
    return count;
}

void slot_end(struct batch_slot *s, enum sooth_finish finish)
{
    s->finish = finish;
    s->ended = clock_seconds();
    s->state = SLOT_DONE;
}

void infer_cancel(struct infer_batch *b, size_t slot)
{
    if (infer_active(b, slot))
        slot_end(&b->slots[slot], SOOTH_FINISH_CANCELLED);
}

/* ---- collecting ---- */

static enum sooth_status slot_error(const struct infer_batch *b, const struct batch_slot *s, struct sooth_error *err)
{
    if (s->status == SOOTH_ERR_FORMAT)
        return err_set(err, SOOTH_ERR_FORMAT, "model '%s' gave numbers that are not finite; its file may be damaged",
                       b->model->info.path);
    if (s->status == SOOTH_ERR_NOMEM)
        return err_nomem(err);
    if (s->matcher && s->status == SOOTH_ERR_LIMIT)
        return err_set(err, s->status, "the grammar can be read in too many ways at once");
    if (s->matcher && s->status == SOOTH_ERR_UNSUPPORTED)
        return err_set(err, s->status, "no token of model '%s' can go on as the grammar wants", b->model->info.path);
    return err && err->status == s->status ? s->status
                                           : err_set(err, s->status, "generation with '%s' failed", b->model->info.path);
}

static enum sooth_status slot_give(struct batch_slot *s, struct sooth_generation *out, struct sooth_error *err)
{
    buf_clear(&s->piece);
    token_decoder_flush(&s->decoder, &s->piece);
    stop_add(&s->text, buf_str(&s->piece), s->piece.len);
    stop_end(&s->text);
    if (s->text.failed || s->piece.failed)
        return err_nomem(err);
    out->len = s->text.text.len;
    out->text = s->text.text.data ? buf_take(&s->text.text) : mem_strdup("");
    out->ids = mem_dup(s->out.items, s->out.count * sizeof *out->ids);
    if (!out->text || !out->ids) {
        sooth_generation_release(out);
        return err_nomem(err);
    }
    out->finish = s->text.cancelled ? SOOTH_FINISH_CANCELLED : s->finish;
    out->n_tokens = s->out.count;
    out->n_prompt = s->n_prompt;
    out->n_reused = s->n_reused;
    out->n_dropped = s->n_dropped;
    out->n_guessed = s->n_guessed;
    out->n_right = s->n_right;
    out->prompt_seconds = s->prompt_done - s->started;
    out->seconds = s->ended - s->prompt_done;
    if (s->options.logprobs) {
        out->n_top = s->options.logprobs;
        out->logprobs = s->logprobs.items;
        out->top = s->top.items;
        memset(&s->logprobs, 0, sizeof s->logprobs);
        memset(&s->top, 0, sizeof s->top);
    }
    return SOOTH_OK;
}

enum sooth_status infer_finish(struct infer_batch *b, size_t slot, struct sooth_generation *out, struct sooth_error *err)
{
    struct batch_slot *s = &b->slots[slot];
    memset(out, 0, sizeof *out);
    if (s->state != SLOT_DONE)
        return err_set(err, SOOTH_ERR_ARG, "slot %zu has nothing to give", slot);
    enum sooth_status status = s->status == SOOTH_OK ? slot_give(s, out, err) : slot_error(b, s, err);
    slot_clear(s);
    if (b->failed && !infer_active_count(b)) { /* start clean: nothing that was cached is trusted */
        for (size_t e = 0; e < BATCH_ENGINES; e++)
            for (size_t i = 0; b->engine[e] && i < b->n_slots * STREAM_ROLES; i++)
                engine_keep(b->engine[e], i, 0);
        b->failed = false;
    }
    return status;
}

/* ---- scoring a given text ---- */

enum sooth_status infer_score(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n, size_t from, float *out,
                              struct sooth_error *err)
{
    enum sooth_status status = batch_check_ids(b, ids, n, 0, err);
    if (status != SOOTH_OK)
        return status;
    if (slot >= b->n_slots || b->slots[slot].state != SLOT_IDLE || from < 1 || from > n)
        return err_set(err, SOOTH_ERR_ARG, "cannot score in slot %zu from token %zu", slot, from);
    struct stream *t = &b->slots[slot].stream[STREAM_MAIN];
    struct engine *e = b->engine[0];
    slot_stream(b, slot, STREAM_MAIN, e);
    if (!stream_set(b, t, ids, n, from - 1))
        return err_nomem(err);
    size_t last = n - 1; /* the last token predicts nothing that is asked for */
    for (size_t at = stream_cached(t), done = 0; at < last;) {
        size_t end = last - at < BATCH_PROMPT ? last : at + BATCH_PROMPT;
        const float *p;
        engine_clear(e);
        for (size_t i = at; i < end; i++) {
            bool want = i + 1 >= from;
            if (!engine_row(e, t->seq, i, ids[i], want))
                return err_nomem(err);
            engine_target(e, want ? ids[i + 1] : -1);
        }
        status = engine_score(e, &p, err);
        if (status != SOOTH_OK) {
            engine_keep(e, t->seq, 0);
            return status;
        }
        for (size_t i = 0; i < e->n_wanted; i++)
            out[done++] = logprob_of(p[i], 0);
        at = end;
    }
    return SOOTH_OK;
}
