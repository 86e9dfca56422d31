/* error.c: the sentence that goes with a status. Sentences quote names and bytes from hostile
 * files, so what is not printable UTF-8 becomes '?': a message is always one clean line. */
#include "core/base/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/base/utf8.h"

const char *sooth_status_name(enum sooth_status status)
{
    static const char *const names[] = {
        [SOOTH_OK] = "ok",
        [SOOTH_ERR_NOMEM] = "nomem",
        [SOOTH_ERR_IO] = "io",
        [SOOTH_ERR_NOTFOUND] = "notfound",
        [SOOTH_ERR_FORMAT] = "format",
        [SOOTH_ERR_UNSUPPORTED] = "unsupported",
        [SOOTH_ERR_ARG] = "arg",
        [SOOTH_ERR_LIMIT] = "limit",
        [SOOTH_ERR_BUSY] = "busy",
        [SOOTH_ERR_CANCELLED] = "cancelled",
        [SOOTH_ERR_NET] = "net",
        [SOOTH_ERR_INTERNAL] = "internal",
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

/* Rewrites s in place as one line of valid UTF-8; a character cut short by the buffer's end is
 * dropped. */
static void clean(char *s)
{
    size_t len = strlen(s), to = 0;
    len -= utf8_pending(s, len);
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = utf8_decode(s + i, len - i, &size);
        if (c == UTF8_BAD || c < 0x20 || (c >= 0x7F && c < 0xA0)) {
            s[to++] = '?';
            continue;
        }
        memmove(s + to, s + i, size);
        to += size;
    }
    s[to] = 0;
}

enum sooth_status err_set(struct sooth_error *err, enum sooth_status status, const char *format,
                          ...)
{
    va_list ap;
    if (!err)
        return status;
    err->status = status;
    err->hint[0] = 0;
    va_start(ap, format);
    if (vsnprintf(err->text, sizeof err->text, format, ap) < 0)
        err->text[0] = 0;
    va_end(ap);
    clean(err->text);
    return status;
}

enum sooth_status err_hint(struct sooth_error *err, const char *format, ...)
{
    va_list ap;
    if (!err)
        return SOOTH_ERR_INTERNAL;
    va_start(ap, format);
    if (vsnprintf(err->hint, sizeof err->hint, format, ap) < 0)
        err->hint[0] = 0;
    va_end(ap);
    clean(err->hint);
    return err->status;
}

enum sooth_status err_prefix(struct sooth_error *err, const char *format, ...)
{
    char inner[sizeof err->text];
    size_t len;
    va_list ap;
    if (!err)
        return SOOTH_ERR_INTERNAL;
    memcpy(inner, err->text, sizeof inner);
    va_start(ap, format);
    if (vsnprintf(err->text, sizeof err->text, format, ap) < 0)
        err->text[0] = 0;
    va_end(ap);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, ": %s", inner);
    clean(err->text);
    return err->status;
}

enum sooth_status err_nomem(struct sooth_error *err)
{
    return err_set(err, SOOTH_ERR_NOMEM, "out of memory");
}
