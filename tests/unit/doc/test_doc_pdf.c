/* PDF: small files made here, drawn the way that goes wrong elsewhere. */
#include "doc_fixture.h"

#define NEED_TOOL()                                                                                \
    do {                                                                                           \
        if (!have_pdftotext()) {                                                                   \
            print_message("pdftotext is not installed: skipped\n");                                \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static struct document pdf_read_pages(const char *const *pages, size_t count)
{
    struct buf pdf = pdf_plain(pages, count);
    struct document d = doc_read("test.pdf", pdf.data, pdf.len);
    buf_release(&pdf);
    return d;
}

/* One line at x, y. */
static void show(struct buf *b, double size, double x, double y, const char *text)
{
    buf_printf(b, "BT /F1 %g Tf %g %g Td (%s) Tj ET\n", size, x, y, text);
}

static void lesson_rag_01_columns_drawn_row_by_row(void **state)
{
    static const char *const left[] = {
        "The left column tells how the bridge was", "built in the year 1911 from grey granite",
        "that came down the river on rafts, and", "how the masons slept in tents beside it",
        "for three long and very wet summers."};
    static const char *const right[] = {
        "The right column speaks of the harbour,", "where forty ships could lie in winter and",
        "a lamp burned on the mole all night. Its", "keeper was paid eleven silver coins for",
        "each month without a wreck."};
    struct buf page = BUF_INIT;
    NEED_TOOL();
    show(&page, 18, 180, 770, "Bridge and harbour");
    for (int i = 0; i < 5;
         i++) { /* row by row, as a spreadsheet or a careless program draws them */
        show(&page, 10, 60, 700 - 12 * i, left[i]);
        show(&page, 10, 315, 700 - 12 * i, right[i]);
    }
    const char *pages[] = {page.data};
    struct document d = pdf_read_pages(pages, 1);
    doc_has(&d, "built in the year 1911 from grey granite that came down the river on rafts, and "
                "how the masons slept");
    doc_has(&d, "where forty ships could lie in winter and a lamp burned on the mole all night.");
    assert_true(strstr(d.text, "wet summers") < strstr(d.text, "The right column"));
    assert_int_equal(d.blocks[0].kind, DOC_HEADING);
    assert_string_equal(d.title, "Bridge and harbour");
    document_release(&d);
    buf_release(&page);
}

/* A font that is not embedded, with a predefined encoding and no ToUnicode map. */
static struct document cjk_read(const char *encoding, const char *base, const char *ordering,
                                const char *hex)
{
    char font[300], descendant[300], content[300];
    snprintf(
        font, sizeof font,
        "<< /Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /%s /DescendantFonts [4 0 R] >>",
        base, encoding);
    snprintf(descendant, sizeof descendant,
             "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /%s /CIDSystemInfo << /Registry "
             "(Adobe) /Ordering (%s) "
             "/Supplement 2 >> /DW 1000 >>",
             base, ordering);
    snprintf(content, sizeof content, "BT /F1 14 Tf 72 700 Td <%s> Tj ET", hex);
    const char *fonts[] = {font}, *extra[] = {descendant}, *pages[] = {content};
    struct buf pdf = pdf_make(fonts, 1, extra, 1, pages, 1);
    struct document d = doc_read("cjk.pdf", pdf.data, pdf.len);
    buf_release(&pdf);
    return d;
}

static void lesson_rag_02_chinese_fonts_without_tounicode(void **state)
{
    static const struct {
        const char *encoding, *base, *ordering, *charset, *text;
    } cases[] = {
        {"GBK-EUC-H", "STSong-Light", "GB1", "GBK", "电子发票金额一百二十元"},
        {"UniGB-UCS2-H", "STSong-Light", "GB1", "UTF-16BE", "增值税专用发票"},
        {"ETen-B5-H", "MSung-Light", "CNS1", "BIG5", "臺北市政府公文"},
    };
    NEED_TOOL();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf bytes = recode(cases[i].charset, cases[i].text);
        char hex[200] = "";
        for (size_t k = 0; k < bytes.len; k++)
            snprintf(hex + 2 * k, sizeof hex - 2 * k, "%02x", (unsigned char)bytes.data[k]);
        struct document d = cjk_read(cases[i].encoding, cases[i].base, cases[i].ordering, hex);
        if (d.no_text || !strstr(d.text, cases[i].text)) {
            if (access("/usr/share/poppler/cMap", 0) != 0) {
                print_message("poppler-data is not installed: skipped\n");
                skip();
            }
            fail_msg("%s: %s", cases[i].encoding, d.text);
        }
        document_release(&d);
        buf_release(&bytes);
    }
}

static void lesson_rag_03_ligatures_become_letters(void **state)
{
    NEED_TOOL();
    static const char *const cmap = "<< /Length 268 >>\nstream\n/CIDInit /ProcSet findresource "
                                    "begin 12 dict begin begincmap /CMapName /X def "
                                    "/CMapType 2 def 1 begincodespacerange <00> <ff> "
                                    "endcodespacerange 2 beginbfchar <01> <00660069> <02> <fb03> "
                                    "endbfchar endcmap CMapName currentdict /CMap defineresource "
                                    "pop end end                                     \nendstream";
    static const char *const font =
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding "
        "/BaseEncoding /WinAnsiEncoding /Differences [1 /fi /ffi] >> /ToUnicode 4 0 R >>";
    const char *fonts[] = {font}, *extra[] = {cmap};
    const char *pages[] = {"BT /F1 12 Tf 72 700 Td (classi\\001cation of o\\002ces) Tj ET"};
    struct buf pdf = pdf_make(fonts, 1, extra, 1, pages, 1);
    struct document d = doc_read("fi.pdf", pdf.data, pdf.len);
    doc_has(&d, "classification");
    doc_has(&d, "offices");
    document_release(&d);
    buf_release(&pdf);
    struct document t = doc_reads("fi.txt", "a classi\xef\xac\x81"
                                            "cation of o\xef\xac\x83"
                                            "ces");
    assert_string_equal(t.text, "a classification of offices");
    document_release(&t);
}

static void lesson_rag_04_line_ends_are_mended(void **state)
{
    struct buf page = BUF_INIT;
    NEED_TOOL();
    show(&page, 11, 72, 740, "The machine has several useful and important capabili-");
    show(&page, 11, 72, 726, "ties and its name in the whole of the country is well-");
    show(&page, 11, 72, 712, "known among the people who care for it every morning");
    show(&page, 11, 72, 698, "before the sun is up and in the late evening.");
    const char *pages[] = {page.data};
    struct document d = pdf_read_pages(pages, 1);
    doc_has(&d, "important capabilities and its name");
    doc_has(&d, "is well-known among");
    doc_has(&d, "every morning before the sun");
    document_release(&d);
    buf_release(&page);

    char font[300], descendant[300];
    snprintf(font, sizeof font,
             "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
             "/DescendantFonts [4 0 R] >>");
    snprintf(descendant, sizeof descendant,
             "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo "
             "<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /DW 1000 >>");
    const char *fonts[] = {font}, *extra[] = {descendant};
    /* 本手册规定员工的工 / 作时间和休假办法。 */
    const char *zh[] = {"BT /F1 14 Tf 72 700 Td <672c624b518c89c45b9a54585de576845de5> Tj 0 -20 Td "
                        "<4f5c65f695f4548c4f11504752 9e6cd53002> Tj ET"};
    struct buf pdf = pdf_make(fonts, 1, extra, 1, zh, 1);
    struct document z = doc_read("zh.pdf", pdf.data, pdf.len);
    if (access("/usr/share/poppler/cMap", 0) == 0)
        doc_has(&z, "本手册规定员工的工作时间和休假办法。");
    document_release(&z);
    buf_release(&pdf);
}

static void lesson_rag_05_a_page_without_text_is_reported(void **state)
{
    NEED_TOOL();
    const char *scan[] = {"q 400 0 0 400 72 300 cm 0.5 g 0 0 1 1 re f Q"};
    struct document d = pdf_read_pages(scan, 1);
    assert_true(d.no_text);
    assert_int_equal(d.empty_pages, 1);
    assert_int_equal(d.page_count, 1);
    assert_int_equal(d.warning_count, 1);
    assert_string_equal(d.warnings[0], "page 1 has no text");
    document_release(&d);
    const char *mixed[] = {"BT /F1 12 Tf 72 700 Td (First page.) Tj ET", "0.5 g 0 0 99 99 re f",
                           "BT /F1 12 Tf 72 700 Td (Third page.) Tj ET"};
    d = pdf_read_pages(mixed, 3);
    assert_false(d.no_text);
    assert_int_equal(d.empty_pages, 1);
    assert_string_equal(d.warnings[0], "page 2 has no text");
    assert_int_equal(d.pages[1].chars, 0);
    assert_int_equal(d.pages[1].start, d.pages[1].end);
    assert_int_equal(d.blocks[1].page, 3);
    assert_int_equal(doc_page_at(&d, d.blocks[0].start), 1);
    assert_int_equal(doc_page_at(&d, d.blocks[1].start), 3);
    assert_int_equal(d.pages[2].chars, strlen("Thirdpage."));
    document_release(&d);
}

/* Four pages with a running head and printed numbers that start at 11. */
static void heads_go_and_labels_stay(void **state)
{
    static const char *const body[] = {
        "Apples are red and grow on trees.", "Pears are green and soft.",
        "Plums are blue and have a stone.", "Quinces are yellow and hard."};
    char *pages[4];
    NEED_TOOL();
    for (int i = 0; i < 4; i++) {
        struct buf p = BUF_INIT;
        char number[16];
        show(&p, 9, 72, 805, "The fruit book");
        show(&p, 11, 72, 700, body[i]);
        snprintf(number, sizeof number, "%d", 11 + i);
        show(&p, 9, 290, 40, number);
        pages[i] = buf_take(&p);
    }
    struct document d = pdf_read_pages((const char *const *)pages, 4);
    doc_lacks(&d, "fruit book");
    doc_lacks(&d, "12");
    for (size_t i = 0; i < 4; i++) {
        char label[16];
        snprintf(label, sizeof label, "%zu", 11 + i);
        assert_string_equal(d.pages[i].label, label);
        assert_int_equal(d.blocks[i].page, i + 1);
        assert_string_equal(block_text(&d, i), body[i]);
        free(pages[i]);
    }
    document_release(&d);
}

static void tables_are_read_row_by_row(void **state)
{
    static const char *const cells[3][3] = {{"Country", "Capital", "People"},
                                            {"Denmark", "Copenhagen", "5.8 million"},
                                            {"Finland", "Helsinki", "5.5 million"}};
    struct buf page = BUF_INIT;
    NEED_TOOL();
    show(&page, 10, 72, 760,
         "The table below this line lists two countries of the north with their capitals and "
         "people.");
    for (int column = 0; column < 3; column++) /* drawn column by column */
        for (int row = 0; row < 3; row++)
            show(&page, 10, 80 + 120 * column, 730 - 15 * row, cells[row][column]);
    show(&page, 10, 72, 670,
         "The text after the table goes on over the whole width of the page as it did before it.");
    const char *pages[] = {page.data};
    struct document d = pdf_read_pages(pages, 1);
    assert_int_equal(d.block_count, 5);
    assert_string_equal(block_text(&d, 1), "Country | Capital | People");
    assert_string_equal(block_text(&d, 2), "Denmark | Copenhagen | 5.8 million");
    assert_int_equal(d.blocks[2].kind, DOC_TABLE_ROW);
    assert_int_equal(d.blocks[2].header, 1);
    assert_int_equal(d.blocks[3].header, 1);
    assert_int_equal(d.blocks[4].kind, DOC_PARAGRAPH);
    document_release(&d);
    buf_release(&page);
}

static void broken_files_are_one_error_line(void **state)
{
    struct sooth_error err;
    NEED_TOOL();
    static const char *const junk[] = {"%PDF-1.4\n", "%PDF-1.4\nnothing here",
                                       "%PDF-1.7\n1 0 obj\n<<"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(doc_fails("junk.pdf", junk[i], strlen(junk[i]), &err), SOOTH_ERR_FORMAT);
    const char *pages[] = {"BT /F1 12 Tf 72 700 Td (Some words to read.) Tj ET"};
    struct buf pdf = pdf_plain(pages, 1);
    for (size_t cut = 0; cut < pdf.len;
         cut += 37) { /* cut short anywhere: an answer or an error, within its time */
        struct document d;
        struct sooth_error e = {0};
        if (doc_parse_bytes("cut.pdf", pdf.data, cut, NULL, &d, &e) == SOOTH_OK)
            doc_check(&d);
        else
            assert_true(strlen(e.text) > 0);
        document_release(&d);
    }
    buf_release(&pdf);
}

static void a_pdf_by_any_other_name(void **state)
{
    NEED_TOOL();
    const char *pages[] = {"BT /F1 12 Tf 72 700 Td (Some words to read.) Tj ET"};
    struct buf pdf = pdf_plain(pages, 1);
    struct document d = doc_read("letter.txt", pdf.data, pdf.len);
    assert_string_equal(d.format, "pdf");
    assert_string_equal(d.text, "Some words to read.");
    document_release(&d);
    buf_release(&pdf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_rag_01_columns_drawn_row_by_row),
        cmocka_unit_test(lesson_rag_02_chinese_fonts_without_tounicode),
        cmocka_unit_test(lesson_rag_03_ligatures_become_letters),
        cmocka_unit_test(lesson_rag_04_line_ends_are_mended),
        cmocka_unit_test(lesson_rag_05_a_page_without_text_is_reported),
        cmocka_unit_test(heads_go_and_labels_stay),
        cmocka_unit_test(tables_are_read_row_by_row),
        cmocka_unit_test(broken_files_are_one_error_line),
        cmocka_unit_test(a_pdf_by_any_other_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
