/* bpe_rules.h: the first cut of byte-level BPE: into pieces that no merge may cross.
 *
 * Each rule set is published by its model as regular expressions. Here every one is a scanner by hand: one look at each
 * character, no backtracking, constant stack. A rule set is one or more passes; each pass cuts every piece that
 * the pass before left, at its matches and between them. */
#ifndef TOKEN_BPE_RULES_H
#define TOKEN_BPE_RULES_H
#include <stdbool.h>
#include <stddef.h>

/* Bytes that the pass's expression matches at `at` (at < end), 0 = none. Where none, *skip may tell of how many
 * bytes it is already known that no match begins in them. */
typedef size_t bpe_pass(const char *s, size_t at, size_t end, size_t *skip);

enum { BPE_MAX_PASSES = 6 };
struct bpe_rules {
    const char *name;
    const char *aliases;      /* other `pre` names for the same rules, each between blanks: " a b " */
    bpe_pass *passes[BPE_MAX_PASSES + 1];
    bool whole_first;         /* a piece that is in the vocabulary is not merged */
    bool add_bos;             /* where the file leaves it unsaid */
    bool compose;             /* the text is brought to NFC first */
};

const struct bpe_rules *bpe_rules_find(const char *name); /* NULL = unknown */
/* By the expression a tokenizer.json declares for its Split; NULL = unknown. */
const struct bpe_rules *bpe_rules_by_pattern(const char *pattern);

/* Calls `piece` for each piece in order; stops when it returns false, and returns false then. */
typedef bool bpe_piece(void *user, const char *s, size_t at, size_t end);
bool bpe_cut(const struct bpe_rules *rules, const char *s, size_t len, bpe_piece *piece, void *user);
#endif
