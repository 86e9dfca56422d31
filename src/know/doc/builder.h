/* builder.h: how a parser writes its document: open a block, add characters, close it.
 *
 * All cleaning of text happens here, before any offset exists: NUL and other controls, zero-width
 * and bidirectional controls, soft hyphens and lone surrogates go; ligatures (U+FB00..06) become
 * their letters; white space collapses; a line end between two Chinese or Japanese characters
 * leaves nothing, elsewhere one blank. Failures are sticky: parsers write on and the end
 * reports. */
#ifndef KNOW_DOC_BUILDER_H
#define KNOW_DOC_BUILDER_H
#include "core/base/buf.h"
#include "core/base/vec.h"
#include "know/doc/doc.h"

#define BUILDER_MAX_LEVEL 9

struct builder {
    struct buf text;
    struct buf title;
    VEC(struct doc_block) blocks;
    VEC(struct doc_page) pages;
    VEC(char *) warnings;
    struct doc_block block;          /* the open block */
    bool open, raw;                  /* raw: white space is kept (code, plain text) */
    bool gap, gap_newline, gap_wide; /* white space seen since the last character */
    uint32_t last;                   /* last character written to the open block, 0 = none */
    int32_t headings[BUILDER_MAX_LEVEL + 1]; /* innermost heading block per level, -1 = none */
    int32_t table_header;                    /* header row of the open table, or -1 */
    size_t table_rows;                       /* rows of the open table that left a block */
    bool header_row;                         /* the open row heads the table */
    char encoding[32];
    VEC(struct doc_cell) cells;
    size_t row_cells;         /* cells.count when the open row began */
    uint32_t column;          /* of the open row */
    bool cell_open;           /* the cell has a character */
    VEC(struct doc_meta) meta;
    VEC(struct doc_part) parts;
    size_t part_bytes;
    bool failed; /* out of memory or over the text limit */
};

void builder_init(struct builder *b);
void builder_release(struct builder *b);

void builder_open(struct builder *b, enum doc_kind kind,
                  unsigned level); /* closes the one before */
void builder_open_raw(struct builder *b, enum doc_kind kind, unsigned level);
void builder_close(struct builder *b); /* an empty block leaves no trace */
/* Characters of the open block (a paragraph is opened when none is). Bytes that are not UTF-8
 * become U+FFFD. */
void builder_text(struct builder *b, const char *s, size_t len);
void builder_puts(struct builder *b, const char *s);
void builder_break(struct builder *b); /* a line break that is meant */

void builder_table_begin(struct builder *b);
void builder_row(struct builder *b,
                 bool header);        /* opens a row; the first header row heads the others */
void builder_cell(struct builder *b); /* ends a cell: the next character starts another one */
void builder_cells(struct builder *b, unsigned n); /* the same n times: a merged cell, a gap */
void builder_table_end(struct builder *b);

void builder_page(struct builder *b); /* closes the open block and starts the next physical page */
void builder_page_label(struct builder *b, const char *label); /* of the page just started */
void builder_title(struct builder *b, const char *s,
                   size_t len); /* the first that is not blank wins */
void builder_encoding(struct builder *b, const char *name);
void builder_warn(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of the file's own description; what is blank leaves no trace. */
void builder_meta(struct builder *b, const char *key, const char *value, size_t len);
/* Bytes that want their own parser; the name is cleaned (builder_path). Over 4,096 parts or 256 MiB
 * of them is a warning and they are left out. */
void builder_part(struct builder *b, enum doc_part_kind kind, const char *name, const void *data,
                  size_t len);
/* A path from inside a file as a harmless relative one: no "..", no leading '/', '\\' is '/', UTF-8.
 * Appended to out; nothing when nothing is left of it. */
void builder_path(const char *name, size_t len, struct buf *out);

/* Moves the result to out and leaves b empty. NOMEM or LIMIT when something failed on the way. */
enum sooth_status builder_finish(struct builder *b, struct document *out, struct sooth_error *err);

/* A character that vanishes from documents: controls, zero-width, bidirectional marks, tags. `last`
 * is the character before it: joiners stay inside emoji and in scripts that need them. */
bool builder_hidden(uint32_t c, uint32_t last);
/* A script written without blanks between words (Han, kana and their punctuation). */
bool builder_unspaced(uint32_t c);
#endif
