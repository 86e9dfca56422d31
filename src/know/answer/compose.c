/* compose.c: a quoted answer: the one to three spans that answer best.
 *
 *   the best sentence
 *   + the list behind it when it ends in a colon; the lines around it when it is a fragment or repeats the question
 *   + a second sentence of the same page when it is nearly as good; from anywhere when the question asks for two things
 *
 * Spans of one passage that touch are one quotation. In reading order within a document, else best first. */
#include <string.h>
#include "core/base/sentence.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/answer/answer.h"

#define LIST_BYTES 500   /* of a list behind a colon */
#define SHORT_CHARS 24   /* a fragment */
#define SECOND 0.82      /* of the best score that a second sentence needs */

static size_t sentence_after(const struct sooth_hit *h, size_t end, struct sentence *s)
{
    size_t at = end;
    return sentence_next(h->text, strlen(h->text), &at, s) ? at : 0;
}

static bool sentence_before(const struct sooth_hit *h, size_t start, struct sentence *out)
{
    size_t at = 0;
    bool any = false;
    for (struct sentence s; sentence_next(h->text, start, &at, &s);) {
        *out = s;
        any = true;
    }
    return any;
}

static bool ends_in_colon(const struct sooth_hit *h, const struct quote *q)
{
    const char *t = h->text + q->start;
    size_t n = q->end - q->start;
    return (n && t[n - 1] == ':') || (n >= 3 && !memcmp(t + n - 3, "：", 3));
}

/* Lines behind a colon, until a blank line behind something or the budget. */
static void add_list(const struct sooth_hit *h, struct quote *q)
{
    size_t limit = q->end + LIST_BYTES;
    struct sentence s;
    size_t items = 0;
    while (sentence_after(h, q->end, &s) && s.end <= limit) {
        bool blank = false;
        for (size_t i = q->end; i + 1 < s.start; i++)
            blank |= h->text[i] == '\n' && h->text[i + 1] == '\n';
        if (blank && items >= 8)
            break;
        q->end = s.end;
        if (++items >= 10)
            break;
    }
}

static bool closed(const struct sooth_hit *h, size_t end)
{
    static const char *const stops[] = { ".", "!", "?", "。", "！", "？", "…", ")", "）", "\"", "”", "」", ";", "；" };
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        size_t n = strlen(stops[i]);
        if (end >= n && !memcmp(h->text + end - n, stops[i], n))
            return true;
    }
    return false;
}

/* A fragment (a verse, a heading-like line), or words of the question itself: the lines around say what it is. */
static void widen_back(const struct sooth_hit *h, struct quote *q)
{
    struct sentence s;
    for (int lines = 0; lines < 3 && sentence_before(h, q->start, &s) && s.end - s.start < 120; lines++)
        q->start = s.start;
}

static void widen(const struct sooth_hit *h, struct quote *q)
{
    struct sentence s;
    if (sentence_after(h, q->end, &s) && s.end - q->end < 240)
        q->end = s.end;
}

static bool covered(const struct quote *quotes, size_t n, const struct unit *u)
{
    for (size_t i = 0; i < n; i++)
        if (quotes[i].hit == u->hit && quotes[i].start <= u->start && quotes[i].end >= u->end)
            return true;
    return false;
}

/* The same words from another passage (overlap, or a file that is there twice). */
static bool same_text(const struct sooth_hits *hits, const struct quote *quotes, size_t n, const struct unit *u)
{
    const char *t = hits->items[u->hit].text + u->start;
    size_t len = u->end - u->start;
    for (size_t i = 0; i < n; i++) {
        const char *s = hits->items[quotes[i].hit].text + quotes[i].start;
        size_t m = quotes[i].end - quotes[i].start;
        for (size_t k = 0; k + len <= m; k++)
            if (!memcmp(s + k, t, len))
                return true;
    }
    return false;
}

