/* split_sentence.c: the way of the house: whole sentences, rows and blocks, along the document's structure.
 *
 *   units      u0 u1 u2 | u3 u4 u5 u6
 *   passages   |--- 0 ---|
 *                  |------ 1 -----|            u2 is the overlap
 *
 * As many units as fit. A new section begins a new passage once the old one is a quarter full; a new page,
 * once it is half full. Inside prose the last sentences are repeated at the start of the next passage, up to
 * `overlap` tokens.
 *
 * With n units of one token, size c and overlap o, this gives 1 + ceil((n - c) / (c - o)) passages. */
#include "core/base/error.h"
#include "know/retrieve/split.h"

static enum sooth_status sentence_cut(struct chunker *c)
{
    return chunker_units(c) ? chunker_all(c, true) : err_nomem(c->err);
}

const struct splitter splitter_sentence = {
    .name = "sentence",
    .about = "whole sentences, rows and blocks along headings and pages (the default)",
    .cut = sentence_cut,
};
