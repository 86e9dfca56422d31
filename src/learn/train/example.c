/* example.c: conversations, prompts with answers, and texts to ids and masks.
 *
 * For an answer k of a conversation
 *
 *     P = the template over messages 0 .. k-1 with its generation prompt     what a server reads before it answers
 *     W = the template over messages 0 .. k                                  P must be its beginning
 *     whole = the template over all messages                                 W must be its beginning, else it rewrites history
 *
 * and bytes [P, W) are the answer. The whole is tokenized at once when the ids of each P are the beginning of its ids; where
 * the tokenizer would merge over the seam it is cut there instead, so that what is trained is always what is served. The
 * last end-of-turn token in the span is the last that is trained; a template that writes none (the plain one) gets EOS. */
#include "learn/train/example.h"
#include <string.h>
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/map.h"
#include "core/base/sentence.h"
#include "model/infer/infer.h"
#include "model/token/token.h"

enum { RENDER_MEMORY = 256 << 20, TURNS = 4096 };
static const size_t arena_most = (size_t)16 << 30;

struct span { size_t from, to; }; /* bytes of the whole text; trained */

struct making {
    struct examples *e;
    const struct sooth_model *model;
    const struct tokenizer *t;
    const struct sample *s;
    const struct example_options *o;
    struct arena *scratch;
    struct sooth_error *err;
};

void examples_init(struct examples *e)
{
    memset(e, 0, sizeof *e);
    arena_init(&e->arena, arena_most);
}

void examples_release(struct examples *e)
{
    vec_free(&e->list);
    arena_release(&e->arena);
}

/* ---- finished ids ---- */

struct draft {
    struct token_ids ids;
    struct token_spans spans;
    VEC(uint8_t) train;
};

static void draft_release(struct draft *d)
{
    vec_free(&d->ids);
    vec_free(&d->spans);
    vec_free(&d->train);
}

static bool draft_push(struct draft *d, int32_t id, uint8_t train)
{
    return vec_push(&d->ids, id) && vec_push(&d->train, train);
}

/* Copies [from, to) of a draft into the set. */
static enum sooth_status keep(struct making *k, const struct draft *d, size_t from, size_t to)
{
    struct example x = {.n = to - from, .row = k->s->row};
    x.ids = arena_array(&k->e->arena, x.n, sizeof *x.ids);
    x.train = arena_array(&k->e->arena, x.n, 1);
    if (!x.ids || !x.train)
        return err_nomem(k->err);
    memcpy(x.ids, d->ids.items + from, x.n * sizeof *x.ids);
    memcpy(x.train, d->train.items + from, x.n);
    x.train[0] = 0;
    for (size_t i = 0; i < x.n; i++)
        x.trained += x.train[i];
    k->e->tokens += x.n;
    k->e->trained += x.trained;
    return vec_push(&k->e->list, x) ? SOOTH_OK : err_nomem(k->err);
}

/* Too long: the prompt goes first, from its beginning (a start token stays); then the end of the answer. */
static enum sooth_status fit(struct making *k, struct draft *d)
{
    size_t n = d->ids.count, most = k->o->most, first = 1, last = 0;
    while (first < n && !d->train.items[first])
        first++;
    for (size_t i = 1; i < n; i++)
        last = d->train.items[i] ? i : last;
    if (first >= n)
        return k->e->dropped++, SOOTH_OK;
    if (n <= most)
        return keep(k, d, 0, n);
    n = last + 1; /* what follows the last trained token teaches nothing */
    size_t start = n <= most ? 0 : n - most < first - 1 ? n - most : first - 1;
    int32_t bos = token_special(k->t, ROLE_BOS);
    if (start && d->ids.items[0] == bos && start + 1 < first) /* the start token takes the first place that is left */
        d->ids.items[start] = bos;
    k->e->cut += start > 0;
    if (n - start > most) {
        k->e->cut_answers++;
        n = start + most;
    }
    return keep(k, d, start, n);
}

/* ---- tokenizing a rendered text ---- */

/* Segments of bytes [from, to) of a rendering. */
static struct token_segments slice(struct arena *a, const struct token_segments *all, size_t from, size_t to)
{
    struct token_segments out = {arena_array(a, all->count + 1, sizeof *out.items), 0};
    size_t at = 0;
    for (size_t i = 0; out.items && i < all->count; i++) {
        size_t begin = at, end = at + all->items[i].len;
        at = end;
        if (end <= from || begin >= to)
            continue;
        size_t lo = begin > from ? begin : from, hi = end < to ? end : to;
        out.items[out.count++] = (struct token_segment){all->items[i].kind, all->items[i].text + (lo - begin), hi - lo};
    }
    return out;
}

