/* vocab_hf.c: tokenizer.json and tokenizer_config.json from the facts of a GGUF file.
 *
 * Forms: "bert" as WordPiece, "gpt2" as byte-level BPE with the splitting rules that .pre names,
 * "llama" as BPE of characters with byte fallback, merges made of the scores (spm_merges.c), "t5" as
 * Unigram. What has no faithful form there (single-character replacements, other rules) is an error that says so, after the
 * weights and config.json have been written. */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "model/convert/convert.h"
#include "model/convert/spm_merges.h"
#include "model/token/token.h"

enum { KIND_CONTROL = 3, KIND_USER = 4, KIND_UNUSED = 5 };

/* Splitting rules as tokenizer.json writes them: an optional first pass for digits, then one
 * pattern. */
#define LLAMA3 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| " \
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const struct vocab_split {
    const char *pre, *pattern; /* pattern NULL: the rules of gpt-2, which ByteLevel has built in */
    bool digits;
    bool whole;   /* a first cut that is a piece as it stands is not merged: ignore_merges */
    bool compose; /* NFC first */
} vocab_splits[] = {
    {"gpt-2", NULL, false, false, false},
    {"smollm", NULL, true, false, false},
    {"llama-bpe", LLAMA3, false, true, false},
    {"glm4", LLAMA3, false, true, false},
    {"dbrx", LLAMA3, false, false, false},
    {"qwen2",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     false, false, true},
    {"qwen35",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
     "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     false, false, true},
};

struct vocab_out {
    const struct tensor_file *f;
    const struct tokenizer *t; /* what the facts come to */
    const struct file_string *tokens;
    const int32_t *kinds;
    size_t count;
    struct json_writer w;
    struct buf text;
};

static void put_pair(struct json_writer *w, const char *key, const char *value)
{
    jsonw_key(w, key);
    jsonw_string(w, value);
}

static void put_object(struct json_writer *w, const char *key, const char *type)
{
    jsonw_key(w, key);
    jsonw_object(w);
    put_pair(w, "type", type);
}

static void put_added(struct vocab_out *v)
{
    jsonw_key(&v->w, "added_tokens");
    jsonw_array(&v->w);
    for (size_t i = 0; i < v->count; i++) {
        if (v->kinds[i] != KIND_CONTROL && v->kinds[i] != KIND_USER &&
            !(v->kinds[i] == 2 && v->tokens[i].len > 2))
            continue;
        jsonw_object(&v->w);
        jsonw_key(&v->w, "id"), jsonw_int(&v->w, (int64_t)i);
        jsonw_key(&v->w, "content"), jsonw_stringn(&v->w, v->tokens[i].text, v->tokens[i].len);
        const unsigned strips = token_strips(v->t, (int32_t)i);
        jsonw_key(&v->w, "single_word"), jsonw_bool(&v->w, false);
        jsonw_key(&v->w, "lstrip"), jsonw_bool(&v->w, strips & TOKEN_STRIP_LEFT);
        jsonw_key(&v->w, "rstrip"), jsonw_bool(&v->w, strips & TOKEN_STRIP_RIGHT);
        jsonw_key(&v->w, "normalized"), jsonw_bool(&v->w, false);
        jsonw_key(&v->w, "special"), jsonw_bool(&v->w, v->kinds[i] != KIND_USER);
        jsonw_end_object(&v->w);
    }
    jsonw_end_array(&v->w);
}

/* A GGUF WordPiece entry as the other side spells it: "▁the" -> "the", "ing" -> "##ing", "[CLS]"
 * stays. */
static bool put_piece_key(struct vocab_out *v, size_t i, struct buf *key)
{
    const struct file_string *t = &v->tokens[i];
    buf_clear(key);
    if (t->len > 3 && memcmp(t->text, "\xE2\x96\x81", 3) == 0)
        return buf_add(key, t->text + 3, t->len - 3);
    if (t->len > 2 && t->text[0] == '[' && t->text[t->len - 1] == ']')
        return buf_add(key, t->text, t->len);
    return buf_puts(key, "##") && buf_add(key, t->text, t->len);
}

static void put_words(struct vocab_out *v, bool pieces)
{
    struct buf key = BUF_INIT;
    jsonw_key(&v->w, "vocab");
    jsonw_object(&v->w);
    for (size_t i = 0; i < v->count; i++) {
        if (pieces)
            put_piece_key(v, i, &key);
        else
            buf_clear(&key), buf_add(&key, v->tokens[i].text, v->tokens[i].len);
        v->text.failed |= key.failed;
        jsonw_key(&v->w, buf_str(&key));
        jsonw_int(&v->w, (int64_t)i);
    }
    jsonw_end_object(&v->w);
    buf_release(&key);
}

static int64_t vocab_id(const struct vocab_out *v, const char *role)
{
    char key[64];
    snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", role);
    int64_t id = tensor_file_int(v->f, key, -1);
    return id >= 0 && (size_t)id < v->count ? id : -1;
}

static const char *vocab_name(const struct vocab_out *v, int64_t id, char *out, size_t size)
{
    size_t len = id >= 0 && v->tokens[id].len < size ? v->tokens[id].len : 0;
    memcpy(out, len ? v->tokens[id].text : "", len);
    out[len] = 0;
    return out;
}

static void put_template_part(struct json_writer *w, const char *kind, const char *id, int type)
{
    jsonw_object(w);
    jsonw_key(w, kind);
    jsonw_object(w);
    put_pair(w, "id", id);
    jsonw_key(w, "type_id"), jsonw_int(w, type);
    jsonw_end_object(w);
    jsonw_end_object(w);
}

/* [start] A [end] (xlmr: [end]) B [end] */
static void put_post_processor(struct vocab_out *v, int64_t start, int64_t end, bool twice)
{
    char first[128], last[128];
    vocab_name(v, start, first, sizeof first);
    vocab_name(v, end, last, sizeof last);
    put_object(&v->w, "post_processor", "TemplateProcessing");
    for (int pair = 0; pair < 2; pair++) {
        jsonw_key(&v->w, pair ? "pair" : "single");
        jsonw_array(&v->w);
        put_template_part(&v->w, "SpecialToken", first, 0);
        put_template_part(&v->w, "Sequence", "A", 0);
        put_template_part(&v->w, "SpecialToken", last, 0);
        if (pair && twice)
            put_template_part(&v->w, "SpecialToken", last, 0);
        if (pair) {
            put_template_part(&v->w, "Sequence", "B", !twice);
            put_template_part(&v->w, "SpecialToken", last, !twice);
        }
        jsonw_end_array(&v->w);
    }
    jsonw_key(&v->w, "special_tokens");
    jsonw_object(&v->w);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? last : first;
        jsonw_key(&v->w, name);
        jsonw_object(&v->w);
        put_pair(&v->w, "id", name);
        jsonw_key(&v->w, "ids"), jsonw_array(&v->w), jsonw_int(&v->w, i ? end : start),
            jsonw_end_array(&v->w);
        jsonw_key(&v->w, "tokens"), jsonw_array(&v->w), jsonw_string(&v->w, name),
            jsonw_end_array(&v->w);
        jsonw_end_object(&v->w);
    }
    jsonw_end_object(&v->w);
    jsonw_end_object(&v->w);
}

