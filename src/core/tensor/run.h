/* run.h: inside of a run; private to this folder. */
#ifndef TENSOR_RUN_H
#define TENSOR_RUN_H
#include "core/base/arena.h"
#include "core/kernel/kernel.h"
#include "core/tensor/op.h"

/* Neighbouring rows of one sequence. */
struct group {
    size_t first, count;     /* rows */
    size_t wanted;           /* of them */
    size_t seq;
    size_t base;             /* cache index of the first row: prefix and what the slot held before */
};

struct rope_table {
    const struct rope *rope;
    float *cos, *sin;        /* [n, dim / 2] */
    struct rope_table *next;
};

struct shared {
    const void *key;
    struct mat *m;
    struct shared *next;
};

struct run {
    struct run_options o;
    const struct kernel *k;
    struct arena arena;      /* activations and tape; scoped by layers when serving */
    struct arena lasting;    /* what lives for the whole forward: groups, rope tables, layer outputs */
    const struct rows *rows;
    struct group *groups;
    size_t n_groups;
    uint32_t *wanted;        /* indices of wanted rows */
    size_t n_wanted;
    struct rope_table *ropes;
    struct shared *shared;   /* of this forward */
    struct mat *lane[2];     /* outputs of layers, in turn */
    size_t lane_size[2];
    int lane_out;            /* which holds the newest */
    struct node *tape;       /* newest */
    bool record;             /* right now */
    bool trained;            /* an op met something trained since this was cleared */
    bool open;               /* between begin and end */
    struct sooth_error error;
    bool failed;
};

/* Memory for the op at hand; NULL after run_fail. Freed by arena_reset or with the layer. */
void *run_scratch(struct run *r, size_t count, size_t size);
/* cos and sin of every row, made once a run. NULL after a failure. */
const struct rope_table *run_rope(struct run *r, const struct rope *rope);

const struct weight *adapters_stand_in(const struct adapters *a, const struct weight *w);
const struct adapter *adapters_find(const struct adapters *a, const struct weight *w); /* NULL: none */

/* ---- the cache as attend sees it (kv.c) ---- */

/* Makes room for length tokens; NOMEM or LIMIT. */
enum sooth_status kv_cache_reserve(struct kv_cache *c, size_t seq, size_t length);
void kv_cache_grow(struct kv_cache *c, size_t seq, size_t length); /* says that many are now stored */
const struct kv_shape *kv_cache_shape(const struct kv_cache *c);
enum kv_type kv_cache_type(const struct kv_cache *c);
void *kv_cache_keys(struct kv_cache *c, size_t seq, size_t layer, size_t head);
void *kv_cache_values(struct kv_cache *c, size_t seq, size_t layer, size_t head); /* rows of dv */
#endif
