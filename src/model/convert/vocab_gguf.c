/* vocab_gguf.c: tokenizer.json as the facts of a GGUF file.
 *
 *     model WordPiece   tokenizer.ggml.model "bert"   "##x" is stored as "x", a word's start as
 * U+2581 "x" model Unigram                          "t5"     scores; the normalizer's character map
 * as bytes model BPE, bytes                       "gpt2"   merges; the name of the splitting rules
 * in .pre model BPE, with byte fallback          "llama"  scores: minus the place of the merge that makes a piece
 *
 * Token types: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. A token that no
 * entry names is unused. The name of the splitting rules and the start/end rule come from the
 * tokenizer as it was read for use. */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "model/convert/convert.h"

enum { VOCAB_MAX = 1 << 21, VOCAB_JSON = 256 << 20 };
enum { KIND_NORMAL = 1, KIND_UNKNOWN, KIND_CONTROL, KIND_USER, KIND_UNUSED, KIND_BYTE };

struct vocab {
    struct convert_plan *plan;
    const struct json *root, *model;
    size_t count;
    struct file_string *tokens;
    int32_t *kinds;
    float *scores; /* NULL: none */
    struct sooth_error *err;
};

static enum sooth_status vocab_bad(const struct vocab *v, const char *what)
{
    return err_set(v->err, SOOTH_ERR_FORMAT, "tokenizer.json %s", what);
}

/* The largest id + 1 over the model's vocabulary and the added tokens. */
static bool vocab_measure(struct vocab *v)
{
    const struct json *words = json_get(v->model, "vocab"),
                      *added = json_get(v->root, "added_tokens");
    double most = -1;
    if (!words)
        return false;
    if (words->type == JSON_ARRAY)
        most = (double)words->len - 1;
    for (const struct json *j = words->type == JSON_OBJECT ? words->child : NULL; j; j = j->next)
        most = j->number > most ? j->number : most;
    for (const struct json *j = added ? added->child : NULL; j; j = j->next)
        most = json_number(j, "id", -1) > most ? json_number(j, "id", -1) : most;
    if (!(most >= 0 && most < VOCAB_MAX))
        return false;
    v->count = (size_t)most + 1;
    return true;
}

static enum sooth_status vocab_allocate(struct vocab *v, bool scores)
{
    struct arena *a = &v->plan->arena;
    v->tokens = arena_calloc(a, v->count, sizeof *v->tokens);
    v->kinds = arena_calloc(a, v->count, sizeof *v->kinds);
    v->scores = scores ? arena_calloc(a, v->count, sizeof *v->scores) : NULL;
    return v->tokens && v->kinds && (!scores || v->scores) ? SOOTH_OK : err_nomem(v->err);
}

static bool vocab_set(struct vocab *v, double id, const char *text, size_t len, int32_t kind)
{
    if (!(id >= 0 && id < (double)v->count))
        return true;
    v->tokens[(size_t)id].text = arena_strndup(&v->plan->arena, text, len);
    v->tokens[(size_t)id].len = len;
    v->kinds[(size_t)id] = kind;
    return v->tokens[(size_t)id].text != NULL;
}

/* WordPiece entries change their marks: "##ing" -> "ing", "the" -> "▁the"; "[CLS]" stays. */
static bool vocab_set_piece(struct vocab *v, double id, const char *text, size_t len)
{
    char marked[1024];
    if (len > 2 && text[0] == '#' && text[1] == '#')
        return vocab_set(v, id, text + 2, len - 2, KIND_NORMAL);
    if ((len > 2 && text[0] == '[' && text[len - 1] == ']') || len > sizeof marked - 4)
        return vocab_set(v, id, text, len, KIND_NORMAL);
    memcpy(marked, "\xE2\x96\x81", 3);
    memcpy(marked + 3, text, len);
    return vocab_set(v, id, marked, len + 3, KIND_NORMAL);
}

static bool vocab_is_byte(const struct json *j)
{
    unsigned byte;
    char end;
    return j->key_len == 6 && sscanf(j->key, "<0x%2X%c", &byte, &end) == 2 && end == '>';
}

