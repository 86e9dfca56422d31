/* rewrite_rm3.c: relevance model 3 (Lavrenko and Croft, SIGIR 2001; Abdul-Jaleel et al., TREC 2004):
 * words of the first passages join the question.
 *
 *   p(w) = 0.5 p(w | q) + 0.5 sum over passages D of  p(w | D) p(q | D)
 *
 * ten passages, the fifteen strongest words. p(q | D) is the passage's share of the evidence. Weights
 * become repetitions, which is how the text search counts them. */
#include "know/retrieve/rewrite.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"

enum { PASSAGES = 10, TERMS = 15, REPEAT = 20 };

struct weighed {
    char *term;
    double weight;
};
struct model {
    struct map index;
    struct arena *arena;
    VEC(struct weighed) terms;
    double each; /* what an occurrence adds */
    bool failed;
};

static bool weigh(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct model *m = user;
    uint64_t at = m->terms.count;
    if (!term_counts(kind) || len < 3)
        return true;
    if (!map_find(&m->index, term, len, &at)) {
        struct weighed w = {arena_strndup(m->arena, term, len), 0};
        m->failed |= !w.term || !map_put(&m->index, term, len, at) || !vec_push(&m->terms, w);
    }
    if (!m->failed)
        m->terms.items[at].weight += m->each;
    return !m->failed;
}

static bool count_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    (void)term;
    *(size_t *)user += term_counts(kind) && len >= 3;
    return true;
}

static enum sooth_status add_text(struct model *m, const char *text, size_t len, double share, struct sooth_error *err)
{
    size_t n = 0;
    enum sooth_status status = segment_text(text, len, count_term, &n, err);
    m->each = n ? share / (double)n : 0;
    if (status == SOOTH_OK)
        status = segment_text(text, len, weigh, m, err);
    return status == SOOTH_OK && m->failed ? err_nomem(err) : status;
}

static int by_weight(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;
    return x->weight > y->weight ? -1 : x->weight < y->weight ? 1 : strcmp(x->term, y->term);
}

static enum sooth_status rm3_derive(struct rewriting *r)
{
    struct model m = {.arena = &r->arena};
    struct buf b = BUF_INIT;
    map_init(&m.index);
    enum sooth_status status = add_text(&m, r->question, strlen(r->question), 0.5, r->err);
    for (size_t i = 0; i < r->n_best && status == SOOTH_OK; i++)
        status = add_text(&m, r->best[i].text, r->best[i].len, 0.5 * r->best[i].weight, r->err);
    if (m.terms.count > 1)
        qsort(m.terms.items, m.terms.count, sizeof *m.terms.items, by_weight);
    for (size_t i = 0; i < m.terms.count && i < TERMS && status == SOOTH_OK; i++) {
        size_t times = (size_t)(m.terms.items[i].weight / m.terms.items[0].weight * REPEAT + 0.5);
        for (size_t k = 0; k < times; k++)
            buf_printf(&b, "%s ", m.terms.items[i].term);
    }
    if (status == SOOTH_OK)
        status = b.failed ? err_nomem(r->err) : rewrite_add(r, buf_str(&b), b.len);
    if (status == SOOTH_OK && r->out.count) /* words only: its meaning is the question's */
        r->out.items[r->out.count - 1].vector = (float *)r->vector;
    vec_free(&m.terms);
    map_release(&m.index);
    buf_release(&b);
    return status;
}

const struct rewrite_row rewrite_rm3 = {
    .name = "rm3",
    .about = "with the strongest words of the first passages (relevance feedback)",
    .feedback = PASSAGES,
    .share = 0.3,
    .derive = rm3_derive,
};
