/* postings.c: the full-text index: an inverted list a term, and BM25 over it.
 *
 *   postings(term, doc) -> data        term = 64-bit key of the segmented term (segment.c)
 *   data: (gap, count) pairs of variable-length integers, one a passage, in order of its place in
 * the document
 *
 * One row a term and document keeps a big document's list in one blob and lets a document be
 * removed or replaced by key, without touching what other documents hold. No text is stored here,
 * only keys.
 *
 * For a question q and a passage D (Robertson and Zaragoza, "The Probabilistic Relevance
 * Framework", 2009; the form used by Lucene): score = sum over t in q of  idf(t) * tf / (tf + k1 (1
 * - b + b |D| / avg)) idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)) |D| counts words and pairs, not
 * the codes and single characters that are indexed beside them. The sum of the idf(t) is a ceiling
 * that no passage reaches, so score / ceiling says how much of the question a passage covers.
 *
 * What it leaves out: positions and phrases. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/index/segment.h"
#include "know/index/storedb.h"

#define CHAR_WEIGHT 0.2  /* of a single character of a longer run of Han in the question */
#define WHOLE_WEIGHT 1.0 /* of a code beside its parts */

struct list { /* one term's growing data */
    uint64_t key;
    struct buf data;
    uint32_t last; /* place of the last passage + 1 */
};

struct posting_builder {
    struct map index; /* term key -> list */
    VEC(struct list) lists;
    struct map passage; /* term key -> count in the passage at hand */
    uint32_t length;
    bool failed;
};

struct posting_builder *posting_new(void)
{
    struct posting_builder *b = mem_calloc(1, sizeof *b);
    if (b) {
        map_init(&b->index);
        map_init(&b->passage);
    }
    return b;
}

void posting_free(struct posting_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->lists.count; i++)
        buf_release(&b->lists.items[i].data);
    vec_free(&b->lists);
    map_release(&b->index);
    map_release(&b->passage);
    mem_free(b);
}

static void put_varint(struct buf *b, uint32_t v)
{
    for (; v >= 128; v >>= 7)
        buf_putc(b, (char)(v | 128));
    buf_putc(b, (char)v);
}

static bool get_varint(const unsigned char **p, const unsigned char *end, uint32_t *out)
{
    uint32_t v = 0;
    for (unsigned shift = 0; *p < end && shift < 35; shift += 7) {
        unsigned char byte = *(*p)++;
        v |= (uint32_t)(byte & 127) << (shift < 32 ? shift : 31);
        if (byte < 128) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool count_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct posting_builder *b = user;
    uint64_t key = term_key(term, len), count = 0;
    map_find(&b->passage, &key, sizeof key, &count);
    b->length += term_counts(kind);
    b->failed |= !map_put(&b->passage, &key, sizeof key, count + 1);
    return !b->failed;
}

static bool list_add(struct posting_builder *b, uint64_t key, uint32_t seq, uint32_t count)
{
    uint64_t at = b->lists.count;
    if (!map_find(&b->index, &key, sizeof key, &at)) {
        struct list fresh = {.key = key, .data = BUF_INIT};
        if (!map_put(&b->index, &key, sizeof key, at) || !vec_push(&b->lists, fresh))
            return false;
    }
    struct list *l = &b->lists.items[at];
    put_varint(&l->data, seq + 1 - l->last);
    put_varint(&l->data, count);
    l->last = seq + 1;
    return !l->data.failed;
}

enum sooth_status posting_add(struct posting_builder *b, uint32_t seq, const char *context,
                              size_t len, uint32_t *length, struct sooth_error *err)
{
    map_release(&b->passage);
    map_init(&b->passage);
    b->length = 0;
    enum sooth_status status = segment_text(context, len, count_term, b, err);
    if (status != SOOTH_OK)
        return status;
    size_t at = 0, key_len;
    const char *key_bytes;
    uint64_t key, count;
    while (!b->failed && map_next(&b->passage, &at, &key_bytes, &key_len, &count)) {
        memcpy(&key, key_bytes, sizeof key);
        b->failed = !list_add(b, key, seq, (uint32_t)count);
    }
    *length = b->length;
    return b->failed ? err_nomem(err) : SOOTH_OK;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct list *)a)->key, y = ((const struct list *)b)->key;
    return x < y ? -1 : x > y;
}

/* In order of key, which is the order of the table. The builder takes no more passages after this.
 */
enum sooth_status posting_write(struct posting_builder *b, struct store *s, int64_t doc,
                                struct sooth_error *err)
{
    struct buf terms = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (b->lists.count > 1)
        qsort(b->lists.items, b->lists.count, sizeof *b->lists.items, by_key);
    for (size_t i = 0; i < b->lists.count && status == SOOTH_OK; i++) {
        const struct list *l = &b->lists.items[i];
        buf_add(&terms, &l->key, sizeof l->key);
        status =
            sql_run(s, SQL_POST_ADD, err, "iib", (int64_t)l->key, doc, l->data.data, l->data.len);
    }
    if (status == SOOTH_OK && terms.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_TERMS_ADD, err, "ib", doc, terms.data, terms.len);
    buf_release(&terms);
    return status;
}

static enum sooth_status terms_read(struct store *s, int64_t doc, struct buf *out,
                                    struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_TERMS_GET, err, "i", doc);
    if (!q)
        return err ? err->status : status;
    if (sql_row(s, q, &status, err)) {
        buf_add(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        sql_done(q);
    }
    return status == SOOTH_OK && out->failed ? err_nomem(err) : status;
}

