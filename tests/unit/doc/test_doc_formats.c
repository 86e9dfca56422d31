/* Text, Markdown, HTML, CSV, code, DOCX, ODT, EPUB: what must come out of small files, to the
 * byte. */
#include "doc_fixture.h"

static void text_paragraphs_and_wraps(void **state)
{
    doc_expect("a.txt", "", "");
    doc_expect("a.txt", "\n \n\t\n", "");
    doc_expect("a.txt", "one\ntwo\n\nthree", "one\ntwo\n\nthree"); /* not wrapped: breaks stay */
    doc_expect("poem.txt", "床前明月光\n疑是地上霜\n\n举头望明月\n低头思故乡\n",
               "床前明月光\n疑是地上霜\n\n举头望明月\n低头思故乡");
    doc_expect("wrapped.txt",
               "The society was founded in the year 1902 by three teachers who loved\n"
               "the birds of the marsh. It now has four hundred members and a well-\n"
               "known library. Its capabili-\n"
               "ties grow.\n"
               "- one thing that is a list item in this text and rather long, so be it\n"
               "- two\n",
               "The society was founded in the year 1902 by three teachers who loved the birds of "
               "the marsh. It now has "
               "four hundred members and a well-known library. Its capabili-\nties grow.\n"
               "- one thing that is a list item in this text and rather long, so be it\n- two");
}

static void text_headings(void **state)
{
    struct document d = doc_reads(
        "book.txt",
        "My Book\n\nChapter 1\n\nText one.\n\nTitle\n=====\nUnder it.\n\n第二章 规则\n\n内容。");
    assert_string_equal(d.title, "My Book");
    assert_int_equal(d.blocks[1].kind, DOC_HEADING);
    assert_int_equal(d.blocks[2].heading, 1);
    assert_string_equal(block_text(&d, 3), "Title");
    assert_int_equal(d.blocks[3].level, 1);
    assert_string_equal(block_text(&d, 5), "第二章 规则");
    struct buf path = BUF_INIT;
    assert_true(doc_heading_path(&d, 6, " > ", &path));
    assert_string_equal(path.data, "Title > 第二章 规则");
    buf_release(&path);
    document_release(&d);
}

static void lesson_rag_08_markdown_sections_and_tables(void **state)
{
    struct document d =
        doc_reads("m.md", "# Top\n\n## A\n\n| k | v |\n|---|---|\n| a | 1 |\n| b | 2 |\n\n## B\n\n"
                          "| x | y |\n|---|---|\n| c | 3 |\n\n```c\nint x;\n\n  y();\n```\n");
    assert_string_equal(d.text,
                        "Top\n\nA\n\nk | v\na | 1\nb | 2\n\nB\n\nx | y\nc | 3\n\nint x;\n\n  y();");
    assert_int_equal(d.block_count, 9);
    assert_int_equal(d.blocks[2].header, -1);
    assert_int_equal(d.blocks[3].header, 2);
    assert_int_equal(d.blocks[4].header, 2);
    assert_int_equal(d.blocks[7].header, 6);
    assert_int_equal(d.blocks[7].heading, 5);
    assert_int_equal(d.blocks[8].kind, DOC_CODE);
    struct buf path = BUF_INIT;
    doc_heading_path(&d, 4, " > ", &path);
    assert_string_equal(path.data, "Top > A");
    buf_release(&path);
    document_release(&d);
}

static void markdown_inline_lists_quotes(void **state)
{
    doc_expect("m.md",
               "Some *very* **bold** `code` [link](http://x.y \"t\") and\nmore.\n\n> quoted\n> "
               "text\n\n- one\n- two\n  1. deep\n",
               "Some very bold code link and more.\n\nquoted text\n\none\ntwo\n1. deep");
    struct document d = doc_reads("m.md", "> q\n\n1. a\n2. b\n");
    assert_int_equal(d.blocks[0].kind, DOC_QUOTE);
    assert_int_equal(d.blocks[1].kind, DOC_LIST_ITEM);
    assert_string_equal(block_text(&d, 2), "2. b");
    document_release(&d);
    doc_expect("m.md", "中文\n换行", "中文换行");
    doc_expect("m.md", "---\ntype: intro\n---\n\nBody", "type: intro\n\nBody");
}

