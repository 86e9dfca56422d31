/* vset.h: vectors by number, as the vector indexes hold them: 12 bits a number, exact scalars.
 *
 *     x ~ step * (code + (low - 7.5) / 16)      code int8, low in 0..15
 *
 * The code alone (384 bytes for 384 numbers) is what a search walks; `low`, the rounding error in
 * sixteenths of a step, is read for the few that are nearly first. Thread use: reading is pure. */
#ifndef INDEX_VSET_H
#define INDEX_VSET_H
#include "core/kernel/kernel.h"
#include "know/index/index.h"

struct vinfo { /* what a score needs beside the code; one cache line holds four */
    float step;
    float gain;     /* 1 / length of x - mean[group]: what cosine multiplies by */
    float norm;     /* length of x */
    uint32_t group; /* whose mean is taken off: the script */
};

struct vset {
    size_t n, dim;
    enum metric metric; /* that says who is near whom */
    int8_t *code;       /* [n, dim] */
    uint8_t *low;       /* [n, low_bytes]: two numbers a byte, the even one in the low half */
    struct vinfo *info; /* [n] */
    int64_t *id;        /* [n] ascending: numbers are given in order of id */
    uint8_t *dead;      /* [n] 1 = walked through but never found */
    float *mean;        /* [SCRIPTS, dim] of the cosine; zeros = the plain one */
    const struct kernel *kernel;
};

static inline size_t vset_low_bytes(size_t dim)
{
    return (dim + 1) / 2;
}
/* Writes one vector's parts. x has the code that code_make gives. */
void vset_encode(const float *x, const float *mean, size_t dim, uint32_t group, int8_t *code,
                 uint8_t *low, struct vinfo *info);
/* The mean of each group, drawn towards 0 where a group is small, and the gains under it. */
void vset_centre(struct vset *s);

/* A question against the vectors. `metric` may be another than the set's: the same neighbours are
 * then walked by another measure. Scores only order, they are not the house's similarity. */
struct vquery {
    enum metric metric;
    bool centred; /* cosine: less the means */
    const struct vset *set;
    int8_t *code, *rest; /* q ~ step * (code + rest / 256) */
    float *full;         /* [dim] */
    int8_t *unpacked;    /* [dim] scratch for `low` */
    float step;
    float sum;             /* of code */
    float offset[SCRIPTS]; /* q . mean: taken off before the gain */
};
/* `q` is what is multiplied with the vectors; offsets are worked out when `centred`. */
bool vquery_init(struct vquery *v, const struct vset *set, enum metric m, const float *q,
                 bool centred);
void vquery_release(struct vquery *v);
/* The score of a vector whose product with the question is dot. */
static inline float vquery_measure(const struct vquery *v, const struct vinfo *x, float dot)
{
    if (v->metric == METRIC_COSINE)
        return v->centred ? (dot - v->offset[x->group]) * x->gain : dot / x->norm;
    return v->metric == METRIC_L2 ? 2 * dot - x->norm * x->norm : dot;
}
float vquery_rough(const struct vquery *v, size_t i); /* by the code */
/* The same for up to SOME_MAX named ones. */
enum { SOME_MAX = 32 };
void vquery_some(const struct vquery *v, const uint32_t *which, size_t n, float *scores);
float vquery_fine(struct vquery *v, size_t i);        /* by code and low */

/* How near two of the set are to one another by its own metric; `mid` is vset_middles'. */
float vset_pair(const struct vset *s, const float *mid, size_t i, size_t j);
/* [n, SCRIPTS] products of each vector with each mean, and [SCRIPTS, SCRIPTS] of the means behind
 * them; NULL when memory is out. */
float *vset_middles(const struct vset *s);
#endif
