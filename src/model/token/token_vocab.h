/* token_vocab.h: inside of a tokenizer, for the files of this folder.
 *
 * A family (bpe, spm, wordpiece, unigram) is a row of the tokenizer table: how it builds its own tables, how it cuts a
 * run of plain text, and what text a piece stands for. Special pieces are cut out before a family sees anything. */
#ifndef TOKEN_TOKEN_VOCAB_H
#define TOKEN_TOKEN_VOCAB_H
#include "core/base/vec.h"
#include "model/token/piece_trie.h"
#include "model/token/token.h"

enum { TOKEN_MAX_PIECE = 65536, TOKEN_MAX_VOCAB = 1 << 24, TOKEN_MAX_INPUT = 64 << 20 };

/* Where ids go. base: place of the run in the whole input. */
struct token_sink {
    struct token_ids *ids;
    struct token_spans *spans; /* or NULL */
    size_t base;
};
bool sink_add(struct token_sink *s, int32_t id, size_t start, size_t end);
/* Unknown pieces in a row are one: widens the last token instead, if it is `id` and came after `floor`. */
bool sink_add_unknown(struct token_sink *s, int32_t id, size_t start, size_t end, size_t floor);

/* Plain text between special tokens. */
struct token_run {
    const char *text;
    size_t len;
};

struct token_row {
    const char *name, *gguf; /* our name, and tokenizer.ggml.model's */
    const char *note;
    bool two_separators;     /* between the texts of a pair, as RoBERTa's family has it */
    enum sooth_status (*build)(struct tokenizer *t, const struct token_source *s, struct sooth_error *err);
    void (*release)(void *state);
    /* SOOTH_ERR_NOMEM is the only failure. */
    enum sooth_status (*encode)(const struct tokenizer *t, const struct token_run *run, struct token_sink *sink,
                                struct sooth_error *err);
    /* Appends the bytes of a piece that is no control token. first: nothing has been decoded before. */
    void (*decode)(const struct tokenizer *t, int32_t id, bool first, struct buf *out);
};

struct tokenizer {
    const struct token_row *row;
    void *state;          /* the family's own */
    size_t n;
    char *blob;           /* all pieces, one after another */
    uint32_t *offset;     /* [n + 1] into blob */
    float *scores;        /* [n] or NULL */
    unsigned char *types; /* [n] enum token_type */
    unsigned char *ends;  /* [n] true for end tokens */
    unsigned char *strips; /* [n] TOKEN_STRIP_..., or NULL */
    uint32_t *table;      /* open addressing: id + 1, 0 = empty */
    size_t mask;
    struct piece_trie control, user; /* what is cut out of control text, of any text */
    int32_t special[ROLE_COUNT];
    bool add_bos, add_eos, add_space, squeeze; /* squeeze: remove extra whitespace */
    const char *rules;
    char *template, *bos_text, *eos_text;
    VEC(char *) warnings;
};

extern const struct token_row *const token_rows[]; /* NULL after the last */

static inline struct token_str vocab_piece(const struct tokenizer *t, int32_t id)
{
    return (struct token_str){t->blob + t->offset[id], t->offset[id + 1] - t->offset[id]};
}
int32_t vocab_find(const struct tokenizer *t, const char *piece, size_t len); /* any type; -1 */
/* As vocab_find, but only pieces that plain text may become: never control, unknown or byte pieces. */
int32_t vocab_find_text(const struct tokenizer *t, const char *piece, size_t len);
bool vocab_is_text(const struct tokenizer *t, int32_t id);
int vocab_byte(struct token_str piece); /* the byte that "<0xHH>" names, or -1 */
/* Ids of the 256 byte pieces "<0x00>" .. "<0xFF>", -1 where missing. */
void vocab_bytes(const struct tokenizer *t, int32_t ids[256]);
/* Ids that TOKEN_ADD_SPECIAL puts in front and behind: BOS and EOS, or BERT's CLS and SEP; -1 = none. */
int32_t vocab_start(const struct tokenizer *t);
int32_t vocab_stop(const struct tokenizer *t);
void vocab_warn(struct tokenizer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Which bytes may be neighbours inside a piece, or inside what a merge makes: where two never are,
 * no token runs across, and a run may be cut there exactly. Long runs then need little memory. */
struct byte_joins {
    unsigned char bits[256][32];
};
static inline void joins_add(struct byte_joins *j, unsigned char left, unsigned char right)
{
    j->bits[left][right / 8] |= (unsigned char)(1u << right % 8);
}
static inline bool joins_has(const struct byte_joins *j, char left, char right)
{
    unsigned char r = (unsigned char)right;
    return j->bits[(unsigned char)left][r / 8] >> r % 8 & 1;
}
void vocab_joins(const struct tokenizer *t, struct byte_joins *j); /* of all text pieces */
/* End of the uncuttable part of s[at, end) that begins at `at`; characters stay whole. */
size_t vocab_part_end(const struct byte_joins *j, const char *s, size_t at, size_t end);

/* U+2581, SentencePiece's visible space. */
#define TOKEN_SPACE "\xE2\x96\x81"
/* True when no text piece holds U+2581 after another character: then runs may be cut before each U+2581 that
 * follows another character, exactly. */
bool vocab_words_apart(const struct tokenizer *t);
size_t vocab_word_end(const char *s, size_t at, size_t len); /* the next such place after at, or len */
/* A piece with U+2581 written as spaces. */
void vocab_put_spaced(struct buf *out, const char *s, size_t len);
#endif
