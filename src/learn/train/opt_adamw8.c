/* opt_adamw8.c: AdamW with moments of 8 bits: 2 bytes a number instead of 8.
 *
 * Moments are cut into blocks of 256; each keeps its largest magnitude, and every number an 8-bit code for its share of
 * it. The codes are Dettmers' dynamic tree: leading zeros count powers of ten, what is left is linear, so that small shares
 * keep their relative precision (Dettmers et al. 2022, arXiv:2110.02861):
 *
 *     decade e = 0 .. 6:  10^(e−6) · midpoints of 2^e equal steps of [0.1, 1]      signed: 7 bits and a sign, for m
 *                         10^(e−6) · midpoints of 2^(e+1) equal steps of [0.1, 1]  unsigned: 8 bits, for v
 *     and 0 and 1.
 *
 * A second moment that is not zero never becomes zero: v = 0 under a living m would mean a step of m/ε.
 *
 * State by blocks:  | scale m | scale v | code m [256] | code v [256] | */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include "learn/train/optimizer.h"

enum { CODES = 256 };
struct block {
    float scale_m, scale_v;
    uint8_t m[OPTIMIZER_BLOCK], v[OPTIMIZER_BLOCK];
};

static float tree_signed[CODES], tree_unsigned[CODES]; /* rising */
static uint8_t zero_signed;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void sort(float *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j && x[j] < x[j - 1]; j--) {
            float t = x[j];
            x[j] = x[j - 1];
            x[j - 1] = t;
        }
}

static void trees_make(void)
{
    size_t s = 0, u = 0;
    for (int e = 0; e < 7; e++) {
        int steps = 1 << e;
        for (int i = 0; i < 2 * steps; i++)
            tree_unsigned[u++] = (float)(pow(10, e - 6) * (0.1 + 0.9 * (i + 0.5) / (2 * steps)));
        for (int i = 0; i < steps; i++) {
            float x = (float)(pow(10, e - 6) * (0.1 + 0.9 * (i + 0.5) / steps));
            tree_signed[s++] = x;
            tree_signed[s++] = -x;
        }
    }
    tree_unsigned[u++] = tree_signed[s++] = 0;
    tree_unsigned[u++] = tree_signed[s++] = 1;
    sort(tree_unsigned, u);
    sort(tree_signed, s);
    for (size_t i = 0; i < CODES; i++)
        if (tree_signed[i] == 0)
            zero_signed = (uint8_t)i;
}

static uint8_t nearest(const float *tree, float x)
{
    size_t lo = 0, hi = CODES - 1;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (tree[mid] <= x)
            lo = mid;
        else
            hi = mid;
    }
    return (uint8_t)(x - tree[lo] <= tree[hi] - x ? lo : hi);
}

static float most(const float *x, size_t n)
{
    float m = 0;
    for (size_t i = 0; i < n; i++)
        m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
    return m;
}

static void load(const struct block *b, float *m, float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        m[i] = tree_signed[b->m[i]] * b->scale_m;
        v[i] = tree_unsigned[b->v[i]] * b->scale_v;
    }
}

static void store(struct block *b, const float *m, const float *v, size_t n)
{
    b->scale_m = most(m, n);
    b->scale_v = most(v, n);
    for (size_t i = 0; i < n; i++) {
        b->m[i] = b->scale_m > 0 ? nearest(tree_signed, m[i] / b->scale_m) : zero_signed;
        b->v[i] = b->scale_v > 0 ? nearest(tree_unsigned, v[i] / b->scale_v) : 0;
        if (v[i] > 0 && !b->v[i])
            b->v[i] = 1;
    }
}

static size_t adamw8_bytes(size_t n)
{
    return (n + OPTIMIZER_BLOCK - 1) / OPTIMIZER_BLOCK * sizeof(struct block);
}

static void adamw8_step(const struct optimizer_step *s, float *w, const float *g, void *state, size_t n)
{
    struct block *block = state;
    const double c1 = 1 - pow(s->beta1, (double)s->t), c2 = 1 - pow(s->beta2, (double)s->t);
    const float keep = (float)(1 - s->rate * s->decay), size = (float)(s->rate / c1), root = (float)(1 / sqrt(c2));
    pthread_once(&made, trees_make);
    for (size_t at = 0; at < n; at += OPTIMIZER_BLOCK, block++) {
        float m[OPTIMIZER_BLOCK], v[OPTIMIZER_BLOCK];
        size_t count = n - at < OPTIMIZER_BLOCK ? n - at : OPTIMIZER_BLOCK;
        load(block, m, v, count); /* zeroed memory is zero moments: the scale is 0 */
        for (size_t i = 0; i < count; i++) {
            float x = g[at + i] * (float)s->scale;
            m[i] = (float)s->beta1 * m[i] + (float)(1 - s->beta1) * x;
            v[i] = (float)s->beta2 * v[i] + (float)(1 - s->beta2) * x * x;
            w[at + i] = w[at + i] * keep - size * m[i] / (sqrtf(v[i]) * root + (float)s->epsilon);
        }
        store(block, m, v, count);
    }
}

const struct optimizer_row optimizer_adamw8 = {"adamw8", "AdamW, moments in blocks of 8-bit codes (2 bytes a number)", false, adamw8_bytes, adamw8_step};
