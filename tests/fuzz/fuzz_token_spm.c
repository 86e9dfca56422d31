/* fuzz_token_spm.c: any vocabulary and any text through the spm tokenizer. */
#include "fuzz_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_family("llama", data, size);
    return 0;
}
