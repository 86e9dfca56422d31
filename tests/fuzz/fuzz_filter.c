/* fuzz_filter.c: any bytes as a filter: an error or an answer for every passage. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "know/retrieve/retrieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "/d/a.txt", title[] = "T", format[] = "txt",
                tags[] = "{\"k\":\"v\",\"year\":\"2024\"}", none[] = "{}";
    struct snapshot_doc docs[2] = {{1, name, title, format, tags, 0, 2},
                                   {2, name, title, format, none, 2, 1}};
    uint32_t doc[3] = {0, 0, 1}, page[3] = {1, 2, 0};
    struct snapshot v = {.n = 3, .n_docs = 2, .docs = docs, .doc = doc, .page = page};
    unsigned char allow[3] = {9, 9, 9};
    char *text = mem_strndup((const char *)data, size);
    if (text && filter_apply(text, NULL, &v, allow, NULL) == SOOTH_OK)
        for (int i = 0; i < 3; i++)
            assert(allow[i] <= 1);
    mem_free(text);
    return 0;
}
