/* postings.c: the full-text index: an inverted list a term.
 *
 *   postings(term, doc) -> data        term = 64-bit key of the segmented term (segment.c)
 *   data: (gap, count) pairs of variable-length integers, one a passage, in order of its place in
 * the document
 *
 * One row a term and document keeps a big document's list in one blob and lets a document be
 * removed or replaced by key, without touching what other documents hold. No text is stored here,
 * only keys.
 *
 * What it leaves out: positions; a phrase is looked for in the text of the passages that have its
 * words (filter.c). */
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/index/segment.h"
#include "know/index/storedb.h"

struct list { /* one term's growing data */
    uint64_t key;
    struct buf data;
    uint32_t last; /* place of the last passage + 1 */
};

struct posting_builder {
    struct map index; /* term key -> list */
    VEC(struct list) lists;
    struct map passage; /* term key -> count in the passage at hand */
    uint32_t length;
    bool failed;
};

struct posting_builder *posting_new(void)
{
    struct posting_builder *b = mem_calloc(1, sizeof *b);
    if (b) {
        map_init(&b->index);
        map_init(&b->passage);
    }
    return b;
}

void posting_free(struct posting_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->lists.count; i++)
        buf_release(&b->lists.items[i].data);
    vec_free(&b->lists);
    map_release(&b->index);
    map_release(&b->passage);
    mem_free(b);
}

static void put_varint(struct buf *b, uint32_t v)
{
    for (; v >= 128; v >>= 7)
        buf_putc(b, (char)(v | 128));
    buf_putc(b, (char)v);
}

static bool get_varint(const unsigned char **p, const unsigned char *end, uint32_t *out)
{
    uint32_t v = 0;
    for (unsigned shift = 0; *p < end && shift < 35; shift += 7) {
        unsigned char byte = *(*p)++;
        v |= (uint32_t)(byte & 127) << (shift < 32 ? shift : 31);
        if (byte < 128) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool count_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct posting_builder *b = user;
    uint64_t key = term_key(term, len), count = 0;
    map_find(&b->passage, &key, sizeof key, &count);
    b->length += term_counts(kind);
    b->failed |= !map_put(&b->passage, &key, sizeof key, count + 1);
    return !b->failed;
}

static bool list_add(struct posting_builder *b, uint64_t key, uint32_t seq, uint32_t count)
{
    uint64_t at = b->lists.count;
    if (!map_find(&b->index, &key, sizeof key, &at)) {
        struct list fresh = {.key = key, .data = BUF_INIT};
        if (!map_put(&b->index, &key, sizeof key, at) || !vec_push(&b->lists, fresh))
            return false;
    }
    struct list *l = &b->lists.items[at];
    put_varint(&l->data, seq + 1 - l->last);
    put_varint(&l->data, count);
    l->last = seq + 1;
    return !l->data.failed;
}

enum sooth_status posting_add(struct posting_builder *b, uint32_t seq, const char *context,
                              size_t len, uint32_t *length, struct sooth_error *err)
{
    map_release(&b->passage);
    map_init(&b->passage);
    b->length = 0;
    enum sooth_status status = segment_text(context, len, count_term, b, err);
    if (status != SOOTH_OK)
        return status;
    size_t at = 0, key_len;
    const char *key_bytes;
    uint64_t key, count;
    while (!b->failed && map_next(&b->passage, &at, &key_bytes, &key_len, &count)) {
        memcpy(&key, key_bytes, sizeof key);
        b->failed = !list_add(b, key, seq, (uint32_t)count);
    }
    *length = b->length;
    return b->failed ? err_nomem(err) : SOOTH_OK;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct list *)a)->key, y = ((const struct list *)b)->key;
    return x < y ? -1 : x > y;
}

/* In order of key, which is the order of the table. The builder takes no more passages after this.
 */
