/* store_check.c: does every index say the same as the passages, and giving back the space of what
 * was forgotten.
 *
 * The check trusts nothing it can work out again: it runs SQLite's own integrity check, cuts every
 * passage out of the stored text, hashes its context, segments it, and compares with what the
 * tables hold. */
#include <stdarg.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"
#include "know/index/storedb.h"

struct checker {
    struct store *s;
    sooth_line_fn *fn;
    void *user;
    size_t problems;
    struct sooth_error *err;
};

__attribute__((format(printf, 2, 3))) static void problem(struct checker *c, const char *format,
                                                          ...)
{
    struct buf line = BUF_INIT;
    va_list ap;
    c->problems++;
    va_start(ap, format);
    if (c->fn && buf_vprintf(&line, format, ap))
        c->fn(c->user, line.data);
    va_end(ap);
    buf_release(&line);
}

static enum sooth_status check_database(struct checker *c)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(c->s->db, "PRAGMA integrity_check(20)", -1, &q, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(q);
        const char *line = code == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
        if (line && strcmp(line, "ok") != 0)
            problem(c, "database: %s", line);
    }
    enum sooth_status status = code == SQLITE_DONE ? SOOTH_OK : sql_fail(c->s, code, c->err);
    sqlite3_finalize(q);
    return status;
}

/* Rows that point at nothing. One row: what it counts, the query. */
static const struct {
    const char *what, *sql;
} orphans[] = {
    {"passages of no document",
     "SELECT count(*) FROM chunks WHERE doc NOT IN (SELECT id FROM documents)"},
    {"passages without a vector",
     "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors)"},
    {"passages without a full vector",
     "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM halves)"},
    {"vectors of no passage",
     "SELECT count(*) FROM vectors WHERE chunk NOT IN (SELECT id FROM chunks)"},
    {"full vectors of no passage",
     "SELECT count(*) FROM halves WHERE chunk NOT IN (SELECT id FROM chunks)"},
    {"postings of no document",
     "SELECT count(*) FROM postings WHERE doc NOT IN (SELECT id FROM documents)"},
    {"lists of terms of no document",
     "SELECT count(*) FROM doc_terms WHERE doc NOT IN (SELECT id FROM documents)"},
    {"pages of no document",
     "SELECT count(*) FROM pages WHERE doc NOT IN (SELECT id FROM documents)"},
    {"pieces of text of no document",
     "SELECT count(*) FROM texts WHERE (id >> 24) NOT IN (SELECT id FROM documents)"},
    {"documents whose passages are not counted right",
     "SELECT count(*) FROM documents d WHERE chunks <> (SELECT count(*) FROM chunks c WHERE c.doc "
     "= d.id)"},
    {"documents whose passages are not numbered in order",
     "SELECT count(*) FROM documents d WHERE chunks > 0 AND (chunks <> (SELECT count(DISTINCT seq) "
     "FROM chunks c WHERE c.doc = d.id)"
     " OR chunks - 1 <> (SELECT max(seq) FROM chunks c WHERE c.doc = d.id))"},
    {"documents whose list of terms differs from the postings",
     "SELECT (SELECT coalesce(sum(length(terms)), 0) / 8 FROM doc_terms) <> (SELECT count(*) FROM "
     "postings)"},
};

static enum sooth_status check_orphans(struct checker *c)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof orphans / sizeof *orphans && status == SOOTH_OK; i++) {
        int64_t n = 0;
        status = sql_number(c->s, orphans[i].sql, &n, c->err);
        if (status == SOOTH_OK && n > 0)
            problem(c, "%lld %s", (long long)n, orphans[i].what);
    }
    size_t dim = c->s->embedder.dim;
    struct buf sql = BUF_INIT;
    int64_t n = 0;
    if (status == SOOTH_OK && dim > 0 &&
        buf_printf(&sql,
                   "SELECT (SELECT count(*) FROM vectors WHERE length(code) <> %zu) + (SELECT "
                   "count(*) FROM halves WHERE "
                   "length(half) <> %zu)",
                   dim, 2 * dim))
        status = sql_number(c->s, sql.data, &n, c->err);
    if (n > 0)
        problem(c, "%lld vectors of another dimension than %zu", (long long)n, dim);
    buf_release(&sql);
    return status;
}

struct listed {
    int64_t id;
    char *doc, *title;
    size_t text_len;
};
struct listing {
    VEC(struct listed) list;
};

static bool list_doc(void *user, const struct store_doc_info *d)
{
    struct listing *l = user;
    struct listed item = {d->id, mem_strdup(d->doc), mem_strdup(d->context_title), d->text_len};
    if (item.doc && (item.title || !d->context_title) && vec_push(&l->list, item))
        return true;
    mem_free(item.doc);
    mem_free(item.title);
    return false;
}

