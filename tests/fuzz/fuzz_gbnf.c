/* fuzz_gbnf.c: any bytes as a grammar: an error, or rules that read any text to its end. */
#include "fuzz.h"
#include "sooth/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sooth_grammar *g;
    if (sooth_grammar_gbnf((const char *)data, size, &g, NULL) != SOOTH_OK)
        return 0;
    sooth_grammar_accepts(g, (const char *)data, size < 512 ? size : 512);
    sooth_grammar_accepts(g, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40);
    sooth_grammar_free(g);
    return 0;
}