static void put_bert(struct vocab_out *v)
{
    char unknown[128];
    put_object(&v->w, "normalizer", "BertNormalizer");
    jsonw_key(&v->w, "clean_text"), jsonw_bool(&v->w, true);
    jsonw_key(&v->w, "handle_chinese_chars"), jsonw_bool(&v->w, true);
    jsonw_key(&v->w, "strip_accents"), jsonw_null(&v->w);
    jsonw_key(&v->w, "lowercase"), jsonw_bool(&v->w, true);
    jsonw_end_object(&v->w);
    put_object(&v->w, "pre_tokenizer", "BertPreTokenizer");
    jsonw_end_object(&v->w);
    int64_t start = vocab_id(v, "cls"), end = vocab_id(v, "seperator");
    put_post_processor(v, start >= 0 ? start : vocab_id(v, "bos"),
                       end >= 0 ? end : vocab_id(v, "eos"), false);
    put_object(&v->w, "decoder", "WordPiece");
    put_pair(&v->w, "prefix", "##");
    jsonw_key(&v->w, "cleanup"), jsonw_bool(&v->w, true);
    jsonw_end_object(&v->w);
    put_object(&v->w, "model", "WordPiece");
    put_pair(&v->w, "unk_token", vocab_name(v, vocab_id(v, "unknown"), unknown, sizeof unknown));
    put_pair(&v->w, "continuing_subword_prefix", "##");
    jsonw_key(&v->w, "max_input_chars_per_word"), jsonw_int(&v->w, 100);
    put_words(v, true);
    jsonw_end_object(&v->w);
}

