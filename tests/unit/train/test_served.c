/* test_served.c: what training measures is what serving says: over a quantized base, with what was learnt worn by a session. */
#include "train_fixture.h"
#include "sooth/quantize.h"

static const char rows[] = "{\"prompt\":\"who is it\",\"completion\":\" the one\"}\n{\"prompt\":\"and then\",\"completion\":\" on and on until the end\"}\n";
static const char prompt[] = "who is it", answer[] = " the one";

/* The answer's mean log-probability as a session with the adapter scores it, without its end token. */
static double served(struct sooth_model *m, const char *adapter, size_t *n)
{
    struct sooth_session *s;
    struct sooth_adapter *a;
    struct sooth_error err = {0};
    float *p;
    double sum = 0;
    if (sooth_session_new(m, &s, &err) != SOOTH_OK || sooth_adapter_open(m, adapter, 1, &a, &err) != SOOTH_OK || sooth_session_wear(s, &a, 1, &err) != SOOTH_OK ||
        sooth_score(s, prompt, strlen(prompt), answer, strlen(answer), &p, n, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < *n; i++)
        sum += (double)p[i];
    sooth_free(p);
    sooth_session_free(s);
    sooth_adapter_close(a);
    return sum / (double)*n;
}

static void lesson_training_10_training_loss_is_minus_the_served_log_probability(void **state)
{
    static const char *const types[] = {"q8_0", "q4_0"}, *const methods[] = {"lora", "dora", "prompt", "prefix"};
    static char data[1024], base[1024], out[1024];
    snprintf(data, sizeof data, "%s", train_path("rows.jsonl"));
    train_write(data, rows);
    for (size_t t = 0; t < 2; t++)
        for (size_t k = 0; k < 4; k++) {
            struct sooth_quantize_options q = {.type = types[t]};
            struct sooth_tune_options o;
            struct sooth_error err = {0};
            char name[64];
            snprintf(base, sizeof base, "%s", train_path(types[t]));
            strcat(base, ".gguf");
            if (!file_exists(base) && sooth_quantize(TINY, base, &q, NULL, &err) != SOOTH_OK)
                fail_msg("%s", err.text);
            snprintf(name, sizeof name, "%s-%s", types[t], methods[k]);
            snprintf(out, sizeof out, "%s", train_path(name));
            sooth_tune_options_init(&o);
            o.model = base, o.data = data, o.method = methods[k], o.layout = "plain";
            o.train.out = out, o.train.steps = 5, o.train.rate = 1e-2, o.train.threads = 1;
            if (sooth_tune(&o, NULL, NULL, &err) != SOOTH_OK)
                fail_msg("%s: %s", name, err.text);
            struct sooth_model *m = train_open(base, 1);
            struct infer_parts parts = infer_parts(m);
            struct examples e;
            struct adapt *a;
            struct learner *l;
            struct learner_options lo;
            struct minibatch b;
            double loss;
            size_t n;
            double want = served(m, out, &n);
            train_examples(&e, m, rows, (struct example_options){.layout = LAYOUT_PLAIN});
            struct example x = e.list.items[0]; /* without the end token, which scoring a text does not add */
            x.train[x.n - 1] = 0;
            learner_options_init(&lo);
            if (adapt_open(out, parts.arch, NULL, &a, &err) != SOOTH_OK || adapt_settle(a, &err) != SOOTH_OK ||
                learner_new(parts.arch, a, parts.pool, &lo, &l, &err) != SOOTH_OK)
                fail_msg("%s: %s", name, err.text);
            learner_batch(l, &b);
            assert_true(minibatch_add(&b, &x, 1.0f / (float)n));
            assert_int_equal(b.trained, n);
            assert_int_equal(learner_nll(l, &b, true, 0, &loss, &err), SOOTH_OK);
            if (fabs(loss + want) > 1e-4)
                fail_msg("%s: trained at %.6f, served at %.6f", name, loss, -want);
            minibatch_release(&b);
            learner_free(l);
            adapt_free(a);
            examples_release(&e);
            sooth_model_close(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_training_10_training_loss_is_minus_the_served_log_probability),
    };
    return cmocka_run_group_tests(tests, NULL, train_clean);
}
