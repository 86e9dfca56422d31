/* doc_ocr.c: text in a picture, from what tesseract prints (its TSV form).
 *
 *   level page_num block_num par_num line_num word_num left top width height conf text
 *   5     1        2         1       1        3        324  249 34    19     96.4 an
 *
 * Words of one (block, par) are a paragraph, those of one line_num a line; between two Han characters no
 * blank is written. A word with less than 30 of 100 points of confidence is left out: a fold of the paper,
 * a leaf, a letter taken for another. The page's quality is the mean confidence of all words, each weighted
 * by its characters, so what was left out counts against it:
 *
 *   quality = sum(conf_w * chars_w) / (100 * sum(chars_w))
 *
 * The row is a step that ocr.c asks for, not a format of files: of a picture, or of one page of a PDF,
 * which pdftoppm draws with 2,400 pixels on its longer side (A4 at 200 dots an inch). */
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "know/doc/docfmt.h"

enum { COLUMNS = 12, CONFIDENCE_LEAST = 30 };

struct word {
    long block, paragraph, line;
    double confidence;
    const char *text;
    size_t len;
};

/* One line of the table; false for lines that are no word. */
static bool word_read(const char *s, size_t len, struct word *w)
{
    const char *field[COLUMNS];
    size_t n = 0;
    field[n++] = s;
    for (size_t i = 0; i < len && n < COLUMNS; i++)
        if (s[i] == '\t')
            field[n++] = s + i + 1;
    if (n < COLUMNS || strtol(field[0], NULL, 10) != 5)
        return false;
    *w = (struct word){.block = strtol(field[2], NULL, 10),
                       .paragraph = strtol(field[3], NULL, 10),
                       .line = strtol(field[4], NULL, 10),
                       .confidence = strtod(field[10], NULL),
                       .text = field[11],
                       .len = (size_t)(s + len - field[11])};
    while (w->len > 0 && strchr(" \r", w->text[w->len - 1]) != NULL)
        w->len--;
    return w->len > 0;
}

static size_t characters(const struct word *w)
{
    size_t n = 0;
    for (size_t i = 0, used; i < w->len; i += used, n++)
        utf8_decode(w->text + i, w->len - i, &used);
    return n;
}

static enum sooth_status ocr_parse(const struct doc_input *in, struct builder *b,
                                   struct sooth_error *err)
{
    struct word w, last = {.block = -1};
    const char *s = (const char *)in->data, *end = s + in->len;
    double sum = 0, weight = 0;
    builder_page(b);
    while (s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t len = nl != NULL ? (size_t)(nl - s) : (size_t)(end - s);
        bool word = word_read(s, len, &w);
        if (word) {
            double n = (double)characters(&w);
            sum += w.confidence / 100 * n;
            weight += n;
        }
        if (word && w.confidence >= CONFIDENCE_LEAST) {
            size_t used;
            if (w.block != last.block || w.paragraph != last.paragraph)
                builder_open(b, DOC_PARAGRAPH, 0);
            else if (w.line != last.line)
                builder_text(b, "\n", 1);
            else if (!builder_unspaced(b->last) || !builder_unspaced(utf8_decode(w.text, w.len, &used)))
                builder_text(b, " ", 1);
            builder_text(b, w.text, w.len);
            last = w;
        }
        s += len + (nl != NULL);
    }
    builder_close(b);
    if (b->pages.count > 0)
        b->pages.items[0].quality = weight > 0 && sum > 0 ? (float)(sum / weight < 1 ? sum / weight : 1) : 0;
    return SOOTH_OK;
}

static enum sooth_status ocr_failed(int exit_code, const char *complaint, struct sooth_error *err)
{
    if (strstr(complaint, "Failed loading language") || strstr(complaint, "TESSDATA")) {
        err_set(err, SOOTH_ERR_UNSUPPORTED, "tesseract has no data for these languages");
        return err_hint(err, "install the packages 'tesseract-ocr-eng' and 'tesseract-ocr-chi-sim'");
    }
    return err_set(err, SOOTH_ERR_FORMAT, "it is not a whole picture");
}

static const char *const draw_tool[] = {"pdftoppm", "-f",        "{page}", "-l", "{page}",
                                        "-gray",    "-scale-to", "2400",   "-",  NULL};
static const char *const read_tool[] = {"tesseract", "stdin", "stdout", "-l", "{languages}", "tsv", NULL};
static const char *const *const ocr_tools[] = {draw_tool, read_tool, NULL};

const struct docfmt docfmt_ocr = {
    .name = "ocr",
    .about = "a step: text in a picture or on a drawn page",
    .extensions = "",
    .parse = ocr_parse,
    .tools = ocr_tools,
    .tool_package = "tesseract-ocr",
    .tool_failed = ocr_failed,
};
