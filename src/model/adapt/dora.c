/* dora.c: DoRA (Liu et al. 2024, arXiv:2402.09353): a weight is taken apart into the length of each output row and its direction; the
 * direction is changed by LoRA, the length is trained as a number.
 *
 *     V = W + s·BA,   c_o = ‖V_o‖,   W' = diag(m / c) V          m [out], starting at ‖W_o‖
 *
 * so that W' = W at the start. The paper's option, and PEFT's, is taken: c counts as a constant in backward. Then dV = (m/c) dW', LoRA's
 * gradients follow, and dm_o = dW'_o·V_o / c_o. With y = x Wᵀ known,
 *
 *     what is added = (m/c)·(y + s·x AᵀBᵀ) − y,
 *
 * under dropout (m/c)·(x̃ Wᵀ + s·x̃ AᵀBᵀ) − x̃ Wᵀ with x̃ = drop(x): one more product with W, as in PEFT. A bias is never scaled.
 *
 * c is made by adapt_refresh, out·in·r multiplications for every weight: once an optimizer step while training, never
 * while serving. m/c is one division, so m = c gives exactly 1 and the start is the model's output to the last rounding, for every
 * number format.
 *
 * Merged: W' row by row. W' − W has full rank, so a DoRA cannot be written as a LoRA without loss.
 * Left out: lookups of embeddings. */
#include "core/base/alloc.h"
#include "core/base/error.h"
#include <math.h>
#include <string.h>
#include "model/adapt/adapt_tensor.h"

enum { DORA_A, DORA_B, DORA_M, DORA_C, DORA_ROWS = 16 };

/* One row of V and its length; w [cols] is overwritten. A row of zeros has no direction and stays zero. */
static float direction(const struct adapt_site *s, size_t i, float *w)
{
    lora_add_row(s, s->scale, i, w);
    float c = sqrtf(kernel_get()->sum_squares(w, s->on->q.cols));
    return c > 0 ? c : 1;
}

struct norms {
    const struct adapt_site *s;
    float *scratch; /* [threads, cols] */
};

static void norms_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct norms *j = ctx;
    const struct qmat *q = &j->s->on->q;
    float *w = j->scratch + worker * q->cols;
    for (size_t i = tile * DORA_ROWS; i < q->rows && i < (tile + 1) * DORA_ROWS; i++) {
        qmat_row(q, i, w);
        adapt_numbers(j->s->part[DORA_C])[i] = direction(j->s, i, w);
    }
}

static enum sooth_status dora_refresh(struct adapt *a, struct sooth_error *err)
{
    for (size_t i = 0; i < a->sites.count; i++) {
        const struct qmat *q = &a->sites.items[i].on->q;
        struct norms j = {&a->sites.items[i], mem_array(pool_threads(a->o.pool), q->cols * sizeof(float))};
        if (!j.scratch)
            return err_nomem(err);
        pool_run(a->o.pool, (q->rows + DORA_ROWS - 1) / DORA_ROWS, norms_tile, &j);
        mem_free(j.scratch);
    }
    return SOOTH_OK;
}

static enum sooth_status dora_attach(struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = lora_attach(a, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) {
        struct adapt_site *s = &a->sites.items[i];
        if (s->use == ADAPT_LOOKUP)
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "'%s' is looked up, not multiplied with: method 'dora' adapts products", s->role);
        s->part[DORA_M] = adapt_add(a, 1, s->on->q.rows, "%s.dora_m", s->name);
        s->part[DORA_C] = adapt_add_constant(a, 1, s->on->q.rows, "%s.dora_c", s->name);
        if (!s->part[DORA_M] || !s->part[DORA_C])
            return err_nomem(err);
    }
    if (!status)
        status = dora_refresh(a, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) { /* B = 0: the lengths of W's own rows */
        const struct adapt_site *s = &a->sites.items[i];
        memcpy(adapt_numbers(s->part[DORA_M]), s->part[DORA_C]->q.data, s->on->q.rows * sizeof(float));
    }
    return status;
}

static struct mat *dora_product(struct run *r, const struct adapt *a, const struct adapt_site *s, float strength, struct mat *x, struct mat *y)
{
    struct mat *dropped = lora_dropped(r, a, s, x);
    struct mat *base = dropped == x ? y : op_product(r, s->on, dropped);                                  /* [n, out] */
    struct mat *v = op_add(r, base, lora_branch(r, s, s->scale, dropped));
    struct mat *z = op_ratio_row(r, s->part[DORA_M], s->part[DORA_C], v);
    z = op_add(r, z, op_scale(r, -1, base));
    return strength == 1 ? z : op_scale(r, strength, z);
}

static enum sooth_status dora_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    enum sooth_status status = lora_tensors(a, t, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) {
        const struct adapt_site *s = &a->sites.items[i];
        struct weight *m = s->part[DORA_M];
        struct adapt_tensor *e = t->layout == LAYOUT_PEFT  ? tensors_add(t, m, "base_model.model.%s.lora_magnitude_vector", s->module)
                                 : t->layout == LAYOUT_MLX ? tensors_add(t, m, "%s.m", s->module)
                                                           : tensors_add(t, m, "%s.dora_m", s->name);
        tensors_pair(t, e, a, s->entry, false);
    }
    return status;
}

static void dora_merge(const struct adapt *a, const struct adapt_site *s, float strength, size_t i, const float *w, float *out)
{
    size_t cols = s->on->q.cols;
    float ratio = weight_vec(s->part[DORA_M])[i] / weight_vec(s->part[DORA_C])[i];
    kernel_get()->axpy(out, strength * (ratio - 1), w, cols);
    lora_add_row(s, strength * ratio * s->scale, i, out);
}

const struct adapt_method adapt_row_dora = {
    .name = "dora", .note = "LoRA on the direction of each row, its length trained apart", .targets = "attn_q?,attn_v?,attn_qkv?", .rank = 8,
    .attach = dora_attach, .refresh = dora_refresh, .product = dora_product, .merge = dora_merge, .tensors = dora_tensors, .peft = "LORA",
};
