/* fuzz_html.c: any bytes as a web page. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.html", data, size);
    return 0;
}
