/* kb_search.c: from a question to ranked passages.
 *
 *   question -+-> aligned vectors, best `deep` --+-> RRF -> candidates -> evidence -> late
 * interaction over 24 -> k windows
 *             +-> BM25,            best `deep` --+
 *
 * Passages are small, because one vector tells little about much text; what comes back is a passage
 * with its neighbours, because an answer often stands in the next sentence.
 *
 * Fusion by ranks decides who is a candidate; how good a candidate is depends on how much evidence
 * there is, which ranks forget: a question in one language finds nothing but noise by words in
 * documents of the other, and the noise has a rank 1 too. So candidates are ordered by evidence =
 * aligned cosine (align.c) + BM25 / its ceiling  [+ RERANK_WEIGHT * late interaction] whose parts
 * are near 0 when they say nothing. The mode "vector" ranks by the store's metric alone, "text" by
 * BM25.
 *
 * Three numbers, each bounded: candidates (what fusion ranked), reranked (what late interaction
 * read), k (what comes back). Everything is read in one transaction: a search sees the store at one
 * moment.
 *
 * `score` is the store's similarity (vector.c), whatever the mode ranked by. In hybrid mode, where
 * a passage may be first for its words, a passage shows the best similarity from its own rank on
 * down, so that scores never rise down the list and never exceed a similarity that was measured;
 * vector_score has the passage's own. In text mode the score is the BM25 score divided by its
 * ceiling: the share of the question's weight that the passage covers.
 *
 * Passages of identical text (the same file twice) are one hit; its `also` names the other
 * documents. A passage that an earlier window shows is not shown again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "know/retrieve/graph.h"
#include "know/retrieve/kbase.h"
#include "know/retrieve/rewrite.h"
#include "know/retrieve/table_ask.h"

enum { DEEP_MIN = 100, DEEP_EACH = 4, RERANK_MAX = 24, K_DEFAULT = 10, K_MAX = 100000 };
enum { WINDOW_BYTES = 1800, WINDOW_PASSAGES = 5 }; /* a hit and its neighbours */
#define TEXT_WEIGHT 1.0                            /* of BM25 / ceiling beside the aligned cosine */
#define RERANK_WEIGHT 0.5                          /* of late interaction */
#define HALF 0.5                                   /* of the first one's evidence */
enum { CHOOSE_MAX = 20 };                          /* passages an adaptive k looks at */

struct candidate {
    uint32_t slot;
    double order;                /* what the list is sorted by */
    double vector, text, rerank; /* NAN where the stage did not see it */
    uint32_t vector_rank, text_rank;
    double derived; /* best evidence of the derived queries */
};

struct search {
    struct sooth_kb *kb;
    const struct sooth_search_options *o;
    const char *query;
    size_t query_len, k, deep;
    const struct embedder *e;
    float *vector; /* of the question; NULL in text mode */
    const struct snapshot *v;
    unsigned char *allow;
    struct candidate *list;
    size_t n, reranked;
    double ceiling;
    const struct rewrite_row *rewrite; /* or NULL */
    VEC(char *) queries;
    struct sooth_error *err;
};

void sooth_search_options_init(struct sooth_search_options *o)
{
    *o = (struct sooth_search_options){
        .mode = SOOTH_SEARCH_HYBRID, .min_score = -INFINITY, .rerank = true, .windows = true};
}

static int by_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->order != y->order)
        return x->order > y->order ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static enum sooth_status embed_query(struct search *s)
{
    s->vector = mem_array(s->e->dim, sizeof *s->vector);
    return s->vector ? s->e->embed(s->e, true, &s->query, &s->query_len, 1, s->vector, s->err)
                     : err_nomem(s->err);
}

/* --- stages
 * ---------------------------------------------------------------------------------------------------
 */

static enum sooth_status run_lists(struct search *s, struct scored *by_vector, size_t *n_vector,
                                   struct scored *by_text, size_t *n_text)
{
    struct store *st = s->kb->store;
    enum sooth_status status = SOOTH_OK;
    *n_vector = *n_text = 0;
    if (s->o->mode == SOOTH_SEARCH_HYBRID)
        status = aligned_search(st, s->v, s->vector, script_of(s->query, s->query_len), s->allow,
                                s->deep, by_vector, n_vector, s->err);
    else if (s->o->mode == SOOTH_SEARCH_VECTOR)
        status = vector_search(st, s->v, s->kb->metric, s->vector, s->allow, s->deep, by_vector,
                               n_vector, s->err);
    if (status == SOOTH_OK && s->o->mode != SOOTH_SEARCH_VECTOR)
        status = text_search(st, s->v, bm25_find(NULL), s->query, s->query_len, s->allow, s->deep,
                             by_text, n_text, &s->ceiling, s->err);
    return status;
}

