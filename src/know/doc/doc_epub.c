/* doc_epub.c: EPUB books: META-INF/container.xml names the package file, whose spine gives the
 * order of the chapters, which are XHTML. A chapter that cannot be read is a warning; a book
 * without any is an error. */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "know/doc/docfmt.h"
#include "know/doc/xml.h"
#include "know/doc/zip.h"

struct epub {
    struct builder *b;
    char package[512]; /* path of the package file */
    char folder[512];  /* its folder, with '/' */
    struct map items;  /* manifest id -> index into hrefs */
    VEC(char *) hrefs;
    VEC(size_t) spine;
    bool title;
};

static bool container_see(void *user, const struct xml_view *v)
{
    struct epub *e = user;
    if (v->event == XML_OPEN && strcmp(v->name, "rootfile") == 0 && !e->package[0])
        xml_attribute(v->xml, "full-path", e->package, sizeof e->package);
    return true;
}

static void item_add(struct epub *e, const struct xml_view *v)
{
    char id[256], href[512];
    if (!xml_attribute(v->xml, "id", id, sizeof id) ||
        !xml_attribute(v->xml, "href", href, sizeof href))
        return;
    char *copy = mem_strdup(href);
    if (copy && vec_push(&e->hrefs, copy))
        map_put(&e->items, id, strlen(id), e->hrefs.count - 1);
    else
        mem_free(copy);
}

static bool package_see(void *user, const struct xml_view *v)
{
    struct epub *e = user;
    char id[256];
    uint64_t index;
    if (v->event == XML_TEXT) {
        if (e->title)
            builder_title(e->b, v->text, v->len);
        return true;
    }
    e->title = v->event == XML_OPEN && strcmp(v->name, "title") == 0;
    if (v->event == XML_OPEN && strcmp(v->name, "item") == 0)
        item_add(e, v);
    else if (v->event == XML_OPEN && strcmp(v->name, "itemref") == 0 &&
             xml_attribute(v->xml, "idref", id, sizeof id) &&
             map_find(&e->items, id, strlen(id), &index))
        vec_push(&e->spine, (size_t)index);
    return true;
}

static bool want_part(const char *name)
{
    static const char *const ends[] = {".xml", ".opf", ".xhtml", ".html", ".htm"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len > strlen(ends[i]) && strcmp(name + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* "%20" and kin; in place. */
static void percent_decode(char *s)
{
    char *out = s;
    unsigned byte;
    for (; *s; s++, out++) {
        if (*s == '%' && s[1] && s[2] && sscanf(s + 1, "%2x", &byte) == 1 && byte) {
            *out = (char)byte;
            s += 2;
        } else {
            *out = *s;
        }
    }
    *out = '\0';
}

static void chapter_add(struct epub *e, const struct zip *z, char *href, size_t *read)
{
    char path[1100];
    struct sooth_error err;
    percent_decode(href);
    href[strcspn(href, "#")] = '\0';
    snprintf(path, sizeof path, "%s%s", e->folder, href);
    const struct zip_entry *chapter = zip_find(z, path);
    if (!chapter)
        builder_warn(e->b, "chapter '%s' is missing", href);
    else if (docfmt_html_walk(buf_str(&chapter->data), chapter->data.len, e->b, &err) != SOOTH_OK)
        builder_warn(e->b, "chapter '%s' was not read: %s", href, err.text);
    else
        (*read)++;
}

static enum sooth_status book_read(struct epub *e, const struct zip *z, struct sooth_error *err)
{
    const struct zip_entry *container = zip_find(z, "META-INF/container.xml");
    if (!container)
        return err_set(err, SOOTH_ERR_FORMAT, "it has no META-INF/container.xml");
    enum sooth_status s =
        xml_walk(buf_str(&container->data), container->data.len, container_see, e, err);
    const struct zip_entry *package = s ? NULL : zip_find(z, e->package);
    if (!s && !package)
        return err_set(err, SOOTH_ERR_FORMAT, "its package file is missing");
    const char *slash = strrchr(e->package, '/');
    if (slash)
        snprintf(e->folder, sizeof e->folder, "%.*s", (int)(slash - e->package + 1), e->package);
    if (!s)
        s = xml_walk(buf_str(&package->data), package->data.len, package_see, e, err);
    size_t read = 0;
    for (size_t i = 0; i < e->spine.count && !s; i++)
        chapter_add(e, z, e->hrefs.items[e->spine.items[i]], &read);
    builder_encoding(e->b, "utf-8");
    return s || read ? s : err_set(err, SOOTH_ERR_FORMAT, "none of its chapters can be read");
}

static enum sooth_status epub_parse(const struct doc_input *in, struct builder *b,
                                    struct sooth_error *err)
{
    struct zip z;
    struct epub e = {.b = b};
    enum sooth_status s = zip_read(in->data, in->len, want_part, &z, err);
    if (s)
        return s;
    map_init(&e.items);
    s = book_read(&e, &z, err);
    for (size_t i = 0; i < e.hrefs.count; i++)
        mem_free(e.hrefs.items[i]);
    vec_free(&e.hrefs);
    vec_free(&e.spine);
    map_release(&e.items);
    zip_release(&z);
    return s;
}

static int epub_sniff(const unsigned char *data, size_t len)
{
    return zip_mentions(data, len, "META-INF/container.xml") ? 95 : 0;
}

const struct docfmt docfmt_epub = {
    .name = "epub",
    .about = "electronic books",
    .extensions = "epub",
    .zip = true,
    .sniff = epub_sniff,
    .parse = epub_parse,
};
