/* fuzz_archive.c: any bytes as an archive of any kind. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.zip", data, size);
    return 0;
}
