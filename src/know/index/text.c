/* text.c: from a question to the passages that have its words: BM25 over rows, or over the file.
 *
 * Small stores read the rows of each term and add up (postings.c). Large ones have the same postings
 * in a mapped file (words.c), and only the documents written since are read from rows; both ways give
 * the same scores to the bit. The sum of the terms' idf is a ceiling that no passage reaches, so
 * score / ceiling says how much of the question a passage covers.
 *
 * |D| counts words and pairs, not the codes and single characters that are indexed beside them. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/index/segment.h"
#include "know/index/storedb.h"

#define CHAR_WEIGHT 0.2  /* of a single character of a longer run of Han in the question */
#define WHOLE_WEIGHT 1.0 /* of a code beside its parts */
enum { TERMS_MAX = 4096, FILE_TERMS = 64 };

struct query {
    VEC(struct words_term) terms; /* weight: occurrences in the question, lessened for single characters */
};

static bool query_add(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct query *q = user;
    double weight = kind == TERM_CHAR ? CHAR_WEIGHT : kind == TERM_WHOLE ? WHOLE_WEIGHT : 1;
    uint64_t key = term_key(term, len);
    for (size_t i = 0; i < q->terms.count; i++)
        if (q->terms.items[i].key == key) {
            q->terms.items[i].weight += weight;
            return true;
        }
    return q->terms.count < TERMS_MAX ? vec_push(&q->terms, ((struct words_term){key, weight}))
                                      : false;
}

const struct snapshot_doc *snapshot_doc_by_id(const struct snapshot *v, int64_t id)
{
    size_t lo = 0, hi = v->n_docs;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->docs[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n_docs && v->docs[lo].id == id ? &v->docs[lo] : NULL;
}

/* All rows of one term. */
static enum sooth_status rows_of(struct store *s, const struct snapshot *v, uint64_t key,
                                 struct posting_list *out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_POST_TERM, err, "i", (int64_t)key);
    if (!q)
        return err ? err->status : status;
    bool ok = true;
    while (ok && sql_row(s, q, &status, err)) {
        const struct snapshot_doc *d = snapshot_doc_by_id(v, sqlite3_column_int64(q, 0));
        if (d)
            ok = posting_decode(d, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1),
                                out);
    }
    sql_done(q);
    return ok ? status : err_nomem(err);
}

/* The rows of one term of the documents that the file lacks. */
static enum sooth_status fresh_rows(struct store *s, const struct snapshot *v, uint64_t key,
                                    struct posting_list *out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < s->words.n_fresh && status == SOOTH_OK; i++) {
        const struct snapshot_doc *d = &v->docs[s->words.fresh[i]];
        sqlite3_stmt *q = sql_bind(s, SQL_POST_GET, err, "ii", (int64_t)key, d->id);
        if (!q)
            return SOOTH_ERR_NOMEM;
        if (sql_row(s, q, &status, err)) {
            if (!posting_decode(d, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0),
                                out))
                status = err_nomem(err);
            sql_done(q);
        }
    }
    return status;
}

static bool use_file(struct store *s, const struct snapshot *v, size_t terms)
{
    if (!s->have_words)
        words_attach(s, v);
    s->have_words = true;
    return s->words.open && terms <= FILE_TERMS;
}

enum sooth_status text_postings(struct store *s, const struct snapshot *v, uint64_t key,
                                struct posting_list *out, struct sooth_error *err)
{
    if (!use_file(s, v, 1))
        return rows_of(s, v, key, out, err);
    return words_postings(&s->words, key, out) ? fresh_rows(s, v, key, out, err) : err_nomem(err);
}

/* sums += weight * part for all of list. */
static void add_up(const struct snapshot *v, const struct bm25 *p, double weight,
                   const struct posting_list *list, double *sums)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct posting *h = &list->items[i];
        sums[h->slot] +=
            weight * p->part(p, h->tf, bm25_norm(p, v->length[h->slot], v->average));
    }
}

