/* full.c: fine-tuning in the plain sense: every number of the model (or of the weights that are named) is trained.
 *
 * The model itself stays as it was loaded. Each trained weight is a copy in f32, whatever the file's format, and every op reads
 * the copy in place of the original: products, lookups, norms, biases, the vocabulary. So the
 * reference of a preference loss, or the model before training, is the same memory with the adapter off.
 *
 * Cost: 4 bytes a parameter, and as much again for the gradient and twice for Adam's moments. Open the model with `no_pack`: the
 * packed form of what is replaced would never be read. On a packed quantized model the start differs from the model by the rounding
 * of activations, which the copy does not have.
 *
 * Left out: a strength between 0 and 1 (the copy is worn or not). */
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

static enum sooth_status full_attach(struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = adapt_find_sites(a, true, err);
    for (size_t i = 0; i < a->sites.count && !status; i++) {
        struct adapt_site *s = &a->sites.items[i];
        const struct qmat *q = &s->on->q;
        if (!(s->part[0] = adapt_add(a, q->rows, q->cols, "%s", s->name)))
            return err_nomem(err);
        for (size_t row = 0; row < q->rows; row++)
            qmat_row(q, row, adapt_numbers(s->part[0]) + row * q->cols);
    }
    return status;
}

static const struct weight *full_stand_in(const struct adapt *a, const struct adapt_site *s)
{
    return s->part[0];
}

/* Whole weights, as a model's own file of the container has them. */
enum sooth_status copies_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    if (t->layout == LAYOUT_MLX)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "whole weights in an MLX directory are not known");
    for (size_t i = 0; i < a->sites.count; i++) {
        const struct adapt_site *s = &a->sites.items[i];
        struct adapt_tensor *e = t->layout == LAYOUT_GGUF ? tensors_add(t, s->part[0], "%s", s->name)
                                                          : tensors_add(t, s->part[0], "base_model.model.%s", s->entry->hf_name);
        if (!e)
            return err_nomem(err);
        e->vector = s->entry->vector;
        e->turned = t->layout != LAYOUT_GGUF && s->entry->change == ARCH_TRANSPOSED;
        e->plus = t->layout != LAYOUT_GGUF && s->entry->change == ARCH_PLUS_ONE ? 1 : 0;
        tensors_pair(t, e, a, s->entry, false);
    }
    return SOOTH_OK;
}

static void full_merge(const struct adapt *a, const struct adapt_site *s, float strength, size_t i, const float *w, float *out)
{
    const float *mine = adapt_numbers(s->part[0]) + i * s->on->q.cols;
    for (size_t j = 0; j < s->on->q.cols; j++)
        out[j] += mine[j] - w[j];
}

const struct adapt_method adapt_row_full = {
    .name = "full", .note = "every number of the model, in f32", .targets = "all", .rank = 1, .attach = full_attach, .stand_in = full_stand_in,
    .merge = full_merge, .tensors = copies_tensors,
};
