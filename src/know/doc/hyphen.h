/* hyphen.h: words that a line end has cut, judged by the other words of the same document. */
#ifndef KNOW_DOC_HYPHEN_H
#define KNOW_DOC_HYPHEN_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/map.h"

struct hyphens {
    struct map words; /* lower-case words with their inner hyphens -> how often they occur */
};
void hyphens_init(struct hyphens *h);
void hyphens_release(struct hyphens *h);
/* Counts the words of one line. A word at its end that is cut does not count. */
void hyphens_count(struct hyphens *h, const char *s, size_t len);
/* Line `a` (without its last '-') goes on in `b`: true when the hyphen belongs to the word
 * ("well-/known"), false when it only marks the cut ("capabili-/ties"). */
bool hyphens_keep(const struct hyphens *h, const char *a, size_t a_len, const char *b,
                  size_t b_len);
#endif
