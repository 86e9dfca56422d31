/* doc_csv.c: tables in text (RFC 4180 and its dialects): comma, semicolon, tab or bar.
 *
 *   record = field *(sep field) end     field = plain / DQUOTE *(any / 2DQUOTE) DQUOTE
 *
 * A quoted field may hold separators and line ends; those become blanks in the row's text, so that
 * one record is one row whatever is in it. The separator is the candidate that gives most records
 * the same number (> 1) of fields. The first record heads the others unless it holds a number. A
 * quote that is never closed is taken as an ordinary character, and from there on all quotes are,
 * so that one stray mark does not swallow the file. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"

struct scan {
    const char *p, *end;
    char sep;
    bool literal; /* quotes mean nothing any more */
};

/* One field into out (cleared). Returns false at the end of the record. */
static bool field_next(struct scan *s, struct buf *out, bool *stray)
{
    buf_clear(out);
    bool quoted = !s->literal && s->p < s->end && *s->p == '"';
    if (quoted) {
        const char *start = s->p++;
        while (s->p < s->end && (*s->p != '"' || (s->p + 1 < s->end && s->p[1] == '"'))) {
            buf_add(out, s->p, 1);
            s->p += *s->p == '"' ? 2 : 1;
        }
        if (s->p >= s->end) { /* never closed */
            *stray = s->literal = true;
            buf_clear(out);
            s->p = start;
        } else {
            s->p++;
        }
    }
    const char *from = s->p;
    while (s->p < s->end && *s->p != s->sep && *s->p != '\n' && *s->p != '\r')
        s->p++;
    buf_add(out, from, (size_t)(s->p - from));
    if (s->p < s->end && *s->p == s->sep) {
        s->p++;
        return true;
    }
    if (s->p < s->end && *s->p == '\r')
        s->p++;
    if (s->p < s->end && *s->p == '\n')
        s->p++;
    return false;
}

/* How well the separator cuts the first records: share of records with the commonest count above 1,
 * times a little more for more fields. */
static double sep_score(const char *text, size_t len, char sep)
{
    struct scan s = {text, text + len, sep, false};
    struct buf field = BUF_INIT;
    size_t counts[65] = {0}, records = 0;
    bool stray = false;
    while (s.p < s.end && records < 200) {
        size_t n = 1;
        const char *from = s.p;
        while (field_next(&s, &field, &stray))
            n++;
        bool blank = n == 1 && field.len == 0 && s.p - from <= 2;
        counts[n > 64 ? 64 : n] += !blank;
        records += !blank;
    }
    buf_release(&field);
    double best = 0;
    for (size_t n = 2; n <= 64 && records > 0; n++) {
        double score =
            (double)counts[n] / (double)records * (1.0 + 0.01 * (double)n) - (stray ? 0.2 : 0);
        best = score > best ? score : best;
    }
    return best;
}

static char sep_find(const char *text, size_t len)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    double best_score = 0;
    for (size_t i = 0; i < sizeof candidates; i++) {
        double score = sep_score(text, len, candidates[i]);
        if (score > best_score + 1e-9) {
            best_score = score;
            best = candidates[i];
        }
    }
    return best;
}

static bool number_like(const struct buf *f)
{
    size_t digits = 0;
    for (size_t i = 0; i < f->len; i++) {
        digits += f->data[i] >= '0' && f->data[i] <= '9';
        if (!strchr("0123456789.,+-%eE: /$", f->data[i]))
            return false;
    }
    return digits > 0;
}

static bool header_first(struct scan s)
{
    struct buf field = BUF_INIT;
    bool stray = false, more, header = true;
    do {
        more = field_next(&s, &field, &stray);
        header = header && !number_like(&field);
    } while (more);
    buf_release(&field);
    return header && s.p < s.end;
}

static bool csv_rows(struct builder *b, const char *text, size_t len, bool *stray)
{
    struct scan s = {text, text + len, sep_find(text, len), false};
    struct buf field = BUF_INIT;
    bool header = header_first(s), first = true;
    builder_table_begin(b);
    while (s.p < s.end) {
        builder_row(b, header && first);
        bool more = true, begun = false;
        while (more) {
            more = field_next(&s, &field, stray);
            if (begun)
                builder_cell(b);
            begun = true;
            builder_text(b, buf_str(&field), field.len);
        }
        first = false;
    }
    builder_table_end(b);
    bool ok = !field.failed;
    buf_release(&field);
    return ok;
}

static enum sooth_status csv_parse(const struct doc_input *in, struct builder *b,
                                   struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    bool stray = false;
    if (s == SOOTH_OK && text.len > 0 && !csv_rows(b, text.data, text.len, &stray))
        s = err_nomem(err);
    if (stray)
        builder_warn(b,
                     "a quotation mark is never closed; quotes were taken literally from there on");
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_csv = {
    .name = "csv",
    .about = "tables in text: comma, semicolon, tab or bar",
    .extensions = "csv tsv tab psv",
    .parse = csv_parse,
};
