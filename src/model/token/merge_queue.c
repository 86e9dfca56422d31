/* merge_queue.c: see merge_queue.h. A heap entry is rank << 32 | place; it is out of date when the symbol at that
 * place has another rank by now, for every change of a pair rewrites the symbol's rank. */
#include "model/token/merge_queue.h"
#include "core/base/alloc.h"
#include "core/base/vec.h"

enum { PLAIN_LIMIT = 32 };

struct merger {
    struct merge_work *w;
    merge_rank *rank;
    const void *vocabulary;
    const char *text;
    uint32_t len;
};

void merge_clear(struct merge_work *w)
{
    w->count = w->heap_count = 0;
}

void merge_release(struct merge_work *w)
{
    mem_free(w->symbols);
    mem_free(w->heap);
    *w = (struct merge_work){0};
}

bool merge_push(struct merge_work *w, uint32_t start, int32_t id)
{
    if (w->count == w->cap && !vec_grow_((void **)&w->symbols, &w->cap, w->count + 1, sizeof *w->symbols)) {
        w->failed = true;
        return false;
    }
    w->symbols[w->count++] = (struct merge_symbol){.start = start, .id = id, .rank = MERGE_NONE};
    return true;
}

static void find_rank(const struct merger *m, uint32_t at)
{
    struct merge_symbol *s = &m->w->symbols[at], *next, *after;
    s->rank = MERGE_NONE;
    if (s->next == MERGE_NONE)
        return;
    next = &m->w->symbols[s->next];
    after = next->next == MERGE_NONE ? NULL : &m->w->symbols[next->next];
    s->rank = m->rank(m->vocabulary, m->text, s, next, after ? after->start : m->len, &s->merged);
}

/* Joins the symbol at `at` with the next; ranks of the two pairs it is now part of are found anew. */
static void join(const struct merger *m, uint32_t at)
{
    struct merge_symbol *all = m->w->symbols, *s = &all[at];
    uint32_t gone = s->next;
    s->id = s->merged;
    s->next = all[gone].next;
    all[gone].rank = MERGE_NONE;
    if (s->next != MERGE_NONE)
        all[s->next].prev = at;
    find_rank(m, at);
    if (s->prev != MERGE_NONE)
        find_rank(m, s->prev);
}

static void run_plain(const struct merger *m)
{
    for (;;) {
        uint32_t best = MERGE_NONE, rank = MERGE_NONE;
        for (uint32_t i = 0; i != MERGE_NONE; i = m->w->symbols[i].next)
            if (m->w->symbols[i].rank < rank) {
                rank = m->w->symbols[i].rank;
                best = i;
            }
        if (best == MERGE_NONE)
            return;
        join(m, best);
    }
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t key = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && heap[child + 1] < heap[child];
        if (heap[child] >= key)
            break;
        heap[i] = heap[child];
    }
    heap[i] = key;
}

static void heap_pop(struct merge_work *w)
{
    w->heap[0] = w->heap[--w->heap_count];
    if (w->heap_count)
        sift_down(w->heap, w->heap_count, 0);
}

static void heap_push(struct merge_work *w, uint64_t key)
{
    size_t i = w->heap_count++;
    for (; i && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static bool run_heap(const struct merger *m)
{
    struct merge_work *w = m->w;
    /* At most one entry a symbol at first, then two for each of at most count - 1 joins. */
    if (w->heap_cap < 3 * w->count && !vec_grow_((void **)&w->heap, &w->heap_cap, 3 * w->count, sizeof *w->heap))
        return false;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->symbols[i].rank != MERGE_NONE)
            w->heap[w->heap_count++] = (uint64_t)w->symbols[i].rank << 32 | i;
    for (size_t i = w->heap_count / 2; i-- > 0;)
        sift_down(w->heap, w->heap_count, i);
    while (w->heap_count) {
        uint32_t at = (uint32_t)w->heap[0], rank = (uint32_t)(w->heap[0] >> 32);
        struct merge_symbol *s = &w->symbols[at];
        heap_pop(w);
        if (s->rank != rank)
            continue;
        join(m, at);
        if (s->rank != MERGE_NONE)
            heap_push(w, (uint64_t)s->rank << 32 | at);
        if (s->prev != MERGE_NONE && w->symbols[s->prev].rank != MERGE_NONE)
            heap_push(w, (uint64_t)w->symbols[s->prev].rank << 32 | s->prev);
    }
    return true;
}

bool merge_run(struct merge_work *w, merge_rank *rank, const void *vocabulary, const char *text, uint32_t len)
{
    struct merger m = {w, rank, vocabulary, text, len};
    if (w->failed)
        return false;
    for (uint32_t i = 0; i < w->count; i++) {
        w->symbols[i].prev = i ? i - 1 : MERGE_NONE;
        w->symbols[i].next = i + 1 < w->count ? i + 1 : MERGE_NONE;
    }
    for (uint32_t i = 0; i < w->count; i++)
        find_rank(&m, i);
    if (w->count <= PLAIN_LIMIT) {
        if (w->count)
            run_plain(&m);
        return true;
    }
    return run_heap(&m);
}
