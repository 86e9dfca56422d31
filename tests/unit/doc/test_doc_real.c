/* Real documents that others made: what each must give, a fact in it, or the one error that is
 * fair. Wants the study data in $SOOTH_SHARED; skipped aloud without it. */
#include "doc_fixture.h"

enum want { TEXT, EMPTY, REFUSED, SCANNED }; /* SCANNED: TEXT where OCR is installed, else EMPTY */

static const struct {
    const char *path;
    enum want want;
    const char *fact; /* in the text; of refused files, in the error */
    unsigned page;    /* page that holds it; 0 = no matter */
} files[] = {
    {"private-gpt/file_multicolumn.pdf", TEXT, "Denmark | 5.8 | 42,951 | Copenhagen", 3},
    {"private-gpt/file_general_elements.pdf", TEXT,
     "float | 32-bit IEEE 754 floating point number | Float", 1},
    {"private-gpt/file_scanned.pdf", SCANNED, "SLEREXE COMPANY LIMITED", 1},
    {"private-gpt/file_image.pdf", SCANNED, "Image-based PDFs are typically created through scanning", 1},
    {"private-gpt/pdf_encrypted.pdf", TEXT,
     "This document is a placeholder for the appropriate documentation.", 1},
    {"private-gpt/pdf_with_annotations.pdf", TEXT, "double click on the icon", 1},
    {"private-gpt/pdf_with_forms.pdf", TEXT, "Favourite colour: | Red", 1},
    {"private-gpt/pdf_with_multiple_pages.pdf", TEXT, "shiny gold coin", 1},
    {"private-gpt/test.pdf", TEXT, "shiny gold coin", 1},
    {"haystack/react_paper.pdf", TEXT, "CoT-SC | 35.1", 6},
    {"haystack/sample_pdf_1.pdf", TEXT, "July 1, 2008", 1},
    {"haystack/sample_pdf_2.pdf", TEXT, "as of February 2020, it has over 6 million articles", 2},
    {"haystack/sample_pdf_3.pdf", TEXT, "Val 3", 1},
    {"haystack/non_text_searchable.pdf", SCANNED, "regardless of how neatly it is organized", 1},
    {"chatchat/ocr_test.pdf", TEXT, "我是文字", 1},
    {"kotaemon/table.pdf", TEXT, "パワーモジュール", 1},
    {"kotaemon/multimodal.pdf", TEXT, "8 | 1 | 172 | 27 | 7287 | 738", 2},
    {"kotaemon/dummy.pdf", TEXT, "Dummy PDF file", 1},
    {"deepeval/pdf_example.pdf", TEXT, "325,000 hospitalizations", 20},
    {"private-gpt/file.docx", TEXT, "Meet Zylon", 0},
    {"private-gpt/file_failing.docx", TEXT, "La denuncia se basa en informaci", 0},
    {"haystack/sample_docx.docx", TEXT, "over 637,000 confirmed Covid-19 cases", 0},
    {"haystack/sample_docx_1.docx", TEXT, "ISO 32000-1:2008", 0},
    {"haystack/sample_docx_2_page_breaks.docx", TEXT, "Now this is a new paragraph on a new page.",
     0},
    {"haystack/sample_docx_3.docx", TEXT, "raud detection and prevention", 0},
    {"haystack/sample_docx_with_links.docx", TEXT, "PDF", 0},
    {"haystack/sample_docx_with_single_link.docx", TEXT, "PDF", 0},
    {"chatchat/ocr_test.docx", TEXT, "我是表格1 | 我是表格2", 0},
    {"deepeval/docx_example.docx", TEXT, "(Gibaldi 240)", 0},
    {"kotaemon/dummy.docx", TEXT, "案件内容確認票", 0},
    {"haystack/sample_pptx.pptx", TEXT, "This is a bullet point", 2},
    {"haystack/sample_pptx_with_link.pptx", TEXT, "Visit Example for more info.", 1},
    {"chatchat/ocr_test.pptx", TEXT, "我是表格1 | 我是表格5", 1},
    {"haystack/basic_tables_two_sheets.xlsx", TEXT, "col_c | col_d", 2},
    {"haystack/multiple_tables.xlsx", TEXT, "col_c | col_d\n3 | TRUE", 1},
    {"haystack/table_empty_rows_and_columns.xlsx", TEXT, "col_a | col_b\n1.5 | test", 1},
    {"haystack/spreadsheet_with_links.xlsx", TEXT, "Example | Click here", 1},
    {"chatchat/langchain-ChatGLM_open.xlsx", TEXT, "萌新求教大佬怎么改成AMD显卡或者CPU", 1},
    {"chatchat/langchain-ChatGLM_closed.xlsx", TEXT, "加油，我认为你的方向是对的。", 1},
    {"kotaemon/dummy.xlsx", TEXT, "生年月日 | 1990-01-01", 1},
    {"private-gpt/file.xls", REFUSED, "old binary office file", 0},
    {"private-gpt/file_failing.ppt", REFUSED, "old binary office file", 0},
    {"haystack/sample.msg", REFUSED, "old binary office file", 0},
    {"private-gpt/file_unknown.txt", TEXT, "a single green light, minute and far away", 0},
    {"private-gpt/test.txt", TEXT, "Zumi", 0},
    {"private-gpt/file.txt", TEXT, "", 0},
    {"private-gpt/file_no_utf8.html", TEXT, "AED 1,000,000", 0},
    {"private-gpt/file_window.html", TEXT, "Secretary General of the Executive Council", 0},
    {"private-gpt/another_file_no_utf8.html", TEXT, "adequately investigate", 0},
    {"private-gpt/another_file_no_utf8.md", TEXT, "adequately investigate", 0},
    {"private-gpt/file.html", TEXT, "BrightTech", 0},
    {"private-gpt/file.md", TEXT, "BrightTech", 0},
    {"private-gpt/file_emoji.html", EMPTY, NULL, 0},
    {"private-gpt/file_emoji.md", EMPTY, NULL, 0},
    {"private-gpt/file.csv", TEXT, "1.764052345967664", 0},
    {"private-gpt/file_comma.csv", TEXT, "Charlie | 35 | Chicago", 0},
    {"private-gpt/file_semicolon.csv", TEXT, "Charlie | 35 | Chicago", 0},
    {"private-gpt/file_pipe.psv", TEXT, "Charlie | 35 | Chicago", 0},
    {"private-gpt/file_tab.tsv", TEXT, "Charlie | 35 | Chicago", 0},
    {"private-gpt/file_quote.csv", TEXT, "this is a description with a , in the middle", 0},
    {"haystack/what_is_haystack.html", TEXT,
     "Haystack is the open source Python framework by deepset", 0},
    {"haystack/sample.md", TEXT, "type: intro", 0},
    {"chatchat/langchain-ChatGLM_open.csv", TEXT, "萌新求教大佬怎么改成AMD显卡或者CPU", 0},
    {"chatchat/langchain-ChatGLM_closed.csv", TEXT, " | ", 0},
    {"chatchat/zh_llm_inference.md", TEXT, "每个token需要约0.7M-1M的显存", 0},
    {"chatchat/zh_distributed_training.md", TEXT, "分布式训练", 0},
    {"chatchat/zh_llm_alignment.md", TEXT, "对齐", 0},
    {"chatchat/zh_llm_applications.md", TEXT, "应用", 0},
    {"chatchat/zh_llm_stack_algorithms.md", TEXT, "算法", 0},
    {"chatchat/zh_llm_stack_practice.md", TEXT, "实战", 0},
    {"chatchat/ocr_test.jpg", SCANNED, "横向文本", 0},
    {"deepeval/txt_example.txt", TEXT, "3 cups", 0},
    {"kotaemon/dummy.mhtml", TEXT, "This is bold, italic, and underlined.", 0},
};

