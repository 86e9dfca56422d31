/* kb.c: opening a knowledge base, and which embedder belongs to it.
 *
 * Nothing is loaded before it is needed: `docs`, `forget` and text search never touch a model.
 * Whoever needs vectors calls kb_embedder, which loads the model once and compares its fingerprint
 * with the store's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/retrieve/kbase.h"

#define DEFAULT_EMBEDDER "e5"
enum { CHUNK_TOKENS_MIN = 64 };

static const char *const metric_names[] = {"cosine", "dot", "l2", "l1"};

size_t kb_overlap(size_t tokens)
{
    return tokens / 8;
}

/* A file's name is remembered as a path that works from anywhere; short names and URLs stay as they
 * are. */
static char *lasting_name(const char *name)
{
    char *full = strstr(name, "://") || !strchr(name, '/') ? NULL : realpath(name, NULL);
    char *out = mem_strdup(full ? full : name);
    free(full); /* allowed: realpath gave it */
    return out;
}

static enum sooth_status check_settings(struct sooth_kb *kb, const struct sooth_kb_options *o,
                                        struct sooth_error *err)
{
    const struct store_embedder *se = store_embedder(kb->store);
    enum metric remembered;
    if (o->metric && !metric_parse(o->metric, &kb->metric))
        return err_set(err, SOOTH_ERR_ARG, "unknown metric '%s': it is cosine, dot, l2 or l1",
                       o->metric);
    if (o->chunk_tokens && o->chunk_tokens < CHUNK_TOKENS_MIN)
        return err_set(err, SOOTH_ERR_ARG, "passages of %zu tokens are too small: %d is the least",
                       o->chunk_tokens, CHUNK_TOKENS_MIN);
    const struct splitter *how = splitter_find(o->split);
    if (!how)
        return err_set(err, SOOTH_ERR_ARG, "unknown way of splitting '%s': sooth list splitters shows them",
                       o->split);
    kb->metric_asked = o->metric != NULL;
    kb->split = o->split;
    if (!se->fingerprint)
        return SOOTH_OK;
    if (!metric_parse(se->metric, &remembered))
        return err_set(err, SOOTH_ERR_FORMAT, "knowledge base '%s' is damaged: its metric is '%s'",
                       store_path(kb->store), se->metric);
    if (o->metric && remembered != kb->metric)
        return err_set(
            err, SOOTH_ERR_ARG,
            "knowledge base '%s' uses the metric '%s', not '%s': it is fixed when it is made",
            store_path(kb->store), se->metric, o->metric);
    kb->metric = remembered;
    if (o->split && splitter_find(se->split) != how && !o->reembed) {
        err_set(err, SOOTH_ERR_ARG, "knowledge base '%s' cuts documents by '%s', not by '%s'",
                store_path(kb->store), se->split ? se->split : splitter_at(0, NULL), o->split);
        return err_hint(err, "sooth add --kb %s --reembed --split %s cuts and embeds it all again",
                        store_path(kb->store), o->split),
               SOOTH_ERR_ARG;
    }
    if (o->chunk_tokens && o->chunk_tokens != se->chunk_tokens && !o->reembed) {
        err_set(err, SOOTH_ERR_ARG, "knowledge base '%s' has passages of %zu tokens, not %zu",
                store_path(kb->store), se->chunk_tokens, o->chunk_tokens);
        return err_hint(
                   err,
                   "sooth add --kb %s --reembed --chunk-tokens %zu cuts and embeds it all again",
                   store_path(kb->store), o->chunk_tokens),
               SOOTH_ERR_ARG;
    }
    return SOOTH_OK;
}

static enum sooth_status open_inside(struct sooth_kb *kb, const char *dir,
                                     const struct sooth_kb_options *o, struct sooth_error *err)
{
    unsigned flags = (o->read_only ? STORE_READ_ONLY : 0) | (o->create ? STORE_CREATE : 0);
    const struct embedder *e;
    enum sooth_status status = store_open(dir, flags, &kb->store, err);
    if (status == SOOTH_OK)
        status = check_settings(kb, o, err);
    if (status != SOOTH_OK)
        return status;
    kb->wanted = o->embedder ? lasting_name(o->embedder) : NULL;
    if (o->embedder && !kb->wanted)
        return err_nomem(err);
    const struct store_embedder *se = store_embedder(kb->store);
    if (o->reembed) {
        status = embedder_open(kb->wanted ? kb->wanted
                               : se->name ? se->name
                                          : DEFAULT_EMBEDDER,
                               kb->threads, &kb->embedder, err);
        return status == SOOTH_OK ? kb_reembed(kb, kb->embedder, err) : status;
    }
    if (kb->wanted && se->name && strcmp(kb->wanted, se->name) != 0)
        return kb_embedder(kb, &e, err); /* perhaps the same model under another name */
    return SOOTH_OK;
}

enum sooth_status sooth_kb_open(const char *dir, const struct sooth_kb_options *options,
                                struct sooth_kb **out, struct sooth_error *err)
{
    const struct sooth_kb_options none = {0};
    const struct sooth_kb_options *o = options ? options : &none;
    *out = NULL;
    struct sooth_kb *kb = mem_calloc(1, sizeof *kb);
    if (!kb)
        return err_nomem(err);
    kb->threads = o->threads;
    kb->chunk_tokens = o->chunk_tokens;
    enum sooth_status status = open_inside(kb, dir, o, err);
    if (status != SOOTH_OK) {
        sooth_kb_close(kb);
        return status;
    }
    *out = kb;
    return SOOTH_OK;
}

