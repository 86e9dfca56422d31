/* doc_pdf.c: PDF through poppler's pdftotext, whose default order keeps columns apart; pages are separated by form feeds.
 *
 * What its text still needs:
 *   running heads  a line at the top or bottom of a page that is on more than half of the pages, digits aside, goes
 *   labels         a lone number at the top or bottom is the printed page number: it goes, and is kept where it differs
 *   hyphens        "capabili-\nties" is one word; "well-\nknown" keeps its hyphen (it is seen hyphenated elsewhere, or starts with a
 *                  word that forms compounds)
 *   line ends      Han and Han join without a blank (builder.h), anything else with one
 *   headings       a short line by itself that starts like "3.1 Title" or 第三章 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/utf8.h"
#include "know/doc/docfmt.h"

enum { EDGE = 2 }; /* lines at either end of a page that may be running heads */

struct span {
    const char *s;
    size_t len;
};
struct pdf_page {
    struct span *lines;
    size_t count;
};
struct pdf {
    struct builder *b;
    VEC(struct span) lines;
    VEC(size_t) starts; /* first line of each page */
    struct map heads;   /* normalised edge line -> pages it is on */
};

static struct span trimmed(const char *s, size_t len)
{
    while (len && (*s == ' ' || *s == '\t' || *s == '\r')) {
        s++;
        len--;
    }
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r'))
        len--;
    return (struct span){s, len};
}

static bool lines_split(struct pdf *p, const char *s, size_t len)
{
    const char *end = s + len;
    bool ok = vec_push(&p->starts, (size_t)0);
    while (s < end && ok) {
        const char *stop = s;
        while (stop < end && *stop != '\n' && *stop != '\f')
            stop++;
        struct span line = trimmed(s, (size_t)(stop - s));
        bool feed = stop < end && *stop == '\f';
        if (!feed || line.len)
            ok = vec_push(&p->lines, line);
        if (feed && stop + 1 < end)
            ok = ok && vec_push(&p->starts, p->lines.count);
        s = stop + 1;
    }
    return ok;
}

static struct pdf_page page_at(struct pdf *p, size_t i)
{
    size_t from = p->starts.items[i], to = i + 1 < p->starts.count ? p->starts.items[i + 1] : p->lines.count;
    while (from < to && p->lines.items[from].len == 0)
        from++;
    while (to > from && p->lines.items[to - 1].len == 0)
        to--;
    return (struct pdf_page){p->lines.items + from, to - from};
}

/* ---- running heads ---- */

/* Digits become '#', so that "Chapter 3   17" and "Chapter 3   18" are one head. */
static size_t head_key(struct span line, char out[200])
{
    size_t n = 0;
    for (size_t i = 0; i < line.len && n < 199; i++) {
        char c = line.s[i];
        if (isdigit((unsigned char)c)) {
            if (n == 0 || out[n - 1] != '#')
                out[n++] = '#';
        } else if (c != ' ') {
            out[n++] = c;
        }
    }
    return n;
}

static bool edge_line(const struct pdf_page *page, size_t i)
{
    return i < EDGE || i + EDGE >= page->count;
}

static void heads_count(struct pdf *p)
{
    char key[200];
    for (size_t i = 0; i < p->starts.count; i++) {
        struct pdf_page page = page_at(p, i);
        for (size_t l = 0; l < page.count; l++) {
            uint64_t seen = 0;
            size_t n = edge_line(&page, l) ? head_key(page.lines[l], key) : 0;
            if (n < 2)
                continue;
            map_find(&p->heads, key, n, &seen);
            map_put(&p->heads, key, n, seen + 1);
        }
    }
}

static bool is_head(const struct pdf *p, struct span line)
{
    char key[200];
    uint64_t seen = 0;
    size_t n = head_key(line, key);
    return p->starts.count >= 3 && n >= 2 && map_find(&p->heads, key, n, &seen) && seen * 2 > p->starts.count;
}

/* A lone printed page number: "17", "xiv", "- 17 -". */
static bool is_label(struct span line, char out[16])
{
    while (line.len && strchr("-–— ", line.s[0]))
        line.s++, line.len--;
    while (line.len && strchr("- ", line.s[line.len - 1]))
        line.len--;
    if (line.len == 0 || line.len > 6)
        return false;
    bool digits = true, roman = true;
    for (size_t i = 0; i < line.len; i++) {
        digits = digits && isdigit((unsigned char)line.s[i]);
        roman = roman && strchr("ivxlc", line.s[i]) != NULL;
    }
    if (!digits && !roman)
        return false;
    memcpy(out, line.s, line.len);
    out[line.len] = '\0';
    return true;
}

/* ---- paragraphs ---- */

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Does the word before the hyphen form compounds? */
static bool compound_start(const char *s, size_t len)
{
    static const char *const starts[] = {"well", "self", "non", "ex", "high", "low", "long", "short", "real", "open", "user", "so", "cross", "state",
                                         "all", "half", "full", "right", "left", "first", "second", "third", "two", "three", "multi", "single", "read",
                                         "time", "end", "built", "up", "out", "off", "on", "in", "by", "large", "small", "new", "old", "fine", "pre"};
    size_t n = len;
    while (n > 0 && is_letter(s[n - 1]))
        n--;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strlen(starts[i]) == len - n && strncasecmp(s + n, starts[i], len - n) == 0)
            return true;
    return false;
}