enum sooth_status posting_drop(struct store *s, int64_t doc, struct sooth_error *err)
{
    struct buf terms = BUF_INIT;
    enum sooth_status status = terms_read(s, doc, &terms, err);
    for (size_t i = 0; i + 8 <= terms.len && status == SOOTH_OK; i += 8) {
        int64_t key;
        memcpy(&key, terms.data + i, 8);
        status = sql_run(s, SQL_POST_DROP, err, "ii", key, doc);
    }
    buf_release(&terms);
    return status == SOOTH_OK ? sql_run(s, SQL_TERMS_DROP, err, "i", doc) : status;
}

enum sooth_status posting_compare(struct posting_builder *b, struct store *s, int64_t doc,
                                  const char *name, sooth_line_fn *fn, void *user, size_t *problems,
                                  struct sooth_error *err)
{
    struct buf terms = BUF_INIT, line = BUF_INIT;
    size_t bad = 0;
    enum sooth_status status = terms_read(s, doc, &terms, err);
    if (status == SOOTH_OK && terms.len != b->lists.count * 8)
        bad++;
    for (size_t i = 0; i < b->lists.count && status == SOOTH_OK; i++) {
        const struct list *l = &b->lists.items[i];
        sqlite3_stmt *q = sql_bind(s, SQL_POST_GET, err, "ii", (int64_t)l->key, doc);
        if (!q) {
            status = SOOTH_ERR_NOMEM;
            break;
        }
        bool same = false;
        if (sql_row(s, q, &status, err)) {
            same = (size_t)sqlite3_column_bytes(q, 0) == l->data.len &&
                   memcmp(sqlite3_column_blob(q, 0), l->data.data, l->data.len) == 0;
            sql_done(q);
        }
        bad += !same;
    }
    if (status == SOOTH_OK && bad > 0) {
        ++*problems;
        if (fn &&
            buf_printf(&line, "'%s': the full-text index differs from its passages in %zu terms",
                       name, bad))
            fn(user, line.data);
    }
    buf_release(&terms);
    buf_release(&line);
    return status;
}

/* --- BM25
 * -----------------------------------------------------------------------------------------------------
 */

double bm25_idf(double docs, double with_term)
{
    return log(1 + (docs - with_term + 0.5) / (with_term + 0.5));
}

double bm25_tf(struct bm25 p, double tf, double length, double average)
{
    double norm = average > 0 ? length / average : 1;
    return tf / (tf + p.k1 * (1 - p.b + p.b * norm));
}

struct query_term {
    uint64_t key;
    double weight; /* occurrences in the question, lessened for single characters */
};
struct query {
    VEC(struct query_term) terms;
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
    return q->terms.count < 4096 ? vec_push(&q->terms, ((struct query_term){key, weight})) : false;
}

struct hit {
    uint32_t slot, tf;
};
struct hits {
    VEC(struct hit) list;
};

static bool decode(const struct snapshot *v, const struct snapshot_doc *d, const unsigned char *p,
                   size_t len, struct hits *out)
{
    const unsigned char *end = p + len;
    uint32_t place = 0, gap, tf;
    while (p < end) {
        if (!get_varint(&p, end, &gap) || !get_varint(&p, end, &tf) || gap == 0 ||
            gap > d->count - place)
            return true; /* damaged data names no passage; store_check tells */
        place += gap;
        if (!vec_push(&out->list, ((struct hit){(uint32_t)(d->first + place - 1), tf})))
            return false;
    }
    return true;
}

static const struct snapshot_doc *doc_by_id(const struct snapshot *v, int64_t id)
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

/* Adds one term's part to the sums; *ceiling grows by the most it can give. */
static enum sooth_status term_search(struct store *s, const struct snapshot *v, struct bm25 p,
                                     const struct query_term *t, double *sums, double *ceiling,
                                     struct sooth_error *err)
{
    struct hits hits = {0};
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_POST_TERM, err, "i", (int64_t)t->key);
    if (!q)
        return err ? err->status : status;
    bool ok = true;
    while (ok && sql_row(s, q, &status, err)) {
        const struct snapshot_doc *d = doc_by_id(v, sqlite3_column_int64(q, 0));
        if (d)
            ok = decode(v, d, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1), &hits);
    }
    sql_done(q);
    double weight = t->weight * bm25_idf((double)v->n, (double)hits.list.count);
    *ceiling += weight;
    for (size_t i = 0; i < hits.list.count; i++) {
        const struct hit *h = &hits.list.items[i];
        sums[h->slot] += weight * bm25_tf(p, h->tf, v->length[h->slot], v->average);
    }
    vec_free(&hits.list);
    return ok ? status : err_nomem(err);
}

enum sooth_status text_search(struct store *s, const struct snapshot *v, struct bm25 p,
                              const char *query, size_t len, const unsigned char *allow, size_t k,
                              struct scored *out, size_t *found, double *ceiling,
                              struct sooth_error *err)
{
    struct query q = {0};
    double most = 0;
    *found = 0;
    enum sooth_status status = segment_text(query, len, query_add, &q, err);
    double *sums = status == SOOTH_OK ? mem_calloc(v->n + 1, sizeof *sums) : NULL;
    if (status == SOOTH_OK && (!sums || q.terms.failed))
        status = err_nomem(err);
    for (size_t i = 0; i < q.terms.count && status == SOOTH_OK; i++)
        status = term_search(s, v, p, &q.terms.items[i], sums, &most, err);
    if (status == SOOTH_OK && k > 0) {
        for (size_t i = 0; i < v->n; i++)
            if (sums[i] > 0 && (!allow || allow[i]))
                best_offer(out, found, k, (struct scored){(uint32_t)i, sums[i]});
        best_sort(out, *found);
    }
    if (ceiling)
        *ceiling = most;
    mem_free(sums);
    vec_free(&q.terms);
    return status;
}
