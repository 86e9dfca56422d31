/* fuzz_markdown.c: any bytes as Markdown. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.md", data, size);
    return 0;
}
