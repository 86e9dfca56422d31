/* nearby.c: the store's vector index: when it is believed, how it is kept up, how it is asked.
 *
 *   DIR/vectors.index   a graph over the vectors that stood in the database when it was written
 *
 * The database is the truth and the file a copy of a part of it, so a search compares the two: what
 * the file has and the database has not is passed over; what the database has and the file has not
 * is scanned beside it (the tail). A file that is damaged, of another embedder, or too far behind is
 * not used at all. A search never builds; whoever writes to the store builds when a fiftieth of it
 * is new, and `compact` when anything in the file is forgotten.
 *
 * A filter, by how many it admits (methods measured in docs/book/vector-search.md):
 *
 *   at most 10,000 or 2 %   only those are looked at, all of them
 *   more                    the graph is walked with a beam wider by the inverse of their share
 *
 * The graph knows neighbours by the aligned cosine (align.c), or the plain one where the store has
 * no centres. Other measures walk the same graph by their own scores. */
#include "know/index/nearby.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "know/index/storedb.h"

#define FORGOTTEN UINT32_MAX
enum { TAIL_MIN = 1000, TAIL_SHARE = 50, TAIL_MOST = 8, PRE_MIN = 10000, PRE_SHARE = 50 };

void nearby_release(struct nearby *n)
{
    vindex_free(n->index);
    vindex_free(n->tail);
    for (int i = 0; i < 2; i++) {
        mem_free(n->slot[i]);
        vsearch_release(&n->search[i]);
    }
    mem_free(n->allow);
    memset(n, 0, sizeof *n);
}

static uint64_t fingerprint_of(const struct store *s)
{
    const char *f = s->embedder.fingerprint;
    return f ? hash64(f, strlen(f), s->embedder.centres != NULL) : 0;
}

static bool path_of(const struct store *s, struct buf *out)
{
    return buf_printf(out, "%s/" VECTORS_NAME, s->dir);
}

/* --- who is where
 * ---------------------------------------------------------------------------------------------
 */

struct held {
    int64_t chunk;
    uint32_t slot;
};

static int by_chunk(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

/* The snapshot's passages in order of id; NULL when memory is out. */
static struct held *held_list(const struct snapshot *v)
{
    struct held *list = mem_array(v->n + 1, sizeof *list);
    bool sorted = true;
    for (size_t i = 0; list && i < v->n; i++) {
        list[i] = (struct held){v->chunk[i], (uint32_t)i};
        sorted &= i == 0 || v->chunk[i - 1] < v->chunk[i];
    }
    if (list && !sorted)
        qsort(list, v->n, sizeof *list, by_chunk);
    return list;
}

/* What the index has and what it misses: slot [set.n], rest (of held's order) [*n_rest]. */
static size_t compare(const struct vset *set, const struct held *held, size_t n, uint32_t *slot,
                      uint32_t *rest, size_t *n_rest)
{
    size_t at = 0, alive = 0;
    *n_rest = 0;
    for (size_t i = 0; i < set->n; i++) {
        while (at < n && held[at].chunk < set->id[i])
            rest[(*n_rest)++] = (uint32_t)at++;
        bool same = at < n && held[at].chunk == set->id[i];
        slot[i] = same ? held[at].slot : FORGOTTEN;
        set->dead[i] = !same;
        alive += same;
        at += same;
    }
    while (at < n)
        rest[(*n_rest)++] = (uint32_t)at++;
    return alive;
}

/* Adds the passages of rest to x, which has room; *lacking counts those without a vector. */
static enum sooth_status add_rest(struct store *s, const struct snapshot *v,
                                  const struct held *held, const uint32_t *rest, size_t n,
                                  struct vindex *x, uint32_t *slot, struct sooth_error *err)
{
    float *full = mem_array(v->dim + 1, sizeof *full);
    enum sooth_status status = full ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        const struct held *h = &held[rest[i]];
        bool found;
        status = half_read(s, h->chunk, v->dim, full, &found, err);
        if (status == SOOTH_OK && found) {
            if (slot)
                slot[x->set.n] = h->slot;
            if (!vindex_add(x, h->chunk, v->script[h->slot], full))
                x->set.n--; /* nothing but zeros: no vector */
        }
    }
    mem_free(full);
    return status;
}

static bool believable(const struct store *s, const struct snapshot *v, const struct vindex *x)
{
    return x->fingerprint == fingerprint_of(s) && x->set.dim == v->dim && x->joined == x->set.n;
}

