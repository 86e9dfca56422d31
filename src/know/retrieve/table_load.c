/* table_load.c: the tables among the documents, as the parsers cut them into rows and cells.
 *
 * A table row's text is "cell | cell"; its header row stands in the same document. A row with
 * another number of cells than its header is left out and counted, never guessed at. A column is
 * numeric when all its cells that are not empty read as numbers. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/doc_pack.h"
#include "know/retrieve/table_ask.h"

enum { CELL_TEXT = 4096, TABLES_MAX = 64 };

/* Cuts a row's text into cells (copies in the arena); more than `max` is no row of this table. */
static size_t cells_of(struct arena *a, const char *text, size_t len, char **cells, size_t max)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= len; i++) {
        bool bar = i < len && text[i] == '|' && (i == 0 || text[i - 1] == ' ') &&
                   (i + 1 == len || text[i + 1] == ' ');
        if (!bar && i < len)
            continue;
        size_t a0 = from, b0 = i;
        while (a0 < b0 && text[a0] == ' ')
            a0++;
        while (b0 > a0 && text[b0 - 1] == ' ')
            b0--;
        if (n == max || !(cells[n++] = arena_strndup(a, text + a0, b0 - a0)))
            return SIZE_MAX;
        from = i + 1;
    }
    return n;
}

/* Cells that say there is nothing become empty: they count as no value. */
static void blank_out(char *cell)
{
    static const char *const nothing[] = {"NA", "N/A", "n/a", "na", "-", "--", "null", "NULL", "NaN", "nan", "None", "无"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (strcmp(cell, nothing[i]) == 0)
            *cell = '\0';
}

static bool column_numeric(const struct table *t, size_t c)
{
    bool some = false;
    for (size_t r = 0; r < t->rows.count; r++) {
        const char *cell = t->rows.items[r].cells[c];
        double v;
        if (*cell && !tabledb_number(cell, strlen(cell), &v))
            return false;
        some |= *cell != 0;
    }
    return some;
}

static enum sooth_status table_store(struct tables *ts, struct table *t, struct sooth_error *err)
{
    double numbers[TABLEDB_COLUMNS] = {0};
    for (size_t c = 0; c < t->columns; c++)
        t->numeric[c] = column_numeric(t, c);
    enum sooth_status status = tabledb_table(ts->db, t->number, t->numeric, t->columns, err);
    for (size_t r = 0; r < t->rows.count && status == SOOTH_OK; r++) {
        char **cells = t->rows.items[r].cells;
        for (size_t c = 0; c < t->columns; c++)
            if (t->numeric[c])
                tabledb_number(cells[c], strlen(cells[c]), &numbers[c]);
        status = tabledb_row(ts->db, t->number, (const char *const *)cells, numbers, t->numeric,
                             t->columns, err);
    }
    return status;
}

/* The rows under the header block `head`. */
static enum sooth_status table_read(struct tables *ts, const struct document *d, const char *text,
                                    size_t head, const struct snapshot_doc *doc,
                                    struct sooth_error *err)
{
    struct table t = {.doc = doc, .number = ts->list.count};
    char *cells[TABLEDB_COLUMNS];
    const struct doc_block *h = &d->blocks[head];
    size_t n = cells_of(&ts->arena, text + h->start, h->end - h->start, cells, TABLEDB_COLUMNS);
    if (n == SIZE_MAX || n < 2)
        return ts->arena.failed ? err_nomem(err) : SOOTH_OK;
    t.columns = n;
    t.names = arena_array(&ts->arena, n, sizeof *t.names);
    t.numeric = arena_calloc(&ts->arena, n, sizeof *t.numeric);
    if (!t.names || !t.numeric)
        return err_nomem(err);
    memcpy(t.names, cells, n * sizeof *cells);
    t.header = (struct table_span){h->start, h->end};
    for (size_t i = head + 1; i < d->block_count; i++) {
        const struct doc_block *b = &d->blocks[i];
        if (b->kind != DOC_TABLE_ROW || b->header != (int32_t)head)
            break;
        size_t have = cells_of(&ts->arena, text + b->start, b->end - b->start, cells, n);
        if (have == SIZE_MAX || have != n) {
            t.skipped++;
            continue;
        }
        for (size_t c = 0; c < n; c++)
            blank_out(cells[c]);
        struct table_row row = {{b->start, b->end}, b->page, NULL};
        row.cells = arena_array(&ts->arena, n, sizeof *row.cells);
        if (!row.cells || !vec_push(&t.rows, row)) {
            vec_free(&t.rows);
            return err_nomem(err);
        }
        memcpy(row.cells, cells, n * sizeof *cells);
    }
    enum sooth_status status = t.rows.count ? table_store(ts, &t, err) : SOOTH_OK;
    if (status == SOOTH_OK && t.rows.count && vec_push(&ts->list, t))
        return SOOTH_OK;
    bool lost = status == SOOTH_OK && t.rows.count;
    vec_free(&t.rows);
    return lost ? err_nomem(err) : status;
}

static enum sooth_status document_tables(struct tables *ts, struct store *s,
                                         const struct snapshot_doc *doc, struct sooth_error *err)
{
    struct store_doc_info info;
    struct buf packed = BUF_INIT, text = BUF_INIT;
    struct document d = {0};
    enum sooth_status status = store_find(s, doc->doc, &info, err);
    size_t len = status == SOOTH_OK ? info.text_len : 0;
    if (status == SOOTH_OK)
        status = store_blocks(s, doc->id, &packed, err);
    if (status == SOOTH_OK)
        status = store_text(s, doc->id, 0, len, &text, err);
    if (status == SOOTH_OK && !doc_unpack(packed.data, packed.len, len, &d))
        status = err_set(err, SOOTH_ERR_FORMAT, "the blocks of '%s' are damaged", doc->doc);
    for (size_t i = 0; i < d.block_count && status == SOOTH_OK && ts->list.count < TABLES_MAX; i++)
        if (d.blocks[i].kind == DOC_TABLE_ROW && i + 1 < d.block_count &&
            d.blocks[i + 1].kind == DOC_TABLE_ROW && d.blocks[i + 1].header == (int32_t)i)
            status = table_read(ts, &d, text.data, i, doc, err);
    mem_free(d.blocks);
    buf_release(&packed);
    buf_release(&text);
    return status;
}

enum sooth_status tables_load(struct tables *ts, struct store *s, const struct snapshot *v,
                              const unsigned char *allow, struct sooth_error *err)
{
    static const char *const formats[] = {"csv", "xlsx", "ods"};
    arena_init(&ts->arena, (size_t)1 << 30);
    enum sooth_status status = tabledb_new(&ts->db, err);
    for (size_t d = 0; d < v->n_docs && status == SOOTH_OK && ts->list.count < TABLES_MAX; d++) {
        const struct snapshot_doc *doc = &v->docs[d];
        bool table = false;
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
            table |= strcmp(doc->format, formats[f]) == 0;
        if (table && doc->count > 0 && (!allow || allow[doc->first]))
            status = document_tables(ts, s, doc, err);
    }
    return status;
}

void tables_release(struct tables *ts)
{
    for (size_t i = 0; i < ts->list.count; i++)
        vec_free(&ts->list.items[i].rows);
    vec_free(&ts->list);
    tabledb_free(ts->db);
    arena_release(&ts->arena);
    memset(ts, 0, sizeof *ts);
}
