/* row_sharegpt.c: {"conversations": [{"from": human|gpt|system|function_call|observation, "value"}], "system"?, "tools"?}. A call of a
 * function is an answer of the assistant, and trained like one; what came back is a message of the tool. */
#include <string.h>
#include "core/base/error.h"
#include "learn/train/sample.h"

static bool sharegpt_match(const struct json *row)
{
    return json_get(row, "conversations") != NULL;
}

static const char *role_of(const char *from)
{
    static const char *const names[][2] = {{"human", "user"}, {"user", "user"}, {"gpt", "assistant"}, {"assistant", "assistant"}, {"system", "system"},
                                           {"function_call", "assistant"}, {"observation", "tool"}, {"tool", "tool"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], from) == 0)
            return names[i][1];
    return NULL;
}

static enum sooth_status sharegpt_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    const struct json *turns = json_get(row, "conversations");
    const char *system, *value;
    struct json *list = message_list(a);
    enum sooth_status status = sample_string(row, "system", &system, err);
    if (!status && (turns->type != JSON_ARRAY || !turns->len))
        status = err_set(err, SOOTH_ERR_FORMAT, "'conversations' is not a list");
    if (!status && system && *system && !message_add(a, list, "system", system))
        status = err_nomem(err);
    for (const struct json *t = turns->child; t && !status; t = t->next) {
        const char *from = json_string(t, "from", ""), *role = role_of(from);
        status = sample_string(t, "value", &value, err);
        if (!status && (!role || !value))
            status = err_set(err, SOOTH_ERR_FORMAT, role ? "a turn of '%.40s' has no value" : "a turn is from '%.40s', which is nobody known", from);
        if (!status && !message_add(a, list, role, value))
            status = err_nomem(err);
    }
    out->messages = list;
    return status ? status : sample_tools(a, row, &out->tools, err);
}

const struct sample_row sample_sharegpt = {"sharegpt", "conversations, system?, tools?", sharegpt_match, sharegpt_read};
