/* vindex_hnsw.c: hierarchical navigable small worlds (Malkov and Yashunin, TPAMI 2018).
 *
 * A graph in which every vector knows a few near ones in different directions: walking always to
 * the neighbour nearest to the question ends near the answer. Sparse graphs above it (a vector is
 * on level l with probability 24^-l) give the walk a start that is near already.
 *
 *   search(q):  from the entry down, greedily, to level 1; on level 0 keep the `ef` best seen,
 *               expand the best one not yet expanded, until none of the kept is left unexpanded
 *   insert(p):  search p on each of its levels with a beam of BUILD_EF; link to those found that
 *               are nearer to p than to any link already chosen; link them back, prune the same way
 *
 * What differs from the paper:
 * - Scores are 8-bit products (vset.h): a quarter of the memory traffic. The last EF_FINE of a
 *   search are ordered by 12 bits.
 * - Building is parallel and still the same on any number of threads: points join in rounds of at
 *   most 1/32 of what is there. All points of a round search the graph as it stood before the round
 *   (reading only); then links are set and every neighbour that got new ones is pruned on its own.
 *   (The idea of rounds: Manohar et al., "ParlayANN", PPoPP 2024.)  The level of a point comes
 *   from its number, not from a generator.
 * - Deleted vectors stay in the graph to be walked through and are never returned; a filter works
 *   the same way, with a beam that is wider by the inverse of the share admitted.
 *
 *   links0 [n][M0] u32, NONE behind the last      up[l]: node [count], below [count] (place on the
 *                                                 level below), links [count][M] in places of l
 *
 * What it leaves out: removing links to the dead (the store builds anew when many are). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/index/storedb.h"
#include "know/index/vindex.h"

enum { M = 16, M0 = 24, SPARSER = 24, BUILD_EF = 96, SEARCH_EF = 96, LEVELS = 12, ROUND_SHARE = 32 };
enum { ROUND_MAX = 8192, EF_FINE = 40 };
#define NONE UINT32_MAX

struct upper {
    size_t count, cap;
    uint32_t *node;  /* [count] number of the vector */
    uint32_t *below; /* [count] its place on the level below (level 1: its number) */
    uint32_t *links; /* [count][M] */
};

struct hnsw {
    uint32_t *links0; /* [joined][M0] */
    size_t cap;
    struct upper up[LEVELS]; /* [0] unused */
    size_t top;              /* highest level that has a vector */
    uint32_t entry;          /* its place there */
};

struct near { /* the sign bit of `at` marks the expanded */
    float score;
    uint32_t at;
};
#define EXPANDED 0x80000000u

/* --- one level
 * ------------------------------------------------------------------------------------------------
 */

struct level { /* one level as a search sees it */
    const uint32_t *links;
    const uint32_t *node; /* NULL on level 0: a place is a number */
    size_t width;
};

static struct level level_of(const struct hnsw *h, size_t l)
{
    if (l == 0)
        return (struct level){h->links0, NULL, M0};
    return (struct level){h->up[l].links, h->up[l].node, M};
}

static inline uint32_t node_at(const struct level *l, uint32_t place)
{
    return l->node ? l->node[place] : place;
}

static inline void prefetch(const struct vset *s, uint32_t node)
{
    const char *p = (const char *)s->code + (size_t)node * s->dim;
    for (size_t i = 0; i < s->dim; i += 64)
        __builtin_prefetch(p + i);
    __builtin_prefetch(&s->info[node]);
}

/* Greedy: to the place of the level that no link of its own improves on. */
static uint32_t descend(const struct vset *s, const struct level *l, const struct vquery *q,
                        uint32_t place)
{
    float best = vquery_rough(q, node_at(l, place));
    for (bool better = true; better;) {
        const uint32_t *links = l->links + (size_t)place * l->width;
        uint32_t nodes[M0];
        float scores[M0];
        size_t count = 0;
        better = false;
        for (; count < l->width && links[count] != NONE; count++) {
            nodes[count] = node_at(l, links[count]);
            prefetch(s, nodes[count]);
        }
        vquery_some(q, nodes, count, scores);
        for (size_t i = 0; i < count; i++)
            if (scores[i] > best) {
                best = scores[i];
                place = links[i];
                better = true;
            }
    }
    return place;
}

