/* test_cache.c: the cache and the rows of a run: whatever is kept, cut, copied or grown, attention gives the bits that
 * it gives without a cache; what does not fit is refused and changes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/tensor/tensor.h"

enum { T = 600, HEADS = 4, KV = 2, DK = 8, DV = 12, OUT = HEADS * DV, LAYERS = 2 };

struct bench {
    struct weight q, k, v;
    float *whole[2]; /* [T, OUT] without a cache: all of it, and a window of 100 */
};
static const struct kv_shape shape = {LAYERS, KV, DK, DV};

static void table_open(struct weight *w, size_t cols, uint64_t seed)
{
    struct rng rng;
    float *v = mem_array(T * cols, sizeof *v);
    assert_non_null(v);
    rng_seed(&rng, seed);
    for (size_t i = 0; i < T * cols; i++)
        v[i] = rng_normal(&rng);
    w->name = "table";
    qmat_init(&w->q, qtype_by_id(0), T, cols, v);
}

/* Rows [from, to) of the tables, as sequence seq, with keys and values in a layer of the cache. */
static struct mat *attend_span(struct run *r, const struct bench *b, unsigned layer, size_t window, const int32_t *ids, size_t n)
{
    struct attend_op a = {.layer = layer, .heads = HEADS, .kv_heads = KV, .dk = DK, .dv = DV, .scale = 0.35f, .window = window, .causal = true};
    return op_attend(r, &a, op_lookup(r, &b->q, ids, n), op_lookup(r, &b->k, ids, n), op_lookup(r, &b->v, ids, n));
}

/* One run over pieces of several sequences: piece i is rows [from[i], to[i]) of sequence seq[i]. */
struct piece {
    uint32_t seq;
    size_t from, to;
};
static enum sooth_status run_pieces(struct run *r, const struct bench *b, const struct piece *p, size_t count, size_t window, float *out,
                                    struct sooth_error *err)
{
    static int32_t ids[4 * T];
    static uint32_t pos[4 * T], seq[4 * T];
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = p[i].from; j < p[i].to; j++, n++) {
            ids[n] = (int32_t)j;
            pos[n] = (uint32_t)j;
            seq[n] = p[i].seq;
        }
    struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seq};
    run_begin(r, &rows);
    struct mat *y = NULL;
    for (unsigned layer = 0; layer < LAYERS; layer++)
        y = attend_span(r, b, layer, window, ids, n);
    if (y && out)
        memcpy(out, y->v, n * OUT * sizeof *out);
    return run_end(r, err);
}

static void expect(struct run *r, const struct bench *b, const struct piece *p, size_t count, size_t window)
{
    static float out[4 * T * OUT];
    const float *y = out;
    struct sooth_error err = {0};
    if (run_pieces(r, b, p, count, window, out, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++) {
        size_t numbers = (p[i].to - p[i].from) * OUT;
        assert_memory_equal(y, b->whole[window > 0] + p[i].from * OUT, numbers * sizeof *y);
        y += numbers;
    }
}

static int bench_open(void **state)
{
    struct bench *b = mem_calloc(1, sizeof *b);
    struct run_options o = {0};
    struct run *r = run_new(&o);
    struct piece all = {0, 0, T};
    assert_true(b && r);
    table_open(&b->q, HEADS * DK, 1);
    table_open(&b->k, KV * DK, 2);
    table_open(&b->v, KV * DV, 3);
    for (int i = 0; i < 2; i++) {
        b->whole[i] = mem_array(T * OUT, sizeof(float));
        assert_int_equal(run_pieces(r, b, &all, 1, i ? 100 : 0, b->whole[i], NULL), SOOTH_OK);
    }
    run_free(r);
    *state = b;
    return 0;
}

static int bench_close(void **state)
{
    struct bench *b = *state;
    mem_free((void *)b->q.q.data);
    mem_free((void *)b->k.q.data);
    mem_free((void *)b->v.q.data);
    mem_free(b->whole[0]);
    mem_free(b->whole[1]);
    mem_free(b);
    return 0;
}

/* The streaming kernel against the formula in double. */
static void attention_is_the_formula(void **state)
{
    const struct bench *b = *state;
    const float *q = b->q.q.data, *k = b->k.q.data, *v = b->v.q.data;
    static double p[T];
    for (size_t row = 0; row < T; row += 37)
        for (size_t h = 0; h < HEADS; h++)
            for (int windowed = 0; windowed < 2; windowed++) {
                size_t kv = h / (HEADS / KV), lo = windowed && row >= 100 ? row - 99 : 0;
                double sum = 0, y[DV] = {0};
                for (size_t j = lo; j <= row; j++) {
                    double s = 0;
                    for (size_t d = 0; d < DK; d++)
                        s += (double)q[row * HEADS * DK + h * DK + d] * (double)k[j * KV * DK + kv * DK + d];
                    sum += p[j] = exp(s * (double)0.35f);
                }
                for (size_t j = lo; j <= row; j++)
                    for (size_t d = 0; d < DV; d++)
                        y[d] += p[j] / sum * (double)v[j * KV * DV + kv * DV + d];
                for (size_t d = 0; d < DV; d++)
                    assert_true(fabs(y[d] - (double)b->whole[windowed][row * OUT + h * DV + d]) < 2e-5);
            }
}

static void pieces_and_crowds_give_the_same_bits(void **state)
{
    const struct bench *b = *state;
    for (size_t window = 0; window <= 100; window += 100)
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            struct pool *pool = pool_new(threads);
            struct kv_cache *c = kv_cache_new(&shape, 3, T, KV_F32);
            struct run_options o = {.cache = c, .pool = pool};
            struct run *r = run_new(&o);
            expect(r, b, (struct piece[]){{1, 0, 300}}, 1, window);
            expect(r, b, (struct piece[]){{0, 0, 17}, {1, 300, 301}, {2, 0, 64}}, 3, window);
            expect(r, b, (struct piece[]){{2, 64, 65}, {0, 17, 290}, {1, 301, T}}, 3, window);
            expect(r, b, (struct piece[]){{0, 290, 291}}, 1, window);
            assert_int_equal(kv_cache_length(c, 0), 291);
            assert_int_equal(kv_cache_length(c, 1), T);
            assert_int_equal(kv_cache_length(c, 2), 65);
            run_free(r);
            kv_cache_free(c);
            pool_free(pool);
        }
}

