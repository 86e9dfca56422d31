/* sentence.c: sentence boundaries by rule, for Latin-like scripts and for Chinese and Japanese.
 *
 * A boundary is a terminator, the terminators and closing marks glued to it, and then:
 *   - after 。！？；… and their kin: nothing more is asked for (these scripts have no blank between sentences),
 *     unless a comma follows;
 *   - after . ! ? : white space, the end, or a CJK character, and none of the reasons below.
 * A full stop ends nothing when it belongs to a number (3.14), a name with inner points (example.org, v1.2.3: no
 * blank follows), an abbreviation ("e.g.", "Dr."), an initial ("J. R. R. Tolkien"), a list number at the head
 * ("2. Install"), or when the next word goes on in lower case behind a short word or an ellipsis. Where a point
 * both abbreviates and ends ("in the U.S. The"), the next word decides: words that usually open a sentence do.
 *
 * The idea of deciding by the words at both sides is that of Kiss and Strunk, "Unsupervised Multilingual Sentence
 * Boundary Detection" (2006); here with fixed lists in place of learned ones, so that results never depend on the
 * text around. Left out: Thai and other scripts without sentence marks. */
#include "core/base/sentence.h"
#include <string.h>
#include "core/base/unicode.h"
#include "core/base/utf8.h"

/* Never the end of a sentence by themselves; compared in lower case, without the last point. */
static const char *const abbrevs[] = {
    "adj", "adm", "al", "approx", "apr", "art", "assn", "asst", "aug", "ave", "bldg", "bros", "ca", "capt", "cf", "ch", "chap",
    "cmdr", "col", "comdr", "corp", "dec", "def", "dept", "diff", "dist", "doc", "dr", "ed", "eds", "eq", "eqs", "esp", "est",
    "etc", "ex", "feb", "fig", "figs", "fn", "fr", "gen", "gov", "hon", "hr", "ibid", "inc", "incl", "jan", "jr", "lt", "ltd",
    "maj", "mar", "max", "messrs", "min", "misc", "mr", "mrs", "ms", "mt", "no", "nos", "nov", "nr", "oct", "op", "orig", "p",
    "par", "pp", "pres", "prof", "ref", "refs", "rep", "resp", "rev", "rs", "sec", "sect", "sen", "sep", "sept", "sgt", "sr",
    "st", "subsec", "tab", "tel", "univ", "usu", "var", "viz", "vol", "vols", "vs",
};
/* Of those, the ones that often do end a sentence: the next word decides. */
static const char *const closers[] = { "al", "corp", "inc", "jr", "ltd", "misc", "sr" };
/* Of those, the ones that abbreviate only before a number: "no. 5", but "He said no. Then". */
static const char *const before_number[] = { "art", "ch", "def", "doc", "ex", "fig", "max", "min", "no", "nos", "op", "p", "par",
                                             "pp", "sec", "tab", "var" };
/* Words that open sentences far more often than they follow an initial or an abbreviation. */
static const char *const openers[] = { "a", "after", "all", "an", "and", "as", "at", "but", "by", "for", "from", "he", "her",
    "here", "his", "how", "however", "i", "if", "in", "it", "its", "many", "most", "no", "not", "on", "one", "our", "she", "since",
    "so", "some", "that", "the", "their", "then", "there", "these", "they", "this", "those", "to", "today", "we", "what", "when",
    "where", "which", "while", "who", "why", "with", "you", "your" };

#define WORD_MAX 24
struct word { char s[WORD_MAX + 1]; size_t len; bool upper, inner_point, plain, more; };

static bool listed(const char *const *list, size_t n, const char *w)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], w))
            return true;
    return false;
}
#define LISTED(list, w) listed(list, sizeof(list) / sizeof *(list), w)

static uint32_t char_at(const char *s, size_t len, size_t at, size_t *size)
{
    if (at >= len) {
        *size = 0;
        return 0;
    }
    return utf8_decode(s + at, len - at, size);
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x3000 || c == 0x2028 || c == 0x2029 || c == 0x85 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x1680;
}

static bool is_line_end(uint32_t c)
{
    return c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == 0x2028 || c == 0x2029 || c == 0x85;
}

/* Ends a sentence with no blank behind it. */
static bool is_wide_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF1B || c == 0xFF61 || c == 0x0964 || c == 0x06D4 || c == 0x061F;
}

static bool is_narrow_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x203C || c == 0x2047 || c == 0x2048 || c == 0x2049 || c == 0xFF0E;
}

