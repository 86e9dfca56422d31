/* row_completion.c: {"prompt", "completion"}: two strings, or two lists of messages; {"question", "answer"} likewise. The
 * completion is trained. */
#include "core/base/error.h"
#include "learn/train/sample.h"

static bool completion_match(const struct json *row)
{
    return (json_get(row, "prompt") && json_get(row, "completion")) || (json_get(row, "question") && json_get(row, "answer"));
}

static enum sooth_status completion_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    const char *pk = json_get(row, "prompt") && json_get(row, "completion") ? "prompt" : "question", *ck = pk[0] == 'p' ? "completion" : "answer";
    const struct json *prompt = json_get(row, pk), *completion = json_get(row, ck), *label = json_get(row, "label");
    enum sooth_status status;
    if (label)
        out->label = label->type == JSON_TRUE ? 1 : label->type == JSON_FALSE ? 0 : -1;
    if (prompt->type == JSON_STRING || completion->type == JSON_STRING) {
        status = sample_string(row, pk, &out->prompt, err);
        if (!status)
            status = sample_string(row, ck, &out->completion, err);
        if (!status && (!out->prompt || !out->completion))
            status = err_set(err, SOOTH_ERR_FORMAT, "'%s' or '%s' is not a text", pk, ck);
        return status;
    }
    struct json *list = message_list(a);
    status = message_read(a, prompt, list, err);
    if (!status)
        status = message_read(a, completion, list, err);
    out->messages = list;
    return status ? status : sample_tools(a, row, &out->tools, err);
}

const struct sample_row sample_completion = {"completion", "prompt, completion (or question, answer)", completion_match, completion_read};
