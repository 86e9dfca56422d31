/* tabledb.c: totals are worked out by a database, never by a language model.
 *
 * The rows of a document's table are copied into SQLite in memory; what is asked of it runs behind
 * five guards, whoever wrote the statement:
 *
 *   one statement          nothing may be left behind the first one when it is prepared
 *   it only reads          sqlite3_stmt_readonly, and PRAGMA query_only
 *   authorizer             SELECT, reading columns of tables here, functions of a list; all else denied
 *   budget                 a progress handler ends it after STEPS virtual machine steps
 *   sizes                  rows handed out, length of the statement, depth, columns, attached files: 0
 *
 * Values of the question only come in as bound parameters.
 *
 * What it leaves out: joins over several tables are not made up here, but not forbidden either. */
#include "know/index/tabledb.h"
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/unicode.h"

enum { STEPS = 20000000, STEPS_EACH = 1000, SQL_MAX = 65536, CELL_MAX = 1 << 20 };

struct tabledb {
    sqlite3 *db;
    sqlite3_stmt *insert;
    size_t insert_table;
    uint64_t steps;
    bool asking; /* the authorizer denies */
};

static const char *const functions[] = {"count", "sum",   "total", "avg",   "min",   "max",
                                        "abs",   "round", "lower", "upper", "length", "coalesce",
                                        "like",  "substr", "ifnull", "nullif", "group_concat"};

static int authorize(void *user, int action, const char *a, const char *b, const char *c,
                     const char *d)
{
    const struct tabledb *t = user;
    (void)c;
    (void)d;
    if (!t->asking)
        return SQLITE_OK;
    if (action == SQLITE_SELECT || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action == SQLITE_READ)
        return a && strncmp(a, "sqlite_", 7) != 0 ? SQLITE_OK : SQLITE_DENY;
    for (size_t i = 0; action == SQLITE_FUNCTION && i < sizeof functions / sizeof *functions; i++)
        if (b && sqlite3_stricmp(b, functions[i]) == 0)
            return SQLITE_OK;
    return SQLITE_DENY;
}

static int progress(void *user)
{
    struct tabledb *t = user;
    t->steps += STEPS_EACH;
    return t->steps > STEPS;
}

static enum sooth_status fail(struct tabledb *t, int code, struct sooth_error *err)
{
    if (code == SQLITE_NOMEM)
        return err_nomem(err);
    if (code == SQLITE_INTERRUPT)
        return err_set(err, SOOTH_ERR_LIMIT, "the query over the tables takes too long");
    return err_set(err, SOOTH_ERR_ARG, "the query over the tables was refused: %s",
                   t->db ? sqlite3_errmsg(t->db) : sqlite3_errstr(code));
}