static void put_byte_level(struct vocab_out *v, const char *key, bool regex)
{
    if (key)
        jsonw_key(&v->w, key);
    jsonw_object(&v->w);
    put_pair(&v->w, "type", "ByteLevel");
    jsonw_key(&v->w, "add_prefix_space"), jsonw_bool(&v->w, false);
    jsonw_key(&v->w, "trim_offsets"), jsonw_bool(&v->w, true);
    jsonw_key(&v->w, "use_regex"), jsonw_bool(&v->w, regex);
    jsonw_end_object(&v->w);
}

/* [start] A; nothing where the model wants no start. */
static void put_start(struct vocab_out *v)
{
    char name[128];
    if (!token_adds_bos(v->t)) {
        jsonw_key(&v->w, "post_processor"), jsonw_null(&v->w);
        return;
    }
    vocab_name(v, vocab_id(v, "bos"), name, sizeof name);
    put_object(&v->w, "post_processor", "TemplateProcessing");
    for (int pair = 0; pair < 2; pair++) {
        jsonw_key(&v->w, pair ? "pair" : "single");
        jsonw_array(&v->w);
        for (int i = 0; i <= pair; i++) {
            put_template_part(&v->w, "SpecialToken", name, i);
            put_template_part(&v->w, "Sequence", i ? "B" : "A", i);
        }
        jsonw_end_array(&v->w);
    }
    jsonw_key(&v->w, "special_tokens");
    jsonw_object(&v->w);
    jsonw_key(&v->w, name);
    jsonw_object(&v->w);
    put_pair(&v->w, "id", name);
    jsonw_key(&v->w, "ids"), jsonw_array(&v->w), jsonw_int(&v->w, vocab_id(v, "bos")), jsonw_end_array(&v->w);
    jsonw_key(&v->w, "tokens"), jsonw_array(&v->w), jsonw_string(&v->w, name), jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
    jsonw_end_object(&v->w);
    jsonw_end_object(&v->w);
}

static void put_gpt2(struct vocab_out *v, const struct vocab_split *split)
{
    size_t n = 0;
    const struct file_string *merges = tensor_file_strings(v->f, "tokenizer.ggml.merges", &n);
    if (split->compose)
        put_object(&v->w, "normalizer", "NFC"), jsonw_end_object(&v->w);
    else
        jsonw_key(&v->w, "normalizer"), jsonw_null(&v->w);
    put_object(&v->w, "pre_tokenizer", "Sequence");
    jsonw_key(&v->w, "pretokenizers");
    jsonw_array(&v->w);
    if (split->digits) {
        jsonw_object(&v->w);
        put_pair(&v->w, "type", "Digits");
        jsonw_key(&v->w, "individual_digits"), jsonw_bool(&v->w, true);
        jsonw_end_object(&v->w);
    }
    if (split->pattern) {
        jsonw_object(&v->w);
        put_pair(&v->w, "type", "Split");
        jsonw_key(&v->w, "pattern"), jsonw_object(&v->w), put_pair(&v->w, "Regex", split->pattern),
            jsonw_end_object(&v->w);
        put_pair(&v->w, "behavior", "Isolated");
        jsonw_key(&v->w, "invert"), jsonw_bool(&v->w, false);
        jsonw_end_object(&v->w);
    }
    put_byte_level(v, NULL, !split->pattern);
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
    put_start(v);
    put_byte_level(v, "decoder", true);
    put_object(&v->w, "model", "BPE");
    jsonw_key(&v->w, "unk_token"), jsonw_null(&v->w);
    jsonw_key(&v->w, "ignore_merges"), jsonw_bool(&v->w, split->whole);
    jsonw_key(&v->w, "byte_fallback"), jsonw_bool(&v->w, false);
    put_words(v, false);
    jsonw_key(&v->w, "merges");
    jsonw_array(&v->w);
    for (size_t i = 0; i < n; i++)
        jsonw_stringn(&v->w, merges[i].text, merges[i].len);
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
}

static void put_base64(struct vocab_out *v, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                        (i + 2 < n ? p[i + 2] : 0);
        buf_putc(&out, digits[bits >> 18]);
        buf_putc(&out, digits[bits >> 12 & 63]);
        buf_putc(&out, i + 1 < n ? digits[bits >> 6 & 63] : '=');
        buf_putc(&out, i + 2 < n ? digits[bits & 63] : '=');
    }
    jsonw_stringn(&v->w, buf_str(&out), out.len);
    v->text.failed |= out.failed;
    buf_release(&out);
}

static void put_metaspace(struct vocab_out *v, const char *key)
{
    put_object(&v->w, key, "Metaspace");
    put_pair(&v->w, "replacement", "\xE2\x96\x81");
    put_pair(&v->w, "prepend_scheme", "always");
    jsonw_end_object(&v->w);
}

