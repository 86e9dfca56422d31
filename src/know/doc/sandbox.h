/* sandbox.h: one file parsed in a process of its own. See sandbox.c and
 * docs/decisions/sandbox.md. */
#ifndef KNOW_DOC_SANDBOX_H
#define KNOW_DOC_SANDBOX_H
#include "know/doc/doc.h"

struct sandbox_job {
    int fd;               /* the file, readable from its start, a regular file or a memfd */
    const char *name;     /* for its extension */
    const char *encoding; /* or NULL */
    const char *format;   /* or NULL */
    uint64_t max_memory;
    unsigned max_seconds;
    uint32_t page;         /* for formats whose tools take one */
    const char *languages; /* the same; or NULL */
};

/* Runs the worker, waits for it, reads its answer. Messages carry no path. */
enum sooth_status sandbox_run(const struct sandbox_job *job, struct document *out,
                              struct sooth_error *err);
/* The same with a document's options. */
enum sooth_status sandbox_file(int fd, const char *name, const struct doc_options *opt,
                               struct document *out, struct sooth_error *err);
/* Bytes as a file in memory, to be closed by the caller; -1 on failure. */
int sandbox_memory(const void *bytes, size_t len, struct sooth_error *err);
/* What the worker does, without being one: for fuzz targets and tests, and for formats without a
 * tool only. */
enum sooth_status sandbox_parse_here(const char *name, const void *data, size_t len,
                                     const char *encoding, const char *format, struct document *out,
                                     struct sooth_error *err);
#endif
