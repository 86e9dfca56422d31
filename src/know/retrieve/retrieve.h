/* retrieve.h: cutting documents into passages, filling a knowledge base, and finding passages
 * again. The front door of this folder; sooth/kb.h's first two parts are implemented here.
 *
 * Thread use: one knowledge base, and what belongs to it, one thread at a time. */
#ifndef KNOW_RETRIEVE_H
#define KNOW_RETRIEVE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "know/doc/doc.h"
#include "know/index/index.h"
#include "sooth/kb.h"

/* --- embedder.c
 * --------------------------------------------------------------------------------------------- */

/* What this folder asks of an embedder. Two make one: any model of sooth/model.h, and "hash", which
 * needs no model: words hashed into 256 numbers; for tests, and for machines without a model. */
struct embedder {
    const char *name, *fingerprint, *query_prefix, *passage_prefix;
    size_t dim;
    size_t limit; /* tokens a passage may have, the prefix and the model's own tokens already taken
                     off */
    size_t chunk_tokens;       /* a good size for passages */
    struct sooth_model *model; /* NULL for "hash" */
    size_t (*count)(const struct embedder *e, const char *text, size_t len);
    enum sooth_status (*embed)(const struct embedder *e, bool query, const char *const *texts,
                               const size_t *lens, size_t n, float *out,
                               struct sooth_error *err); /* unit vectors [n, dim] */
    enum sooth_status (*rerank)(const struct embedder *e, const char *query, size_t query_len,
                                const char *const *passages, const size_t *lens, size_t n,
                                float *scores, struct sooth_error *err);
};
enum sooth_status embedder_open(const char *name, unsigned threads, struct embedder **out,
                                struct sooth_error *err);
void embedder_close(struct embedder *e);
/* The reader that lies beside an embedder: "e5-reader.gguf" beside "e5.gguf". *out is NULL where there is none; one that does not fit
 * is an error. The caller closes it before the embedder. */
enum sooth_status embedder_reader(const struct embedder *e, struct sooth_reader **out, struct sooth_error *err);
/* Where ordinary questions lie: the mean vector of twenty in each script. centres: [SCRIPTS, dim].
 */
enum sooth_status embedder_centres(const struct embedder *e, float *centres,
                                   struct sooth_error *err);
uint64_t embedder_calls(void); /* texts embedded as passages so far in this process, for tests */

/* --- chunk.c
 * ------------------------------------------------------------------------------------------------
 */

struct chunks { /* strings live in the arena; items[].vector is left NULL */
    struct arena arena;
    struct store_chunk *items;
    size_t count;
    const char *title; /* as it stands in the contexts; NULL when none */
};
/* Passages of at most `tokens` tokens each, context included; overlap in tokens. split: a row of the table
 * of splitters, NULL = the way of the house ("sentence"); an unknown one is ARG. */
enum sooth_status chunk_document(const struct document *d, const struct embedder *e,
                                 const char *split, size_t tokens, size_t overlap,
                                 struct chunks *out, struct sooth_error *err);
/* The table of splitters (split_NAME.c): the row of that name, NULL = the first; the i-th name; how many
 * neighbouring passages have one parent (0 = there are no parents). */
struct splitter;
const struct splitter *splitter_find(const char *name);
const char *splitter_at(size_t i, const char **about);
unsigned splitter_family(const char *name);
/* split_parent.c: passages [*from, *to] of `count` that stand for passage `at`: itself, or its parent when
 * more than half of that is found, and so on for the parent's. found(user, i): passage i was. */
void splitter_merge(unsigned family, size_t at, size_t count, bool (*found)(const void *user, size_t i),
                    const void *user, size_t *from, size_t *to);
void chunks_release(struct chunks *c);
/* The longest front of text (at least one character, not inside a grapheme where possible) of at
 * most `tokens` tokens, preferably behind a clause mark or blank. */
size_t chunk_cut(const struct embedder *e, const char *text, size_t len, size_t tokens);
/* True when text may be cut before the character at `at`: not before marks, joiners, or inside
 * pairs. */
bool chunk_grapheme_boundary(const char *text, size_t len, size_t at);

/* --- filter.c
 * -----------------------------------------------------------------------------------------------
 */

/* expr := or;  or := and {"or" and};  and := not {"and" not};  not := "not" not | "(" or ")" | comparison
 * comparison := field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "prefix" | "contains") value
 *             | field "in" "(" value {"," value} ")" | field "between" value "and" value
 * Fields: doc, title, format, page; text (contains: the words in a row; prefix: a word that begins so);
 * tag (any tag's value); a tag's key, also as tag.KEY. Values: words, numbers, 'quoted' or "quoted".
 * Sets allow[slot] (n bytes) to 0 or 1. An unknown field, or one compared as it cannot be, is
 * SOOTH_ERR_ARG. s may be NULL where the filter does not look into texts. */
enum sooth_status filter_apply(const char *filter, struct store *s, const struct snapshot *v,
                               unsigned char *allow, struct sooth_error *err);

/* --- fuse.c
 * -------------------------------------------------------------------------------------------------
 */

struct fused {
    uint32_t slot;
    double score;
    uint32_t rank[2];
}; /* ranks in the lists, 0 = not there */
/* Reciprocal rank fusion: sum of weight / (60 + rank), rank from 1. Best first, ties by slot;
 * returns the count. out: [n_a + n_b]. */
size_t fuse_rrf(const struct scored *a, size_t n_a, double weight_a, const struct scored *b,
                size_t n_b, double weight_b, struct fused *out);
/* The same by scores stretched to 0..1 in each list. */
size_t fuse_relative(const struct scored *a, size_t n_a, double weight_a, const struct scored *b,
                     size_t n_b, double weight_b, struct fused *out);
/* Maximal marginal relevance: picks k of n by lambda * relevance[i] - (1 - lambda) * max
 * similarity[i * n + j] to those picked; order [k]. */
void fuse_mmr(const double *relevance, const double *similarity, size_t n, double lambda, size_t k,
              size_t *order);

/* --- what the rooms above need of an open knowledge base
 * ---------------------------------------------------- */

struct store *kb_store(struct sooth_kb *kb);
/* Loads the embedder on first use and checks that it is the store's. */
enum sooth_status kb_reader(struct sooth_kb *kb, const struct sooth_reader **out, struct sooth_error *err); /* *out may be NULL */
enum sooth_status kb_embedder(struct sooth_kb *kb, const struct embedder **out,
                              struct sooth_error *err);
/* The page (0 = none) and printed label (caller frees; NULL = none) of a byte of the document of a
 * passage. */
enum sooth_status kb_page_at(struct sooth_kb *kb, int64_t chunk, size_t offset, size_t *page,
                             char **label, struct sooth_error *err);
/* The table header row above a passage, appended to out; nothing when there is none. */
enum sooth_status kb_table_header(struct sooth_kb *kb, int64_t chunk, struct buf *out,
                                  struct sooth_error *err);
#endif
