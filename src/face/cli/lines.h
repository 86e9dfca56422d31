/* lines.h: standard input as lines, for the verbs that take one text a line. */
#ifndef CLI_LINES_H
#define CLI_LINES_H
#include "cli.h"

struct lines {
    struct buf text;      /* newlines overwritten by NUL */
    const char **items;
    size_t *lens;
    size_t count;
};
int lines_read(struct lines *out); /* EXIT_DONE or EXIT_FAILED, said; empty lines are kept, the last newline ends */
void lines_release(struct lines *l);
#endif
