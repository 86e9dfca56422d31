/* words.h: the postings of a store as one mapped file, and the search over it. */
#ifndef INDEX_WORDS_H
#define INDEX_WORDS_H
#include "know/index/index.h"
#include "know/index/packfile.h"

#define WORDS_FROM 2000 /* passages from which the file is kept; below, the rows are read */

struct words_doc {
    int64_t id;
    uint64_t signature; /* of its passages' ids: the same ones have the same terms */
    uint32_t first, count;
};
struct words_block { /* WORDS_BLOCK postings of one term */
    uint32_t last;   /* the last passage in it */
    uint16_t most;   /* largest tf */
    uint16_t unused;
    uint32_t least; /* smallest length */
};
enum { WORDS_BLOCK = 64 };

struct words {
    struct packfile file;
    bool open;
    size_t n, n_docs, n_terms, n_postings;
    const struct words_doc *docs;
    const uint64_t *key;   /* [n_terms] ascending */
    const uint32_t *start; /* [n_terms + 1] first posting */
    const uint32_t *block; /* [n_terms + 1] first block */
    const struct words_block *blocks;
    const uint32_t *place; /* [n_postings] the file's own numbering of passages */
    const uint16_t *tf;    /* [n_postings] */
    /* against the snapshot: */
    uint32_t *slot;         /* [n] NONE = no longer there */
    float *norm;            /* [n] for that b; NULL before */
    double norm_b;
    size_t dead;            /* passages of the file that are gone */
    uint32_t *fresh;        /* documents of the snapshot that the file lacks */
    size_t n_fresh;
};

struct words_term {
    uint64_t key;
    double weight; /* times idf, once that is known */
};

bool words_attach(struct store *s, const struct snapshot *v);
void words_release(struct words *w);
/* Passages with the term, of those still there; not of fresh documents. */
size_t words_count(const struct words *w, uint64_t key);
/* Fills place (slots) and tf of all postings that are still there, in the file's order. */
bool words_postings(const struct words *w, uint64_t key, struct posting_list *out);
/* The best k by the sum of weight * part, best first, exact to the order in which terms are given. */
enum sooth_status words_search(struct words *w, const struct snapshot *v, const struct bm25 *p,
                               const struct words_term *terms, size_t n,
                               const unsigned char *allow, size_t k, struct scored *out,
                               size_t *found, struct sooth_error *err);
enum sooth_status words_refresh(struct store *s, const struct snapshot *v, bool tidy,
                                struct sooth_error *err);
#endif
