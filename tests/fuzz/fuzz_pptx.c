/* fuzz_pptx.c: any bytes as the only slide of a show; a whole archive when they start like one. */
#include <string.h>
#include "fuzz_doc.h"

#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fuzz_part parts[] = {
        {"ppt/presentation.xml", TEXT("<p xmlns:r=\"r\"><sldId id=\"1\" r:id=\"a\"/></p>")},
        {"ppt/_rels/presentation.xml.rels",
         TEXT("<r><Relationship Id=\"a\" Type=\"t/slide\" Target=\"s.xml\"/></r>")},
        {"ppt/_rels/s.xml.rels", TEXT("<r><Relationship Id=\"b\" Type=\"t/notesSlide\" Target=\"s.xml\"/>"
                                      "<Relationship Id=\"c\" Type=\"t/image\" Target=\"i.png\"/></r>")},
        {"ppt/i.png", TEXT("\x89PNG")},
        {"ppt/s.xml", data, size}};
    struct buf file = BUF_INIT;
    if (size > 4 && memcmp(data, "PK\3\4", 4) == 0) {
        fuzz_doc("x.pptx", data, size);
        return 0;
    }
    fuzz_zip(parts, 5, &file);
    fuzz_doc("x.pptx", (const uint8_t *)file.data, file.len);
    buf_release(&file);
    return 0;
}
