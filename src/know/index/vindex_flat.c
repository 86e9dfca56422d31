/* vindex_flat.c: the exact search: every vector is looked at.
 *
 * The scan reads the 8-bit codes only, row by row in blocks, and is as fast as memory: 38 MB for
 * 100,000 vectors of 384 numbers. The best max(RESCORE, 4 k) of it are ordered by 12 bits. Nothing
 * is built, so nothing can be stale; this is the index of small stores, of filters that admit
 * little, and the judge of the others.
 *
 * What it leaves out: a proof that the margin is wide enough; the tests compare with brute force. */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"
#include "know/index/vindex.h"

enum { RESCORE = 64, BLOCK = 256 };

static enum sooth_status flat_join(struct vindex *x, struct pool *threads, struct sooth_error *err)
{
    (void)threads;
    (void)err;
    x->joined = x->set.n;
    return SOOTH_OK;
}

static bool admitted(const struct vset *s, const struct vsearch *v, size_t i)
{
    return !s->dead[i] && (!v->allow || v->allow[i]);
}

static void offer(const struct vset *s, const struct vsearch *v, size_t i, float score,
                  struct scored *heap, size_t *n, size_t wide)
{
    if ((*n < wide || score >= heap[0].score) && admitted(s, v, i))
        best_offer(heap, n, wide, (struct scored){(uint32_t)i, (double)score});
}

/* All of them, a block of products at a time. */
static size_t scan(const struct vset *s, const struct vsearch *v, struct scored *heap, size_t wide)
{
    const struct vquery *q = &v->query;
    int32_t dots[BLOCK];
    size_t n = 0;
    for (size_t from = 0; from < s->n; from += BLOCK) {
        size_t rows = s->n - from < BLOCK ? s->n - from : BLOCK;
        kernel_get()->dot_rows_i8(q->code, s->code + from * s->dim, s->dim, rows, s->dim, dots);
        for (size_t i = 0; i < rows; i++) {
            const struct vinfo *x = &s->info[from + i];
            float score = vquery_measure(q, x, (float)dots[i] * q->step * x->step);
            offer(s, v, from + i, score, heap, &n, wide);
        }
    }
    return n;
}

/* One by one: for a measure that is no product, and where the filter admits little. */
static size_t pick(const struct vset *s, const struct vsearch *v, struct scored *heap, size_t wide)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (admitted(s, v, i))
            offer(s, v, i, vquery_rough(&v->query, i), heap, &n, wide);
    return n;
}

static enum sooth_status flat_search(const struct vindex *x, struct vsearch *v, size_t k,
                                     struct scored *out, size_t *found, struct sooth_error *err)
{
    const struct vset *s = &x->set;
    size_t wide = k > s->n / 4 ? s->n : 4 * k;
    *found = 0;
    wide = wide < RESCORE ? RESCORE : wide;
    wide = wide < s->n ? wide : s->n;
    if (wide == 0 || k == 0)
        return SOOTH_OK;
    if (!vsearch_ready(v, s, wide, sizeof(struct scored)))
        return err_nomem(err);
    struct scored *heap = v->pool;
    bool few = v->query.metric == METRIC_L1 || (v->allow && v->allowed < s->n / 4);
    size_t n = few ? pick(s, v, heap, wide) : scan(s, v, heap, wide);
    for (size_t i = 0; i < n; i++)
        heap[i].score = (double)vquery_fine(&v->query, heap[i].slot);
    best_sort(heap, n);
    *found = n < k ? n : k;
    memcpy(out, heap, *found * sizeof *out);
    return SOOTH_OK;
}

static size_t flat_sections(const struct vindex *x, struct section *out)
{
    (void)x;
    (void)out;
    return 0;
}

static enum sooth_status flat_attach(struct vindex *x, const struct section *in, size_t n,
                                     struct sooth_error *err)
{
    (void)x;
    (void)in;
    return n == 0 ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "parts that nobody knows");
}

static bool flat_thaw(struct vindex *x)
{
    return x->own == NULL;
}

static void flat_release(struct vindex *x)
{
    x->own = NULL;
}

const struct vindex_row vindex_flat = {
    .name = "flat",
    .about = "every vector is looked at: exact",
    .join = flat_join,
    .search = flat_search,
    .sections = flat_sections,
    .attach = flat_attach,
    .thaw = flat_thaw,
    .release = flat_release,
};
