/* prompt.c: prompt tuning (Lester et al. 2021, arXiv:2104.08691): p vectors before the text are trained, nothing else.
 *
 *     [P; E(x)]        P [p, d]
 *
 * The vectors stand where token embeddings enter the model. To the run they are rows like others, placeholders whose
 * embedding is replaced here by their position; so attention, cache, packing and positions need to know nothing. P begins
 * with the embeddings of given tokens, or of tokens drawn from the vocabulary: vectors drawn from N(0, 1) are some
 * fifty times as long as a model's own.
 *
 * Adds p·d parameters. Small models gain less from it than from methods that reach every layer; the paper sees the gap close with size.
 * Left out: prompts inside or behind the text; the paper's Adafactor. */
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

static enum sooth_status prompt_attach(struct adapt *a, struct sooth_error *err)
{
    struct weight *p = adapt_add(a, a->o.tokens, arch_info(a->model)->dim, "prompt_embeddings");
    a->rows = a->o.tokens;
    return p ? adapt_embeddings(a, p, err) : err_nomem(err);
}

static struct mat *prompt_hook(struct run *r, const struct adapt *a, uint32_t first, enum hook_site site, unsigned layer, struct mat *x)
{
    if (site != HOOK_TOKENS || !adapt_rows_here(a, r, first))
        return x;
    return op_place(r, first, op_lookup(r, a->trained.items[0], NULL, a->rows), x);
}

static enum sooth_status prompt_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    return soft_prompt_tensor(a->trained.items[0], t, err);
}

enum sooth_status soft_prompt_tensor(struct weight *p, struct adapt_tensors *t, struct sooth_error *err)
{
    if (t->layout == LAYOUT_HUB || t->layout == LAYOUT_MLX)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "a soft prompt is not kept in this kind of directory");
    struct adapt_tensor *e = tensors_add(t, p, "prompt_embeddings");
    if (e)
        e->vector = false;
    return SOOTH_OK;
}

const struct adapt_method adapt_row_prompt = {
    .name = "prompt", .note = "vectors before the text", .attach = prompt_attach, .hook = prompt_hook, .tensors = prompt_tensors, .peft = "PROMPT_TUNING",
};
