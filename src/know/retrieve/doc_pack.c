/* doc_pack.c: blocks to bytes and back. All numbers are variable-length, seven bits a byte, low
 * bits first:
 *
 *   count, then for each block: gap since the last end, length, heading + 1, header + 1, page,
 * kind, level */
#include "know/retrieve/doc_pack.h"
#include <string.h>
#include "core/base/alloc.h"

enum { FIELDS = 7 };

static void put(struct buf *b, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        buf_putc(b, (char)(v | 128));
    buf_putc(b, (char)v);
}

static bool get(const unsigned char **p, const unsigned char *end, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; *p < end && shift < 63; shift += 7) {
        unsigned char byte = *(*p)++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = v;
            return true;
        }
    }
    return false;
}

bool doc_pack(const struct document *d, struct buf *out)
{
    size_t last = 0;
    put(out, d->block_count);
    for (size_t i = 0; i < d->block_count; i++) {
        const struct doc_block *b = &d->blocks[i];
        put(out, b->start - last);
        put(out, b->end - b->start);
        put(out, (uint64_t)(b->heading + 1));
        put(out, (uint64_t)(b->header + 1));
        put(out, b->page);
        put(out, b->kind);
        put(out, b->level);
        last = b->end;
    }
    return !out->failed;
}

bool doc_unpack(const void *bytes, size_t len, size_t text_len, struct document *d)
{
    const unsigned char *p = bytes, *end = p + len;
    uint64_t n, f[FIELDS];
    size_t last = 0;
    if (!get(&p, end, &n) || n > len / FIELDS)
        return false;
    d->blocks = mem_calloc((size_t)n + 1, sizeof *d->blocks);
    if (!d->blocks)
        return false;
    for (; d->block_count < n; d->block_count++) {
        struct doc_block *b = &d->blocks[d->block_count];
        for (int i = 0; i < FIELDS; i++)
            if (!get(&p, end, &f[i]))
                return false;
        if (f[0] > text_len - last || f[1] == 0 || f[1] > text_len - last - f[0] ||
            f[2] > d->block_count || f[3] > d->block_count || f[4] > UINT32_MAX ||
            f[5] > UINT8_MAX || f[6] > UINT8_MAX)
            return false;
        b->start = last + (size_t)f[0];
        b->end = last = b->start + (size_t)f[1];
        b->heading = (int32_t)f[2] - 1;
        b->header = (int32_t)f[3] - 1;
        b->page = (uint32_t)f[4];
        b->kind = (uint8_t)f[5];
        b->level = (uint8_t)f[6];
    }
    return p == end;
}
