/* test_embed.c: sentence and token vectors: alone as in company, and as the reference programs give
 * them. */
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
#include "sooth/model.h"

static const char *const texts[] = {
    /* as in tools/golden/embed.py */
    "How do I reset the pressure gauge?",
    "The tank holds 1.5 litres; never fill it above the red mark.",
    "Paris is the capital of France.",
    "水箱的容量是1.5升，请勿超过红线。",
    "a",
    "Naïve café: the résumé, coöperate & 3,141.59 — it's “quoted”…  twice   spaced\tand tabbed. "
    "Naïve café: the résumé, coöperate & 3,141.59 — it's “quoted”…  twice   spaced\tand tabbed. "
    "Naïve café: the résumé, coöperate & 3,141.59 — it's “quoted”…  twice   spaced\tand tabbed. ",
};
enum { TEXTS = 6, DIM = 384 };

static const char *path_of(const char *root, const char *fallback, const char *name)
{
    static char path[2048];
    const char *base = getenv(root);
    snprintf(path, sizeof path, "%s/%s", base ? base : fallback, name);
    return path;
}
static const char *golden(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/tests/golden/infer/%s", getenv("SOOTH_SOURCE"), name);
    return path;
}

static struct sooth_model *open_model(const char *path, const char *compute, unsigned threads)
{
    struct sooth_model *m;
    struct sooth_error err = {0};
    struct sooth_model_options o = {.threads = threads, .compute = compute};
    if (sooth_model_open(path, &o, &m, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    return m;
}

static double cosine(const float *a, const float *b, size_t n)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

static void read_golden(const char *name, float out[TEXTS][DIM])
{
    FILE *f = fopen(golden(name), "r");
    assert_non_null(f);
    for (size_t i = 0; i < TEXTS * DIM; i++)
        assert_int_equal(fscanf(f, "%f", &out[i / DIM][i % DIM]), 1);
    fclose(f);
}

static struct sooth_model *installed(const char *name, const char *compute)
{
    char models[1024];
    snprintf(models, sizeof models, "%s/models", getenv("SOOTH_SOURCE"));
    const char *path = path_of("SOOTH_MODELS", models, name);
    if (access(path, R_OK) != 0) {
        print_message("[  SKIPPED ] no model '%s'\n", path);
        return NULL;
    }
    return open_model(path, compute, 2);
}

static void lesson_serving_24_minilm_is_like_the_reference(void **state)
{
    static float want[TEXTS][DIM], got[TEXTS][DIM];
    static const struct {
        const char *compute;
        double least;
    } cases[] = {{"f32", 0.9999}, {"bf16", 0.9999}, {"auto", 0.999}};
    read_golden("minilm.txt", want);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct sooth_model *m = installed("minilm", cases[c].compute);
        if (!m)
            skip();
        assert_string_equal(sooth_model_info(m)->pooling, "mean");
        assert_int_equal(sooth_embed_limit(m), 256);
        assert_string_equal(sooth_embed_prefix(m, SOOTH_EMBED_QUERY), "");
        assert_int_equal(
            sooth_embed(m, SOOTH_EMBED_PASSAGE, texts, NULL, TEXTS, got[0], NULL, NULL), SOOTH_OK);
        for (size_t i = 0; i < TEXTS; i++)
            if (!(cosine(got[i], want[i], DIM) >= cases[c].least))
                fail_msg("text %zu with %s: cosine %.6f", i, cases[c].compute,
                         cosine(got[i], want[i], DIM));
        sooth_model_close(m);
    }
}

static void lesson_serving_24_e5_is_like_its_own_program(void **state)
{
    static float want[TEXTS][DIM], got[DIM];
    read_golden("e5.txt", want);
    struct sooth_model *m = installed("e5-small-q4.bin", "auto");
    if (!m)
        m = installed("e5.gguf", "auto");
    if (!m)
        skip();
    assert_string_equal(sooth_model_info(m)->pooling, "mean");
    assert_string_equal(sooth_embed_prefix(m, SOOTH_EMBED_QUERY), "query: ");
    assert_string_equal(sooth_embed_prefix(m, SOOTH_EMBED_PASSAGE), "passage: ");
    for (size_t i = 0; i < TEXTS; i++) {
        assert_int_equal(sooth_embed(m, i % 2 ? SOOTH_EMBED_PASSAGE : SOOTH_EMBED_QUERY, &texts[i],
                                     NULL, 1, got, NULL, NULL),
                         SOOTH_OK);
        if (!(cosine(got, want[i], DIM) >= 0.999))
            fail_msg("text %zu: cosine %.6f", i, cosine(got, want[i], DIM));
    }
    sooth_model_close(m);
}

static const char *const small[] = {
    "the tank is full of water",
    "open the valve",
    "a",
    "",
    "水箱 is full, 阀门 open!",
    "the the the the the the the the tank",
    "zzz",
};
enum { SMALL = 7, SMALL_DIM = 32 };

static void company_and_threads_change_no_bit(void **state)
{
    struct sooth_model *m = open_model(golden("tiny-bert"), "f32", 1),
                       *two = open_model(golden("tiny-bert"), "f32", 2);
    float alone[SMALL][SMALL_DIM], batch[300 * SMALL_DIM];
    const char *many[300];
    assert_int_equal(sooth_embed_dim(m), SMALL_DIM);
    for (size_t i = 0; i < SMALL; i++)
        assert_int_equal(
            sooth_embed(m, SOOTH_EMBED_PASSAGE, &small[i], NULL, 1, alone[i], NULL, NULL),
            SOOTH_OK);
    for (size_t i = 0; i < 300; i++)
        many[i] = small[i * 5 % SMALL];
    assert_int_equal(sooth_embed(two, SOOTH_EMBED_PASSAGE, many, NULL, 300, batch, NULL, NULL),
                     SOOTH_OK);
    for (size_t i = 0; i < 300; i++)
        assert_memory_equal(batch + i * SMALL_DIM, alone[i * 5 % SMALL], sizeof alone[0]);
    for (size_t i = 0; i < SMALL; i++)
        assert_true(fabs(cosine(alone[i], alone[i], SMALL_DIM) - 1) < 1e-6 &&
                    fabs((double)alone[i][0]) <= 1);
    sooth_model_close(m);
    sooth_model_close(two);
}

static void long_texts_are_cut_and_counted(void **state)
{
    struct sooth_model *m = open_model(golden("tiny-bert"), "f32", 1);
    char text[400] = "", same[400] = "";
    float v[3][SMALL_DIM];
    size_t cut;
    assert_int_equal(sooth_embed_limit(m),
                     48); /* of the sentence configuration, below the 64 positions */
    for (size_t i = 0; i < 46; i++)
        strcat(same, "the ");
    strcat(strcpy(text, same), "tank is full");
    const char *both[] = {text, same, "tank"};
    assert_int_equal(sooth_embed(m, SOOTH_EMBED_PASSAGE, both, NULL, 3, v[0], &cut, NULL),
                     SOOTH_OK);
    assert_int_equal(cut, 1);
    assert_memory_equal(v[0], v[1], sizeof v[0]); /* the end token is kept */
    sooth_model_close(m);
}

static void token_vectors_know_their_bytes(void **state)
{
    struct sooth_model *m = open_model(golden("tiny-bert"), "f32", 1);
    struct sooth_token_vectors v;
    const char *text = "The tank, opened 水箱";
    static const char *const pieces[] = {"The", "tank", ",", "open", "ed", "水", "箱"};
    assert_int_equal(sooth_embed_tokens(m, SOOTH_EMBED_PASSAGE, text, strlen(text), &v, NULL),
                     SOOTH_OK);
    assert_int_equal(v.count, 7);
    assert_int_equal(v.dim, SMALL_DIM);
    for (size_t i = 0; i < v.count; i++) {
        assert_int_equal(v.end[i] - v.start[i], strlen(pieces[i]));
        assert_memory_equal(text + v.start[i], pieces[i], strlen(pieces[i]));
        double norm = 0;
        for (size_t j = 0; j < v.dim; j++)
            norm += (double)v.vectors[i * v.dim + j] * (double)v.vectors[i * v.dim + j];
        assert_true(fabs(norm - 1) < 1e-5);
    }
    sooth_token_vectors_release(&v);
    assert_int_equal(sooth_embed_tokens(m, SOOTH_EMBED_PASSAGE, "", 0, &v, NULL), SOOTH_OK);
    assert_int_equal(v.count, 0);
    sooth_token_vectors_release(&v);
    sooth_model_close(m);
}

static void rerank_is_the_mean_of_best_cosines(void **state)
{
    struct sooth_model *m = open_model(golden("tiny-bert"), "f32", 2);
    const char *query = "open the valve";
    float scores[SMALL];
    struct sooth_token_vectors q, d;
    assert_int_equal(sooth_rerank(m, query, strlen(query), small, NULL, SMALL, scores, NULL),
                     SOOTH_OK);
    assert_int_equal(sooth_embed_tokens(m, SOOTH_EMBED_QUERY, query, strlen(query), &q, NULL),
                     SOOTH_OK);
    for (size_t p = 0; p < SMALL; p++) {
        double sum = 0;
        assert_int_equal(
            sooth_embed_tokens(m, SOOTH_EMBED_PASSAGE, small[p], strlen(small[p]), &d, NULL),
            SOOTH_OK);
        for (size_t i = 0; i < q.count; i++) {
            double best = -1;
            for (size_t j = 0; j < d.count; j++)
                best = fmax(best, cosine(q.vectors + i * q.dim, d.vectors + j * d.dim, q.dim));
            sum += best;
        }
        assert_true(fabs((double)scores[p] - sum / (double)q.count) < 1e-4);
        sooth_token_vectors_release(&d);
    }
    assert_true(scores[1] > 0.9999f); /* the query itself */
    sooth_token_vectors_release(&q);
    sooth_model_close(m);
}

static void fingerprints_name_the_model(void **state)
{
    struct sooth_model *a = open_model(golden("tiny-bert"), "f32", 1),
                       *b = open_model(golden("tiny-bert"), "int8", 2),
                       *c = open_model(golden("tiny-llama.gguf"), NULL, 1);
    assert_int_equal(strlen(sooth_model_fingerprint(a)), 64);
    assert_string_equal(sooth_model_fingerprint(a), sooth_model_fingerprint(b));
    assert_string_not_equal(sooth_model_fingerprint(a), sooth_model_fingerprint(c));
    sooth_model_close(a);
    sooth_model_close(b);
    sooth_model_close(c);
}

static void models_that_do_not_embed_say_so(void **state)
{
    struct sooth_model *m = open_model(golden("tiny-llama.gguf"), NULL, 1);
    struct sooth_error err = {0};
    struct sooth_session *s;
    float v[64];
    assert_int_equal(sooth_embed(m, SOOTH_EMBED_QUERY, small, NULL, 1, v, NULL, &err),
                     SOOTH_ERR_UNSUPPORTED);
    assert_int_equal(sooth_embed_dim(m), 0);
    sooth_model_close(m);
    m = open_model(golden("tiny-bert"), NULL, 1);
    assert_int_equal(sooth_session_new(m, &s, &err), SOOTH_ERR_UNSUPPORTED);
    assert_null(s);
    sooth_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_serving_24_minilm_is_like_the_reference),
        cmocka_unit_test(lesson_serving_24_e5_is_like_its_own_program),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(long_texts_are_cut_and_counted),
        cmocka_unit_test(token_vectors_know_their_bytes),
        cmocka_unit_test(rerank_is_the_mean_of_best_cosines),
        cmocka_unit_test(fingerprints_name_the_model),
        cmocka_unit_test(models_that_do_not_embed_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
