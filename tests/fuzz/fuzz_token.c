/* fuzz_token.c: see fuzz_token.h. */
#include "fuzz_token.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/utf8.h"
#include "core/base/vec.h"

void fuzz_tokenizer(const struct tokenizer *t, const char *text, size_t len)
{
    struct token_segment s[] = {{SEG_CONTROL, text, len / 2}, {SEG_TEXT, text + len / 2, len - len / 2}};
    struct token_ids ids = {0};
    struct token_spans spans = {0};
    struct buf out = BUF_INIT;
    if (!token_encode(t, s, 2, TOKEN_ADD_SPECIAL, &ids, &spans, NULL)) {
        assert(ids.count == spans.count);
        for (size_t i = 0; i < ids.count; i++) {
            assert(ids.items[i] >= 0 && (size_t)ids.items[i] < token_vocab_size(t));
            assert(spans.items[i].start <= spans.items[i].end && spans.items[i].end <= len);
        }
        token_decode(t, ids.items, ids.count, &out);
        assert(utf8_valid(buf_str(&out), out.len));
    }
    ids.count = 0;
    if (!token_encode_text(t, text, len, 0, &ids, NULL))
        for (size_t i = 0; i < ids.count; i++)
            /* Plain text never names one; the unknown may be typed so. */
            assert(!token_is_control(t, ids.items[i]) || ids.items[i] == token_special(t, ROLE_UNK));
    token_encode_pair(t, text, len / 2, text + len / 2, len - len / 2, len % 64, &ids, NULL, NULL);
    vec_free(&ids);
    vec_free(&spans);
    buf_release(&out);
}

enum { MAX_PIECES = 400 };

void fuzz_family(const char *model, const uint8_t *data, size_t size)
{
    static struct token_str pieces[MAX_PIECES], merges[MAX_PIECES];
    static int32_t types[MAX_PIECES];
    static float scores[MAX_PIECES];
    static const char *const rules[] = {NULL, "gpt-2", "smollm", "llama3", "qwen2", "qwen35", "deepseek-llm", "deepseek-v3"};
    struct token_source s;
    struct tokenizer *t;
    char *copy = mem_dup(data, size), *at, *end;
    if (!copy || !size || !(end = memchr(copy + 1, 0, size - 1))) {
        mem_free(copy);
        return;
    }
    token_source_init(&s);
    for (at = copy + 1; at < end && s.n < MAX_PIECES;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        if (len) {
            pieces[s.n] = (struct token_str){at + 1, len - 1};
            types[s.n] = *at - '0';
            scores[s.n] = -(float)(s.n * 7 % 31);
            if (len > 3 && memchr(at + 2, ' ', len - 3))
                merges[s.n_merges++] = pieces[s.n];
            s.n++;
        }
        at += len + 1;
    }
    s.model = model;
    s.pre = rules[*copy & 7];
    s.hash_marks = *copy & 8;
    s.add_bos = s.add_eos = *copy & 16 ? TOKEN_YES : TOKEN_UNSAID;
    s.add_space_prefix = *copy & 32 ? TOKEN_NO : TOKEN_UNSAID;
    s.remove_extra_whitespaces = *copy & 64 ? TOKEN_NO : TOKEN_UNSAID;
    s.unk = 0;
    s.bos = s.n > 1 ? 1 : -1;
    s.eos = s.n > 2 ? 2 : -1;
    if (*copy & 128)
        s.charsmap = (struct token_str){end, size - (size_t)(end - copy)};
    s.pieces = pieces;
    s.types = types;
    s.scores = scores;
    s.merges = merges;
    s.n_types = s.n_scores = s.n;
    if (!tokenizer_new(&s, &t, NULL)) {
        fuzz_tokenizer(t, end + 1, size - (size_t)(end + 1 - copy));
        tokenizer_free(t);
    }
    mem_free(copy);
}
