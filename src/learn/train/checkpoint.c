/* checkpoint.c: see checkpoint.h. state.safetensors holds
 *
 *     "weight.NAME"   f32 [rows, cols]    each trained weight
 *     "moments"       u8 [bytes]          the optimizer's memory as it is
 *     __metadata__    format, facts, optimizer, hash (of all the numbers), and the progress as decimal text */
#include "learn/train/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/hash.h"
#include "model/file/file.h"

#define FORMAT "sooth-train-1"
enum { PATH_MOST = 4096 };

/* ---- directories ---- */

static enum sooth_status dir_sync(const char *path, struct sooth_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sooth_status status = SOOTH_OK;
    if (fd < 0 || fsync(fd) != 0)
        status = err_set(err, SOOTH_ERR_IO, "cannot sync '%s': %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

/* A directory of plain files, and of directories of such. */
static void dir_remove(const char *path, int depth)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char file[PATH_MOST];
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && snprintf(file, sizeof file, "%s/%s", path, e->d_name) < PATH_MOST &&
            unlink(file) != 0 && depth > 0)
            dir_remove(file, depth - 1);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

/* Calls fn with the number of every checkpoint; hidden ones of a run that died while saving are removed. */
static void each(const char *out, bool clean, void (*fn)(void *user, uint64_t step), void *user)
{
    DIR *d = opendir(out);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH_MOST], *end;
        if (strncmp(e->d_name, "checkpoint-", 11) == 0 && e->d_name[11] >= '0' && e->d_name[11] <= '9') {
            uint64_t step = strtoull(e->d_name + 11, &end, 10);
            if (!*end)
                fn(user, step);
        } else if (clean && strncmp(e->d_name, ".checkpoint-", 12) == 0 && snprintf(path, sizeof path, "%s/%s", out, e->d_name) < PATH_MOST) {
            dir_remove(path, 1);
        }
    }
    if (d)
        closedir(d);
}

struct newest { uint64_t step; bool any; };

static void newest_of(void *user, uint64_t step)
{
    struct newest *n = user;
    if (!n->any || step > n->step)
        *n = (struct newest){step, true};
}

bool checkpoint_newest(const char *out, uint64_t *step)
{
    struct newest n = {0};
    each(out, false, newest_of, &n);
    *step = n.step;
    return n.any;
}

struct prune { const char *out; uint64_t steps[256]; size_t n; };

