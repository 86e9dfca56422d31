/* e5_vectors.c: prints the vector of one text with the E5S1 format's own program (e5.c, e5.h; not
 * in this tree). */
#include <stdio.h>
#include <string.h>
#include "e5.h"

int main(int argc, char **argv)
{
    float v[384];
    e5_model *m = argc == 4 ? e5_load(argv[1]) : NULL;
    if (!m || e5_embed(m, argv[3], strcmp(argv[2], "query") == 0, v) != 0)
        return 1;
    for (int i = 0; i < 384; i++)
        printf("%.7g%c", (double)v[i], i == 383 ? '\n' : ' ');
    return 0;
}
