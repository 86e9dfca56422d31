/* splice.h: blocks of other documents set into one, others taken out. See splice.c. */
#ifndef KNOW_DOC_SPLICE_H
#define KNOW_DOC_SPLICE_H
#include "know/doc/doc.h"

struct splice {
    size_t after;                /* how many of the old blocks stand before it; ascending in the list */
    uint32_t page;               /* of the new blocks; 0 where there are none */
    const struct document *from; /* its blocks are set in */
    bool picture;                /* they are DOC_PICTURE, whatever they were */
};

/* Rewrites d: its blocks without those of drop (NULL = none; [block_count]), with those of the list.
 * Headings, header rows, cells, pages follow. d is unchanged on failure (NOMEM). */
enum sooth_status document_splice(struct document *d, const struct splice *list, size_t n,
                                  const bool *drop, struct sooth_error *err);
#endif
