/* test_bench.c: what is measured is there and adds up; no number is held to a bound. */
#include "tiny_model.h"

static void a_bench_tells_rates_and_times(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2);
    struct sooth_bench b;
    double rate;
    struct sooth_error err = {0};
    assert_int_equal(sooth_bench_run(m, 20, 10, 3, &b, &err), SOOTH_OK);
    assert_true(b.prompt_rate > 0 && b.generate_rate > 0 && b.load_seconds > 0 && b.first_token_seconds > b.load_seconds && b.peak_bytes > 0);
    assert_int_equal(b.prompt_tokens, 20);
    assert_int_equal(b.generated, 10);
    assert_int_equal(b.threads, 2);
    assert_int_equal(sooth_bench_streams(m, 5, 8, 6, 2, &rate, &err), SOOTH_OK);
    assert_true(rate > 0);
    assert_int_equal(sooth_bench_streams(m, 0, 8, 6, 2, &rate, &err), SOOTH_ERR_ARG);
    assert_int_equal(sooth_bench_streams(m, 2, 1 << 20, 6, 2, &rate, &err), SOOTH_ERR_ARG);
    assert_int_equal(sooth_bench_run(m, 20, 10, 1000, &b, &err), SOOTH_ERR_ARG);
    sooth_model_close(m);
    m = tiny_open("infer/tiny-bert", 0, 1);
    assert_true(sooth_bench_run(m, 20, 10, 1, &b, &err) != SOOTH_OK && sooth_bench_streams(m, 2, 8, 6, 1, &rate, &err) != SOOTH_OK);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bench_tells_rates_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
