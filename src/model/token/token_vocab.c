/* token_vocab.c: the checked vocabulary that all families stand on, and the facts about it. */
#include "model/token/token_vocab.h"
#include <stdarg.h>
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/utf8.h"

#define ROW(x) extern const struct token_row token_row_##x;
#include "model/token/token_rows.inc"
#undef ROW
#define ROW(x) &token_row_##x,
const struct token_row *const token_rows[] = {
#include "model/token/token_rows.inc"
    NULL};
#undef ROW

void token_source_init(struct token_source *s)
{
    *s = (struct token_source){.bos = -1, .eos = -1, .unk = -1, .sep = -1, .pad = -1, .cls = -1, .mask = -1, .eot = -1, .eom = -1};
}

void vocab_warn(struct tokenizer *t, const char *format, ...)
{
    struct buf b = BUF_INIT;
    char *line;
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&b, format, ap);
    va_end(ap);
    line = buf_take(&b);
    if (line && !vec_push(&t->warnings, line))
        mem_free(line);
}

/* ---- lookup ---- */

static bool table_build(struct tokenizer *t)
{
    size_t slots = 16;
    while (slots < 2 * t->n)
        slots *= 2;
    t->table = mem_calloc(slots, sizeof *t->table);
    t->mask = slots - 1;
    if (!t->table)
        return false;
    for (size_t id = 0; id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        size_t i = hash64(p.text, p.len, 0) & t->mask;
        for (; t->table[i]; i = (i + 1) & t->mask) {
            struct token_str q = vocab_piece(t, (int32_t)t->table[i] - 1);
            if (q.len == p.len && !memcmp(q.text, p.text, p.len))
                break; /* the same piece twice: the first id stays */
        }
        if (!t->table[i])
            t->table[i] = (uint32_t)id + 1;
    }
    return true;
}

int32_t vocab_find(const struct tokenizer *t, const char *piece, size_t len)
{
    for (size_t i = hash64(piece, len, 0) & t->mask; t->table[i]; i = (i + 1) & t->mask) {
        struct token_str p = vocab_piece(t, (int32_t)t->table[i] - 1);
        if (p.len == len && !memcmp(p.text, piece, len))
            return (int32_t)t->table[i] - 1;
    }
    return -1;
}

bool vocab_is_text(const struct tokenizer *t, int32_t id)
{
    unsigned type = t->types[id];
    return type == TOKEN_NORMAL || type == TOKEN_USER || type == TOKEN_UNUSED;
}

int32_t vocab_find_text(const struct tokenizer *t, const char *piece, size_t len)
{
    int32_t id = vocab_find(t, piece, len);
    return id >= 0 && vocab_is_text(t, id) ? id : -1;
}

/* ---- pieces ---- */

