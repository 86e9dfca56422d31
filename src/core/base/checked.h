/* checked.h: the only place where sizes that come from files are added, multiplied or aligned.
 * Each function returns true and stores the result, or returns false and stores nothing. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
/* Rounds a up to a multiple of align (a power of two, not zero). */
static inline bool size_align(size_t a, size_t align, size_t *out)
{
    size_t t;
    if (__builtin_add_overflow(a, align - 1, &t))
        return false;
    *out = t & ~(align - 1);
    return true;
}
/* True when [offset, offset+len) lies inside [0, limit). */
static inline bool range_inside(uint64_t offset, uint64_t len, uint64_t limit)
{
    return offset <= limit && len <= limit - offset;
}
static inline bool size_from_u64(uint64_t v, size_t *out)
{
    if (v > SIZE_MAX)
        return false;
    *out = (size_t)v;
    return true;
}
#endif
