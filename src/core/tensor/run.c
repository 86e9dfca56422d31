/* run.c: the life of a forward: begin (rows are checked and grouped), ops, end (the cache takes the rows over), and
 * backward over the tape. The layer scope is in op_layer.c. */
#include "core/tensor/run.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"

#define PARALLEL_WORK 40000.0 /* multiply-adds below which waking threads costs more than it gives */

struct run *run_new(const struct run_options *options)
{
    struct run *r = mem_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->o = *options;
    r->k = kernel_get();
    arena_init(&r->arena, options->max_bytes);
    arena_init(&r->lasting, options->max_bytes);
    return r;
}

void run_free(struct run *r)
{
    if (!r)
        return;
    arena_release(&r->arena);
    arena_release(&r->lasting);
    mem_free(r);
}

void run_adapters(struct run *r, const struct adapters *adapters)
{
    r->o.adapters = adapters;
}

void run_fail(struct run *r, enum sooth_status status, const char *format, ...)
{
    char text[sizeof r->error.text];
    va_list ap;
    if (r->failed)
        return;
    r->failed = true;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    err_set(&r->error, status, "%s", text);
}

void *run_scratch(struct run *r, size_t count, size_t size)
{
    size_t bytes; /* whole cache lines for the kernels: rows that straddle two cost a second load */
    void *p = r->failed || !size_mul(count, size, &bytes) ? NULL : arena_alloc(&r->arena, bytes);
    if (!p)
        run_fail(r, SOOTH_ERR_NOMEM, "out of memory in a forward over %zu tokens", r->rows ? r->rows->n : 0);
    return p;
}

void run_tiles(struct run *r, size_t tiles, double work, pool_tile *fn, void *ctx)
{
    pool_run(work < PARALLEL_WORK ? NULL : r->o.pool, tiles, fn, ctx);
}

const struct rows *run_rows(const struct run *r)
{
    return r->rows;
}

size_t run_wanted(const struct run *r)
{
    return r->n_wanted;
}

size_t run_peak(const struct run *r)
{
    return r->arena.peak + r->lasting.peak;
}

struct mat *run_mat(struct run *r, size_t rows, size_t cols)
{
    struct mat *m = run_scratch(r, 1, sizeof *m);
    float *v = m ? run_scratch(r, rows, cols * sizeof *v) : NULL;
    if (!v)
        return NULL;
    memset(v, 0, rows * cols * sizeof *v);
    *m = (struct mat){.v = v, .rows = rows, .cols = cols};
    return m;
}

struct mat *run_share(struct run *r, const void *key, struct mat *m)
{
    struct shared *s = m && !r->failed ? arena_alloc(&r->lasting, sizeof *s) : NULL;
    if (s && m->needs && !m->g && (m->g = arena_array(&r->lasting, m->rows * m->cols, sizeof *m->g)))
        memset(m->g, 0, m->rows * m->cols * sizeof *m->g);
    if (!s || (m->needs && !m->g)) {
        run_fail(r, SOOTH_ERR_NOMEM, "out of memory for what layers share");
        return NULL;
    }
    *s = (struct shared){key, m, r->shared};
    r->shared = s;
    return m;
}

struct mat *run_shared(const struct run *r, const void *key)
{
    for (const struct shared *s = r->shared; s; s = s->next)
        if (s->key == key)
            return s->m;
    return NULL;
}

struct mat *run_hook(struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    return r->o.hook && x ? r->o.hook(r->o.hook_user, r, site, layer, x) : x;
}

/* ---- begin ---- */

static bool group_open(struct run *r, size_t row)
{
    struct group *g = &r->groups[r->n_groups++];
    size_t held = 0, slots = r->o.cache ? kv_cache_sequences(r->o.cache) : 0;
    *g = (struct group){.first = row, .seq = r->rows->seq[row]};
    if (r->o.cache) {
        if (g->seq >= slots)
            return run_fail(r, SOOTH_ERR_ARG, "sequence %zu in a cache of %zu", g->seq, slots), false;
        held = kv_cache_length(r->o.cache, g->seq);
    }
    g->base = held ? held : r->o.prefix ? r->o.prefix_rows : 0;
    for (size_t i = 0; i + 1 < r->n_groups; i++)
        if (r->groups[i].seq == g->seq)
            return run_fail(r, SOOTH_ERR_ARG, "rows of sequence %zu are not neighbours", g->seq), false;
    return true;
}

