/* doc_fixture.h: small documents made in memory, and short ways to say what must come out of
 * them. */
#ifndef TEST_DOC_FIXTURE_H
#define TEST_DOC_FIXTURE_H
#include <archive.h>
#include <archive_entry.h>
#include <iconv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "know/doc/doc.h"

/* What holds for every document, whatever made it. */
static inline void doc_check(const struct document *d)
{
    assert_true(utf8_valid(d->text, d->text_len));
    assert_int_equal(strlen(d->text), d->text_len);
    size_t after = 0;
    for (size_t i = 0; i < d->block_count; i++) {
        const struct doc_block *b = &d->blocks[i];
        assert_true(b->start >= after && b->start < b->end && b->end <= d->text_len);
        assert_true(b->heading < (int32_t)i && b->header < (int32_t)i);
        assert_int_equal(b->page > 0, d->page_count > 0);
        assert_true(b->page <= d->page_count);
        for (size_t k = after; k < b->start; k++)
            assert_true(d->text[k] == '\n'); /* nothing but separators between blocks */
        after = b->end;
    }
    assert_int_equal(after, d->text_len);
    for (size_t i = 0; i < d->cell_count; i++) {
        const struct doc_cell *c = &d->cells[i];
        assert_true(c->block < d->block_count && d->blocks[c->block].kind == DOC_TABLE_ROW);
        assert_true(c->start >= d->blocks[c->block].start && c->start < c->end &&
                    c->end <= d->blocks[c->block].end);
        assert_true(i == 0 || c->start >= d->cells[i - 1].end);
    }
    assert_int_equal(d->no_text, d->block_count == 0);
}

/* Most tests are about parsers: pages with little text are not looked at by OCR as well. */
static const struct doc_options plain_options = {.ocr = "never"};

static inline struct document doc_read(const char *name, const void *bytes, size_t len)
{
    struct document d;
    struct sooth_error err = {0};
    if (doc_parse_bytes(name, bytes, len, &plain_options, &d, &err) != SOOTH_OK)
        fail_msg("%s: %s", name, err.text);
    doc_check(&d);
    assert_null(d.parts);
    return d;
}

static inline struct document doc_reads(const char *name, const char *text)
{
    return doc_read(name, text, strlen(text));
}

/* The status of a document that must fail, with its one line in err. */
static inline enum sooth_status doc_fails(const char *name, const void *bytes, size_t len,
                                          struct sooth_error *err)
{
    struct document d;
    memset(err, 0, sizeof *err);
    enum sooth_status s = doc_parse_bytes(name, bytes, len, NULL, &d, err);
    if (s == SOOTH_OK)
        fail_msg("%s was read: %s", name, d.text);
    assert_null(d.text);
    assert_non_null(strstr(err->text, name));
    assert_null(strchr(err->text, '\n'));
    return s;
}

static inline void doc_expect(const char *name, const char *bytes, const char *text)
{
    struct document d = doc_reads(name, bytes);
    assert_string_equal(d.text, text);
    document_release(&d);
}

#define doc_has(d, part)                                                                           \
    do {                                                                                           \
        if (!strstr((d)->text, (part)))                                                            \
            fail_msg("'%s' is not in: %s", (part), (d)->text);                                     \
    } while (0)
#define doc_lacks(d, part)                                                                         \
    do {                                                                                           \
        if (strstr((d)->text, (part)))                                                             \
            fail_msg("'%s' is in: %s", (part), (d)->text);                                         \
    } while (0)

static inline const char *block_text(const struct document *d, size_t i)
{
    static char copy[4][2000];
    static unsigned at;
    assert_true(i < d->block_count);
    snprintf(copy[at = (at + 1) % 4], 2000, "%.*s", (int)(d->blocks[i].end - d->blocks[i].start),
             d->text + d->blocks[i].start);
    return copy[at];
}

/* ---- other encodings ---- */

static inline struct buf recode(const char *to, const char *utf8)
{
    struct buf out = BUF_INIT;
    size_t in_left = strlen(utf8), room = in_left * 4 + 16;
    char *in = (char *)(uintptr_t)utf8, *bytes = malloc(room), *p = bytes;
    size_t left = room;
    iconv_t c = iconv_open(to, "UTF-8");
    assert_true(c != (iconv_t)-1);
    assert_true(iconv(c, &in, &in_left, &p, &left) != (size_t)-1);
    iconv_close(c);
    buf_add(&out, bytes, room - left);
    free(bytes);
    return out;
}

