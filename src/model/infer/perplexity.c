/* perplexity.c: how surprised a model is by a text, over the windows of windows.c.
 *
 *     value = exp(mean of -log p)        error = value * sqrt(variance of -log p / (count - 1))
 *
 * Figures of different protocols must never be compared. Left out: overlapping (strided) windows.
 */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/windows.h"

static enum sooth_status window_score(const struct sooth_model *m, struct run *run,
                                      const struct rows *rows, double *sum, double *squares,
                                      size_t *count, struct sooth_error *err)
{
    run_begin(run, rows);
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

static enum sooth_status ppl_windows(struct sooth_model *m, const struct windows *t,
                                     sooth_progress_fn *on_chunk, void *user,
                                     struct sooth_perplexity *out, struct sooth_error *err)
{
    struct run_options options = {.pool = m->pool};
    struct window w = {0};
    struct run *run = run_new(&options);
    double sum = 0, squares = 0;
    size_t count = 0;
    enum sooth_status status = run && window_init(&w, t->context) ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; status == SOOTH_OK && i < t->count; i++) {
        struct rows rows = window_rows(&w, t->tokens.ids + i * t->context, t->start);
        status = window_score(m, run, &rows, &sum, &squares, &count, err);
        if (status == SOOTH_OK && on_chunk)
            on_chunk(user, i + 1, t->count);
    }
    if (status == SOOTH_OK) {
        double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
        out->value = exp(mean);
        out->error = count > 1 && variance > 0 ? out->value * sqrt(variance / (double)(count - 1))
                                               : 0;
        out->tokens = count;
        out->chunks = t->count;
    }
    run_free(run);
    window_release(&w);
    return status;
}

enum sooth_status sooth_perplexity(struct sooth_model *m, const char *text, size_t len,
                                   size_t context, size_t chunks, sooth_progress_fn *on_chunk,
                                   void *user, struct sooth_perplexity *out,
                                   struct sooth_error *err)
{
    struct windows t;
    memset(out, 0, sizeof *out);
    enum sooth_status status = windows_open(&t, m, text, len, context, chunks, err);
    if (status != SOOTH_OK)
        return status;
    status = ppl_windows(m, &t, on_chunk, user, out, err);
    windows_close(&t);
    return status;
}
