/* token_encode.c: typed segments to ids. All texts are laid end to end; special pieces are cut out where
 * the kind of the text allows it, longest first; what is left between them goes to the family in whole runs, so
 * that a seam between template and user text changes nothing.
 *
 *     control text   control and user-defined pieces     a control piece must lie in control text from end to end
 *     plain text     user-defined pieces only            these are ordinary text (newline runs, HTML tags)
 *
 * Some added pieces swallow the blanks before or behind them, in whichever text these stand. */
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/token_vocab.h"

bool sink_add(struct token_sink *s, int32_t id, size_t start, size_t end)
{
    return vec_push(s->ids, id) &&
           (!s->spans || vec_push(s->spans, ((struct token_span){s->base + start, s->base + end})));
}

bool sink_add_unknown(struct token_sink *s, int32_t id, size_t start, size_t end, size_t floor)
{
    if (s->ids->count > floor && s->ids->items[s->ids->count - 1] == id) {
        if (s->spans)
            s->spans->items[s->spans->count - 1].end = s->base + end;
        return true;
    }
    return sink_add(s, id, start, end);
}

struct joined {
    const char *text;
    char *owned;        /* text when it had to be copied */
    size_t len;
    const struct token_segment *segments;
    size_t n;
};

static enum sooth_status join_segments(struct joined *j, struct sooth_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < j->n; i++)
        if (!size_add(j->len, j->segments[i].len, &j->len) || j->len > TOKEN_MAX_INPUT)
            return err_set(err, SOOTH_ERR_LIMIT, "text is longer than %d MiB", TOKEN_MAX_INPUT >> 20);
    if (j->n == 1) {
        j->text = j->segments[0].text;
        return SOOTH_OK;
    }
    j->text = j->owned = mem_alloc(j->len);
    if (!j->owned)
        return err_nomem(err);
    for (size_t i = 0; i < j->n; i++) {
        if (j->segments[i].len)
            memcpy(j->owned + at, j->segments[i].text, j->segments[i].len);
        at += j->segments[i].len;
    }
    return SOOTH_OK;
}

struct encoding {
    const struct tokenizer *t;
    const struct joined *j;
    struct token_sink sink;
    struct sooth_error *err;
    size_t run;    /* start of the plain run not yet encoded */
};

static enum sooth_status flush_run(struct encoding *e, size_t end)
{
    struct token_run run = {e->j->text + e->run, end - e->run};
    enum sooth_status status = SOOTH_OK;
    if (run.len) {
        e->sink.base = e->run;
        status = e->t->row->encode(e->t, &run, &e->sink, e->err);
        e->sink.base = 0;
    }
    e->run = end;
    return status;
}

static bool is_blank(uint32_t code)
{
    return code != UTF8_BAD && uni_class(code) & UNI_SPACE;
}

/* Start of the blanks that end at `at`, not before `from`. */
static size_t blanks_before(const char *s, size_t from, size_t at)
{
    while (at > from) {
        size_t size, start = utf8_floor(s, at, at - 1);
        if (start < from || !is_blank(utf8_decode(s + start, at - start, &size)) || start + size != at)
            break;
        at = start;
    }
    return at;
}

static size_t blanks_after(const char *s, size_t at, size_t end)
{
    for (size_t size; at < end && is_blank(utf8_decode(s + at, end - at, &size)); at += size)
        ;
    return at;
}

/* Cuts special pieces out of [at, end), all of one kind. *resume: where the next segment may begin, because
 * a user-defined piece may run on over the seam. */
static enum sooth_status cut_segment(struct encoding *e, bool control, size_t at, size_t end, size_t *resume)
{
    const char *text = e->j->text;
    while (at < end) {
        size_t user_len = 0, control_len = 0, len;
        int32_t id = trie_longest(&e->t->user, text + at, e->j->len - at, &user_len);
        int32_t special = control ? trie_longest(&e->t->control, text + at, end - at, &control_len) : -1;
        enum sooth_status status;
        if (special >= 0 && (id < 0 || control_len >= user_len)) {
            id = special;
            user_len = control_len;
        }
        len = user_len;
        if (id < 0) {
            at++;
            continue;
        }
        unsigned strips = token_strips(e->t, id);
        status = flush_run(e, strips & TOKEN_STRIP_LEFT ? blanks_before(text, e->run, at) : at);
        if (status)
            return status;
        if (!sink_add(&e->sink, id, at, at + len))
            return err_nomem(e->err);
        at += len;
        if (strips & TOKEN_STRIP_RIGHT)
            at = blanks_after(text, at, e->j->len);
        e->run = at;
    }
    *resume = at;
    return SOOTH_OK;
}

