/* pdfpage.c: reading what `pdftotext -bbox-layout` prints:
 *
 *   <title>T</title> ... <page width="612.0" height="792.0"> <flow> <block xMin=...> <line
 *       xMin=...>
 *     <word xMin="51.61" yMin="56.98" xMax="102.39" yMax="76.73">Rcpp</word> ...
 *
 * one element a line. The words and their lines are taken; the tool's own order of blocks is not,
 * since it puts the second column first on some pages and reads tables column by column (pdforder.c
 * does better).
 *
 * A line is cut where the gap is wider than a letter is high: the cells of a table row often share
 * a line. Within it a blank is due where the gap is more than a tenth of the letter height
 * (footnote signs and changes of font have none), between two Han characters only where it is
 * nearly a character wide: justified Chinese is stretched. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/utf8.h"
#include "know/doc/builder.h"
#include "know/doc/pdfpage.h"

#define CUT_GAP 1.2f
#define BLANK_GAP 0.1f
#define BLANK_GAP_HAN 0.8f
#define LINES_MAX 5000000
#define HEIGHTS 200 /* histogram of letter heights in half points */

struct word {
    struct pdf_box box;
    size_t text, len; /* in reader.text */
    uint32_t first, last;
    uint32_t wide;
};

struct reader {
    struct pdf *p;
    struct buf text;
    VEC(struct word) words; /* of the open line */
    double heights[HEIGHTS];
};

/* The number after name=" in one element; false when it is absent or not a sane coordinate. */
static bool number(const char *s, const char *end, const char *name, float *out)
{
    size_t n = strlen(name);
    const char *at = memmem(s, (size_t)(end - s), name, n);
    if (at == NULL)
        return false;
    double v = strtod(at + n, NULL);
    if (!(v > -1e5 && v < 1e5))
        return false;
    *out = (float)v;
    return true;
}

static bool box_read(const char *s, const char *end, struct pdf_box *b)
{
    return number(s, end, "xMin=\"", &b->x0) && number(s, end, "yMin=\"", &b->y0) &&
           number(s, end, "xMax=\"", &b->x1) && number(s, end, "yMax=\"", &b->y1) &&
           b->x1 >= b->x0 && b->y1 >= b->y0;
}

static void unescape(struct buf *out, const char *s, size_t len)
{
    static const struct {
        const char *name;
        size_t len;
        char c;
    } entities[] = {{"&amp;", 5, '&'},
                    {"&lt;", 4, '<'},
                    {"&gt;", 4, '>'},
                    {"&quot;", 6, '"'},
                    {"&apos;", 6, '\''}};
    for (size_t i = 0; i < len;) {
        size_t k = 0;
        while (k < 5 &&
               (len - i < entities[k].len || memcmp(s + i, entities[k].name, entities[k].len) != 0))
            k++;
        buf_putc(out, k < 5 ? entities[k].c : s[i]);
        i += k < 5 ? entities[k].len : 1;
    }
}

static uint32_t columns_of(const char *s, size_t len, uint32_t *first, uint32_t *last)
{
    uint32_t wide = 0;
    *first = *last = 0;
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c = utf8_decode(s + i, len - i, &n);
        *first = wide == 0 ? c : *first;
        *last = c;
        wide += c != UTF8_BAD && builder_unspaced(c) ? 2 : 1;
    }
    return wide;
}

static void word_read(struct reader *r, const char *s, const char *end)
{
    struct word w;
    const char *open = memchr(s, '>', (size_t)(end - s));
    const char *close = open != NULL ? memmem(open, (size_t)(end - open), "</word>", 7) : NULL;
    if (close == NULL || !box_read(s, open, &w.box))
        return;
    w.text = r->text.len;
    unescape(&r->text, open + 1, (size_t)(close - open - 1));
    w.len = r->text.len - w.text;
    if (r->text.failed || w.len == 0)
        return;
    w.wide = columns_of(r->text.data + w.text, w.len, &w.first, &w.last);
    r->p->failed = !vec_push(&r->words, w) || r->p->failed;
}

