/* stem.h: English word stems, for the full-text index only. */
#ifndef INDEX_STEM_H
#define INDEX_STEM_H
#include <stddef.h>

/* Shortens a word of lower-case ASCII letters in place; returns the new length (never 0, never
 * longer). Words of fewer than four letters and words with other bytes stay as they are. */
size_t stem_english(char *word, size_t len);
#endif
