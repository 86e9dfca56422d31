/* tokenizer_json.c: Hugging Face's tokenizer.json, read into a token_source.
 *
 *     model           BPE over bytes -> bpe; BPE with byte_fallback -> spm, the merges' order standing for scores;
 *                     WordPiece -> wordpiece; Unigram -> unigram
 *     added_tokens    special ones are control tokens, others user-defined
 *     normalizer, pre_tokenizer    must be forms known here: the rules are derived from what is declared, never guessed, and what
 *                     is unknown is refused by name
 *     post_processor  which tokens are put before and behind a text
 *
 * tokenizer_config.json adds bos_token and its like, and the chat template. Left out: single_word of added
 * tokens, truncation, padding, and decoders (each family knows its own). */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/map.h"
#include "model/token/bpe_rules.h"
#include "model/token/token_vocab.h"

struct reader {
    struct arena arena;
    const struct json *root, *model, *config;
    struct token_source s;
    struct token_str *pieces;
    int32_t *types;
    float *scores;
    unsigned char *strips;
    struct sooth_error *err;
};

static enum sooth_status unsupported(struct reader *r, const char *what, const char *name)
{
    return err_set(r->err, SOOTH_ERR_UNSUPPORTED, "%s '%.80s' is not supported", what, name);
}

static bool is_type(const struct json *v, const char *type)
{
    return !strcmp(json_string(v, "type", ""), type);
}

static bool absent(const struct json *v)
{
    return !v || v->type == JSON_NULL;
}

/* The parts of a Sequence under `key`, or the thing itself as its only part. */
static const struct json *first_part(const struct json *v, const char *key)
{
    const struct json *list = v && is_type(v, "Sequence") ? json_get(v, key) : NULL;
    return list ? list->child : v;
}

static const struct json *next_part(const struct json *whole, const struct json *part)
{
    return part == whole ? NULL : part->next;
}

/* ---- vocabulary ---- */

static bool vocab_size(const struct json *vocab, const struct json *added, size_t *n)
{
    size_t entries = vocab->len + (added ? added->len : 0), top = vocab->type == JSON_ARRAY ? vocab->len : 0;
    for (const struct json *e = vocab->type == JSON_OBJECT ? vocab->child : NULL; e; e = e->next) {
        if (e->type != JSON_NUMBER || !(e->number >= 0 && e->number < TOKEN_MAX_VOCAB) || e->number != floor(e->number))
            return false;
        top = (size_t)e->number >= top ? (size_t)e->number + 1 : top;
    }
    for (const struct json *e = added ? added->child : NULL; e; e = e->next) {
        int64_t id = json_int(e, "id", -1);
        if (id < 0 || id >= TOKEN_MAX_VOCAB || absent(json_get(e, "content")) || json_get(e, "content")->type != JSON_STRING)
            return false;
        top = (size_t)id >= top ? (size_t)id + 1 : top;
    }
    *n = top;
    return top > 0 && top <= 2 * entries + 1024; /* a few holes are seen in the wild, a desert is not */
}

static bool take_piece(struct reader *r, size_t i, const struct json *e)
{
    if (e->type != JSON_ARRAY || e->len != 2 || e->child->type != JSON_STRING || e->child->next->type != JSON_NUMBER)
        return false;
    r->pieces[i] = (struct token_str){e->child->text, e->child->len};
    r->types[i] = TOKEN_NORMAL;
    r->scores[i] = (float)e->child->next->number;
    return true;
}

