/* bpe.c: byte-level BPE (Radford et al. 2019): the text's bytes are the first symbols, and merges learned from a corpus
 * join them by rank inside the pieces that the rules cut (bpe_rules.c).
 *
 * Vocabularies write each byte as a printable character: 0x21-0x7E, 0xA1-0xAC, 0xAE-0xFF stand for themselves, the other 68
 * become U+0100, U+0101, ... in order. Here text stays bytes; the pieces are translated when they are looked at.
 *
 * A merge is a row (left id, right id) -> (rank, id of both together). Merges whose parts or result are no pieces of the
 * vocabulary can never be part of an answer; they are left out, with a warning. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/utf8.h"
#include "model/token/bpe_rules.h"
#include "model/token/mapped_text.h"
#include "model/token/merge_queue.h"
#include "model/token/token_vocab.h"

struct pair_slot { int32_t left, right, merged; uint32_t rank; }; /* left -1 = empty */

struct bpe {
    const struct bpe_rules *rules;
    bool whole_first, compose;
    size_t longest;        /* bytes of the longest piece */
    int32_t byte_id[256];
    struct pair_slot *pairs;
    size_t mask;
    struct byte_joins joins; /* last byte of a merge's left part, first of its right */
};

/* ---- the byte alphabet ---- */

static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static uint32_t byte_to_char(unsigned byte)
{
    uint32_t c = 0x100;
    if (is_printable(byte))
        return byte;
    for (unsigned b = 0; b < byte; b++)
        c += !is_printable(b);
    return c;
}

void token_byte_text(unsigned char byte, char out[4])
{
    out[utf8_encode(byte_to_char(byte), out)] = 0;
}

bool token_cut(const char *rules, const char *text, size_t len, token_cut_fn *piece, void *user)
{
    const struct bpe_rules *r = bpe_rules_find(rules);
    return r && bpe_cut(r, text, len, piece, user);
}

/* The byte that a character stands for, or -1: 0x00-0x20, 0x7F-0xA0, 0xAD are U+0100 to U+0143. */
static int char_to_byte(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c <= 0x142)
        return (int)c - 0x121 + 0x7F;
    return c == 0x143 ? 0xAD : -1;
}

/* ---- building ---- */

static struct pair_slot *pair_find(const struct bpe *b, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i;
    key *= 0x9E3779B97F4A7C15u;
    i = (size_t)(key ^ key >> 29) & b->mask;
    while (b->pairs[i].left >= 0 && (b->pairs[i].left != left || b->pairs[i].right != right))
        i = (i + 1) & b->mask;
    return &b->pairs[i];
}

/* "left right": the blank is the first one after the first character (a piece may hold none). */
static bool split_merge(struct token_str m, struct token_str *left, struct token_str *right)
{
    const char *blank = m.len > 2 ? memchr(m.text + 1, ' ', m.len - 2) : NULL;
    if (!blank)
        return false;
    *left = (struct token_str){m.text, (size_t)(blank - m.text)};
    *right = (struct token_str){blank + 1, m.len - left->len - 1};
    return true;
}

/* Of a piece that merging made, hence written in the byte alphabet. */
static unsigned char first_byte(struct token_str p)
{
    size_t size;
    return (unsigned char)char_to_byte(utf8_decode(p.text, p.len, &size));
}

static unsigned char last_byte(struct token_str p)
{
    size_t at = utf8_floor(p.text, p.len, p.len - 1);
    return first_byte((struct token_str){p.text + at, p.len - at});
}

