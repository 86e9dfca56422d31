/* vindex_ivfpq.c: cells and product codes (Jegou, Douze and Schmid, TPAMI 2011): for machines that
 * cannot hold the vectors.
 *
 *   y     = the vector less its group's mean, of length 1 (other metrics: as it is)
 *   cell  = nearest of about 4 sqrt(n) centres;  r = y - centre
 *   code  = for each piece of 8 numbers of r, which of 256 typical pieces is nearest: a byte a piece
 *   q . y ~ q . centre + sum over pieces of table[piece][code]     tables: worked out once a question
 *
 * A search looks into the `effort` cells whose centres are nearest and reads dim / 8 bytes a vector.
 * That ranking is rough, so the best 10 k of it are ordered by 12 bits, read from the file; in memory
 * stay the codes, 52 bytes a vector of 384 numbers.
 *
 *   centre [cells, dim] f32    piece [pieces][256][8] f32    cell [n] u32    code [n, pieces] u8
 *   order [n] u32: numbers by cell    start [cells + 1] u32
 *
 * Centres and pieces are learnt (k-means) from the first vectors that join and stay; what joins
 * later is only coded.
 *
 * What it leaves out: a rotation before the pieces (OPQ), residual tables for L2. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/index/storedb.h"
#include "know/index/vindex.h"

enum { PIECE_DIM = 8, CODES = 256, ROUNDS = 5, SAMPLE_EACH = 24, PIECE_SAMPLE = 10240 };
enum { EFFORT = 24, RESCORE_EACH = 10, TILE = 256 };

struct ivfpq {
    size_t cells, pieces;
    float *centre, *piece;
    uint32_t *cell, *order, *start;
    uint8_t *code;
};

/* --- k-means
 * --------------------------------------------------------------------------------------------------
 */

struct means {
    const struct kernel *kernel;
    const float *points;
    size_t n, dim, k;
    float *centre, *half; /* |c|^2 / 2 */
    uint32_t *nearest;    /* [n] */
};

/* argmin |p - c|^2 = argmax p . c - |c|^2 / 2 */
static uint32_t nearest_of(const struct means *m, const float *p)
{
    uint32_t best = 0;
    float score = -INFINITY;
    for (size_t c = 0; c < m->k; c++) {
        float s = m->kernel->dot(p, m->centre + c * m->dim, m->dim) - m->half[c];
        if (s > score) {
            score = s;
            best = (uint32_t)c;
        }
    }
    return best;
}

static void nearest_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct means *m = ctx;
    (void)worker;
    for (size_t i = tile * TILE; i < m->n && i < (tile + 1) * TILE; i++)
        m->nearest[i] = nearest_of(m, m->points + i * m->dim);
}

static void halves(struct means *m)
{
    for (size_t c = 0; c < m->k; c++)
        m->half[c] = m->kernel->dot(m->centre + c * m->dim, m->centre + c * m->dim, m->dim) / 2;
}

/* Lloyd's rounds from evenly picked points; a centre that loses all its points stays. */
static bool means_learn(struct means *m, struct pool *threads)
{
    uint32_t *count = mem_array(m->k, sizeof *count);
    float *sum = mem_array(m->k * m->dim, sizeof *sum);
    bool ok = count && sum;
    for (size_t c = 0; c < m->k && ok; c++)
        memcpy(m->centre + c * m->dim, m->points + c * m->n / m->k * m->dim,
               m->dim * sizeof(float));
    for (int round = 0; round < ROUNDS && ok; round++) {
        halves(m);
        pool_run(threads, (m->n + TILE - 1) / TILE, nearest_tile, m);
        memset(count, 0, m->k * sizeof *count);
        memset(sum, 0, m->k * m->dim * sizeof *sum);
        for (size_t i = 0; i < m->n; i++) {
            count[m->nearest[i]]++;
            m->kernel->axpy(sum + m->nearest[i] * m->dim, 1, m->points + i * m->dim, m->dim);
        }
        for (size_t c = 0; c < m->k; c++)
            if (count[c])
                m->kernel->scale(m->centre + c * m->dim, sum + c * m->dim, 1 / (float)count[c],
                                 m->dim);
    }
    halves(m);
    mem_free(count);
    mem_free(sum);
    return ok;
}

/* --- joining
 * --------------------------------------------------------------------------------------------------
 */

/* y of vector i. */
static void vector_of(const struct vset *s, size_t i, float *y)
{
    bool cosine = s->metric == METRIC_COSINE;
    const float *mean = s->mean + (size_t)s->info[i].group * s->dim;
    for (size_t j = 0; j < s->dim; j++) {
        float x = s->info[i].step * (float)s->code[i * s->dim + j];
        y[j] = cosine ? (x - mean[j]) * s->info[i].gain : x;
    }
}

