/* store.c: opening, creating and closing a knowledge base; its schema; transactions; whose vectors
 * it holds.
 *
 *   documents   one row a document: identity (unique), content hash, title, tags, the parser's
 * blocks texts       the extracted text in pieces of 32 KiB, id = document << 24 | piece pages
 * spans and printed labels of physical pages chunks      passages: span in the text, page, heading,
 * hash of what was embedded; ids are never used twice vectors     int8 codes with a scale, scanned
 * by every search      \  one row halves      the same vectors in half precision, for the few best
 * /  a passage postings    full text: (term key, document) -> passages and counts doc_terms   the
 * term keys of a document, so that its postings are found again without reading its text meta
 * generation (a write counter), the embedder and its settings
 *
 * Safety: WAL keeps readers and one writer apart; synchronous=FULL, so a document that was reported
 * as added is on the disk; secure_delete overwrites what is removed. Killing the process at any
 * moment leaves the last committed document and nothing of the next.
 *
 * What it leaves out: servers. A second writer waits up to STORE_BUSY_MS, then gets SOOTH_ERR_BUSY.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "know/index/storedb.h"

#define DB_NAME "kb.sqlite"

static const char schema_sql[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE documents(id INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL UNIQUE, hash "
    "TEXT NOT NULL,"
    " parse TEXT NOT NULL, title TEXT, format TEXT, encoding TEXT, tags TEXT NOT NULL, added TEXT "
    "NOT NULL, note TEXT,"
    " pages INTEGER NOT NULL, chunks INTEGER NOT NULL, text_len INTEGER NOT NULL, source_bytes "
    "INTEGER NOT NULL,"
    " context_title TEXT, blocks BLOB);"
    "CREATE TABLE texts(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE pages(doc INTEGER NOT NULL, page INTEGER NOT NULL, start INTEGER NOT NULL, end "
    "INTEGER NOT NULL,"
    " label TEXT, PRIMARY KEY(doc, page)) WITHOUT ROWID;"
    "CREATE TABLE chunks(id INTEGER PRIMARY KEY AUTOINCREMENT, doc INTEGER NOT NULL, seq INTEGER "
    "NOT NULL,"
    " start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER NOT NULL, heading TEXT NOT NULL,"
    " header_start INTEGER NOT NULL, header_end INTEGER NOT NULL, length INTEGER NOT NULL, script "
    "INTEGER NOT NULL,"
    " hash BLOB NOT NULL);"
    "CREATE INDEX chunks_doc ON chunks(doc, seq);"
    "CREATE INDEX chunks_hash ON chunks(hash);"
    "CREATE TABLE vectors(chunk INTEGER PRIMARY KEY, scale REAL NOT NULL, code BLOB NOT NULL);"
    "CREATE TABLE halves(chunk INTEGER PRIMARY KEY, half BLOB NOT NULL);"
    "CREATE TABLE postings(term INTEGER NOT NULL, doc INTEGER NOT NULL, data BLOB NOT NULL, "
    "PRIMARY KEY(term, doc))"
    " WITHOUT ROWID;"
    "CREATE TABLE doc_terms(doc INTEGER PRIMARY KEY, terms BLOB NOT NULL);"
    "INSERT INTO meta VALUES('generation', 0);";
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
static const char segmenter_sql[] =
    "INSERT INTO meta VALUES('segmenter', " TEXT(SEGMENTER) ");";

static enum sooth_status create_schema(struct store *s, struct sooth_error *err)
{
    char pragma[96];
    enum sooth_status status = sql_exec(s, "BEGIN IMMEDIATE", err);
    int64_t version = 0;
    if (status == SOOTH_OK)
        status = sql_number(s, "PRAGMA user_version", &version, err);
    if (status == SOOTH_OK && version == 0) { /* otherwise another process was quicker */
        snprintf(pragma, sizeof pragma, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                 STORE_APPLICATION, STORE_SCHEMA);
        status = sql_exec(s, schema_sql, err);
        if (status == SOOTH_OK)
            status = sql_exec(s, segmenter_sql, err);
        if (status == SOOTH_OK)
            status = sql_exec(s, pragma, err);
    }
    if (status == SOOTH_OK)
        status = sql_exec(s, "COMMIT", err);
    else
        sql_exec(s, "ROLLBACK", NULL);
    return status;
}