static enum sooth_status add_merges(struct tokenizer *t, struct bpe *b,
                                    const struct token_source *s, struct sooth_error *err)
{
    size_t slots = 16, lost = 0;
    struct buf joined = BUF_INIT;
    while (slots < 2 * s->n_merges)
        slots *= 2;
    b->pairs = mem_array(slots, sizeof *b->pairs);
    b->mask = slots - 1;
    if (!b->pairs)
        return err_nomem(err);
    memset(b->pairs, 0xFF, slots * sizeof *b->pairs);
    for (size_t i = 0; i < s->n_merges; i++) {
        struct token_str left, right;
        int32_t l, r, both;
        struct pair_slot *slot;
        if (!split_merge(s->merges[i], &left, &right)) {
            buf_release(&joined);
            return err_set(err, SOOTH_ERR_FORMAT, "merge %zu is not two pieces with a blank between", i);
        }
        buf_clear(&joined);
        buf_add(&joined, left.text, left.len);
        buf_add(&joined, right.text, right.len);
        l = vocab_find_text(t, left.text, left.len);
        r = vocab_find_text(t, right.text, right.len);
        if (joined.failed) {
            buf_release(&joined);
            return err_nomem(err);
        }
        both = vocab_find_text(t, joined.data, joined.len);
        if (l < 0 || r < 0 || both < 0) {
            lost++;
            continue;
        }
        joins_add(&b->joins, last_byte(left), first_byte(right));
        slot = pair_find(b, l, r);
        if (slot->left < 0)
            *slot = (struct pair_slot){l, r, both, (uint32_t)i};
    }
    if (lost)
        vocab_warn(t, "%zu of %zu merges name pieces that the vocabulary lacks and are ignored", lost, s->n_merges);
    lost = joined.failed;
    buf_release(&joined);
    return lost ? err_nomem(err) : SOOTH_OK;
}

static enum sooth_status choose_rules(struct tokenizer *t, struct bpe *b, const struct token_source *s, struct sooth_error *err)
{
    bool missing = !s->pre || !*s->pre || !strcmp(s->pre, "default");
    b->rules = bpe_rules_find(missing ? "gpt-2" : s->pre);
    if (!b->rules)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "unknown pre-tokenizer '%.60s' (tokenizer.ggml.pre)", s->pre);
    if (missing)
        vocab_warn(t, "the file does not name its pre-tokenizer (tokenizer.ggml.pre): the rules of gpt-2 are used, and if "
                      "the model was trained with others its answers will be worse");
    t->rules = missing ? "gpt-2" : b->rules->name;
    return SOOTH_OK;
}

static void bpe_release(void *state)
{
    struct bpe *b = state;
    mem_free(b->pairs);
    mem_free(b);
}

static enum sooth_status bpe_build(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    struct bpe *b = t->state = mem_calloc(1, sizeof *b);
    enum sooth_status status;
    unsigned missing = 0;
    if (!b)
        return err_nomem(err);
    status = choose_rules(t, b, s, err);
    if (status)
        return status;
    for (unsigned byte = 0; byte < 256; byte++) {
        char c[4];
        size_t len = utf8_encode(byte_to_char(byte), c);
        b->byte_id[byte] = vocab_find_text(t, c, len);
        missing += b->byte_id[byte] < 0;
    }
    if (missing == 256)
        return err_set(err, SOOTH_ERR_FORMAT, "byte-level vocabulary without a single byte");
    if (missing > 24) /* 13 bytes never occur in UTF-8, a few more only begin planes and scripts nobody writes */
        vocab_warn(t, "%u bytes have no piece; they become the unknown token, or vanish where there is none", missing);
    for (size_t id = 0; id < t->n; id++)
        b->longest = vocab_piece(t, (int32_t)id).len > b->longest ? vocab_piece(t, (int32_t)id).len : b->longest;
    b->whole_first = b->rules->whole_first || s->whole_first;
    b->compose = s->compose ? s->compose == TOKEN_YES : b->rules->compose;
    t->add_bos = b->rules->add_bos;
    return add_merges(t, b, s, err);
}

/* ---- encoding ---- */

struct bpe_run {
    const struct tokenizer *t;
    const struct bpe *b;
    struct merge_work work;
    struct token_sink *sink;
    const struct mapped_text *map; /* or NULL */
};

static uint32_t bpe_rank(const void *vocabulary, const char *text, const struct merge_symbol *left,
                         const struct merge_symbol *right, uint32_t to, int32_t *merged)
{
    const struct pair_slot *slot;
    (void)text, (void)to;
    if (left->id < 0 || right->id < 0)
        return MERGE_NONE;
    slot = pair_find(vocabulary, left->id, right->id);
    *merged = slot->merged;
    return slot->left < 0 ? MERGE_NONE : slot->rank;
}

