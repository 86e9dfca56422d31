/* attend_ops.h: streaming attention over a cache of keys in panels and values in rows (contract in kernel.h).
 *
 * For each tile of 64 keys, counted from cache index 0 whatever the query:
 *     s = scale q·k (keys in lanes, one chain over dimensions), M' = max(M, max s), p = exp(s - M'),
 *     c = exp(M - M'), l = c l + p (16 lane sums), o = c o + Σ p v (one chain over keys, in order),
 * and at the end out = o / Σ l. Tiles without a visible key for a query leave it alone; invisible keys inside a tile have
 * p = 0, which changes neither l nor o. That is why a prompt read whole, in pieces, or token by token gives the same bits.
 * Leaves out: caches that wrap around, and splitting the keys of one query over threads. */
#ifndef KERNEL_ATTEND_OPS_H
#define KERNEL_ATTEND_OPS_H
#include "core/kernel/gemm_ops.h"
#include "core/kernel/kernel.h"
#include "core/kernel/lane_math.h"

#define ATTEND_QUERIES 12

struct attend_state {
    _Alignas(64) float q[ATTEND_QUERIES][ATTEND_MAX_DIM]; /* scaled */
    _Alignas(64) float o[ATTEND_QUERIES][ATTEND_MAX_DIM];
    _Alignas(64) float s[ATTEND_QUERIES][ATTEND_TILE];    /* scores, then weights */
    _Alignas(64) float l[ATTEND_QUERIES][LANES];
    float m[ATTEND_QUERIES];
    _Alignas(64) float wide[LANES * ATTEND_MAX_DIM];      /* quantized keys or values, 16 at a time */
};

/* Turns the scores of one query into weights and rescales what it has so far. Keys [t0 + a, t0 + z) are visible. */
LANE_INLINE void attend_weigh(struct attend_state *st, size_t i, size_t a, size_t z, size_t keys, float cap, size_t dv)
{
    float *s = st->s[i];
    vf v[ATTEND_TILE / LANES];
    for (size_t j = 0; j < a; j++)
        s[j] = -INFINITY;
    for (size_t j = z; j < keys; j++)
        s[j] = -INFINITY;
    vf top = vf_set(st->m[i]);
    const size_t groups = keys / LANES;
    for (size_t g = 0; g < groups; g++) {
        v[g] = vf_load(s + g * LANES);
        if (cap > 0) /* -inf becomes -cap here: put it back below */
            v[g] = vf_select_lt(v[g], vf_set(-3.4e38f), v[g], vf_mul(vf_set(cap), lm_tanh(vf_div(v[g], vf_set(cap)))));
        top = vf_max(top, v[g]);
    }
    const float m = vf_top(top);
    float c[LANES];
    vf_store(c, lm_exp(vf_set(st->m[i] - m)));
    vf sum = vf_mul(vf_load(st->l[i]), vf_set(c[0]));
    for (size_t g = 0; g < groups; g++) {
        const vf p = lm_exp(vf_sub(v[g], vf_set(m)));
        vf_store(s + g * LANES, p);
        sum = vf_add(sum, p);
    }
    vf_store(st->l[i], sum);
    st->m[i] = m;
    if (c[0] != 1.0f)
        for (size_t j = 0; j < dv; j += LANES)
            vf_store(st->o[i] + j, vf_mul(vf_load(st->o[i] + j), vf_set(c[0])));
}

/* A panel of 16 keys to [dk][16] f32. */
LANE_INLINE void attend_expand_keys(enum kv_type type, const uint8_t *panel, size_t dk, float *out)
{
    const uint8_t *codes = panel + dk;
    for (size_t b = 0; b < dk / 32; b++) {
        const vf d = vf_load_f16((const uint16_t *)(const void *)(panel + 32 * b));
        float *to = out + 32 * LANES * b;
        for (size_t j = 0; j < 16; j++, to += LANES) {
            if (type == KV_Q8) {
                vf_store(to, vf_mul(d, vf_from_int(vi_load_i8((const int8_t *)codes + 16 * (32 * b + j)))));
                vf_store(to + 16 * LANES, vf_mul(d, vf_from_int(vi_load_i8((const int8_t *)codes + 16 * (32 * b + 16 + j)))));
            } else {
                const vi both = vi_load_u8(codes + 16 * (16 * b + j));
                vf_store(to, vf_mul(d, vf_from_int(vi_sub(vi_and(both, vi_set(15)), vi_set(8)))));
                vf_store(to + 16 * LANES, vf_mul(d, vf_from_int(vi_sub(VI_SHR(both, 4), vi_set(8)))));
            }
        }
    }
}

/* A value to f32 [dv]. */
LANE_INLINE void attend_expand_value(enum kv_type type, const uint8_t *block, size_t dv, float *out)
{
    for (size_t b = 0; b < dv / 32; b++, out += 32, block += type == KV_Q8 ? 34 : 18) {
        const vf d = vf_set(half_get(half_load(block)));
        if (type == KV_Q8) {
            vf_store(out, vf_mul(d, vf_from_int(vi_load_i8((const int8_t *)block + 2))));
            vf_store(out + 16, vf_mul(d, vf_from_int(vi_load_i8((const int8_t *)block + 18))));
        } else {
            const vi both = vi_load_u8(block + 2);
            vf_store(out, vf_mul(d, vf_from_int(vi_sub(vi_and(both, vi_set(15)), vi_set(8)))));
            vf_store(out + 16, vf_mul(d, vf_from_int(vi_sub(VI_SHR(both, 4), vi_set(8)))));
        }
    }
}