/* Puts one into the sorted pool of at most ef; the place it got, or ef when it is not wanted. */
static size_t pool_insert(struct near *pool, size_t *n, size_t ef, struct near item)
{
    size_t lo = 0, hi = *n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (pool[mid].score > item.score ||
            (pool[mid].score == item.score && (pool[mid].at & ~EXPANDED) < item.at))
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo >= ef)
        return ef;
    size_t keep = *n < ef ? *n : ef - 1;
    memmove(pool + lo + 1, pool + lo, (keep - lo) * sizeof *pool);
    pool[lo] = item;
    *n = keep + 1;
    return lo;
}

/* The beam search of one level: pool gets the ef best that were seen, best first. */
static size_t beam(const struct vset *s, const struct level *l, const struct vquery *q,
                   struct vsearch *v, uint32_t start, size_t ef, struct near *pool)
{
    uint32_t fresh[M0], nodes[M0];
    float scores[M0];
    size_t n = 0, at = 0;
    if (++v->stamp == 0) {
        memset(v->seen, 0, s->n);
        v->stamp = 1;
    }
    v->seen[node_at(l, start)] = v->stamp;
    pool_insert(pool, &n, ef, (struct near){vquery_rough(q, node_at(l, start)), start});
    while (at < n) {
        if (pool[at].at & EXPANDED) {
            at++;
            continue;
        }
        const uint32_t *links = l->links + (size_t)pool[at].at * l->width;
        size_t count = 0, first = ++at;
        pool[at - 1].at |= EXPANDED;
        for (size_t i = 0; i < l->width && links[i] != NONE; i++) {
            uint32_t node = node_at(l, links[i]);
            if (v->seen[node] == v->stamp)
                continue;
            v->seen[node] = v->stamp;
            fresh[count] = links[i];
            nodes[count++] = node;
            prefetch(s, node);
        }
        vquery_some(q, nodes, count, scores);
        for (size_t i = 0; i < count; i++) {
            if (n == ef && scores[i] <= pool[n - 1].score)
                continue;
            size_t place = pool_insert(pool, &n, ef, (struct near){scores[i], fresh[i]});
            __builtin_prefetch(l->links + (size_t)fresh[i] * l->width);
            first = place < first ? place : first;
        }
        at = first;
    }
    for (size_t i = 0; i < n; i++)
        pool[i].at &= ~EXPANDED;
    return n;
}

/* From the entry to the level above `level`; the place to start from on it. */
static uint32_t approach(const struct vset *s, const struct hnsw *h, const struct vquery *q,
                         size_t level)
{
    uint32_t place = h->entry;
    for (size_t l = h->top; l > level; l--) {
        struct level up = level_of(h, l);
        place = h->up[l].below[descend(s, &up, q, place)];
    }
    return place;
}

/* --- building
 * -------------------------------------------------------------------------------------------------
 */

static size_t level_wanted(int64_t id)
{
    uint64_t x = (uint64_t)id * 0x9E3779B97F4A7C15u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    double u = ((double)(x >> 11) + 0.5) / 9007199254740992.0;
    size_t level = (size_t)(-log(u) / log(SPARSER));
    return level < LEVELS ? level : LEVELS - 1;
}

/* Keeps of the candidates (best first) up to `width` that are nearer to the point than to any kept
 * before; then fills with the best of the rest. */
static size_t choose(const struct vset *s, const float *mid, const struct level *l,
                     const struct near *from, size_t n, size_t width, uint32_t *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < width; i++) {
        bool good = true;
        for (size_t j = 0; j < kept && good; j++)
            good = vset_pair(s, mid, node_at(l, from[i].at), node_at(l, out[j])) < from[i].score;
        if (good)
            out[kept++] = from[i].at;
    }
    size_t wanted = width / 2;
    for (size_t i = 0; i < n && kept < wanted; i++) {
        bool have = false;
        for (size_t j = 0; j < kept; j++)
            have |= out[j] == from[i].at;
        if (!have)
            out[kept++] = from[i].at;
    }
    return kept;
}

