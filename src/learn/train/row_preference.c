/* row_preference.c: a prompt with a better and a worse ending: {"prompt", "chosen", "rejected"} as strings or lists of messages
 * (without a prompt: what both begin with), LLaMA-Factory's alpaca and ShareGPT rows with chosen and rejected, and
 * {"question" | "instruction", "chosen" | "chosen_response", "rejected" | "rejected_response"}. */
#include <string.h>
#include "core/base/error.h"
#include "learn/train/sample.h"

extern const struct sample_row sample_sharegpt;

static const struct json *either(const struct json *row, const char *a, const char *b)
{
    const struct json *v = json_get(row, a);
    return v ? v : json_get(row, b);
}

static bool preference_match(const struct json *row)
{
    return either(row, "chosen", "chosen_response") && either(row, "rejected", "rejected_response");
}

/* A string, one message, {"from", "value"}, or a list. */
static enum sooth_status ending_read(struct arena *a, const struct json *v, struct json *list, struct sooth_error *err)
{
    const char *value = json_string(v, "value", NULL);
    if (v->type == JSON_STRING || value)
        return message_add(a, list, "assistant", value ? value : v->text) ? SOOTH_OK : err_nomem(err);
    return message_read(a, v, list, err);
}

static bool same_message(const struct json *x, const struct json *y)
{
    return strcmp(json_string(x, "role", ""), json_string(y, "role", "")) == 0 && strcmp(json_string(x, "content", ""), json_string(y, "content", "")) == 0;
}

/* Without a prompt: the messages that both lists begin with become it. */
static struct json *common_prompt(struct arena *a, struct json *chosen, struct json *rejected)
{
    struct json *prompt = message_list(a), **end = prompt ? &prompt->child : NULL;
    while (prompt && chosen->len > 1 && rejected->len > 1 && same_message(chosen->child, rejected->child)) {
        *end = chosen->child;
        end = &chosen->child->next;
        chosen->child = *end;
        rejected->child = rejected->child->next;
        chosen->len--, rejected->len--, prompt->len++;
        *end = NULL;
    }
    return prompt;
}

static enum sooth_status prompt_read(struct arena *a, const struct json *row, struct json **out, struct sooth_error *err)
{
    const struct json *prompt = either(row, "prompt", "question");
    const char *system = NULL, *input = NULL;
    struct json *list = *out = message_list(a);
    enum sooth_status status = sample_string(row, "system", &system, err);
    if (!status && system && *system && !message_add(a, list, "system", system))
        return err_nomem(err);
    if (!prompt)
        prompt = json_get(row, "instruction");
    if (!status)
        status = sample_string(row, "input", &input, err);
    if (status || !prompt)
        return status;
    if (prompt->type != JSON_STRING)
        return message_read(a, prompt, list, err);
    char *both = arena_alloc(a, prompt->len + (input ? strlen(input) : 0) + 2);
    if (!both)
        return err_nomem(err);
    memcpy(both, prompt->text, prompt->len + 1);
    if (input && *input) {
        both[prompt->len] = '\n';
        memcpy(both + prompt->len + 1, input, strlen(input) + 1);
    }
    return message_add(a, list, "user", both) ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status preference_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    struct json *prompt, *chosen = message_list(a), *rejected = message_list(a);
    enum sooth_status status;
    if (!chosen || !rejected)
        return err_nomem(err);
    if (json_get(row, "conversations")) {
        status = sample_sharegpt.read(a, row, out, err);
        prompt = (struct json *)out->messages;
    } else {
        status = prompt_read(a, row, &prompt, err);
    }
    if (!status)
        status = ending_read(a, either(row, "chosen", "chosen_response"), chosen, err);
    if (!status)
        status = ending_read(a, either(row, "rejected", "rejected_response"), rejected, err);
    if (status)
        return status;
    if (!prompt->len && !(prompt = common_prompt(a, chosen, rejected)))
        return err_nomem(err);
    if (!prompt->len)
        return err_set(err, SOOTH_ERR_FORMAT, "chosen and rejected have no prompt in common");
    out->messages = prompt;
    out->chosen = chosen;
    out->rejected = rejected;
    return sample_tools(a, row, &out->tools, err);
}

const struct sample_row sample_preference = {"preference", "prompt?, chosen, rejected", preference_match, preference_read};
