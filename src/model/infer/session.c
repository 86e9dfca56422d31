/* session.c: the public face of generation: one conversation (a batch of one slot, or a server), or many at once. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"
#include "model/infer/remote.h"

struct sooth_session {
    struct sooth_model *model;
    struct infer_batch *batch; /* NULL for a remote model */
};

void sooth_generate_options_init(struct sooth_generate_options *o)
{
    memset(o, 0, sizeof *o);
    o->sampling.top_p = 1;
    o->sampling.repeat_penalty = 1;
    o->sampling.repeat_last = 64;
    o->max_tokens = 512;
}

void sooth_generation_release(struct sooth_generation *g)
{
    mem_free(g->text);
    mem_free(g->ids);
    mem_free(g->logprobs);
    mem_free(g->top);
    memset(g, 0, sizeof *g);
}

enum sooth_status sooth_session_new(struct sooth_model *model, struct sooth_session **out,
                                    struct sooth_error *err)
{
    *out = NULL;
    struct sooth_session *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_nomem(err);
    s->model = model;
    enum sooth_status status = model->remote ? SOOTH_OK
                                             : infer_batch_new(model, 1, 0, &s->batch, err);
    if (status != SOOTH_OK)
        mem_free(s);
    else
        *out = s;
    return status;
}

void sooth_session_free(struct sooth_session *s)
{
    if (!s)
        return;
    infer_batch_free(s->batch);
    mem_free(s);
}

enum sooth_status sooth_session_wear(struct sooth_session *s, struct sooth_adapter *const *list, size_t n, struct sooth_error *err)
{
    if (s->model->remote)
        return n ? err_set(err, SOOTH_ERR_UNSUPPORTED, "adapters are for local models, not for server '%s'", s->model->info.path) : SOOTH_OK;
    return wear_adapters(s->model, s->batch, list, n, err);
}

struct sooth_model *sooth_session_model(const struct sooth_session *s)
{
    return s->model;
}

/* ---- starting a prompt in a batch ---- */

/* A base model goes on past its turn and plays the other side too: where the turns are marked by
 * names alone, the names end it. Adds them to the caller's stop strings. */
static enum sooth_status session_named_stops(struct sooth_generate_options *o, const char ***list, struct sooth_error *err)
{
    static const char *const names[] = {"\nUser:", "\nSystem:", "\nAssistant:"};
    *list = mem_array(o->n_stop + 3, sizeof **list);
    if (!*list)
        return err_nomem(err);
    memcpy(*list, names, sizeof names);
    for (size_t i = 0; i < o->n_stop; i++)
        (*list)[3 + i] = o->stop[i];
    o->stop = *list;
    o->n_stop += 3;
    return SOOTH_OK;
}

/* Room for a prompt that may be shortened: a quarter of the context, or all that is asked for if that is less, is for the answer. */
static size_t session_room(const struct infer_batch *b, const struct sooth_generate_options *o)
{
    size_t all = infer_context(b), answer = all / 4;
    if (o->max_tokens && o->max_tokens < answer)
        answer = o->max_tokens;
    return o->context_shift ? all - (answer ? answer : 1) : 0;
}

/* slot NULL: slot 0, else the one that helps most, told. */
static enum sooth_status session_start(struct sooth_model *m, struct infer_batch *b, const struct sooth_prompt *p,
                                       const struct sooth_generate_options *options, size_t *slot, struct sooth_error *err)
{
    struct sooth_generate_options o;
    struct prompt prompt;
    const char **stops = NULL;
    size_t at = 0;
    sooth_generate_options_init(&o);
    o = options ? *options : o;
    enum sooth_status status = prompt_tokens(m, p, session_room(b, &o), &prompt, err);
    if (status != SOOTH_OK)
        return status;
    if (slot && (at = *slot = infer_slot_for(b, prompt.tokens.ids, prompt.tokens.count)) == SIZE_MAX)
        status = err_set(err, SOOTH_ERR_BUSY, "every slot is taken");
    if (status == SOOTH_OK && prompt.named_turns)
        status = session_named_stops(&o, &stops, err);
    if (status == SOOTH_OK)
        status = infer_start(b, at, prompt.tokens.ids, prompt.tokens.count, &o, err);
    if (status == SOOTH_OK)
        infer_dropped(b, at, prompt.n_dropped);
    mem_free(stops);
    sooth_tokens_release(&prompt.tokens);
    return status;
}

/* ---- one at a time ---- */

/* What a server cannot be told is refused, not left out. */
static enum sooth_status session_remote(struct sooth_session *s, const struct sooth_prompt *p, const struct sooth_generate_options *o,
                                        struct sooth_generation *out, struct sooth_error *err)
{
    bool plain = !o->strategy || strcmp(o->strategy, "sample") == 0;
    const char *what = !plain          ? "a decoding strategy"
                       : o->grammar    ? "a grammar"
                       : o->draft      ? "a draft model"
                       : o->lookup     ? "guessing ahead"
                       : o->context_shift ? "shifting the context"
                       : p->n_ids      ? "a prompt of tokens"
                                       : NULL;
    if (what)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "%s is for local models, not for server '%s'", what, s->model->info.path);
    return remote_generate(s->model->remote, p->messages, p->n_messages, p->text, p->len, o, out, err);
}

