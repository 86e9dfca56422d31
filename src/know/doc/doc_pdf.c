/* doc_pdf.c: PDF. poppler's pdftotext finds the words and their places (pdfpage.c), pdforder.c the
 * order to read them in; here they become paragraphs.
 *
 *   running heads  a line near the upper or lower edge that comes back at the same height on three
 *                  pages (two of at most four), digits aside, is no text; neither is a lone
 *                  page number
 *   labels         the number such a line holds, where number - page is the same for most pages:
 *                  the printed number
 *   paragraphs     end at a wider gap, an indent, a change of letter height, or a short last line
 *   headings       larger letters than the body's, ranked by height; or "3.1 Title", 第三章 by
 *                  itself
 *   hyphens        "capabili-/ties" is one word, "well-/known" keeps its hyphen (hyphen.c)
 *   line ends      Han and Han join without a blank (builder.c), anything else with one
 *
 * Left out: text in pictures (a page without text is reported), attachments, code listings as such
 * (a PDF does not say), footnotes as such (they stay where they are printed). */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/doc/docfmt.h"
#include "know/doc/hyphen.h"
#include "know/doc/pdfpage.h"

#define EDGE 0.14f       /* share of the page's height where running heads live */
#define EDGE_NUMBER 0.2f /* and where a lone page number may still be one */
#define HEADING_RATIO 1.16f
#define SIZES_MAX 4

struct pdf_writer {
    struct pdf pdf;
    struct builder *b;
    struct map heads; /* running-head key -> pages it is on */
    struct hyphens hyphens;
    float sizes[SIZES_MAX]; /* letter heights of headings, largest first */
    size_t size_count;
    long label_shift; /* printed number - physical page, for most pages */
    size_t label_votes;
};

static const char *line_text(const struct pdf_writer *w, const struct pdf_line *l)
{
    return w->pdf.text.data + l->text;
}

/* ---- running heads and labels ---- */

static bool at_edge(const struct pdf_sheet *sheet, const struct pdf_line *l, float edge)
{
    return l->len <= 200 &&
           (l->box.y1 < edge * sheet->height || l->box.y0 > (1 - edge) * sheet->height);
}

/* Nothing but page numbers stands further out. */
static bool outermost(const struct pdf_writer *w, const struct pdf_sheet *sheet,
                      const struct pdf_line *l)
{
    bool above = false, below = false;
    for (size_t k = sheet->first; k < sheet->first + sheet->count; k++) {
        const struct pdf_line *o = &w->pdf.lines.items[k];
        above = above || o->box.y1 < l->box.y0 + 1;
        below = below || o->box.y0 > l->box.y1 - 1;
    }
    return above != below;
}

/* Letters without digits and blanks, and the height on the page in steps of 3 points. */
static size_t head_key(const struct pdf_writer *w, const struct pdf_line *l, int shift,
                       char out[256])
{
    const char *s = line_text(w, l);
    size_t n = (size_t)snprintf(out, 32, "%d:", (int)(l->box.y0 / 3) + shift);
    for (size_t i = 0; i < l->len && n < 250; i++) {
        bool digit = isdigit((unsigned char)s[i]) != 0;
        if (s[i] != ' ' && !(digit && out[n - 1] == '#'))
            out[n++] = digit ? '#' : s[i];
    }
    return n;
}

static uint64_t head_pages(const struct pdf_writer *w, const struct pdf_line *l)
{
    char key[256];
    uint64_t pages = 0, most = 0;
    for (int shift = -1; shift <= 1; shift++) {
        size_t n = head_key(w, l, shift, key);
        if (map_find(&w->heads, key, n, &pages))
            most += pages;
    }
    return most;
}

/* "17", "- 17 -", "xiv", "Page 17", "17/40": the line is nothing but a page number. */
static bool number_alone(const struct pdf_writer *w, const struct pdf_line *l)
{
    const char *s = line_text(w, l), *end = s + l->len;
    if (l->len > 24)
        return false;
    while (s < end && strchr("-–—[( ", *s))
        s++;
    if (end - s > 5 && strncasecmp(s, "page ", 5) == 0)
        s += 5;
    const char *from = s;
    while (s < end && isdigit((unsigned char)*s))
        s++;
    if (s == from)
        while (s < end && strchr("ivxlc", *s))
            s++;
    return s > from && s - from <= 6 && strspn(s, "-–—)]/ of0123456789") >= (size_t)(end - s);
}

