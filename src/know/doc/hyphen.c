/* hyphen.c: does a hyphen at a line end belong to the word?
 *
 * The document itself knows best: if "well-known" occurs inside some line more often than
 * "wellknown" the hyphen stays, if "capabilities" does it goes. Without evidence it stays after a
 * word that commonly begins compounds, after an adverb in -ly, and in words that have a hyphen
 * already; else it goes. It always stays before a capital or a digit. English rules; other
 * languages in Latin letters fare well enough with the document's evidence. */
#include "know/doc/hyphen.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 60 };

void hyphens_init(struct hyphens *h)
{
    map_init(&h->words);
}

void hyphens_release(struct hyphens *h)
{
    map_release(&h->words);
}

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

static size_t word_lower(const char *s, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)s[i]);
    return len;
}

void hyphens_count(struct hyphens *h, const char *s, size_t len)
{
    char word[WORD_MAX + 1];
    for (size_t i = 0, stop; i < len; i = stop + 1) {
        for (stop = i; stop < len && (is_letter(s[stop]) || s[stop] == '-');)
            stop++;
        uint64_t seen = 0;
        size_t n = stop - i <= WORD_MAX && stop - i > 3 ? word_lower(s + i, stop - i, word) : 0;
        if (n == 0 || word[n - 1] == '-')
            continue;
        map_find(&h->words, word, n, &seen);
        map_put(&h->words, word, n, seen + 1);
    }
}

static bool compound_start(const char *s, size_t len)
{
    static const char *const starts[] = {
        "well",   "self",  "non",    "ex",     "high",  "low",   "long",   "short", "real",
        "open",   "user",  "so",     "cross",  "state", "all",   "half",   "full",  "right",
        "left",   "first", "second", "third",  "two",   "three", "four",   "five",  "multi",
        "single", "read",  "time",   "end",    "built", "up",    "out",    "off",   "on",
        "in",     "by",    "large",  "small",  "new",   "old",   "fine",   "ill",   "ever",
        "free",   "hand",  "best",   "better", "part",  "one",   "six",    "ten",   "twenty",
        "thirty", "forty", "fifty",  "mid",    "quasi", "vice",  "double", "zero",  "wide",
        "far",    "near",
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strlen(starts[i]) == len && strncasecmp(s, starts[i], len) == 0)
            return true;
    return false;
}

bool hyphens_keep(const struct hyphens *h, const char *a, size_t a_len, const char *b, size_t b_len)
{
    char word[2 * WORD_MAX + 2];
    size_t head = a_len, tail = 0;
    while (head > 0 && (is_letter(a[head - 1]) || a[head - 1] == '-'))
        head--;
    while (tail < b_len && is_letter(b[tail]))
        tail++;
    size_t first = a_len - head;
    if (tail == 0 || first == 0 || isupper((unsigned char)b[0]) || first > WORD_MAX ||
        tail > WORD_MAX)
        return true;
    uint64_t joined = 0, apart = 0;
    size_t n = word_lower(a + head, first, word);
    word_lower(b, tail, word + n);
    map_find(&h->words, word, n + tail, &joined);
    word[n] = '-';
    word_lower(b, tail, word + n + 1);
    map_find(&h->words, word, n + 1 + tail, &apart);
    if (joined != apart)
        return apart > joined;
    bool adverb = first > 4 && memcmp(a + a_len - 2, "ly", 2) == 0;
    return adverb || memchr(a + head, '-', first) != NULL || compound_start(a + head, first);
}