enum sooth_status sooth_generate(struct sooth_session *s, const struct sooth_prompt *prompt,
                                 const struct sooth_generate_options *options, struct sooth_generation *out, struct sooth_error *err)
{
    struct sooth_generate_options plain;
    memset(out, 0, sizeof *out);
    sooth_generate_options_init(&plain);
    if (s->model->remote)
        return session_remote(s, prompt, options ? options : &plain, out, err);
    enum sooth_status status = session_start(s->model, s->batch, prompt, options, NULL, err), done;
    if (status != SOOTH_OK)
        return status;
    while (status == SOOTH_OK && infer_active(s->batch, 0))
        status = infer_step(s->batch, err);
    done = infer_finish(s->batch, 0, out, err);
    return status != SOOTH_OK ? status : done;
}

enum sooth_status sooth_complete(struct sooth_session *s, const char *text, size_t len,
                                 const struct sooth_generate_options *options,
                                 struct sooth_generation *out, struct sooth_error *err)
{
    struct sooth_prompt p = {.text = text, .len = len};
    return sooth_generate(s, &p, options, out, err);
}

enum sooth_status sooth_chat(struct sooth_session *s, const struct sooth_message *messages,
                             size_t n, const struct sooth_generate_options *options,
                             struct sooth_generation *out, struct sooth_error *err)
{
    struct sooth_prompt p = {.messages = messages, .n_messages = n};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++)
        if (!messages[i].role || !messages[i].content)
            return err_set(err, SOOTH_ERR_ARG, "message %zu has no role or no content", i + 1);
    if (!n)
        return err_set(err, SOOTH_ERR_ARG, "a chat needs at least one message");
    return sooth_generate(s, &p, options, out, err);
}

/* ---- many at once ---- */

struct sooth_batch {
    struct sooth_model *model;
    struct infer_batch *batch;
    size_t slots;
};

enum sooth_status sooth_batch_new(struct sooth_model *model, size_t slots, size_t context, struct sooth_batch **out, struct sooth_error *err)
{
    *out = NULL;
    if (model->remote)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a batch needs a local model, not server '%s'", model->info.path);
    if (!slots || slots > 4096 || context > model_context_most(model))
        return err_set(err, SOOTH_ERR_ARG, "a batch has 1 to 4096 slots of at most %zu tokens", model_context_most(model));
    struct sooth_batch *b = mem_calloc(1, sizeof *b);
    if (!b)
        return err_nomem(err);
    *b = (struct sooth_batch){.model = model, .slots = slots};
    enum sooth_status status = infer_batch_new(model, slots, context, &b->batch, err);
    if (status != SOOTH_OK)
        mem_free(b);
    else
        *out = b;
    return status;
}

void sooth_batch_free(struct sooth_batch *b)
{
    if (!b)
        return;
    infer_batch_free(b->batch);
    mem_free(b);
}

enum sooth_status sooth_batch_wear(struct sooth_batch *b, struct sooth_adapter *const *list, size_t n, struct sooth_error *err)
{
    return wear_adapters(b->model, b->batch, list, n, err);
}

enum sooth_status sooth_batch_start(struct sooth_batch *b, const struct sooth_prompt *prompt, const struct sooth_generate_options *options,
                                    size_t *slot, struct sooth_error *err)
{
    return session_start(b->model, b->batch, prompt, options, slot, err);
}

enum sooth_status sooth_batch_step(struct sooth_batch *b, struct sooth_error *err)
{
    return infer_step(b->batch, err);
}

size_t sooth_batch_active(const struct sooth_batch *b)
{
    return infer_active_count(b->batch);
}

bool sooth_batch_done(const struct sooth_batch *b, size_t slot)
{
    return slot < b->slots && infer_done(b->batch, slot);
}

void sooth_batch_cancel(struct sooth_batch *b, size_t slot)
{
    if (slot < b->slots)
        infer_cancel(b->batch, slot);
}

enum sooth_status sooth_batch_finish(struct sooth_batch *b, size_t slot, struct sooth_generation *out, struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    return slot < b->slots ? infer_finish(b->batch, slot, out, err) : err_set(err, SOOTH_ERR_ARG, "there is no slot %zu", slot);
}

/* ---- scoring ---- */

enum sooth_status sooth_score(struct sooth_session *s, const char *prompt, size_t prompt_len,
                              const char *text, size_t len, float **out, size_t *count,
                              struct sooth_error *err)
{
    struct sooth_tokens a = {0}, b = {0};
    int32_t *ids = NULL;
    *out = NULL;
    *count = 0;
    if (s->model->remote)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a remote model cannot score a given text");
    enum sooth_status status = sooth_tokenize(s->model, prompt, prompt_len, true, false, &a, err);
    if (status == SOOTH_OK)
        status = sooth_tokenize(s->model, text, len, false, false, &b, err);
    if (status == SOOTH_OK && !a.count)
        status = err_set(err, SOOTH_ERR_ARG,
                         "scoring needs a prompt, because the model has no start token");
    if (status == SOOTH_OK) {
        ids = mem_array(a.count + b.count, sizeof *ids);
        *out = mem_array(b.count ? b.count : 1, sizeof **out);
        if (!ids || !*out)
            status = err_nomem(err);
    }
    if (status == SOOTH_OK) {
        memcpy(ids, a.ids, a.count * sizeof *ids);
        if (b.count)
            memcpy(ids + a.count, b.ids, b.count * sizeof *ids);
        status = infer_score(s->batch, 0, ids, a.count + b.count, a.count, *out, err);
    }
    if (status == SOOTH_OK) {
        *count = b.count;
    } else {
        mem_free(*out);
        *out = NULL;
    }
    mem_free(ids);
    sooth_tokens_release(&a);
    sooth_tokens_release(&b);
    return status;
}
