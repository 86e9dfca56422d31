/* vec.c: growth of the typed arrays; doubling, at least eight items. */
#include "core/base/vec.h"
#include <string.h>

bool vec_grow_(void **items, size_t *cap, size_t need, size_t size)
{
    size_t want = *cap < 4 ? 8 : *cap > SIZE_MAX / 2 ? need : *cap * 2;
    void *old, *grown;
    /* The caller's pointer has its own type; copying its bytes keeps the compiler's alias rules. */
    memcpy(&old, items, sizeof old);
    if (want < need)
        want = need;
    grown = mem_realloc(old, want, size);
    if (!grown)
        return false;
    memcpy(items, &grown, sizeof grown);
    *cap = want;
    return true;
}
