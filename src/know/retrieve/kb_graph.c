/* kb_graph.c: making a knowledge base's graph, and asking it about one entity.
 *
 * Passages are read once, fifty to a transaction; what is read stays read when the work is stopped.
 * Reading by rules calls no model, so a dry run's cost is time: that of a sample, times the rest. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "know/retrieve/graph.h"
#include "know/retrieve/kbase.h"

enum { EACH = 50, SAMPLE = 200, FACTS_MAX = 50 };

struct unread {
    VEC(int64_t) list;
};

static bool take_chunk(void *user, int64_t chunk)
{
    struct unread *u = user;
    return vec_push(&u->list, chunk);
}

static enum sooth_status read_one(struct sooth_kb *kb, int64_t chunk, bool keep, struct sooth_error *err)
{
    struct store_passage p;
    struct graph_found f;
    enum sooth_status status = store_passage(kb->store, chunk, &p, err);
    if (status == SOOTH_ERR_NOTFOUND)
        return SOOTH_OK; /* forgotten in between */
    if (status != SOOTH_OK)
        return status;
    graph_found_init(&f);
    if (!graph_read(p.text, p.end - p.start, &f))
        status = err_nomem(err);
    else if (keep)
        status = graphdb_passage(kb->store, chunk, (const char *const *)f.entities.items, f.entities.count,
                                 f.facts.items, f.facts.count, err);
    graph_found_clear(&f);
    store_passage_release(&p);
    return status;
}

static enum sooth_status read_all(struct sooth_kb *kb, const struct unread *u,
                                  sooth_graph_progress_fn *on_progress, void *user, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < u->list.count && status == SOOTH_OK;) {
        size_t end = i + EACH < u->list.count ? i + EACH : u->list.count;
        status = store_write_begin(kb->store, err);
        if (status != SOOTH_OK)
            return status;
        status = graphdb_ready(kb->store, err);
        for (; i < end && status == SOOTH_OK; i++)
            status = read_one(kb, u->list.items[i], true, err);
        enum sooth_status done = store_end(kb->store, status == SOOTH_OK, err);
        status = status == SOOTH_OK ? done : status;
        if (status == SOOTH_OK && on_progress && !on_progress(user, i, u->list.count) && i < u->list.count)
            status = err_set(err, SOOTH_ERR_CANCELLED, "stopped after %zu of %zu passages", i, u->list.count);
    }
    return status;
}

static enum sooth_status sample(struct sooth_kb *kb, const struct unread *u, double *seconds,
                                struct sooth_error *err)
{
    size_t n = u->list.count < SAMPLE ? u->list.count : SAMPLE;
    enum sooth_status status = SOOTH_OK;
    double t0 = clock_seconds();
    for (size_t i = 0; i < n && status == SOOTH_OK; i++)
        status = read_one(kb, u->list.items[i * u->list.count / n], false, err);
    *seconds = n ? (clock_seconds() - t0) * (double)u->list.count / (double)n : 0;
    return status;
}

enum sooth_status sooth_kb_graph(struct sooth_kb *kb, bool dry_run, sooth_graph_progress_fn *on_progress,
                                 void *user, struct sooth_graph_counts *out, struct sooth_error *err)
{
    struct unread u = {0};
    struct graphdb_counts c;
    struct sooth_graph_counts unused;
    out = out ? out : &unused;
    memset(out, 0, sizeof *out);
    double t0 = clock_seconds();
    enum sooth_status status = graphdb_unread(kb->store, take_chunk, &u, err);
    if (status == SOOTH_ERR_CANCELLED)
        status = err_nomem(err);
    if (status == SOOTH_OK && dry_run)
        status = sample(kb, &u, &out->seconds, err);
    else if (status == SOOTH_OK)
        status = read_all(kb, &u, on_progress, user, err);
    if (status == SOOTH_OK)
        status = graphdb_count(kb->store, &c, err);
    if (status == SOOTH_OK) {
        out->passages = c.passages;
        out->unread = dry_run ? u.list.count : 0;
        out->entities = c.entities;
        out->mentions = c.mentions;
        out->facts = c.facts;
        if (!dry_run)
            out->seconds = clock_seconds() - t0;
    }
    vec_free(&u.list);
    return status;
}

/* --- about one entity
 * ------------------------------------------------------------------------------------------------ */