static void html_structure(void **state)
{
    struct document d =
        doc_reads("p.html", "<!doctype html><title>The &amp; "
                            "title</title><nav>Home</nav><h1>Head</h1><p>One<br>two&nbsp;three</p>"
                            "<ul><li>a<li><p>b</p><p>c</p></ul><table><caption>Cap</"
                            "caption><thead><tr><th>K<th>V</thead>"
                            "<tr><td>x<td><ul><li>1<li>2</ul></table><blockquote>said</"
                            "blockquote><pre>\n  code\n   more</pre>");
    assert_string_equal(d.title, "The & title");
    assert_string_equal(
        d.text,
        "Head\n\nOne\ntwo three\n\na\nb\nc\n\nCap\n\nK | V\nx | 1 2\n\nsaid\n\n  code\n   more");
    assert_int_equal(d.blocks[6].header, 5);
    assert_int_equal(d.blocks[8].kind, DOC_CODE);
    document_release(&d);
    doc_expect("p.html", "<p>汉字\n换行 word\nnext</p>", "汉字换行 word next");
    doc_expect("p.html",
               "<table><tr><td><h2>Layout</h2><p>One</p></td><td><p>Two</p></td></tr></table>",
               "Layout\n\nOne\n\nTwo");
    doc_expect("p.html", "<ol start=3><li>c<li>d</ol>", "3. c\n4. d");
}

static void csv_rows_know_their_fields(void **state)
{
    struct document d = doc_reads("t.csv", "name;city\r\n\"Ada; L\";\"Lon\r\ndon\"\r\nBob;Ulm\r\n");
    assert_string_equal(d.text, "name | city\nAda; L | Lon don\nBob | Ulm");
    assert_int_equal(d.blocks[1].header, 0);
    assert_int_equal(d.blocks[2].header, 0);
    document_release(&d);
    doc_expect("t.tsv", "a\tb\n1\t2\n", "a | b\n1 | 2");
    doc_expect("t.psv", "a|b\nx|y\n", "a | b\nx | y");
    doc_expect("t.csv", "1,2\n3,4\n", "1 | 2\n3 | 4");
    doc_expect("t.csv", "a,b\n\"x\"\"y\",z\n", "a | b\nx\"y | z");
    doc_expect("t.csv", "a,b,c\n,,1\n", "a | b | c\n|  | 1");
}

static void lesson_rag_42_csv_counts_and_sums_are_exact(void **state)
{
    struct buf text = BUF_INIT;
    long sum = 0, expected = 0;
    buf_puts(&text, "\xef\xbb\xbfid;note;amount\n");
    for (int i = 1; i <= 1002; i++) {
        buf_printf(&text, "%d;\"line one\nline; \"\"two\"\"\";%d\n", i, i * 7);
        expected += i * 7;
    }
    struct document d = doc_read("big.csv", text.data, text.len);
    assert_int_equal(d.block_count, 1003);
    for (size_t i = 1; i < d.block_count; i++) {
        const char *row = block_text(&d, i), *bar = strrchr(row, '|');
        assert_int_equal(strtol(row, NULL, 10), i);
        assert_non_null(strstr(row, "line one line; \"two\""));
        sum += strtol(bar + 1, NULL, 10);
        assert_int_equal(d.blocks[i].header, 0);
    }
    assert_int_equal(sum, expected);
    document_release(&d);
    buf_release(&text);
}

static void a_stray_quote_swallows_nothing(void **state)
{
    struct document d = doc_reads("q.csv", "a,b\n\"open,1\nx,2\ny,3\n");
    assert_int_equal(d.block_count, 4);
    assert_int_equal(d.warning_count, 1);
    doc_has(&d, "y | 3");
    document_release(&d);
}

static void code_is_kept_as_it_is(void **state)
{
    const char *source =
        "int main(void)\n{\n\tif (x)\n\t\treturn 1;\n\n\treturn 0;\n}\n\nstatic int y;";
    struct document d = doc_reads("a.c", source);
    assert_string_equal(d.text, source);
    assert_int_equal(d.block_count, 2);
    assert_int_equal(d.blocks[0].kind, DOC_CODE);
    document_release(&d);
    doc_expect("Makefile", "all:\n\tcc x.c", "all:\n\tcc x.c");
    doc_expect("a.json", "{\"a\": [1, 2]}", "{\"a\": [1, 2]}");
}

