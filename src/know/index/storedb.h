/* storedb.h: this folder's way to SQLite: one list of statements, prepared once each, and one place
 * where its result codes become statuses. */
#ifndef INDEX_STOREDB_H
#define INDEX_STOREDB_H
#include <sqlite3.h>
#include "know/index/index.h"
#include "core/base/vec.h"
#include "know/index/nearby.h"
#include "know/index/words.h"

/* One row a statement: name, SQL. */
#define SQL_LIST                                                                                   \
    SQL(META_GET, "SELECT value FROM meta WHERE key = ?")                                          \
    SQL(META_SET, "INSERT INTO meta(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET "      \
                  "value = excluded.value")                                                        \
    SQL(GENERATION, "SELECT value FROM meta WHERE key = 'generation'")                             \
    SQL(GENERATION_UP, "UPDATE meta SET value = value + 1 WHERE key = 'generation'")               \
    SQL(DOC_FIND, "SELECT id, doc, hash, parse, title, format, encoding, tags, added, note, "      \
                  "pages, chunks, text_len, "                                                      \
                  "source_bytes, context_title FROM documents WHERE doc = ?")                      \
    SQL(DOC_LIST, "SELECT id, doc, hash, parse, title, format, encoding, tags, added, note, "      \
                  "pages, chunks, text_len, "                                                      \
                  "source_bytes, context_title FROM documents ORDER BY doc")                       \
    SQL(DOC_ADD,                                                                                   \
        "INSERT INTO documents(doc, hash, parse, title, format, encoding, tags, added, note, "     \
        "pages, chunks, "                                                                          \
        "text_len, source_bytes, context_title, blocks) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")    \
    SQL(DOC_SET,                                                                                   \
        "UPDATE documents SET hash=?, parse=?, title=?, format=?, encoding=?, tags=?, added=?, "   \
        "note=?, "                                                                                 \
        "pages=?, chunks=?, text_len=?, source_bytes=?, context_title=?, blocks=? WHERE id=?")     \
    SQL(DOC_TAGS, "UPDATE documents SET tags=? WHERE doc=?")                                       \
    SQL(DOC_BLOCKS, "SELECT blocks FROM documents WHERE id=?")                                     \
    SQL(DOC_DROP, "DELETE FROM documents WHERE id=?")                                              \
    SQL(TEXT_ADD, "INSERT INTO texts(id, data) VALUES(?, ?)")                                      \
    SQL(TEXT_GET, "SELECT data FROM texts WHERE id=?")                                             \
    SQL(TEXT_DROP, "DELETE FROM texts WHERE id BETWEEN ? AND ?")                                   \
    SQL(PAGE_ADD, "INSERT INTO pages(doc, page, start, end, label) VALUES(?,?,?,?,?)")             \
    SQL(PAGE_LIST, "SELECT page, start, end, label FROM pages WHERE doc=? ORDER BY page")          \
    SQL(PAGE_AT, "SELECT page, label FROM pages WHERE doc=? AND start<=? ORDER BY start DESC, "    \
                 "page DESC LIMIT 1")                                                              \
    SQL(PAGE_DROP, "DELETE FROM pages WHERE doc=?")                                                \
    SQL(CHUNK_OF_DOC, "SELECT id, hash FROM chunks WHERE doc=? ORDER BY seq")                      \
    SQL(CHUNK_ADD, "INSERT INTO chunks(doc, seq, start, end, page, heading, header_start, "        \
                   "header_end, length, script, hash) "                                            \
                   "VALUES(?,?,?,?,?,?,?,?,?,?,?)")                                                \
    SQL(CHUNK_SET, "UPDATE chunks SET seq=?, start=?, end=?, page=?, heading=?, header_start=?, "  \
                   "header_end=?, "                                                                \
                   "length=?, script=?, hash=? WHERE id=?")                                        \
    SQL(CHUNK_DROP, "DELETE FROM chunks WHERE id=?")                                               \
    SQL(CHUNK_GET, "SELECT c.id, d.id, d.doc, d.title, c.heading, c.start, c.end, "                \
                   "c.header_start, c.header_end, c.page, "                                        \
                   "c.seq, p.label FROM chunks c JOIN documents d ON d.id = c.doc LEFT JOIN "      \
                   "pages p ON p.doc = c.doc "                                                     \
                   "AND p.page = c.page WHERE c.id=?")                                             \
    SQL(CHUNK_FULL, "SELECT id, seq, start, end, heading, header_start, header_end, length, hash " \
                    "FROM chunks WHERE doc=? "                                                     \
                    "ORDER BY seq")                                                                \
    SQL(CHUNK_AT, "SELECT id FROM chunks WHERE doc=? AND start<=? AND end>? ORDER BY seq LIMIT 1")  \
    SQL(CHUNK_BY_HASH, "SELECT id FROM chunks WHERE hash=? LIMIT 1")                               \
    SQL(CHUNK_ALL, "SELECT id, doc, page, length, script FROM chunks ORDER BY doc, seq")           \
    SQL(VECTOR_ADD, "INSERT OR REPLACE INTO vectors(chunk, scale, code) VALUES(?,?,?)")            \
    SQL(VECTOR_DROP, "DELETE FROM vectors WHERE chunk=?")                                          \
    SQL(VECTOR_GET, "SELECT scale, code FROM vectors WHERE chunk=?")                               \
    SQL(VECTOR_ALL, "SELECT chunk, scale, code FROM vectors")                                      \
    SQL(HALF_ADD, "INSERT OR REPLACE INTO halves(chunk, half) VALUES(?,?)")                        \
    SQL(HALF_DROP, "DELETE FROM halves WHERE chunk=?")                                             \
    SQL(HALF_GET, "SELECT half FROM halves WHERE chunk=?")                                         \
    SQL(POST_ADD, "INSERT OR REPLACE INTO postings(term, doc, data) VALUES(?,?,?)")                \
    SQL(POST_DROP, "DELETE FROM postings WHERE term=? AND doc=?")                                  \
    SQL(POST_TERM, "SELECT doc, data FROM postings WHERE term=?")                                  \
    SQL(POST_ALL, "SELECT term, doc, data FROM postings")                                          \
    SQL(POST_GET, "SELECT data FROM postings WHERE term=? AND doc=?")                              \
    SQL(TERMS_ADD, "INSERT OR REPLACE INTO doc_terms(doc, terms) VALUES(?,?)")                     \
    SQL(TERMS_GET, "SELECT terms FROM doc_terms WHERE doc=?")                                      \
    SQL(TERMS_DROP, "DELETE FROM doc_terms WHERE doc=?")

