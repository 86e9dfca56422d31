/* near.c: Levenshtein's edit distance: the fewest letters put in, left out or changed; one row of the table at a time. */
#include "core/base/near.h"
#include <stddef.h>
#include <string.h>

static unsigned edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned row[NEAR_NONE];
    if (n >= NEAR_NONE || m >= NEAR_NONE)
        return NEAR_NONE;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

bool near_better(const char *a, const char *b, unsigned *best)
{
    size_t longer = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
    unsigned d = edit_distance(a, b);
    if (d >= *best || d * 3 > longer + 1)
        return false;
    *best = d;
    return true;
}
