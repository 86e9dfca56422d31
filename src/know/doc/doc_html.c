/* doc_html.c: HTML as a browser would read it (gumbo, an HTML5 parser), walked without recursion.
 *
 * Left out: scripts, styles, templates, comments, navigation, and what is hidden from a reader (the
 * hidden attribute, aria-hidden, display:none, visibility:hidden, no size, no opacity, far off the
 * screen): text that people cannot see must not reach an answer.
 *
 * Tables: a row is "cell | cell", the first row heads the others; what a merged cell (colspan,
 * rowspan) covers stays empty. A table that only lays out a page
 * (it holds headings, code or other tables, or a single cell) is read as plain blocks. Lists keep
 * their numbers, since steps are asked for by number. The parser's memory comes from an arena, so
 * that freeing a tree of any depth needs no recursion either. */
#include <gumbo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/arena.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"

#define HTML_MEMORY ((size_t)768 << 20)
enum { LISTS_MAX = 32, LAYOUT_SCAN = 4000, DEPTH_MAX = 3000, SPAN_MAX = 64 };

struct html {
    struct builder *b;
    unsigned list, table, quote;
    long next[LISTS_MAX]; /* number of the next item of each open list; 0 = bullets */
    long marker;          /* number that the open item still owes, 0 = none */
    bool cell_begun, head;
    size_t rows;
    uint8_t covered[SPAN_MAX]; /* rows that each column is still covered from above */
    unsigned column, span, down; /* of the open cell: its column, columns beyond it, rows below it */
};

static void *html_alloc(void *user, size_t size)
{
    return arena_array(user, size, 1);
}

static void html_free(void *user, void *p)
{
}

/* ---- what is not read ---- */

static const char *attribute(const GumboElement *e, const char *name)
{
    const GumboAttribute *a = gumbo_get_attribute(&e->attributes, name);
    return a != NULL ? a->value : NULL;
}

/* Does the style (lower case, no blanks) say property:value, and nothing longer? */
static bool style_says(const char *style, const char *what)
{
    size_t n = strlen(what);
    for (const char *p = style; (p = strstr(p, what)) != NULL; p += n) {
        bool starts = p == style || p[-1] == ';';
        if (starts && strchr(";!", p[n]) != NULL)
            return true;
    }
    return false;
}

