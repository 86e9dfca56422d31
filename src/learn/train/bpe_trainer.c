/* bpe_trainer.c: byte-pair encoding (Gage 1994; Sennrich et al. 2016, arXiv:1508.07909) over bytes (Radford et al. 2019).
 *
 * The text is cut into words by GPT-2's rules, and equal words are counted once. Every byte is a symbol; the pair of neighbours that
 * occurs most often becomes a new symbol, everywhere, and so on. Of equally frequent pairs the one with the smaller numbers goes first.
 *
 *     pairs   (a, b) -> how often, and in which words       a merge visits these words only, and changes the counts next to it
 *     heap    (how often, pair), largest first               entries whose count is not the pair's any more are passed over
 *
 * Work: the text once, then for each merge the words that hold it. Words are cut at WORD_MOST bytes, so that no single one can be
 * visited at the price of a book. */
#include "learn/train/bpe_trainer.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "model/token/token.h"

enum { WORD_MOST = 256, PIECE_MOST = 64, VOCAB_MOST = 1 << 20 };

struct word { uint32_t *ids; uint32_t n; uint64_t count; };
struct pair {
    uint32_t a, b;
    int64_t count;
    uint32_t changed;             /* merge that touched it last */
    VEC(uint32_t) words;
};
struct entry { int64_t count; uint32_t pair; };
struct merge { uint32_t a, b; };

struct bpe_trainer {
    struct arena arena;
    struct map seen, index;       /* word -> its number; (a, b) -> pair */
    VEC(struct word) words;
    VEC(struct pair) pairs;
    VEC(struct entry) heap;
    VEC(uint32_t) touched;
    VEC(struct merge) merges;     /* symbol base + i */
    VEC(uint32_t) length;         /* bytes of each symbol */
    const char *const *specials;
    size_t n_specials, base;      /* base: specials and bytes */
    bool failed;
};

struct bpe_trainer *bpe_trainer_new(void)
{
    struct bpe_trainer *t = mem_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    arena_init(&t->arena, 0);
    map_init(&t->seen);
    map_init(&t->index);
    return t;
}

void bpe_trainer_free(struct bpe_trainer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->pairs.count; i++)
        vec_free(&t->pairs.items[i].words);
    vec_free(&t->words);
    vec_free(&t->pairs);
    vec_free(&t->heap);
    vec_free(&t->touched);
    vec_free(&t->merges);
    vec_free(&t->length);
    map_release(&t->seen);
    map_release(&t->index);
    arena_release(&t->arena);
    mem_free(t);
}

/* ---- words ---- */

static bool word_add(struct bpe_trainer *t, const char *s, size_t n)
{
    uint64_t at;
    if (map_find(&t->seen, s, n, &at)) {
        t->words.items[at].count++;
        return true;
    }
    struct word w = {.ids = arena_array(&t->arena, n, sizeof *w.ids), .n = (uint32_t)n, .count = 1};
    if (!w.ids || !map_put(&t->seen, s, n, t->words.count))
        return false;
    for (size_t i = 0; i < n; i++)
        w.ids[i] = (unsigned char)s[i];
    return vec_push(&t->words, w);
}

static bool word_found(void *user, const char *s, size_t from, size_t to)
{
    struct bpe_trainer *t = user;
    for (size_t at = from; at < to && !t->failed; at += WORD_MOST)
        t->failed = !word_add(t, s + at, to - at < WORD_MOST ? to - at : WORD_MOST);
    return !t->failed;
}

enum sooth_status bpe_trainer_add(struct bpe_trainer *t, const char *text, size_t len, struct sooth_error *err)
{
    token_cut("gpt-2", text, len, word_found, t);
    return t->failed ? err_nomem(err) : SOOTH_OK;
}

/* ---- the heap ---- */

static bool before(const struct bpe_trainer *t, const struct entry *x, const struct entry *y)
{
    const struct pair *p = &t->pairs.items[x->pair], *q = &t->pairs.items[y->pair];
    if (x->count != y->count)
        return x->count > y->count;
    return p->a != q->a ? p->a < q->a : p->b < q->b;
}

