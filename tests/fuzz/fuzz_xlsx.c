/* fuzz_xlsx.c: any bytes as the first sheet of a workbook; a whole archive when they start like one. */
#include <string.h>
#include "fuzz_doc.h"

#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fuzz_part parts[] = {
        {"xl/workbook.xml", TEXT("<w xmlns:r=\"r\"><sheet name=\"S\" r:id=\"a\"/></w>")},
        {"xl/_rels/workbook.xml.rels",
         TEXT("<r><Relationship Id=\"a\" Type=\"t/worksheet\" Target=\"s.xml\"/>"
              "<Relationship Id=\"b\" Type=\"t/styles\" Target=\"y.xml\"/>"
              "<Relationship Id=\"c\" Type=\"t/sharedStrings\" Target=\"t.xml\"/></r>")},
        {"xl/y.xml", TEXT("<s><numFmt numFmtId=\"200\" formatCode=\"yyyy\"/><cellXfs><xf numFmtId=\"0\"/>"
                          "<xf numFmtId=\"200\"/><xf numFmtId=\"9\"/><xf numFmtId=\"20\"/></cellXfs></s>")},
        {"xl/t.xml", TEXT("<t><si><t>one</t></si><si><r><t>two</t></r></si></t>")},
        {"xl/s.xml", data, size}};
    struct buf file = BUF_INIT;
    if (size > 4 && memcmp(data, "PK\3\4", 4) == 0) {
        fuzz_doc("x.xlsx", data, size);
        return 0;
    }
    fuzz_zip(parts, 5, &file);
    fuzz_doc("x.xlsx", (const uint8_t *)file.data, file.len);
    buf_release(&file);
    return 0;
}
