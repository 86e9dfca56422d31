/* doc_html.c: HTML as a browser would read it (gumbo, an HTML5 parser), walked without recursion.
 *
 * Left out: scripts, styles, templates, comments, navigation, and what is hidden from a reader (the hidden attribute, aria-hidden,
 * display:none, visibility:hidden, font-size:0): text that people cannot see must not reach an answer.
 * The parser's memory comes from an arena, so that freeing a tree of any depth needs no recursion either. */
#include <gumbo.h>
#include <string.h>
#include <strings.h>
#include "core/base/arena.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"

#define HTML_MEMORY ((size_t)768 << 20)

struct html {
    struct builder *b;
    unsigned list, table, pre, quote;
    bool cell_begun, head;
    size_t rows;
};

static void *html_alloc(void *user, size_t size)
{
    return arena_alloc(user, size);
}

static void html_free(void *user, void *p)
{
}

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static bool is_hidden(const GumboElement *e)
{
    const GumboAttribute *a;
    if (gumbo_get_attribute(&e->attributes, "hidden"))
        return true;
    if ((a = gumbo_get_attribute(&e->attributes, "aria-hidden")) && strcasecmp(a->value, "true") == 0)
        return true;
    if ((a = gumbo_get_attribute(&e->attributes, "role")) && strcasecmp(a->value, "navigation") == 0)
        return true;
    if (!(a = gumbo_get_attribute(&e->attributes, "style")))
        return false;
    char style[512];
    size_t n = 0;
    for (const char *p = a->value; *p && n + 1 < sizeof style; p++)
        if (*p != ' ' && *p != '\t' && *p != '\n')
            style[n++] = *p;
    style[n] = '\0';
    return contains(style, "display:none") || contains(style, "visibility:hidden") || contains(style, "font-size:0") || contains(style, "opacity:0;");
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

static bool is_block(GumboTag tag)
{
    static const GumboTag blocks[] = {GUMBO_TAG_P, GUMBO_TAG_DIV, GUMBO_TAG_SECTION, GUMBO_TAG_ARTICLE, GUMBO_TAG_MAIN, GUMBO_TAG_HEADER,
                                      GUMBO_TAG_FOOTER, GUMBO_TAG_ASIDE, GUMBO_TAG_ADDRESS, GUMBO_TAG_FIGURE, GUMBO_TAG_DL, GUMBO_TAG_DT, GUMBO_TAG_DD,
                                      GUMBO_TAG_FORM, GUMBO_TAG_FIELDSET, GUMBO_TAG_HR, GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_BODY, GUMBO_TAG_DETAILS,
                                      GUMBO_TAG_SUMMARY, GUMBO_TAG_CENTER};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i] == tag)
            return true;
    return false;
}

static void table_open(struct html *h, const GumboElement *e)
{
    if (e->tag == GUMBO_TAG_TABLE) {
        if (h->table++ == 0) {
            builder_table_begin(h->b);
            h->rows = 0;
        }
    } else if (h->table != 1) {
        return;
    } else if (e->tag == GUMBO_TAG_THEAD) {
        h->head = true;
    } else if (e->tag == GUMBO_TAG_TR) {
        builder_row(h->b, h->head || h->rows == 0);
        h->rows++;
        h->cell_begun = false;
    } else if (e->tag == GUMBO_TAG_TD || e->tag == GUMBO_TAG_TH) {
        if (h->cell_begun)
            builder_cell(h->b);
        h->cell_begun = true;
    }
}

/* In a cell everything is text of the cell. */
static void element_open(struct html *h, const GumboElement *e)
{
    GumboTag t = e->tag;
    if (t == GUMBO_TAG_TABLE || h->table) {
        table_open(h, e);
        if (h->table && (t == GUMBO_TAG_BR || t == GUMBO_TAG_P || t == GUMBO_TAG_LI || t == GUMBO_TAG_DIV))
            builder_text(h->b, " ", 1);
    } else if (t >= GUMBO_TAG_H1 && t <= GUMBO_TAG_H6) {
        builder_open(h->b, DOC_HEADING, (unsigned)(t - GUMBO_TAG_H1) + 1);
    } else if (t == GUMBO_TAG_LI) {
        builder_open(h->b, DOC_LIST_ITEM, h->list ? h->list : 1);
    } else if (t == GUMBO_TAG_PRE) {
        h->pre++;
        builder_open_raw(h->b, DOC_CODE, 0);
    } else if (t == GUMBO_TAG_BR) {
        builder_break(h->b);
    } else if (t == GUMBO_TAG_CAPTION || t == GUMBO_TAG_FIGCAPTION) {
        builder_open(h->b, DOC_CAPTION, 0);
    } else if (t == GUMBO_TAG_BLOCKQUOTE) {
        h->quote++;
        builder_close(h->b);
    } else if (t == GUMBO_TAG_P && h->list && h->b->open && h->b->last == 0) {
        /* <li><p>: still the item */
    } else if (is_block(t)) {
        if (t == GUMBO_TAG_UL || t == GUMBO_TAG_OL)
            h->list++;
        if (!(h->list && t == GUMBO_TAG_P))
            builder_close(h->b);
        else
            builder_break(h->b);
        if (h->quote)
            builder_open(h->b, DOC_QUOTE, 0);
    }
}