/* Scores of `keys` keys (a multiple of 16) from t0 on; quantized panels are expanded one at a time. */
static void attend_scores(const struct attend *a, struct attend_state *st, size_t n, size_t t0, size_t keys)
{
    if (a->type == KV_F16)
        gemm_f16(n, keys, a->dk, st->q[0], ATTEND_MAX_DIM, 1, (const uint16_t *)a->k + t0 * a->dk, LANES, LANES * a->dk,
                 st->s[0], ATTEND_TILE, false);
    if (a->type == KV_F32)
        gemm_f32(n, keys, a->dk, st->q[0], ATTEND_MAX_DIM, 1, (const float *)a->k + t0 * a->dk, LANES, LANES * a->dk,
                 st->s[0], ATTEND_TILE, false);
    for (size_t j = 0; a->type >= KV_Q8 && j < keys; j += LANES) {
        attend_expand_keys(a->type, (const uint8_t *)a->k + (t0 + j) / LANES * (a->type == KV_Q8 ? 17 : 9) * a->dk, a->dk, st->wide);
        gemm_f32(n, LANES, a->dk, st->q[0], ATTEND_MAX_DIM, 1, st->wide, LANES, LANES * a->dk, st->s[0] + j, ATTEND_TILE, false);
    }
}

/* Adds the weighted values of `some` keys from t0 on, in order. */
static void attend_values(const struct attend *a, struct attend_state *st, size_t n, size_t t0, size_t some)
{
    const size_t bytes = a->type >= KV_Q8 ? a->ldv / 32 * (a->type == KV_Q8 ? 34 : 18) : 0;
    if (a->type == KV_F16)
        gemm_f16(n, a->dv, some, st->s[0], ATTEND_TILE, 1, (const uint16_t *)a->v + t0 * a->ldv, a->ldv, LANES, st->o[0],
                 ATTEND_MAX_DIM, true);
    if (a->type == KV_F32)
        gemm_f32(n, a->dv, some, st->s[0], ATTEND_TILE, 1, (const float *)a->v + t0 * a->ldv, a->ldv, LANES, st->o[0],
                 ATTEND_MAX_DIM, true);
    for (size_t j = 0; a->type >= KV_Q8 && j < some; j += LANES) {
        const size_t rows = some - j < LANES ? some - j : LANES;
        for (size_t i = 0; i < rows; i++)
            attend_expand_value(a->type, (const uint8_t *)a->v + (t0 + j + i) * bytes, a->dv, st->wide + i * a->dv);
        gemm_f32(n, a->dv, rows, st->s[0] + j, ATTEND_TILE, 1, st->wide, a->dv, LANES, st->o[0], ATTEND_MAX_DIM, true);
    }
}

static void attend_block(const struct attend *a, const struct attend_query *qs, size_t n)
{
    struct attend_state st;
    size_t lo = qs[0].lo, hi = qs[0].hi;
    const size_t dv = (a->dv + LANES - 1) / LANES * LANES;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < a->dk; j++)
            st.q[i][j] = qs[i].q[j] * a->scale;
        memset(st.o[i], 0, dv * sizeof st.o[i][0]);
        memset(st.l[i], 0, sizeof st.l[i]);
        st.m[i] = -INFINITY;
        lo = qs[i].lo < lo ? qs[i].lo : lo;
        hi = qs[i].hi > hi ? qs[i].hi : hi;
    }
    for (size_t t0 = lo / ATTEND_TILE * ATTEND_TILE; t0 < hi; t0 += ATTEND_TILE) {
        const size_t some = hi - t0 < ATTEND_TILE ? hi - t0 : ATTEND_TILE;
        const size_t keys = (some + LANES - 1) / LANES * LANES;
        attend_scores(a, &st, n, t0, keys);
        for (size_t i = 0; i < n; i++) {
            const size_t from = qs[i].lo > t0 ? qs[i].lo - t0 : 0, to = qs[i].hi > t0 ? qs[i].hi - t0 : 0;
            if (from >= some || to == 0)
                memset(st.s[i], 0, keys * sizeof st.s[i][0]);
            else
                attend_weigh(&st, i, from, to < some ? to : some, keys, a->softcap, dv);
        }
        attend_values(a, &st, n, t0, some);
    }
    for (size_t i = 0; i < n; i++) {
        const float inv = 1.0f / vf_sum(vf_load(st.l[i]));
        for (size_t j = 0; j < a->dv; j++)
            qs[i].out[j] = st.o[i][j] * inv;
        if (qs[i].stat) {
            qs[i].stat[0] = st.m[i];
            qs[i].stat[1] = inv;
        }
    }
}

static void attend_run(const struct attend *a)
{
    for (size_t i = 0; i < a->count; i += ATTEND_QUERIES)
        attend_block(a, a->queries + i, a->count - i < ATTEND_QUERIES ? a->count - i : ATTEND_QUERIES);
}
#endif
