/* splice.c: sets blocks into a document and takes others out, by writing text and lists anew.
 *
 *   old  [0 heading][1 paragraph][2 row]      list: {after 2, [a][b]}   drop: 1
 *   new  [0 heading][1 a][2 b][3 row]         old -> new: 0 -> 0, 1 -> none, 2 -> 3
 *
 * What pointed to a block points to where it is now, or to none. New blocks stand under the heading
 * before them. */
#include "know/doc/splice.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"

struct weave {
    const struct document *d;
    const bool *drop;
    struct buf text;
    VEC(struct doc_block) blocks;
    VEC(struct doc_cell) cells;
    int32_t *to;     /* [block_count]: where an old block is now, or -1 */
    size_t cell;     /* next of the old cells */
    int32_t heading; /* the last one written */
    size_t last_end; /* of the old block before, when it was kept; else 0 */
};

static void block_put(struct weave *w, struct doc_block b, const char *text, bool tight)
{
    size_t len = b.end - b.start;
    if (w->blocks.count > 0)
        buf_puts(&w->text, tight ? "\n" : "\n\n");
    b.start = w->text.len;
    buf_add(&w->text, text, len);
    b.end = w->text.len;
    vec_push(&w->blocks, b);
}

static int32_t moved(const struct weave *w, int32_t old)
{
    return old >= 0 ? w->to[old] : -1;
}

static void old_put(struct weave *w, size_t i)
{
    struct doc_block b = w->d->blocks[i];
    const struct document *d = w->d;
    bool tight = w->last_end > 0 && b.start - w->last_end == 1;
    size_t first = w->cell;
    while (w->cell < d->cell_count && d->cells[w->cell].block <= i)
        w->cell++;
    if (w->drop != NULL && w->drop[i]) {
        w->to[i] = -1;
        w->last_end = 0;
        return;
    }
    w->to[i] = (int32_t)w->blocks.count;
    w->last_end = b.end;
    size_t old_start = b.start;
    b.heading = moved(w, b.heading);
    b.header = moved(w, b.header);
    if (b.kind == DOC_HEADING)
        w->heading = w->to[i];
    block_put(w, b, d->text + old_start, tight);
    if (w->blocks.failed)
        return;
    size_t start = w->blocks.items[w->blocks.count - 1].start;
    for (size_t k = first; k < w->cell; k++) {
        struct doc_cell c = d->cells[k];
        c.start = (uint32_t)(c.start - old_start + start);
        c.end = (uint32_t)(c.end - old_start + start);
        c.block = (uint32_t)w->to[i];
        vec_push(&w->cells, c);
    }
}

static void new_put(struct weave *w, const struct splice *s)
{
    for (size_t i = 0; i < s->from->block_count; i++) {
        struct doc_block b = s->from->blocks[i];
        b.heading = w->heading;
        b.header = -1;
        b.page = s->page;
        b.level = s->picture ? 0 : b.level;
        b.kind = s->picture ? DOC_PICTURE : b.kind;
        block_put(w, b, s->from->text + b.start, false);
    }
    w->last_end = s->from->block_count > 0 ? 0 : w->last_end;
}

static void pages_anew(struct document *d)
{
    size_t block = 0;
    d->empty_pages = 0;
    for (size_t p = 0; p < d->page_count; p++) {
        struct doc_page *page = &d->pages[p];
        page->start = page->end = p > 0 ? d->pages[p - 1].end : 0;
        page->chars = 0;
        for (bool first = true; block < d->block_count && d->blocks[block].page == p + 1; block++) {
            if (first)
                page->start = d->blocks[block].start;
            first = false;
            page->end = d->blocks[block].end;
        }
        for (size_t i = page->start, n; i < page->end; i += n) {
            uint32_t c = utf8_decode(d->text + i, page->end - i, &n);
            page->chars += c != ' ' && c != '\n' && c != '\t' && c != 0x3000 && c != 0xa0;
        }
        d->empty_pages += page->chars == 0;
    }
}

enum sooth_status document_splice(struct document *d, const struct splice *list, size_t n,
                                  const bool *drop, struct sooth_error *err)
{
    struct weave w = {.d = d, .drop = drop, .heading = -1};
    size_t next = 0;
    w.to = mem_array(d->block_count + 1, sizeof *w.to);
    for (size_t i = 0; w.to != NULL && i <= d->block_count; i++) {
        while (next < n && list[next].after <= i)
            new_put(&w, &list[next++]);
        if (i < d->block_count)
            old_put(&w, i);
    }
    if (w.text.data == NULL)
        buf_puts(&w.text, "");
    mem_free(w.to);
    if (w.to == NULL || w.text.failed || w.blocks.failed || w.cells.failed) {
        buf_release(&w.text);
        vec_free(&w.blocks);
        vec_free(&w.cells);
        return err_nomem(err);
    }
    mem_free(d->text);
    mem_free(d->blocks);
    mem_free(d->cells);
    d->text_len = w.text.len;
    d->text = buf_take(&w.text);
    d->blocks = w.blocks.items;
    d->block_count = w.blocks.count;
    d->cells = w.cells.items;
    d->cell_count = w.cells.count;
    d->no_text = d->block_count == 0;
    pages_anew(d);
    return SOOTH_OK;
}