static void put_t5(struct vocab_out *v)
{
    const struct file_value *map = tensor_file_value(v->f, "tokenizer.ggml.precompiled_charsmap");
    size_t n = 0;
    const float *scores = tensor_file_floats(v->f, "tokenizer.ggml.scores", &n);
    if (map && map->type == VALUE_ARRAY && (map->item == VALUE_U8 || map->item == VALUE_I8)) {
        put_object(&v->w, "normalizer", "Precompiled");
        jsonw_key(&v->w, "precompiled_charsmap");
        put_base64(v, map->items, map->count);
        jsonw_end_object(&v->w);
    } else {
        jsonw_key(&v->w, "normalizer"), jsonw_null(&v->w);
    }
    put_metaspace(v, "pre_tokenizer");
    put_post_processor(v, vocab_id(v, "bos"), vocab_id(v, "eos"), true);
    put_metaspace(v, "decoder");
    put_object(&v->w, "model", "Unigram");
    jsonw_key(&v->w, "unk_id"), jsonw_int(&v->w, vocab_id(v, "unknown"));
    jsonw_key(&v->w, "vocab");
    jsonw_array(&v->w);
    for (size_t i = 0; i < v->count && i < n; i++) {
        jsonw_array(&v->w);
        jsonw_stringn(&v->w, v->tokens[i].text, v->tokens[i].len);
        jsonw_double(&v->w, (double)scores[i], 9);
        jsonw_end_array(&v->w);
    }
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
}

static void put_replace(struct json_writer *w, const char *from, const char *to)
{
    jsonw_object(w);
    put_pair(w, "type", "Replace");
    jsonw_key(w, "pattern"), jsonw_object(w), put_pair(w, "String", from), jsonw_end_object(w);
    put_pair(w, "content", to);
    jsonw_end_object(w);
}

/* Blanks become U+2581, one more in front where the vocabulary wants it; and back again. */
static void put_spaces(struct vocab_out *v, bool prefix)
{
    static const char space[] = "\xE2\x96\x81";
    put_object(&v->w, "normalizer", "Sequence");
    jsonw_key(&v->w, "normalizers");
    jsonw_array(&v->w);
    if (prefix) {
        jsonw_object(&v->w);
        put_pair(&v->w, "type", "Prepend");
        put_pair(&v->w, "prepend", space);
        jsonw_end_object(&v->w);
    }
    put_replace(&v->w, " ", space);
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
    jsonw_key(&v->w, "pre_tokenizer"), jsonw_null(&v->w);
    put_object(&v->w, "decoder", "Sequence");
    jsonw_key(&v->w, "decoders");
    jsonw_array(&v->w);
    put_replace(&v->w, space, " ");
    jsonw_object(&v->w), put_pair(&v->w, "type", "ByteFallback"), jsonw_end_object(&v->w);
    jsonw_object(&v->w), put_pair(&v->w, "type", "Fuse"), jsonw_end_object(&v->w);
    if (prefix) {
        jsonw_object(&v->w);
        put_pair(&v->w, "type", "Strip");
        put_pair(&v->w, "content", " ");
        jsonw_key(&v->w, "start"), jsonw_int(&v->w, 1);
        jsonw_key(&v->w, "stop"), jsonw_int(&v->w, 0);
        jsonw_end_object(&v->w);
    }
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
}

static void put_llama(struct vocab_out *v, const struct spm_merges *merges)
{
    char unknown[128];
    put_spaces(v, token_adds_space(v->t));
    put_start(v);
    put_object(&v->w, "model", "BPE");
    put_pair(&v->w, "unk_token", vocab_name(v, vocab_id(v, "unknown"), unknown, sizeof unknown));
    jsonw_key(&v->w, "fuse_unk"), jsonw_bool(&v->w, true);
    jsonw_key(&v->w, "byte_fallback"), jsonw_bool(&v->w, true);
    put_words(v, false);
    jsonw_key(&v->w, "merges");
    jsonw_array(&v->w);
    for (size_t i = 0; i < merges->count; i++) {
        const struct file_string *a = &v->tokens[merges->items[i].left], *b = &v->tokens[merges->items[i].right];
        jsonw_array(&v->w);
        jsonw_stringn(&v->w, a->text, a->len);
        jsonw_stringn(&v->w, b->text, b->len);
        jsonw_end_array(&v->w);
    }
    jsonw_end_array(&v->w);
    jsonw_end_object(&v->w);
}

