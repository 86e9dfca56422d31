/* Character encodings: found, reported, overruled. */
#include "doc_fixture.h"
#include "know/doc/encoding.h"

static const char simplified[] = "公司员工每年享有带薪年假七天，工作满十年的享有十五天。请假应当提"
                                 "前三天提出申请，由部门经理批准。";
static const char traditional[] = "公司員工每年享有帶薪年假七天，工作滿十年的享有十五天。請假應當提"
                                  "前三天提出申請，由部門經理批准。";
static const char japanese[] =
    "この製品は保証期間中に故障した場合、無料で修理いたします。お買い上げの店にご相談ください。";
static const char western[] =
    "Le café coûte trois euros à la gare; l’été, la crème glacée est déjà épuisée à midi.";

static void expect_encoding(const char *iconv_name, const char *found, const char *text)
{
    struct buf bytes = recode(iconv_name, text);
    struct document d = doc_read("note.txt", bytes.data, bytes.len);
    if (strcmp(d.encoding, found) != 0)
        fail_msg("%s was taken for %s", iconv_name, d.encoding);
    assert_string_equal(d.text, text);
    document_release(&d);
    buf_release(&bytes);
}

static void lesson_rag_14_legacy_encodings_are_found(void **state)
{
    expect_encoding("GBK", "gb18030", simplified);
    expect_encoding("GB18030", "gb18030",
                    "会议记录：㐂字是生僻字，𠮷也是。公司员工每年享有带薪年假七天。");
    expect_encoding("BIG5", "big5", traditional);
    expect_encoding("SHIFT_JIS", "shift_jis", japanese);
    expect_encoding("EUC-JP", "euc-jp", japanese);
    expect_encoding("WINDOWS-1252", "windows-1252", western);
    expect_encoding("UTF-16LE", "utf-16le", simplified);
    expect_encoding("UTF-16BE", "utf-16be", simplified);
    expect_encoding("UTF-16LE", "utf-16le", "Plain English in two bytes a letter.");
    expect_encoding("UTF-16BE", "utf-16be", "Plain English in two bytes a letter.");
    expect_encoding("UTF-8", "utf-8", simplified);
    expect_encoding("GBK", "gb18030", "你好");
    expect_encoding("BIG5", "big5", "你好嗎");
}

static void lesson_rag_14_marks_are_read_and_removed(void **state)
{
    static const struct {
        const char *bytes, *found;
        size_t len;
    } cases[] = {{"\xef\xbb\xbf---\ntitle: X\n---\n\nHello", "utf-8", 25},
                 {"\xff\xfeH\0i\0", "utf-16le", 6},
                 {"\xfe\xff\0H\0i", "utf-16be", 6},
                 {"\xff\xfe\0\0H\0\0\0i\0\0\0", "utf-32le", 12}};
    for (size_t i = 0; i < 4; i++) {
        struct document d = doc_read(i == 0 ? "a.md" : "a.txt", cases[i].bytes, cases[i].len);
        assert_string_equal(d.encoding, cases[i].found);
        doc_lacks(&d, "\xef\xbb\xbf");
        if (i == 0)
            assert_string_equal(d.title, "X");
        else
            assert_string_equal(d.text, "Hi");
        document_release(&d);
    }
}

static void lesson_rag_14_the_whole_file_counts(void **state)
{
    struct buf text = BUF_INIT, bytes = recode("GBK", simplified);
    for (int i = 0; i < 2000; i++)
        buf_puts(&text, "This line is plain and says nothing of the encoding.\n");
    buf_add(&text, bytes.data, bytes.len);
    struct document d = doc_read("late.txt", text.data, text.len);
    assert_string_equal(d.encoding, "gb18030");
    doc_has(&d, simplified);
    document_release(&d);
    buf_release(&text);
    buf_release(&bytes);
}

static void lesson_rag_14_the_user_overrules(void **state)
{
    struct buf bytes = recode("KOI8-R", "Правила пользования библиотекой");
    struct doc_options opt = {.encoding = "KOI8-R"};
    struct document d;
    struct sooth_error err;
    assert_int_equal(doc_parse_bytes("r.txt", bytes.data, bytes.len, &opt, &d, &err), SOOTH_OK);
    assert_string_equal(d.text, "Правила пользования библиотекой");
    assert_string_equal(d.encoding, "koi8-r");
    document_release(&d);
    opt.encoding = "klingon";
    assert_int_equal(doc_parse_bytes("r.txt", bytes.data, bytes.len, &opt, &d, &err),
                     SOOTH_ERR_ARG);
    assert_non_null(strstr(err.text, "klingon"));
    buf_release(&bytes);
}

static void html_is_believed_when_its_bytes_agree(void **state)
{
    struct buf page = BUF_INIT, ru = recode("WINDOWS-1251", "<p>Часы работы библиотеки</p>");
    buf_puts(&page, "<html><head><meta charset=windows-1251></head>");
    buf_add(&page, ru.data, ru.len);
    struct document d = doc_read("ru.html", page.data, page.len);
    assert_string_equal(d.text, "Часы работы библиотеки");
    document_release(&d);
    buf_clear(&page);
    buf_puts(&page,
             "<html><head><meta charset=\"iso-8859-1\"></head><p>实际上是 UTF-8</p>"); /* it lies */
    d = doc_read("lie.html", page.data, page.len);
    assert_string_equal(d.encoding, "utf-8");
    assert_string_equal(d.text, "实际上是 UTF-8");
    document_release(&d);
    buf_release(&page);
    buf_release(&ru);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    unsigned char noise[4096];
    struct sooth_error err;
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    assert_int_equal(doc_fails("noise.txt", noise, sizeof noise, &err), SOOTH_ERR_FORMAT);
    assert_int_equal(doc_fails("noise.bin", noise, sizeof noise, &err), SOOTH_ERR_UNSUPPORTED);
    assert_int_equal(doc_fails("program.txt", "\x7f" "ELF\2\1\1\0\0\0\0\0\0\0\0", 15, &err), SOOTH_ERR_UNSUPPORTED);
    assert_int_equal(doc_fails("old.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 more", 13, &err),
                     SOOTH_ERR_UNSUPPORTED);
    assert_true(strlen(err.hint) > 0);
    if (!doc_ocr_ready())
        return;
    assert_int_equal(doc_fails("picture.txt", "\x89PNG\r\n\x1a\n1234567", 15, &err),
                     SOOTH_ERR_FORMAT);
}

static void damage_in_utf8_is_a_warning(void **state)
{
    struct buf text = BUF_INIT;
    for (int i = 0; i < 60; i++)
        buf_puts(&text, "很多完整的汉字。");
    buf_puts(&text, "坏\xe5\x9d字");
    struct document d = doc_read("damaged.txt", text.data, text.len);
    assert_string_equal(d.encoding, "utf-8");
    assert_int_equal(d.warning_count, 1);
    doc_has(&d, "坏\xef\xbf\xbd");
    document_release(&d);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_rag_14_legacy_encodings_are_found),
        cmocka_unit_test(lesson_rag_14_marks_are_read_and_removed),
        cmocka_unit_test(lesson_rag_14_the_whole_file_counts),
        cmocka_unit_test(lesson_rag_14_the_user_overrules),
        cmocka_unit_test(html_is_believed_when_its_bytes_agree),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(damage_in_utf8_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
