/* engine.c: one forward of one model, and its early exits.
 *
 * An early exit reads the residual stream after block j, brings it through the final norm and the output matrix as if the
 * model ended there (DoLa; Chuang et al. 2023). The hook copies the rows that are asked for while the blocks run; their
 * logits are made in the same run, all in one product. */
#include "model/infer/engine.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"

static struct mat *engine_hook(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    struct engine *e = user;
    if (site != HOOK_BLOCK && site != HOOK_EMBED)
        return x;
    unsigned depth = site == HOOK_EMBED ? 0 : layer + 1;
    for (size_t i = 0; i < e->exits.count; i++)
        if (e->exits.items[i].layer == depth)
            memcpy(e->exit_x.items + i * e->dim, x->v + e->exits.items[i].row * e->dim, e->dim * sizeof(float));
    return x;
}

enum sooth_status engine_new(const struct sooth_model *model, size_t n_seq, size_t context, struct engine **out,
                             struct sooth_error *err)
{
    *out = NULL;
    if (!model->arch || !arch_info(model->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' does not generate text", model->info.path);
    struct engine *e = mem_calloc(1, sizeof *e);
    if (!e)
        return err_nomem(err);
    e->model = model;
    e->vocab = arch_info(model->arch)->vocab;
    e->dim = arch_info(model->arch)->dim;
    enum sooth_status status = arch_cache_new(model->arch, n_seq, context, KV_F32, &e->cache, err);
    if (status == SOOTH_OK) {
        struct run_options options = {.pool = model->pool, .cache = e->cache, .hook = engine_hook, .hook_user = e};
        e->run = run_new(&options);
        status = e->run ? SOOTH_OK : err_nomem(err);
    }
    if (status != SOOTH_OK)
        engine_free(e);
    else
        *out = e;
    return status;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    run_free(e->run);
    kv_cache_free(e->cache);
    vec_free(&e->token);
    vec_free(&e->pos);
    vec_free(&e->seq);
    vec_free(&e->want);
    vec_free(&e->target);
    vec_free(&e->exits);
    vec_free(&e->exit_x);
    mem_free(e);
}

void engine_clear(struct engine *e)
{
    e->token.count = e->pos.count = e->seq.count = e->want.count = e->target.count = 0;
    e->exits.count = 0;
    e->n_wanted = 0;
    e->logits = e->exit_logits = NULL;
}

bool engine_row(struct engine *e, size_t seq, size_t pos, int32_t token, bool want)
{
    e->n_wanted += want;
    return vec_push(&e->token, token) && vec_push(&e->pos, (uint32_t)pos) && vec_push(&e->seq, (uint32_t)seq) &&
           vec_push(&e->want, (uint8_t)want);
}

bool engine_exit(struct engine *e, unsigned layer, bool raw)
{
    struct engine_exit exit = {(uint32_t)e->token.count - 1, layer, raw};
    return vec_push(&e->exits, exit) && vec_reserve(&e->exit_x, e->exits.count * e->dim);
}

static struct rows engine_rows(const struct engine *e)
{
    return (struct rows){.n = e->token.count,
                         .token = e->token.items,
                         .pos = e->pos.items,
                         .seq = e->seq.items,
                         .want = e->want.items};
}

/* [exits, vocab] */
static struct mat *engine_exits(const struct engine *e)
{
    struct mat *x = run_mat(e->run, e->exits.count, e->dim);
    if (x)
        memcpy(x->v, e->exit_x.items, e->exits.count * e->dim * sizeof(float));
    struct mat *h = arch_final_norm(e->model->arch, e->run, x);
    for (size_t i = 0; h && i < e->exits.count; i++)
        if (e->exits.items[i].raw)
            memcpy(h->v + i * e->dim, e->exit_x.items + i * e->dim, e->dim * sizeof(float));
    return arch_logits(e->model->arch, e->run, h);
}

enum sooth_status engine_run(struct engine *e, struct sooth_error *err)
{
    struct rows rows = engine_rows(e);
    if (!rows.n)
        return SOOTH_OK;
    run_begin(e->run, &rows);
    struct mat *h = arch_hidden(e->model->arch, e->run),
               *y = e->n_wanted ? arch_logits(e->model->arch, e->run, h) : NULL,
               *x = e->exits.count ? engine_exits(e) : NULL;
    enum sooth_status status = run_end(e->run, err);
    if (status == SOOTH_OK) {
        e->logits = y ? y->v : NULL;
        e->exit_logits = x ? x->v : NULL;
    }
    return status;
}

enum sooth_status engine_score(struct engine *e, const float **out, struct sooth_error *err)
{
    struct rows rows = engine_rows(e);
    rows.target = e->target.items;
    run_begin(e->run, &rows);
    struct mat *h = arch_hidden(e->model->arch, e->run),
               *p = e->n_wanted ? arch_logprobs(e->model->arch, e->run, h) : NULL;
    enum sooth_status status = run_end(e->run, err);
    *out = status == SOOTH_OK && p ? p->v : NULL;
    return status;
}
