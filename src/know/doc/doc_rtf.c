/* doc_rtf.c: Rich Text Format (Microsoft's specification 1.9.1).
 *
 *   { group }   \word123 control word with its number   \'e4 a byte   \u20013? a character and what
 *   old readers show instead (as many characters as \uc says)
 *
 * A byte means a character of a code page: of the font in use (\fcharset in the font table), else
 * the file's (\ansicpg). Bytes of one run are collected and turned at once, since Chinese characters
 * have two. Groups push and pop the state; a group that begins with \* or is a destination with no
 * text of its own (fonts, colours, pictures, headers) is skipped.
 *
 * Styles named "heading N" and \outlinelevel make headings; \trowd ... \cell \row tables, where a
 * cell that a merged one covers (\clmrg, \clvmrg) stays empty; \page a page; \v and \deleted text is
 * left out. Left out: pictures, drawn shapes, text boxes' places. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"

enum { DEPTH_MAX = 500, CELLS_MAX = 256 };
enum skip { READ, SKIP, FONTS, STYLES, INFO, TITLE };

struct state {
    enum skip skip;
    bool hidden;
    int font;
    unsigned alternate; /* \uc: characters to skip after \u */
    int style;          /* of the style table's entry being read */
};

struct rtf {
    struct builder *b;
    const char *p, *end;
    struct state stack[DEPTH_MAX];
    size_t depth;
    unsigned ignore;      /* characters still to skip after \u */
    char page[16];        /* the file's code page as an encoding */
    struct map fonts;     /* number -> code page */
    struct map styles;    /* number -> heading level */
    struct buf bytes;     /* of one run in one code page */
    struct buf name;      /* of a style; the title */
    unsigned level, list; /* of the paragraph */
    bool opened, table, row_open;
    size_t rows, cell;
    uint8_t covered[CELLS_MAX]; /* of the row's cells, from \clmrg and \clvmrg */
    size_t defined;
    bool next_covered;
    size_t bad;
};

static const char *codepage_name(long cp, char out[16])
{
    switch (cp) {
    case 932:
        return "shift_jis";
    case 936:
    case 54936:
        return "gb18030";
    case 949:
        return "euc-kr";
    case 950:
        return "big5";
    case 65001:
        return "utf-8";
    case 10000:
        return "macintosh";
    default:
        snprintf(out, 16, "windows-%d", (cp >= 1250 && cp <= 1258) || cp == 874 ? (int)cp : 1252);
        return out;
    }
}

static long charset_page(long charset)
{
    static const struct {
        short charset, page;
    } pages[] = {{128, 932},  {129, 949},  {134, 936},  {136, 950},  {161, 1253}, {162, 1254},
                 {163, 1258}, {177, 1255}, {178, 1256}, {186, 1257}, {204, 1251}, {222, 874},
                 {238, 1250}, {77, 10000}};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (pages[i].charset == charset)
            return pages[i].page;
    return 0;
}

static struct state *now(struct rtf *r)
{
    return &r->stack[r->depth];
}

/* ---- text ---- */

static void paragraph_open(struct rtf *r)
{
    if (r->table) {
        if (!r->row_open) {
            builder_row(r->b, r->rows == 0);
            r->row_open = true;
            r->cell = 0;
        }
        return;
    }
    if (r->opened)
        return;
    r->opened = true;
    builder_open(r->b,
                 r->level  ? DOC_HEADING
                 : r->list ? DOC_LIST_ITEM
                           : DOC_PARAGRAPH,
                 r->level ? r->level : r->list);
}

static void text_add(struct rtf *r, const char *s, size_t len)
{
    struct state *st = now(r);
    if (st->skip == STYLES || st->skip == TITLE)
        buf_add(&r->name, s, len);
    if (st->skip != READ || st->hidden || len == 0)
        return;
    paragraph_open(r);
    if (r->table && r->cell < CELLS_MAX && r->covered[r->cell])
        return;
    builder_text(r->b, s, len);
}

/* The run of bytes in the code page of the font. */
static void bytes_flush(struct rtf *r)
{
    struct buf text = BUF_INIT;
    char name[32], key[24], custom[16];
    uint64_t page;
    size_t bad = 0;
    if (r->bytes.len == 0)
        return;
    size_t n = (size_t)snprintf(key, sizeof key, "%d", now(r)->font);
    const char *encoding = map_find(&r->fonts, key, n, &page) && page != 0
                               ? codepage_name((long)page, custom)
                               : r->page;
    if (encoding_decode((const unsigned char *)r->bytes.data, r->bytes.len, encoding, NULL, &text,
                        name, &bad, NULL) == SOOTH_OK)
        text_add(r, buf_str(&text), text.len);
    r->bad += bad;
    buf_release(&text);
    buf_clear(&r->bytes);
}

