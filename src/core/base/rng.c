/* rng.c: xoshiro256** of Blackman and Vigna ("Scrambled linear pseudorandom number generators",
 * 2018); the seed is spread over its 256 bits by splitmix64, so that neighbouring seeds give
 * unrelated streams. */
#include "core/base/rng.h"
#include <math.h>

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire's multiply-and-reject: exact, and almost always without a division. */
uint64_t rng_below(struct rng *r, uint64_t n)
{
    __uint128_t m = (__uint128_t)rng_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t floor = -n % n;
        while ((uint64_t)m < floor)
            m = (__uint128_t)rng_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}

float rng_float(struct rng *r)
{
    return (float)(rng_u64(r) >> 40) * 0x1p-24f;
}

double rng_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

/* Box-Muller in double, of which one value is used: the state stays four words, and rounding to
 * float hides the last-bit differences between math libraries. */
float rng_normal(struct rng *r)
{
    double radius = sqrt(-2.0 * log(1.0 - rng_double(r))); /* 1 - u lies in (0, 1] */
    return (float)(radius * cos(6.283185307179586 * rng_double(r)));
}
