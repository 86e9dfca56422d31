/* perplexity.c: how surprised a model is by a text, by llama.cpp's protocol.
 *
 * The text is tokenized once (with the model's own start token). Windows of n tokens follow each
 * other without overlap; the tail is dropped; the first token of each window is the start token
 * where the model adds one. In each window only the second half is scored: targets at positions
 * n/2+1 .. n-1, that is n - 1 - n/2 of them (255 of 512).
 *
 *     value = exp(mean of -log p)        error = value * sqrt(variance of -log p / (count - 1))
 *
 * Figures of different protocols must never be compared. Left out: overlapping (strided) windows.
 */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/sampler.h"

/* The rows of one window: token and target; the rest never changes. */
struct ppl_window {
    size_t n;
    int32_t *token, *target;
    uint32_t *pos, *seq;
    uint8_t *want;
};

static void window_free(struct ppl_window *w)
{
    mem_free(w->token);
    mem_free(w->target);
    mem_free(w->pos);
    mem_free(w->seq);
    mem_free(w->want);
}

static bool window_init(struct ppl_window *w, size_t n)
{
    w->n = n;
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

static enum sooth_status window_score(const struct sooth_model *m, struct run *run,
                                      struct ppl_window *w, const int32_t *ids, int32_t start,
                                      double *sum, double *squares, size_t *count,
                                      struct sooth_error *err)
{
    memcpy(w->token, ids, w->n * sizeof *ids);
    if (start >= 0)
        w->token[0] = start;
    for (size_t i = 0; i < w->n; i++)
        w->target[i] = w->want[i] ? ids[i + 1] : -1;
    struct rows rows = {.n = w->n,
                        .token = w->token,
                        .pos = w->pos,
                        .seq = w->seq,
                        .want = w->want,
                        .target = w->target};
    run_begin(run, &rows);
    struct mat *h = arch_hidden(m->arch, run), *p = arch_logprobs(m->arch, run, h);
    enum sooth_status status = run_end(run, err);
    for (size_t i = 0; status == SOOTH_OK && i < p->rows; i++) {
        double nll = -(double)p->v[i];
        if (!isfinite(nll))
            return err_set(err, SOOTH_ERR_FORMAT,
                           "model '%s' gave numbers that are not finite; its file may be damaged",
                           m->info.path);
        *sum += nll;
        *squares += nll * nll;
        ++*count;
    }
    return status;
}

static enum sooth_status ppl_windows(struct sooth_model *m, const struct sooth_tokens *t,
                                     size_t context, size_t windows, sooth_progress_fn *on_chunk,
                                     void *user, struct sooth_perplexity *out,
                                     struct sooth_error *err)
{
    struct run_options options = {.pool = m->pool};
    struct ppl_window w = {0};
    struct run *run = run_new(&options);
    double sum = 0, squares = 0;
    size_t count = 0;
    int32_t start = m->info.add_bos ? token_special(m->tokenizer, ROLE_BOS) : -1;
    enum sooth_status status = run && window_init(&w, context) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; status == SOOTH_OK && i < windows; i++) {
        status = window_score(m, run, &w, t->ids + i * context, start, &sum, &squares, &count, err);
        if (status == SOOTH_OK && on_chunk)
            on_chunk(user, i + 1, windows);
    }
    if (status == SOOTH_OK) {
        double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
        out->value = exp(mean);
        out->error = count > 1 && variance > 0 ? out->value * sqrt(variance / (double)(count - 1))
                                               : 0;
        out->tokens = count;
        out->chunks = windows;
    }
    run_free(run);
    window_free(&w);
    return status;
}

enum sooth_status sooth_perplexity(struct sooth_model *m, const char *text, size_t len,
                                   size_t context, size_t chunks, sooth_progress_fn *on_chunk,
                                   void *user, struct sooth_perplexity *out,
                                   struct sooth_error *err)
{
    struct sooth_tokens t = {0};
    memset(out, 0, sizeof *out);
    context = context ? context : 512;
    if (!m->arch || !arch_info(m->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED,
                       "perplexity needs a local model that generates text");
    if (context < 4 || context > model_context_most(m))
        return err_set(err, SOOTH_ERR_ARG, "context must be between 4 and %zu tokens, not %zu",
                       model_context_most(m), context);
    enum sooth_status status = sooth_tokenize(m, text, len, true, false, &t, err);
    if (status != SOOTH_OK)
        return status;
    size_t windows = t.count / context;
    windows = chunks && chunks < windows ? chunks : windows;
    if (!windows)
        status = err_set(err, SOOTH_ERR_ARG, "text of %zu tokens is shorter than one window of %zu",
                         t.count, context);
    else
        status = ppl_windows(m, &t, context, windows, on_chunk, user, out, err);
    sooth_tokens_release(&t);
    return status;
}
