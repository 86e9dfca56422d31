/* windows.c: a text cut into windows by llama.cpp's protocol: one after another without overlap, the tail dropped, the first
 * token of each replaced by the start token where the model adds one, and only the second half of each scored. */
#include "model/infer/windows.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"

bool window_init(struct window *w, size_t n)
{
    *w = (struct window){.n = n, .scored = n - 1 - n / 2};
    w->token = mem_calloc(n, sizeof *w->token);
    w->target = mem_calloc(n, sizeof *w->target);
    w->pos = mem_calloc(n, sizeof *w->pos);
    w->seq = mem_calloc(n, sizeof *w->seq);
    w->want = mem_calloc(n, sizeof *w->want);
    if (!w->token || !w->target || !w->pos || !w->seq || !w->want)
        return false;
    for (size_t i = 0; i < n; i++) {
        w->pos[i] = (uint32_t)i;
        w->want[i] = i >= n / 2 && i + 1 < n;
    }
    return true;
}

void window_release(struct window *w)
{
    mem_free(w->token);
    mem_free(w->target);
    mem_free(w->pos);
    mem_free(w->seq);
    mem_free(w->want);
    memset(w, 0, sizeof *w);
}

struct rows window_rows(struct window *w, const int32_t *ids, int32_t start)
{
    memcpy(w->token, ids, w->n * sizeof *ids);
    if (start >= 0)
        w->token[0] = start;
    for (size_t i = 0; i < w->n; i++)
        w->target[i] = w->want[i] ? ids[i + 1] : -1;
    return (struct rows){.n = w->n, .token = w->token, .pos = w->pos, .seq = w->seq, .want = w->want, .target = w->target};
}

enum sooth_status windows_open(struct windows *w, const struct sooth_model *m, const char *text, size_t len, size_t context,
                               size_t most, struct sooth_error *err)
{
    *w = (struct windows){.context = context ? context : 512, .start = -1};
    if (!m->arch || !arch_info(m->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "perplexity needs a local model that generates text");
    if (w->context < 4 || w->context > model_context_most(m))
        return err_set(err, SOOTH_ERR_ARG, "context must be between 4 and %zu tokens, not %zu", model_context_most(m), w->context);
    enum sooth_status status = sooth_tokenize(m, text, len, true, false, &w->tokens, err);
    if (status != SOOTH_OK)
        return status;
    if (m->info.add_bos)
        w->start = token_special(m->tokenizer, ROLE_BOS);
    w->count = w->tokens.count / w->context;
    w->count = most && most < w->count ? most : w->count;
    if (w->count)
        return SOOTH_OK;
    status = err_set(err, SOOTH_ERR_ARG, "text of %zu tokens is shorter than one window of %zu", w->tokens.count, w->context);
    windows_close(w);
    return status;
}

void windows_close(struct windows *w)
{
    sooth_tokens_release(&w->tokens);
}
