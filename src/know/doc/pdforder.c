/* pdforder.c: in which order the lines of a page are read: columns one after the other, tables row
 * by row.
 *
 * Recursive XY cut (Nagy and Seth 1984) in a form that does not tear columns apart. Lines are
 * sorted into bands (lines that overlap in height); consecutive bands form a zone while a vertical
 * gutter runs through all of them:
 *
 *   =========== title ===========      band 1: no gutter         -> a zone of one column
 *   left left left   right right       bands 2..n: the gutter    -> a zone of two columns
 *   left left        right right          runs through all      (each is cut again)
 *   left left left
 *   =========== caption =========      the gutter ends           -> next zone
 *
 * A zone with gutters is a table rather than columns of prose when one of its columns is narrow
 * text (under 22 columns of letters a line); two halves of a page cut down the middle over much of
 * its height are always prose. In a table a band is a row; a band with an empty first cell close
 * under the row before continues its cells. Bullets and numbers that stand apart from their text
 * are no column of a table.
 *
 * Rotated lines come last. Left out: text that runs around a picture, tables with cells centred
 * over many rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "know/doc/pdfpage.h"

enum {
    GUTTERS_MAX = 24,
    DEPTH_MAX = 12,
    CUT_MAX = 2000 /* lines; more on one page are only sorted */
};
#define PROSE_WIDE 22
/* In letter heights. Lines are already cut at wide gaps only; what is left of a gap between many
 * may be narrow. */
#define GUTTER_LEAST 0.6f

struct gap {
    float x0, x1;
};
struct gutters {
    struct gap at[GUTTERS_MAX];
    size_t count;
};

struct cut {
    const struct pdf *p;
    const struct pdf_sheet *sheet;
    struct pdf_order *order;
    float *ends; /* scratch for intervals: two floats a line */
    bool failed;
};

static const struct pdf_line *line_of(const struct cut *c, uint32_t i)
{
    return &c->p->lines.items[i];
}

static void step_add(struct cut *c, enum pdf_step_kind kind, uint32_t line, uint32_t column)
{
    struct pdf_step s = {kind, line, column};
    c->failed = !vec_push(&c->order->steps, s) || c->failed;
}

static const struct pdf *sort_pdf(const struct pdf *set)
{
    static _Thread_local const struct pdf *current; /* qsort has no argument for it */
    if (set != NULL)
        current = set;
    return current;
}

static int by_top(const void *a, const void *b)
{
    const struct pdf_line *x = &sort_pdf(NULL)->lines.items[*(const uint32_t *)a];
    const struct pdf_line *y = &sort_pdf(NULL)->lines.items[*(const uint32_t *)b];
    float mx = x->box.y0 + x->box.y1, my = y->box.y0 + y->box.y1;
    if (mx != my)
        return mx < my ? -1 : 1;
    return (x->box.x0 > y->box.x0) - (x->box.x0 < y->box.x0);
}

static int by_left(const void *a, const void *b)
{
    float x = sort_pdf(NULL)->lines.items[*(const uint32_t *)a].box.x0;
    float y = sort_pdf(NULL)->lines.items[*(const uint32_t *)b].box.x0;
    return (x > y) - (x < y);
}

static int by_start(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (x[0] > y[0]) - (x[0] < y[0]);
}

/* The end of the band that starts at lines[i]: lines whose middle lies above the bottom of those
 * before. */
static size_t band_end(const struct cut *c, const uint32_t *lines, size_t i, size_t n)
{
    float bottom = line_of(c, lines[i])->box.y1 - 0.3f * line_of(c, lines[i])->size;
    size_t k = i + 1;
    while (k < n) {
        const struct pdf_line *l = line_of(c, lines[k]);
        if ((l->box.y0 + l->box.y1) / 2 > bottom)
            break;
        k++;
    }
    return k;
}

/* The vertical strips that no line of the set touches, between its outermost lines. */
static void gutters_find(struct cut *c, const uint32_t *lines, size_t n, struct gutters *out)
{
    for (size_t i = 0; i < n; i++) {
        c->ends[2 * i] = line_of(c, lines[i])->box.x0;
        c->ends[2 * i + 1] = line_of(c, lines[i])->box.x1;
    }
    qsort(c->ends, n, 2 * sizeof(float), by_start);
    float least = GUTTER_LEAST * c->p->body;
    out->count = 0;
    float right = c->ends[1];
    for (size_t i = 1; i < n; i++) {
        if (c->ends[2 * i] - right >= least && out->count < GUTTERS_MAX)
            out->at[out->count++] = (struct gap){right, c->ends[2 * i]};
        right = fmaxf(right, c->ends[2 * i + 1]);
    }
}

static size_t column_of(const struct gutters *g, const struct pdf_line *l)
{
    size_t k = 0;
    while (k < g->count && l->box.x0 >= g->at[k].x1 - 0.01f)
        k++;
    return k;
}

/* Lines are already cut at wide gaps only; what is left of a gap between many lines may be
 * narrow. */
