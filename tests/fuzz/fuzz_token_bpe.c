/* fuzz_token_bpe.c: any vocabulary and any text through the bpe tokenizer. */
#include "fuzz_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_family("gpt2", data, size);
    return 0;
}
