/* fuzz_csv.c: any bytes as a table. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.csv", data, size);
    return 0;
}
