/* test_reading.c: teaching an encoder to read: the gradient is the loss's; a few rows are learnt by heart, with "not here" among them; rows
 * that cannot be are refused with their line. */
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
#include "learn/train/reading.h"

static const char data[] =
    "{\"question\":\"Who?\",\"passage\":\"Ann made it by the sea.\",\"answer\":\"Ann\"}\n"
    "{\"question\":\"Where?\",\"passage\":\"Ann made it by the sea.\",\"answer\":\"by the sea\"}\n"
    "\n"
    "{\"question\":\"When?\",\"passage\":\"Ann made it by the sea.\",\"answer\":null}\n"
    "{\"question\":\"Who?\",\"passage\":\"Nobody knows.\"}\n";

static const char *model_path(void)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/tests/golden/infer/tiny-bert", getenv("SOOTH_SOURCE"));
    return path;
}

static const char *written(const char *text)
{
    static char path[64];
    strcpy(path, "/tmp/sooth-reading-XXXXXX");
    close(mkstemp(path));
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), SOOTH_OK);
    return path;
}

static double loss_of(struct reading_batch *b, const struct sooth_reader *r, struct run *run, bool train)
{
    double loss;
    assert_int_equal(adapt_refresh(r->adapt, NULL), SOOTH_OK);
    assert_int_equal(reading_loss(b, r, run, train, &loss, NULL), SOOTH_OK);
    return loss;
}

/* Central differences along the gradient of each weight alone. */
static void the_gradient_is_the_loss_s(void **state)
{
    (void)state;
    struct sooth_model *m;
    struct sooth_reader *r;
    struct reading_set s;
    struct reading_batch b = { 0 };
    struct adapt_options o = { .method = "lora", .targets = "all-linear", .rank = 2, .alpha = 4, .seed = 3 };
    const char *path = written(data);
    reading_set_init(&s);
    assert_int_equal(reading_set_load(&s, path, NULL), SOOTH_OK);
    unlink(path);
    assert_int_equal(s.rows.count, 4);
    assert_int_equal(sooth_model_open(model_path(), &(struct sooth_model_options){ .threads = 1, .compute = "f32" }, &m, NULL), SOOTH_OK);
    assert_int_equal(reader_new(m, &o, &r, NULL), SOOTH_OK);
    const struct weight *list[256];
    size_t n = reader_weights(r);
    assert_true(n <= 256);
    for (size_t i = 0; i < n; i++) {
        list[i] = reader_weight(r, i);
        for (size_t k = 0; k < list[i]->q.rows * list[i]->q.cols; k++) /* off zero, where half of the gradients vanish */
            ((float *)list[i]->q.data)[k] += 0.1f * sinf((float)(i + 3 * k));
    }
    struct grads *g = grads_new(list, n);
    struct run_options options = { .grads = g, .tape = true };
    assert_int_equal(adapt_apply(r->adapt, &options, NULL), SOOTH_OK);
    struct run *run = run_new(&options);
    const struct reading_row *rows[] = { &s.rows.items[0], &s.rows.items[1], &s.rows.items[2], &s.rows.items[3] };
    assert_int_equal(reading_batch_fill(&b, r, rows, 4, NULL), SOOTH_OK);
    assert_true(isfinite(loss_of(&b, r, run, true)));
    for (size_t i = 0; i < n; i++) {
        size_t count = list[i]->q.rows * list[i]->q.cols;
        float *w = (float *)list[i]->q.data, *dw = grads_find(g, list[i]), *kept = malloc(count * sizeof *kept);
        double length = 0, h = 5e-3;
        memcpy(kept, w, count * sizeof *w);
        for (size_t k = 0; k < count; k++)
            length += (double)dw[k] * dw[k];
        length = sqrt(length);
        double at[2];
        for (int side = 0; side < 2 && length > 1e-4; side++) {
            for (size_t k = 0; k < count; k++)
                w[k] = kept[k] + (float)((side ? h : -h) * dw[k] / length);
            at[side] = loss_of(&b, r, run, false);
        }
        memcpy(w, kept, count * sizeof *w);
        if (length > 1e-4 && !(fabs((at[1] - at[0]) / (2 * h) - length) < 2e-2 * length + 1e-3))
            fail_msg("%s: %g, by differences %g", list[i]->name, length, (at[1] - at[0]) / (2 * h));
        free(kept);
    }
    reading_batch_release(&b);
    run_free(run);
    grads_free(g);
    sooth_reader_close(r);
    sooth_model_close(m);
    reading_set_release(&s);
}

