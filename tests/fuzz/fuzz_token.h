/* fuzz_token.h: a vocabulary and a text out of any bytes, for the fuzz targets of the tokenizer families.
 *
 *     flags (1 byte) | pieces, each ended by a newline: type '1'..'6' and the piece; a blank inside may begin a merge | 0 | text */
#ifndef TEST_FUZZ_TOKEN_H
#define TEST_FUZZ_TOKEN_H
#include "fuzz.h"
#include "model/token/token.h"

/* Builds a tokenizer of the family, if the vocabulary is good, and puts the text through it. */
void fuzz_family(const char *model, const uint8_t *data, size_t size);
/* Encodes as both kinds of segment, with spans; decodes; asserts what must always hold. */
void fuzz_tokenizer(const struct tokenizer *t, const char *text, size_t len);
#endif
