/* optimizer.c: the state of an optimizer over all trained weights, cut into tiles for the pool.
 *
 *     state memory:  | weight 0: tile 0, tile 1, ... | weight 1 ... |      tile t begins at bytes(t·65536)
 *
 * A paged state is a file without a name, mapped: the system writes pages out when memory is wanted elsewhere, as
 * QLoRA's paged optimizer does between a GPU and its host (Dettmers et al. 2023, arXiv:2305.14314). */
#include "learn/train/optimizer.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"

#define ROW(x) extern const struct optimizer_row optimizer_##x;
#include "learn/train/optimizer_rows.inc"
#undef ROW

static const struct optimizer_row *const rows[] = {
#define ROW(x) &optimizer_##x,
#include "learn/train/optimizer_rows.inc"
#undef ROW
};

const struct optimizer_row *optimizer_row_at(size_t i)
{
    return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const struct optimizer_row *optimizer_row_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}

/* ---- state ---- */

static enum sooth_status page_file(const char *dir, size_t bytes, void **out, struct sooth_error *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/.moments.XXXXXX", dir ? dir : "/tmp");
    int fd = path.failed ? -1 : mkstemp(path.data);
    if (fd >= 0)
        unlink(path.data);
    void *p = fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    enum sooth_status status = SOOTH_OK;
    if (p == MAP_FAILED)
        status = err_set(err, SOOTH_ERR_IO, "cannot make a file of %zu MB for the optimizer in '%s': %s", bytes >> 20, dir ? dir : "/tmp", strerror(errno));
    else
        *out = p;
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    return status;
}

static bool sizes(const struct optimizer *o, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < o->count; i++) {
        size_t rounded;
        if (!size_align(o->row->bytes(o->items[i].n), 64, &rounded) || !size_add(*total, rounded, total))
            return false;
    }
    return true;
}

enum sooth_status optimizer_init(struct optimizer *o, const struct optimizer_row *row, const struct optimizer_item *items, size_t count,
                                 const char *page_dir, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    *o = (struct optimizer){.row = row, .count = count};
    o->items = mem_array(count ? count : 1, sizeof *o->items);
    o->states = mem_calloc(count ? count : 1, sizeof *o->states);
    if (!o->items || !o->states) {
        optimizer_release(o);
        return err_nomem(err);
    }
    memcpy(o->items, items, count * sizeof *items);
    if (!sizes(o, &o->bytes))
        status = err_nomem(err);
    else if (o->bytes && row->paged)
        status = page_file(page_dir, o->bytes, &o->memory, err);
    else if (o->bytes && !(o->memory = mem_calloc(1, o->bytes)))
        status = err_nomem(err);
    if (status) {
        optimizer_release(o);
        return status;
    }
    for (size_t i = 0, at = 0; i < count; i++) {
        o->states[i] = o->bytes ? (char *)o->memory + at : NULL;
        at += (row->bytes(items[i].n) + 63) / 64 * 64;
    }
    return SOOTH_OK;
}

void optimizer_release(struct optimizer *o)
{
    if (o->memory && o->row->paged)
        munmap(o->memory, o->bytes);
    else
        mem_free(o->memory);
    mem_free(o->items);
    mem_free(o->states);
    memset(o, 0, sizeof *o);
}

double optimizer_grad_norm(const struct optimizer *o)
{
    const struct kernel *k = kernel_get();
    double sum = 0;
    for (size_t i = 0; i < o->count; i++)
        for (size_t at = 0; at < o->items[i].n; at += OPTIMIZER_TILE) {
            size_t left = o->items[i].n - at;
            sum += (double)k->sum_squares(o->items[i].g + at, left < OPTIMIZER_TILE ? left : OPTIMIZER_TILE);
        }
    return sqrt(sum);
}

/* ---- a step ---- */

struct apply {
    const struct optimizer *o;
    struct optimizer_step step;
    size_t item;
};

static void apply_tile(void *ctx, size_t tile, unsigned worker)
{
    const struct apply *a = ctx;
    const struct optimizer_item *item = &a->o->items[a->item];
    size_t at = tile * OPTIMIZER_TILE, left = item->n - at, n = left < OPTIMIZER_TILE ? left : OPTIMIZER_TILE;
    char *state = a->o->states[a->item];
    a->o->row->step(&a->step, item->w + at, item->g + at, state ? state + a->o->row->bytes(at) : NULL, n);
}

void optimizer_apply(struct optimizer *o, struct pool *pool, struct optimizer_step step, double decay)
{
    struct apply a = {.o = o, .step = step};
    for (a.item = 0; a.item < o->count; a.item++) {
        size_t tiles = (o->items[a.item].n + OPTIMIZER_TILE - 1) / OPTIMIZER_TILE;
        a.step.decay = o->items[a.item].decays ? decay : 0;
        pool_run(tiles > 1 ? pool : NULL, tiles, apply_tile, &a);
    }
}
