/* segment.h: text into the terms of the full-text index, the same for passages and for questions.
 */
#ifndef INDEX_SEGMENT_H
#define INDEX_SEGMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"

enum term_kind {
    TERM_WORD,  /* a word or a part of a code; counts for the length of a passage */
    TERM_WHOLE, /* a code as it is written: "dh_make", "c++", "20.04"; does not count */
    TERM_PAIR,  /* two neighbouring Han, kana or Hangul characters; counts */
    TERM_CHAR,  /* one of them inside a longer run; does not count */
    TERM_ALONE  /* one of them standing alone; counts */
};
#define TERM_MAX                                                                                   \
    64 /* bytes of a term; longer words are cut, longer codes are indexed by their parts only */

/* Called with each term in order. False stops. */
typedef bool term_fn(void *user, enum term_kind kind, const char *term, size_t len);
enum sooth_status segment_text(const char *text, size_t len, term_fn *fn, void *user,
                               struct sooth_error *err);

#define SEGMENTER 2 /* raised when the same text gives other terms: stores are then segmented anew */

/* numeral.c: 0..9 or -1; 10 .. 100000000 or 0; the value of a run of up to NUMERAL_MAX. */
enum { NUMERAL_MAX = 16 };
int numeral_digit(uint32_t c);
uint64_t numeral_unit(uint32_t c);
bool numeral_value(const uint32_t *c, size_t n, uint64_t *out);

/* The term's key in the index: 64 bits, the same on every machine and in every version. */
uint64_t term_key(const char *term, size_t len);
static inline bool term_counts(enum term_kind kind)
{
    return kind != TERM_WHOLE && kind != TERM_CHAR;
}
#endif
