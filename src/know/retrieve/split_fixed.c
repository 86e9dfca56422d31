/* split_fixed.c: passages of one size, whatever they cut.
 *
 *   text       .......................................
 *   passages   |----- c -----|
 *                        |-o-|---------|                 the next starts o tokens before the end
 *
 * n tokens give 1 + ceil(max(0, n - c) / (c - o)) passages. Cuts fall between characters as people see
 * them (chunk_grapheme_boundary), nothing else is respected: sentences, rows, sections. The classic to
 * compare with; elsewhere its size is in characters, here in tokens. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "know/retrieve/split.h"

/* Where the longest front of text[start, end) of at most `tokens` tokens ends; at least one character. */
static size_t front(const struct chunker *c, size_t start, size_t end, size_t tokens)
{
    size_t low = start, high = end;
    if (end - start > tokens * 16) /* no passage is longer, however few tokens its tokenizer sees */
        high = utf8_floor(c->d->text, c->d->text_len, start + tokens * 16);
    if (chunker_count(c, start, high) > tokens) {
        while (high - low > 1) { /* low fits, high does not */
            size_t mid = utf8_floor(c->d->text, c->d->text_len, low + (high - low) / 2);
            if (mid <= low)
                break;
            if (chunker_count(c, start, mid) <= tokens)
                low = mid;
            else
                high = mid;
        }
        high = low;
    }
    while (high > start && high < end && !chunk_grapheme_boundary(c->d->text, c->d->text_len, high))
        high = utf8_floor(c->d->text, c->d->text_len, high - 1);
    if (high <= start)
        high = start + chunk_cut(c->e, c->d->text + start, end - start, tokens);
    return high;
}

/* Where the overlap begins: the last `overlap` tokens of text[start, end), but behind start. */
static size_t back(const struct chunker *c, size_t start, size_t end)
{
    size_t low = start, high = end; /* high is short enough, low is not */
    while (high - low > 1) {
        size_t mid = utf8_floor(c->d->text, c->d->text_len, low + (high - low) / 2);
        if (mid <= low)
            break;
        if (chunker_count(c, mid, end) <= c->overlap)
            high = mid;
        else
            low = mid;
    }
    while (high < end && !chunk_grapheme_boundary(c->d->text, c->d->text_len, high))
        high++;
    return high;
}

static size_t block_of(const struct document *d, size_t at, size_t block)
{
    while (block + 1 < d->block_count && d->blocks[block].end <= at)
        block++;
    return block;
}

static enum sooth_status fixed_cut(struct chunker *c)
{
    const struct document *d = c->d;
    size_t block = 0, at = d->block_count ? d->blocks[0].start : 0;
    size_t end = d->block_count ? d->blocks[d->block_count - 1].end : 0;
    enum sooth_status status = SOOTH_OK;
    size_t last = 0; /* where the passage before ended */
    while (end > at && strchr(" \n\t\r", d->text[end - 1]))
        end--;
    while (at < end && status == SOOTH_OK) {
        block = block_of(d, at, block);
        size_t stop = front(c, at, end, chunker_budget(c, block)), first = c->units.count, n = 1;
        size_t budget = (stop - at) * 2; /* it fits: it is not to be cut at a clause */
        if (!chunker_unit(c, block, at, stop, budget, false))
            return err_nomem(c->err);
        if (c->units.count == first) { /* blank */
            at = stop;
            continue;
        }
        status = chunker_emit(c, first, &n);
        stop = c->units.items[first].end; /* the context may have tipped it over */
        c->units.count = first + 1;
        if (status == SOOTH_OK && stop <= last) { /* all of it is overlap: its context is larger */
            c->items.count--;
            at = last;
            continue;
        }
        last = stop;
        if (stop >= end)
            break;
        size_t next = c->overlap > 0 ? back(c, c->units.items[first].start, stop) : stop;
        at = next > c->units.items[first].start ? next : stop;
    }
    return status;
}

const struct splitter splitter_fixed = {
    .name = "fixed",
    .about = "so many tokens, whatever is cut, with overlap",
    .cut = fixed_cut,
};
