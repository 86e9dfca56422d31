/* alloc.c: the one door to the C library's allocator.
 *
 * Every request takes the next ticket of a global counter; a test arms one ticket number and the
 * request that draws it fails. Counting costs one relaxed atomic addition, small beside malloc
 * itself. */
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t asked, live, armed; /* armed 0: no ticket has that number */

static bool refused(void)
{
    uint64_t ticket = atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed) + 1;
    return ticket == atomic_load_explicit(&armed, memory_order_relaxed);
}

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t size)
{
    return refused() ? NULL : counted(malloc(size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    size_t total;
    if (refused() || !size_mul(count, size, &total))
        return NULL;
    return counted(calloc(1, total ? total : 1));
}

void *mem_array(size_t count, size_t size)
{
    size_t total;
    return size_mul(count, size, &total) ? mem_alloc(total) : NULL;
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t total;
    if (refused() || !size_mul(count, size, &total))
        return NULL;
    if (!p)
        return counted(malloc(total ? total : 1));
    return realloc(p, total ? total : 1);
}

void *mem_aligned(size_t align, size_t size)
{
    void *p = NULL;
    if (align < sizeof p)
        align = sizeof p;
    if (refused() || posix_memalign(&p, align, size ? size : 1))
        return NULL;
    return counted(p);
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);
    if (copy && size)
        memcpy(copy, p, size);
    return copy;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
    size_t total;
    char *copy = size_add(len, 1, &total) ? mem_alloc(total) : NULL;
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}

void mem_free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

void mem_fail_at(uint64_t n)
{
    uint64_t now = atomic_load_explicit(&asked, memory_order_relaxed);
    atomic_store_explicit(&armed, n ? now + n : 0, memory_order_relaxed);
}

uint64_t mem_count(void)
{
    return atomic_load_explicit(&asked, memory_order_relaxed);
}

uint64_t mem_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}
