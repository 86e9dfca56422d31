/* fuzz_safetensors.c: any bytes as a safetensors file. The first byte says how many of the next are
 * the header, so that a mutation does not have to guess an eight-byte length. */
#include "fuzz.h"
#include <string.h>
#include "core/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = BUF_INIT;
    uint64_t header;
    if (size < 2)
        return 0;
    header = (size - 1) * (data[0] + 1u) / 256;
    if (buf_add(&b, &header, sizeof header) && buf_add(&b, data + 1, size - 1))
        fuzz_model_file((const uint8_t *)b.data, b.len);
    buf_release(&b);
    return 0;
}
