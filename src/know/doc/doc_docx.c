/* doc_docx.c: Word documents (ECMA-376): word/document.xml, with the heading levels that
 * word/styles.xml gives its styles.
 *
 *   w:p w:pStyle w:numPr   paragraph, its style, a list item
 *   w:t w:tab w:br w:cr     its text
 *   w:del w:vanish          deleted, hidden: left out
 *   w:tbl w:tr w:tc         table, row, cell
 *   w:vMerge                without "restart" the cell goes on from above, and its text is there
 *   w:gridSpan w:gridBefore the cell takes several columns: the others stay empty, so that columns
 *                           keep their places
 *   w:drawing               a picture: wp:docPr descr is its description, a:blip r:embed its file
 *
 * Tables stay where they are. A table inside a cell becomes text of that cell. Footnotes follow at
 * the end. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "know/doc/docfmt.h"
#include "know/doc/ooxml.h"
#include "know/doc/xml.h"
#include "know/doc/zip.h"

/* ---- styles: id -> heading level ---- */

struct styles {
    struct map levels;
    char id[128];
};

static bool styles_see(void *user, const struct xml_view *v)
{
    struct styles *s = user;
    char value[128];
    if (v->event != XML_OPEN)
        return true;
    if (strcmp(v->name, "style") == 0 && !xml_attribute(v->xml, "styleId", s->id, sizeof s->id))
        s->id[0] = '\0';
    uint64_t level = 0;
    if (strcmp(v->name, "name") == 0 && xml_attribute(v->xml, "val", value, sizeof value)) {
        if (strncasecmp(value, "heading ", 8) == 0)
            level = (uint64_t)strtoul(value + 8, NULL, 10);
        else if (strcasecmp(value, "title") == 0)
            level = 1;
    } else if (strcmp(v->name, "outlineLvl") == 0 &&
               xml_attribute(v->xml, "val", value, sizeof value)) {
        level = strtoul(value, NULL, 10) + 1;
    }
    if (level >= 1 && level <= BUILDER_MAX_LEVEL && s->id[0])
        map_put(&s->levels, s->id, strlen(s->id), level);
    return true;
}

/* ---- the body ---- */

struct body {
    struct builder *b;
    struct styles *styles;
    unsigned table, deleted, boxed; /* depths */
    bool text, cell_begun, merged;
    bool vanish;    /* the run is hidden text */
    unsigned level; /* heading level of the paragraph, 0 = none */
    bool list, opened, properties;
    size_t row;
    unsigned span; /* columns that the open cell takes beyond its first */
    const struct zip *z;
    const struct ooxml_rels *rels;
    char description[512];
};

/* The paragraph's kind is known when its first text comes. */
static void paragraph_open(struct body *d)
{
    if (d->opened || d->table)
        return;
    d->opened = true;
    if (d->level)
        builder_open(d->b, DOC_HEADING, d->level);
    else
        builder_open(d->b, d->list ? DOC_LIST_ITEM : DOC_PARAGRAPH, d->list ? 1 : 0);
}

static void text_add(struct body *d, const char *s, size_t len)
{
    if (d->deleted || d->boxed || d->vanish || (d->table && d->merged))
        return;
    paragraph_open(d);
    builder_text(d->b, s, len);
}

/* Columns of a merged cell; no real table has more than a few dozen. */
static unsigned span_of(const char *value)
{
    unsigned long n = strtoul(value, NULL, 10);
    return n <= 64 ? (unsigned)n : 0;
}

static void table_open(struct body *d, const struct xml_view *v)
{
    char value[16];
    const char *n = v->name;
    if (strcmp(n, "tbl") == 0) {
        if (d->table++ == 0) {
            builder_table_begin(d->b);
            d->row = 0;
        }
    } else if (strcmp(n, "tr") == 0 && d->table == 1) {
        builder_row(d->b, d->row++ == 0);
        d->cell_begun = false;
        d->span = 0;
    } else if (strcmp(n, "tc") == 0 && d->table == 1) {
        if (d->cell_begun)
            builder_cells(d->b, 1 + d->span);
        d->cell_begun = true;
        d->merged = false;
        d->span = 0;
    } else if (strcmp(n, "gridSpan") == 0 && d->table == 1 &&
               xml_attribute(v->xml, "val", value, sizeof value)) {
        d->span = span_of(value) > 0 ? span_of(value) - 1 : 0;
    } else if (strcmp(n, "gridBefore") == 0 && d->table == 1 && !d->cell_begun &&
               xml_attribute(v->xml, "val", value, sizeof value)) {
        builder_cells(d->b, span_of(value));
    } else if (strcmp(n, "vMerge") == 0 && d->table == 1) {
        d->merged = !xml_attribute(v->xml, "val", value, sizeof value) ||
                    strcmp(value, "restart") != 0;
    }
}

static void properties_open(struct body *d, const struct xml_view *v)
{
    char value[128];
    uint64_t level;
    if (strcmp(v->name, "pStyle") == 0 && xml_attribute(v->xml, "val", value, sizeof value)) {
        if (map_find(&d->styles->levels, value, strlen(value), &level))
            d->level = (unsigned)level;
        else if (strncasecmp(value, "heading", 7) == 0 && isdigit((unsigned char)value[7]))
            d->level = (unsigned)(value[7] - '0');
        else if (strncasecmp(value, "list", 4) == 0)
            d->list = true;
    } else if (strcmp(v->name, "outlineLvl") == 0 &&
               xml_attribute(v->xml, "val", value, sizeof value)) {
        unsigned long n = strtoul(value, NULL, 10);
        d->level = n < BUILDER_MAX_LEVEL ? (unsigned)n + 1 : 0;
    } else if (strcmp(v->name, "numPr") == 0) {
        d->list = true;
    }
}

