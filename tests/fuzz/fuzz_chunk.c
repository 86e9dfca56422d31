/* fuzz_chunk.c: any bytes as a plain text: passages ascend, keep the limit, cut no character, cover
 * the text. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "core/base/utf8.h"
#include "know/retrieve/retrieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct embedder *e;
    struct document d;
    struct chunks c;
    if (size < 2 || (!e && embedder_open("hash", 1, &e, NULL) != SOOTH_OK))
        return 0;
    size_t tokens = 64 + data[0] % 192, overlap = data[1] % (tokens / 2), seen = 0;
    char text[4096];
    struct doc_block blocks[4];
    size_t len = 0;
    for (size_t i = 2, n; i < size && len + 4 < sizeof text;
         i += n) { /* what a parser may hand over: valid, no controls */
        uint32_t ch = utf8_decode((const char *)data + i, size - i, &n);
        len += utf8_encode(ch == UTF8_BAD || (ch < 32 && ch != '\n') ? '?' : ch, text + len);
    }
    memset(&d, 0, sizeof d);
    d.text = text;
    d.text_len = len;
    d.blocks = blocks;
    for (size_t i = 0; i < 4 && len >= 8; i++) { /* four blocks of different kinds */
        size_t a = utf8_floor(text, len, len * i / 4), b = utf8_floor(text, len, len * (i + 1) / 4);
        if (a < b)
            blocks[d.block_count++] = (struct doc_block){.start = a,
                                                         .end = b,
                                                         .heading = -1,
                                                         .header = -1,
                                                         .kind = (uint8_t)(data[0] >> (2 * i) & 3)};
    }
    for (size_t i = 1; i < d.block_count; i++)
        blocks[i].header = blocks[i].kind == DOC_TABLE_ROW && blocks[0].kind == DOC_TABLE_ROW ? 0
                                                                                              : -1;
    if (chunk_document(&d, e, splitter_at(size % 7 % 6, NULL), tokens, overlap, &c, NULL) != SOOTH_OK)
        return 0;
    for (size_t i = 0; i < c.count; i++) {
        const struct store_chunk *k = &c.items[i];
        assert(k->start < k->end && k->end <= len && (i == 0 || k->start > c.items[i - 1].start));
        assert(utf8_valid(text + k->start, k->end - k->start));
        assert(e->count(e, k->context, k->context_len) <= tokens);
        for (; seen < k->start; seen++)
            assert(strchr(" \n\t", text[seen]) || (text[seen] & 0x80));
        seen = k->end;
    }
    chunks_release(&c);
    return 0;
}
