/* doc_archive.c: archives (ZIP, tar, 7-Zip, also compressed) and single compressed files.
 *
 * The document itself is the list of what the archive holds; each file in it that some format reads is
 * a member with a document of its own, parsed in its own process (nested.c), under the same caps on
 * what really comes out as the containers of Office files (zip.c). Hidden files and what macOS adds
 * are left out. */
#include <string.h>
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"
#include "know/doc/zip.h"

static bool hidden_path(const char *name)
{
    for (const char *p = name; p != NULL; p = strchr(p, '/')) {
        p += *p == '/';
        if ((*p == '.' && p[1] != '.' && p[1] != '/') || strncmp(p, "__MACOSX", 8) == 0)
            return true;
    }
    return false;
}

static bool want_part(const char *name)
{
    return !hidden_path(name);
}

/* Names of older ZIP programs are in the encoding of their country. */
static void name_clean(const char *raw, struct buf *out)
{
    struct buf text = BUF_INIT;
    char encoding[32];
    size_t bad;
    if (encoding_decode((const unsigned char *)raw, strlen(raw), NULL, NULL, &text, encoding, &bad,
                        NULL) == SOOTH_OK)
        builder_path(buf_str(&text), text.len, out);
    else
        builder_path(raw, strlen(raw), out);
    buf_release(&text);
}

/* "notes.txt.gz" -> "notes.txt", "backup.tgz" -> "backup.tar": what a compressed file is inside. */
static void inner_name(const char *name, struct buf *out)
{
    const char *slash = strrchr(name, '/'), *base = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    buf_add(out, base, dot != NULL && dot > base ? (size_t)(dot - base) : strlen(base));
}

static enum sooth_status archive_parse(const struct doc_input *in, struct builder *b,
                                       struct sooth_error *err)
{
    struct zip z;
    struct buf name = BUF_INIT;
    enum sooth_status s = zip_read_any(in->data, in->len, want_part, &z, err);
    if (s != SOOTH_OK)
        return s;
    for (size_t i = 0; i < z.entries.count; i++) {
        const struct zip_entry *e = &z.entries.items[i];
        buf_clear(&name);
        if (z.single)
            inner_name(in->name, &name);
        else
            name_clean(e->name, &name);
        if (name.len == 0)
            continue;
        builder_open(b, DOC_LIST_ITEM, 1);
        builder_text(b, name.data, name.len);
        builder_close(b);
        builder_part(b, DOC_PART_MEMBER, name.data, buf_str(&e->data), e->data.len);
    }
    bool failed = name.failed;
    buf_release(&name);
    zip_release(&z);
    return failed ? err_nomem(err) : SOOTH_OK;
}

static int archive_sniff(const unsigned char *data, size_t len)
{
    static const struct {
        const char *magic;
        size_t len, at;
    } kinds[] = {{"PK\3\4", 4, 0},           {"PK\5\6", 4, 0},
                 {"\x1f\x8b\x08", 3, 0},     {"BZh", 3, 0},
                 {"\xfd\x37zXZ", 5, 0},      {"\x28\xb5\x2f\xfd", 4, 0},
                 {"7z\xbc\xaf\x27\x1c", 6, 0}, {"ustar", 5, 257}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (len >= kinds[i].at + kinds[i].len &&
            memcmp(data + kinds[i].at, kinds[i].magic, kinds[i].len) == 0)
            return 50;
    return 0;
}

const struct docfmt docfmt_archive = {
    .name = "archive",
    .about = "ZIP, tar, 7-Zip and compressed files: each file inside is a document",
    .extensions = "zip tar gz tgz bz2 tbz xz txz zst 7z",
    .zip = true,
    .sniff = archive_sniff,
    .parse = archive_parse,
};
