/* vindex.c: the table of vector indexes, and an index in memory. */
#include "know/index/vindex.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"

#define ROW(word) extern const struct vindex_row vindex_##word;
#include "know/index/vindex_rows.inc"
#undef ROW

static const struct vindex_row *const rows[] = {
#define ROW(word) &vindex_##word,
#include "know/index/vindex_rows.inc"
#undef ROW
};

const struct vindex_row *vindex_row_at(size_t i)
{
    return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const struct vindex_row *vindex_row_find(const char *name)
{
    for (size_t i = 0; vindex_row_at(i); i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}

const char *vector_index_at(size_t i, const char **about)
{
    *about = vindex_row_at(i) ? rows[i]->about : "";
    return vindex_row_at(i) ? rows[i]->name : NULL;
}

enum sooth_status vindex_new(const struct vindex_row *row, enum metric m, size_t dim,
                             struct vindex **out, struct sooth_error *err)
{
    struct vindex *x = *out = mem_calloc(1, sizeof *x);
    if (x) {
        x->row = row;
        x->set.dim = dim;
        x->set.metric = m;
        x->set.kernel = kernel_get();
        x->set.mean = mem_calloc(SCRIPTS * dim + 1, sizeof *x->set.mean);
    }
    if (x && x->set.mean)
        return SOOTH_OK;
    vindex_free(x);
    *out = NULL;
    return err_nomem(err);
}

void vindex_free(struct vindex *x)
{
    if (!x)
        return;
    x->row->release(x);
    if (x->mapped) {
        packfile_close(&x->file);
    } else {
        mem_free(x->set.code);
        mem_free(x->set.low);
        mem_free(x->set.info);
        mem_free(x->set.id);
        mem_free(x->set.mean);
    }
    mem_free(x->set.dead);
    mem_free(x);
}

/* Grows one array; a failure leaves it as it was. */
static bool grow(void *array, size_t count, size_t size)
{
    void **p = array, *fresh = mem_realloc(*p, count + 1, size);
    *p = fresh ? fresh : *p;
    return fresh != NULL;
}

bool vindex_reserve(struct vindex *x, size_t more)
{
    struct vset *s = &x->set;
    size_t n = s->n + more;
    return grow(&s->code, n, s->dim) && grow(&s->low, n, vset_low_bytes(s->dim)) &&
           grow(&s->info, n, sizeof *s->info) && grow(&s->id, n, sizeof *s->id) &&
           grow(&s->dead, n, 1);
}

bool vindex_add(struct vindex *x, int64_t id, uint32_t group, const float *v)
{
    struct vset *s = &x->set;
    size_t i = s->n, low = vset_low_bytes(s->dim);
    vset_encode(v, s->mean, s->dim, group, s->code + i * s->dim, s->low + i * low, &s->info[i]);
    s->id[i] = id;
    s->dead[i] = 0;
    s->n++;
    return s->info[i].step > 0;
}

void vsearch_release(struct vsearch *s)
{
    vquery_release(&s->query);
    mem_free(s->seen);
    mem_free(s->pool);
    memset(s, 0, sizeof *s);
}

bool vsearch_ready(struct vsearch *s, const struct vset *set, size_t cap, size_t size)
{
    if (!s->seen && !(s->seen = mem_calloc(set->n + 1, 1)))
        return false;
    if (cap * size > s->pool_cap) {
        void *fresh = mem_realloc(s->pool, cap, size);
        if (!fresh)
            return false;
        s->pool = fresh;
        s->pool_cap = cap * size;
    }
    return true;
}
