/* encoding.h: which character encoding a file is in, and its text as UTF-8. */
#ifndef KNOW_DOC_ENCODING_H
#define KNOW_DOC_ENCODING_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/buf.h"
#include "sooth/error.h"

struct encoding_guess {
    const char *name; /* "utf-8", "gb18030", ...; NULL when the bytes are no text at all */
    size_t bom;       /* bytes of byte order mark to skip */
    double score;     /* -3..1 a byte; 1 for what is certain */
};

/* Reads all of data. `declared` is what the file says of itself (an HTML meta, an XML declaration)
 * or NULL; it is believed when the bytes agree with it. */
void encoding_detect(const unsigned char *data, size_t len, const char *declared,
                     struct encoding_guess *out);

/* Appends data as UTF-8. forced (may be NULL) overrides detection and must be a known name (else
 * ARG). name gets the encoding used; *bad the sequences that were not valid in it. No text at all:
 * FORMAT. */
enum sooth_status encoding_decode(const unsigned char *data, size_t len, const char *forced,
                                  const char *declared, struct buf *out, char name[32], size_t *bad,
                                  struct sooth_error *err);
#endif
