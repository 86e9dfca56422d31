/* store_read.c: what is asked of the store row by row: documents, their text and pages, single
 * passages. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "know/index/storedb.h"

static enum sooth_status failed(struct sooth_error *err)
{
    return err && err->status != SOOTH_OK ? err->status : SOOTH_ERR_NOMEM;
}

static void doc_columns(sqlite3_stmt *q, struct store_doc_info *d)
{
    const char **texts[] = {&d->doc,      &d->hash, &d->parse, &d->title, &d->format,
                            &d->encoding, &d->tags, &d->added, &d->note};
    d->id = sqlite3_column_int64(q, 0);
    for (int i = 0; i < 9; i++)
        *texts[i] = (const char *)sqlite3_column_text(q, i + 1);
    d->pages = (size_t)sqlite3_column_int64(q, 10);
    d->chunks = (size_t)sqlite3_column_int64(q, 11);
    d->text_len = (size_t)sqlite3_column_int64(q, 12);
    d->source_bytes = (size_t)sqlite3_column_int64(q, 13);
    d->context_title = (const char *)sqlite3_column_text(q, 14);
}

enum sooth_status store_find(struct store *s, const char *doc, struct store_doc_info *out,
                             struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_DOC_FIND, err, "t", doc);
    if (!q)
        return failed(err);
    if (!sql_row(s, q, &status, err))
        return status == SOOTH_OK
                   ? err_set(err, SOOTH_ERR_NOTFOUND, "no document '%s' in the knowledge base", doc)
                   : status;
    mem_free(s->found);
    s->found = NULL;
    doc_columns(q, out);
    const char **texts[] = {&out->doc,    &out->hash,         &out->parse, &out->title,
                            &out->format, &out->encoding,     &out->tags,  &out->added,
                            &out->note,   &out->context_title};
    size_t total = 0, at = 0;
    for (int i = 0; i < 10; i++)
        total += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    s->found = mem_alloc(total);
    for (int i = 0; i < 10 && s->found; i++) {
        if (!*texts[i])
            continue;
        size_t n = strlen(*texts[i]) + 1;
        *texts[i] = memcpy(s->found + at, *texts[i], n);
        at += n;
    }
    sql_done(q);
    return s->found ? SOOTH_OK : err_nomem(err);
}

enum sooth_status store_docs(struct store *s, store_doc_fn *fn, void *user, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_DOC_LIST, err, "");
    if (!q)
        return failed(err);
    while (sql_row(s, q, &status, err)) {
        struct store_doc_info d;
        doc_columns(q, &d);
        if (!fn(user, &d)) {
            sql_done(q);
            return SOOTH_ERR_CANCELLED;
        }
    }
    return status;
}

enum sooth_status store_text(struct store *s, int64_t doc, size_t start, size_t end,
                             struct buf *out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t at = start; at < end && status == SOOTH_OK;) {
        size_t piece = at / PIECE, from = at % PIECE;
        sqlite3_stmt *q = sql_bind(s, SQL_TEXT_GET, err, "i", doc * PIECES + (int64_t)piece);
        if (!q)
            return failed(err);
        if (!sql_row(s, q, &status, err)) {
            if (status == SOOTH_OK)
                status = err_set(err, SOOTH_ERR_FORMAT,
                                 "knowledge base '%s' is damaged: a document's text is missing",
                                 s->dir);
            break;
        }
        size_t have = (size_t)sqlite3_column_bytes(q, 0);
        size_t n = have > from ? have - from : 0;
        n = n < end - at ? n : end - at;
        buf_add(out, (const char *)sqlite3_column_blob(q, 0) + from, n);
        sql_done(q);
        if (n == 0)
            return err_set(err, SOOTH_ERR_FORMAT,
                           "knowledge base '%s' is damaged: a document's text is short", s->dir);
        at += n;
    }
    return status == SOOTH_OK && out->failed ? err_nomem(err) : status;
}

enum sooth_status store_blocks(struct store *s, int64_t doc, struct buf *out,
                               struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_DOC_BLOCKS, err, "i", doc);
    if (!q)
        return failed(err);
    if (sql_row(s, q, &status, err)) {
        buf_add(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        sql_done(q);
    }
    return status == SOOTH_OK && out->failed ? err_nomem(err) : status;
}

enum sooth_status store_pages(struct store *s, int64_t doc, struct store_page **out, size_t *n,
                              struct sooth_error *err)
{
    VEC(struct store_page) list = {0};
    enum sooth_status status = SOOTH_ERR_NOMEM;
    *out = NULL;
    *n = 0;
    sqlite3_stmt *q = sql_bind(s, SQL_PAGE_LIST, err, "i", doc);
    if (!q)
        return failed(err);
    while (sql_row(s, q, &status, err)) {
        const char *label = (const char *)sqlite3_column_text(q, 3);
        struct store_page p = {(size_t)sqlite3_column_int64(q, 1),
                               (size_t)sqlite3_column_int64(q, 2), mem_strdup(label)};
        if ((label && !p.label) || !vec_push(&list, p)) {
            mem_free((char *)p.label);
            sql_done(q);
            status = err_nomem(err);
            break;
        }
    }
    if (status != SOOTH_OK) {
        store_pages_free(list.items, list.count);
        return status;
    }
    *out = list.items;
    *n = list.count;
    return SOOTH_OK;
}

void store_pages_free(struct store_page *pages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free((char *)pages[i].label);
    mem_free(pages);
}

enum sooth_status store_page_at(struct store *s, int64_t doc, size_t offset, size_t *page,
                                char **label, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    *page = 0;
    *label = NULL;
    sqlite3_stmt *q = sql_bind(s, SQL_PAGE_AT, err, "ii", doc, (int64_t)offset);
    if (!q)
        return failed(err);
    if (sql_row(s, q, &status, err)) {
        const char *text = (const char *)sqlite3_column_text(q, 1);
        *page = (size_t)sqlite3_column_int64(q, 0);
        *label = mem_strdup(text);
        if (text && !*label)
            status = err_nomem(err);
        sql_done(q);
    }
    return status;
}

void store_passage_release(struct store_passage *p)
{
    mem_free(p->doc);
    mem_free(p->title);
    mem_free(p->heading);
    mem_free(p->text);
    mem_free(p->page_label);
    memset(p, 0, sizeof *p);
}

static char *column_dup(sqlite3_stmt *q, int i)
{
    const char *t = (const char *)sqlite3_column_text(q, i);
    return mem_strdup(t ? t : "");
}

enum sooth_status store_passage(struct store *s, int64_t chunk, struct store_passage *out,
                                struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    struct buf text = BUF_INIT;
    memset(out, 0, sizeof *out);
    sqlite3_stmt *q = sql_bind(s, SQL_CHUNK_GET, err, "i", chunk);
    if (!q)
        return failed(err);
    if (!sql_row(s, q, &status, err))
        return status == SOOTH_OK
                   ? err_set(err, SOOTH_ERR_NOTFOUND, "no passage %lld in the knowledge base",
                             (long long)chunk)
                   : status;
    out->id = sqlite3_column_int64(q, 0);
    out->doc_id = sqlite3_column_int64(q, 1);
    out->doc = column_dup(q, 2);
    out->title = column_dup(q, 3);
    out->heading = column_dup(q, 4);
    out->start = (size_t)sqlite3_column_int64(q, 5);
    out->end = (size_t)sqlite3_column_int64(q, 6);
    out->header_start = (size_t)sqlite3_column_int64(q, 7);
    out->header_end = (size_t)sqlite3_column_int64(q, 8);
    out->page = (size_t)sqlite3_column_int64(q, 9);
    out->seq = (size_t)sqlite3_column_int64(q, 10);
    bool labelled = sqlite3_column_type(q, 11) == SQLITE_TEXT;
    out->page_label = labelled ? column_dup(q, 11) : NULL;
    bool ok = out->doc && out->title && out->heading && (!labelled || out->page_label);
    sql_done(q);
    status = ok ? store_text(s, out->doc_id, out->start, out->end, &text, err) : err_nomem(err);
    out->text = status == SOOTH_OK ? (text.len ? buf_take(&text) : mem_strdup("")) : NULL;
    buf_release(&text);
    if (status == SOOTH_OK && !out->text)
        status = err_nomem(err);
    if (status != SOOTH_OK)
        store_passage_release(out);
    return status;
}

enum sooth_status store_vector(struct store *s, const unsigned char hash[CHUNK_HASH],
                               struct buf *out, bool *found, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    size_t dim = s->embedder.dim, before = out->len;
    *found = false;
    sqlite3_stmt *q = sql_bind(s, SQL_CHUNK_BY_HASH, err, "b", hash, (size_t)CHUNK_HASH);
    if (!q)
        return failed(err);
    if (!sql_row(s, q, &status, err))
        return status;
    int64_t chunk = sqlite3_column_int64(q, 0);
    sql_done(q);
    if (!(q = sql_bind(s, SQL_VECTOR_GET, err, "i", chunk)))
        return failed(err);
    if (sql_row(s, q, &status, err)) {
        float scale = (float)sqlite3_column_double(q, 0);
        if ((size_t)sqlite3_column_bytes(q, 1) == dim)
            buf_add(out, &scale, 4), buf_add(out, sqlite3_column_blob(q, 1), dim);
        sql_done(q);
    }
    if (status == SOOTH_OK && !(q = sql_bind(s, SQL_HALF_GET, err, "i", chunk)))
        return failed(err);
    if (status == SOOTH_OK && sql_row(s, q, &status, err)) {
        if ((size_t)sqlite3_column_bytes(q, 0) == 2 * dim)
            buf_add(out, sqlite3_column_blob(q, 0), 2 * dim);
        sql_done(q);
    }
    *found = status == SOOTH_OK && out->len == before + vector_packed(dim);
    if (!*found && !out->failed)
        out->len = before;
    return status == SOOTH_OK && out->failed ? err_nomem(err) : status;
}

enum sooth_status store_chunk_at(struct store *s, int64_t doc, size_t offset, int64_t *chunk,
                                 struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_CHUNK_AT, err, "iii", doc, (int64_t)offset, (int64_t)offset);
    *chunk = 0;
    if (!q)
        return err ? err->status : status;
    if (sql_row(s, q, &status, err)) {
        *chunk = sqlite3_column_int64(q, 0);
        sql_done(q);
    }
    return status;
}