static enum sooth_status attach_tail(struct store *s, const struct snapshot *v,
                                     const struct held *held, const uint32_t *rest, size_t n)
{
    struct nearby *a = &s->nearby;
    enum sooth_status status =
        vindex_new(vindex_row_find("flat"), METRIC_COSINE, v->dim, &a->tail, NULL);
    a->slot[1] = mem_array(n + 1, sizeof(uint32_t));
    if (status != SOOTH_OK || !a->slot[1] || !vindex_reserve(a->tail, n))
        return SOOTH_ERR_NOMEM;
    memcpy(a->tail->set.mean, a->index->set.mean, SCRIPTS * v->dim * sizeof(float));
    return add_rest(s, v, held, rest, n, a->tail, a->slot[1], NULL);
}

bool nearby_attach(struct store *s, const struct snapshot *v)
{
    struct nearby *a = &s->nearby;
    struct buf path = BUF_INIT;
    struct held *held = NULL;
    uint32_t *rest = NULL;
    size_t n_rest = 0;
    nearby_release(a);
    bool ok = v->n >= s->exact_below && path_of(s, &path) &&
              vindex_open(path.data, &a->index, NULL) == SOOTH_OK && believable(s, v, a->index);
    if (ok) {
        held = held_list(v);
        rest = mem_array(v->n + 1, sizeof *rest);
        a->slot[0] = mem_array(a->index->set.n + 1, sizeof(uint32_t));
        ok = held && rest && a->slot[0];
    }
    if (ok) {
        size_t alive = compare(&a->index->set, held, v->n, a->slot[0], rest, &n_rest);
        ok = alive >= a->index->set.n / 2 && n_rest <= TAIL_MIN + v->n / TAIL_MOST &&
             attach_tail(s, v, held, rest, n_rest) == SOOTH_OK;
    }
    size_t longer = ok && a->tail->set.n > a->index->set.n ? a->tail->set.n
                    : ok                                   ? a->index->set.n
                                                           : 0;
    ok = ok && (a->allow = mem_alloc(longer + 1)) != NULL;
    if (!ok)
        nearby_release(a);
    mem_free(held);
    mem_free(rest);
    buf_release(&path);
    return ok;
}

/* --- asking
 * ---------------------------------------------------------------------------------------------------
 */

/* One of the two; out has slots. */
static enum sooth_status ask(struct store *s, const struct snapshot *v, int which, enum metric m,
                             const float *query, bool centred, const unsigned char *allow,
                             size_t wide, struct scored *out, size_t *found,
                             struct sooth_error *err)
{
    struct nearby *a = &s->nearby;
    struct vindex *x = which ? a->tail : a->index;
    struct vsearch *search = &a->search[which];
    const struct vindex_row *flat = vindex_row_find("flat"), *row = x->row;
    *found = 0;
    vquery_release(&search->query);
    if (!vquery_init(&search->query, &x->set, m, query, centred))
        return err_nomem(err);
    search->allow = allow ? a->allow : NULL;
    search->allowed = 0;
    search->effort = 2 * wide;
    for (size_t i = 0; i < x->set.n && allow; i++) {
        a->allow[i] = a->slot[which][i] != FORGOTTEN && allow[a->slot[which][i]];
        search->allowed += a->allow[i];
    }
    if (allow && search->allowed == 0)
        return SOOTH_OK;
    if (allow && (search->allowed <= PRE_MIN || search->allowed <= x->set.n / PRE_SHARE))
        row = flat;
    enum sooth_status status = row->search(x, search, wide, out, found, err);
    size_t could = allow ? search->allowed : x->set.n;
    if (status == SOOTH_OK && row != flat && *found < wide && *found < could)
        status = flat->search(x, search, wide, out, found, err); /* the filter lies off the walk */
    for (size_t i = 0; i < *found; i++)
        out[i].slot = a->slot[which][out[i].slot];
    return status;
}

enum sooth_status nearby_search(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, bool centred, const unsigned char *allow,
                                size_t wide, struct scored *out, size_t *found,
                                struct sooth_error *err)
{
    size_t n = 0, more = 0;
    struct scored *both = mem_array(2 * wide + 1, sizeof *both);
    enum sooth_status status = both ? SOOTH_OK : err_nomem(err);
    *found = 0;
    if (status == SOOTH_OK)
        status = ask(s, v, 0, m, query, centred, allow, wide, both, &n, err);
    if (status == SOOTH_OK)
        status = ask(s, v, 1, m, query, centred, allow, wide, both + n, &more, err);
    if (status == SOOTH_OK) {
        best_sort(both, n + more);
        *found = n + more < wide ? n + more : wide;
        memcpy(out, both, *found * sizeof *out);
    }
    mem_free(both);
    return status;
}

