/* mime.h: one mail message into a document. See mime.c. */
#ifndef KNOW_DOC_MIME_H
#define KNOW_DOC_MIME_H
#include "know/doc/docfmt.h"

/* Writes the message's headers and text; attachments become parts, their names behind `prefix` ("" or
 * "12/"). */
enum sooth_status mime_message(const char *data, size_t len, const char *prefix, struct builder *b,
                               struct sooth_error *err);
/* How many of the first lines are headers that mail has; 0 when the first is none. */
unsigned mime_header_count(const unsigned char *data, size_t len);
#endif
