/* token_file.c: a tokenizer from a model file: the facts tokenizer.* of GGUF and E5S1, or the tokenizer.json of a Hugging
 * Face directory. */
#include <string.h>
#include "core/base/error.h"
#include "model/token/token_vocab.h"

#define GGML "tokenizer.ggml."

static int64_t take_id(const struct tensor_file *f, const char *key)
{
    return tensor_file_int(f, key, -1);
}

static enum token_choice take_choice(const struct tensor_file *f, const char *key)
{
    const struct file_value *v = tensor_file_value(f, key);
    if (!v || v->type != VALUE_BOOL)
        return TOKEN_UNSAID;
    return v->u ? TOKEN_YES : TOKEN_NO;
}

/* The two structs hold the same, but are two types: copied, unless there is nothing. */
static enum sooth_status take_strings(struct arena *a, const struct tensor_file *f, const char *key, const struct token_str **out,
                                      size_t *n, struct sooth_error *err)
{
    const struct file_string *from = tensor_file_strings(f, key, n);
    struct token_str *to;
    if (!from) {
        *n = 0;
        return SOOTH_OK;
    }
    *out = to = arena_array(a, *n ? *n : 1, sizeof *to);
    if (!to)
        return err_nomem(err);
    for (size_t i = 0; i < *n; i++)
        to[i] = (struct token_str){from[i].text, from[i].len};
    return SOOTH_OK;
}

static void take_ids(const struct tensor_file *f, struct token_source *s)
{
    s->bos = take_id(f, GGML "bos_token_id");
    s->eos = take_id(f, GGML "eos_token_id");
    s->unk = take_id(f, GGML "unknown_token_id");
    s->sep = take_id(f, GGML "seperator_token_id"); /* so spelled in GGUF */
    if (s->sep < 0)
        s->sep = take_id(f, GGML "separator_token_id");
    s->pad = take_id(f, GGML "padding_token_id");
    s->cls = take_id(f, GGML "cls_token_id");
    s->mask = take_id(f, GGML "mask_token_id");
    s->eot = take_id(f, GGML "eot_token_id");
    s->eom = take_id(f, GGML "eom_token_id");
}

static enum sooth_status take_arrays(struct arena *a, const struct tensor_file *f, struct token_source *s, struct sooth_error *err)
{
    const struct file_value *map = tensor_file_value(f, GGML "precompiled_charsmap");
    size_t n = 0;
    enum sooth_status status = take_strings(a, f, GGML "tokens", &s->pieces, &s->n, err);
    if (!status)
        status = take_strings(a, f, GGML "merges", &s->merges, &s->n_merges, err);
    if (!status)
        status = take_strings(a, f, "tokenizer.sooth.normalizer.to", &s->replacements, &n, err);
    if (status)
        return status;
    s->replaced = tensor_file_uints(f, "tokenizer.sooth.normalizer.from", &s->n_replaced);
    s->n_replaced = s->replaced ? s->n_replaced : 0;
    if (s->n_replaced != n)
        return err_set(err, SOOTH_ERR_FORMAT, "tokenizer.sooth.normalizer has %zu characters and %zu replacements", s->n_replaced, n);
    s->scores = tensor_file_floats(f, GGML "scores", &s->n_scores);
    s->types = tensor_file_ints(f, GGML "token_type", &s->n_types);
    if (map && map->type == VALUE_ARRAY && (map->item == VALUE_U8 || map->item == VALUE_I8))
        s->charsmap = (struct token_str){map->items, map->count};
    else if (map)
        return err_set(err, SOOTH_ERR_FORMAT, GGML "precompiled_charsmap is not an array of bytes");
    return SOOTH_OK;
}

/* GGUF has no place for the blanks that added tokens swallow; of the families that it holds Phi-3 has them, behind every token of a turn. */
static enum sooth_status take_strips(struct arena *a, const struct tensor_file *f, struct token_source *s, struct sooth_error *err)
{
    static const char *const without[] = {"<unk>", "<s>", "<|endoftext|>"};
    unsigned char *strips;
    if (strcmp(tensor_file_string(f, "general.architecture", ""), "phi3") || !s->model || strcmp(s->model, "llama") || !s->types || s->n_types != s->n)
        return SOOTH_OK;
    strips = arena_calloc(a, s->n, 1);
    if (!strips)
        return err_nomem(err);
    for (size_t i = 0; i < s->n; i++) {
        bool keeps = s->types[i] != TOKEN_CONTROL && s->types[i] != TOKEN_USER;
        for (size_t k = 0; k < 3; k++)
            keeps |= s->pieces[i].len == strlen(without[k]) && !memcmp(s->pieces[i].text, without[k], s->pieces[i].len);
        strips[i] = keeps ? 0 : TOKEN_STRIP_RIGHT;
    }
    s->strips = strips;
    return SOOTH_OK;
}

static enum sooth_status from_facts(const struct tensor_file *f, struct tokenizer **out, struct sooth_error *err)
{
    struct token_source s;
    struct arena a;
    enum sooth_status status;
    token_source_init(&s);
    arena_init(&a, 0);
    s.model = tensor_file_string(f, GGML "model", NULL);
    s.pre = tensor_file_string(f, GGML "pre", NULL);
    s.chat_template = tensor_file_string(f, "tokenizer.chat_template", NULL);
    take_ids(f, &s);
    s.add_bos = take_choice(f, GGML "add_bos_token");
    s.add_eos = take_choice(f, GGML "add_eos_token");
    s.add_space_prefix = take_choice(f, GGML "add_space_prefix");
    s.remove_extra_whitespaces = take_choice(f, GGML "remove_extra_whitespaces");
    status = take_arrays(&a, f, &s, err);
    if (!status)
        status = take_strips(&a, f, &s, err);
    if (!status)
        status = tokenizer_new(&s, out, err);
    arena_release(&a);
    return status;
}

static enum sooth_status from_parts(const struct tensor_file *f, struct tokenizer **out, struct sooth_error *err)
{
    struct buf text = BUF_INIT, config = BUF_INIT;
    enum sooth_status status = tensor_file_part(f, "tokenizer.json", &text, err);
    if (!status) {
        struct sooth_error why;
        status = tensor_file_part(f, "tokenizer_config.json", &config, &why);
        if (status && status != SOOTH_ERR_NOTFOUND && err)
            *err = why;
        if (status == SOOTH_ERR_NOTFOUND) { /* optional; but one that cannot be read is not absent */
            buf_clear(&config);
            status = SOOTH_OK;
        }
        if (!status) {
            status = tokenizer_from_json(text.data, text.len, config.data, config.len, out, err);
            if (status)
                err_prefix(err, "tokenizer.json");
        }
    }
    buf_release(&text);
    buf_release(&config);
    return status;
}

enum sooth_status tokenizer_from_file(const struct tensor_file *f, struct tokenizer **out, struct sooth_error *err)
{
    *out = NULL;
    if (tensor_file_value(f, GGML "tokens"))
        return from_facts(f, out, err);
    if (tensor_file_config(f))
        return from_parts(f, out, err);
    return err_set(err, SOOTH_ERR_NOTFOUND, "the file holds no tokenizer (no %stokens)", GGML);
}