static bool style_hides(const char *value)
{
    static const char *const hiding[] = {
        "display:none",  "visibility:hidden", "visibility:collapse", "font-size:0",
        "font-size:0px", "font-size:0pt",     "font-size:0em",       "font-size:1px",
        "opacity:0",     "opacity:0.0",       "opacity:.0"};
    char style[1024];
    size_t n = 0;
    for (const char *p = value; *p != '\0' && n + 1 < sizeof style; p++)
        if (strchr(" \t\r\n", *p) == NULL)
            style[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    style[n] = '\0';
    for (size_t i = 0; i < sizeof hiding / sizeof *hiding; i++)
        if (style_says(style, hiding[i]))
            return true;
    return strstr(style, "text-indent:-9") != NULL || strstr(style, "left:-9") != NULL ||
           strstr(style, "top:-9") != NULL;
}

static bool class_is_navigation(const char *value)
{
    static const char *const names[] = {"navheader",  "navfooter",   "navbar",
                                        "breadcrumb", "breadcrumbs", "navigation"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *p = strstr(value, names[i]);
        size_t n = strlen(names[i]);
        if (p != NULL && (p == value || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' '))
            return true;
    }
    return false;
}

static bool is_hidden(const GumboElement *e)
{
    const char *aria = attribute(e, "aria-hidden"), *role = attribute(e, "role");
    const char *style = attribute(e, "style"), *class = attribute(e, "class");
    return attribute(e, "hidden") != NULL || (aria != NULL && strcasecmp(aria, "true") == 0) ||
           (role != NULL && strcasecmp(role, "navigation") == 0) ||
           (style != NULL && style_hides(style)) || (class != NULL && class_is_navigation(class));
}

static bool is_skipped(const GumboElement *e)
{
    switch (e->tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_TEXTAREA:
        return true;
    default:
        return is_hidden(e);
    }
}

/* ---- tables ---- */

static bool is_heading(GumboTag t)
{
    return t >= GUMBO_TAG_H1 && t <= GUMBO_TAG_H6;
}

/* The node after n in reading order inside root; NULL at the end. */
static const GumboNode *node_next(const GumboNode *n, const GumboNode *root)
{
    if (n->type == GUMBO_NODE_ELEMENT && n->v.element.children.length > 0)
        return n->v.element.children.data[0];
    while (n != root && n->index_within_parent + 1 >= n->parent->v.element.children.length)
        n = n->parent;
    return n == root ? NULL : n->parent->v.element.children.data[n->index_within_parent + 1];
}

static bool table_is_layout(const GumboNode *table)
{
    const char *role = attribute(&table->v.element, "role");
    size_t cells = 0, seen = 0;
    if (role != NULL && strcasecmp(role, "presentation") == 0)
        return true;
    for (const GumboNode *n = node_next(table, table); n != NULL && seen < LAYOUT_SCAN;
         n = node_next(n, table), seen++) {
        GumboTag t = n->type == GUMBO_NODE_ELEMENT ? n->v.element.tag : GUMBO_TAG_UNKNOWN;
        if (t == GUMBO_TAG_TABLE || t == GUMBO_TAG_PRE || is_heading(t))
            return true;
        cells += t == GUMBO_TAG_TD || t == GUMBO_TAG_TH;
    }
    return cells < 2;
}

static unsigned span_attribute(const GumboElement *e, const char *name)
{
    const char *value = attribute(e, name);
    long n = value != NULL ? strtol(value, NULL, 10) : 1;
    return n >= 1 && n <= SPAN_MAX ? (unsigned)n : 1;
}

/* The open cell is over: the columns it takes are covered in the rows below. */
static void cell_leave(struct html *h)
{
    for (unsigned i = 0; i <= h->span && h->column + i < SPAN_MAX; i++)
        h->covered[h->column + i] = (uint8_t)h->down;
    h->column += h->span + 1;
}

/* Starts a cell in the next column that no merged cell covers. */
static void table_cell(struct html *h, const GumboElement *e)
{
    unsigned steps = 0;
    if (h->cell_begun) {
        cell_leave(h);
        steps = h->span + 1;
    }
    while (h->column < SPAN_MAX && h->covered[h->column] > 0) {
        h->covered[h->column++]--;
        steps++;
    }
    builder_cells(h->b, steps);
    h->cell_begun = true;
    h->span = span_attribute(e, "colspan") - 1;
    h->down = span_attribute(e, "rowspan") - 1;
}

/* The row is over: what is covered to the right of its last cell is one row less. */
static void row_leave(struct html *h)
{
    if (h->cell_begun)
        cell_leave(h);
    while (h->column < SPAN_MAX) {
        h->covered[h->column] -= h->covered[h->column] > 0;
        h->column++;
    }
    h->cell_begun = false;
}

/* Inside a table of data everything is text of the cell. */
static void cell_open(struct html *h, const GumboElement *e)
{
    GumboTag t = e->tag;
    if (t == GUMBO_TAG_TABLE) {
        h->table++;
    } else if (t == GUMBO_TAG_THEAD && h->table == 1) {
        h->head = true;
    } else if (t == GUMBO_TAG_CAPTION && h->table == 1) {
        builder_open(h->b, DOC_CAPTION, 0);
    } else if (t == GUMBO_TAG_TR && h->table == 1) {
        builder_row(h->b, h->head || h->rows == 0);
        h->rows++;
        h->cell_begun = false;
        h->column = h->span = h->down = 0;
    } else if ((t == GUMBO_TAG_TD || t == GUMBO_TAG_TH) && h->table == 1) {
        table_cell(h, e);
    } else if (h->cell_begun &&
               (t == GUMBO_TAG_BR || t == GUMBO_TAG_P || t == GUMBO_TAG_LI || t == GUMBO_TAG_DIV ||
                t == GUMBO_TAG_TD || t == GUMBO_TAG_TR || t == GUMBO_TAG_DD)) {
        builder_text(h->b, " ", 1);
    }
}

static void cell_close(struct html *h, GumboTag t)
{
    if (t == GUMBO_TAG_TABLE && --h->table == 0) {
        builder_table_end(h->b);
    } else if (t == GUMBO_TAG_THEAD) {
        h->head = false;
    } else if (t == GUMBO_TAG_TR && h->table == 1) {
        row_leave(h);
        builder_close(h->b);
    } else if (t == GUMBO_TAG_CAPTION && h->table == 1) {
        builder_close(h->b);
    }
}

/* ---- blocks ---- */

static bool is_block(GumboTag tag)
{
    static const GumboTag blocks[] = {
        GUMBO_TAG_P,        GUMBO_TAG_DIV,       GUMBO_TAG_SECTION, GUMBO_TAG_ARTICLE,
        GUMBO_TAG_MAIN,     GUMBO_TAG_HEADER,    GUMBO_TAG_FOOTER,  GUMBO_TAG_ASIDE,
        GUMBO_TAG_ADDRESS,  GUMBO_TAG_FIGURE,    GUMBO_TAG_DL,      GUMBO_TAG_FORM,
        GUMBO_TAG_FIELDSET, GUMBO_TAG_HR,        GUMBO_TAG_UL,      GUMBO_TAG_OL,
        GUMBO_TAG_BODY,     GUMBO_TAG_DETAILS,   GUMBO_TAG_SUMMARY, GUMBO_TAG_CENTER,
        GUMBO_TAG_TABLE,    GUMBO_TAG_TBODY,     GUMBO_TAG_TR,      GUMBO_TAG_TD,
        GUMBO_TAG_TH,       GUMBO_TAG_BLOCKQUOTE};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i] == tag)
            return true;
    return false;
}

