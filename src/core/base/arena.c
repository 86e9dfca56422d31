/* arena.c: bump allocation over a chain of blocks.
 *
 *     first block <-> ... <-> a->block <-> spare <-> spare
 *      (full)                 (filling)    (empty, kept for reuse)
 *
 * Resetting to a mark turns the younger blocks into spares, so a scope that is entered hundreds of
 * times a second (a transformer layer) asks the system for memory only in its first round. Block
 * sizes double up to a bound, hence the chain stays short and searching the spares is cheap. */
#include "core/base/arena.h"
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include <string.h>
#include <sys/mman.h>

/* Under the address sanitizer, memory that is not handed out is poisoned: using an allocation after
 * its arena was reset is reported where it happens. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_POISONS)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { BLOCK_ALIGN = 64, BLOCK_MIN = 4096 };
#define BLOCK_HUGE ((size_t)2 << 20)
#define BLOCK_GROWTH_MAX ((size_t)64 << 20)

struct arena_block {
    struct arena_block *prev, *next;
    size_t size, used; /* of the bytes after this header */
    _Alignas(BLOCK_ALIGN) unsigned char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static struct arena_block *first_block(const struct arena *a)
{
    struct arena_block *b = a->block;
    while (b && b->prev)
        b = b->prev;
    return b;
}

void arena_release(struct arena *a)
{
    struct arena_block *b = first_block(a);
    while (b) {
        struct arena_block *next = b->next;
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
        mem_free(b);
        b = next;
    }
    arena_init(a, a->max);
}

void arena_clear(struct arena *a)
{
    arena_reset(a, (struct arena_mark){NULL, 0, 0});
    a->failed = a->limited = false;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->block, a->block ? a->block->used : 0, a->used};
}

void arena_reset(struct arena *a, struct arena_mark m)
{
    if (!a->block)
        return;
    a->block = m.block ? m.block : first_block(a);
    a->block->used = m.block_used;
    a->used = m.used;
    for (struct arena_block *b = a->block; b; b = b->next) {
        size_t from = b == a->block ? b->used : 0;
        ASAN_POISON_MEMORY_REGION(b->data + from, b->size - from);
    }
}

/* Puts b into the chain right after the current block and makes it current. */
static void enter_block(struct arena *a, struct arena_block *b)
{
    b->used = 0;
    b->prev = a->block;
    b->next = a->block ? a->block->next : NULL;
    if (b->next)
        b->next->prev = b;
    if (a->block)
        a->block->next = b;
    a->block = b;
}

/* Large blocks lie in huge pages where the system has them: activations of a training step go by in streams, and small pages
 * cost such a stream a third of its speed. */
static struct arena_block *block_memory(size_t total)
{
    if (total < 2 * BLOCK_HUGE)
        return mem_aligned(BLOCK_ALIGN, total);
    struct arena_block *b = mem_aligned(BLOCK_HUGE, total);
#if defined(MADV_HUGEPAGE)
    if (b)
        madvise(b, total / BLOCK_HUGE * BLOCK_HUGE, MADV_HUGEPAGE); /* a wish: nothing depends on it */
#endif
    return b;
}

/* A spare block of at least need bytes, or a new one; false when memory is out. */
static bool next_block(struct arena *a, size_t need)
{
    struct arena_block *b;
    size_t size, total;
    for (b = a->block ? a->block->next : NULL; b; b = b->next)
        if (b->size >= need) {
            b->prev->next = b->next;
            if (b->next)
                b->next->prev = b->prev;
            enter_block(a, b);
            return true;
        }
    size = a->block ? a->block->size * 2 : BLOCK_MIN - sizeof *b;
    if (size > BLOCK_GROWTH_MAX)
        size = BLOCK_GROWTH_MAX;
    if (size < need)
        size = need;
    if (!size_add(size, sizeof *b, &total) || !(b = block_memory(total)))
        return false;
    b->size = size;
    ASAN_POISON_MEMORY_REGION(b->data, size);
    enter_block(a, b);
    return true;
}

static void *take(struct arena *a, size_t align, size_t size)
{
    struct arena_block *b = a->block;
    size_t at, end, total;
    if (a->failed)
        return NULL;
    if (size > SIZE_MAX / 2 || !size_add(a->used, size, &total) || (a->max && total > a->max)) {
        a->failed = true;
        a->limited = a->max != 0;
        return NULL;
    }
    if (!b || !size_align(b->used, align, &at) || !size_add(at, size, &end) || end > b->size) {
        if (!next_block(a, size ? size : 1))
            return a->failed = true, NULL;
        b = a->block;
        at = 0;
        end = size;
    }
    ASAN_UNPOISON_MEMORY_REGION(b->data + at, size);
    b->used = end;
    a->used = total;
    if (total > a->peak)
        a->peak = total;
    return b->data + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return take(a, BLOCK_ALIGN, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (!size_mul(count, size, &total))
        return a->failed = true, NULL;
    return take(a, 16, total);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    void *p = arena_array(a, count, size);
    return p ? memset(p, 0, count * size) : NULL;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    size_t total;
    char *copy;
    if (!size_add(len, 1, &total))
        return a->failed = true, NULL;
    copy = take(a, 1, total);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}
