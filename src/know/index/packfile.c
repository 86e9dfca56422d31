/* packfile.c: the index files beside the database: arrays, mapped as they lie.
 *
 *   0    "soothidx"  kind [8]  version u32  sections u32  file bytes u64
 *   32   sections x { name [8]  offset u64  bytes u64  hash u64 }
 *   ..   hash u64 of everything above
 *   ..   the sections' bytes, each at a multiple of 64
 *
 * All numbers little-endian. A file only repeats what the database knows; when anything in it does
 * not add up it is not used. The hashes find accidents; whoever reads a section still compares every
 * number that is used as a place with what it points into. */
#include "know/index/packfile.h"
#include <string.h>
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/hash.h"

#define MAGIC "soothidx"
enum { VERSION = 1, ALIGN = 64 };

struct header {
    char magic[8], kind[8];
    uint32_t version, sections;
    uint64_t bytes;
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

static enum sooth_status write_padded(struct file_writer *w, const void *p, size_t n,
                                      struct sooth_error *err)
{
    static const char zeros[ALIGN];
    enum sooth_status status = file_writer_add(w, p, n, err);
    size_t past = w->bytes % ALIGN;
    return status == SOOTH_OK && past ? file_writer_add(w, zeros, ALIGN - past, err) : status;
}

enum sooth_status packfile_write(const char *path, const char *kind, const struct section *list,
                                 size_t n, struct sooth_error *err)
{
    struct entry table[SECTIONS_MAX];
    struct buf head = BUF_INIT;
    struct file_writer w;
    struct header h = {MAGIC, {0}, VERSION, (uint32_t)n, 0};
    memcpy(h.kind, kind, strlen(kind));
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

static enum sooth_status damaged(const char *kind, const char *why, struct sooth_error *err)
{
    return err_set(err, SOOTH_ERR_FORMAT, "the index of %s is damaged: %s", kind, why);
}

static enum sooth_status prove(struct packfile *f, const char *kind, struct sooth_error *err)
{
    struct header h;
    struct entry e;
    uint64_t sum;
    const unsigned char *p = f->file.data;
    if (f->file.size < sizeof h)
        return damaged(kind, "it is too short", err);
    memcpy(&h, p, sizeof h);
    size_t table = sizeof h + (size_t)h.sections * sizeof e;
    if (memcmp(h.magic, MAGIC, 8) != 0 || strncmp(h.kind, kind, 8) != 0 || h.version != VERSION ||
        h.sections > SECTIONS_MAX || h.bytes != f->file.size || table + 8 > f->file.size)
        return damaged(kind, "its head is not as expected", err);
    memcpy(&sum, p + table, sizeof sum);
    if (sum != hash64(p, table, VERSION))
        return damaged(kind, "its head has changed", err);
    for (f->n = 0; f->n < h.sections; f->n++) {
        memcpy(&e, p + sizeof h + f->n * sizeof e, sizeof e);
        if (!range_inside(e.offset, e.bytes, f->file.size) || e.offset % ALIGN)
            return damaged(kind, "a part lies outside of it", err);
        if (hash64(p + e.offset, e.bytes, VERSION) != e.hash)
            return damaged(kind, "a part has changed", err);
        f->list[f->n] = (struct section){{0}, p + e.offset, e.bytes};
        memcpy(f->list[f->n].name, e.name, sizeof e.name);
    }
    return SOOTH_OK;
}

enum sooth_status packfile_open(const char *path, const char *kind, struct packfile *out,
                                struct sooth_error *err)
{
    out->n = 0;
    enum sooth_status status = map_file_open(path, &out->file, err);
    if (status != SOOTH_OK)
        return status;
    status = prove(out, kind, err);
    if (status != SOOTH_OK)
        packfile_close(out);
    return status;
}

void packfile_close(struct packfile *p)
{
    map_file_close(&p->file);
    p->n = 0;
}
