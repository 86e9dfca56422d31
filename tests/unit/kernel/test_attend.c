/* test_attend.c: streaming attention against the formula in double precision, and its promise: a query's bits depend on
 * the query, what it may see and the cache only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"

enum { KEYS = 300, QUERIES = 40 };

struct cache {
    float *key, *value, *q; /* plain */
    void *k, *v;            /* stored */
    size_t dk, dv;
};
/* What comes back is what attention must see: the numbers themselves, or for codes within half a step of them. */
static void as_stored(struct cache *c, enum kv_type type, size_t i)
{
    float *plain[2] = { c->key + i * c->dk, c->value + i * c->dv }, back[ATTEND_MAX_DIM];
    for (int which = 0; which < 2; which++) {
        const size_t n = which ? c->dv : c->dk;
        if (which)
            kv_load_value(type, c->v, c->dv, i, back, n);
        else
            kv_load_key(type, c->k, i, back, n);
        for (size_t j = 0; j < n; j++) {
            float peak = 0;
            for (size_t b = j / 32 * 32; type >= KV_Q8 && b < j / 32 * 32 + 32; b++)
                peak = fmaxf(peak, fabsf(plain[which][b]));
            /* half a step of the scale, which is itself rounded; q4_0's last code on one side is one step short */
            assert_true(fabsf(back[j] - plain[which][j]) <= (type == KV_Q8 ? peak / 127 * 0.57f : type == KV_Q4 ? peak / 8 * 1.01f : 0));
        }
        if (type >= KV_Q8)
            memcpy(plain[which], back, n * sizeof *back);
    }
}
static struct cache cache_make(size_t dk, size_t dv, enum kv_type type)
{
    struct cache c = { mem_array(KEYS * dk, 4), mem_array(KEYS * dv, 4), mem_array(QUERIES * dk, 4),
                       mem_aligned(64, kv_key_bytes(type, KEYS, dk)), mem_array(KEYS * dv, 4), dk, dv };
    struct rng r;
    rng_seed(&r, dk + dv);
    memset(c.k, 0xFF, kv_key_bytes(type, KEYS, dk)); /* NaN where nothing is stored */
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t j = 0; j < dk; j++)
            c.key[i * dk + j] = half_get(half_put(rng_normal(&r)));
        for (size_t j = 0; j < dv; j++)
            c.value[i * dv + j] = half_get(half_put(rng_normal(&r)));
        kv_store_key(type, c.k, i, c.key + i * dk, dk);
        kv_store_value(type, c.v, dv, i, c.value + i * dv, dv);
        as_stored(&c, type, i);
    }
    for (size_t i = 0; i < QUERIES * dk; i++)
        c.q[i] = rng_normal(&r) * 2;
    return c;
}
static void cache_free(struct cache *c)
{
    mem_free(c->key);
    mem_free(c->value);
    mem_free(c->q);
    mem_free(c->k);
    mem_free(c->v);
}
static void spans(size_t i, uint32_t *lo, uint32_t *hi)
{
    static const uint32_t some[][2] = { { 0, 1 }, { 0, 300 }, { 63, 65 }, { 64, 128 }, { 100, 101 }, { 17, 290 } };
    *lo = i < 6 ? some[i][0] : i % 2 ? (uint32_t)(i * 3) : 0;
    *hi = i < 6 ? some[i][1] : (uint32_t)(i * 7 + 1);
}
static void run(const struct kernel *k, const struct cache *c, enum kv_type type, float cap, size_t from, size_t n, float *out)
{
    struct attend_query qs[QUERIES];
    for (size_t i = 0; i < n; i++) {
        qs[i] = (struct attend_query){ .q = c->q + (from + i) * c->dk, .out = out + i * c->dv };
        spans(from + i, &qs[i].lo, &qs[i].hi);
    }
    const struct attend a = { qs, n, c->k, c->v, c->dv, type, c->dk, c->dv, 0.125f, cap };
    k->attend(&a);
}