static void heap_push(struct bpe_trainer *t, uint32_t pair)
{
    struct entry e = {t->pairs.items[pair].count, pair};
    if (e.count < 2)
        return;
    if (!vec_push(&t->heap, e)) {
        t->failed = true;
        return;
    }
    for (size_t i = t->heap.count - 1; i && before(t, &e, &t->heap.items[(i - 1) / 2]); i = (i - 1) / 2) {
        t->heap.items[i] = t->heap.items[(i - 1) / 2];
        t->heap.items[(i - 1) / 2] = e;
    }
}

static struct entry heap_pop(struct bpe_trainer *t)
{
    struct entry *h = t->heap.items, top = h[0], last = h[--t->heap.count];
    size_t i = 0, n = t->heap.count;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(t, &h[child + 1], &h[child]))
            child++;
        if (!before(t, &h[child], &last))
            break;
        h[i] = h[child];
    }
    if (n)
        h[i] = last;
    return top;
}

/* ---- pairs ---- */

static void pair_change(struct bpe_trainer *t, uint32_t a, uint32_t b, int64_t by, uint32_t word)
{
    const uint32_t key[2] = {a, b};
    uint64_t at;
    if (!map_find(&t->index, key, sizeof key, &at)) {
        struct pair fresh = {.a = a, .b = b, .changed = UINT32_MAX};
        at = t->pairs.count;
        t->failed |= !map_put(&t->index, key, sizeof key, at) || !vec_push(&t->pairs, fresh);
        if (t->failed)
            return;
    }
    struct pair *p = &t->pairs.items[at];
    uint32_t now = (uint32_t)t->merges.count;
    p->count += by;
    if (by > 0 && !(p->words.count && p->words.items[p->words.count - 1] == word))
        t->failed |= !vec_push(&p->words, word);
    if (p->changed != now) {
        p->changed = now;
        t->failed |= !vec_push(&t->touched, (uint32_t)at);
    }
}

static void touched_push(struct bpe_trainer *t)
{
    for (size_t i = 0; i < t->touched.count && !t->failed; i++)
        heap_push(t, t->touched.items[i]);
    t->touched.count = 0;
}

/* Merges (a, b) into `made` all along one word. */
static void word_merge(struct bpe_trainer *t, uint32_t word, uint32_t a, uint32_t b, uint32_t made)
{
    struct word *w = &t->words.items[word];
    uint32_t out = 0;
    int64_t count = (int64_t)w->count;
    for (uint32_t i = 0; i < w->n && !t->failed; i++) {
        if (w->ids[i] != a || i + 1 >= w->n || w->ids[i + 1] != b) {
            w->ids[out++] = w->ids[i];
            continue;
        }
        if (out) {
            pair_change(t, w->ids[out - 1], a, -count, word);
            pair_change(t, w->ids[out - 1], made, count, word);
        }
        if (i + 2 < w->n) {
            pair_change(t, b, w->ids[i + 2], -count, word);
            pair_change(t, made, w->ids[i + 2], count, word);
        }
        pair_change(t, a, b, -count, word);
        w->ids[out++] = made;
        i++;
    }
    w->n = out;
}

static void pairs_count(struct bpe_trainer *t)
{
    for (size_t i = 0; i < t->words.count; i++)
        for (uint32_t j = 0; j + 1 < t->words.items[i].n && !t->failed; j++)
            pair_change(t, t->words.items[i].ids[j], t->words.items[i].ids[j + 1], (int64_t)t->words.items[i].count, (uint32_t)i);
    touched_push(t);
}

static void merge_one(struct bpe_trainer *t, uint32_t pair)
{
    struct merge m = {t->pairs.items[pair].a, t->pairs.items[pair].b};
    uint32_t made = (uint32_t)t->length.count, length = t->length.items[m.a] + t->length.items[m.b];
    if (length > PIECE_MOST) { /* never comes back: what it is made of stays as it is */
        t->pairs.items[pair].count = 0;
        return;
    }
    t->failed |= !vec_push(&t->merges, m) || !vec_push(&t->length, length);
    for (size_t i = 0; i < t->pairs.items[pair].words.count && !t->failed; i++) /* pairs may move while words change */
        word_merge(t, t->pairs.items[pair].words.items[i], m.a, m.b, made);
    touched_push(t);
}