static void lesson_rag_06_docx_tables_stay_in_place(void **state)
{
    struct buf file = docx_make(WORD_DOC(
        WORD_P("Before.") "<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge "
                          "w:val=\"restart\"/></w:tcPr>" WORD_P("Merged") "</w:tc><w:tc>" WORD_P(
                              "B1") "</w:tc></w:tr>"
                                    "<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr>" WORD_P(
                                        "Merged") "</w:tc><w:tc>" WORD_P("B2")
                                        WORD_P("more") "</w:tc></w:tr></w:tbl>" WORD_P("After.")));
    struct document d = doc_read("t.docx", file.data, file.len);
    assert_string_equal(d.text, "Before.\n\nMerged | B1\n| B2 more\n\nAfter.");
    assert_int_equal(d.blocks[1].kind, DOC_TABLE_ROW);
    assert_int_equal(d.blocks[2].header, 1);
    document_release(&d);
    buf_release(&file);
}

static void docx_styles_runs_and_hidden_text(void **state)
{
    const struct part parts[] = {
        {"word/styles.xml",
         "<w:styles " WORD_NS
         "><w:style w:styleId=\"u1\"><w:name w:val=\"heading 2\"/></w:style></w:styles>",
         0},
        {"docProps/core.xml",
         "<c:coreProperties xmlns:c=\"c\" xmlns:dc=\"dc\"><dc:title>Core "
         "title</dc:title></c:coreProperties>",
         0},
        {"word/footnotes.xml",
         "<w:footnotes " WORD_NS "><w:footnote>" WORD_P("A note.") "</w:footnote></w:footnotes>",
         0},
        {"word/document.xml",
         WORD_DOC("<w:p><w:pPr><w:pStyle w:val=\"u1\"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p>"
                  "<w:p><w:r><w:t xml:space=\"preserve\">One "
                  "</w:t></w:r><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink>"
                  "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r><w:r><w:t>, "
                  "two</w:t><w:tab/><w:t>three</w:t><w:br/><w:t>four</w:t></w:r>"
                  "<w:del><w:r><w:t>gone</w:t></w:r></w:del></w:p>"
                  "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"),
         0}};
    struct buf file = zip_make(parts, 4);
    struct document d = doc_read("s.docx", file.data, file.len);
    assert_string_equal(d.title, "Core title");
    assert_string_equal(d.text, "Head\n\nOne link, two three\nfour\n\nitem\n\nA note.");
    assert_int_equal(d.blocks[0].level, 2);
    assert_int_equal(d.blocks[1].heading, 0);
    assert_int_equal(d.blocks[2].kind, DOC_LIST_ITEM);
    document_release(&d);
    buf_release(&file);
}

static void odt_headings_lists_tables(void **state)
{
    const struct part parts[] = {
        {"mimetype", "application/vnd.oasis.opendocument.text", 0},
        {"meta.xml", "<o:m xmlns:o=\"o\" xmlns:dc=\"dc\"><dc:title>Meta</dc:title></o:m>", 0},
        {"content.xml",
         "<o:c xmlns:o=\"o\" xmlns:t=\"t\" xmlns:b=\"b\"><t:h "
         "t:outline-level=\"2\">Head</t:h><t:p>One<t:s/>two<t:line-break/>three</t:p>"
         "<t:list><t:list-item><t:p>item</t:p></t:list-item></t:list>"
         "<b:table><b:table-row><b:table-cell><t:p>a</t:p></b:table-cell><b:table-cell><t:p>b</"
         "t:p></b:table-cell></b:table-row></b:table>"
         "<t:tracked-changes><t:p>gone</t:p></t:tracked-changes></o:c>",
         0}};
    struct buf file = zip_make(parts, 3);
    struct document d = doc_read("o.odt", file.data, file.len);
    assert_string_equal(d.title, "Meta");
    assert_string_equal(d.text, "Head\n\nOne two\nthree\n\nitem\n\na | b");
    document_release(&d);
    buf_release(&file);
}

