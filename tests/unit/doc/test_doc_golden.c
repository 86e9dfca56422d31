/* The sample documents of examples/docs and tests/golden/doc/files, block by block, as
 * tests/golden/doc says: one line a block,
 *
 *   kind level page heading header | text with \n for line ends
 *
 * SOOTH_BLESS=1 writes the golden files anew; look at the difference before you commit it. */
#include "doc_fixture.h"
#include <dirent.h>

static void document_print(const struct document *d, struct buf *out)
{
    buf_printf(out, "format %s, encoding %s, title %s, pages %zu\n", d->format,
               d->encoding ? d->encoding : "-", d->title ? d->title : "-", d->page_count);
    for (size_t i = 0; i < d->page_count; i++)
        buf_printf(out, "page %zu: %zu characters, label %s\n", i + 1, d->pages[i].chars,
                   d->pages[i].label ? d->pages[i].label : "-");
    for (size_t i = 0; i < d->block_count; i++) {
        const struct doc_block *b = &d->blocks[i];
        buf_printf(out, "%s %u %u %d %d | ", doc_kind_name(b->kind), b->level, b->page, b->heading,
                   b->header);
        for (size_t k = b->start; k < b->end; k++) {
            if (d->text[k] == '\n')
                buf_puts(out, "\\n");
            else
                buf_putc(out, d->text[k]);
        }
        buf_putc(out, '\n');
    }
    size_t at = 0;
    for (struct doc_table t; doc_table_next(d, &at, &t);) {
        static const char *const types[] = {"integer", "real", "date", "text"};
        buf_printf(out, "table: rows %zu+%zu, header %d, columns", t.first, t.count, t.header);
        for (uint32_t c = 0; c < t.columns; c++)
            buf_printf(out, " %s", types[doc_column_type(d, &t, c)]);
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < d->meta_count; i++)
        buf_printf(out, "%s = %s\n", d->meta[i].key, d->meta[i].value);
    for (size_t i = 0; i < d->warning_count; i++)
        buf_printf(out, "warning: %s\n", d->warnings[i]);
    for (size_t i = 0; i < d->member_count; i++) {
        const struct doc_member *m = &d->members[i];
        buf_printf(out, "member %s, %zu bytes%s%s\n", m->name, m->bytes,
                   m->status != SOOTH_OK ? ": " : "", m->status != SOOTH_OK ? m->why.text : "");
        if (m->status == SOOTH_OK)
            document_print(&m->document, out);
    }
}

/* From the source's root, so that messages name files alike wherever the tree lies. */
static void golden_check(const char *folder, const char *name)
{
    char path[1200], golden[1200], line[64];
    struct document d;
    struct sooth_error err;
    struct buf now = BUF_INIT, then = BUF_INIT;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(golden, sizeof golden, "tests/golden/doc/%s.txt", name);
    if (doc_parse_file(path, NULL, &d, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    doc_check(&d);
    document_print(&d, &now);
    FILE *f = fopen(golden, getenv("SOOTH_BLESS") ? "w" : "r");
    if (!f)
        fail_msg("no golden file '%s'", golden);
    if (getenv("SOOTH_BLESS")) {
        fwrite(now.data, 1, now.len, f);
    } else {
        for (size_t n; (n = fread(line, 1, sizeof line, f)) > 0;)
            buf_add(&then, line, n);
        assert_string_equal(now.data, then.data);
    }
    fclose(f);
    document_release(&d);
    buf_release(&now);
    buf_release(&then);
}

static size_t folder_check(const char *of)
{
    const char *source = getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".";
    size_t count = 0;
    assert_int_equal(chdir(source), 0);
    DIR *dir = opendir(of);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || !doc_name_known(e->d_name) ||
            (strcmp(dot, ".pdf") == 0 && !have_pdftotext()))
            continue;
        golden_check(of, e->d_name);
        count++;
    }
    closedir(dir);
    return count;
}

static void sample_documents_block_by_block(void **state)
{
    assert_true(folder_check("examples/docs") >= 9);
}

static void small_files_of_each_format(void **state)
{
    assert_true(folder_check("tests/golden/doc/files") >= 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sample_documents_block_by_block),
                                       cmocka_unit_test(small_files_of_each_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
