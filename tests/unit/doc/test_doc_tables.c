/* Tables as rows and typed columns: merged cells once, columns in line, values that can be summed. */
#include "doc_fixture.h"
#include <math.h>

static const char *cell(const struct document *d, size_t block, uint32_t column)
{
    static char copy[4][200];
    static unsigned at;
    size_t len;
    const char *s = doc_cell_text(d, block, column, &len);
    snprintf(copy[at = (at + 1) % 4], 200, "%.*s", (int)len, s ? s : "");
    return copy[at];
}

static struct doc_table table_of(const struct document *d, size_t index)
{
    struct doc_table t;
    size_t at = 0;
    for (size_t i = 0; i <= index; i++)
        assert_true(doc_table_next(d, &at, &t));
    return t;
}

static void lesson_rag_06_html_merged_cells_once(void **state)
{
    struct document d = doc_reads(
        "m.html", "<table><tr><th rowspan=2>Town<th colspan=2>Year</tr><tr><th>2023<th>2024</tr>"
                  "<tr><td rowspan=3>Ulm<td>1<td>2<tr><td colspan=2>none<tr><td>3<td>4"
                  "<tr><td>Bonn<td>5<td>6</table>");
    assert_string_equal(d.text, "Town | Year\n| 2023 | 2024\nUlm | 1 | 2\n| none\n| 3 | 4\nBonn | 5 | 6");
    assert_string_equal(cell(&d, 1, 2), "2024");
    assert_string_equal(cell(&d, 4, 0), "");
    assert_string_equal(cell(&d, 4, 2), "4");
    assert_string_equal(cell(&d, 5, 0), "Bonn");
    document_release(&d);
    doc_expect("h.html", "<table><tr><td colspan=9999999>a<td rowspan=-3>b<tr><td>c<td>d</table>",
               "a | b\nc | d");
}

static void types_of_columns(void **state)
{
    struct document d = doc_reads("t.csv", "id,price,share,day,code,note,none\n"
                                           "1,\"1,234.50\",12 %,2024-03-05,007,a,\n"
                                           "-2,$5,0.5%,2024-03-06 08:30,012,,\n"
                                           "3,7 EUR,100%,2024-12-31,x,7,\n");
    struct doc_table t = table_of(&d, 0);
    static const enum doc_type want[] = {DOC_INTEGER, DOC_REAL, DOC_REAL, DOC_DATE,
                                         DOC_TEXT,    DOC_TEXT, DOC_TEXT};
    assert_int_equal(t.header, 0);
    assert_int_equal(t.first, 1);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.columns, 7);
    for (uint32_t c = 0; c < 7; c++)
        assert_int_equal(doc_column_type(&d, &t, c), want[c]);
    assert_string_equal(cell(&d, 0, 6), "none");
    document_release(&d);
}

static void numbers_and_what_only_looks_like_one(void **state)
{
    static const struct {
        const char *text;
        double value; /* NAN: none */
    } cases[] = {{"0", 0},          {"12", 12},      {"-3.5", -3.5},    {"+4", 4},        {"1,234", 1234},
                 {"1,234,567.5", 1234567.5}, {"€ 9.99", 9.99}, {"-$5", -5}, {"$-5", -5},     {"50%", 0.5},
                 {"1e3", 1000},     {"2.5E-1", 0.25}, {".5", 0.5},       {"12 元", 12},    {"007", NAN},
                 {"1,23", NAN},     {"1,2345", NAN},  {"12,34,567", NAN}, {"", NAN},        {"-", NAN},
                 {"1.2.3", NAN},    {"12a", NAN},     {"1 2", NAN},      {"2024-03-05", NAN}, {"1e999", NAN},
                 {"%", NAN},        {"0x10", NAN},    {"nan", NAN},      {"inf", NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v = NAN;
        bool ok = doc_number(cases[i].text, strlen(cases[i].text), &v);
        if (ok != !isnan(cases[i].value) || (ok && fabs(v - cases[i].value) > 1e-12))
            fail_msg("'%s': %d %g", cases[i].text, ok, v);
    }
}

static void tables_are_told_apart(void **state)
{
    struct document d = doc_reads("t.md", "| a | b |\n|---|---|\n| 1 | x |\n\nText.\n\n"
                                          "| c |\n|---|\n| 2.5 |\n| 3 |\n");
    struct doc_table first = table_of(&d, 0), second = table_of(&d, 1);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 2);
    assert_int_equal(second.columns, 1);
    assert_int_equal(doc_column_type(&d, &second, 0), DOC_REAL);
    size_t at = second.first + second.count;
    assert_false(doc_table_next(&d, &at, &first));
    document_release(&d);
    d = doc_reads("n.csv", "1,2\n3,4\n");
    first = table_of(&d, 0);
    assert_int_equal(first.header, -1);
    assert_int_equal(first.count, 2);
    document_release(&d);
    d = doc_reads("bar.csv", "a;b\n\"x | y\";\"z|\"\n"); /* a bar inside a cell is text */
    assert_string_equal(cell(&d, 1, 0), "x | y");
    document_release(&d);
}

