/* snippet.c: the part of a passage that shows why it was found, with the words that match.
 *
 * The text is gone through word by word, Han pair by Han pair; each piece is cut by the index's own
 * segmenter, so what matched in the index is what is marked: other inflections, Traditional for
 * Simplified, 120 for 一百二十. The window that holds most different terms of the question wins; the first
 * of equals. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"
#include "know/index/index.h"

struct wanted {
    VEC(uint64_t) keys;
};
struct found {
    size_t start, end, which; /* which of the keys */
};
struct looking {
    const struct wanted *w;
    size_t which; /* SIZE_MAX = none */
};
struct marks {
    VEC(struct found) list;
};

static bool want(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct wanted *w = user;
    uint64_t key = term_key(term, len);
    for (size_t i = 0; i < w->keys.count; i++)
        if (w->keys.items[i] == key)
            return true;
    return kind == TERM_CHAR || vec_push(&w->keys, key);
}

static bool look(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct looking *l = user;
    uint64_t key = term_key(term, len);
    (void)kind;
    for (size_t i = 0; i < l->w->keys.count; i++)
        if (l->w->keys.items[i] == key)
            l->which = i;
    return l->which == SIZE_MAX;
}

/* Marks [start, end) when the piece has a wanted term. */
static enum sooth_status try_piece(const struct wanted *w, const char *text, size_t start, size_t end,
                                   struct marks *m, struct sooth_error *err)
{
    struct looking l = {w, SIZE_MAX};
    enum sooth_status status = segment_text(text + start, end - start, look, &l, err);
    if (status == SOOTH_OK && l.which != SIZE_MAX &&
        !vec_push(&m->list, ((struct found){start, end, l.which})))
        status = err_nomem(err);
    return status;
}

static bool word_char(uint32_t c)
{
    if (c < 128)
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
               (c && strchr("_-.+#@&'", (int)c));
    return c != UTF8_BAD && !uni_is_cjk(c) && (uni_class(c) & (UNI_LETTER | UNI_NUMBER | UNI_MARK));
}

static enum sooth_status find_marks(const struct wanted *w, const char *text, size_t len,
                                    struct marks *m, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0, size, next; i < len && status == SOOTH_OK; i = next) {
        uint32_t c = utf8_decode(text + i, len - i, &size);
        next = i + size;
        if (c != UTF8_BAD && uni_is_cjk(c)) {
            size_t run = next, second = 0;
            while (run < len && run - i < 48) { /* numerals are longer than a pair */
                uint32_t d = utf8_decode(text + run, len - run, &size);
                if (d == UTF8_BAD || !uni_is_cjk(d) || (second && numeral_digit(d) < 0 && !numeral_unit(d)))
                    break;
                run += size;
                second = second ? second : run;
            }
            status = try_piece(w, text, i, second ? second : next, m, err);
            bool numeral = numeral_digit(c) >= 0 || numeral_unit(c);
            if (status == SOOTH_OK && numeral && run > second && second)
                status = try_piece(w, text, i, run, m, err);
        } else if (word_char(c)) {
            while (next < len && word_char(utf8_decode(text + next, len - next, &size)))
                next += size;
            status = try_piece(w, text, i, next, m, err);
        }
    }
    return status;
}

/* Different terms among the marks from i that end before `limit`. */
static size_t different(const struct marks *m, size_t i, size_t limit)
{
    uint64_t seen = 0;
    for (; i < m->list.count && m->list.items[i].end <= limit; i++)
        seen |= (uint64_t)1 << (m->list.items[i].which % 64);
    return (size_t)__builtin_popcountll(seen);
}

static void choose_window(const struct marks *m, const char *text, size_t len, size_t most,
                          struct sooth_snippet *out)
{
    size_t best = 0, start = 0;
    for (size_t i = 0; i < m->list.count; i++) {
        size_t n = different(m, i, m->list.items[i].start + most);
        if (n > best) {
            best = n;
            start = m->list.items[i].start;
        }
    }
    start = start > most / 4 ? start - most / 4 : 0; /* some of what stands before */
    start = len > most && start > len - most ? len - most : len <= most ? 0 : start;
    start = utf8_floor(text, len, start);
    while (start > 0 && start < len && text[start] != ' ' && (unsigned char)text[start] < 0x80 &&
           (unsigned char)text[start - 1] < 0x80 && text[start - 1] != ' ')
        start++; /* not inside a word */
    while (start < len && text[start] == ' ')
        start++;
    out->start = start;
    out->end = len - start < most ? len : utf8_floor(text, len, start + most);
}

enum sooth_status sooth_snippet_make(const char *query, const char *text, size_t len, size_t most,
                                     struct sooth_snippet *out, struct sooth_error *err)
{
    struct wanted w = {0};
    struct marks m = {0};
    memset(out, 0, sizeof *out);
    enum sooth_status status = segment_text(query, strlen(query), want, &w, err);
    if (status == SOOTH_OK && w.keys.failed)
        status = err_nomem(err);
    if (status == SOOTH_OK)
        status = find_marks(&w, text, len, &m, err);
    if (status == SOOTH_OK)
        choose_window(&m, text, len, most ? most : 240, out);
    for (size_t i = 0; i < m.list.count && status == SOOTH_OK; i++) {
        struct found f = m.list.items[i];
        if (f.start < out->start || f.end > out->end)
            continue;
        struct sooth_mark *last = out->n_marks ? &out->marks[out->n_marks - 1] : NULL;
        if (last && f.start <= last->end) /* pairs overlap */
            last->end = f.end > last->end ? f.end : last->end;
        else if (out->n_marks < SOOTH_SNIPPET_MARKS)
            out->marks[out->n_marks++] = (struct sooth_mark){f.start, f.end};
    }
    vec_free(&w.keys);
    vec_free(&m.list);
    return status;
}
