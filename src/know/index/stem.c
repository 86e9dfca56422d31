/* stem.c: the Porter stemmer, so that "installed", "installing" and "installation" are one term.
 *
 * A word is read as C?(VC)^m V?, C and V being runs of consonants and vowels; m, the measure,
 * counts how much word is left before a suffix, and most suffixes go only when enough is left:
 *     relational -> relate (m("rel") > 0)      rate -> rate (m("r") = 0)
 * M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980.
 *
 * Stems are never shown. What it leaves out: every language but English, and irregular forms (ran,
 * mice). */
#include "know/index/stem.h"
#include <stdbool.h>
#include <string.h>

struct stem {
    char *w;
    size_t len;
};

static bool vowel_at(const struct stem *s, size_t i)
{
    switch (s->w[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return true;
    case 'y':
        return i > 0 && !vowel_at(s, i - 1);
    default:
        return false;
    }
}

/* How many vowel-to-consonant changes the first n letters hold. */
static unsigned measure(const struct stem *s, size_t n)
{
    unsigned m = 0;
    bool before = false;
    for (size_t i = 0; i < n; i++) {
        bool v = vowel_at(s, i);
        m += before && !v;
        before = v;
    }
    return m;
}

static bool has_vowel(const struct stem *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (vowel_at(s, i))
            return true;
    return false;
}

static bool double_consonant(const struct stem *s, size_t n)
{
    return n >= 2 && s->w[n - 1] == s->w[n - 2] && !vowel_at(s, n - 1);
}

/* Ends in consonant, vowel, consonant, the last not w, x or y: "hop", but not "snow". */
static bool ends_cvc(const struct stem *s, size_t n)
{
    if (n < 3 || vowel_at(s, n - 1) || !vowel_at(s, n - 2) || vowel_at(s, n - 3))
        return false;
    return !strchr("wxy", s->w[n - 1]);
}

/* Does the word end so? *rest gets the length before the suffix. */
static bool ends(const struct stem *s, const char *suffix, size_t *rest)
{
    size_t n = strlen(suffix);
    if (s->len <= n || memcmp(s->w + s->len - n, suffix, n) != 0)
        return false;
    *rest = s->len - n;
    return true;
}

static void set_end(struct stem *s, size_t rest, const char *to)
{
    size_t n = strlen(to);
    memcpy(s->w + rest, to, n); /* every replacement is shorter than what it replaces */
    s->len = rest + n;
}

/* Plurals. */
static void step_1a(struct stem *s)
{
    size_t rest;
    if (ends(s, "sses", &rest))
        set_end(s, rest, "ss");
    else if (ends(s, "ies", &rest))
        set_end(s, rest, "i");
    else if (!ends(s, "ss", &rest) && ends(s, "s", &rest))
        s->len = rest;
}

/* Past and progressive, with the mending of what is left: hop(p)ing, fil(e)ing. */
static void step_1b(struct stem *s)
{
    size_t rest;
    if (ends(s, "eed", &rest)) {
        if (measure(s, rest) > 0)
            s->len--;
        return;
    }
    if (!((ends(s, "ed", &rest) || ends(s, "ing", &rest)) && has_vowel(s, rest)))
        return;
    s->len = rest;
    if (ends(s, "at", &rest) || ends(s, "bl", &rest) || ends(s, "iz", &rest))
        s->w[s->len++] = 'e';
    else if (double_consonant(s, s->len) && !strchr("lsz", s->w[s->len - 1]))
        s->len--;
    else if (measure(s, s->len) == 1 && ends_cvc(s, s->len))
        s->w[s->len++] = 'e';
}

static void step_1c(struct stem *s)
{
    if (s->w[s->len - 1] == 'y' && has_vowel(s, s->len - 1))
        s->w[s->len - 1] = 'i';
}

struct suffix {
    const char *from, *to;
};

static const struct suffix step_2[] = {
    {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
    {"abli", "able"},   {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
    {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
    {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
    {NULL, NULL},
};
static const struct suffix step_3[] = {
    {"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
    {"ical", "ic"},  {"ful", ""},   {"ness", ""},    {NULL, NULL},
};
static const struct suffix step_4[] = {
    {"al", ""},    {"ance", ""}, {"ence", ""},  {"er", ""},   {"ic", ""},  {"able", ""},
    {"ible", ""},  {"ant", ""},  {"ement", ""}, {"ment", ""}, {"ent", ""}, {"sion", "s"},
    {"tion", "t"}, {"ou", ""},   {"ism", ""},   {"ate", ""},  {"iti", ""}, {"ous", ""},
    {"ive", ""},   {"ize", ""},  {NULL, NULL},
};

/* The first suffix that fits decides; it goes only when the measure before it is above `least`. In
 * step 4 the letter kept before "ion" counts as part of what is before it. */
static void strip(struct stem *s, const struct suffix *table, unsigned least)
{
    size_t rest;
    for (; table->from; table++)
        if (ends(s, table->from, &rest)) {
            size_t before = table->from[strlen(table->from) - 1] == 'n' && least
                                ? rest + strlen(table->to)
                                : rest;
            if (measure(s, before) > least)
                set_end(s, rest, table->to);
            return;
        }
}

static void step_5(struct stem *s)
{
    size_t n = s->len - 1;
    if (s->w[n] == 'e') {
        unsigned m = measure(s, n);
        if (m > 1 || (m == 1 && !ends_cvc(s, n)))
            s->len = n;
    }
    if (s->w[s->len - 1] == 'l' && double_consonant(s, s->len) && measure(s, s->len) > 1)
        s->len--;
}

size_t stem_english(char *word, size_t len)
{
    if (len < 4)
        return len;
    for (size_t i = 0; i < len; i++)
        if (word[i] < 'a' || word[i] > 'z')
            return len;
    struct stem s = {word, len};
    step_1a(&s);
    if (s.len < 3)
        return s.len;
    step_1b(&s);
    step_1c(&s);
    if (s.len < 3)
        return s.len;
    strip(&s, step_2, 0);
    strip(&s, step_3, 0);
    strip(&s, step_4, 1);
    step_5(&s);
    return s.len;
}