static void list_open(struct html *h, const GumboElement *e)
{
    const char *start = attribute(e, "start");
    long first = start != NULL ? strtol(start, NULL, 10) : 1;
    if (h->list < LISTS_MAX)
        h->next[h->list] = e->tag == GUMBO_TAG_OL ? (first > 0 && first < 100000 ? first : 1) : 0;
    h->list++;
}

static void item_open(struct html *h)
{
    size_t at = h->list > 0 && h->list <= LISTS_MAX ? h->list - 1 : LISTS_MAX;
    builder_open(h->b, DOC_LIST_ITEM, h->list > 0 ? h->list : 1);
    h->marker = at < LISTS_MAX && h->next[at] > 0 ? h->next[at]++ : 0;
}

static void element_open(struct html *h, const GumboNode *n)
{
    const GumboElement *e = &n->v.element;
    GumboTag t = e->tag;
    if (h->table > 0) {
        cell_open(h, e);
    } else if (t == GUMBO_TAG_TABLE && !table_is_layout(n)) {
        builder_table_begin(h->b);
        h->table = 1;
        h->rows = 0;
        h->cell_begun = h->head = false;
        memset(h->covered, 0, sizeof h->covered);
    } else if (is_heading(t)) {
        builder_open(h->b, DOC_HEADING, (unsigned)(t - GUMBO_TAG_H1) + 1);
    } else if (t == GUMBO_TAG_LI) {
        item_open(h);
    } else if (t == GUMBO_TAG_DT || t == GUMBO_TAG_DD) {
        builder_open(h->b, DOC_LIST_ITEM, t == GUMBO_TAG_DT ? 1 : 2);
    } else if (t == GUMBO_TAG_PRE) {
        builder_open_raw(h->b, DOC_CODE, 0);
    } else if (t == GUMBO_TAG_BR) {
        builder_break(h->b);
    } else if (t == GUMBO_TAG_CAPTION || t == GUMBO_TAG_FIGCAPTION) {
        builder_open(h->b, DOC_CAPTION, 0);
    } else if (is_block(t)) {
        bool item = h->b->open && h->b->block.kind == DOC_LIST_ITEM;
        if (t == GUMBO_TAG_P && item) /* <li><p>: still the item; a second <p> is a line of it */
            builder_break(h->b);
        else if (!(item && h->b->last == 0 && t == GUMBO_TAG_DIV))
            builder_close(h->b);
        if (t == GUMBO_TAG_UL || t == GUMBO_TAG_OL)
            list_open(h, e);
        h->quote += t == GUMBO_TAG_BLOCKQUOTE;
    }
}