struct joiner { /* one point of a round: its links on each level, as places */
    uint32_t node, place[LEVELS];
    size_t level;
    uint32_t count[LEVELS];
    uint32_t links[LEVELS][M];
    uint32_t links0[M0];
};

struct back { /* a link to be set at `to`, on `level` */
    uint32_t level, to, from;
};

struct round {
    struct vindex *x;
    struct hnsw *h;
    float *mid;
    struct vsearch *searches; /* one a worker */
    struct joiner *points;
    size_t count;
    struct back *backs;
    size_t *starts; /* first link of each target */
    size_t n_backs, targets;
    bool failed;
};

/* The point as a question whose scores are what vset_pair gives, but for rounding. */
static bool point_query(struct round *r, uint32_t node, struct vquery *q)
{
    const struct vset *s = &r->x->set;
    bool cosine = s->metric == METRIC_COSINE;
    const float *mean = s->mean + (size_t)s->info[node].group * s->dim;
    float *x = mem_array(s->dim + 1, sizeof *x);
    if (!x)
        return false;
    for (size_t j = 0; j < s->dim; j++)
        x[j] = s->info[node].step * (float)s->code[(size_t)node * s->dim + j] -
               (cosine ? mean[j] : 0);
    bool ok = vquery_init(q, s, s->metric, x, cosine);
    if (cosine) {
        q->step *= s->info[node].gain;
        for (size_t g = 0; g < SCRIPTS; g++)
            q->offset[g] *= s->info[node].gain;
    }
    mem_free(x);
    return ok;
}

static void point_search(void *ctx, size_t tile, unsigned worker)
{
    struct round *r = ctx;
    struct joiner *p = &r->points[tile];
    struct vsearch *v = &r->searches[worker];
    const struct vset *s = &r->x->set;
    struct vquery q = {0};
    if (!point_query(r, p->node, &q)) {
        r->failed = true;
        vquery_release(&q);
        return;
    }
    size_t top = p->level < r->h->top ? p->level : r->h->top;
    uint32_t start = approach(s, r->h, &q, top);
    struct near *pool = v->pool;
    for (size_t l = top + 1; l-- > 0;) {
        struct level level = level_of(r->h, l);
        size_t n = beam(s, &level, &q, v, start, BUILD_EF, pool);
        uint32_t *out = l ? p->links[l] : p->links0;
        p->count[l] = (uint32_t)choose(s, r->mid, &level, pool, n, l ? M : M0, out);
        start = l ? r->h->up[l].below[pool[0].at] : 0;
    }
    vquery_release(&q);
}

