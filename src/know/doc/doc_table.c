/* doc_table.c: rows of a document as a table with typed columns.
 *
 *   region | sold | on            text     integer  date
 *   north  | 12   | 2024-03-05
 *   south  |      | 2024-03-07    an empty cell has no type
 *
 * The type of a column is the narrowest that all its cells have: whole numbers, numbers, dates in
 * ISO order, else text. A number may have groups of thousands ("1,234.50"), a currency before or
 * behind it and a per cent sign; leading zeros ("007") make it a name, not a number. What it leaves
 * out: decimal commas ("1.234,50" stays text: it cannot be told from a group), other orders of
 * dates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "know/doc/doc.h"

/* The first cell of the block or behind it. */
static size_t cell_lower(const struct document *d, size_t block)
{
    size_t low = 0, high = d->cell_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (d->cells[mid].block < block)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static uint32_t columns_of(const struct document *d, size_t block)
{
    size_t end = cell_lower(d, block + 1);
    return end > 0 && d->cells[end - 1].block == block ? d->cells[end - 1].column + 1 : 0;
}

static void columns_widen(const struct document *d, size_t block, uint32_t *columns)
{
    uint32_t n = columns_of(d, block);
    *columns = n > *columns ? n : *columns;
}

/* Whether block i goes on the table of block i - 1: the same header, or its header is that block,
 * with nothing but one line end between. */
static bool continues(const struct document *d, size_t i, int32_t header)
{
    const struct doc_block *b = &d->blocks[i];
    return b->kind == DOC_TABLE_ROW && b->header == header &&
           b->start - d->blocks[i - 1].end == 1; /* a table is parted from the next by a blank line */
}

bool doc_table_next(const struct document *d, size_t *at, struct doc_table *out)
{
    size_t i = *at;
    while (i < d->block_count && d->blocks[i].kind != DOC_TABLE_ROW)
        i++;
    if (i >= d->block_count) {
        *at = i;
        return false;
    }
    bool heads = i + 1 < d->block_count && d->blocks[i + 1].kind == DOC_TABLE_ROW &&
                 d->blocks[i + 1].header == (int32_t)i;
    *out = (struct doc_table){.first = i + heads, .header = heads ? (int32_t)i : d->blocks[i].header};
    size_t end = i + 1;
    while (end < d->block_count && continues(d, end, out->header))
        end++;
    out->count = end - out->first;
    if (out->header >= 0)
        columns_widen(d, (size_t)out->header, &out->columns);
    for (size_t k = out->first; k < end; k++)
        columns_widen(d, k, &out->columns);
    *at = end;
    return true;
}

const char *doc_cell_text(const struct document *d, size_t block, uint32_t column, size_t *len)
{
    for (size_t i = cell_lower(d, block); i < d->cell_count && d->cells[i].block == block; i++)
        if (d->cells[i].column == column) {
            *len = d->cells[i].end - d->cells[i].start;
            return d->text + d->cells[i].start;
        }
    *len = 0;
    return NULL;
}

/* ---- types ---- */

static size_t currency(const char *s, size_t len)
{
    static const char *const signs[] = {"$", "€", "£", "¥", "￥", "EUR", "USD", "GBP", "CNY", "RMB", "元"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i]);
        if (n <= len && memcmp(s, signs[i], n) == 0)
            return n;
    }
    return 0;
}

static size_t blanks(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && (s[n] == ' ' || s[n] == '\t'))
        n++;
    return n;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with or without groups of three; returns the bytes used and copies the digits. */
static size_t whole_part(const char *s, size_t len, char *out, size_t *n)
{
    size_t i = 0, group = 0;
    bool grouped = false;
    for (; i < len; i++) {
        if (digit(s[i])) {
            if (*n >= 300)
                return 0;
            out[(*n)++] = s[i];
            group++;
        } else if (s[i] == ',' && i + 3 < len && group > 0 && group <= 3 && (!grouped || group == 3) &&
                   digit(s[i + 1]) && digit(s[i + 2]) && digit(s[i + 3])) {
            grouped = true;
            group = 0;
        } else {
            break;
        }
    }
    return grouped && group != 3 ? 0 : i;
}

/* *whole: it has neither point nor exponent nor per cent. */
static bool number_read(const char *s, size_t len, double *out, bool *whole)
{
    char digits[340];
    size_t n = 0, i = blanks(s, len), used;
    bool negative = false, percent = false;
    if (i < len && (s[i] == '-' || s[i] == '+'))
        negative = s[i++] == '-';
    i += currency(s + i, len - i);
    i += blanks(s + i, len - i);
    if (!negative && i < len && s[i] == '-')
        negative = true, i++;
    used = whole_part(s + i, len - i, digits, &n);
    if (n > 1 && digits[0] == '0')
        return false;
    i += used;
    *whole = true;
    if (i < len && s[i] == '.' && i + 1 < len && digit(s[i + 1])) {
        *whole = false;
        digits[n++] = '.';
        for (i++; i < len && digit(s[i]) && n < 320; i++)
            digits[n++] = s[i];
    } else if (used == 0) {
        return false;
    }
    if (i + 1 < len && (s[i] == 'e' || s[i] == 'E') && (digit(s[i + 1]) || (i + 2 < len && digit(s[i + 2])))) {
        *whole = false;
        digits[n++] = 'e';
        for (i++; i < len && (digit(s[i]) || s[i] == '-' || s[i] == '+') && n < 330; i++)
            digits[n++] = s[i];
    }
    digits[n] = '\0';
    i += blanks(s + i, len - i);
    if (i < len && s[i] == '%')
        percent = true, i++;
    else
        i += currency(s + i, len - i);
    i += blanks(s + i, len - i);
    char *end;
    double v = strtod(digits, &end);
    if (i != len || *end != '\0' || !isfinite(v))
        return false;
    *whole = *whole && !percent;
    *out = (negative ? -v : v) / (percent ? 100 : 1);
    return true;
}

bool doc_number(const char *text, size_t len, double *out)
{
    bool whole;
    return number_read(text, len, out, &whole);
}

/* YYYY-MM-DD, then perhaps HH:MM or HH:MM:SS behind a blank or T. */
static bool date_read(const char *s, size_t len)
{
    static const char shape[] = "dddd-dd-dd dd:dd:dd";
    if (len != 10 && len != 16 && len != 19)
        return false;
    for (size_t i = 0; i < len; i++)
        if (shape[i] == 'd' ? !digit(s[i]) : s[i] != shape[i] && !(i == 10 && s[i] == 'T'))
            return false;
    int month = (s[5] - '0') * 10 + s[6] - '0', of_month = (s[8] - '0') * 10 + s[9] - '0';
    return month >= 1 && month <= 12 && of_month >= 1 && of_month <= 31;
}

enum doc_type doc_column_type(const struct document *d, const struct doc_table *t, uint32_t column)
{
    bool integer = true, real = true, date = true, any = false;
    for (size_t i = cell_lower(d, t->first); i < d->cell_count; i++) {
        const struct doc_cell *c = &d->cells[i];
        if (c->block >= t->first + t->count)
            break;
        if (c->column != column)
            continue;
        double v;
        bool whole = false, number = number_read(d->text + c->start, c->end - c->start, &v, &whole);
        real = real && number;
        integer = integer && number && whole && fabs(v) < 9007199254740992.0;
        date = date && date_read(d->text + c->start, c->end - c->start);
        any = true;
    }
    return !any ? DOC_TEXT : integer ? DOC_INTEGER : real ? DOC_REAL : date ? DOC_DATE : DOC_TEXT;
}
