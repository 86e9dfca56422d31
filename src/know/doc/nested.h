/* nested.h: the files inside a file, and its pictures. See nested.c. */
#ifndef KNOW_DOC_NESTED_H
#define KNOW_DOC_NESTED_H
#include "know/doc/doc.h"

/* Parses the parts that the worker handed over and leaves none of them in d: members become
 * d->members. What is wrong with one part is said of that part; only lack of memory fails. */
enum sooth_status nested_read(struct document *d, const char *name, const struct doc_options *opt,
                              struct sooth_error *err);
#endif
