/* split_semantic.c: a passage ends where the meaning turns.
 *
 *   sentences   s0 s1 s2 s3 ...
 *   groups      g_i = s_(i-1) s_i s_(i+1)          one neighbour on each side makes vectors steadier
 *   distances   d_i = 1 - cos(g_i, g_(i+1))
 *   cut behind s_i where d_i > the 95th percentile of all d of the document
 *
 * (the percentile by linear interpolation; as LlamaIndex' SemanticSplitterNodeParser does). What is
 * between two cuts is a passage, or several where it is over the limit. One sentence gives one passage.
 * Every sentence is embedded once for this, on top of the passages themselves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/split.h"

enum { BATCH = 64, PERCENTILE = 95 };

/* The vectors of the groups of units [0, n). out: [n, dim]. */
static enum sooth_status groups_embed(struct chunker *c, float *out)
{
    const struct unit *u = c->units.items;
    size_t n = c->units.count, dim = c->e->dim;
    enum sooth_status status = SOOTH_OK;
    for (size_t at = 0; at < n && status == SOOTH_OK; at += BATCH) {
        const char *texts[BATCH];
        size_t lens[BATCH], k = n - at < BATCH ? n - at : BATCH;
        for (size_t i = 0; i < k; i++) {
            size_t from = at + i > 0 ? at + i - 1 : 0, to = at + i + 1 < n ? at + i + 1 : n - 1;
            if (chunker_count(c, u[from].start, u[to].end) > c->e->limit)
                from = to = at + i; /* the embedder would cut it: the sentence alone */
            texts[i] = c->d->text + u[from].start;
            lens[i] = u[to].end - u[from].start;
        }
        status = c->e->embed(c->e, false, texts, lens, k, out + at * dim, c->err);
    }
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The p-th percentile of n values, by linear interpolation. Sorts them. */
static double percentile(double *values, size_t n, double p)
{
    qsort(values, n, sizeof *values, by_value);
    double at = p / 100 * (double)(n - 1);
    size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return values[low] + (at - (double)low) * (values[high] - values[low]);
}

static void distances(const struct chunker *c, const float *v, double *d)
{
    size_t dim = c->e->dim;
    for (size_t i = 0; i + 1 < c->units.count; i++) {
        double dot = 0;
        for (size_t k = 0; k < dim; k++)
            dot += (double)v[i * dim + k] * (double)v[(i + 1) * dim + k];
        d[i] = 1 - dot;
    }
}

/* Runs of units between the cuts; unit numbers grow when a unit is cut, so runs are kept by length. */
static enum sooth_status runs_emit(struct chunker *c, const double *d, size_t n, double threshold)
{
    enum sooth_status status = SOOTH_OK;
    size_t grown = 0;
    for (size_t i = 0, from = 0; i < n && status == SOOTH_OK; i++) {
        if (i + 1 < n && !(d[i] > threshold))
            continue;
        size_t to = i + 1 + grown, before = to;
        status = chunker_run(c, from, &to);
        grown += to - before;
        from = to;
    }
    return status;
}

static enum sooth_status semantic_cut(struct chunker *c)
{
    if (!chunker_units(c))
        return err_nomem(c->err);
    size_t n = c->units.count;
    float *vectors = mem_array(n + 1, c->e->dim * sizeof *vectors);
    double *d = mem_array(n + 1, sizeof *d), *sorted = mem_array(n + 1, sizeof *sorted);
    enum sooth_status status = vectors && d && sorted ? SOOTH_OK : err_nomem(c->err);
    if (status == SOOTH_OK && n > 1)
        status = groups_embed(c, vectors);
    double threshold = INFINITY;
    if (status == SOOTH_OK && n > 1) {
        distances(c, vectors, d);
        memcpy(sorted, d, (n - 1) * sizeof *d);
        threshold = percentile(sorted, n - 1, PERCENTILE);
    }
    if (status == SOOTH_OK)
        status = runs_emit(c, d, n, threshold);
    mem_free(vectors);
    mem_free(d);
    mem_free(sorted);
    return status;
}

const struct splitter splitter_semantic = {
    .name = "semantic",
    .about = "where the meaning turns: every sentence is embedded once more for it",
    .cut = semantic_cut,
};
