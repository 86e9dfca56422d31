/* test_find.c: where a short name is looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/fsio.h"
#include "sooth/model.h"

static char root[64], out[4096];

static const char *under(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static int set_up(void **state)
{
    strcpy(root, "/tmp/sooth-find-XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(dir_make(under("home/models/minilm"), NULL), SOOTH_OK);
    assert_int_equal(dir_make(under("first"), NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(under("home/models/tiny.gguf"), "x", 1, NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(under("home/models/both.gguf"), "x", 1, NULL), SOOTH_OK);
    assert_int_equal(file_write_atomic(under("first/both.gguf"), "x", 1, NULL), SOOTH_OK);
    setenv("SOOTH_MODELS", under("first"), 1);
    setenv("SOOTH_HOME", under("home"), 1);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"home/models/tiny.gguf", "home/models/both.gguf",
                                        "first/both.gguf"};
    static const char *const dirs[] = {"home/models/minilm", "home/models", "home", "first", "."};
    for (size_t i = 0; i < 3; i++)
        unlink(under(files[i]));
    for (size_t i = 0; i < 4; i++)
        rmdir(under(dirs[i]));
    return rmdir(root);
}

static void names_are_found_in_order(void **state)
{
    assert_int_equal(sooth_model_find("tiny", out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, under("home/models/tiny.gguf"));
    assert_int_equal(sooth_model_find("tiny.gguf", out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, under("home/models/tiny.gguf"));
    assert_int_equal(sooth_model_find("minilm", out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, under("home/models/minilm"));
    assert_int_equal(sooth_model_find("both", out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, under("first/both.gguf"));
}

static void paths_and_urls_stay(void **state)
{
    assert_int_equal(sooth_model_find(root, out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, root);
    assert_int_equal(sooth_model_find("http://127.0.0.1:1/v1", out, sizeof out, NULL), SOOTH_OK);
    assert_string_equal(out, "http://127.0.0.1:1/v1");
}

static void what_is_not_there_is_named(void **state)
{
    struct sooth_error err = {0};
    assert_int_equal(sooth_model_find("nosuch", out, sizeof out, &err), SOOTH_ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "'nosuch'"));
    assert_string_not_equal(err.hint, "");
    assert_int_equal(sooth_model_find("x/../tiny", out, sizeof out, &err), SOOTH_ERR_NOTFOUND);
    assert_int_equal(sooth_model_find("", out, sizeof out, &err), SOOTH_ERR_ARG);
    assert_int_equal(sooth_model_find("tiny", out, 5, &err), SOOTH_ERR_NOTFOUND);
    assert_int_equal(sooth_model_find("tiny", out, 3, &err), SOOTH_ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_order),
        cmocka_unit_test(paths_and_urls_stay),
        cmocka_unit_test(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
