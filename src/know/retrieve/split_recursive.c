/* split_recursive.c: at the coarsest separators that give pieces small enough, then packed full.
 *
 *   separators, in order:  blank line, line end, sentence end (。！？；.!?), clause mark (，、,), blank, none
 *
 * A piece that is over the size is split at the next finer separator, and so on; neighbouring pieces are
 * joined as long as they fit, and the last ones of the section, up to the overlap, begin the next passage. Chinese has
 * no blanks between words, so its marks stand before the blank in the order: without them a Chinese
 * paragraph falls into single characters. A separator stays with the piece before it. The separators are
 * those of LangChain's RecursiveCharacterTextSplitter with the Chinese marks added. */
#include <string.h>
#include "core/base/error.h"
#include "know/retrieve/split.h"

static const char *const levels[][9] = {
    {"\n\n", NULL},
    {"\n", NULL},
    {"。", "！", "？", "；", ". ", "! ", "? ", "; ", NULL},
    {"，", "、", ", ", NULL},
    {" ", NULL},
};
enum { LEVELS = sizeof levels / sizeof *levels };

/* What closes a quotation or bracket stays with what it closes. */
static size_t closed_end(const char *s, size_t at, size_t end)
{
    static const char *const marks[] = {"」", "』", "”", "’", "）", "》", "】"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks && at < end; i++)
        if (end - at >= strlen(marks[i]) && memcmp(s + at, marks[i], strlen(marks[i])) == 0) {
            at += strlen(marks[i]);
            i = (size_t)-1;
        }
    return at;
}

/* Where the first piece of text[start, end) at this level ends: behind a separator, or at end. */
static size_t piece_end(const struct chunker *c, size_t start, size_t end, unsigned level)
{
    const char *s = c->d->text;
    for (size_t i = start; i < end; i++)
        for (const char *const *sep = levels[level]; *sep; sep++) {
            size_t n = strlen(*sep);
            if (end - i > n && memcmp(s + i, *sep, n) == 0)
                return closed_end(s, i + n, end);
        }
    return end;
}

/* Depth is bounded by the levels. */
static bool pieces_add(struct chunker *c, size_t block, size_t start, size_t end, unsigned level,
                       size_t budget)
{
    if (level >= LEVELS || (end - start <= budget * 16 && chunker_count(c, start, end) <= budget))
        return chunker_unit(c, block, start, end, budget, c->d->blocks[block].header < 0);
    bool ok = true;
    while (start < end && ok) {
        size_t stop = piece_end(c, start, end, level);
        ok = pieces_add(c, block, start, stop, level + 1, budget);
        start = stop;
    }
    return ok;
}

static enum sooth_status recursive_cut(struct chunker *c)
{
    for (size_t i = 0; i < c->d->block_count; i++) {
        const struct doc_block *b = &c->d->blocks[i];
        if (!pieces_add(c, i, b->start, b->end, 0, chunker_budget(c, i)))
            return err_nomem(c->err);
    }
    return chunker_all(c, false);
}

const struct splitter splitter_recursive = {
    .name = "recursive",
    .about = "at paragraphs, else lines, sentences, clauses, words, with overlap",
    .cut = recursive_cut,
};
