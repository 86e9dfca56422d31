/* snapshot.c: one generation of the store as arrays, so that a search touches no row but those it
 * returns.
 *
 * Slots number the passages 0 .. n-1 in order of (document, place in it): a document's passages are
 * neighbours, and slot = docs[d].first + place, which is how postings name them. Everything is read
 * inside one transaction and kept until the store's generation moves on.
 *
 *   chunk  [n]      id          code   [n, dim]  int8, the matrix that is scanned
 *   doc    [n]      -> docs     scale  [n]       0 where a vector is missing
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"

static void doc_release(struct snapshot_doc *d)
{
    mem_free(d->doc);
    mem_free(d->title);
    mem_free(d->format);
    mem_free(d->tags);
}

void snapshot_release(struct snapshot *v)
{
    for (size_t i = 0; i < v->n_docs; i++)
        doc_release(&v->docs[i]);
    mem_free(v->docs);
    mem_free(v->chunk);
    mem_free(v->doc);
    mem_free(v->page);
    mem_free(v->length);
    mem_free(v->code);
    mem_free(v->scale);
    mem_free(v->norm);
    mem_free(v->script);
    mem_free(v->mean);
    mem_free(v->gain);
    memset(v, 0, sizeof *v);
}

static int by_id(const void *a, const void *b)
{
    const struct snapshot_doc *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum sooth_status load_docs(struct store *s, struct snapshot *v, struct sooth_error *err)
{
    VEC(struct snapshot_doc) docs = {0};
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_DOC_LIST, err, "");
    if (!q)
        return err ? err->status : status;
    bool ok = true;
    while (ok && sql_row(s, q, &status, err)) {
        const char *title = (const char *)sqlite3_column_text(q, 4),
                   *format = (const char *)sqlite3_column_text(q, 5);
        struct snapshot_doc d = {.id = sqlite3_column_int64(q, 0)};
        d.doc = mem_strdup((const char *)sqlite3_column_text(q, 1));
        d.title = mem_strdup(title ? title : "");
        d.format = mem_strdup(format ? format : "");
        d.tags = mem_strdup((const char *)sqlite3_column_text(q, 7));
        ok = d.doc && d.title && d.format && d.tags && vec_push(&docs, d);
        if (!ok)
            doc_release(&d);
        v->docs = docs.items;
        v->n_docs = docs.count;
    }
    sql_done(q);
    if (!ok)
        return err_nomem(err);
    if (v->n_docs > 1)
        qsort(v->docs, v->n_docs, sizeof *v->docs, by_id);
    return status;
}

static size_t find_doc(const struct snapshot *v, int64_t id)
{
    struct snapshot_doc key = {.id = id};
    const struct snapshot_doc *d =
        v->n_docs ? bsearch(&key, v->docs, v->n_docs, sizeof *v->docs, by_id) : NULL;
    return d ? (size_t)(d - v->docs) : SIZE_MAX;
}

static enum sooth_status load_chunks(struct store *s, struct snapshot *v, struct sooth_error *err)
{
    int64_t count = 0;
    enum sooth_status status = sql_number(s, "SELECT count(*) FROM chunks", &count, err);
    if (status != SOOTH_OK)
        return status;
    if (count > UINT32_MAX)
        return err_set(err, SOOTH_ERR_LIMIT, "knowledge base '%s' has too many passages", s->dir);
    size_t cap = (size_t)count;
    v->chunk = mem_array(cap + 1, sizeof *v->chunk);
    v->doc = mem_array(cap + 1, sizeof *v->doc);
    v->page = mem_array(cap + 1, sizeof *v->page);
    v->length = mem_array(cap + 1, sizeof *v->length);
    v->script = mem_array(cap + 1, 1);
    if (!v->chunk || !v->doc || !v->page || !v->length || !v->script)
        return err_nomem(err);
    sqlite3_stmt *q = sql_bind(s, SQL_CHUNK_ALL, err, "");
    if (!q)
        return err ? err->status : SOOTH_ERR_NOMEM;
    double total = 0;
    size_t doc = SIZE_MAX;
    while (v->n < cap && sql_row(s, q, &status, err)) {
        int64_t id = sqlite3_column_int64(q, 1);
        if (doc == SIZE_MAX || v->docs[doc].id != id)
            doc = find_doc(v, id);
        if (doc == SIZE_MAX)
            continue; /* an orphan; store_check tells */
        if (v->docs[doc].count++ == 0)
            v->docs[doc].first = v->n;
        v->chunk[v->n] = sqlite3_column_int64(q, 0);
        v->doc[v->n] = (uint32_t)doc;
        v->page[v->n] = (uint32_t)sqlite3_column_int64(q, 2);
        v->length[v->n] = (uint32_t)sqlite3_column_int64(q, 3);
        v->script[v->n] = sqlite3_column_int64(q, 4) == SCRIPT_HAN ? SCRIPT_HAN : SCRIPT_OTHER;
        total += v->length[v->n++];
    }
    sql_done(q);
    v->average = v->n ? total / (double)v->n : 0;
    return status;
}

