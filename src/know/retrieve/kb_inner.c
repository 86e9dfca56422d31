/* kb_inner.c: files inside files, as documents of the knowledge base.
 *
 * What the parser found in an archive or as an attachment is a document named by its path inside:
 * "/home/ann/pack.zip/deep/note.txt". It is searched, filtered, cited and forgotten like any other. It
 * belongs to the file it came from: when that changes, members that are no longer in it go; when that is
 * forgotten, all of them go. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "know/retrieve/kbase.h"

static char *path_join(const char *a, const char *b)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", a, b);
    return buf_take(&path);
}

/* The store has these very bytes, parsed the same way. */
static bool store_has(struct sooth_kb *kb, const struct intake *in, const char *parse_key)
{
    struct store_doc_info info;
    return store_find(kb->store, in->doc, &info, NULL) == SOOTH_OK &&
           strcmp(info.hash, in->hash) == 0 && strcmp(info.parse, parse_key) == 0;
}

static struct intake *inner_new(struct sooth_kb *kb, const struct intake *outer,
                                struct doc_member *m, const char *parse_key)
{
    struct intake *in = mem_calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->heap = true;
    in->own_file = path_join(outer->file, m->name);
    in->own_doc = path_join(outer->doc, m->name);
    in->file = in->own_file;
    in->doc = in->own_doc;
    if (!in->file || !in->doc) {
        intake_free(in);
        return NULL;
    }
    memcpy(in->hash, m->hash, sizeof in->hash);
    in->source_bytes = m->bytes;
    in->started = clock_seconds();
    in->status = m->status;
    in->why = m->why;
    in->parsed = m->document;
    memset(&m->document, 0, sizeof m->document);
    in->same = m->status == SOOTH_OK && store_has(kb, in, parse_key);
    return in;
}

void intake_free(struct intake *in)
{
    intake_release(in);
    if (!in->heap)
        return;
    mem_free(in->own_file);
    mem_free(in->own_doc);
    mem_free(in);
}

enum sooth_status inner_take(struct sooth_kb *kb, struct intake *outer, const char *parse_key,
                             struct inner *out, struct sooth_error *err)
{
    struct document *d = &outer->parsed;
    for (size_t i = 0; i < d->member_count; i++) {
        struct intake *in = inner_new(kb, outer, &d->members[i], parse_key);
        if (!in || !vec_push(&out->items, in)) {
            if (in)
                intake_free(in);
            inner_release(out, 0);
            return err_nomem(err);
        }
    }
    return SOOTH_OK;
}

void inner_release(struct inner *list, size_t from)
{
    for (size_t i = from; i < list->items.count; i++)
        intake_free(list->items.items[i]);
    vec_free(&list->items);
}

/* ---- what went away ---- */

struct below {
    const char *doc; /* the file */
    size_t len;
    const struct map *keep; /* identities that stay; NULL = none */
    VEC(char *) gone;
    bool failed;
};

static bool below_see(void *user, const struct store_doc_info *d)
{
    struct below *b = user;
    if (strncmp(d->doc, b->doc, b->len) != 0 || d->doc[b->len] != '/' ||
        (b->keep && map_find(b->keep, d->doc, strlen(d->doc), NULL)))
        return true;
    char *name = mem_strdup(d->doc);
    if (!name || !vec_push(&b->gone, name)) {
        mem_free(name);
        b->failed = true;
    }
    return !b->failed;
}

static enum sooth_status below_forget(struct sooth_kb *kb, const char *doc, const struct map *keep,
                                      struct sooth_error *err)
{
    struct below b = {.doc = doc, .len = strlen(doc), .keep = keep};
    enum sooth_status status = store_docs(kb->store, below_see, &b, err);
    if (b.failed)
        status = err_nomem(err);
    for (size_t i = 0; i < b.gone.count; i++) {
        if (status == SOOTH_OK)
            status = store_forget(kb->store, b.gone.items[i], err);
        if (status == SOOTH_ERR_NOTFOUND) /* another process was faster */
            status = SOOTH_OK;
        mem_free(b.gone.items[i]);
    }
    vec_free(&b.gone);
    return status;
}

enum sooth_status inner_forget_all(struct sooth_kb *kb, const char *doc, struct sooth_error *err)
{
    return below_forget(kb, doc, NULL, err);
}

enum sooth_status inner_forget_stale(struct sooth_kb *kb, const struct intake *outer,
                                     const struct inner *list, struct sooth_error *err)
{
    struct map keep;
    bool failed = false;
    map_init(&keep);
    for (size_t i = 0; i < list->items.count; i++) {
        const char *doc = list->items.items[i]->doc;
        failed = !map_put(&keep, doc, strlen(doc), 1) || failed;
    }
    enum sooth_status status = failed ? err_nomem(err) : below_forget(kb, outer->doc, &keep, err);
    map_release(&keep);
    return status;
}

/* ---- what a file says of itself ---- */

bool tags_merge(const struct document *d, const struct sooth_tag *tags, size_t n,
                struct sooth_tag **out, size_t *count)
{
    *out = mem_array(n + d->meta_count + 1, sizeof **out);
    *count = 0;
    if (!*out)
        return false;
    for (size_t i = 0; i < n; i++)
        (*out)[(*count)++] = tags[i];
    for (size_t i = 0; i < d->meta_count; i++) {
        bool taken = false; /* what the user says counts more, and a key has one value */
        for (size_t k = 0; k < *count && !taken; k++)
            taken = strcmp((*out)[k].key, d->meta[i].key) == 0;
        if (!taken)
            (*out)[(*count)++] = (struct sooth_tag){d->meta[i].key, d->meta[i].value};
    }
    return true;
}

bool meta_recall(struct arena *a, const char *stored, struct document *d)
{
    static const char *const keys[] = {"author", "from", "to", "cc", "date"};
    const struct json *j = json_parse(a, stored, strlen(stored), 0, NULL, NULL);
    d->meta = mem_calloc(sizeof keys / sizeof *keys, sizeof *d->meta);
    for (size_t i = 0; d->meta && i < sizeof keys / sizeof *keys; i++) {
        const char *value = json_string(j, keys[i], NULL);
        if (!value)
            continue;
        struct doc_meta *m = &d->meta[d->meta_count++];
        m->key = mem_strdup(keys[i]);
        m->value = mem_strdup(value);
        if (!m->key || !m->value)
            return false;
    }
    return d->meta != NULL;
}
