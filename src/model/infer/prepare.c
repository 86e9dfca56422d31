/* prepare.c: public calls about tokens, and texts made ready for an encoder. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "model/arch/arch.h"
#include "model/infer/embed.h"
#include "model/infer/handle.h"

static enum sooth_status tokens_local(const struct sooth_model *m, struct sooth_error *err)
{
    return m->tokenizer
               ? SOOTH_OK
               : err_set(err, SOOTH_ERR_UNSUPPORTED, "a remote model does not show its tokens");
}

/* The list becomes the caller's. */
static void tokens_give(struct token_ids *ids, struct sooth_tokens *out)
{
    out->ids = ids->items;
    out->count = ids->count;
}

enum sooth_status sooth_tokenize(const struct sooth_model *m, const char *text, size_t len,
                                 bool bos, bool special, struct sooth_tokens *out,
                                 struct sooth_error *err)
{
    struct token_ids ids = {0};
    memset(out, 0, sizeof *out);
    enum sooth_status status = tokens_local(m, err);
    struct token_segment segment = {special ? SEG_CONTROL : SEG_TEXT, text, len};
    if (status == SOOTH_OK)
        status =
            token_encode(m->tokenizer, &segment, 1, bos ? TOKEN_ADD_SPECIAL : 0, &ids, NULL, err);
    if (status == SOOTH_OK)
        tokens_give(&ids, out);
    else
        vec_free(&ids);
    return status;
}

enum sooth_status sooth_tokenize_pair(const struct sooth_model *m, const char *a, size_t a_len,
                                      const char *b, size_t b_len, struct sooth_tokens *out,
                                      struct sooth_error *err)
{
    struct token_ids ids = {0};
    memset(out, 0, sizeof *out);
    enum sooth_status status = tokens_local(m, err);
    if (status == SOOTH_OK)
        status = token_encode_pair(m->tokenizer, a, a_len, b, b_len, 0, &ids, NULL, err);
    if (status == SOOTH_OK)
        tokens_give(&ids, out);
    else
        vec_free(&ids);
    return status;
}

void sooth_tokens_release(struct sooth_tokens *tokens)
{
    mem_free(tokens->ids);
    memset(tokens, 0, sizeof *tokens);
}

char *sooth_detokenize(const struct sooth_model *m, const int32_t *ids, size_t count)
{
    struct buf out = BUF_INIT;
    if (m->tokenizer)
        token_decode(m->tokenizer, ids, count, &out);
    buf_puts(&out, "");
    return buf_take(&out);
}

size_t sooth_count_tokens(const struct sooth_model *m, const char *text, size_t len)
{
    size_t n = m->tokenizer ? token_count(m->tokenizer, text, len) : SIZE_MAX;
    return n == SIZE_MAX ? (len + 2) / 3
                         : n; /* a server's tokens, or no memory to count: an estimate */
}

/* Tokens of the text alone: not of the prefix, not added. Spans become offsets in the text. */
static void item_trim(struct embed_item *item, const struct token_spans *spans, size_t prefix)
{
    while (item->front < item->n && spans->items[item->front].end <= prefix)
        item->front++;
    while (item->front + item->back < item->n && spans->items[item->n - 1 - item->back].end <=
                                                     spans->items[item->n - 1 - item->back].start)
        item->back++;
    for (size_t i = 0; i < item->n; i++) {
        size_t start = spans->items[i].start, end = spans->items[i].end;
        item->start[i] = (uint32_t)(start > prefix ? start - prefix : 0);
        item->end[i] = (uint32_t)(end > prefix ? end - prefix : 0);
    }
}

enum sooth_status embed_tokenize(const struct sooth_model *m, enum sooth_embed_kind kind,
                                 const char *text, size_t len, bool spans, struct embed_item *item,
                                 struct sooth_error *err)
{
    const char *prefix = sooth_embed_prefix(m, kind);
    size_t prefix_len = strlen(prefix), limit = m->embed_limit;
    struct buf joined = BUF_INIT; /* one text: pieces may reach over the seam */
    struct token_ids ids = {0};
    struct token_spans span_list = {0};
    struct token_segment segment = {SEG_TEXT, text, len};
    enum sooth_status status = SOOTH_OK;
    if (prefix_len) {
        if (buf_add(&joined, prefix, prefix_len) && buf_add(&joined, text, len))
            segment = (struct token_segment){SEG_TEXT, joined.data, joined.len};
        else
            status = err_nomem(err);
    }
    if (status == SOOTH_OK)
        status = token_encode(m->tokenizer, &segment, 1, TOKEN_ADD_SPECIAL, &ids,
                              spans ? &span_list : NULL, err);
    if (status == SOOTH_OK && ids.count > limit) { /* the end token stays */
        item->cut = true;
        ids.items[limit - 1] = ids.items[ids.count - 1];
        if (spans)
            span_list.items[limit - 1] = span_list.items[ids.count - 1];
        ids.count = limit;
    }
    if (status == SOOTH_OK && spans) {
        item->start = mem_array(ids.count + 1, sizeof *item->start);
        item->end = mem_array(ids.count + 1, sizeof *item->end);
        status = item->start && item->end ? SOOTH_OK : err_nomem(err);
    }
    if (status == SOOTH_OK) {
        item->ids = ids.items;
        item->n = ids.count;
        if (spans)
            item_trim(item, &span_list, prefix_len);
    } else {
        mem_free(item->start);
        mem_free(item->end);
        item->start = item->end = NULL;
        vec_free(&ids);
    }
    vec_free(&span_list);
    buf_release(&joined);
    return status;
}

enum sooth_status embed_tokenize_pair(const struct sooth_model *m, const char *a, size_t a_len,
                                      const char *b, size_t b_len, struct embed_item *item,
                                      struct sooth_error *err)
{
    struct token_ids ids = {0};
    struct token_pair pair;
    enum sooth_status status = token_encode_pair(m->tokenizer, a, a_len, b, b_len, m->embed_limit,
                                                 &ids, &pair, err);
    if (status != SOOTH_OK) {
        vec_free(&ids);
        return status;
    }
    item->ids = ids.items;
    item->n = ids.count;
    item->second = pair.typed && arch_info(m->arch)->types > 1 ? pair.second : 0;
    item->cut = pair.cut;
    return SOOTH_OK;
}
