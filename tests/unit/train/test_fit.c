/* test_fit.c: the loop and what it promises: one mean whatever the cut into forwards, no leak between packed rows, the same bits on any
 * number of threads, steps that are not taken when numbers are not finite. */
#include "train_fixture.h"

static const char rows[] =
    "{\"prompt\":\"who is it\",\"completion\":\"the one\"}\n"
    "{\"prompt\":\"and then\",\"completion\":\"on and on and on and on until the end of the line is in sight again and again and the water is over it\"}\n"
    "{\"prompt\":\"or\",\"completion\":\"in the tank\"}\n"
    "{\"prompt\":\"is it in the other tank over there on the wall\",\"completion\":\"it is in it, and the user is on it\"}\n"
    "{\"prompt\":\"where\",\"completion\":\"a\"}\n";

struct setup {
    struct sooth_model *m;
    struct infer_parts parts;
    struct examples e;
    struct units units;
    struct adapt *adapt;
    struct learner *l;
};

static void setup(struct setup *s, const char *method, const struct learner_options *lo, double dropout, unsigned threads, bool pack)
{
    struct adapt_options o = {.method = method, .seed = 7, .dropout = dropout};
    struct learner_options plain;
    struct sooth_error err = {0};
    memset(s, 0, sizeof *s);
    learner_options_init(&plain);
    s->m = train_open(TINY, threads);
    s->parts = infer_parts(s->m);
    train_examples(&s->e, s->m, rows, (struct example_options){0});
    assert_true(units_make(&s->units, &s->e, pack, 256, 3));
    if (adapt_new(s->parts.arch, &o, &s->adapt, &err) != SOOTH_OK || learner_new(s->parts.arch, s->adapt, s->parts.pool, lo ? lo : &plain, &s->l, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
}

static void teardown(struct setup *s)
{
    learner_free(s->l);
    adapt_free(s->adapt);
    units_release(&s->units);
    examples_release(&s->e);
    sooth_model_close(s->m);
}

static struct loop_options quick(uint64_t steps, size_t batch, size_t accumulate)
{
    struct loop_options o;
    loop_options_init(&o);
    o.steps = steps;
    o.rate = 1e-2;
    o.batch = batch;
    o.accumulate = accumulate;
    return o;
}

static struct loop_result fit(struct setup *s, const struct loop_options *o)
{
    struct loop_result r;
    struct sooth_error err = {0};
    if (loop_run(s->l, &s->e, &s->units, NULL, o, &r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return r;
}

static float *weights(const struct setup *s)
{
    uint64_t n = adapt_parameters(s->adapt), at = 0;
    float *all = mem_array((size_t)n, sizeof *all);
    for (size_t i = 0; i < adapt_trained(s->adapt); i++) {
        size_t m = s->l->optimizer.items[i].n;
        memcpy(all + at, adapt_values(s->adapt, i), m * sizeof *all);
        at += m;
    }
    return all;
}

static void lesson_training_01_accumulation_divides_by_all_trained_tokens(void **state)
{
    static const size_t cuts[][2] = {{4, 1}, {1, 4}, {2, 2}};
    float *want = NULL;
    double loss = 0;
    for (size_t c = 0; c < 3; c++) { /* 5 rows: the second step of the epoch has one row, and is taken */
        struct setup s;
        setup(&s, "lora", NULL, 0, 1, false);
        struct loop_options o = quick(2, cuts[c][0], cuts[c][1]);
        struct loop_result r = fit(&s, &o);
        float *w = weights(&s);
        assert_int_equal(s.l->steps, 2);
        if (want) {
            assert_float_equal(r.loss, loss, 1e-6);
            for (size_t i = 0; i < adapt_parameters(s.adapt); i++)
                if (fabsf(w[i] - want[i]) > 1e-6f)
                    fail_msg("cut %zu: weight %zu differs by %g", c, i, (double)(w[i] - want[i]));
            mem_free(w);
        } else {
            want = w;
            loss = r.loss;
        }
        teardown(&s);
    }
    mem_free(want);
}

static double loss_of(struct setup *s, const size_t *which, size_t n, bool train)
{
    struct minibatch b;
    struct sooth_error err = {0};
    double loss;
    learner_batch(s->l, &b);
    for (size_t i = 0; i < n; i++)
        assert_true(minibatch_add(&b, &s->e.list.items[which[i]], 1));
    learner_clear(s->l);
    if (learner_nll(s->l, &b, train, 0, &loss, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    minibatch_release(&b);
    return loss;
}

static void lesson_training_11_packed_rows_do_not_see_each_other(void **state)
{
    struct setup s;
    setup(&s, "lora", NULL, 0, 1, false);
    const size_t ab[] = {0, 1}, cb[] = {2, 1}, b[] = {1};
    double together = loss_of(&s, ab, 2, false), other = loss_of(&s, cb, 2, false), alone = loss_of(&s, b, 1, false);
    assert_float_equal(together, loss_of(&s, (const size_t[]){0}, 1, false) + alone, 1e-4);
    assert_float_equal(other, loss_of(&s, (const size_t[]){2}, 1, false) + alone, 1e-4);
    /* B's log-probabilities keep their bits when A becomes C. */
    struct minibatch first, second;
    learner_batch(s.l, &first);
    learner_batch(s.l, &second);
    assert_true(minibatch_add(&first, &s.e.list.items[0], 1) && minibatch_add(&first, &s.e.list.items[1], 1));
    assert_true(minibatch_add(&second, &s.e.list.items[2], 1) && minibatch_add(&second, &s.e.list.items[1], 1));
    float *p[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        struct rows r = minibatch_rows(i ? &second : &first);
        run_begin(s.l->eval, &r);
        struct mat *y = arch_logprobs(s.parts.arch, s.l->eval, arch_hidden(s.parts.arch, s.l->eval));
        assert_int_equal(run_end(s.l->eval, NULL), SOOTH_OK);
        n[i] = y->rows;
        p[i] = mem_dup(y->v, y->rows * sizeof(float));
    }
    size_t count = s.e.list.items[1].trained;
    assert_memory_equal(p[0] + n[0] - count, p[1] + n[1] - count, count * sizeof(float));
    assert_int_equal(first.pos.items[first.token.count - 1] + 1, second.token.count - (s.e.list.items[2].n - 2)); /* positions restart */
    mem_free(p[0]), mem_free(p[1]);
    minibatch_release(&first);
    minibatch_release(&second);
    teardown(&s);
}

static void packing_fills_bins_and_trains_every_row_once(void **state)
{
    struct setup s;
    setup(&s, "lora", NULL, 0, 1, true);
    uint8_t seen[8] = {0};
    assert_int_equal(units_count(&s.units), 1); /* five short rows fit 256 tokens */
    units_release(&s.units);
    assert_true(units_make(&s.units, &s.e, true, 60, 3));
    assert_true(units_count(&s.units) > 1 && units_count(&s.units) < 5);
    for (size_t u = 0; u < units_count(&s.units); u++) {
        size_t tokens = 0, unit = units_at(&s.units, 4, u);
        for (size_t j = s.units.first.items[unit]; j < s.units.first.items[unit + 1]; j++) {
            seen[s.units.member.items[j]]++;
            tokens += s.e.list.items[s.units.member.items[j]].n;
        }
        assert_true(tokens <= 60 || s.units.first.items[unit + 1] - s.units.first.items[unit] == 1);
    }
    for (size_t i = 0; i < s.e.list.count; i++)
        assert_int_equal(seen[i], 1);
    teardown(&s);
}

static void the_order_is_the_seeds_and_new_every_epoch(void **state)
{
    struct setup s;
    struct units again;
    bool moved = false;
    setup(&s, "lora", NULL, 0, 1, false);
    assert_true(units_make(&again, &s.e, false, 256, 3));
    size_t later = units_at(&again, 9, 0);
    for (size_t e = 0; e < 10; e++)
        for (size_t i = 0; i < 5; i++) {
            moved |= units_at(&s.units, e, i) != units_at(&s.units, 0, i);
            size_t x = units_at(&s.units, e, i);
            assert_int_equal(x, units_at(&again, e, i));
        }
    assert_true(moved);
    assert_int_equal(later, units_at(&again, 9, 0));
    units_release(&again);
    teardown(&s);
}

static void threads_and_checkpointing_change_no_bit(void **state)
{
    float *want = NULL;
    for (unsigned threads = 1; threads <= 3; threads++)
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            struct setup s;
            struct learner_options lo;
            learner_options_init(&lo);
            lo.checkpoint = checkpoint;
            setup(&s, "lora", &lo, 0.2, threads, false);
            struct loop_options o = quick(4, 2, 2);
            fit(&s, &o);
            float *w = weights(&s);
            if (want)
                assert_memory_equal(w, want, adapt_parameters(s.adapt) * sizeof *w);
            if (want)
                mem_free(w);
            else
                want = w;
            teardown(&s);
        }
    mem_free(want);
}

static void lesson_training_15_checkpointed_gradients_are_equal_and_reach_everything(void **state)
{
    struct setup s[2];
    struct learner_options lo;
    const size_t all[] = {0, 1, 2, 3};
    learner_options_init(&lo);
    setup(&s[0], "lora", &lo, 0, 1, false);
    lo.checkpoint = true;
    setup(&s[1], "lora", &lo, 0, 1, false);
    for (int step = 0; step < 2; step++) {
        assert_true(loss_of(&s[0], all, 4, true) == loss_of(&s[1], all, 4, true));
        for (size_t i = 0; i < adapt_trained(s[0].adapt); i++) {
            const struct optimizer_item *a = &s[0].l->optimizer.items[i], *b = &s[1].l->optimizer.items[i];
            const char *name = adapt_weight(s[0].adapt, i)->name;
            double size = 0;
            assert_memory_equal(a->g, b->g, a->n * sizeof(float));
            for (size_t j = 0; j < a->n; j++)
                size += fabs((double)a->g[j]);
            if (strstr(name, "lora_b") || step) /* A moves once B has */
                assert_true(size > 0);
        }
        for (int k = 0; k < 2; k++) {
            double norm;
            bool taken;
            assert_int_equal(learner_step(s[k].l, 1e-2, &norm, &taken, NULL), SOOTH_OK);
            assert_true(taken);
        }
    }
    teardown(&s[0]);
    teardown(&s[1]);
}

static void lesson_training_13_the_base_stays_as_it_was(void **state)
{
    struct setup s;
    char before[65];
    setup(&s, "full", NULL, 0, 1, false);
    snprintf(before, sizeof before, "%s", sooth_model_fingerprint(s.m));
    double start = loss_of(&s, (const size_t[]){0, 1, 2, 3, 4}, 5, false);
    struct loop_options o = quick(10, 5, 1);
    fit(&s, &o);
    assert_true(loss_of(&s, (const size_t[]){0, 1, 2, 3, 4}, 5, false) < 0.9 * start);
    struct sooth_model *again = train_open(TINY, 1);
    assert_string_equal(before, sooth_model_fingerprint(again));
    struct infer_parts parts = infer_parts(again); /* in memory too: every weight as a fresh load has it */
    for (size_t i = 0; i < arch_weights(parts.arch); i++) {
        const struct qmat *a = &arch_weight_at(parts.arch, i)->weight->q, *b = &arch_weight_at(s.parts.arch, i)->weight->q;
        float x[512], y[512];
        for (size_t row = 0; row < a->rows; row++) {
            qmat_row(a, row, x);
            qmat_row(b, row, y);
            assert_memory_equal(x, y, a->cols * sizeof *x);
        }
    }
    sooth_model_close(again);
    teardown(&s);
}

/* ---- numbers that are not finite ---- */

struct trouble { uint64_t from, until; uint64_t calls; bool infinite_gradient; };

static enum sooth_status troubled(void *user, struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err)
{
    struct trouble *t = user;
    enum sooth_status status = learner_nll(l, b, train, draw, loss, err);
    bool now = train && t->calls >= t->from && t->calls < t->until;
    t->calls += train;
    if (now && t->infinite_gradient)
        ((float *)l->optimizer.items[0].g)[3] = INFINITY;
    else if (now)
        *loss = NAN;
    return status;
}

static void lesson_training_14_a_step_that_is_not_finite_is_not_taken(void **state)
{
    for (int gradient = 0; gradient < 2; gradient++) {
        struct setup s;
        struct trouble t = {.from = 3, .until = 6, .infinite_gradient = gradient};
        setup(&s, "lora", NULL, 0, 1, false);
        struct loop_options o = quick(10, 5, 1);
        o.loss = troubled;
        o.user = &t;
        struct loop_result r = fit(&s, &o);
        assert_int_equal(r.skipped, 3);
        assert_int_equal(s.l->steps, 7);
        float *w = weights(&s);
        for (size_t i = 0; i < adapt_parameters(s.adapt); i++)
            assert_true(isfinite(w[i]));
        mem_free(w);
        teardown(&s);
    }
    struct setup s;
    struct trouble t = {.from = 2, .until = 1000};
    struct sooth_error err = {0};
    struct loop_result r;
    setup(&s, "lora", NULL, 0, 1, false);
    struct loop_options o = quick(50, 5, 1);
    o.loss = troubled;
    o.user = &t;
    assert_int_equal(loop_run(s.l, &s.e, &s.units, NULL, &o, &r, &err), SOOTH_ERR_FORMAT);
    assert_non_null(strstr(err.text, "not finite in 10 steps"));
    assert_int_equal(s.l->steps, 2);
    teardown(&s);
}

static void a_batch_without_anything_trained_changes_nothing(void **state)
{
    struct setup s;
    struct minibatch b;
    double loss = 1;
    setup(&s, "lora", NULL, 0, 1, false);
    learner_batch(s.l, &b);
    learner_clear(s.l);
    assert_int_equal(learner_nll(s.l, &b, true, 0, &loss, NULL), SOOTH_OK);
    assert_true(loss == 0 && optimizer_grad_norm(&s.l->optimizer) == 0);
    minibatch_release(&b);
    teardown(&s);
}

/* Rows overfitted: the loss is near nothing, and greedy decoding gives each answer and its end. */
static void lesson_training_02_and_10_an_overfitted_model_answers_and_stops(void **state)
{
    struct setup s;
    setup(&s, "full", NULL, 0, 2, false);
    struct loop_options o = quick(150, 5, 1);
    struct loop_result r = fit(&s, &o);
    assert_true(r.loss < 0.05);
    for (size_t i = 0; i < s.e.list.count; i++) {
        const struct example *x = &s.e.list.items[i];
        int32_t ids[256];
        uint32_t pos[256], seq[256] = {0};
        size_t n = 0, first = 0;
        while (!x->train[first])
            first++;
        memcpy(ids, x->ids, first * sizeof *ids);
        for (n = first; n < x->n && !token_is_end(s.parts.tokenizer, ids[n - 1]) | (n == first); n++) {
            uint8_t want[256] = {0};
            want[n - 1] = 1;
            for (size_t j = 0; j < n; j++)
                pos[j] = (uint32_t)j;
            struct rows in = {.n = n, .token = ids, .pos = pos, .seq = seq, .want = want};
            run_begin(s.l->eval, &in);
            struct mat *y = arch_logits(s.parts.arch, s.l->eval, arch_hidden(s.parts.arch, s.l->eval));
            assert_int_equal(run_end(s.l->eval, NULL), SOOTH_OK);
            size_t best = 0;
            for (size_t j = 1; j < y->cols; j++)
                best = y->v[j] > y->v[best] ? j : best;
            ids[n] = (int32_t)best;
        }
        size_t last = x->n - 1;
        while (!x->train[last])
            last--;
        assert_int_equal(n, last + 1);
        assert_memory_equal(ids, x->ids, n * sizeof *ids);
        assert_true(token_is_end(s.parts.tokenizer, ids[n - 1]));
    }
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_training_01_accumulation_divides_by_all_trained_tokens),
        cmocka_unit_test(lesson_training_11_packed_rows_do_not_see_each_other),
        cmocka_unit_test(packing_fills_bins_and_trains_every_row_once),
        cmocka_unit_test(the_order_is_the_seeds_and_new_every_epoch),
        cmocka_unit_test(threads_and_checkpointing_change_no_bit),
        cmocka_unit_test(lesson_training_15_checkpointed_gradients_are_equal_and_reach_everything),
        cmocka_unit_test(lesson_training_13_the_base_stays_as_it_was),
        cmocka_unit_test(lesson_training_14_a_step_that_is_not_finite_is_not_taken),
        cmocka_unit_test(a_batch_without_anything_trained_changes_nothing),
        cmocka_unit_test(lesson_training_02_and_10_an_overfitted_model_answers_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