static void byte_add(struct rtf *r, char c)
{
    if (r->ignore > 0)
        r->ignore--;
    else
        buf_putc(&r->bytes, c);
}

static void puts_text(struct rtf *r, const char *s)
{
    bytes_flush(r);
    text_add(r, s, strlen(s));
}

/* ---- paragraphs and tables ---- */

static void paragraph_end(struct rtf *r)
{
    bytes_flush(r);
    if (now(r)->skip != READ)
        return;
    if (r->table && r->row_open) {
        builder_text(r->b, " ", 1);
    } else {
        builder_close(r->b);
        r->opened = false;
    }
}

static void table_leave(struct rtf *r)
{
    if (r->rows > 0)
        builder_table_end(r->b);
    r->rows = 0;
}

static void cell_end(struct rtf *r)
{
    bytes_flush(r);
    if (now(r)->skip != READ)
        return;
    r->table = true;
    paragraph_open(r);
    builder_cell(r->b);
    r->cell++;
}

static void row_end(struct rtf *r)
{
    bytes_flush(r);
    if (now(r)->skip != READ || !r->row_open)
        return;
    builder_close(r->b);
    r->row_open = false;
    r->rows++;
}

static void row_define(struct rtf *r)
{
    if (r->rows == 0 && !r->row_open) {
        builder_table_begin(r->b);
        r->opened = false;
    }
    memset(r->covered, 0, sizeof r->covered);
    r->defined = 0;
    r->next_covered = false;
}

/* ---- control words ---- */