static void a_few_rows_are_learnt(void **state)
{
    (void)state;
    char out[] = "/tmp/sooth-reader-XXXXXX", path[128], command[128];
    struct sooth_tune_options o;
    struct sooth_train_result result;
    struct sooth_error err = { 0 };
    struct sooth_model *m;
    struct sooth_reader *r;
    struct reading_set s;
    struct sooth_reading got;
    assert_non_null(mkdtemp(out));
    sooth_tune_options_init(&o);
    o.model = model_path();
    o.data = written(data);
    o.targets = "all-linear";
    o.train.out = out;
    o.train.steps = 300;
    o.train.rate = 1e-2;
    if (sooth_tune(&o, NULL, &result, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    assert_true(result.loss < 0.1);
    snprintf(path, sizeof path, "%s/reader.gguf", out);
    assert_int_equal(sooth_model_open(model_path(), NULL, &m, NULL), SOOTH_OK);
    assert_int_equal(sooth_reader_open(m, path, &r, NULL), SOOTH_OK);
    reading_set_init(&s);
    assert_int_equal(reading_set_load(&s, o.data, NULL), SOOTH_OK);
    for (size_t i = 0; i < s.rows.count; i++) {
        const struct reading_row *x = &s.rows.items[i];
        assert_int_equal(sooth_read(r, x->question, strlen(x->question), &x->passage, NULL, 1, &got, NULL), SOOTH_OK);
        if (x->end > x->start) {
            assert_int_equal(got.start, x->start);
            assert_int_equal(got.end, x->end);
        }
        assert_int_equal(got.span > 0, x->end > x->start);
        assert_int_equal(got.present > 0, x->end > x->start);
    }
    reading_set_release(&s);
    sooth_reader_close(r);
    sooth_model_close(m);
    unlink(o.data);
    snprintf(command, sizeof command, "rm -r %s", out);
    assert_int_equal(system(command), 0);
}

static void bad_rows_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = { "{\"question\":\"a\",\"passage\":\"b\"}\n{\"question\":\"a\"}\n", "\n{\"question\":\"a\",\"passage\":\"b\",\"answer\":\"c\"}\n",
                                       "\n{\"question\":\"a\",\"passage\":\"bc\",\"answer\":\"c\",\"start\":0}\n", "\n{\"question\":\"a\",\"passage\":\"b\",\"answer\":7}\n",
                                       "\nnothing\n", "\n{\"question\":\"a\",\"passage\":\"bc\",\"answer\":\"c\",\"start\":-1e300}\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reading_set s;
        struct sooth_error err = { 0 };
        const char *path = written(bad[i]);
        reading_set_init(&s);
        assert_int_equal(reading_set_load(&s, path, &err), SOOTH_ERR_FORMAT);
        assert_non_null(strstr(err.text, "line 2"));
        reading_set_release(&s);
        unlink(path);
    }
}

static void what_does_not_go_is_refused(void **state)
{
    (void)state;
    struct sooth_tune_options o, base;
    struct sooth_error err = { 0 };
    sooth_tune_options_init(&base);
    base.model = model_path();
    base.data = written(data);
    base.targets = "all-linear";
    base.train.out = "/tmp/sooth-reader-never-made";
    o = base, o.dropout = 0.1;
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "dropout"));
    o = base, o.train.resume = true;
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_UNSUPPORTED);
    o = base, o.method = "prefix";
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_UNSUPPORTED);
    o = base, o.train.schedule = "sideways";
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    o = base, o.train.batch = 5000;
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_false(file_exists(base.train.out));
    unlink(base.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_gradient_is_the_loss_s), cmocka_unit_test(a_few_rows_are_learnt), cmocka_unit_test(what_does_not_go_is_refused), cmocka_unit_test(bad_rows_are_named) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
