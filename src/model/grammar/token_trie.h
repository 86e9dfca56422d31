/* token_trie.h: all tokens' bytes in one trie, laid out in the order of a walk; private to this folder.
 *
 *     node i:  byte, depth; its subtree is [i, skip[i]); the tokens that end at it are ids[first[i] .. first[i+1])
 *
 * A walk goes through the array once; where the grammar says no it jumps to skip[i]. Nine bytes and a half a node, no pointers. */
#ifndef GRAMMAR_TOKEN_TRIE_H
#define GRAMMAR_TOKEN_TRIE_H
#include "core/base/vec.h"
#include "model/grammar/grammar.h"

struct token_trie {
    size_t vocab, nodes, longest; /* longest: bytes of a token */
    unsigned char *byte;
    uint16_t *depth;  /* 1: first byte */
    uint32_t *skip, *first;
    int32_t *ids;
    uint32_t *offset; /* [vocab + 1] bytes of each token, none for those left out */
    char *bytes;
    VEC(int32_t) ends; /* tokens that end a text */
};
#endif