enum sooth_status bpe_trainer_run(struct bpe_trainer *t, size_t size, const char *const *specials, size_t n_specials, struct sooth_error *err)
{
    t->specials = specials;
    t->n_specials = n_specials;
    t->base = n_specials + 256;
    if (size < t->base || size > VOCAB_MOST)
        return err_set(err, SOOTH_ERR_ARG, "a vocabulary has between %zu and %d pieces, not %zu", t->base, VOCAB_MOST, size);
    for (size_t i = 0; i < 256 && !t->failed; i++) /* symbols are numbered from the first byte; specials come before them in the file */
        t->failed |= !vec_push(&t->length, 1);
    pairs_count(t);
    while (!t->failed && t->base + t->merges.count < size && t->heap.count) {
        struct entry e = heap_pop(t);
        if (e.count == t->pairs.items[e.pair].count)
            merge_one(t, e.pair);
    }
    return t->failed ? err_nomem(err) : SOOTH_OK;
}

size_t bpe_trainer_size(const struct bpe_trainer *t)
{
    return t->base + t->merges.count;
}

/* ---- the file ---- */

static void symbol_text(const struct bpe_trainer *t, uint32_t symbol, struct buf *out)
{
    char c[4];
    if (symbol < 256) {
        token_byte_text((unsigned char)symbol, c);
        buf_puts(out, c);
        return;
    }
    symbol_text(t, t->merges.items[symbol - 256].a, out); /* at most PIECE_MOST deep */
    symbol_text(t, t->merges.items[symbol - 256].b, out);
}

static void text_of(const struct bpe_trainer *t, uint32_t symbol, struct buf *out)
{
    buf_clear(out);
    symbol_text(t, symbol, out);
}

static void vocab_write(const struct bpe_trainer *t, struct json_writer *w)
{
    struct buf text = BUF_INIT;
    jsonw_key(w, "vocab");
    jsonw_object(w);
    for (size_t i = 0; i < t->n_specials; i++)
        jsonw_key(w, t->specials[i]), jsonw_int(w, (int64_t)i);
    for (uint32_t s = 0; s < t->length.count; s++) {
        text_of(t, s, &text);
        jsonw_key(w, buf_str(&text)), jsonw_int(w, (int64_t)(t->n_specials + s));
    }
    jsonw_end_object(w);
    jsonw_key(w, "merges");
    jsonw_array(w);
    for (size_t i = 0; i < t->merges.count; i++) {
        buf_clear(&text);
        symbol_text(t, t->merges.items[i].a, &text);
        buf_putc(&text, ' ');
        symbol_text(t, t->merges.items[i].b, &text);
        jsonw_string(w, buf_str(&text));
    }
    jsonw_end_array(w);
    w->out->failed |= text.failed;
    buf_release(&text);
}

static void byte_level(struct json_writer *w, const char *key)
{
    jsonw_key(w, key);
    jsonw_object(w);
    jsonw_key(w, "type"), jsonw_string(w, "ByteLevel");
    jsonw_key(w, "add_prefix_space"), jsonw_bool(w, false);
    jsonw_key(w, "trim_offsets"), jsonw_bool(w, true);
    jsonw_key(w, "use_regex"), jsonw_bool(w, true);
    jsonw_end_object(w);
}

enum sooth_status bpe_trainer_json(const struct bpe_trainer *t, struct buf *out, struct sooth_error *err)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"}, *const none[] = {"truncation", "padding", "normalizer", "post_processor"};
    struct json_writer w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    jsonw_key(&w, "version"), jsonw_string(&w, "1.0");
    jsonw_key(&w, "added_tokens");
    jsonw_array(&w);
    for (size_t i = 0; i < t->n_specials; i++) {
        jsonw_object(&w);
        jsonw_key(&w, "id"), jsonw_int(&w, (int64_t)i);
        jsonw_key(&w, "content"), jsonw_string(&w, t->specials[i]);
        for (size_t f = 0; f < 4; f++)
            jsonw_key(&w, flags[f]), jsonw_bool(&w, false);
        jsonw_key(&w, "special"), jsonw_bool(&w, true);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    for (size_t i = 0; i < 4; i++)
        jsonw_key(&w, none[i]), jsonw_null(&w);
    byte_level(&w, "pre_tokenizer");
    byte_level(&w, "decoder");
    jsonw_key(&w, "model");
    jsonw_object(&w);
    jsonw_key(&w, "type"), jsonw_string(&w, "BPE");
    jsonw_key(&w, "byte_fallback"), jsonw_bool(&w, false);
    vocab_write(t, &w);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    return out->failed ? err_nomem(err) : SOOTH_OK;
}
