/* ptuning.c: P-tuning (Liu et al. 2021, arXiv:2103.10385): the vectors of a soft prompt are made by a small network, so that they
 * move together; only its input and its weights are trained.
 *
 *     lstm    P = W_2 relu(W_1 BiLSTM(E))         two layers, h each way: E [p, d], W_1 [2h, 2h], W_2 [d, 2h]
 *     mlp     P = W_3 relu(W_2 relu(W_1 E))       W_1 [h, d], W_2 [h, h], W_3 [d, h]
 *     direct  P itself: what is left when the network is gone
 *
 * Layers and shapes are PEFT's; with h = d/2 the first is the authors' own. The LSTM's input gates are one product over all rows,
 * its recurrence an op. When training ends the network is run once and dropped (adapt_settle): what remains is a soft prompt
 * (prompt.c) and is served as one.
 *
 * Left out: prompts in several places of a template; the paper's anchor tokens. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "model/adapt/adapt_tensor.h"

enum { LSTM_LAYERS = 2 };

struct direction {
    struct adapt_layer input, state; /* [4h, in], [4h, h] */
};
struct encoder {
    struct weight *e;                /* [p, d]; NULL once settled */
    size_t layers;                   /* linears */
    struct adapt_layer linear[3];
    size_t lstm;                     /* layers of it */
    struct direction dir[LSTM_LAYERS][2];
    struct weight *made;             /* [p, d], settled */
};

static bool direction_add(struct adapt *a, size_t layer, bool reverse, size_t in, size_t h, struct direction *out)
{
    char name[2][64];
    const char *end = reverse ? "_reverse" : "";
    snprintf(name[0], sizeof name[0], "lstm_ih_l%zu%s", layer, end);
    snprintf(name[1], sizeof name[1], "lstm_hh_l%zu%s", layer, end);
    if (!adapt_layer_add(a, 4 * h, in, name[0], &out->input) || !adapt_layer_add(a, 4 * h, h, name[1], &out->state))
        return false;
    adapt_draw_uniform(a, out->input.w, 1 / sqrtf((float)h)); /* torch: by the state's size, the input's matrix too */
    adapt_draw_uniform(a, out->input.b, 1 / sqrtf((float)h));
    return true;
}

static bool encoder_add(struct adapt *a, struct encoder *c, size_t d, size_t h)
{
    bool lstm = strcmp(a->o.variant, "lstm") == 0, ok = true;
    size_t in[] = {d, h, h}, out[] = {h, h, d}, wide = 2 * h;
    c->lstm = lstm ? LSTM_LAYERS : 0;
    c->layers = lstm ? 2 : 3;
    for (size_t l = 0; l < c->lstm; l++)
        for (int reverse = 0; reverse < 2; reverse++)
            ok = ok && direction_add(a, l, reverse == 1, l ? wide : d, h, &c->dir[l][reverse]);
    for (size_t l = 0; l < c->layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "mlp.%zu", 2 * l);
        ok = ok && (lstm ? adapt_layer_add(a, l ? d : wide, wide, name, &c->linear[l]) : adapt_layer_add(a, out[l], in[l], name, &c->linear[l]));
    }
    return ok;
}

static enum sooth_status ptuning_attach(struct adapt *a, struct sooth_error *err)
{
    size_t d = arch_info(a->model)->dim, h = a->o.width ? a->o.width : strcmp(a->o.variant, "lstm") ? d : (d + 1) / 2;
    struct encoder *c = a->own = arena_calloc(&a->arena, 1, sizeof *c);
    a->rows = a->o.tokens;
    if (c && strcmp(a->o.variant, "direct") == 0) {
        c->made = adapt_add(a, a->o.tokens, d, "prompt_embeddings");
        return c->made ? adapt_embeddings(a, c->made, err) : err_nomem(err);
    }
    a->o.width = h;
    if (!c || !(c->e = adapt_add(a, a->o.tokens, d, "embedding")) || !encoder_add(a, c, d, h))
        return err_nomem(err);
    adapt_draw_normal(a, c->e, 1);
    return SOOTH_OK;
}

static struct mat *both_ways(struct run *r, const struct direction *dir, struct mat *x)
{
    struct mat *y[2];
    for (int k = 0; k < 2; k++)
        y[k] = op_lstm(r, dir[k].state.w, dir[k].state.b, k == 1, adapt_layer_run(r, &dir[k].input, x));
    return op_join(r, y[0], y[1]);
}

/* P [p, d] */
static struct mat *encode(const struct adapt *a, struct run *r)
{
    const struct encoder *c = a->own;
    if (c->made)
        return op_lookup(r, c->made, NULL, a->rows);
    struct mat *x = op_lookup(r, c->e, NULL, a->rows);
    for (size_t l = 0; l < c->lstm; l++)
        x = both_ways(r, c->dir[l], x);
    for (size_t l = 0; l < c->layers; l++) {
        x = adapt_layer_run(r, &c->linear[l], x);
        x = l + 1 < c->layers ? op_act(r, ACT_RELU, x) : x;
    }
    return x;
}

static struct mat *ptuning_hook(struct run *r, const struct adapt *a, uint32_t first, enum hook_site site, unsigned layer, struct mat *x)
{
    return site == HOOK_TOKENS && adapt_rows_here(a, r, first) ? op_place(r, first, encode(a, r), x) : x;
}

static enum sooth_status ptuning_settle(struct adapt *a, struct sooth_error *err)
{
    struct encoder *c = a->own;
    if (c->made)
        return SOOTH_OK;
    struct weight *p = adapt_add_constant(a, a->rows, arch_info(a->model)->dim, "prompt_embeddings");
    enum sooth_status status = p ? adapt_compute(a, encode, adapt_numbers(p), err) : err_nomem(err);
    if (status)
        return status;
    c->made = p;
    a->o.variant = "direct";
    a->trained.count = 0;
    return vec_push(&a->trained, p) ? SOOTH_OK : err_nomem(err);
}

static enum sooth_status ptuning_tensors(const struct adapt *a, struct adapt_tensors *t, struct sooth_error *err)
{
    const struct encoder *c = a->own;
    return soft_prompt_tensor(c->made, t, err);
}

static const char *const kinds[] = {"lstm", "mlp", "direct", NULL};
const struct adapt_method adapt_row_ptuning = {
    .name = "ptuning", .note = "vectors before the text, made by a network", .variants = kinds, .attach = ptuning_attach, .settle = ptuning_settle,
    .hook = ptuning_hook, .tensors = ptuning_tensors, .peft = "P_TUNING",
};