struct coding {
    const struct vindex *x;
    struct ivfpq *p;
    size_t from;
    struct means cells, *pieces; /* [pieces] */
    bool failed;
};

static void code_tile(void *ctx, size_t tile, unsigned worker)
{
    struct coding *c = ctx;
    const struct vset *s = &c->x->set;
    float *y = mem_calloc(c->p->pieces * PIECE_DIM, sizeof *y); /* padded with zeros */
    (void)worker;
    if (!y) {
        c->failed = true;
        return;
    }
    for (size_t i = c->from + tile * TILE; i < s->n && i < c->from + (tile + 1) * TILE; i++) {
        vector_of(s, i, y);
        uint32_t cell = nearest_of(&c->cells, y);
        s->kernel->axpy(y, -1, c->p->centre + cell * s->dim, s->dim);
        c->p->cell[i] = cell;
        for (size_t j = 0; j < c->p->pieces; j++)
            c->p->code[i * c->p->pieces + j] =
                (uint8_t)nearest_of(&c->pieces[j], y + j * PIECE_DIM);
    }
    mem_free(y);
}

/* Evenly spread vectors as rows of `width` numbers. */
static float *sample_of(const struct vset *s, size_t n, size_t width)
{
    float *rows = mem_calloc(n * width + 1, sizeof *rows);
    for (size_t i = 0; rows && i < n; i++)
        vector_of(s, i * s->n / n, rows + i * width);
    return rows;
}

static bool learn_cells(struct coding *c, struct pool *threads)
{
    const struct vset *s = &c->x->set;
    size_t n = c->p->cells * SAMPLE_EACH < s->n ? c->p->cells * SAMPLE_EACH : s->n;
    float *rows = sample_of(s, n, s->dim);
    uint32_t *nearest = mem_array(n, sizeof *nearest);
    c->cells.points = rows;
    c->cells.nearest = nearest;
    c->cells.n = n;
    bool ok = rows && nearest && means_learn(&c->cells, threads);
    mem_free(rows);
    mem_free(nearest);
    return ok;
}

static bool learn_pieces(struct coding *c, struct pool *threads)
{
    const struct vset *s = &c->x->set;
    size_t n = s->n < PIECE_SAMPLE ? s->n : PIECE_SAMPLE, width = c->p->pieces * PIECE_DIM;
    float *rows = sample_of(s, n, width), *part = mem_array(n * PIECE_DIM, sizeof *part);
    uint32_t *nearest = mem_array(n, sizeof *nearest);
    bool ok = rows && part && nearest;
    for (size_t i = 0; i < n && ok; i++) {
        float *y = rows + i * width;
        s->kernel->axpy(y, -1, c->p->centre + nearest_of(&c->cells, y) * s->dim, s->dim);
    }
    for (size_t j = 0; j < c->p->pieces && ok; j++) {
        for (size_t i = 0; i < n; i++)
            memcpy(part + i * PIECE_DIM, rows + i * width + j * PIECE_DIM,
                   PIECE_DIM * sizeof *part);
        c->pieces[j].points = part;
        c->pieces[j].nearest = nearest;
        c->pieces[j].n = n;
        ok = means_learn(&c->pieces[j], threads);
    }
    mem_free(rows);
    mem_free(part);
    mem_free(nearest);
    return ok;
}

static struct ivfpq *ivfpq_ready(struct vindex *x)
{
    struct ivfpq *p = x->own;
    size_t dim = x->set.dim, n = x->set.n;
    if (!p) {
        p = x->own = mem_calloc(1, sizeof *p);
        if (!p)
            return NULL;
        p->cells = (size_t)(4 * sqrt((double)n));
        p->cells = p->cells < n / 4 ? p->cells : n / 4 + 1;
        p->pieces = (dim + PIECE_DIM - 1) / PIECE_DIM;
        p->centre = mem_calloc(p->cells * dim, sizeof *p->centre);
        p->piece = mem_calloc(p->pieces * CODES * PIECE_DIM, sizeof *p->piece);
        p->start = mem_calloc(p->cells + 1, sizeof *p->start);
    }
    uint32_t *cell = mem_realloc(p->cell, n + 1, sizeof *cell);
    p->cell = cell ? cell : p->cell;
    uint32_t *order = mem_realloc(p->order, n + 1, sizeof *order);
    p->order = order ? order : p->order;
    uint8_t *code = mem_realloc(p->code, n + 1, p->pieces);
    p->code = code ? code : p->code;
    return cell && order && code && p->centre && p->piece && p->start ? p : NULL;
}

