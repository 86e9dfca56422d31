/* row_alpaca.c: {"instruction", "input"?, "output", "system"?, "history"?: [[question, answer], ...]}: one exchange, the input
 * set under the instruction; the shape of Alpaca (Taori et al. 2023) with LLaMA-Factory's additions. */
#include <string.h>
#include "core/base/error.h"
#include "learn/train/sample.h"

static bool alpaca_match(const struct json *row)
{
    return json_get(row, "instruction") && json_get(row, "output");
}

static enum sooth_status history_read(struct arena *a, const struct json *history, struct json *list, struct sooth_error *err)
{
    for (const struct json *turn = history ? history->child : NULL; turn; turn = turn->next) {
        const struct json *q = json_at(turn, 0), *r = json_at(turn, 1);
        if (!q || !r || q->type != JSON_STRING || r->type != JSON_STRING)
            return err_set(err, SOOTH_ERR_FORMAT, "'history' is not a list of [question, answer]");
        if (!message_add(a, list, "user", q->text) || !message_add(a, list, "assistant", r->text))
            return err_nomem(err);
    }
    return SOOTH_OK;
}

static enum sooth_status alpaca_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err)
{
    static const char *const keys[] = {"instruction", "input", "output", "system"};
    const char *v[4];
    struct json *list = message_list(a);
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < 4 && !status; i++)
        status = sample_string(row, keys[i], &v[i], err);
    if (!status && (!v[0] || !v[2]))
        status = err_set(err, SOOTH_ERR_FORMAT, "'instruction' or 'output' is null");
    if (!status && v[3] && *v[3] && !message_add(a, list, "system", v[3]))
        status = err_nomem(err);
    if (!status)
        status = history_read(a, json_get(row, "history"), list, err);
    if (status)
        return status;
    const char *question = v[0];
    if (v[1] && *v[1]) {
        size_t n = strlen(v[0]), m = strlen(v[1]);
        char *both = arena_alloc(a, n + m + 2);
        if (!both)
            return err_nomem(err);
        memcpy(both, v[0], n);
        both[n] = '\n';
        memcpy(both + n + 1, v[1], m + 1);
        question = both;
    }
    out->messages = list;
    return message_add(a, list, "user", question) && message_add(a, list, "assistant", v[2]) ? SOOTH_OK : err_nomem(err);
}

const struct sample_row sample_alpaca = {"alpaca", "instruction, input?, output, system?, history?", alpaca_match, alpaca_read};