/* The similarities of the candidates from there on, whichever list found them. */
static enum sooth_status measure(struct search *s, size_t from)
{
    size_t n = s->n - from;
    struct candidate *list = s->list + from;
    uint32_t *slots = mem_array(n + 1, sizeof *slots);
    double *plain = mem_array(n + 1, sizeof *plain),
           *aligned = mem_array(n + 1, sizeof *aligned);
    enum sooth_status status = slots && plain && aligned ? SOOTH_OK : err_nomem(s->err);
    for (size_t i = 0; i < n && slots; i++)
        slots[i] = list[i].slot;
    if (status == SOOTH_OK)
        status =
            vector_scores(s->kb->store, s->v, s->kb->metric, s->vector, slots, n, plain, s->err);
    if (status == SOOTH_OK)
        status = aligned_scores(s->kb->store, s->v, s->vector, script_of(s->query, s->query_len),
                                slots, n, aligned, s->err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        struct candidate *c = &list[i];
        c->vector = plain[i];
        if (s->o->fusion == SOOTH_FUSE_EVIDENCE)
            c->order =
                (isnan(aligned[i]) ? 0 : aligned[i]) + TEXT_WEIGHT * (isnan(c->text) ? 0 : c->text);
    }
    mem_free(slots);
    mem_free(plain);
    mem_free(aligned);
    return status;
}

static enum sooth_status fill_list(struct search *s, const struct scored *by_vector,
                                   const struct scored *by_text, const struct fused *fused)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < s->n; i++) {
        const struct fused *f = &fused[i];
        struct candidate *c = &s->list[i];
        *c = (struct candidate){f->slot, f->score, NAN, NAN, NAN, f->rank[0], f->rank[1], 0};
        if (s->o->mode == SOOTH_SEARCH_VECTOR)
            c->vector = by_vector[f->rank[0] - 1].score;
        if (f->rank[1])
            c->text = s->ceiling > 0 ? by_text[f->rank[1] - 1].score / s->ceiling : 0;
    }
    if (s->o->mode == SOOTH_SEARCH_HYBRID)
        status = measure(s, 0);
    if (status == SOOTH_OK && s->o->mode == SOOTH_SEARCH_HYBRID)
        qsort(s->list, s->n, sizeof *s->list, by_order);
    return status;
}

/* Lists, fusion, candidates in order. */
static enum sooth_status gather(struct search *s)
{
    size_t n_vector, n_text, deep = s->deep;
    struct scored *by_vector = mem_array(deep, sizeof *by_vector),
                  *by_text = mem_array(deep, sizeof *by_text);
    struct fused *fused = mem_array(2 * deep, sizeof *fused);
    s->list = mem_array(2 * deep, sizeof *s->list);
    enum sooth_status status = by_vector && by_text && fused && s->list ? SOOTH_OK
                                                                        : err_nomem(s->err);
    if (status == SOOTH_OK)
        status = run_lists(s, by_vector, &n_vector, by_text, &n_text);
    if (status == SOOTH_OK) {
        s->n = s->o->fusion == SOOTH_FUSE_RELATIVE
                   ? fuse_relative(by_vector, n_vector, 1, by_text, n_text, 1, fused)
                   : fuse_rrf(by_vector, n_vector, 1, by_text, n_text, 1, fused);
        status = fill_list(s, by_vector, by_text, fused);
    }
    mem_free(by_vector);
    mem_free(by_text);
    mem_free(fused);
    return status;
}

/* --- derived queries
 * -------------------------------------------------------------------------------------------- */

/* Candidates of one list that are new join the others; at[slot] is their place + 1. */
static bool join_list(struct search *s, const struct scored *list, size_t n, uint32_t *at)
{
    for (size_t i = 0; i < n; i++) {
        if (at[list[i].slot])
            continue;
        struct candidate *grown = s->n % 64 ? s->list : mem_realloc(s->list, s->n + 64, sizeof *grown);
        if (!grown)
            return false;
        s->list = grown;
        s->list[s->n] = (struct candidate){list[i].slot, 0, NAN, NAN, NAN, 0, 0, 0};
        at[list[i].slot] = (uint32_t)++s->n;
    }
    return true;
}

