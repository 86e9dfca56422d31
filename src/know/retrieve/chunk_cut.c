/* chunk_cut.c: where a sentence that is longer than a passage may be cut.
 *
 * The place is found by bisection over bytes with the embedder's own count, then moved back to the
 * last clause mark or blank of the second half, and never left inside a character with its marks,
 * an emoji joined from several, a pair of regional indicators or a Hangul syllable made of parts
 * (the rules of UAX 29 that matter in prose). A "grapheme" longer than a whole passage is cut
 * between its characters: the limit is the stronger rule. */
#include <string.h>
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/retrieve/retrieve.h"

#define BYTES_PER_TOKEN                                                                            \
    16 /* no passage is longer than this, however few tokens its tokenizer sees in it */

static bool is_region(uint32_t c)
{
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

/* Leading, vowel and trailing parts of Hangul; S: a whole syllable. */
static char hangul(uint32_t c)
{
    if ((c >= 0x1100 && c <= 0x115F) || (c >= 0xA960 && c <= 0xA97C))
        return 'L';
    if ((c >= 0x1160 && c <= 0x11A7) || (c >= 0xD7B0 && c <= 0xD7C6))
        return 'V';
    if ((c >= 0x11A8 && c <= 0x11FF) || (c >= 0xD7CB && c <= 0xD7FB))
        return 'T';
    return c >= 0xAC00 && c <= 0xD7A3 ? 'S' : 0;
}

static bool hangul_joined(char p, char c)
{
    return (p == 'L' && (c == 'L' || c == 'V' || c == 'S')) ||
           ((p == 'V' || p == 'S') && (c == 'V' || c == 'T')) || (p == 'T' && c == 'T');
}

static uint32_t before_at(const char *text, size_t at)
{
    size_t i = utf8_floor(text, at, at - 1), size;
    return utf8_decode(text + i, at - i, &size);
}

bool chunk_grapheme_boundary(const char *text, size_t len, size_t at)
{
    if (at == 0 || at >= len)
        return true;
    if (((unsigned char)text[at] & 0xC0) == 0x80 && utf8_floor(text, len, at) != at)
        return false;
    size_t size;
    uint32_t c = utf8_decode(text + at, len - at, &size), p = before_at(text, at);
    if (c < 0x300 && p < 0x300)
        return !(p == '\r' && c == '\n');
    if (c == 0x200D || p == 0x200D || (c >= 0xFE00 && c <= 0xFE0F) ||
        (c >= 0x1F3FB && c <= 0x1F3FF) || (c >= 0xE0100 && c <= 0xE01EF))
        return false;
    if (hangul_joined(hangul(p), hangul(c)))
        return false;
    if (is_region(c) && is_region(p)) {
        size_t run = 0;
        for (size_t i = at; i > 0 && is_region(before_at(text, i)); i -= 4)
            run++;
        return run % 2 == 0;
    }
    return c == UTF8_BAD || !(uni_class(c) & UNI_MARK);
}

static bool good_end(const char *text, size_t at)
{
    static const char *const marks[] = {"，", "、", "；", "：", "。", "！",
                                        "？", "）", "」", "』", "”",  "》"};
    if (strchr(" \n\t,;:.!?)", text[at - 1]))
        return true;
    for (size_t i = 0; at >= 3 && i < sizeof marks / sizeof *marks; i++)
        if (memcmp(text + at - 3, marks[i], 3) == 0)
            return true;
    return false;
}

/* A mark that closes stays with what it closes. */
static bool starts_closing(const char *text, size_t len, size_t at)
{
    static const char *const marks[] = {"，", "、", "；", "：", "。", "！", "？",
                                        "）", "」", "』", "”",  "》", "’",  "…"};
    if (at < len && strchr(",;:.!?)]}\"'", text[at]))
        return true;
    for (size_t i = 0; at + 3 <= len && i < sizeof marks / sizeof *marks; i++)
        if (memcmp(text + at, marks[i], 3) == 0)
            return true;
    return false;
}

size_t chunk_cut(const struct embedder *e, const char *text, size_t len, size_t tokens)
{
    size_t hi = len, lo = 0;
    tokens = tokens ? tokens : 1;
    if (hi > tokens * BYTES_PER_TOKEN)
        hi = utf8_floor(text, len, tokens * BYTES_PER_TOKEN);
    if (e->count(e, text, hi) > tokens) {
        while (hi - lo > 4) { /* lo fits, hi does not */
            size_t mid = utf8_floor(text, len, lo + (hi - lo) / 2);
            if (mid <= lo)
                break;
            if (e->count(e, text, mid) <= tokens)
                lo = mid;
            else
                hi = mid;
        }
        hi = lo;
    }
    if (hi == len)
        return len;
    for (size_t at = hi; at > hi / 2 && at > 0; at--)
        if (good_end(text, at) && !starts_closing(text, len, at) &&
            chunk_grapheme_boundary(text, len, at))
            return at;
    for (size_t at = hi; at > 0; at--)
        if (chunk_grapheme_boundary(text, len, at) && !starts_closing(text, len, at))
            return at;
    if (hi > 0)
        return hi;
    utf8_decode(text, len, &lo);
    return lo;
}
