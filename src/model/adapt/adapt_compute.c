/* adapt_compute.c: ops outside of a model's forward, for what a method makes at its start or end; small networks of a method's own. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/rng.h"
#include "model/adapt/adapt_method.h"

enum sooth_status adapt_compute(struct adapt *a, adapt_making *make, float *out, struct sooth_error *err)
{
    static const int32_t token = 0;
    static const uint32_t zero = 0;
    static const struct rows rows = {.n = 1, .token = &token, .pos = &zero, .seq = &zero};
    struct run_options o = {.pool = a->o.pool};
    struct run *r = run_new(&o);
    if (!r)
        return err_nomem(err);
    run_begin(r, &rows);
    struct mat *m = make(a, r);
    enum sooth_status status = run_end(r, err);
    if (!status)
        memcpy(out, m->v, m->rows * m->cols * sizeof *out);
    run_free(r);
    return status;
}

/* ---- the embeddings of real tokens ---- */

struct capture {
    struct weight *w;
    bool done;
};

/* Takes what the embedding gives and ends the forward there: an op given nothing fails. */
static struct mat *take_embeddings(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    struct capture *c = user;
    if (site != HOOK_TOKENS || !x)
        return x;
    memcpy(adapt_numbers(c->w), x->v, x->rows * x->cols * sizeof(float));
    c->done = true;
    return NULL;
}

enum sooth_status adapt_embeddings(struct adapt *a, struct weight *w, struct sooth_error *err)
{
    size_t n = w->q.rows;
    struct rng rng;
    struct capture c = {w, false};
    struct run_options o = {.pool = a->o.pool, .hook = take_embeddings, .hook_user = &c};
    int32_t *token = arena_array(&a->arena, n, sizeof *token);
    uint32_t *pos = arena_array(&a->arena, 2 * n, sizeof *pos);
    struct run *r = run_new(&o);
    rng_seed(&rng, adapt_seed_of(a, "start"));
    for (size_t i = 0; token && pos && i < n; i++) {
        token[i] = a->o.start_count ? a->o.start[i % a->o.start_count] : (int32_t)rng_below(&rng, arch_info(a->model)->vocab);
        pos[i] = (uint32_t)i;
        pos[n + i] = 0;
    }
    if (r && token && pos) {
        struct rows rows = {.n = n, .token = token, .pos = pos, .seq = pos + n};
        run_begin(r, &rows);
        arch_hidden(a->model, r);
    }
    run_free(r);
    return c.done ? SOOTH_OK : err_nomem(err);
}

bool adapt_rows_here(const struct adapt *a, const struct run *r, uint32_t first)
{
    const struct rows *rows = run_rows(r);
    for (size_t i = 0; i < rows->n; i++)
        if (rows->pos[i] >= first && rows->pos[i] - first < a->rows)
            return true;
    return false;
}

/* ---- layers ---- */

bool adapt_layer_add(struct adapt *a, size_t rows, size_t cols, const char *name, struct adapt_layer *out)
{
    *out = (struct adapt_layer){adapt_add(a, rows, cols, "%s.weight", name), adapt_add(a, 1, rows, "%s.bias", name)};
    if (!out->w || !out->b)
        return false;
    adapt_draw_uniform(a, out->w, 1 / sqrtf((float)cols));
    adapt_draw_uniform(a, out->b, 1 / sqrtf((float)cols));
    return true;
}
