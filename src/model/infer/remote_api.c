/* remote_api.c: chat, completions and embeddings in the OpenAI shape.
 *
 * Everything the server sends is checked before use: shape, counts, finite numbers, sizes. Text
 * passes through the same stop_stream as local text, so whole characters and clean stop strings do
 * not depend on the server. A stream is a sequence of lines "data: {json}", ended by "data:
 * [DONE]". A server that ignores "stream" and answers with one JSON object is understood too. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "model/infer/remote.h"
#include "model/infer/sampler.h"
#include "model/infer/stop.h"

enum { REMOTE_EMBED_TEXTS = 64, REMOTE_EMBED_BYTES = 1 << 18, REMOTE_MAX_DIM = 1 << 16 };

/* An answer being received. */
struct remote_reply {
    const struct remote *r;
    struct stop_stream text;
    struct buf line;  /* the unfinished line of a stream, or the whole of a plain answer */
    bool plain;       /* not a stream after all: line keeps everything */
    bool begun, done; /* first byte seen; finish reason or [DONE] seen */
    enum sooth_finish finish;
    VEC(float) logprobs;
    size_t n_prompt, n_tokens;
    enum sooth_status status; /* of what was wrong in the answer */
    struct sooth_error *err;
};

static enum sooth_status reply_bad(struct remote_reply *p, const char *what)
{
    if (p->status == SOOTH_OK)
        p->status =
            err_set(p->err, SOOTH_ERR_NET, "server '%s' sent an answer %s", p->r->url, what);
    return p->status;
}

static void reply_logprobs(struct remote_reply *p, const struct json *logprobs)
{
    const struct json *list = json_get(logprobs, "content");
    bool chat = list != NULL;
    if (!chat)
        list = json_get(logprobs, "token_logprobs");
    if (!list || list->type != JSON_ARRAY)
        return;
    for (const struct json *e = list->child; e; e = e->next) {
        double v = chat                     ? json_number(e, "logprob", (double)LOGPROB_FLOOR)
                   : e->type == JSON_NUMBER ? e->number
                                            : (double)LOGPROB_FLOOR;
        if (!vec_push(&p->logprobs, logprob_of((float)v, 0)))
            p->status = err_nomem(p->err);
    }
}

/* One object: a whole answer or a chunk of a stream. False ends the stream. */
static bool reply_object(struct remote_reply *p, const struct json *j)
{
    if (json_get(j, "error")) {
        const struct json *e = json_get(j, "error");
        const char *words = e->type == JSON_STRING ? e->text : json_string(e, "message", "unknown");
        p->status = err_set(p->err, SOOTH_ERR_NET, "server '%s' failed: %.300s", p->r->url, words);
        return false;
    }
    const struct json *usage = json_get(j, "usage");
    if (usage && usage->type == JSON_OBJECT) {
        int64_t prompt = json_int(usage, "prompt_tokens", 0),
                tokens = json_int(usage, "completion_tokens", 0);
        p->n_prompt = prompt > 0 ? (size_t)prompt : 0;
        p->n_tokens = tokens > 0 ? (size_t)tokens : 0;
    }
    const struct json *choices = json_get(j, "choices");
    if (!choices || choices->type != JSON_ARRAY) {
        if (usage)
            return true;
        reply_bad(p, "without 'choices'");
        return false;
    }
    const struct json *c = json_at(choices, 0);
    if (!c) /* the closing chunk of a stream holds only the usage */
        return true;
    const struct json *message = json_get(c, "delta");
    if (!message)
        message = json_get(c, "message");
    const struct json *text = message ? json_get(message, "content") : json_get(c, "text");
    if (text && text->type != JSON_STRING && text->type != JSON_NULL) {
        reply_bad(p, "whose text is not a string");
        return false;
    }
    reply_logprobs(p, json_get(c, "logprobs"));
    const char *reason = json_string(c, "finish_reason", NULL);
    if (reason) {
        p->done = true;
        p->finish = strcmp(reason, "length") == 0 ? SOOTH_FINISH_LENGTH : SOOTH_FINISH_STOP;
    }
    return (!text || text->type == JSON_NULL || stop_add(&p->text, text->text, text->len)) &&
           p->status == SOOTH_OK;
}

