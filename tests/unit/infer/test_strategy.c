/* test_strategy.c: decoding strategies against their formulas, worked out apart, and in generation on a tiny model. */
#include "tiny_model.h"
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "model/infer/sampler.h"
#include "model/infer/strategy.h"

static struct strategy make(const char *spec, size_t layers, struct sooth_sampling *sampling)
{
    struct strategy s;
    struct strategy_model m = {layers, true};
    struct sooth_error err = {0};
    if (strategy_init(&s, spec, &m, sampling, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return s;
}

static struct sooth_sampling warm(void)
{
    return (struct sooth_sampling){.temperature = 1, .top_p = 1, .repeat_penalty = 1};
}

static void softmax(const float *z, size_t n, double *p)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)z[i]);
    for (size_t i = 0; i < n; i++)
        sum += p[i] = exp((double)z[i] - max);
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
}

static void close_to(const double *p, const double *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(p[i] - want[i]) < 1e-6))
            fail_msg("number %zu is %.9g, not %.9g", i, p[i], want[i]);
}

/* ---- names and numbers ---- */

static void specs_are_read_and_bad_ones_named(void **state)
{
    static const struct { const char *spec, *word; } bad[] = {
        {"", "''"}, {"dolas", "'dolas'"}, {"cad:beta=1", "'beta'"}, {"cad:alpha", "'alpha'"}, {"cad:alpha=", "'alpha'"},
        {"cad:alpha=x", "'x'"}, {"cad:alpha=1x", "'1x'"}, {"cad:alpha=-1", "'-1'"}, {"cad:alpha=nan", "'nan'"},
        {"cad:alpha=1e999", "'1e999'"}, {"cad:", "''"}, {"greedy:a=1", "'a'"}, {"nucleus:floor=0.95", "floor"},
        {"cad:alpha=111111111111111111111111111111111111111111", "'alpha'"}};
    struct sooth_sampling p = warm();
    struct strategy_model m = {4, true};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct strategy s;
        struct sooth_error err = {0};
        assert_int_equal(strategy_init(&s, bad[i].spec, &m, &p, &err), SOOTH_ERR_ARG);
        if (!strstr(err.text, bad[i].word))
            fail_msg("'%s' does not name %s", err.text, bad[i].word);
    }
    struct strategy s = make("cad:gate=0,alpha=1.5", 4, &p);
    assert_true(s.p[0] == 1.5 && s.p[1] == 0);
    p.temperature = 0;
    assert_int_equal(strategy_init(&s, "nucleus", &m, &p, NULL), SOOTH_ERR_ARG); /* it would change nothing */
    p.temperature = 0.7;
    make("greedy", 4, &p);
    assert_true(p.temperature == 0);
    const char *note;
    for (size_t i = 0; strategy_name_at(i, &note); i++)
        assert_true(note[0]);
}

/* ---- context-aware decoding ---- */

static void cad_is_its_formula(void **state)
{
    static const float zc[3] = {2, 1, 0}, z0[3] = {3, 0, 0};
    static const double one[3] = {0.244728, 0.665241, 0.090031}, ada[3] = {1.949029, 1.050971, 0};
    struct sooth_sampling sampling = warm();
    struct strategy s = make("cad:alpha=1,gate=0", 4, &sampling);
    float z[3];
    double p[3];
    memcpy(z, zc, sizeof z);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = z0, .vocab = 3});
    softmax(z, 3, p);
    close_to(p, one, 3);
    assert_true(fabs((double)(z[1] - z[2]) - 2) < 1e-5 && fabs((double)(z[1] - z[0]) - 1) < 1e-5); /* [1, 2, 0] but for a constant */
    s = make("cad:adaptive=1,gate=0", 4, &sampling);
    memcpy(z, zc, sizeof z);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = z0, .vocab = 3});
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs((double)(z[i] - z[2]) - ada[i]) < 1e-5);
}

