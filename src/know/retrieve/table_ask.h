/* table_ask.h: questions whose answer is worked out from tables. */
#ifndef RETRIEVE_TABLE_ASK_H
#define RETRIEVE_TABLE_ASK_H
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

struct table_span {
    size_t start, end;
};
struct table_row {
    struct table_span span;
    uint32_t page;
    char **cells;
};
struct table {
    const struct snapshot_doc *doc;
    size_t number, columns, skipped; /* skipped: rows of another shape */
    char **names;
    bool *numeric;
    struct table_span header;
    VEC(struct table_row) rows; /* row i has the rowid i + 1 */
};
struct tables {
    struct arena arena;
    struct tabledb *db;
    VEC(struct table) list;
};
/* table_load.c: those of documents that are tables (and that allow admits). */
enum sooth_status tables_load(struct tables *ts, struct store *s, const struct snapshot *v,
                              const unsigned char *allow, struct sooth_error *err);
void tables_release(struct tables *ts);

/* table_plan.c */
enum aggregate { AGG_LIST, AGG_COUNT, AGG_SUM, AGG_AVG, AGG_MAX, AGG_MIN };
enum { CONDITIONS = 6 };
struct condition {
    size_t column;
    const char *op; /* "=", "<", "<=", ">", ">=" */
    const char *text; /* NULL: number */
    double number;
};
struct table_plan {
    const struct table *table;
    enum aggregate aggregate;
    size_t column;       /* SIZE_MAX = none: rows are counted or listed */
    size_t group;        /* SIZE_MAX = none */
    size_t top;          /* rows or groups wanted; 0 = all (one for the extremes) */
    bool whole_row;      /* "which ... has the highest": the row, not the number */
    struct condition conditions[CONDITIONS];
    size_t n_conditions;
    double fit; /* how well question and table go together; 0 = not at all */
    bool chinese;
};
/* The best plan over all tables; false when none fits. */
bool table_plan(const struct tables *ts, const char *question, struct table_plan *out,
                struct arena *a);
/* The statement, and its parameters in order of the conditions. */
bool table_sql(const struct table_plan *p, bool rows, struct buf *out);
/* table_ask.c: fills out->answer, sql and the rows it rests on (k at most); without a plan,
 * out->reason. */
enum sooth_status table_answer(struct sooth_kb *kb, const struct snapshot *v, const char *question,
                               const unsigned char *allow, size_t k, struct sooth_hits *out,
                               struct sooth_error *err);
#endif
