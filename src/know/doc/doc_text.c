/* doc_text.c: plain text. Paragraphs end at blank lines; a first line by itself is the title.
 *
 * Mending wrapped lines: a text is hard-wrapped when the 95th percentile of its line widths, W,
 * lies between 50 and 110 columns (Han counts 2). A line end inside such a text is a mere wrap when
 * the next word would not have fitted before W (three columns of doubt); then it becomes a blank,
 * or nothing between Han and inside a cut word. Where it would have fitted, the author broke the
 * line on purpose (verse, addresses, lists) and the break stays. Texts that are not wrapped keep
 * every line end.
 *
 * Headings: only what is plain: a line underlined with = or -, "Chapter 3 ...", 第三章, 三、 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"
#include "know/doc/hyphen.h"

struct line {
    const char *s;
    size_t len, indent;
    unsigned width;
};

enum sooth_status docfmt_decode(const struct doc_input *in, struct builder *b, struct buf *text,
                                struct sooth_error *err)
{
    char name[32];
    size_t bad;
    enum sooth_status s =
        encoding_decode(in->data, in->len, in->encoding, NULL, text, name, &bad, err);
    if (s != SOOTH_OK)
        return s;
    builder_encoding(b, name);
    if (bad > 0)
        builder_warn(b, "%zu byte sequences are not valid %s", bad, name);
    return text->failed ? err_nomem(err) : SOOTH_OK;
}

static unsigned width_of(const char *s, size_t len)
{
    unsigned w = 0;
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c = utf8_decode(s + i, len - i, &n);
        w += c != UTF8_BAD && builder_unspaced(c) ? 2 : 1;
    }
    return w;
}

static bool line_next(const char **p, const char *end, struct line *out)
{
    if (*p >= end)
        return false;
    const char *s = *p, *stop = s;
    while (stop < end && *stop != '\n' && *stop != '\r' && *stop != '\f')
        stop++;
    *p = stop < end ? stop + 1 : stop;
    if (stop + 1 < end && *stop == '\r' && stop[1] == '\n')
        (*p)++;
    while (stop > s && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    out->indent = 0;
    for (; s < stop && (*s == ' ' || *s == '\t'); s++)
        out->indent += *s == '\t' ? 8 : 1;
    out->s = s;
    out->len = (size_t)(stop - s);
    out->width = width_of(s, out->len) + (unsigned)out->indent;
    return true;
}

/* W, or 0 for a text that is not hard-wrapped. */
static unsigned wrap_width(const char *text, size_t len)
{
    size_t histogram[256] = {0}, total = 0, seen = 0;
    const char *p = text;
    struct line l;
    while (line_next(&p, text + len, &l))
        if (l.len > 0) {
            histogram[l.width < 255 ? l.width : 255]++;
            total++;
        }
    unsigned w = 0;
    while (w < 255 && (seen += histogram[w]) * 100 < total * 95)
        w++;
    return w >= 50 && w <= 110 ? w : 0;
}

static bool list_marker(const struct line *l)
{
    if (l->len >= 2 && strchr("-*+", l->s[0]) && l->s[1] == ' ')
        return true;
    if (l->len >= 3 && (memcmp(l->s, "•", 3) == 0 || memcmp(l->s, "·", 2) == 0))
        return true;
    size_t i = 0;
    while (i < l->len && i < 3 && l->s[i] >= '0' && l->s[i] <= '9')
        i++;
    return i > 0 && i + 1 < l->len && (l->s[i] == '.' || l->s[i] == ')') && l->s[i + 1] == ' ';
}

static unsigned first_word(const struct line *l)
{
    size_t n = 0;
    uint32_t c = l->len ? utf8_decode(l->s, l->len, &n) : 0;
    if (c != UTF8_BAD && builder_unspaced(c))
        return 2;
    const char *blank = memchr(l->s, ' ', l->len);
    return width_of(l->s, blank ? (size_t)(blank - l->s) : l->len);
}

/* True when the end of `a` only wrapped the prose that goes on in `b`. */
static bool wrapped(const struct line *a, const struct line *b, unsigned w)
{
    if (w == 0 || list_marker(b) || b->indent > a->indent + 3)
        return false;
    size_t n;
    uint32_t c = utf8_decode(b->s, b->len, &n);
    return a->width + (builder_unspaced(c) ? 0 : 1) + first_word(b) + 3 > w;
}

static bool underline(const struct line *l, unsigned *level)
{
    if (l->len < 3 || (l->s[0] != '=' && l->s[0] != '-'))
        return false;
    for (size_t i = 1; i < l->len; i++)
        if (l->s[i] != l->s[0])
            return false;
    *level = l->s[0] == '=' ? 1 : 2;
    return true;
}

