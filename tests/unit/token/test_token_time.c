/* test_token_time.c: every family on long runs of one class of characters: linear time, bounded stack. */
#include <math.h>
#include <pthread.h>
#include <time.h>
#include "small_vocab.h"

enum { SIZE = 1 << 18 };

static const char *const classes[] = {"a", "1", " ", "\n", "!", "中", "\xCC\x81", "\xC3\xA9", "ab ", "1 a!", "'s", "\r\n ", "\xFF", "aaab"};

static double encode_seconds(const struct tokenizer *t, const char *text, size_t len)
{
    struct timespec a, b;
    struct token_ids ids = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    if (token_encode_text(t, text, len, 0, &ids, NULL))
        abort();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    vec_free(&ids);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

struct timing { const struct tokenizer *t; const char *text; double ratio; };

/* Ratio of the best of a few tries each: what others do to this machine only ever makes a try longer. */
static void *measure(void *user)
{
    struct timing *m = user;
    double one = 1e9, two = 1e9;
    m->ratio = 1e9;
    for (int i = 0; i < 16 && m->ratio >= 2.3; i++) {
        one = fmin(one, encode_seconds(m->t, m->text, SIZE));
        two = fmin(two, encode_seconds(m->t, m->text, 2 * SIZE));
        m->ratio = two / one;
    }
    return NULL;
}

static void check_linear(struct small_vocab *v, const char *name)
{
    struct tokenizer *t = small_open(v);
    char *text = mem_alloc(2 * SIZE);
    pthread_attr_t attr;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 256 << 10), 0);
    for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
        struct timing m = {t, text, 0};
        size_t len = strlen(classes[c]);
        pthread_t thread;
        for (size_t i = 0; i < 2 * SIZE; i++)
            text[i] = classes[c][i % len];
        assert_int_equal(pthread_create(&thread, &attr, measure, &m), 0);
        pthread_join(thread, NULL);
        double load = 0;
        if (m.ratio >= 2.3 && getloadavg(&load, 1) == 1 && load > 4)
            print_message("SKIP %s: the machine is too busy to measure (load %.1f)\n", name, load);
        else if (m.ratio >= 2.3)
            fail_msg("%s, runs of '%s': time grows %.2f times for twice the text", name, classes[c], m.ratio);
    }
    pthread_attr_destroy(&attr);
    mem_free(text);
    small_release(v, t);
}

static void lesson_serving_17_linear_bpe(void **state)
{
    static const char *const rules[] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "deepseek-llm", "deepseek-v3"};
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct small_vocab v;
        small_bpe(&v, rules[i]);
        check_linear(&v, rules[i]);
    }
}

static void lesson_serving_17_linear_spm(void **state)
{
    struct small_vocab v;
    (void)state;
    small_spm(&v);
    check_linear(&v, "spm");
    small_spm(&v);
    small_add(&v, "a\xE2\x96\x81", TOKEN_NORMAL, -50); /* a piece across words: the whole text is one heap */
    v.s.n_scores = v.s.n_types = v.s.n;
    check_linear(&v, "spm in one piece");
}

static void lesson_serving_17_linear_wordpiece(void **state)
{
    struct small_vocab v;
    (void)state;
    small_wordpiece(&v);
    check_linear(&v, "wordpiece");
}

static void lesson_serving_17_linear_unigram(void **state)
{
    struct small_vocab v;
    (void)state;
    small_unigram(&v);
    check_linear(&v, "unigram");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_17_linear_bpe), cmocka_unit_test(lesson_serving_17_linear_spm),
        cmocka_unit_test(lesson_serving_17_linear_wordpiece), cmocka_unit_test(lesson_serving_17_linear_unigram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
