/* builder.c: writing a document block by block; the only place where text is cleaned.
 *
 * Between blocks the text gets "\n\n", between two list items or two rows of a table "\n": the text
 * reads well by itself and block boundaries are never inside a word. Headings keep a stack: a
 * heading of level n stands under the nearest earlier one of a lower level, and so does everything
 * up to the next heading. */
#include "know/doc/builder.h"
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

#define TEXT_MAX ((size_t)256 << 20)
#define WARNINGS_MAX 50
#define BLOCKS_MAX 4000000
#define PARTS_MAX 4096
#define PART_BYTES_MAX ((size_t)256 << 20)

void builder_init(struct builder *b)
{
    memset(b, 0, sizeof *b);
    buf_init(&b->text, TEXT_MAX);
    buf_init(&b->title, 1024);
    for (size_t i = 0; i <= BUILDER_MAX_LEVEL; i++)
        b->headings[i] = -1;
    b->table_header = -1;
}

void builder_release(struct builder *b)
{
    buf_release(&b->text);
    buf_release(&b->title);
    vec_free(&b->blocks);
    for (size_t i = 0; i < b->pages.count; i++)
        mem_free(b->pages.items[i].label);
    vec_free(&b->pages);
    for (size_t i = 0; i < b->warnings.count; i++)
        mem_free(b->warnings.items[i]);
    vec_free(&b->warnings);
    vec_free(&b->cells);
    for (size_t i = 0; i < b->meta.count; i++) {
        mem_free(b->meta.items[i].key);
        mem_free(b->meta.items[i].value);
    }
    vec_free(&b->meta);
    for (size_t i = 0; i < b->parts.count; i++) {
        mem_free(b->parts.items[i].name);
        mem_free(b->parts.items[i].data);
    }
    vec_free(&b->parts);
}

bool builder_hidden(uint32_t c, uint32_t last)
{
    if (c < 0x20)
        return c != '\n' && c != '\t';
    if (c < 0x7f)
        return false;
    if (c == 0x200c || c == 0x200d) {
        bool joins = (last >= 0x600 && last <= 0xdff) || last >= 0x1f000 ||
                     (last >= 0x2600 && last <= 0x27bf) || last == 0xfe0f;
        return !joins;
    }
    return c < 0xa0 || c == 0xad || c == 0x180e || c == 0x200b || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff0 && c <= 0xfffb) || c == 0xfffe || c == 0xffff ||
           (c >= 0xe0000 && c <= 0xe007f) || (c >= 0xd800 && c <= 0xdfff);
}

bool builder_unspaced(uint32_t c)
{
    return (c >= 0x3001 && c <= 0x303f) || (c >= 0x3040 && c <= 0x31ff) ||
           (c >= 0xff01 && c <= 0xff9f) || uni_is_han(c);
}

static bool space_is(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == 0xa0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f;
}

void builder_open(struct builder *b, enum doc_kind kind, unsigned level)
{
    builder_close(b);
    b->open = true;
    b->raw = false;
    b->gap = b->gap_newline = b->gap_wide = false;
    b->last = 0;
    b->header_row = false;
    b->block =
        (struct doc_block){.kind = (uint8_t)kind, .level = (uint8_t)(level > 255 ? 255 : level)};
    if (kind == DOC_HEADING)
        b->block.level = level < 1                   ? 1
                         : level > BUILDER_MAX_LEVEL ? BUILDER_MAX_LEVEL
                                                     : (uint8_t)level;
    b->block.header = -1;
    b->block.page = (uint32_t)b->pages.count;
    b->block.start = b->text.len; /* moved on by the separator when the first character comes */
}

void builder_open_raw(struct builder *b, enum doc_kind kind, unsigned level)
{
    builder_open(b, kind, level);
    b->raw = true;
}

/* The separator before the first character of a block. */
static void block_begin(struct builder *b)
{
    if (b->blocks.count > 0) {
        unsigned kind = b->blocks.items[b->blocks.count - 1].kind;
        bool tight = kind == b->block.kind &&
                     (kind == DOC_LIST_ITEM || (kind == DOC_TABLE_ROW && b->table_rows > 0));
        buf_puts(&b->text, tight ? "\n" : "\n\n");
    }
    b->block.start = b->text.len;
}

