/* fuzz_doc.c: see fuzz_doc.h. */
#include "fuzz_doc.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/utf8.h"
#include "know/doc/docwire.h"
#include "know/doc/sandbox.h"

static void check(const struct document *d)
{
    size_t after = 0;
    assert(utf8_valid(d->text, d->text_len) && strlen(d->text) == d->text_len);
    for (size_t i = 0; i < d->block_count; i++) {
        const struct doc_block *b = &d->blocks[i];
        assert(b->start >= after && b->start < b->end && b->end <= d->text_len);
        assert(utf8_floor(d->text, d->text_len, b->start) == b->start);
        assert(utf8_floor(d->text, d->text_len, b->end) == b->end);
        assert(b->heading < (int32_t)i && b->header < (int32_t)i && b->page <= d->page_count);
        after = b->end;
    }
}

void fuzz_doc(const char *name, const uint8_t *data, size_t size)
{
    struct document d, back;
    struct sooth_error err = {0};
    struct buf wire = BUF_INIT;
    char *exact = mem_dup(data, size); /* nothing behind the last byte */
    if (exact && sandbox_parse_here(name, exact, size, NULL, NULL, &d, &err) == SOOTH_OK) {
        check(&d);
        assert(
            docwire_put(&wire, SOOTH_OK, &d, NULL)); /* the parent must believe an honest worker */
        assert(docwire_get((const unsigned char *)wire.data, wire.len, &back, &err) == SOOTH_OK);
        document_release(&back);
        document_release(&d);
    }
    buf_release(&wire);
    mem_free(exact);
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put(struct buf *b, uint32_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf_putc(b, i < 4 ? (char)(v >> (8 * i)) : 0);
}

/* The fields that a local and a central header share, from the version on. */
static void put_common(struct buf *b, const struct fuzz_part *p)
{
    put(b, 20, 2);
    put(b, 0, 8);
    put(b, crc32_of(p->data, p->size), 4);
    put(b, (uint32_t)p->size, 4);
    put(b, (uint32_t)p->size, 4);
    put(b, (uint32_t)strlen(p->name), 2);
    put(b, 0, 2);
}

void fuzz_zip(const struct fuzz_part *parts, size_t count, struct buf *out)
{
    uint32_t at[8], start;
    for (size_t i = 0; i < count; i++) {
        at[i] = (uint32_t)out->len;
        put(out, 0x04034b50, 4);
        put_common(out, &parts[i]);
        buf_puts(out, parts[i].name);
        buf_add(out, parts[i].data, parts[i].size);
    }
    start = (uint32_t)out->len;
    for (size_t i = 0; i < count; i++) {
        put(out, 0x02014b50, 4);
        put(out, 20, 2);
        put_common(out, &parts[i]);
        put(out, 0, 10);
        put(out, at[i], 4);
        buf_puts(out, parts[i].name);
    }
    uint32_t size = (uint32_t)out->len - start;
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, (uint32_t)count, 2);
    put(out, (uint32_t)count, 2);
    put(out, size, 4);
    put(out, start, 4);
    put(out, 0, 2);
}