int vocab_byte(struct token_str p)
{
    int value = 0;
    if (p.len != 6 || memcmp(p.text, "<0x", 3) || p.text[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        char c = p.text[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + c - '0';
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + c - 'A' + 10;
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + c - 'a' + 10;
        else
            return -1;
    }
    return value;
}

void vocab_bytes(const struct tokenizer *t, int32_t ids[256])
{
    memset(ids, -1, 256 * sizeof *ids);
    for (size_t id = 0; id < t->n; id++)
        if (t->types[id] == TOKEN_BYTE)
            ids[vocab_byte(vocab_piece(t, (int32_t)id))] = (int32_t)id;
}

bool vocab_words_apart(const struct tokenizer *t)
{
    for (size_t id = 0; id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        bool other = false;
        if (!vocab_is_text(t, (int32_t)id))
            continue;
        for (size_t i = 0; i < p.len;) {
            bool space = p.len - i >= 3 && !memcmp(p.text + i, TOKEN_SPACE, 3);
            if (space && other)
                return false;
            other = other || !space;
            i += space ? 3 : 1;
        }
    }
    return true;
}

void vocab_joins(const struct tokenizer *t, struct byte_joins *j)
{
    memset(j, 0, sizeof *j);
    for (size_t id = 0; id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        for (size_t i = 1; vocab_is_text(t, (int32_t)id) && i < p.len; i++)
            joins_add(j, (unsigned char)p.text[i - 1], (unsigned char)p.text[i]);
    }
}

size_t vocab_part_end(const struct byte_joins *j, const char *s, size_t at, size_t end)
{
    size_t size;
    utf8_decode(s + at, end - at, &size);
    for (at += size; at < end && joins_has(j, s[at - 1], s[at]); at += size)
        utf8_decode(s + at, end - at, &size);
    return at;
}

size_t vocab_word_end(const char *s, size_t at, size_t len)
{
    bool other = false;
    while (at < len) {
        bool space = len - at >= 3 && !memcmp(s + at, TOKEN_SPACE, 3);
        if (space && other)
            return at;
        other = other || !space;
        at += space ? 3 : 1;
    }
    return len;
}

void vocab_put_spaced(struct buf *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        bool space = len - i >= 3 && !memcmp(s + i, TOKEN_SPACE, 3);
        buf_add(out, space ? " " : s + i, 1);
        i += space ? 3 : 1;
    }
}

static enum sooth_status copy_pieces(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->pieces[i].len > TOKEN_MAX_PIECE)
            return err_set(err, SOOTH_ERR_FORMAT, "token %zu is %zu bytes long, more than %d", i, s->pieces[i].len, TOKEN_MAX_PIECE);
        if (!size_add(total, s->pieces[i].len, &total) || total > 1u << 30)
            return err_set(err, SOOTH_ERR_LIMIT, "vocabulary holds more than 1 GiB of text");
    }
    t->blob = mem_alloc(total);
    t->offset = mem_array(s->n + 1, sizeof *t->offset);
    t->types = mem_alloc(s->n);
    t->ends = mem_calloc(s->n, 1);
    if (s->scores)
        t->scores = mem_dup(s->scores, s->n * sizeof *s->scores);
    t->strips = s->strips ? mem_dup(s->strips, s->n) : NULL;
    if (!t->blob || !t->offset || !t->types || !t->ends || (s->scores && !t->scores) || (s->strips && !t->strips))
        return err_nomem(err);
    total = 0;
    for (size_t i = 0; i < s->n; i++) {
        t->offset[i] = (uint32_t)total;
        if (s->pieces[i].len)
            memcpy(t->blob + total, s->pieces[i].text, s->pieces[i].len);
        total += s->pieces[i].len;
    }
    t->offset[s->n] = (uint32_t)total;
    return SOOTH_OK;
}

static enum sooth_status check_pieces(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    for (size_t i = 0; i < s->n; i++) {
        int32_t type = s->types ? s->types[i] : TOKEN_NORMAL;
        if (type < TOKEN_NORMAL || type > TOKEN_BYTE)
            return err_set(err, SOOTH_ERR_FORMAT, "token %zu has the unknown type %d", i, (int)type);
        if (type == TOKEN_BYTE && vocab_byte(s->pieces[i]) < 0)
            return err_set(err, SOOTH_ERR_FORMAT, "byte token %zu is not written as <0x00> to <0xFF>", i);
        if (s->scores && s->scores[i] != s->scores[i])
            return err_set(err, SOOTH_ERR_FORMAT, "score of token %zu is not a number", i);
        t->types[i] = (unsigned char)type;
    }
    return SOOTH_OK;
}

/* ---- special tokens ---- */

static const char *const end_pieces[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>",
    "<EOT>", "[EOT]", "<|end_of_text|>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>",
    ("<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>")};