/* Close together: the logits stay as they are, to the bit; so they do with alpha 0. */
static void cad_gate_leaves_agreement_alone(void **state)
{
    static const float zc[3] = {2, 1, 0.1f}, near[3] = {2.1f, 1, 0}, far[3] = {-3, 4, 0};
    static const char *const still[] = {"cad", "cad:alpha=0,gate=0", "cad:alpha=0"};
    struct sooth_sampling sampling = warm();
    float z[3];
    for (size_t i = 0; i < 3; i++) {
        struct strategy s = make(still[i], 4, &sampling);
        memcpy(z, zc, sizeof z);
        s.row->combine(&s, &(struct strategy_view){.z = z, .other = near, .vocab = 3});
        assert_memory_equal(z, zc, sizeof z);
    }
    struct strategy s = make("cad", 4, &sampling);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = far, .vocab = 3});
    assert_true(memcmp(z, zc, sizeof z) != 0);
    s = make("cad:gate=0,plausible=0.5", 4, &sampling);
    memcpy(z, zc, sizeof z);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = far, .vocab = 3});
    assert_true(isfinite(z[0]) && z[1] == -INFINITY && z[2] == -INFINITY); /* e^-1 and less of the best */
}

/* ---- contrast ---- */

static void contrast_is_its_formula(void **state)
{
    struct sooth_sampling sampling = warm();
    struct strategy s = make("contrast:temperature=1", 4, &sampling);
    float expert[4] = {1, 3, 2.5f, -4}, amateur[4] = {1, 3, 1, 0}, z[4];
    double pe[4], pa[4];
    softmax(expert, 4, pe);
    softmax(amateur, 4, pa);
    memcpy(z, expert, sizeof z);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = amateur, .vocab = 4});
    for (size_t i = 0; i < 4; i++) {
        double want = pe[i] >= 0.1 * pe[1] ? log(pe[i]) - log(pa[i]) : -INFINITY;
        assert_true(isfinite(want) ? fabs((double)z[i] - want) < 2e-5 : z[i] == -INFINITY);
    }
    assert_true(z[2] > z[1]); /* what the amateur did not see */
    memcpy(z, expert, sizeof z); /* against itself: the expert's own favourite */
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = expert, .vocab = 4});
    assert_true(z[1] > z[2] && fabsf(z[1] - z[2]) < 1e-5f && z[0] > -INFINITY && z[3] == -INFINITY);
    s = make("contrast:beta=0.5", 4, &sampling);
    memcpy(z, expert, sizeof z);
    s.row->combine(&s, &(struct strategy_view){.z = z, .other = amateur, .vocab = 4});
    assert_true(fabs((double)(z[2] - z[1]) - (1.5 * (double)(expert[2] - expert[1]) - 0.5 * (double)(amateur[2] - amateur[1]))) < 1e-5);
}

/* ---- layers ---- */

static void logs(const double *p, float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = (float)log(p[i]);
}

static void dola_chooses_and_contrasts_as_the_paper_says(void **state)
{
    static const double qn[4] = {.03, .33, .32, .32}, q1[4] = {.10, .39, .01, .50}, q2[4] = {.01, .08, .08, .83};
    float z[4], exits[8];
    struct sooth_sampling sampling = warm();
    logs(qn, z, 4);
    logs(q1, exits, 4);
    logs(q2, exits + 4, 4);
    assert_true(fabs(strategy_jsd(z, logprob_norm(z, 4), exits, logprob_norm(exits, 4), 4) - 0.113115) < 1e-6);
    assert_true(fabs(strategy_jsd(z, logprob_norm(z, 4), exits + 4, logprob_norm(exits + 4, 4), 4) - 0.140640) < 1e-6);
    for (unsigned reference = 0; reference < 2; reference++) { /* the reference's other divergence picks the other layer */
        struct strategy s = make(reference ? "dola:reference=1" : "dola", 8, &sampling);
        const double *m = reference ? q1 : q2;
        s.n_layers = 2;
        logs(qn, z, 4);
        s.row->combine(&s, &(struct strategy_view){.z = z, .exits = exits, .vocab = 4});
        assert_true(z[0] == -INFINITY); /* .03 is under a tenth of .33 */
        for (size_t i = 1; i < 4; i++)
            assert_true(fabs((double)z[i] - (log(qn[i]) - log(m[i]))) < 1e-5);
    }
    struct strategy s = make("dola", 8, &sampling);
    s.n_layers = 1;
    logs(qn, z, 4);
    s.row->combine(&s, &(struct strategy_view){.z = z, .exits = memcpy(exits, z, sizeof z), .vocab = 4});
    assert_true(fabsf(z[1]) < 1e-6f && fabsf(z[2]) < 1e-6f && fabsf(z[3]) < 1e-6f); /* against itself: constant */
}

