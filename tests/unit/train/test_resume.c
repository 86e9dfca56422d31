/* test_resume.c: a run that is killed at any moment and resumed ends with the bits of one that was not. */
#include <signal.h>
#include <sys/wait.h>
#include "train_fixture.h"
#include "core/base/clock.h"
#include "core/base/rng.h"

static const char rows[] =
    "{\"prompt\":\"who is it\",\"completion\":\"the one\"}\n{\"prompt\":\"and then\",\"completion\":\"on and on until the end\"}\n"
    "{\"prompt\":\"or\",\"completion\":\"in the tank\"}\n{\"prompt\":\"is it\",\"completion\":\"it is in it\"}\n{\"prompt\":\"where\",\"completion\":\"a\"}\n";

static void options(struct sooth_tune_options *o, const char *out)
{
    static char data[1024], valid[1024];
    snprintf(data, sizeof data, "%s", train_path("rows.jsonl"));
    snprintf(valid, sizeof valid, "%s", train_path("valid.jsonl"));
    train_write(data, rows);
    train_write(valid, "{\"prompt\":\"is it\",\"completion\":\"it is in the tank\"}\n");
    sooth_tune_options_init(o);
    o->model = TINY;
    o->data = data;
    o->valid = valid;
    o->train.out = out;
    o->train.batch = 2;
    o->train.steps = 8;
    o->train.rate = 3e-2;
    o->dropout = 0.1;
    o->train.threads = 1;
    o->train.seed = 5;
    o->train.save_every = 3;
    o->train.eval_every = 4;
    o->train.outlier = 4;
    o->train.keep = 2;
}

static void tune(const struct sooth_tune_options *o, struct sooth_train_result *r)
{
    struct sooth_error err = {0};
    if (sooth_tune(o, NULL, r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

static void same_file(const char *a, const char *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    assert_int_equal(file_read(a, 1 << 28, &x, NULL), SOOTH_OK);
    assert_int_equal(file_read(b, 1 << 28, &y, NULL), SOOTH_OK);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_release(&x);
    buf_release(&y);
}

static void same_run(const char *a, const char *b)
{
    char x[2][1100];
    static const char *const files[] = {"train.jsonl", "checkpoint-8/state.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(x[0], sizeof x[0], "%s/%s", a, files[i]);
        snprintf(x[1], sizeof x[1], "%s/%s", b, files[i]);
        same_file(x[0], x[1]);
    }
}

static bool stop_at_five(void *user, const struct sooth_train_step *s)
{
    return s->step != 5;
}

/* Ctrl-C: the callback says stop; the state is saved, and the rest of the run is the rest of the straight one. */
static void a_stopped_run_goes_on(void **state)
{
    struct sooth_tune_options o;
    struct sooth_train_result r;
    struct sooth_train_events events = {.on_step = stop_at_five};
    char straight[1024], stopped[1024];
    snprintf(straight, sizeof straight, "%s", train_path("straight"));
    snprintf(stopped, sizeof stopped, "%s", train_path("stopped"));
    options(&o, straight);
    tune(&o, &r);
    assert_true(r.step == 8 && r.eval_after < r.eval_before && r.resumed_at == 0);
    o.train.out = stopped;
    assert_int_equal(sooth_tune(&o, &events, &r, NULL), SOOTH_OK);
    assert_true(r.stopped && r.step == 5);
    o.train.resume = true;
    tune(&o, &r);
    assert_int_equal(r.resumed_at, 5);
    same_run(straight, stopped);
    assert_false(file_is_dir(train_path("stopped/checkpoint-3"))); /* two stay */
    assert_true(file_is_dir(train_path("stopped/checkpoint-6")));
}

/* Lesson 12, fifty times: killed at a random moment (also while saving), resumed until done. */
static void lesson_training_12_killed_fifty_times_it_ends_with_the_same_bits(void **state)
{
    struct sooth_tune_options o;
    struct sooth_train_result r;
    struct rng rng;
    char straight[1024], killed[1024];
    snprintf(straight, sizeof straight, "%s", train_path("straight"));
    snprintf(killed, sizeof killed, "%s", train_path("killed"));
    options(&o, killed);
    double start = clock_seconds();
    o.train.out = train_path("timed");
    tune(&o, &r);
    double whole = clock_seconds() - start;
    o.train.out = killed;
    o.train.resume = true;
    rng_seed(&rng, 11);
    int kills = 0, ends = 0;
    for (int i = 0; i < 1000 && kills < 50; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(sooth_tune(&o, NULL, NULL, NULL) == SOOTH_OK ? 0 : 1);
        usleep((useconds_t)(rng_double(&rng) * whole * 1.1e6));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) {
            kills++;
            continue;
        }
        assert_int_equal(WEXITSTATUS(status), 0); /* it was faster than the kill: done, compared, and begun anew */
        same_run(straight, killed);
        ends++;
        char command[1200];
        snprintf(command, sizeof command, "rm -rf %s", killed);
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(kills, 50);
    tune(&o, &r);
    same_run(straight, killed);
    print_message("killed %d times, %d of the runs between had ended\n", kills, ends);
}

static void a_run_is_not_overwritten_nor_mixed_with_another(void **state)
{
    struct sooth_tune_options o;
    struct sooth_error err = {0};
    options(&o, train_path("straight"));
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "already holds a run"));
    o.train.resume = true;
    o.rank = 4;
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "there 'trained="));
    o.rank = 8;
    o.train.batch = 3;
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "there 'batch=2', here 'batch=3'"));
    o.train.batch = 2;
    o.train.optimizer = "sgd";
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
}

