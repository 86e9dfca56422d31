/* lora.c: LoRA (Hu et al. 2021, arXiv:2106.09685): the change of a weight, not the weight, is learned, as a product of two thin
 * matrices.
 *
 *     y = x Wᵀ + s·drop(x) Aᵀ Bᵀ        A [r, in], B [out, r], s = α/r, or α/√r (rsLoRA, Kalajdzievski 2023, arXiv:2312.03732)
 *
 * B starts at zero, so the model starts as it was; then dA = 0 and only B moves at the first step. A starts uniform in ±1/√in
 * (Kaiming with a = √5). r·(in + out) numbers are trained in place of in·out. α/√r keeps the size of what is added alike for every rank;
 * with α/r large ranks learn as slowly as small ones.
 *
 * A lookup of token t gets s·A_t Bᵀ with A [vocab, r], B [dim, r]: here A starts at zero and B normal, as in PEFT. A tied table is
 * adapted in the use that was named, lookup or output; the other use keeps the table.
 *
 * The base may be in any number format: its gradient goes through the dequantized weight to x and to nothing else, which is
 * what QLoRA is (Dettmers et al. 2023, arXiv:2305.14314); its row of the table differs in what it adapts by default.
 * Dropout is on the thin branch alone, never on the frozen one.
 *
 * Merged: W + s·BA, row by row. Unmerging is keeping W: subtracting would not give the same bits. */
#include <math.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

enum sooth_status lora_attach(struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = adapt_find_sites(a, false, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) {
        struct adapt_site *s = &a->sites.items[i];
        const struct qmat *q = &s->on->q;
        bool lookup = s->use == ADAPT_LOOKUP;
        s->part[0] = adapt_add(a, lookup ? q->rows : s->rank, lookup ? s->rank : q->cols, "%s.lora_a", s->name);
        s->part[1] = adapt_add(a, lookup ? q->cols : q->rows, s->rank, "%s.lora_b", s->name);
        if (!s->part[0] || !s->part[1])
            return err_nomem(err);
        if (lookup)
            adapt_draw_normal(a, s->part[1], 1);
        else
            adapt_draw_uniform(a, s->part[0], 1 / sqrtf((float)q->cols));
    }
    return status;
}

struct mat *lora_dropped(struct run *r, const struct adapt *a, const struct adapt_site *s, struct mat *x)
{
    return a->draw ? op_dropout(r, (float)a->o.dropout, adapt_seed_of(a, s->name) + a->draw * 0x9E3779B97F4A7C15u, x) : x;
}

struct mat *lora_branch(struct run *r, const struct adapt_site *s, float scale, struct mat *x)
{
    struct mat *h = op_linear(r, s->part[0], NULL, x);              /* [n, r] */
    return op_linear(r, s->part[1], NULL, op_scale(r, scale, h));   /* [n, out] */
}

void lora_add_row(const struct adapt_site *s, float scale, size_t i, float *out)
{
    const struct qmat *a = &s->part[0]->q, *b = &s->part[1]->q;
    const float *va = a->data, *vb = b->data;
    for (size_t k = 0; k < s->rank; k++)
        if (s->use == ADAPT_LOOKUP)
            for (size_t j = 0; j < b->rows; j++)
                out[j] += scale * va[i * s->rank + k] * vb[j * s->rank + k];
        else
            kernel_get()->axpy(out, scale * vb[i * s->rank + k], va + k * a->cols, a->cols);
}

/* Names and orientation of a pair: PEFT A [r, in], B [out, r]; MLX both turned; GGUF as PEFT, without alpha patterns: they are
 * folded into B. A lookup's A is [vocab, r] here, in MLX and in GGUF, turned in PEFT. */
static void pair_list(const struct adapt *a, const struct adapt_site *s, struct adapt_tensors *t)
{
    struct adapt_tensor *ea, *eb;
    bool lookup = s->use == ADAPT_LOOKUP;
    if (t->layout == LAYOUT_PEFT) {
        ea = tensors_add(t, s->part[0], "base_model.model.%s.%s", s->module, lookup ? "lora_embedding_A" : "lora_A.weight");
        if (ea)
            ea->turned = lookup;
        eb = tensors_add(t, s->part[1], "base_model.model.%s.%s", s->module, lookup ? "lora_embedding_B" : "lora_B.weight");
    } else if (t->layout == LAYOUT_MLX) {
        ea = tensors_add(t, s->part[0], "%s.lora_a", s->module);
        if (ea)
            ea->turned = !lookup;
        eb = tensors_add(t, s->part[1], "%s.lora_b", s->module);
        if (eb)
            eb->turned = true;
    } else {
        ea = tensors_add(t, s->part[0], "%s.lora_a", s->name);
        eb = tensors_add(t, s->part[1], "%s.lora_b", s->name);
        double folded = (double)s->scale * (double)s->rank / gguf_alpha(a);
        if (eb && fabs(folded - 1) > 1e-6)
            eb->times = folded;
    }
    if (ea)
        ea->vector = false;
    if (eb)
        eb->vector = false;
    tensors_pair(t, eb, a, s->entry, false);
}

enum sooth_status lora_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    if (t->layout == LAYOUT_HUB)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "method '%s' is not kept in this kind of directory", a->row->name);
    for (size_t i = 0; i < a->sites.count; i++)
        pair_list(a, &a->sites.items[i], t);
    return SOOTH_OK;
}

static struct mat *lora_product(struct run *r, const struct adapt *a, const struct adapt_site *s, float strength, struct mat *x, struct mat *y)
{
    return lora_branch(r, s, strength * s->scale, lora_dropped(r, a, s, x));
}

static struct mat *lora_lookup(struct run *r, const struct adapt *a, const struct adapt_site *s, float strength, struct mat *y)
{
    struct mat *h = op_embed(r, s->part[0], IDS_TOKEN, 0);                      /* [n, r] */
    return op_linear(r, s->part[1], NULL, op_scale(r, strength * s->scale, h)); /* [n, dim] */
}

static void lora_merge(const struct adapt *a, const struct adapt_site *s, float strength, size_t i, const float *w, float *out)
{
    lora_add_row(s, strength * s->scale, i, out);
}

const struct adapt_method adapt_row_lora = {
    .name = "lora", .note = "two thin matrices beside a weight", .targets = "attn_q?,attn_v?,attn_qkv?", .rank = 8, .attach = lora_attach, .product = lora_product,
    .lookup = lora_lookup, .merge = lora_merge, .tensors = lora_tensors, .peft = "LORA",
};
const struct adapt_method adapt_row_qlora = {
    .name = "qlora", .note = "LoRA on every product of a quantized model", .targets = "all-linear", .rank = 64, .attach = lora_attach,
    .product = lora_product, .lookup = lora_lookup, .merge = lora_merge, .tensors = lora_tensors, .peft = "LORA",
};