/* Rolling back, and going on: as if the forgotten part had never been read. */
static void lesson_serving_08_truncation_under_a_window(void **state)
{
    const struct bench *b = *state;
    for (size_t window = 0; window <= 100; window += 100) {
        struct kv_cache *c = kv_cache_new(&shape, 2, T, KV_F32);
        struct run_options o = {.cache = c};
        struct run *r = run_new(&o);
        expect(r, b, (struct piece[]){{0, 0, 500}}, 1, window);
        for (size_t keep = 500; keep > 0; keep = keep * 2 / 3) {
            kv_cache_truncate(c, 0, keep);
            assert_int_equal(kv_cache_length(c, 0), keep);
            expect(r, b, (struct piece[]){{0, keep, keep + 9}}, 1, window);
        }
        kv_cache_truncate(c, 0, 400); /* longer than what is held: nothing happens */
        assert_true(kv_cache_length(c, 0) < 400);
        kv_cache_truncate(c, 0, 0);
        expect(r, b, (struct piece[]){{0, 0, 3}}, 1, window);
        run_free(r);
        kv_cache_free(c);
    }
}

static void a_copy_goes_its_own_way(void **state)
{
    const struct bench *b = *state;
    struct kv_cache *c = kv_cache_new(&shape, 3, T, KV_F32);
    struct run_options o = {.cache = c};
    struct run *r = run_new(&o);
    expect(r, b, (struct piece[]){{0, 0, 333}}, 1, 0);
    assert_int_equal(kv_cache_copy(c, 2, 0, 310), SOOTH_OK);
    assert_int_equal(kv_cache_copy(c, 1, 0, SIZE_MAX), SOOTH_OK);
    assert_int_equal(kv_cache_length(c, 1), 333);
    expect(r, b, (struct piece[]){{0, 333, 340}, {2, 310, 320}, {1, 333, 334}}, 3, 0);
    kv_cache_truncate(c, 0, 0);
    expect(r, b, (struct piece[]){{2, 320, 330}}, 1, 0);
    assert_int_equal(kv_cache_copy(c, 2, 2, 100), SOOTH_OK); /* onto itself: a truncation */
    expect(r, b, (struct piece[]){{2, 100, 110}}, 1, 0);
    run_free(r);
    kv_cache_free(c);
}

/* Keys and values rounded once to 11 bits: outputs move by no more than a few of those roundings. */
static void f16_cache_stays_near(void **state)
{
    const struct bench *b = *state;
    static float out[T * OUT];
    struct kv_cache *c = kv_cache_new(&shape, 1, T, KV_F16), *full = kv_cache_new(&shape, 1, T, KV_F32);
    struct run_options o = {.cache = c}, of = {.cache = full};
    struct run *r = run_new(&o), *rf = run_new(&of);
    struct piece all = {0, 0, T};
    double worst = 0;
    assert_int_equal(run_pieces(r, b, &all, 1, 0, out, NULL), SOOTH_OK);
    expect(rf, b, &all, 1, 0);
    for (size_t i = 0; i < T * OUT; i++)
        worst = fmax(worst, fabs((double)out[i] - (double)b->whole[0][i]));
    assert_true(worst > 0 && worst < 8e-3);
    assert_int_equal(2 * kv_cache_bytes(c), kv_cache_bytes(full));
    run_free(r);
    run_free(rf);
    kv_cache_free(c);
    kv_cache_free(full);
}

