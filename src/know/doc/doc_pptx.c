/* doc_pptx.c: PowerPoint slides (ECMA-376, PresentationML).
 *
 *   ppt/presentation.xml         p:sldId r:id: the slides in order
 *   ppt/slides/slideN.xml        p:sp shape: p:ph its role; a:p paragraphs, a:t text
 *                                a:tbl a:tr a:tc tables; p:pic pictures
 *   ppt/notesSlides/...          what the speaker says (relation "notesSlide")
 *   ppt/diagrams/dataN.xml       the words of a diagram (relation r:dm)
 *
 * A slide is a page. Its title is a heading and comes first wherever it stands in the file;
 * paragraphs of the content placeholder are list items, of text boxes paragraphs; notes come last,
 * as a quote. In a table the cells that a merged one covers are in the file (hMerge, vMerge) and stay
 * empty. Left out: hidden slides (with a warning) and hidden shapes, slide numbers, dates and
 * footers, what stands on the master, charts, comments. */
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/ooxml.h"
#include "know/doc/xml.h"
#include "know/doc/zip.h"

enum role { ROLE_BOX, ROLE_TITLE, ROLE_BODY, ROLE_NONE }; /* NONE: numbers, dates, footers */

struct slide {
    struct builder *b;
    const struct zip *z;
    const struct ooxml_rels *rels;
    enum pass { PASS_TITLE, PASS_BODY, PASS_NOTES, PASS_DIAGRAM } pass;
    enum role role;
    bool in_text, opened, cell_begun, covered, skip_shape, hidden_slide, picture;
    unsigned level, table;
    size_t row;
    char description[512];
    bool title;
};

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool flag(const struct xml_view *v, const char *name)
{
    char value[16];
    return xml_attribute(v->xml, name, value, sizeof value) && (is(value, "1") || is(value, "true"));
}

static enum role role_of(const struct xml_view *v)
{
    char type[32];
    if (!xml_attribute(v->xml, "type", type, sizeof type))
        return ROLE_BODY;
    if (is(type, "title") || is(type, "ctrTitle"))
        return ROLE_TITLE;
    if (is(type, "sldNum") || is(type, "dt") || is(type, "ftr") || is(type, "hdr") ||
        is(type, "sldImg"))
        return ROLE_NONE;
    return is(type, "body") || is(type, "obj") ? ROLE_BODY : ROLE_BOX;
}

static bool wanted(const struct slide *s)
{
    if (s->skip_shape || s->hidden_slide || s->role == ROLE_NONE || s->covered)
        return false;
    return (s->pass == PASS_TITLE) == (s->role == ROLE_TITLE);
}

static void text_add(struct slide *s, const char *text, size_t len)
{
    if (!wanted(s))
        return;
    if (s->table == 0 && !s->opened) {
        if (s->pass == PASS_TITLE)
            builder_open(s->b, DOC_HEADING, 1);
        else if (s->pass == PASS_NOTES)
            builder_open(s->b, DOC_QUOTE, 0);
        else if (s->role == ROLE_BODY || s->pass == PASS_DIAGRAM)
            builder_open(s->b, DOC_LIST_ITEM, s->level + 1);
        else
            builder_open(s->b, DOC_PARAGRAPH, 0);
        s->opened = true;
    }
    builder_text(s->b, text, len);
}

static void table_open(struct slide *s, const struct xml_view *v)
{
    if (is(v->name, "tbl") && s->table++ == 0) {
        builder_table_begin(s->b);
        s->row = 0;
    } else if (is(v->name, "tr") && s->table == 1) {
        builder_row(s->b, s->row++ == 0);
        s->cell_begun = false;
    } else if (is(v->name, "tc") && s->table == 1) {
        if (s->cell_begun)
            builder_cell(s->b);
        s->cell_begun = true;
        s->covered = flag(v, "hMerge") || flag(v, "vMerge");
    }
}

static enum sooth_status diagram_read(struct slide *s, const char *target);

