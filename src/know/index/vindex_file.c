/* vindex_file.c: a vector index as a packfile: its head, its vectors, its row's own sections. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "know/index/vindex.h"

#define KIND "vectors"
enum { DIM_MAX = 65536 };

struct head {
    char row[8];
    uint32_t metric, dim;
    uint64_t n, joined, generation, fingerprint;
};
enum { SET_SECTIONS = 6 };

static void set_sections(const struct vset *s, const struct head *h,
                         struct section out[SET_SECTIONS])
{
    const struct section list[SET_SECTIONS] = {
        {"head", h, sizeof *h},
        {"code", s->code, s->n * s->dim},
        {"low", s->low, s->n * vset_low_bytes(s->dim)},
        {"info", s->info, s->n * sizeof *s->info},
        {"id", s->id, s->n * sizeof *s->id},
        {"mean", s->mean, SCRIPTS * s->dim * sizeof *s->mean},
    };
    memcpy(out, list, sizeof list);
}

enum sooth_status vindex_save(const struct vindex *x, const char *path, struct sooth_error *err)
{
    struct section list[SECTIONS_MAX];
    struct head h = {{0},      (uint32_t)x->set.metric, (uint32_t)x->set.dim, x->set.n,
                     x->joined, x->generation,           x->fingerprint};
    memcpy(h.row, x->row->name, strlen(x->row->name));
    set_sections(&x->set, &h, list);
    size_t n = SET_SECTIONS + x->row->sections(x, list + SET_SECTIONS);
    return packfile_write(path, KIND, list, n, err);
}

static enum sooth_status damaged(const char *why, struct sooth_error *err)
{
    return err_set(err, SOOTH_ERR_FORMAT, "the index of vectors is damaged: %s", why);
}

static enum sooth_status read_head(struct vindex *x, struct sooth_error *err)
{
    struct head h;
    const void *p = section_find(x->file.list, x->file.n, "head", sizeof h);
    size_t cells;
    if (!p)
        return damaged("it has no head", err);
    memcpy(&h, p, sizeof h);
    x->row = h.row[7] == 0 ? vindex_row_find(h.row) : NULL;
    if (!x->row || h.metric > METRIC_L1 || h.dim == 0 || h.dim > DIM_MAX || h.n > UINT32_MAX ||
        h.joined > h.n || !size_mul(h.n, h.dim, &cells))
        return damaged("its head makes no sense", err);
    x->set.n = h.n;
    x->set.dim = h.dim;
    x->set.metric = (enum metric)h.metric;
    x->joined = h.joined;
    x->generation = h.generation;
    x->fingerprint = h.fingerprint;
    return SOOTH_OK;
}

static enum sooth_status read_set(struct vindex *x, struct sooth_error *err)
{
    struct vset *s = &x->set;
    struct section want[SET_SECTIONS];
    const void *data[SET_SECTIONS];
    set_sections(s, NULL, want);
    for (size_t i = 1; i < SET_SECTIONS; i++) {
        data[i] = section_find(x->file.list, x->file.n, want[i].name, want[i].bytes);
        if (!data[i])
            return damaged("a part is missing", err);
    }
    s->code = (int8_t *)data[1];
    s->low = (uint8_t *)data[2];
    s->info = (struct vinfo *)data[3];
    s->id = (int64_t *)data[4];
    s->mean = (float *)data[5];
    for (size_t i = 0; i < s->n; i++)
        if (s->info[i].group >= SCRIPTS || (i > 0 && s->id[i] <= s->id[i - 1]))
            return damaged("its vectors are out of order", err);
    s->dead = mem_calloc(s->n + 1, 1); /* who is dead the store says, each time anew */
    return s->dead ? SOOTH_OK : err_nomem(err);
}

static bool copy(void *array, size_t bytes)
{
    void **p = array, *own = mem_dup(*p, bytes + !bytes);
    *p = own;
    return own != NULL;
}

enum sooth_status vindex_thaw(struct vindex *x, struct sooth_error *err)
{
    struct vset *s = &x->set;
    if (!x->mapped)
        return SOOTH_OK;
    bool ok = copy(&s->code, s->n * s->dim);
    ok &= copy(&s->low, s->n * vset_low_bytes(s->dim));
    ok &= copy(&s->info, s->n * sizeof *s->info);
    ok &= copy(&s->id, s->n * sizeof *s->id);
    ok &= copy(&s->mean, SCRIPTS * s->dim * sizeof *s->mean);
    ok &= x->row->thaw(x);
    packfile_close(&x->file);
    x->mapped = false;
    return ok ? SOOTH_OK : err_nomem(err);
}

static void vindex_drop(struct vindex *x) /* one whose row may not be known yet */
{
    if (x->row && x->own)
        x->row->release(x);
    packfile_close(&x->file);
    mem_free(x->set.dead);
    mem_free(x);
}

enum sooth_status vindex_open(const char *path, struct vindex **out, struct sooth_error *err)
{
    *out = NULL;
    struct vindex *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_nomem(err);
    enum sooth_status status = packfile_open(path, KIND, &x->file, err);
    if (status != SOOTH_OK) {
        mem_free(x);
        return status;
    }
    x->mapped = true;
    x->set.kernel = kernel_get();
    status = read_head(x, err);
    if (status == SOOTH_OK)
        status = read_set(x, err);
    if (status == SOOTH_OK)
        status = x->file.n < SET_SECTIONS
                     ? damaged("a part is missing", err)
                     : x->row->attach(x, x->file.list + SET_SECTIONS, x->file.n - SET_SECTIONS, err);
    if (status != SOOTH_OK)
        vindex_drop(x);
    else
        *out = x;
    return status;
}
