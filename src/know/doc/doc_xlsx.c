/* doc_xlsx.c: Excel workbooks (ECMA-376, SpreadsheetML).
 *
 *   xl/workbook.xml            sheets in order, which are hidden, the date system
 *   xl/sharedStrings.xml       si: the texts that cells point to
 *   xl/styles.xml              cellXfs -> numFmt: is this number a date, a share, a number?
 *   xl/worksheets/sheetN.xml   row > c r="B7" t="s" s="3" > v
 *
 * Each sheet is a page with its name as label and as heading. Rows up to a blank row are a table;
 * what follows the blank row goes on under the same header unless its own first row reads like one.
 * A line with a single cell above a table is a caption. The first row heads the table when it holds
 * no number. Only the top left cell of a merged range has text in the file, so it comes out once
 * and the columns stay in line.
 *
 * Numbers are written as they are stored ("1234.5"), shares as "12%", dates in ISO order: that is
 * what tables can be calculated with. A date is a day count from 1899-12-30 (with the day that Lotus
 * 1-2-3 took for 1900-02-29 left out) or 1904-01-01. Hidden sheets, rows and columns are left out
 * and counted in a warning. Formulas give their stored results. What it leaves out: charts,
 * comments, pictures on sheets. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "know/doc/docfmt.h"
#include "know/doc/ooxml.h"
#include "know/doc/xml.h"
#include "know/doc/zip.h"

enum { COLUMNS_MAX = 512 };
enum number_kind { NUMBER_PLAIN, NUMBER_PERCENT, NUMBER_DATE, NUMBER_TIME, NUMBER_DATETIME };

struct span {
    size_t start, len;
};

struct cell {
    uint32_t row, column;
    struct span text;
    bool number; /* a number or a date: a row with one is no header */
};

struct sheet {
    char name[256], id[64];
    bool hidden;
};

struct xlsx {
    struct builder *b;
    VEC(struct sheet) sheets;
    bool date1904;
    struct buf strings;       /* all shared strings, one after the other */
    VEC(struct span) shared;
    struct map formats;       /* custom numFmtId -> enum number_kind */
    VEC(uint8_t) styles;      /* cellXfs[i] -> enum number_kind */
    /* the sheet being read */
    struct buf text;          /* of the open table */
    VEC(struct cell) cells;   /* of the open table, ascending */
    uint32_t row, next_column, last_row; /* last_row: of the table's last cell, 0 = none */
    struct cell cell;         /* being read */
    char type[16];
    unsigned style;
    struct buf value;
    bool in_value, in_cell, in_phonetic, row_hidden, in_xfs;
    uint8_t column_hidden[COLUMNS_MAX];
    size_t hidden, wide;      /* what was left out */
    bool table_open;          /* rows were written under a header that may go on */
    uint32_t table_left;      /* its first column */
    bool failed;
};

/* ---- number formats ---- */

/* What a format code shows: letters of days and hours outside of quotes, brackets and escapes. */
static enum number_kind format_kind(const char *code)
{
    bool day = false, hour = false, percent = false;
    for (const char *p = code; *p != '\0' && *p != ';'; p++) {
        if (*p == '"') {
            p = strchr(p + 1, '"');
            if (p == NULL)
                break;
        } else if (*p == '[' && strncasecmp(p, "[h", 2) != 0 && strncasecmp(p, "[m", 2) != 0 &&
                   strncasecmp(p, "[s", 2) != 0) {
            p = strchr(p, ']');
            if (p == NULL)
                break;
        } else if ((*p == '\\' || *p == '_' || *p == '*') && p[1] != '\0') {
            p++;
        } else if (strncasecmp(p, "general", 7) == 0) {
            p += 6;
        } else {
            day = day || strchr("yYdD", *p) != NULL;
            hour = hour || strchr("hHsS", *p) != NULL;
            percent = percent || *p == '%';
        }
    }
    return day && hour ? NUMBER_DATETIME
           : day       ? NUMBER_DATE
           : hour      ? NUMBER_TIME
           : percent   ? NUMBER_PERCENT
                       : NUMBER_PLAIN;
}