static const char *const turn_pieces[] = {"<start_of_turn>", "<end_of_turn>", "<EOT>", "[EOT]", "[INST]", "[/INST]",
                                          "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "<end_of_utterance>"};

static bool piece_is(struct token_str p, const char *s)
{
    return p.len == strlen(s) && !memcmp(p.text, s, p.len);
}

static bool is_among(struct token_str p, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (piece_is(p, list[i]))
            return true;
    return false;
}

/* Pieces that open and close turns are control tokens whatever type a careless converter gave them: otherwise
 * a user could write them. */
static bool looks_control(struct token_str p)
{
    bool bars = p.len >= 5 && !memcmp(p.text, "<|", 2) && !memcmp(p.text + p.len - 2, "|>", 2);
    bool wide = p.len >= 9 && !memcmp(p.text, "<\xEF\xBD\x9C", 4) && !memcmp(p.text + p.len - 4, "\xEF\xBD\x9C>", 4);
    return bars || wide || is_among(p, turn_pieces, sizeof turn_pieces / sizeof *turn_pieces);
}

static enum sooth_status take_special(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    const int64_t ids[ROLE_COUNT] = {s->bos, s->eos, s->unk, s->sep, s->pad, s->cls, s->mask, s->eot, s->eom};
    static const char *const names[ROLE_COUNT] = {"bos", "eos", "unknown", "separator", "padding", "cls", "mask", "eot", "eom"};
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (ids[role] < -1 || (ids[role] >= 0 && (uint64_t)ids[role] >= t->n))
            return err_set(err, SOOTH_ERR_FORMAT, "%s token id %lld lies outside the vocabulary of %zu tokens", names[role],
                           (long long)ids[role], t->n);
        t->special[role] = (int32_t)ids[role];
        /* What begins, ends or separates must not come out of plain text, however it is typed. */
        if (ids[role] >= 0 && role != ROLE_UNK && t->types[ids[role]] != TOKEN_UNKNOWN && t->types[ids[role]] != TOKEN_BYTE)
            t->types[ids[role]] = TOKEN_CONTROL;
    }
    if (t->special[ROLE_UNK] >= 0 && t->types[t->special[ROLE_UNK]] == TOKEN_NORMAL)
        t->types[t->special[ROLE_UNK]] = TOKEN_UNKNOWN;
    for (size_t id = 0; id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        if (t->types[id] == TOKEN_USER && looks_control(p))
            t->types[id] = TOKEN_CONTROL;
        t->ends[id] = t->types[id] == TOKEN_CONTROL && is_among(p, end_pieces, sizeof end_pieces / sizeof *end_pieces);
    }
    for (int role = 0; role < ROLE_COUNT; role++)
        if ((role == ROLE_EOS || role == ROLE_EOT || role == ROLE_EOM) && t->special[role] >= 0)
            t->ends[t->special[role]] = true;
    return SOOTH_OK;
}

enum { MAX_SPECIAL_PIECE = 512 };

static bool special_tries(struct tokenizer *t)
{
    VEC(struct token_str) keys[2] = {0};
    VEC(int32_t) ids[2] = {0};
    bool good = true;
    for (size_t id = 0; good && id < t->n; id++) {
        struct token_str p = vocab_piece(t, (int32_t)id);
        unsigned type = t->types[id], which = type == TOKEN_USER;
        if ((type != TOKEN_CONTROL && type != TOKEN_USER && type != TOKEN_UNKNOWN) || p.len > MAX_SPECIAL_PIECE)
            continue;
        good = vec_push(&keys[which], p) && vec_push(&ids[which], (int32_t)id);
    }
    good = good && trie_build(&t->control, keys[0].items, ids[0].items, keys[0].count) &&
           trie_build(&t->user, keys[1].items, ids[1].items, keys[1].count);
    for (int i = 0; i < 2; i++) {
        vec_free(&keys[i]);
        vec_free(&ids[i]);
    }
    return good;
}

/* ---- building ---- */

static enum sooth_status check_source(const struct token_source *s, const struct token_row **row, struct sooth_error *err)
{
    if (!s->n || s->n > TOKEN_MAX_VOCAB)
        return err_set(err, SOOTH_ERR_FORMAT, "vocabulary of %zu tokens: must be 1 to %d", s->n, TOKEN_MAX_VOCAB);
    if (s->scores && s->n_scores != s->n)
        return err_set(err, SOOTH_ERR_FORMAT, "%zu scores for %zu tokens", s->n_scores, s->n);
    if (s->types && s->n_types != s->n)
        return err_set(err, SOOTH_ERR_FORMAT, "%zu token types for %zu tokens", s->n_types, s->n);
    if (!s->model)
        return err_set(err, SOOTH_ERR_FORMAT, "the file does not name its tokenizer (tokenizer.ggml.model)");
    for (size_t i = 0; token_rows[i]; i++)
        if (!strcmp(s->model, token_rows[i]->gguf) || !strcmp(s->model, token_rows[i]->name)) {
            *row = token_rows[i];
            return SOOTH_OK;
        }
    return err_set(err, SOOTH_ERR_UNSUPPORTED, "unknown tokenizer '%.60s'", s->model);
}

