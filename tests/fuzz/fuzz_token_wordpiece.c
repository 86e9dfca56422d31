/* fuzz_token_wordpiece.c: any vocabulary and any text through the wordpiece tokenizer. */
#include "fuzz_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_family("bert", data, size);
    return 0;
}