static void check_formula(size_t dk, size_t dv, enum kv_type type, float cap)
{
    static float out[QUERIES * ATTEND_MAX_DIM];
    struct cache c = cache_make(dk, dv, type);
    run(kernel_at(0), &c, type, cap, 0, QUERIES, out);
    for (size_t i = 0; i < QUERIES; i++) {
        uint32_t lo, hi;
        double p[KEYS], top = -INFINITY, sum = 0;
        spans(i, &lo, &hi);
        for (uint32_t t = lo; t < hi; t++) {
            p[t] = 0;
            for (size_t j = 0; j < dk; j++)
                p[t] += (double)c.q[i * dk + j] * c.key[t * dk + j];
            p[t] *= 0.125;
            p[t] = cap > 0 ? cap * tanh(p[t] / cap) : p[t];
            top = fmax(top, p[t]);
        }
        for (uint32_t t = lo; t < hi; t++)
            sum += p[t] = exp(p[t] - top);
        for (size_t j = 0; j < dv; j++) {
            double s = 0;
            for (uint32_t t = lo; t < hi; t++)
                s += p[t] / sum * c.value[t * dv + j];
            assert_true(fabs(s - out[i * dv + j]) < 2e-6 * (1 + fabs(s)) * 10);
        }
    }
    cache_free(&c);
}
static void matches_the_formula(void **state)
{
    check_formula(64, 64, KV_F32, 0);
    check_formula(64, 64, KV_F16, 0);
    check_formula(256, 256, KV_F32, 0);
    check_formula(32, 48, KV_F16, 20);
    check_formula(20, 24, KV_F32, 0);
    check_formula(20, 24, KV_F16, 0);
    check_formula(ATTEND_MAX_DIM, ATTEND_MAX_DIM, KV_F32, 0);
    check_formula(64, 64, KV_Q8, 0);
    check_formula(64, 64, KV_Q4, 15);
    check_formula(128, 96, KV_Q8, 20);
    check_formula(ATTEND_MAX_DIM, ATTEND_MAX_DIM, KV_Q4, 0);
}

static void company_and_level_change_nothing(void **state)
{
    static float want[QUERIES * 256], got[QUERIES * 256];
    for (int t = 0; t < 5; t++) {
        const enum kv_type type = t == 1 ? KV_F16 : t == 3 ? KV_Q8 : t == 4 ? KV_Q4 : KV_F32;
        const size_t d = t == 2 ? 256 : 64;
        struct cache c = cache_make(d, d, type);
        for (size_t i = 0; i < QUERIES; i++)
            run(kernel_at(0), &c, type, t ? 0 : 15, i, 1, want + i * d);
        for (size_t l = 0; kernel_at(l); l++)
            for (size_t n = 1; n <= QUERIES; n += 3) {
                for (size_t i = 0; i < QUERIES; i += n)
                    run(kernel_at(l), &c, type, t ? 0 : 15, i, i + n < QUERIES ? n : QUERIES - i, got + i * d);
                if (memcmp(got, want, QUERIES * d * 4))
                    fail_msg("%s, %zu queries together: bits differ", kernel_at(l)->name, n);
            }
        cache_free(&c);
    }
}

/* What lies beyond the last visible key, NaN or not, is not looked at. */
static void unwritten_keys_are_not_seen(void **state)
{
    float out[64];
    struct cache c = cache_make(64, 64, KV_F32);
    for (size_t i = 65; i < KEYS; i++)
        for (size_t j = 0; j < 64; j++) {
            ((float *)c.k)[i / 16 * 1024 + j * 16 + i % 16] = NAN;
            ((float *)c.v)[i * 64 + j] = NAN;
        }
    run(kernel_get(), &c, KV_F32, 0, 2, 1, out); /* keys 63 and 64 */
    for (int j = 0; j < 64; j++)
        assert_true(isfinite(out[j]));
    cache_free(&c);
}

/* Gradients against differences of the formula's own sums (the op tests do that); here: the same bits on every level, and none
 * that depends on what lies beyond the last key. */
