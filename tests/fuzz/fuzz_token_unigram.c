/* fuzz_token_unigram.c: any vocabulary and any text through the unigram tokenizer. */
#include "fuzz_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_family("t5", data, size);
    return 0;
}