/* --- keeping it up
 * --------------------------------------------------------------------------------------------
 */

/* The index of the file when it can be gone on with, else a new one. */
static enum sooth_status begin(struct store *s, const struct snapshot *v, const char *path,
                               struct vindex **out, struct sooth_error *err)
{
    if (vindex_open(path, out, NULL) == SOOTH_OK) {
        if (believable(s, v, *out) && (*out)->set.n >= v->n / 2)
            return vindex_thaw(*out, err);
        vindex_free(*out);
    }
    return vindex_new(vindex_row_find("hnsw"), METRIC_COSINE, v->dim, out, err);
}

/* Adds what is missing. *changed false: the file is good as it is. */
static enum sooth_status bring_up(struct store *s, const struct snapshot *v, struct vindex **px,
                                  bool tidy, bool *changed, struct sooth_error *err)
{
    struct vindex *x = *px;
    struct held *held = held_list(v);
    uint32_t *rest = mem_array(v->n + 1, sizeof *rest),
             *slot = mem_array(x->set.n + 1, sizeof *slot);
    size_t n_rest = 0, old = x->set.n;
    enum sooth_status status = held && rest && slot ? SOOTH_OK : err_nomem(err);
    size_t alive = status == SOOTH_OK ? compare(&x->set, held, v->n, slot, rest, &n_rest) : 0;
    bool late = n_rest > 0 && old > 0 && held[rest[0]].chunk < x->set.id[old - 1];
    if (status == SOOTH_OK && old > 0 && (late || alive < old - old / 5 || (tidy && alive < old))) {
        vindex_free(x);
        *px = NULL;
        status = vindex_new(vindex_row_find("hnsw"), METRIC_COSINE, v->dim, px, err);
        x = *px;
        old = 0;
        n_rest = v->n;
        for (size_t i = 0; i < v->n; i++)
            rest[i] = (uint32_t)i;
    }
    *changed = n_rest > 0 && (tidy || old == 0 || n_rest > TAIL_MIN + v->n / TAIL_SHARE);
    if (status == SOOTH_OK && *changed && !vindex_reserve(x, n_rest))
        status = err_nomem(err);
    if (status == SOOTH_OK && *changed)
        status = add_rest(s, v, held, rest, n_rest, x, NULL, err);
    if (status == SOOTH_OK && old == 0 && s->embedder.centres)
        vset_centre(&x->set);
    mem_free(held);
    mem_free(rest);
    mem_free(slot);
    return status;
}

static enum sooth_status refresh(struct store *s, const struct snapshot *v, unsigned threads,
                                 bool tidy, const char *path, struct sooth_error *err)
{
    struct vindex *x = NULL;
    bool changed = false;
    enum sooth_status status = begin(s, v, path, &x, err);
    if (status == SOOTH_OK)
        status = bring_up(s, v, &x, tidy, &changed, err);
    if (status == SOOTH_OK && changed) {
        struct pool *pool = pool_new(threads);
        status = x->row->join(x, pool, err);
        pool_free(pool);
        x->generation = v->generation;
        x->fingerprint = fingerprint_of(s);
        if (status == SOOTH_OK)
            status = vindex_save(x, path, err);
    }
    vindex_free(x);
    return status;
}

enum sooth_status store_index_refresh(struct store *s, unsigned threads, bool tidy,
                                      struct sooth_error *err)
{
    const struct snapshot *v;
    struct buf path = BUF_INIT;
    int64_t ever = 0; /* passages: a bound that costs nothing */
    enum sooth_status status = store_read_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = sql_number(s, "SELECT seq FROM sqlite_sequence WHERE name = 'chunks'", &ever, err);
    if (status != SOOTH_OK || ((uint64_t)ever < s->exact_below && (uint64_t)ever < s->words_from))
        return store_end(s, true, NULL), status;
    status = store_snapshot(s, false, &v, err);
    if (status == SOOTH_OK && !path_of(s, &path))
        status = err_nomem(err);
    if (status == SOOTH_OK && v->n < s->exact_below)
        unlink(path.data);
    else if (status == SOOTH_OK && s->embedder.dim > 0) {
        s->snapshot.dim = s->embedder.dim;
        status = refresh(s, v, threads, tidy, path.data, err);
        nearby_release(&s->nearby);
    }
    if (status == SOOTH_OK)
        status = words_refresh(s, v, tidy, err);
    s->have_snapshot = false; /* the next search looks at the new files */
    store_end(s, true, NULL);
    buf_release(&path);
    return status;
}