/* One passage against the text: its span, its hash, its terms. */
static enum sooth_status check_passage(struct checker *c, const struct listed *d, const char *text,
                                       sqlite3_stmt *q, struct posting_builder *b, size_t *last)
{
    size_t seq = (size_t)sqlite3_column_int64(q, 1), start = (size_t)sqlite3_column_int64(q, 2);
    size_t end = (size_t)sqlite3_column_int64(q, 3), hs = (size_t)sqlite3_column_int64(q, 5),
           he = (size_t)sqlite3_column_int64(q, 6);
    if (start >= end || end > d->text_len || hs > he || he > d->text_len || start < *last) {
        problem(c, "'%s': passage %zu has the impossible span %zu..%zu", d->doc, seq, start, end);
        return SOOTH_OK;
    }
    *last = start;
    if (!utf8_valid(text + start, end - start))
        problem(c, "'%s': passage %zu cuts a character", d->doc, seq);
    struct buf context = BUF_INIT;
    unsigned char hash[CHUNK_HASH];
    uint32_t length = 0;
    enum sooth_status status = store_context(d->title, (const char *)sqlite3_column_text(q, 4),
                                             text + hs, he - hs, text + start, end - start,
                                             &context)
                                   ? SOOTH_OK
                                   : err_nomem(c->err);
    if (status == SOOTH_OK) {
        store_hash(context.data, context.len, hash);
        if (sqlite3_column_bytes(q, 8) != CHUNK_HASH ||
            memcmp(sqlite3_column_blob(q, 8), hash, CHUNK_HASH) != 0)
            problem(c, "'%s': passage %zu is not what was embedded", d->doc, seq);
        status = posting_add(b, (uint32_t)seq, context.data, context.len, &length, c->err);
        if (status == SOOTH_OK && length != (uint32_t)sqlite3_column_int64(q, 7))
            problem(c, "'%s': passage %zu has another length than is stored", d->doc, seq);
    }
    buf_release(&context);
    return status;
}

static enum sooth_status check_document(struct checker *c, const struct listed *d)
{
    struct buf text = BUF_INIT;
    struct posting_builder *b = posting_new();
    struct sooth_error why = {0};
    size_t last = 0;
    enum sooth_status status = b ? store_text(c->s, d->id, 0, d->text_len, &text, &why)
                                 : err_nomem(c->err);
    if (status == SOOTH_ERR_FORMAT) {
        problem(c, "'%s': %s", d->doc, why.text);
        status = SOOTH_OK;
    } else if (status == SOOTH_OK) {
        sqlite3_stmt *q = sql_bind(c->s, SQL_CHUNK_FULL, c->err, "i", d->id);
        status = q ? SOOTH_OK : SOOTH_ERR_NOMEM;
        while (q && status == SOOTH_OK && sql_row(c->s, q, &status, c->err))
            status = check_passage(c, d, buf_str(&text), q, b, &last);
        if (q)
            sql_done(q);
        if (status == SOOTH_OK)
            status = posting_compare(b, c->s, d->id, d->doc, c->fn, c->user, &c->problems, c->err);
    }
    posting_free(b);
    buf_release(&text);
    return status;
}

/* The files beside the database: a damaged one is never used, but a person may want to know. */
static void check_files(struct checker *c)
{
    struct buf path = BUF_INIT;
    struct vindex *x = NULL;
    struct sooth_error why = {0};
    if (buf_printf(&path, "%s/" VECTORS_NAME, c->s->dir) && file_exists(path.data) &&
        vindex_open(path.data, &x, &why) != SOOTH_OK)
        problem(c, "%s: it is not used, and made anew by the next add or compact", why.text);
    vindex_free(x);
    buf_release(&path);
}

enum sooth_status store_check(struct store *s, sooth_line_fn *fn, void *user, size_t *problems,
                              struct sooth_error *err)
{
    struct checker c = {s, fn, user, 0, err};
    struct listing docs = {0};
    *problems = 0;
    enum sooth_status status = store_read_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = check_database(&c);
    if (status == SOOTH_OK)
        status = check_orphans(&c);
    if (status == SOOTH_OK)
        status = store_docs(s, list_doc, &docs, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    for (size_t i = 0; i < docs.list.count; i++) {
        if (status == SOOTH_OK)
            status = check_document(&c, &docs.list.items[i]);
        mem_free(docs.list.items[i].doc);
        mem_free(docs.list.items[i].title);
    }
    vec_free(&docs.list);
    if (status == SOOTH_OK)
        check_files(&c);
    store_end(s, true, NULL);
    *problems = c.problems;
    return status;
}

/* Freed pages were overwritten when they were freed (secure_delete), but older copies of pages may
 * still lie in the write-ahead log and in the slack of pages. VACUUM writes every live row into a
 * fresh database; TRUNCATE then empties the log. */
enum sooth_status store_compact(struct store *s, uint64_t *before, uint64_t *after,
                                struct sooth_error *err)
{
    if (s->read_only)
        return err_set(err, SOOTH_ERR_ARG, "knowledge base '%s' was opened for reading only",
                       s->dir);
    uint64_t old = store_bytes(s);
    enum sooth_status status = sql_exec(s, "VACUUM", err);
    if (status == SOOTH_OK)
        status = store_index_refresh(s, 0, true, err);
    if (status == SOOTH_OK) {
        sqlite3_stmt *q = NULL;
        int code = sqlite3_prepare_v2(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", -1, &q, NULL);
        code = code == SQLITE_OK ? sqlite3_step(q) : code;
        bool blocked = code == SQLITE_ROW && sqlite3_column_int(q, 0) != 0;
        sqlite3_finalize(q);
        if (code != SQLITE_ROW)
            status = sql_fail(s, code, err);
        else if (blocked)
            status = sql_fail(s, SQLITE_BUSY, err);
    }
    if (before)
        *before = old;
    if (after)
        *after = store_bytes(s);
    return status;
}
