/* doc_markdown.c: Markdown as GitHub reads it (cmark-gfm: CommonMark with tables), turned into HTML
 * and read as that.
 *
 * The detour pays: whatever is hidden in raw HTML (comments, hidden elements, scripts) is dropped
 * by the one place that knows how (doc_html.c), also when Markdown stands between the opening and
 * the closing tag; tables, lists and code have one writer. Front matter between --- lines gives the
 * title and stays as one paragraph. */
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"

/* --- \n key: value ... \n --- : how long it is. */
static size_t front_matter(struct builder *b, const char *s, size_t len)
{
    if (len < 8 || strncmp(s, "---", 3) != 0 || (s[3] != '\n' && s[3] != '\r'))
        return 0;
    const char *end = strstr(s + 3, "\n---");
    if (end == NULL || (end[4] != '\n' && end[4] != '\r' && end[4] != '\0'))
        return 0;
    builder_open_raw(b, DOC_PARAGRAPH, 0);
    for (const char *line = s + 4; line < end;) {
        size_t n = strcspn(line, "\r\n");
        if (n > 6 && strncmp(line, "title:", 6) == 0) {
            size_t skip = 6 + strspn(line + 6, " \t\"'"), stop = n;
            while (stop > skip && strchr(" \t\"'", line[stop - 1]) != NULL)
                stop--;
            builder_title(b, line + skip, stop > skip ? stop - skip : 0);
        }
        builder_text(b, line, n);
        builder_text(b, "\n", 1);
        line += n + strspn(line + n, "\r\n");
    }
    builder_close(b);
    return (size_t)(end - s) + 4;
}

/* The text as HTML, to be freed by free(); NULL when out of memory. */
static char *html_render(const char *s, size_t len)
{
    static const char *const extensions[] = {"table", "strikethrough"};
    cmark_gfm_core_extensions_ensure_registered();
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_UNSAFE);
    if (parser == NULL)
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        cmark_syntax_extension *e = cmark_find_syntax_extension(extensions[i]);
        if (e != NULL)
            cmark_parser_attach_syntax_extension(parser, e);
    }
    cmark_parser_feed(parser, s, len);
    cmark_node *root = cmark_parser_finish(parser);
    char *html = root != NULL ? cmark_render_html(root, CMARK_OPT_UNSAFE,
                                                  cmark_parser_get_syntax_extensions(parser))
                              : NULL;
    cmark_node_free(root);
    cmark_parser_free(parser);
    return html;
}

static enum sooth_status markdown_parse(const struct doc_input *in, struct builder *b,
                                        struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    if (s == SOOTH_OK && text.len > 0) {
        for (size_t i = 0; i < text.len; i++)
            text.data[i] = text.data[i] == '\0' ? ' ' : text.data[i]; /* the parsers take strings */
        size_t skip = front_matter(b, text.data, text.len);
        char *html = html_render(text.data + skip, text.len - skip);
        s = html != NULL ? docfmt_html_walk(html, strlen(html), b, err) : err_nomem(err);
        free(html); /* allowed: cmark gave it */
    }
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_markdown = {
    .name = "markdown",
    .about = "Markdown, with tables",
    .extensions = "md markdown mdown mkd",
    .parse = markdown_parse,
};