static enum sooth_status encode_body(struct encoding *e)
{
    const struct joined *j = e->j;
    size_t at = 0, end = 0;
    for (size_t i = 0; i < j->n;) {
        bool control = j->segments[i].kind == SEG_CONTROL;
        enum sooth_status status;
        for (; i < j->n && (j->segments[i].kind == SEG_CONTROL) == control; i++)
            end += j->segments[i].len;
        if (at >= end || (!e->t->user.nodes && !control)) {
            at = at > end ? at : end;
            continue;
        }
        status = cut_segment(e, control, at, end, &at);
        if (status)
            return status;
    }
    return flush_run(e, j->len);
}

/* BOS before and EOS after the ids from `start` on, unless they stand there already. */
static bool add_special(const struct tokenizer *t, struct token_sink *sink, size_t start, size_t len)
{
    int32_t bos = vocab_start(t), eos = vocab_stop(t);
    if (token_adds_bos(t) && !(sink->ids->count > start && sink->ids->items[start] == bos)) {
        if (!sink_add(sink, bos, 0, 0))
            return false;
        memmove(sink->ids->items + start + 1, sink->ids->items + start, (sink->ids->count - 1 - start) * sizeof(int32_t));
        sink->ids->items[start] = bos;
        if (sink->spans) {
            size_t from = sink->spans->count - (sink->ids->count - start);
            memmove(sink->spans->items + from + 1, sink->spans->items + from,
                    (sink->spans->count - 1 - from) * sizeof(struct token_span));
            sink->spans->items[from] = (struct token_span){0, 0};
        }
    }
    if (token_adds_eos(t) && !(sink->ids->count > start && sink->ids->items[sink->ids->count - 1] == eos))
        return sink_add(sink, eos, len, len);
    return true;
}

enum sooth_status token_encode(const struct tokenizer *t, const struct token_segment *segments, size_t n, unsigned flags,
                               struct token_ids *ids, struct token_spans *spans, struct sooth_error *err)
{
    struct joined j = {.segments = segments, .n = n};
    struct encoding e = {.t = t, .j = &j, .sink = {ids, spans, 0}, .err = err};
    size_t ids_before = ids->count, spans_before = spans ? spans->count : 0;
    enum sooth_status status = join_segments(&j, err);
    if (!status)
        status = encode_body(&e);
    if (!status && (flags & TOKEN_ADD_SPECIAL) && !add_special(t, &e.sink, ids_before, j.len))
        status = err_nomem(err);
    mem_free(j.owned);
    if (status) {
        ids->count = ids_before;
        ids->failed = false;
        if (spans) {
            spans->count = spans_before;
            spans->failed = false;
        }
    }
    return status;
}

enum sooth_status token_encode_text(const struct tokenizer *t, const char *text, size_t len, unsigned flags,
                                    struct token_ids *ids, struct sooth_error *err)
{
    struct token_segment s = {SEG_TEXT, text, len};
    return token_encode(t, &s, 1, flags, ids, NULL, err);
}

/* Lengths of a pair that fit into `room` tokens together: the longer text gives way, until both have half. */
static void share_room(size_t room, size_t *a, size_t *b)
{
    size_t *little = *a <= *b ? a : b, *large = little == a ? b : a;
    if (*a + *b <= room)
        return;
    *little = *little < room / 2 ? *little : room / 2;
    *large = room - *little;
}

static bool push_run(struct token_ids *ids, const int32_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!vec_push(ids, from[i]))
            return false;
    return true;
}

enum sooth_status token_encode_pair(const struct tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t most,
                                    struct token_ids *ids, struct token_pair *out, struct sooth_error *err)
{
    int32_t start = vocab_start(t), stop = vocab_stop(t);
    struct token_ids both = {0};
    size_t before = ids->count, first = 0, n[2], added = t->row->two_separators ? 4 : 3;
    if (start < 0 || stop < 0)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "this vocabulary has no separator: texts cannot be paired");
    if (most && most < added + 2)
        return err_set(err, SOOTH_ERR_LIMIT, "%zu tokens are too few for a pair of texts", most);
    enum sooth_status status = token_encode_text(t, a, a_len, 0, &both, err);
    first = both.count;
    if (!status)
        status = token_encode_text(t, b, b_len, 0, &both, err);
    n[0] = first;
    n[1] = both.count - first;
    if (most)
        share_room(most - added, &n[0], &n[1]);
    if (!status && !(vec_push(ids, start) && push_run(ids, both.items, n[0]) && vec_push(ids, stop) && (added == 3 || vec_push(ids, stop)) &&
                     push_run(ids, both.items + first, n[1]) && vec_push(ids, stop)))
        status = err_nomem(err);
    if (status) {
        ids->count = before;
        ids->failed = false;
    } else if (out) {
        *out = (struct token_pair){before + added - 1 + n[0], added == 3, n[0] + n[1] < both.count};
    }
    vec_free(&both);
    return status;
}

size_t token_count(const struct tokenizer *t, const char *text, size_t len)
{
    struct token_ids ids = {0};
    size_t n = token_encode_text(t, text, len, 0, &ids, NULL) ? SIZE_MAX : ids.count;
    vec_free(&ids);
    return n;
}
