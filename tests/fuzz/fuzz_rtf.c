/* fuzz_rtf.c: any bytes as a rich text file. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.rtf", data, size);
    return 0;
}
