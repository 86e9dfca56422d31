/* lines.c: standard input as lines. */
#include "lines.h"
#include <string.h>
#include "core/base/alloc.h"

int lines_read(struct lines *out)
{
    *out = (struct lines){ .text = BUF_INIT };
    int status = cli_read_stdin(&out->text);
    if (status != EXIT_DONE || out->text.len == 0)
        return status;
    char *p = out->text.data, *end = p + out->text.len;
    size_t n = 0;
    for (char *q = p; (q = memchr(q, '\n', (size_t)(end - q))); q++)
        n++;
    out->items = mem_array(n + 1, sizeof *out->items);
    out->lens = mem_array(n + 1, sizeof *out->lens);
    if (!out->items || !out->lens) {
        fprintf(stderr, "sooth: out of memory\n");
        return EXIT_FAILED;
    }
    while (p < end) {
        char *q = memchr(p, '\n', (size_t)(end - p));
        char *stop = q ? q : end;
        out->items[out->count] = p;
        out->lens[out->count++] = (size_t)(stop - p) - (stop > p && stop[-1] == '\r');
        *stop = 0;
        p = stop + 1;
    }
    return EXIT_DONE;
}

void lines_release(struct lines *l)
{
    buf_release(&l->text);
    mem_free(l->items);
    mem_free(l->lens);
}