static void unicode_add(struct rtf *r, long n)
{
    struct buf text = BUF_INIT;
    uint32_t c = (uint32_t)(n < 0 ? n + 65536 : n);
    bytes_flush(r);
    r->ignore = now(r)->alternate;
    buf_put_utf8(&text, c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
    text_add(r, buf_str(&text), text.len);
    buf_release(&text);
}

/* \u-10179?\u-8704?: a pair of surrogates is one character. True when it took both. */
static bool unicode_pair(struct rtf *r, long high)
{
    uint32_t c = (uint32_t)(high < 0 ? high + 65536 : high);
    const char *p = r->p;
    if (c < 0xd800 || c > 0xdbff)
        return false;
    for (unsigned i = 0; i < now(r)->alternate && p < r->end && *p != '\\'; i++)
        p++;
    char *stop;
    if (r->end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return false;
    long low = strtol(p + 2, &stop, 10); /* the input ends in a NUL */
    uint32_t d = (uint32_t)(low < 0 ? low + 65536 : low);
    if (d < 0xdc00 || d > 0xdfff)
        return false;
    r->p = stop + (*stop == ' ');
    struct buf text = BUF_INIT;
    bytes_flush(r);
    r->ignore = now(r)->alternate;
    buf_put_utf8(&text, 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00));
    text_add(r, buf_str(&text), text.len);
    buf_release(&text);
    return true;
}

static bool one_of(const char *w, const char *list)
{
    size_t n = strlen(w);
    for (const char *p = list; (p = strstr(p, w)) != NULL; p += n)
        if (p[-1] == ' ' && p[n] == ' ')
            return true;
    return false;
}

static bool symbol(struct rtf *r, const char *w)
{
    static const struct {
        const char *word, *text;
    } symbols[] = {{"tab", "\t"},      {"emdash", "—"},    {"endash", "–"},    {"bullet", "•"},
                   {"lquote", "‘"},    {"rquote", "’"},    {"ldblquote", "“"}, {"rdblquote", "”"},
                   {"emspace", " "},   {"enspace", " "},   {"qmspace", " "}};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (strcmp(w, symbols[i].word) == 0) {
            if (r->ignore > 0)
                r->ignore--;
            else
                puts_text(r, symbols[i].text);
            return true;
        }
    return false;
}

/* Groups with no text of the document. */
static bool destination(struct rtf *r, const char *w)
{
    static const char none[] =
        " colortbl pict header headerl headerr headerf footer footerl footerr footerf object objdata "
        "fldinst listtable listoverridetable rsidtbl generator xmlnstbl themedata datastore "
        "latentstyles nonshppict template revtbl bkmkstart bkmkend annotation atnid atnauthor "
        "shpinst ftnsep ftnsepc pntext pntxta pntxtb keywords operator author company doccomm "
        "comment subject category manager filetbl listtext ";
    struct state *s = now(r);
    enum skip to = strcmp(w, "fonttbl") == 0      ? FONTS
                   : strcmp(w, "stylesheet") == 0 ? STYLES
                   : strcmp(w, "info") == 0       ? INFO
                   : one_of(w, none)              ? SKIP
                                                  : READ;
    if (strcmp(w, "title") == 0 && s->skip == INFO)
        to = TITLE;
    if (to == READ)
        return false;
    bytes_flush(r);
    if (s->skip == READ || (s->skip == INFO && to == TITLE))
        s->skip = to;
    else if (s->skip != to)
        s->skip = SKIP;
    if (to == TITLE)
        buf_clear(&r->name);
    return true;
}

static void table_word(struct rtf *r, const char *w)
{
    if (strcmp(w, "trowd") == 0) {
        row_define(r);
    } else if (strcmp(w, "clmrg") == 0 || strcmp(w, "clvmrg") == 0) {
        r->next_covered = true;
    } else if (strcmp(w, "cellx") == 0) {
        if (r->defined < CELLS_MAX)
            r->covered[r->defined++] = r->next_covered;
        r->next_covered = false;
    } else if (strcmp(w, "cell") == 0) {
        cell_end(r);
    } else if (strcmp(w, "row") == 0) {
        row_end(r);
    } else if (strcmp(w, "nestcell") == 0 || strcmp(w, "nestrow") == 0) {
        puts_text(r, " ");
    } else if (strcmp(w, "intbl") == 0) {
        r->table = true;
    }
}

static void paragraph_word(struct rtf *r, const char *w, bool has, long n)
{
    char key[24];
    uint64_t level;
    if (strcmp(w, "par") == 0 || strcmp(w, "sect") == 0) {
        paragraph_end(r);
    } else if (strcmp(w, "pard") == 0) {
        bytes_flush(r);
        r->level = r->list = 0;
        if (!r->row_open)
            r->table = false;
    } else if (strcmp(w, "page") == 0) {
        paragraph_end(r);
    } else if (strcmp(w, "line") == 0 && now(r)->skip == READ) {
        bytes_flush(r);
        builder_break(r->b);
    } else if (strcmp(w, "ls") == 0 && has && n > 0) {
        r->list = r->list ? r->list : 1;
    } else if (strcmp(w, "ilvl") == 0) {
        r->list = n >= 0 && n < 9 ? (unsigned)n + 1 : 1;
    } else if (strcmp(w, "outlinelevel") == 0) {
        r->level = n >= 0 && n < BUILDER_MAX_LEVEL ? (unsigned)n + 1 : 0;
    } else if (strcmp(w, "s") == 0) {
        if (now(r)->skip == STYLES)
            now(r)->style = (int)n;
        else if (map_find(&r->styles, key, (size_t)snprintf(key, sizeof key, "%ld", n), &level))
            r->level = (unsigned)level;
    }
}

static void character_word(struct rtf *r, const char *w, bool has, long n)
{
    char key[24];
    struct state *s = now(r);
    bool on = !has || n != 0;
    if (strcmp(w, "v") == 0 || strcmp(w, "deleted") == 0) {
        bytes_flush(r);
        s->hidden = on;
    } else if (strcmp(w, "plain") == 0) {
        bytes_flush(r);
        s->hidden = false;
    } else if (strcmp(w, "f") == 0) {
        bytes_flush(r);
        s->font = (int)n;
    } else if (strcmp(w, "fcharset") == 0 && s->skip == FONTS) {
        size_t len = (size_t)snprintf(key, sizeof key, "%d", s->font);
        if (charset_page(n) != 0)
            map_put(&r->fonts, key, len, (uint64_t)charset_page(n));
    } else if (strcmp(w, "ansicpg") == 0) {
        char custom[16];
        snprintf(r->page, sizeof r->page, "%s", codepage_name(n, custom));
    } else if (strcmp(w, "uc") == 0) {
        s->alternate = n >= 0 && n <= 16 ? (unsigned)n : 1;
    }
}

static void word_do(struct rtf *r, const char *w, bool has, long n)
{
    if (strcmp(w, "u") == 0) {
        if (has && !unicode_pair(r, n))
            unicode_add(r, n);
    } else if (strcmp(w, "bin") == 0) {
        bytes_flush(r);
        r->p += n > 0 && n < r->end - r->p ? n : n > 0 ? r->end - r->p : 0;
    } else if (!symbol(r, w) && !destination(r, w)) {
        table_word(r, w);
        paragraph_word(r, w, has, n);
        character_word(r, w, has, n);
    }
}

/* A style's name is over at ';': "heading 2". */
static void style_learn(struct rtf *r)
{
    char key[24];
    const char *name = buf_str(&r->name);
    name += strspn(name, " ");
    unsigned long level = strncasecmp(name, "heading ", 8) == 0 ? strtoul(name + 8, NULL, 10)
                          : strncasecmp(name, "title", 5) == 0  ? 1
                                                                : 0;
    if (level >= 1 && level <= BUILDER_MAX_LEVEL)
        map_put(&r->styles, key, (size_t)snprintf(key, sizeof key, "%d", now(r)->style), level);
    buf_clear(&r->name);
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                    : -1;
}

/* Behind a backslash. */
static void control(struct rtf *r)
{
    char word[33];
    size_t n = 0;
    if (r->p >= r->end)
        return;
    if (!isalpha((unsigned char)*r->p)) {
        char c = *r->p++;
        if (c == '\'') {
            int high = r->end - r->p >= 2 ? hex_of(r->p[0]) : -1, low = high >= 0 ? hex_of(r->p[1]) : -1;
            if (low >= 0) {
                byte_add(r, (char)(high << 4 | low));
                r->p += 2;
            }
        } else if (c == '*') {
            bytes_flush(r);
            now(r)->skip = now(r)->skip == READ ? SKIP : now(r)->skip;
        } else if (c == '~') {
            puts_text(r, " ");
        } else if (c == '_') {
            puts_text(r, "-");
        } else if (c == '\n' || c == '\r') {
            paragraph_end(r);
        } else if (c == '\\' || c == '{' || c == '}') {
            byte_add(r, c);
        }
        return;
    }
    for (; r->p < r->end && isalpha((unsigned char)*r->p); r->p++)
        if (n < sizeof word - 1)
            word[n++] = *r->p;
    word[n] = '\0';
    char *stop;
    bool has = isdigit((unsigned char)*r->p) || (*r->p == '-' && isdigit((unsigned char)r->p[1]));
    long value = has ? strtol(r->p, &stop, 10) : 0;
    if (has)
        r->p = stop;
    if (value > 100000000 || value < -100000000)
        value = 0;
    r->p += *r->p == ' ';
    word_do(r, word, has, value);
}

static void group_end(struct rtf *r)
{
    bytes_flush(r);
    if (now(r)->skip == STYLES)
        style_learn(r);
    if (now(r)->skip == TITLE && (r->depth == 0 || r->stack[r->depth - 1].skip != TITLE))
        builder_title(r->b, buf_str(&r->name), r->name.len);
    r->depth -= r->depth > 0;
    r->ignore = 0;
}

static enum sooth_status rtf_walk(struct rtf *r, struct sooth_error *err)
{
    while (r->p < r->end) {
        char c = *r->p++;
        if (c == '{') {
            bytes_flush(r);
            if (r->depth + 1 >= DEPTH_MAX)
                return err_set(err, SOOTH_ERR_LIMIT, "its groups are nested deeper than %d", DEPTH_MAX);
            r->depth++;
            r->stack[r->depth] = r->stack[r->depth - 1];
            r->ignore = 0;
        } else if (c == '}') {
            group_end(r);
        } else if (c == '\\') {
            control(r);
        } else if (c != '\n' && c != '\r' && c != '\0') {
            if (now(r)->skip == READ && !r->table && r->rows > 0)
                table_leave(r);
            byte_add(r, c);
        }
    }
    bytes_flush(r);
    return SOOTH_OK;
}

static enum sooth_status rtf_parse(const struct doc_input *in, struct builder *b,
                                   struct sooth_error *err)
{
    if (in->len < 6 || memcmp(in->data, "{\\rtf", 5) != 0)
        return err_set(err, SOOTH_ERR_FORMAT, "it does not begin like an RTF file");
    struct rtf *r = mem_calloc(1, sizeof *r);
    char *copy = mem_strndup((const char *)in->data, in->len); /* a NUL behind it: numbers end */
    enum sooth_status s = r != NULL && copy != NULL ? SOOTH_OK : err_nomem(err);
    if (s == SOOTH_OK) {
        r->b = b;
        r->p = copy;
        r->end = copy + in->len;
        r->stack[0].alternate = 1;
        snprintf(r->page, sizeof r->page, "windows-1252");
        map_init(&r->fonts);
        map_init(&r->styles);
        s = rtf_walk(r, err);
        builder_table_end(b);
        builder_encoding(b, r->page);
        if (r->bad > 0)
            builder_warn(b, "%zu byte sequences are not valid in their code page", r->bad);
        map_release(&r->fonts);
        map_release(&r->styles);
        buf_release(&r->bytes);
        buf_release(&r->name);
    }
    mem_free(copy);
    mem_free(r);
    return s;
}

static int rtf_sniff(const unsigned char *data, size_t len)
{
    return len >= 6 && memcmp(data, "{\\rtf", 5) == 0 ? 95 : 0;
}

const struct docfmt docfmt_rtf = {
    .name = "rtf",
    .about = "Rich Text Format",
    .extensions = "rtf",
    .sniff = rtf_sniff,
    .parse = rtf_parse,
};
