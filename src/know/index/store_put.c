/* store_put.c: writing and removing documents, each in one transaction.
 *
 * A changed document keeps what did not change: passages are matched to the old ones by the hash of
 * what was embedded, in order; those that match keep their id and their vector, the rest are
 * replaced. The full text, the pages and the lists of terms are written anew, since positions have
 * moved. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"
#include "know/index/storedb.h"

bool store_context(const char *title, const char *heading, const char *header, size_t header_len,
                   const char *text, size_t len, struct buf *out)
{
    size_t n = title ? strlen(title) : 0;
    bool named = heading && n > 0 && strncmp(heading, title, n) == 0 &&
                 (heading[n] == '\0' || strncmp(heading + n, " > ", 3) == 0);
    if (n > 0 && !named) /* the title is often the first heading: once is enough */
        buf_add(out, title, n), buf_putc(out, '\n');
    if (heading && *heading)
        buf_puts(out, heading), buf_putc(out, '\n');
    if (header_len > 0)
        buf_add(out, header, header_len), buf_putc(out, '\n');
    buf_add(out, text, len);
    return !out->failed;
}

void store_hash(const char *context, size_t len, unsigned char out[CHUNK_HASH])
{
    struct sha256 h;
    unsigned char full[32];
    sha256_init(&h);
    sha256_add(&h, context, len);
    sha256_end(&h, full);
    memcpy(out, full, CHUNK_HASH);
}

static bool tags_json(const struct sooth_tag *tags, size_t n, struct buf *out)
{
    struct json_writer w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        bool again = false; /* the last value of a key counts */
        for (size_t j = i + 1; j < n; j++)
            again |= strcmp(tags[i].key, tags[j].key) == 0;
        if (again)
            continue;
        jsonw_key(&w, tags[i].key);
        jsonw_string(&w, tags[i].value);
    }
    jsonw_end_object(&w);
    return !out->failed;
}

static void now_text(char out[32])
{
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* --- a document's parts
 * ------------------------------------------------------------------------------------- */

struct old_chunk {
    int64_t id;
    unsigned char hash[CHUNK_HASH];
    bool used;
};
struct old_chunks {
    VEC(struct old_chunk) list;
    size_t next; /* matches usually come in order */
};

static enum sooth_status old_read(struct store *s, int64_t doc, struct old_chunks *old,
                                  struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_CHUNK_OF_DOC, err, "i", doc);
    if (!q)
        return err ? err->status : status;
    while (sql_row(s, q, &status, err)) {
        struct old_chunk c = {.id = sqlite3_column_int64(q, 0)};
        if (sqlite3_column_bytes(q, 1) == CHUNK_HASH)
            memcpy(c.hash, sqlite3_column_blob(q, 1), CHUNK_HASH);
        if (!vec_push(&old->list, c)) {
            sql_done(q);
            return err_nomem(err);
        }
    }
    return status;
}

static struct old_chunk *old_match(struct old_chunks *old, const unsigned char *hash)
{
    size_t n = old->list.count;
    for (size_t i = 0; i < n; i++) {
        size_t at = (old->next + i) % n;
        struct old_chunk *c = &old->list.items[at];
        if (!c->used && memcmp(c->hash, hash, CHUNK_HASH) == 0) {
            old->next = (at + 1) % n;
            c->used = true;
            return c;
        }
    }
    return NULL;
}

static enum sooth_status chunk_drop(struct store *s, int64_t id, struct sooth_error *err)
{
    enum sooth_status status = sql_run(s, SQL_VECTOR_DROP, err, "i", id);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_HALF_DROP, err, "i", id);
    return status == SOOTH_OK ? sql_run(s, SQL_CHUNK_DROP, err, "i", id) : status;
}

static enum sooth_status vector_write(struct store *s, int64_t chunk, const unsigned char *packed,
                                      struct sooth_error *err)
{
    size_t dim = s->embedder.dim;
    float scale;
    if (!packed)
        return err_set(err, SOOTH_ERR_INTERNAL, "a passage came without its vector");
    memcpy(&scale, packed, 4);
    enum sooth_status status =
        sql_run(s, SQL_VECTOR_ADD, err, "idb", chunk, (double)scale, packed + 4, dim);
    return status == SOOTH_OK
               ? sql_run(s, SQL_HALF_ADD, err, "ib", chunk, packed + 4 + dim, 2 * dim)
               : status;
}