static size_t length(const struct token_segments *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->items[i].len;
    return n;
}

static enum sooth_status encode_piece(struct making *k, const struct token_segments *all, size_t from, size_t to, struct draft *d)
{
    struct token_segments part = slice(k->scratch, all, from, to);
    size_t before = d->spans.count;
    if (!part.items)
        return err_nomem(k->err);
    enum sooth_status status = token_encode(k->t, part.items, part.count, 0, &d->ids, &d->spans, k->err);
    for (size_t i = before; !status && i < d->spans.count; i++) {
        d->spans.items[i].start += from;
        d->spans.items[i].end += from;
    }
    return status;
}

/* BOS by the model's own rule, once. */
static enum sooth_status start_token(struct making *k, struct draft *d)
{
    int32_t bos = token_special(k->t, ROLE_BOS);
    if (bos >= 0 && d->ids.count > 1 && d->ids.items[0] == bos && d->ids.items[1] == bos)
        return err_set(k->err, SOOTH_ERR_FORMAT, "the chat template writes the start token twice");
    if (!token_adds_bos(k->t) || bos < 0 || (d->ids.count && d->ids.items[0] == bos))
        return SOOTH_OK;
    if (!vec_push(&d->ids, bos) || !vec_push(&d->spans, ((struct token_span){0, 0})))
        return err_nomem(k->err);
    memmove(d->ids.items + 1, d->ids.items, (d->ids.count - 1) * sizeof *d->ids.items);
    memmove(d->spans.items + 1, d->spans.items, (d->spans.count - 1) * sizeof *d->spans.items);
    d->ids.items[0] = bos;
    d->spans.items[0] = (struct token_span){0, 0};
    return SOOTH_OK;
}

/* Do the ids of bytes [0, cut) alone begin the ids of the whole? */
static enum sooth_status seam_holds(struct making *k, const struct token_segments *all, size_t cut, const struct draft *d, bool *out)
{
    struct draft prompt = {0};
    enum sooth_status status = encode_piece(k, all, 0, cut, &prompt);
    if (!status)
        status = start_token(k, &prompt);
    size_t n = prompt.ids.count;
    *out = !status && n <= d->ids.count && memcmp(prompt.ids.items, d->ids.items, n * sizeof *d->ids.items) == 0 &&
           (n == d->ids.count || d->spans.items[n].start >= cut);
    draft_release(&prompt);
    return status;
}

static enum sooth_status encode_whole(struct making *k, const struct token_segments *all, const struct span *spans, size_t n, struct draft *d)
{
    size_t end = length(all), at = 0;
    enum sooth_status status = encode_piece(k, all, 0, end, d);
    bool holds = true;
    if (!status)
        status = start_token(k, d);
    for (size_t i = 0; i < n && holds && !status; i++)
        status = seam_holds(k, all, spans[i].from, d, &holds);
    if (status || holds)
        return status;
    d->ids.count = d->spans.count = 0;
    for (size_t i = 0; i <= n && !status; i++) {
        size_t to = i < n ? spans[i].from : end;
        status = encode_piece(k, all, at, to, d);
        at = to;
    }
    return status ? status : start_token(k, d);
}

/* End of the last byte of [from, to) that is not the template's own. */
static size_t content_end(const struct token_segments *all, size_t from, size_t to)
{
    size_t at = 0, end = from;
    for (size_t i = 0; i < all->count; i++) {
        size_t stop = at + all->items[i].len;
        if (all->items[i].kind == SEG_TEXT && at < to && stop > from)
            end = stop < to ? stop : to;
        at = stop;
    }
    return end;
}

static enum sooth_status end_here(struct making *k, struct draft *d, size_t count)
{
    int32_t eos = token_special(k->t, ROLE_EOS);
    d->ids.count = d->train.count = count;
    if (eos < 0)
        return SOOTH_OK;
    return draft_push(d, eos, 1) ? SOOTH_OK : err_nomem(k->err);
}

/* Marks the tokens of one answer; the last one of the text may get EOS. */
static enum sooth_status mark(struct making *k, const struct token_segments *all, const struct span *s, bool last, struct draft *d)
{
    size_t first = 0, stop, end = SIZE_MAX, n = d->ids.count;
    while (first < n && (d->spans.items[first].start < s->from || d->spans.items[first].end == d->spans.items[first].start))
        first++;
    for (stop = first; stop < n && d->spans.items[stop].start < s->to; stop++)
        if (token_is_end(k->t, d->ids.items[stop]))
            end = stop;
    if (end == SIZE_MAX && last) {
        size_t content = content_end(all, s->from, s->to);
        for (stop = first; stop < n && d->spans.items[stop].start < content; stop++)
            d->train.items[stop] = 1;
        return end_here(k, d, stop);
    }
    stop = end == SIZE_MAX ? stop : end + 1;
    for (size_t i = first; i < stop; i++)
        d->train.items[i] = 1;
    return SOOTH_OK;
}

