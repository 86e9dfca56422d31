/* adapt_set.c: several adapts worn at once.
 *
 * The seams of a run take one adapter a weight, one hook, one prefix. A set gathers its members behind them: for each weight a
 * chain of the members that adapt it, a hook that passes x through each, prefixes one behind the other. Each
 * member's addition is computed from the model's own output, so the order of the members changes nothing but rounding. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "model/adapt/adapt_method.h"

struct link {
    struct adapt *a;
    size_t site; /* index: the list may grow no more once a is attached */
};
struct chain {
    struct adapter base;
    const struct weight *w;
    VEC(struct link) links;
};
struct adapt_set {
    VEC(struct adapt *) members;
    VEC(struct chain *) chains;
    struct adapters *adapters;
};

static const struct adapt_site *site_of(const struct link *l)
{
    return &l->a->sites.items[l->site];
}

/* ---- the seams ---- */

static struct mat *chain_product(struct run *r, const struct adapter *base, const struct weight *w, struct mat *x, struct mat *y)
{
    const struct chain *c = (const struct chain *)base;
    struct mat *sum = y;
    for (size_t i = 0; i < c->links.count; i++) {
        const struct link *l = &c->links.items[i];
        float strength = adapt_strength(l->a);
        if (strength != 0 && l->a->row->product && site_of(l)->use == ADAPT_PRODUCT)
            sum = op_add(r, sum, l->a->row->product(r, l->a, site_of(l), strength, x, y));
    }
    return sum;
}

static struct mat *chain_lookup(struct run *r, const struct adapter *base, const struct weight *w, struct mat *y)
{
    const struct chain *c = (const struct chain *)base;
    struct mat *sum = y;
    for (size_t i = 0; i < c->links.count; i++) {
        const struct link *l = &c->links.items[i];
        float strength = adapt_strength(l->a);
        if (strength != 0 && l->a->row->lookup && site_of(l)->use == ADAPT_LOOKUP)
            sum = op_add(r, sum, l->a->row->lookup(r, l->a, site_of(l), strength, y));
    }
    return sum;
}

static const struct weight *chain_stand_in(const struct adapter *base, const struct weight *w)
{
    const struct chain *c = (const struct chain *)base;
    for (size_t i = 0; i < c->links.count; i++) {
        const struct link *l = &c->links.items[i];
        if (l->a->row->stand_in && adapt_strength(l->a) != 0)
            return l->a->row->stand_in(l->a, site_of(l));
    }
    return w;
}

static size_t prefix_of(const struct adapt_set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->members.count; i++)
        n += adapt_strength(s->members.items[i]) != 0 ? s->members.items[i]->prefix_rows : 0;
    return n;
}

static struct mat *set_hook(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    const struct adapt_set *s = user;
    size_t first = prefix_of(s);
    for (size_t i = 0; i < s->members.count; i++) {
        const struct adapt *a = s->members.items[i];
        if (adapt_strength(a) == 0)
            continue;
        if (a->row->hook)
            x = a->row->hook(r, a, (uint32_t)first, site, layer, x);
        first += a->rows;
    }
    return x;
}

static void set_prefix(void *user, struct run *r, unsigned layer, struct mat **k, struct mat **v)
{
    const struct adapt_set *s = user;
    *k = *v = NULL;
    for (size_t i = 0; i < s->members.count; i++) {
        const struct adapt *a = s->members.items[i];
        struct mat *mk, *mv;
        if (!a->prefix_rows || adapt_strength(a) == 0)
            continue;
        a->row->prefix(r, a, layer, &mk, &mv);
        *k = *k ? op_concat(r, *k, mk) : mk;
        *v = *v ? op_concat(r, *v, mv) : mv;
    }
}

/* ---- life ---- */

struct adapt_set *adapt_set_new(void)
{
    struct adapt_set *s = mem_calloc(1, sizeof *s);
    if (s && !(s->adapters = adapters_new())) {
        mem_free(s);
        return NULL;
    }
    return s;
}

void adapt_set_free(struct adapt_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->chains.count; i++) {
        vec_free(&s->chains.items[i]->links);
        mem_free(s->chains.items[i]);
    }
    vec_free(&s->chains);
    vec_free(&s->members);
    adapters_free(s->adapters);
    mem_free(s);
}

static struct chain *chain_find(const struct adapt_set *s, const struct weight *w)
{
    for (size_t i = 0; i < s->chains.count; i++)
        if (s->chains.items[i]->w == w)
            return s->chains.items[i];
    return NULL;
}

static struct chain *chain_get(struct adapt_set *s, const struct weight *w)
{
    struct chain *c = chain_find(s, w);
    if (c)
        return c;
    c = mem_calloc(1, sizeof *c);
    if (!c || !vec_push(&s->chains, c)) {
        mem_free(c);
        return NULL;
    }
    c->w = w;
    return adapters_attach(s->adapters, w, &c->base) == SOOTH_OK ? c : NULL;
}