static bool is_closer(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0x2019 || c == 0x201D || c == 0xBB || c == 0x203A ||
           c == 0x300D || c == 0x300F || c == 0x3011 || c == 0xFF09 || c == 0x300B || c == 0x3009 || c == 0xFF3D || c == 0xFF5D ||
           c == 0xFF02 || c == 0x3015;
}

static bool is_wide_comma(uint32_t c)
{
    return c == 0xFF0C || c == 0x3001 || c == 0xFF1A || c == 0xFF64 || c == ',' || c == ';' || c == ':';
}

static bool is_upper(uint32_t c) { return c != UTF8_BAD && uni_lower(c) != c; }
static bool is_lower(uint32_t c) { return c != UTF8_BAD && uni_upper(c) != c && uni_lower(c) == c; }
static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
static bool is_wordish(uint32_t c)
{
    return c != UTF8_BAD && !uni_is_cjk(c) && (uni_class(c) & (UNI_LETTER | UNI_NUMBER | UNI_MARK));
}

/* Marks that must stay with the character before them. */
static size_t skip_marks(const char *s, size_t len, size_t at)
{
    for (;;) {
        size_t n;
        uint32_t c = char_at(s, len, at, &n);
        if (!n || c == UTF8_BAD || !(c == 0x200D || (c >= 0xFE00 && c <= 0xFE0F) || (uni_class(c) & UNI_MARK)))
            return at;
        at += n;
    }
}

static size_t skip_blank(const char *s, size_t len, size_t at, bool *line)
{
    for (;;) {
        size_t n;
        uint32_t c = char_at(s, len, at, &n);
        if (!n || !is_blank(c))
            return at;
        *line |= is_line_end(c);
        at += n;
    }
}

/* The word that ends at `end` (letters, digits and inner points), in lower case; at most WORD_MAX bytes are seen. */
static void word_before(const char *s, size_t floor, size_t end, struct word *w)
{
    memset(w, 0, sizeof *w);
    size_t from = end > floor + WORD_MAX ? utf8_floor(s, end, end - WORD_MAX) : floor, start = end;
    for (size_t at = from; at < end;) {
        size_t n;
        uint32_t c = char_at(s, end, at, &n);
        bool in = is_wordish(c) || c == '.' || c == '_' || c == '-' || c == '/';
        if (!in)
            start = end;
        else if (start == end)
            start = at;
        at += n;
    }
    w->more = start == from && from > floor;
    w->plain = true;
    for (size_t at = start; at < end;) {
        size_t n;
        uint32_t c = char_at(s, end, at, &n);
        if (at == start)
            w->upper = is_upper(c);
        w->inner_point |= c == '.';
        w->plain &= c != UTF8_BAD && (uni_class(c) & UNI_LETTER);
        uint32_t l = c == UTF8_BAD ? '?' : uni_lower(c);
        char out[4];
        size_t m = utf8_encode(l, out);
        if (w->len + m > WORD_MAX)
            break;
        memcpy(w->s + w->len, out, m);
        w->len += m;
        at += n;
    }
    w->s[w->len] = 0;
}

/* The word that starts at `at`, likewise; plain = only letters. */
static void word_after(const char *s, size_t len, size_t at, struct word *w)
{
    memset(w, 0, sizeof *w);
    w->plain = true;
    bool first = true;
    while (at < len) {
        size_t n;
        uint32_t c = char_at(s, len, at, &n);
        bool joint = c == '_' || c == '-' || c == '/' || c == '.';
        if (!is_wordish(c) && !joint)
            break;
        if (joint) { /* only between word characters is it part of the word */
            size_t m;
            if (at + n >= len || !is_wordish(char_at(s, len, at + n, &m)))
                break;
        }
        if (first)
            w->upper = is_upper(c);
        w->plain &= !joint && !is_digit(c) && (first || !is_upper(c));
        first = false;
        char out[4];
        size_t m = utf8_encode(uni_lower(c), out);
        if (w->len + m > WORD_MAX)
            break;
        memcpy(w->s + w->len, out, m);
        w->len += m;
        at += n;
    }
    w->s[w->len] = 0;
}

static bool has_vowel(const char *w) { return strpbrk(w, "aeiouy") != NULL; }