/* One derived query: its lists, and its evidence for every candidate. */
static enum sooth_status derived_evidence(struct search *s, const struct derived *d, uint32_t *at,
                                          const float *vector, struct scored *by_vector,
                                          struct scored *by_text)
{
    struct store *st = s->kb->store;
    size_t len = strlen(d->text), n_vector = 0, n_text = 0, before = s->n;
    double ceiling = 0;
    enum script script = script_of(d->text, len);
    enum sooth_status status =
        aligned_search(st, s->v, vector, script, s->allow, s->deep, by_vector, &n_vector, s->err);
    if (status == SOOTH_OK)
        status = text_search(st, s->v, bm25_find(NULL), d->text, len, s->allow, s->deep, by_text,
                             &n_text, &ceiling, s->err);
    if (status == SOOTH_OK && (!join_list(s, by_vector, n_vector, at) || !join_list(s, by_text, n_text, at)))
        status = err_nomem(s->err);
    if (status == SOOTH_OK)
        status = measure(s, before);
    uint32_t *slots = mem_array(s->n + 1, sizeof *slots);
    double *aligned = mem_array(s->n + 1, sizeof *aligned);
    if (status == SOOTH_OK && (!slots || !aligned))
        status = err_nomem(s->err);
    for (size_t i = 0; i < s->n && status == SOOTH_OK; i++)
        slots[i] = s->list[i].slot;
    if (status == SOOTH_OK)
        status = aligned_scores(st, s->v, vector, script, slots, s->n, aligned, s->err);
    for (size_t i = 0; i < n_text && status == SOOTH_OK && ceiling > 0; i++)
        aligned[at[by_text[i].slot] - 1] += TEXT_WEIGHT * by_text[i].score / ceiling;
    for (size_t i = 0; i < s->n && status == SOOTH_OK; i++)
        s->list[i].derived = fmax(s->list[i].derived, isnan(aligned[i]) ? 0 : aligned[i]);
    mem_free(slots);
    mem_free(aligned);
    return status;
}

static enum sooth_status derived_all(struct search *s, struct rewriting *r)
{
    uint32_t *at = mem_calloc(s->v->n + 1, sizeof *at);
    float *own = mem_array(s->e->dim + 1, sizeof *own);
    struct scored *by_vector = mem_array(s->deep + 1, sizeof *by_vector),
                  *by_text = mem_array(s->deep + 1, sizeof *by_text);
    struct candidate *room = mem_realloc(s->list, (s->n / 64 + 1) * 64, sizeof *room);
    s->list = room ? room : s->list;
    enum sooth_status status = at && own && by_vector && by_text && room ? SOOTH_OK : err_nomem(s->err);
    for (size_t i = 0; i < s->n && status == SOOTH_OK; i++)
        at[s->list[i].slot] = (uint32_t)(i + 1);
    for (size_t i = 0; i < r->out.count && status == SOOTH_OK; i++) {
        const struct derived *d = &r->out.items[i];
        size_t len = strlen(d->text);
        const char *text = d->text;
        char *copy = mem_strdup(text);
        if (!copy || !vec_push(&s->queries, copy)) {
            mem_free(copy);
            status = err_nomem(s->err);
            break;
        }
        if (!d->vector)
            status = s->e->embed(s->e, true, &text, &len, 1, own, s->err);
        if (status == SOOTH_OK)
            status = derived_evidence(s, d, at, d->vector ? d->vector : own, by_vector, by_text);
    }
    for (size_t i = 0; i < s->n && status == SOOTH_OK && r->out.count; i++)
        s->list[i].order += s->rewrite->share * (s->list[i].derived - s->list[i].order);
    if (status == SOOTH_OK && r->out.count)
        qsort(s->list, s->n, sizeof *s->list, by_order);
    mem_free(at);
    mem_free(own);
    mem_free(by_vector);
    mem_free(by_text);
    return status;
}

