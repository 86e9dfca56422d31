/* vocab_check.c: the tokenizer's arrays, whatever the container.
 *
 * Token texts, scores and types are parallel arrays, and ids point into them: code that trusts one
 * array's length while reading another is where loaders have been broken into. */
#include <string.h>
#include "core/base/error.h"
#include "model/file/tensor_view.h"

enum { MAX_TOKEN = 65536 };
#define PREFIX "tokenizer.ggml."

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static enum sooth_status check_array(const struct file_value *v, const char *name,
                                     enum value_type a, enum value_type b, size_t vocab,
                                     struct sooth_error *err)
{
    if (v->type != VALUE_ARRAY || (v->item != a && v->item != b))
        return err_set(err, SOOTH_ERR_FORMAT, "%s has the wrong type", name);
    if (v->count != vocab)
        return err_set(err, SOOTH_ERR_FORMAT, "%s has %zu elements for %zu tokens", name, v->count,
                       vocab);
    return SOOTH_OK;
}

static enum sooth_status check_id(const struct file_value *v, size_t vocab, struct sooth_error *err)
{
    bool negative = (v->type == VALUE_I8 || v->type == VALUE_I16 || v->type == VALUE_I32 ||
                     v->type == VALUE_I64) &&
                    v->i < 0;
    if (v->type == VALUE_ARRAY || v->type == VALUE_STRING || v->type == VALUE_BOOL ||
        v->type == VALUE_F32 || v->type == VALUE_F64)
        return err_set(err, SOOTH_ERR_FORMAT, "%s is not a whole number", v->key);
    if (negative || v->u >= vocab)
        return err_set(err, SOOTH_ERR_FORMAT, "%s lies outside the vocabulary of %zu tokens",
                       v->key, vocab);
    return SOOTH_OK;
}

static enum sooth_status check_key(const struct file_value *v, size_t vocab,
                                   struct sooth_error *err)
{
    const char *name = v->key;
    if (strncmp(name, PREFIX, strlen(PREFIX)))
        return SOOTH_OK;
    if (!strcmp(name, PREFIX "scores"))
        return check_array(v, name, VALUE_F32, VALUE_F32, vocab, err);
    if (!strcmp(name, PREFIX "token_type"))
        return check_array(v, name, VALUE_I32, VALUE_U32, vocab, err);
    if (ends_with(name, "_token_id"))
        return check_id(v, vocab, err);
    if (ends_with(name, "_token_ids") && v->type == VALUE_ARRAY &&
        (v->item == VALUE_I32 || v->item == VALUE_U32))
        for (size_t i = 0; i < v->count; i++)
            if (((const uint32_t *)v->items)[i] >= vocab) /* a negative one is large */
                return err_set(err, SOOTH_ERR_FORMAT,
                               "%s lies outside the vocabulary of %zu tokens", name, vocab);
    return SOOTH_OK;
}

enum sooth_status vocab_check(const struct tensor_file *f, struct sooth_error *err)
{
    const struct file_value *tokens = tensor_file_value(f, PREFIX "tokens");
    if (!tokens)
        return SOOTH_OK;
    if (tokens->type != VALUE_ARRAY || tokens->item != VALUE_STRING || !tokens->count)
        return err_set(err, SOOTH_ERR_FORMAT, PREFIX "tokens is not an array of strings");
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->strings[i].len > MAX_TOKEN)
            return err_set(err, SOOTH_ERR_FORMAT, "token %zu is longer than %d bytes", i,
                           MAX_TOKEN);
    for (size_t i = 0; i < f->value_count; i++) {
        enum sooth_status status = check_key(&f->values[i], tokens->count, err);
        if (status)
            return status;
    }
    return SOOTH_OK;
}
