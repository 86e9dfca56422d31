/* fuzz_jsondoc.c: any bytes as a JSON document. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.json", data, size);
    return 0;
}
