/* fuzz_subtitle.c: any bytes as subtitles. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.vtt", data, size);
    return 0;
}