/* What the question found first, for those rewritings that learn from it. */
static enum sooth_status rewrite_search(struct search *s)
{
    struct store_passage passages[16];
    struct feedback best[16];
    size_t n = 0, want = s->rewrite->feedback < 16 ? s->rewrite->feedback : 16;
    struct rewriting r = {.e = s->e, .question = s->query, .vector = s->vector, .best = best,
                          .session = s->o->session, .err = s->err};
    double sum = 0;
    enum sooth_status status = SOOTH_OK;
    arena_init(&r.arena, (size_t)64 << 20);
    for (; n < want && n < s->n && status == SOOTH_OK; n += status == SOOTH_OK) {
        status = store_passage(s->kb->store, s->v->chunk[s->list[n].slot], &passages[n], s->err);
        if (status == SOOTH_OK)
            best[n] = (struct feedback){passages[n].text, passages[n].heading, passages[n].title,
                                        strlen(passages[n].text), fmax(s->list[n].order, 0)};
        sum += status == SOOTH_OK ? best[n].weight : 0;
    }
    for (size_t i = 0; i < n && sum > 0; i++)
        best[i].weight /= sum;
    r.n_best = n;
    if (status == SOOTH_OK)
        status = rewrite_run(s->rewrite, &r);
    if (status == SOOTH_OK)
        status = derived_all(s, &r);
    for (size_t i = 0; i < n; i++)
        store_passage_release(&passages[i]);
    rewrite_release(&r);
    return status;
}

/* Late interaction on the first 24; the others follow in their order. */
static enum sooth_status rerank(struct search *s)
{
    size_t n = s->n < RERANK_MAX ? s->n : RERANK_MAX;
    struct store_passage passages[RERANK_MAX];
    const char *texts[RERANK_MAX];
    size_t lens[RERANK_MAX], have = 0;
    float scores[RERANK_MAX];
    enum sooth_status status = SOOTH_OK;
    for (; have < n && status == SOOTH_OK; have += status == SOOTH_OK) {
        status =
            store_passage(s->kb->store, s->v->chunk[s->list[have].slot], &passages[have], s->err);
        if (status == SOOTH_OK) {
            texts[have] = passages[have].text;
            lens[have] = strlen(texts[have]);
        }
    }
    if (status == SOOTH_OK && n > 1)
        status = s->e->rerank(s->e, s->query, s->query_len, texts, lens, n, scores, s->err);
    for (size_t i = 0; i < have; i++)
        store_passage_release(&passages[i]);
    if (status != SOOTH_OK || n < 2)
        return status;
    for (size_t i = 0; i < n; i++) {
        s->list[i].rerank = scores[i];
        s->list[i].order += RERANK_WEIGHT * scores[i];
    }
    qsort(s->list, n, sizeof *s->list, by_order);
    s->reranked = n;
    return SOOTH_OK;
}

/* --- hits
 * -----------------------------------------------------------------------------------------------------
 */

/* Scores are the store's similarity; the others have a share between 0 and 1 of their own. */
static bool modes_similar(enum sooth_search_mode mode)
{
    return mode == SOOTH_SEARCH_HYBRID || mode == SOOTH_SEARCH_VECTOR;
}

static double score_of(const struct search *s, size_t i)
{
    if (!modes_similar(s->o->mode))
        return s->list[i].text;
    return isnan(s->list[i].vector) ? -1 : s->list[i].vector;
}

static bool also_add(struct sooth_hit *h, const char *doc)
{
    if (strcmp(h->doc, doc) == 0)
        return true;
    for (size_t i = 0; i < h->n_also; i++)
        if (strcmp(h->also[i], doc) == 0)
            return true;
    char **grown = mem_realloc(h->also, h->n_also + 1, sizeof *grown);
    if (!grown)
        return false;
    h->also = grown;
    h->also[h->n_also] = mem_strdup(doc);
    return h->also[h->n_also++] != NULL;
}

static void hit_take(struct sooth_hit *h, const struct candidate *c, struct store_passage *p,
                     size_t rank, double score)
{
    *h = (struct sooth_hit){
        .rank = rank,
        .score = score,
        .vector_score = c->vector,
        .text_score = c->text,
        .rerank_score = c->rerank,
        .vector_rank = c->vector_rank,
        .text_rank = c->text_rank,
        .chunk = p->id,
        .doc = p->doc,
        .title = p->title,
        .heading = p->heading,
        .page = p->page,
        .page_label = p->page_label,
        .start = p->start,
        .end = p->end,
        .text = p->text,
    };
    memset(p, 0, sizeof *p); /* the strings are the hit's now */
}

/* Which hit shows a passage of this text already. */
struct shown {
    uint64_t text; /* hash */
    size_t hit;
};
struct showing {
    VEC(struct shown) list;
};

static uint64_t text_hash(const struct store_passage *p)
{
    return hash64(p->text, p->end - p->start, 0);
}

