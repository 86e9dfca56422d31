/* vindex.h: the table of vector indexes: how the nearest of many vectors are found.
 *
 * A row is one way: `flat` looks at every one, `hnsw` walks a graph, `ivfpq` looks into the nearest
 * cells at codes of a few bytes. All of them answer with candidates in order of the 12-bit scores
 * (vset.h); whoever asks scores the best of those from what the store keeps. An index is made in
 * memory, or mapped from a file that proves whole by its checksums (vindex_file.c).
 *
 * Thread use: searching is pure apart from the vsearch, one of which belongs to one thread. */
#ifndef INDEX_VINDEX_H
#define INDEX_VINDEX_H
#include "core/base/pool.h"
#include "know/index/packfile.h"
#include "know/index/vset.h"

struct vindex {
    const struct vindex_row *row;
    struct vset set;
    size_t joined;        /* the first of the set's vectors that the row's structure holds */
    void *own;            /* the row's */
    uint64_t generation;  /* of the store it was made from */
    uint64_t fingerprint; /* of the embedder */
    struct packfile file; /* where the arrays lie when `mapped`; else they are mem_free's */
    bool mapped;
};

/* What one search needs for itself: reused from question to question. */
struct vsearch {
    struct vquery query;
    const unsigned char *allow; /* [set.n] NULL = all that are not dead */
    size_t allowed;             /* how many of them, when allow is set */
    size_t effort;              /* hnsw: width of the beam; ivfpq: cells; 0 = the row's own */
    uint8_t *seen;              /* [set.n], stamped with `stamp` */
    uint8_t stamp;
    void *pool; /* the row's scratch, `pool_cap` items */
    size_t pool_cap;
};
void vsearch_release(struct vsearch *s);
/* Seen marks and scratch for at least cap items of `size` bytes. */
bool vsearch_ready(struct vsearch *s, const struct vset *set, size_t cap, size_t size);

struct vindex_row {
    const char *name, *about;
    /* The vectors joined .. set.n-1 become part of the structure; the result does not depend on the
     * number of threads. */
    enum sooth_status (*join)(struct vindex *x, struct pool *threads, struct sooth_error *err);
    /* Up to k of what `allow` admits, best first, by the fine score. */
    enum sooth_status (*search)(const struct vindex *x, struct vsearch *s, size_t k,
                                struct scored *out, size_t *found, struct sooth_error *err);
    size_t (*sections)(const struct vindex *x, struct section *out); /* of `own`, for the file */
    /* Takes them back from a file; everything in them is checked. */
    enum sooth_status (*attach)(struct vindex *x, const struct section *in, size_t n,
                                struct sooth_error *err);
    /* Copies own's arrays out of the file; even after a failure none of them lies in it. */
    bool (*thaw)(struct vindex *x);
    void (*release)(struct vindex *x); /* frees own, and its arrays unless they are mapped */
};
const struct vindex_row *vindex_row_at(size_t i); /* NULL past the last */
const struct vindex_row *vindex_row_find(const char *name);

/* An empty index in memory. */
enum sooth_status vindex_new(const struct vindex_row *row, enum metric m, size_t dim,
                             struct vindex **out, struct sooth_error *err);
void vindex_free(struct vindex *x);
/* Room for n more vectors, whose parts the caller then writes at set.n .. and counts. */
bool vindex_reserve(struct vindex *x, size_t more);
/* Adds one vector (an id above all before it), not yet part of the structure. */
bool vindex_add(struct vindex *x, int64_t id, uint32_t group, const float *v);

enum sooth_status vindex_save(const struct vindex *x, const char *path, struct sooth_error *err);
/* Maps and proves it. SOOTH_ERR_FORMAT for anything that does not add up. */
enum sooth_status vindex_open(const char *path, struct vindex **out, struct sooth_error *err);
/* Copies it into memory, where it can grow. After a failure it is only good for vindex_free. */
enum sooth_status vindex_thaw(struct vindex *x, struct sooth_error *err);
#endif
