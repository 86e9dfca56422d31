/* kb_ingest.c: one document from parsed text to rows: cut, find the vectors that exist, embed the
 * rest, store.
 *
 * Passages are embedded in batches that reach across documents, so that many small files keep the
 * cores as busy as one big one. A passage whose context was embedded before, in this document or
 * another, is never embedded again. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "know/retrieve/doc_pack.h"
#include "know/retrieve/kbase.h"

enum { BATCH = 64 }; /* passages a call of the embedder */

void intake_release(struct intake *in)
{
    document_release(&in->parsed);
    chunks_release(&in->chunks);
    mem_free(in->vectors);
    mem_free(in->ready);
    in->vectors = NULL;
    in->ready = NULL;
    in->missing = 0;
}

enum sooth_status intake_prepare(struct sooth_kb *kb, const struct embedder *e, struct intake *in,
                                 struct sooth_error *err)
{
    size_t tokens = store_embedder(kb->store)->chunk_tokens, packed = vector_packed(e->dim);
    enum sooth_status status =
        chunk_document(&in->parsed, e, store_embedder(kb->store)->split, tokens, kb_overlap(tokens), &in->chunks, err);
    if (status != SOOTH_OK)
        return status;
    in->vectors = mem_array(in->chunks.count + 1, packed);
    in->ready = mem_calloc(in->chunks.count + 1, sizeof *in->ready);
    if (!in->vectors || !in->ready)
        return err_nomem(err);
    struct buf found = BUF_INIT;
    for (size_t i = 0; i < in->chunks.count && status == SOOTH_OK; i++) {
        buf_clear(&found);
        status = store_vector(kb->store, in->chunks.items[i].hash, &found, &in->ready[i], err);
        if (in->ready[i])
            memcpy(in->vectors + i * packed, found.data, packed);
        in->missing += !in->ready[i];
    }
    buf_release(&found);
    return status;
}

struct batch {
    const char *texts[BATCH];
    size_t lens[BATCH], n;
    struct intake *in[BATCH];
    size_t at[BATCH];
    float *out;
};

static enum sooth_status batch_run(const struct embedder *e, struct batch *b,
                                   struct sooth_error *err)
{
    size_t packed = vector_packed(e->dim);
    enum sooth_status status = b->n ? e->embed(e, false, b->texts, b->lens, b->n, b->out, err)
                                    : SOOTH_OK;
    for (size_t i = 0; i < b->n && status == SOOTH_OK; i++) {
        struct intake *in = b->in[i];
        if (!vector_pack(b->out + i * e->dim, e->dim, in->vectors + b->at[i] * packed))
            return err_set(
                err, SOOTH_ERR_INTERNAL,
                "the embedder '%s' made a vector that is not a number for a passage of '%s'",
                e->name, in->file);
        in->ready[b->at[i]] = true;
        in->missing--;
        in->embedded++;
    }
    b->n = 0;
    return status;
}

static enum sooth_status embed_one(const struct embedder *e, struct intake *in, struct batch *b,
                                   sooth_add_progress_fn *progress, void *user,
                                   struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    size_t total = in->missing + in->embedded;
    for (size_t i = 0; i < in->chunks.count && status == SOOTH_OK; i++) {
        if (in->ready[i])
            continue;
        b->texts[b->n] = in->chunks.items[i].context;
        b->lens[b->n] = in->chunks.items[i].context_len;
        b->in[b->n] = in;
        b->at[b->n++] = i;
        if (b->n < BATCH)
            continue;
        status = batch_run(e, b, err);
        if (status == SOOTH_OK && progress && !progress(user, in->file, in->embedded, total))
            status = err_set(err, SOOTH_ERR_CANCELLED, "stopped while '%s' was being embedded",
                             in->file);
    }
    return status;
}