static int float_order(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* ". . . . 17", "....... 17": the dots that lead the eye in a table of contents are no text. */
static bool leader(const struct reader *r, size_t i)
{
    const struct word *w = &r->words.items[i];
    const char *s = r->text.data + w->text;
    for (size_t k = 0; k < w->len; k++)
        if (s[k] != '.')
            return false;
    bool before = i > 0 && r->text.data[w[-1].text] == '.';
    bool after = i + 1 < r->words.count && r->text.data[w[1].text] == '.';
    return w->len >= 4 || before || after;
}

/* Words [from, to) become one line. */
static void line_make(struct reader *r, size_t from, size_t to, float size)
{
    const struct word *w = r->words.items;
    struct pdf_line line = {.box = w[from].box, .size = size, .text = r->p->text.len};
    for (size_t i = from; i < to; i++) {
        if (leader(r, i))
            continue;
        if (line.wide > 0) {
            bool han = builder_unspaced(w[i - 1].last) && builder_unspaced(w[i].first);
            if (w[i].box.x0 - w[i - 1].box.x1 > (han ? BLANK_GAP_HAN : BLANK_GAP) * size)
                buf_putc(&r->p->text, ' ');
        }
        buf_add(&r->p->text, r->text.data + w[i].text, w[i].len);
        line.box.x0 = fminf(line.box.x0, w[i].box.x0);
        line.box.y0 = fminf(line.box.y0, w[i].box.y0);
        line.box.x1 = fmaxf(line.box.x1, w[i].box.x1);
        line.box.y1 = fmaxf(line.box.y1, w[i].box.y1);
        line.wide += w[i].wide + 1;
    }
    line.len = r->p->text.len - line.text;
    if (line.len == 0)
        return;
    float width = line.box.x1 - line.box.x0, height = line.box.y1 - line.box.y0;
    line.upright = line.wide < 5 || height < 2 * width;
    size_t bin = (size_t)(size * 2);
    if (line.upright && bin < HEIGHTS)
        r->heights[bin] += line.wide;
    if (r->p->lines.count < LINES_MAX)
        r->p->failed = !vec_push(&r->p->lines, line) || r->p->failed;
}

static void line_end(struct reader *r)
{
    size_t n = r->words.count;
    float *heights = n > 0 ? mem_array(n, sizeof *heights) : NULL;
    if (heights != NULL) {
        for (size_t i = 0; i < n; i++)
            heights[i] = r->words.items[i].box.y1 - r->words.items[i].box.y0;
        qsort(heights, n, sizeof *heights, float_order);
        float size = fmaxf(heights[n / 2], 0.1f);
        mem_free(heights);
        for (size_t from = 0, i = 1; i <= n; i++) {
            if (i == n ||
                r->words.items[i].box.x0 - r->words.items[i - 1].box.x1 > CUT_GAP * size) {
                line_make(r, from, i, size);
                from = i;
            }
        }
    } else {
        r->p->failed = r->p->failed || n > 0;
    }
    r->words.count = 0;
    buf_clear(&r->text);
}

static bool starts(const char *s, const char *end, const char *with)
{
    size_t n = strlen(with);
    return (size_t)(end - s) >= n && memcmp(s, with, n) == 0;
}

static void element_read(struct reader *r, const char *s, const char *end)
{
    struct pdf *p = r->p;
    if (starts(s, end, "<word ")) {
        word_read(r, s, end);
    } else if (starts(s, end, "</line>")) {
        line_end(r);
        if (p->sheets.count > 0)
            p->sheets.items[p->sheets.count - 1].count =
                p->lines.count - p->sheets.items[p->sheets.count - 1].first;
    } else if (starts(s, end, "<page ")) {
        struct pdf_sheet sheet = {.width = 612, .height = 792, .first = p->lines.count};
        number(s, end, "width=\"", &sheet.width);
        number(s, end, "height=\"", &sheet.height);
        p->failed = !vec_push(&p->sheets, sheet) || p->failed;
    } else if (starts(s, end, "<title>") && p->title.len == 0) {
        const char *close = memmem(s, (size_t)(end - s), "</title>", 8);
        if (close != NULL)
            unescape(&p->title, s + 7, (size_t)(close - s - 7));
    }
}

void pdf_read(struct pdf *p, const char *s, size_t len)
{
    struct reader r = {.p = p};
    memset(p, 0, sizeof *p);
    for (const char *end = s + len; s < end;) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        stop = stop != NULL ? stop : end;
        while (s < stop && *s == ' ')
            s++;
        element_read(&r, s, stop);
        s = stop + 1;
    }
    size_t best = 0;
    for (size_t i = 1; i < HEIGHTS; i++)
        if (r.heights[i] > r.heights[best])
            best = i;
    p->body = ((float)best + 0.5f) / 2;
    p->failed = p->failed || p->text.failed || r.text.failed;
    vec_free(&r.words);
    buf_release(&r.text);
}

void pdf_release(struct pdf *p)
{
    buf_release(&p->text);
    buf_release(&p->title);
    vec_free(&p->lines);
    vec_free(&p->sheets);
}
