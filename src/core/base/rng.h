/* rng.h: a small, fast, seedable generator (xoshiro256**, seeded by splitmix64). Same seed, same numbers, on
 * every machine. The state is plain data: a checkpoint may store it. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stdint.h>

struct rng { uint64_t s[4]; };
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n), n > 0 */
float rng_float(struct rng *r);                /* uniform in [0, 1), 24 bits */
double rng_double(struct rng *r);              /* uniform in [0, 1), 53 bits */
float rng_normal(struct rng *r);               /* mean 0, variance 1 */
#endif
