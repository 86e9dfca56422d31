/* Text in pictures: what is read, what is believed, what is said about it. Wants tesseract; skipped aloud
 * without it. */
#include "doc_fixture.h"
#include "know/doc/docfmt.h"
#include "know/doc/splice.h"

static struct document scan(const char *name, const struct doc_options *opt)
{
    const char *source = getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".";
    char path[1000];
    struct document d;
    struct sooth_error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/doc/scans/%s", source, name);
    if (doc_parse_file(path, opt, &d, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    doc_check(&d);
    return d;
}

static void wants_ocr(void)
{
    if (!doc_ocr_ready()) {
        print_message("tesseract is not installed: skipped\n");
        skip();
    }
}

static void lesson_rag_05_scanned_pages_are_read(void **state)
{
    wants_ocr();
    struct document d = scan("scanned.pdf", NULL);
    assert_int_equal(d.page_count, 3);
    doc_has(&d, "The first page has letters of its own");
    const char *at = strstr(d.text, "boiler pressure must stay");
    assert_non_null(at);
    assert_int_equal(doc_page_at(&d, (size_t)(at - d.text)), 2);
    assert_true(d.pages[1].quality > 0.8f && d.pages[1].quality <= 1);
    assert_int_equal(d.empty_pages, 1); /* page 3 has none, and that is said */
    assert_string_equal(d.warnings[0], "page 3 has no text");
    assert_non_null(strstr(d.warnings[1], "1 page was read by OCR with quality 0."));
    document_release(&d);
}

static void lesson_rag_05_without_ocr_they_are_reported(void **state)
{
    const struct doc_options never = {.ocr = "never"};
    if (!have_pdftotext())
        skip();
    struct document d = scan("scanned.pdf", &never);
    doc_has(&d, "The first page has letters of its own");
    doc_lacks(&d, "boiler");
    assert_int_equal(d.empty_pages, 2);
    assert_string_equal(d.warnings[0], "page 2 has no text");
    document_release(&d);
    d = scan("english.png", &never);
    assert_true(d.no_text);
    assert_string_equal(d.warnings[0], "it is a picture, and OCR is off");
    document_release(&d);
}

static void pictures_in_three_scripts(void **state)
{
    wants_ocr();
    struct document d = scan("english.png", NULL);
    doc_has(&d, "below 1.5 bar at all times.");
    assert_int_equal(d.blocks[0].kind, DOC_PICTURE);
    document_release(&d);
    d = scan("simplified.png", NULL);
    doc_has(&d, "水箱容量为一点五升。");
    document_release(&d);
    d = scan("traditional.png", NULL);
    doc_has(&d, "狀態下不得啟動機器");
    document_release(&d);
    d = scan("noise.png", NULL);
    assert_true(d.no_text); /* nothing is made up */
    assert_string_equal(d.warnings[0], "no text was found in the picture");
    document_release(&d);
}

static void always_reads_what_has_text(void **state)
{
    wants_ocr();
    const struct doc_options always = {.ocr = "always"};
    struct document d = scan("scanned.pdf", &always);
    doc_has(&d, "first page has letters of its own");
    assert_non_null(strstr(d.warnings[d.warning_count - 1], "2 pages were read by OCR"));
    document_release(&d);
    struct sooth_error err = {0};
    assert_int_equal(doc_ocr_check("sometimes", &err), SOOTH_ERR_ARG);
    assert_int_equal(doc_ocr_check(NULL, &err), SOOTH_OK);
}

/* A picture in a document: its words follow its description, at its place; twice the same is read once. */
static void pictures_in_documents(void **state)
{
    wants_ocr();
    const char *source = getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".";
    char path[1000];
    snprintf(path, sizeof path, "%s/tests/golden/doc/scans/english.png", source);
    FILE *f = fopen(path, "rb");
    char bytes[20000];
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
#define DRAWING(alt) "<w:p><w:r><w:drawing><x:docPr descr=\"" alt "\"/><a:blip r:embed=\"i\"/></w:drawing></w:r></w:p>"
    const struct part parts[] = {
        {"word/document.xml",
         "<w:document " WORD_NS " xmlns:a=\"a\" xmlns:r=\"r\" xmlns:x=\"x\"><w:body>" WORD_P("Before.")
             DRAWING("A sign on the wall") WORD_P("Between.") DRAWING("") WORD_P("After.") "</w:body></w:document>", 0},
        {"word/_rels/document.xml.rels", "<r><Relationship Id=\"i\" Type=\"t/image\" Target=\"media/i.png\"/></r>", 0},
        {"word/media/i.png", bytes, len}};
    struct buf file = zip_make(parts, 3);
    struct document d;
    struct sooth_error err = {0};
    assert_int_equal(doc_parse_bytes("p.docx", file.data, file.len, NULL, &d, &err), SOOTH_OK);
    doc_check(&d);
    assert_string_equal(d.text, "Before.\n\nA sign on the wall\n\nThe boiler pressure must stay below 1.5 bar at "
                                "all times.\n\nBetween.\n\nAfter.");
    assert_int_equal(d.blocks[2].kind, DOC_PICTURE);
    document_release(&d);
    buf_release(&file);
}

static bool stop_at_once(void *user, size_t done, size_t total)
{
    size_t *calls = user;
    ++*calls;
    return false;
}

static void reading_can_be_stopped(void **state)
{
    wants_ocr();
    size_t calls = 0;
    const struct doc_options opt = {.on_page = stop_at_once, .user = &calls};
    const char *source = getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".";
    char path[1000];
    struct document d;
    struct sooth_error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/doc/scans/scanned.pdf", source);
    assert_int_equal(doc_parse_file(path, &opt, &d, &err), SOOTH_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_null(d.text);
}

static void threat_pictures_that_are_none(void **state)
{
    wants_ocr();
    struct sooth_error err = {0};
    struct document d;
    unsigned char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\x86\xa0\0\1\x86\xa0\10\2\0\0\0"; /* 100,000 x 100,000 */
    enum sooth_status s = doc_parse_bytes("big.png", png, sizeof png - 1, NULL, &d, &err);
    assert_true(s == SOOTH_ERR_FORMAT || s == SOOTH_ERR_LIMIT);
    assert_null(strchr(err.text, '\n'));
    assert_non_null(strstr(err.text, "big.png"));
}

/* What a page is worth, without any OCR. */
static void the_quality_of_a_page(void **state)
{
    static const struct {
        const char *text;
        float least, most;
    } cases[] = {{"Ordinary words of an ordinary page.", 1, 1},
                 {"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ab", 0.3f, 0.35f},
                 {"\xee\x80\x81\xee\x80\x82 \xee\x80\x83", 0, 0},
                 {"水泵的水箱容量为一点五升。", 1, 1},
                 {"wklv sdjh zdv pdgh zlwk d irqw wkdw kdv qr pds wr xqlfrgh dqg vkliwv hyhub ohwwhu eb wkuhh "
                  "sodfhv zklfk qrergb fdq uhdg khuh dqg vr wkh zkroh grfxphqw lv orvw wr hyhubrqh zkr vhdufkhv iru zrugv lq lw", 0, 0.5f},
                 {"", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct builder b;
        struct document d;
        struct sooth_error err;
        builder_init(&b);
        builder_page(&b);
        builder_open(&b, DOC_PARAGRAPH, 0);
        builder_puts(&b, cases[i].text);
        assert_int_equal(builder_finish(&b, &d, &err), SOOTH_OK);
        if (d.pages[0].quality < cases[i].least || d.pages[0].quality > cases[i].most)
            fail_msg("%s: %g", cases[i].text, d.pages[0].quality);
        document_release(&d);
    }
}

static struct document built(void (*fill)(struct builder *b))
{
    struct builder b;
    struct document d;
    struct sooth_error err;
    builder_init(&b);
    fill(&b);
    assert_int_equal(builder_finish(&b, &d, &err), SOOTH_OK);
    d.format = "text";
    return d;
}

static void paragraph(struct builder *b, const char *s)
{
    builder_open(b, DOC_PARAGRAPH, 0);
    builder_puts(b, s);
    builder_close(b);
}

static void fill_outer(struct builder *b)
{
    builder_page(b);
    builder_open(b, DOC_HEADING, 1);
    builder_puts(b, "Head");
    paragraph(b, "gone");
    builder_page(b);
    builder_table_begin(b);
    builder_row(b, true);
    builder_puts(b, "k");
    builder_cell(b);
    builder_puts(b, "v");
    builder_row(b, false);
    builder_puts(b, "泵");
    builder_cell(b);
    builder_puts(b, "2");
    builder_table_end(b);
}

static void fill_inner(struct builder *b)
{
    paragraph(b, "one");
    paragraph(b, "二");
}

static void splicing_keeps_places_in_step(void **state)
{
    struct document d = built(fill_outer), in = built(fill_inner);
    struct sooth_error err;
    const bool drop[] = {false, true, false, false};
    const struct splice list[] = {{2, 1, &in, false}, {4, 2, &in, true}};
    assert_int_equal(document_splice(&d, list, 2, drop, &err), SOOTH_OK);
    doc_check(&d);
    assert_string_equal(d.text, "Head\n\none\n\n二\n\nk | v\n泵 | 2\n\none\n\n二");
    assert_int_equal(d.blocks[1].heading, 0);
    assert_int_equal(d.blocks[1].page, 1);
    assert_int_equal(d.blocks[4].header, 3);
    assert_int_equal(d.blocks[6].kind, DOC_PICTURE);
    assert_int_equal(d.pages[1].start, d.blocks[3].start);
    assert_int_equal(d.pages[1].end, d.text_len);
    size_t len;
    const char *s = doc_cell_text(&d, 4, 1, &len);
    assert_true(s && len == 1 && *s == '2');
    document_release(&d);
    document_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_rag_05_scanned_pages_are_read),
        cmocka_unit_test(lesson_rag_05_without_ocr_they_are_reported),
        cmocka_unit_test(pictures_in_three_scripts),
        cmocka_unit_test(always_reads_what_has_text),
        cmocka_unit_test(pictures_in_documents),
        cmocka_unit_test(reading_can_be_stopped),
        cmocka_unit_test(threat_pictures_that_are_none),
        cmocka_unit_test(the_quality_of_a_page),
        cmocka_unit_test(splicing_keeps_places_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
