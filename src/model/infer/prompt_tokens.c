/* prompt_tokens.c: a prompt in any of its forms to tokens, and what is left out when it may be shortened.
 *
 * A chat loses its oldest turns, found by halving; a system message and the last message always stay. A text loses the tokens
 * after its start token. Nothing is shortened unless the caller asked for it, and how much was is told. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/infer/handle.h"

/* The chat without its `drop` oldest turns that are not the system's. */
static enum sooth_status prompt_chat(const struct sooth_model *m, const struct sooth_message *messages, size_t n, size_t drop,
                                     struct sooth_tokens *out, struct sooth_error *err)
{
    struct sooth_message *kept = mem_array(n, sizeof *kept);
    size_t count = 0;
    if (!kept)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        bool old = drop && strcmp(messages[i].role, "system") != 0 && i + 1 < n;
        drop -= old;
        if (!old)
            kept[count++] = messages[i];
    }
    enum sooth_status status = chat_tokenize(m, kept, count, out, err);
    mem_free(kept);
    return status;
}

/* Drops as few turns as will do; all that may go when even that is too long (the caller says so). */
static enum sooth_status prompt_shorten_chat(const struct sooth_model *m, const struct sooth_prompt *p, size_t room,
                                             struct prompt *out, struct sooth_error *err)
{
    size_t low = 1, high = 0, all = out->tokens.count;
    for (size_t i = 0; i + 1 < p->n_messages; i++)
        high += strcmp(p->messages[i].role, "system") != 0;
    while (low <= high) { /* the answer lies in [low, high], and at low == high it is read */
        size_t middle = low + (high - low) / 2;
        struct sooth_tokens fewer = {0};
        enum sooth_status status = prompt_chat(m, p->messages, p->n_messages, middle, &fewer, err);
        if (status != SOOTH_OK)
            return status;
        bool fits = fewer.count <= room;
        if (low < high) {
            sooth_tokens_release(&fewer);
            *(fits ? &high : &low) = fits ? middle : middle + 1;
            continue;
        }
        sooth_tokens_release(&out->tokens);
        out->tokens = fewer;
        break;
    }
    out->n_dropped = all - out->tokens.count;
    return SOOTH_OK;
}

static void prompt_shorten_text(const struct sooth_model *m, size_t room, struct prompt *out)
{
    struct sooth_tokens *t = &out->tokens;
    size_t start = t->count && token_is_control(m->tokenizer, t->ids[0]) && room > 1, drop = t->count - room;
    memmove(t->ids + start, t->ids + start + drop, (room - start) * sizeof *t->ids);
    t->count = room;
    out->n_dropped = drop;
}

enum sooth_status prompt_tokens(const struct sooth_model *m, const struct sooth_prompt *p, size_t room, struct prompt *out,
                                struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < p->n_messages; i++)
        if (!p->messages[i].role || !p->messages[i].content)
            return err_set(err, SOOTH_ERR_ARG, "message %zu has no role or no content", i + 1);
    if (p->n_messages) {
        out->named_turns = !m->info.has_template;
        status = chat_tokenize(m, p->messages, p->n_messages, &out->tokens, err);
    } else if (p->text) {
        status = sooth_tokenize(m, p->text, p->len, true, false, &out->tokens, err);
    } else if (p->ids && p->n_ids) {
        out->tokens.ids = mem_dup(p->ids, p->n_ids * sizeof *p->ids);
        out->tokens.count = p->n_ids;
        status = out->tokens.ids ? SOOTH_OK : err_nomem(err);
    } else {
        return err_set(err, SOOTH_ERR_ARG, p->messages ? "a chat needs at least one message" : "there is no prompt");
    }
    if (status == SOOTH_OK && room && out->tokens.count > room) {
        if (p->n_messages)
            status = prompt_shorten_chat(m, p, room, out, err);
        else
            prompt_shorten_text(m, room, out);
    }
    if (status != SOOTH_OK)
        sooth_tokens_release(&out->tokens);
    return status;
}