void sooth_kb_close(struct sooth_kb *kb)
{
    if (!kb)
        return;
    sooth_reader_close(kb->reader);
    embedder_close(kb->embedder);
    store_close(kb->store);
    mem_free(kb->wanted);
    mem_free(kb);
}

struct store *kb_store(struct sooth_kb *kb)
{
    return kb->store;
}

static enum sooth_status load(struct sooth_kb *kb, struct sooth_error *err)
{
    const struct store_embedder *se = store_embedder(kb->store);
    if (kb->embedder)
        return SOOTH_OK;
    const char *name = kb->wanted ? kb->wanted : se->name ? se->name : DEFAULT_EMBEDDER;
    enum sooth_status status = embedder_open(name, kb->threads, &kb->embedder, err);
    if (status != SOOTH_OK && !kb->wanted && se->name)
        err_prefix(err, "the embedder of knowledge base '%s'", store_path(kb->store));
    return status;
}

enum sooth_status kb_embedder(struct sooth_kb *kb, const struct embedder **out,
                              struct sooth_error *err)
{
    *out = NULL;
    enum sooth_status status = load(kb, err);
    if (status != SOOTH_OK)
        return status;
    const struct store_embedder *se = store_embedder(kb->store);
    const struct embedder *e = kb->embedder;
    if (se->fingerprint && (strcmp(se->fingerprint, e->fingerprint) != 0 || se->dim != e->dim)) {
        const struct store_embedder other = {e->name,
                                             e->fingerprint,
                                             metric_names[kb->metric],
                                             e->query_prefix,
                                             e->passage_prefix,
                                             e->dim,
                                             0,
                                             NULL};
        status = store_embedder_set(kb->store, &other, false, err); /* says what is wrong */
        if (status != SOOTH_OK)
            return status;
    }
    *out = e;
    return SOOTH_OK;
}

enum sooth_status kb_reader(struct sooth_kb *kb, const struct sooth_reader **out, struct sooth_error *err)
{
    const struct embedder *e;
    *out = NULL;
    enum sooth_status status = kb_embedder(kb, &e, err);
    if (status == SOOTH_OK && !kb->reader_sought) {
        status = embedder_reader(e, &kb->reader, err);
        kb->reader_sought = status == SOOTH_OK;
    }
    if (status == SOOTH_OK)
        *out = kb->reader;
    return status;
}

enum sooth_status kb_embedder_write(struct sooth_kb *kb, const struct embedder *e, bool replace,
                                    struct sooth_error *err)
{
    size_t tokens = kb->chunk_tokens ? kb->chunk_tokens : e->chunk_tokens;
    float *centres = mem_array(SCRIPTS * e->dim, sizeof *centres);
    const struct store_embedder mine = {e->name,
                                        e->fingerprint,
                                        metric_names[kb->metric],
                                        e->query_prefix,
                                        e->passage_prefix,
                                        e->dim,
                                        tokens < e->limit ? tokens : e->limit,
                                        centres,
                                        kb->split};
    enum sooth_status status = centres ? embedder_centres(e, centres, err) : err_nomem(err);
    if (status == SOOTH_OK)
        status = store_embedder_set(kb->store, &mine, replace, err);
    mem_free(centres);
    return status;
}

enum sooth_status kb_embedder_claim(struct sooth_kb *kb, const struct embedder **out,
                                    struct sooth_error *err)
{
    enum sooth_status status = load(kb, err);
    if (status != SOOTH_OK)
        return status;
    const struct embedder *e = kb->embedder;
    const struct store_embedder *se = store_embedder(kb->store);
    if (se->fingerprint && strcmp(se->fingerprint, e->fingerprint) == 0 && se->dim == e->dim) {
        *out = e;
        return SOOTH_OK;
    }
    status = kb_embedder_write(kb, e, false, err);
    if (status != SOOTH_OK)
        return status;
    metric_parse(store_embedder(kb->store)->metric, &kb->metric);
    *out = e;
    return SOOTH_OK;
}

enum sooth_status kb_page_at(struct sooth_kb *kb, int64_t chunk, size_t offset, size_t *page,
                             char **label, struct sooth_error *err)
{
    struct store_passage p;
    *page = 0;
    *label = NULL;
    enum sooth_status status = store_passage(kb->store, chunk, &p, err);
    if (status != SOOTH_OK)
        return status;
    int64_t doc = p.doc_id;
    store_passage_release(&p);
    return store_page_at(kb->store, doc, offset, page, label, err);
}

enum sooth_status kb_table_header(struct sooth_kb *kb, int64_t chunk, struct buf *out,
                                  struct sooth_error *err)
{
    struct store_passage p;
    enum sooth_status status = store_passage(kb->store, chunk, &p, err);
    if (status != SOOTH_OK)
        return status;
    int64_t doc = p.doc_id;
    size_t start = p.header_start, end = p.header_end;
    store_passage_release(&p);
    return store_text(kb->store, doc, start, end, out, err);
}