/* The point behind `w` (which begins at or behind `start`, the head of the sentence) belongs to the word. */
static bool point_abbreviates(const struct word *w, bool at_head, const struct word *next, uint32_t next_char)
{
    bool opener = next->upper && LISTED(openers, next->s);
    size_t chars = utf8_length(w->s, w->len);
    if (at_head && w->len && w->len <= 4 && strspn(w->s, "0123456789.") == w->len)
        return true; /* a list number */
    if (w->more || !w->len)
        return false;
    if (chars == 1 && w->plain)
        return (w->upper && next->upper && !opener) || (!w->upper && (LISTED(abbrevs, w->s) ? is_digit(next_char) : !next->upper));
    if (w->inner_point) { /* e.g. U.S. a.m. Ph.D. but not example.org */
        size_t longest = 0, run = 0;
        for (size_t i = 0; i < w->len; i++) {
            run = w->s[i] == '.' ? 0 : run + 1;
            longest = run > longest ? run : longest;
        }
        if (longest <= 2 && !strpbrk(w->s, "0123456789/_-"))
            return !strcmp(w->s, "e.g") || !strcmp(w->s, "i.e") || !opener;
        return false;
    }
    if (!LISTED(abbrevs, w->s))
        return false;
    if (LISTED(before_number, w->s))
        return is_digit(next_char) || next_char == '(' || (next->len && !next->upper);
    if (!strcmp(w->s, "etc"))
        return !next->upper;
    return LISTED(closers, w->s) ? !opener : true;
}

/* Decides about the narrow stop run [run, run_end) with closers up to `end`; head is the sentence's start. */
static bool narrow_ends(const char *s, size_t len, size_t head, size_t run, size_t run_end, size_t end)
{
    size_t n;
    uint32_t c = char_at(s, len, end, &n);
    if (!n || is_line_end(c))
        return true;
    size_t run_chars = utf8_length(s + run, run_end - run);
    uint32_t first = char_at(s, len, run, &n);
    bool dots = first == 0x2026 || (first == '.' && run_chars > 1);
    if (!is_blank(c)) {
        if (!uni_is_cjk(c))
            return false;
        size_t p = utf8_floor(s, len, run ? run - 1 : 0);
        return !(run > head && first == '.' && is_digit(char_at(s, len, p, &n)) && run_end == end && run - head <= 3);
    }
    bool line = false;
    size_t next_at = skip_blank(s, len, end, &line);
    if (line || next_at >= len)
        return true;
    uint32_t next_char = char_at(s, len, next_at, &n);
    struct word next, w;
    word_after(s, len, next_at, &next);
    word_before(s, head, run, &w);
    if (is_lower(next_char)) {
        if (dots || first != '.' || end > run_end)
            return false;
        if (!w.len || w.inner_point || LISTED(abbrevs, w.s))
            return false;
        return !next.plain || (utf8_length(w.s, w.len) >= 4 && w.plain && has_vowel(w.s));
    }
    if (is_wide_comma(next_char))
        return false;
    if (first == '.' && run_chars == 1 && end == run_end) {
        size_t from = run - w.len;
        return !point_abbreviates(&w, from <= head, &next, next_char);
    }
    return true;
}

/* Skips the stops and closing marks glued to a stop: `。」`, `?!"`. */
static size_t skip_tail(const char *s, size_t len, size_t at)
{
    for (;;) {
        size_t n;
        uint32_t c = char_at(s, len, at, &n);
        if (!n || !(is_closer(c) || is_narrow_stop(c) || is_wide_stop(c)))
            return at;
        at = skip_marks(s, len, at + n);
    }
}

bool sentence_next(const char *s, size_t len, size_t *at, struct sentence *out)
{
    bool line = false;
    size_t head = skip_blank(s, len, *at, &line), pos = head, last = head;
    if (head >= len) {
        *at = len;
        return false;
    }
    while (pos < len) {
        size_t n;
        uint32_t c = char_at(s, len, pos, &n);
        if (is_line_end(c))
            break;
        if (is_blank(c)) {
            pos += n;
            continue;
        }
        bool wide = is_wide_stop(c);
        if (!wide && !is_narrow_stop(c)) {
            last = pos = skip_marks(s, len, pos + n);
            continue;
        }
        size_t run_end = pos + n;
        for (size_t m; is_narrow_stop(char_at(s, len, run_end, &m)) && m;)
            run_end += m;
        size_t end = skip_tail(s, len, skip_marks(s, len, pos + n)), m;
        uint32_t prev = pos > head ? char_at(s, len, utf8_floor(s, len, pos - 1), &m) : 0;
        uint32_t next = char_at(s, len, end, &m);
        bool east = wide || (c != '.' && (uni_is_cjk(prev) || uni_is_cjk(next)));
        bool ends = east ? !(m && is_wide_comma(next)) : narrow_ends(s, len, head, pos, run_end, end);
        if (!ends && !east)
            end = run_end; /* closers may open again: "(e.g.) x" is walked normally */
        last = pos = end;
        if (ends)
            break;
    }
    *out = (struct sentence){ head, last };
    *at = last;
    return true;
}
