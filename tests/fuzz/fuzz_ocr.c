/* fuzz_ocr.c: any bytes as what the OCR tool prints. */
#include <assert.h>
#include "core/base/alloc.h"
#include "fuzz_doc.h"
#include "know/doc/docfmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct builder b;
    struct document d = {0};
    struct sooth_error err = {0};
    char *exact = mem_dup(data, size);
    struct doc_input in = {"page", (const unsigned char *)exact, size, NULL};
    builder_init(&b);
    if (exact && docfmt_find("ocr")->parse(&in, &b, &err) == SOOTH_OK)
        assert(builder_finish(&b, &d, &err) == SOOTH_OK);
    document_release(&d);
    builder_release(&b);
    mem_free(exact);
    return 0;
}