static enum sooth_status take_vocab(struct reader *r)
{
    const struct json *vocab = json_get(r->model, "vocab"), *added = json_get(r->root, "added_tokens");
    size_t i = 0;
    if (added && added->type != JSON_ARRAY)
        added = NULL;
    if (!vocab || (vocab->type != JSON_OBJECT && vocab->type != JSON_ARRAY) || !vocab_size(vocab, added, &r->s.n))
        return err_set(r->err, SOOTH_ERR_FORMAT, "model.vocab and added_tokens do not make a vocabulary");
    r->pieces = arena_calloc(&r->arena, r->s.n, sizeof *r->pieces);
    r->types = arena_calloc(&r->arena, r->s.n, sizeof *r->types);
    r->scores = arena_calloc(&r->arena, r->s.n, sizeof *r->scores);
    r->strips = arena_calloc(&r->arena, r->s.n, 1);
    if (r->arena.failed)
        return err_nomem(r->err);
    for (const struct json *e = vocab->child; e; e = e->next, i++) {
        if (vocab->type == JSON_OBJECT) {
            r->pieces[(size_t)e->number] = (struct token_str){e->key, e->key_len};
            r->types[(size_t)e->number] = TOKEN_NORMAL;
        } else if (!take_piece(r, i, e)) {
            return err_set(r->err, SOOTH_ERR_FORMAT, "model.vocab: entry %zu is not a piece and a score", i);
        }
    }
    for (const struct json *e = added ? added->child : NULL; e; e = e->next) {
        size_t id = (size_t)json_int(e, "id", 0);
        r->pieces[id] = (struct token_str){json_get(e, "content")->text, json_get(e, "content")->len};
        r->types[id] = json_bool(e, "special", false) ? TOKEN_CONTROL : TOKEN_USER;
        r->strips[id] = (unsigned char)((json_bool(e, "lstrip", false) ? TOKEN_STRIP_LEFT : 0) | (json_bool(e, "rstrip", false) ? TOKEN_STRIP_RIGHT : 0));
        if (r->strips[id])
            r->s.strips = r->strips;
    }
    for (i = 0; i < r->s.n; i++)
        r->types[i] = r->types[i] ? r->types[i] : TOKEN_UNUSED;
    r->s.pieces = r->pieces;
    r->s.types = r->types;
    r->s.n_types = r->s.n;
    return SOOTH_OK;
}

static int64_t find_piece(const struct reader *r, const char *text, size_t len)
{
    for (size_t i = r->s.n; text && i-- > 0;) /* special tokens stand last more often than not */
        if (r->pieces[i].len == len && !memcmp(r->pieces[i].text, text, len))
            return (int64_t)i;
    return -1;
}

static int64_t find_name(const struct reader *r, const char *name)
{
    return name ? find_piece(r, name, strlen(name)) : -1;
}

/* ---- special tokens ---- */

static int64_t config_token(const struct reader *r, const char *key)
{
    const struct json *v = json_get(r->config, key);
    if (v && v->type == JSON_OBJECT)
        v = json_get(v, "content");
    return v && v->type == JSON_STRING ? find_piece(r, v->text, v->len) : -1;
}

static void take_specials(struct reader *r)
{
    struct token_source *s = &r->s;
    const struct { int64_t *id; const char *key, *usual; } roles[] = {
        {&s->bos, "bos_token", "<s>"}, {&s->eos, "eos_token", "</s>"}, {&s->unk, "unk_token", "<unk>"},
        {&s->sep, "sep_token", "[SEP]"}, {&s->pad, "pad_token", "<pad>"}, {&s->cls, "cls_token", "[CLS]"},
        {&s->mask, "mask_token", "<mask>"}};
    const struct json *unk_id = json_get(r->model, "unk_id"), *template = json_get(r->config, "chat_template");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        *roles[i].id = r->config ? config_token(r, roles[i].key) : find_name(r, roles[i].usual);
    if (s->unk < 0)
        s->unk = find_name(r, json_string(r->model, "unk_token", NULL));
    if (unk_id && unk_id->type == JSON_NUMBER && unk_id->number >= 0 && unk_id->number < (double)s->n)
        s->unk = (int64_t)unk_id->number;
    for (const struct json *e = template && template->type == JSON_ARRAY ? template->child : NULL; e; e = e->next)
        if (!strcmp(json_string(e, "name", ""), "default"))
            template = json_get(e, "template");
    s->chat_template = template && template->type == JSON_STRING ? template->text : NULL;
}

/* "single" of a TemplateProcessing: what stands before and behind the text. */
static void take_single(struct reader *r, const struct json *single)
{
    bool before = true;
    for (const struct json *e = single ? single->child : NULL; e; e = e->next) {
        const char *name = json_string(json_get(e, "SpecialToken"), "id", NULL);
        if (json_get(e, "Sequence")) {
            before = false;
        } else if (name && before) {
            r->s.add_bos = TOKEN_YES;
            r->s.bos = find_name(r, name);
        } else if (name) {
            r->s.add_eos = TOKEN_YES;
            r->s.eos = find_name(r, name);
        }
    }
}

