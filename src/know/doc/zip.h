/* zip.h: the entries of a ZIP container (DOCX, ODT, EPUB) or another archive in memory, under caps on what really
 * comes out. */
#ifndef KNOW_DOC_ZIP_H
#define KNOW_DOC_ZIP_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/buf.h"
#include "core/base/vec.h"
#include "sooth/error.h"

struct zip_entry {
    char *name;
    struct buf data;
};
struct zip {
    VEC(struct zip_entry) entries;
    bool single; /* no container: one compressed file, its name unknown */
};

/* Unpacks the entries that `want` accepts. Caps: 64 MiB an entry, 256 MiB in all, 10,000 entries,
 * 200 bytes out for each byte in (above 1 MiB): over them is SOOTH_ERR_LIMIT. The sizes that the
 * archive states are not believed. */
enum sooth_status zip_read(const unsigned char *data, size_t len, bool (*want)(const char *name),
                           struct zip *out, struct sooth_error *err);
/* The same for any archive that people send: ZIP, tar, 7-Zip, tar and single files compressed by gzip,
 * bzip2, xz or zstd. Names are as they stand in the archive, in any encoding. */
enum sooth_status zip_read_any(const unsigned char *data, size_t len,
                               bool (*want)(const char *name), struct zip *out,
                               struct sooth_error *err);
const struct zip_entry *zip_find(const struct zip *z, const char *name); /* NULL */
void zip_release(struct zip *z);
/* True when the archive's directory names this file; of an archive that was cut short, when its bytes
 * do. */
bool zip_mentions(const unsigned char *data, size_t len, const char *name);
#endif