static bool shown_add(struct showing *all, uint64_t text, size_t hit)
{
    return vec_push(&all->list, ((struct shown){text, hit}));
}

static const struct shown *shown_find(const struct showing *all, uint64_t text)
{
    for (size_t i = 0; i < all->list.count; i++)
        if (all->list.items[i].text == text)
            return &all->list.items[i];
    return NULL;
}

/* A hit's growing window over neighbouring slots of one document and page. */
struct window {
    uint32_t from, to;
    size_t start, end;
};

/* Takes the next slot behind, or before, when the window stays within its bytes. */
static enum sooth_status window_take(struct search *s, struct window *w, uint32_t slot, bool back,
                                     struct showing *all, size_t hit, bool *taken)
{
    const struct snapshot *v = s->v;
    const struct snapshot_doc *d = &v->docs[v->doc[slot]];
    uint32_t next = back ? w->from - 1 : w->to + 1;
    struct store_passage p;
    *taken = false;
    if ((back && w->from == d->first) || (!back && next >= d->first + d->count) ||
        v->page[next] != v->page[slot])
        return SOOTH_OK;
    enum sooth_status status = store_passage(s->kb->store, v->chunk[next], &p, s->err);
    if (status != SOOTH_OK)
        return status;
    size_t start = p.start < w->start ? p.start : w->start, end = p.end > w->end ? p.end : w->end;
    if (end - start <= WINDOW_BYTES) {
        w->start = start;
        w->end = end;
        *(back ? &w->from : &w->to) = next;
        *taken = true;
        if (!shown_add(all, text_hash(&p), hit))
            status = err_nomem(s->err);
    }
    store_passage_release(&p);
    return status;
}

struct candidates_of {
    const struct search *s;
    size_t first; /* slot of the document's first passage */
};

static bool is_candidate(const void *user, size_t i)
{
    const struct candidates_of *c = user;
    for (size_t k = 0; k < c->s->n; k++)
        if (c->s->list[k].slot == c->first + i)
            return true;
    return false;
}

/* The parent of a passage, where most of it was found: its place becomes the window. */
static enum sooth_status parent_take(struct search *s, struct window *w, uint32_t slot,
                                     struct showing *all, size_t hit)
{
    const struct snapshot_doc *d = &s->v->docs[s->v->doc[slot]];
    unsigned family = splitter_family(store_embedder(s->kb->store)->split);
    const struct candidates_of c = {s, d->first};
    size_t from, to;
    enum sooth_status status = SOOTH_OK;
    splitter_merge(family, slot - d->first, d->count, is_candidate, &c, &from, &to);
    for (size_t i = from; i <= to && from < to && status == SOOTH_OK; i++) {
        struct store_passage p;
        status = store_passage(s->kb->store, s->v->chunk[d->first + i], &p, s->err);
        if (status != SOOTH_OK)
            break;
        w->start = p.start < w->start ? p.start : w->start;
        w->end = p.end > w->end ? p.end : w->end;
        if (d->first + i != slot && !shown_add(all, text_hash(&p), hit))
            status = err_nomem(s->err);
        store_passage_release(&p);
    }
    w->from = (uint32_t)(d->first + from);
    w->to = (uint32_t)(d->first + to);
    return status;
}

/* Joins neighbours to the last hit: two behind, then one before, and so on, as bytes allow. */
static enum sooth_status widen(struct search *s, uint32_t slot, struct sooth_hits *out,
                               int64_t doc_id, struct showing *all)
{
    struct sooth_hit *h = &out->items[out->count - 1];
    struct window w = {slot, slot, h->start, h->end};
    bool open[2] = {true, true}; /* behind, before */
    enum sooth_status status = parent_take(s, &w, slot, all, out->count - 1);
    for (unsigned turn = 0;
         status == SOOTH_OK && (open[0] || open[1]) && w.to - w.from + 1 < WINDOW_PASSAGES;
         turn++) {
        bool back = turn % 3 == 2 ? open[1] : !open[0];
        status = window_take(s, &w, slot, back, all, out->count - 1, &open[back]);
    }
    struct buf text = BUF_INIT;
    if (status == SOOTH_OK && w.from != w.to)
        status = store_text(s->kb->store, doc_id, w.start, w.end, &text, s->err);
    if (status == SOOTH_OK && w.from != w.to) {
        mem_free(h->text);
        h->text = buf_take(&text);
        h->start = w.start;
        h->end = w.end;
        status = h->text ? SOOTH_OK : err_nomem(s->err);
    }
    buf_release(&text);
    return status;
}