static enum sooth_status vocab_words(struct vocab *v, const char *type)
{
    const struct json *words = json_get(v->model, "vocab");
    bool pieces = strcmp(type, "WordPiece") == 0, ok = true;
    size_t at = 0;
    if (words->type == JSON_OBJECT) {
        for (const struct json *j = words->child; j && ok; j = j->next) {
            if (j->type != JSON_NUMBER)
                return vocab_bad(v, "has a token whose id is not a number");
            ok = pieces ? vocab_set_piece(v, j->number, j->key, j->key_len)
                        : vocab_set(v, j->number, j->key, j->key_len,
                                    vocab_is_byte(j) ? KIND_BYTE : KIND_NORMAL);
        }
        return ok ? SOOTH_OK : err_nomem(v->err);
    }
    for (const struct json *j = words->child; j && ok; j = j->next, at++) { /* ["piece", score] */
        const struct json *text = json_at(j, 0), *score = json_at(j, 1);
        if (!text || text->type != JSON_STRING || !score || score->type != JSON_NUMBER)
            return vocab_bad(v, "has a piece without text or score");
        ok = vocab_set(v, (double)at, text->text, text->len, KIND_NORMAL);
        v->scores[at] = (float)score->number;
    }
    return ok ? SOOTH_OK : err_nomem(v->err);
}

static enum sooth_status vocab_added(struct vocab *v)
{
    const struct json *added = json_get(v->root, "added_tokens");
    for (const struct json *j = added ? added->child : NULL; j; j = j->next) {
        const struct json *text = json_get(j, "content");
        if (!text || text->type != JSON_STRING)
            return vocab_bad(v, "has an added token without text");
        if (!vocab_set(v, json_number(j, "id", -1), text->text, text->len,
                       json_bool(j, "special", false) ? KIND_CONTROL : KIND_USER))
            return err_nomem(v->err);
    }
    const char *unknown = json_string(v->model, "unk_token", NULL);
    int64_t unk = json_int(v->model, "unk_id", -1);
    for (size_t i = 0; i < v->count; i++) {
        if ((unknown && v->tokens[i].text && strlen(unknown) == v->tokens[i].len &&
             memcmp(v->tokens[i].text, unknown, v->tokens[i].len) == 0) ||
            (int64_t)i == unk) {
            v->kinds[i] = KIND_UNKNOWN;
            if (!plan_uint(v->plan, "tokenizer.ggml.unknown_token_id", i))
                return err_nomem(v->err);
        }
        if (v->tokens[i].text)
            continue;
        char name[32];
        int len = snprintf(name, sizeof name, "[PAD%zu]", i);
        if (!vocab_set(v, (double)i, name, (size_t)len, KIND_UNUSED))
            return err_nomem(v->err);
    }
    return SOOTH_OK;
}

/* Merges are "left right" or ["left", "right"]. */
static enum sooth_status vocab_merges(struct vocab *v)
{
    const struct json *merges = json_get(v->model, "merges");
    size_t n = merges && merges->type == JSON_ARRAY ? merges->len : 0, i = 0;
    struct file_string *out = arena_calloc(&v->plan->arena, n ? n : 1, sizeof *out);
    struct buf line = BUF_INIT;
    if (!out)
        return err_nomem(v->err);
    for (const struct json *j = n ? merges->child : NULL; j; j = j->next, i++) {
        const struct json *a = json_at(j, 0), *b = json_at(j, 1);
        bool pair = j->type == JSON_ARRAY && a && b && a->type == JSON_STRING &&
                    b->type == JSON_STRING;
        buf_clear(&line);
        if (pair ? !(buf_add(&line, a->text, a->len) && buf_putc(&line, ' ') &&
                     buf_add(&line, b->text, b->len))
                 : j->type != JSON_STRING || !buf_add(&line, j->text, j->len)) {
            bool memory = line.failed;
            buf_release(&line);
            return memory ? err_nomem(v->err) : vocab_bad(v, "has a merge that is not two tokens");
        }
        out[i].text = arena_strndup(&v->plan->arena, buf_str(&line), line.len);
        out[i].len = line.len;
    }
    buf_release(&line);
    if (v->plan->arena.failed)
        return err_nomem(v->err);
    struct file_value value = {.key = "tokenizer.ggml.merges",
                               .type = VALUE_ARRAY,
                               .item = VALUE_STRING,
                               .count = n,
                               .strings = out};
    return plan_put(v->plan, &value) ? SOOTH_OK : err_nomem(v->err);
}

