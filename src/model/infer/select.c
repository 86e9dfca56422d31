/* select.c: weighted quickselect, and the two ways candidates are gathered from a row of logits. */
#include "model/infer/select.h"
#include <math.h>

enum { SELECT_SMALL = 16 }; /* below this a straight insertion sort is faster than partitioning */

static void select_swap(struct select_item *a, struct select_item *b)
{
    struct select_item t = *a;
    *a = *b;
    *b = t;
}

static void select_insertion(struct select_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct select_item x = items[i];
        size_t j = i;
        for (; j > 0 && select_before(&x, &items[j - 1]); j--)
            items[j] = items[j - 1];
        items[j] = x;
    }
}

/* Partitions items[0, n) about the median of three; returns the pivot's place and the weight before
 * it. */
static size_t select_partition(struct select_item *items, size_t n, double *front)
{
    struct select_item *a = &items[0], *b = &items[n / 2], *c = &items[n - 1];
    if (select_before(b, a))
        select_swap(a, b);
    if (select_before(c, b))
        select_swap(b, c);
    if (select_before(b, a))
        select_swap(a, b);
    select_swap(b, c);
    struct select_item pivot = items[n - 1];
    size_t place = 0;
    double sum = 0;
    for (size_t i = 0; i < n - 1; i++) {
        if (!select_before(&items[i], &pivot))
            continue;
        sum += (double)items[i].weight;
        select_swap(&items[i], &items[place++]);
    }
    select_swap(&items[place], &items[n - 1]);
    *front = sum;
    return place;
}

size_t select_prefix(struct select_item *items, size_t n, double target)
{
    size_t lo = 0, hi = n;
    double sum = 0; /* weight of items[0, lo), all of which stand before items[lo, hi) */
    while (hi - lo > SELECT_SMALL) {
        double front;
        size_t pivot = lo + select_partition(items + lo, hi - lo, &front);
        if (pivot > lo && sum + front >= target) {
            hi = pivot;
            continue;
        }
        sum += front + (double)items[pivot].weight;
        if (sum >= target)
            return pivot + 1;
        lo = pivot + 1;
    }
    select_insertion(items + lo, hi - lo);
    for (; lo < hi; lo++) {
        sum += (double)items[lo].weight;
        if (sum >= target)
            return lo + 1;
    }
    return hi; /* rounding: the sum in this order fell short by a hair, or target exceeds the total
                */
}

size_t select_band(const float *logits, size_t n, float lo, float hi, struct select_item *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (logits[i] > lo && logits[i] <= hi) {
            out[count].logit = logits[i];
            out[count++].id = (int32_t)i;
        }
    }
    return count;
}

/* Restores the heap (the last in order on top) below place i. */
static void select_sink(struct select_item *heap, size_t n, size_t i)
{
    struct select_item x = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && select_before(&heap[child], &heap[child + 1]))
            child++;
        if (!select_before(&x, &heap[child]))
            break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

size_t select_largest(const float *logits, size_t n, size_t k, struct select_item *out)
{
    size_t count = 0;
    float floor = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!(logits[i] > floor)) /* an equal logit with a higher id stands behind what is kept */
            continue;
        struct select_item x = {logits[i], 0, (int32_t)i};
        if (count < k) {
            out[count++] = x;
            if (count == k)
                for (size_t j = k / 2; j-- > 0;)
                    select_sink(out, k, j);
        } else {
            out[0] = x;
            select_sink(out, k, 0);
        }
        if (count == k && k > 0)
            floor = out[0].logit;
    }
    if (count < k)
        for (size_t j = count / 2; j-- > 0;)
            select_sink(out, count, j);
    for (size_t m = count; m > 1; m--) { /* heap sort: the last in order goes to the back */
        select_swap(&out[0], &out[m - 1]);
        select_sink(out, m - 1, 0);
    }
    return count;
}
