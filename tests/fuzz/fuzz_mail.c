/* fuzz_mail.c: any bytes as a mail message. */
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_doc("x.eml", data, size);
    return 0;
}