/* One example of a rendered text with its answers. */
static enum sooth_status finish(struct making *k, const struct token_segments *all, const struct span *spans, size_t n)
{
    struct draft d = {0};
    enum sooth_status status = encode_whole(k, all, spans, n, &d);
    for (size_t i = 0; i < d.ids.count && !status; i++)
        if (!vec_push(&d.train, 0))
            status = err_nomem(k->err);
    for (size_t i = 0; i < n && !status; i++)
        status = mark(k, all, &spans[i], i + 1 == n, &d);
    if (!status && k->o->on == TRAIN_ALL && d.train.count)
        memset(d.train.items, 1, d.train.count);
    if (!status && d.ids.count < 2)
        k->e->dropped++;
    else if (!status)
        status = fit(k, &d);
    draft_release(&d);
    return status;
}

/* ---- conversations ---- */

struct talk {
    struct json list, *nodes; /* copies of the messages, so that the list can be shortened */
    size_t n;
};

static bool talk_init(struct talk *t, struct arena *a, const struct json *messages)
{
    *t = (struct talk){.list = *messages, .nodes = arena_array(a, messages->len + 1, sizeof *t->nodes)};
    for (const struct json *m = messages->child; t->nodes && m; m = m->next)
        t->nodes[t->n++] = *m;
    return t->nodes != NULL;
}

static enum sooth_status talk_render(struct making *k, struct talk *t, size_t n, bool prompt, struct token_segments *out)
{
    for (size_t i = 0; i < n; i++)
        t->nodes[i].next = i + 1 < n ? &t->nodes[i + 1] : NULL;
    t->list.child = n ? t->nodes : NULL;
    t->list.len = n;
    return infer_render(k->model, &t->list, k->s->tools, prompt, k->scratch, out, k->err);
}

static const char *text_of(const struct token_segments *s)
{
    return s->count ? s->items[0].text : ""; /* segments of one rendering are neighbours in memory */
}

static bool begins(const struct token_segments *whole, const struct token_segments *part)
{
    size_t n = length(part);
    return n <= length(whole) && memcmp(text_of(whole), text_of(part), n) == 0;
}

static bool is_answer(const struct talk *t, size_t i)
{
    return i > 0 && strcmp(json_string(&t->nodes[i], "role", ""), "assistant") == 0 && json_bool(&t->nodes[i], "train", true) &&
           json_number(&t->nodes[i], "train", 1) != 0;
}

/* Bytes of answer i, and the text up to its end. */
static enum sooth_status answer_span(struct making *k, struct talk *t, size_t i, struct span *out, struct token_segments *upto)
{
    struct token_segments prompt;
    enum sooth_status status = talk_render(k, t, i, true, &prompt);
    if (!status)
        status = talk_render(k, t, i + 1, false, upto);
    if (!status && !begins(upto, &prompt)) {
        err_set(k->err, SOOTH_ERR_UNSUPPORTED, "the chat template does not tell where the answer begins: what it writes before an answer to come is not what it writes before one that is there");
        return err_hint(k->err, "the layouts 'plain' and 'notes' need no template");
    }
    *out = (struct span){status ? 0 : length(&prompt), status ? 0 : length(upto)};
    return status;
}

static enum sooth_status talk_examples(struct making *k)
{
    struct talk t;
    struct token_segments whole, upto;
    enum sooth_status status;
    size_t n = 0, last = 0;
    bool apart = k->o->on == TRAIN_TURNS;
    if (!talk_init(&t, k->scratch, k->s->messages))
        return err_nomem(k->err);
    struct span *spans = arena_array(k->scratch, t.n + 1, sizeof *spans);
    if (!spans)
        return err_nomem(k->err);
    while (t.n && !is_answer(&t, t.n - 1) && k->o->on != TRAIN_ALL) /* what follows the last trained answer teaches nothing */
        t.n--;
    if (!t.n)
        return k->e->dropped++, SOOTH_OK;
    status = talk_render(k, &t, t.n, false, &whole);
    for (size_t i = 1; i < t.n; i++)
        last = is_answer(&t, i) ? i : last;
    for (size_t i = 1; i < t.n && !status; i++) {
        if (!is_answer(&t, i) || (k->o->on == TRAIN_LAST && i != last))
            continue;
        status = answer_span(k, &t, i, &spans[n], &upto);
        if (!status && !apart && !begins(&whole, &upto)) {
            apart = true;
            k->e->split++;
            n = 0;
            i = 0; /* again, one by one */
            continue;
        }
        if (!status && apart)
            status = finish(k, &upto, &spans[0], 1);
        else
            n++;
    }
    return status || apart ? status : finish(k, &whole, spans, n);
}