static void element_close(struct html *h, const GumboElement *e)
{
    GumboTag t = e->tag;
    if (h->table > 0) {
        cell_close(h, t);
    } else if (t == GUMBO_TAG_P && h->b->open && h->b->block.kind == DOC_LIST_ITEM) {
        builder_text(h->b, " ", 1);
    } else if (is_block(t) || is_heading(t) || t == GUMBO_TAG_LI || t == GUMBO_TAG_DT ||
               t == GUMBO_TAG_DD || t == GUMBO_TAG_PRE || t == GUMBO_TAG_CAPTION ||
               t == GUMBO_TAG_FIGCAPTION) {
        builder_close(h->b);
        if (t == GUMBO_TAG_UL || t == GUMBO_TAG_OL)
            h->list -= h->list > 0;
        h->quote -= t == GUMBO_TAG_BLOCKQUOTE && h->quote > 0;
    }
}

static void text_add(struct html *h, const GumboNode *n)
{
    const char *s = n->v.text.text;
    bool blank = s[strspn(s, " \t\r\n\f")] == '\0';
    if (blank && (!h->b->open || (h->table > 0 && !h->cell_begun)))
        return;
    if (!h->b->open)
        builder_open(h->b,
                     h->list > 0    ? DOC_LIST_ITEM
                     : h->quote > 0 ? DOC_QUOTE
                                    : DOC_PARAGRAPH,
                     h->list);
    if (h->marker > 0 && !blank && h->b->block.kind == DOC_LIST_ITEM && h->b->last == 0) {
        char marker[24];
        snprintf(marker, sizeof marker, "%ld. ", h->marker);
        builder_puts(h->b, marker);
        h->marker = 0;
    }
    builder_puts(h->b, s);
}

static void head_read(struct html *h, const GumboNode *head)
{
    for (unsigned i = 0; i < head->v.element.children.length; i++) {
        const GumboNode *n = head->v.element.children.data[i];
        if (n->type == GUMBO_NODE_ELEMENT && n->v.element.tag == GUMBO_TAG_TITLE &&
            n->v.element.children.length) {
            const GumboNode *t = n->v.element.children.data[0];
            if (t->type == GUMBO_NODE_TEXT || t->type == GUMBO_NODE_WHITESPACE)
                builder_title(h->b, t->v.text.text, strlen(t->v.text.text));
        }
    }
}

/* Opens a node; true when its children are to be visited. */
static bool node_enter(struct html *h, const GumboNode *n)
{
    if (n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE ||
        n->type == GUMBO_NODE_CDATA)
        text_add(h, n);
    if (n->type != GUMBO_NODE_ELEMENT || is_skipped(&n->v.element))
        return false;
    if (n->v.element.tag == GUMBO_TAG_HEAD) {
        head_read(h, n);
        return false;
    }
    element_open(h, n);
    if (n->v.element.children.length)
        return true;
    element_close(h, &n->v.element);
    return false;
}

/* Depth first, without recursion: a node's place among its siblings leads on, its parent leads
 * back. */
static void tree_walk(struct html *h, const GumboNode *root)
{
    const GumboNode *n = root;
    for (;;) {
        if (node_enter(h, n)) {
            n = n->v.element.children.data[0];
            continue;
        }
        while (n != root && n->index_within_parent + 1 >= n->parent->v.element.children.length) {
            n = n->parent;
            element_close(h, &n->v.element);
        }
        if (n == root)
            return;
        n = n->parent->v.element.children.data[n->index_within_parent + 1];
    }
}

/* ---- depth ---- */

/* Elements without an end, with an end that may be left out, or that the parser closes by rules of
 * their own. */
static bool depth_free(const char *name, size_t len)
{
    static const char names[] =
        " area base br col embed hr img input link meta param source track wbr html head body p li "
        "dt dd td th tr tbody thead tfoot colgroup option optgroup rp rt a b big code em font i "
        "nobr s small strike strong tt u ";
    char word[16] = " ";
    if (len > 12)
        return false;
    for (size_t i = 0; i < len; i++)
        word[i + 1] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    word[len + 1] = ' ';
    word[len + 2] = '\0';
    return strstr(names, word) != NULL;
}