static void element_close(struct html *h, const GumboElement *e)
{
    GumboTag t = e->tag;
    if (t == GUMBO_TAG_TABLE) {
        if (h->table && --h->table == 0)
            builder_table_end(h->b);
    } else if (t == GUMBO_TAG_THEAD) {
        h->head = false;
    } else if (h->table) {
        return;
    } else if (t == GUMBO_TAG_PRE) {
        h->pre -= h->pre > 0;
        builder_close(h->b);
    } else if (t == GUMBO_TAG_BLOCKQUOTE) {
        h->quote -= h->quote > 0;
        builder_close(h->b);
    } else if (t == GUMBO_TAG_UL || t == GUMBO_TAG_OL) {
        h->list -= h->list > 0;
        builder_close(h->b);
    } else if (is_block(t) ? !(h->list && t == GUMBO_TAG_P)
                           : t == GUMBO_TAG_LI || t == GUMBO_TAG_CAPTION || t == GUMBO_TAG_FIGCAPTION || (t >= GUMBO_TAG_H1 && t <= GUMBO_TAG_H6)) {
        builder_close(h->b);
    }
}

static bool blank(const char *s)
{
    return s[strspn(s, " \t\r\n\f")] == '\0';
}

static void text_add(struct html *h, const GumboNode *n)
{
    const char *s = n->v.text.text;
    if (h->table && !h->cell_begun && blank(s))
        return;
    if (!h->b->open && blank(s))
        return;
    if (!h->b->open && h->quote)
        builder_open(h->b, DOC_QUOTE, 0);
    builder_puts(h->b, s);
}

static void head_read(struct html *h, const GumboNode *head)
{
    for (unsigned i = 0; i < head->v.element.children.length; i++) {
        const GumboNode *n = head->v.element.children.data[i];
        if (n->type == GUMBO_NODE_ELEMENT && n->v.element.tag == GUMBO_TAG_TITLE && n->v.element.children.length) {
            const GumboNode *t = n->v.element.children.data[0];
            if (t->type == GUMBO_NODE_TEXT || t->type == GUMBO_NODE_WHITESPACE)
                builder_title(h->b, t->v.text.text, strlen(t->v.text.text));
        }
    }
}

/* Opens a node; true when its children are to be visited. */
static bool node_enter(struct html *h, const GumboNode *n)
{
    if (n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE || n->type == GUMBO_NODE_CDATA)
        text_add(h, n);
    if (n->type != GUMBO_NODE_ELEMENT || is_skipped(&n->v.element))
        return false;
    if (n->v.element.tag == GUMBO_TAG_HEAD) {
        head_read(h, n);
        return false;
    }
    element_open(h, &n->v.element);
    if (n->v.element.children.length)
        return true;
    element_close(h, &n->v.element);
    return false;
}

/* Depth first, without recursion: a node's place among its siblings leads on, its parent leads back. */
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

enum sooth_status docfmt_html_walk(const char *html, size_t len, struct builder *b, struct sooth_error *err)
{
    struct arena arena;
    struct html h = {.b = b};
    GumboOptions options = kGumboDefaultOptions;
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

/* <meta charset=x>, <meta http-equiv ... content="text/html; charset=x">, <?xml encoding="x"?>, within the first bytes. */
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

static enum sooth_status html_parse(const struct doc_input *in, struct builder *b, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    char declared[64], name[32];
    size_t bad = 0;
    bool said = declared_encoding(in, declared, sizeof declared);
    enum sooth_status s = encoding_decode(in->data, in->len, in->encoding, said ? declared : NULL, &text, name, &bad, err);
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
    .name = "html", .about = "web pages", .extensions = "html htm xhtml", .sniff = html_sniff, .parse = html_parse,
};
