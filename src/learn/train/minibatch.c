/* minibatch.c: rows of a forward from examples; bins; the order of an epoch.
 *
 * Bins are filled first-fit over the examples in a seeded order, with at most OPEN bins open, so that packing is linear in the
 * number of examples; they stay the same for all epochs, and only their order changes. */
#include "learn/train/minibatch.h"
#include <string.h>
#include "core/base/rng.h"

void minibatch_init(struct minibatch *b, size_t places, uint32_t first, uint32_t start)
{
    memset(b, 0, sizeof *b);
    b->places = places;
    b->first = first;
    b->start = start;
}

void minibatch_release(struct minibatch *b)
{
    vec_free(&b->token);
    vec_free(&b->target);
    vec_free(&b->pos);
    vec_free(&b->seq);
    vec_free(&b->want);
    vec_free(&b->weight);
}

void minibatch_clear(struct minibatch *b)
{
    b->token.count = b->target.count = b->pos.count = b->seq.count = b->want.count = b->weight.count = 0;
    b->sequences = b->trained = 0;
}

static bool row_add(struct minibatch *b, int32_t token, int32_t target, uint32_t pos)
{
    bool ok = vec_push(&b->token, token);
    ok &= vec_push(&b->target, target);
    ok &= vec_push(&b->pos, pos);
    ok &= vec_push(&b->seq, (uint32_t)b->sequences);
    ok &= vec_push(&b->want, target >= 0);
    return ok;
}

bool minibatch_add(struct minibatch *b, const struct example *x, float weight)
{
    size_t last = 0;
    bool ok = true;
    for (size_t i = 1; i < x->n; i++)
        last = x->train[i] ? i : last;
    if (!last)
        return true;
    for (size_t i = 0; i < b->places && ok; i++)
        ok = row_add(b, x->ids[0], -1, b->first + (uint32_t)i);
    for (size_t i = 0; i < last && ok; i++) {
        bool trained = x->train[i + 1];
        ok = row_add(b, x->ids[i], trained ? x->ids[i + 1] : -1, b->start + (uint32_t)i);
        if (trained && ok) {
            ok = vec_push(&b->weight, weight);
            b->trained++;
        }
    }
    b->sequences++;
    return ok;
}

struct rows minibatch_rows(const struct minibatch *b)
{
    return (struct rows){.n = b->token.count, .token = b->token.items, .pos = b->pos.items, .seq = b->seq.items, .want = b->want.items, .target = b->target.items};
}

/* ---- order ---- */

enum { OPEN = 64 };

static bool permutation(uint32_t *p, size_t n, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i);
        uint32_t t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
    return true;
}

/* bin[i]: the bin of example i. Returns their number; 0 when memory is out. */
static size_t bins_fill(const struct examples *e, const uint32_t *order, size_t most, uint32_t *bin)
{
    struct { uint32_t bin; size_t left; } open[OPEN];
    size_t n_open = 0, bins = 0;
    for (size_t i = 0; i < e->list.count; i++) {
        size_t n = e->list.items[order[i]].n, at = 0;
        while (at < n_open && open[at].left < n)
            at++;
        if (at == n_open) {
            if (n_open == OPEN) /* the oldest closes */
                memmove(&open[0], &open[1], sizeof open[0] * --n_open);
            at = n_open++;
            open[at].bin = (uint32_t)bins++;
            open[at].left = most;
        }
        bin[order[i]] = open[at].bin;
        open[at].left -= n < open[at].left ? n : open[at].left;
    }
    return bins;
}

bool units_make(struct units *u, const struct examples *e, bool pack, size_t most, uint64_t seed)
{
    size_t n = e->list.count, bins = n;
    uint32_t *order = mem_array(n + 1, sizeof *order), *bin = mem_array(n + 1, sizeof *bin);
    memset(u, 0, sizeof *u);
    u->seed = seed;
    u->epoch = UINT64_MAX;
    bool ok = order && bin && permutation(order, n, seed ^ 0x7061636b);
    for (size_t i = 0; ok && i < n; i++)
        bin[i] = (uint32_t)i;
    if (ok && pack)
        bins = bins_fill(e, order, most, bin);
    ok = ok && vec_reserve(&u->first, bins + 1) && vec_reserve(&u->member, n + 1) && vec_reserve(&u->order, bins + 1);
    if (ok) { /* counting sort by bin: members keep the order of the file */
        memset(u->first.items, 0, (bins + 1) * sizeof *u->first.items);
        for (size_t i = 0; i < n; i++)
            u->first.items[bin[i] + 1]++;
        for (size_t i = 0; i < bins; i++)
            u->first.items[i + 1] += u->first.items[i];
        memcpy(order, u->first.items, bins * sizeof *order);
        for (size_t i = 0; i < n; i++)
            u->member.items[order[bin[i]]++] = (uint32_t)i;
        u->first.count = bins + 1;
        u->member.count = n;
        u->order.count = bins;
    }
    mem_free(order);
    mem_free(bin);
    return ok;
}

void units_release(struct units *u)
{
    vec_free(&u->first);
    vec_free(&u->member);
    vec_free(&u->order);
}

size_t units_count(const struct units *u)
{
    return u->order.count;
}

size_t units_at(struct units *u, uint64_t epoch, size_t i)
{
    if (u->epoch != epoch) {
        permutation(u->order.items, u->order.count, u->seed * 0x9e3779b97f4a7c15u + epoch);
        u->epoch = epoch;
    }
    return u->order.items[i];
}
