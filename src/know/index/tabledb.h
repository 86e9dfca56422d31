/* tabledb.h: tables of documents in a database of their own, in memory, asked read-only. */
#ifndef INDEX_TABLEDB_H
#define INDEX_TABLEDB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"

struct tabledb;
enum { TABLEDB_COLUMNS = 100, TABLEDB_ROWS = 10000 };

enum sooth_status tabledb_new(struct tabledb **out, struct sooth_error *err);
void tabledb_free(struct tabledb *t);
/* A table called t<n>; columns c0, c1, ... with a rowid counted from 1. numeric: per column. */
enum sooth_status tabledb_table(struct tabledb *t, size_t n, const bool *numeric, size_t columns,
                                struct sooth_error *err);
/* One row: cells as text, or as numbers in numeric columns; empty cells are NULL. */
enum sooth_status tabledb_row(struct tabledb *t, size_t n, const char *const *cells,
                              const double *numbers, const bool *numeric, size_t columns,
                              struct sooth_error *err);

struct tabledb_value {
    bool null, number;
    double value;
    const char *text; /* as SQLite writes it; lives for the callback */
};
typedef bool tabledb_fn(void *user, const struct tabledb_value *row, size_t columns);
/* Runs one statement that only reads. Parameters are bound as ?1, ?2 ...: text, or a number when
 * `texts[i]` is NULL. Refused: more than one statement, anything but SELECT over the tables here and
 * a list of harmless functions. Ends with SOOTH_ERR_LIMIT after a budget of steps or TABLEDB_ROWS
 * rows. */
enum sooth_status tabledb_query(struct tabledb *t, const char *sql, const char *const *texts,
                                const double *numbers, size_t n, tabledb_fn *fn, void *user,
                                struct sooth_error *err);

/* A cell as a number: 1,234.5  -3  12%  $5  ￥5  １２ ; false for anything else. */
bool tabledb_number(const char *text, size_t len, double *out);
#endif
