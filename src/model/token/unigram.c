/* unigram.c: SentencePiece's unigram model (Kudo 2018), as XLM-R, multilingual E5, BGE-M3 and T5 use it.
 *
 * Of all ways to cut a text into pieces the likeliest wins: the sum of log-probabilities is largest. Viterbi, in double
 * precision because sums of floats would tie and untie differently:
 *
 *     best[j] = max over pieces s[i..j) of best[i] + score(piece);  a character that is no piece costs min score - 10
 *
 * Before that characters are mapped (charsmap.c), runs of spaces become one, spaces at both ends go, and each word gets U+2581 in
 * front. Unknowns in a row are one token. Where no piece runs across the start of a word, words are solved one by
 * one: the same optimum. Left out: sampling and n-best. */
#include <float.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/charsmap.h"
#include "model/token/token_vocab.h"

/* Replacements may be long: what a text may become is bounded too. */
enum { MAX_UNIGRAM_PIECE = 1024, MAX_NORMAL = 4 * TOKEN_MAX_INPUT };

struct unigram {
    struct piece_trie trie;
    struct charsmap map;
    double unknown;
    bool words_apart;
    struct byte_joins joins;
};

struct lattice_node {
    double score;
    uint32_t from;
    int32_t id;
};

static void unigram_release(void *state)
{
    struct unigram *u = state;
    trie_release(&u->trie);
    charsmap_release(&u->map);
    mem_free(u);
}