/* The line without its hyphen when the word goes on in the next line; then no blank is due between them. */
static bool line_add(struct builder *b, struct span line, const struct span *next)
{
    size_t n = line.len;
    bool broken = next && next->len && n > 2 && line.s[n - 1] == '-' && is_letter(line.s[n - 2]) && islower((unsigned char)next->s[0]);
    if (!broken) {
        builder_text(b, line.s, n);
        return true;
    }
    builder_text(b, line.s, compound_start(line.s, n - 1) ? n : n - 1);
    return false;
}

/* "3.1 Title", "Chapter 2", "第三章 ...": the level, or 0. */
static unsigned heading_level(struct span line)
{
    size_t i = 0;
    unsigned dots = 1;
    if (line.len == 0 || line.len > 90 || strchr(".,;:", line.s[line.len - 1]))
        return 0;
    if (line.len > 6 && strncmp(line.s, "第", 3) == 0)
        for (size_t j = 3; j + 3 <= line.len && j < 18; j++)
            if (strncmp(line.s + j, "章", 3) == 0 || strncmp(line.s + j, "节", 3) == 0)
                return line.s[j + 1] == "章"[1] ? 1 : 2;
    if (line.len > 9 && strncmp(line.s, "Chapter ", 8) == 0 && isdigit((unsigned char)line.s[8]))
        return 1;
    while (i < line.len && isdigit((unsigned char)line.s[i]) && i < 3)
        i++;
    if (i == 0)
        return 0;
    while (i + 1 < line.len && line.s[i] == '.' && isdigit((unsigned char)line.s[i + 1])) {
        dots++;
        for (i++; i < line.len && isdigit((unsigned char)line.s[i]);)
            i++;
    }
    if (i < line.len && line.s[i] == '.')
        i++;
    size_t blank = i;
    while (i < line.len && line.s[i] == ' ')
        i++;
    return i > blank && i < line.len && (isupper((unsigned char)line.s[i]) || (unsigned char)line.s[i] >= 0xe3) ? dots : 0;
}

static size_t paragraph_add(struct builder *b, const struct pdf_page *page, size_t i)
{
    size_t end = i;
    while (end < page->count && page->lines[end].len)
        end++;
    unsigned level = end == i + 1 ? heading_level(page->lines[i]) : 0;
    if (level)
        builder_open(b, DOC_HEADING, level);
    else
        builder_open(b, DOC_PARAGRAPH, 0);
    for (size_t l = i; l < end; l++)
        if (line_add(b, page->lines[l], l + 1 < end ? &page->lines[l + 1] : NULL) && l + 1 < end)
            builder_text(b, "\n", 1);
    builder_close(b);
    return end;
}

static void page_add(struct pdf *p, size_t number)
{
    struct pdf_page page = page_at(p, number);
    char label[16] = "", own[24];
    builder_page(p->b);
    for (size_t i = 0; i < page.count; i++) {
        bool edge = edge_line(&page, i) && (i == 0 || i + 1 == page.count || p->starts.count >= 3);
        if (edge && page.lines[i].len && ((i == 0 || i + 1 == page.count) ? is_label(page.lines[i], label) : false))
            page.lines[i].len = 0;
        else if (edge && is_head(p, page.lines[i]))
            page.lines[i].len = 0;
    }
    for (size_t i = 0; i < page.count;)
        i = page.lines[i].len ? paragraph_add(p->b, &page, i) : i + 1;
    snprintf(own, sizeof own, "%zu", number + 1);
    struct doc_page *made = p->b->pages.count ? &p->b->pages.items[p->b->pages.count - 1] : NULL;
    if (made && label[0] && strcmp(label, own) != 0 && !(made->label = mem_strdup(label)))
        p->b->failed = true;
    if (page.count == 0)
        builder_warn(p->b, "page %zu has no text", number + 1);
}

static enum sooth_status pdf_parse(const struct doc_input *in, struct builder *b, struct sooth_error *err)
{
    struct pdf p = {.b = b};
    map_init(&p.heads);
    bool ok = lines_split(&p, (const char *)in->data, in->len);
    if (ok) {
        heads_count(&p);
        for (size_t i = 0; i < p.starts.count; i++)
            page_add(&p, i);
    }
    map_release(&p.heads);
    vec_free(&p.lines);
    vec_free(&p.starts);
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
    return memmem(data, len < 1024 ? len : 1024, "%PDF-", 5) ? 95 : 0;
}

static const char *const pdf_tool[] = {"pdftotext", "-q", "-enc", "UTF-8", "-", "-", NULL};

const struct docfmt docfmt_pdf = {
    .name = "pdf", .about = "PDF with a text layer", .extensions = "pdf", .sniff = pdf_sniff, .parse = pdf_parse,
    .tool = pdf_tool, .tool_package = "poppler-utils", .tool_failed = pdf_failed,
};
