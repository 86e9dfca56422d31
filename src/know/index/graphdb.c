/* graphdb.c: the knowledge graph's rows.
 *
 *   graph_entities  id, norm (unique), name as first seen
 *   graph_mentions  (entity, chunk) -> count
 *   graph_facts     subject, relation, object, the chunk that says so
 *   graph_chunks    passages that were read
 *
 * A passage's rows go with the passage: a trigger on its deletion removes its mentions and facts, and
 * those entities that no other passage mentions. So forgetting or changing a document keeps what
 * other documents still support, whoever deletes the passage, and needs no code of the writer. */
#include "know/index/graphdb.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "know/index/storedb.h"

static const char graph_sql[] =
    "CREATE TABLE IF NOT EXISTS graph_entities(id INTEGER PRIMARY KEY, norm TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS graph_mentions(entity INTEGER NOT NULL, chunk INTEGER NOT NULL,"
    " count INTEGER NOT NULL, PRIMARY KEY(entity, chunk)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS graph_mentions_chunk ON graph_mentions(chunk);"
    "CREATE TABLE IF NOT EXISTS graph_facts(id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL,"
    " subject INTEGER NOT NULL, relation TEXT NOT NULL, object INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS graph_facts_chunk ON graph_facts(chunk);"
    "CREATE INDEX IF NOT EXISTS graph_facts_subject ON graph_facts(subject);"
    "CREATE INDEX IF NOT EXISTS graph_facts_object ON graph_facts(object);"
    "CREATE TABLE IF NOT EXISTS graph_chunks(chunk INTEGER PRIMARY KEY);"
    "CREATE TRIGGER IF NOT EXISTS graph_forget AFTER DELETE ON chunks BEGIN"
    " DELETE FROM graph_facts WHERE chunk = OLD.id;"
    " DELETE FROM graph_entities WHERE id IN (SELECT entity FROM graph_mentions WHERE chunk = OLD.id)"
    "  AND NOT EXISTS (SELECT 1 FROM graph_mentions m WHERE m.entity = graph_entities.id AND m.chunk <> OLD.id);"
    " DELETE FROM graph_mentions WHERE chunk = OLD.id;"
    " DELETE FROM graph_chunks WHERE chunk = OLD.id; END;";

enum sooth_status graphdb_ready(struct store *s, struct sooth_error *err)
{
    return graphdb_there(s) ? SOOTH_OK : sql_exec(s, graph_sql, err);
}

bool graphdb_there(struct store *s)
{
    int64_t n = 0;
    return sql_number(s, "SELECT count(*) FROM sqlite_master WHERE name = 'graph_chunks'", &n,
                      NULL) == SOOTH_OK &&
           n > 0;
}

bool graphdb_norm(const char *name, size_t len, struct buf *out)
{
    static const char *const articles[] = {"the ", "a ", "an "};
    struct buf b = BUF_INIT;
    bool ok = uni_normalize(UNI_NFKC, name, len, &b, NULL) == SOOTH_OK;
    struct buf small = BUF_INIT;
    ok = ok && uni_normalize(UNI_CASEFOLD, buf_str(&b), b.len, &small, NULL) == SOOTH_OK;
    const char *p = buf_str(&small);
    p += strspn(p, " \t\n");
    for (size_t i = 0; i < 3; i++)
        if (strncmp(p, articles[i], strlen(articles[i])) == 0)
            p += strlen(articles[i]);
    for (bool gap = false; *p; p++) {
        bool blank = *p == ' ' || *p == '\t' || *p == '\n';
        if (blank)
            gap = out->len > 0;
        else {
            if (gap)
                buf_putc(out, ' ');
            buf_putc(out, *p);
            gap = false;
        }
    }
    buf_release(&b);
    buf_release(&small);
    return ok && !out->failed;
}

/* --- plain statements: one place that prepares, binds, steps
 * ------------------------------------------------------------- */

