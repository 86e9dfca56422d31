/* row_text.c: {"text": ..., "title"?: ...}: plain text, every token trained. */
#include "core/base/error.h"
#include "learn/train/sample.h"

static bool text_match(const struct json *row)
{
    return json_get(row, "text") != NULL;
}

static enum sooth_status text_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    enum sooth_status status = sample_string(row, "text", &out->text, err);
    if (!status)
        status = sample_string(row, "title", &out->title, err);
    return status || out->text ? status : err_set(err, SOOTH_ERR_FORMAT, "'text' is null");
}

const struct sample_row sample_text = {"text", "text", text_match, text_read};
