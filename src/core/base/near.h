/* near.h: is one word a slip of the pen for another? For "did you mean" hints. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H
#include <stdbool.h>

enum { NEAR_NONE = 64 };
/* True when b is nearer to a than *best (starting at NEAR_NONE) and at most a third of the longer word differs; lowers *best. */
bool near_better(const char *a, const char *b, unsigned *best);
#endif
