/* learner.c: see learner.h. */
#include "learn/train/learner.h"
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"

void learner_options_init(struct learner_options *o)
{
    *o = (struct learner_options){.optimizer = "adamw", .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .clip = 1};
}

static enum sooth_status optimizer_make(struct learner *l, const struct weight **list, size_t n, struct sooth_error *err)
{
    const struct optimizer_row *row = optimizer_row_find(l->o.optimizer ? l->o.optimizer : "adamw");
    struct optimizer_item *items = mem_calloc(n ? n : 1, sizeof *items);
    if (!row) {
        mem_free(items);
        err_set(err, SOOTH_ERR_ARG, "there is no optimizer '%.40s'", l->o.optimizer);
        return err_hint(err, "'sooth list optimizers' shows them");
    }
    if (!items)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct optimizer_item){adapt_values(l->adapt, i), grads_find(l->grads, list[i]), list[i]->q.rows * list[i]->q.cols, list[i]->q.rows > 1};
    enum sooth_status status = optimizer_init(&l->optimizer, row, items, n, l->o.page_dir, err);
    mem_free(items);
    return status;
}

static enum sooth_status runs_make(struct learner *l, struct sooth_error *err)
{
    struct run_options record = {.pool = l->pool, .grads = l->grads, .tape = true, .checkpoint = l->o.checkpoint, .max_bytes = l->o.max_bytes,
                                 .products = l->o.products};
    l->wear = (struct run_options){.pool = l->pool, .max_bytes = l->o.max_bytes, .products = l->o.products};
    enum sooth_status status = adapt_apply(l->adapt, &record, err);
    if (!status)
        status = adapt_apply(l->adapt, &l->wear, err);
    if (status)
        return status;
    l->run = run_new(&record);
    l->eval = run_new(&l->wear);
    return l->run && l->eval ? SOOTH_OK : err_nomem(err);
}

enum sooth_status learner_new(const struct arch_model *model, struct adapt *adapt, struct pool *pool, const struct learner_options *o,
                              struct learner **out, struct sooth_error *err)
{
    size_t n = adapt_trained(adapt);
    struct learner *l = mem_calloc(1, sizeof *l);
    const struct weight **list = mem_array(n ? n : 1, sizeof *list);
    enum sooth_status status = l && list ? SOOTH_OK : err_nomem(err);
    *out = NULL;
    if (!status) {
        l->model = model;
        l->adapt = adapt;
        l->pool = pool;
        l->o = *o;
        for (size_t i = 0; i < n; i++)
            list[i] = adapt_weight(adapt, i);
        l->grads = grads_new(list, n);
        status = l->grads ? optimizer_make(l, list, n, err) : err_nomem(err);
    }
    if (!status)
        status = runs_make(l, err);
    mem_free(list);
    if (status)
        learner_free(l);
    else
        *out = l;
    return status;
}

void learner_free(struct learner *l)
{
    if (!l)
        return;
    run_free(l->run);
    run_free(l->eval);
    if (l->optimizer.row)
        optimizer_release(&l->optimizer);
    grads_free(l->grads);
    mem_free(l);
}

void learner_batch(const struct learner *l, struct minibatch *b)
{
    minibatch_init(b, adapt_rows(l->adapt), (uint32_t)l->wear.prefix_rows, adapt_start(l->adapt));
}

void learner_clear(struct learner *l)
{
    grads_clear(l->grads);
}

enum sooth_status learner_nll(struct learner *l, const struct minibatch *b, bool train, uint64_t draw, double *loss, struct sooth_error *err)
{
    struct run *r = train ? l->run : l->eval;
    struct rows rows = minibatch_rows(b);
    *loss = 0;
    if (!b->trained)
        return SOOTH_OK;
    adapt_dropout(l->adapt, train ? draw : 0);
    run_begin(r, &rows);
    struct mat *p = arch_logprobs(l->model, r, arch_hidden(l->model, r));
    struct mat *sum = op_weigh(r, b->weight.items, p);
    enum sooth_status status = run_end(r, err);
    if (!status && train && isfinite(sum->v[0]))
        status = run_backward(r, sum, -1, err);
    if (!status)
        *loss = -(double)sum->v[0];
    adapt_dropout(l->adapt, 0);
    return status;
}

enum sooth_status learner_step(struct learner *l, double rate, double *norm, bool *taken, struct sooth_error *err)
{
    *norm = optimizer_grad_norm(&l->optimizer);
    *taken = isfinite(*norm);
    if (!*taken)
        return SOOTH_OK;
    struct optimizer_step step = {.rate = rate, .scale = l->o.clip > 0 && *norm > l->o.clip ? l->o.clip / *norm : 1, .beta1 = l->o.beta1, .beta2 = l->o.beta2,
                                  .epsilon = l->o.epsilon, .t = ++l->steps};
    optimizer_apply(&l->optimizer, l->pool, step, l->o.decay);
    return adapt_refresh(l->adapt, err);
}