static int back_order(const void *a, const void *b)
{
    const struct back *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static int near_order(const void *a, const void *b)
{
    const struct near *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* One target: its old links and the new ones, pruned when they are too many. */
static void target_link(void *ctx, size_t tile, unsigned worker)
{
    struct round *r = ctx;
    size_t from = r->starts[tile], to = r->starts[tile + 1];
    const struct back *b = &r->backs[from];
    struct level l = level_of(r->h, b->level);
    uint32_t *links = (uint32_t *)l.links + (size_t)b->to * l.width;
    size_t have = 0;
    (void)worker;
    while (have < l.width && links[have] != NONE)
        have++;
    if (have + (to - from) <= l.width) {
        for (size_t i = from; i < to; i++)
            links[have++] = r->backs[i].from;
        return;
    }
    size_t n = 0, all = have + (to - from);
    struct near *list = mem_array(all, sizeof *list);
    if (!list) {
        r->failed = true;
        return;
    }
    uint32_t node = node_at(&l, b->to);
    for (size_t i = 0; i < all; i++) {
        uint32_t at = i < have ? links[i] : r->backs[from + i - have].from;
        list[n++] = (struct near){vset_pair(&r->x->set, r->mid, node, node_at(&l, at)), at};
    }
    qsort(list, n, sizeof *list, near_order);
    size_t kept = choose(&r->x->set, r->mid, &l, list, n, l.width, links);
    for (size_t i = kept; i < l.width; i++)
        links[i] = NONE;
    mem_free(list);
}

static bool upper_room(struct upper *u, size_t need)
{
    if (need <= u->cap)
        return true;
    size_t cap = need * 2 + 16;
    uint32_t *node = mem_realloc(u->node, cap, sizeof *node);
    u->node = node ? node : u->node;
    uint32_t *below = mem_realloc(u->below, cap, sizeof *below);
    u->below = below ? below : u->below;
    uint32_t *links = mem_realloc(u->links, cap * M, sizeof *links);
    u->links = links ? links : u->links;
    if (!node || !below || !links)
        return false;
    u->cap = cap;
    return true;
}

/* The rows of a round's points, still without links. */
static bool round_places(struct round *r)
{
    struct hnsw *h = r->h;
    for (size_t i = 0; i < r->count; i++) {
        struct joiner *p = &r->points[i];
        p->place[0] = p->node;
        memset(h->links0 + (size_t)p->node * M0, 0xFF, M0 * sizeof *h->links0);
        for (size_t l = 1; l <= p->level; l++) {
            struct upper *u = &h->up[l];
            if (!upper_room(u, u->count + 1))
                return false;
            p->place[l] = (uint32_t)u->count;
            u->node[u->count] = p->node;
            u->below[u->count] = p->place[l - 1];
            memset(u->links + u->count * M, 0xFF, M * sizeof *u->links);
            u->count++;
        }
    }
    return true;
}

static bool round_links(struct round *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        for (size_t l = 0; l <= r->points[i].level; l++)
            n += r->points[i].count[l];
    r->backs = mem_array(n + 1, sizeof *r->backs);
    r->starts = mem_array(n + 2, sizeof *r->starts);
    if (!r->backs || !r->starts)
        return false;
    r->n_backs = r->targets = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct joiner *p = &r->points[i];
        for (size_t l = 0; l <= p->level; l++) {
            struct level level = level_of(r->h, l);
            uint32_t *links = (uint32_t *)level.links + (size_t)p->place[l] * level.width;
            const uint32_t *out = l ? p->links[l] : p->links0;
            memcpy(links, out, p->count[l] * sizeof *links);
            for (size_t k = 0; k < p->count[l]; k++)
                r->backs[r->n_backs++] = (struct back){(uint32_t)l, out[k], p->place[l]};
        }
    }
    if (n)
        qsort(r->backs, n, sizeof *r->backs, back_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || r->backs[i].level != r->backs[i - 1].level ||
            r->backs[i].to != r->backs[i - 1].to)
            r->starts[r->targets++] = i;
    r->starts[r->targets] = n;
    return true;
}

static bool round_run(struct round *r, size_t from, size_t count, struct pool *threads)
{
    struct hnsw *h = r->h;
    r->count = count;
    for (size_t i = 0; i < count; i++) {
        struct joiner *p = &r->points[i];
        memset(p->count, 0, sizeof p->count);
        p->node = (uint32_t)(from + i);
        p->level = level_wanted(r->x->set.id[p->node]);
    }
    if (from > 0)
        pool_run(threads, count, point_search, r);
    if (r->failed || !round_places(r) || !round_links(r))
        return false;
    pool_run(threads, r->targets, target_link, r);
    mem_free(r->backs);
    mem_free(r->starts);
    r->backs = NULL;
    r->starts = NULL;
    for (size_t l = h->top; l < LEVELS; l++)
        if (l == 0 ? from == 0 : h->up[l].count > 0 && h->top < l) {
            h->top = l;
            h->entry = 0; /* the first that came to this level */
        }
    return !r->failed;
}

static struct hnsw *hnsw_ready(struct vindex *x)
{
    if (!x->own)
        x->own = mem_calloc(1, sizeof(struct hnsw));
    struct hnsw *h = x->own;
    if (!h || x->set.n <= h->cap)
        return h;
    uint32_t *links = mem_realloc(h->links0, x->set.n * M0, sizeof *links);
    if (!links)
        return NULL;
    h->links0 = links;
    h->cap = x->set.n;
    return h;
}

static enum sooth_status hnsw_join(struct vindex *x, struct pool *threads, struct sooth_error *err)
{
    unsigned workers = pool_threads(threads);
    struct round r = {.x = x, .h = hnsw_ready(x)};
    if (x->set.n >= EXPANDED)
        return err_set(err, SOOTH_ERR_LIMIT, "%zu vectors are too many for one graph", x->set.n);
    size_t widest = x->set.n / ROUND_SHARE + 1;
    widest = widest < ROUND_MAX ? widest : ROUND_MAX;
    r.points = mem_array(widest, sizeof *r.points);
    r.searches = mem_calloc(workers, sizeof *r.searches);
    r.mid = vset_middles(&x->set);
    bool ok = r.h && r.points && r.searches && r.mid;
    for (unsigned i = 0; i < workers && ok; i++)
        ok = vsearch_ready(&r.searches[i], &x->set, BUILD_EF, sizeof(struct near));
    while (ok && x->joined < x->set.n) {
        size_t count = x->joined / ROUND_SHARE + 1;
        count = count < widest ? count : widest;
        count = count < x->set.n - x->joined ? count : x->set.n - x->joined;
        ok = round_run(&r, x->joined, count, threads);
        x->joined += ok ? count : 0;
    }
    for (unsigned i = 0; i < workers && r.searches; i++)
        vsearch_release(&r.searches[i]);
    mem_free(r.searches);
    mem_free(r.points);
    mem_free(r.backs);
    mem_free(r.starts);
    mem_free(r.mid);
    return ok ? SOOTH_OK : err_nomem(err);
}

/* --- searching
 * ------------------------------------------------------------------------------------------------
 */

static enum sooth_status hnsw_search(const struct vindex *x, struct vsearch *v, size_t k,
                                     struct scored *out, size_t *found, struct sooth_error *err)
{
    const struct hnsw *h = x->own;
    const struct vset *s = &x->set;
    size_t ef = v->effort ? v->effort : SEARCH_EF;
    *found = 0;
    if (x->joined == 0 || k == 0)
        return SOOTH_OK;
    ef = ef < k ? k : ef;
    if (v->allow && v->allowed > 0) /* as many more as it takes for ef of them to be admitted */
        ef = (size_t)((double)ef * (double)s->n / (double)v->allowed) + 1;
    ef = ef < x->joined ? ef : x->joined;
    if (!vsearch_ready(v, s, ef + 1, sizeof(struct near)))
        return err_nomem(err);
    struct near *pool = v->pool;
    struct level ground = level_of(h, 0);
    size_t n = beam(s, &ground, &v->query, v, approach(s, h, &v->query, 0), ef, pool), kept = 0;
    size_t fine = k + EF_FINE; /* the others cannot be among the first k */
    for (size_t i = 0; i < n && kept < fine; i++)
        if (!s->dead[pool[i].at] && (!v->allow || v->allow[pool[i].at]))
            pool[kept++] = (struct near){vquery_fine(&v->query, pool[i].at), pool[i].at};
    qsort(pool, kept, sizeof *pool, near_order);
    for (; *found < k && *found < kept; ++*found)
        out[*found] = (struct scored){pool[*found].at, (double)pool[*found].score};
    return SOOTH_OK;
}

/* --- the file
 * -------------------------------------------------------------------------------------------------
 */

enum { PARTS = 3 };
static const char *const part_names[PARTS] = {"node-", "below-", "links-"};

static void part_name(size_t part, size_t level, char out[8])
{
    size_t n = strlen(part_names[part]);
    memset(out, 0, 8);
    memcpy(out, part_names[part], n);
    out[n] = (char)('a' + level);
}

static size_t hnsw_sections(const struct vindex *x, struct section *out)
{
    const struct hnsw *h = x->own;
    size_t n = 0;
    if (!h)
        return 0;
    out[n++] = (struct section){"links0", h->links0, x->joined * M0 * sizeof *h->links0};
    for (size_t l = 1; l <= h->top; l++) {
        const struct upper *u = &h->up[l];
        const void *data[PARTS] = {u->node, u->below, u->links};
        for (size_t k = 0; k < PARTS; k++) {
            part_name(k, l, out[n].name);
            out[n].data = data[k];
            out[n++].bytes = u->count * sizeof(uint32_t) * (k == 2 ? M : 1);
        }
    }
    return n;
}

static bool links_below(const uint32_t *links, size_t n, size_t width, uint32_t limit)
{
    bool ok = true;
    for (size_t i = 0; i < n * width; i++)
        ok &= links[i] < limit || links[i] == NONE;
    return ok;
}

static bool all_below(const uint32_t *list, size_t n, size_t limit)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= list[i] < limit;
    return ok;
}

