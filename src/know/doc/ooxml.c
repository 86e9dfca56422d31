/* ooxml.c: relations, properties and pictures of Office files; see ooxml.h. */
#include "know/doc/ooxml.h"
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/xml.h"

struct reading {
    struct ooxml_rels *out;
    const char *folder; /* of the part, with '/' */
    size_t folder_len;
    bool failed;
};

/* "../media/x.png" seen from "ppt/slides/" is "ppt/media/x.png"; "/ppt/x" is "ppt/x". */
static char *target_path(const struct reading *r, const char *target)
{
    struct buf path = BUF_INIT;
    if (target[0] != '/')
        buf_add(&path, r->folder, r->folder_len);
    for (const char *p = target + strspn(target, "/"); *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (path.len > 0 && path.data[--path.len] == '/')
                continue;
            while (path.len > 0 && path.data[path.len - 1] != '/')
                path.len--;
        } else if (!(n == 1 && p[0] == '.')) {
            buf_add(&path, p, n);
            if (p[n] == '/')
                buf_putc(&path, '/');
        }
        p += n + (p[n] == '/');
    }
    if (path.data != NULL && !path.failed)
        path.data[path.len] = '\0';
    else
        buf_puts(&path, "");
    return buf_take(&path);
}

static bool rel_see(void *user, const struct xml_view *v)
{
    struct reading *r = user;
    char id[128], type[256], target[512], mode[32];
    if (v->event != XML_OPEN || strcmp(v->name, "Relationship") != 0 ||
        !xml_attribute(v->xml, "Id", id, sizeof id) ||
        !xml_attribute(v->xml, "Target", target, sizeof target))
        return true;
    if (xml_attribute(v->xml, "TargetMode", mode, sizeof mode) && strcasecmp(mode, "External") == 0)
        return true;
    if (!xml_attribute(v->xml, "Type", type, sizeof type))
        type[0] = '\0';
    struct ooxml_rel rel = {mem_strdup(id), mem_strdup(type), target_path(r, target)};
    if (rel.id == NULL || rel.type == NULL || rel.target == NULL ||
        !vec_push(&r->out->items, rel)) {
        mem_free(rel.id);
        mem_free(rel.type);
        mem_free(rel.target);
        r->failed = true;
    }
    return !r->failed;
}

enum sooth_status ooxml_rels_read(const struct zip *z, const char *part, struct ooxml_rels *out,
                                  struct sooth_error *err)
{
    const char *slash = strrchr(part, '/'), *name = slash != NULL ? slash + 1 : part;
    struct reading r = {out, part, (size_t)(name - part), false};
    struct buf path = BUF_INIT;
    memset(out, 0, sizeof *out);
    bool named = buf_printf(&path, "%.*s_rels/%s.rels", (int)r.folder_len, part, name);
    const struct zip_entry *e = named ? zip_find(z, path.data) : NULL;
    buf_release(&path);
    enum sooth_status s = named ? SOOTH_OK : err_nomem(err);
    if (e != NULL)
        s = xml_walk(buf_str(&e->data), e->data.len, rel_see, &r, err);
    if (s == SOOTH_OK && r.failed)
        s = err_nomem(err);
    if (s != SOOTH_OK)
        ooxml_rels_release(out);
    return s;
}

void ooxml_rels_release(struct ooxml_rels *r)
{
    for (size_t i = 0; i < r->items.count; i++) {
        mem_free(r->items.items[i].id);
        mem_free(r->items.items[i].type);
        mem_free(r->items.items[i].target);
    }
    vec_free(&r->items);
}

const char *ooxml_rel_target(const struct ooxml_rels *r, const char *id)
{
    for (size_t i = 0; i < r->items.count; i++)
        if (strcmp(r->items.items[i].id, id) == 0)
            return r->items.items[i].target;
    return NULL;
}

const char *ooxml_rel_typed(const struct ooxml_rels *r, const char *what)
{
    for (size_t i = 0; i < r->items.count; i++) {
        const char *slash = strrchr(r->items.items[i].type, '/');
        if (slash != NULL && strcmp(slash + 1, what) == 0)
            return r->items.items[i].target;
    }
    return NULL;
}

/* ---- properties ---- */

struct core {
    struct builder *b;
    struct buf text; /* of the open element */
};

static bool core_see(void *user, const struct xml_view *v)
{
    struct core *c = user;
    if (v->event == XML_OPEN) {
        buf_clear(&c->text);
    } else if (v->event == XML_TEXT) {
        buf_add(&c->text, v->text, v->len);
    } else {
        if (strcmp(v->name, "title") == 0)
            builder_title(c->b, buf_str(&c->text), c->text.len);
        else if (strcmp(v->name, "creator") == 0)
            builder_meta(c->b, "author", buf_str(&c->text), c->text.len);
        buf_clear(&c->text);
    }
    return true;
}

void ooxml_core(const struct zip *z, struct builder *b)
{
    const struct zip_entry *core = zip_find(z, "docProps/core.xml");
    struct core c = {b, BUF_INIT};
    if (core != NULL) /* a title is welcome, not needed: what is wrong with it is no error */
        xml_walk(buf_str(&core->data), core->data.len, core_see, &c, NULL);
    buf_release(&c.text);
}

/* ---- pictures ---- */

void ooxml_picture(const struct zip *z, const char *target, const char *description,
                   struct builder *b)
{
    const struct zip_entry *e = target != NULL ? zip_find(z, target) : NULL;
    bool table = b->open && b->block.kind == DOC_TABLE_ROW;
    if (description[0] != '\0') {
        if (!table)
            builder_open(b, DOC_PICTURE, 0);
        builder_puts(b, description);
        if (!table)
            builder_close(b);
    }
    if (e != NULL && doc_name_picture(target))
        builder_part(b, DOC_PART_PICTURE, target, buf_str(&e->data), e->data.len);
}

bool ooxml_want_common(const char *name)
{
    size_t len = strlen(name);
    return strcmp(name, "docProps/core.xml") == 0 ||
           (len > 5 && strcmp(name + len - 5, ".rels") == 0) || doc_name_picture(name);
}