/* The piece that is this text from end to end, or -1. */
static int32_t whole_piece(const struct bpe_run *r, const char *s, size_t len)
{
    char mapped[512];
    size_t n = 0;
    if (len > r->b->longest || 2 * len > sizeof mapped)
        return -1;
    for (size_t i = 0; i < len; i++)
        n += utf8_encode(byte_to_char((unsigned char)s[i]), mapped + n);
    return vocab_find_text(r->t, mapped, n);
}

static bool put(struct bpe_run *r, int32_t id, size_t start, size_t end)
{
    if (r->map) {
        start = mapped_origin(r->map, start);
        end = mapped_origin(r->map, end);
    }
    if (id < 0)
        id = r->t->special[ROLE_UNK];
    return id < 0 || sink_add(r->sink, id, start, end);
}

/* A part of a piece that merges may cross. */
static bool encode_part(struct bpe_run *r, const char *s, size_t at, size_t end)
{
    merge_clear(&r->work);
    for (size_t i = at; i < end; i++)
        if (!merge_push(&r->work, (uint32_t)i, r->b->byte_id[(unsigned char)s[i]]))
            return false;
    if (!merge_run(&r->work, bpe_rank, r->b, s, (uint32_t)end))
        return false;
    for (uint32_t i = 0, next; i != MERGE_NONE; i = next) {
        next = r->work.symbols[i].next;
        if (!put(r, r->work.symbols[i].id, r->work.symbols[i].start, next == MERGE_NONE ? end : r->work.symbols[next].start))
            return false;
    }
    return true;
}

static bool encode_piece(void *user, const char *s, size_t at, size_t end)
{
    struct bpe_run *r = user;
    int32_t id = end - at == 1 ? r->b->byte_id[(unsigned char)s[at]] : -1;
    if (id < 0 && r->b->whole_first)
        id = whole_piece(r, s + at, end - at);
    if (id >= 0)
        return put(r, id, at, end);
    for (size_t stop; at < end; at = stop) {
        stop = vocab_part_end(&r->b->joins, s, at, end);
        if (!encode_part(r, s, at, stop))
            return false;
    }
    return true;
}

static bool is_ascii(const char *s, size_t len)
{
    unsigned char any = 0;
    for (size_t i = 0; i < len; i++)
        any |= (unsigned char)s[i];
    return any < 128;
}

static enum sooth_status bpe_encode(const struct tokenizer *t, const struct token_run *run, struct token_sink *sink,
                                    struct sooth_error *err)
{
    const struct bpe *b = t->state;
    struct bpe_run r = {.t = t, .b = b, .sink = sink};
    struct mapped_text map;
    enum sooth_status status = SOOTH_OK;
    bool good;
    if (b->compose && !is_ascii(run->text, run->len)) {
        mapped_init(&map, run->len);
        r.map = &map;
        status = mapped_compose(&map, run->text, run->len, err);
    }
    good = !status && bpe_cut(b->rules, r.map ? map.text.data : run->text, r.map ? map.text.len : run->len, encode_piece, &r);
    merge_release(&r.work);
    if (r.map)
        mapped_release(&map);
    return good ? SOOTH_OK : err_nomem(err);
}

static void bpe_decode(const struct tokenizer *t, int32_t id, bool first, struct buf *out)
{
    struct token_str p = vocab_piece(t, id);
    (void)first;
    for (size_t i = 0, size; i < p.len; i += size) {
        uint32_t c = utf8_decode(p.text + i, p.len - i, &size);
        int byte = t->types[id] == TOKEN_USER ? -1 : char_to_byte(c);
        if (byte >= 0)
            buf_putc(out, (char)byte);
        else
            buf_add(out, p.text + i, size);
    }
}

const struct token_row token_row_bpe = {
    .name = "bpe", .gguf = "gpt2", .note = "byte-level byte-pair encoding (GPT-2, Llama 3, Qwen, SmolLM)",
    .build = bpe_build, .release = bpe_release, .encode = bpe_encode, .decode = bpe_decode,
};