enum sooth_status intake_embed(const struct embedder *e, struct intake *const *in, size_t n,
                               sooth_add_progress_fn *progress, void *user, struct sooth_error *err)
{
    struct batch *b = mem_calloc(1, sizeof *b);
    float *out = mem_array(BATCH * e->dim, sizeof *out);
    enum sooth_status status = b && out ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK)
        b->out = out;
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = embed_one(e, in[i], b, progress, user, err);
    if (status == SOOTH_OK)
        status = batch_run(e, b, err);
    mem_free(b);
    mem_free(out);
    return status;
}

static struct store_page *pages_of(const struct document *d)
{
    struct store_page *pages = mem_array(d->page_count + 1, sizeof *pages);
    for (size_t i = 0; pages && i < d->page_count; i++)
        pages[i] = (struct store_page){d->pages[i].start, d->pages[i].end, d->pages[i].label};
    return pages;
}

enum sooth_status intake_store(struct sooth_kb *kb, struct intake *in, const struct sooth_tag *tags,
                               size_t n_tags, const char *parse, bool force,
                               struct store_put *result, struct sooth_error *err)
{
    const struct document *d = &in->parsed;
    struct buf blocks = BUF_INIT;
    struct store_page *pages = pages_of(d);
    struct sooth_tag *all = NULL;
    size_t n_all = 0;
    size_t packed = vector_packed(store_embedder(kb->store)->dim);
    if (!pages || !doc_pack(d, &blocks) || !tags_merge(d, tags, n_tags, &all, &n_all)) {
        mem_free(pages);
        buf_release(&blocks);
        return err_nomem(err);
    }
    for (size_t i = 0; i < in->chunks.count; i++)
        in->chunks.items[i].vector = in->vectors + i * packed;
    const struct store_document sd = {
        .doc = in->doc,
        .hash = in->hash,
        .parse = parse,
        .title = d->title,
        .context_title = in->chunks.title,
        .format = d->format,
        .encoding = d->encoding,
        .tags = all,
        .n_tags = n_all,
        .text = d->text ? d->text : "",
        .text_len = d->text_len,
        .source_bytes = in->source_bytes,
        .pages = pages,
        .n_pages = d->page_count,
        .blocks = blocks.data,
        .blocks_len = blocks.len,
        .note = d->warning_count ? d->warnings[0] : NULL,
    };
    enum sooth_status status =
        store_put(kb->store, &sd, in->chunks.items, in->chunks.count, force, result, err);
    mem_free(pages);
    mem_free(all);
    buf_release(&blocks);
    return status;
}

/* --- embedding everything again
 * ------------------------------------------------------------------------------- */

struct docs {
    VEC(char *) names;
};

static bool list_doc(void *user, const struct store_doc_info *d)
{
    struct docs *l = user;
    char *name = mem_strdup(d->doc);
    if (name && vec_push(&l->names, name))
        return true;
    mem_free(name);
    return false;
}

/* The stored parts of a document as if it had just been parsed. Strings are the caller's arena's.
 */
static enum sooth_status document_load(struct store *s, const char *name, struct arena *a,
                                       struct document *d, struct intake *in, char **tags,
                                       char **parse, struct sooth_error *err)
{
    struct store_doc_info info;
    struct buf blocks = BUF_INIT, text = BUF_INIT;
    struct store_page *pages = NULL;
    size_t n_pages = 0;
    enum sooth_status status = store_find(s, name, &info, err);
    if (status != SOOTH_OK)
        return status;
    memcpy(in->hash, info.hash, strlen(info.hash) < 65 ? strlen(info.hash) + 1 : 0);
    in->source_bytes = info.source_bytes;
    *tags = arena_strdup(a, info.tags);
    *parse = arena_strdup(a, info.parse);
    d->format = info.format ? arena_strdup(a, info.format) : NULL;
    d->title = mem_strdup(info.title);
    d->encoding = mem_strdup(info.encoding);
    size_t len = info.text_len;
    status = store_text(s, info.id, 0, len, &text, err);
    if (status == SOOTH_OK)
        status = store_blocks(s, info.id, &blocks, err);
    if (status == SOOTH_OK)
        status = store_pages(s, info.id, &pages, &n_pages, err);
    if (status == SOOTH_OK) {
        d->text_len = text.len;
        d->text = text.len ? buf_take(&text) : mem_strdup("");
        d->pages = mem_calloc(n_pages + 1, sizeof *d->pages);
        for (size_t i = 0; d->pages && i < n_pages; i++)
            d->pages[i] = (struct doc_page){
                .start = pages[i].start, .end = pages[i].end, .label = mem_strdup(pages[i].label)};
        d->page_count = d->pages ? n_pages : 0;
        if (!d->text || !d->pages || a->failed)
            status = err_nomem(err);
        else if (!doc_unpack(blocks.data, blocks.len, len, d))
            status =
                err_set(err, SOOTH_ERR_FORMAT, "the stored structure of '%s' is damaged", name);
    }
    store_pages_free(pages, n_pages);
    buf_release(&blocks);
    buf_release(&text);
    return status;
}