static void prune_add(void *user, uint64_t step)
{
    struct prune *p = user;
    if (p->n < sizeof p->steps / sizeof *p->steps)
        p->steps[p->n++] = step;
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void prune(const char *out, size_t keep)
{
    struct prune p = {.out = out};
    each(out, false, prune_add, &p);
    qsort(p.steps, p.n, sizeof *p.steps, rising);
    for (size_t i = 0; i + keep < p.n; i++) {
        char path[PATH_MOST];
        if (snprintf(path, sizeof path, "%s/checkpoint-%" PRIu64, out, p.steps[i]) < PATH_MOST)
            dir_remove(path, 1);
    }
}

/* ---- writing ---- */

static uint64_t numbers_hash(const struct learner *l)
{
    uint64_t h = 1;
    for (size_t i = 0; i < l->optimizer.count; i++)
        h = hash64(l->optimizer.items[i].w, l->optimizer.items[i].n * sizeof(float), h);
    return hash64(l->optimizer.memory, l->optimizer.bytes, h);
}

static void progress_write(const struct train_state *s, struct buf *out)
{
    buf_printf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %a %" PRIu64, s->step, s->applied, s->tokens, s->bad, s->waited, s->best, s->n_losses);
    for (size_t i = 0; i < CHECKPOINT_LOSSES; i++)
        buf_printf(out, " %a", s->losses[i]);
}

static bool progress_read(const char *text, struct train_state *s)
{
    uint64_t *whole[] = {&s->step, &s->applied, &s->tokens, &s->bad, &s->waited};
    char *end;
    for (size_t i = 0; i < 5; i++, text = end) {
        *whole[i] = strtoull(text, &end, 10);
        if (end == text)
            return false;
    }
    s->best = strtod(text, &end);
    if (end == text)
        return false;
    s->n_losses = strtoull(text = end, &end, 10);
    for (size_t i = 0; i < CHECKPOINT_LOSSES && end != text; i++)
        s->losses[i] = strtod(text = end, &end);
    return end != text;
}

static enum sooth_status state_write(const char *path, const struct learner *l, const struct train_state *s, const char *facts, struct sooth_error *err)
{
    size_t n = l->optimizer.count;
    struct file_tensor *tensors = mem_calloc(n + 1, sizeof *tensors);
    struct buf progress = BUF_INIT, names = BUF_INIT;
    char hash[32];
    progress_write(s, &progress);
    for (size_t i = 0; i < n; i++) { /* one buffer of names, so that they need no freeing one by one */
        buf_printf(&names, "weight.%s", adapt_weight(l->adapt, i)->name);
        buf_putc(&names, 0);
    }
    enum sooth_status status = tensors && !progress.failed && !names.failed ? SOOTH_OK : err_nomem(err);
    const char *name = buf_str(&names);
    for (size_t i = 0; i < n && !status; i++, name += strlen(name) + 1) {
        const struct qmat *q = &adapt_weight(l->adapt, i)->q;
        tensors[i] = (struct file_tensor){name, TYPE_F32, 2, {q->cols, q->rows, 1, 1}, l->optimizer.items[i].w, l->optimizer.items[i].n * sizeof(float)};
    }
    snprintf(hash, sizeof hash, "%016" PRIx64, numbers_hash(l));
    struct file_value values[] = {{.key = "format", .type = VALUE_STRING, .s = {FORMAT, strlen(FORMAT)}},
                                  {.key = "facts", .type = VALUE_STRING, .s = {facts, strlen(facts)}},
                                  {.key = "optimizer", .type = VALUE_STRING, .s = {l->optimizer.row->name, strlen(l->optimizer.row->name)}},
                                  {.key = "progress", .type = VALUE_STRING, .s = {buf_str(&progress), progress.len}},
                                  {.key = "hash", .type = VALUE_STRING, .s = {hash, strlen(hash)}}};
    if (!status) {
        tensors[n] = (struct file_tensor){"moments", TYPE_U8, 1, {l->optimizer.bytes, 1, 1, 1}, l->optimizer.memory, l->optimizer.bytes};
        status = safetensors_write(path, tensors, l->optimizer.bytes ? n + 1 : n, values, sizeof values / sizeof *values, err);
    }
    buf_release(&progress);
    buf_release(&names);
    mem_free(tensors);
    return status;
}

enum sooth_status checkpoint_save(const char *out, const struct learner *l, const struct train_state *s, const char *facts,
                                  checkpoint_extra *extra, void *user, size_t keep, struct sooth_error *err)
{
    char temp[PATH_MOST], path[PATH_MOST], state[PATH_MOST];
    if (snprintf(temp, sizeof temp, "%s/.checkpoint-%" PRIu64, out, s->step) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", out);
    snprintf(path, sizeof path, "%s/checkpoint-%" PRIu64, out, s->step);
    if (snprintf(state, sizeof state, "%s/state.safetensors", temp) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", out);
    each(out, true, prune_add, &(struct prune){0});
    if (file_is_dir(path)) /* the same steps lead to the same state */
        return SOOTH_OK;
    enum sooth_status status = dir_make(temp, err);
    if (!status)
        status = state_write(state, l, s, facts, err);
    if (!status && extra)
        status = extra(user, temp, err);
    if (!status)
        status = dir_sync(temp, err);
    if (!status && rename(temp, path) != 0)
        status = err_set(err, SOOTH_ERR_IO, "cannot rename '%s': %s", temp, strerror(errno));
    if (!status)
        status = dir_sync(out, err);
    if (status)
        dir_remove(temp, 1);
    else if (keep)
        prune(out, keep);
    return status;
}

/* ---- reading ---- */

/* Names the first line that differs. */
static enum sooth_status facts_match(const char *have, const char *want, const char *path, struct sooth_error *err)
{
    while (*have || *want) {
        size_t n = strcspn(have, "\n"), m = strcspn(want, "\n");
        if (n != m || memcmp(have, want, n))
            return err_set(err, SOOTH_ERR_ARG, "'%s' belongs to another run: there '%.*s', here '%.*s'", path, (int)(n > 100 ? 100 : n), have, (int)(m > 100 ? 100 : m), want);
        have += n + (have[n] == '\n');
        want += m + (want[m] == '\n');
    }
    return SOOTH_OK;
}

static enum sooth_status state_check(const struct tensor_file *f, const struct learner *l, const char *path, struct sooth_error *err)
{
    size_t n = l->optimizer.count;
    if (strcmp(tensor_file_string(f, "format", ""), FORMAT))
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is not a checkpoint of this program", path);
    if (strcmp(tensor_file_string(f, "optimizer", ""), l->optimizer.row->name))
        return err_set(err, SOOTH_ERR_ARG, "'%s' was written with optimizer '%.40s'", path, tensor_file_string(f, "optimizer", ""));
    if (tensor_file_count(f) != n + (l->optimizer.bytes > 0))
        return err_set(err, SOOTH_ERR_ARG, "'%s' trains %zu weights, this run %zu", path, tensor_file_count(f) - (l->optimizer.bytes > 0), n);
    for (size_t i = 0; i <= n; i++) {
        char name[512];
        const struct qmat *q = i < n ? &adapt_weight(l->adapt, i)->q : NULL;
        size_t want = q ? l->optimizer.items[i].n * sizeof(float) : l->optimizer.bytes;
        snprintf(name, sizeof name, q ? "weight.%s" : "moments", q ? adapt_weight(l->adapt, i)->name : "");
        const struct file_tensor *t = tensor_file_find(f, name);
        if (want && (!t || t->bytes != want || t->type != (q ? TYPE_F32 : TYPE_U8) || (q && (t->dims[0] != q->cols || t->dims[1] != q->rows))))
            return err_set(err, SOOTH_ERR_ARG, "'%s' has no '%s' of this run's shape", path, name);
    }
    return SOOTH_OK;
}

static enum sooth_status state_hash(const struct tensor_file *f, const struct learner *l, const char *path, struct sooth_error *err)
{
    uint64_t h = 1;
    char name[512], hex[32];
    for (size_t i = 0; i < l->optimizer.count; i++) {
        snprintf(name, sizeof name, "weight.%s", adapt_weight(l->adapt, i)->name);
        h = hash64(tensor_file_find(f, name)->data, l->optimizer.items[i].n * sizeof(float), h);
    }
    h = hash64(l->optimizer.bytes ? tensor_file_find(f, "moments")->data : NULL, l->optimizer.bytes, h);
    snprintf(hex, sizeof hex, "%016" PRIx64, h);
    if (strcmp(hex, tensor_file_string(f, "hash", "")))
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is damaged: its numbers are not those that were written", path);
    return SOOTH_OK;
}

enum sooth_status checkpoint_load_file(const char *path, struct learner *l, struct train_state *s, const char *facts, struct sooth_error *err)
{
    struct tensor_file *f;
    struct train_state read = {0};
    enum sooth_status status = tensor_file_open(path, NULL, &f, err);
    if (status)
        return status;
    status = facts_match(tensor_file_string(f, "facts", ""), facts, path, err);
    if (!status)
        status = state_check(f, l, path, err);
    if (!status)
        status = state_hash(f, l, path, err);
    if (!status && !progress_read(tensor_file_string(f, "progress", ""), &read))
        status = err_set(err, SOOTH_ERR_FORMAT, "'%s' does not tell how far the run was", path);
    for (size_t i = 0; i < l->optimizer.count && !status; i++) {
        char name[512];
        snprintf(name, sizeof name, "weight.%s", adapt_weight(l->adapt, i)->name);
        memcpy(l->optimizer.items[i].w, tensor_file_find(f, name)->data, l->optimizer.items[i].n * sizeof(float));
    }
    if (!status) {
        if (l->optimizer.bytes)
            memcpy(l->optimizer.memory, tensor_file_find(f, "moments")->data, l->optimizer.bytes);
        *s = read;
        l->steps = read.applied;
        status = adapt_refresh(l->adapt, err);
    }
    tensor_file_close(f);
    return status;
}

enum sooth_status checkpoint_load(const char *out, uint64_t step, struct learner *l, struct train_state *s, const char *facts, struct sooth_error *err)
{
    char path[PATH_MOST];
    if (snprintf(path, sizeof path, "%s/checkpoint-%" PRIu64 "/state.safetensors", out, step) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", out);
    enum sooth_status status = checkpoint_load_file(path, l, s, facts, err);
    if (!status && s->step != step)
        return err_set(err, SOOTH_ERR_FORMAT, "'%s' is of step %" PRIu64, path, s->step);
    return status;
}
