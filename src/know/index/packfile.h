/* packfile.h: named arrays in one file that proves itself before it is believed. */
#ifndef INDEX_PACKFILE_H
#define INDEX_PACKFILE_H
#include <stddef.h>
#include <stdint.h>
#include "core/base/fsio.h"

enum { SECTIONS_MAX = 64 };
struct section {
    char name[8];
    const void *data;
    size_t bytes;
};
struct packfile {
    struct map_file file;
    struct section list[SECTIONS_MAX]; /* data lies in the mapping, at multiples of 64 */
    size_t n;
};
/* Written beside and renamed: a reader has the old file or the new one. */
enum sooth_status packfile_write(const char *path, const char *kind, const struct section *list,
                                 size_t n, struct sooth_error *err);
/* SOOTH_ERR_FORMAT for any byte that is not as it was written. */
enum sooth_status packfile_open(const char *path, const char *kind, struct packfile *out,
                                struct sooth_error *err);
void packfile_close(struct packfile *p);
/* The section of that name; with `bytes`, its data if it has exactly so many. NULL when not. */
const struct section *section_get(const struct section *in, size_t n, const char *name);
const void *section_find(const struct section *in, size_t n, const char *name, size_t bytes);
#endif
