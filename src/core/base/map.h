/* map.h: open-addressing hash map from byte strings to 64-bit values. Keys are copied.
 * A map of zero bytes is an empty map. Hash flooding is met with a per-process seed. Thread use: concurrent reads are fine, writes are not. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t count, cap;
    struct arena keys;
    bool failed;
};

void map_init(struct map *m);
void map_release(struct map *m);
bool map_put(struct map *m, const void *key, size_t len, uint64_t value);         /* replaces */
bool map_add(struct map *m, const void *key, size_t len, uint64_t value, bool *fresh); /* keeps the old one */
bool map_find(const struct map *m, const void *key, size_t len, uint64_t *value); /* value may be NULL */
/* Walks all entries in unspecified order; *at starts at 0. */
bool map_next(const struct map *m, size_t *at, const char **key, size_t *len, uint64_t *value);
#endif
