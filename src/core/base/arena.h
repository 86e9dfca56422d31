/* arena.h: bump allocation with one stated life (a run, a request, a document).
 * Blocks grow geometrically; nothing is freed singly. A failed allocation sets a sticky flag and every later
 * one returns NULL, so a builder may check once at its end.
 * Thread use: one arena, one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *block; /* newest block */
    size_t used;               /* bytes handed out, all blocks */
    size_t max;                /* ceiling on bytes; 0 = none */
    size_t peak;               /* most bytes ever handed out at once */
    bool failed;               /* sticky */
    bool limited;              /* the failure was the ceiling, not the system */
};
struct arena_mark {
    struct arena_block *block;
    size_t block_used, used;
};

void arena_init(struct arena *a, size_t max); /* allocates nothing */
void arena_release(struct arena *a);          /* frees all; the arena is as after arena_init */
void arena_clear(struct arena *a);            /* forgets all, keeps memory for reuse */
void *arena_alloc(struct arena *a, size_t size);                 /* 64-byte aligned, not zeroed */
void *arena_calloc(struct arena *a, size_t count, size_t size);  /* 16-byte aligned, zeroed */
void *arena_array(struct arena *a, size_t count, size_t size);   /* 16-byte aligned, overflow checked */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark m); /* releases everything younger than m */
#endif
