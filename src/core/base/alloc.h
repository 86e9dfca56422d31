/* alloc.h: every allocation of the library goes through here, so tests can make the N-th one fail.
 * Thread use: all functions are safe from any thread. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

void *mem_alloc(size_t size);                          /* NULL on failure; size 0 gives a unique pointer */
void *mem_calloc(size_t count, size_t size);           /* zeroed; NULL on failure or overflow */
void *mem_array(size_t count, size_t size);            /* not zeroed; NULL on failure or overflow */
void *mem_realloc(void *p, size_t count, size_t size); /* p kept on failure; NULL on failure or overflow */
void *mem_aligned(size_t align, size_t size);          /* align a power of two; freed by mem_free */
void *mem_dup(const void *p, size_t size);
char *mem_strdup(const char *s);                       /* NULL in gives NULL out */
char *mem_strndup(const char *s, size_t len);          /* always NUL-terminated */
void mem_free(void *p);

/* Tests: the n-th allocation from now (1 = the next) fails once; 0 switches off. */
void mem_fail_at(uint64_t n);
uint64_t mem_count(void);                              /* allocations asked for so far */
uint64_t mem_live(void);                               /* allocations not yet freed */
#endif
