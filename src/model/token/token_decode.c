/* token_decode.c: ids to text, a token at a time. A token may end inside a character; what is unfinished waits (at most
 * three bytes), and the next bytes either finish it or show that it never was one. */
#include <string.h>
#include "core/base/utf8.h"
#include "model/token/token_vocab.h"

void token_decoder_init(struct token_decoder *d, const struct tokenizer *t)
{
    *d = (struct token_decoder){.tokenizer = t};
}

/* True when s..s+len is the beginning of a longer valid character. */
static bool is_unfinished(const char *s, size_t len)
{
    return len && len < 4 && utf8_pending(s, len) == len;
}

/* Writes what is whole of s, keeps an unfinished end. */
static void emit(struct token_decoder *d, const char *s, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len;) {
        size_t size;
        uint32_t c = utf8_decode(s + i, len - i, &size);
        if (c == UTF8_BAD && is_unfinished(s + i, len - i)) {
            d->held_len = (unsigned)(len - i);
            memcpy(d->held, s + i, len - i);
            return;
        }
        if (c == UTF8_BAD)
            buf_put_utf8(out, 0xFFFD);
        else
            buf_add(out, s + i, size);
        i += size;
    }
}

void token_decoder_add(struct token_decoder *d, int32_t id, struct buf *out)
{
    const struct tokenizer *t = d->tokenizer;
    struct buf bytes = BUF_INIT;
    struct token_str p = token_piece(t, id);
    if (d->held_len)
        buf_add(&bytes, d->held, d->held_len);
    if (!token_is_control(t, id)) {
        t->row->decode(t, id, !d->started, &bytes);
        d->started = true;
    } else if (d->with_control) {
        buf_add(&bytes, p.text, p.len);
    }
    d->held_len = 0;
    emit(d, buf_str(&bytes), bytes.len, out);
    out->failed = out->failed || bytes.failed;
    buf_release(&bytes);
}

void token_bytes(const struct tokenizer *t, int32_t id, struct buf *out)
{
    if (!token_is_control(t, id))
        t->row->decode(t, id, false, out);
}

void token_decoder_flush(struct token_decoder *d, struct buf *out)
{
    if (d->held_len)
        buf_put_utf8(out, 0xFFFD);
    d->held_len = 0;
}

void token_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct buf *out)
{
    struct token_decoder d;
    token_decoder_init(&d, t);
    for (size_t i = 0; i < n; i++)
        token_decoder_add(&d, ids[i], out);
    token_decoder_flush(&d, out);
}