static enum sooth_status build(struct tokenizer *t, const struct token_source *s, struct sooth_error *err)
{
    enum sooth_status status = copy_pieces(t, s, err);
    struct token_str p;
    if (!status)
        status = check_pieces(t, s, err);
    if (!status)
        status = take_special(t, s, err);
    if (status)
        return status;
    if (!table_build(t) || !special_tries(t))
        return err_nomem(err);
    t->rules = "";
    t->squeeze = s->remove_extra_whitespaces == TOKEN_YES;
    status = t->row->build(t, s, err);
    if (status)
        return status;
    /* What the file says goes before what the family thinks usual; nothing is added that does not exist. */
    t->add_bos = s->add_bos ? s->add_bos == TOKEN_YES : t->add_bos;
    t->add_eos = s->add_eos ? s->add_eos == TOKEN_YES : t->add_eos;
    if (s->chat_template && !(t->template = mem_strdup(s->chat_template)))
        return err_nomem(err);
    p = token_piece(t, t->special[ROLE_BOS]);
    t->bos_text = mem_strndup(p.text, p.len);
    p = token_piece(t, t->special[ROLE_EOS]);
    t->eos_text = mem_strndup(p.text, p.len);
    return t->bos_text && t->eos_text && !t->warnings.failed ? SOOTH_OK : err_nomem(err);
}

enum sooth_status tokenizer_new(const struct token_source *s, struct tokenizer **out, struct sooth_error *err)
{
    const struct token_row *row = NULL;
    enum sooth_status status = check_source(s, &row, err);
    struct tokenizer *t;
    *out = NULL;
    if (status)
        return status;
    t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_nomem(err);
    t->row = row;
    t->n = s->n;
    status = build(t, s, err);
    if (status)
        tokenizer_free(t);
    else
        *out = t;
    return status;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    if (t->state)
        t->row->release(t->state);
    for (size_t i = 0; i < t->warnings.count; i++)
        mem_free(t->warnings.items[i]);
    vec_free(&t->warnings);
    trie_release(&t->control);
    trie_release(&t->user);
    mem_free(t->blob);
    mem_free(t->offset);
    mem_free(t->scores);
    mem_free(t->types);
    mem_free(t->ends);
    mem_free(t->strips);
    mem_free(t->table);
    mem_free(t->template);
    mem_free(t->bos_text);
    mem_free(t->eos_text);
    mem_free(t);
}

/* ---- facts ---- */

const char *token_kind(const struct tokenizer *t) { return t->row->name; }
const char *token_rules(const struct tokenizer *t) { return t->rules; }
size_t token_vocab_size(const struct tokenizer *t) { return t->n; }
size_t token_warnings(const struct tokenizer *t) { return t->warnings.count; }
const char *token_warning(const struct tokenizer *t, size_t i) { return t->warnings.items[i]; }
const char *token_template(const struct tokenizer *t) { return t->template; }
int32_t token_special(const struct tokenizer *t, enum token_role role) { return t->special[role]; }
const char *token_bos_text(const struct tokenizer *t) { return t->bos_text; }
const char *token_eos_text(const struct tokenizer *t) { return t->eos_text; }
int32_t token_find(const struct tokenizer *t, const char *piece, size_t len) { return vocab_find(t, piece, len); }

/* BERT's names for the same two places. */
int32_t vocab_start(const struct tokenizer *t)
{
    return t->special[ROLE_CLS] >= 0 && t->special[ROLE_BOS] < 0 ? t->special[ROLE_CLS] : t->special[ROLE_BOS];
}

int32_t vocab_stop(const struct tokenizer *t)
{
    return t->special[ROLE_SEP] >= 0 && t->special[ROLE_EOS] < 0 ? t->special[ROLE_SEP] : t->special[ROLE_EOS];
}

bool token_adds_bos(const struct tokenizer *t) { return t->add_bos && vocab_start(t) >= 0; }
bool token_adds_space(const struct tokenizer *t) { return t->add_space; }
bool token_adds_eos(const struct tokenizer *t) { return t->add_eos && vocab_stop(t) >= 0; }

bool token_is_end(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n && t->ends[id];
}

bool token_is_control(const struct tokenizer *t, int32_t id)
{
    return id < 0 || (size_t)id >= t->n || t->types[id] == TOKEN_CONTROL;
}

unsigned token_strips(const struct tokenizer *t, int32_t id)
{
    return t->strips && id >= 0 && (size_t)id < t->n ? t->strips[id] : 0;
}

struct token_str token_piece(const struct tokenizer *t, int32_t id)
{
    return id < 0 || (size_t)id >= t->n ? (struct token_str){"", 0} : vocab_piece(t, id);
}