/* A checkpoint with one bit turned is refused, and nothing of it is taken over. */
/* bf16 rounds what goes into products, no more; a word that is none is named; a run goes on in the arithmetic it began in. */
static void arithmetics_agree(void **state)
{
    static const char *const words[] = {"f32", "bf16", "int8", "auto"};
    struct sooth_tune_options o;
    struct sooth_train_result r;
    struct sooth_error err = {0};
    double loss = 0;
    char out[1100];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        snprintf(out, sizeof out, "%s", train_path(words[i]));
        options(&o, out);
        o.train.compute = words[i];
        o.train.steps = 3;
        o.train.rate = 1e-3; /* the other tests' would magnify any difference */
        tune(&o, &r);
        loss = i ? loss : r.loss;
        if (!(r.loss > 0 && fabs(r.loss - loss) < 0.01 * loss))
            fail_msg("%s ends with a loss of %g, f32 with %g", words[i], r.loss, loss);
    }
    o.train.resume = true;
    o.train.steps = 4;
    o.train.compute = "bf16";
    assert_int_not_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_OK);
    o.train.compute = "f23";
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "f23"));
}

static void a_damaged_checkpoint_is_refused(void **state)
{
    struct sooth_tune_options o;
    struct sooth_error err = {0};
    struct buf text = BUF_INIT;
    const char *path = train_path("straight/checkpoint-8/state.safetensors");
    options(&o, train_path("straight"));
    o.train.resume = true;
    assert_int_equal(file_read(path, 1 << 28, &text, NULL), SOOTH_OK);
    for (size_t i = 0; i < 3; i++) {
        size_t at = text.len - 100 - i * (text.len / 4);
        text.data[at] ^= 4;
        assert_int_equal(file_write_atomic(path, text.data, text.len, NULL), SOOTH_OK);
        assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_ERR_FORMAT);
        assert_non_null(strstr(err.text, "damaged"));
        text.data[at] ^= 4;
    }
    assert_int_equal(file_write_atomic(path, text.data, text.len / 2, NULL), SOOTH_OK);
    assert_int_not_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_OK);
    assert_int_equal(file_write_atomic(path, text.data, text.len, NULL), SOOTH_OK);
    assert_int_equal(sooth_tune(&o, NULL, NULL, &err), SOOTH_OK);
    buf_release(&text);
}

/* The plan counts what the files hold. */
static bool plan_seen(void *user, const struct sooth_train_plan *p)
{
    *(struct sooth_train_plan *)user = *p;
    return true;
}

static void a_dry_run_counts_measures_and_writes_nothing(void **state)
{
    struct sooth_tune_options o;
    struct sooth_train_plan p = {0};
    struct sooth_train_events events = {.on_plan = plan_seen, .user = &p};
    options(&o, train_path("dry"));
    o.train.dry_run = true;
    assert_int_equal(sooth_tune(&o, &events, NULL, NULL), SOOTH_OK);
    assert_int_equal(p.rows, 5);
    assert_int_equal(p.steps, 8);
    assert_int_equal(p.steps_an_epoch, 3);
    assert_true(p.trained_tokens > 0 && p.masked_tokens > p.trained_tokens && p.memory_bytes > 1 << 20 && p.seconds > 0 && p.valid_rows == 1);
    assert_false(file_exists(train_path("dry/train.jsonl")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(lesson_training_12_killed_fifty_times_it_ends_with_the_same_bits),
        cmocka_unit_test(a_run_is_not_overwritten_nor_mixed_with_another),
        cmocka_unit_test(arithmetics_agree),
        cmocka_unit_test(a_damaged_checkpoint_is_refused),
        cmocka_unit_test(a_dry_run_counts_measures_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, train_clean);
}
