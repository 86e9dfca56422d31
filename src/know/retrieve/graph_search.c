/* graph_search.c: passages that hang together with what the question names (HippoRAG: Gutierrez et
 * al., NeurIPS 2024).
 *
 *   question -- names that the graph knows --> seeds, 1 / passages that mention them
 *            -- BM25 over the passages     --> seeds, 0.05 of a min-max score
 *   PageRank over entities and passages: mentions (by count), facts (by count), d = 0.5
 *   passages in order of their mass
 *
 * A question that names X finds the passage about Y that X leads to, though it shares no word with
 * it. Where the question names nothing known, the order is BM25's.
 *
 * A name is linked when its normal form stands in the question's, as whole words in English. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/graph.h"
#include "know/retrieve/kbase.h"

#define FOLLOW 0.5
#define PASSAGE_SEED 0.05
enum { BEST_WORDS = 200 };

struct walking {
    const struct snapshot *v;
    struct map slot;          /* chunk id -> slot */
    struct map node;          /* entity id -> number */
    const char *question;     /* normal form */
    VEC(struct graph_edge) edges;
    VEC(size_t) linked;       /* entity numbers */
    VEC(double) mentions;     /* [entities] passages */
    size_t entities;
    bool failed;
};

static bool word_at(const char *text, const char *p, size_t n)
{
    bool ascii = (unsigned char)p[0] < 0x80 && (unsigned char)p[n - 1] < 0x80;
    return !ascii || ((p == text || !isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n]));
}

static bool take_entity(void *user, const struct graphdb_entity *e)
{
    struct walking *w = user;
    size_t n = strlen(e->norm);
    for (const char *p = w->question; n > 1 && (p = strstr(p, e->norm)); p++)
        if (word_at(w->question, p, n)) {
            w->failed |= !vec_push(&w->linked, w->entities);
            break;
        }
    w->failed |= !map_put(&w->node, &e->id, sizeof e->id, w->entities++) || !vec_push(&w->mentions, 0);
    return !w->failed;
}

static bool take_mention(void *user, int64_t entity, int64_t chunk, double count)
{
    struct walking *w = user;
    uint64_t a, slot;
    if (!map_find(&w->node, &entity, sizeof entity, &a) || !map_find(&w->slot, &chunk, sizeof chunk, &slot))
        return true;
    w->mentions.items[a] += 1;
    w->failed |= !vec_push(&w->edges, ((struct graph_edge){(uint32_t)a, (uint32_t)(w->entities + slot), count}));
    return !w->failed;
}

static bool take_link(void *user, int64_t subject, int64_t object, double count)
{
    struct walking *w = user;
    uint64_t a, b;
    if (map_find(&w->node, &subject, sizeof subject, &a) && map_find(&w->node, &object, sizeof object, &b))
        w->failed |= !vec_push(&w->edges, ((struct graph_edge){(uint32_t)a, (uint32_t)b, count}));
    return !w->failed;
}

static enum sooth_status load(struct sooth_kb *kb, struct walking *w, struct sooth_error *err)
{
    for (size_t i = 0; i < w->v->n && !w->failed; i++)
        w->failed = !map_put(&w->slot, &w->v->chunk[i], sizeof *w->v->chunk, i);
    enum sooth_status status = w->failed ? err_nomem(err) : graphdb_entities(kb->store, take_entity, w, err);
    if (status == SOOTH_OK)
        status = graphdb_mentions(kb->store, take_mention, w, err);
    if (status == SOOTH_OK)
        status = graphdb_links(kb->store, take_link, w, err);
    return status == SOOTH_ERR_CANCELLED ? err_nomem(err) : status;
}

/* What the words of the question say about the passages, between 0 and 1. */
static enum sooth_status word_seeds(struct sooth_kb *kb, const struct walking *w, const char *question,
                                    double *seed, struct scored *by_words, size_t *n,
                                    struct sooth_error *err)
{
    enum sooth_status status = text_search(kb->store, w->v, bm25_find(NULL), question, strlen(question),
                                           NULL, BEST_WORDS, by_words, n, NULL, err);
    double low = *n ? by_words[*n - 1].score : 0, high = *n ? by_words[0].score : 0;
    for (size_t i = 0; i < *n && status == SOOTH_OK; i++)
        seed[w->entities + by_words[i].slot] =
            PASSAGE_SEED * (high > low ? (by_words[i].score - low) / (high - low) : 1);
    return status;
}

static enum sooth_status walk(struct sooth_kb *kb, struct walking *w, const char *question,
                              const unsigned char *allow, size_t k, struct scored *out, size_t *found,
                              struct sooth_error *err)
{
    size_t nodes = w->entities + w->v->n, n_words = 0;
    double *seed = mem_calloc(nodes + 1, sizeof *seed), *mass = mem_calloc(nodes + 1, sizeof *mass);
    struct scored *by_words = mem_array(BEST_WORDS, sizeof *by_words);
    enum sooth_status status = seed && mass && by_words ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK)
        status = word_seeds(kb, w, question, seed, by_words, &n_words, err);
    for (size_t i = 0; i < w->linked.count && status == SOOTH_OK; i++) {
        size_t e = w->linked.items[i];
        seed[e] = w->mentions.items[e] > 0 ? 1 / w->mentions.items[e] : 0;
    }
    if (status == SOOTH_OK && w->linked.count == 0) /* nothing known is named: the words decide */
        for (size_t i = 0; i < n_words; i++)
            mass[w->entities + by_words[i].slot] = by_words[i].score;
    else if (status == SOOTH_OK && !graph_rank(nodes, w->edges.items, w->edges.count, FOLLOW, seed, mass))
        status = err_nomem(err);
    for (size_t i = 0; i < w->v->n && status == SOOTH_OK; i++)
        if (mass[w->entities + i] > 0 && (!allow || allow[i]))
            best_offer(out, found, k, (struct scored){(uint32_t)i, mass[w->entities + i]});
    if (*found)
        best_sort(out, *found);
    mem_free(seed);
    mem_free(mass);
    mem_free(by_words);
    return status;
}

enum sooth_status graph_search(struct sooth_kb *kb, const struct snapshot *v, const char *question,
                               const unsigned char *allow, size_t k, struct scored *out,
                               size_t *found, size_t *linked, struct sooth_error *err)
{
    struct walking w = {.v = v};
    struct buf norm = BUF_INIT;
    map_init(&w.slot);
    map_init(&w.node);
    *found = 0;
    enum sooth_status status = graphdb_norm(question, strlen(question), &norm) ? SOOTH_OK : err_nomem(err);
    w.question = buf_str(&norm);
    if (status == SOOTH_OK)
        status = load(kb, &w, err);
    if (status == SOOTH_OK)
        status = walk(kb, &w, question, allow, k, out, found, err);
    *linked = w.linked.count;
    vec_free(&w.edges);
    vec_free(&w.linked);
    vec_free(&w.mentions);
    map_release(&w.slot);
    map_release(&w.node);
    buf_release(&norm);
    return status;
}