static bool attach_level(struct vindex *x, struct hnsw *h, size_t l, const struct section *in,
                         size_t n)
{
    char names[PARTS][8];
    struct upper *u = &h->up[l];
    for (size_t k = 0; k < PARTS; k++)
        part_name(k, l, names[k]);
    const struct section *s = section_get(in, n, names[0]);
    if (!s || s->bytes == 0)
        return false;
    u->count = s->bytes / sizeof *u->node;
    u->node = (uint32_t *)section_find(in, n, names[0], u->count * sizeof *u->node);
    u->below = (uint32_t *)section_find(in, n, names[1], u->count * sizeof *u->below);
    u->links = (uint32_t *)section_find(in, n, names[2], u->count * M * sizeof *u->links);
    return u->node && u->below && u->links && all_below(u->node, u->count, x->joined) &&
           all_below(u->below, u->count, l == 1 ? x->joined : h->up[l - 1].count) &&
           links_below(u->links, u->count, M, (uint32_t)u->count);
}

static enum sooth_status hnsw_attach(struct vindex *x, const struct section *in, size_t n,
                                     struct sooth_error *err)
{
    struct hnsw *h = x->own = mem_calloc(1, sizeof *h);
    if (!h)
        return err_nomem(err);
    size_t levels = n > 0 ? (n - 1) / PARTS : 0;
    h->links0 = (uint32_t *)section_find(in, n, "links0", x->joined * M0 * sizeof *h->links0);
    bool ok = h->links0 && levels < LEVELS && n == 1 + PARTS * levels && x->joined < EXPANDED &&
              links_below(h->links0, x->joined, M0, (uint32_t)x->joined);
    for (size_t l = 1; l <= levels && ok; l++)
        ok = attach_level(x, h, l, in, n);
    h->top = levels;
    return ok ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "its graph does not hold together");
}

