/* charsmap.h: what SentencePiece does to characters before it looks for pieces: a map from character sequences to others.
 *
 * The blob "precompiled_charsmap":
 *
 *     u32 bytes of the array | u32 units (a Darts double array) | replacement texts, each ended by a zero byte
 *
 *     unit, a node:  bits 0-7 label of the edge to it, bit 8 "a key ends here", bit 9 offset is in 256s, bits 10-30 offset, bit 31 0
 *     unit, a leaf:  bit 31 set, bits 0-30 place of the replacement among the texts
 *
 * From node i, byte c leads to i ^ offset(i) ^ c if that unit's label is c. Every step is checked against the array. */
#ifndef TOKEN_CHARSMAP_H
#define TOKEN_CHARSMAP_H
#include "model/token/mapped_text.h"

struct charsmap {
    uint32_t *units;
    size_t n;
    char *texts; /* ends with a zero byte */
    size_t texts_len;
    uint32_t *from; /* one by one, rising; or NULL */
    struct token_str *to;
    size_t n_from;
};
enum sooth_status charsmap_build(struct charsmap *m, const struct token_source *s, struct sooth_error *err);
void charsmap_release(struct charsmap *m);
/* What s (n > 0 bytes) begins with becomes *to; returns the bytes of s used, at least 1. Invalid bytes become U+FFFD. */
size_t charsmap_step(const struct charsmap *m, const char *s, size_t n, struct token_str *to);
#endif