/* One candidate: a new hit, or another source of one that shows its text already. *full: there was
 * no room. */
static enum sooth_status hit_offer(struct search *s, struct sooth_hits *out, size_t i, double score,
                                   struct showing *all, bool *full)
{
    struct store_passage p;
    uint32_t slot = s->list[i].slot;
    enum sooth_status status = store_passage(s->kb->store, s->v->chunk[slot], &p, s->err);
    if (status != SOOTH_OK)
        return status;
    uint64_t text = text_hash(&p);
    const struct shown *same = shown_find(all, text);
    int64_t doc_id = p.doc_id;
    *full = !same && out->count == s->k;
    if (same && !also_add(&out->items[same->hit], p.doc))
        status = err_nomem(s->err);
    if (!same && !*full) {
        hit_take(&out->items[out->count], &s->list[i], &p, out->count + 1, score);
        status = shown_add(all, text, out->count++) ? SOOTH_OK : err_nomem(s->err);
        if (status == SOOTH_OK && s->o->windows && s->o->mode == SOOTH_SEARCH_HYBRID)
            status = widen(s, slot, out, doc_id, all);
    }
    store_passage_release(&p);
    return status;
}

/* How many passages are worth it: up to the steepest fall of the evidence among the first twenty, if
 * one stands out, and no further than where passages stop to bring words of the question. */
static enum sooth_status choose_k(struct search *s, struct sooth_hits *out)
{
    size_t most = s->n < CHOOSE_MAX ? s->n : CHOOSE_MAX, k = most;
    double fall = 0, mean;
    struct buf why = BUF_INIT;
    for (size_t i = 0; i + 1 < most; i++)
        if (s->list[i].order - s->list[i + 1].order > fall) {
            fall = s->list[i].order - s->list[i + 1].order;
            k = i + 1;
        }
    mean = most > 1 ? (s->list[0].order - s->list[most - 1].order) / (double)(most - 1) : 0;
    if (most > 1 && fall > 3 * mean)
        buf_printf(&why, "%zu: the evidence falls from %.2f to %.2f behind it", k, s->list[k - 1].order, s->list[k].order);
    else {
        double floor_at = most ? HALF * s->list[0].order : 0;
        for (k = 0; k < most && s->list[k].order >= floor_at;)
            k++;
        buf_printf(&why, "%zu: no step stands out; those with at least half the evidence of the first", k);
    }
    s->k = k ? k : 1;
    out->reason = buf_take(&why);
    return out->reason ? SOOTH_OK : err_nomem(s->err);
}

static enum sooth_status make_hits(struct search *s, struct sooth_hits *out)
{
    double *scores = mem_array(s->n + 1, sizeof *scores);
    struct showing all = {0};
    bool full = false;
    out->items = mem_calloc((s->k < s->n ? s->k : s->n) + 1, sizeof *out->items);
    enum sooth_status status = scores && out->items ? SOOTH_OK : err_nomem(s->err);
    for (size_t i = s->n; status == SOOTH_OK && i-- > 0;) {
        scores[i] = score_of(s, i);
        if (i + 1 < s->n && scores[i + 1] > scores[i])
            scores[i] = scores[i + 1];
    }
    for (size_t i = 0; i < s->n && status == SOOTH_OK && !full && scores[i] >= s->o->min_score; i++)
        status = hit_offer(s, out, i, scores[i], &all, &full);
    vec_free(&all.list);
    mem_free(scores);
    return status;
}

/* Candidates by the graph. */
static enum sooth_status gather_graph(struct search *s)
{
    size_t n = 0, linked;
    if (!graphdb_there(s->kb->store)) {
        err_set(s->err, SOOTH_ERR_NOTFOUND, "knowledge base '%s' has no graph", store_path(s->kb->store));
        err_hint(s->err, "sooth graph --kb %s makes it", store_path(s->kb->store));
        return SOOTH_ERR_NOTFOUND;
    }
    struct scored *by_graph = mem_array(s->deep + 1, sizeof *by_graph);
    s->list = mem_array(s->deep + 1, sizeof *s->list);
    enum sooth_status status = by_graph && s->list ? SOOTH_OK : err_nomem(s->err);
    if (status == SOOTH_OK)
        status = graph_search(s->kb, s->v, s->query, s->allow, s->deep, by_graph, &n, &linked, s->err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) /* as shares of the best one's mass */
        s->list[i] = (struct candidate){by_graph[i].slot, by_graph[i].score, NAN,
                                        by_graph[i].score / by_graph[0].score, NAN, 0, 0, 0};
    s->n = status == SOOTH_OK ? n : 0;
    mem_free(by_graph);
    return status;
}