/* ---- plain layouts ---- */

static enum sooth_status pair_plain(struct making *k, const char *prompt, const char *answer)
{
    struct token_segment items[2] = {{SEG_TEXT, prompt, strlen(prompt)}, {SEG_TEXT, answer, strlen(answer)}};
    struct token_segments all = {items, 2};
    struct span span = {items[0].len, items[0].len + items[1].len};
    return finish(k, &all, &span, 1);
}

static enum sooth_status pair_notes(struct making *k, const char *prompt, const char *answer)
{
    struct draft d = {0};
    int32_t bos = token_special(k->t, ROLE_BOS), eos = token_special(k->t, ROLE_EOS);
    struct token_ids text = {0};
    if (bos < 0 || eos < 0)
        return err_set(k->err, SOOTH_ERR_UNSUPPORTED, "layout 'notes' needs a start and an end token, which this vocabulary lacks");
    enum sooth_status status = token_encode_text(k->t, prompt, strlen(prompt), 0, &text, k->err);
    bool all = k->o->on == TRAIN_ALL, ok = true;
    for (size_t i = 0; i < text.count && ok; i++)
        ok = draft_push(&d, text.items[i], all);
    ok = ok && draft_push(&d, bos, all);
    text.count = 0;
    if (!status)
        status = token_encode_text(k->t, answer, strlen(answer), 0, &text, k->err);
    for (size_t i = 0; i < text.count && ok; i++)
        ok = draft_push(&d, text.items[i], 1);
    ok = ok && draft_push(&d, eos, 1);
    if (!status)
        status = ok ? fit(k, &d) : err_nomem(k->err);
    vec_free(&text);
    draft_release(&d);
    return status;
}

/* A conversation without a template: everything before the last answer, line by line. */
static enum sooth_status pair_of(struct making *k, const char **prompt, const char **answer)
{
    struct buf text = BUF_INIT;
    const struct json *last = NULL;
    *prompt = k->s->prompt;
    *answer = k->s->completion;
    if (!k->s->messages)
        return SOOTH_OK;
    for (const struct json *m = k->s->messages->child; m; m = m->next)
        last = strcmp(json_string(m, "role", ""), "assistant") == 0 ? m : last;
    for (const struct json *m = k->s->messages->child; m && m != last; m = m->next)
        buf_printf(&text, "%s%s", text.len ? "\n" : "", json_string(m, "content", ""));
    *prompt = arena_strdup(k->scratch, buf_str(&text));
    *answer = last ? json_string(last, "content", "") : NULL;
    bool failed = text.failed || !*prompt;
    buf_release(&text);
    return failed ? err_nomem(k->err) : SOOTH_OK;
}

/* ---- texts ---- */

/* Ids of one stretch of text, of which the first share stays untrained. */
static enum sooth_status text_stretch(struct making *k, const char *text, size_t len, double pivot, struct draft *d)
{
    struct token_ids ids = {0};
    enum sooth_status status = token_encode_text(k->t, text, len, 0, &ids, k->err);
    size_t still = (size_t)(pivot * (double)ids.count);
    for (size_t i = 0; i < ids.count && !status; i++)
        if (!draft_push(d, ids.items[i], pivot <= 0 || i > still))
            status = err_nomem(k->err);
    vec_free(&ids);
    return status;
}

/* TopicPrefix and the sentence-completion loss (Lee et al. 2022, arXiv:2206.04624): each sentence is "title: sentence", a fact
 * that stands alone; of each sentence only what follows the pivot is trained, where its facts are. */
static enum sooth_status text_sentences(struct making *k, struct draft *d)
{
    const char *text = k->s->text;
    size_t len = strlen(text), at = 0, done = 0;
    struct sentence s;
    enum sooth_status status = SOOTH_OK;
    while (!status && sentence_next(text, len, &at, &s)) {
        struct buf line = BUF_INIT;
        buf_add(&line, text + done, s.start - done); /* white space between them, as it is */
        if (k->o->topic && k->s->title)
            buf_printf(&line, "%s: ", k->s->title);
        buf_add(&line, text + s.start, s.end - s.start);
        status = line.failed ? err_nomem(k->err) : text_stretch(k, line.data, line.len, k->o->pivot, d);
        buf_release(&line);
        done = s.end;
    }
    return status;
}

