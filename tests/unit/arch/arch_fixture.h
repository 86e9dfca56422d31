/* arch_fixture.h: tiny models of tests/golden/arch and one forward over them. */
#ifndef TEST_ARCH_FIXTURE_H
#define TEST_ARCH_FIXTURE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "model/arch/arch.h"
#include "model/file/file.h"

static inline const char *arch_path(const char *name)
{
    static char path[4096];
    const char *source = getenv("SOOTH_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/arch/%s", source ? source : ".", name);
    return path;
}

static inline struct tensor_file *arch_open(const char *name)
{
    struct tensor_file *f = NULL;
    struct sooth_error err = {0};
    if (tensor_file_open(arch_path(name), NULL, &f, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    return f;
}

static inline struct arch_model *arch_open_model(const struct tensor_file *f, const struct arch_options *o)
{
    struct arch_model *m = NULL;
    struct sooth_error err = {0};
    if (arch_load(f, o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

/* One run of `n` rows of one sequence, positions from `at`; the result is copied. */
static inline float *arch_run(struct run *r, const struct arch_model *m, const int32_t *ids, size_t n, uint32_t at, uint32_t seq, const uint8_t *types,
                       bool logits)
{
    uint32_t pos[256], seqs[256];
    struct sooth_error err = {0};
    for (size_t i = 0; i < n; i++) {
        pos[i] = at + (uint32_t)i;
        seqs[i] = seq;
    }
    struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seqs, .type = types};
    run_begin(r, &rows);
    struct mat *h = arch_hidden(m, r), *y = logits ? arch_logits(m, r, h) : h;
    if (run_end(r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    float *out = mem_dup(y->v, y->rows * y->cols * sizeof *out);
    assert_non_null(out);
    return out;
}
#endif