/* SentencePiece has scores where tokenizer.json has an order: a piece scores minus the place of the first merge that makes it; what
 * no merge makes comes last. */
static enum sooth_status vocab_scores(struct vocab *v)
{
    const struct json *merges = json_get(v->model, "merges");
    size_t n = merges && merges->type == JSON_ARRAY ? merges->len : 0, i = 0;
    struct map ids;
    struct buf joined = BUF_INIT;
    bool ok = true, paired = true;
    map_init(&ids);
    for (size_t id = 0; id < v->count && ok; id++) {
        ok = map_put(&ids, v->tokens[id].text, v->tokens[id].len, id);
        v->scores[id] = -(float)(n + 1);
    }
    for (const struct json *j = n ? merges->child : NULL; j && ok && paired; j = j->next, i++) {
        const struct json *a = json_at(j, 0), *b = json_at(j, 1);
        const char *blank = j->type == JSON_STRING ? memchr(j->text, ' ', j->len) : NULL;
        uint64_t id;
        buf_clear(&joined);
        paired = blank || (j->type == JSON_ARRAY && a && b && a->type == JSON_STRING && b->type == JSON_STRING);
        if (blank)
            ok = buf_add(&joined, j->text, (size_t)(blank - j->text)) && 
                 buf_add(&joined, blank + 1, j->len - (size_t)(blank + 1 - j->text));
        else if (paired)
            ok = buf_add(&joined, a->text, a->len) && buf_add(&joined, b->text, b->len);
        if (ok && paired && map_find(&ids, buf_str(&joined), joined.len, &id) && v->scores[id] <= -(float)(n + 1))
            v->scores[id] = -(float)i;
    }
    map_release(&ids);
    buf_release(&joined);
    if (!paired)
        return vocab_bad(v, "has a merge that is not two tokens");
    return ok ? SOOTH_OK : err_nomem(v->err);
}

static int vocab_base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The first "precompiled_charsmap" below a normalizer, base64. */
static const struct json *vocab_charsmap(const struct json *normalizer)
{
    const struct json *map = json_get(normalizer, "precompiled_charsmap"),
                      *list = json_get(normalizer, "normalizers");
    if (map && map->type == JSON_STRING)
        return map;
    for (const struct json *j = list ? list->child : NULL; j; j = j->next)
        if ((map = json_get(j, "precompiled_charsmap")) && map->type == JSON_STRING)
            return map;
    return NULL;
}

static enum sooth_status vocab_put_charsmap(struct vocab *v)
{
    const struct json *map = vocab_charsmap(json_get(v->root, "normalizer"));
    if (!map)
        return SOOTH_OK;
    unsigned char *bytes = arena_array(&v->plan->arena, map->len / 4 * 3 + 3, 1);
    size_t n = 0, bits = 0;
    uint32_t hold = 0;
    if (!bytes)
        return err_nomem(v->err);
    for (size_t i = 0; i < map->len && map->text[i] != '='; i++) {
        int digit = vocab_base64_digit(map->text[i]);
        if (digit < 0)
            return vocab_bad(v, "has a character map that is not base64");
        hold = hold << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[n++] = (unsigned char)(hold >> bits);
        }
    }
    struct file_value value = {.key = "tokenizer.ggml.precompiled_charsmap",
                               .type = VALUE_ARRAY,
                               .item = VALUE_U8,
                               .count = n,
                               .items = bytes};
    return plan_put(v->plan, &value) ? SOOTH_OK : err_nomem(v->err);
}

/* Ids of the tokens that a role is given by name in tokenizer_config.json or by custom in a BERT
 * vocabulary. */
static enum sooth_status vocab_roles(struct vocab *v)
{
    static const char *const roles[][2] = {
        {"[CLS]", "tokenizer.ggml.bos_token_id"},
        {"[CLS]", "tokenizer.ggml.cls_token_id"},
        {"[SEP]", "tokenizer.ggml.eos_token_id"},
        {"[SEP]", "tokenizer.ggml.seperator_token_id"},
        /* GGUF's spelling */ {"[PAD]", "tokenizer.ggml.padding_token_id"},
        {"[MASK]", "tokenizer.ggml.mask_token_id"},
        {"<s>", "tokenizer.ggml.bos_token_id"},
        {"</s>", "tokenizer.ggml.eos_token_id"},
        {"</s>", "tokenizer.ggml.seperator_token_id"},
        {"<pad>", "tokenizer.ggml.padding_token_id"},
        {"<mask>", "tokenizer.ggml.mask_token_id"},
    };
    for (size_t r = 0; r < sizeof roles / sizeof *roles; r++)
        for (size_t i = 0; i < v->count; i++)
            if (v->kinds[i] == KIND_CONTROL && strlen(roles[r][0]) == v->tokens[i].len &&
                memcmp(v->tokens[i].text, roles[r][0], v->tokens[i].len) == 0 &&
                !plan_uint(v->plan, roles[r][1], i))
                return err_nomem(v->err);
    return SOOTH_OK;
}

