/* fuzz_mbox.c: any bytes as a folder of mail. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.mbox", data, size);
    return 0;
}
