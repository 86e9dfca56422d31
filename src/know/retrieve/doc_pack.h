/* doc_pack.h: a parsed document's blocks as bytes for the store, so that passages can be cut anew
 * without its file. */
#ifndef RETRIEVE_DOC_PACK_H
#define RETRIEVE_DOC_PACK_H
#include "core/base/buf.h"
#include "know/doc/doc.h"

bool doc_pack(const struct document *d, struct buf *out);
/* Makes d->blocks (mem_free). False for bytes that doc_pack does not write or blocks outside a text
 * of that length. */
bool doc_unpack(const void *bytes, size_t len, size_t text_len, struct document *d);
#endif
