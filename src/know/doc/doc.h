/* doc.h: documents in, structured text out. The front door of the parsers.
 *
 * A file of any supported format becomes one UTF-8 text and a list of blocks that cover it:
 * headings, paragraphs, list items, table rows, code. Every offset anywhere in the house that says
 * "byte span in the document" counts bytes of `text` here. The text holds no NUL, no other C0
 * control but '\n' and '\t', no lone surrogate, no zero-width or bidirectional control; the
 * cleaning is done before any offset is counted.
 *
 *   text   "User manual\n\nThe tank holds 1.5 litres.\n\npart | price\nfilter | 12 EUR"
 *   blocks  [heading 1  ]  [paragraph             ]  [table row ][table row     ]   header of row 2
 *           = row 1
 *
 * Inside a paragraph '\n' is a break the author meant; line ends that only wrap prose are already
 * mended ("capabili-/ties" is one word, Han/Han joins without a space). Table rows are "cell |
 * cell"; a merged cell has its text once and leaves the other places empty, so columns stay in line.
 *
 * A file may hold others (an archive, a mail with attachments): each is a member with its own
 * document and its path inside the file.
 *
 * Parsing happens in a worker process without network, files or much memory
 * (docs/decisions/sandbox.md), so a broken or hostile file costs one error line. Thread use: all
 * functions are safe from any thread. */
#ifndef KNOW_DOC_H
#define KNOW_DOC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "sooth/error.h"

enum doc_kind {
    DOC_HEADING,
    DOC_PARAGRAPH,
    DOC_LIST_ITEM,
    DOC_TABLE_ROW,
    DOC_CODE, /* keeps its line ends and blanks; also fenced code and source files */
    DOC_CAPTION,
    DOC_QUOTE,  /* also the notes under a slide */
    DOC_PICTURE /* what a picture says: its description, the words in it */
};

struct doc_block {
    size_t start, end; /* bytes of document.text, start < end; blocks ascend and do not overlap */
    int32_t
        heading; /* index of the heading block this one stands under (of a heading: its parent), or -1 */
    int32_t
        header; /* of a table row: index of the block that is its header row, or -1 (and of the header) */
    uint32_t page; /* physical page from 1; 0 where the format has no pages */
    uint8_t kind;  /* enum doc_kind */
    uint8_t level; /* heading: 1..9; list item: nesting from 1; else 0 */
};

struct doc_page {
    size_t start, end; /* bytes of document.text; start == end for a page without text */
    size_t chars;      /* characters on it that are not blank */
    float quality;     /* 0..1: how much of it can be trusted as text; of OCR its mean confidence */
    char *label; /* the page number as printed where it differs from the physical one, else NULL */
};

struct doc_cell { /* what one cell of a table row says; empty cells are not listed */
    uint32_t start, end; /* bytes of document.text */
    uint32_t block;      /* its row */
    uint32_t column;     /* from 0 */
};

struct doc_meta { /* what a file says of itself: "from", "to", "date" of a mail ... */
    char *key, *value;
};

/* Bytes inside the file that want a parser of their own. Worker to parent only: documents that the
 * functions below give have none left. */
enum doc_part_kind { DOC_PART_MEMBER, DOC_PART_PICTURE };
struct doc_part {
    char *name; /* path inside the file, cleaned: relative, no ".." */
    unsigned char *data;
    size_t len;
    uint32_t after; /* of a picture: how many blocks stand before it */
    uint8_t kind;
};

struct doc_member;

struct document {
    char *title; /* from the file's own metadata or its first heading; NULL when there is none */
    const char *format; /* name of the format's row: "pdf", "html", ...; static */
    char *
        encoding; /* the character encoding that was found or told: "utf-8", "gb18030", ...; NULL if binary */
    char *text; /* UTF-8, NUL-terminated */
    size_t text_len;
    struct doc_block *blocks;
    size_t block_count;
    struct doc_page *pages; /* pages[i] is physical page i+1 */
    size_t page_count;      /* 0 where the format has no pages */
    char **warnings;        /* sentences for a person: "page 3 has no text", ... */
    size_t warning_count;
    size_t empty_pages; /* pages without text */
    bool no_text;       /* nothing to read in the whole file (a scan, an empty page): say so */
    struct doc_cell *cells; /* ascending */
    size_t cell_count;
    struct doc_meta *meta;
    size_t meta_count;
    struct doc_part *parts;
    size_t part_count;
    struct doc_member *members; /* files inside this file, nested ones too: "a.zip/b.docx" */
    size_t member_count;
};