/* The parser's work on a tag grows with the elements around it; no real page is anywhere near this
 * deep. */
static bool depth_sane(const char *html, size_t len)
{
    long depth = 0;
    const char *end = html + len, *p = html;
    while ((p = memchr(p, '<', (size_t)(end - p))) != NULL) {
        bool close = ++p < end && *p == '/';
        p += close;
        size_t n = 0;
        while (p + n < end && strchr(" \t\r\n\f/>", p[n]) == NULL)
            n++;
        bool name = n > 0 && ((p[0] >= 'a' && p[0] <= 'z') || (p[0] >= 'A' && p[0] <= 'Z'));
        if (name && !depth_free(p, n))
            depth = close ? (depth > 0 ? depth - 1 : 0) : depth + 1;
        if (depth > DEPTH_MAX)
            return false;
        p += n;
    }
    return true;
}

enum sooth_status docfmt_html_walk(const char *html, size_t len, struct builder *b,
                                   struct sooth_error *err)
{
    struct arena arena;
    struct html h = {.b = b};
    GumboOptions options = kGumboDefaultOptions;
    if (!depth_sane(html, len))
        return err_set(err, SOOTH_ERR_LIMIT, "its elements are nested deeper than %d", DEPTH_MAX);
    arena_init(&arena, HTML_MEMORY);
    options.allocator = html_alloc;
    options.deallocator = html_free;
    options.userdata = &arena;
    options.max_errors = 0;
    GumboOutput *out = arena.failed ? NULL : gumbo_parse_with_options(&options, html, len);
    if (out && out->root)
        tree_walk(&h, out->root);
    builder_close(b);
    enum sooth_status s = out ? SOOTH_OK : err_nomem(err);
    arena_release(&arena);
    return s;
}

/* <meta charset=x>, <meta http-equiv ... content="text/html; charset=x">, <?xml encoding="x"?>,
 * within the first bytes. */
static bool declared_encoding(const struct doc_input *in, char *out, size_t size)
{
    static const char *const marks[] = {"charset=", "encoding="};
    char head[4097];
    size_t n = in->len < sizeof head - 1 ? in->len : sizeof head - 1, len = 0;
    for (size_t i = 0; i < n; i++)
        head[i] = in->data[i] ? (char)in->data[i] : ' ';
    head[n] = '\0';
    for (size_t i = 0; i < 2; i++) {
        const char *p = strcasestr(head, marks[i]);
        if (!p)
            continue;
        p += strlen(marks[i]);
        p += strspn(p, "\"' ");
        len = strcspn(p, "\"' />;\n\r\t");
        if (len == 0 || len >= size)
            continue;
        memcpy(out, p, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

static enum sooth_status html_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    char declared[64], name[32];
    size_t bad = 0;
    bool said = declared_encoding(in, declared, sizeof declared);
    enum sooth_status s = encoding_decode(in->data, in->len, in->encoding, said ? declared : NULL,
                                          &text, name, &bad, err);
    if (!s) {
        builder_encoding(b, name);
        if (bad)
            builder_warn(b, "%zu byte sequences are not valid %s", bad, name);
        s = docfmt_html_walk(buf_str(&text), text.len, b, err);
    }
    buf_release(&text);
    return s;
}

static int html_sniff(const unsigned char *data, size_t len)
{
    char head[513];
    size_t n = len < sizeof head - 1 ? len : sizeof head - 1;
    memcpy(head, data, n);
    head[n] = '\0';
    const char *p = head + strspn(head, " \t\r\n\xef\xbb\xbf");
    if (strncasecmp(p, "<!doctype html", 14) == 0 || strncasecmp(p, "<html", 5) == 0)
        return 60;
    return strncmp(p, "<?xml", 5) == 0 && strcasestr(p, "<html") ? 60 : 0;
}

const struct docfmt docfmt_html = {
    .name = "html",
    .about = "web pages",
    .extensions = "html htm xhtml",
    .sniff = html_sniff,
    .parse = html_parse,
};