/* The number that a running head or foot starts or ends with, or -1. */
static long number_in(const struct pdf_writer *w, const struct pdf_line *l)
{
    const char *s = line_text(w, l), *end = s + l->len, *p = s;
    while (p < end && !isdigit((unsigned char)*p))
        p++;
    bool first = p == s || number_alone(w, l);
    if (!first) {
        p = end;
        while (p > s && isdigit((unsigned char)p[-1]))
            p--;
    }
    long v = p < end && isdigit((unsigned char)*p) ? strtol(p, NULL, 10) : -1;
    return v > 0 && v < 100000 ? v : -1;
}

static void heads_count(struct pdf_writer *w)
{
    char key[256];
    for (size_t i = 0; i < w->pdf.sheets.count; i++) {
        const struct pdf_sheet *sheet = &w->pdf.sheets.items[i];
        for (size_t k = sheet->first; k < sheet->first + sheet->count; k++) {
            const struct pdf_line *l = &w->pdf.lines.items[k];
            uint64_t pages = 0;
            if (!at_edge(sheet, l, EDGE))
                continue;
            size_t n = head_key(w, l, 0, key);
            map_find(&w->heads, key, n, &pages);
            map_put(&w->heads, key, n, pages + 1);
        }
    }
}

/* Marks running heads, and votes for the shift of the printed numbers (Boyer and Moore's
 * majority). */
static void heads_mark(struct pdf_writer *w)
{
    for (size_t i = 0; i < w->pdf.sheets.count; i++) {
        const struct pdf_sheet *sheet = &w->pdf.sheets.items[i];
        for (size_t k = sheet->first; k < sheet->first + sheet->count; k++) {
            struct pdf_line *l = &w->pdf.lines.items[k];
            if (!at_edge(sheet, l, EDGE_NUMBER))
                continue;
            uint64_t often = w->pdf.sheets.count <= 4 ? 2 : 3;
            l->head = (at_edge(sheet, l, EDGE) && head_pages(w, l) >= often) ||
                      (number_alone(w, l) && outermost(w, sheet, l));
            long number = l->head ? number_in(w, l) : -1;
            if (number < 0)
                continue;
            long shift = number - (long)(i + 1);
            if (w->label_votes == 0)
                w->label_shift = shift;
            w->label_votes = shift == w->label_shift ? w->label_votes + 1 : w->label_votes - 1;
        }
    }
}

/* The printed label, where the page has one that differs. */
static void label_add(struct pdf_writer *w, size_t page)
{
    const struct pdf_sheet *sheet = &w->pdf.sheets.items[page];
    char label[32] = "";
    for (size_t k = sheet->first; k < sheet->first + sheet->count; k++) {
        const struct pdf_line *l = &w->pdf.lines.items[k];
        if (!l->head)
            continue;
        const char *s = line_text(w, l);
        if (number_in(w, l) == (long)(page + 1) + w->label_shift && w->label_shift != 0 &&
            w->label_votes > 0)
            snprintf(label, sizeof label, "%ld", number_in(w, l));
        else if (strchr("ivxlc", s[0]) && number_alone(w, l) && l->len < 8)
            snprintf(label, sizeof label, "%.*s", (int)l->len, s);
    }
    struct doc_page *made = w->b->pages.count > 0 ? &w->b->pages.items[w->b->pages.count - 1]
                                                  : NULL;
    if (made != NULL && label[0] != '\0' && (made->label = mem_strdup(label)) == NULL)
        w->b->failed = true;
}

/* ---- lines ---- */

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Writes a line and what joins it to the next one of its paragraph. */
static void line_write(struct pdf_writer *w, const struct pdf_line *l, const struct pdf_line *next)
{
    const char *s = line_text(w, l);
    size_t n = l->len;
    if (next == NULL) {
        builder_text(w->b, s, n);
        return;
    }
    const char *t = line_text(w, next);
    if (n > 2 &&
        memcmp(s + n - 2, "\xc2\xad", 2) == 0) { /* a soft hyphen is only there to be cut at */
        builder_text(w->b, s, n - 2);
    } else if (n > 1 && s[n - 1] == '-' &&
               (is_letter(s[n - 2]) || isdigit((unsigned char)s[n - 2]))) {
        bool word = is_letter(s[n - 2]) && !hyphens_keep(&w->hyphens, s, n - 1, t, next->len);
        builder_text(w->b, s, word ? n - 1 : n);
    } else {
        builder_text(w->b, s, n);
        builder_text(w->b, "\n", 1);
    }
}