static void offer_sums(const struct snapshot *v, const double *sums, const unsigned char *allow,
                       size_t from, size_t to, struct scored *heap, size_t *n, size_t k)
{
    (void)v;
    for (size_t i = from; i < to; i++)
        if (sums[i] > 0 && (!allow || allow[i]))
            best_offer(heap, n, k, (struct scored){(uint32_t)i, sums[i]});
}

/* Everything from rows. */
static enum sooth_status search_rows(struct store *s, const struct snapshot *v,
                                     const struct bm25 *p, struct query *q,
                                     const unsigned char *allow, size_t k, struct scored *out,
                                     size_t *found, struct sooth_error *err)
{
    double *sums = mem_calloc(v->n + 1, sizeof *sums);
    enum sooth_status status = sums ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < q->terms.count && status == SOOTH_OK; i++) {
        struct posting_list list = {0};
        struct words_term *t = &q->terms.items[i];
        status = rows_of(s, v, t->key, &list, err);
        t->weight *= p->idf((double)v->n, (double)list.count);
        add_up(v, p, t->weight, &list, sums);
        vec_free(&list);
    }
    if (status == SOOTH_OK && k > 0)
        offer_sums(v, sums, allow, 0, v->n, out, found, k);
    if (*found)
        best_sort(out, *found);
    mem_free(sums);
    return status;
}

/* The file, and the rows of what it lacks. */
static enum sooth_status search_file(struct store *s, const struct snapshot *v,
                                     const struct bm25 *p, struct query *q,
                                     const unsigned char *allow, size_t k, struct scored *out,
                                     size_t *found, struct sooth_error *err)
{
    const struct words *w = &s->words;
    double *sums = w->n_fresh ? mem_calloc(v->n + 1, sizeof *sums) : NULL;
    struct scored *both = mem_array(2 * k + 1, sizeof *both);
    enum sooth_status status = both && (sums || !w->n_fresh) ? SOOTH_OK : err_nomem(err);
    size_t n = 0, more = 0;
    for (size_t i = 0; i < q->terms.count && status == SOOTH_OK; i++) {
        struct posting_list list = {0};
        struct words_term *t = &q->terms.items[i];
        status = fresh_rows(s, v, t->key, &list, err);
        t->weight *= p->idf((double)v->n, (double)(words_count(w, t->key) + list.count));
        add_up(v, p, t->weight, &list, sums);
        vec_free(&list);
    }
    if (status == SOOTH_OK)
        status = words_search(&s->words, v, p, q->terms.items, q->terms.count, allow, k, both, &n,
                              err);
    for (size_t i = 0; i < w->n_fresh && status == SOOTH_OK && k > 0; i++) {
        const struct snapshot_doc *d = &v->docs[w->fresh[i]];
        offer_sums(v, sums, allow, d->first, d->first + d->count, both + n, &more, k);
    }
    if (status == SOOTH_OK && n + more > 0) {
        best_sort(both, n + more);
        *found = n + more < k ? n + more : k;
        memcpy(out, both, *found * sizeof *out);
    }
    mem_free(sums);
    mem_free(both);
    return status;
}

enum sooth_status text_search(struct store *s, const struct snapshot *v, const struct bm25 *p,
                              const char *query, size_t len, const unsigned char *allow, size_t k,
                              struct scored *out, size_t *found, double *ceiling,
                              struct sooth_error *err)
{
    struct query q = {0};
    *found = 0;
    enum sooth_status status = segment_text(query, len, query_add, &q, err);
    if (status == SOOTH_OK && q.terms.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = use_file(s, v, q.terms.count)
                     ? search_file(s, v, p, &q, allow, k, out, found, err)
                     : search_rows(s, v, p, &q, allow, k, out, found, err);
    if (ceiling)
        *ceiling = 0;
    for (size_t i = 0; i < q.terms.count && ceiling; i++)
        *ceiling += q.terms.items[i].weight * (p->top > 0 ? p->top : p->k1 + 1);
    vec_free(&q.terms);
    return status;
}