struct seeking {
    const char *norm;
    int64_t id;
};

static bool seek(void *user, const struct graphdb_entity *e)
{
    struct seeking *s = user;
    if (strcmp(e->norm, s->norm) == 0)
        s->id = e->id;
    return s->id == 0;
}

static enum sooth_status entity_find(struct sooth_kb *kb, const char *name, int64_t *id,
                                     struct sooth_error *err)
{
    struct buf norm = BUF_INIT;
    struct seeking s = {0};
    enum sooth_status status = graphdb_norm(name, strlen(name), &norm) ? SOOTH_OK : err_nomem(err);
    s.norm = buf_str(&norm);
    if (status == SOOTH_OK && graphdb_there(kb->store))
        status = graphdb_entities(kb->store, seek, &s, err);
    status = status == SOOTH_ERR_CANCELLED ? SOOTH_OK : status;
    *id = s.id;
    buf_release(&norm);
    return status;
}

struct told {
    char *subject, *relation, *object;
    int64_t chunk;
};
struct telling {
    struct arena arena;
    VEC(struct told) list;
    bool failed;
};

static bool take_fact(void *user, const struct graphdb_fact *f, int64_t chunk)
{
    struct telling *t = user;
    struct told x = {arena_strndup(&t->arena, f->subject, strlen(f->subject)),
                     arena_strndup(&t->arena, f->relation, strlen(f->relation)),
                     arena_strndup(&t->arena, f->object, strlen(f->object)), chunk};
    for (size_t i = 0; i < t->list.count; i++)
        if (t->list.items[i].chunk == chunk && strcmp(t->list.items[i].subject, f->subject) == 0 &&
            strcmp(t->list.items[i].relation, f->relation) == 0 &&
            strcmp(t->list.items[i].object, f->object) == 0)
            return true;
    t->failed |= !x.subject || !x.relation || !x.object || !vec_push(&t->list, x);
    return !t->failed && t->list.count < FACTS_MAX;
}

static enum sooth_status tell(struct sooth_kb *kb, const struct told *x, sooth_fact_fn *fn, void *user,
                              bool *more, struct sooth_error *err)
{
    struct store_passage p;
    enum sooth_status status = store_passage(kb->store, x->chunk, &p, err);
    if (status != SOOTH_OK)
        return status;
    const struct sooth_fact f = {x->subject, x->relation, x->object, p.doc, p.page, p.start, p.end, p.text};
    *more = fn(user, &f);
    store_passage_release(&p);
    return SOOTH_OK;
}

enum sooth_status sooth_kb_facts(struct sooth_kb *kb, const char *entity, unsigned depth, sooth_fact_fn *fn,
                                 void *user, struct sooth_error *err)
{
    struct telling t = {0};
    int64_t id;
    bool more = true;
    arena_init(&t.arena, (size_t)16 << 20);
    enum sooth_status status = store_read_begin(kb->store, err);
    if (status != SOOTH_OK)
        return status;
    status = entity_find(kb, entity, &id, err);
    if (status == SOOTH_OK && id == 0)
        status = err_set(err, SOOTH_ERR_NOTFOUND, "the graph of '%s' does not know '%s'",
                         store_path(kb->store), entity);
    if (status == SOOTH_OK)
        status = graphdb_facts(kb->store, id, take_fact, &t, err);
    size_t near = t.list.count;
    for (size_t i = 0; i < near && depth > 1 && status == SOOTH_OK && t.list.count < FACTS_MAX; i++) {
        int64_t other[2];
        status = entity_find(kb, t.list.items[i].subject, &other[0], err);
        if (status == SOOTH_OK)
            status = entity_find(kb, t.list.items[i].object, &other[1], err);
        for (int k = 0; k < 2 && status == SOOTH_OK; k++)
            if (other[k] != id && other[k] != 0)
                status = graphdb_facts(kb->store, other[k], take_fact, &t, err);
    }
    if (status == SOOTH_OK && t.failed)
        status = err_nomem(err);
    for (size_t i = 0; i < t.list.count && status == SOOTH_OK && more; i++)
        status = tell(kb, &t.list.items[i], fn, user, &more, err);
    store_end(kb->store, true, NULL);
    vec_free(&t.list);
    arena_release(&t.arena);
    return status;
}
