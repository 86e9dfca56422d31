/* fuzz_docx.c: any bytes as the main part of a Word file; a whole archive when they start like
 * one. */
#include <string.h>
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char styles[] = "<s><style styleId=\"H\"><name val=\"heading 1\"/></style></s>";
    const struct fuzz_part parts[] = {
        {"word/styles.xml", (const uint8_t *)styles, sizeof styles - 1},
        {"word/document.xml", data, size}};
    struct buf file = BUF_INIT;
    if (size > 4 && memcmp(data, "PK\3\4", 4) == 0) {
        fuzz_doc("x.docx", data, size);
        return 0;
    }
    fuzz_zip(parts, 2, &file);
    fuzz_doc("x.docx", (const uint8_t *)file.data, file.len);
    buf_release(&file);
    return 0;
}