static void epub_chapters_in_spine_order(void **state)
{
    const struct part parts[] = {
        {"mimetype", "application/epub+zip", 0},
        {"META-INF/container.xml", "<c><r><rootfile full-path=\"OEBPS/p.opf\"/></r></c>", 0},
        {"OEBPS/p.opf",
         "<package><metadata><title>Book</title></metadata><manifest><item id=\"b\" "
         "href=\"two.xhtml\"/>"
         "<item id=\"a\" href=\"a%20one.xhtml\"/><item id=\"x\" href=\"lost.xhtml\"/></manifest>"
         "<spine><itemref idref=\"a\"/><itemref idref=\"b\"/><itemref "
         "idref=\"x\"/></spine></package>",
         0},
        {"OEBPS/two.xhtml", "<html><body><h1>Two</h1><p>second</p></body></html>", 0},
        {"OEBPS/a one.xhtml", "<html><body><h1>One</h1><p>first</p></body></html>", 0}};
    struct buf file = zip_make(parts, 5);
    struct document d = doc_read("b.epub", file.data, file.len);
    assert_string_equal(d.title, "Book");
    assert_string_equal(d.text, "One\n\nfirst\n\nTwo\n\nsecond");
    assert_int_equal(d.warning_count, 1);
    document_release(&d);
    buf_release(&file);
}

static void lesson_rag_15_names_are_kept_as_they_are(void **state)
{
    static const char *const names[] = {
        "报告 2024（终稿）.v2.md", "-rf.txt",     "it's \"quoted\".txt", "cafe\xcc\x81.md",
        "caf\xc3\xa9.md",          "a b.c.d.TXT", "$(touch x).txt",      "%n%s.md"};
    char folder[] = "/tmp/sooth-名字-XXXXXX", path[300];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct document d;
        struct sooth_error err;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs("Words.\n", f);
        fclose(f);
        assert_int_equal(doc_parse_file(path, NULL, &d, &err), SOOTH_OK);
        assert_string_equal(d.text, "Words.");
        assert_true(doc_name_known(path));
        document_release(&d);
        unlink(path);
        assert_int_equal(doc_parse_file(path, NULL, &d, &err), SOOTH_ERR_NOTFOUND);
        assert_non_null(strstr(err.text, names[i]));
    }
    rmdir(folder);
}

static void lesson_rag_16_nul_and_surrogates_are_cleaned_first(void **state)
{
    struct document d = doc_read("n.md", "# He\0ad\n\nA\0B \xed\xa0\x80 C\n", 19);
    for (size_t i = 0; i < d.text_len; i++)
        assert_true(d.text[i] != '\0');
    assert_true(utf8_valid(d.text, d.text_len));
    document_release(&d);
    d = doc_read("n.txt", "one\0two and a good deal of other text that is quite all right\n", 62);
    assert_string_equal(d.text, "onetwo and a good deal of other text that is quite all right");
    assert_int_equal(d.blocks[0].end, d.text_len);
    document_release(&d);
    d = doc_reads("t.html", "<title>A&#0;B&#xD800;C</title><p>x&#0;y&#xDFFF;z");
    assert_true(utf8_valid(d.title, strlen(d.title)));
    assert_true(utf8_valid(d.text, d.text_len));
    document_release(&d);
}

static void every_row_is_listed(void **state)
{
    const char *name, *extensions;
    size_t n = 0;
    while (doc_format_at(n, &name, &extensions, NULL)) {
        char file[64];
        snprintf(file, sizeof file, "x.%.*s", (int)strcspn(extensions, " "), extensions);
        assert_true(doc_name_known(file));
        n++;
    }
    assert_true(n >= 9);
    assert_false(doc_name_known("x.unknown"));
    assert_false(doc_name_known("folder.txt/x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_paragraphs_and_wraps),
        cmocka_unit_test(text_headings),
        cmocka_unit_test(lesson_rag_08_markdown_sections_and_tables),
        cmocka_unit_test(markdown_inline_lists_quotes),
        cmocka_unit_test(html_structure),
        cmocka_unit_test(csv_rows_know_their_fields),
        cmocka_unit_test(lesson_rag_42_csv_counts_and_sums_are_exact),
        cmocka_unit_test(a_stray_quote_swallows_nothing),
        cmocka_unit_test(code_is_kept_as_it_is),
        cmocka_unit_test(lesson_rag_06_docx_tables_stay_in_place),
        cmocka_unit_test(docx_styles_runs_and_hidden_text),
        cmocka_unit_test(odt_headings_lists_tables),
        cmocka_unit_test(epub_chapters_in_spine_order),
        cmocka_unit_test(lesson_rag_15_names_are_kept_as_they_are),
        cmocka_unit_test(lesson_rag_16_nul_and_surrogates_are_cleaned_first),
        cmocka_unit_test(every_row_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