static int32_t heading_above(const struct builder *b, unsigned level)
{
    int32_t best = -1;
    for (unsigned i = 1; i < level && i <= BUILDER_MAX_LEVEL; i++)
        if (b->headings[i] > best)
            best = b->headings[i];
    return best;
}

/* The open cell ends where the text is now. */
static void cell_close(struct builder *b)
{
    if (b->cell_open && b->cells.count > 0)
        b->cells.items[b->cells.count - 1].end = (uint32_t)b->text.len;
    b->cell_open = false;
}

/* The row is written: its cells end inside it and know its number. */
static void cells_settle(struct builder *b, size_t end)
{
    size_t kept = b->block.kind == DOC_TABLE_ROW ? b->row_cells : b->cells.count;
    for (size_t i = kept; i < b->cells.count; i++) {
        struct doc_cell c = b->cells.items[i];
        c.end = c.end < end ? c.end : (uint32_t)end;
        c.block = (uint32_t)b->blocks.count;
        if (c.start < c.end)
            b->cells.items[kept++] = c;
    }
    b->cells.count = kept;
    b->row_cells = kept;
}

void builder_close(struct builder *b)
{
    if (!b->open)
        return;
    b->open = false;
    cell_close(b);
    if (b->last == 0)
        return;
    bool row = b->block.kind == DOC_TABLE_ROW;
    size_t end = b->text.failed ? b->block.start : b->text.len;
    while (end > b->block.start && strchr(row ? " \t\n|" : " \t\n", b->text.data[end - 1]))
        end--;
    if (end <= b->block.start) /* only the marks of empty cells: no trace, nor of what parts blocks */
        end = b->blocks.count > 0 ? b->blocks.items[b->blocks.count - 1].end : 0;
    if (!b->text.failed)
        b->text.data[b->text.len = end] = '\0';
    b->block.end = end;
    cells_settle(b, end);
    int32_t index = (int32_t)b->blocks.count;
    bool heading = b->block.kind == DOC_HEADING;
    b->block.heading = heading_above(b, heading ? b->block.level : BUILDER_MAX_LEVEL + 1);
    if (b->blocks.count >= BLOCKS_MAX || end <= b->block.start || !vec_push(&b->blocks, b->block)) {
        b->failed = b->failed || end > b->block.start;
        return;
    }
    if (row) {
        b->table_rows++;
        if (b->header_row)
            b->table_header = index;
    }
    if (!heading)
        return;
    b->headings[b->block.level] = index;
    for (unsigned i = b->block.level + 1; i <= BUILDER_MAX_LEVEL; i++)
        b->headings[i] = -1;
}

/* White space before c, as the text will have it. */
static void gap_write(struct builder *b, uint32_t c)
{
    bool silent = b->gap_newline && builder_unspaced(b->last) && builder_unspaced(c);
    if (b->last != 0 && b->last != '\n' && !silent) {
        if (b->gap_wide && !b->gap_newline)
            buf_put_utf8(&b->text, 0x3000);
        else
            buf_putc(&b->text, ' ');
    }
    b->gap = b->gap_newline = b->gap_wide = false;
}

