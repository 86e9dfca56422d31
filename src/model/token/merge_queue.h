/* merge_queue.h: the merging step that byte-pair encodings share: again and again the neighbouring pair of lowest
 * rank, leftmost among equals, becomes one symbol (Sennrich, Haddow, Birch 2016; Gage 1994).
 *
 * A heap of (rank, place) makes it O(n log n) however long the run is; up to 32 symbols a plain search is quicker. */
#ifndef TOKEN_MERGE_QUEUE_H
#define TOKEN_MERGE_QUEUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_NONE 0xFFFFFFFFu

struct merge_symbol {
    uint32_t start;      /* first byte in the run; it ends where the next symbol starts */
    int32_t id;          /* -1 = no such piece */
    uint32_t prev, next; /* MERGE_NONE at the ends */
    uint32_t rank;       /* of the pair (this, next), MERGE_NONE = they do not merge */
    int32_t merged;      /* what the pair becomes */
};

struct merge_work {
    struct merge_symbol *symbols;
    size_t count, cap; /* symbols; after merging walk by next from symbol 0 */
    uint64_t *heap;
    size_t heap_count, heap_cap;
    bool failed;
};

/* Rank of merging left and right, MERGE_NONE if they do not; *merged gets the id. The pair's text is text[from..to). */
typedef uint32_t merge_rank(const void *vocabulary, const char *text, const struct merge_symbol *left,
                            const struct merge_symbol *right, uint32_t to, int32_t *merged);

void merge_clear(struct merge_work *w);   /* no symbols; memory kept */
void merge_release(struct merge_work *w);
bool merge_push(struct merge_work *w, uint32_t start, int32_t id);
/* Links the pushed symbols and merges until no pair has a rank. False when memory is out. */
bool merge_run(struct merge_work *w, merge_rank *rank, const void *vocabulary, const char *text, uint32_t len);
#endif