static void take_post_processor(struct reader *r)
{
    const struct json *post = json_get(r->root, "post_processor"), *v;
    r->s.add_bos = r->s.add_eos = TOKEN_NO;
    for (const struct json *p = first_part(post, "processors"); p && p->type == JSON_OBJECT; p = next_part(post, p)) {
        if (is_type(p, "TemplateProcessing"))
            take_single(r, json_get(p, "single"));
        if (!is_type(p, "BertProcessing") && !is_type(p, "RobertaProcessing"))
            continue;
        r->s.add_bos = r->s.add_eos = TOKEN_YES;
        if ((v = json_at(json_get(p, "cls"), 0)) && v->type == JSON_STRING)
            r->s.bos = find_piece(r, v->text, v->len);
        if ((v = json_at(json_get(p, "sep"), 0)) && v->type == JSON_STRING)
            r->s.eos = find_piece(r, v->text, v->len);
    }
    if ((v = json_get(r->config, "add_bos_token")) && (v->type == JSON_TRUE || v->type == JSON_FALSE))
        r->s.add_bos = v->type == JSON_TRUE ? TOKEN_YES : TOKEN_NO;
    if ((v = json_get(r->config, "add_eos_token")) && (v->type == JSON_TRUE || v->type == JSON_FALSE))
        r->s.add_eos = v->type == JSON_TRUE ? TOKEN_YES : TOKEN_NO;
}

/* ---- BPE ---- */

static enum sooth_status take_merges(struct reader *r)
{
    const struct json *merges = json_get(r->model, "merges");
    struct token_str *out;
    size_t n = 0;
    if (!merges || merges->type != JSON_ARRAY)
        return err_set(r->err, SOOTH_ERR_FORMAT, "model.merges is not a list");
    out = arena_array(&r->arena, merges->len + 1, sizeof *out);
    for (const struct json *e = merges->child; out && e; e = e->next) {
        const struct json *a = json_at(e, 0), *b = json_at(e, 1);
        char *joined;
        if (e->type == JSON_STRING) {
            out[n++] = (struct token_str){e->text, e->len};
            continue;
        }
        if (!a || !b || a->type != JSON_STRING || b->type != JSON_STRING)
            return err_set(r->err, SOOTH_ERR_FORMAT, "model.merges: entry %zu is not two pieces", n);
        joined = arena_array(&r->arena, a->len + b->len + 2, 1);
        if (!joined)
            break;
        memcpy(joined, a->text, a->len);
        joined[a->len] = ' ';
        memcpy(joined + a->len + 1, b->text, b->len + 1);
        out[n++] = (struct token_str){joined, a->len + 1 + b->len};
    }
    r->s.merges = out;
    r->s.n_merges = n;
    return r->arena.failed ? err_nomem(r->err) : SOOTH_OK;
}

/* Byte-level rules from the declared first cuts. */
static enum sooth_status take_byte_rules(struct reader *r, const struct json *pre)
{
    const struct bpe_rules *rules = NULL;
    bool digits = false, bytes = false, regex = false;
    for (const struct json *p = first_part(pre, "pretokenizers"); p && p->type == JSON_OBJECT; p = next_part(pre, p)) {
        if (is_type(p, "Digits") && json_bool(p, "individual_digits", false) && !rules && !digits && !bytes) {
            digits = true;
        } else if (is_type(p, "Split") && !rules && !digits && !bytes && !strcmp(json_string(p, "behavior", ""), "Isolated") &&
                   !json_bool(p, "invert", false)) {
            const char *pattern = json_string(json_get(p, "pattern"), "Regex", "");
            rules = bpe_rules_by_pattern(pattern);
            if (!rules)
                return unsupported(r, "pre-tokenizer pattern", pattern);
        } else if (is_type(p, "ByteLevel") && !bytes && !json_bool(p, "add_prefix_space", true)) {
            bytes = true;
            regex = json_bool(p, "use_regex", true);
        } else {
            return unsupported(r, "pre-tokenizer", json_string(p, "type", "?"));
        }
    }
    if (!bytes || (rules ? regex : !regex))
        return unsupported(r, "pre-tokenizer", "no byte level, or two patterns");
    r->s.pre = rules ? rules->name : digits ? "smollm" : "gpt-2";
    if (r->s.whole_first && !strcmp(r->s.pre, "dbrx"))
        r->s.pre = "llama-bpe"; /* the same pattern */
    return SOOTH_OK;
}

