/* batch.c: the generation loop, for one sequence or many.
 *
 *            step 1            step 2          step 3
 *   slot 0   prompt [512]      prompt [88]     1 row          rows of one run, neighbours by slot
 *   slot 1   1 row             1 row           1 row          (ragged: no padding)
 *   slot 2   -                 prompt [30]     1 row
 *
 * Only the last row of a prompt and each decoding row is wanted, so logits are computed for those
 * alone. The row that a sequence gets depends on its own tokens only (tensor.h), so neither
 * neighbours nor the size of prompt pieces nor a warm cache change a bit of the result. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"
#include "model/infer/sampler.h"
#include "model/infer/stop.h"

enum { BATCH_PROMPT = 512, BATCH_TOP = 20 };
enum slot_state { SLOT_IDLE, SLOT_PROMPT, SLOT_DECODE, SLOT_DONE };

struct batch_slot {
    enum slot_state state;
    VEC(int32_t) ids; /* prompt, then what was generated; the cache holds a prefix of them */
    size_t n_prompt, n_reused;
    struct sooth_generate_options options;
    struct sampler sampler;
    struct stop_stream text;
    struct token_decoder decoder;
    struct buf piece; /* of the token just chosen */
    VEC(float) logprobs;
    VEC(struct sooth_logprob) top;
    enum sooth_finish finish;
    enum sooth_status status; /* what this sequence alone did wrong */
    double started, prompt_done, ended;
};

struct infer_batch {
    struct sooth_model *model;
    struct kv_cache *cache;
    struct run *run;
    size_t n_slots, context, vocab;
    struct batch_slot *slots;
    /* rows of the step being made, kept for their memory */
    VEC(int32_t) token;
    VEC(uint32_t) pos;
    VEC(uint32_t) seq;
    VEC(uint8_t) want;
    VEC(int32_t) target;
    bool failed; /* a forward failed: what the cache holds is not known, so nothing of it is reused
                  */
};

enum sooth_status infer_batch_new(struct sooth_model *model, size_t slots, size_t context,
                                  struct infer_batch **out, struct sooth_error *err)
{
    *out = NULL;
    if (!model->arch || !arch_info(model->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' does not generate text",
                       model->info.path);
    struct infer_batch *b = mem_calloc(1, sizeof *b);
    if (!b)
        return err_nomem(err);
    b->model = model;
    b->n_slots = slots;
    b->context = context ? context : model->info.context;
    b->vocab = arch_info(model->arch)->vocab;
    b->slots = mem_calloc(slots, sizeof *b->slots);
    enum sooth_status status =
        b->slots ? arch_cache_new(model->arch, slots, b->context, KV_F32, &b->cache, err)
                 : err_nomem(err);
    if (status == SOOTH_OK) {
        struct run_options options = {.pool = model->pool, .cache = b->cache};
        b->run = run_new(&options);
        status = b->run ? SOOTH_OK : err_nomem(err);
    }
    if (status != SOOTH_OK)
        infer_batch_free(b);
    else
        *out = b;
    return status;
}

static void slot_clear(struct batch_slot *s)
{
    sampler_release(&s->sampler);
    stop_release(&s->text);
    buf_release(&s->piece);
    vec_free(&s->logprobs);
    vec_free(&s->top);
    s->state = SLOT_IDLE;
}

void infer_batch_free(struct infer_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; b->slots && i < b->n_slots; i++) {
        slot_clear(&b->slots[i]);
        vec_free(&b->slots[i].ids);
    }
    run_free(b->run);
    kv_cache_free(b->cache);
    mem_free(b->slots);
    vec_free(&b->token);
    vec_free(&b->pos);
    vec_free(&b->seq);
    vec_free(&b->want);
    vec_free(&b->target);
    mem_free(b);
}

/* Makes the slot hold ids, keeping the cache of the longest common beginning but at most `most`
 * tokens of it. */
static bool slot_set(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n, size_t most)
{
    struct batch_slot *s = &b->slots[slot];
    size_t cached = b->failed ? 0 : kv_cache_length(b->cache, slot), common = 0;
    while (common < cached && common < most && common < s->ids.count &&
           s->ids.items[common] == ids[common])
        common++;
    kv_cache_truncate(b->cache, slot, common);
    s->ids.count = common;
    s->n_reused = common;
    if (!vec_reserve(&s->ids, n)) {
        s->ids.failed = false;
        return false;
    }
    memcpy(s->ids.items + common, ids + common, (n - common) * sizeof *ids);
    s->ids.count = n;
    return true;
}

