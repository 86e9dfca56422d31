/* docwire.c: the small binary form in which a worker hands over a document.
 *
 *   "sdoc" u32 status
 *   status not OK:  string text, string hint
 *   status OK:      string title, format, encoding, text   (u32 length, bytes; length ~0 = NULL)
 *                   u32 flags
 *                   u32 blocks   { u32 start, end, heading, header, page, kind | level << 8 }
 *                   u32 pages    { u32 start, end, chars, quality * 1000, string label }
 *                   u32 warnings { string }
 *                   u32 cells    { u32 start, end, block, column }
 *                   u32 meta     { string key, value }
 *                   u32 parts    { string name, u32 kind, after, length, bytes }
 *
 * All integers little-endian. A worker that was taken over can write anything here, so the reader
 * checks that strings are UTF-8 without NUL, spans ascend inside the text on character boundaries,
 * and indices point back. */
#include "know/doc/docwire.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "know/doc/builder.h"
#include "know/doc/docfmt.h"

#define NO_STRING 0xffffffffu

static void put_u32(struct buf *b, uint64_t v)
{
    unsigned char p[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 24)};
    buf_add(b, p, 4);
}

static void put_string(struct buf *b, const char *s, size_t len)
{
    put_u32(b, s == NULL ? NO_STRING : len);
    if (s != NULL)
        buf_add(b, s, len);
}

static void put_cstr(struct buf *b, const char *s)
{
    put_string(b, s, s == NULL ? 0 : strlen(s));
}

bool docwire_put(struct buf *out, enum sooth_status status, const struct document *d,
                 const struct sooth_error *e)
{
    buf_add(out, "sdoc", 4);
    put_u32(out, status);
    if (status != SOOTH_OK) {
        put_cstr(out, e->text);
        put_cstr(out, e->hint);
        return !out->failed;
    }
    put_cstr(out, d->title);
    put_cstr(out, d->format);
    put_cstr(out, d->encoding);
    put_string(out, d->text, d->text_len);
    put_u32(out, d->no_text);
    put_u32(out, d->block_count);
    for (size_t i = 0; i < d->block_count; i++) {
        const struct doc_block *k = &d->blocks[i];
        put_u32(out, k->start);
        put_u32(out, k->end);
        put_u32(out, (uint32_t)k->heading);
        put_u32(out, (uint32_t)k->header);
        put_u32(out, k->page);
        put_u32(out, k->kind | (unsigned)k->level << 8);
    }
    put_u32(out, d->page_count);
    for (size_t i = 0; i < d->page_count; i++) {
        put_u32(out, d->pages[i].start);
        put_u32(out, d->pages[i].end);
        put_u32(out, d->pages[i].chars);
        put_u32(out, (uint64_t)(d->pages[i].quality * 1000));
        put_cstr(out, d->pages[i].label);
    }
    put_u32(out, d->warning_count);
    for (size_t i = 0; i < d->warning_count; i++)
        put_cstr(out, d->warnings[i]);
    put_u32(out, d->cell_count);
    for (size_t i = 0; i < d->cell_count; i++) {
        put_u32(out, d->cells[i].start);
        put_u32(out, d->cells[i].end);
        put_u32(out, d->cells[i].block);
        put_u32(out, d->cells[i].column);
    }
    put_u32(out, d->meta_count);
    for (size_t i = 0; i < d->meta_count; i++) {
        put_cstr(out, d->meta[i].key);
        put_cstr(out, d->meta[i].value);
    }
    put_u32(out, d->part_count);
    for (size_t i = 0; i < d->part_count; i++) {
        put_cstr(out, d->parts[i].name);
        put_u32(out, d->parts[i].kind);
        put_u32(out, d->parts[i].after);
        put_string(out, (const char *)d->parts[i].data, d->parts[i].len);
    }
    return !out->failed;
}

struct reader {
    const unsigned char *p;
    size_t left;
    bool bad, nomem;
};

static uint32_t get_u32(struct reader *r)
{
    if (r->left < 4) {
        r->bad = true;
        return 0;
    }
    uint32_t v = (uint32_t)r->p[0] | (uint32_t)r->p[1] << 8 | (uint32_t)r->p[2] << 16 |
                 (uint32_t)r->p[3] << 24;
    r->p += 4;
    r->left -= 4;
    return v;
}