static void lesson_rag_42_workbook_sums_are_exact(void **state)
{
    struct buf sheet = BUF_INIT;
    long want = 0;
    double sum = 0;
    buf_puts(&sheet, "<worksheet><sheetData><row r=\"1\"><c t=\"inlineStr\"><is><t>id</t></is></c>"
                     "<c t=\"inlineStr\"><is><t>amount</t></is></c></row>");
    for (int i = 1; i <= 1002; i++) {
        buf_printf(&sheet, "<row r=\"%d\"><c r=\"A%d\"><v>%d</v></c><c r=\"B%d\"><v>%d</v></c></row>",
                   i + 1, i + 1, i, i + 1, i * 7);
        want += i * 7;
    }
    buf_puts(&sheet, "</sheetData></worksheet>");
    const struct part parts[] = {
        {"xl/workbook.xml", "<w xmlns:r=\"r\"><sheet name=\"S\" r:id=\"a\"/></w>", 0},
        {"xl/_rels/workbook.xml.rels",
         "<r><Relationship Id=\"a\" Type=\"t/worksheet\" Target=\"s.xml\"/></r>", 0},
        {"xl/s.xml", sheet.data, sheet.len}};
    struct buf file = zip_make(parts, 3);
    struct document d = doc_read("sum.xlsx", file.data, file.len);
    struct doc_table t = table_of(&d, 0);
    assert_int_equal(t.count, 1002);
    assert_int_equal(doc_column_type(&d, &t, 1), DOC_INTEGER);
    for (size_t i = 0; i < t.count; i++) {
        size_t len;
        double v = 0;
        const char *s = doc_cell_text(&d, t.first + i, 1, &len);
        assert_true(s && doc_number(s, len, &v));
        sum += v;
    }
    assert_true(sum == (double)want);
    document_release(&d);
    buf_release(&file);
    buf_release(&sheet);
}

/* Excel's day counts: the 29th of February 1900 that never was, both epochs, times, both ends. */
static void days_of_workbooks(void **state)
{
    static const struct {
        const char *value, *style, *want;
        bool y1904;
    } cases[] = {{"1", "1", "1900-01-01", false},        {"59", "1", "1900-02-28", false},
                 {"61", "1", "1900-03-01", false},       {"45356", "1", "2024-03-05", false},
                 {"2958465", "1", "9999-12-31", false},  {"43894", "1", "2024-03-05", true},
                 {"0", "1", "1904-01-01", true},         {"45356.354166666664", "2", "2024-03-05 08:30", false},
                 {"0.5", "3", "12:00", false},           {"1.25", "3", "30:00", false},
                 {"45356.99999999", "1", "2024-03-06", false}, {"-1", "1", "-1", false},
                 {"45356", "0", "45356", false},         {"0.125", "4", "12.5%", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf sheet = BUF_INIT, book = BUF_INIT;
        buf_printf(&sheet, "<s><row><c s=\"%s\"><v>%s</v></c></row></s>", cases[i].style, cases[i].value);
        buf_printf(&book, "<w xmlns:r=\"r\"><workbookPr date1904=\"%d\"/><sheet name=\"S\" r:id=\"a\"/></w>",
                   cases[i].y1904);
        const struct part parts[] = {
            {"xl/workbook.xml", book.data, 0},
            {"xl/_rels/workbook.xml.rels",
             "<r><Relationship Id=\"a\" Type=\"t/worksheet\" Target=\"s.xml\"/>"
             "<Relationship Id=\"b\" Type=\"t/styles\" Target=\"y.xml\"/></r>", 0},
            {"xl/y.xml", "<y><numFmt numFmtId=\"170\" formatCode=\"yyyy&quot;h&quot;\\-mm\"/><cellXfs>"
                         "<xf numFmtId=\"0\"/><xf numFmtId=\"170\"/><xf numFmtId=\"22\"/>"
                         "<xf numFmtId=\"46\"/><xf numFmtId=\"10\"/></cellXfs></y>", 0},
            {"xl/s.xml", sheet.data, 0}};
        struct buf file = zip_make(parts, 4);
        struct document d = doc_read("day.xlsx", file.data, file.len);
        if (strcmp(block_text(&d, 1), cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].value, block_text(&d, 1), cases[i].want);
        document_release(&d);
        buf_release(&file);
        buf_release(&sheet);
        buf_release(&book);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_rag_06_html_merged_cells_once),
        cmocka_unit_test(types_of_columns),
        cmocka_unit_test(numbers_and_what_only_looks_like_one),
        cmocka_unit_test(tables_are_told_apart),
        cmocka_unit_test(lesson_rag_42_workbook_sums_are_exact),
        cmocka_unit_test(days_of_workbooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