static enum sooth_status chunk_write(struct store *s, int64_t doc, size_t seq,
                                     const struct store_chunk *c, uint32_t length,
                                     struct old_chunks *old, bool fresh_vectors,
                                     struct sooth_error *err)
{
    int64_t script = script_of(c->context, c->context_len);
    struct old_chunk *same = fresh_vectors ? NULL : old_match(old, c->hash);
    if (same)
        return sql_run(s, SQL_CHUNK_SET, err, "iiiitiiiibi", (int64_t)seq, (int64_t)c->start,
                       (int64_t)c->end, (int64_t)c->page, c->heading, (int64_t)c->header_start,
                       (int64_t)c->header_end, (int64_t)length, script, c->hash, (size_t)CHUNK_HASH,
                       same->id);
    enum sooth_status status = sql_run(s, SQL_CHUNK_ADD, err, "iiiiitiiiib", doc, (int64_t)seq,
                                       (int64_t)c->start, (int64_t)c->end, (int64_t)c->page,
                                       c->heading, (int64_t)c->header_start, (int64_t)c->header_end,
                                       (int64_t)length, script, c->hash, (size_t)CHUNK_HASH);
    return status == SOOTH_OK ? vector_write(s, sqlite3_last_insert_rowid(s->db), c->vector, err)
                              : status;
}

static enum sooth_status chunks_write(struct store *s, int64_t doc,
                                      const struct store_chunk *chunks, size_t n,
                                      bool fresh_vectors, struct sooth_error *err)
{
    struct old_chunks old = {0};
    struct posting_builder *b = posting_new();
    enum sooth_status status = b ? old_read(s, doc, &old, err) : err_nomem(err);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        uint32_t length = 0;
        status =
            posting_add(b, (uint32_t)i, chunks[i].context, chunks[i].context_len, &length, err);
        if (status == SOOTH_OK)
            status = chunk_write(s, doc, i, &chunks[i], length, &old, fresh_vectors, err);
    }
    for (size_t i = 0; i < old.list.count && status == SOOTH_OK; i++)
        if (!old.list.items[i].used)
            status = chunk_drop(s, old.list.items[i].id, err);
    if (status == SOOTH_OK)
        status = posting_drop(s, doc, err);
    if (status == SOOTH_OK)
        status = posting_write(b, s, doc, err);
    posting_free(b);
    vec_free(&old.list);
    return status;
}

static enum sooth_status text_drop(struct store *s, int64_t doc, struct sooth_error *err)
{
    enum sooth_status status =
        sql_run(s, SQL_TEXT_DROP, err, "ii", doc * PIECES, doc * PIECES + PIECES - 1);
    return status == SOOTH_OK ? sql_run(s, SQL_PAGE_DROP, err, "i", doc) : status;
}

static enum sooth_status text_write(struct store *s, int64_t doc, const struct store_document *d,
                                    struct sooth_error *err)
{
    enum sooth_status status = text_drop(s, doc, err);
    for (size_t at = 0; at < d->text_len && status == SOOTH_OK; at += PIECE) {
        size_t n = d->text_len - at < PIECE ? d->text_len - at : PIECE;
        status = sql_run(s, SQL_TEXT_ADD, err, "ib", doc * PIECES + (int64_t)(at / PIECE),
                         d->text + at, n);
    }
    for (size_t i = 0; i < d->n_pages && status == SOOTH_OK; i++)
        status = sql_run(s, SQL_PAGE_ADD, err, "iiiit", doc, (int64_t)(i + 1),
                         (int64_t)d->pages[i].start, (int64_t)d->pages[i].end, d->pages[i].label);
    return status;
}

