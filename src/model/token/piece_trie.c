/* piece_trie.c: building the trie is a radix sort, one level of bytes at a time, breadth first. */
#include "model/token/piece_trie.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/vec.h"

struct range { uint32_t low, high, depth; }; /* keys order[low..high) share their first depth bytes */

struct builder {
    const struct token_str *keys;
    const int32_t *ids;
    uint32_t *order, *spare;
    VEC(struct range) ranges; /* of each node */
    VEC(unsigned char) label;
    VEC(uint32_t) first;
    VEC(int32_t) value;
};

static void sort_by_byte(struct builder *b, uint32_t low, uint32_t high, uint32_t depth)
{
    uint32_t start[257] = {0};
    if (high - low < 24) {
        for (uint32_t i = low + 1; i < high; i++) {
            uint32_t key = b->order[i], j = i;
            unsigned char c = (unsigned char)b->keys[key].text[depth];
            for (; j > low && (unsigned char)b->keys[b->order[j - 1]].text[depth] > c; j--)
                b->order[j] = b->order[j - 1];
            b->order[j] = key;
        }
        return;
    }
    for (uint32_t i = low; i < high; i++)
        start[(unsigned char)b->keys[b->order[i]].text[depth] + 1]++;
    for (unsigned c = 0; c < 256; c++)
        start[c + 1] += start[c];
    for (uint32_t i = low; i < high; i++)
        b->spare[start[(unsigned char)b->keys[b->order[i]].text[depth]]++] = b->order[i];
    memcpy(b->order + low, b->spare, (high - low) * sizeof *b->order);
}

static bool add_node(struct builder *b, unsigned char label, struct range r)
{
    return vec_push(&b->label, label) && vec_push(&b->value, -1) && vec_push(&b->ranges, r);
}

/* Keys that end at the node give it its value; the rest are sorted into children. */
static bool expand(struct builder *b, uint32_t node)
{
    struct range r = b->ranges.items[node];
    uint32_t low = r.low;
    if (!vec_push(&b->first, (uint32_t)b->label.count))
        return false;
    for (uint32_t i = r.low; i < r.high; i++) {
        uint32_t key = b->order[i];
        if (b->keys[key].len != r.depth)
            continue;
        if (b->value.items[node] < 0 || b->ids[key] < b->value.items[node])
            b->value.items[node] = b->ids[key];
        b->order[i] = b->order[low];
        b->order[low++] = key;
    }
    sort_by_byte(b, low, r.high, r.depth);
    for (uint32_t i = low, end; i < r.high; i = end) {
        unsigned char c = (unsigned char)b->keys[b->order[i]].text[r.depth];
        for (end = i + 1; end < r.high && (unsigned char)b->keys[b->order[end]].text[r.depth] == c; end++)
            ;
        if (!add_node(b, c, (struct range){i, end, r.depth + 1}))
            return false;
    }
    return true;
}

bool trie_build(struct piece_trie *t, const struct token_str *keys, const int32_t *ids, size_t n)
{
    struct builder b = {.keys = keys, .ids = ids};
    uint32_t used = 0;
    bool good;
    memset(t, 0, sizeof *t);
    b.order = mem_array(n + 1, sizeof *b.order);
    b.spare = mem_array(n + 1, sizeof *b.spare);
    for (size_t i = 0; b.order && i < n; i++) {
        if (!keys[i].len)
            continue;
        b.order[used++] = (uint32_t)i;
        t->longest = keys[i].len > t->longest ? keys[i].len : t->longest;
    }
    good = b.order && b.spare && add_node(&b, 0, (struct range){0, used, 0});
    for (uint32_t node = 0; good && node < b.label.count; node++)
        good = expand(&b, node);
    good = good && vec_push(&b.first, (uint32_t)b.label.count);
    mem_free(b.order);
    mem_free(b.spare);
    vec_free(&b.ranges);
    *t = (struct piece_trie){b.label.items, b.first.items, b.value.items, b.label.count, t->longest};
    if (!good)
        trie_release(t);
    return good;
}

void trie_release(struct piece_trie *t)
{
    mem_free(t->label);
    mem_free(t->first);
    mem_free(t->value);
    memset(t, 0, sizeof *t);
}

int32_t trie_longest(const struct piece_trie *t, const char *s, size_t n, size_t *len)
{
    int32_t best = -1;
    uint32_t node = 0;
    if (!t->nodes)
        return -1;
    for (size_t i = 0; i < n && (node = trie_step(t, node, (unsigned char)s[i])); i++)
        if (t->value[node] >= 0) {
            best = t->value[node];
            *len = i + 1;
        }
    return best;
}
