/* adapt.c: the table of methods; the life of an attached one and of its weights. */
#include "model/adapt/adapt.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/near.h"
#include "core/base/rng.h"
#include "model/adapt/adapt_method.h"

#define ROW(x) &adapt_row_##x,
static const struct adapt_method *const methods[] = {
#include "model/adapt/adapt_rows.inc"
};
#undef ROW

enum { METHODS = sizeof methods / sizeof *methods, RANK_MOST = 65536, TOKENS_MOST = 65536, WIDTH_MOST = 1 << 20 };

const char *adapt_method_at(size_t i, const char **note)
{
    if (i >= METHODS)
        return NULL;
    if (note)
        *note = methods[i]->note;
    return methods[i]->name;
}

const char *adapt_variant_at(size_t i, size_t v)
{
    for (size_t n = 0; methods[i]->variants && methods[i]->variants[n]; n++)
        if (n == v)
            return methods[i]->variants[n];
    return NULL;
}

static const struct adapt_method *method_find(const char *name, struct sooth_error *err)
{
    const char *near = NULL;
    unsigned best = NEAR_NONE;
    for (size_t i = 0; i < METHODS; i++) {
        if (strcmp(methods[i]->name, name) == 0)
            return methods[i];
        if (near_better(name, methods[i]->name, &best))
            near = methods[i]->name;
    }
    err_set(err, SOOTH_ERR_ARG, "'%s' is no method of adapting a model", name);
    err_hint(err, near ? "did you mean '%s'" : "'sooth list methods' shows them", near);
    return NULL;
}

/* ---- options ---- */

static enum sooth_status options_check(const struct adapt_options *o, const struct adapt_method *row, struct sooth_error *err)
{
    bool known = !o->variant;
    if (o->rank > RANK_MOST)
        return err_set(err, SOOTH_ERR_ARG, "a rank of %zu", o->rank);
    if (!(o->alpha >= 0 && o->alpha <= 1e6))
        return err_set(err, SOOTH_ERR_ARG, "an alpha of %g", o->alpha);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return err_set(err, SOOTH_ERR_ARG, "a dropout of %g is not in [0, 1)", o->dropout);
    if (o->tokens > TOKENS_MOST || o->width > WIDTH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "%zu virtual tokens, a width of %zu", o->tokens, o->width);
    for (size_t i = 0; !known && row->variants && row->variants[i]; i++)
        known = strcmp(row->variants[i], o->variant) == 0;
    return known ? SOOTH_OK : err_set(err, SOOTH_ERR_ARG, "method '%s' has no kind '%s'", row->name, o->variant);
}

static const char *copy(struct adapt *a, const char *text)
{
    return text ? arena_strdup(&a->arena, text) : NULL;
}

static enum sooth_status options_take(struct adapt *a, const struct adapt_options *o, struct sooth_error *err)
{
    a->o = *o;
    a->o.method = a->row->name;
    a->o.variant = o->variant ? copy(a, o->variant) : a->row->variants ? a->row->variants[0] : NULL;
    a->o.targets = copy(a, o->targets ? o->targets : a->row->targets);
    a->o.activation = copy(a, o->activation);
    a->o.base = copy(a, o->base ? o->base : "");
    a->o.ranks = copy(a, o->ranks);
    a->o.alphas = copy(a, o->alphas);
    a->o.rank = o->rank ? o->rank : a->row->rank;
    a->o.alpha = o->alpha > 0 ? o->alpha : 2 * (double)a->o.rank;
    a->o.tokens = o->tokens ? o->tokens : 16;
    if (o->start_count) {
        int32_t *ids = arena_array(&a->arena, o->start_count, sizeof *ids);
        if (ids)
            memcpy(ids, o->start, o->start_count * sizeof *ids);
        a->o.start = ids;
    }
    for (size_t i = 0; a->o.start && i < o->start_count; i++)
        if (o->start[i] < 0 || (size_t)o->start[i] >= arch_info(a->model)->vocab)
            return err_set(err, SOOTH_ERR_ARG, "token %d is not in the vocabulary", o->start[i]);
    return a->arena.failed ? err_nomem(err) : SOOTH_OK;
}

/* ---- life ---- */

enum sooth_status adapt_new(const struct arch_model *model, const struct adapt_options *options, struct adapt **out, struct sooth_error *err)
{
    return adapt_attach(model, options, 0, out, err);
}