static void dola_candidates_are_every_second_block(void **state)
{
    static const struct { const char *spec; size_t layers, n; unsigned first, last; } cases[] = {
        {"dola:high=0", 30, 7, 2, 14}, {"dola", 30, 8, 15, 29}, {"dola:high=0", 18, 4, 2, 8}, {"dola", 18, 5, 9, 17},
        {"dola", 80, 10, 60, 78}, {"dola:high=0", 80, 9, 2, 18}, {"dola", 1, 1, 0, 0}, {"dola", 2, 1, 1, 1}};
    struct sooth_sampling sampling = warm();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strategy s = make(cases[i].spec, cases[i].layers, &sampling);
        assert_int_equal(s.n_layers, cases[i].n);
        assert_int_equal(s.layers[0], cases[i].first);
        assert_int_equal(s.layers[s.n_layers - 1], cases[i].last);
    }
}

/* ---- nucleus ---- */

static double dial(struct strategy *s, struct sampler *sampler, const char *text)
{
    s->row->before(s, sampler, text, strlen(text));
    return sampler->p.top_p;
}

static void nucleus_tightens_and_starts_anew(void **state)
{
    static const double schedule[] = {0.9, 0.81, 0.729, 0.6561, 0.59049, 0.531441, 0.478297, 0.430467, 0.387420, 0.348678, 0.313811, 0.3, 0.3};
    struct sooth_sampling sampling = warm();
    struct strategy s = make("nucleus", 4, &sampling);
    struct sampler sampler = {.p = sampling};
    char text[128] = "";
    assert_true(sampling.top_p == 0.9);
    for (size_t i = 0; i < sizeof schedule / sizeof *schedule; i++) {
        assert_true(fabs(dial(&s, &sampler, text) - schedule[i]) < 1e-6);
        strcat(text, " a");
    }
    strcat(text, ".");
    assert_true(fabs(dial(&s, &sampler, text) - 0.9) < 1e-6);
    strcat(text, " It is 3.");
    assert_true(dial(&s, &sampler, text) > 0.8); /* the new sentence's second token */
    strcat(text, "14");
    assert_true(dial(&s, &sampler, text) < 0.75); /* a decimal point ends nothing */
    strcat(text, " in 1990. He"); /* seen only now: one token of the next sentence is through */
    assert_true(fabs(dial(&s, &sampler, text) - 0.81) < 1e-6);
    strcat(text, " said \"no!\"");
    assert_true(fabs(dial(&s, &sampler, text) - 0.9) < 1e-6);
    strcat(text, "好。");
    assert_true(fabs(dial(&s, &sampler, text) - 0.9) < 1e-6);
    strcat(text, " x\n");
    assert_true(fabs(dial(&s, &sampler, text) - 0.9) < 1e-6);
}

/* ---- in generation ---- */

static const char question[] = "the water in the tank is on the line";
static const char with_context[] = "the tank is over there and the note on the wall is read again. the water in the tank is on the line";