struct slot_of {
    int64_t chunk;
    uint32_t slot;
};

static int by_chunk(const void *a, const void *b)
{
    const struct slot_of *x = a, *y = b;
    return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

/* Vectors come in order of passage id, slots are in order of document: both sides are walked in
 * order of id. */
static enum sooth_status load_vectors(struct store *s, struct snapshot *v, struct sooth_error *err)
{
    size_t dim = s->embedder.dim;
    v->code = mem_calloc(v->n + 1, dim + 1);
    v->scale = mem_calloc(v->n + 1, sizeof *v->scale);
    v->norm = mem_calloc(v->n + 1, sizeof *v->norm);
    struct slot_of *slots = mem_array(v->n + 1, sizeof *slots);
    sqlite3_stmt *q = v->code && v->scale && v->norm && slots ? sql_bind(s, SQL_VECTOR_ALL, err, "")
                                                              : NULL;
    enum sooth_status status = q ? SOOTH_OK : err_nomem(err);
    v->dim = dim;
    if (q) {
        size_t at = 0;
        for (size_t i = 0; i < v->n; i++)
            slots[i] = (struct slot_of){v->chunk[i], (uint32_t)i};
        qsort(slots, v->n, sizeof *slots, by_chunk);
        while (sql_row(s, q, &status, err)) {
            int64_t chunk = sqlite3_column_int64(q, 0);
            const void *code = sqlite3_column_blob(q, 2);
            while (at < v->n && slots[at].chunk < chunk)
                at++;
            if (at == v->n || slots[at].chunk != chunk || !code ||
                (size_t)sqlite3_column_bytes(q, 2) != dim)
                continue;
            size_t slot = slots[at].slot;
            memcpy(v->code + slot * dim, code, dim);
            v->scale[slot] = (float)sqlite3_column_double(q, 1);
            v->norm[slot] = v->scale[slot] * sqrtf((float)kernel_get()->dot_i8(
                                                 v->code + slot * dim, v->code + slot * dim, dim));
            if (!(v->norm[slot] > 0 && v->norm[slot] < INFINITY))
                v->scale[slot] = 0; /* a damaged row is no vector */
        }
    }
    mem_free(slots);
    return status == SOOTH_OK && !align_prepare(v) ? err_nomem(err) : status;
}

/* Through the index file where there is a good one, else all codes in memory. */
static enum sooth_status find_vectors(struct store *s, struct snapshot *v, struct sooth_error *err)
{
    v->dim = s->embedder.dim;
    if (v->dim == 0 || !nearby_attach(s, v))
        return load_vectors(s, v, err);
    v->mean = mem_dup(s->nearby.index->set.mean, SCRIPTS * v->dim * sizeof *v->mean);
    v->indexed = v->mean != NULL;
    return v->indexed ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status refresh(struct store *s, bool vectors, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_GENERATION, err, "");
    if (!q)
        return err ? err->status : status;
    uint64_t generation = 0;
    if (sql_row(s, q, &status, err)) {
        generation = (uint64_t)sqlite3_column_int64(q, 0);
        sql_done(q);
    }
    if (status != SOOTH_OK)
        return status;
    struct snapshot *v = &s->snapshot;
    if (!s->have_snapshot || v->generation != generation) {
        snapshot_release(v);
        nearby_release(&s->nearby);
        words_release(&s->words);
        s->have_words = false;
        s->have_snapshot = false;
        status = store_embedder_read(s, err);
        if (status == SOOTH_OK)
            status = load_docs(s, v, err);
        if (status == SOOTH_OK)
            status = load_chunks(s, v, err);
        v->generation = generation;
    }
    if (status == SOOTH_OK && vectors && !v->code && !v->indexed)
        status = find_vectors(s, v, err);
    s->have_snapshot = status == SOOTH_OK;
    return status;
}

enum sooth_status store_snapshot(struct store *s, bool vectors, const struct snapshot **out,
                                 struct sooth_error *err)
{
    *out = NULL;
    enum sooth_status status = store_read_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = refresh(s, vectors, err);
    enum sooth_status end = store_end(s, true, err);
    if (status == SOOTH_OK)
        status = end;
    if (status == SOOTH_OK)
        *out = &s->snapshot;
    else {
        snapshot_release(&s->snapshot);
        s->have_snapshot = false;
    }
    return status;
}
