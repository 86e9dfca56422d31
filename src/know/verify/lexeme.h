/* lexeme.h: text as comparable terms: folded words, codes, Han pairs, and quantities with their values.
 *
 *   "Dr. Li did not sell 1,500 dh_make licences"    words li(name) sell(negated) licence, code dh-make, 1500
 *   "该公司没有出售一百二十台"                        pairs 公司 出售(negated) ..., 120
 *
 * Terms are compared by key (a hash of the folded stem). Offsets are bytes of the text lexed, which is borrowed. */
#ifndef VERIFY_LEXEME_H
#define VERIFY_LEXEME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/vec.h"

enum lex_kind {
    LEX_WORD,   /* letters; hyphenated words by their parts */
    LEX_CODE,   /* identifiers, file names, versions: letters with digits, '_', '.', '/' or inner capitals */
    LEX_HAN,    /* two neighbouring characters of a Han, kana or Hangul run; one where it stands alone */
    LEX_NUMBER  /* its value is in quantities */
};
enum lex_flag {
    LEX_STOP = 1,     /* carries grammar, not content */
    LEX_NAME = 2,     /* capitalised inside a sentence, or quoted */
    LEX_HEAD = 4,     /* capitalised, but the first word of a sentence: perhaps a name */
    LEX_NEG = 8,      /* what a negation is about */
    LEX_NEAR_NEG = 16,/* the word after that: may be negated too */
    LEX_PASSIVE = 32, /* a form of "be", or 被, stands close before */
    LEX_GLUED = 64,   /* follows the term before without a blank (parts of a code, Han pairs) */
    LEX_BREAK = 128   /* first term of a clause */
};
struct lexeme {
    uint64_t key;
    uint32_t start, end;
    uint8_t kind, flags;
    uint16_t clause;
};

enum quantity_kind { QTY_PLAIN, QTY_PERCENT, QTY_ORDINAL, QTY_DATE };
struct quantity {
    double value;        /* QTY_DATE: unused */
    uint32_t start, end;
    uint8_t kind;
    uint8_t dimension;   /* of the unit where it is a known one: value is then in its base unit; else 0 */
    bool soft;           /* "one", 一: as often an article as a number */
    uint16_t year;       /* QTY_DATE: parts not given are 0 */
    uint8_t month, day;
    uint64_t unit;       /* key of the word counted ("licences"), 0 when none */
};

struct lexed {
    const char *text;
    size_t len;
    VEC(struct lexeme) terms;
    VEC(struct quantity) quantities;
    bool failed;         /* out of memory: the lists are short */
};
/* Texts over 64 KiB are lexed up to there, and the first 512 quantities found: both are far beyond a sentence. */
void lex_text(const char *text, size_t len, struct lexed *out);
void lexed_release(struct lexed *l);
static inline bool lex_content(const struct lexeme *t) { return !(t->flags & LEX_STOP); }
/* The key a word would get: lower-case ASCII or UTF-8, folded and stemmed here. */
uint64_t lex_key(const char *word, size_t len);
/* A weight of importance before any statistics: numbers and codes most, then names, then words. */
double lex_weight(const struct lexeme *t);

/* quantity.c: called by lex_text when the terms stand. */
void quantity_find(struct lexed *l);
/* True when both say the same; comparable: they are of one kind and unit, so that a difference is a conflict. */
bool quantity_same(const struct quantity *a, const struct quantity *b);
bool quantity_comparable(const struct quantity *a, const struct quantity *b);
#endif