/* "Chapter 3", "PART II", 第三章, 第12条: level, or 0. */
static unsigned heading_words(const struct line *l)
{
    static const char *const words[] = {"part ", "book ", "chapter ", "section ", "appendix "};
    if (l->width > 70 || l->len < 4)
        return 0;
    for (unsigned i = 0; i < 5; i++) {
        size_t n = strlen(words[i]);
        if (l->len > n && strncasecmp(l->s, words[i], n) == 0 &&
            strchr("0123456789IVXLABC", l->s[n]) && !strchr(".,;:", l->s[l->len - 1]))
            return i < 2 ? 1 : i == 3 ? 3 : 2;
    }
    static const char digits[] = "一二三四五六七八九十";
    size_t d = 0;
    while (d + 3 <= l->len && memmem(digits, sizeof digits - 1, l->s + d, 3) != NULL)
        d += 3;
    if (d > 0 && d <= 9 && d + 3 < l->len && memcmp(l->s + d, "、", 3) == 0 && l->width <= 40)
        return memmem(l->s, l->len, "。", 3) == NULL && memmem(l->s, l->len, "，", 3) == NULL ? 2
                                                                                              : 0;
    if (memcmp(l->s, "第", 3) != 0)
        return 0;
    static const char units[][4] = {"编", "篇", "部", "章", "节", "卷"};
    for (size_t at = 3; at + 3 <= l->len && at < 20; at++)
        for (unsigned u = 0; u < 6; u++)
            if (memcmp(l->s + at, units[u], 3) == 0 && !memmem(l->s, l->len, "。", 3) &&
                !memmem(l->s, l->len, "，", 3))
                return u < 3 ? 1 : u == 4 ? 3 : 2;
    return 0;
}

struct text {
    struct builder *b;
    unsigned width; /* W */
    struct hyphens hyphens;
};

/* A break between two lines of one paragraph, or what mends it. */
static void lines_join(const struct text *t, const struct line *a, const struct line *next)
{
    struct builder *b = t->b;
    size_t n;
    uint32_t c = utf8_decode(next->s, next->len, &n);
    if (!wrapped(a, next, t->width)) {
        builder_text(b, a->s, a->len);
        builder_text(b, "\n", 1);
    } else if (a->len > 2 && a->s[a->len - 1] == '-' && isalpha((unsigned char)a->s[a->len - 2]) &&
               c < 0x80 && isalpha((int)c)) {
        bool keep = hyphens_keep(&t->hyphens, a->s, a->len - 1, next->s, next->len);
        builder_text(b, a->s, keep ? a->len : a->len - 1);
    } else {
        builder_text(b, a->s, a->len);
        if (!builder_unspaced(c) || !builder_unspaced(b->last))
            builder_text(b, " ", 1);
    }
}

static void paragraph(const struct text *t, const struct line *lines, size_t count)
{
    struct builder *b = t->b;
    unsigned level;
    size_t i = 0;
    if (count == 1 && b->blocks.count == 0 && lines[0].width <= 80 &&
        !strchr(".,;", lines[0].s[lines[0].len - 1]))
        builder_title(b, lines[0].s, lines[0].len);
    if (count >= 2 && lines[0].len > 0 && underline(&lines[1], &level)) {
        builder_open(b, DOC_HEADING, level);
        builder_text(b, lines[0].s, lines[0].len);
        builder_close(b);
        i = 2;
    } else if ((level = heading_words(&lines[0])) > 0) {
        builder_open(b, DOC_HEADING, level);
        builder_text(b, lines[0].s, lines[0].len);
        i = 1;
    }
    if (i == count)
        return;
    builder_open_raw(b, DOC_PARAGRAPH, 0);
    for (; i + 1 < count; i++)
        lines_join(t, &lines[i], &lines[i + 1]);
    builder_text(b, lines[i].s, lines[i].len);
    builder_close(b);
}

enum { LINES_MAX = 400 }; /* a longer run of lines is cut into several blocks */

enum sooth_status docfmt_text_walk(const char *text, size_t len, struct builder *b,
                                   struct sooth_error *err)
{
    struct line *lines = mem_array(LINES_MAX, sizeof *lines);
    if (lines == NULL)
        return err_nomem(err);
    struct text t = {.b = b, .width = wrap_width(text, len)};
    hyphens_init(&t.hyphens);
    if (t.width > 0)
        hyphens_count(&t.hyphens, text, len);
    const char *p = text, *end = text + len;
    size_t count = 0;
    struct line l;
    while (line_next(&p, end, &l)) {
        if (l.len > 0)
            lines[count++] = l;
        if ((l.len == 0 || count == LINES_MAX) && count > 0) {
            paragraph(&t, lines, count);
            count = 0;
        }
    }
    if (count > 0)
        paragraph(&t, lines, count);
    enum sooth_status s = t.hyphens.words.failed ? err_nomem(err) : SOOTH_OK;
    hyphens_release(&t.hyphens);
    mem_free(lines);
    return s;
}

static enum sooth_status text_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    if (s == SOOTH_OK && text.len > 0)
        s = docfmt_text_walk(text.data, text.len, b, err);
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_text = {
    .name = "text",
    .about = "plain text in any encoding",
    .extensions = "txt text log rst org adoc asc tex README LICENSE COPYING NEWS",
    .parse = text_parse,
};
