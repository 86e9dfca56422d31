/* main.c: the command. */
#include <stdio.h>

int main(void)
{
    puts("sooth " SOOTH_VERSION);
    return 0;
}
