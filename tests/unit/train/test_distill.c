/* test_distill.c: the student comes to think what the teacher thinks; nothing to learn from a copy of oneself. */
#include "train_fixture.h"

static const char poem[] = "The river runs over the stones and the stones lie under the river. The rain runs into the river and the river runs into the sea.\n";

/* A model of random numbers from a seed; the tokenizer is the text's, so the same for every seed. */
static const char *made(const char *name, uint64_t seed)
{
    static char out[2][1024], data[1024];
    static int turn;
    const char *list = data;
    struct sooth_pretrain_options o;
    struct sooth_error err = {0};
    turn ^= 1;
    snprintf(data, sizeof data, "%s", train_path("poem.txt"));
    snprintf(out[turn], sizeof out[turn], "%s", train_path(name));
    train_write(data, poem);
    sooth_pretrain_options_init(&o);
    o.data = &list, o.n_data = 1, o.valid = data, o.vocab = 290;
    o.train.out = out[turn], o.train.steps = 40, o.train.rate = 5e-3, o.train.seed = seed, o.train.threads = 1, o.train.seq = 64;
    if (sooth_pretrain(&o, NULL, NULL, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return out[turn];
}

static double taught(const char *teacher, const char *student, const char *out, uint64_t steps, double share, struct sooth_train_result *r)
{
    static char rows[1024];
    struct sooth_distill_options o;
    struct sooth_error err = {0};
    snprintf(rows, sizeof rows, "%s", train_path("rows.jsonl"));
    train_write(rows, "{\"text\":\"The rain lies over the stones and the sea.\"}\n{\"text\":\"The stones run into the rain.\"}\n");
    sooth_distill_options_init(&o);
    o.tune.model = student, o.tune.data = rows, o.tune.method = "full", o.teacher = teacher, o.share = share;
    o.tune.train.out = out, o.tune.train.steps = steps, o.tune.train.rate = 3e-3, o.tune.train.threads = 1;
    if (sooth_distill(&o, NULL, r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return r->loss;
}

static void a_student_becomes_like_its_teacher(void **state)
{
    char teacher[1024], student[1024];
    struct sooth_train_result r;
    snprintf(teacher, sizeof teacher, "%s", made("teacher", 1));
    snprintf(student, sizeof student, "%s", made("student", 2));
    double same = taught(teacher, teacher, train_path("copy"), 1, 1, &r); /* equal but for the arithmetic of the two forwards */
    double before = taught(teacher, student, train_path("first"), 1, 1, &r), after = taught(teacher, student, train_path("long"), 60, 1, &r);
    assert_true(same < 0.02 * before);
    assert_true(after < 0.2 * before);
    double mixed = taught(teacher, student, train_path("mixed"), 1, 0.5, &r); /* half of it is the rows' own loss */
    assert_true(mixed > 0.5 * before);
}

static void another_vocabulary_is_refused(void **state)
{
    struct sooth_distill_options o;
    struct sooth_error err = {0};
    static char rows[1024];
    snprintf(rows, sizeof rows, "%s", train_path("rows.jsonl"));
    sooth_distill_options_init(&o);
    o.tune.model = TINY, o.tune.data = rows, o.teacher = train_path("teacher");
    o.tune.train.out = train_path("no");
    assert_int_equal(sooth_distill(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "same vocabulary"));
    o.teacher = NULL;
    assert_int_equal(sooth_distill(&o, NULL, NULL, &err), SOOTH_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_student_becomes_like_its_teacher),
        cmocka_unit_test(another_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, train_clean);
}