static bool reply_json(struct remote_reply *p, const char *text, size_t len)
{
    struct arena arena;
    struct sooth_error why = {0};
    arena_init(&arena, p->r->max_bytes * 4);
    const struct json *j = json_parse(&arena, text, len, 0, NULL, &why);
    bool more = false;
    if (j && j->type == JSON_OBJECT)
        more = reply_object(p, j);
    else if (why.status == SOOTH_ERR_NOMEM)
        p->status = err_nomem(p->err);
    else
        reply_bad(p, "that is not a JSON object");
    arena_release(&arena);
    return more;
}

static bool reply_line(struct remote_reply *p, const char *line, size_t len)
{
    if (len && line[len - 1] == '\r')
        len--;
    if (len < 5 || memcmp(line, "data:", 5) != 0) /* blank lines, comments, event names */
        return true;
    line += 5;
    len -= 5;
    if (len && *line == ' ') {
        line++;
        len--;
    }
    if (len == 6 && memcmp(line, "[DONE]", 6) == 0) {
        p->done = true;
        return true;
    }
    return reply_json(p, line, len);
}

static bool reply_bytes(void *user, const char *bytes, size_t len)
{
    struct remote_reply *p = user;
    for (size_t i = 0; i < len && !p->begun; i++) {
        if (strchr(" \t\r\n", bytes[i]) && bytes[i])
            continue;
        p->begun = true;
        p->plain = bytes[i] == '{';
    }
    if (!buf_add(&p->line, bytes, len)) {
        p->status = err_nomem(p->err);
        return false;
    }
    if (p->plain)
        return true;
    size_t from = 0;
    bool more = true;
    for (char *end; more && (end = memchr(p->line.data + from, '\n', p->line.len - from));
         from = (size_t)(end - p->line.data) + 1)
        more = reply_line(p, p->line.data + from, (size_t)(end - p->line.data) - from);
    memmove(p->line.data, p->line.data + from, p->line.len - from);
    p->line.len -= from;
    return more;
}

static void remote_write_sampling(struct json_writer *w, const struct sooth_generate_options *o,
                                  bool chat)
{
    const struct sooth_sampling *s = &o->sampling;
    jsonw_key(w, "temperature");
    jsonw_double(w, s->temperature, 10);
    if (s->top_p < 1)
        jsonw_key(w, "top_p"), jsonw_double(w, s->top_p, 10);
    if (s->temperature > 0)
        jsonw_key(w, "seed"), jsonw_int(w, (int64_t)(s->seed & INT64_MAX));
    /* Beyond OpenAI's own fields, so only where they are wanted: a server that does not know them
     * says so. */
    if (s->top_k > 0)
        jsonw_key(w, "top_k"), jsonw_int(w, s->top_k);
    if (s->min_p > 0)
        jsonw_key(w, "min_p"), jsonw_double(w, s->min_p, 10);
    if (s->repeat_penalty != 1)
        jsonw_key(w, "repeat_penalty"), jsonw_double(w, s->repeat_penalty, 10);
    if (o->max_tokens)
        jsonw_key(w, "max_tokens"), jsonw_int(w, (int64_t)o->max_tokens);
    if (o->n_stop) {
        jsonw_key(w, "stop");
        jsonw_array(w);
        for (size_t i = 0; i < o->n_stop; i++)
            jsonw_string(w, o->stop[i]);
        jsonw_end_array(w);
    }
    if (o->logprobs && chat)
        jsonw_key(w, "logprobs"), jsonw_bool(w, true), jsonw_key(w, "top_logprobs"),
            jsonw_int(w, (int64_t)o->logprobs);
    else if (o->logprobs)
        jsonw_key(w, "logprobs"), jsonw_int(w, (int64_t)o->logprobs);
}

static void remote_write_request(struct buf *body, const struct remote *r,
                                 const struct sooth_message *messages, size_t n, const char *prompt,
                                 size_t prompt_len, const struct sooth_generate_options *o)
{
    struct json_writer w;
    jsonw_init(&w, body);
    jsonw_object(&w);
    jsonw_key(&w, "model");
    jsonw_string(&w, r->model);
    if (prompt) {
        jsonw_key(&w, "prompt");
        jsonw_stringn(&w, prompt, prompt_len);
    } else {
        jsonw_key(&w, "messages");
        jsonw_array(&w);
        for (size_t i = 0; i < n; i++) {
            jsonw_object(&w);
            jsonw_key(&w, "role"), jsonw_string(&w, messages[i].role);
            jsonw_key(&w, "content"), jsonw_string(&w, messages[i].content);
            jsonw_end_object(&w);
        }
        jsonw_end_array(&w);
    }
    remote_write_sampling(&w, o, prompt == NULL);
    if (o->on_text) {
        jsonw_key(&w, "stream"), jsonw_bool(&w, true);
        jsonw_key(&w, "stream_options");
        jsonw_object(&w);
        jsonw_key(&w, "include_usage"), jsonw_bool(&w, true);
        jsonw_end_object(&w);
    }
    jsonw_end_object(&w);
}