static enum sooth_status vocab_write(struct buf *text, const char *dir, const char *name,
                                     struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    enum sooth_status status = !text->failed && buf_printf(&path, "%s/%s", dir, name)
                                   ? file_write_atomic(path.data, text->data, text->len, err)
                                   : err_nomem(err);
    buf_release(&path);
    return status;
}

static enum sooth_status vocab_config(struct vocab_out *v, const char *class, const char *dir,
                                      struct sooth_error *err)
{
    static const char *const roles[][2] = {{"bos", "bos_token"},     {"eos", "eos_token"},
                                           {"padding", "pad_token"}, {"unknown", "unk_token"},
                                           {"cls", "cls_token"},     {"seperator", "sep_token"},
                                           {"mask", "mask_token"}};
    const char *template = tensor_file_string(v->f, "tokenizer.chat_template", NULL);
    char name[128];
    buf_clear(&v->text);
    jsonw_init(&v->w, &v->text);
    jsonw_object(&v->w);
    put_pair(&v->w, "tokenizer_class", class);
    jsonw_key(&v->w, "add_bos_token"),
        jsonw_bool(&v->w, token_adds_bos(v->t));
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (vocab_id(v, roles[i][0]) >= 0)
            put_pair(&v->w, roles[i][1],
                     vocab_name(v, vocab_id(v, roles[i][0]), name, sizeof name));
    if (template)
        put_pair(&v->w, "chat_template", template);
    jsonw_end_object(&v->w);
    return vocab_write(&v->text, dir, "tokenizer_config.json", err);
}

/* The whole of tokenizer.json; the class that reads it, or NULL: it has no form there. */
static const char *put_tokenizer(struct vocab_out *v, const char *model, const struct spm_merges *merges)
{
    const struct vocab_split *split = NULL;
    const char *class = NULL;
    for (size_t i = 0; i < sizeof vocab_splits / sizeof *vocab_splits; i++)
        if (strcmp(vocab_splits[i].pre, token_rules(v->t)) == 0)
            split = &vocab_splits[i];
    jsonw_init(&v->w, &v->text);
    jsonw_object(&v->w);
    put_pair(&v->w, "version", "1.0");
    put_added(v);
    if (strcmp(model, "bert") == 0)
        class = "BertTokenizer", put_bert(v);
    else if (strcmp(model, "gpt2") == 0 && split)
        class = "PreTrainedTokenizerFast", put_gpt2(v, split);
    else if (merges)
        class = "PreTrainedTokenizerFast", put_llama(v, merges);
    else if (strcmp(model, "t5") == 0 && !tensor_file_value(v->f, "tokenizer.sooth.normalizer.from"))
        class = "XLMRobertaTokenizer", put_t5(v);
    jsonw_end_object(&v->w);
    return class;
}

enum sooth_status vocab_to_hf(const struct tensor_file *f, const char *dir, struct sooth_error *err)
{
    struct vocab_out v = {.f = f};
    struct spm_merges merges = {0};
    struct tokenizer *t = NULL;
    size_t n_kinds = 0, n_scores = 0;
    const char *model = tensor_file_string(f, "tokenizer.ggml.model", "");
    const float *scores = tensor_file_floats(f, "tokenizer.ggml.scores", &n_scores);
    v.tokens = tensor_file_strings(f, "tokenizer.ggml.tokens", &v.count);
    v.kinds = tensor_file_ints(f, "tokenizer.ggml.token_type", &n_kinds);
    if (!v.tokens || !v.kinds || n_kinds != v.count)
        return err_set(err, SOOTH_ERR_UNSUPPORTED,
                       "'%s' has no complete tokenizer; weights and config.json are written",
                       tensor_file_path(f));
    bool spm = strcmp(model, "llama") == 0 && scores && n_scores == v.count;
    enum sooth_status status = tokenizer_from_file(f, &t, err);
    v.t = t;
    if (status == SOOTH_OK && spm)
        status = spm_merges_make(v.tokens, v.kinds, scores, v.count, &merges, err);
    const char *class = status == SOOTH_OK ? put_tokenizer(&v, model, spm ? &merges : NULL) : NULL;
    if (class)
        status = vocab_write(&v.text, dir, "tokenizer.json", err);
    else if (status == SOOTH_OK)
        status = err_set(err, SOOTH_ERR_UNSUPPORTED,
                         "a tokenizer of kind '%s' (%s) has no form in tokenizer.json; weights and "
                         "config.json are written",
                         model, token_rules(t));
    if (status == SOOTH_OK)
        status = vocab_config(&v, class, dir, err);
    vec_free(&merges);
    tokenizer_free(t);
    buf_release(&v.text);
    return status;
}
