/* stop.c: stop strings by Knuth-Morris-Pratt, one automaton a string, fed byte by byte.
 *
 * After each byte, automaton i knows the longest prefix of stop i that ends here (its state).
 * Nothing behind the longest of these prefixes can be part of a future stop, so it may go out. All
 * bytes are valid UTF-8 by then: characters are completed (or replaced by U+FFFD) before they reach
 * the automata, and given out whole. */
#include "model/infer/stop.h"
#include <stdint.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

struct stop_string {
    char *bytes;
    size_t len, state;
    uint32_t *fail; /* [len] longest border of bytes[0..i] */
};

enum sooth_status stop_init(struct stop_stream *s, const char *const *stop, size_t n,
                            sooth_text_fn *on_text, void *user, struct sooth_error *err)
{
    memset(s, 0, sizeof *s);
    s->on_text = on_text;
    s->user = user;
    if (n && !(s->stops = mem_calloc(n, sizeof *s->stops)))
        return err_nomem(err);
    s->n_stops = n;
    for (size_t i = 0; i < n; i++) {
        struct stop_string *p = &s->stops[i];
        p->len = stop[i] ? strlen(stop[i]) : 0;
        if (!p->len || p->len > 1 << 16) {
            stop_release(s);
            return err_set(err, SOOTH_ERR_ARG,
                           "stop string %zu must have between 1 and 65536 bytes", i + 1);
        }
        p->bytes = mem_strdup(stop[i]);
        p->fail = mem_calloc(p->len, sizeof *p->fail);
        if (!p->bytes || !p->fail) {
            stop_release(s);
            return err_nomem(err);
        }
        for (size_t j = 1, k = 0; j < p->len; j++) {
            while (k && p->bytes[j] != p->bytes[k])
                k = p->fail[k - 1];
            k += p->bytes[j] == p->bytes[k];
            p->fail[j] = (uint32_t)k;
        }
    }
    return SOOTH_OK;
}

void stop_release(struct stop_stream *s)
{
    for (size_t i = 0; i < s->n_stops && s->stops; i++) {
        mem_free(s->stops[i].bytes);
        mem_free(s->stops[i].fail);
    }
    mem_free(s->stops);
    s->stops = NULL;
    s->n_stops = 0;
    buf_release(&s->text);
}

/* Feeds one byte that is already in text; returns the length of a stop that ends with it, or 0. */
static size_t stop_feed(struct stop_stream *s, char c)
{
    size_t longest = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        struct stop_string *p = &s->stops[i];
        while (p->state && p->bytes[p->state] != c)
            p->state = p->fail[p->state - 1];
        p->state += p->bytes[p->state] == c;
        if (p->state < p->len)
            continue;
        longest = p->len > longest ? p->len : longest;
        p->state =
            p->fail[p->len - 1]; /* so that the index stays inside, should the stream go on */
    }
    return longest;
}

static bool stop_valid_char(struct stop_stream *s, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!buf_add(&s->text, bytes + i, 1)) {
            s->failed = true;
            return false;
        }
        size_t stop = stop_feed(s, bytes[i]);
        if (!stop)
            continue;
        s->text.len -= stop; /* never reaches what was sent: those bytes were held */
        s->text.data[s->text.len] = 0;
        s->stopped = true;
        return false;
    }
    return true;
}

static void stop_send(struct stop_stream *s, size_t end)
{
    if (end <= s->sent)
        return;
    size_t from = s->sent;
    s->sent = end;
    if (s->on_text && !s->cancelled && !s->on_text(s->user, s->text.data + from, end - from))
        s->cancelled = true;
}

static size_t stop_held(const struct stop_stream *s)
{
    size_t held = 0;
    for (size_t i = 0; i < s->n_stops; i++)
        held = s->stops[i].state > held ? s->stops[i].state : held;
    return held;
}

/* Takes whole characters off pending + bytes; the rest stays pending unless this is the end. */
static bool stop_chars(struct stop_stream *s, const char *bytes, size_t len, bool end)
{
    while (s->n_pending || len) {
        char window[8];
        size_t have = s->n_pending, take = len < sizeof window - have ? len : sizeof window - have;
        memcpy(window, s->pending, have);
        memcpy(window + have, bytes, take);
        have += take;
        if (!end && have < 4 && utf8_pending(window, have) == have) {
            memcpy(s->pending, window, have);
            s->n_pending = have;
            return true;
        }
        size_t size;
        bool good = utf8_decode(window, have, &size) != UTF8_BAD;
        size_t from_bytes = size > s->n_pending ? size - s->n_pending : 0;
        size_t from_pending = size - from_bytes;
        if (!(good ? stop_valid_char(s, window, size) : stop_valid_char(s, "\xEF\xBF\xBD", 3)))
            return false;
        s->n_pending -= from_pending;
        memmove(s->pending, s->pending + from_pending, s->n_pending);
        bytes += from_bytes;
        len -= from_bytes;
    }
    return true;
}

bool stop_add(struct stop_stream *s, const char *bytes, size_t len)
{
    if (s->stopped || s->cancelled || s->failed)
        return false;
    bool more = stop_chars(s, bytes, len, false);
    if (s->failed)
        return false;
    size_t end = s->stopped ? s->text.len : s->text.len - stop_held(s);
    stop_send(s, end ? utf8_floor(s->text.data, s->text.len, end) : 0);
    return more && !s->cancelled;
}

void stop_end(struct stop_stream *s)
{
    if (s->failed)
        return;
    if (!s->stopped && !s->cancelled)
        stop_chars(s, "", 0, true);
    if (!s->failed)
        stop_send(s, s->text.len);
}
