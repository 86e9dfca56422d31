/* fuzz_jsonl.c: any bytes as JSON Lines. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.jsonl", data, size);
    return 0;
}
