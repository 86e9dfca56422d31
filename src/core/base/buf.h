/* buf.h: a growing byte string, always NUL-terminated (the NUL is not counted), with a sticky failure flag and
 * a maximum. Thread use: one buf, one thread at a time. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL until the first append */
    size_t len, cap;
    size_t max; /* ceiling on len; 0 = none */
    bool failed;
};
#define BUF_INIT { NULL, 0, 0, 0, false }

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* len = 0, memory kept, failure flag dropped */
bool buf_reserve(struct buf *b, size_t more);
bool buf_add(struct buf *b, const void *p, size_t len);
bool buf_puts(struct buf *b, const char *s);
bool buf_putc(struct buf *b, char c);
bool buf_put_utf8(struct buf *b, uint32_t codepoint);
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *format, va_list ap);
const char *buf_str(const struct buf *b); /* never NULL */
char *buf_take(struct buf *b);            /* caller owns it (mem_free); NULL if failed; b becomes empty */
#endif