static void gradients_are_alike_on_every_level(void **state)
{
    enum { D = 64, CUT = 170, N = 100 };
    static float v_panels[(KEYS + 15) / 16 * 16 * D], want[3][KEYS * D], got[3][KEYS * D], out[N * D], stat[N * 2], dy[N * D], q[N * D];
    struct cache c = cache_make(D, D, KV_F32);
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < N * D; i++) {
        dy[i] = rng_normal(&r);
        q[i] = rng_normal(&r);
    }
    memset(v_panels, 0xFF, sizeof v_panels);
    for (size_t i = 0; i < CUT; i++)
        kv_store_key(KV_F32, v_panels, i, c.value + i * D, D);
    for (size_t l = 0; kernel_at(l); l++) {
        struct attend_query qs[N];
        memset(got, 0, sizeof got);
        for (size_t i = 0; i < N; i++)
            qs[i] = (struct attend_query){ .q = q + i * D, .out = out + i * D, .lo = i % 5 ? 0 : (uint32_t)i, .hi = (uint32_t)(i + 71),
                                           .stat = stat + 2 * i, .grad_out = dy + i * D, .grad_q = got[0] + i * D };
        kernel_at(l)->attend(&(struct attend){ qs, N, c.k, c.v, D, KV_F32, D, D, 0.125f, 9 });
        kernel_at(l)->attend_back(&(struct attend_back){ qs, N, c.k, v_panels, c.key, got[1], got[2], D, D, 0.125f, 9 });
        if (l == 0)
            memcpy(want, got, sizeof want);
        else if (memcmp(want, got, sizeof want))
            fail_msg("%s differs", kernel_at(l)->name);
    }
    for (size_t i = 0; i < 3 * KEYS * D; i++)
        assert_true(isfinite(want[i / (KEYS * D)][i % (KEYS * D)]));
    for (size_t i = 0; i < N; i++) /* Σ_j p_j = 1: moving all values by one vector moves the output by it */
        assert_true(stat[2 * i + 1] > 0);
    for (size_t j = 0; j < D; j++) {
        double dv = 0, all = 0;
        for (size_t i = 0; i < KEYS; i++)
            dv += want[2][i * D + j];
        for (size_t i = 0; i < N; i++)
            all += dy[i * D + j];
        assert_true(fabs(dv - all) < 1e-4 * (1 + fabs(all)));
    }
    cache_free(&c);
}

/* The names, the sizes, and what cannot be stored. */
static void types_of_caches(void **state)
{
    enum kv_type t = KV_F32;
    for (int i = 0; kv_type_name((enum kv_type)i); i++)
        assert_true(kv_type_find(kv_type_name((enum kv_type)i), &t) && (int)t == i);
    assert_int_equal(t, KV_Q4);
    assert_false(kv_type_find("q5_0", &t));
    assert_true(kv_type_fits(KV_Q8, 64) && kv_type_fits(KV_F16, 20) && !kv_type_fits(KV_Q4, 20));
    assert_int_equal(kv_key_bytes(KV_Q8, 17, 64), 2 * 17 * 64);
    assert_int_equal(kv_value_bytes(KV_Q8, 10, 64), 10 * 68);
    assert_int_equal(kv_value_bytes(KV_Q4, 10, 64), 10 * 36);
    float x[64] = { 1, NAN }, k[64]; /* a key that is not finite stays so, and harms no other */
    unsigned char panel[17 * 64] = { 0 };
    kv_store_key(KV_Q8, panel, 3, x, 64);
    kv_load_key(KV_Q8, panel, 3, k, 64);
    assert_true(isnan(k[0]) && isnan(k[31]) && k[32] == 0);
    kv_load_key(KV_Q8, panel, 2, k, 64);
    assert_true(k[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_caches), cmocka_unit_test(matches_the_formula),
        cmocka_unit_test(company_and_level_change_nothing),
        cmocka_unit_test(gradients_are_alike_on_every_level),
        cmocka_unit_test(unwritten_keys_are_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
