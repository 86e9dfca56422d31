/* fuzz_doc.h: bytes through one parser, in this process, and what must hold for whatever comes
 * out. */
#ifndef TEST_FUZZ_DOC_H
#define TEST_FUZZ_DOC_H
#include "core/base/buf.h"
#include "fuzz.h"

void fuzz_doc(const char *name, const uint8_t *data, size_t size);

/* An uncompressed ZIP archive with right checksums, so that what is inside gets its turn. */
struct fuzz_part {
    const char *name;
    const uint8_t *data;
    size_t size;
};
void fuzz_zip(const struct fuzz_part *parts, size_t count, struct buf *out);
#endif
