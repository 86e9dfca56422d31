/* spm.c: SentencePiece's BPE (Kudo and Richardson 2018), as Llama 1 and 2, Mistral, Phi-3 and Gemma 1 to 3 use it.
 *
 * Spaces become U+2581; the first symbols are characters; the pair whose joined text is the piece of highest score merges,
 * leftmost among equals; a score of minus infinity never merges. Characters that end up as no piece are spelled in byte pieces <0xHH>, or become the unknown.
 *
 * Where no piece runs across the start of a word (vocab_words_apart), no merge can, and words are merged one by one: the same
 * ids in less memory. Left out: "unused" pieces being taken apart again, and sampling. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/mapped_text.h"
#include "model/token/merge_queue.h"
#include "model/token/token_vocab.h"

struct spm {
    int32_t byte_id[256];
    bool words_apart;
    struct byte_joins joins;
    size_t longest;
};

static void spm_release(void *state)
{
    mem_free(state);
}

static enum sooth_status spm_build(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    struct spm *m = t->state = mem_calloc(1, sizeof *m);
    if (!m)
        return err_nomem(err);
    if (!t->scores)
        return err_set(err, SOOTH_ERR_FORMAT, "SentencePiece vocabulary without scores (tokenizer.ggml.scores)");
    vocab_bytes(t, m->byte_id);
    m->words_apart = vocab_words_apart(t);
    vocab_joins(t, &m->joins);
    for (size_t id = 0; id < t->n; id++)
        if (vocab_is_text(t, (int32_t)id) && vocab_piece(t, (int32_t)id).len > m->longest)
            m->longest = vocab_piece(t, (int32_t)id).len;
    t->add_bos = true;
    t->add_space = s->add_space_prefix != TOKEN_NO;
    return SOOTH_OK;
}

/* Scores as ranks: a higher score is a lower number, in the order of floats. */
static uint32_t score_rank(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u;
    return ~bits == MERGE_NONE ? MERGE_NONE - 1 : ~bits;
}

static uint32_t spm_rank(const void *vocabulary, const char *text, const struct merge_symbol *left,
                         const struct merge_symbol *right, uint32_t to, int32_t *merged)
{
    const struct tokenizer *t = vocabulary;
    const struct spm *m = t->state;
    (void)right;
    if (to - left->start > m->longest)
        return MERGE_NONE;
    *merged = vocab_find_text(t, text + left->start, to - left->start);
    return *merged < 0 || t->scores[*merged] == -INFINITY ? MERGE_NONE : score_rank(t->scores[*merged]);
}

/* A symbol that is no piece, byte by byte. */
static bool spell(const struct tokenizer *t, const struct mapped_text *map, size_t start, size_t end, struct token_sink *sink)
{
    const struct spm *m = t->state;
    size_t from = mapped_origin(map, start), to = mapped_origin(map, end);
    for (size_t i = start; i < end; i++) {
        int32_t id = m->byte_id[(unsigned char)map->text.data[i]];
        if (id < 0)
            return t->special[ROLE_UNK] < 0 || sink_add(sink, t->special[ROLE_UNK], from, to);
        if (!sink_add(sink, id, from, to))
            return false;
    }
    return true;
}

static bool encode_part(const struct tokenizer *t, struct merge_work *w,
                        const struct mapped_text *map, size_t start, size_t end,
                        struct token_sink *sink)
{
    const char *s = map->text.data;
    merge_clear(w);
    for (size_t i = start, size; i < end; i += size) {
        utf8_decode(s + i, end - i, &size);
        if (!merge_push(w, (uint32_t)i, vocab_find_text(t, s + i, size)))
            return false;
    }
    if (!merge_run(w, spm_rank, t, s, (uint32_t)end))
        return false;
    for (uint32_t i = w->count ? 0 : MERGE_NONE, next; i != MERGE_NONE; i = next) {
        const struct merge_symbol *sym = &w->symbols[i];
        size_t stop;
        next = sym->next;
        stop = next == MERGE_NONE ? end : w->symbols[next].start;
        if (!(sym->id < 0 ? spell(t, map, sym->start, stop, sink)
                          : sink_add(sink, sym->id, mapped_origin(map, sym->start), mapped_origin(map, stop))))
            return false;
    }
    return true;
}

static enum sooth_status spm_encode(const struct tokenizer *t, const struct token_run *run, struct token_sink *sink,
                                    struct sooth_error *err)
{
    const struct spm *m = t->state;
    struct mapped_text map;
    struct merge_work work = {0};
    bool good = true;
    mapped_init(&map, run->len);
    if (t->add_space)
        mapped_add(&map, TOKEN_SPACE, 3, 0);
    for (size_t i = 0; i < run->len && !mapped_failed(&map); i++) {
        bool space = run->text[i] == ' ';
        mapped_add(&map, space ? TOKEN_SPACE : run->text + i, space ? 3 : 1, i);
    }
    good = !mapped_failed(&map);
    for (size_t at = 0, end; good && at < map.text.len; at = end) {
        end = m->words_apart ? vocab_word_end(map.text.data, at, map.text.len) : map.text.len;
        for (size_t from = at, stop; good && from < end; from = stop) {
            stop = vocab_part_end(&m->joins, map.text.data, from, end);
            good = encode_part(t, &work, &map, from, stop, sink);
        }
    }
    merge_release(&work);
    mapped_release(&map);
    return good ? SOOTH_OK : err_nomem(err);
}

static void spm_decode(const struct tokenizer *t, int32_t id, bool first, struct buf *out)
{
    struct token_str p = vocab_piece(t, id);
    if (t->types[id] == TOKEN_BYTE) {
        buf_putc(out, (char)vocab_byte(p));
        return;
    }
    if (first && t->add_space && p.len >= 3 && !memcmp(p.text, TOKEN_SPACE, 3)) {
        p.text += 3;
        p.len -= 3;
    }
    vocab_put_spaced(out, p.text, p.len);
}

const struct token_row token_row_spm = {
    .name = "spm", .gguf = "llama", .note = "SentencePiece byte-pair encoding by score (Llama 2, Mistral, Phi-3, Gemma)",
    .build = spm_build, .release = spm_release, .encode = spm_encode, .decode = spm_decode,
};