static enum sooth_status text_examples(struct making *k)
{
    struct draft d = {0};
    int32_t bos = token_special(k->t, ROLE_BOS), eos = token_special(k->t, ROLE_EOS);
    bool sentences = k->o->pivot > 0 || (k->o->topic && k->s->title);
    enum sooth_status status = SOOTH_OK;
    if (token_adds_bos(k->t) && bos >= 0 && !draft_push(&d, bos, 0))
        status = err_nomem(k->err);
    if (!status)
        status = sentences ? text_sentences(k, &d) : text_stretch(k, k->s->text, strlen(k->s->text), 0, &d);
    if (!status && eos >= 0 && !draft_push(&d, eos, k->o->pivot <= 0))
        status = err_nomem(k->err);
    if (!status && d.ids.count < 2)
        k->e->dropped++;
    for (size_t at = 0; at + 1 < d.ids.count && !status; at += k->o->most - 1) { /* the last token of one is the first of the next */
        size_t left = d.ids.count - at;
        status = keep(k, &d, at, at + (left < k->o->most ? left : k->o->most));
    }
    draft_release(&d);
    return status;
}

/* ---- front ---- */

enum sooth_status example_add(struct examples *e, const struct sooth_model *m, const struct sample *s, const struct example_options *o,
                              struct sooth_error *err)
{
    struct infer_parts parts = infer_parts(m);
    struct arena scratch;
    struct sample pair = *s;
    struct making k = {e, m, parts.tokenizer, &pair, o, &scratch, err};
    const char *prompt, *answer;
    enum layout layout = o->layout == LAYOUT_AUTO ? (parts.has_template || s->messages ? LAYOUT_CHAT : LAYOUT_PLAIN) : o->layout;
    enum sooth_status status = SOOTH_OK;
    if (s->chosen) {
        err_set(err, SOOTH_ERR_ARG, "the rows are pairs of a chosen and a rejected answer");
        return err_hint(err, "'sooth align' learns from those");
    }
    arena_init(&scratch, RENDER_MEMORY);
    if (s->text) {
        status = text_examples(&k);
    } else if (layout == LAYOUT_CHAT) {
        struct json *list = s->messages ? NULL : message_list(&scratch);
        if (!s->messages && (!message_add(&scratch, list, "user", s->prompt) || !message_add(&scratch, list, "assistant", s->completion)))
            status = err_nomem(err);
        pair.messages = s->messages ? s->messages : list;
        if (!status)
            status = talk_examples(&k);
    } else {
        status = pair_of(&k, &prompt, &answer);
        if (!status && !answer)
            e->dropped++;
        else if (!status)
            status = layout == LAYOUT_NOTES ? pair_notes(&k, prompt, answer) : pair_plain(&k, prompt, answer);
    }
    arena_release(&scratch);
    return status;
}

enum sooth_status examples_make(struct examples *e, const struct sooth_model *m, const struct samples *s, const struct example_options *o,
                                bool lenient, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < s->list.count && !status; i++) {
        status = example_add(e, m, &s->list.items[i], o, err);
        if (status)
            err_prefix(err, "row %zu", s->list.items[i].row);
        e->rows++;
    }
    if (status)
        return status;
    if (!e->list.count || !e->trained)
        return err_set(err, SOOTH_ERR_FORMAT, "none of the %zu rows leaves a token to train", e->rows);
    if (!lenient && e->dropped * 100 > e->rows) {
        err_set(err, SOOTH_ERR_FORMAT, "%zu of %zu rows leave no token to train", e->dropped, e->rows);
        return err_hint(err, "'--seq' may be too small, or answers are empty; '--lenient' goes on without those rows");
    }
    return SOOTH_OK;
}

bool examples_repeated(const struct examples *e, const struct examples *other, size_t *duplicates, size_t *shared)
{
    struct map seen;
    map_init(&seen);
    *duplicates = *shared = 0;
    for (size_t i = 0; i < e->list.count; i++) {
        bool fresh = true;
        if (map_add(&seen, e->list.items[i].ids, e->list.items[i].n * sizeof(int32_t), i, &fresh) && !fresh)
            ++*duplicates;
    }
    for (size_t i = 0; other && i < other->list.count; i++)
        *shared += map_find(&seen, other->list.items[i].ids, other->list.items[i].n * sizeof(int32_t), NULL);
    bool ok = !seen.failed;
    map_release(&seen);
    return ok;
}
