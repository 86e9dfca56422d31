/* engine.c: one forward of one model, and its early exits.
 *
 * An early exit reads the residual stream after block j, brings it through the final norm and the output matrix as if the
 * model ended there (DoLa; Chuang et al. 2023). The hook copies the rows that are asked for while the blocks run; their
 * logits are made in the same run, all in one product. */
#include "model/infer/engine.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/adapt/adapt.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"

static struct mat *engine_hook(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    struct engine *e = user;
    if (e->worn_hook)
        x = e->worn_hook(e->worn_user, r, site, layer, x);
    if (!x)
        return NULL;
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
    enum sooth_status status = arch_cache_new(model->arch, n_seq, context, model->cache_type, &e->cache, err);
    if (status == SOOTH_OK)
        status = engine_wear(e, NULL, err);
    if (status != SOOTH_OK)
        engine_free(e);
    else
        *out = e;
    return status;
}

enum sooth_status engine_wear(struct engine *e, struct adapt_set *set, struct sooth_error *err)
{
    struct run_options options = {.pool = e->model->pool, .cache = e->cache};
    enum sooth_status status = set ? adapt_set_apply(set, &options, err) : SOOTH_OK;
    hook_fn *hook = options.hook;
    void *user = options.hook_user;
    options.hook = engine_hook;
    options.hook_user = e;
    struct run *run = status == SOOTH_OK ? run_new(&options) : NULL;
    if (!run)
        return status == SOOTH_OK ? err_nomem(err) : status;
    run_free(e->run);
    e->run = run;
    e->worn_hook = hook;
    e->worn_user = user;
    e->lead = set ? adapt_set_rows(set) : 0;
    e->start = set ? adapt_set_start(set) : 0;
    for (size_t i = 0; i < kv_cache_sequences(e->cache); i++)
        kv_cache_truncate(e->cache, i, 0);
    return SOOTH_OK;
}

size_t engine_cached(const struct engine *e, size_t seq)
{
    size_t length = kv_cache_length(e->cache, seq);
    return length > e->start ? length - e->start : 0;
}

void engine_keep(struct engine *e, size_t seq, size_t length)
{
    kv_cache_truncate(e->cache, seq, length ? e->start + length : 0);
}

enum sooth_status engine_copy(struct engine *e, size_t dst, size_t src, size_t length)
{
    return kv_cache_copy(e->cache, dst, src, e->start + length);
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

static bool engine_push(struct engine *e, size_t seq, size_t pos, int32_t token, bool want)
{
    e->n_wanted += want;
    return vec_push(&e->token, token) && vec_push(&e->pos, (uint32_t)pos) && vec_push(&e->seq, (uint32_t)seq) &&
           vec_push(&e->want, (uint8_t)want) && vec_push(&e->target, -1);
}

bool engine_row(struct engine *e, size_t seq, size_t pos, int32_t token, bool want)
{
    for (size_t i = 0; pos == 0 && i < e->lead; i++) /* their embeddings are the adapters' */
        if (!engine_push(e, seq, e->start - e->lead + i, 0, false))
            return false;
    return engine_push(e, seq, e->start + pos, token, want);
}

void engine_target(struct engine *e, int32_t token)
{
    e->target.items[e->target.count - 1] = token;
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
