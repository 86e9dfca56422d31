/* divergence.c: how far a quantized model is from its source: Kullback-Leibler divergence of the next token's distribution.
 *
 *     KL(p || q) = Σ over the vocabulary of p (log p - log q),   p the source's, q the other's
 *
 * Perplexity looks at one token of each position and can fall by luck; this looks at all of them and is zero only where the
 * two agree. The source's log-probabilities are kept, so that many variants can be compared with it for one forward each.
 * Windows and scored positions are those of perplexity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/infer.h"
#include "model/infer/windows.h"

enum { SPAN = 1024 }; /* of the vocabulary at a time */

struct divergence {
    const struct arch_model *base;
    struct pool *pool;
    struct window window;
    size_t vocab;
    VEC(int32_t) ids;   /* [windows, context], the start token in place */
    VEC(int32_t) next;  /* [windows, scored] true tokens */
    VEC(float *) logp;  /* of each window: [scored, vocab] */
};

enum sooth_status divergence_new(const struct arch_model *base, struct pool *pool, size_t context, struct divergence **out,
                                 struct sooth_error *err)
{
    struct divergence *d = mem_calloc(1, sizeof *d);
    *out = d;
    if (!d)
        return err_nomem(err);
    *d = (struct divergence){.base = base, .pool = pool, .vocab = arch_info(base)->vocab};
    if (window_init(&d->window, context))
        return SOOTH_OK;
    divergence_free(d);
    *out = NULL;
    return err_nomem(err);
}

void divergence_clear(struct divergence *d)
{
    for (size_t i = 0; i < d->logp.count; i++)
        mem_free(d->logp.items[i]);
    d->logp.count = d->ids.count = d->next.count = 0;
}

void divergence_free(struct divergence *d)
{
    if (!d)
        return;
    divergence_clear(d);
    window_release(&d->window);
    vec_free(&d->ids);
    vec_free(&d->next);
    vec_free(&d->logp);
    mem_free(d);
}

void divergence_sum_release(struct divergence_sum *sum)
{
    vec_free(&sum->kl);
    memset(sum, 0, sizeof *sum);
}

/* log Σ exp z; NaN or infinity where z has one. */
static double log_total(const float *z, size_t n)
{
    const struct kernel *k = kernel_get();
    const float top = k->max(z, n);
    float e[SPAN];
    double sum = 0;
    for (size_t at = 0; at < n; at += SPAN) {
        const size_t m = n - at < SPAN ? n - at : SPAN;
        for (size_t i = 0; i < m; i++)
            e[i] = z[at + i] - top;
        k->exp(e, e, m);
        sum += (double)k->sum(e, m);
    }
    return (double)top + log(sum);
}

struct row_found {
    double kl, nll, base_nll;
    bool same;
};
struct rows_job {
    float *logp;        /* base's, [rows, vocab] */
    const float *logits;
    const int32_t *next;
    size_t vocab;
    struct row_found *found; /* NULL: logp is being made */
};

static void row_keep(void *ctx, size_t row, unsigned worker)
{
    const struct rows_job *j = ctx;
    const float *z = j->logits + row * j->vocab;
    float *out = j->logp + row * j->vocab;
    const double total = log_total(z, j->vocab);
    for (size_t i = 0; i < j->vocab; i++)
        out[i] = (float)((double)z[i] - total);
}

static void row_compare(void *ctx, size_t row, unsigned worker)
{
    const struct rows_job *j = ctx;
    const struct kernel *k = kernel_get();
    const float *z = j->logits + row * j->vocab, *b = j->logp + row * j->vocab;
    const double total = log_total(z, j->vocab);
    const size_t next = (size_t)j->next[row];
    struct row_found f = {.nll = total - (double)z[next], .base_nll = -(double)b[next]};
    size_t top_b = 0, top_z = 0;
    float p[SPAN];
    for (size_t at = 0; at < j->vocab; at += SPAN) {
        const size_t m = j->vocab - at < SPAN ? j->vocab - at : SPAN;
        k->exp(p, b + at, m);
        for (size_t i = 0; i < m; i++) {
            const size_t v = at + i;
            f.kl += (double)p[i] * ((double)b[v] - ((double)z[v] - total));
            top_b = b[v] > b[top_b] ? v : top_b;
            top_z = z[v] > z[top_z] ? v : top_z;
        }
    }
    f.same = top_b == top_z;
    j->found[row] = f;
}

/* One forward over a kept window: its logits [scored, vocab], which live as long as the run. */
static enum sooth_status window_logits(struct divergence *d, const struct arch_model *m, struct run *run, size_t window,
                                       struct mat **z, struct sooth_error *err)
{
    struct rows rows = window_rows(&d->window, d->ids.items + window * d->window.n, -1);
    run_begin(run, &rows);
    *z = arch_logits(m, run, arch_hidden(m, run));
    return run_end(run, err);
}

static struct run *new_run(const struct divergence *d, const struct adapters *adapters)
{
    struct run_options o = {.pool = d->pool, .adapters = adapters};
    return run_new(&o);
}

