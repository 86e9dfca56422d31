/* fuzz_epub.c: any bytes as the package file and a chapter of a book, parted by a line "==". */
#include <string.h>
#include "fuzz_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char container[] = "<c><rootfile full-path=\"a/p.opf\"/></c>";
    const uint8_t *cut = size ? memmem(data, size, "\n==\n", 4) : NULL;
    size_t head = cut ? (size_t)(cut - data) : size;
    const struct fuzz_part parts[] = {
        {"META-INF/container.xml", (const uint8_t *)container, sizeof container - 1},
        {"a/p.opf", data, head},
        {"a/c.html", cut ? cut + 4 : data, cut ? size - head - 4 : 0}};
    struct buf file = BUF_INIT;
    fuzz_zip(parts, 3, &file);
    fuzz_doc("x.epub", (const uint8_t *)file.data, file.len);
    buf_release(&file);
    return 0;
}
