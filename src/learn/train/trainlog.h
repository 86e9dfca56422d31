/* trainlog.h: what a run writes down: OUT/train.jsonl, an object a step in TRL's names, and TensorBoard events. */
#ifndef TRAIN_TRAINLOG_H
#define TRAIN_TRAINLOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"

struct reading_score;
struct trainlog_line {
    uint64_t step, tokens;
    double epoch, loss, grad_norm, rate, eval_loss; /* NAN: not measured, left out */
    bool skipped;
    const struct reading_score *reading; /* of a reader; or NULL */
};
struct trainlog { int fd, events; };

/* Opens OUT/train.jsonl. resumed: lines after `step` (and half lines) of an earlier process are dropped; else it is made anew. */
enum sooth_status trainlog_open(struct trainlog *log, const char *out, bool resumed, uint64_t step, struct sooth_error *err);
enum sooth_status trainlog_add(struct trainlog *log, const struct trainlog_line *line, struct sooth_error *err);
void trainlog_sync(struct trainlog *log);
void trainlog_close(struct trainlog *log);

/* tfevents.c */
int tfevents_open(const char *out);                       /* -1: could not */
void tfevents_scalar(int fd, uint64_t step, const char *tag, double value);
uint32_t tfevents_crc(const void *data, size_t n);        /* CRC-32C */

#endif