static void add(const struct question *q, const struct sooth_hits *hits, const struct unit *u, struct quote *quotes, size_t *n)
{
    struct quote x = { u->hit, u->start, u->end };
    const struct sooth_hit *h = &hits->items[u->hit];
    size_t chars = utf8_length(h->text + x.start, x.end - x.start);
    if (ends_in_colon(h, &x))
        add_list(h, &x);
    else if (!u->row && u->fresh < 0.25)
        widen_back(h, &x);
    else if (!u->row && (!closed(h, x.end) || chars < SHORT_CHARS / 2 || (q->want == WANT_LIST && u->kind < 0.5)))
        widen(h, &x); /* "... by invoking the command" goes on in the next line */
    for (size_t i = 0; i < *n; i++)
        if (quotes[i].hit == x.hit && x.start <= quotes[i].end + 2 && quotes[i].start <= x.end + 2) {
            quotes[i].start = quotes[i].start < x.start ? quotes[i].start : x.start;
            quotes[i].end = quotes[i].end > x.end ? quotes[i].end : x.end;
            return;
        }
    quotes[(*n)++] = x;
}

size_t compose_quotes(const struct question *q, const struct evidence *e, const struct sooth_hits *hits, struct quote out[QUOTES_MAX])
{
    size_t n = 0, units = 0, want = q->several || q->want == WANT_LIST || q->want == WANT_PROCEDURE ? 3 : 2;
    double best = e->count ? e->items[0].score : 0;
    for (size_t i = 0; i < e->count && units < want && n < QUOTES_MAX; i++) {
        const struct unit *u = &e->items[i];
        if (u->score < SECOND * best || covered(out, n, u) || same_text(hits, out, n, u) || (units && u->heading))
            continue;
        const struct sooth_hit *first = &hits->items[e->items[0].hit], *this = &hits->items[u->hit];
        if (units && !q->several && (strcmp(this->doc, first->doc) || this->page != first->page))
            continue; /* a second document or page only where two things are asked */
        add(q, hits, u, out, &n);
        units++;
    }
    for (size_t i = 1; i < n; i++) /* reading order inside a document */
        for (size_t k = i; k > 0; k--) {
            const struct sooth_hit *a = &hits->items[out[k - 1].hit], *b = &hits->items[out[k].hit];
            if (!a->doc || !b->doc || strcmp(a->doc, b->doc) || a->start + out[k - 1].start <= b->start + out[k].start)
                break;
            struct quote t = out[k];
            out[k] = out[k - 1];
            out[k - 1] = t;
        }
    return n;
}

static const char *cell_end(const char *p, const char *end)
{
    for (const char *c = p; c + 3 <= end; c++)
        if (!memcmp(c, " | ", 3))
            return c;
    return end;
}

bool quote_show(const char *text, size_t len, const char *header, struct buf *out)
{
    const char *end = text + len, *h = header, *h_end = header ? header + strlen(header) : NULL;
    bool row = cell_end(text, end) < end && !memchr(text, '\n', len);
    bool data = header && strncmp(header, text, 2) == 0; /* a first row that is like the others is no header */
    if (row && !data && header && cell_end(h, h_end) < h_end) { /* "mass: 6300; island: Biscoe" */
        for (const char *p = text; p <= end;) {
            const char *c = cell_end(p, end), *hc = h <= h_end ? cell_end(h, h_end) : h_end;
            if (p > text)
                buf_puts(out, "; ");
            if (h < hc) {
                buf_add(out, h, (size_t)(hc - h));
                buf_puts(out, ": ");
            }
            buf_add(out, p, (size_t)(c - p));
            h = hc + 3 <= h_end ? hc + 3 : h_end;
            if (c == end)
                break;
            p = c + 3;
        }
        return !out->failed;
    }
    bool blank = false;
    for (const char *p = text; p < end; p++) { /* line ends become blanks, but none between Han */
        if (*p == '\n' || *p == '\t' || *p == ' ') {
            blank = true;
            continue;
        }
        if (blank && out->len) {
            size_t m;
            bool han = uni_is_cjk(utf8_decode(p, (size_t)(end - p), &m)) && out->len >= 3 && (unsigned char)out->data[out->len - 1] >= 0x80;
            if (!han || (p > text && p[-1] != '\n'))
                buf_putc(out, ' ');
        }
        blank = false;
        buf_putc(out, *p);
    }
    return !out->failed;
}
