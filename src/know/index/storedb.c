/* storedb.c: the few functions through which this folder speaks to SQLite.
 *
 * Statements are prepared on first use and kept for the life of the store; a statement is always
 * reset before control leaves the function that stepped it, so that no read transaction stays open
 * by accident. */
#include "know/index/storedb.h"
#include <stdarg.h>
#include <string.h>
#include "core/base/error.h"

static const char *const sql_text[SQL_COUNT] = {
#define SQL(name, text) text,
    SQL_LIST
#undef SQL
};

enum sooth_status sql_fail(struct store *s, int code, struct sooth_error *err)
{
    const char *why = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);
    switch (code & 0xFF) {
    case SQLITE_NOMEM:
        return err_nomem(err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err_set(err, SOOTH_ERR_BUSY,
                "knowledge base '%s' is busy: another program is writing to it", s->dir);
        return err_hint(err, "try again when the other program has finished"), SOOTH_ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        err_set(err, SOOTH_ERR_FORMAT, "knowledge base '%s' is damaged: %s", s->dir, why);
        return err_hint(err, "restore '%s' from a copy, or remove it and add the documents again",
                        s->file),
               SOOTH_ERR_FORMAT;
    case SQLITE_READONLY:
        return err_set(err, SOOTH_ERR_IO, "knowledge base '%s' cannot be written: %s", s->dir, why);
    case SQLITE_TOOBIG:
        return err_set(err, SOOTH_ERR_LIMIT, "knowledge base '%s' cannot hold this: %s", s->dir,
                       why);
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
        return err_set(err, SOOTH_ERR_IO, "knowledge base '%s' failed: %s", s->dir, why);
    case SQLITE_ERROR: /* a missing table or column: another program's database, or a damaged one */
        return err_set(err, SOOTH_ERR_FORMAT, "knowledge base '%s' is not as expected: %s", s->dir,
                       why);
    default:
        return err_set(err, SOOTH_ERR_INTERNAL, "knowledge base '%s' failed: %s", s->dir, why);
    }
}

sqlite3_stmt *sql_get(struct store *s, enum sql_name name, struct sooth_error *err)
{
    sqlite3_stmt **q = &s->statements[name];
    if (!*q) {
        int code =
            sqlite3_prepare_v3(s->db, sql_text[name], -1, SQLITE_PREPARE_PERSISTENT, q, NULL);
        if (code != SQLITE_OK) {
            sql_fail(s, code, err);
            return NULL;
        }
    }
    sqlite3_reset(*q);
    sqlite3_clear_bindings(*q);
    return *q;
}

static sqlite3_stmt *bind_list(struct store *s, enum sql_name name, struct sooth_error *err,
                               const char *format, va_list ap)
{
    sqlite3_stmt *q = sql_get(s, name, err);
    int code = SQLITE_OK;
    for (int i = 1; q && *format && code == SQLITE_OK; format++, i++) {
        if (*format == 'i')
            code = sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
        else if (*format == 'd')
            code = sqlite3_bind_double(q, i, va_arg(ap, double));
        else if (*format == 't')
            code = sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        else {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            code = sqlite3_bind_blob64(q, i, n ? p : "", n, SQLITE_STATIC);
        }
    }
    if (q && code != SQLITE_OK) {
        sql_fail(s, code, err);
        return NULL;
    }
    return q;
}

sqlite3_stmt *sql_bind(struct store *s, enum sql_name name, struct sooth_error *err,
                       const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sqlite3_stmt *q = bind_list(s, name, err, format, ap);
    va_end(ap);
    return q;
}

enum sooth_status sql_run(struct store *s, enum sql_name name, struct sooth_error *err,
                          const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sqlite3_stmt *q = bind_list(s, name, err, format, ap);
    va_end(ap);
    enum sooth_status status = SOOTH_ERR_INTERNAL;
    if (!q)
        return err ? err->status : status;
    while (sql_row(s, q, &status, err))
        ;
    return status;
}

bool sql_row(struct store *s, sqlite3_stmt *q, enum sooth_status *status, struct sooth_error *err)
{
    int code = sqlite3_step(q);
    *status = SOOTH_OK;
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        *status = sql_fail(s, code, err);
    sql_done(q);
    return false;
}

void sql_done(sqlite3_stmt *q)
{
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
}

enum sooth_status sql_exec(struct store *s, const char *sql, struct sooth_error *err)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SOOTH_OK : sql_fail(s, code, err);
}

enum sooth_status sql_number(struct store *s, const char *sql, int64_t *out,
                             struct sooth_error *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    if (code != SQLITE_OK)
        return sql_fail(s, code, err);
    code = sqlite3_step(q);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    enum sooth_status status = code == SQLITE_ROW || code == SQLITE_DONE ? SOOTH_OK
                                                                         : sql_fail(s, code, err);
    sqlite3_finalize(q);
    return status;
}
