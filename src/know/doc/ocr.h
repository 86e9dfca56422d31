/* ocr.h: text in scanned pages and pictures. See ocr.c. */
#ifndef KNOW_DOC_OCR_H
#define KNOW_DOC_OCR_H
#include "know/doc/doc.h"

enum ocr_mode { OCR_AUTO, OCR_ALWAYS, OCR_NEVER };
/* "auto" (also NULL), "always", "never"; ARG for another word, UNSUPPORTED (with a hint) for "always" where
 * tesseract is not installed. */
enum sooth_status ocr_mode_parse(const char *name, enum ocr_mode *out, struct sooth_error *err);
/* Reads the pages and pictures of d that want it, and takes the pictures' bytes away. fd: the file itself.
 * What is wrong with one picture costs that picture; CANCELLED when opt->on_page said stop. */
enum sooth_status ocr_read(struct document *d, int fd, const char *name,
                           const struct doc_options *opt, struct sooth_error *err);
#endif