/* The end of a request: what it came to. status and net are the transport's word. */
static enum sooth_status remote_conclude(struct remote_reply *p, bool streaming,
                                         enum sooth_status status, const struct sooth_error *net)
{
    bool ours = p->text.stopped || p->text.cancelled; /* we hung up: not the server's fault */
    if (p->status != SOOTH_OK)
        return p->status;
    if (p->text.failed)
        return err_nomem(p->err);
    if (status != SOOTH_OK && !ours) {
        if (p->err)
            *p->err = *net;
        return status;
    }
    if (!ours && streaming && !p->plain && p->line.len &&
        !reply_line(p, p->line.data, p->line.len) && p->status != SOOTH_OK)
        return p->status;
    if (!ours && (!streaming || p->plain))
        reply_json(p, buf_str(&p->line), p->line.len);
    if (p->status != SOOTH_OK)
        return p->status;
    if (!ours && streaming && !p->plain && !p->done)
        return reply_bad(p, "that ended in the middle");
    stop_end(&p->text);
    if (p->text.failed || p->text.text.failed)
        return err_nomem(p->err);
    p->finish = p->text.cancelled ? SOOTH_FINISH_CANCELLED
                : p->text.stopped ? SOOTH_FINISH_STOP
                                  : p->finish;
    return SOOTH_OK;
}

static enum sooth_status remote_fill(struct remote_reply *p, const struct sooth_generate_options *o,
                                     struct sooth_generation *out)
{
    out->len = p->text.text.len;
    out->text = p->text.text.data ? buf_take(&p->text.text) : mem_strdup("");
    if (!out->text)
        return err_nomem(p->err);
    out->finish = p->finish;
    out->n_prompt = p->n_prompt;
    out->n_tokens = p->n_tokens;
    if (o->logprobs && p->logprobs.count) {
        out->n_tokens = p->logprobs.count;
        out->logprobs = p->logprobs.items;
        memset(&p->logprobs, 0, sizeof p->logprobs);
    }
    return SOOTH_OK;
}

