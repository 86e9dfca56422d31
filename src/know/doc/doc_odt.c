/* doc_odt.c: OpenDocument text, spreadsheets and slides (ISO 26300): content.xml, the title from
 * meta.xml.
 *
 *   text:h heading (text:outline-level)   text:p paragraph   text:list-item   text:s text:tab
 *                                         text:line-break blanks
 *   table:table-row, table:table-cell     table:covered-table-cell: covered by a merged one, empty
 *   table:number-columns-repeated         the same cell several times: its text comes once
 *   office:spreadsheet: a table is a page, its table:name the heading and label
 *   office:presentation: a draw:page is a page, presentation:class "title" its heading,
 *                                         presentation:notes quotes
 *   text:tracked-changes, office:annotation: left out */
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/xml.h"
#include "know/doc/zip.h"

struct odt {
    struct builder *b;
    unsigned table, hidden, list, paragraph;
    bool cell_begun, title, sheets, covered;
    bool heading; /* the frame of a slide's title */
    unsigned notes;
    unsigned span; /* places that the open cell takes beyond its first */
    size_t row;
};

static bool is_hidden(const char *n)
{
    return strcmp(n, "tracked-changes") == 0 || strcmp(n, "annotation") == 0 ||
           strcmp(n, "sequence-decls") == 0;
}

static void block_open(struct odt *d, const struct xml_view *v, bool heading)
{
    char level[16] = "1";
    d->paragraph++;
    if (d->table) {
        builder_text(d->b, " ", 1);
    } else if (heading) {
        xml_attribute(v->xml, "outline-level", level, sizeof level);
        builder_open(d->b, DOC_HEADING, (unsigned)strtoul(level, NULL, 10));
    } else if (d->heading) {
        builder_open(d->b, DOC_HEADING, 1);
    } else {
        builder_open(d->b,
                     d->notes  ? DOC_QUOTE
                     : d->list ? DOC_LIST_ITEM
                               : DOC_PARAGRAPH,
                     d->notes ? 0 : d->list);
    }
}

static void sheet_open(struct odt *d, const struct xml_view *v)
{
    char name[256] = "";
    xml_attribute(v->xml, "name", name, sizeof name);
    builder_page(d->b);
    if (name[0] == '\0')
        return;
    builder_page_label(d->b, name);
    builder_open(d->b, DOC_HEADING, 1);
    builder_puts(d->b, name);
    builder_close(d->b);
}

static void cell_open(struct odt *d, const struct xml_view *v)
{
    char value[16];
    if (d->cell_begun)
        builder_cells(d->b, 1 + d->span);
    d->cell_begun = true;
    d->covered = v->name[0] == 'c';
    d->span = 0;
    if (xml_attribute(v->xml, "number-columns-repeated", value, sizeof value)) {
        unsigned long n = strtoul(value, NULL, 10);
        d->span = n > 1 && n <= 512 ? (unsigned)n - 1 : 0;
    }
}

static void slide_open(struct odt *d, const struct xml_view *v)
{
    char class[32];
    if (strcmp(v->name, "page") == 0 && !d->sheets)
        builder_page(d->b);
    else if (strcmp(v->name, "notes") == 0)
        d->notes++;
    else if (strcmp(v->name, "frame") == 0)
        d->heading = xml_attribute(v->xml, "presentation:class", class, sizeof class) &&
                     strcmp(class, "title") == 0;
}

static void odt_open(struct odt *d, const struct xml_view *v)
{
    const char *n = v->name;
    if (is_hidden(n))
        d->hidden++;
    if (d->hidden)
        return;
    if (strcmp(n, "h") == 0 || strcmp(n, "p") == 0)
        block_open(d, v, n[0] == 'h');
    else if (strcmp(n, "list") == 0)
        d->list++;
    else if (strcmp(n, "s") == 0 || strcmp(n, "tab") == 0)
        builder_text(d->b, " ", 1);
    else if (strcmp(n, "line-break") == 0)
        builder_break(d->b);
    else if (strcmp(n, "spreadsheet") == 0)
        d->sheets = true;
    else if (strcmp(n, "table") == 0 && d->table++ == 0) {
        if (d->sheets)
            sheet_open(d, v);
        builder_table_begin(d->b);
        d->row = 0;
    } else if (strcmp(n, "table-row") == 0 && d->table == 1) {
        builder_row(d->b, d->row++ == 0);
        d->cell_begun = false;
        d->span = 0;
    } else if ((strcmp(n, "table-cell") == 0 || strcmp(n, "covered-table-cell") == 0) &&
               d->table == 1) {
        cell_open(d, v);
    } else {
        slide_open(d, v);
    }
}

static void odt_close(struct odt *d, const char *n)
{
    if (is_hidden(n))
        d->hidden -= d->hidden > 0;
    if (d->hidden)
        return;
    if (strcmp(n, "h") == 0 || strcmp(n, "p") == 0) {
        d->paragraph -= d->paragraph > 0;
        if (!d->table)
            builder_close(d->b);
    } else if (strcmp(n, "notes") == 0) {
        d->notes -= d->notes > 0;
    } else if (strcmp(n, "list") == 0) {
        d->list -= d->list > 0;
    } else if (strcmp(n, "table") == 0 && d->table && --d->table == 0) {
        builder_table_end(d->b);
    }
}

static bool odt_see(void *user, const struct xml_view *v)
{
    struct odt *d = user;
    if (v->event == XML_OPEN)
        odt_open(d, v);
    else if (v->event == XML_CLOSE)
        odt_close(d, v->name);
    else if (d->paragraph && !d->hidden && !(d->table && d->covered))
        builder_text(d->b, v->text, v->len);
    return true;
}

static bool meta_see(void *user, const struct xml_view *v)
{
    struct odt *d = user;
    if (v->event != XML_TEXT)
        d->title = v->event == XML_OPEN && strcmp(v->name, "title") == 0;
    else if (d->title)
        builder_title(d->b, v->text, v->len);
    return true;
}

static bool want_part(const char *name)
{
    return strcmp(name, "content.xml") == 0 || strcmp(name, "meta.xml") == 0;
}

static enum sooth_status odt_parse(const struct doc_input *in, struct builder *b,
                                   struct sooth_error *err)
{
    struct zip z;
    struct odt d = {.b = b};
    enum sooth_status s = zip_read(in->data, in->len, want_part, &z, err);
    if (s)
        return s;
    const struct zip_entry *content = zip_find(&z, "content.xml"), *meta = zip_find(&z, "meta.xml");
    if (meta)
        xml_walk(buf_str(&meta->data), meta->data.len, meta_see, &d, NULL);
    s = content ? xml_walk(buf_str(&content->data), content->data.len, odt_see, &d, err)
                : err_set(err, SOOTH_ERR_FORMAT, "it has no content.xml");
    builder_close(b);
    zip_release(&z);
    return s;
}

static int odt_sniff(const unsigned char *data, size_t len)
{
    return zip_mentions(data, len < 200 ? len : 200, "application/vnd.oasis.opendocument.") ? 95 : 0;
}

const struct docfmt docfmt_odt = {
    .name = "odt",
    .about = "OpenDocument text, spreadsheets and slides",
    .extensions = "odt ott ods odp",
    .zip = true,
    .sniff = odt_sniff,
    .parse = odt_parse,
};