/* The first twenty so that each is unlike those above it (MMR, fuse.c). */
static enum sooth_status diversify(struct search *s)
{
    size_t n = s->n < CHOOSE_MAX ? s->n : CHOOSE_MAX, order[CHOOSE_MAX];
    uint32_t slots[CHOOSE_MAX] = {0};
    double relevance[CHOOSE_MAX], similarity[CHOOSE_MAX * CHOOSE_MAX];
    struct candidate old[CHOOSE_MAX];
    double most = n ? fabs(s->list[0].order) : 0;
    for (size_t i = 0; i < n; i++) {
        old[i] = s->list[i];
        slots[i] = s->list[i].slot;
        relevance[i] = most > 0 ? s->list[i].order / most : 0;
    }
    enum sooth_status status = vector_pairs(s->kb->store, s->v, slots, n, similarity, s->err);
    if (status != SOOTH_OK || n == 0)
        return status;
    fuse_mmr(relevance, similarity, n, 1 - s->o->diversity, n, order);
    for (size_t i = 0; i < n; i++)
        s->list[i] = old[order[i]];
    return SOOTH_OK;
}

static enum sooth_status run_ranked(struct search *s, struct sooth_hits *out)
{
    enum sooth_status status = gather(s);
    if (status == SOOTH_OK && s->rewrite)
        status = rewrite_search(s);
    if (status == SOOTH_OK && s->o->mode == SOOTH_SEARCH_HYBRID && s->o->rerank &&
        s->o->fusion == SOOTH_FUSE_EVIDENCE)
        status = rerank(s);
    if (status == SOOTH_OK && s->o->diversity > 0 && s->o->mode == SOOTH_SEARCH_HYBRID)
        status = diversify(s);
    if (status == SOOTH_OK && s->o->adaptive && s->n > 0)
        status = choose_k(s, out);
    return status == SOOTH_OK ? make_hits(s, out) : status;
}

static enum sooth_status run_graph(struct search *s, struct sooth_hits *out)
{
    enum sooth_status status = gather_graph(s);
    return status == SOOTH_OK ? make_hits(s, out) : status;
}

static enum sooth_status run_sql(struct search *s, struct sooth_hits *out)
{
    return table_answer(s->kb, s->v, s->query, s->allow, s->o->k ? s->o->k : K_DEFAULT, out, s->err);
}

/* The modes, in the order of enum sooth_search_mode. */
static const struct mode_row {
    const char *name, *about;
    bool vectors; /* the question is embedded */
    enum sooth_status (*run)(struct search *s, struct sooth_hits *out);
} modes[] = {
    {"hybrid", "by meaning and by words, fused and reranked", true, run_ranked},
    {"vector", "by meaning: the store's metric alone", true, run_ranked},
    {"text", "by words: BM25", false, run_ranked},
    {"sql", "totals, counts and extremes over tables", false, run_sql},
    {"graph", "what hangs together with the names in the question", false, run_graph},
};

bool sooth_search_mode_at(size_t i, const char **name, const char **about)
{
    if (i >= sizeof modes / sizeof *modes)
        return false;
    *name = modes[i].name;
    *about = modes[i].about;
    return true;
}

bool sooth_search_mode_parse(const char *name, enum sooth_search_mode *out)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, name) == 0) {
            *out = (enum sooth_search_mode)i;
            return true;
        }
    return false;
}

static enum sooth_status search_inside(struct search *s, struct sooth_hits *out)
{
    enum sooth_status status = store_snapshot(s->kb->store, s->vector != NULL, &s->v, s->err);
    if (status != SOOTH_OK)
        return status;
    s->k = s->k < s->v->n ? s->k : s->v->n;
    s->deep = s->k * DEEP_EACH > DEEP_MIN ? s->k * DEEP_EACH : DEEP_MIN;
    s->deep = s->deep < s->v->n ? s->deep : s->v->n;
    if (s->v->n == 0)
        return SOOTH_OK;
    if (s->vector && s->v->dim != s->e->dim)
        return err_set(s->err, SOOTH_ERR_ARG,
                       "knowledge base '%s' was embedded anew by another program: open it again",
                       store_path(s->kb->store));
    if (s->o->filter && *s->o->filter) {
        s->allow = mem_calloc(s->v->n, 1);
        status = s->allow ? filter_apply(s->o->filter, s->kb->store, s->v, s->allow, s->err) : err_nomem(s->err);
    }
    return status == SOOTH_OK ? modes[s->o->mode].run(s, out) : status;
}

