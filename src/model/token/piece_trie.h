/* piece_trie.h: which pieces begin here? A static trie over bytes.
 *
 * Nodes are laid out breadth first, so the children of a node are neighbours and sorted by their byte:
 *
 *     children of node i = first[i] .. first[i+1]-1,   label[child] = byte that leads there,   value[child] = id or -1
 *
 * Nine bytes a node, no pointers, no hashing; a step is a binary search among at most 256 labels. Immutable after
 * building. Left out: deletion, and path compression (vocabulary pieces are short). */
#ifndef TOKEN_PIECE_TRIE_H
#define TOKEN_PIECE_TRIE_H
#include "model/token/token.h"

struct piece_trie {
    unsigned char *label;
    uint32_t *first; /* [nodes + 1] */
    int32_t *value;
    size_t nodes;    /* 0 = empty trie */
    size_t longest;  /* bytes of the longest key */
};

/* Empty keys are passed over; of two equal keys the smaller id stays. False when memory is out. */
bool trie_build(struct piece_trie *t, const struct token_str *keys, const int32_t *ids, size_t n);
void trie_release(struct piece_trie *t);

/* Next node, or 0 (the root, never a child) when no key goes on so. node 0 is where to start. */
static inline uint32_t trie_step(const struct piece_trie *t, uint32_t node, unsigned char c)
{
    uint32_t low = t->first[node], high = t->first[node + 1];
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (t->label[mid] == c)
            return mid;
        if (t->label[mid] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* Longest key that s begins with: its id, *len its bytes; -1 when none. */
int32_t trie_longest(const struct piece_trie *t, const char *s, size_t n, size_t *len);
#endif