/* The picture stands where it is anchored; text of its paragraph that follows begins a new one. */
static void picture_add(struct body *d, const struct xml_view *v)
{
    char id[64];
    if (d->deleted || d->boxed || d->vanish || !xml_attribute(v->xml, "r:embed", id, sizeof id))
        return;
    if (!d->table && d->description[0] != '\0') {
        builder_close(d->b);
        d->opened = false;
    }
    ooxml_picture(d->z, ooxml_rel_target(d->rels, id), d->description, d->b);
    d->description[0] = '\0';
}

static void body_open(struct body *d, const struct xml_view *v)
{
    const char *n = v->name;
    char value[16];
    if (strcmp(n, "p") == 0 && !d->boxed) {
        if (!d->table)
            builder_close(d->b);
        else if (d->cell_begun)
            builder_text(d->b, " ", 1);
        d->level = 0;
        d->list = d->opened = false;
    } else if (strcmp(n, "pPr") == 0) {
        d->properties = true;
    } else if (strcmp(n, "t") == 0) {
        d->text = true;
    } else if (strcmp(n, "tab") == 0 && !d->properties) {
        text_add(d, "\t", 1);
    } else if ((strcmp(n, "br") == 0 || strcmp(n, "cr") == 0) && !d->deleted && !d->boxed) {
        builder_break(d->b);
    } else if (strcmp(n, "r") == 0) {
        d->vanish = false;
    } else if (strcmp(n, "vanish") == 0 && !d->properties) {
        d->vanish = !xml_attribute(v->xml, "val", value, sizeof value) ||
                    (strcmp(value, "0") && strcmp(value, "false"));
    } else if (strcmp(n, "del") == 0 || strcmp(n, "moveFrom") == 0) {
        d->deleted++;
    } else if (strcmp(n, "Fallback") == 0) { /* the same text box once more, for old readers */
        d->boxed++;
    } else if (strcmp(n, "docPr") == 0) {
        if (!xml_attribute(v->xml, "descr", d->description, sizeof d->description))
            d->description[0] = '\0';
    } else if (strcmp(n, "blip") == 0) {
        picture_add(d, v);
    } else {
        table_open(d, v);
        if (d->properties)
            properties_open(d, v);
    }
}

static void body_close(struct body *d, const char *n)
{
    if (strcmp(n, "t") == 0)
        d->text = false;
    else if (strcmp(n, "r") == 0)
        d->vanish = false;
    else if (strcmp(n, "pPr") == 0)
        d->properties = false;
    else if (strcmp(n, "del") == 0 || strcmp(n, "moveFrom") == 0)
        d->deleted -= d->deleted > 0;
    else if (strcmp(n, "Fallback") == 0)
        d->boxed -= d->boxed > 0;
    else if (strcmp(n, "tbl") == 0 && d->table && --d->table == 0)
        builder_table_end(d->b);
    else if (strcmp(n, "p") == 0 && !d->table && !d->boxed)
        builder_close(d->b);
}

static bool body_see(void *user, const struct xml_view *v)
{
    struct body *d = user;
    if (v->event == XML_OPEN)
        body_open(d, v);
    else if (v->event == XML_CLOSE)
        body_close(d, v->name);
    else if (d->text)
        text_add(d, v->text, v->len);
    return true;
}

static bool want_part(const char *name)
{
    return strcmp(name, "word/document.xml") == 0 || strcmp(name, "word/styles.xml") == 0 ||
           strcmp(name, "word/footnotes.xml") == 0 || ooxml_want_common(name);
}

static enum sooth_status parts_read(const struct zip *z, struct builder *b, struct sooth_error *err)
{
    const struct zip_entry *main = zip_find(z, "word/document.xml"),
                           *styles = zip_find(z, "word/styles.xml");
    const struct zip_entry *notes = zip_find(z, "word/footnotes.xml");
    struct ooxml_rels rels;
    struct styles s = {0};
    struct body d = {.b = b, .styles = &s, .z = z, .rels = &rels};
    if (!main)
        return err_set(err, SOOTH_ERR_FORMAT, "it has no word/document.xml");
    map_init(&s.levels);
    ooxml_core(z, b);
    if (styles)
        xml_walk(buf_str(&styles->data), styles->data.len, styles_see, &s, NULL);
    enum sooth_status status = ooxml_rels_read(z, "word/document.xml", &rels, err);
    if (!status)
        status = xml_walk(buf_str(&main->data), main->data.len, body_see, &d, err);
    if (!status && notes)
        status = xml_walk(buf_str(&notes->data), notes->data.len, body_see, &d, err);
    builder_close(b);
    ooxml_rels_release(&rels);
    map_release(&s.levels);
    return status;
}

static enum sooth_status docx_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct zip z;
    enum sooth_status s = zip_read(in->data, in->len, want_part, &z, err);
    if (s)
        return s;
    s = parts_read(&z, b, err);
    zip_release(&z);
    return s;
}

static int docx_sniff(const unsigned char *data, size_t len)
{
    return zip_mentions(data, len, "word/document.xml") ? 95 : 0;
}

const struct docfmt docfmt_docx = {
    .name = "docx",
    .about = "Word documents",
    .extensions = "docx docm",
    .zip = true,
    .sniff = docx_sniff,
    .parse = docx_parse,
};