/* ---- headings ---- */

/* "3.1 Title", "Chapter 2", "第三章 ...": the level, or 0. */
static unsigned numbered_level(const char *s, size_t len)
{
    size_t i = 0;
    unsigned dots = 1;
    if (len < 3 || len > 90 || strchr(".,;:", s[len - 1]))
        return 0;
    if (len > 6 && strncmp(s, "第", 3) == 0)
        for (size_t j = 3; j + 3 <= len && j < 18; j++)
            if (memcmp(s + j, "章", 3) == 0 || memcmp(s + j, "节", 3) == 0)
                return memcmp(s + j, "章", 3) == 0 ? 1 : 2;
    if (len > 9 && strncmp(s, "Chapter ", 8) == 0 && isdigit((unsigned char)s[8]))
        return 1;
    while (i < len && isdigit((unsigned char)s[i]) && i < 3)
        i++;
    if (i == 0)
        return 0;
    while (i + 1 < len && s[i] == '.' && isdigit((unsigned char)s[i + 1])) {
        dots++;
        for (i++; i < len && isdigit((unsigned char)s[i]);)
            i++;
    }
    if (i < len && s[i] == '.')
        i++;
    size_t blank = i, letters = 0;
    while (i < len && s[i] == ' ')
        i++;
    if (i == blank || i >= len || !(isupper((unsigned char)s[i]) || (unsigned char)s[i] >= 0xe3))
        return 0;
    for (size_t k = i; k < len; k++)
        letters += is_letter(s[k]);
    return letters >= 3 ? dots + 1 : 0;
}

static bool has_letters(const char *s, size_t len)
{
    size_t letters = 0;
    for (size_t i = 0; i < len; i++)
        letters += is_letter(s[i]);
    return letters >= 2;
}

/* A paragraph of `count` lines, the first of them l, in letters of this height. */
static unsigned heading_level(const struct pdf_writer *w, const struct pdf_line *l, size_t count,
                              size_t chars)
{
    const char *s = line_text(w, l);
    if (l->size > HEADING_RATIO * w->pdf.body && count <= 3 && chars <= 160 &&
        has_letters(s, l->len))
        for (size_t i = 0; i < w->size_count; i++)
            if (l->size > w->sizes[i] * 0.95f)
                return (unsigned)i + 1;
    return count == 1 ? numbered_level(s, l->len) : 0;
}

/* The letter heights of likely headings: the largest four that differ by a tenth. */
static void sizes_find(struct pdf_writer *w)
{
    for (size_t i = 0; i < w->pdf.lines.count; i++) {
        const struct pdf_line *l = &w->pdf.lines.items[i];
        if (l->head || !l->upright || l->size <= HEADING_RATIO * w->pdf.body || l->len > 160 ||
            !has_letters(line_text(w, l), l->len))
            continue;
        size_t at = 0;
        while (at < w->size_count && w->sizes[at] > l->size * 1.1f)
            at++;
        if (at < w->size_count && l->size > w->sizes[at] * 0.91f) {
            w->sizes[at] = fmaxf(w->sizes[at], l->size);
        } else if (at < SIZES_MAX) {
            w->size_count += w->size_count < SIZES_MAX;
            memmove(w->sizes + at + 1, w->sizes + at, (w->size_count - 1 - at) * sizeof *w->sizes);
            w->sizes[at] = l->size;
        }
    }
    if (w->size_count == SIZES_MAX)
        w->sizes[SIZES_MAX - 1] = fminf(w->sizes[SIZES_MAX - 1], HEADING_RATIO * w->pdf.body);
}

/* ---- paragraphs ---- */

/* What holds for a run of lines in one column. */
struct column {
    float left, right, pitch;
};

static bool same_row(const struct pdf_line *a, const struct pdf_line *b)
{
    float middle = (b->box.y0 + b->box.y1) / 2;
    return middle > a->box.y0 && middle < a->box.y1 && b->box.x0 >= a->box.x1 - 1;
}

