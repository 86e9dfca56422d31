/* graph_rank.c: personalised PageRank (Page et al. 1999; Haveliwala 2002) by power iteration.
 *
 *   pi  <-  (1 - d) s  +  d P' pi        P[i][j] = w(i, j) / sum of i's weights
 *
 * d is the probability of following a link (libraries differ in what they call damping). Mass of
 * nodes without links goes to the seed s. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "know/retrieve/graph.h"

enum { ROUNDS = 200 };

bool graph_rank(size_t nodes, const struct graph_edge *edges, size_t n, double follow,
                const double *seed, double *out)
{
    double *degree = mem_calloc(nodes + 1, sizeof *degree);
    double *start = mem_calloc(nodes + 1, sizeof *start), *next = mem_calloc(nodes + 1, sizeof *next);
    bool ok = degree && start && next;
    double sum = 0, moved = 1;
    for (size_t i = 0; i < nodes && ok; i++)
        sum += seed[i];
    for (size_t i = 0; i < nodes && ok; i++)
        out[i] = start[i] = sum > 0 ? seed[i] / sum : 1 / (double)nodes;
    for (size_t e = 0; e < n && ok; e++) {
        degree[edges[e].a] += edges[e].weight;
        degree[edges[e].b] += edges[e].weight;
    }
    for (int round = 0; ok && round < ROUNDS && moved > 1e-9; round++) {
        double hanging = 0;
        memset(next, 0, nodes * sizeof *next);
        for (size_t e = 0; e < n; e++) {
            const struct graph_edge *g = &edges[e];
            next[g->b] += out[g->a] * g->weight / degree[g->a];
            next[g->a] += out[g->b] * g->weight / degree[g->b];
        }
        for (size_t i = 0; i < nodes; i++)
            hanging += degree[i] > 0 ? 0 : out[i];
        moved = 0;
        for (size_t i = 0; i < nodes; i++) {
            double x = (1 - follow) * start[i] + follow * (next[i] + hanging * start[i]);
            moved += fabs(x - out[i]);
            out[i] = x;
        }
    }
    mem_free(degree);
    mem_free(start);
    mem_free(next);
    return ok;
}