static bool copy(uint32_t **p, size_t count)
{
    *p = count ? mem_dup(*p, count * sizeof **p) : NULL;
    return *p || count == 0;
}

static bool hnsw_thaw(struct vindex *x)
{
    struct hnsw *h = x->own;
    bool ok = copy(&h->links0, x->joined * M0);
    h->cap = x->joined;
    for (size_t l = 1; l < LEVELS; l++) {
        struct upper *u = &h->up[l];
        ok &= copy(&u->node, u->count);
        ok &= copy(&u->below, u->count);
        ok &= copy(&u->links, u->count * M);
        u->cap = u->count;
    }
    return ok;
}

static void hnsw_release(struct vindex *x)
{
    struct hnsw *h = x->own;
    for (size_t l = 0; h && !x->mapped && l < LEVELS; l++) {
        mem_free(h->up[l].node);
        mem_free(h->up[l].below);
        mem_free(h->up[l].links);
    }
    if (h && !x->mapped)
        mem_free(h->links0);
    mem_free(h);
}

const struct vindex_row vindex_hnsw = {
    .name = "hnsw",
    .about = "a graph of near neighbours, walked towards the question",
    .join = hnsw_join,
    .search = hnsw_search,
    .sections = hnsw_sections,
    .attach = hnsw_attach,
    .thaw = hnsw_thaw,
    .release = hnsw_release,
};