static enum number_kind builtin_kind(unsigned id)
{
    if (id == 9 || id == 10)
        return NUMBER_PERCENT;
    if (id == 22)
        return NUMBER_DATETIME;
    if ((id >= 18 && id <= 21) || (id >= 45 && id <= 47) || (id >= 32 && id <= 35))
        return NUMBER_TIME;
    return (id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 58)
               ? NUMBER_DATE
               : NUMBER_PLAIN;
}

static bool styles_see(void *user, const struct xml_view *v)
{
    struct xlsx *x = user;
    char id[16], code[256];
    if (strcmp(v->name, "cellXfs") == 0)
        x->in_xfs = v->event == XML_OPEN;
    if (v->event != XML_OPEN || !xml_attribute(v->xml, "numFmtId", id, sizeof id))
        return true;
    uint64_t kind;
    if (strcmp(v->name, "numFmt") == 0 && xml_attribute(v->xml, "formatCode", code, sizeof code)) {
        x->failed = !map_put(&x->formats, id, strlen(id), format_kind(code)) || x->failed;
    } else if (strcmp(v->name, "xf") == 0 && x->in_xfs) {
        if (!map_find(&x->formats, id, strlen(id), &kind))
            kind = builtin_kind((unsigned)strtoul(id, NULL, 10));
        x->failed = !vec_push(&x->styles, (uint8_t)kind) || x->failed;
    }
    return !x->failed;
}

/* Gregorian day of a day count from 1970-01-01 (Fliegel and Van Flandern's arithmetic). */
static void date_write(long days, struct buf *out)
{
    long z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    long doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    long day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    buf_printf(out, "%04ld-%02ld-%02ld", yoe + era * 400 + (month <= 2), month, day);
}

static void moment_write(const struct xlsx *x, double serial, enum number_kind kind,
                         struct buf *out)
{
    double day = floor(serial);
    long seconds = lround((serial - day) * 86400);
    if (seconds >= 86400) {
        seconds -= 86400;
        day += 1;
    }
    if (kind != NUMBER_TIME) {
        long epoch = x->date1904 ? -24107 : serial < 60 ? -25568 : -25569;
        date_write((long)day + epoch, out);
    }
    if (kind == NUMBER_TIME || (kind == NUMBER_DATETIME && seconds > 0) ||
        (kind == NUMBER_DATE && seconds > 0)) {
        long hours = seconds / 3600 + (kind == NUMBER_TIME ? (long)day * 24 : 0);
        buf_printf(out, "%s%02ld:%02ld", kind == NUMBER_TIME ? "" : " ", hours,
                   seconds / 60 % 60);
        if (seconds % 60 != 0)
            buf_printf(out, ":%02ld", seconds % 60);
    }
}

/* The stored number as a reader should see it; text that is no number stays. */
static void number_write(const struct xlsx *x, const char *value, enum number_kind kind,
                         struct buf *out)
{
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(v)) {
        buf_puts(out, value);
    } else if (kind >= NUMBER_DATE && v >= 0 && v < 2958466) { /* up to 9999-12-31 */
        moment_write(x, v, kind, out);
    } else if (kind == NUMBER_PERCENT) {
        buf_printf(out, "%.12g%%", v * 100);
    } else if (fabs(v) < 1e15 && v == floor(v)) {
        buf_printf(out, "%.0f", v);
    } else {
        buf_printf(out, "%.15g", v);
    }
}

/* ---- shared strings, workbook ---- */

static bool strings_see(void *user, const struct xml_view *v)
{
    struct xlsx *x = user;
    if (v->event == XML_TEXT) {
        if (x->in_value && !x->in_phonetic)
            buf_add(&x->strings, v->text, v->len);
        return !x->strings.failed;
    }
    if (strcmp(v->name, "t") == 0)
        x->in_value = v->event == XML_OPEN;
    else if (strcmp(v->name, "rPh") == 0)
        x->in_phonetic = v->event == XML_OPEN;
    else if (strcmp(v->name, "si") == 0 && v->event == XML_OPEN)
        x->failed = !vec_push(&x->shared, ((struct span){x->strings.len, 0})) || x->failed;
    else if (strcmp(v->name, "si") == 0 && x->shared.count > 0)
        x->shared.items[x->shared.count - 1].len =
            x->strings.len - x->shared.items[x->shared.count - 1].start;
    return !x->failed;
}

