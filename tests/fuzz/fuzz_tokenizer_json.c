/* fuzz_tokenizer_json.c: any bytes as a tokenizer.json; what is read tokenizes the file's own text. */
#include "fuzz_token.h"
#include "core/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_dup(data, size);
    struct tokenizer *t;
    if (copy && !tokenizer_from_json(copy, size, NULL, 0, &t, NULL)) {
        fuzz_tokenizer(t, copy, size < 4096 ? size : 4096);
        tokenizer_free(t);
    }
    mem_free(copy);
    return 0;
}