enum sooth_status tabledb_new(struct tabledb **out, struct sooth_error *err)
{
    struct tabledb *t = *out = mem_calloc(1, sizeof *t);
    if (!t)
        return err_nomem(err);
    int code = sqlite3_open_v2(":memory:", &t->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        enum sooth_status status = fail(t, code, err);
        tabledb_free(t);
        *out = NULL;
        return status;
    }
    sqlite3_limit(t->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(t->db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
    sqlite3_limit(t->db, SQLITE_LIMIT_LENGTH, CELL_MAX);
    sqlite3_limit(t->db, SQLITE_LIMIT_EXPR_DEPTH, 100);
    sqlite3_limit(t->db, SQLITE_LIMIT_COMPOUND_SELECT, 4);
    sqlite3_set_authorizer(t->db, authorize, t);
    sqlite3_progress_handler(t->db, STEPS_EACH, progress, t);
    return SOOTH_OK;
}

void tabledb_free(struct tabledb *t)
{
    if (!t)
        return;
    sqlite3_finalize(t->insert);
    sqlite3_close(t->db);
    mem_free(t);
}

enum sooth_status tabledb_table(struct tabledb *t, size_t n, const bool *numeric, size_t columns,
                                struct sooth_error *err)
{
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "CREATE TABLE t%zu(", n);
    for (size_t i = 0; i < columns; i++)
        buf_printf(&sql, "%sc%zu%s", i ? ", " : "", i, numeric[i] ? "" : " TEXT COLLATE NOCASE");
    buf_puts(&sql, ")");
    int code = sql.failed ? SQLITE_NOMEM : sqlite3_exec(t->db, sql.data, NULL, NULL, NULL);
    buf_clear(&sql);
    buf_printf(&sql, "INSERT INTO t%zu VALUES(", n);
    for (size_t i = 0; i < columns; i++)
        buf_puts(&sql, i ? ",?" : "?");
    buf_puts(&sql, ")");
    sqlite3_finalize(t->insert);
    t->insert = NULL;
    t->insert_table = n;
    if (code == SQLITE_OK)
        code = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(t->db, sql.data, -1, &t->insert, NULL);
    buf_release(&sql);
    return code == SQLITE_OK ? SOOTH_OK : fail(t, code, err);
}

enum sooth_status tabledb_row(struct tabledb *t, size_t n, const char *const *cells,
                              const double *numbers, const bool *numeric, size_t columns,
                              struct sooth_error *err)
{
    int code = t->insert && t->insert_table == n ? SQLITE_OK : SQLITE_MISUSE;
    t->steps = 0;
    for (size_t i = 0; i < columns && code == SQLITE_OK; i++) {
        int at = (int)i + 1;
        if (!cells[i] || !*cells[i])
            code = sqlite3_bind_null(t->insert, at);
        else if (!numeric[i])
            code = sqlite3_bind_text(t->insert, at, cells[i], -1, SQLITE_TRANSIENT);
        else if (numbers[i] == floor(numbers[i]) && fabs(numbers[i]) < 9e15)
            code = sqlite3_bind_int64(t->insert, at, (int64_t)numbers[i]);
        else
            code = sqlite3_bind_double(t->insert, at, numbers[i]);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(t->insert);
        sqlite3_reset(t->insert);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    return code == SQLITE_OK ? SOOTH_OK : fail(t, code, err);
}

static enum sooth_status rows(struct tabledb *t, sqlite3_stmt *q, tabledb_fn *fn, void *user,
                              struct sooth_error *err)
{
    struct tabledb_value values[TABLEDB_COLUMNS];
    size_t columns = (size_t)sqlite3_column_count(q), n = 0;
    int code;
    columns = columns < TABLEDB_COLUMNS ? columns : TABLEDB_COLUMNS;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
        if (n++ == TABLEDB_ROWS)
            return err_set(err, SOOTH_ERR_LIMIT, "the query over the tables gives more than %d rows",
                           TABLEDB_ROWS);
        for (size_t i = 0; i < columns; i++) {
            int type = sqlite3_column_type(q, (int)i);
            values[i] = (struct tabledb_value){type == SQLITE_NULL,
                                               type == SQLITE_INTEGER || type == SQLITE_FLOAT,
                                               sqlite3_column_double(q, (int)i),
                                               (const char *)sqlite3_column_text(q, (int)i)};
        }
        if (!fn(user, values, columns))
            return SOOTH_ERR_CANCELLED;
    }
    return code == SQLITE_DONE ? SOOTH_OK : fail(t, code, err);
}

enum sooth_status tabledb_query(struct tabledb *t, const char *sql, const char *const *texts,
                                const double *numbers, size_t n, tabledb_fn *fn, void *user,
                                struct sooth_error *err)
{
    sqlite3_stmt *q = NULL;
    const char *tail = NULL;
    sqlite3_finalize(t->insert);
    t->insert = NULL;
    t->steps = 0;
    sqlite3_exec(t->db, "PRAGMA query_only = 1", NULL, NULL, NULL);
    t->asking = true;
    int code = sqlite3_prepare_v2(t->db, sql, -1, &q, &tail);
    enum sooth_status status = code == SQLITE_OK ? SOOTH_OK : fail(t, code, err);
    if (status == SOOTH_OK && (!q || sqlite3_column_count(q) == 0 || !sqlite3_stmt_readonly(q) ||
                               tail[strspn(tail, " \t\r\n;")]))
        status = err_set(err, SOOTH_ERR_ARG,
                         "the query over the tables was refused: one statement that only reads");
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        code = texts[i] ? sqlite3_bind_text(q, (int)i + 1, texts[i], -1, SQLITE_TRANSIENT)
                        : sqlite3_bind_double(q, (int)i + 1, numbers[i]);
        if (code != SQLITE_OK)
            status = fail(t, code, err);
    }
    if (status == SOOTH_OK)
        status = rows(t, q, fn, user, err);
    sqlite3_finalize(q);
    t->asking = false;
    sqlite3_exec(t->db, "PRAGMA query_only = 0", NULL, NULL, NULL);
    return status;
}

bool tabledb_number(const char *text, size_t len, double *out)
{
    struct buf folded = BUF_INIT;
    char clean[64], *end;
    size_t n = 0, digits = 0;
    bool percent = false, ok = uni_normalize(UNI_NFKC, text, len, &folded, NULL) == SOOTH_OK;
    const char *p = buf_str(&folded), *stop = p + folded.len;
    while (p < stop && (*p == ' ' || *p == '$'))
        p++;
    if (stop - p > 2 && (memcmp(p, "\xC2\xA5", 2) == 0 || memcmp(p, "\xC2\xA3", 2) == 0))
        p += 2; /* yen, pound */
    else if (stop - p > 3 && memcmp(p, "\xE2\x82\xAC", 3) == 0)
        p += 3; /* euro */
    for (; p < stop && ok; p++) {
        bool comma = *p == ',' && digits > 0 && stop - p > 3;
        if (comma || *p == ' ')
            continue;
        percent = *p == '%';
        if (percent)
            break;
        ok = strchr("0123456789.+-eE", *p) && n + 1 < sizeof clean;
        digits += *p >= '0' && *p <= '9';
        if (ok)
            clean[n++] = *p;
    }
    clean[n] = '\0';
    ok = ok && digits > 0 && (!percent || p + 1 == stop);
    buf_release(&folded);
    if (!ok)
        return false;
    *out = strtod(clean, &end);
    return *end == '\0' && isfinite(*out);
}
