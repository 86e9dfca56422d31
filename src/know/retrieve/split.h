/* split.h: the row of a way to cut documents into passages, and what chunk.c lends to it. One file a
 * way, named split_NAME.c.
 *
 * A way fills c->units with pieces that fit a passage and emits runs of them. Whatever it does,
 * chunker_emit sees to it that no passage is over the limit with its context counted. */
#ifndef RETRIEVE_SPLIT_H
#define RETRIEVE_SPLIT_H
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

struct unit {
    size_t start, end, tokens;
    size_t block;
    bool prose; /* may be repeated as overlap */
};

struct chunk_head { /* the context lines of one heading */
    const char *path;
    size_t tokens;
    bool made;
};

struct chunker {
    const struct document *d;
    const struct embedder *e;
    size_t limit, overlap; /* tokens of a passage with its context; of what is repeated */
    struct chunks *out;
    VEC(struct unit) units;
    VEC(struct store_chunk) items;
    struct chunk_head *heads; /* [block_count + 1]: of the heading block i - 1; 0 = under none */
    size_t title_tokens;
    struct buf context;
    struct sooth_error *err;
};

struct splitter {
    const char *name, *about;
    enum sooth_status (*cut)(struct chunker *c);
    unsigned family; /* passages under one parent, which stands for them when most are found; 0 = none */
};

size_t chunker_count(const struct chunker *c, size_t start, size_t end);
/* Tokens that a passage of this block may have beside its context. */
size_t chunker_budget(struct chunker *c, size_t block);
/* Adds text[start, end) without the blanks around it, in pieces where it is over the budget. False when out
 * of memory, as below. */
bool chunker_unit(struct chunker *c, size_t block, size_t start, size_t end, size_t budget, bool prose);
/* The units of all blocks: sentences of prose, rows, headings, code whole or by lines. */
bool chunker_units(struct chunker *c);
/* How many units from `first` fill a passage; a section, once a quarter full, and a page, once half full,
 * end it where `structure` is set. */
size_t chunker_pack(struct chunker *c, size_t first, bool structure);
/* Emits units [first, first + *n); *n becomes what fitted (one unit may be cut in two for it). */
enum sooth_status chunker_emit(struct chunker *c, size_t first, size_t *n);
/* Emits all units in passages as full as they get; prose of the same section is repeated, up to the overlap,
 * at the start of the next. structure: see chunker_pack. */
enum sooth_status chunker_all(struct chunker *c, bool structure);
/* Emits [from, to) in as many passages as it takes, none repeated. Units may be cut: returns in *to where
 * the run ends now. */
enum sooth_status chunker_run(struct chunker *c, size_t from, size_t *to);
#endif
