/* sentence.h: where sentences begin and end. Offsets are bytes.
 *
 * Spans carry no white space at either end, ascend, do not overlap, and the gaps between them hold white space
 * only: joining spans and gaps gives the text back byte for byte. A span never starts or ends inside a character
 * or between a letter and its combining marks. A line end is always a boundary.
 * Thread use: everything is safe from any thread. Nothing is allocated. */
#ifndef BASE_SENTENCE_H
#define BASE_SENTENCE_H
#include <stdbool.h>
#include <stddef.h>

struct sentence { size_t start, end; };

/* The next sentence at or behind *at (0 to begin); moves *at behind it. False when only white space is left.
 * Invalid UTF-8 is walked over byte by byte. Linear time over the whole text. */
bool sentence_next(const char *s, size_t len, size_t *at, struct sentence *out);
#endif
