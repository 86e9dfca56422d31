/* map.c: open addressing with linear probing, at most two thirds full.
 *
 * Keys live in an arena of the map, since nothing is ever removed. The hash is seeded by random
 * bytes the kernel gave this process, so a file cannot be written whose keys all collide. */
#include "core/base/map.h"
#include "core/base/alloc.h"
#include "core/base/hash.h"
#include <string.h>
#include <sys/auxv.h>

struct map_slot {
    const char *key; /* NULL: empty */
    size_t len;
    uint64_t hash, value;
};

static uint64_t process_seed(void)
{
    const void *bytes = (const void *)getauxval(AT_RANDOM); /* 16 random bytes */
    uint64_t seed = 0x9E3779B97F4A7C15u;
    if (bytes)
        memcpy(&seed, bytes, sizeof seed);
    return seed;
}

void map_init(struct map *m)
{
    *m = (struct map){0};
    arena_init(&m->keys, 0);
}

void map_release(struct map *m)
{
    mem_free(m->slots);
    arena_release(&m->keys);
    map_init(m);
}

/* The slot that holds the key, or the empty one where it belongs. */
static struct map_slot *probe(const struct map *m, uint64_t hash, const void *key, size_t len)
{
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];
        if (!s->key || (s->hash == hash && s->len == len && !memcmp(s->key, key, len)))
            return s;
    }
}

static bool grow(struct map *m)
{
    size_t cap = m->cap ? m->cap * 2 : 16;
    struct map_slot *old = m->slots, *slots = mem_calloc(cap, sizeof *slots);
    if (!slots)
        return m->failed = true, false;
    for (size_t i = 0; i < m->cap; i++) {
        size_t at = old[i].hash & (cap - 1);
        if (!old[i].key)
            continue;
        while (slots[at].key)
            at = (at + 1) & (cap - 1);
        slots[at] = old[i];
    }
    mem_free(old);
    m->slots = slots;
    m->cap = cap;
    return true;
}

/* Finds or makes the key's slot; *fresh tells which. NULL when memory is out. */
static struct map_slot *slot_for(struct map *m, const void *key, size_t len, bool *fresh)
{
    uint64_t hash = hash64(key, len, process_seed());
    struct map_slot *s;
    *fresh = false;
    if (m->cap && (s = probe(m, hash, key, len))->key)
        return s;
    if (m->count >= m->cap / 3 * 2 && !grow(m))
        return NULL;
    s = probe(m, hash, key, len);
    s->key = arena_strndup(&m->keys, key, len);
    if (!s->key)
        return m->failed = true, NULL;
    s->len = len;
    s->hash = hash;
    m->count++;
    *fresh = true;
    return s;
}

bool map_put(struct map *m, const void *key, size_t len, uint64_t value)
{
    bool fresh;
    struct map_slot *s = slot_for(m, key, len, &fresh);
    if (!s)
        return false;
    s->value = value;
    return true;
}

bool map_add(struct map *m, const void *key, size_t len, uint64_t value, bool *fresh)
{
    bool is_fresh;
    struct map_slot *s = slot_for(m, key, len, &is_fresh);
    if (!s)
        return false;
    if (is_fresh)
        s->value = value;
    if (fresh)
        *fresh = is_fresh;
    return true;
}

bool map_find(const struct map *m, const void *key, size_t len, uint64_t *value)
{
    const struct map_slot *s;
    if (!m->cap || !(s = probe(m, hash64(key, len, process_seed()), key, len))->key)
        return false;
    if (value)
        *value = s->value;
    return true;
}

bool map_next(const struct map *m, size_t *at, const char **key, size_t *len, uint64_t *value)
{
    while (*at < m->cap) {
        const struct map_slot *s = &m->slots[(*at)++];
        if (!s->key)
            continue;
        *key = s->key;
        *len = s->len;
        *value = s->value;
        return true;
    }
    return false;
}