enum sooth_status divergence_add(struct divergence *d, const int32_t *ids, int32_t start, struct sooth_error *err)
{
    struct run *run = new_run(d, NULL);
    size_t numbers, bytes, n = d->window.n, window = d->logp.count;
    float *logp = NULL;
    struct mat *z = NULL;
    bool room = size_mul(d->window.scored, d->vocab, &numbers) && size_mul(numbers, sizeof *logp, &bytes);
    for (size_t i = 0; i < n && room; i++)
        room = vec_push(&d->ids, i == 0 && start >= 0 ? start : ids[i]) && (!d->window.want[i] || vec_push(&d->next, ids[i + 1]));
    logp = run && room ? mem_alloc(bytes) : NULL;
    enum sooth_status status = logp ? window_logits(d, d->base, run, window, &z, err) : err_nomem(err);
    if (status == SOOTH_OK) {
        struct rows_job job = {.logp = logp, .logits = z->v, .vocab = d->vocab};
        pool_run(d->pool, z->rows, row_keep, &job);
        if (!vec_push(&d->logp, logp))
            status = err_nomem(err);
    }
    run_free(run);
    if (status != SOOTH_OK) {
        mem_free(logp);
        d->ids.count = window * n;
        d->next.count = window * d->window.scored;
    }
    return status;
}

static enum sooth_status sum_add(struct divergence_sum *sum, const struct row_found *f, size_t rows, struct sooth_error *err)
{
    for (size_t i = 0; i < rows; i++) {
        if (!isfinite(f[i].kl) || !isfinite(f[i].nll))
            return err_set(err, SOOTH_ERR_FORMAT, "the models gave numbers that are not finite");
        if (!vec_push(&sum->kl, (float)f[i].kl))
            return err_nomem(err);
        sum->nll += f[i].nll;
        sum->nll2 += f[i].nll * f[i].nll;
        sum->base_nll += f[i].base_nll;
        sum->same += f[i].same;
    }
    return SOOTH_OK;
}

enum sooth_status divergence_measure(struct divergence *d, const struct arch_model *other, const struct adapters *adapters,
                                     struct divergence_sum *sum, struct sooth_error *err)
{
    struct run *run = new_run(d, adapters);
    struct row_found *found = mem_calloc(d->window.scored, sizeof *found);
    enum sooth_status status = run && found ? SOOTH_OK : err_nomem(err);
    for (size_t w = 0; w < d->logp.count && status == SOOTH_OK; w++) {
        struct mat *z = NULL;
        status = window_logits(d, other, run, w, &z, err);
        if (status != SOOTH_OK)
            break;
        struct rows_job job = {.logp = d->logp.items[w], .logits = z->v, .next = d->next.items + w * d->window.scored,
                               .vocab = d->vocab, .found = found};
        pool_run(d->pool, z->rows, row_compare, &job);
        status = sum_add(sum, found, z->rows, err);
    }
    mem_free(found);
    run_free(run);
    return status;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void divergence_summary(struct divergence_sum *sum, size_t chunks, struct sooth_divergence *out)
{
    const size_t n = sum->kl.count;
    double total = 0, squares = 0;
    qsort(sum->kl.items, n, sizeof *sum->kl.items, by_size);
    for (size_t i = 0; i < n; i++) {
        total += (double)sum->kl.items[i];
        squares += (double)sum->kl.items[i] * (double)sum->kl.items[i];
    }
    const double count = (double)n, mean = total / count, variance = squares / count - mean * mean;
    const double nll = sum->nll / count, spread = sum->nll2 / count - nll * nll;
    *out = (struct sooth_divergence){.kl = mean, .median = (double)sum->kl.items[n / 2],
        .most_99 = (double)sum->kl.items[(n - 1) * 99 / 100], .largest = (double)sum->kl.items[n - 1],
        .same_top = (double)sum->same / count, .perplexity = exp(nll), .source_perplexity = exp(sum->base_nll / count),
        .tokens = n, .chunks = chunks};
    if (n > 1 && variance > 0)
        out->error = sqrt(variance / (count - 1));
    if (n > 1 && spread > 0)
        out->perplexity_error = out->perplexity * sqrt(spread / (count - 1));
}

static enum sooth_status same_vocabulary(const struct sooth_model *a, const struct sooth_model *b, struct sooth_error *err)
{
    if (!a->arch || !b->arch || !arch_info(a->arch)->decoder || !arch_info(b->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "divergence needs two local models that generate text");
    if (arch_info(a->arch)->vocab == arch_info(b->arch)->vocab)
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_ARG, "'%s' has %zu tokens and '%s' %zu: they cannot be compared", a->info.path,
                   arch_info(a->arch)->vocab, b->info.path, arch_info(b->arch)->vocab);
}

enum sooth_status sooth_divergence_measure(struct sooth_model *model, struct sooth_model *source, const char *text, size_t len,
                                           size_t context, size_t chunks, sooth_progress_fn *on_chunk, void *user,
                                           struct sooth_divergence *out, struct sooth_error *err)
{
    struct windows t;
    struct divergence *d = NULL;
    struct divergence_sum sum = {0};
    memset(out, 0, sizeof *out);
    enum sooth_status status = same_vocabulary(model, source, err);
    if (status == SOOTH_OK)
        status = windows_open(&t, source, text, len, context, chunks, err);
    if (status != SOOTH_OK)
        return status;
    status = divergence_new(source->arch, source->pool, t.context, &d, err);
    for (size_t i = 0; i < t.count && status == SOOTH_OK; i++) {
        divergence_clear(d);
        status = divergence_add(d, t.tokens.ids + i * t.context, t.start, err);
        if (status == SOOTH_OK)
            status = divergence_measure(d, model->arch, NULL, &sum, err);
        if (status == SOOTH_OK && on_chunk)
            on_chunk(user, i + 1, t.count);
    }
    if (status == SOOTH_OK)
        divergence_summary(&sum, t.count, out);
    divergence_sum_release(&sum);
    divergence_free(d);
    windows_close(&t);
    return status;
}