static sqlite3_stmt *prepare(struct store *s, const char *sql, enum sooth_status *status,
                             struct sooth_error *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    *status = code == SQLITE_OK ? SOOTH_OK : sql_fail(s, code, err);
    return q;
}

/* Runs a statement with up to two numbers and a text. */
static enum sooth_status change(struct store *s, const char *sql, int64_t a, int64_t b,
                                const char *text, int64_t c, struct sooth_error *err)
{
    enum sooth_status status;
    sqlite3_stmt *q = prepare(s, sql, &status, err);
    int n = q ? sqlite3_bind_parameter_count(q) : 0;
    if (n > 0)
        sqlite3_bind_int64(q, 1, a);
    if (n > 1)
        sqlite3_bind_int64(q, 2, b);
    if (n > 2)
        sqlite3_bind_text(q, 3, text, -1, SQLITE_STATIC);
    if (n > 3)
        sqlite3_bind_int64(q, 4, c);
    if (q) {
        int code = sqlite3_step(q);
        if (code != SQLITE_DONE && code != SQLITE_ROW)
            status = sql_fail(s, code, err);
    }
    sqlite3_finalize(q);
    return status;
}

static enum sooth_status entity_id(struct store *s, const char *name, int64_t *id,
                                   struct sooth_error *err)
{
    struct buf norm = BUF_INIT;
    enum sooth_status status;
    *id = 0;
    if (!graphdb_norm(name, strlen(name), &norm))
        return buf_release(&norm), err_nomem(err);
    sqlite3_stmt *q = prepare(s,
                              "INSERT INTO graph_entities(norm, name) VALUES(?1, ?2) ON "
                              "CONFLICT(norm) DO UPDATE SET norm = norm RETURNING id",
                              &status, err);
    if (q) {
        sqlite3_bind_text(q, 1, buf_str(&norm), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
        int code = sqlite3_step(q);
        if (code == SQLITE_ROW)
            *id = sqlite3_column_int64(q, 0);
        else
            status = sql_fail(s, code, err);
    }
    sqlite3_finalize(q);
    buf_release(&norm);
    return status;
}

static enum sooth_status mention(struct store *s, const char *name, int64_t chunk, int64_t *id,
                                 struct sooth_error *err)
{
    enum sooth_status status = entity_id(s, name, id, err);
    return status == SOOTH_OK
               ? change(s,
                        "INSERT INTO graph_mentions(entity, chunk, count) VALUES(?1, ?2, 1) ON "
                        "CONFLICT DO UPDATE SET count = count + 1",
                        *id, chunk, NULL, 0, err)
               : status;
}

enum sooth_status graphdb_passage(struct store *s, int64_t chunk, const char *const *entities,
                                  size_t n_entities, const struct graphdb_fact *facts,
                                  size_t n_facts, struct sooth_error *err)
{
    enum sooth_status status =
        change(s, "INSERT OR REPLACE INTO graph_chunks(chunk) VALUES(?1)", chunk, 0, NULL, 0, err);
    int64_t a, b;
    for (size_t i = 0; i < n_entities && status == SOOTH_OK; i++)
        status = mention(s, entities[i], chunk, &a, err);
    for (size_t i = 0; i < n_facts && status == SOOTH_OK; i++) {
        status = mention(s, facts[i].subject, chunk, &a, err);
        if (status == SOOTH_OK)
            status = mention(s, facts[i].object, chunk, &b, err);
        if (status == SOOTH_OK)
            status = change(s,
                            "INSERT INTO graph_facts(chunk, subject, relation, object) VALUES(?1, "
                            "?2, ?3, ?4)",
                            chunk, a, facts[i].relation, b, err);
    }
    return status;
}

enum sooth_status graphdb_unread(struct store *s, graphdb_chunk_fn *fn, void *user,
                                 struct sooth_error *err)
{
    enum sooth_status status;
    bool there = graphdb_there(s);
    sqlite3_stmt *q =
        prepare(s,
                there ? "SELECT id FROM chunks WHERE id NOT IN (SELECT chunk FROM graph_chunks) "
                        "ORDER BY id"
                      : "SELECT id FROM chunks ORDER BY id",
                &status, err);
    while (q && sqlite3_step(q) == SQLITE_ROW)
        if (!fn(user, sqlite3_column_int64(q, 0))) {
            status = SOOTH_ERR_CANCELLED;
            break;
        }
    sqlite3_finalize(q);
    return status;
}

enum sooth_status graphdb_count(struct store *s, struct graphdb_counts *out,
                                struct sooth_error *err)
{
    static const char *const queries[] = {
        "SELECT count(*) FROM graph_entities", "SELECT count(*) FROM graph_mentions",
        "SELECT count(*) FROM graph_facts", "SELECT count(*) FROM graph_chunks"};
    size_t *const to[] = {&out->entities, &out->mentions, &out->facts, &out->passages};
    enum sooth_status status = SOOTH_OK;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 4 && status == SOOTH_OK && graphdb_there(s); i++) {
        int64_t n = 0;
        status = sql_number(s, queries[i], &n, err);
        *to[i] = (size_t)n;
    }
    return status;
}