static bool rows_group(struct run *r)
{
    const struct rows *rows = r->rows;
    r->groups = arena_array(&r->lasting, rows->n, sizeof *r->groups);
    r->wanted = arena_array(&r->lasting, rows->n, sizeof *r->wanted);
    if (!r->groups || !r->wanted)
        return run_fail(r, SOOTH_ERR_NOMEM, "out of memory for %zu rows", rows->n), false;
    for (size_t i = 0; i < rows->n; i++) {
        bool fresh = i == 0 || rows->seq[i] != rows->seq[i - 1];
        if (fresh ? !group_open(r, i) : false)
            return false;
        if (!fresh && rows->pos[i] != rows->pos[i - 1] + 1)
            return run_fail(r, SOOTH_ERR_ARG, "positions of sequence %u do not go up by one", rows->seq[i]), false;
        r->groups[r->n_groups - 1].count++;
        if (!rows->want || rows->want[i]) {
            r->groups[r->n_groups - 1].wanted++;
            r->wanted[r->n_wanted++] = (uint32_t)i;
        }
    }
    return true;
}

void run_begin(struct run *r, const struct rows *rows)
{
    arena_clear(&r->arena);
    arena_clear(&r->lasting);
    r->rows = rows;
    r->groups = NULL;
    r->n_groups = r->n_wanted = 0;
    r->ropes = NULL;
    r->shared = NULL;
    r->lane[0] = r->lane[1] = NULL;
    r->lane_size[0] = r->lane_size[1] = 0;
    r->tape = NULL;
    r->record = r->o.tape;
    r->failed = false;
    r->open = true;
    memset(&r->error, 0, sizeof r->error);
    if (r->o.tape && r->o.cache)
        run_fail(r, SOOTH_ERR_ARG, "a run cannot record and use a cache");
    else if (rows->n == 0 || rows->n > UINT32_MAX)
        run_fail(r, SOOTH_ERR_ARG, "a forward over %zu tokens", rows->n);
    else if (rows_group(r) && r->o.cache)
        for (size_t i = 0; i < r->n_groups && !r->failed; i++) {
            const struct group *g = &r->groups[i];
            enum sooth_status s = kv_cache_reserve(r->o.cache, g->seq, g->base + g->count);
            if (s == SOOTH_ERR_LIMIT)
                run_fail(r, s, "%zu tokens do not fit a context of %zu", g->base + g->count, kv_cache_context(r->o.cache));
            else if (s)
                run_fail(r, s, "out of memory for the cache of sequence %zu", g->seq);
        }
}

enum sooth_status run_end(struct run *r, struct sooth_error *err)
{
    r->open = false;
    if (r->failed) {
        if (err)
            *err = r->error;
        return r->error.status;
    }
    for (size_t i = 0; r->o.cache && i < r->n_groups; i++)
        kv_cache_grow(r->o.cache, r->groups[i].seq, r->groups[i].base + r->groups[i].count);
    return SOOTH_OK;
}

/* ---- rope tables ---- */

/* Pair i of position p turns by p·freq[i]. Dynamic NTK (tensor.h): the base of a position past L = dynamic_from is the
 * one a model reading exactly up to there would use, b·(f·n/L − (f−1))^(d/(d−2)) with n = p + 1; so what a position gets
 * depends on nothing but itself. */
static double rope_freq(const struct rope *rope, size_t i, uint32_t pos)
{
    double n = (double)pos + 1, base;
    if (!rope->dynamic_from || n <= (double)rope->dynamic_from)
        return rope->freq[i];
    base = rope->dynamic_base * pow(rope->dynamic_factor * n / (double)rope->dynamic_from - (rope->dynamic_factor - 1),
                                    (double)rope->dim / ((double)rope->dim - 2));
    return pow(base, -2.0 * (double)i / (double)rope->dim);
}

const struct rope_table *run_rope(struct run *r, const struct rope *rope)
{
    size_t half = rope->dim / 2, n = r->rows->n;
    struct rope_table *t;
    for (t = r->ropes; t; t = t->next)
        if (t->rope == rope)
            return t;
    t = arena_alloc(&r->lasting, sizeof *t);
    if (t) {
        t->cos = arena_array(&r->lasting, n * half, sizeof *t->cos);
        t->sin = arena_array(&r->lasting, n * half, sizeof *t->sin);
    }
    if (!t || !t->cos || !t->sin) {
        run_fail(r, SOOTH_ERR_NOMEM, "out of memory for %zu rotary positions", n);
        return NULL;
    }
    for (size_t row = 0; row < n; row++)
        for (size_t i = 0; i < half; i++) {
            double angle = r->rows->pos[row] * rope_freq(rope, i, r->rows->pos[row]);
            t->cos[row * half + i] = (float)(cos(angle) * rope->scale);
            t->sin[row * half + i] = (float)(sin(angle) * rope->scale);
        }
    t->rope = rope;
    t->next = r->ropes;
    return r->ropes = t;
}