static void paragraph_open(struct slide *s)
{
    if (s->table > 0) {
        if (s->cell_begun && !s->covered)
            builder_text(s->b, " ", 1);
        return;
    }
    if (s->opened && s->pass == PASS_TITLE) { /* a title of several lines is one heading */
        builder_text(s->b, " ", 1);
        return;
    }
    if (s->opened)
        builder_close(s->b);
    s->opened = false;
    s->level = 0;
}

static void shape_open(struct slide *s, const struct xml_view *v)
{
    s->picture = is(v->name, "pic");
    s->role = ROLE_BOX;
    s->skip_shape = false;
    s->description[0] = '\0';
    if (s->opened && s->pass != PASS_TITLE) {
        builder_close(s->b);
        s->opened = false;
    }
}

static void picture_add(struct slide *s, const struct xml_view *v)
{
    char id[64];
    if (s->pass == PASS_BODY && wanted(s) && xml_attribute(v->xml, "r:embed", id, sizeof id)) {
        if (s->opened && s->table == 0) {
            builder_close(s->b);
            s->opened = false;
        }
        ooxml_picture(s->z, ooxml_rel_target(s->rels, id), s->description, s->b);
        s->description[0] = '\0';
    }
}

static void slide_open(struct slide *s, const struct xml_view *v)
{
    const char *n = v->name;
    char value[64];
    if (is(n, "sld")) {
        s->hidden_slide =
            xml_attribute(v->xml, "show", value, sizeof value) && (is(value, "0") || is(value, "false"));
    } else if (is(n, "sp") || is(n, "pic") || is(n, "graphicFrame") || is(n, "cxnSp")) {
        shape_open(s, v);
    } else if (is(n, "cNvPr")) {
        s->skip_shape = flag(v, "hidden");
        if (!xml_attribute(v->xml, "descr", s->description, sizeof s->description))
            s->description[0] = '\0';
    } else if (is(n, "ph")) {
        s->role = role_of(v);
    } else if (is(n, "p")) {
        paragraph_open(s);
    } else if (is(n, "pPr")) {
        s->level = xml_attribute(v->xml, "lvl", value, sizeof value)
                       ? (unsigned)strtoul(value, NULL, 10) % 9
                       : 0;
    } else if (is(n, "t")) {
        s->in_text = true;
    } else if (is(n, "br")) {
        if (wanted(s))
            builder_break(s->b);
    } else if (is(n, "blip") && s->picture) {
        picture_add(s, v);
    } else if (is(n, "relIds") && s->pass == PASS_BODY && wanted(s)) {
        if (xml_attribute(v->xml, "r:dm", value, sizeof value))
            diagram_read(s, ooxml_rel_target(s->rels, value));
    } else if (s->pass == PASS_BODY && wanted(s)) {
        table_open(s, v);
    }
}

static void slide_close(struct slide *s, const char *n)
{
    if (is(n, "t")) {
        s->in_text = false;
    } else if (is(n, "tc")) {
        s->covered = false;
    } else if (is(n, "tbl") && s->table > 0 && --s->table == 0) {
        builder_table_end(s->b);
        s->opened = false;
    } else if (is(n, "pt") && s->pass == PASS_DIAGRAM && s->opened) {
        builder_close(s->b);
        s->opened = false;
    }
}

static bool slide_see(void *user, const struct xml_view *v)
{
    struct slide *s = user;
    if (v->event == XML_OPEN)
        slide_open(s, v);
    else if (v->event == XML_CLOSE)
        slide_close(s, v->name);
    else if (s->in_text)
        text_add(s, v->text, v->len);
    return true;
}

static enum sooth_status pass_run(struct slide *s, const char *path, enum pass pass,
                                  struct sooth_error *err)
{
    const struct zip_entry *e = path != NULL ? zip_find(s->z, path) : NULL;
    if (e == NULL)
        return SOOTH_OK;
    *s = (struct slide){.b = s->b, .z = s->z, .rels = s->rels, .pass = pass,
                        .hidden_slide = s->hidden_slide};
    enum sooth_status status = xml_walk(buf_str(&e->data), e->data.len, slide_see, s, err);
    builder_table_end(s->b);
    return status;
}

