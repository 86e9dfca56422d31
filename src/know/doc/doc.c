/* doc.c: the front door: the table of formats, choosing a row, and the two ways in.
 *
 * A format is chosen by content where that is certain (a PDF named .txt is a PDF), then by
 * extension, then by content that is merely likely. What no row wants is refused with a sentence
 * that says what it probably is. */
#include "know/doc/doc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/doc/docfmt.h"
#include "know/doc/encoding.h"
#include "know/doc/nested.h"
#include "know/doc/ocr.h"
#include "know/doc/sandbox.h"

#define ROW(x) extern const struct docfmt docfmt_##x;
#include "know/doc/docfmt_rows.inc"
#undef ROW
#define ROW(x) &docfmt_##x,
static const struct docfmt *const formats[] = {
#include "know/doc/docfmt_rows.inc"
};
#undef ROW
#define FORMATS (sizeof formats / sizeof *formats)
#define CERTAIN 90
#define LIKELY 30

const struct docfmt *docfmt_find(const char *name)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

bool docfmt_extension(const struct docfmt *f, const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    const char *ext = dot != NULL ? dot + 1
                      : slash     ? slash + 1
                                  : name; /* "Makefile" counts as its own */
    size_t len = strlen(ext);
    for (const char *p = f->extensions; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == len && strncasecmp(p, ext, n) == 0)
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static const struct docfmt *format_named(const char *name)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (docfmt_extension(formats[i], name))
            return formats[i];
    return NULL;
}

/* Kinds of file that people do hand over and nobody here reads: a better sentence than
 * "unknown". */
static enum sooth_status format_refuse(const unsigned char *d, size_t len, struct sooth_error *err)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *what, *hint;
    } kinds[] = {
        {"\xd0\xcf\x11\xe0", 4, "an old binary office file or mail",
         "save it as .docx or .pdf first"},
        {"\x7f"
         "ELF",
         4, "a program", ""},
    };
    bool zip = len > 4 && memcmp(d, "PK\3\4", 4) == 0;
    if (zip && memmem(d, len, "xl/workbook.bin", 15) != NULL) {
        err_set(err, SOOTH_ERR_UNSUPPORTED, "it is a binary spreadsheet workbook");
        return err_hint(err, "save it as .xlsx");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (len >= kinds[i].len && memcmp(d, kinds[i].magic, kinds[i].len) == 0) {
            err_set(err, SOOTH_ERR_UNSUPPORTED, "it is %s", kinds[i].what);
            return kinds[i].hint[0] ? err_hint(err, "%s", kinds[i].hint) : SOOTH_ERR_UNSUPPORTED;
        }
    return err_set(err, SOOTH_ERR_UNSUPPORTED, "no parser here reads this kind of file");
}

static bool refused_magic(const unsigned char *d, size_t len)
{
    struct sooth_error err;
    format_refuse(d, len, &err);
    return strncmp(err.text, "it is", 5) == 0;
}

enum sooth_status docfmt_choose(const char *name, const unsigned char *data, size_t len,
                                const struct docfmt **out, struct sooth_error *err)
{
    const struct docfmt *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < FORMATS; i++) {
        int score = formats[i]->sniff != NULL ? formats[i]->sniff(data, len) : 0;
        if (score > best_score) {
            best_score = score;
            best = formats[i];
        }
    }
    const struct docfmt *named = format_named(name);
    bool zip = len > 4 && memcmp(data, "PK\3\4", 4) == 0;
    bool office = len > 4 &&
                  memcmp(data, "\xd0\xcf\x11\xe0", 4) == 0; /* may well hold a PDF somewhere */
    bool trusted = (best_score >= CERTAIN && !office) || (zip && named != NULL && named->zip);
    if (!trusted && refused_magic(data, len))
        return format_refuse(data, len, err);
    if (best_score < CERTAIN && named != NULL)
        best = named;
    else if (best_score < LIKELY)
        best = NULL;
    if (best == NULL) {
        struct encoding_guess g;
        encoding_detect(data, len, NULL, &g);
        if (g.name != NULL)
            best = docfmt_find("text");
    }
    *out = best;
    return best != NULL ? SOOTH_OK : format_refuse(data, len, err);
}

