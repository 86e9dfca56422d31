/* utf8.h: UTF-8 by hand; no tables, no locale. Offsets are bytes. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_BAD 0xFFFFFFFFu

/* Decodes the character at s (len > 0 bytes left); *size gets 1..4 bytes consumed. An invalid byte gives
 * UTF8_BAD with *size 1 (overlong, surrogates and > U+10FFFF are invalid). */
uint32_t utf8_decode(const char *s, size_t len, size_t *size);
size_t utf8_encode(uint32_t codepoint, char out[4]); /* bytes written; invalid code points write U+FFFD */
bool utf8_valid(const char *s, size_t len);
size_t utf8_length(const char *s, size_t len);       /* characters; an invalid byte counts one */
/* Largest offset <= at that is a character boundary. */
size_t utf8_floor(const char *s, size_t len, size_t at);
/* Bytes at the end of s that are the unfinished start of a character (0..3). */
size_t utf8_pending(const char *s, size_t len);
#endif
