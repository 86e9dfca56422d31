/* fuzz_sentence.c: any bytes as text: spans ascend, and only white space lies between them. */
#include "fuzz.h"
#include <assert.h>
#include "core/base/alloc.h"
#include "core/base/sentence.h"
#include "core/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = mem_dup(data, size);
    size_t at = 0, done = 0;
    struct sentence t;
    while (s && sentence_next(s, size, &at, &t)) {
        assert(t.start >= done && t.start < t.end && t.end <= size && at >= t.end);
        for (size_t i = done; i < t.start; i++)
            assert((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x80);
        done = t.end;
    }
    mem_free(s);
    return 0;
}