static enum sooth_status build_trie(struct tokenizer *t, struct unigram *u, struct sooth_error *err)
{
    VEC(struct token_str) keys = {0};
    VEC(int32_t) ids = {0};
    double lowest = DBL_MAX;
    bool good = true;
    for (size_t id = 0; good && id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        if (t->types[id] != TOKEN_NORMAL && t->types[id] != TOKEN_USER)
            continue;
        lowest = t->scores[id] < lowest ? t->scores[id] : lowest;
        if (p.len <= MAX_UNIGRAM_PIECE)
            good = vec_push(&keys, p) && vec_push(&ids, (int32_t)id);
    }
    u->unknown = (lowest < DBL_MAX ? lowest : 0) - 10.0;
    good = good && trie_build(&u->trie, keys.items, ids.items, keys.count);
    vec_free(&keys);
    vec_free(&ids);
    return good ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status unigram_build(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    struct unigram *u = t->state = mem_calloc(1, sizeof *u);
    enum sooth_status status;
    if (!u)
        return err_nomem(err);
    if (!t->scores)
        return err_set(err, SOOTH_ERR_FORMAT, "unigram vocabulary without scores (tokenizer.ggml.scores)");
    for (size_t id = 0; id < t->n; id++)
        if (!(t->scores[id] > -1e30f && t->scores[id] < 1e30f))
            return err_set(err, SOOTH_ERR_FORMAT, "score of token %zu is out of range", id);
    if (t->special[ROLE_UNK] < 0)
        t->special[ROLE_UNK] = vocab_find(t, "<unk>", 5);
    if (t->special[ROLE_UNK] < 0)
        return err_set(err, SOOTH_ERR_FORMAT, "unigram vocabulary without an unknown token");
    u->words_apart = vocab_words_apart(t);
    vocab_joins(t, &u->joins);
    t->squeeze = s->remove_extra_whitespaces != TOKEN_NO;
    t->add_space = s->add_space_prefix != TOKEN_NO;
    t->add_eos = true; /* XLM-R's files say BOS too; T5 has none */
    status = charsmap_build(&u->map, s, err);
    return status ? status : build_trie(t, u, err);
}

/* ---- normal form ---- */

struct normal_form {
    const struct tokenizer *t;
    struct mapped_text out;
    size_t space; /* place of a space not yet written, SIZE_MAX = none */
};

static void put_normal(struct normal_form *f, char c, size_t at)
{
    if (c == ' ' && f->t->squeeze) {
        f->space = f->space == SIZE_MAX ? at : f->space;
        return;
    }
    if (f->out.text.len ? f->space != SIZE_MAX : f->t->add_space)
        mapped_add(&f->out, TOKEN_SPACE, 3, f->space == SIZE_MAX ? at : f->space);
    f->space = SIZE_MAX;
    if (c == ' ')
        mapped_add(&f->out, TOKEN_SPACE, 3, at);
    else
        mapped_add(&f->out, &c, 1, at);
}

static bool normalize(struct normal_form *f, const struct token_run *run)
{
    const struct unigram *u = f->t->state;
    mapped_init(&f->out, run->len);
    f->space = SIZE_MAX;
    for (size_t at = 0, used; at < run->len; at += used) {
        struct token_str to;
        used = charsmap_step(&u->map, run->text + at, run->len - at, &to);
        if (f->out.text.len + to.len > MAX_NORMAL)
            return false;
        for (size_t i = 0; i < to.len; i++)
            put_normal(f, to.text[i], at);
    }
    return !mapped_failed(&f->out);
}

/* ---- Viterbi ---- */

static void offer(struct lattice_node *node, double score, uint32_t from, int32_t id)
{
    if (score > node->score)
        *node = (struct lattice_node){score, from, id};
}

/* All pieces that begin at i, and the unknown where the character there is no piece. */
static void extend(const struct tokenizer *t, const char *s, uint32_t i, uint32_t len, uint32_t size, struct lattice_node *best)
{
    const struct unigram *u = t->state;
    bool single = false;
    uint32_t node = 0;
    double here = best[i].score;
    for (uint32_t j = i; j < len && (node = trie_step(&u->trie, node, (unsigned char)s[j])); j++) {
        int32_t id = u->trie.value[node];
        if (id < 0)
            continue;
        single = single || j + 1 - i == size;
        offer(&best[j + 1], here + (t->types[id] == TOKEN_USER ? 0.0 : (double)t->scores[id]), i, id);
    }
    if (!single)
        offer(&best[i + size], here + u->unknown, i, t->special[ROLE_UNK]);
}

/* best: [end - at + 1] */
static bool solve_part(const struct tokenizer *t, const struct mapped_text *m, size_t at,
                       size_t end, struct lattice_node *best, size_t floor, struct token_sink *sink)
{
    const char *s = m->text.data + at;
    uint32_t len = (uint32_t)(end - at), next = len;
    best[0] = (struct lattice_node){0, 0, -1};
    for (uint32_t i = 1; i <= len; i++)
        best[i] = (struct lattice_node){-DBL_MAX, 0, -1};
    for (uint32_t i = 0; i < len;) {
        size_t size;
        utf8_decode(s + i, len - i, &size);
        if (best[i].score > -DBL_MAX)
            extend(t, s, i, len, (uint32_t)size, best);
        i += (uint32_t)size;
    }
    /* The way back is turned around in place: from becomes where the way goes on. */
    for (uint32_t i = len, from; i; i = from) {
        from = best[i].from;
        best[i].from = next;
        next = i;
    }
    for (uint32_t i = 0, to = next; i < len; i = to, to = best[to].from) {
        size_t from = mapped_origin(m, at + i), stop = mapped_origin(m, at + to);
        int32_t id = best[to].id;
        if (!(id == t->special[ROLE_UNK] ? sink_add_unknown(sink, id, from, stop, floor) : sink_add(sink, id, from, stop)))
            return false;
    }
    return true;
}

static enum sooth_status unigram_encode(const struct tokenizer *t, const struct token_run *run, struct token_sink *sink,
                                        struct sooth_error *err)
{
    const struct unigram *u = t->state;
    struct normal_form f = {.t = t};
    VEC(struct lattice_node) best = {0};
    size_t floor = sink->ids->count;
    bool good = normalize(&f, run);
    for (size_t at = 0, end; good && at < f.out.text.len; at = end) {
        end = u->words_apart ? vocab_word_end(f.out.text.data, at, f.out.text.len) : f.out.text.len;
        for (size_t from = at, stop; good && from < end; from = stop) {
            stop = vocab_part_end(&u->joins, f.out.text.data, from, end);
            good = vec_reserve(&best, stop - from + 1) &&
                   solve_part(t, &f.out, from, stop, best.items, floor, sink);
        }
    }
    vec_free(&best);
    mapped_release(&f.out);
    return good ? SOOTH_OK : err_nomem(err);
}

static void unigram_decode(const struct tokenizer *t, int32_t id, bool first, struct buf *out)
{
    struct token_str p = vocab_piece(t, id);
    if (first && t->add_space && p.len >= 3 && !memcmp(p.text, TOKEN_SPACE, 3)) {
        p.text += 3;
        p.len -= 3;
    }
    vocab_put_spaced(out, p.text, p.len);
}

const struct token_row token_row_unigram = {
    .name = "unigram", .gguf = "t5", .note = "SentencePiece unigram (XLM-R, multilingual E5, BGE-M3, T5)", .two_separators = true,
    .build = unigram_build, .release = unigram_release, .encode = unigram_encode, .decode = unigram_decode,
};
