/* wordpiece.c: BERT's WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019).
 *
 *     clean      U+0000, U+FFFD, invalid bytes and controls vanish; every blank is a space
 *     fold       uncased vocabularies: canonical decomposition, non-spacing marks dropped, lower case
 *     words      cut at blanks; every punctuation mark and every ideograph is a word
 *     pieces     the longest piece that the word begins with, then the longest that goes on from there, ...; a word with a
 *                part that is no piece, or of more than 100 characters, is one unknown token
 *
 * Two tries: pieces that begin a word and pieces that go on. GGUF files mark the first kind with U+2581, tokenizer.json the
 * second with "##". */
#include <string.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/mapped_text.h"
#include "model/token/token_vocab.h"

enum { MAX_WORD = 100 };

struct wordpiece {
    struct piece_trie begins, goes_on;
    bool fold, hash_marks;
};

static void wordpiece_release(void *state)
{
    struct wordpiece *w = state;
    trie_release(&w->begins);
    trie_release(&w->goes_on);
    mem_free(w);
}

/* True when the piece begins a word; *p loses its mark. */
static bool strip_mark(const struct wordpiece *w, struct token_str *p)
{
    const char *mark = w->hash_marks ? "##" : TOKEN_SPACE;
    size_t n = strlen(mark);
    bool marked = p->len > n && !memcmp(p->text, mark, n);
    if (marked) {
        p->text += n;
        p->len -= n;
    }
    return marked != w->hash_marks;
}

static bool build_tries(const struct tokenizer *t, struct wordpiece *w)
{
    VEC(struct token_str) keys[2] = {0};
    VEC(int32_t) ids[2] = {0};
    bool good = true;
    for (size_t id = 0; good && id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        int which;
        if (!vocab_is_text(t, (int32_t)id))
            continue;
        which = strip_mark(w, &p);
        good = vec_push(&keys[which], p) && vec_push(&ids[which], (int32_t)id);
    }
    good = good && trie_build(&w->begins, keys[1].items, ids[1].items, keys[1].count) &&
           trie_build(&w->goes_on, keys[0].items, ids[0].items, keys[0].count);
    for (int i = 0; i < 2; i++) {
        vec_free(&keys[i]);
        vec_free(&ids[i]);
    }
    return good;
}

static enum sooth_status wordpiece_build(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    struct wordpiece *w = t->state = mem_calloc(1, sizeof *w);
    if (!w)
        return err_nomem(err);
    if (t->special[ROLE_UNK] < 0)
        t->special[ROLE_UNK] = vocab_find(t, "[UNK]", 5);
    if (t->special[ROLE_UNK] < 0)
        return err_set(err, SOOTH_ERR_FORMAT, "WordPiece vocabulary without an unknown token");
    if (t->special[ROLE_CLS] < 0 && t->special[ROLE_BOS] < 0)
        t->special[ROLE_CLS] = vocab_find(t, "[CLS]", 5);
    if (t->special[ROLE_SEP] < 0 && t->special[ROLE_EOS] < 0)
        t->special[ROLE_SEP] = vocab_find(t, "[SEP]", 5);
    t->add_bos = t->add_eos = true;
    w->fold = !s->keep_case;
    w->hash_marks = s->hash_marks;
    return build_tries(t, w) ? SOOTH_OK : err_nomem(err);
}

/* ---- words ---- */

/* BERT's list of ideographs; kana and Hangul are no part of it. */
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool stands_alone(uint32_t c)
{
    return uni_class(c) & UNI_PUNCT || (c < 128 && uni_class(c) & UNI_SYMBOL) || is_ideograph(c);
}

struct word_maker {
    const struct tokenizer *t;
    const struct wordpiece *w;
    struct token_sink *sink;
    struct mapped_text word; /* the word being gathered */
    struct buf form;
    size_t characters;
};

static bool end_word(struct word_maker *m, size_t source_end)
{
    const char *s = m->word.text.data;
    size_t len = m->word.text.len, before = m->sink->ids->count, at = 0;
    bool good = true;
    m->word.source_len = source_end;
    if (len && m->characters <= MAX_WORD)
        while (good && at < len) {
            size_t size = 0;
            int32_t id = trie_longest(at ? &m->w->goes_on : &m->w->begins, s + at, len - at, &size);
            if (id < 0)
                break;
            good = sink_add(m->sink, id, mapped_origin(&m->word, at), mapped_origin(&m->word, at + size));
            at += size;
        }
    if (good && at < len) {
        if (m->sink->spans)
            m->sink->spans->count -= m->sink->ids->count - before;
        m->sink->ids->count = before;
        good = sink_add(m->sink, m->t->special[ROLE_UNK], mapped_origin(&m->word, 0), source_end);
    }
    good = good && !mapped_failed(&m->word);
    buf_clear(&m->word.text);
    m->word.origin.count = 0;
    m->characters = 0;
    return good;
}

/* One folded character. */
static bool add_character(struct word_maker *m, uint32_t c, size_t at, size_t end)
{
    char bytes[4];
    if (m->w->fold)
        c = uni_lower(c);
    if (stands_alone(c) && !end_word(m, at))
        return false;
    m->characters++;
    if (!mapped_add(&m->word, bytes, utf8_encode(c, bytes), at))
        return false;
    return !stands_alone(c) || end_word(m, end);
}

static bool folds_to_itself(uint32_t c)
{
    return c < 0xC0 || (c >= 0x3400 && c < 0xA000);
}

/* A character of the text: decomposed and stripped of its marks where the vocabulary is uncased. */
static bool add_source(struct word_maker *m, uint32_t c, const char *s, size_t at, size_t end)
{
    if (!m->w->fold || folds_to_itself(c))
        return add_character(m, c, at, end);
    buf_clear(&m->form);
    if (uni_normalize(UNI_NFD, s + at, end - at, &m->form, NULL))
        return false;
    for (size_t i = 0, size; i < m->form.len; i += size) {
        c = utf8_decode(m->form.data + i, m->form.len - i, &size);
        if (!uni_is_nonspacing(c) && !add_character(m, c, at, end))
            return false;
    }
    return true;
}

static enum sooth_status wordpiece_encode(const struct tokenizer *t, const struct token_run *run, struct token_sink *sink,
                                          struct sooth_error *err)
{
    struct word_maker m = {.t = t, .w = t->state, .sink = sink};
    bool good = true;
    mapped_init(&m.word, run->len);
    for (size_t at = 0, size; good && at < run->len; at += size) {
        uint32_t c = utf8_decode(run->text + at, run->len - at, &size);
        unsigned cls = c == UTF8_BAD ? UNI_CONTROL : uni_class(c);
        if (cls & UNI_SPACE)
            good = end_word(&m, at);
        else if (!(cls & UNI_CONTROL) && c && c != 0xFFFD)
            good = add_source(&m, c, run->text, at, at + size);
    }
    good = good && end_word(&m, run->len);
    mapped_release(&m.word);
    buf_release(&m.form);
    return good ? SOOTH_OK : err_nomem(err);
}

static void wordpiece_decode(const struct tokenizer *t, int32_t id, bool first, struct buf *out)
{
    struct token_str p = vocab_piece(t, id);
    if (strip_mark(t->state, &p) && !first)
        buf_putc(out, ' ');
    buf_add(out, p.text, p.len);
}

const struct token_row token_row_wordpiece = {
    .name = "wordpiece", .gguf = "bert", .note = "WordPiece (BERT, MiniLM, BGE)",
    .build = wordpiece_build, .release = wordpiece_release, .encode = wordpiece_encode, .decode = wordpiece_decode,
};