/* Numbers by cell, ascending within it. */
static void sort_cells(struct ivfpq *p, size_t n)
{
    memset(p->start, 0, (p->cells + 1) * sizeof *p->start);
    for (size_t i = 0; i < n; i++)
        p->start[p->cell[i] + 1]++;
    for (size_t c = 0; c < p->cells; c++)
        p->start[c + 1] += p->start[c];
    for (size_t i = n; i-- > 0;) /* fills each cell from behind, using the end as a cursor */
        p->order[--p->start[p->cell[i] + 1]] = (uint32_t)i;
    for (size_t c = 0; c < p->cells; c++)
        p->start[c] = p->start[c + 1];
    p->start[p->cells] = (uint32_t)n;
}

static enum sooth_status ivfpq_join(struct vindex *x, struct pool *threads,
                                    struct sooth_error *err)
{
    const struct vset *s = &x->set;
    bool fresh = !x->own || x->joined == 0;
    if (s->n == x->joined)
        return SOOTH_OK;
    struct ivfpq *p = ivfpq_ready(x);
    struct coding c = {.x = x, .p = p, .from = x->joined};
    float *half = p ? mem_array(p->cells + p->pieces * CODES, sizeof *half) : NULL;
    c.pieces = p ? mem_calloc(p->pieces, sizeof *c.pieces) : NULL;
    bool ok = half && c.pieces;
    if (ok)
        c.cells = (struct means){.kernel = s->kernel, .dim = s->dim, .k = p->cells,
                                 .centre = p->centre, .half = half};
    for (size_t j = 0; ok && j < p->pieces; j++)
        c.pieces[j] = (struct means){.kernel = s->kernel, .dim = PIECE_DIM, .k = CODES,
                                     .centre = p->piece + j * CODES * PIECE_DIM,
                                     .half = half + p->cells + j * CODES};
    if (ok && fresh)
        ok = learn_cells(&c, threads) && learn_pieces(&c, threads);
    if (ok) {
        halves(&c.cells);
        for (size_t j = 0; j < p->pieces; j++)
            halves(&c.pieces[j]);
        pool_run(threads, (s->n - c.from + TILE - 1) / TILE, code_tile, &c);
        ok = !c.failed;
    }
    if (ok) {
        x->joined = s->n;
        sort_cells(p, s->n);
    }
    mem_free(half);
    mem_free(c.pieces);
    return ok ? SOOTH_OK : err_nomem(err);
}

/* --- searching
 * ------------------------------------------------------------------------------------------------
 */

/* The `effort` nearest cells. */
static size_t choose_cells(const struct ivfpq *p, const struct vquery *q, size_t dim,
                           size_t effort, struct scored *out)
{
    size_t n = 0;
    for (size_t c = 0; c < p->cells; c++)
        best_offer(out, &n, effort,
                   (struct scored){(uint32_t)c, (double)q->set->kernel->dot(
                                                    q->full, p->centre + c * dim, dim)});
    return n;
}

static bool tables_of(const struct ivfpq *p, const struct vquery *q, float *tables)
{
    float *padded = mem_calloc(p->pieces * PIECE_DIM, sizeof *padded);
    if (!padded)
        return false;
    memcpy(padded, q->full, q->set->dim * sizeof *padded);
    for (size_t j = 0; j < p->pieces * CODES; j++)
        tables[j] = q->set->kernel->dot(padded + j / CODES * PIECE_DIM, p->piece + j * PIECE_DIM,
                                        PIECE_DIM);
    mem_free(padded);
    return true;
}

static size_t look_into(const struct vindex *x, const struct vsearch *v, const struct scored *cell,
                        const float *tables, struct scored *heap, size_t n, size_t wide)
{
    const struct ivfpq *p = x->own;
    for (size_t i = p->start[cell->slot]; i < p->start[cell->slot + 1]; i++) {
        uint32_t node = p->order[i];
        const uint8_t *code = p->code + (size_t)node * p->pieces;
        float sum = (float)cell->score;
        if (x->set.dead[node] || (v->allow && !v->allow[node]))
            continue;
        for (size_t j = 0; j < p->pieces; j++)
            sum += tables[j * CODES + code[j]];
        best_offer(heap, &n, wide, (struct scored){node, (double)sum});
    }
    return n;
}

static enum sooth_status ivfpq_search(const struct vindex *x, struct vsearch *v, size_t k,
                                      struct scored *out, size_t *found, struct sooth_error *err)
{
    const struct ivfpq *p = x->own;
    size_t wide = k < x->joined / RESCORE_EACH ? k * RESCORE_EACH : x->joined, n = 0;
    *found = 0;
    if (x->joined == 0 || k == 0)
        return SOOTH_OK;
    size_t effort = v->effort ? v->effort : EFFORT;
    effort = effort < p->cells ? effort : p->cells;
    struct scored *cells = mem_array(effort + 1, sizeof *cells);
    float *tables = mem_array(p->pieces * CODES, sizeof *tables);
    bool ok = cells && tables && vsearch_ready(v, &x->set, wide, sizeof(struct scored)) &&
              tables_of(p, &v->query, tables);
    struct scored *heap = v->pool;
    if (ok) {
        size_t n_cells = choose_cells(p, &v->query, x->set.dim, effort, cells);
        for (size_t c = 0; c < n_cells; c++)
            n = look_into(x, v, &cells[c], tables, heap, n, wide);
        for (size_t i = 0; i < n; i++)
            heap[i].score = (double)vquery_fine(&v->query, heap[i].slot);
        if (n)
            best_sort(heap, n);
        *found = n < k ? n : k;
        memcpy(out, heap, *found * sizeof *out);
    }
    mem_free(cells);
    mem_free(tables);
    return ok ? SOOTH_OK : err_nomem(err);
}