static void char_write(struct builder *b, uint32_t c)
{
    static const char *const ligature[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
    if (b->last == 0)
        block_begin(b);
    if (b->gap)
        gap_write(b, c);
    if (b->block.kind == DOC_TABLE_ROW && !b->cell_open) {
        struct doc_cell cell = {.start = (uint32_t)b->text.len, .column = b->column};
        b->cell_open = vec_push(&b->cells, cell);
        b->failed = b->failed || !b->cell_open;
    }
    if (c >= 0xfb00 && c <= 0xfb06 && b->block.kind != DOC_CODE)
        buf_puts(&b->text, ligature[c - 0xfb00]);
    else
        buf_put_utf8(&b->text, c);
    b->last = c;
}

static void char_add(struct builder *b, uint32_t c)
{
    if (c == UTF8_BAD)
        c = 0xfffd;
    if (builder_hidden(c, b->last))
        return;
    if (!space_is(c)) {
        char_write(b, c);
    } else if (!b->raw) {
        b->gap_wide = c == 0x3000 && !b->gap;
        b->gap = true;
        b->gap_newline = b->gap_newline || c == '\n' || c == 0x2028 || c == 0x2029;
    } else if (b->last != 0) {
        char_write(b, c == 0xa0 ? ' ' : c);
    } else if (b->block.kind == DOC_CODE && c != '\n') {
        char_write(b, c); /* the first line of code keeps its indent */
    }
}

void builder_text(struct builder *b, const char *s, size_t len)
{
    if (!b->open)
        builder_open(b, DOC_PARAGRAPH, 0);
    for (size_t i = 0; i < len;) {
        size_t run = i;
        while (run < len && (unsigned char)s[run] > ' ' && (unsigned char)s[run] < 0x7f)
            run++;
        if (run > i + 1) { /* plain letters: the common case, copied at once */
            char_write(b, (unsigned char)s[i]);
            buf_add(&b->text, s + i + 1, run - i - 1);
            b->last = (unsigned char)s[run - 1];
            i = run;
            continue;
        }
        size_t n;
        uint32_t c = utf8_decode(s + i, len - i, &n);
        i += n;
        if (c == '\r') {
            if (i < len && s[i] == '\n')
                continue;
            c = '\n';
        }
        char_add(b, c);
    }
}

void builder_puts(struct builder *b, const char *s)
{
    builder_text(b, s, strlen(s));
}

void builder_break(struct builder *b)
{
    if (!b->open || b->last == 0)
        return;
    if (b->block.kind == DOC_TABLE_ROW || b->block.kind == DOC_HEADING) {
        b->gap = true;
        return;
    }
    b->gap = b->gap_newline = b->gap_wide = false;
    if (b->last != '\n')
        buf_putc(&b->text, '\n');
    b->last = '\n';
}

void builder_table_begin(struct builder *b)
{
    builder_close(b);
    b->table_rows = 0; /* the first row of a table stands apart from one that ended just before */
    b->table_header = -1;
}

void builder_row(struct builder *b, bool header)
{
    builder_open(b, DOC_TABLE_ROW, 0);
    b->row_cells = b->cells.count;
    b->column = 0;
    b->cell_open = false;
    b->block.header = b->table_header;
    b->header_row = header && b->table_header < 0;
}

void builder_cell(struct builder *b)
{
    if (!b->open || b->block.kind != DOC_TABLE_ROW)
        return;
    cell_close(b);
    b->column++;
    b->gap = false;
    if (b->last == 0) /* an empty first cell still holds its column */
        block_begin(b);
    buf_puts(&b->text, b->last == 0 ? "| " : " | ");
    b->last = '\n'; /* no blank is due at the start of a cell */
}

void builder_cells(struct builder *b, unsigned n)
{
    while (n-- > 0)
        builder_cell(b);
}

void builder_table_end(struct builder *b)
{
    builder_close(b);
    b->table_rows = 0;
    b->table_header = -1;
}

void builder_page(struct builder *b)
{
    builder_close(b);
    struct doc_page page = {.start = b->text.len, .end = b->text.len, .quality = -1};
    if (!vec_push(&b->pages, page))
        b->failed = true;
}

void builder_page_label(struct builder *b, const char *label)
{
    if (b->failed || b->pages.count == 0)
        return;
    char *copy = mem_strdup(label);
    struct doc_page *page = &b->pages.items[b->pages.count - 1];
    mem_free(page->label);
    page->label = copy;
    b->failed = copy == NULL;
}

void builder_title(struct builder *b, const char *s, size_t len)
{
    if (b->title.len > 0)
        return;
    bool gap = false;
    uint32_t last = 0;
    for (size_t i = 0, n; i < len && b->title.len < 500; i += n) {
        uint32_t c = utf8_decode(s + i, len - i, &n);
        if (c == UTF8_BAD)
            c = 0xfffd;
        if (c == '\r' || space_is(c)) {
            gap = true;
        } else if (!builder_hidden(c, last)) {
            if (gap && last != 0)
                buf_putc(&b->title, ' ');
            gap = false;
            buf_put_utf8(&b->title, c);
            last = c;
        }
    }
}

void builder_encoding(struct builder *b, const char *name)
{
    size_t n = strlen(name);
    if (n >= sizeof b->encoding)
        n = sizeof b->encoding - 1;
    memcpy(b->encoding, name, n);
    b->encoding[n] = '\0';
}

void builder_warn(struct builder *b, const char *format, ...)
{
    if (b->warnings.count >= WARNINGS_MAX)
        return;
    struct buf line = BUF_INIT;
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&line, format, ap);
    va_end(ap);
    char *s = buf_take(&line);
    if (s == NULL || !vec_push(&b->warnings, s)) {
        mem_free(s);
        b->failed = true;
    }
}

