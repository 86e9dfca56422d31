/* download.h: one URL to one file, over whatever breaks on the way. */
#ifndef INFER_DOWNLOAD_H
#define INFER_DOWNLOAD_H
#include <stdbool.h>
#include <stdint.h>
#include "sooth/model.h"

struct download {
    const char *url, *path;  /* path.part while it is under way */
    const char *sha256;      /* 64 hex digits it must have; NULL: what the server says, if it does */
    const char *token;       /* sent to the first host only; NULL = none */
    const char *name;        /* for messages and on_bytes */
    sooth_pull_fn *on_bytes; /* may be NULL */
    void *user;
    double backoff, stall;   /* seconds before the first retry; without a byte before an attempt is given up */
    unsigned attempts;       /* in a row without a new byte */
};
struct download_result {
    uint64_t bytes;
    char sha256[65];
    bool checked;  /* against a sum from the caller or the server */
    bool resumed, present; /* a part was there; the whole was */
};
enum sooth_status download_file(const struct download *d, struct download_result *out, struct sooth_error *err);
#endif
