/* pdfpage.h: the words of a PDF with their places, as the PDF tool prints them, and the order to
 * read them in. */
#ifndef KNOW_DOC_PDFPAGE_H
#define KNOW_DOC_PDFPAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/buf.h"
#include "core/base/vec.h"

/* Points (1/72 inch), y downwards. */
struct pdf_box {
    float x0, y0, x1, y1;
};

/* Words side by side without a wide gap: a line of a column, or a cell of a table. */
struct pdf_line {
    struct pdf_box box;
    float size;       /* height of its letters (the median word) */
    size_t text, len; /* in pdf.text */
    uint32_t wide;    /* width in columns: Han counts 2 */
    bool head;        /* a running head or page number: not part of the text */
    bool upright;     /* false: rotated text */
};

struct pdf_sheet {
    float width, height;
    size_t first, count; /* its lines */
};

struct pdf {
    struct buf text, title;
    VEC(struct pdf_line) lines;
    VEC(struct pdf_sheet) sheets;
    float body;  /* commonest letter height, by characters */
    bool failed; /* out of memory */
};

/* Reads `pdftotext -bbox-layout` output; what makes no sense in it is skipped. */
void pdf_read(struct pdf *p, const char *s, size_t len);
void pdf_release(struct pdf *p);

/* The reading order of one page is a list of steps. */
enum pdf_step_kind {
    PDF_LINE,   /* a line that goes on in the column of the line before */
    PDF_COLUMN, /* a line that starts another column or zone */
    PDF_TABLE,  /* a table begins; no line */
    PDF_ROW, /* the first line of the first cell that is not empty in a new row; `column` tells which */
    PDF_CELL, /* a line of cell `column` of the same row */
    PDF_END   /* the table ends; no line */
};
struct pdf_step {
    enum pdf_step_kind kind;
    uint32_t line;   /* index in pdf.lines */
    uint32_t column; /* of a table, from 0 */
};
struct pdf_order {
    VEC(struct pdf_step) steps;
};
/* Fills order with the lines of a sheet that are no running heads; false when out of memory. */
bool pdf_order_find(const struct pdf *p, const struct pdf_sheet *sheet, struct pdf_order *order);
#endif
