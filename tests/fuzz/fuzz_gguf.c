/* fuzz_gguf.c: any bytes after the magic of a GGUF file. */
#include "fuzz.h"
#include <string.h>
#include "core/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = mem_dup(data, size);
    if (copy && size >= 4) {
        memcpy(copy, "GGUF", 4);
        fuzz_model_file(copy, size);
    }
    mem_free(copy);
    return 0;
}