/* A string the caller owns, or NULL for "none" and on failure. */
static char *get_string(struct reader *r, size_t *len)
{
    uint32_t n = get_u32(r);
    *len = 0;
    if (r->bad || n == NO_STRING)
        return NULL;
    if (n > r->left || memchr(r->p, 0, n) != NULL || !utf8_valid((const char *)r->p, n)) {
        r->bad = true;
        return NULL;
    }
    char *s = mem_strndup((const char *)r->p, n);
    if (s == NULL)
        r->nomem = true;
    *len = n;
    r->p += n;
    r->left -= n;
    return s;
}

static bool boundary(const struct document *d, size_t at)
{
    return at <= d->text_len && (at == d->text_len || ((unsigned char)d->text[at] & 0xc0) != 0x80);
}

/* An array's count, refused before anything is allocated when the bytes left cannot hold it. */
static size_t get_count(struct reader *r, size_t record)
{
    size_t n = get_u32(r);
    if (n > r->left / record)
        r->bad = true;
    return r->bad ? 0 : n;
}

static bool block_sound(const struct document *d, size_t i, size_t after)
{
    const struct doc_block *k = &d->blocks[i];
    bool header = k->header == -1 || (k->header >= 0 && (size_t)k->header < i &&
                                      d->blocks[k->header].kind == DOC_TABLE_ROW);
    bool heading = k->heading == -1 || (k->heading >= 0 && (size_t)k->heading < i &&
                                        d->blocks[k->heading].kind == DOC_HEADING);
    return k->start >= after && k->start < k->end && boundary(d, k->start) && boundary(d, k->end) &&
           k->kind <= DOC_PICTURE && header && heading;
}

static void get_blocks(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 24), after = 0;
    if (r->bad)
        return;
    d->blocks = mem_calloc(n ? n : 1, sizeof *d->blocks);
    if (d->blocks == NULL) {
        r->nomem = true;
        return;
    }
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct doc_block *k = &d->blocks[i];
        k->start = get_u32(r);
        k->end = get_u32(r);
        k->heading = (int32_t)get_u32(r);
        k->header = (int32_t)get_u32(r);
        k->page = get_u32(r);
        uint32_t kind = get_u32(r);
        k->kind = (uint8_t)kind;
        k->level = (uint8_t)(kind >> 8);
        r->bad = r->bad || !block_sound(d, i, after);
        after = k->end;
        d->block_count = i + 1;
    }
}

static void get_pages(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 20), after = 0, len;
    if (r->bad)
        return;
    d->pages = mem_calloc(n ? n : 1, sizeof *d->pages);
    if (d->pages == NULL) {
        r->nomem = true;
        return;
    }
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct doc_page *p = &d->pages[i];
        p->start = get_u32(r);
        p->end = get_u32(r);
        p->chars = get_u32(r);
        p->quality = (float)get_u32(r) / 1000;
        p->label = get_string(r, &len);
        r->bad = r->bad || p->start < after || p->end < p->start || !(p->quality <= 1) ||
                 !boundary(d, p->start) ||
                 !boundary(d, p->end);
        after = p->end;
        d->empty_pages += p->chars == 0;
        d->page_count = i + 1;
    }
    for (size_t i = 0; i < d->block_count; i++)
        r->bad = r->bad || d->blocks[i].page > n || (n > 0 && d->blocks[i].page == 0);
}

static void get_warnings(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 4), len;
    if (r->bad)
        return;
    d->warnings = mem_calloc(n ? n : 1, sizeof *d->warnings);
    if (d->warnings == NULL) {
        r->nomem = true;
        return;
    }
    for (size_t i = 0; i < n && !r->bad && !r->nomem; i++) {
        d->warnings[i] = get_string(r, &len);
        r->bad = r->bad || (d->warnings[i] == NULL && !r->nomem);
        d->warning_count = i + 1;
    }
}

static void *get_array(struct reader *r, size_t n, size_t size)
{
    void *p = r->bad || n == 0 ? NULL : mem_calloc(n, size);
    if (p == NULL && !r->bad && n > 0)
        r->nomem = true;
    return p;
}

