/* kb_docs.c: listing, forgetting, compacting, checking a knowledge base.
 *
 * A document may be named by its identity, by any path that leads to it, or by its file name where
 * only one has it. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/kbase.h"

struct lister {
    sooth_doc_fn *fn;
    void *user;
};

static bool list_one(void *user, const struct store_doc_info *d)
{
    const struct lister *l = user;
    const struct sooth_doc doc = {
        .doc = d->doc,
        .title = d->title ? d->title : "",
        .format = d->format ? d->format : "",
        .encoding = d->encoding,
        .hash = d->hash,
        .chunks = d->chunks,
        .pages = d->pages,
        .bytes = d->source_bytes,
        .added = d->added,
    };
    return l->fn(l->user, &doc);
}

enum sooth_status sooth_kb_docs(struct sooth_kb *kb, sooth_doc_fn *fn, void *user,
                                struct sooth_error *err)
{
    struct lister l = {fn, user};
    enum sooth_status status = store_docs(kb->store, list_one, &l, err);
    return status == SOOTH_ERR_CANCELLED ? SOOTH_OK : status;
}

struct candidates {
    const char *name;
    struct buf list;
    char *doc;
    size_t n;
    bool failed;
};

static bool match_name(void *user, const struct store_doc_info *d)
{
    struct candidates *c = user;
    const char *slash = strrchr(d->doc, '/');
    if (!slash || strcmp(slash + 1, c->name) != 0)
        return true;
    buf_printf(&c->list, "%s'%s'", c->n ? ", " : "", d->doc);
    if (c->n++ == 0)
        c->failed |= !(c->doc = mem_strdup(d->doc));
    return !c->failed && !c->list.failed;
}

/* *out is the identity, owned by the caller. */
static enum sooth_status resolve(struct sooth_kb *kb, const char *name, char **out,
                                 struct sooth_error *err)
{
    struct store_doc_info info;
    struct candidates c = {.name = name};
    char *tries[] = {mem_strdup(name), walk_identity(name)};
    enum sooth_status status = tries[0] && tries[1] ? SOOTH_ERR_NOTFOUND : err_nomem(err);
    *out = NULL;
    for (int i = 0; i < 2; i++) {
        if (status == SOOTH_ERR_NOTFOUND &&
            (status = store_find(kb->store, tries[i], &info, err)) == SOOTH_OK) {
            *out = tries[i];
            tries[i] = NULL;
        }
        mem_free(tries[i]);
    }
    if (status != SOOTH_ERR_NOTFOUND)
        return status;
    buf_init(&c.list, 0);
    status = store_docs(kb->store, match_name, &c, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    else if (status == SOOTH_OK && c.n == 0) {
        status = err_set(err, SOOTH_ERR_NOTFOUND, "no document '%s' in the knowledge base '%s'",
                         name, store_path(kb->store));
        err_hint(err, "sooth docs lists them");
    } else if (status == SOOTH_OK && c.n > 1) {
        status = err_set(err, SOOTH_ERR_ARG, "'%s' may be %s", name, buf_str(&c.list));
        err_hint(err, "give the whole path");
    }
    if (status == SOOTH_OK)
        *out = c.doc;
    else
        mem_free(c.doc);
    buf_release(&c.list);
    return status;
}

/* A file and what was found inside it, in one transaction. */
static enum sooth_status forget_with_inner(struct sooth_kb *kb, const char *identity,
                                           struct sooth_error *err)
{
    enum sooth_status status = store_write_begin(kb->store, err);
    if (status != SOOTH_OK)
        return status;
    status = inner_forget_all(kb, identity, err);
    if (status == SOOTH_OK)
        status = store_forget(kb->store, identity, err);
    enum sooth_status end = store_end(kb->store, status == SOOTH_OK, err);
    return status == SOOTH_OK ? end : status;
}

enum sooth_status sooth_kb_forget(struct sooth_kb *kb, const char *doc, struct sooth_error *err)
{
    char *identity;
    enum sooth_status status = resolve(kb, doc, &identity, err);
    if (status == SOOTH_OK)
        status = forget_with_inner(kb, identity, err);
    mem_free(identity);
    return status;
}

enum sooth_status sooth_kb_compact(struct sooth_kb *kb, uint64_t *before, uint64_t *after,
                                   struct sooth_error *err)
{
    return store_compact(kb->store, before, after, err);
}

enum sooth_status sooth_kb_check(struct sooth_kb *kb, sooth_line_fn *fn, void *user,
                                 size_t *problems, struct sooth_error *err)
{
    size_t n = 0;
    enum sooth_status status = store_check(kb->store, fn, user, &n, err);
    if (problems)
        *problems = n;
    return status;
}

static bool count_doc(void *user, const struct store_doc_info *d)
{
    struct sooth_kb_info *info = user;
    info->docs++;
    info->chunks += d->chunks;
    return true;
}

enum sooth_status sooth_kb_info(struct sooth_kb *kb, struct sooth_kb_info *out,
                                struct sooth_error *err)
{
    const struct store_embedder *e = store_embedder(kb->store);
    *out = (struct sooth_kb_info){
        .path = store_path(kb->store),
        .embedder = e->name,
        .metric = e->metric,
        .fingerprint = e->fingerprint,
        .dim = e->dim,
        .chunk_tokens = e->chunk_tokens,
        .bytes = store_bytes(kb->store),
        .schema = STORE_SCHEMA,
    };
    return store_docs(kb->store, count_doc, out, err);
}
