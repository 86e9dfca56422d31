/* fsio.h: reading, mapping and crash-safe writing of whole files. Read and write failures can be injected. */
#ifndef BASE_FSIO_H
#define BASE_FSIO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "sooth/error.h"

/* A read-only mapping. A file that shrinks while mapped raises SIGBUS in plain code: map_file_intact re-stats. */
struct map_file { const unsigned char *data; size_t size; int fd; };
enum sooth_status map_file_open(const char *path, struct map_file *out, struct sooth_error *err);
/* For names that come from files: letters, digits, '.', '-', '_', no leading dot, opened beneath dir without
 * following a symbolic link. Anything else is SOOTH_ERR_FORMAT. */
enum sooth_status map_file_open_beneath(const char *dir, const char *name, struct map_file *out, struct sooth_error *err);
bool map_file_intact(const struct map_file *m);
void map_file_close(struct map_file *m);

/* Appends the whole file to out; more than max bytes is SOOTH_ERR_LIMIT. Regular files only. */
enum sooth_status file_read(const char *path, size_t max, struct buf *out, struct sooth_error *err);
/* Writes to a temporary beside path, fsyncs, renames: readers see the old file or the new one, never a part. */
enum sooth_status file_write_atomic(const char *path, const void *data, size_t len, struct sooth_error *err);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
enum sooth_status dir_make(const char *path, struct sooth_error *err); /* with parents */

/* A streaming atomic writer for big files. */
struct file_writer { int fd; char *path, *temp; uint64_t bytes; bool failed; };
enum sooth_status file_writer_open(struct file_writer *w, const char *path, struct sooth_error *err);
enum sooth_status file_writer_add(struct file_writer *w, const void *p, size_t len, struct sooth_error *err);
enum sooth_status file_writer_commit(struct file_writer *w, struct sooth_error *err); /* closes w */
void file_writer_abort(struct file_writer *w);                                        /* closes w */

/* Tests: the n-th read, write, fsync or rename from now fails once; 0 switches off. */
void file_fail_at(uint64_t n);
#endif
