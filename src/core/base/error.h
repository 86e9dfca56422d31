/* error.h: filling in a struct sooth_error. err may be NULL everywhere: then only the status travels. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H
#include "sooth/error.h"

/* Writes status and the formatted sentence (cut at a character boundary), clears the hint; returns status,
 * so that `return err_set(err, SOOTH_ERR_IO, "cannot open '%s': %s", path, strerror(errno));` is one line. */
enum sooth_status err_set(struct sooth_error *err, enum sooth_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the hint line; returns err->status (or SOOTH_ERR_INTERNAL when err is NULL). */
enum sooth_status err_hint(struct sooth_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "outer: " before the sentence already there; returns its status. */
enum sooth_status err_prefix(struct sooth_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum sooth_status err_nomem(struct sooth_error *err);
#endif
