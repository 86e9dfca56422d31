/* session.c: one conversation: a batch of one slot, or a server. */
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

struct sooth_model *sooth_session_model(const struct sooth_session *s)
{
    return s->model;
}

static enum sooth_status session_generate(struct sooth_session *s, const struct sooth_tokens *t,
                                          const struct sooth_generate_options *options,
                                          struct sooth_generation *out, struct sooth_error *err)
{
    enum sooth_status status = infer_start(s->batch, 0, t->ids, t->count, options, err), done;
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
    struct sooth_generate_options plain;
    struct sooth_tokens t = {0};
    memset(out, 0, sizeof *out);
    sooth_generate_options_init(&plain);
    options = options ? options : &plain;
    if (s->model->remote)
        return remote_generate(s->model->remote, NULL, 0, text, len, options, out, err);
    enum sooth_status status = sooth_tokenize(s->model, text, len, true, false, &t, err);
    if (status == SOOTH_OK)
        status = session_generate(s, &t, options, out, err);
    sooth_tokens_release(&t);
    return status;
}

/* A base model goes on past its turn and plays the other side too: where the turns are marked by
 * names alone, the names end it. Adds them to the caller's stop strings. */
static enum sooth_status session_plain_stops(const struct sooth_generate_options *from,
                                             struct sooth_generate_options *to, const char ***list,
                                             struct sooth_error *err)
{
    static const char *const names[] = {"\nUser:", "\nSystem:", "\nAssistant:"};
    *to = *from;
    *list = mem_array(from->n_stop + 3, sizeof **list);
    if (!*list)
        return err_nomem(err);
    memcpy(*list, names, sizeof names);
    for (size_t i = 0; i < from->n_stop; i++)
        (*list)[3 + i] = from->stop[i];
    to->stop = *list;
    to->n_stop = from->n_stop + 3;
    return SOOTH_OK;
}

enum sooth_status sooth_chat(struct sooth_session *s, const struct sooth_message *messages,
                             size_t n, const struct sooth_generate_options *options,
                             struct sooth_generation *out, struct sooth_error *err)
{
    struct sooth_generate_options plain;
    struct sooth_tokens t = {0};
    memset(out, 0, sizeof *out);
    sooth_generate_options_init(&plain);
    options = options ? options : &plain;
    for (size_t i = 0; i < n; i++)
        if (!messages[i].role || !messages[i].content)
            return err_set(err, SOOTH_ERR_ARG, "message %zu has no role or no content", i + 1);
    if (!n)
        return err_set(err, SOOTH_ERR_ARG, "a chat needs at least one message");
    if (s->model->remote)
        return remote_generate(s->model->remote, messages, n, NULL, 0, options, out, err);
    const char **stops = NULL;
    struct sooth_generate_options named;
    enum sooth_status status = chat_tokenize(s->model, messages, n, &t, err);
    if (status == SOOTH_OK && !s->model->info.has_template) {
        status = session_plain_stops(options, &named, &stops, err);
        options = &named;
    }
    if (status == SOOTH_OK)
        status = session_generate(s, &t, options, out, err);
    mem_free(stops);
    sooth_tokens_release(&t);
    return status;
}

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
