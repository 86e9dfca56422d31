/* small_vocab.h: one small vocabulary of each family, written in place. */
#ifndef TESTS_SMALL_VOCAB_H
#define TESTS_SMALL_VOCAB_H
#include "core/base/arena.h"
#include "core/base/utf8.h"
#include "token_support.h"

struct small_vocab {
    struct arena arena;
    struct token_source s;
    struct token_str pieces[600], merges[64];
    int32_t types[600];
    float scores[600];
};

static inline int32_t small_add(struct small_vocab *v, const char *piece, int32_t type, float score)
{
    size_t n = v->s.n++;
    v->pieces[n] = (struct token_str){arena_strdup(&v->arena, piece), strlen(piece)};
    v->types[n] = type;
    v->scores[n] = score;
    return (int32_t)n;
}

static inline void small_init(struct small_vocab *v, const char *model)
{
    memset(v, 0, sizeof *v);
    arena_init(&v->arena, 0);
    token_source_init(&v->s);
    v->s.model = model;
    v->s.pieces = v->pieces;
    v->s.types = v->types;
    v->s.merges = v->merges;
}

static inline void small_merge(struct small_vocab *v, const char *merge)
{
    char piece[64];
    const char *blank = strchr(merge + 1, ' ');
    v->merges[v->s.n_merges++] = (struct token_str){merge, strlen(merge)};
    snprintf(piece, sizeof piece, "%.*s%s", (int)(blank - merge), merge, blank + 1);
    small_add(v, piece, TOKEN_NORMAL, 0);
}

/* All bytes, a few merges; <|start|> 256, <|end|> 257, <|im_end|> 258. */
static inline void small_bpe(struct small_vocab *v, const char *pre)
{
    uint32_t next = 0x100;
    small_init(v, "gpt2");
    for (unsigned b = 0; b < 256; b++) {
        bool plain = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        char text[5] = "";
        text[utf8_encode(plain ? b : next, text)] = 0;
        next += !plain;
        small_add(v, text, TOKEN_NORMAL, 0);
    }
    v->s.bos = small_add(v, "<|start|>", TOKEN_CONTROL, 0);
    v->s.eos = small_add(v, "<|end|>", TOKEN_CONTROL, 0);
    small_add(v, "<|im_end|>", TOKEN_CONTROL, 0);
    small_merge(v, "a a");
    small_merge(v, "aa aa");
    small_merge(v, "1 1");
    small_merge(v, "\xC4\xA0 \xC4\xA0"); /* space space */
    small_merge(v, "\xC4\x8A \xC4\x8A"); /* newline newline */
    small_merge(v, "! !");
    small_merge(v, "\xC3\xA4 \xC2\xB8"); /* two bytes of an ideograph */
    v->s.pre = pre;
    v->s.n_types = v->s.n;
}

/* <unk> 0, <s> 1, </s> 2, bytes 3..258, then pieces. */
static inline void small_spm(struct small_vocab *v)
{
    static const char *const pieces[] = {"\xE2\x96\x81", "a", "b", "aa", "aaaa", "\xE2\x96\x81" "a", "11", "1", "!", "!!", "中", "中中",
                                         "\xE2\x96\x81\xE2\x96\x81"};
    small_init(v, "llama");
    v->s.unk = small_add(v, "<unk>", TOKEN_UNKNOWN, 0);
    v->s.bos = small_add(v, "<s>", TOKEN_CONTROL, 0);
    v->s.eos = small_add(v, "</s>", TOKEN_CONTROL, 0);
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", b);
        small_add(v, text, TOKEN_BYTE, 0);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        small_add(v, pieces[i], TOKEN_NORMAL, -(float)i);
    small_add(v, "\n", TOKEN_USER, 0);
    small_add(v, "\n\n", TOKEN_USER, 0);
    v->s.scores = v->scores;
    v->s.n_scores = v->s.n_types = v->s.n;
}

/* [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, then pieces. */
static inline void small_wordpiece(struct small_vocab *v)
{
    static const char *const pieces[] = {"a", "##a", "##aa", "b", "##b", "1", "##1", "!", "中", "ab", "cafe", "-"};
    small_init(v, "bert");
    v->s.hash_marks = true;
    v->s.pad = small_add(v, "[PAD]", TOKEN_CONTROL, 0);
    v->s.unk = small_add(v, "[UNK]", TOKEN_CONTROL, 0);
    v->s.cls = small_add(v, "[CLS]", TOKEN_CONTROL, 0);
    v->s.sep = small_add(v, "[SEP]", TOKEN_CONTROL, 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        small_add(v, pieces[i], TOKEN_NORMAL, 0);
    v->s.n_types = v->s.n;
}

/* <s> 0, <pad> 1, </s> 2, <unk> 3, then pieces. */
static inline void small_unigram(struct small_vocab *v)
{
    static const struct { const char *piece; float score; } pieces[] = {
        {"\xE2\x96\x81", -2}, {"a", -3}, {"b", -3}, {"aa", -4}, {"\xE2\x96\x81" "ab", -5}, {"1", -3}, {"!", -3}, {"中", -3}};
    small_init(v, "t5");
    v->s.bos = small_add(v, "<s>", TOKEN_CONTROL, 0);
    v->s.pad = small_add(v, "<pad>", TOKEN_CONTROL, 0);
    v->s.eos = small_add(v, "</s>", TOKEN_CONTROL, 0);
    v->s.unk = small_add(v, "<unk>", TOKEN_UNKNOWN, 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        small_add(v, pieces[i].piece, TOKEN_NORMAL, pieces[i].score);
    v->s.add_bos = v->s.add_eos = TOKEN_YES;
    v->s.scores = v->scores;
    v->s.n_scores = v->s.n_types = v->s.n;
}

static inline struct tokenizer *small_open(struct small_vocab *v)
{
    struct sooth_error err = {0};
    struct tokenizer *t;
    if (tokenizer_new(&v->s, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

static inline void small_release(struct small_vocab *v, struct tokenizer *t)
{
    tokenizer_free(t);
    arena_release(&v->arena);
}
#endif