enum sooth_status remote_generate(struct remote *r, const struct sooth_message *messages, size_t n,
                                  const char *prompt, size_t prompt_len,
                                  const struct sooth_generate_options *options,
                                  struct sooth_generation *out, struct sooth_error *err)
{
    struct remote_reply p = {.r = r, .err = err};
    struct buf body = BUF_INIT;
    struct sooth_error net = {
        0}; /* hanging up makes the transport complain: only sometimes worth telling */
    bool streaming = options->on_text != NULL;
    enum sooth_status status =
        stop_init(&p.text, options->stop, options->n_stop, options->on_text, options->user, err);
    if (status != SOOTH_OK)
        return status;
    p.text.text.max = r->max_bytes;
    remote_write_request(&body, r, messages, n, prompt, prompt_len, options);
    if (body.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = remote_request(r, prompt ? "/completions" : "/chat/completions", &body,
                                streaming ? NULL : &p.line, streaming ? reply_bytes : NULL, &p,
                                &net);
    if (!body.failed)
        status = remote_conclude(&p, streaming, status, &net);
    if (status == SOOTH_OK)
        status = remote_fill(&p, options, out);
    stop_release(&p.text);
    buf_release(&p.line);
    buf_release(&body);
    vec_free(&p.logprobs);
    return status;
}

/* Reads {"data":[{"index":0,"embedding":[...]}, ...]} into unit vectors. *dim 0: takes the first
 * vector's. */
static enum sooth_status remote_read_vectors(const struct remote *r, const struct json *j, size_t n,
                                             size_t *dim, float *out, struct sooth_error *err)
{
    const struct json *data = json_get(j, "data");
    if (!data || data->type != JSON_ARRAY || data->len != n)
        return err_set(err, SOOTH_ERR_NET, "server '%s' answered with %zu vectors for %zu texts",
                       r->url, data && data->type == JSON_ARRAY ? data->len : 0, n);
    size_t at = 0;
    uint64_t seen = 0; /* one bit a text: n <= REMOTE_EMBED_TEXTS */
    for (const struct json *e = data->child; e; e = e->next, at++) {
        const struct json *v = json_get(e, "embedding");
        int64_t index = json_int(e, "index", (int64_t)at);
        if (!v || v->type != JSON_ARRAY || !v->len || v->len > REMOTE_MAX_DIM ||
            (*dim && v->len != *dim) || index < 0 || (size_t)index >= n)
            return err_set(err, SOOTH_ERR_NET,
                           "server '%s' answered with a vector of the wrong shape", r->url);
        *dim = v->len;
        if (seen >> index & 1)
            return err_set(err, SOOTH_ERR_NET, "server '%s' answered with the same vector twice",
                           r->url);
        seen |= (uint64_t)1 << index;
        if (!out)
            continue;
        double norm = 0;
        float *row = out + (size_t)index * *dim;
        size_t i = 0;
        for (const struct json *x = v->child; x; x = x->next, i++) {
            row[i] = x->type == JSON_NUMBER ? (float)x->number : NAN;
            norm += (double)row[i] * (double)row[i];
        }
        if (!(norm > 0) || !isfinite(norm))
            return err_set(err, SOOTH_ERR_NET,
                           "server '%s' answered with a vector that has no direction", r->url);
        for (i = 0; i < *dim; i++)
            row[i] = (float)((double)row[i] / sqrt(norm));
    }
    return SOOTH_OK;
}

static enum sooth_status remote_embed_some(const struct remote *r, const char *const *texts,
                                           const size_t *lens, size_t n, size_t *dim, float *out,
                                           struct sooth_error *err)
{
    struct buf body = BUF_INIT, answer = BUF_INIT;
    struct arena arena;
    struct json_writer w;
    struct sooth_error why = {0};
    arena_init(&arena, r->max_bytes * 8);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    jsonw_key(&w, "model"), jsonw_string(&w, r->model);
    jsonw_key(&w, "input");
    jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        jsonw_stringn(&w, texts[i], lens ? lens[i] : strlen(texts[i]));
    jsonw_end_array(&w);
    jsonw_key(&w, "encoding_format"), jsonw_string(&w, "float");
    jsonw_end_object(&w);
    enum sooth_status status =
        body.failed ? err_nomem(err)
                    : remote_request(r, "/embeddings", &body, &answer, NULL, NULL, err);
    if (status == SOOTH_OK) {
        const struct json *j = json_parse(&arena, buf_str(&answer), answer.len, 0, NULL, &why);
        status = j ? remote_read_vectors(r, j, n, dim, out, err)
                 : why.status == SOOTH_ERR_NOMEM
                     ? err_nomem(err)
                     : err_set(err, SOOTH_ERR_NET, "server '%s' sent an answer that is not JSON",
                               r->url);
    }
    arena_release(&arena);
    buf_release(&answer);
    buf_release(&body);
    return status;
}

size_t remote_dim(struct remote *r)
{
    static const char *const probe[] = {"dimension"};
    pthread_mutex_lock(&r->lock);
    if (!r->dim)
        remote_embed_some(r, probe, NULL, 1, &r->dim, NULL, NULL);
    size_t dim = r->dim;
    pthread_mutex_unlock(&r->lock);
    return dim;
}

enum sooth_status remote_embed(struct remote *r, const char *const *texts, const size_t *lens,
                               size_t n, float *out, struct sooth_error *err)
{
    size_t dim = remote_dim(r);
    if (!dim)
        return err_set(err, SOOTH_ERR_NET, "server '%s' does not embed with model '%s'", r->url,
                       r->model);
    for (size_t at = 0; at < n;) {
        size_t count = 0, bytes = 0;
        for (; at + count < n && count < REMOTE_EMBED_TEXTS && bytes < REMOTE_EMBED_BYTES; count++)
            bytes += lens ? lens[at + count] : strlen(texts[at + count]);
        enum sooth_status status = remote_embed_some(r, texts + at, lens ? lens + at : NULL, count,
                                                     &dim, out + at * dim, err);
        if (status != SOOTH_OK)
            return status;
        at += count;
    }
    return SOOTH_OK;
}
