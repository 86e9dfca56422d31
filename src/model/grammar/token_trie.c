/* token_trie.c: the trie of a vocabulary: tokens sorted by their bytes, then cut into nodes where each parts from the one
 * before. A token longer than TOKEN_LONGEST bytes is left out: it can then never be chosen under a grammar, which is safe. */
#include "model/grammar/token_trie.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"

enum { TOKEN_LONGEST = 1024 };

struct trie_key {
    const char *text;
    size_t len;
    int32_t id;
};

static int key_order(const void *a, const void *b)
{
    const struct trie_key *x = a, *y = b;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : x->len != y->len ? (x->len < y->len ? -1 : 1) : x->id < y->id ? -1 : 1;
}

static bool trie_texts(struct token_trie *t, const struct tokenizer *tokenizer)
{
    struct buf all = BUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < t->vocab && ok; i++) {
        size_t from = all.len;
        t->offset[i] = (uint32_t)from;
        if (token_is_end(tokenizer, (int32_t)i))
            ok = vec_push(&t->ends, (int32_t)i);
        else if (!token_is_control(tokenizer, (int32_t)i))
            token_bytes(tokenizer, (int32_t)i, &all);
        if (all.len - from > TOKEN_LONGEST)
            all.len = from;
        t->longest = all.len - from > t->longest ? all.len - from : t->longest;
        ok = ok && !all.failed && all.len < UINT32_MAX;
    }
    t->offset[t->vocab] = (uint32_t)all.len;
    t->bytes = ok ? buf_take(&all) : NULL;
    if (ok && !t->bytes)
        t->bytes = mem_strdup("");
    buf_release(&all);
    return t->bytes != NULL;
}

/* Nodes of the sorted keys; n_ids of them are in t->ids. */
static bool trie_nodes(struct token_trie *t, const struct trie_key *keys, size_t n, uint32_t *open)
{
    size_t most = 1, depth = 0;
    for (size_t i = 0; i < n; i++)
        most += keys[i].len;
    t->byte = mem_array(most, sizeof *t->byte);
    t->depth = mem_array(most, sizeof *t->depth);
    t->skip = mem_array(most, sizeof *t->skip);
    t->first = mem_array(most + 1, sizeof *t->first);
    t->ids = mem_array(n + 1, sizeof *t->ids);
    if (!t->byte || !t->depth || !t->skip || !t->first || !t->ids)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t common = 0;
        while (i && common < keys[i - 1].len && common < keys[i].len && keys[i - 1].text[common] == keys[i].text[common])
            common++;
        for (; depth > common; depth--)
            t->skip[open[depth]] = (uint32_t)t->nodes;
        for (size_t at = common; at < keys[i].len; at++, t->nodes++) {
            t->byte[t->nodes] = (unsigned char)keys[i].text[at];
            t->depth[t->nodes] = (uint16_t)(at + 1);
            t->first[t->nodes] = (uint32_t)i;
            open[++depth] = (uint32_t)t->nodes;
        }
        t->ids[i] = keys[i].id;
    }
    for (; depth; depth--)
        t->skip[open[depth]] = (uint32_t)t->nodes;
    t->first[t->nodes] = (uint32_t)n;
    return true;
}

static bool trie_shrink(struct token_trie *t)
{
    size_t n = t->nodes + 1;
    void *byte = mem_realloc(t->byte, n, sizeof *t->byte), *depth = mem_realloc(t->depth, n, sizeof *t->depth),
         *skip = mem_realloc(t->skip, n, sizeof *t->skip), *first = mem_realloc(t->first, n, sizeof *t->first);
    t->byte = byte ? byte : t->byte;
    t->depth = depth ? depth : t->depth;
    t->skip = skip ? skip : t->skip;
    t->first = first ? first : t->first;
    return byte && depth && skip && first;
}

enum sooth_status token_trie_new(const struct tokenizer *tokenizer, size_t vocab, struct token_trie **out, struct sooth_error *err)
{
    *out = NULL;
    struct token_trie *t = mem_calloc(1, sizeof *t);
    struct trie_key *keys = mem_array(vocab + 1, sizeof *keys);
    uint32_t *open = mem_array(TOKEN_LONGEST + 1, sizeof *open);
    bool ok = t && keys && open && (t->offset = mem_array(vocab + 1, sizeof *t->offset));
    size_t n = 0;
    if (ok) {
        t->vocab = vocab;
        ok = trie_texts(t, tokenizer);
    }
    for (size_t i = 0; ok && i < vocab; i++)
        if (t->offset[i + 1] > t->offset[i])
            keys[n++] = (struct trie_key){t->bytes + t->offset[i], t->offset[i + 1] - t->offset[i], (int32_t)i};
    if (ok && n)
        qsort(keys, n, sizeof *keys, key_order);
    ok = ok && trie_nodes(t, keys, n, open) && trie_shrink(t);
    mem_free(keys);
    mem_free(open);
    if (!ok) {
        token_trie_free(t);
        return err_nomem(err);
    }
    *out = t;
    return SOOTH_OK;
}

void token_trie_free(struct token_trie *t)
{
    if (!t)
        return;
    mem_free(t->byte);
    mem_free(t->depth);
    mem_free(t->skip);
    mem_free(t->first);
    mem_free(t->ids);
    mem_free(t->offset);
    mem_free(t->bytes);
    vec_free(&t->ends);
    mem_free(t);
}
