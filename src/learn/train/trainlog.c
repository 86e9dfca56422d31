/* trainlog.c: train.jsonl. A line holds nothing that differs between two runs of the same seed (no times), so that two logs can be
 * compared byte for byte; times are in the TensorBoard events. */
#include "learn/train/trainlog.h"
#include "learn/train/reading.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/base/error.h"
#include "core/base/fsio.h"
#include "core/base/json.h"

enum { PATH_MOST = 4096, LOG_MOST = 1 << 30 };

/* The lines up to `step` of what is there. */
static enum sooth_status lines_keep(const char *path, uint64_t step, struct sooth_error *err)
{
    struct buf old = BUF_INIT, kept = BUF_INIT;
    struct arena a;
    enum sooth_status status = file_exists(path) ? file_read(path, LOG_MOST, &old, err) : SOOTH_OK;
    arena_init(&a, 1 << 20);
    for (size_t at = 0; at < old.len && !status;) {
        const char *line = old.data + at, *nl = memchr(line, '\n', old.len - at);
        if (!nl)
            break;
        size_t n = (size_t)(nl - line) + 1;
        const struct json *j = json_parse(&a, line, n, 0, NULL, NULL);
        int64_t s = json_int(j, "step", -1);
        if (s >= 0 && (uint64_t)s <= step)
            buf_add(&kept, line, n);
        arena_clear(&a);
        at += n;
    }
    if (!status)
        status = kept.failed ? err_nomem(err) : file_write_atomic(path, buf_str(&kept), kept.len, err);
    arena_release(&a);
    buf_release(&old);
    buf_release(&kept);
    return status;
}

enum sooth_status trainlog_open(struct trainlog *log, const char *out, bool resumed, uint64_t step, struct sooth_error *err)
{
    char path[PATH_MOST];
    enum sooth_status status = SOOTH_OK;
    *log = (struct trainlog){-1, -1};
    if (snprintf(path, sizeof path, "%s/train.jsonl", out) >= PATH_MOST)
        return err_set(err, SOOTH_ERR_ARG, "the path '%.100s...' is too long", out);
    if (resumed)
        status = lines_keep(path, step, err);
    if (status)
        return status;
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (resumed ? 0 : O_TRUNC), 0666);
    if (log->fd < 0)
        return err_set(err, SOOTH_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    log->events = tfevents_open(out);
    return SOOTH_OK;
}

enum sooth_status trainlog_add(struct trainlog *log, const struct trainlog_line *l, struct sooth_error *err)
{
    const struct { const char *key, *tag; double v; int digits; } reals[] = {
        {"epoch", NULL, l->epoch, 8}, {"loss", "train/loss", l->loss, 9}, {"grad_norm", "train/grad_norm", l->grad_norm, 9},
        {"learning_rate", "train/learning_rate", l->rate, 9}, {"eval_loss", "eval/loss", l->eval_loss, 9},
        {"exact", "eval/exact", l->reading ? l->reading->exact : NAN, 6}, {"f1", "eval/f1", l->reading ? l->reading->f1 : NAN, 6},
        {"separation", "eval/separation", l->reading ? l->reading->separation : NAN, 6}};
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "step"), jsonw_int(&w, (int64_t)l->step);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (!isnan(reals[i].v)) {
            jsonw_key(&w, reals[i].key), jsonw_double(&w, reals[i].v, reals[i].digits);
            if (reals[i].tag)
                tfevents_scalar(log->events, l->step, reals[i].tag, reals[i].v);
        }
    jsonw_key(&w, "num_tokens"), jsonw_int(&w, (int64_t)l->tokens);
    if (l->skipped)
        jsonw_key(&w, "skipped"), jsonw_bool(&w, true);
    jsonw_end_object(&w);
    buf_putc(&line, '\n');
    enum sooth_status status = SOOTH_OK;
    if (line.failed)
        status = err_nomem(err);
    else if (write(log->fd, line.data, line.len) != (ssize_t)line.len)
        status = err_set(err, SOOTH_ERR_IO, "cannot write to train.jsonl: %s", strerror(errno));
    buf_release(&line);
    return status;
}

void trainlog_sync(struct trainlog *log)
{
    fsync(log->fd);
}

void trainlog_close(struct trainlog *log)
{
    if (log->fd >= 0)
        close(log->fd);
    if (log->events >= 0)
        close(log->events);
    *log = (struct trainlog){-1, -1};
}
