/* chat.c: messages to tokens by the model's own template.
 *
 * The template's text may name control tokens; what stands in a message never does, however it is
 * filtered on the way: the interpreter hands out segments that remember where each byte came from.
 * The start token is added by the model's rule unless the template wrote it. A base model has no
 * template and gets a plain one. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/vec.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"

enum { CHAT_MEMORY = 256 << 20 };

static bool chat_member(struct arena *a, struct json *object, const char *key, const char *text)
{
    struct json *v = arena_calloc(a, 1, sizeof *v);
    if (!v)
        return false;
    v->type = JSON_STRING;
    v->text = text;
    v->len = strlen(text);
    v->key = key;
    v->key_len = strlen(key);
    v->next = object->child;
    object->child = v;
    object->len++;
    return true;
}

/* [{"role": ..., "content": ...}, ...] over the caller's strings. */
static struct json *chat_messages(struct arena *a, const struct sooth_message *messages, size_t n)
{
    struct json *list = arena_calloc(a, 1, sizeof *list), **end;
    if (!list)
        return NULL;
    list->type = JSON_ARRAY;
    list->len = n;
    end = &list->child;
    for (size_t i = 0; i < n; i++) {
        struct json *m = arena_calloc(a, 1, sizeof *m);
        if (!m)
            return NULL;
        m->type = JSON_OBJECT;
        if (!chat_member(a, m, "content", messages[i].content) ||
            !chat_member(a, m, "role", messages[i].role))
            return NULL;
        *end = m;
        end = &m->next;
    }
    return list;
}

/* What a template is given. */
struct chat_input {
    const struct json *messages, *tools, *extra; /* the last two may be NULL */
    bool prompt;                                 /* the beginning of an answer at the end */
};

/* Renders into segments that live in a. jinja NULL: the model's own, or the plain one. */
static enum sooth_status chat_render(const struct sooth_model *m, const char *jinja,
                                     const struct chat_input *in, struct arena *a,
                                     struct token_segments *out, struct sooth_error *err)
{
    struct template *parsed = NULL;
    const struct template *t = jinja ? NULL : m->template;
    struct template_options options = {
        .add_generation_prompt = in->prompt, .now = -1, .extra = in->extra};
    enum sooth_status status = in->messages ? SOOTH_OK : err_nomem(err);
    if (m->tokenizer) {
        options.bos = token_bos_text(m->tokenizer);
        options.eos = token_eos_text(m->tokenizer);
    }
    if (status == SOOTH_OK &&
        !t) { /* also a template of the model's own that did not parse at opening: says why again */
        const char *text = jinja ? jinja
                           : m->tokenizer && token_template(m->tokenizer)
                               ? token_template(m->tokenizer)
                               : template_plain;
        status = template_parse(text, strlen(text), &parsed, err);
        t = parsed;
    }
    if (status == SOOTH_OK)
        status = template_render(t, in->messages, in->tools, &options, a, out, err);
    template_free(parsed);
    return status;
}

enum sooth_status infer_render(const struct sooth_model *m, const struct json *messages,
                               const struct json *tools, bool prompt, struct arena *a,
                               struct token_segments *out, struct sooth_error *err)
{
    struct chat_input in = {.messages = messages, .tools = tools, .prompt = prompt};
    return chat_render(m, NULL, &in, a, out, err);
}

static enum sooth_status chat_text(const struct token_segments *segments, char **out,
                                   struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < segments->count; i++)
        buf_add(&text, segments->items[i].text, segments->items[i].len);
    buf_puts(&text, "");
    *out = buf_take(&text);
    buf_release(&text);
    return *out ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status chat_ids(const struct sooth_model *m,
                                  const struct token_segments *segments, unsigned flags,
                                  struct sooth_tokens *out, struct sooth_error *err)
{
    struct token_ids ids = {0};
    enum sooth_status status =
        token_encode(m->tokenizer, segments->items, segments->count, flags, &ids, NULL, err);
    if (status == SOOTH_OK)
        *out = (struct sooth_tokens){ids.items, ids.count};
    else
        vec_free(&ids);
    return status;
}

