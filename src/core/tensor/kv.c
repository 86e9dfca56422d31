/* kv.c: the cache of keys and values, as attend reads them.
 *
 * For each sequence, layer and key-value head: keys in panels of 16 (core/kernel/kernel.h), values in rows of dv. Both grow
 * by appending, so growing copies and never reorders. Capacity is in steps of 256 tokens, then by half. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/tensor/run.h"

#define KV_STEP 256

struct kv_slot {
    size_t length, capacity; /* tokens */
    void **k, **v;           /* [layers * heads] */
};
struct kv_cache {
    struct kv_shape shape;
    size_t n_seq, n_ctx;
    enum kv_type type;
    struct kv_slot *slots;
    void **pointers;
};

struct kv_cache *kv_cache_new(const struct kv_shape *shape, size_t n_seq, size_t n_ctx, enum kv_type type)
{
    size_t parts, all;
    struct kv_cache *c;
    if (!size_mul(shape->layers, shape->heads, &parts) || !size_mul(parts, 2 * n_seq, &all) || !(c = mem_calloc(1, sizeof *c)))
        return NULL;
    *c = (struct kv_cache){.shape = *shape, .n_seq = n_seq, .n_ctx = n_ctx, .type = type};
    c->slots = mem_calloc(n_seq, sizeof *c->slots);
    c->pointers = mem_calloc(all, sizeof *c->pointers);
    if (!c->slots || !c->pointers) {
        kv_cache_free(c);
        return NULL;
    }
    for (size_t i = 0; i < n_seq; i++) {
        c->slots[i].k = c->pointers + 2 * i * parts;
        c->slots[i].v = c->slots[i].k + parts;
    }
    return c;
}

void kv_cache_free(struct kv_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->pointers && i < 2 * c->n_seq * c->shape.layers * c->shape.heads; i++)
        mem_free(c->pointers[i]);
    mem_free(c->pointers);
    mem_free(c->slots);
    mem_free(c);
}

size_t kv_cache_length(const struct kv_cache *c, size_t seq)
{
    return c->slots[seq].length;
}

size_t kv_cache_context(const struct kv_cache *c)
{
    return c->n_ctx;
}

size_t kv_cache_sequences(const struct kv_cache *c)
{
    return c->n_seq;
}

uint64_t kv_cache_bytes(const struct kv_cache *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->n_seq; i++) {
        size_t cap = c->slots[i].capacity;
        sum += (uint64_t)c->shape.layers * c->shape.heads * (kv_key_bytes(c->type, cap, c->shape.dk) + kv_value_bytes(c->type, cap, c->shape.dv));
    }
    return sum;
}

void kv_cache_truncate(struct kv_cache *c, size_t seq, size_t length)
{
    if (length < c->slots[seq].length)
        c->slots[seq].length = length;
}

static bool part_grow(void **part, size_t used, size_t bytes)
{
    void *fresh = mem_aligned(64, bytes);
    if (!fresh)
        return false;
    if (*part)
        memcpy(fresh, *part, used);
    memset((char *)fresh + used, 0, bytes - used);
    mem_free(*part);
    *part = fresh;
    return true;
}

enum sooth_status kv_cache_reserve(struct kv_cache *c, size_t seq, size_t length)
{
    struct kv_slot *s = &c->slots[seq];
    size_t parts = c->shape.layers * c->shape.heads, cap;
    if (length > c->n_ctx)
        return SOOTH_ERR_LIMIT;
    if (length <= s->capacity)
        return SOOTH_OK;
    cap = length > s->capacity + s->capacity / 2 ? length : s->capacity + s->capacity / 2;
    cap = (cap + KV_STEP - 1) / KV_STEP * KV_STEP;
    /* A part may be larger than s->capacity says after a failure half-way: the copy takes what is known to be there. */
    for (size_t i = 0; i < parts; i++)
        if (!part_grow(&s->k[i], kv_key_bytes(c->type, s->capacity, c->shape.dk), kv_key_bytes(c->type, cap, c->shape.dk)) ||
            !part_grow(&s->v[i], kv_value_bytes(c->type, s->capacity, c->shape.dv), kv_value_bytes(c->type, cap, c->shape.dv)))
            return SOOTH_ERR_NOMEM;
    s->capacity = cap;
    return SOOTH_OK;
}

void kv_cache_grow(struct kv_cache *c, size_t seq, size_t length)
{
    c->slots[seq].length = length;
}

enum sooth_status kv_cache_copy(struct kv_cache *c, size_t dst, size_t src, size_t length)
{
    struct kv_slot *d = &c->slots[dst], *s = &c->slots[src];
    if (length > s->length)
        length = s->length;
    d->length = 0;
    enum sooth_status status = kv_cache_reserve(c, dst, length);
    if (status)
        return status;
    for (size_t i = 0; dst != src && length && i < c->shape.layers * c->shape.heads; i++) {
        memcpy(d->k[i], s->k[i], kv_key_bytes(c->type, length, c->shape.dk));
        memcpy(d->v[i], s->v[i], kv_value_bytes(c->type, length, c->shape.dv));
    }
    d->length = length;
    return SOOTH_OK;
}

void kv_cache_read(const struct kv_cache *c, size_t seq, size_t layer, size_t from, size_t n, float *k, float *v)
{
    size_t heads = c->shape.heads, dk = c->shape.dk, dv = c->shape.dv;
    for (size_t i = 0; i < n * heads; i++) {
        size_t head = i % heads, at = from + i / heads;
        const void *values = c->slots[seq].v[layer * heads + head];
        kv_load_key(c->type, c->slots[seq].k[layer * heads + head], at, k + i * dk, dk);
        kv_load_value(c->type, values, dv, at, v + i * dv, dv);
    }
}

const struct kv_shape *kv_cache_shape(const struct kv_cache *c)
{
    return &c->shape;
}

enum kv_type kv_cache_type(const struct kv_cache *c)
{
    return c->type;
}

void *kv_cache_keys(struct kv_cache *c, size_t seq, size_t layer, size_t head)
{
    return c->slots[seq].k[layer * c->shape.heads + head];
}

void *kv_cache_values(struct kv_cache *c, size_t seq, size_t layer, size_t head)
{
    return c->slots[seq].v[layer * c->shape.heads + head];
}