void builder_meta(struct builder *b, const char *key, const char *value, size_t len)
{
    struct builder line; /* cleaned as all text is */
    builder_init(&line);
    builder_title(&line, value, len);
    if (line.title.len > 0) {
        struct doc_meta m = {mem_strdup(key), buf_take(&line.title)};
        if (m.key == NULL || m.value == NULL || !vec_push(&b->meta, m)) {
            mem_free(m.key);
            mem_free(m.value);
            b->failed = true;
        }
    }
    builder_release(&line);
}

void builder_path(const char *name, size_t len, struct buf *out)
{
    size_t begin = out->len;
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && name[i + n] != '/' && name[i + n] != '\\')
            n++;
        bool dots = n <= 2 && memcmp(name + i, "..", n) == 0;
        if (!dots && out->len > begin)
            buf_putc(out, '/');
        for (size_t k = i, used; !dots && k < i + n; k += used) {
            uint32_t c = utf8_decode(name + k, i + n - k, &used);
            if (c == UTF8_BAD)
                c = '_';
            if (c >= ' ' && !builder_hidden(c, 'a'))
                buf_put_utf8(out, c);
        }
        i += n + (i + n < len);
    }
}

void builder_part(struct builder *b, enum doc_part_kind kind, const char *name, const void *data,
                  size_t len)
{
    struct buf path = BUF_INIT;
    if (b->parts.count >= PARTS_MAX || len > PART_BYTES_MAX - b->part_bytes) {
        builder_warn(b, "it holds more than can be read; the rest was left out");
        return;
    }
    builder_path(name, strlen(name), &path);
    if (path.len > 0) {
        struct doc_part p = {.kind = (uint8_t)kind,
                             .len = len,
                             .after = (uint32_t)(b->blocks.count + (b->open && b->last != 0)),
                             .data = mem_dup(data, len),
                             .name = buf_take(&path)};
        if (p.data == NULL || p.name == NULL || !vec_push(&b->parts, p)) {
            mem_free(p.data);
            mem_free(p.name);
            b->failed = true;
        }
        b->part_bytes += len;
    }
    buf_release(&path);
}

static bool vowel(char c)
{
    return strchr("aeiouyAEIOUY", c) != NULL;
}

/* How much of a page reads like text: characters that a broken font leaves (U+FFFD, private ones) count
 * against it, and Latin words of four letters and more without any vowel, when they are many. */