static enum sooth_status take_byte_bpe(struct reader *r)
{
    const struct json *normalizer = json_get(r->root, "normalizer");
    r->s.model = "bpe";
    r->s.whole_first = json_bool(r->model, "ignore_merges", false);
    r->s.compose = absent(normalizer) ? TOKEN_NO : TOKEN_YES;
    if (!absent(normalizer) && !is_type(normalizer, "NFC"))
        return unsupported(r, "normalizer", json_string(normalizer, "type", "?"));
    if (*json_string(r->model, "continuing_subword_prefix", "") || *json_string(r->model, "end_of_word_suffix", ""))
        return unsupported(r, "BPE with", "continuing_subword_prefix or end_of_word_suffix");
    return take_byte_rules(r, json_get(r->root, "pre_tokenizer"));
}

/* A piece that merge i makes gets the score -i; one that no merge makes never comes of merging. */
static enum sooth_status scores_from_merges(struct reader *r)
{
    struct map ids;
    map_init(&ids);
    for (size_t i = 0; i < r->s.n; i++) {
        map_add(&ids, r->pieces[i].text ? r->pieces[i].text : "", r->pieces[i].len, i, NULL);
        r->scores[i] = -INFINITY;
        if (r->types[i] == TOKEN_NORMAL && vocab_byte(r->pieces[i]) >= 0)
            r->types[i] = TOKEN_BYTE;
    }
    for (size_t i = r->s.n_merges; i-- > 0;) {
        struct token_str m = r->s.merges[i];
        const char *blank = memchr(m.text, ' ', m.len);
        char *joined = blank ? arena_strndup(&r->arena, m.text, m.len) : NULL;
        uint64_t id;
        if (!joined)
            continue;
        memmove(joined + (blank - m.text), blank + 1, (size_t)(m.text + m.len - blank - 1));
        if (map_find(&ids, joined, m.len - 1, &id))
            r->scores[id] = -(float)i;
    }
    if (ids.failed)
        r->arena.failed = true;
    map_release(&ids);
    return r->arena.failed ? err_nomem(r->err) : SOOTH_OK;
}

static enum sooth_status take_spaced_bpe(struct reader *r)
{
    const struct json *normalizer = json_get(r->root, "normalizer"), *pre = json_get(r->root, "pre_tokenizer");
    r->s.model = "spm";
    r->s.add_space_prefix = TOKEN_NO;
    for (const struct json *p = absent(normalizer) ? NULL : first_part(normalizer, "normalizers"); p; p = next_part(normalizer, p)) {
        if (is_type(p, "Prepend") && !strcmp(json_string(p, "prepend", ""), TOKEN_SPACE))
            r->s.add_space_prefix = TOKEN_YES;
        else if (!is_type(p, "Replace") || strcmp(json_string(json_get(p, "pattern"), "String", ""), " "))
            return unsupported(r, "normalizer", json_string(p, "type", "?"));
    }
    if (!absent(pre) && is_type(pre, "Metaspace"))
        r->s.add_space_prefix = strcmp(json_string(pre, "prepend_scheme", "always"), "never") ? TOKEN_YES : TOKEN_NO;
    else if (!absent(pre) && !(is_type(pre, "Split") && !strcmp(json_string(json_get(pre, "pattern"), "String", ""), " ")))
        return unsupported(r, "pre-tokenizer", json_string(pre, "type", "?"));
    r->s.scores = r->scores;
    r->s.n_scores = r->s.n;
    return scores_from_merges(r);
}

/* ---- WordPiece and unigram ---- */

