/* doc_markdown.c: Markdown as GitHub reads it (cmark-gfm: CommonMark with tables), walked node by node.
 *
 * Raw HTML loses its tags and comments: a comment is not for readers. Front matter between --- lines gives the title and is
 * otherwise left out. Fenced code stays one block with its line ends. */
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>
#include <string.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"

struct markdown {
    struct builder *b;
    unsigned list, quote;
    bool cell_begun, row_header;
};

/* Text of raw HTML: without tags and without comments. */
static void html_text(struct builder *b, const char *s)
{
    while (s && *s) {
        if (strncmp(s, "<!--", 4) == 0) {
            const char *end = strstr(s, "-->");
            s = end ? end + 3 : s + strlen(s);
        } else if (*s == '<') {
            const char *end = strchr(s, '>');
            s = end ? end + 1 : s + strlen(s);
        } else {
            size_t n = strcspn(s, "<");
            builder_text(b, s, n);
            s += n;
        }
    }
}

static void paragraph_open(struct markdown *m)
{
    if (m->list && m->b->open && m->b->block.kind == DOC_LIST_ITEM) {
        builder_break(m->b); /* a further paragraph of the item */
        return;
    }
    builder_open(m->b, m->list ? DOC_LIST_ITEM : m->quote ? DOC_QUOTE : DOC_PARAGRAPH, m->list);
}

static void code_add(struct markdown *m, cmark_node *n)
{
    const char *text = cmark_node_get_literal(n);
    builder_open_raw(m->b, DOC_CODE, 0);
    if (text)
        builder_puts(m->b, text);
    builder_close(m->b);
}

/* Nodes of the table extension have no constants, only names. */
static bool table_node(struct markdown *m, cmark_node *n, bool enter)
{
    const char *name = cmark_node_get_type_string(n);
    if (strcmp(name, "table") == 0) {
        if (enter)
            builder_table_begin(m->b);
        else
            builder_table_end(m->b);
    } else if (strcmp(name, "table_header") == 0 || strcmp(name, "table_row") == 0) {
        if (enter)
            builder_row(m->b, strcmp(name, "table_header") == 0);
        m->cell_begun = false;
    } else if (strcmp(name, "table_cell") == 0) {
        if (enter && m->cell_begun)
            builder_cell(m->b);
        m->cell_begun = true;
    } else {
        return false;
    }
    return true;
}

static void block_node(struct markdown *m, cmark_node *n, bool enter)
{
    switch (cmark_node_get_type(n)) {
    case CMARK_NODE_HEADING:
        if (enter)
            builder_open(m->b, DOC_HEADING, (unsigned)cmark_node_get_heading_level(n));
        else
            builder_close(m->b);
        return;
    case CMARK_NODE_PARAGRAPH:
        if (enter)
            paragraph_open(m);
        else if (!m->list)
            builder_close(m->b);
        return;
    case CMARK_NODE_LIST:
        builder_close(m->b);
        m->list += enter ? 1 : -1u;
        return;
    case CMARK_NODE_ITEM:
        builder_close(m->b);
        return;
    case CMARK_NODE_BLOCK_QUOTE:
        builder_close(m->b);
        m->quote += enter ? 1 : -1u;
        return;
    case CMARK_NODE_CODE_BLOCK:
        code_add(m, n);
        return;
    case CMARK_NODE_HTML_BLOCK:
        builder_close(m->b);
        html_text(m->b, cmark_node_get_literal(n));
        builder_close(m->b);
        return;
    default:
        return;
    }
}

static void inline_node(struct markdown *m, cmark_node *n)
{
    const char *text = cmark_node_get_literal(n);
    switch (cmark_node_get_type(n)) {
    case CMARK_NODE_TEXT:
    case CMARK_NODE_CODE:
        if (text)
            builder_puts(m->b, text);
        return;
    case CMARK_NODE_SOFTBREAK:
        builder_text(m->b, "\n", 1);
        return;
    case CMARK_NODE_LINEBREAK:
        builder_break(m->b);
        return;
    case CMARK_NODE_HTML_INLINE:
        html_text(m->b, text);
        return;
    default:
        return;
    }
}

static void tree_walk(struct markdown *m, cmark_node *root)
{
    cmark_iter *it = cmark_iter_new(root);
    cmark_event_type event;
    while ((event = cmark_iter_next(it)) != CMARK_EVENT_DONE) {
        cmark_node *n = cmark_iter_get_node(it);
        bool enter = event == CMARK_EVENT_ENTER;
        if (table_node(m, n, enter))
            continue;
        if ((cmark_node_get_type(n) & CMARK_NODE_TYPE_MASK) == CMARK_NODE_TYPE_BLOCK)
            block_node(m, n, enter);
        else if (enter)
            inline_node(m, n);
    }
    cmark_iter_free(it);
    builder_close(m->b);
}

/* --- \n key: value ... \n --- : how long it is; its title. */
static size_t front_matter(struct builder *b, const char *s, size_t len)
{
    if (len < 8 || strncmp(s, "---\n", 4) != 0)
        return 0;
    const char *end = strstr(s + 3, "\n---");
    if (!end || (end[4] != '\n' && end[4] != '\r' && end[4] != '\0'))
        return 0;
    for (const char *line = s + 4; line < end;) {
        size_t n = strcspn(line, "\n");
        if (n > 6 && strncmp(line, "title:", 6) == 0) {
            size_t skip = 6 + strspn(line + 6, " \t\"'"), stop = n;
            while (stop > skip && strchr(" \t\r\"'", line[stop - 1]))
                stop--;
            builder_title(b, line + skip, stop - skip);
        }
        line += n + 1;
    }
    return (size_t)(end - s) + 4;
}

static enum sooth_status markdown_parse(const struct doc_input *in, struct builder *b, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    struct markdown m = {.b = b};
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    if (!s && text.len) {
        cmark_gfm_core_extensions_ensure_registered();
        cmark_parser *parser = cmark_parser_new(CMARK_OPT_DEFAULT);
        cmark_syntax_extension *table = cmark_find_syntax_extension("table"), *strike = cmark_find_syntax_extension("strikethrough");
        size_t skip = front_matter(b, text.data, text.len);
        if (table)
            cmark_parser_attach_syntax_extension(parser, table);
        if (strike)
            cmark_parser_attach_syntax_extension(parser, strike);
        cmark_parser_feed(parser, text.data + skip, text.len - skip);
        cmark_node *root = cmark_parser_finish(parser);
        tree_walk(&m, root);
        cmark_node_free(root);
        cmark_parser_free(parser);
    }
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_markdown = {
    .name = "markdown", .about = "Markdown, with tables", .extensions = "md markdown mdown mkd", .parse = markdown_parse,
};