/* --- the file
 * -------------------------------------------------------------------------------------------------
 */

enum { PARTS = 6 };

static void parts_of(const struct ivfpq *p, size_t n, size_t dim, struct section out[PARTS])
{
    const struct section list[PARTS] = {
        {"centre", p->centre, p->cells * dim * sizeof(float)},
        {"piece", p->piece, p->pieces * CODES * PIECE_DIM * sizeof(float)},
        {"cell", p->cell, n * sizeof(uint32_t)},
        {"order", p->order, n * sizeof(uint32_t)},
        {"start", p->start, (p->cells + 1) * sizeof(uint32_t)},
        {"pcode", p->code, n * p->pieces},
    };
    memcpy(out, list, sizeof list);
}

static size_t ivfpq_sections(const struct vindex *x, struct section *out)
{
    if (!x->own)
        return 0;
    parts_of(x->own, x->joined, x->set.dim, out);
    return PARTS;
}

static bool holds_together(const struct ivfpq *p, size_t n)
{
    bool ok = p->start[0] == 0 && p->start[p->cells] == n;
    for (size_t c = 0; c < p->cells; c++)
        ok &= p->start[c] <= p->start[c + 1];
    for (size_t i = 0; i < n; i++)
        ok &= p->order[i] < n && p->cell[i] < p->cells;
    return ok;
}

static enum sooth_status ivfpq_attach(struct vindex *x, const struct section *in, size_t n,
                                      struct sooth_error *err)
{
    struct ivfpq *p = x->own = mem_calloc(1, sizeof *p);
    struct section want[PARTS];
    if (!p)
        return err_nomem(err);
    const struct section *start = section_get(in, n, "start");
    p->pieces = (x->set.dim + PIECE_DIM - 1) / PIECE_DIM;
    p->cells = start && start->bytes / sizeof(uint32_t) > 1 ? start->bytes / sizeof(uint32_t) - 1
                                                            : 0;
    parts_of(p, x->joined, x->set.dim, want);
    bool ok = n == PARTS && p->cells > 0;
    for (size_t i = 0; i < PARTS && ok; i++) {
        want[i].data = section_find(in, n, want[i].name, want[i].bytes);
        ok = want[i].data != NULL;
    }
    if (ok) {
        p->centre = (float *)want[0].data;
        p->piece = (float *)want[1].data;
        p->cell = (uint32_t *)want[2].data;
        p->order = (uint32_t *)want[3].data;
        p->start = (uint32_t *)want[4].data;
        p->code = (uint8_t *)want[5].data;
        ok = holds_together(p, x->joined);
    }
    return ok ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "its cells do not hold together");
}

static bool copy(void *array, size_t bytes)
{
    void **p = array;
    *p = mem_dup(*p, bytes + !bytes);
    return *p != NULL;
}

static bool ivfpq_thaw(struct vindex *x)
{
    struct ivfpq *p = x->own;
    struct section s[PARTS];
    parts_of(p, x->joined, x->set.dim, s);
    bool ok = copy(&p->centre, s[0].bytes);
    ok &= copy(&p->piece, s[1].bytes);
    ok &= copy(&p->cell, s[2].bytes);
    ok &= copy(&p->order, s[3].bytes);
    ok &= copy(&p->start, s[4].bytes);
    ok &= copy(&p->code, s[5].bytes);
    return ok;
}

static void ivfpq_release(struct vindex *x)
{
    struct ivfpq *p = x->own;
    if (p && !x->mapped) {
        mem_free(p->centre);
        mem_free(p->piece);
        mem_free(p->cell);
        mem_free(p->order);
        mem_free(p->start);
        mem_free(p->code);
    }
    mem_free(p);
}

const struct vindex_row vindex_ivfpq = {
    .name = "ivfpq",
    .about = "cells, and codes of a byte for eight numbers",
    .join = ivfpq_join,
    .search = ivfpq_search,
    .sections = ivfpq_sections,
    .attach = ivfpq_attach,
    .thaw = ivfpq_thaw,
    .release = ivfpq_release,
};