enum sooth_status adapt_attach(const struct arch_model *model, const struct adapt_options *options, uint64_t max_bytes, struct adapt **out,
                               struct sooth_error *err)
{
    *out = NULL;
    const struct adapt_method *row = method_find(options->method ? options->method : "lora", err);
    enum sooth_status status = row ? options_check(options, row, err) : SOOTH_ERR_ARG;
    if (status)
        return status;
    struct adapt *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_nomem(err);
    a->row = row;
    a->model = model;
    a->scale = 1;
    a->on = true;
    arena_init(&a->arena, max_bytes < SIZE_MAX ? (size_t)max_bytes : 0);
    status = options_take(a, options, err);
    if (!status)
        status = row->attach(a, err);
    if (!status && (a->arena.failed || a->trained.failed || a->sites.failed))
        status = err_nomem(err);
    if (!status)
        status = adapt_refresh(a, err);
    if (!status)
        status = adapt_alone(a, err);
    if (status) {
        adapt_free(a);
        return status;
    }
    *out = a;
    return SOOTH_OK;
}

void adapt_free(struct adapt *a)
{
    if (!a)
        return;
    adapt_set_free(a->alone);
    vec_free(&a->sites);
    vec_free(&a->trained);
    arena_release(&a->arena);
    mem_free(a);
}

const char *adapt_method_of(const struct adapt *a)
{
    return a->row->name;
}

const struct arch_model *adapt_model(const struct adapt *a)
{
    return a->model;
}

enum sooth_status adapt_refresh(struct adapt *a, struct sooth_error *err)
{
    return a->row->refresh ? a->row->refresh(a, err) : SOOTH_OK;
}

enum sooth_status adapt_settle(struct adapt *a, struct sooth_error *err)
{
    return a->row->settle ? a->row->settle(a, err) : SOOTH_OK;
}

void adapt_dropout(struct adapt *a, uint64_t draw)
{
    a->draw = draw;
}

void adapt_scale(struct adapt *a, float scale)
{
    a->scale = scale;
}

void adapt_on(struct adapt *a, bool on)
{
    a->on = on;
}

/* ---- weights ---- */

static struct weight *weight_new(struct adapt *a, size_t rows, size_t cols, const char *format, va_list ap)
{
    char name[256];
    size_t count = 0;
    struct weight *w = arena_calloc(&a->arena, 1, sizeof *w);
    vsnprintf(name, sizeof name, format, ap);
    if (!w || __builtin_mul_overflow(rows, cols, &count) || count > SIZE_MAX / sizeof(float))
        return NULL;
    float *v = arena_alloc(&a->arena, count * sizeof *v);
    w->name = arena_strdup(&a->arena, name);
    if (!v || !w->name)
        return NULL;
    memset(v, 0, count * sizeof *v);
    qmat_init(&w->q, qtype_by_id(0), rows, cols, v);
    return w;
}

struct weight *adapt_add_constant(struct adapt *a, size_t rows, size_t cols, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct weight *w = weight_new(a, rows, cols, format, ap);
    va_end(ap);
    return w;
}

struct weight *adapt_add(struct adapt *a, size_t rows, size_t cols, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct weight *w = weight_new(a, rows, cols, format, ap);
    va_end(ap);
    return w && vec_push(&a->trained, w) ? w : NULL;
}

uint64_t adapt_seed_of(const struct adapt *a, const char *name)
{
    return hash64(name, strlen(name), a->o.seed);
}

void adapt_draw_uniform(const struct adapt *a, struct weight *w, float bound)
{
    struct rng rng;
    rng_seed(&rng, adapt_seed_of(a, w->name));
    for (size_t i = 0; i < w->q.rows * w->q.cols; i++)
        adapt_numbers(w)[i] = bound * (2 * rng_float(&rng) - 1);
}

void adapt_draw_normal(const struct adapt *a, struct weight *w, float deviation)
{
    struct rng rng;
    rng_seed(&rng, adapt_seed_of(a, w->name));
    for (size_t i = 0; i < w->q.rows * w->q.cols; i++)
        adapt_numbers(w)[i] = deviation * rng_normal(&rng);
}

size_t adapt_trained(const struct adapt *a)
{
    return a->trained.count;
}

const struct weight *adapt_weight(const struct adapt *a, size_t i)
{
    return a->trained.items[i];
}

float *adapt_values(const struct adapt *a, size_t i)
{
    return adapt_numbers(a->trained.items[i]);
}

uint64_t adapt_parameters(const struct adapt *a)
{
    uint64_t n = 0;
    for (size_t i = 0; i < a->trained.count; i++)
        n += (uint64_t)a->trained.items[i]->q.rows * a->trained.items[i]->q.cols;
    return n;
}
