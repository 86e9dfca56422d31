/* fuzz_segment.c: any bytes through the segmenter: short, valid terms; cutting twice gives the
 * same. */
#include "fuzz.h"
#include <assert.h>
#include "core/base/alloc.h"
#include "core/base/utf8.h"
#include "know/index/segment.h"

static bool check_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    uint64_t *sum = user;
    assert(len > 0 && len <= TERM_MAX && utf8_valid(term, len));
    *sum = *sum * 31 + term_key(term, len) + (uint64_t)kind;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t once = 0, twice = 0;
    char *exact = mem_dup(data, size);
    if (exact && segment_text(exact, size, check_term, &once, NULL) == SOOTH_OK) {
        segment_text(exact, size, check_term, &twice, NULL);
        assert(once == twice);
    }
    mem_free(exact);
    return 0;
}
