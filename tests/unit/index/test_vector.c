/* Packed vectors and the exact search. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "know/index/index.h"

enum { DIM = 48, N = 1200 };

static char dir[64];
static float vectors[N][DIM];

static void unit_vector(struct rng *r, float *v)
{
    double sum = 0;
    for (int i = 0; i < DIM; i++) {
        v[i] = rng_normal(r);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIM; i++)
        v[i] /= (float)sqrt(sum);
}

/* N passages of one character each. */
static struct store *filled(void)
{
    struct store *s;
    struct rng r;
    static unsigned char packed[N][4 + 3 * DIM];
    static struct store_chunk chunks[N];
    static char text[N + 1];
    const struct store_embedder e = {"test", "0123", "cosine", "", "", DIM, 64};
    const struct store_document d = {
        .doc = "d", .hash = "h", .parse = "", .text = text, .text_len = N};
    strcpy(dir, "/tmp/sooth-vector-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(dir, STORE_CREATE, &s, NULL), SOOTH_OK);
    assert_int_equal(store_embedder_set(s, &e, false, NULL), SOOTH_OK);
    rng_seed(&r, 11);
    for (int i = 0; i < N; i++) {
        text[i] = (char)('a' + i % 26);
        unit_vector(&r, vectors[i]);
        assert_true(vector_pack(vectors[i], DIM, packed[i]));
        chunks[i] = (struct store_chunk){.start = (size_t)i,
                                         .end = (size_t)i + 1,
                                         .heading = "",
                                         .context = text + i,
                                         .context_len = 1,
                                         .vector = packed[i]};
        store_hash(text + i, 1, chunks[i].hash);
        chunks[i].hash[0] = (unsigned char)i;
        chunks[i].hash[1] = (unsigned char)(i >> 8);
    }
    assert_int_equal(store_put(s, &d, chunks, N, false, NULL, NULL), SOOTH_OK);
    return s;
}

static int clean(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static double brute_best(enum metric m, const float *q, const unsigned char *allow, size_t rank,
                         size_t *which)
{
    static bool taken[N];
    double best = 0;
    memset(taken, 0, sizeof taken);
    for (size_t k = 0; k <= rank; k++) {
        best = -1e9;
        for (size_t i = 0; i < N; i++) {
            double s = taken[i] || (allow && !allow[i]) ? -1e9
                                                        : metric_similarity(m, q, vectors[i], DIM);
            if (s > best) {
                best = s;
                *which = i;
            }
        }
        taken[*which] = true;
    }
    return best;
}

/* Score falls as distance grows, in the same direction for every metric, 1 for the vector itself.
 */
static void lesson_rag_27_one_similarity(void **state)
{
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 50; round++) {
        float q[DIM], far[DIM];
        unit_vector(&r, q);
        unit_vector(&r, far);
        for (int m = METRIC_COSINE; m <= METRIC_L1; m++) {
            double last = 2;
            bool turn = m == METRIC_COSINE ||
                        m == METRIC_DOT; /* by angle; the others straight away from q */
            for (int step = 0; step <= 10; step++) {
                float v[DIM];
                double sum = 0;
                for (int i = 0; i < DIM; i++) {
                    v[i] = q[i] * (float)(turn ? 10 - 2 * step : 10) +
                           far[i] * (float)(turn ? step * (10 - step) : step) * 0.02f;
                    sum += (double)v[i] * v[i];
                }
                for (int i = 0; i < DIM; i++)
                    v[i] /= (float)(turn ? sqrt(sum) : 10);
                double s = metric_similarity((enum metric)m, q, v, DIM);
                assert_true(s < last && s <= 1 + 1e-6);
                if (step == 0)
                    assert_true(fabs(s - 1) < 1e-5);
                last = s;
            }
        }
        assert_true(fabs(metric_similarity(METRIC_L2, q, far, DIM) -
                         metric_similarity(METRIC_COSINE, q, far, DIM)) < 1e-5);
    }
}

static void search_is_exact(void **state)
{
    struct store *s = filled();
    const struct snapshot *v;
    struct rng r;
    assert_int_equal(store_snapshot(s, true, &v, NULL), SOOTH_OK);
    rng_seed(&r, 99);
    for (int round = 0; round < 12; round++) {
        float q[DIM];
        struct scored out[10];
        size_t n, which = 0;
        unit_vector(&r, q);
        for (int m = METRIC_COSINE; m <= METRIC_L1; m++) {
            assert_int_equal(vector_search(s, v, (enum metric)m, q, NULL, 10, out, &n, NULL),
                             SOOTH_OK);
            assert_int_equal(n, 10);
            for (size_t i = 0; i < 10; i += 3) {
                double best = brute_best((enum metric)m, q, NULL, i, &which);
                assert_true(fabs(out[i].score - best) < 2e-3);
            }
            for (size_t i = 1; i < n; i++)
                assert_true(out[i].score <= out[i - 1].score);
        }
    }
    store_close(s);
}

static void lesson_rag_26_rare_rows_and_large_k(void **state)
{
    struct store *s = filled();
    const struct snapshot *v;
    static unsigned char allow[N];
    static struct scored out[2 * N];
    float q[DIM] = {1};
    size_t n;
    assert_int_equal(store_snapshot(s, true, &v, NULL), SOOTH_OK);
    allow[3] = allow[700] = 1;
    assert_int_equal(vector_search(s, v, METRIC_COSINE, q, allow, 5, out, &n, NULL), SOOTH_OK);
    assert_int_equal(n, 2);
    assert_int_equal(out[0].slot + out[1].slot, 703);
    assert_int_equal(vector_search(s, v, METRIC_COSINE, q, NULL, 2 * N, out, &n, NULL), SOOTH_OK);
    assert_int_equal(n, N);
    memset(allow, 0, sizeof allow);
    assert_int_equal(vector_search(s, v, METRIC_COSINE, q, allow, 5, out, &n, NULL), SOOTH_OK);
    assert_int_equal(n, 0);
    store_close(s);
}

static void bad_vectors_are_refused(void **state)
{
    float v[4] = {0, 0, 0, 0};
    unsigned char out[16];
    assert_false(vector_pack(v, 4, out));
    v[1] = NAN;
    assert_false(vector_pack(v, 4, out));
    v[1] = INFINITY;
    assert_false(vector_pack(v, 4, out));
    v[1] = 0.5f;
    assert_true(vector_pack(v, 4, out));
    assert_int_equal((signed char)out[5], 127);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_rag_27_one_similarity),
        cmocka_unit_test_teardown(search_is_exact, clean),
        cmocka_unit_test_teardown(lesson_rag_26_rare_rows_and_large_k, clean),
        cmocka_unit_test(bad_vectors_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