static enum sooth_status link_site(struct adapt_set *s, struct adapt *a, size_t i, struct sooth_error *err)
{
    const struct adapt_site *site = &a->sites.items[i];
    struct link l = {a, i};
    struct chain *c = chain_get(s, site->on);
    if (!c || !vec_push(&c->links, l))
        return err_nomem(err);
    if (a->row->stand_in && c->base.stand_in)
        return err_set(err, SOOTH_ERR_ARG, "two adapters replace '%s'", site->on->name);
    if (a->row->stand_in)
        c->base.stand_in = chain_stand_in;
    if (a->row->product && site->use == ADAPT_PRODUCT)
        c->base.linear = chain_product;
    if (a->row->lookup && site->use == ADAPT_LOOKUP)
        c->base.embed = chain_lookup;
    return SOOTH_OK;
}

enum sooth_status adapt_set_add(struct adapt_set *s, struct adapt *a, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    if (s->members.count && s->members.items[0]->model != a->model)
        return err_set(err, SOOTH_ERR_ARG, "adapters of two models in one set");
    for (size_t i = 0; i < s->members.count; i++)
        if (s->members.items[i] == a)
            return err_set(err, SOOTH_ERR_ARG, "one adapter twice in a set");
    if (!vec_push(&s->members, a))
        return err_nomem(err);
    for (size_t i = 0; i < a->sites.count && !status; i++)
        status = link_site(s, a, i, err);
    return status;
}

enum sooth_status adapt_alone(struct adapt *a, struct sooth_error *err)
{
    a->alone = adapt_set_new();
    return a->alone ? adapt_set_add(a->alone, a, err) : err_nomem(err);
}

/* ---- wearing ---- */

size_t adapt_set_rows(const struct adapt_set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->members.count; i++)
        n += adapt_strength(s->members.items[i]) != 0 ? s->members.items[i]->rows : 0;
    return n;
}

uint32_t adapt_set_start(const struct adapt_set *s)
{
    return (uint32_t)(prefix_of(s) + adapt_set_rows(s));
}

enum sooth_status adapt_set_apply(struct adapt_set *s, struct run_options *o, struct sooth_error *err)
{
    bool hooks = false;
    for (size_t i = 0; i < s->members.count; i++)
        hooks |= s->members.items[i]->row->hook != NULL;
    if (o->adapters || (hooks && o->hook) || (prefix_of(s) && o->prefix))
        return err_set(err, SOOTH_ERR_INTERNAL, "a run wears something already");
    o->adapters = s->adapters;
    if (hooks) {
        o->hook = set_hook;
        o->hook_user = s;
    }
    if ((o->prefix_rows = prefix_of(s))) {
        o->prefix = set_prefix;
        o->prefix_user = s;
    }
    return SOOTH_OK;
}

enum sooth_status adapt_apply(struct adapt *a, struct run_options *o, struct sooth_error *err)
{
    return adapt_set_apply(a->alone, o, err);
}

size_t adapt_rows(const struct adapt *a)
{
    return adapt_set_rows(a->alone);
}

uint32_t adapt_start(const struct adapt *a)
{
    return adapt_set_start(a->alone);
}

/* ---- merging ---- */

bool adapt_changes(const struct adapt_set *s, const struct weight *w, enum adapt_use use)
{
    const struct chain *c = chain_find(s, w);
    for (size_t i = 0; c && i < c->links.count; i++) {
        const struct link *l = &c->links.items[i];
        if (adapt_strength(l->a) != 0 && (site_of(l)->use == use || l->a->row->stand_in))
            return true;
    }
    return false;
}

bool adapt_unties(const struct adapt_set *s, const struct weight *table)
{
    const struct chain *c = chain_find(s, table);
    for (size_t i = 0; c && i < c->links.count; i++)
        if (adapt_strength(c->links.items[i].a) != 0 && !c->links.items[i].a->row->stand_in)
            return arch_info(c->links.items[i].a->model)->decoder && strcmp(site_of(&c->links.items[i])->entry->role, "token_embd") == 0;
    return false;
}

enum sooth_status adapt_mergeable(const struct adapt_set *s, struct sooth_error *err)
{
    for (size_t i = 0; i < s->members.count; i++)
        if (!s->members.items[i]->row->merge)
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "method '%s' adds to the model what no weight of it can hold", s->members.items[i]->row->name);
    return SOOTH_OK;
}

void adapt_merged_row(const struct adapt_set *s, const struct weight *w, enum adapt_use use, size_t i, float *base, float *merged)
{
    const struct chain *c = chain_find(s, w);
    qmat_row(&w->q, i, base);
    memcpy(merged, base, w->q.cols * sizeof *merged);
    for (size_t l = 0; c && l < c->links.count; l++) {
        const struct adapt *a = c->links.items[l].a;
        const struct adapt_site *site = site_of(&c->links.items[l]);
        if (adapt_strength(a) != 0 && (site->use == use || a->row->stand_in))
            a->row->merge(a, site, adapt_strength(a), i, base, merged);
    }
}