static void page_count(const struct builder *b, struct doc_page *page)
{
    size_t bad = 0, words = 0, dumb = 0, run = 0, vowels = 0;
    page->chars = 0;
    for (size_t i = page->start, n; i < page->end; i += n) {
        uint32_t c = utf8_decode(b->text.data + i, page->end - i, &n);
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        page->chars += !space_is(c);
        bad += c == 0xfffd || (c >= 0xe000 && c <= 0xf8ff);
        run = letter ? run + 1 : 0;
        vowels = !letter ? 0 : vowels + vowel((char)c);
        bool ends = letter && (i + 1 >= page->end || (b->text.data[i + 1] | 32) < 'a' ||
                               (b->text.data[i + 1] | 32) > 'z');
        if (ends && run >= 4) {
            words++;
            dumb += vowels == 0;
        }
    }
    if (page->quality >= 0)
        return;
    double share = words >= 20 ? (double)dumb / (double)words : 0;
    page->quality = page->chars == 0 ? 0 : (float)(1 - (double)bad / (double)page->chars);
    double doubt = 3 * (share - 0.15); /* English has 0.03, shifted letters 0.3 and more */
    page->quality *= doubt <= 0 ? 1 : doubt < 1 ? (float)(1 - doubt) : 0;
}

/* Page spans from the blocks on them, and how much there is to read on each. */
static size_t pages_measure(struct builder *b)
{
    size_t empty = 0, block = 0;
    for (size_t p = 0; p < b->pages.count; p++) {
        struct doc_page *page = &b->pages.items[p];
        while (block < b->blocks.count && b->blocks.items[block].page < p + 1)
            block++;
        size_t first = block;
        while (block < b->blocks.count && b->blocks.items[block].page == p + 1)
            block++;
        if (block > first) {
            page->start = b->blocks.items[first].start;
            page->end = b->blocks.items[block - 1].end;
        } else {
            page->end = page->start = p > 0 ? b->pages.items[p - 1].end : 0;
        }
        page_count(b, page);
        empty += page->chars == 0;
    }
    return empty;
}

static bool title_from_heading(struct builder *b)
{
    for (size_t i = 0; i < b->blocks.count && i < 20 && b->title.len == 0; i++)
        if (b->blocks.items[i].kind == DOC_HEADING)
            builder_title(b, b->text.data + b->blocks.items[i].start,
                          b->blocks.items[i].end - b->blocks.items[i].start);
    return b->title.len > 0;
}

enum sooth_status builder_finish(struct builder *b, struct document *out, struct sooth_error *err)
{
    builder_close(b);
    memset(out, 0, sizeof *out);
    bool titled = title_from_heading(b);
    size_t empty = pages_measure(b);
    if (b->text.failed && b->text.len + 16 >= TEXT_MAX)
        return err_set(err, SOOTH_ERR_LIMIT, "more than %zu MiB of text", TEXT_MAX >> 20);
    if (b->failed || b->text.failed || b->blocks.failed || b->cells.failed)
        return b->blocks.count >= BLOCKS_MAX
                   ? err_set(err, SOOTH_ERR_LIMIT, "more than %d blocks", BLOCKS_MAX)
                   : err_nomem(err);
    if (b->text.data == NULL)
        buf_puts(&b->text, "");
    out->no_text = b->blocks.count == 0;
    out->empty_pages = empty;
    out->text_len = b->text.len;
    out->text = b->text.data != NULL ? buf_take(&b->text) : mem_strdup("");
    out->title = titled ? buf_take(&b->title) : NULL;
    out->encoding = b->encoding[0] ? mem_strdup(b->encoding) : NULL;
    out->blocks = b->blocks.items;
    out->block_count = b->blocks.count;
    out->pages = b->pages.items;
    out->page_count = b->pages.count;
    out->warnings = b->warnings.items;
    out->warning_count = b->warnings.count;
    out->cells = b->cells.items;
    out->cell_count = b->cells.count;
    out->meta = b->meta.items;
    out->meta_count = b->meta.count;
    out->parts = b->parts.items;
    out->part_count = b->parts.count;
    b->cells.items = NULL;
    b->meta.items = NULL;
    b->parts.items = NULL;
    b->cells.count = b->meta.count = b->parts.count = 0;
    b->blocks.items = NULL;
    b->pages.items = NULL;
    b->warnings.items = NULL;
    b->blocks.count = b->pages.count = b->warnings.count = 0;
    if (out->text == NULL || (b->encoding[0] && out->encoding == NULL)) {
        document_release(out);
        return err_nomem(err);
    }
    return SOOTH_OK;
}