#define VECTORS_NAME "vectors.index"
#define WORDS_NAME "words.index"

enum sql_name {
#define SQL(name, text) SQL_##name,
    SQL_LIST
#undef SQL
        SQL_COUNT
};

struct store {
    sqlite3 *db;
    char *dir, *file;
    bool read_only;
    int depth; /* transactions nested by us: the inner ones do nothing */
    sqlite3_stmt *statements[SQL_COUNT];
    struct store_embedder embedder;
    char *owned[6]; /* the strings of embedder */
    float *centres; /* embedder.centres */
    struct snapshot snapshot;
    bool have_snapshot;
    struct nearby nearby; /* of the snapshot, when it is `indexed` */
    struct words words;   /* of the snapshot, when `have_words` */
    bool have_words;      /* looked for since the snapshot was made */
    size_t exact_below, words_from; /* passages; EXACT_BELOW and WORDS_FROM but in tests */
    char *found; /* the strings store_find handed out last */
};

/* The prepared statement, ready for binding. NULL on failure, with err set. */
sqlite3_stmt *sql_get(struct store *s, enum sql_name name, struct sooth_error *err);
/* Binds by a format: i int64_t, d double, t const char* (NULL is NULL), b const void* and size_t.
 * Text and blobs must live until the statement is done. */
sqlite3_stmt *sql_bind(struct store *s, enum sql_name name, struct sooth_error *err,
                       const char *format, ...);
/* Binds and runs a statement without rows. */
enum sooth_status sql_run(struct store *s, enum sql_name name, struct sooth_error *err,
                          const char *format, ...);
enum sooth_status sql_exec(struct store *s, const char *sql, struct sooth_error *err);
/* Steps: true on a row. False at the end or on failure: *status tells which. The statement is reset
 * at its end. */
bool sql_row(struct store *s, sqlite3_stmt *q, enum sooth_status *status, struct sooth_error *err);
void sql_done(sqlite3_stmt *q);
/* Turns the last result code into a status and a sentence. */
enum sooth_status sql_fail(struct store *s, int code, struct sooth_error *err);
/* First column of the first row, or fallback. */
enum sooth_status sql_number(struct store *s, const char *sql, int64_t *out,
                             struct sooth_error *err);

/* postings.c */
struct posting_builder;
struct posting_builder *posting_new(void);
void posting_free(struct posting_builder *b);
/* Adds one passage's terms; *length gets the count of those that count. Passages come in order of
 * seq. */
enum sooth_status posting_add(struct posting_builder *b, uint32_t seq, const char *context,
                              size_t len, uint32_t *length, struct sooth_error *err);
enum sooth_status posting_write(struct posting_builder *b, struct store *s, int64_t doc,
                                struct sooth_error *err);
/* Appends the passages of one row of postings of d. */
bool posting_decode(const struct snapshot_doc *d, const unsigned char *data, size_t len,
                    struct posting_list *out);
enum sooth_status posting_drop(struct store *s, int64_t doc, struct sooth_error *err);
/* Compares what is stored with what the builder holds; tells each difference to fn. */
enum sooth_status posting_compare(struct posting_builder *b, struct store *s, int64_t doc,
                                  const char *name, sooth_line_fn *fn, void *user, size_t *problems,
                                  struct sooth_error *err);

/* resegment.c: the full text anew, when it was cut by another segmenter. */
enum sooth_status store_resegment(struct store *s, struct sooth_error *err);

/* snapshot.c */
void snapshot_release(struct snapshot *v);
#define PIECE 32768 /* bytes of text a row of `texts` holds; its id is document * PIECES + number  \
                     */
#define PIECES ((int64_t)1 << 24)

/* store.c */
enum sooth_status store_embedder_read(struct store *s, struct sooth_error *err);
/* align.c */
bool align_prepare(struct snapshot *v); /* means and gains of a snapshot that has its codes */
/* vector.c */
float code_make(const float *v, size_t dim, int8_t *code);
/* The stored half-precision vector of a passage; *found false when there is none of that dimension.
 */
enum sooth_status half_read(struct store *s, int64_t chunk, size_t dim, float *out, bool *found,
                            struct sooth_error *err);
#endif