enum sooth_status chat_tokenize(const struct sooth_model *m, const struct sooth_message *messages,
                                size_t n, struct sooth_tokens *out, struct sooth_error *err)
{
    struct arena arena;
    struct token_segments segments = {0};
    memset(out, 0, sizeof *out);
    arena_init(&arena, CHAT_MEMORY);
    struct chat_input in = {.messages = chat_messages(&arena, messages, n), .prompt = true};
    enum sooth_status status = chat_render(m, NULL, &in, &arena, &segments, err);
    if (status == SOOTH_OK)
        status = chat_ids(m, &segments, TOKEN_ADD_SPECIAL, out, err);
    arena_release(&arena);
    return status;
}

static enum sooth_status chat_local(const struct sooth_model *m, const char *jinja,
                                    struct sooth_error *err)
{
    if (m->remote && !jinja)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a remote model does not show its template");
    return SOOTH_OK;
}

enum sooth_status sooth_render(const struct sooth_model *m, const char *jinja,
                               const struct sooth_message *messages, size_t n,
                               bool add_generation_prompt, char **out, struct sooth_error *err)
{
    struct arena arena;
    struct token_segments segments = {0};
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        if (!messages[i].role || !messages[i].content)
            return err_set(err, SOOTH_ERR_ARG, "message %zu has no role or no content", i + 1);
    enum sooth_status status = chat_local(m, jinja, err);
    if (status != SOOTH_OK)
        return status;
    arena_init(&arena, CHAT_MEMORY);
    struct chat_input in = {.messages = chat_messages(&arena, messages, n),
                            .prompt = add_generation_prompt};
    status = chat_render(m, jinja, &in, &arena, &segments, err);
    if (status == SOOTH_OK)
        status = chat_text(&segments, out, err);
    arena_release(&arena);
    return status;
}

/* The parts of a request: a list of messages, or an object that holds one. */
static enum sooth_status chat_request(const struct json *root, struct chat_input *in,
                                      struct sooth_error *err)
{
    bool whole = root->type == JSON_OBJECT;
    in->messages = whole ? json_get(root, "messages") : root;
    in->tools = whole ? json_get(root, "tools") : NULL;
    in->extra = whole ? root : NULL;
    in->prompt = whole ? json_bool(root, "add_generation_prompt", true) : true;
    if (!in->messages || in->messages->type != JSON_ARRAY)
        return err_set(err, SOOTH_ERR_ARG,
                       "messages: neither a list nor an object with a list 'messages'");
    for (const struct json *m = in->messages->child; m; m = m->next)
        if (m->type != JSON_OBJECT || !json_string(m, "role", NULL))
            return err_set(err, SOOTH_ERR_ARG, "a message is not an object with a 'role'");
    if (in->tools && in->tools->type == JSON_NULL)
        in->tools = NULL;
    if (in->tools && in->tools->type != JSON_ARRAY)
        return err_set(err, SOOTH_ERR_ARG, "'tools' is not a list");
    return SOOTH_OK;
}

enum sooth_status sooth_render_json(const struct sooth_model *m, const char *jinja,
                                    const char *json, size_t len, bool bos, char **text,
                                    struct sooth_tokens *tokens, struct sooth_error *err)
{
    struct arena arena;
    struct sooth_error own;
    struct token_segments segments = {0};
    struct chat_input in;
    err = err ? err : &own;
    if (text)
        *text = NULL;
    if (tokens)
        memset(tokens, 0, sizeof *tokens);
    enum sooth_status status = chat_local(m, jinja, err);
    if (status == SOOTH_OK && tokens && !m->tokenizer)
        status = err_set(err, SOOTH_ERR_UNSUPPORTED, "a remote model does not show its tokens");
    if (status != SOOTH_OK)
        return status;
    arena_init(&arena, CHAT_MEMORY);
    const struct json *root = json_parse(&arena, json, len, 0, NULL, err);
    status = root ? chat_request(root, &in, err) : err->status;
    if (status == SOOTH_OK)
        status = chat_render(m, jinja, &in, &arena, &segments, err);
    if (status == SOOTH_OK && tokens)
        status = chat_ids(m, &segments, bos ? TOKEN_ADD_SPECIAL : 0, tokens, err);
    if (status == SOOTH_OK && text)
        status = chat_text(&segments, text, err);
    if (status != SOOTH_OK && tokens)
        sooth_tokens_release(tokens);
    arena_release(&arena);
    return status;
}