static bool workbook_see(void *user, const struct xml_view *v)
{
    struct xlsx *x = user;
    char value[32];
    if (v->event != XML_OPEN)
        return true;
    if (strcmp(v->name, "workbookPr") == 0 &&
        xml_attribute(v->xml, "date1904", value, sizeof value))
        x->date1904 = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    if (strcmp(v->name, "sheet") == 0) {
        struct sheet s = {0};
        xml_attribute(v->xml, "name", s.name, sizeof s.name);
        xml_attribute(v->xml, "r:id", s.id, sizeof s.id);
        s.hidden = xml_attribute(v->xml, "state", value, sizeof value) &&
                   strcmp(value, "visible") != 0;
        x->failed = !vec_push(&x->sheets, s) || x->failed;
    }
    return !x->failed;
}

/* ---- writing tables ---- */

static size_t row_end(const struct xlsx *x, size_t i)
{
    size_t end = i;
    while (end < x->cells.count && x->cells.items[end].row == x->cells.items[i].row)
        end++;
    return end;
}

static bool inside(const struct cell *c, uint32_t left, uint32_t right)
{
    return c->column >= left && c->column < right;
}

/* A row without numbers and with two cells at least reads like a header. */
static bool row_heads(const struct xlsx *x, size_t i, size_t end, uint32_t left, uint32_t right)
{
    size_t n = 0;
    for (size_t k = i; k < end; k++) {
        if (!inside(&x->cells.items[k], left, right))
            continue;
        if (x->cells.items[k].number)
            return false;
        n++;
    }
    return n >= 2;
}

static void cell_puts(struct xlsx *x, const struct cell *c)
{
    builder_text(x->b, buf_str(&x->text) + c->text.start, c->text.len);
}

static void line_write(struct xlsx *x, enum doc_kind kind, const struct cell *c)
{
    builder_open(x->b, kind, 0);
    cell_puts(x, c);
    builder_close(x->b);
    x->table_open = false;
}

/* The rows from cell i on, of the columns [left, right). */
static void table_write(struct xlsx *x, size_t i, uint32_t left, uint32_t right)
{
    const struct cell *cells = x->cells.items;
    size_t n = x->cells.count;
    bool heads = row_heads(x, i, row_end(x, i), left, right) && row_end(x, i) < n;
    if (!x->table_open || heads || left != x->table_left)
        builder_table_begin(x->b);
    x->table_left = left;
    for (bool first = true; i < n; first = false) {
        size_t end = row_end(x, i);
        uint32_t column = left;
        builder_row(x->b, first && heads);
        for (; i < end; i++) {
            if (!inside(&cells[i], left, right))
                continue;
            builder_cells(x->b, cells[i].column - column);
            column = cells[i].column;
            cell_puts(x, &cells[i]);
        }
        builder_close(x->b);
    }
    x->table_open = true;
}

/* The rows since the last blank one: captions, then a table, or several side by side, parted by
 * columns that are empty all the way down. */
static void table_flush(struct xlsx *x)
{
    size_t n = x->cells.count, i = 0;
    const struct cell *cells = x->cells.items;
    bool used[COLUMNS_MAX + 1] = {false};
    while (i + 1 < n && row_end(x, i) == i + 1 && row_end(x, i + 1) > i + 2)
        line_write(x, DOC_CAPTION, &cells[i++]);
    if (n == 1)
        line_write(x, DOC_PARAGRAPH, &cells[i++]);
    for (size_t k = i; k < n; k++)
        used[cells[k].column] = true;
    for (uint32_t left = 0; left < COLUMNS_MAX && i < n;) {
        uint32_t right = left;
        while (used[right])
            right++;
        if (right > left)
            table_write(x, i, left, right);
        left = right + 1;
    }
    x->cells.count = 0;
    buf_clear(&x->text);
}

/* ---- sheets ---- */

/* "AB12" -> column 27, from 0; UINT32_MAX when it is none. */
static uint32_t column_of(const char *ref)
{
    uint32_t n = 0;
    const char *p = ref;
    for (; *p >= 'A' && *p <= 'Z' && p - ref < 4; p++)
        n = n * 26 + (uint32_t)(*p - 'A' + 1);
    return p == ref ? UINT32_MAX : n - 1;
}

