/* docwire.h: a document as bytes, from the worker to its parent. The parent trusts none of them. */
#ifndef KNOW_DOC_DOCWIRE_H
#define KNOW_DOC_DOCWIRE_H
#include "core/base/buf.h"
#include "know/doc/doc.h"

/* Appends the outcome: the document when status is SOOTH_OK, else the error. False when out of
 * memory. */
bool docwire_put(struct buf *out, enum sooth_status status, const struct document *d,
                 const struct sooth_error *e);
/* Reads it back, checking every count, order and bound; returns the status that was put, or
 * INTERNAL for bytes that no honest worker writes. */
enum sooth_status docwire_get(const unsigned char *data, size_t len, struct document *out,
                              struct sooth_error *err);
#endif