static enum sooth_status document_write(struct store *s, const struct store_document *d,
                                        size_t chunks, int64_t *id, struct sooth_error *err)
{
    struct buf tags = BUF_INIT;
    char now[32];
    now_text(now);
    enum sooth_status status = tags_json(d->tags, d->n_tags, &tags) ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK && *id > 0)
        status = sql_run(s, SQL_DOC_SET, err, "ttttttttiiiitbi", d->hash, d->parse, d->title,
                         d->format, d->encoding, tags.data, now, d->note, (int64_t)d->n_pages,
                         (int64_t)chunks, (int64_t)d->text_len, (int64_t)d->source_bytes,
                         d->context_title, d->blocks, d->blocks_len, *id);
    else if (status == SOOTH_OK) {
        status = sql_run(s, SQL_DOC_ADD, err, "tttttttttiiiitb", d->doc, d->hash, d->parse,
                         d->title, d->format, d->encoding, tags.data, now, d->note,
                         (int64_t)d->n_pages, (int64_t)chunks, (int64_t)d->text_len,
                         (int64_t)d->source_bytes, d->context_title, d->blocks, d->blocks_len);
        *id = sqlite3_last_insert_rowid(s->db);
    }
    buf_release(&tags);
    return status;
}

static enum sooth_status put_inside(struct store *s, const struct store_document *d,
                                    const struct store_chunk *chunks, size_t n, bool force,
                                    struct store_put *result, struct sooth_error *err)
{
    struct store_doc_info old;
    int64_t id = 0;
    enum sooth_status status = store_find(s, d->doc, &old, NULL);
    if (status == SOOTH_OK) {
        id = old.id;
        result->updated = true;
        if (!force && strcmp(old.hash, d->hash) == 0 && strcmp(old.parse, d->parse) == 0) {
            result->unchanged = true;
            return SOOTH_OK;
        }
    } else if (status != SOOTH_ERR_NOTFOUND) {
        return store_find(s, d->doc, &old, err);
    }
    status = document_write(s, d, n, &id, err);
    if (status == SOOTH_OK)
        status = text_write(s, id, d, err);
    if (status == SOOTH_OK)
        status = chunks_write(s, id, chunks, n, force, err);
    return status == SOOTH_OK ? sql_run(s, SQL_GENERATION_UP, err, "") : status;
}

enum sooth_status store_put(struct store *s, const struct store_document *d,
                            const struct store_chunk *chunks, size_t n, bool force,
                            struct store_put *result, struct sooth_error *err)
{
    struct store_put unused;
    result = result ? result : &unused;
    *result = (struct store_put){0};
    if (d->text_len / PIECE >= (size_t)PIECES)
        return err_set(err, SOOTH_ERR_LIMIT, "document '%s' is too long for a knowledge base",
                       d->doc);
    enum sooth_status status = store_write_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = put_inside(s, d, chunks, n, force, result, err);
    enum sooth_status end = store_end(s, status == SOOTH_OK, err);
    return status == SOOTH_OK ? end : status;
}

enum sooth_status store_set_tags(struct store *s, const char *doc, const struct sooth_tag *tags,
                                 size_t n, struct sooth_error *err)
{
    struct buf json = BUF_INIT;
    enum sooth_status status = tags_json(tags, n, &json) ? store_write_begin(s, err)
                                                         : err_nomem(err);
    if (status == SOOTH_OK) {
        status = sql_run(s, SQL_DOC_TAGS, err, "tt", json.data, doc);
        if (status == SOOTH_OK)
            status = sql_run(s, SQL_GENERATION_UP, err, "");
        enum sooth_status end = store_end(s, status == SOOTH_OK, err);
        status = status == SOOTH_OK ? end : status;
    }
    buf_release(&json);
    return status;
}

static enum sooth_status forget_inside(struct store *s, const char *doc, struct sooth_error *err)
{
    struct store_doc_info found;
    struct old_chunks old = {0};
    enum sooth_status status = store_find(s, doc, &found, err);
    if (status != SOOTH_OK)
        return status;
    int64_t id = found.id;
    status = old_read(s, id, &old, err);
    for (size_t i = 0; i < old.list.count && status == SOOTH_OK; i++)
        status = chunk_drop(s, old.list.items[i].id, err);
    vec_free(&old.list);
    if (status == SOOTH_OK)
        status = posting_drop(s, id, err);
    if (status == SOOTH_OK)
        status = text_drop(s, id, err);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_DOC_DROP, err, "i", id);
    return status == SOOTH_OK ? sql_run(s, SQL_GENERATION_UP, err, "") : status;
}

enum sooth_status store_forget(struct store *s, const char *doc, struct sooth_error *err)
{
    enum sooth_status status = store_write_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = forget_inside(s, doc, err);
    enum sooth_status end = store_end(s, status == SOOTH_OK, err);
    return status == SOOTH_OK ? end : status;
}
