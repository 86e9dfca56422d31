/* docfmt.h: the row of a format, and what a parser gets to read. One file a format, named
 * doc_NAME.c. */
#ifndef KNOW_DOC_DOCFMT_H
#define KNOW_DOC_DOCFMT_H
#include <stdbool.h>
#include <stddef.h>
#include "know/doc/builder.h"
#include "sooth/error.h"

struct doc_input {
    const char *name;          /* as the caller gave it; for its extension and for nothing else */
    const unsigned char *data; /* the whole file; for a format with a tool, what the tool printed */
    size_t len;
    const char *encoding; /* forced, or NULL */
};

/* Parsers run in the worker: they may be slow or fail, but read nothing but their input. Messages
 * carry no path: the caller puts it in front. */
struct docfmt {
    const char *name;
    const char *about;      /* half a line for listings */
    const char *extensions; /* lower case, blanks between: "htm html" */
    bool zip;               /* its files are (or may be) ZIP archives */
    /* How sure the content alone makes it, 0..100; NULL = only by extension. */
    int (*sniff)(const unsigned char *data, size_t len);
    enum sooth_status (*parse)(const struct doc_input *in, struct builder *b,
                               struct sooth_error *err);
    /* Programs that turn the file into what parse reads, each fed what the one before printed; NULL for
     * most. argv's, NULL-terminated; "{languages}" and "{page}" are filled in, and a program that wants a
     * page is left out when the job has none. */
    const char *const *const *tools;
    const char *tool_package; /* for the hint when it is missing */
    /* What the tool's complaint means; NULL when it has no special cases. */
    enum sooth_status (*tool_failed)(int exit_code, const char *complaint, struct sooth_error *err);
};

const struct docfmt *docfmt_find(const char *name); /* NULL if there is none */
bool docfmt_extension(const struct docfmt *f, const char *name);
/* Content first where it is certain (a PDF named .txt), then the extension, then content that is
 * only likely. */
enum sooth_status docfmt_choose(const char *name, const unsigned char *data, size_t len,
                                const struct docfmt **out, struct sooth_error *err);

/* Shared by formats that hold another one: HTML inside EPUB and Markdown; text from bytes. */
enum sooth_status docfmt_html_walk(const char *html, size_t len, struct builder *b,
                                   struct sooth_error *err);
/* UTF-8 as plain text: paragraphs, headings, mended wraps. */
enum sooth_status docfmt_text_walk(const char *text, size_t len, struct builder *b,
                                   struct sooth_error *err);
/* The input as UTF-8 in a fresh buf (any encoding, byte order mark removed), its encoding noted in
 * b. */
enum sooth_status docfmt_decode(const struct doc_input *in, struct builder *b, struct buf *text,
                                struct sooth_error *err);
#endif
