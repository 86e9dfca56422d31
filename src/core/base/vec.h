/* vec.h: typed growing arrays. `VEC(int) v = {0}; vec_push(&v, 3); v.items[0]; vec_free(&v);`
 * A failed growth sets v.failed and drops the item. */
#ifndef BASE_VEC_H
#define BASE_VEC_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/alloc.h"

#define VEC(type) struct { type *items; size_t count, cap; bool failed; }

bool vec_grow_(void **items, size_t *cap, size_t need, size_t size); /* false on failure */

#define vec_reserve(v, n) \
    ((n) <= (v)->cap || vec_grow_((void **)&(v)->items, &(v)->cap, (n), sizeof *(v)->items) || !((v)->failed = true))
#define vec_push(v, item) \
    (vec_reserve(v, (v)->count + 1) ? ((v)->items[(v)->count++] = (item), true) : false)
#define vec_free(v) \
    (mem_free((v)->items), (v)->items = NULL, (v)->count = (v)->cap = 0, (v)->failed = false)
#endif
