/* buf.c: the growing byte string. */
#include "core/base/buf.h"
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/utf8.h"
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf)BUF_INIT;
    b->max = max;
}

void buf_release(struct buf *b)
{
    mem_free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t len, need, cap;
    char *grown;
    if (b->failed)
        return false;
    if (!size_add(b->len, more, &len) || !size_add(len, 1, &need) || (b->max && len > b->max))
        return b->failed = true, false;
    if (need <= b->cap)
        return true;
    cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
    if (b->max && cap > b->max + 1)
        cap = b->max + 1;
    if (cap < need)
        cap = need;
    if (cap < 32)
        cap = 32;
    grown = mem_realloc(b->data, cap, 1);
    if (!grown)
        return b->failed = true, false;
    b->data = grown;
    b->cap = cap;
    return true;
}

bool buf_add(struct buf *b, const void *p, size_t len)
{
    if (!buf_reserve(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, p, len);
    b->len += len;
    b->data[b->len] = 0;
    return true;
}

bool buf_puts(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

bool buf_putc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_put_utf8(struct buf *b, uint32_t codepoint)
{
    char bytes[4];
    return buf_add(b, bytes, utf8_encode(codepoint, bytes));
}

bool buf_vprintf(struct buf *b, const char *format, va_list ap)
{
    va_list again;
    size_t room;
    int n;
    if (!buf_reserve(b, 0))
        return false;
    va_copy(again, ap);
    room = b->cap - b->len;
    n = vsnprintf(b->data + b->len, room, format, ap);
    if (n < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)n)) { /* also applies the ceiling when it did fit */
        if ((size_t)n >= room)
            vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
    b->data[b->len] = 0; /* on failure: drop what the first try wrote */
    return !b->failed;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap;
    bool ok;
    va_start(ap, format);
    ok = buf_vprintf(b, format, ap);
    va_end(ap);
    return ok;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *taken = NULL;
    if (buf_reserve(b, 0)) {
        taken = b->data;
        taken[b->len] = 0;
        b->data = NULL;
    }
    buf_release(b);
    return taken;
}
