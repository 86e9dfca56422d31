/* unicode.h: character classes, folding and normal forms. The one file that sees ICU.
 * Thread use: everything is safe from any thread. */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "sooth/error.h"

enum uni_class { UNI_LETTER = 1, UNI_MARK = 2, UNI_NUMBER = 4, UNI_PUNCT = 8, UNI_SYMBOL = 16, UNI_SPACE = 32,
                 UNI_CONTROL = 64 /* Cc Cf Co Cs */, UNI_UNASSIGNED = 128 };
unsigned uni_class(uint32_t c);      /* one or more of the bits (general category; UNI_SPACE = White_Space) */
bool uni_is_nonspacing(uint32_t c);  /* general category Mn: accents and such */
bool uni_is_han(uint32_t c);         /* unified ideographs with extensions and compatibility, U+3005, U+3007 */
bool uni_is_cjk(uint32_t c);         /* Han, kana, Hangul, bopomofo */
uint32_t uni_lower(uint32_t c);      /* simple mapping */
uint32_t uni_upper(uint32_t c);
/* Canonical/compatibility forms of UTF-8 text, appended to out. Invalid bytes pass as U+FFFD. */
enum uni_form { UNI_NFC, UNI_NFD, UNI_NFKC, UNI_NFKD, UNI_CASEFOLD };
enum sooth_status uni_normalize(enum uni_form form, const char *s, size_t len, struct buf *out, struct sooth_error *err);
/* Decodes bytes in a named encoding ("gb18030", "big5", "shift_jis", "utf-16le", "windows-1252", ...) to UTF-8.
 * Bad sequences become U+FFFD; *bad counts them. Unknown name: SOOTH_ERR_ARG. */
enum sooth_status uni_decode(const char *encoding, const void *bytes, size_t len, struct buf *out, size_t *bad, struct sooth_error *err);
#endif