static int float_order(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static struct column column_measure(const struct pdf_writer *w, const struct pdf_step *steps,
                                    size_t n)
{
    struct column c = {1e9f, -1e9f, 0};
    float *pitch = mem_array(n, sizeof *pitch);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pdf_line *l = &w->pdf.lines.items[steps[i].line];
        c.left = fminf(c.left, l->box.x0);
        c.right = fmaxf(c.right, l->box.x1);
        float d = i > 0 ? l->box.y1 - w->pdf.lines.items[steps[i - 1].line].box.y1 : 0;
        if (d > 0.5f * l->size && d < 2.5f * l->size && pitch != NULL)
            pitch[count++] = d;
    }
    if (count > 0) {
        qsort(pitch, count, sizeof *pitch, float_order);
        c.pitch = pitch[count /
                        3]; /* nearer to the smaller ones: gaps between paragraphs are the others */
    }
    mem_free(pitch);
    return c;
}

static bool ends_sentence(const char *s, size_t len)
{
    static const char *const ends[] = {".",  "!",  "?", ":",  "。", "！", "？",
                                       "：", "；", "”", "\"", ")",  "）"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (len >= n && memcmp(s + len - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

static bool item_start(const char *s, size_t len)
{
    static const char *const bullets[] = {"•",           "–", "·", "●", "■",  "○",  "◦",
                                          "▪",           "‣", "∙", "❑", "- ", "* ", "\xef\x82\xb7",
                                          "\xef\x82\xa7"}; /* two of a symbol font */
    for (size_t i = 0; i < sizeof bullets / sizeof *bullets; i++) {
        size_t n = strlen(bullets[i]);
        if (len > n && memcmp(s, bullets[i], n) == 0)
            return true;
    }
    size_t i = s[0] == '(' || s[0] == '[';
    size_t from = i;
    while (i < len && i < from + 3 && isdigit((unsigned char)s[i]))
        i++;
    if (i == from && i < len && isalpha((unsigned char)s[i]) && from > 0)
        i++;
    return i > from && i - from < 3 && i + 2 < len && strchr(".)]", s[i]) != NULL &&
           s[i + 1] == ' ';
}

/* Does another paragraph begin with b? */
static bool paragraph_breaks(const struct pdf_writer *w, const struct column *c,
                             const struct pdf_line *a, const struct pdf_line *b)
{
    float em = b->size;
    if (same_row(a, b))
        return false;
    if (fabsf(a->size - b->size) > 0.14f * fmaxf(a->size, b->size) && a->wide > 4 && b->wide > 4)
        return true;
    float pitch = c->pitch > 0 ? c->pitch : 1.2f * em;
    if (b->box.y1 - a->box.y1 > 1.35f * pitch && b->box.y1 - a->box.y1 > 1.2f * em)
        return true;
    const char *s = line_text(w, b);
    bool item = item_start(s, b->len);
    if (item && (b->box.x0 < c->left + 3 * em || ends_sentence(line_text(w, a), a->len)))
        return true;
    bool short_line = a->box.x1 < c->right - fmaxf(2.5f * em, 0.12f * (c->right - c->left));
    bool indent = b->box.x0 > a->box.x0 + 0.7f * em && b->box.x0 < a->box.x0 + 5 * em;
    bool sentence = ends_sentence(line_text(w, a), a->len);
    if (indent && sentence && a->box.x0 < c->left + 0.5f * em)
        return true;
    return short_line && (sentence || numbered_level(line_text(w, a), a->len) > 0);
}

static void paragraph_write(struct pdf_writer *w, const struct pdf_step *steps, size_t n)
{
    const struct pdf_line *lines = w->pdf.lines.items, *first = &lines[steps[0].line];
    size_t chars = 0, rows = 1, code = 0;
    char start[100]; /* of the first row, whose number often stands apart from its title */
    size_t start_len = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pdf_line *l = &lines[steps[i].line];
        const char *s = line_text(w, l);
        chars += l->len;
        rows += i > 0 && !same_row(&lines[steps[i - 1].line], l);
        if (rows == 1 && start_len + l->len + 1 < sizeof start) {
            memcpy(start + start_len, s, l->len);
            start_len += l->len;
            start[start_len++] = ' ';
        }
        code += l->len > 0 && strchr(";{}", s[l->len - 1]) != NULL;
    }
    const char *s = line_text(w, first);
    unsigned level = first->upright ? heading_level(w, first, rows, chars) : 0;
    if (level == 0 && rows == 1 && n > 1 && start_len > 0 && first->upright)
        level = numbered_level(start, start_len - 1);
    if (level > 0)
        builder_open(w->b, DOC_HEADING, level);
    else if (strncmp(s, "Figure ", 7) == 0 || strncmp(s, "Table ", 6) == 0)
        builder_open(w->b, DOC_CAPTION, 0);
    else
        builder_open(w->b, item_start(s, first->len) ? DOC_LIST_ITEM : DOC_PARAGRAPH,
                     item_start(s, first->len));
    bool listing = code * 2 > rows && rows > 1; /* lines of a program keep their ends */
    for (size_t i = 0; i < n; i++) {
        const struct pdf_line *l = &lines[steps[i].line];
        const struct pdf_line *next = i + 1 < n ? &lines[steps[i + 1].line] : NULL;
        if (next != NULL && (listing || same_row(l, next))) {
            builder_text(w->b, line_text(w, l), l->len);
            if (same_row(l, next))
                builder_text(w->b, " ", 1);
            else
                builder_break(w->b);
        } else {
            line_write(w, l, next);
        }
    }
    builder_close(w->b);
}

static void column_write(struct pdf_writer *w, const struct pdf_step *steps, size_t n)
{
    struct column c = column_measure(w, steps, n);
    for (size_t from = 0, i = 1; i <= n; i++) {
        if (i == n || paragraph_breaks(w, &c, &w->pdf.lines.items[steps[i - 1].line],
                                       &w->pdf.lines.items[steps[i].line])) {
            paragraph_write(w, steps + from, i - from);
            from = i;
        }
    }
}

/* ---- tables ---- */

static bool has_digit(const struct pdf_writer *w, uint32_t line)
{
    const struct pdf_line *l = &w->pdf.lines.items[line];
    const char *s = line_text(w, l);
    for (size_t i = 0; i < l->len; i++)
        if (isdigit((unsigned char)s[i]))
            return true;
    return false;
}

/* The first row heads the table when it has no number in it. */
static bool header_first(const struct pdf_writer *w, const struct pdf_step *steps, size_t n)
{
    size_t cells = 1;
    for (size_t i = 1; i < n && steps[i].kind != PDF_END && (i == 1 || steps[i].kind != PDF_ROW);
         i++) {
        if (has_digit(w, steps[i].line))
            return false;
        cells += steps[i].kind == PDF_CELL;
    }
    return cells > 1;
}

/* steps[0] is PDF_TABLE; returns the steps used. */
static size_t table_write(struct pdf_writer *w, const struct pdf_step *steps, size_t n)
{
    bool header = header_first(w, steps, n);
    size_t i = 1;
    builder_table_begin(w->b);
    while (i < n && steps[i].kind == PDF_ROW) {
        size_t end = i + 1;
        uint32_t last = 0;
        while (end < n && steps[end].kind == PDF_CELL)
            end++;
        builder_row(w->b, header && i == 1);
        for (size_t k = i; k < end; k++)
            last = steps[k].column > last ? steps[k].column : last;
        for (uint32_t column = 0; column <= last; column++) {
            const struct pdf_line *open = NULL;
            if (column > 0)
                builder_cell(w->b);
            for (size_t k = i; k < end; k++) {
                if (steps[k].column != column)
                    continue;
                const struct pdf_line *l = &w->pdf.lines.items[steps[k].line];
                if (open != NULL)
                    line_write(w, open, l);
                open = l;
            }
            if (open != NULL)
                line_write(w, open, NULL);
        }
        i = end;
    }
    builder_table_end(w->b);
    return i < n && steps[i].kind == PDF_END ? i + 1 : i;
}

/* ---- pages ---- */

static void page_write(struct pdf_writer *w, size_t page, struct pdf_order *order)
{
    const struct pdf_sheet *sheet = &w->pdf.sheets.items[page];
    order->steps.count = 0;
    builder_page(w->b);
    label_add(w, page);
    if (!pdf_order_find(&w->pdf, sheet, order)) {
        w->b->failed = true;
        return;
    }
    size_t n = order->steps.count, blocks = w->b->blocks.count;
    const struct pdf_step *steps = order->steps.items;
    for (size_t i = 0; i < n;) {
        if (steps[i].kind == PDF_TABLE) {
            i += table_write(w, steps + i, n - i);
            continue;
        }
        size_t end = i + 1;
        while (end < n && steps[end].kind == PDF_LINE)
            end++;
        column_write(w, steps + i, end - i);
        i = end;
    }
    builder_close(w->b);
    if (w->b->blocks.count == blocks)
        builder_warn(w->b, "page %zu has no text", page + 1);
}

/* One stray mark on a scanned page is no text. */
static void specks_drop(struct pdf *p)
{
    for (size_t i = 0; i < p->sheets.count; i++) {
        struct pdf_sheet *sheet = &p->sheets.items[i];
        size_t letters = 0;
        for (size_t k = sheet->first; k < sheet->first + sheet->count && letters < 2; k++) {
            const struct pdf_line *l = &p->lines.items[k];
            for (size_t at = 0, n; at < l->len && letters < 2; at += n) {
                uint32_t c = utf8_decode(p->text.data + l->text + at, l->len - at, &n);
                letters += c != UTF8_BAD && (uni_class(c) & (UNI_LETTER | UNI_NUMBER)) != 0;
            }
        }
        if (letters < 2 && sheet->count == 1)
            sheet->count = 0;
    }
}

/* Programs put file names and their own names into the title field. */
static bool title_usable(const struct buf *t)
{
    static const char *const junk[] = {"microsoft ", "untitled",    "powerpoint",
                                       "slide 1",    "(anonymous)", "no title"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
        if (strncasecmp(buf_str(t), junk[i], strlen(junk[i])) == 0)
            return false;
    size_t dot = t->len > 5 ? t->len - 5 : 0;
    return t->len > 2 && !memchr(buf_str(t) + dot, '.', t->len - dot);
}

static enum sooth_status pdf_parse(const struct doc_input *in, struct builder *b,
                                   struct sooth_error *err)
{
    struct pdf_writer w = {.b = b};
    struct pdf_order order = {0};
    pdf_read(&w.pdf, (const char *)in->data, in->len);
    map_init(&w.heads);
    hyphens_init(&w.hyphens);
    bool ok = !w.pdf.failed;
    if (ok) {
        specks_drop(&w.pdf);
        heads_count(&w);
        heads_mark(&w);
        for (size_t i = 0; i < w.pdf.lines.count; i++)
            hyphens_count(&w.hyphens, line_text(&w, &w.pdf.lines.items[i]),
                          w.pdf.lines.items[i].len);
        sizes_find(&w);
        if (title_usable(&w.pdf.title))
            builder_title(b, w.pdf.title.data, w.pdf.title.len);
        for (size_t i = 0; i < w.pdf.sheets.count; i++)
            page_write(&w, i, &order);
        ok = !w.heads.failed && !w.hyphens.words.failed;
    }
    vec_free(&order.steps);
    map_release(&w.heads);
    hyphens_release(&w.hyphens);
    pdf_release(&w.pdf);
    return ok ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status pdf_failed(int exit_code, const char *complaint, struct sooth_error *err)
{
    if (strstr(complaint, "assword"))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "it is locked with a password");
    if (exit_code == 3)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "its author does not allow copying text");
    return err_set(err, SOOTH_ERR_FORMAT, "it is not a whole PDF file");
}

static int pdf_sniff(const unsigned char *data, size_t len)
{
    return memmem(data, len < 1024 ? len : 1024, "%PDF-", 5) != NULL ? 95 : 0;
}

static const char *const pdf_tool[] = {"pdftotext", "-bbox-layout", "-enc", "UTF-8", "-", "-",
                                       NULL};
static const char *const *const pdf_tools[] = {pdf_tool, NULL};

const struct docfmt docfmt_pdf = {
    .name = "pdf",
    .about = "PDF; scanned pages by OCR",
    .extensions = "pdf",
    .sniff = pdf_sniff,
    .parse = pdf_parse,
    .tools = pdf_tools,
    .tool_package = "poppler-utils",
    .tool_failed = pdf_failed,
};
