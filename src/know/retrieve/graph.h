/* graph.h: the knowledge graph: read by rules, walked by personalised PageRank. */
#ifndef RETRIEVE_GRAPH_H
#define RETRIEVE_GRAPH_H
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

/* graph_rules.c */
struct graph_found {
    struct arena arena;
    VEC(char *) entities;
    VEC(struct graphdb_fact) facts;
};
void graph_found_init(struct graph_found *f);
void graph_found_clear(struct graph_found *f);
bool graph_read(const char *text, size_t len, struct graph_found *out); /* false: memory */

/* graph_rank.c: an undirected weighted graph in rows. */
struct graph_edge {
    uint32_t a, b;
    double weight;
};
/* pi <- (1 - follow) seed + follow P' pi, P by weight, until it moves less than 1e-9; what hangs
 * goes back to the seed. seed is made to sum to 1. out: [nodes]. */
bool graph_rank(size_t nodes, const struct graph_edge *edges, size_t n, double follow,
                const double *seed, double *out);

/* graph_search.c: passages by graph; *linked: entities of the question that are known. */
enum sooth_status graph_search(struct sooth_kb *kb, const struct snapshot *v, const char *question,
                               const unsigned char *allow, size_t k, struct scored *out,
                               size_t *found, size_t *linked, struct sooth_error *err);
#endif
