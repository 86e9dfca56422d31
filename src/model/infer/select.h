/* select.h: the first part of a sorted order without sorting it.
 *
 * Candidates are ordered by (logit descending, id ascending). A sampler needs only a prefix of that
 * order: the first k, the first whose weights reach a share of the total, or the one where a drawn
 * number falls. All three are one question, "where does the running sum of weights reach
 * `target`?", answered by a weighted quickselect (Hoare 1961) in O(n) expected: partition, sum the
 * front part, go on in the part that holds the crossing. */
#ifndef INFER_SELECT_H
#define INFER_SELECT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct select_item {
    float logit, weight;
    int32_t id;
};

/* True when a stands before b in the order. */
static inline bool select_before(const struct select_item *a, const struct select_item *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

/* Reorders items so that the returned number m (1..n for n > 0) of them in front are the shortest
 * prefix of the sorted order whose weights sum to at least target (all n when the sum never gets
 * there). items[m-1] is the last of that prefix; the others in front are in no particular order. */
size_t select_prefix(struct select_item *items, size_t n, double target);

/* Appends to out the ids with lo < logit <= hi; returns how many. Weights are left unset. */
size_t select_band(const float *logits, size_t n, float lo, float hi, struct select_item *out);

/* The k largest of n logits (k <= n; those of -infinity left out), sorted; returns how many. For
 * small k. */
size_t select_largest(const float *logits, size_t n, size_t k, struct select_item *out);
#endif