static char *folder;

static void file_check(size_t i)
{
    char path[1000];
    struct document d;
    struct sooth_error err = {0};
    snprintf(path, sizeof path, "%s/data/documents/%s", folder, files[i].path);
    const struct doc_options auto_ocr = {0};
    enum sooth_status s = doc_parse_file(
        path, files[i].want == SCANNED ? &auto_ocr : &plain_options, &d, &err);
    if (files[i].want == REFUSED) {
        if (s != SOOTH_ERR_UNSUPPORTED || !strstr(err.text, files[i].fact))
            fail_msg("%s: %d %s", files[i].path, s, err.text);
        return;
    }
    if (s != SOOTH_OK)
        fail_msg("%s", err.text);
    doc_check(&d);
    if (files[i].want == SCANNED && !doc_ocr_ready()) {
        assert_true(d.no_text && d.warning_count > 0);
        document_release(&d);
        return;
    }
    if (d.no_text != (files[i].want == EMPTY))
        fail_msg("%s: text of %zu bytes", files[i].path, d.text_len);
    const char *at = files[i].fact ? strcasestr(d.text, files[i].fact) : d.text;
    if (!at)
        fail_msg("%s: '%s' is not in it", files[i].path, files[i].fact);
    if (files[i].page)
        assert_int_equal(doc_page_at(&d, (size_t)(at - d.text)), files[i].page);
    document_release(&d);
}

static void the_73_files(void **state)
{
    if (!folder || !have_pdftotext()) {
        print_message("no study data in $SOOTH_SHARED or no pdftotext: skipped\n");
        skip();
    }
    assert_int_equal(sizeof files / sizeof *files, 73);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        file_check(i);
}

static void secrets_in_comments_stay_out(void **state)
{
    char path[1000];
    struct document d;
    if (!folder)
        skip();
    snprintf(path, sizeof path, "%s/data/documents/private-gpt/file_no_utf8.html", folder);
    assert_int_equal(doc_parse_file(path, NULL, &d, NULL), SOOTH_OK);
    assert_string_equal(d.encoding, "windows-1252");
    doc_lacks(&d, "Confidential");
    document_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_73_files),
        cmocka_unit_test(secrets_in_comments_stay_out),
    };
    char path[1000], source[900];
    const char *shared = getenv("SOOTH_SHARED");
    snprintf(source, sizeof source, "%s/../shared",
             getenv("SOOTH_SOURCE") ? getenv("SOOTH_SOURCE") : ".");
    snprintf(path, sizeof path, "%s/data/documents", shared ? shared : source);
    folder = access(path, 0) == 0 ? strdup(shared ? shared : source) : NULL;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(folder);
    return failed;
}