enum sooth_status graphdb_entities(struct store *s, graphdb_entity_fn *fn, void *user,
                                   struct sooth_error *err)
{
    enum sooth_status status;
    sqlite3_stmt *q = prepare(s, "SELECT id, name, norm FROM graph_entities ORDER BY id", &status, err);
    while (q && sqlite3_step(q) == SQLITE_ROW) {
        struct graphdb_entity e = {sqlite3_column_int64(q, 0), (const char *)sqlite3_column_text(q, 1),
                                   (const char *)sqlite3_column_text(q, 2)};
        if (!fn(user, &e)) {
            status = SOOTH_ERR_CANCELLED;
            break;
        }
    }
    sqlite3_finalize(q);
    return status;
}

static enum sooth_status edges(struct store *s, const char *sql, graphdb_edge_fn *fn, void *user,
                               struct sooth_error *err)
{
    enum sooth_status status;
    sqlite3_stmt *q = prepare(s, sql, &status, err);
    while (q && sqlite3_step(q) == SQLITE_ROW)
        if (!fn(user, sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
                sqlite3_column_double(q, 2))) {
            status = SOOTH_ERR_CANCELLED;
            break;
        }
    sqlite3_finalize(q);
    return status;
}

enum sooth_status graphdb_mentions(struct store *s, graphdb_edge_fn *fn, void *user,
                                   struct sooth_error *err)
{
    return edges(s, "SELECT entity, chunk, count FROM graph_mentions ORDER BY entity, chunk", fn,
                 user, err);
}

enum sooth_status graphdb_links(struct store *s, graphdb_edge_fn *fn, void *user,
                                struct sooth_error *err)
{
    return edges(s,
                 "SELECT subject, object, count(*) FROM graph_facts WHERE subject <> object GROUP BY "
                 "subject, object ORDER BY subject, object",
                 fn, user, err);
}

enum sooth_status graphdb_facts(struct store *s, int64_t entity, graphdb_fact_fn *fn, void *user,
                                struct sooth_error *err)
{
    enum sooth_status status;
    sqlite3_stmt *q = prepare(s,
                              "SELECT a.name, f.relation, b.name, f.chunk FROM graph_facts f JOIN "
                              "graph_entities a ON a.id = f.subject JOIN graph_entities b ON b.id = "
                              "f.object WHERE f.subject = ?1 OR f.object = ?1 ORDER BY f.id LIMIT 50",
                              &status, err);
    if (q)
        sqlite3_bind_int64(q, 1, entity);
    while (q && sqlite3_step(q) == SQLITE_ROW) {
        struct graphdb_fact f = {(const char *)sqlite3_column_text(q, 0),
                                 (const char *)sqlite3_column_text(q, 1),
                                 (const char *)sqlite3_column_text(q, 2)};
        if (!fn(user, &f, sqlite3_column_int64(q, 3)))
            break;
    }
    sqlite3_finalize(q);
    return status;
}
