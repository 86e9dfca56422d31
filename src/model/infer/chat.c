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

/* Renders into segments that live in a. jinja NULL: the model's own, or the plain one. */
static enum sooth_status chat_render(const struct sooth_model *m, const char *jinja,
                                     const struct json *messages, const struct json *tools,
                                     bool prompt, struct arena *a, struct token_segments *out,
                                     struct sooth_error *err)
{
    struct template *parsed = NULL;
    const struct template *t = jinja ? NULL : m->template;
    struct template_options options = {.add_generation_prompt = prompt, .now = -1};
    enum sooth_status status = messages ? SOOTH_OK : err_nomem(err);
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
        status = template_render(t, messages, tools, &options, a, out, err);
    template_free(parsed);
    return status;
}

enum sooth_status infer_render(const struct sooth_model *m, const struct json *messages,
                               const struct json *tools, bool prompt, struct arena *a,
                               struct token_segments *out, struct sooth_error *err)
{
    return chat_render(m, NULL, messages, tools, prompt, a, out, err);
}

enum sooth_status chat_tokenize(const struct sooth_model *m, const struct sooth_message *messages,
                                size_t n, struct sooth_tokens *out, struct sooth_error *err)
{
    struct arena arena;
    struct token_segments segments = {0};
    struct token_ids ids = {0};
    memset(out, 0, sizeof *out);
    arena_init(&arena, CHAT_MEMORY);
    enum sooth_status status = chat_render(m, NULL, chat_messages(&arena, messages, n), NULL, true,
                                           &arena, &segments, err);
    if (status == SOOTH_OK)
        status = token_encode(m->tokenizer, segments.items, segments.count, TOKEN_ADD_SPECIAL, &ids,
                              NULL, err);
    if (status == SOOTH_OK) {
        out->ids = ids.items;
        out->count = ids.count;
    } else {
        vec_free(&ids);
    }
    arena_release(&arena);
    return status;
}

enum sooth_status sooth_render(const struct sooth_model *m, const char *jinja,
                               const struct sooth_message *messages, size_t n,
                               bool add_generation_prompt, char **out, struct sooth_error *err)
{
    struct arena arena;
    struct token_segments segments = {0};
    struct buf text = BUF_INIT;
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        if (!messages[i].role || !messages[i].content)
            return err_set(err, SOOTH_ERR_ARG, "message %zu has no role or no content", i + 1);
    if (m->remote && !jinja)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a remote model does not show its template");
    arena_init(&arena, CHAT_MEMORY);
    enum sooth_status status =
        chat_render(m, jinja, chat_messages(&arena, messages, n), NULL, add_generation_prompt,
                    &arena, &segments, err);
    for (size_t i = 0; status == SOOTH_OK && i < segments.count; i++)
        buf_add(&text, segments.items[i].text, segments.items[i].len);
    buf_puts(&text, "");
    if (status == SOOTH_OK && !(*out = buf_take(&text)))
        status = err_nomem(err);
    buf_release(&text);
    arena_release(&arena);
    return status;
}