/* A diagram that cannot be read costs its words, not the slide. */
static enum sooth_status diagram_read(struct slide *s, const char *target)
{
    struct slide inner = {.b = s->b, .z = s->z, .rels = s->rels};
    if (s->opened)
        builder_close(s->b);
    s->opened = false;
    return pass_run(&inner, target, PASS_DIAGRAM, NULL);
}

static enum sooth_status slide_read(struct builder *b, const struct zip *z, const char *path,
                                    size_t number, struct sooth_error *err)
{
    struct ooxml_rels rels;
    struct slide s = {.b = b, .z = z, .rels = &rels};
    builder_page(b);
    if (path == NULL || zip_find(z, path) == NULL) {
        builder_warn(b, "slide %zu is missing", number);
        return SOOTH_OK;
    }
    enum sooth_status status = ooxml_rels_read(z, path, &rels, err);
    if (status != SOOTH_OK)
        return status;
    status = pass_run(&s, path, PASS_TITLE, err);
    if (status == SOOTH_OK && s.hidden_slide)
        builder_warn(b, "slide %zu is hidden and was left out", number);
    if (status == SOOTH_OK && !s.hidden_slide)
        status = pass_run(&s, path, PASS_BODY, err);
    if (status == SOOTH_OK && !s.hidden_slide)
        status = pass_run(&s, ooxml_rel_typed(&rels, "notesSlide"), PASS_NOTES, err);
    ooxml_rels_release(&rels);
    return status;
}

/* ---- the show ---- */

struct show {
    VEC(char *) ids;
    bool failed;
};

static bool show_see(void *user, const struct xml_view *v)
{
    struct show *w = user;
    char id[64];
    if (v->event == XML_OPEN && is(v->name, "sldId") && xml_attribute(v->xml, "r:id", id, sizeof id)) {
        char *copy = mem_strdup(id);
        if (copy == NULL || !vec_push(&w->ids, copy)) {
            mem_free(copy);
            w->failed = true;
        }
    }
    return !w->failed;
}

static enum sooth_status show_read(const struct zip *z, struct builder *b, struct sooth_error *err)
{
    static const char path[] = "ppt/presentation.xml";
    const struct zip_entry *e = zip_find(z, path);
    struct ooxml_rels rels;
    struct show w = {0};
    if (e == NULL)
        return err_set(err, SOOTH_ERR_FORMAT, "it has no ppt/presentation.xml");
    enum sooth_status s = ooxml_rels_read(z, path, &rels, err);
    if (s != SOOTH_OK)
        return s;
    s = xml_walk(buf_str(&e->data), e->data.len, show_see, &w, err);
    for (size_t i = 0; i < w.ids.count; i++) {
        if (s == SOOTH_OK)
            s = slide_read(b, z, ooxml_rel_target(&rels, w.ids.items[i]), i + 1, err);
        mem_free(w.ids.items[i]);
    }
    vec_free(&w.ids);
    ooxml_rels_release(&rels);
    return s == SOOTH_OK && w.failed ? err_nomem(err) : s;
}

static bool want_part(const char *name)
{
    return (strncmp(name, "ppt/", 4) == 0 && strstr(name, "slideMaster") == NULL &&
            strstr(name, "slideLayout") == NULL && strstr(name, "/media/") == NULL) ||
           ooxml_want_common(name);
}

static enum sooth_status pptx_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct zip z;
    enum sooth_status s = zip_read(in->data, in->len, want_part, &z, err);
    if (s != SOOTH_OK)
        return s;
    ooxml_core(&z, b);
    s = show_read(&z, b, err);
    builder_close(b);
    zip_release(&z);
    return s;
}

static int pptx_sniff(const unsigned char *data, size_t len)
{
    return zip_mentions(data, len, "ppt/presentation.xml") ? 95 : 0;
}

const struct docfmt docfmt_pptx = {
    .name = "pptx",
    .about = "PowerPoint slides with notes",
    .extensions = "pptx pptm ppsx",
    .zip = true,
    .sniff = pptx_sniff,
    .parse = pptx_parse,
};
