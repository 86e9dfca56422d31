/* zip.c: ZIP containers through libarchive, the one file that sees it. */
#include "know/doc/zip.h"
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"

#define ENTRY_MAX ((size_t)64 << 20)
#define ALL_MAX ((size_t)256 << 20)
#define ENTRIES_MAX 10000
#define RATIO_MAX 200
#define RATIO_FREE ((size_t)1 << 20)

static enum sooth_status bomb(struct sooth_error *err, const char *what)
{
    return err_set(err, SOOTH_ERR_LIMIT, "its archive unpacks to too much (%s)", what);
}

static enum sooth_status entry_read(struct archive *a, struct buf *out, size_t packed, size_t *all,
                                    struct sooth_error *err)
{
    const void *block;
    size_t size;
    la_int64_t offset;
    int rc;
    buf_init(out, ENTRY_MAX);
    while ((rc = archive_read_data_block(a, &block, &size, &offset)) == ARCHIVE_OK) {
        *all += size;
        if (out->len + size > ENTRY_MAX || *all > ALL_MAX)
            return bomb(err, "over 64 MiB in one part or 256 MiB in all");
        if (*all > RATIO_FREE && *all / RATIO_MAX > packed)
            return bomb(err, "over 200 times its size");
        if (!buf_add(out, block, size))
            return err_nomem(err);
    }
    return rc == ARCHIVE_EOF ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "its archive is damaged");
}

static enum sooth_status walk(struct archive *a, size_t packed, bool (*want)(const char *),
                              struct zip *out, struct sooth_error *err)
{
    struct archive_entry *e;
    size_t count = 0, all = 0;
    int rc;
    while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        const char *name = archive_entry_pathname(e);
        if (++count > ENTRIES_MAX)
            return bomb(err, "over 10,000 parts");
        if (!name || archive_entry_filetype(e) != AE_IFREG || !want(name))
            continue;
        struct zip_entry entry = {.name = mem_strdup(name)};
        enum sooth_status s = entry.name ? entry_read(a, &entry.data, packed, &all, err)
                                         : err_nomem(err);
        if (s || !vec_push(&out->entries, entry)) {
            mem_free(entry.name);
            buf_release(&entry.data);
            return s ? s : err_nomem(err);
        }
    }
    return rc == ARCHIVE_EOF ? SOOTH_OK : err_set(err, SOOTH_ERR_FORMAT, "its archive is damaged");
}

enum sooth_status zip_read(const unsigned char *data, size_t len, bool (*want)(const char *name),
                           struct zip *out, struct sooth_error *err)
{
    struct archive *a = archive_read_new();
    memset(out, 0, sizeof *out);
    if (!a)
        return err_nomem(err);
    archive_read_support_format_zip(a);
    enum sooth_status s = archive_read_open_memory(a, data, len) == ARCHIVE_OK
                              ? walk(a, len, want, out, err)
                              : err_set(err, SOOTH_ERR_FORMAT, "it is no ZIP archive");
    archive_read_free(a);
    if (s)
        zip_release(out);
    return s;
}

const struct zip_entry *zip_find(const struct zip *z, const char *name)
{
    for (size_t i = 0; i < z->entries.count; i++)
        if (strcmp(z->entries.items[i].name, name) == 0)
            return &z->entries.items[i];
    return NULL;
}

void zip_release(struct zip *z)
{
    for (size_t i = 0; i < z->entries.count; i++) {
        mem_free(z->entries.items[i].name);
        buf_release(&z->entries.items[i].data);
    }
    vec_free(&z->entries);
}

bool zip_mentions(const unsigned char *data, size_t len, const char *name)
{
    return len > 30 && memcmp(data, "PK\3\4", 4) == 0 &&
           memmem(data, len, name, strlen(name)) != NULL;
}
