/* grammar.h: which texts may be written: from a grammar or a JSON schema to the tokens allowed next.
 *
 *   GBNF text, JSON schema --gbnf.c, schema*.c--> rules over bytes (rules.h) --automaton.c--> states, made as they are met
 *   vocabulary --token_trie.c--> one trie of all tokens' bytes --matcher.c--> one bit a token, kept by state
 *
 * What cannot be enforced is refused when it is compiled, never passed over. A compiled grammar is immutable and may serve
 * any number of threads; a matcher follows one text. */
#ifndef GRAMMAR_GRAMMAR_H
#define GRAMMAR_GRAMMAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/token/token.h"
#include "sooth/model.h"

/* One more holder; sooth_grammar_free is one less. */
struct sooth_grammar *grammar_hold(const struct sooth_grammar *g);

/* All texts of a vocabulary that a grammar can allow: not control tokens, not empty ones. vocab: ids of the model's logits. */
struct token_trie;
enum sooth_status token_trie_new(const struct tokenizer *t, size_t vocab, struct token_trie **out, struct sooth_error *err);
void token_trie_free(struct token_trie *t);

struct matcher;
/* The trie is borrowed, the grammar held. */
enum sooth_status matcher_new(const struct sooth_grammar *g, const struct token_trie *trie, struct matcher **out,
                              struct sooth_error *err);
void matcher_free(struct matcher *m);
const struct sooth_grammar *matcher_grammar(const struct matcher *m);
void matcher_reset(struct matcher *m); /* to the beginning of a text; what was learnt is kept */
/* Bit id%64 of word id/64: may this token come next? End tokens where the text may end. Valid until the next call. NULL:
 * no memory, or a bound of the automaton (SOOTH_ERR_LIMIT). */
const uint64_t *matcher_mask(struct matcher *m, struct sooth_error *err);
enum sooth_status matcher_add(struct matcher *m, int32_t id, struct sooth_error *err); /* a token that the mask allowed */
bool matcher_complete(const struct matcher *m); /* the text so far is one of the grammar's */
bool matcher_ended(const struct matcher *m);    /* and nothing can follow */
#endif
