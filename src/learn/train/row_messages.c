/* row_messages.c: {"messages": [{role, content, tool_calls?, train?}], "tools"?}: a conversation; "train": false leaves an
 * answer untrained. */
#include "learn/train/sample.h"

static bool messages_match(const struct json *row)
{
    return json_get(row, "messages") != NULL;
}

static enum sooth_status messages_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    struct json *list = message_list(a);
    enum sooth_status status = message_read(a, json_get(row, "messages"), list, err);
    out->messages = list;
    return status ? status : sample_tools(a, row, &out->tools, err);
}

const struct sample_row sample_messages = {"messages", "messages, tools?", messages_match, messages_read};
