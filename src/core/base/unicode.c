/* unicode.c: the only file that sees ICU (docs/decisions/icu.md).
 *
 * Character classes of the first 65,536 code points are copied into a table of bytes at first use,
 * about a millisecond; rarer characters ask ICU every time. Normal forms go through UTF-16, ICU's
 * own form. */
#include "core/base/unicode.h"
#include <pthread.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

static unsigned char plane0[0x10000];
static pthread_once_t plane0_once = PTHREAD_ONCE_INIT;

static unsigned class_by_icu(uint32_t c)
{
    static const unsigned char of_type[U_CHAR_CATEGORY_COUNT] = {
        [U_UNASSIGNED] = UNI_UNASSIGNED,       [U_UPPERCASE_LETTER] = UNI_LETTER,
        [U_LOWERCASE_LETTER] = UNI_LETTER,     [U_TITLECASE_LETTER] = UNI_LETTER,
        [U_MODIFIER_LETTER] = UNI_LETTER,      [U_OTHER_LETTER] = UNI_LETTER,
        [U_NON_SPACING_MARK] = UNI_MARK,       [U_ENCLOSING_MARK] = UNI_MARK,
        [U_COMBINING_SPACING_MARK] = UNI_MARK, [U_DECIMAL_DIGIT_NUMBER] = UNI_NUMBER,
        [U_LETTER_NUMBER] = UNI_NUMBER,        [U_OTHER_NUMBER] = UNI_NUMBER,
        [U_DASH_PUNCTUATION] = UNI_PUNCT,      [U_START_PUNCTUATION] = UNI_PUNCT,
        [U_END_PUNCTUATION] = UNI_PUNCT,       [U_CONNECTOR_PUNCTUATION] = UNI_PUNCT,
        [U_OTHER_PUNCTUATION] = UNI_PUNCT,     [U_INITIAL_PUNCTUATION] = UNI_PUNCT,
        [U_FINAL_PUNCTUATION] = UNI_PUNCT,     [U_MATH_SYMBOL] = UNI_SYMBOL,
        [U_CURRENCY_SYMBOL] = UNI_SYMBOL,      [U_MODIFIER_SYMBOL] = UNI_SYMBOL,
        [U_OTHER_SYMBOL] = UNI_SYMBOL,         [U_CONTROL_CHAR] = UNI_CONTROL,
        [U_FORMAT_CHAR] = UNI_CONTROL,         [U_PRIVATE_USE_CHAR] = UNI_CONTROL,
        [U_SURROGATE] = UNI_CONTROL,
    };
    return of_type[u_charType((UChar32)c)] | (u_isUWhiteSpace((UChar32)c) ? UNI_SPACE : 0u);
}

static void fill_plane0(void)
{
    for (uint32_t c = 0; c < 0x10000; c++)
        plane0[c] = (unsigned char)class_by_icu(c);
}

unsigned uni_class(uint32_t c)
{
    if (c >= 0x10000)
        return c > 0x10FFFF ? 0 : class_by_icu(c);
    pthread_once(&plane0_once, fill_plane0);
    return plane0[c];
}

bool uni_is_nonspacing(uint32_t c)
{
    return c >= 0x300 && c <= 0x10FFFF && u_charType((UChar32)c) == U_NON_SPACING_MARK;
}

static bool between(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

bool uni_is_han(uint32_t c)
{
    return between(c, 0x4E00, 0x9FFF) || between(c, 0x3400, 0x4DBF) || between(c, 0xF900, 0xFAFF) ||
           between(c, 0x20000, 0x3FFFD) || c == 0x3005 || c == 0x3007;
}

bool uni_is_cjk(uint32_t c)
{
    if (c < 0x1100)
        return false;
    return uni_is_han(c) || between(c, 0x3040, 0x30FF) || between(c, 0x31F0, 0x31FF) || /* kana */
           between(c, 0xFF66, 0xFF9F) || between(c, 0x1AFF0, 0x1B16F) ||
           between(c, 0xAC00, 0xD7FF) || between(c, 0x1100, 0x11FF) || /* Hangul */
           between(c, 0x3130, 0x318F) || between(c, 0xA960, 0xA97F) || between(c, 0xFFA0, 0xFFDC) ||
           between(c, 0x3100, 0x312F) || between(c, 0x31A0, 0x31BF); /* bopomofo */
}

uint32_t uni_lower(uint32_t c)
{
    return (uint32_t)u_tolower((UChar32)c);
}

uint32_t uni_upper(uint32_t c)
{
    return (uint32_t)u_toupper((UChar32)c);
}

/* UTF-16 needs no more units than UTF-8 has bytes. */
static size_t to_utf16(const char *s, size_t len, UChar *out)
{
    size_t n = 0;
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = utf8_decode(s + i, len - i, &size);
        if (c == UTF8_BAD)
            c = 0xFFFD;
        if (c >= 0x10000) {
            out[n++] = (UChar)(0xD7C0 + (c >> 10));
            out[n++] = (UChar)(0xDC00 | (c & 0x3FF));
        } else {
            out[n++] = (UChar)c;
        }
    }
    return n;
}