static void row_begin(struct xlsx *x, const struct xml_view *v)
{
    char value[16];
    unsigned long r = xml_attribute(v->xml, "r", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
    x->row = r > x->row && r < UINT32_MAX ? (uint32_t)r : x->row + 1;
    x->next_column = 0;
    x->row_hidden = xml_attribute(v->xml, "hidden", value, sizeof value) &&
                    (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
    x->hidden += x->row_hidden;
}

static void cell_begin(struct xlsx *x, const struct xml_view *v)
{
    char value[24];
    uint32_t column = xml_attribute(v->xml, "r", value, sizeof value) ? column_of(value) : UINT32_MAX;
    if (column == UINT32_MAX || column < x->next_column)
        column = x->next_column;
    x->cell = (struct cell){.row = x->row, .column = column};
    x->next_column = column + 1;
    if (!xml_attribute(v->xml, "t", x->type, sizeof x->type))
        snprintf(x->type, sizeof x->type, "n");
    x->style = xml_attribute(v->xml, "s", value, sizeof value) ? (unsigned)strtoul(value, NULL, 10) : 0;
    buf_clear(&x->value);
    x->in_cell = true;
}

static void cell_text(struct xlsx *x, struct buf *out)
{
    const char *value = buf_str(&x->value);
    if (strcmp(x->type, "s") == 0) {
        unsigned long i = strtoul(value, NULL, 10);
        if (x->value.len > 0 && i < x->shared.count)
            buf_add(out, buf_str(&x->strings) + x->shared.items[i].start, x->shared.items[i].len);
    } else if (strcmp(x->type, "b") == 0) {
        buf_puts(out, strcmp(value, "1") == 0 ? "TRUE" : "FALSE");
    } else if (strcmp(x->type, "n") == 0 && x->value.len > 0) {
        uint8_t kind = x->style < x->styles.count ? x->styles.items[x->style] : NUMBER_PLAIN;
        number_write(x, value, (enum number_kind)kind, out);
        x->cell.number = true;
    } else {
        buf_add(out, value, x->value.len);
    }
}

static void cell_end(struct xlsx *x)
{
    x->in_cell = false;
    if (x->row_hidden || (x->cell.column < COLUMNS_MAX && x->column_hidden[x->cell.column]))
        return;
    struct buf out = BUF_INIT;
    cell_text(x, &out);
    const char *s = buf_str(&out);
    if (s[strspn(s, " \t\r\n")] != '\0') {
        if (x->cell.column >= COLUMNS_MAX) {
            x->wide++;
        } else {
            if (x->last_row > 0 && x->row > x->last_row + 1)
                table_flush(x);
            x->last_row = x->row;
            x->cell.text = (struct span){x->text.len, out.len};
            x->failed = !buf_add(&x->text, out.data, out.len) || !vec_push(&x->cells, x->cell) ||
                        x->failed;
        }
    }
    buf_release(&out);
}

static void columns_see(struct xlsx *x, const struct xml_view *v)
{
    char value[16];
    if (!xml_attribute(v->xml, "hidden", value, sizeof value) ||
        (strcmp(value, "1") != 0 && strcmp(value, "true") != 0))
        return;
    unsigned long from = xml_attribute(v->xml, "min", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
    unsigned long to = xml_attribute(v->xml, "max", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
    for (unsigned long i = from; i >= 1 && i <= to && i <= COLUMNS_MAX; i++)
        x->column_hidden[i - 1] = 1;
    x->hidden++;
}

static bool sheet_see(void *user, const struct xml_view *v)
{
    struct xlsx *x = user;
    const char *n = v->name;
    if (v->event == XML_TEXT) {
        if (x->in_value && x->in_cell && !x->in_phonetic)
            buf_add(&x->value, v->text, v->len);
        return !x->value.failed;
    }
    bool open = v->event == XML_OPEN;
    if (strcmp(n, "c") == 0) {
        if (open)
            cell_begin(x, v);
        else
            cell_end(x);
    } else if (strcmp(n, "v") == 0 || strcmp(n, "t") == 0) {
        x->in_value = open;
    } else if (strcmp(n, "rPh") == 0) {
        x->in_phonetic = open;
    } else if (open && strcmp(n, "row") == 0) {
        row_begin(x, v);
    } else if (open && strcmp(n, "col") == 0) {
        columns_see(x, v);
    }
    return !x->failed;
}

static enum sooth_status sheet_read(struct xlsx *x, const struct zip *z, const struct sheet *s,
                                    const char *path, struct sooth_error *err)
{
    const struct zip_entry *e = path != NULL ? zip_find(z, path) : NULL;
    builder_page(x->b);
    builder_page_label(x->b, s->name);
    builder_open(x->b, DOC_HEADING, 1);
    builder_puts(x->b, s->name);
    builder_close(x->b);
    if (e == NULL) {
        builder_warn(x->b, "sheet '%s' is missing", s->name);
        return SOOTH_OK;
    }
    x->row = x->last_row = 0;
    x->table_open = x->in_cell = x->in_value = x->in_phonetic = x->row_hidden = false;
    x->hidden = x->wide = 0;
    memset(x->column_hidden, 0, sizeof x->column_hidden);
    enum sooth_status status = xml_walk(buf_str(&e->data), e->data.len, sheet_see, x, err);
    table_flush(x);
    builder_table_end(x->b);
    if (x->hidden > 0)
        builder_warn(x->b, "sheet '%s' has %zu hidden rows or columns, which were left out", s->name,
                     x->hidden);
    if (x->wide > 0)
        builder_warn(x->b, "sheet '%s' has cells beyond column %d, which were left out", s->name,
                     COLUMNS_MAX);
    return status;
}

static enum sooth_status part_walk(struct xlsx *x, const struct zip *z, const char *path,
                                   xml_fn *fn, struct sooth_error *err)
{
    const struct zip_entry *e = path != NULL ? zip_find(z, path) : NULL;
    return e != NULL ? xml_walk(buf_str(&e->data), e->data.len, fn, x, err) : SOOTH_OK;
}

static enum sooth_status book_read(struct xlsx *x, const struct zip *z, struct sooth_error *err)
{
    struct ooxml_rels rels;
    if (zip_find(z, "xl/workbook.xml") == NULL)
        return err_set(err, SOOTH_ERR_FORMAT, "it has no xl/workbook.xml");
    enum sooth_status s = ooxml_rels_read(z, "xl/workbook.xml", &rels, err);
    if (s != SOOTH_OK)
        return s;
    s = part_walk(x, z, "xl/workbook.xml", workbook_see, err);
    if (s == SOOTH_OK)
        s = part_walk(x, z, ooxml_rel_typed(&rels, "styles"), styles_see, err);
    if (s == SOOTH_OK)
        s = part_walk(x, z, ooxml_rel_typed(&rels, "sharedStrings"), strings_see, err);
    for (size_t i = 0; i < x->sheets.count && s == SOOTH_OK && !x->failed; i++) {
        const struct sheet *sheet = &x->sheets.items[i];
        if (sheet->hidden)
            builder_warn(x->b, "sheet '%s' is hidden and was left out", sheet->name);
        else
            s = sheet_read(x, z, sheet, ooxml_rel_target(&rels, sheet->id), err);
    }
    ooxml_rels_release(&rels);
    return s == SOOTH_OK && x->failed ? err_nomem(err) : s;
}

static bool want_part(const char *name)
{
    return strncmp(name, "xl/", 3) == 0 ? strstr(name, "/media/") == NULL
                                        : strcmp(name, "docProps/core.xml") == 0;
}

static enum sooth_status xlsx_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct zip z;
    struct xlsx *x = mem_calloc(1, sizeof *x);
    if (x == NULL)
        return err_nomem(err);
    enum sooth_status s = zip_read(in->data, in->len, want_part, &z, err);
    if (s == SOOTH_OK) {
        x->b = b;
        map_init(&x->formats);
        ooxml_core(&z, b);
        s = book_read(x, &z, err);
        builder_close(b);
        zip_release(&z);
        map_release(&x->formats);
    }
    buf_release(&x->strings);
    buf_release(&x->text);
    buf_release(&x->value);
    vec_free(&x->sheets);
    vec_free(&x->shared);
    vec_free(&x->styles);
    vec_free(&x->cells);
    mem_free(x);
    return s;
}

static int xlsx_sniff(const unsigned char *data, size_t len)
{
    return zip_mentions(data, len, "xl/workbook.xml") ? 95 : 0;
}

const struct docfmt docfmt_xlsx = {
    .name = "xlsx",
    .about = "Excel workbooks: sheets as tables",
    .extensions = "xlsx xlsm xltx",
    .zip = true,
    .sniff = xlsx_sniff,
    .parse = xlsx_parse,
};
