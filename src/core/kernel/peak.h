/* peak.h: what this machine can do at most, measured now: the ceilings that shares are given of. Thread use: one measure at a time. */
#ifndef KERNEL_PEAK_H
#define KERNEL_PEAK_H

struct pool;
struct peaks { /* operations (a multiply-add is two) a second on one core; 0 where there is no such instruction */
    double f32, i8;    /* of the widest vectors this process may use */
    double bf16, tile; /* pairs of bf16; bf16 tiles */
};
void peaks_measure(struct peaks *out);
/* Bytes read a second by all threads of the pool, from memory far larger than the caches; 0: no memory for it. */
double peak_read(struct pool *pool);
#endif