bool doc_name_picture(const char *name)
{
    static const char *const ends[] = {".png", ".jpg",  ".jpeg", ".gif", ".bmp",
                                       ".tif", ".tiff", ".webp", ".pnm", ".pbm"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len > strlen(ends[i]) && strcasecmp(name + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

bool doc_name_known(const char *name)
{
    return format_named(name) != NULL;
}

bool doc_format_at(size_t i, const char **name, const char **extensions, const char **about)
{
    size_t at = 0;
    while (at < FORMATS && (formats[at]->extensions[0] == '\0' || i-- > 0)) /* steps are no formats */
        at++;
    if (at >= FORMATS)
        return false;
    if (name != NULL)
        *name = formats[at]->name;
    if (extensions != NULL)
        *extensions = formats[at]->extensions;
    if (about != NULL)
        *about = formats[at]->about;
    return true;
}

/* The worker's document, then pages that are pictures, then what is inside the file. */
static enum sooth_status file_read(int fd, const char *name, const struct doc_options *opt,
                                   struct document *out, struct sooth_error *err)
{
    static const struct doc_options none = {0};
    const struct doc_options *o = opt != NULL ? opt : &none;
    enum sooth_status s = sandbox_file(fd, name, o, out, err);
    if (s == SOOTH_OK)
        s = ocr_read(out, fd, name, o, err);
    if (s == SOOTH_OK)
        s = nested_read(out, name, o, err);
    if (s != SOOTH_OK) {
        document_release(out);
        err_prefix(err, "cannot read '%s'", name);
    }
    return s;
}

static uint64_t file_limit(const struct doc_options *opt)
{
    return opt != NULL && opt->max_file ? opt->max_file : (uint64_t)256 << 20;
}

enum sooth_status doc_parse_file(const char *path, const struct doc_options *opt,
                                 struct document *out, struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    int fd =
        open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); /* a pipe must not stop us here */
    struct stat st;
    if (fd < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? SOOTH_ERR_NOTFOUND : SOOTH_ERR_IO,
                       "cannot open '%s': %s", path, strerror(errno));
    enum sooth_status s;
    if (fstat(fd, &st) != 0)
        s = err_set(err, SOOTH_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = err_set(err, SOOTH_ERR_UNSUPPORTED, "cannot read '%s': it is not a regular file", path);
    else if ((uint64_t)st.st_size > file_limit(opt))
        s = err_set(
            err, SOOTH_ERR_LIMIT, "cannot read '%s': %llu MiB is over the limit of %llu MiB", path,
            (unsigned long long)st.st_size >> 20, (unsigned long long)file_limit(opt) >> 20);
    else
        s = file_read(fd, path, opt, out, err);
    close(fd);
    return s;
}

enum sooth_status doc_parse_bytes(const char *name, const void *bytes, size_t len,
                                  const struct doc_options *opt, struct document *out,
                                  struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    if (len > file_limit(opt))
        return err_set(err, SOOTH_ERR_LIMIT, "cannot read '%s': %zu MiB is over the limit", name,
                       len >> 20);
    int fd = sandbox_memory(bytes, len, err);
    if (fd < 0)
        return err_prefix(err, "cannot read '%s'", name);
    enum sooth_status s = file_read(fd, name, opt, out, err);
    close(fd);
    return s;
}

void document_release(struct document *d)
{
    mem_free(d->title);
    mem_free(d->encoding);
    mem_free(d->text);
    mem_free(d->blocks);
    for (size_t i = 0; i < d->page_count; i++)
        mem_free(d->pages[i].label);
    mem_free(d->pages);
    for (size_t i = 0; i < d->warning_count; i++)
        mem_free(d->warnings[i]);
    mem_free(d->warnings);
    mem_free(d->cells);
    for (size_t i = 0; i < d->meta_count; i++) {
        mem_free(d->meta[i].key);
        mem_free(d->meta[i].value);
    }
    mem_free(d->meta);
    for (size_t i = 0; i < d->part_count; i++) {
        mem_free(d->parts[i].name);
        mem_free(d->parts[i].data);
    }
    mem_free(d->parts);
    for (size_t i = 0; i < d->member_count; i++) {
        mem_free(d->members[i].name);
        document_release(&d->members[i].document); /* one level: members have none */
    }
    mem_free(d->members);
    memset(d, 0, sizeof *d);
}

bool document_warn(struct document *d, const char *format, ...)
{
    struct buf line = BUF_INIT;
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&line, format, ap);
    va_end(ap);
    char **grown = mem_realloc(d->warnings, d->warning_count + 1, sizeof *grown);
    char *s = grown != NULL ? buf_take(&line) : NULL;
    if (grown != NULL)
        d->warnings = grown;
    if (s != NULL)
        d->warnings[d->warning_count++] = s;
    buf_release(&line);
    return s != NULL;
}

bool doc_heading_path(const struct document *d, size_t block, const char *separator,
                      struct buf *out)
{
    int32_t chain[16];
    size_t n = 0;
    if (block >= d->block_count)
        return false;
    for (int32_t h = d->blocks[block].heading; h >= 0 && n < 16; h = d->blocks[h].heading)
        chain[n++] = h;
    while (n-- > 0) {
        const struct doc_block *h = &d->blocks[chain[n]];
        buf_add(out, d->text + h->start, h->end - h->start);
        if (n > 0)
            buf_puts(out, separator);
    }
    return !out->failed;
}

uint32_t doc_page_at(const struct document *d, size_t offset)
{
    size_t low = 0, high = d->page_count;
    while (low < high) { /* the first page that ends behind the offset */
        size_t mid = low + (high - low) / 2;
        if (d->pages[mid].end > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return d->page_count == 0 ? 0 : (uint32_t)(low < d->page_count ? low + 1 : d->page_count);
}

const char *doc_kind_name(unsigned kind)
{
    static const char *const names[] = {"heading", "paragraph", "list", "row",
                                        "code",    "caption",   "quote", "picture"};
    return kind < sizeof names / sizeof *names ? names[kind] : "?";
}
