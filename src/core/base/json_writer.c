/* json_writer.c: the writing half of json.h. Whatever is written, the result is valid JSON on one
 * line. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/utf8.h"

void jsonw_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static void before_value(struct json_writer *w)
{
    if (w->need_comma)
        buf_putc(w->out, ',');
    w->need_comma = true;
}

static void open_container(struct json_writer *w, char c)
{
    before_value(w);
    buf_putc(w->out, c);
    w->depth++;
    w->need_comma = false;
}

static void close_container(struct json_writer *w, char c)
{
    assert(w->depth > 0);
    buf_putc(w->out, c);
    w->depth--;
    w->need_comma = true;
}

void jsonw_object(struct json_writer *w)
{
    open_container(w, '{');
}

void jsonw_array(struct json_writer *w)
{
    open_container(w, '[');
}

void jsonw_end_object(struct json_writer *w)
{
    close_container(w, '}');
}

void jsonw_end_array(struct json_writer *w)
{
    close_container(w, ']');
}

void jsonw_key(struct json_writer *w, const char *key)
{
    jsonw_string(w, key);
    buf_putc(w->out, ':');
    w->need_comma = false;
}

static void escaped(struct buf *out, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at) {
        buf_putc(out, '\\');
        buf_putc(out, letter[at - plain]);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

void jsonw_stringn(struct json_writer *w, const char *s, size_t len)
{
    size_t run = 0; /* start of the bytes not yet written */
    before_value(w);
    buf_putc(w->out, '"');
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = utf8_decode(s + i, len - i, &size);
        if (c != UTF8_BAD && c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(w->out, s + run, i - run);
        if (c == UTF8_BAD)
            buf_put_utf8(w->out, 0xFFFD);
        else
            escaped(w->out, (unsigned char)c);
        run = i + size;
    }
    buf_add(w->out, s + run, len - run);
    buf_putc(w->out, '"');
}

void jsonw_string(struct json_writer *w, const char *s)
{
    if (s)
        jsonw_stringn(w, s, strlen(s));
    else
        jsonw_null(w);
}

void jsonw_int(struct json_writer *w, int64_t v)
{
    before_value(w);
    buf_printf(w->out, "%" PRId64, v);
}

void jsonw_double(struct json_writer *w, double v, int digits)
{
    char text[40];
    char *comma;
    if (!isfinite(v)) {
        jsonw_null(w);
        return;
    }
    before_value(w);
    digits = digits < 1 ? 1 : digits > 17 ? 17 : digits;
    snprintf(text, sizeof text, "%.*g", digits, v);
    comma = strpbrk(text, ","); /* the program's locale may want one */
    if (comma)
        *comma = '.';
    buf_puts(w->out, text);
}

void jsonw_bool(struct json_writer *w, bool v)
{
    before_value(w);
    buf_puts(w->out, v ? "true" : "false");
}

void jsonw_null(struct json_writer *w)
{
    before_value(w);
    buf_puts(w->out, "null");
}