/* ---- refusals ---- */

static void refuse(struct run *r, const struct bench *b, const struct rows *rows, enum sooth_status status, const char *part)
{
    struct sooth_error err = {0};
    run_begin(r, rows);
    assert_null(attend_span(r, b, 0, 0, rows->token, rows->n));
    assert_int_equal(run_end(r, &err), status);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not speak of '%s'", err.text, part);
}

static void rows_that_make_no_sense_are_refused(void **state)
{
    const struct bench *b = *state;
    static const int32_t ids[4] = {0, 1, 2, 3};
    static const uint32_t pos[4] = {0, 1, 2, 3}, gap[4] = {0, 1, 3, 4}, seq[4] = {0, 0, 0, 0}, torn[4] = {0, 1, 0, 0}, far[4] = {0, 0, 0, 7};
    static const uint32_t zero[4] = {0, 0, 0, 0};
    struct kv_cache *c = kv_cache_new(&shape, 2, 10, KV_F32);
    struct run_options o = {.cache = c};
    struct run *r = run_new(&o);
    refuse(r, b, &(struct rows){.n = 0, .token = ids, .pos = pos, .seq = seq}, SOOTH_ERR_ARG, "0 tokens");
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = gap, .seq = seq}, SOOTH_ERR_ARG, "go up by one");
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = zero, .seq = torn}, SOOTH_ERR_ARG, "not neighbours");
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = pos, .seq = far}, SOOTH_ERR_ARG, "sequence 7");
    assert_int_equal(kv_cache_length(c, 0), 0);
    expect(r, b, (struct piece[]){{0, 0, 8}}, 1, 0);
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = pos, .seq = seq}, SOOTH_ERR_LIMIT, "12 tokens do not fit a context of 10");
    assert_int_equal(kv_cache_length(c, 0), 8);
    expect(r, b, (struct piece[]){{0, 8, 10}}, 1, 0); /* the refused run left no trace */
    run_free(r);
    struct run_options both = {.cache = c, .tape = true};
    r = run_new(&both);
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = pos, .seq = seq}, SOOTH_ERR_ARG, "record");
    run_free(r);
    struct run_options small = {.max_bytes = 2000};
    r = run_new(&small);
    refuse(r, b, &(struct rows){.n = 4, .token = ids, .pos = pos, .seq = seq}, SOOTH_ERR_NOMEM, "out of memory");
    run_free(r);
    kv_cache_free(c);
}

/* Growing fails at each of its allocations: what was held is still held, to the bit. */
static void growth_that_fails_loses_nothing(void **state)
{
    const struct bench *b = *state;
    struct kv_cache *c = kv_cache_new(&shape, 1, T, KV_F32);
    struct run_options o = {.cache = c};
    struct run *r = run_new(&o);
    uint64_t live = mem_live();
    struct sooth_error err = {0};
    enum sooth_status status = SOOTH_ERR_NOMEM;
    struct piece next = {0, 200, 300};
    expect(r, b, (struct piece[]){{0, 0, 200}}, 1, 0);
    for (uint64_t at = 1; status && at < 100; at++) {
        mem_fail_at(at);
        status = run_pieces(r, b, &next, 1, 0, NULL, &err);
        mem_fail_at(0);
        assert_true(status == SOOTH_OK || status == SOOTH_ERR_NOMEM);
        kv_cache_truncate(c, 0, 200);
        expect(r, b, (struct piece[]){{0, 200, 201}}, 1, 0);
        kv_cache_truncate(c, 0, 200);
    }
    assert_int_equal(status, SOOTH_OK);
    run_free(r);
    kv_cache_free(c);
    assert_true(mem_live() < live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_the_formula),
        cmocka_unit_test(pieces_and_crowds_give_the_same_bits),
        cmocka_unit_test(lesson_serving_08_truncation_under_a_window),
        cmocka_unit_test(a_copy_goes_its_own_way),
        cmocka_unit_test(f16_cache_stays_near),
        cmocka_unit_test(rows_that_make_no_sense_are_refused),
        cmocka_unit_test(growth_that_fails_loses_nothing),
    };
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