static enum sooth_status vocab_put_arrays(struct vocab *v)
{
    struct file_value tokens = {.key = "tokenizer.ggml.tokens",
                                .type = VALUE_ARRAY,
                                .item = VALUE_STRING,
                                .count = v->count,
                                .strings = v->tokens};
    struct file_value kinds = {.key = "tokenizer.ggml.token_type",
                               .type = VALUE_ARRAY,
                               .item = VALUE_I32,
                               .count = v->count,
                               .items = v->kinds};
    struct file_value scores = {.key = "tokenizer.ggml.scores",
                                .type = VALUE_ARRAY,
                                .item = VALUE_F32,
                                .count = v->count,
                                .items = v->scores};
    return plan_put(v->plan, &tokens) && plan_put(v->plan, &kinds) &&
                   (!v->scores || plan_put(v->plan, &scores))
               ? SOOTH_OK
               : err_nomem(v->err);
}

static enum sooth_status vocab_model(struct vocab *v)
{
    const char *type = json_string(v->model, "type", ""), *name;
    bool fallback = json_bool(v->model, "byte_fallback", false), bpe = strcmp(type, "BPE") == 0;
    enum sooth_status status;
    if (!vocab_measure(v))
        return vocab_bad(v, "has no usable vocabulary");
    if (strcmp(type, "WordPiece") == 0) {
        name = "bert";
        if (!json_bool(json_get(v->root, "normalizer"), "lowercase", true))
            return err_set(v->err, SOOTH_ERR_UNSUPPORTED,
                           "a cased WordPiece tokenizer has no form in GGUF");
    } else if (strcmp(type, "Unigram") == 0) {
        name = "t5";
    } else if (bpe) {
        name = fallback ? "llama" : "gpt2";
    } else {
        return err_set(v->err, SOOTH_ERR_UNSUPPORTED,
                       "tokenizer.json has a model of type '%.40s', which has no form in GGUF",
                       type);
    }
    status = vocab_allocate(v, strcmp(name, "t5") == 0 || strcmp(name, "llama") == 0);
    if (status == SOOTH_OK)
        status = vocab_words(v, type);
    if (status == SOOTH_OK)
        status = vocab_added(v);
    if (status == SOOTH_OK && bpe && fallback)
        status = vocab_scores(v);
    if (status == SOOTH_OK && !plan_string(v->plan, "tokenizer.ggml.model", name, strlen(name)))
        status = err_nomem(v->err);
    if (status == SOOTH_OK)
        status = vocab_put_arrays(v);
    if (status == SOOTH_OK && bpe && !fallback)
        status = vocab_merges(v);
    if (status == SOOTH_OK)
        status = vocab_put_charsmap(v);
    return status == SOOTH_OK && !bpe ? vocab_roles(v) : status;
}

enum sooth_status vocab_to_gguf(const struct tensor_file *f, struct convert_plan *p,
                                struct sooth_error *err)
{
    struct vocab v = {.plan = p, .err = err};
    struct buf text;
    struct arena arena;
    buf_init(&text, VOCAB_JSON);
    arena_init(&arena, (size_t)2 << 30);
    enum sooth_status status = tensor_file_part(f, "tokenizer.json", &text, err);
    if (status == SOOTH_OK) {
        v.root = json_parse(&arena, buf_str(&text), text.len, 0, NULL, err);
        v.model = json_get(v.root, "model");
        if (!v.root)
            status = err ? err->status : SOOTH_ERR_FORMAT;
        else
            status = v.model ? vocab_model(&v) : vocab_bad(&v, "has no 'model'");
    }
    arena_release(&arena);
    buf_release(&text);
    return status;
}