static enum sooth_status options_check(struct search *s)
{
    if ((size_t)s->o->mode >= sizeof modes / sizeof *modes)
        return err_set(s->err, SOOTH_ERR_ARG, "there is no search mode %d", (int)s->o->mode);
    if ((unsigned)s->o->fusion > SOOTH_FUSE_RELATIVE || !(s->o->diversity >= 0 && s->o->diversity <= 1))
        return err_set(s->err, SOOTH_ERR_ARG, "there is no such fusion, or diversity is not between 0 and 1");
    if ((s->o->fusion || s->o->diversity > 0) && s->o->mode != SOOTH_SEARCH_HYBRID)
        return err_set(s->err, SOOTH_ERR_ARG, "fusion and diversity belong to the hybrid mode, not to '%s'",
                       modes[s->o->mode].name);
    if (!s->o->rewrite || strcmp(s->o->rewrite, "none") == 0)
        return SOOTH_OK;
    s->rewrite = rewrite_find(s->o->rewrite);
    if (!s->rewrite)
        return err_set(s->err, SOOTH_ERR_ARG, "rewriting '%s' is not known", s->o->rewrite);
    return s->o->mode == SOOTH_SEARCH_HYBRID
               ? SOOTH_OK
               : err_set(s->err, SOOTH_ERR_ARG, "questions are rewritten in the hybrid mode only, not in '%s'",
                         modes[s->o->mode].name);
}

enum sooth_status sooth_search(struct sooth_kb *kb, const char *query,
                               const struct sooth_search_options *options, struct sooth_hits *out,
                               struct sooth_error *err)
{
    struct sooth_search_options standard;
    sooth_search_options_init(&standard);
    struct search s = {.kb = kb,
                       .o = options ? options : &standard,
                       .query = query,
                       .query_len = strlen(query),
                       .err = err};
    double started = clock_seconds();
    memset(out, 0, sizeof *out);
    s.k = s.o->k == 0 ? K_DEFAULT : s.o->k < K_MAX ? s.o->k : K_MAX;
    if (options_check(&s) != SOOTH_OK)
        return SOOTH_ERR_ARG;
    if (query[strspn(query, " \t\r\n")] == '\0')
        return SOOTH_OK;
    /* The question is embedded before the transaction, so as not to hold it; whose embedder, the
     * store says. */
    enum sooth_status status = store_snapshot(kb->store, false, &s.v, err);
    if (status != SOOTH_OK || s.v->n == 0)
        return status;
    if (modes[s.o->mode].vectors) {
        status = kb_embedder(kb, &s.e, err);
        if (status == SOOTH_OK)
            status = embed_query(&s);
    }
    if (status == SOOTH_OK)
        status = store_read_begin(kb->store, err);
    if (status == SOOTH_OK) {
        status = search_inside(&s, out);
        store_end(kb->store, true, NULL);
    }
    if (s.o->mode != SOOTH_SEARCH_SQL)
        out->candidates = s.n;
    out->reranked = s.reranked;
    out->queries = s.queries.items;
    out->n_queries = s.queries.count;
    out->seconds = clock_seconds() - started;
    mem_free(s.vector);
    mem_free(s.allow);
    mem_free(s.list);
    if (status != SOOTH_OK)
        sooth_hits_release(out);
    return status;
}

void sooth_hits_release(struct sooth_hits *hits)
{
    for (size_t i = 0; i < hits->count; i++) {
        struct sooth_hit *h = &hits->items[i];
        for (size_t j = 0; j < h->n_also; j++)
            mem_free(h->also[j]);
        mem_free(h->also);
        mem_free(h->doc);
        mem_free(h->title);
        mem_free(h->heading);
        mem_free(h->page_label);
        mem_free(h->text);
    }
    mem_free(hits->items);
    for (size_t i = 0; i < hits->n_queries; i++)
        mem_free(hits->queries[i]);
    mem_free(hits->queries);
    mem_free(hits->answer);
    mem_free(hits->sql);
    mem_free(hits->reason);
    memset(hits, 0, sizeof *hits);
}