static void get_cells(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 16), after = 0;
    d->cells = get_array(r, n, sizeof *d->cells);
    for (size_t i = 0; d->cells != NULL && i < n && !r->bad; i++) {
        struct doc_cell *c = &d->cells[i];
        c->start = get_u32(r);
        c->end = get_u32(r);
        c->block = get_u32(r);
        c->column = get_u32(r);
        r->bad = r->bad || c->block >= d->block_count || c->start < after || c->start >= c->end ||
                 c->start < d->blocks[c->block].start || c->end > d->blocks[c->block].end ||
                 d->blocks[c->block].kind != DOC_TABLE_ROW || !boundary(d, c->start) ||
                 !boundary(d, c->end) ||
                 (i > 0 && d->cells[i - 1].block == c->block && d->cells[i - 1].column >= c->column);
        after = c->end;
        d->cell_count = i + 1;
    }
}

static void get_meta(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 8), len;
    d->meta = get_array(r, n, sizeof *d->meta);
    for (size_t i = 0; d->meta != NULL && i < n && !r->bad && !r->nomem; i++) {
        d->meta[i].key = get_string(r, &len);
        d->meta[i].value = get_string(r, &len);
        r->bad = r->bad || (!r->nomem && (d->meta[i].key == NULL || d->meta[i].value == NULL));
        d->meta_count = i + 1;
    }
}

/* A name from inside a file must be what builder_path makes, or it could name what it is not. */
static bool path_sound(const char *name)
{
    struct buf clean = BUF_INIT;
    builder_path(name, strlen(name), &clean);
    bool sound = clean.len > 0 && strcmp(clean.data, name) == 0;
    buf_release(&clean);
    return sound;
}

static void get_parts(struct reader *r, struct document *d)
{
    size_t n = get_count(r, 16), len;
    d->parts = get_array(r, n, sizeof *d->parts);
    for (size_t i = 0; d->parts != NULL && i < n && !r->bad && !r->nomem; i++) {
        struct doc_part *p = &d->parts[i];
        p->name = get_string(r, &len);
        uint32_t kind = get_u32(r), size;
        p->after = get_u32(r);
        size = get_u32(r);
        r->bad = r->bad || (!r->nomem && (p->name == NULL || !path_sound(p->name))) ||
                 kind > DOC_PART_PICTURE || p->after > d->block_count || size > r->left;
        p->kind = (uint8_t)kind;
        if (!r->bad && !r->nomem) {
            p->data = mem_dup(r->p, size);
            r->nomem = p->data == NULL;
            p->len = size;
            r->p += size;
            r->left -= size;
        }
        d->part_count = i + 1;
    }
}

static enum sooth_status get_error(struct reader *r, uint32_t status, struct sooth_error *err)
{
    size_t len;
    char *text = get_string(r, &len), *hint = get_string(r, &len);
    bool sound = !r->bad && text != NULL && status <= SOOTH_ERR_INTERNAL;
    enum sooth_status s = r->nomem ? SOOTH_ERR_NOMEM
                          : sound  ? (enum sooth_status)status
                                   : SOOTH_ERR_INTERNAL;
    err_set(err, s, "%s", sound ? text : "the parser's answer makes no sense");
    if (sound && hint != NULL && hint[0] != '\0')
        err_hint(err, "%s", hint);
    mem_free(text);
    mem_free(hint);
    return s;
}

enum sooth_status docwire_get(const unsigned char *data, size_t len, struct document *out,
                              struct sooth_error *err)
{
    struct reader r = {data, len, false, false};
    memset(out, 0, sizeof *out);
    bool magic = len >= 8 && memcmp(data, "sdoc", 4) == 0;
    if (magic) {
        r.p += 4;
        r.left -= 4;
        uint32_t status = get_u32(&r);
        if (status != SOOTH_OK)
            return get_error(&r, status, err);
        size_t n;
        out->title = get_string(&r, &n);
        char *format = get_string(&r, &n);
        out->encoding = get_string(&r, &n);
        const struct docfmt *f = format != NULL ? docfmt_find(format) : NULL;
        mem_free(format);
        out->text = get_string(&r, &out->text_len);
        r.bad = r.bad || f == NULL || out->text == NULL;
        if (!r.bad) {
            out->format = f->name;
            out->no_text = get_u32(&r) != 0;
            get_blocks(&r, out);
            get_pages(&r, out);
            get_warnings(&r, out);
            get_cells(&r, out);
            get_meta(&r, out);
            get_parts(&r, out);
        }
    }
    if (magic && !r.bad && !r.nomem && r.left == 0)
        return SOOTH_OK;
    document_release(out);
    return r.nomem ? err_nomem(err)
                   : err_set(err, SOOTH_ERR_INTERNAL, "the parser's answer makes no sense");
}
