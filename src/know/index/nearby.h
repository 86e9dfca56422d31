/* nearby.h: the vector index of a store, beside its database. */
#ifndef INDEX_NEARBY_H
#define INDEX_NEARBY_H
#include "know/index/vindex.h"

#define EXACT_BELOW 20000 /* passages below which no index is kept: a scan takes about 1 ms */

struct nearby {
    struct vindex *index; /* NULL: all is scanned */
    struct vindex *tail;  /* passages written since, scanned */
    uint32_t *slot[2];    /* of each vector of index and tail; UINT32_MAX = forgotten */
    unsigned char *allow; /* scratch, as long as the longer of the two */
    struct vsearch search[2];
};
/* For the snapshot v: true when there is an index that is whole, of this embedder, and misses
 * little. Anything else is no error: all is scanned. */
bool nearby_attach(struct store *s, const struct snapshot *v);
void nearby_release(struct nearby *n);
/* Slots of about the `wide` nearest that `allow` admits, best first. query: what is multiplied with
 * the vectors; centred: less the means. */
enum sooth_status nearby_search(struct store *s, const struct snapshot *v, enum metric m,
                                const float *query, bool centred, const unsigned char *allow,
                                size_t wide, struct scored *out, size_t *found,
                                struct sooth_error *err);
#endif