static enum sooth_status take_wordpiece(struct reader *r)
{
    const struct json *n = json_get(r->root, "normalizer"), *pre = json_get(r->root, "pre_tokenizer"), *accents;
    bool lower = json_bool(n, "lowercase", true);
    r->s.model = "wordpiece";
    r->s.hash_marks = true;
    r->s.keep_case = !lower;
    if (absent(n) || !is_type(n, "BertNormalizer") || !json_bool(n, "handle_chinese_chars", true) || !json_bool(n, "clean_text", true))
        return unsupported(r, "normalizer", absent(n) ? "none" : json_string(n, "type", "?"));
    accents = json_get(n, "strip_accents");
    if (!absent(accents) && (accents->type == JSON_TRUE) != lower)
        return unsupported(r, "normalizer", "BertNormalizer with strip_accents against lowercase");
    if (absent(pre) || !is_type(pre, "BertPreTokenizer"))
        return unsupported(r, "pre-tokenizer", absent(pre) ? "none" : json_string(pre, "type", "?"));
    if (strcmp(json_string(r->model, "continuing_subword_prefix", "##"), "##"))
        return unsupported(r, "continuing_subword_prefix", json_string(r->model, "continuing_subword_prefix", ""));
    if (json_int(r->model, "max_input_chars_per_word", 100) != 100)
        return unsupported(r, "max_input_chars_per_word", "other than 100");
    return SOOTH_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static enum sooth_status take_charsmap(struct reader *r, const struct json *v)
{
    unsigned bits = 0, have = 0;
    size_t n = 0;
    char *out;
    if (absent(v) || v->type != JSON_STRING)
        return SOOTH_OK;
    out = arena_array(&r->arena, v->len + 1, 1);
    if (!out)
        return err_nomem(r->err);
    for (size_t i = 0; i < v->len && v->text[i] != '='; i++) {
        int digit = base64_digit(v->text[i]);
        if (digit < 0)
            return err_set(r->err, SOOTH_ERR_FORMAT, "precompiled_charsmap is not base64");
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    r->s.charsmap = (struct token_str){out, n};
    return SOOTH_OK;
}

static enum sooth_status take_unigram(struct reader *r)
{
    const struct json *n = json_get(r->root, "normalizer"), *pre = json_get(r->root, "pre_tokenizer");
    r->s.model = "unigram";
    r->s.scores = r->scores;
    r->s.n_scores = r->s.n;
    r->s.remove_extra_whitespaces = TOKEN_YES;
    r->s.add_space_prefix = TOKEN_YES;
    for (const struct json *p = absent(n) ? NULL : first_part(n, "normalizers"); p; p = next_part(n, p)) {
        bool spaces = is_type(p, "Replace") && !strcmp(json_string(json_get(p, "pattern"), "Regex", ""), " {2,}");
        enum sooth_status status = SOOTH_OK;
        if (is_type(p, "Precompiled"))
            status = take_charsmap(r, json_get(p, "precompiled_charsmap"));
        else if (!spaces && !is_type(p, "Strip"))
            status = unsupported(r, "normalizer", json_string(p, "type", "?"));
        if (status)
            return status;
    }
    for (const struct json *p = absent(pre) ? NULL : first_part(pre, "pretokenizers"); p; p = next_part(pre, p))
        if (!is_type(p, "Metaspace") && !is_type(p, "WhitespaceSplit"))
            return unsupported(r, "pre-tokenizer", json_string(p, "type", "?"));
    return SOOTH_OK;
}

/* ---- all together ---- */

static enum sooth_status take_model(struct reader *r)
{
    const char *type = json_string(r->model, "type", json_get(r->model, "merges") ? "BPE" : "?");
    enum sooth_status status;
    if (!strcmp(type, "WordPiece"))
        return take_wordpiece(r);
    if (!strcmp(type, "Unigram"))
        return take_unigram(r);
    if (strcmp(type, "BPE"))
        return unsupported(r, "tokenizer model", type);
    status = take_merges(r);
    if (status)
        return status;
    return json_bool(r->model, "byte_fallback", false) ? take_spaced_bpe(r) : take_byte_bpe(r);
}

static enum sooth_status read_source(struct reader *r, const char *text, size_t len, const char *config, size_t config_len)
{
    enum sooth_status status;
    r->root = json_parse(&r->arena, text, len, 0, NULL, r->err);
    if (!r->root)
        return r->arena.failed ? err_nomem(r->err) : SOOTH_ERR_FORMAT;
    if (config_len && !(r->config = json_parse(&r->arena, config, config_len, 0, NULL, r->err))) {
        err_prefix(r->err, "tokenizer_config.json");
        return r->arena.failed ? err_nomem(r->err) : SOOTH_ERR_FORMAT;
    }
    r->model = json_get(r->root, "model");
    if (!r->model || r->model->type != JSON_OBJECT)
        return err_set(r->err, SOOTH_ERR_FORMAT, "no tokenizer model in the file");
    status = take_vocab(r);
    if (status)
        return status;
    take_specials(r);
    take_post_processor(r);
    return take_model(r);
}

enum sooth_status tokenizer_from_json(const char *text, size_t len, const char *config, size_t config_len,
                                      struct tokenizer **out, struct sooth_error *err)
{
    struct reader r = {.err = err};
    enum sooth_status status;
    *out = NULL;
    arena_init(&r.arena, 2ul << 30);
    token_source_init(&r.s);
    status = read_source(&r, text, len, config, config_len);
    if (!status)
        status = tokenizer_new(&r.s, out, err);
    arena_release(&r.arena);
    return status;
}