/* Appends UTF-16 as UTF-8. *high holds the first half of a pair that the last call ended with. */
static void from_utf16(const UChar *s, size_t len, UChar *high, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (*high && U16_IS_TRAIL(s[i])) {
            buf_put_utf8(out, (uint32_t)U16_GET_SUPPLEMENTARY(*high, s[i]));
            *high = 0;
            continue;
        }
        if (*high)
            buf_put_utf8(out, 0xFFFD);
        *high = U16_IS_LEAD(s[i]) ? s[i] : 0;
        if (!*high)
            buf_put_utf8(out, s[i]); /* a lone trail becomes U+FFFD there */
    }
}

static int32_t icu_transform(enum uni_form form, const UChar *from, int32_t len, UChar *to,
                             int32_t cap, UErrorCode *e)
{
    const UNormalizer2 *n = NULL;
    switch (form) {
    case UNI_NFC:
        n = unorm2_getNFCInstance(e);
        break;
    case UNI_NFD:
        n = unorm2_getNFDInstance(e);
        break;
    case UNI_NFKC:
        n = unorm2_getNFKCInstance(e);
        break;
    case UNI_NFKD:
        n = unorm2_getNFKDInstance(e);
        break;
    case UNI_CASEFOLD:
        return u_strFoldCase(to, cap, from, len, U_FOLD_CASE_DEFAULT, e);
    }
    return U_SUCCESS(*e) ? unorm2_normalize(n, from, len, to, cap, e) : 0;
}

static bool all_ascii(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false;
    return true;
}

enum sooth_status uni_normalize(enum uni_form form, const char *s, size_t len, struct buf *out,
                                struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    UErrorCode e = U_ZERO_ERROR;
    UChar high = 0, *from, *to = NULL;
    int32_t n, got = 0, cap;
    if (form != UNI_CASEFOLD && all_ascii(s, len))
        return buf_add(out, s, len) ? SOOTH_OK : err_nomem(err);
    if (len > INT32_MAX / 32) /* the longest expansion is eighteenfold */
        return err_set(err, SOOTH_ERR_LIMIT, "cannot normalize %zu bytes in one piece", len);
    from = mem_array(len + 1, sizeof *from);
    if (!from)
        return err_nomem(err);
    n = (int32_t)to_utf16(s, len, from);
    for (cap = n + n / 4 + 16;; cap = got) {
        UChar *grown = mem_realloc(to, (size_t)cap, sizeof *to);
        if (!grown) {
            status = err_nomem(err);
            break;
        }
        to = grown;
        e = U_ZERO_ERROR;
        got = icu_transform(form, from, n, to, cap, &e);
        if (e != U_BUFFER_OVERFLOW_ERROR)
            break;
    }
    if (!status && U_FAILURE(e))
        status = err_set(err, SOOTH_ERR_INTERNAL, "normalizing text failed: %s", u_errorName(e));
    if (!status) {
        from_utf16(to, (size_t)got, &high, out);
        if (out->failed)
            status = err_nomem(err);
    }
    mem_free(from);
    mem_free(to);
    return status;
}

/* Called by ICU for each bad or unmapped sequence: count it and write U+FFFD. */
static void U_CALLCONV on_bad(const void *counter, UConverterToUnicodeArgs *args, const char *units,
                              int32_t len, UConverterCallbackReason reason, UErrorCode *e)
{
    static const UChar replacement = 0xFFFD;
    if (reason > UCNV_IRREGULAR)
        return; /* reset, close, clone */
    ++*(size_t *)(uintptr_t)counter;
    *e = U_ZERO_ERROR;
    ucnv_cbToUWriteUChars(args, &replacement, 1, 0, e);
}

enum sooth_status uni_decode(const char *encoding, const void *bytes, size_t len, struct buf *out,
                             size_t *bad, struct sooth_error *err)
{
    const char *at = bytes, *end = at + len;
    UChar piece[2048], high = 0;
    size_t count = 0;
    UErrorCode e = U_ZERO_ERROR;
    /* ICU would look for a file of its own behind a name with a slash. */
    bool sane = encoding && *encoding && !strpbrk(encoding, "/\\");
    UConverter *cnv = sane ? ucnv_open(encoding, &e) : NULL;
    if (!cnv)
        return err_set(err, SOOTH_ERR_ARG, "unknown text encoding '%s'", encoding ? encoding : "");
    ucnv_setToUCallBack(cnv, on_bad, &count, NULL, NULL, &e);
    do {
        UChar *to = piece;
        if (U_SUCCESS(e) || e == U_BUFFER_OVERFLOW_ERROR)
            e = U_ZERO_ERROR;
        ucnv_toUnicode(cnv, &to, piece + sizeof piece / sizeof *piece, &at, end, NULL, true, &e);
        from_utf16(piece, (size_t)(to - piece), &high, out);
    } while (e == U_BUFFER_OVERFLOW_ERROR && !out->failed);
    if (high)
        buf_put_utf8(out, 0xFFFD);
    ucnv_close(cnv);
    if (bad)
        *bad = count;
    if (out->failed)
        return err_nomem(err);
    if (U_FAILURE(e))
        return err_set(err, SOOTH_ERR_INTERNAL, "decoding '%s' failed: %s", encoding,
                       u_errorName(e));
    return SOOTH_OK;
}