/* Is this a knowledge base, and one this program knows? *fresh: an empty database. */
static enum sooth_status check_identity(struct store *s, bool *fresh, struct sooth_error *err)
{
    int64_t version = 0, application = 0, tables = 0;
    enum sooth_status status = sql_number(s, "PRAGMA user_version", &version, err);
    if (status == SOOTH_OK)
        status = sql_number(s, "PRAGMA application_id", &application, err);
    if (status == SOOTH_OK)
        status = sql_number(s, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (status != SOOTH_OK)
        return status;
    *fresh = version == 0 && application == 0 && tables == 0;
    if (*fresh)
        return SOOTH_OK;
    if (application != STORE_APPLICATION)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is a database of another program", s->file);
    if (version > STORE_SCHEMA) {
        err_set(err, SOOTH_ERR_UNSUPPORTED,
                "knowledge base '%s' was written by a newer sooth: its schema is %lld, this one "
                "knows %d",
                s->dir, (long long)version, STORE_SCHEMA);
        return err_hint(err, "use the newer program, or add the documents to a new knowledge base"),
               SOOTH_ERR_UNSUPPORTED;
    }
    return SOOTH_OK;
}

static enum sooth_status open_db(struct store *s, unsigned flags, struct sooth_error *err)
{
    int mode = s->read_only
                   ? SQLITE_OPEN_READONLY
                   : SQLITE_OPEN_READWRITE | (flags & STORE_CREATE ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(s->file, &s->db, mode | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return sql_fail(s, code, err);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    enum sooth_status status =
        sql_exec(s,
                 "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA cache_size=-16384;"
                 "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=ON",
                 err);
    bool fresh = false;
    if (status == SOOTH_OK)
        status = check_identity(s, &fresh, err);
    if (status != SOOTH_OK || s->read_only)
        return status == SOOTH_OK && fresh
                   ? err_set(err, SOOTH_ERR_NOTFOUND, "'%s' holds no knowledge base yet", s->dir)
                   : status;
    status = sql_exec(s,
                      "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216; PRAGMA "
                      "wal_autocheckpoint=1000",
                      err);
    /* Switching to WAL asks for the whole file and does not wait for it by itself. */
    for (int i = 0;
         status == SOOTH_OK &&
         (status = sql_exec(s, "PRAGMA journal_mode=WAL", err)) == SOOTH_ERR_BUSY && i < 200;
         i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        status = SOOTH_OK;
    }
    if (status == SOOTH_OK && fresh)
        status = create_schema(s, err);
    return status;
}

enum sooth_status store_open(const char *dir, unsigned flags, struct store **out,
                             struct sooth_error *err)
{
    struct buf file = BUF_INIT;
    *out = NULL;
    bool made = buf_printf(&file, "%s/%s", dir, DB_NAME);
    if (!made) {
        buf_release(&file);
        return err_nomem(err);
    }
    enum sooth_status status = SOOTH_OK;
    if (!file_exists(file.data)) {
        if (!(flags & STORE_CREATE) || (flags & STORE_READ_ONLY)) {
            err_set(err, SOOTH_ERR_NOTFOUND, "no knowledge base in '%s'", dir);
            err_hint(err, "sooth add PATH... --kb %s makes one", dir);
            status = SOOTH_ERR_NOTFOUND;
        } else {
            status = dir_make(dir, err);
        }
    }
    struct store *s = status == SOOTH_OK ? mem_calloc(1, sizeof *s) : NULL;
    if (!s) {
        buf_release(&file);
        return status == SOOTH_OK ? err_nomem(err) : status;
    }
    s->read_only = flags & STORE_READ_ONLY;
    s->exact_below = EXACT_BELOW;
    s->words_from = WORDS_FROM;
    s->file = buf_take(&file);
    s->dir = mem_strdup(dir);
    status = s->dir && s->file ? open_db(s, flags, err) : err_nomem(err);
    if (status == SOOTH_OK)
        status = store_embedder_read(s, err);
    if (status == SOOTH_OK && !s->read_only)
        status = store_resegment(s, err);
    if (status != SOOTH_OK) {
        store_close(s);
        return status;
    }
    *out = s;
    return SOOTH_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    snapshot_release(&s->snapshot);
    nearby_release(&s->nearby);
    words_release(&s->words);
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db); /* the last one out folds the log into the database */
    for (size_t i = 0; i < sizeof s->owned / sizeof *s->owned; i++)
        mem_free(s->owned[i]);
    mem_free(s->centres);
    mem_free(s->found);
    mem_free(s->dir);
    mem_free(s->file);
    mem_free(s);
}

void store_index_from(struct store *s, size_t passages)
{
    s->exact_below = s->words_from = passages;
    s->have_snapshot = false;
}

void store_set_busy(struct store *s, int milliseconds)
{
    sqlite3_busy_timeout(s->db, milliseconds);
}

const char *store_path(const struct store *s)
{
    return s->dir;
}

uint64_t store_bytes(const struct store *s)
{
    static const char *const names[] = {DB_NAME, DB_NAME "-wal", VECTORS_NAME, WORDS_NAME};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf path = BUF_INIT;
        struct stat st;
        if (buf_printf(&path, "%s/%s", s->dir, names[i]) && stat(path.data, &st) == 0)
            sum += (uint64_t)st.st_size;
        buf_release(&path);
    }
    return sum;
}

/* --- transactions
 * ------------------------------------------------------------------------------------------- */

enum sooth_status store_write_begin(struct store *s, struct sooth_error *err)
{
    if (s->read_only)
        return err_set(err, SOOTH_ERR_ARG, "knowledge base '%s' was opened for reading only",
                       s->dir);
    enum sooth_status status = s->depth ? SOOTH_OK : sql_exec(s, "BEGIN IMMEDIATE", err);
    s->depth += status == SOOTH_OK;
    return status;
}

enum sooth_status store_read_begin(struct store *s, struct sooth_error *err)
{
    enum sooth_status status = s->depth ? SOOTH_OK : sql_exec(s, "BEGIN", err);
    s->depth += status == SOOTH_OK;
    return status;
}

enum sooth_status store_end(struct store *s, bool commit, struct sooth_error *err)
{
    if (--s->depth > 0) /* the outermost decides; an inner failure reaches it as a status */
        return SOOTH_OK;
    if (!commit)
        return sql_exec(s, "ROLLBACK", NULL), SOOTH_OK;
    enum sooth_status status = sql_exec(s, "COMMIT", err);
    if (status != SOOTH_OK)
        sql_exec(s, "ROLLBACK", NULL);
    return status;
}

/* --- the embedder
 * ------------------------------------------------------------------------------------------- */

static const char *const owned_keys[] = {"embedder", "fingerprint", "metric", "query_prefix",
                                         "passage_prefix", "split"};

static enum sooth_status meta_text(struct store *s, const char *key, char **out,
                                   struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_INTERNAL;
    sqlite3_stmt *q = sql_bind(s, SQL_META_GET, err, "t", key);
    if (!q)
        return err ? err->status : status;
    mem_free(*out);
    *out = NULL;
    if (sql_row(s, q, &status, err)) {
        *out = mem_strdup((const char *)sqlite3_column_text(q, 0));
        sql_done(q);
        if (!*out)
            return err_nomem(err);
    }
    return status;
}

static enum sooth_status meta_number(struct store *s, const char *key, size_t *out,
                                     struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_INTERNAL;
    sqlite3_stmt *q = sql_bind(s, SQL_META_GET, err, "t", key);
    if (!q)
        return err ? err->status : status;
    *out = 0;
    if (sql_row(s, q, &status, err)) {
        int64_t v = sqlite3_column_int64(q, 0);
        sql_done(q);
        *out = v > 0 && v < 1 << 20 ? (size_t)v : 0;
    }
    return status;
}

/* Where the embedder's questions lie: absent in a store that was made without. */
static enum sooth_status meta_centres(struct store *s, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_INTERNAL;
    size_t bytes = SCRIPTS * s->embedder.dim * sizeof *s->centres;
    sqlite3_stmt *q = sql_bind(s, SQL_META_GET, err, "t", "centres");
    if (!q)
        return err ? err->status : status;
    mem_free(s->centres);
    s->centres = NULL;
    if (sql_row(s, q, &status, err)) {
        if ((size_t)sqlite3_column_bytes(q, 0) == bytes &&
            !(s->centres = mem_dup(sqlite3_column_blob(q, 0), bytes)))
            status = err_nomem(err);
        sql_done(q);
    }
    s->embedder.centres = s->centres;
    return status;
}

enum sooth_status store_embedder_read(struct store *s, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof owned_keys / sizeof *owned_keys && status == SOOTH_OK; i++)
        status = meta_text(s, owned_keys[i], &s->owned[i], err);
    s->embedder = (struct store_embedder){s->owned[0], s->owned[1], s->owned[2], s->owned[3],
                                          s->owned[4], 0,           0,           NULL,
                                          s->owned[5]};
    if (status == SOOTH_OK)
        status = meta_number(s, "dim", &s->embedder.dim, err);
    if (status == SOOTH_OK)
        status = meta_number(s, "chunk_tokens", &s->embedder.chunk_tokens, err);
    return status == SOOTH_OK && s->embedder.dim > 0 ? meta_centres(s, err) : status;
}