static enum sooth_status tags_parse(struct arena *a, const char *json_text, struct sooth_tag **out,
                                    size_t *n, struct sooth_error *err)
{
    const struct json *tags = json_parse(a, json_text, strlen(json_text), 0, NULL, err);
    *n = 0;
    *out = tags ? arena_calloc(a, tags->len + 1, sizeof **out) : NULL;
    if (!*out)
        return err_nomem(err);
    for (const struct json *t = tags->child; t; t = t->next)
        (*out)[(*n)++] = (struct sooth_tag){t->key, t->text};
    return SOOTH_OK;
}

static enum sooth_status reembed_one(struct sooth_kb *kb, const struct embedder *e,
                                     const char *name, struct sooth_error *err)
{
    struct arena a;
    struct intake in = {.file = name, .doc = name}, *list[] = {&in};
    char *tags_text, *parse;
    struct sooth_tag *tags;
    size_t n_tags, tokens = store_embedder(kb->store)->chunk_tokens, packed = vector_packed(e->dim);
    arena_init(&a, 0);
    enum sooth_status status =
        document_load(kb->store, name, &a, &in.parsed, &in, &tags_text, &parse, err);
    if (status == SOOTH_OK)
        status = tags_parse(&a, tags_text, &tags, &n_tags, err);
    if (status == SOOTH_OK)
        status = chunk_document(&in.parsed, e, store_embedder(kb->store)->split, tokens, kb_overlap(tokens), &in.chunks, err);
    if (status == SOOTH_OK) {
        in.missing = in.chunks.count;
        in.vectors = mem_array(in.chunks.count + 1, packed);
        in.ready = mem_calloc(in.chunks.count + 1, sizeof *in.ready);
        status = in.vectors && in.ready ? intake_embed(e, list, 1, NULL, NULL, err)
                                        : err_nomem(err);
    }
    if (status == SOOTH_OK)
        status = intake_store(kb, &in, tags, n_tags, parse, true, NULL, err);
    intake_release(&in);
    arena_release(&a);
    return status;
}

/* One transaction for everything: readers see the old vectors until the new ones are all there, and
 * a failure leaves the store as it was. */
enum sooth_status kb_reembed(struct sooth_kb *kb, const struct embedder *e, struct sooth_error *err)
{
    struct docs docs = {0};
    enum sooth_status status = store_write_begin(kb->store, err);
    if (status != SOOTH_OK)
        return status;
    status = store_docs(kb->store, list_doc, &docs, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = kb_embedder_write(kb, e, true, err);
    for (size_t i = 0; i < docs.names.count; i++) {
        if (status == SOOTH_OK)
            status = reembed_one(kb, e, docs.names.items[i], err);
        mem_free(docs.names.items[i]);
    }
    vec_free(&docs.names);
    enum sooth_status end = store_end(kb->store, status == SOOTH_OK, err);
    return status == SOOTH_OK ? end : status;
}