struct doc_member {
    char *name;               /* path inside the file, '/' between */
    size_t bytes;             /* unpacked */
    char hash[65];            /* SHA-256 of them, hex */
    enum sooth_status status; /* of parsing it; the file itself was read all the same */
    struct sooth_error why;
    struct document document; /* empty unless status is SOOTH_OK; has no members of its own */
};

struct doc_options {
    const char *encoding; /* use this one and do not detect; NULL = detect */
    const char *
        format; /* name of a format's row to use whatever the name says; NULL = by name and content */
    uint64_t max_file;    /* bytes; 0 = 256 MiB */
    uint64_t max_memory;  /* bytes a worker may map; 0 = 1 GiB */
    unsigned max_seconds; /* wall clock (and processor) seconds a file; 0 = 60 */
    const char *ocr;      /* "auto" (also NULL), "always", "never": text in scanned pages and pictures */
    /* Called after each page or picture that was read by OCR; false stops (CANCELLED). */
    bool (*on_page)(void *user, size_t done, size_t total);
    void *user;
};

/* Parses one regular file. opt may be NULL. On failure *out is empty (releasing it is harmless) and
 * err holds one line with the path in it: NOTFOUND and IO for the file itself, UNSUPPORTED for a
 * format nobody here reads, FORMAT for broken content, LIMIT for bombs and time, ARG for an unknown
 * encoding. A file that reads well but holds no text is SOOTH_OK with no_text set. */
enum sooth_status doc_parse_file(const char *path, const struct doc_options *opt,
                                 struct document *out, struct sooth_error *err);
/* The same for bytes at hand (standard input, an upload); `name` stands for the path and picks the
 * format. */
enum sooth_status doc_parse_bytes(const char *name, const void *bytes, size_t len,
                                  const struct doc_options *opt, struct document *out,
                                  struct sooth_error *err);
void document_release(struct document *d);
/* Adds a warning; false when out of memory. */
bool document_warn(struct document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True when some format claims this file name by its extension: what `add DIR` picks up without
 * being told. */
bool doc_name_known(const char *name);
bool doc_name_picture(const char *name); /* and it says something only with OCR */
bool doc_ocr_ready(void);                /* the program that reads pictures is installed */
/* "auto" (also NULL), "always", "never" is OK; another word ARG; "always" where nothing can read pictures
 * UNSUPPORTED with a hint. */
enum sooth_status doc_ocr_check(const char *mode, struct sooth_error *err);
/* The rows, for listings: name, extensions ("htm html xhtml") and half a line about format i; false
 * past the end. Any of the pointers may be NULL. */
bool doc_format_at(size_t i, const char **name, const char **extensions, const char **about);

/* Appends "Chapter > Section > Part", the headings above block i (not itself), to out; nothing if
 * there are none. */
bool doc_heading_path(const struct document *d, size_t block, const char *separator,
                      struct buf *out);
/* Physical page (from 1) that holds the byte offset; 0 where there are none. */
uint32_t doc_page_at(const struct document *d, size_t offset);
const char *doc_kind_name(unsigned kind);

/* --- tables (doc_table.c): rows as typed columns, for those who calculate with them
 * ------------------------------------------------------------------------------------ */

enum doc_type { DOC_INTEGER, DOC_REAL, DOC_DATE, DOC_TEXT }; /* DOC_DATE: YYYY-MM-DD[ HH:MM[:SS]] */
struct doc_table {
    size_t first, count; /* its rows without the header: blocks [first, first + count) */
    int32_t header;      /* block of the header row, or -1 */
    uint32_t columns;
};
/* The next table at or behind block *at (start with 0), *at moved past it; false when there is none.
 */
bool doc_table_next(const struct document *d, size_t *at, struct doc_table *out);
/* The text of a cell; NULL (and *len 0) when it is empty. */
const char *doc_cell_text(const struct document *d, size_t block, uint32_t column, size_t *len);
/* The narrowest type that every cell of the column has; a column of empty cells is DOC_TEXT. */
enum doc_type doc_column_type(const struct document *d, const struct doc_table *t, uint32_t column);
/* "1,234.50", "-3", "12 %" (0.12), "EUR 5": true and the value when the text is one number. */
bool doc_number(const char *text, size_t len, double *out);
#endif