const struct store_embedder *store_embedder(const struct store *s)
{
    return &s->embedder;
}

static enum sooth_status embedder_write(struct store *s, const struct store_embedder *e,
                                        struct sooth_error *err)
{
    const char *values[] = {e->name,         e->fingerprint,    e->metric,
                            e->query_prefix, e->passage_prefix, e->split};
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < sizeof owned_keys / sizeof *owned_keys && status == SOOTH_OK; i++)
        if (values[i])
            status = sql_run(s, SQL_META_SET, err, "tt", owned_keys[i], values[i]);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_META_SET, err, "ti", "dim", (int64_t)e->dim);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_META_SET, err, "ti", "chunk_tokens", (int64_t)e->chunk_tokens);
    if (status == SOOTH_OK && e->centres)
        status = sql_run(s, SQL_META_SET, err, "tb", "centres", e->centres,
                         SCRIPTS * e->dim * sizeof *e->centres);
    return status;
}

enum sooth_status store_embedder_set(struct store *s, const struct store_embedder *e, bool replace,
                                     struct sooth_error *err)
{
    enum sooth_status status = store_embedder_read(s, err);
    if (status != SOOTH_OK)
        return status;
    if (s->embedder.fingerprint && !replace) {
        if (strcmp(s->embedder.fingerprint, e->fingerprint) == 0 && s->embedder.dim == e->dim)
            return SOOTH_OK;
        err_set(err, SOOTH_ERR_ARG,
                "knowledge base '%s' was made with the embedder '%s' (%zu numbers a vector), not "
                "with '%s' (%zu)",
                s->dir, s->embedder.name, s->embedder.dim, e->name, e->dim);
        err_hint(err, "sooth add --kb %s --embedder %s --reembed embeds it all again", s->dir,
                 e->name);
        return SOOTH_ERR_ARG;
    }
    status = store_write_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    int64_t taken = 0; /* another process may have set one while we waited */
    status =
        replace ? SOOTH_OK
                : sql_number(s, "SELECT count(*) FROM meta WHERE key = 'fingerprint'", &taken, err);
    if (status == SOOTH_OK && taken == 0)
        status = embedder_write(s, e, err);
    enum sooth_status end = store_end(s, status == SOOTH_OK, err);
    if (status == SOOTH_OK)
        status = end;
    if (status == SOOTH_OK)
        status = store_embedder_read(s, err);
    return status == SOOTH_OK && taken > 0 ? store_embedder_set(s, e, false, err) : status;
}