#define GUTTER_LEAST 0.6f

/* ---- zones ---- */

static bool marker(const struct cut *c, uint32_t i)
{
    const struct pdf_line *l = line_of(c, i);
    const char *s = c->p->text.data + l->text;
    if (l->wide > 6)
        return false;
    if (l->len <= 3 && (unsigned char)s[0] >= 0xe2)
        return true; /* a bullet */
    char last = s[l->len - 1];
    return strchr("-*+o", s[0]) != NULL ? l->len == 1 : strchr(".)]:", last) != NULL;
}

/* Mean width of the lines of each column; false when the first column holds nothing but list
 * markers. */
static bool zone_measure(const struct cut *c, const struct gutters *g, const uint32_t *lines,
                         size_t n, float mean[GUTTERS_MAX + 1])
{
    size_t count[GUTTERS_MAX + 1] = {0}, marks = 0;
    for (size_t k = 0; k <= g->count; k++)
        mean[k] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = column_of(g, line_of(c, lines[i]));
        mean[k] += (float)line_of(c, lines[i])->wide;
        count[k]++;
        marks += k == 0 && marker(c, lines[i]);
    }
    for (size_t k = 0; k <= g->count; k++)
        mean[k] /= count[k] > 0 ? (float)count[k] : 1;
    return marks < count[0] || g->count > 1;
}

static bool zone_is_table(const struct cut *c, const struct gutters *g, const uint32_t *lines,
                          size_t n)
{
    float mean[GUTTERS_MAX + 1], top = 1e9f, bottom = 0, middle = (g->at[0].x0 + g->at[0].x1) / 2;
    size_t narrow = 0;
    if (!zone_measure(c, g, lines, n, mean))
        return false;
    for (size_t k = 0; k <= g->count; k++)
        narrow += mean[k] < PROSE_WIDE;
    for (size_t i = 0; i < n; i++) {
        top = fminf(top, line_of(c, lines[i])->box.y0);
        bottom = fmaxf(bottom, line_of(c, lines[i])->box.y1);
    }
    bool halves = g->count == 1 && fabsf(middle / c->sheet->width - 0.5f) < 0.06f &&
                  mean[0] + mean[1] > 40 && bottom - top > 0.35f * c->sheet->height;
    return narrow > 0 && !halves;
}

/* The line of a cell, which is a row of its own when the row has none before. */
static void cell_add(struct cut *c, uint32_t line, size_t column, bool *row_open)
{
    step_add(c, *row_open ? PDF_CELL : PDF_ROW, line, (uint32_t)column);
    *row_open = true;
}

static void column_emit(struct cut *c, uint32_t *lines, size_t n);

static void rows_emit(struct cut *c, const struct gutters *g, uint32_t *lines, size_t n)
{
    float bottom = -1e9f;
    bool row_open = false;
    step_add(c, PDF_TABLE, 0, 0);
    for (size_t i = 0, end; i < n; i = end) {
        end = band_end(c, lines, i, n);
        sort_pdf(c->p);
        qsort(lines + i, end - i, sizeof *lines, by_left);
        const struct pdf_line *first = line_of(c, lines[i]);
        bool goes_on = row_open && column_of(g, first) > 0 && end - i <= g->count &&
                       first->box.y0 - bottom < 0.45f * first->size;
        if (!goes_on)
            row_open = false;
        for (size_t k = i; k < end; k++) {
            cell_add(c, lines[k], column_of(g, line_of(c, lines[k])), &row_open);
            bottom = fmaxf(goes_on || k > i ? bottom : -1e9f, line_of(c, lines[k])->box.y1);
        }
    }
    step_add(c, PDF_END, 0, 0);
}

/* Text above the first and below the last band that has several cells only happens to stop short of
 * the gutter. */
static void table_emit(struct cut *c, const struct gutters *g, uint32_t *lines, size_t n)
{
    size_t from = n, to = 0;
    for (size_t i = 0, end; i < n; i = end) {
        end = band_end(c, lines, i, n);
        const struct pdf_line *l = line_of(c, lines[i]);
        if (end - i > 1 && from == n)
            from = i;
        bool goes_on = to == i && i > 0 && column_of(g, l) > 0 &&
                       l->box.y0 - line_of(c, lines[i - 1])->box.y1 < 0.45f * l->size;
        if (end - i > 1 || goes_on)
            to = end;
    }
    if (from >= to) {
        column_emit(c, lines, n);
        return;
    }
    if (from > 0)
        column_emit(c, lines, from);
    rows_emit(c, g, lines + from, to - from);
    if (to < n)
        column_emit(c, lines + to, n - to);
}

/* One column: bands from the top, from the left within a band. */
static void column_emit(struct cut *c, uint32_t *lines, size_t n)
{
    enum pdf_step_kind kind = PDF_COLUMN;
    for (size_t i = 0, end; i < n; i = end) {
        end = band_end(c, lines, i, n);
        sort_pdf(c->p);
        qsort(lines + i, end - i, sizeof *lines, by_left);
        for (size_t k = i; k < end; k++) {
            step_add(c, kind, lines[k], 0);
            kind = PDF_LINE;
        }
    }
}

