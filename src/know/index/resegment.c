/* resegment.c: writes the full text anew when this program cuts text into other terms than the one
 * that made the store (SEGMENTER in segment.h). Passages, vectors and ids stay as they are. */
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/index/segment.h"
#include "know/index/storedb.h"

struct one {
    int64_t id;
    char *title;
    size_t text_len;
};
struct all {
    VEC(struct one) list;
};

static bool note(void *user, const struct store_doc_info *d)
{
    struct all *a = user;
    struct one o = {d->id, mem_strdup(d->context_title), d->text_len};
    if ((o.title || !d->context_title) && vec_push(&a->list, o))
        return true;
    mem_free(o.title);
    return false;
}

static enum sooth_status passage(const struct one *d, const struct buf *text, sqlite3_stmt *q,
                                 struct posting_builder *b, struct sooth_error *err)
{
    size_t seq = (size_t)sqlite3_column_int64(q, 1), start = (size_t)sqlite3_column_int64(q, 2),
           end = (size_t)sqlite3_column_int64(q, 3), hs = (size_t)sqlite3_column_int64(q, 5),
           he = (size_t)sqlite3_column_int64(q, 6);
    struct buf context = BUF_INIT;
    uint32_t length;
    if (start > end || end > text->len || hs > he || he > text->len)
        return SOOTH_OK; /* damaged; store_check tells */
    enum sooth_status status =
        store_context(d->title, (const char *)sqlite3_column_text(q, 4), text->data + hs, he - hs,
                      text->data + start, end - start, &context)
            ? posting_add(b, (uint32_t)seq, context.data, context.len, &length, err)
            : err_nomem(err);
    buf_release(&context);
    return status;
}

static enum sooth_status document(struct store *s, const struct one *d, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    struct posting_builder *b = posting_new();
    enum sooth_status status = b ? store_text(s, d->id, 0, d->text_len, &text, err)
                                 : err_nomem(err);
    sqlite3_stmt *q = status == SOOTH_OK ? sql_bind(s, SQL_CHUNK_FULL, err, "i", d->id) : NULL;
    if (status == SOOTH_OK && !q)
        status = SOOTH_ERR_NOMEM;
    while (status == SOOTH_OK && sql_row(s, q, &status, err))
        status = passage(d, &text, q, b, err);
    if (q)
        sql_done(q);
    if (status == SOOTH_OK)
        status = posting_drop(s, d->id, err);
    if (status == SOOTH_OK)
        status = posting_write(b, s, d->id, err);
    posting_free(b);
    buf_release(&text);
    return status;
}

static enum sooth_status rewrite(struct store *s, struct sooth_error *err)
{
    struct all all = {0};
    enum sooth_status status = store_docs(s, note, &all, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    for (size_t i = 0; i < all.list.count; i++) {
        if (status == SOOTH_OK)
            status = document(s, &all.list.items[i], err);
        mem_free(all.list.items[i].title);
    }
    vec_free(&all.list);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_META_SET, err, "ti", "segmenter", (int64_t)SEGMENTER);
    return status == SOOTH_OK ? sql_run(s, SQL_GENERATION_UP, err, "") : status;
}

enum sooth_status store_resegment(struct store *s, struct sooth_error *err)
{
    static const char asked[] = "SELECT value FROM meta WHERE key = 'segmenter'";
    int64_t version = 1; /* stores from before it was written down */
    enum sooth_status status = sql_number(s, asked, &version, err);
    if (status != SOOTH_OK || version == SEGMENTER)
        return status;
    status = store_write_begin(s, err);
    if (status != SOOTH_OK)
        return status;
    status = sql_number(s, asked, &version, err); /* another process may have been quicker */
    if (status == SOOTH_OK && version != SEGMENTER)
        status = rewrite(s, err);
    enum sooth_status end = store_end(s, status == SOOTH_OK, err);
    return status == SOOTH_OK ? end : status;
}
