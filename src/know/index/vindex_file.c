/* vindex_file.c: a vector index as one file: written whole, mapped, proved before it is believed.
 *
 *   0    "soothvix"  version u32  sections u32  row name [8]
 *   24   metric u32  dim u32  n u64  joined u64  generation u64  fingerprint u64  file bytes u64
 *   72   sections x { name [8]  offset u64  bytes u64  hash u64 }
 *   ..   hash u64 of everything above
 *   ..   the sections' bytes, each at a multiple of 64
 *
 * All numbers little-endian. The file only repeats what the database knows: when anything does not
 * add up it is not used, and made anew by whoever writes next. Beside the hashes, which find
 * accidents, every number that is used as a place is compared with what it points into. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/kernel/kernel.h"
#include "know/index/vindex.h"

#define MAGIC "soothvix"
enum { VERSION = 1, ALIGN = 64, DIM_MAX = 65536 };

struct header {
    char magic[8];
    uint32_t version, sections;
    char row[8];
    uint32_t metric, dim;
    uint64_t n, joined, generation, fingerprint, bytes;
};
struct entry {
    char name[8];
    uint64_t offset, bytes, hash;
};

const struct section *section_get(const struct section *in, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(in[i].name, name, sizeof in[i].name) == 0)
            return &in[i];
    return NULL;
}

const void *section_find(const struct section *in, size_t n, const char *name, size_t bytes)
{
    const struct section *s = section_get(in, n, name);
    return s && s->bytes == bytes ? s->data : NULL;
}

static size_t set_sections(const struct vset *s, struct section *out)
{
    const struct section list[] = {
        {"code", s->code, s->n * s->dim},
        {"low", s->low, s->n * vset_low_bytes(s->dim)},
        {"info", s->info, s->n * sizeof *s->info},
        {"id", s->id, s->n * sizeof *s->id},
        {"mean", s->mean, SCRIPTS * s->dim * sizeof *s->mean},
    };
    memcpy(out, list, sizeof list);
    return sizeof list / sizeof *list;
}
enum { SET_SECTIONS = 5 };

static enum sooth_status write_padded(struct file_writer *w, const void *p, size_t n,
                                      struct sooth_error *err)
{
    static const char zeros[ALIGN];
    enum sooth_status status = file_writer_add(w, p, n, err);
    size_t past = w->bytes % ALIGN;
    return status == SOOTH_OK && past ? file_writer_add(w, zeros, ALIGN - past, err) : status;
}

enum sooth_status vindex_save(const struct vindex *x, const char *path, struct sooth_error *err)
{
    struct section list[SECTIONS_MAX];
    struct entry table[SECTIONS_MAX];
    struct buf head = BUF_INIT;
    struct file_writer w;
    size_t n = set_sections(&x->set, list);
    n += x->row->sections(x, list + n);
    struct header h = {MAGIC,
                       VERSION,
                       (uint32_t)n,
                       {0},
                       (uint32_t)x->set.metric,
                       (uint32_t)x->set.dim,
                       x->set.n,
                       x->joined,
                       x->generation,
                       x->fingerprint,
                       0};
    memcpy(h.row, x->row->name, strlen(x->row->name));
    uint64_t at = sizeof h + n * sizeof *table + 8;
    for (size_t i = 0; i < n; i++) {
        at = (at + ALIGN - 1) / ALIGN * ALIGN;
        table[i] =
            (struct entry){{0}, at, list[i].bytes, hash64(list[i].data, list[i].bytes, VERSION)};
        memcpy(table[i].name, list[i].name, sizeof table[i].name);
        at += list[i].bytes;
    }
    h.bytes = (at + ALIGN - 1) / ALIGN * ALIGN;
    buf_add(&head, &h, sizeof h);
    buf_add(&head, table, n * sizeof *table);
    uint64_t sum = head.failed ? 0 : hash64(head.data, head.len, VERSION);
    buf_add(&head, &sum, sizeof sum);
    enum sooth_status status = head.failed ? err_nomem(err) : file_writer_open(&w, path, err);
    if (status == SOOTH_OK) {
        status = write_padded(&w, head.data, head.len, err);
        for (size_t i = 0; i < n && status == SOOTH_OK; i++)
            status = write_padded(&w, list[i].data, list[i].bytes, err);
        if (status == SOOTH_OK)
            status = file_writer_commit(&w, err);
        else
            file_writer_abort(&w);
    }
    buf_release(&head);
    return status;
}

static enum sooth_status damaged(const char *why, struct sooth_error *err)
{
    return err_set(err, SOOTH_ERR_FORMAT, "the vector index is damaged: %s", why);
}

static enum sooth_status read_head(struct vindex *x, struct section *list, size_t *n,
                                   struct sooth_error *err)
{
    struct header h;
    struct entry e;
    uint64_t sum;
    const unsigned char *p = x->file.data;
    if (x->file.size < sizeof h)
        return damaged("it is too short", err);
    memcpy(&h, p, sizeof h);
    size_t table = sizeof h + (size_t)h.sections * sizeof e;
    if (memcmp(h.magic, MAGIC, 8) != 0 || h.version != VERSION || h.sections > SECTIONS_MAX ||
        h.bytes != x->file.size || table + 8 > x->file.size || h.row[7] != 0)
        return damaged("its head is not as expected", err);
    memcpy(&sum, p + table, sizeof sum);
    if (sum != hash64(p, table, VERSION))
        return damaged("its head has changed", err);
    x->row = vindex_row_find(h.row);
    size_t cells;
    if (!x->row || h.metric > METRIC_L1 || h.dim == 0 || h.dim > DIM_MAX || h.n > UINT32_MAX ||
        h.joined > h.n || !size_mul(h.n, h.dim, &cells))
        return damaged("its head makes no sense", err);
    for (*n = 0; *n < h.sections; ++*n) {
        memcpy(&e, p + sizeof h + *n * sizeof e, sizeof e);
        if (!range_inside(e.offset, e.bytes, x->file.size) || e.offset % ALIGN)
            return damaged("a part lies outside of it", err);
        if (hash64(p + e.offset, e.bytes, VERSION) != e.hash)
            return damaged("a part has changed", err);
        list[*n] = (struct section){{0}, p + e.offset, e.bytes};
        memcpy(list[*n].name, e.name, sizeof e.name);
    }
    x->set.n = h.n;
    x->set.dim = h.dim;
    x->set.metric = (enum metric)h.metric;
    x->joined = h.joined;
    x->generation = h.generation;
    x->fingerprint = h.fingerprint;
    return SOOTH_OK;
}

static enum sooth_status read_set(struct vindex *x, const struct section *in, size_t n,
                                  struct sooth_error *err)
{
    struct vset *s = &x->set;
    s->code = (int8_t *)section_find(in, n, "code", s->n * s->dim);
    s->low = (uint8_t *)section_find(in, n, "low", s->n * vset_low_bytes(s->dim));
    s->info = (struct vinfo *)section_find(in, n, "info", s->n * sizeof *s->info);
    s->id = (int64_t *)section_find(in, n, "id", s->n * sizeof *s->id);
    s->mean = (float *)section_find(in, n, "mean", SCRIPTS * s->dim * sizeof *s->mean);
    if (!s->code || !s->low || !s->info || !s->id || !s->mean)
        return damaged("a part is missing", err);
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
    map_file_close(&x->file);
    x->mapped = false;
    return ok ? SOOTH_OK : err_nomem(err);
}

static void vindex_drop(struct vindex *x) /* one whose row may not be known yet */
{
    if (x->row && x->own)
        x->row->release(x);
    map_file_close(&x->file);
    mem_free(x->set.dead);
    mem_free(x);
}

enum sooth_status vindex_open(const char *path, struct vindex **out, struct sooth_error *err)
{
    struct section list[SECTIONS_MAX];
    size_t n = 0;
    *out = NULL;
    struct vindex *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_nomem(err);
    enum sooth_status status = map_file_open(path, &x->file, err);
    if (status != SOOTH_OK) {
        mem_free(x);
        return status;
    }
    x->mapped = true;
    x->set.kernel = kernel_get();
    status = read_head(x, list, &n, err);
    if (status == SOOTH_OK)
        status = read_set(x, list, n, err);
    if (status == SOOTH_OK)
        status = x->row->attach(x, list + SET_SECTIONS, n - SET_SECTIONS, err);
    if (status != SOOTH_OK)
        vindex_drop(x);
    else
        *out = x;
    return status;
}
