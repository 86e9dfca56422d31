/* fuse.c: one ranking out of two, and variety within one.
 *
 * Relative scores instead of ranks: each list's scores are stretched to 0..1 and added by weight. It
 * keeps how far apart the scores were, and with it the whims of each list's scale.
 *
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009) looks at ranks only, so that
 * cosines and BM25 scores never have to share a scale:  s(d) = sum over lists of  w / (60 + rank of
 * d),  rank from 1. Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) picks one
 * after the other what is relevant and unlike what was picked:  argmax  lambda sim(d, q) - (1 -
 * lambda) max over picked s of sim(d, s). */
#include <stdlib.h>
#include "know/retrieve/retrieve.h"

#define RRF_K 60.0

static int by_slot(const void *a, const void *b)
{
    const struct fused *x = a, *y = b;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int by_score(const void *a, const void *b)
{
    const struct fused *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score ? 1 : by_slot(a, b);
}

/* Joins what both lists name; out has n entries. */
static size_t join(struct fused *out, size_t n)
{
    size_t kept = 0;
    if (n == 0)
        return 0;
    qsort(out, n, sizeof *out, by_slot);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && out[kept - 1].slot == out[i].slot) {
            struct fused *f = &out[kept - 1];
            f->score += out[i].score;
            f->rank[0] += out[i].rank[0]; /* each list names a slot once: one of the two is 0 */
            f->rank[1] += out[i].rank[1];
        } else {
            out[kept++] = out[i];
        }
    }
    qsort(out, kept, sizeof *out, by_score);
    return kept;
}

size_t fuse_rrf(const struct scored *a, size_t n_a, double weight_a, const struct scored *b,
                size_t n_b, double weight_b, struct fused *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_a; i++)
        out[n++] =
            (struct fused){a[i].slot, weight_a / (RRF_K + (double)(i + 1)), {(uint32_t)(i + 1), 0}};
    for (size_t i = 0; i < n_b; i++)
        out[n++] =
            (struct fused){b[i].slot, weight_b / (RRF_K + (double)(i + 1)), {0, (uint32_t)(i + 1)}};
    return join(out, n);
}

/* 0 for the last of the list, 1 for the first; a list of equals is all 1. */
static double stretched(const struct scored *list, size_t n, size_t i)
{
    double span = list[0].score - list[n - 1].score;
    return span > 0 ? (list[i].score - list[n - 1].score) / span : 1;
}

size_t fuse_relative(const struct scored *a, size_t n_a, double weight_a, const struct scored *b,
                     size_t n_b, double weight_b, struct fused *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_a; i++)
        out[n++] = (struct fused){a[i].slot, weight_a * stretched(a, n_a, i), {(uint32_t)(i + 1), 0}};
    for (size_t i = 0; i < n_b; i++)
        out[n++] = (struct fused){b[i].slot, weight_b * stretched(b, n_b, i), {0, (uint32_t)(i + 1)}};
    return join(out, n);
}

void fuse_mmr(const double *relevance, const double *similarity, size_t n, double lambda, size_t k,
              size_t *order)
{
    for (size_t picked = 0; picked < k && picked < n; picked++) {
        size_t best = SIZE_MAX;
        double best_value = 0;
        for (size_t i = 0; i < n; i++) {
            double nearest = 0, value;
            bool taken = false;
            for (size_t j = 0; j < picked; j++) {
                double s = similarity[i * n + order[j]];
                taken |= order[j] == i;
                nearest = j == 0 || s > nearest ? s : nearest;
            }
            value = lambda * relevance[i] - (1 - lambda) * nearest;
            if (!taken && (best == SIZE_MAX || value > best_value)) {
                best = i;
                best_value = value;
            }
        }
        order[picked] = best;
    }
}
