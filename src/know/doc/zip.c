/* zip.c: ZIP containers and other archives through libarchive, the one file that sees it.
 *
 * A ZIP file ends in a directory: records "PK\\1\\2", 46 bytes and a name each, found through the end
 * record "PK\\5\\6" that says how many there are and where they start. What kind of document a ZIP file
 * is depends on the names in it, not on names in files inside it, which may lie there unpacked. */
#include "know/doc/zip.h"
#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>
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

/* As it stands in the archive; as UTF-8 where only that can be had. */
static const char *entry_name(struct archive_entry *e)
{
    const char *name = archive_entry_pathname(e);
    return name ? name : archive_entry_pathname_utf8(e);
}

static enum sooth_status walk(struct archive *a, size_t packed, bool (*want)(const char *),
                              struct zip *out, struct sooth_error *err)
{
    struct archive_entry *e;
    size_t count = 0, all = 0;
    int rc;
    while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        const char *name = entry_name(e);
        if (!name && archive_format(a) == ARCHIVE_FORMAT_RAW)
            name = "data";
        out->single = archive_format(a) == ARCHIVE_FORMAT_RAW;
        if (out->single && archive_filter_count(a) < 2)
            return err_set(err, SOOTH_ERR_FORMAT, "it is no archive");
        if (archive_entry_is_encrypted(e))
            return err_set(err, SOOTH_ERR_UNSUPPORTED, "it is locked with a password");
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

static enum sooth_status read_with(struct archive *a, const unsigned char *data, size_t len,
                                   bool (*want)(const char *name), struct zip *out,
                                   struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    if (!a)
        return err_nomem(err);
    enum sooth_status s = archive_read_open_memory(a, data, len) == ARCHIVE_OK
                              ? walk(a, len, want, out, err)
                              : err_set(err, SOOTH_ERR_FORMAT, "it is no archive");
    archive_read_free(a);
    if (s)
        zip_release(out);
    return s;
}

enum sooth_status zip_read(const unsigned char *data, size_t len, bool (*want)(const char *name),
                           struct zip *out, struct sooth_error *err)
{
    struct archive *a = archive_read_new();
    if (a)
        archive_read_support_format_zip(a);
    return read_with(a, data, len, want, out, err);
}

enum sooth_status zip_read_any(const unsigned char *data, size_t len,
                               bool (*want)(const char *name), struct zip *out,
                               struct sooth_error *err)
{
    struct archive *a = archive_read_new();
    if (a) {
        archive_read_support_format_zip(a);
        archive_read_support_format_tar(a);
        archive_read_support_format_7zip(a);
        archive_read_support_format_raw(a);
        archive_read_support_filter_gzip(a);
        archive_read_support_filter_bzip2(a);
        archive_read_support_filter_xz(a);
        archive_read_support_filter_zstd(a);
    }
    return read_with(a, data, len, want, out, err);
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

static uint32_t le(const unsigned char *p, unsigned bytes)
{
    uint32_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

/* Offset of the end record within the last 64 KiB; 0 when there is none. */
static size_t directory_end(const unsigned char *d, size_t len)
{
    size_t low = len > 65557 ? len - 65557 : 1;
    for (size_t at = len >= 22 ? len - 22 : 0; at >= low; at--)
        if (memcmp(d + at, "PK\5\6", 4) == 0)
            return at;
    return 0;
}

bool zip_mentions(const unsigned char *data, size_t len, const char *name)
{
    size_t want = strlen(name);
    if (len < 30 || memcmp(data, "PK\3\4", 4) != 0)
        return false;
    size_t end = directory_end(data, len);
    if (end == 0)
        return memmem(data, len, name, want) != NULL;
    size_t at = le(data + end + 16, 4);
    for (unsigned i = 0; i <= ENTRIES_MAX && at < end && end - at >= 46; i++) {
        if (memcmp(data + at, "PK\1\2", 4) != 0)
            break;
        size_t n = le(data + at + 28, 2), skip = 46 + n + le(data + at + 30, 2) + le(data + at + 32, 2);
        if (n == want && n <= end - at - 46 && memcmp(data + at + 46, name, n) == 0)
            return true;
        if (skip > end - at)
            break;
        at += skip;
    }
    return false;
}
