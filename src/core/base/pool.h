/* pool.h: one pool of worker threads; work is a fixed set of tiles, claimed in order.
 *
 * The tiling is the caller's and never depends on the number of threads, so results do not either. Workers spin
 * briefly between jobs (a decode step has hundreds), then sleep. The caller takes part in every job.
 * A job has fewer than 2^31 tiles. Thread use: one pool_run at a time per pool (a second caller waits); tiles must
 * not call pool_run. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <stddef.h>
#include "sooth/error.h"

struct pool;
typedef void pool_tile(void *ctx, size_t tile, unsigned worker); /* worker in [0, pool_threads) */

/* threads 0 = as many as the machine grants (cpu_granted). 1 makes no thread at all. NULL when memory is out. */
struct pool *pool_new(unsigned threads);
void pool_free(struct pool *p);
unsigned pool_threads(const struct pool *p);              /* NULL counts 1 */
void pool_run(struct pool *p, size_t tiles, pool_tile *fn, void *ctx); /* NULL pool: runs here */
#endif