static void set_emit(struct cut *c, uint32_t *lines, size_t n, unsigned depth);

/* The columns of a zone, left to right, each cut again. */
static void columns_emit(struct cut *c, const struct gutters *g, uint32_t *lines, size_t n,
                         unsigned depth)
{
    uint32_t *part = mem_array(n, sizeof *part);
    if (part == NULL) {
        c->failed = true;
        return;
    }
    for (size_t k = 0; k <= g->count; k++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (column_of(g, line_of(c, lines[i])) == k)
                part[m++] = lines[i];
        if (m > 0)
            set_emit(c, part, m, depth + 1);
    }
    mem_free(part);
}

static void zone_emit(struct cut *c, uint32_t *lines, size_t n, size_t bands, unsigned depth)
{
    struct gutters g;
    gutters_find(c, lines, n, &g);
    if (g.count == 0 || bands == 1 || depth >= DEPTH_MAX)
        column_emit(c, lines, n);
    else if (zone_is_table(c, &g, lines, n))
        table_emit(c, &g, lines, n);
    else if (marker(c, lines[0]) || n < 4)
        column_emit(c, lines, n);
    else
        columns_emit(c, &g, lines, n, depth);
}

static float gutters_width(const struct gutters *g)
{
    float sum = 0;
    for (size_t k = 0; k < g->count; k++)
        sum += g->at[k].x1 - g->at[k].x0;
    return sum;
}

/* Does the band [i, end) go on with the zone [from, i), whose gutters are `zone`? `both` gets those
 * of the two together. A zone of one column takes in a band whose own gap the next band does not
 * share: a stretched line of prose. */
static bool band_joins(struct cut *c, const uint32_t *lines, size_t from, size_t i, size_t end,
                       size_t n, const struct gutters *zone, struct gutters *both)
{
    struct gutters own, next, ahead;
    gutters_find(c, lines + from, end - from, both);
    gutters_find(c, lines + i, end - i, &own);
    if (zone->count > 0)
        return both->count > 0 && (own.count > 0 || both->count >= zone->count);
    if (end == n || (own.count > 0 && both->count >= own.count &&
                     gutters_width(both) > gutters_width(&own) / 2))
        return true;
    size_t stop = band_end(c, lines, end, n);
    gutters_find(c, lines + end, stop - end, &next);
    gutters_find(c, lines + i, stop - i, &ahead);
    bool beside = line_of(c, lines[end])->box.y0 <
                  line_of(c, lines[i])->box.y1; /* columns out of step */
    if (own.count > 0)
        return (next.count == 0 && gutters_width(&ahead) < 3 * c->p->body) ||
               ahead.count < both->count || gutters_width(&ahead) <= gutters_width(both);
    return ahead.count == 0 || both->count > 0 || !beside;
}

/* Cuts a set of lines into zones from the top. */
static void set_emit(struct cut *c, uint32_t *lines, size_t n, unsigned depth)
{
    sort_pdf(c->p);
    qsort(lines, n, sizeof *lines, by_top);
    struct gutters zone = {.count = 0}, both;
    size_t from = 0, bands = 0;
    for (size_t i = 0, end; i < n && !c->failed; i = end) {
        end = band_end(c, lines, i, n);
        if (bands > 0 && !band_joins(c, lines, from, i, end, n, &zone, &both)) {
            zone_emit(c, lines + from, i - from, bands, depth);
            from = i;
            bands = 0;
        }
        if (bands++ == 0)
            gutters_find(c, lines + i, end - i, &both);
        zone = both;
    }
    if (from < n)
        zone_emit(c, lines + from, n - from, bands, depth);
}

bool pdf_order_find(const struct pdf *p, const struct pdf_sheet *sheet, struct pdf_order *order)
{
    struct cut c = {.p = p, .sheet = sheet, .order = order};
    size_t room = sheet->count > 0 ? sheet->count : 1, n = 0;
    uint32_t *lines = mem_array(room, sizeof *lines);
    c.ends = mem_array(room, 2 * sizeof *c.ends);
    c.failed = lines == NULL || c.ends == NULL;
    for (size_t i = sheet->first; i < sheet->first + sheet->count && !c.failed; i++)
        if (p->lines.items[i].upright && !p->lines.items[i].head)
            lines[n++] = (uint32_t)i;
    if (n > CUT_MAX) {
        sort_pdf(p);
        qsort(lines, n, sizeof *lines, by_top);
        column_emit(&c, lines, n);
    } else if (n > 0) {
        set_emit(&c, lines, n, 0);
    }
    for (size_t i = sheet->first; i < sheet->first + sheet->count && !c.failed; i++)
        if (!p->lines.items[i].upright && !p->lines.items[i].head)
            step_add(&c, PDF_COLUMN, (uint32_t)i, 0);
    mem_free(lines);
    mem_free(c.ends);
    return !c.failed;
}
