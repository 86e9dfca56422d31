/* utf8.c: UTF-8 as RFC 3629 draws it.
 *
 *     0xxxxxxx                              U+0000  .. U+007F
 *     110xxxxx 10xxxxxx                     U+0080  .. U+07FF
 *     1110xxxx 10xxxxxx 10xxxxxx            U+0800  .. U+FFFF   without D800..DFFF
 *     11110xxx 10xxxxxx 10xxxxxx 10xxxxxx   U+10000 .. U+10FFFF
 *
 * Overlong forms, surrogates and too large values all show in the second byte, so its range is all
 * that has to be checked beyond the bit patterns. */
#include "core/base/utf8.h"

/* Length that lead byte c promises (0: not a lead byte) and the range its second byte must lie in.
 */
static size_t lead(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (c < 0x80)
        return 1;
    if (c < 0xC2)
        return 0;
    if (c < 0xE0)
        return 2;
    if (c < 0xF0) {
        if (c == 0xE0)
            *low = 0xA0;
        if (c == 0xED)
            *high = 0x9F;
        return 3;
    }
    if (c == 0xF0)
        *low = 0x90;
    if (c == 0xF4)
        *high = 0x8F;
    return c < 0xF5 ? 4 : 0;
}

/* How many of the bytes at s agree with one well-formed character; *need is that character's
 * length. */
static size_t agreeing(const char *s, size_t len, size_t *need)
{
    unsigned char low, high;
    size_t n = 1;
    *need = lead((unsigned char)s[0], &low, &high);
    if (!*need)
        return 0;
    for (; n < *need && n < len; n++) {
        unsigned char c = (unsigned char)s[n];
        if (c < low || c > high)
            break;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

uint32_t utf8_decode(const char *s, size_t len, size_t *size)
{
    static const unsigned char lead_bits[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned char c = (unsigned char)s[0];
    size_t need;
    uint32_t cp;
    *size = 1;
    if (c < 0x80)
        return c;
    if (agreeing(s, len, &need) != need || !need)
        return UTF8_BAD;
    cp = c & lead_bits[need];
    for (size_t i = 1; i < need; i++)
        cp = cp << 6 | ((unsigned char)s[i] & 0x3F);
    *size = need;
    return cp;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        c = 0xFFFD;
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

bool utf8_valid(const char *s, size_t len)
{
    for (size_t i = 0, size; i < len; i += size)
        if (utf8_decode(s + i, len - i, &size) == UTF8_BAD)
            return false;
    return true;
}

size_t utf8_length(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0, size; i < len; i += size, n++)
        utf8_decode(s + i, len - i, &size);
    return n;
}

size_t utf8_floor(const char *s, size_t len, size_t at)
{
    if (at >= len)
        return len;
    for (size_t back = 1; back <= 3 && back <= at; back++) {
        size_t size;
        if (((unsigned char)s[at - back + 1] & 0xC0) != 0x80)
            break; /* the character that starts here cannot have begun further left */
        if (utf8_decode(s + at - back, len - at + back, &size) != UTF8_BAD && size > back)
            return at - back;
    }
    return at;
}

size_t utf8_pending(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        size_t need, have = agreeing(s + len - back, back, &need);
        if (have == back && need > back)
            return back;
    }
    return 0;
}
