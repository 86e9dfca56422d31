/* test_read.c: readers: the span is the best one by its definition, alone as in company; a file brings back the same reader; damaged and
 * foreign files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "model/infer/infer.h"

static const char *const passages[] = { "The river is crossed by two bridges. Both were built of stone.", "One.",
                                        "\xE6\xB2\xB3\xE4\xB8\x8A\xE6\x9C\x89\xE4\xB8\xA4\xE5\xBA\xA7\xE6\xA1\xA5\xE3\x80\x82", "" };
enum { N = sizeof passages / sizeof *passages };
static const char question[] = "How many bridges are there?";

static struct sooth_model *tiny(const char *name)
{
    char path[2048];
    struct sooth_model *m;
    struct sooth_error err = { 0 };
    snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("SOOTH_SOURCE"), name);
    if (sooth_model_open(path, &(struct sooth_model_options){ .threads = 2 }, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

/* A reader with numbers in it that halves hold exactly. */
static struct sooth_reader *some_reader(struct sooth_model *m)
{
    struct sooth_reader *r;
    struct rng rng;
    struct adapt_options o = { .method = "lora", .targets = "all-linear", .rank = 2, .alpha = 4 };
    assert_int_equal(reader_new(m, &o, &r, NULL), SOOTH_OK);
    rng_seed(&rng, 7);
    for (size_t i = 0; i < reader_weights(r); i++) {
        const struct weight *w = reader_weight(r, i);
        float *v = (float *)w->q.data;
        for (size_t k = 0; k < w->q.rows * w->q.cols; k++)
            v[k] = ((float)rng_below(&rng, 129) - 64) / 64;
    }
    assert_int_equal(adapt_refresh(r->adapt, NULL), SOOTH_OK);
    return r;
}

static void the_span_is_the_best(void **state)
{
    (void)state;
    struct sooth_model *m = tiny("infer/tiny-bert");
    struct sooth_reader *r = some_reader(m);
    struct sooth_reading got[N];
    assert_int_equal(sooth_read(r, question, strlen(question), passages, NULL, N, got, NULL), SOOTH_OK);
    struct run_options options = { .pool = infer_parts(m).pool };
    assert_int_equal(adapt_apply(r->adapt, &options, NULL), SOOTH_OK);
    struct run *run = run_new(&options);
    for (size_t p = 0; p < N; p++) {
        struct reader_rows rows = { 0 };
        struct mat *span, *present;
        assert_int_equal(reader_rows_add(r, &rows, question, strlen(question), passages[p], strlen(passages[p]), NULL), SOOTH_OK);
        struct rows in = reader_rows_of(&rows);
        run_begin(run, &in);
        reader_forward(r, &rows, run, &span, &present);
        assert_int_equal(run_end(run, NULL), SOOTH_OK);
        const struct reader_pair *pair = &rows.pairs.items[0];
        float best = -INFINITY;
        size_t start = 0, end = 0;
        for (size_t i = 0; i < pair->count; i++)
            for (size_t j = i; j < pair->count; j++) {
                float s = span->v[2 * (pair->passage + i)] + span->v[2 * (pair->passage + j) + 1];
                if (j - i < 40 && s > best)
                    best = s, start = pair->span[i].start, end = pair->span[j].end;
            }
        assert_int_equal(got[p].start, start);
        assert_int_equal(got[p].end, end);
        assert_true(end <= strlen(passages[p]));
        assert_memory_equal(&got[p].present, present->v, sizeof(float)); /* alone as in company */
        if (pair->count) {
            float want = best - (span->v[0] + span->v[1]);
            assert_memory_equal(&got[p].span, &want, sizeof want);
        } else {
            assert_true(isinf(got[p].span) && got[p].span < 0);
        }
        reader_rows_release(&rows);
    }
    assert_int_equal(got[3].start, got[3].end);
    run_free(run);
    sooth_reader_close(r);
    sooth_model_close(m);
}

static void a_file_brings_it_back(void **state)
{
    (void)state;
    struct sooth_model *m = tiny("infer/tiny-bert"), *decoder = tiny("infer/tiny-llama.gguf");
    struct sooth_reader *r = some_reader(m), *back;
    struct sooth_reading a[N], b[N];
    struct sooth_error err = { 0 };
    char path[] = "/tmp/sooth-reader-XXXXXX", *text;
    close(mkstemp(path));
    assert_int_equal(reader_save(r, path, &err), SOOTH_OK);
    assert_int_equal(sooth_reader_open(m, path, &back, &err), SOOTH_OK);
    assert_int_equal(sooth_read(r, question, strlen(question), passages, NULL, N, a, NULL), SOOTH_OK);
    assert_int_equal(sooth_read(back, question, strlen(question), passages, NULL, N, b, NULL), SOOTH_OK);
    assert_memory_equal(a, b, sizeof a);
    sooth_reader_close(back);
    assert_int_equal(sooth_reader_open(decoder, path, &back, &err), SOOTH_ERR_UNSUPPORTED);
    struct buf bytes = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 24, &bytes, NULL), SOOTH_OK);
    for (size_t n = 0; n + 32 < bytes.len; n += n < 2000 ? 7 : 997) { /* cut anywhere but in the last padding */
        assert_int_equal(file_write_atomic(path, bytes.data, n, NULL), SOOTH_OK);
        assert_int_not_equal(sooth_reader_open(m, path, &back, &err), SOOTH_OK);
        assert_null(back);
    }
    assert_non_null(text = memmem(bytes.data, bytes.len, "reader.span.weight", 18));
    text[0] = 'x'; /* a head is missing */
    assert_int_equal(file_write_atomic(path, bytes.data, bytes.len, NULL), SOOTH_OK);
    assert_int_equal(sooth_reader_open(m, path, &back, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "reader.span.weight"));
    buf_release(&bytes);
    unlink(path);
    sooth_reader_close(r);
    sooth_model_close(m);
    sooth_model_close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_span_is_the_best), cmocka_unit_test(a_file_brings_it_back) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
