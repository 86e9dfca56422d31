/* fuzz_encoding.c: any bytes as text in an unknown encoding, and in a declared one. */
#include <assert.h>
#include <string.h>
#include "fuzz_doc.h"
#include "know/doc/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const declared[] = {NULL, "gbk", "utf-16", "windows-1251", "x-unknown"};
    struct encoding_guess g;
    struct buf text = BUF_INIT;
    char name[32];
    size_t bad;
    encoding_detect(data, size, declared[size % 5], &g);
    assert(g.name == NULL || strlen(g.name) < sizeof name);
    assert(g.bom <= size);
    encoding_decode(data, size, NULL, declared[size % 5], &text, name, &bad, NULL);
    buf_release(&text);
    fuzz_doc("x.txt", data, size);
    return 0;
}