static void neutral_settings_are_plain_decoding_to_the_bit(void **state)
{
    static const struct { const char *spec; double temperature, top_p; } cases[] = {
        {"cad:alpha=0,gate=0", 0, 1}, {"cad:alpha=0,gate=0", 1, 1}, {"greedy", 0, 1}, {"nucleus:p=0.9,decay=1", 1, 0.9}, {"nucleus:floor=0.9", 1, 0.9}};
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_prompt p = tiny_text(with_context), without = tiny_text(question);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sooth_generate_options o = tiny_options(30);
        struct sooth_generation plain, got;
        o.sampling.temperature = cases[i].temperature;
        o.sampling.top_p = cases[i].top_p;
        o.sampling.seed = 5;
        tiny_generate(m, &p, &o, &plain);
        o.strategy = cases[i].spec;
        o.sampling.top_p = 1;
        o.without = &without;
        tiny_generate(m, &p, &o, &got);
        tiny_same(&plain, &got);
        sooth_generation_release(&plain);
        sooth_generation_release(&got);
    }
    sooth_model_close(m);
}

/* The first token of each strategy, from logits that are read another way. */
static void generation_brings_what_a_strategy_asks_for(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 2), *same = tiny_open("infer/tiny-llama.gguf", 0, 1);
    struct sooth_prompt p = tiny_text(with_context), without = tiny_text(question);
    struct sooth_generate_options o = tiny_options(25);
    struct sooth_generation plain, g;
    tiny_generate(m, &p, &o, &plain);
    o.strategy = "contrast:temperature=1";
    o.amateur = same; /* as good as the expert: nothing changes */
    tiny_generate(m, &p, &o, &g);
    assert_memory_equal(g.ids, plain.ids, plain.n_tokens * sizeof *g.ids);
    sooth_generation_release(&g);
    o.strategy = "contrast";
    tiny_generate(m, &p, &o, &g);
    assert_true(g.n_tokens > 0);
    sooth_generation_release(&g);
    o.strategy = "cad:gate=0,alpha=1";
    o.without = &p; /* no difference between the prompts: p^2 / p */
    tiny_generate(m, &p, &o, &g);
    assert_memory_equal(g.ids, plain.ids, plain.n_tokens * sizeof *g.ids);
    sooth_generation_release(&g);
    o.without = &without;
    tiny_generate(m, &p, &o, &g);
    assert_true(g.n_tokens != plain.n_tokens || memcmp(g.ids, plain.ids, plain.n_tokens * sizeof *g.ids) != 0);
    sooth_generation_release(&g);
    o.strategy = "dola";
    tiny_generate(m, &p, &o, &g);
    assert_true(g.n_tokens > 0);
    sooth_generation_release(&g);
    sooth_generation_release(&plain);
    sooth_model_close(same);
    sooth_model_close(m);
}

static void what_is_missing_is_said(void **state)
{
    struct sooth_model *m = tiny_open("infer/tiny-llama.gguf", 0, 1), *encoder = tiny_open("infer/tiny-bert", 0, 1);
    struct sooth_session *s;
    struct sooth_generation g;
    struct sooth_error err = {0};
    struct sooth_generate_options o = tiny_options(4);
    assert_int_equal(sooth_session_new(m, &s, NULL), SOOTH_OK);
    o.strategy = "cad";
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_ERR_ARG);
    o.strategy = "contrast";
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_ERR_ARG);
    o.amateur = encoder;
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "do not share a vocabulary"));
    o.strategy = NULL;
    assert_int_equal(sooth_complete(s, "x", 1, &o, &g, &err), SOOTH_OK); /* and it still works */
    sooth_generation_release(&g);
    sooth_session_free(s);
    sooth_model_close(encoder);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_read_and_bad_ones_named),
        cmocka_unit_test(cad_is_its_formula),
        cmocka_unit_test(cad_gate_leaves_agreement_alone),
        cmocka_unit_test(contrast_is_its_formula),
        cmocka_unit_test(dola_chooses_and_contrasts_as_the_paper_says),
        cmocka_unit_test(dola_candidates_are_every_second_block),
        cmocka_unit_test(nucleus_tightens_and_starts_anew),
        cmocka_unit_test(neutral_settings_are_plain_decoding_to_the_bit),
        cmocka_unit_test(generation_brings_what_a_strategy_asks_for),
        cmocka_unit_test(what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
