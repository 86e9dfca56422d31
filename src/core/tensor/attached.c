/* attached.c: what hangs on weights from outside: gradients of the trained ones, adapters of the adapted ones. Both are
 * sorted by address, so that finding one among hundreds costs a few comparisons. */
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/tensor/run.h"

struct grad_entry {
    const struct weight *w;
    float *g;
};
struct grads {
    struct grad_entry *items;
    size_t count;
};

static int by_weight(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const struct weight *const *)a, y = (uintptr_t) * (const struct weight *const *)b;
    return x < y ? -1 : x > y;
}

struct grads *grads_new(const struct weight *const *weights, size_t n)
{
    struct grads *g = mem_calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->items = mem_calloc(n + 1, sizeof *g->items);
    for (size_t i = 0; g->items && i < n; i++) {
        const struct qmat *q = &weights[i]->q;
        g->items[i] = (struct grad_entry){weights[i], mem_calloc(q->rows, q->cols * sizeof(float))};
        g->count = i + 1;
        if (!g->items[i].g)
            break;
    }
    if (!g->items || (n && (g->count < n || !g->items[n - 1].g))) {
        grads_free(g);
        return NULL;
    }
    qsort(g->items, n, sizeof *g->items, by_weight);
    return g;
}

void grads_free(struct grads *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->count; i++)
        mem_free(g->items[i].g);
    mem_free(g->items);
    mem_free(g);
}

void grads_clear(struct grads *g)
{
    for (size_t i = 0; i < g->count; i++)
        memset(g->items[i].g, 0, g->items[i].w->q.rows * g->items[i].w->q.cols * sizeof(float));
}

float *grads_find(const struct grads *g, const struct weight *w)
{
    const struct grad_entry *e = g && g->count ? bsearch(&w, g->items, g->count, sizeof *g->items, by_weight) : NULL;
    return e ? e->g : NULL;
}

/* ---- adapters ---- */

struct adapter_entry {
    const struct weight *w;
    const struct adapter *adapter;
};
struct adapters {
    VEC(struct adapter_entry) list;
};

struct adapters *adapters_new(void)
{
    return mem_calloc(1, sizeof(struct adapters));
}

void adapters_free(struct adapters *a)
{
    if (!a)
        return;
    vec_free(&a->list);
    mem_free(a);
}

enum sooth_status adapters_attach(struct adapters *a, const struct weight *w, const struct adapter *adapter)
{
    struct adapter_entry e = {w, adapter};
    for (size_t i = 0; i < a->list.count; i++)
        if (a->list.items[i].w == w) {
            a->list.items[i].adapter = adapter;
            return SOOTH_OK;
        }
    if (!vec_push(&a->list, e))
        return SOOTH_ERR_NOMEM;
    qsort(a->list.items, a->list.count, sizeof e, by_weight);
    return SOOTH_OK;
}

const struct adapter *adapters_find(const struct adapters *a, const struct weight *w)
{
    const struct adapter_entry *e = a && a->list.count ? bsearch(&w, a->list.items, a->list.count, sizeof *e, by_weight) : NULL;
    return e ? e->adapter : NULL;
}

const struct weight *adapters_stand_in(const struct adapters *a, const struct weight *w)
{
    const struct adapter *adapter = w ? adapters_find(a, w) : NULL;
    const struct weight *other = adapter && adapter->stand_in ? adapter->stand_in(adapter, w) : NULL;
    return other ? other : w;
}