enum sooth_status posting_write(struct posting_builder *b, struct store *s, int64_t doc,
                                struct sooth_error *err)
{
    struct buf terms = BUF_INIT;
    enum sooth_status status = SOOTH_OK;
    if (b->lists.count > 1)
        qsort(b->lists.items, b->lists.count, sizeof *b->lists.items, by_key);
    for (size_t i = 0; i < b->lists.count && status == SOOTH_OK; i++) {
        const struct list *l = &b->lists.items[i];
        buf_add(&terms, &l->key, sizeof l->key);
        status =
            sql_run(s, SQL_POST_ADD, err, "iib", (int64_t)l->key, doc, l->data.data, l->data.len);
    }
    if (status == SOOTH_OK && terms.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = sql_run(s, SQL_TERMS_ADD, err, "ib", doc, terms.data, terms.len);
    buf_release(&terms);
    return status;
}

static enum sooth_status terms_read(struct store *s, int64_t doc, struct buf *out,
                                    struct sooth_error *err)
{
    enum sooth_status status = SOOTH_ERR_NOMEM;
    sqlite3_stmt *q = sql_bind(s, SQL_TERMS_GET, err, "i", doc);
    if (!q)
        return err ? err->status : status;
    if (sql_row(s, q, &status, err)) {
        buf_add(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        sql_done(q);
    }
    return status == SOOTH_OK && out->failed ? err_nomem(err) : status;
}

enum sooth_status posting_drop(struct store *s, int64_t doc, struct sooth_error *err)
{
    struct buf terms = BUF_INIT;
    enum sooth_status status = terms_read(s, doc, &terms, err);
    for (size_t i = 0; i + 8 <= terms.len && status == SOOTH_OK; i += 8) {
        int64_t key;
        memcpy(&key, terms.data + i, 8);
        status = sql_run(s, SQL_POST_DROP, err, "ii", key, doc);
    }
    buf_release(&terms);
    return status == SOOTH_OK ? sql_run(s, SQL_TERMS_DROP, err, "i", doc) : status;
}

enum sooth_status posting_compare(struct posting_builder *b, struct store *s, int64_t doc,
                                  const char *name, sooth_line_fn *fn, void *user, size_t *problems,
                                  struct sooth_error *err)
{
    struct buf terms = BUF_INIT, line = BUF_INIT;
    size_t bad = 0;
    enum sooth_status status = terms_read(s, doc, &terms, err);
    if (status == SOOTH_OK && terms.len != b->lists.count * 8)
        bad++;
    for (size_t i = 0; i < b->lists.count && status == SOOTH_OK; i++) {
        const struct list *l = &b->lists.items[i];
        sqlite3_stmt *q = sql_bind(s, SQL_POST_GET, err, "ii", (int64_t)l->key, doc);
        if (!q) {
            status = SOOTH_ERR_NOMEM;
            break;
        }
        bool same = false;
        if (sql_row(s, q, &status, err)) {
            same = (size_t)sqlite3_column_bytes(q, 0) == l->data.len &&
                   memcmp(sqlite3_column_blob(q, 0), l->data.data, l->data.len) == 0;
            sql_done(q);
        }
        bad += !same;
    }
    if (status == SOOTH_OK && bad > 0) {
        ++*problems;
        if (fn &&
            buf_printf(&line, "'%s': the full-text index differs from its passages in %zu terms",
                       name, bad))
            fn(user, line.data);
    }
    buf_release(&terms);
    buf_release(&line);
    return status;
}

bool posting_decode(const struct snapshot_doc *d, const unsigned char *p, size_t len,
                    struct posting_list *out)
{
    const unsigned char *end = p + len;
    uint32_t place = 0, gap, tf;
    while (p < end) {
        if (!get_varint(&p, end, &gap) || !get_varint(&p, end, &tf) || gap == 0 ||
            gap > d->count - place)
            return true; /* damaged data names no passage; store_check tells */
        place += gap;
        if (!vec_push(out, ((struct posting){(uint32_t)(d->first + place - 1), tf})))
            return false;
    }
    return true;
}