static enum sooth_status batch_check_ids(const struct infer_batch *b, const int32_t *ids, size_t n,
                                         size_t room, struct sooth_error *err)
{
    if (!n)
        return err_set(err, SOOTH_ERR_ARG, "the prompt is empty and the model has no start token");
    if (n + room > b->context) {
        err_set(err, SOOTH_ERR_LIMIT, "prompt of %zu tokens does not fit the context of %zu tokens",
                n, b->context);
        return b->context < model_context_most(b->model)
                   ? err_hint(err, "the model allows a context of up to %zu tokens",
                              model_context_most(b->model))
                   : SOOTH_ERR_LIMIT;
    }
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= b->vocab)
            return err_set(err, SOOTH_ERR_ARG, "token %d is outside the vocabulary of %zu",
                           (int)ids[i], b->vocab);
    return SOOTH_OK;
}

enum sooth_status infer_start(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                              const struct sooth_generate_options *options, struct sooth_error *err)
{
    if (slot >= b->n_slots || b->slots[slot].state != SLOT_IDLE)
        return err_set(err, SOOTH_ERR_BUSY, "slot %zu is not free", slot);
    struct batch_slot *s = &b->slots[slot];
    enum sooth_status status = batch_check_ids(b, ids, n, 1, err);
    if (status == SOOTH_OK && options->logprobs > BATCH_TOP)
        status = err_set(err, SOOTH_ERR_ARG, "at most %d alternatives a token, not %u",
                         (int)BATCH_TOP, options->logprobs);
    if (status == SOOTH_OK)
        status = sampler_init(&s->sampler, &options->sampling, b->vocab, err);
    if (status == SOOTH_OK)
        status = stop_init(&s->text, options->stop, options->n_stop, options->on_text,
                           options->user, err);
    if (status == SOOTH_OK && !slot_set(b, slot, ids, n, n - 1))
        status = err_nomem(err);
    if (status != SOOTH_OK) {
        slot_clear(s);
        return status;
    }
    for (size_t i = 0; i < n; i++)
        sampler_accept(&s->sampler, ids[i]);
    token_decoder_init(&s->decoder, b->model->tokenizer);
    s->options = *options;
    s->n_prompt = n;
    s->status = SOOTH_OK;
    s->finish = SOOTH_FINISH_STOP;
    s->started = s->prompt_done = s->ended = clock_seconds();
    s->state = SLOT_PROMPT;
    return SOOTH_OK;
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

static void slot_end(struct batch_slot *s, enum sooth_finish finish)
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

/* ---- rows of a step ---- */

static void batch_rows_clear(struct infer_batch *b)
{
    b->token.count = b->pos.count = b->seq.count = b->want.count = b->target.count = 0;
}

static bool batch_row(struct infer_batch *b, size_t slot, size_t pos, int32_t token, bool want)
{
    return vec_push(&b->token, token) && vec_push(&b->pos, (uint32_t)pos) &&
           vec_push(&b->seq, (uint32_t)slot) && vec_push(&b->want, (uint8_t)want);
}

static struct rows batch_rows(const struct infer_batch *b)
{
    return (struct rows){.n = b->token.count,
                         .token = b->token.items,
                         .pos = b->pos.items,
                         .seq = b->seq.items,
                         .want = b->want.items};
}

/* The next piece of a slot's tokens that the cache does not hold; true in *last when it ends them.
 */
static bool slot_rows(struct infer_batch *b, size_t slot, size_t *count, bool *last)
{
    const struct batch_slot *s = &b->slots[slot];
    size_t from = kv_cache_length(b->cache, slot),
           most = s->options.prompt_batch ? s->options.prompt_batch : BATCH_PROMPT;
    size_t n = s->ids.count - from < most ? s->ids.count - from : most;
    *count = n;
    *last = from + n == s->ids.count;
    for (size_t i = 0; i < n; i++)
        if (!batch_row(b, slot, from + i, s->ids.items[from + i], *last && i + 1 == n))
            return false;
    return true;
}

/* ---- what a wanted row gives ---- */

static bool slot_keep_logprobs(struct batch_slot *s, const float *logits, size_t vocab, double norm,
                               float chosen)
{
    if (!vec_push(&s->logprobs, logprob_of(chosen, norm)) ||
        !vec_reserve(&s->top, s->top.count + s->options.logprobs))
        return false;
    logprob_top(logits, vocab, norm, s->top.items + s->top.count, s->options.logprobs);
    s->top.count += s->options.logprobs;
    return true;
}

/* Alternatives are read before the sampler may change the row; the chosen one's logit is read
 * after. */
static bool slot_choose(struct infer_batch *b, struct batch_slot *s, float *logits, int32_t *id)
{
    if (!s->options.logprobs) {
        *id = sampler_pick(&s->sampler, logits);
        return true;
    }
    float *raw = mem_dup(logits, b->vocab * sizeof *raw);
    if (!raw)
        return false;
    *id = sampler_pick(&s->sampler, logits);
    bool ok = true;
    if (*id >= 0 && !token_is_end(b->model->tokenizer, *id))
        ok = slot_keep_logprobs(s, raw, b->vocab, logprob_norm(raw, b->vocab), raw[*id]);
    mem_free(raw);
    return ok;
}

/* One token more. */
static void slot_take(struct infer_batch *b, struct batch_slot *s, float *logits)
{
    int32_t id;
    if (s->state == SLOT_PROMPT) {
        s->prompt_done = clock_seconds();
        s->state = SLOT_DECODE;
    }
    if (!slot_choose(b, s, logits, &id)) {
        s->status = SOOTH_ERR_NOMEM;
        slot_end(s, SOOTH_FINISH_STOP);
        return;
    }
    if (id < 0) {
        s->status = SOOTH_ERR_FORMAT;
        slot_end(s, SOOTH_FINISH_STOP);
        return;
    }
    if (token_is_end(b->model->tokenizer, id)) {
        slot_end(s, SOOTH_FINISH_STOP);
        return;
    }
    sampler_accept(&s->sampler, id);
    buf_clear(&s->piece);
    token_decoder_add(&s->decoder, id, &s->piece);
    bool more = vec_push(&s->ids, id) && stop_add(&s->text, buf_str(&s->piece), s->piece.len);
    if (s->ids.failed || s->text.failed || s->piece.failed) {
        s->status = SOOTH_ERR_NOMEM;
        slot_end(s, SOOTH_FINISH_STOP);
    } else if (!more) {
        slot_end(s, s->text.cancelled ? SOOTH_FINISH_CANCELLED : SOOTH_FINISH_STOP);
    } else if ((s->options.max_tokens && s->ids.count - s->n_prompt >= s->options.max_tokens) ||
               s->ids.count >= b->context) {
        slot_end(s, SOOTH_FINISH_LENGTH);
    }
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
    size_t wanted = 0;
    batch_rows_clear(b);
    for (size_t i = 0; i < b->n_slots; i++) {
        size_t count;
        bool last;
        if (!infer_active(b, i))
            continue;
        if (!slot_rows(b, i, &count, &last))
            return batch_failed(b, err_nomem(err));
        wanted += last;
    }
    if (!b->token.count)
        return SOOTH_OK;
    struct rows rows = batch_rows(b);
    run_begin(b->run, &rows);
    struct mat *h = arch_hidden(b->model->arch, b->run),
               *y = wanted ? arch_logits(b->model->arch, b->run, h) : NULL;
    enum sooth_status status = run_end(b->run, err);
    if (status != SOOTH_OK)
        return batch_failed(b, status);
    for (size_t r = 0, row = 0; r < rows.n; r++) {
        size_t slot = rows.seq[r];
        struct batch_slot *s = &b->slots[slot];
        bool ends_slot = r + 1 == rows.n || rows.seq[r + 1] != rows.seq[r];
        if (ends_slot && s->state == SLOT_PROMPT && s->options.on_prompt)
            s->options.on_prompt(s->options.user, kv_cache_length(b->cache, slot), s->n_prompt);
        if (rows.want[r])
            slot_take(b, s, y->v + row++ * b->vocab);
    }
    return SOOTH_OK;
}

static enum sooth_status slot_error(const struct infer_batch *b, const struct batch_slot *s,
                                    struct sooth_error *err)
{
    if (s->status == SOOTH_ERR_FORMAT)
        return err_set(err, SOOTH_ERR_FORMAT,
                       "model '%s' gave numbers that are not finite; its file may be damaged",
                       b->model->info.path);
    if (s->status == SOOTH_ERR_NOMEM)
        return err_nomem(err);
    return err && err->status == s->status
               ? s->status
               : err_set(err, s->status, "generation with '%s' failed", b->model->info.path);
}

static enum sooth_status slot_give(struct batch_slot *s, struct sooth_generation *out,
                                   struct sooth_error *err)
{
    size_t n = s->ids.count - s->n_prompt;
    buf_clear(&s->piece);
    token_decoder_flush(&s->decoder, &s->piece);
    stop_add(&s->text, buf_str(&s->piece), s->piece.len);
    stop_end(&s->text);
    if (s->text.failed || s->piece.failed)
        return err_nomem(err);
    out->len = s->text.text.len;
    out->text = s->text.text.data ? buf_take(&s->text.text) : mem_strdup("");
    out->ids = mem_dup(s->ids.items + s->n_prompt, n * sizeof *out->ids);
    if (!out->text || !out->ids) {
        sooth_generation_release(out);
        return err_nomem(err);
    }
    out->finish = s->text.cancelled ? SOOTH_FINISH_CANCELLED : s->finish;
    out->n_tokens = n;
    out->n_prompt = s->n_prompt;
    out->n_reused = s->n_reused;
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

enum sooth_status infer_finish(struct infer_batch *b, size_t slot, struct sooth_generation *out,
                               struct sooth_error *err)
{
    struct batch_slot *s = &b->slots[slot];
    memset(out, 0, sizeof *out);
    if (s->state != SLOT_DONE)
        return err_set(err, SOOTH_ERR_ARG, "slot %zu has nothing to give", slot);
    enum sooth_status status = s->status == SOOTH_OK ? slot_give(s, out, err)
                                                     : slot_error(b, s, err);
    slot_clear(s);
    if (b->failed && !infer_active_count(b)) { /* start clean: nothing that was cached is trusted */
        for (size_t i = 0; i < b->n_slots; i++)
            kv_cache_truncate(b->cache, i, 0);
        b->failed = false;
    }
    return status;
}

enum sooth_status infer_score(struct infer_batch *b, size_t slot, const int32_t *ids, size_t n,
                              size_t from, float *out, struct sooth_error *err)
{
    enum sooth_status status = batch_check_ids(b, ids, n, 0, err);
    if (status != SOOTH_OK)
        return status;
    if (slot >= b->n_slots || b->slots[slot].state != SLOT_IDLE || from < 1 || from > n)
        return err_set(err, SOOTH_ERR_ARG, "cannot score in slot %zu from token %zu", slot, from);
    if (!slot_set(b, slot, ids, n, from - 1))
        return err_nomem(err);
    size_t last = n - 1; /* the last token predicts nothing that is asked for */
    for (size_t at = kv_cache_length(b->cache, slot), done = 0; at < last;) {
        size_t end = last - at < BATCH_PROMPT ? last : at + BATCH_PROMPT, wanted = 0;
        batch_rows_clear(b);
        for (size_t i = at; i < end; i++) {
            bool want = i + 1 >= from;
            wanted += want;
            if (!batch_row(b, slot, i, ids[i], want) ||
                !vec_push(&b->target, want ? ids[i + 1] : -1))
                return err_nomem(err);
        }
        struct rows rows = batch_rows(b);
        rows.target = b->target.items;
        run_begin(b->run, &rows);
        struct mat *h = arch_hidden(b->model->arch, b->run),
                   *p = wanted ? arch_logprobs(b->model->arch, b->run, h) : NULL;
        status = run_end(b->run, err);
        if (status != SOOTH_OK) {
            kv_cache_truncate(b->cache, slot, 0);
            return status;
        }
        for (size_t i = 0; i < wanted; i++)
            out[done++] = logprob_of(p->v[i], 0);
        at = end;
    }
    return SOOTH_OK;
}