/* ---- zip ---- */

struct part {
    const char *name;
    const char *data;
    size_t len; /* 0 = strlen */
};

static inline struct buf zip_make_as(const struct part *parts, size_t count, bool packed)
{
    struct buf out = BUF_INIT;
    size_t room = 65536, used = 0;
    for (size_t i = 0; i < count; i++)
        room += 600 + (parts[i].len ? parts[i].len : strlen(parts[i].data));
    char *bytes = malloc(room);
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    if (!packed)
        archive_write_zip_set_compression_store(a);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open_memory(a, bytes, room, &used), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        size_t len = parts[i].len ? parts[i].len : strlen(parts[i].data);
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, parts[i].name);
        archive_entry_set_size(e, (la_int64_t)len);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, parts[i].data, len), (la_ssize_t)len);
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    buf_add(&out, bytes, used);
    free(bytes);
    return out;
}

static inline struct buf zip_make(const struct part *parts, size_t count)
{
    return zip_make_as(parts, count, true);
}

#define WORD_NS "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\""
#define WORD_DOC(body) "<w:document " WORD_NS "><w:body>" body "</w:body></w:document>"
#define WORD_P(text) "<w:p><w:r><w:t>" text "</w:t></w:r></w:p>"

static inline struct buf docx_make(const char *document)
{
    const struct part parts[] = {{"[Content_Types].xml", "<Types/>", 0},
                                 {"word/document.xml", document, 0}};
    return zip_make(parts, 2);
}

/* ---- PDF ---- */

/* A PDF of the given page contents; fonts are the objects behind /F1, /F2 ... (whole dictionaries;
 * an extra object may be named by its number, the first font being object 3). */
static inline struct buf pdf_make(const char *const *fonts, size_t font_count,
                                  const char *const *extra, size_t extra_count,
                                  const char *const *pages, size_t page_count)
{
    struct buf out = BUF_INIT;
    size_t at[64], n = 0, first_page = 3 + font_count + extra_count;
    buf_puts(&out, "%PDF-1.4\n");
    at[n++] = out.len;
    buf_puts(&out, "1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n");
    at[n++] = out.len;
    buf_puts(&out, "2 0 obj\n<< /Type /Pages /Kids [");
    for (size_t i = 0; i < page_count; i++)
        buf_printf(&out, "%zu 0 R ", first_page + 2 * i);
    buf_printf(&out, "] /Count %zu >>\nendobj\n", page_count);
    for (size_t i = 0; i < font_count + extra_count; i++) {
        at[n++] = out.len;
        buf_printf(&out, "%zu 0 obj\n%s\nendobj\n", 3 + i,
                   i < font_count ? fonts[i] : extra[i - font_count]);
    }
    for (size_t i = 0; i < page_count; i++) {
        at[n++] = out.len;
        buf_printf(
            &out,
            "%zu 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %zu 0 R "
            "/Resources << /Font << ",
            first_page + 2 * i, first_page + 2 * i + 1);
        for (size_t f = 0; f < font_count; f++)
            buf_printf(&out, "/F%zu %zu 0 R ", f + 1, 3 + f);
        buf_puts(&out, ">> >> >>\nendobj\n");
        at[n++] = out.len;
        buf_printf(&out, "%zu 0 obj\n<< /Length %zu >>\nstream\n%s\nendstream\nendobj\n",
                   first_page + 2 * i + 1, strlen(pages[i]), pages[i]);
    }
    size_t start = out.len;
    buf_printf(&out, "xref\n0 %zu\n0000000000 65535 f \n", n + 1);
    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%010zu 00000 n \n", at[i]);
    buf_printf(&out, "trailer\n<< /Size %zu /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n", n + 1,
               start);
    assert_false(out.failed);
    return out;
}

#define HELVETICA                                                                                  \
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"

static inline struct buf pdf_plain(const char *const *pages, size_t count)
{
    static const char *const fonts[] = {HELVETICA};
    return pdf_make(fonts, 1, NULL, 0, pages, count);
}

static inline bool have_pdftotext(void)
{
    return system("pdftotext -v >/dev/null 2>&1") == 0;
}
#endif
