/* split_parent.c: small passages that are found, larger ones that are handed over.
 *
 *   parents      |-------- 16 --------|
 *                |- 4 -|- 4 -|- 4 -|- 4 -|        four neighbours have one parent, four of these another
 *   leaves       a b c d e f g h ...              embedded and searched; about 128, 512, 2,048 tokens
 *
 * When more than half of a parent's leaves are found, the parent stands for them; then its own parent is
 * looked at the same way (LlamaIndex' auto-merging retriever, with sizes 128, 512, 2048). A hole between
 * two that are found is filled by that. Parents are not stored: they follow from the place of a leaf in its
 * document. Leaves are whole sentences without overlap, so a parent's text is its leaves', once. */
#include "core/base/error.h"
#include "know/retrieve/split.h"

enum { FAMILY = 4, GENERATIONS = 2 };

static enum sooth_status parent_cut(struct chunker *c)
{
    enum sooth_status status = chunker_units(c) ? SOOTH_OK : err_nomem(c->err);
    for (size_t first = 0; first < c->units.count && status == SOOTH_OK;) {
        size_t n = chunker_pack(c, first, true);
        status = chunker_emit(c, first, &n);
        first += n;
    }
    return status;
}

void splitter_merge(unsigned family, size_t at, size_t count, bool (*found)(const void *user, size_t i),
                    const void *user, size_t *from, size_t *to)
{
    size_t size = 1;
    *from = *to = at;
    for (unsigned g = 0; g < GENERATIONS && family > 1; g++) {
        size *= family;
        size_t first = at / size * size, last = first + size < count ? first + size : count, n = 0;
        for (size_t i = first; i < last; i++)
            n += found(user, i);
        if (last - first < 2 || 2 * n <= last - first)
            return;
        *from = first;
        *to = last - 1;
    }
}

const struct splitter splitter_parent = {
    .name = "parent",
    .about = "small passages are found; when most of four neighbours are, all four are handed over",
    .cut = parent_cut,
    .family = FAMILY,
};
