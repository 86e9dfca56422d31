/* fuzz_claims.c: the first line of any bytes as a claim, the rest as its source: spans stay inside, scores in 0..1. */
#include "fuzz.h"
#include <assert.h>
#include <string.h>
#include "core/base/alloc.h"
#include "know/verify/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = mem_dup(data, size), *line = s ? memchr(s, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - s) : size / 2;
    struct claim claims[CLAIMS_MAX];
    struct verifier *v = NULL;
    struct verify_result r;
    if (!s || size > 20000) {
        mem_free(s);
        return 0;
    }
    char *claim = mem_dup(s, n), *text = mem_dup(s + n, size - n); /* exact ends */
    for (size_t i = claims_split(claim, n, claims); i-- > 0;)
        assert(claims[i].start <= claims[i].end && claims[i].end <= n && claims[i].subject_start <= claims[i].subject_end && claims[i].subject_end <= n);
    struct verify_source source = { text, size - n, "A title > a heading" };
    if (verifier_new(&source, 1, &v, NULL) == SOOTH_OK && verifier_check(v, claim, n, "What is it?", &r, NULL) == SOOTH_OK) {
        assert(r.score >= 0 && r.score <= 1);
        for (size_t i = 0; i < r.n_best; i++)
            assert(r.best[i].start < r.best[i].end && r.best[i].end <= size - n);
    }
    verifier_free(v);
    mem_free(claim);
    mem_free(text);
    mem_free(s);
    return 0;
}
