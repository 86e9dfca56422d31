/* attend_back_ops.h: gradients of streaming attention (contract in kernel.h; Dao et al. 2022, arXiv:2205.14135, §B.2).
 *
 * The T x T matrix is made again, a tile of 48 queries by 64 keys at a time, from what the forward left: the peak M and 1/l of
 * each query. With D = do·out,
 *
 *     p = exp(s − M)/l,   dv += pᵀ do,   ds = p (do·v − D) · slope,   dk += dsᵀ (scale q),   dq += ds k,   dq at last times scale
 *
 * five products on register tiles, and one exp a pair. s is exactly what the forward saw: the same chains. slope is 1, or with
 * a cap on scores 1 − (s/cap)². Queries go in order, so a key's gradient is a sum in the order of the queries. */
#ifndef KERNEL_ATTEND_BACK_OPS_H
#define KERNEL_ATTEND_BACK_OPS_H
#include "core/kernel/attend_ops.h"
#include "core/kernel/vector_ops.h"

struct attend_back_state {
    _Alignas(64) float q[ATTEND_BACK_QUERIES * ATTEND_MAX_DIM]; /* scaled */
    _Alignas(64) float dy[ATTEND_BACK_QUERIES * ATTEND_MAX_DIM];
    _Alignas(64) float dq[ATTEND_BACK_QUERIES * ATTEND_MAX_DIM];
    _Alignas(64) float p[ATTEND_BACK_QUERIES][ATTEND_TILE];  /* scores, then p */
    _Alignas(64) float ds[ATTEND_BACK_QUERIES][ATTEND_TILE]; /* do·v, then ds */
    float mean[ATTEND_BACK_QUERIES];                         /* D */
};

/* Keys [from, to) of the tile are visible to query i. */
static void attend_back_weigh(struct attend_back_state *st, size_t i, const struct attend_query *q, size_t from, size_t to,
                              size_t keys, float cap)
{
    float *p = st->p[i], *ds = st->ds[i];
    const vf m = vf_set(q->stat[0]), inv = vf_set(q->stat[1]), mean = vf_set(st->mean[i]), one = vf_set(1.0f);
    for (size_t g = 0; g < keys; g += LANES) {
        vf s = vf_load(p + g), slope = one;
        if (cap > 0) {
            const vf t = lm_tanh(vf_div(s, vf_set(cap)));
            s = vf_mul(vf_set(cap), t);
            slope = vf_sub(one, vf_mul(t, t));
        }
        const vf w = vf_mul(lm_exp(vf_sub(s, m)), inv);
        vf_store(p + g, w);
        vf_store(ds + g, vf_mul(vf_mul(w, vf_sub(vf_load(ds + g), mean)), slope));
    }
    memset(p, 0, from * sizeof *p);
    memset(ds, 0, from * sizeof *ds);
    memset(p + to, 0, (keys - to) * sizeof *p);
    memset(ds + to, 0, (keys - to) * sizeof *ds);
}

static void attend_back_tile(const struct attend_back *b, const struct attend_query *qs, size_t n, size_t t0, size_t some,
                             struct attend_back_state *st, size_t dk, size_t dv)
{
    const size_t keys = (some + LANES - 1) / LANES * LANES;
    gemm_f32(n, keys, b->dk, st->q, dk, 1, b->k + t0 * b->dk, LANES, LANES * b->dk, st->p[0], ATTEND_TILE, false);
    gemm_f32(n, keys, b->dv, st->dy, dv, 1, b->v + t0 * b->dv, LANES, LANES * b->dv, st->ds[0], ATTEND_TILE, false);
    for (size_t i = 0; i < n; i++) {
        const size_t from = qs[i].lo > t0 ? qs[i].lo - t0 : 0, to = qs[i].hi > t0 ? qs[i].hi - t0 : 0;
        if (from >= some || to == 0) {
            memset(st->p[i], 0, keys * sizeof st->p[i][0]);
            memset(st->ds[i], 0, keys * sizeof st->ds[i][0]);
        } else {
            attend_back_weigh(st, i, &qs[i], from, to < some ? to : some, keys, b->softcap);
        }
    }
    if (b->grad_v)
        gemm_f32(some, b->dv, n, st->p[0], 1, ATTEND_TILE, st->dy, dv, LANES, b->grad_v + t0 * b->dv, b->dv, true);
    if (b->grad_k)
        gemm_f32(some, b->dk, n, st->ds[0], 1, ATTEND_TILE, st->q, dk, LANES, b->grad_k + t0 * b->dk, b->dk, true);
    gemm_f32(n, b->dk, some, st->ds[0], ATTEND_TILE, 1, b->k_rows + t0 * b->dk, b->dk, LANES, st->dq, dk, true);
}

static void attend_back_block(const struct attend_back *b, const struct attend_query *qs, size_t n)
{
    struct attend_back_state st;
    const size_t dk = (b->dk + LANES - 1) / LANES * LANES, dv = (b->dv + LANES - 1) / LANES * LANES;
    size_t lo = qs[0].lo, hi = qs[0].hi;
    memset(st.dq, 0, n * dk * sizeof *st.dq);
    for (size_t i = 0; i < n; i++) {
        vec_scale(st.q + i * dk, qs[i].q, b->scale, b->dk);
        memcpy(st.dy + i * dv, qs[i].grad_out, b->dv * sizeof *st.dy);
        st.mean[i] = vec_dot(qs[i].grad_out, qs[i].out, b->dv);
        lo = qs[i].lo < lo ? qs[i].lo : lo;
        hi = qs[i].hi > hi ? qs[i].hi : hi;
    }
    for (size_t t0 = lo / ATTEND_TILE * ATTEND_TILE; t0 < hi; t0 += ATTEND_TILE)
        attend_back_tile(b, qs, n, t0, hi - t0 < ATTEND_TILE ? hi - t0 : ATTEND_TILE, &st, dk, dv);
    for (size_t i = 0; i < n; i++)
        if (qs[i].grad_q)
            vec_axpy(qs[i].grad_q, b->scale, st.dq + i * dk, b->dk);
}

static void attend_back_run(const struct attend_back *b)
{
    for (size_t i = 0; i < b->count; i += ATTEND_BACK_QUERIES)
        attend_back_block(b, b->queries + i, b->count - i < ATTEND_BACK_QUERIES ? b->count - i : ATTEND_BACK_QUERIES);
}
#endif
