/* split_window.c: sentence windows: each sentence, row or line is embedded alone, and what is handed over
 * is the sentence with its neighbours.
 *
 *   embedded    one sentence: its vector says one thing
 *   shown       three before and three behind, as far as page and bytes allow: that is what search does
 *               with every hit (kb_search.c), so nothing but the small passages is left to do here
 *
 * Good for questions about single facts; costs one vector a sentence. */
#include "core/base/error.h"
#include "know/retrieve/split.h"

static enum sooth_status window_cut(struct chunker *c)
{
    enum sooth_status status = chunker_units(c) ? SOOTH_OK : err_nomem(c->err);
    for (size_t i = 0; i < c->units.count && status == SOOTH_OK; i++) {
        size_t n = 1;
        status = chunker_emit(c, i, &n);
    }
    return status;
}

const struct splitter splitter_window = {
    .name = "window",
    .about = "each sentence alone, found by itself and shown with its neighbours",
    .cut = window_cut,
};
