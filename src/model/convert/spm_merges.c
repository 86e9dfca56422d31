/* spm_merges.c: the merges of a SentencePiece vocabulary, which has scores instead.
 *
 * SentencePiece joins the two neighbours whose joined piece has the best score, the leftmost of equals. tokenizer.json has no scores but a
 * list of merges, of which the earliest in the list goes first. So every piece is cut at every character into two pieces that exist, and
 * the cuts are listed by the score of the whole, best first. (The same list is made by the converters of Hugging Face; their order
 * among equal scores is kept: longer left part first, then the lower ids.)
 *
 * What the list cannot say: that among different pieces of one score the leftmost is joined first. Vocabularies in use give every
 * piece a score of its own. */
#include "model/convert/spm_merges.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/utf8.h"

enum { KIND_NORMAL = 1 };

static int better(const void *a, const void *b)
{
    const struct spm_merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_len != y->left_len)
        return x->left_len > y->left_len ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

/* The cuts of one piece. */
static bool add_cuts(const struct map *ids, const struct file_string *piece, float score, struct spm_merges *out)
{
    for (size_t at = 0, size; at < piece->len; at += size) {
        uint64_t left, right;
        utf8_decode(piece->text + at, piece->len - at, &size);
        if (!at || !map_find(ids, piece->text, at, &left) || !map_find(ids, piece->text + at, piece->len - at, &right))
            continue;
        struct spm_merge m = {score, (uint32_t)at, (uint32_t)left, (uint32_t)right};
        if (!vec_push(out, m))
            return false;
    }
    return true;
}

enum sooth_status spm_merges_make(const struct file_string *pieces, const int32_t *kinds, const float *scores, size_t n, struct spm_merges *out,
                                  struct sooth_error *err)
{
    struct map ids;
    bool ok = true;
    map_init(&ids);
    for (size_t i = 0; i < n && ok; i++)
        if (kinds[i] == KIND_NORMAL)
            ok = map_put(&ids, pieces[i].text, pieces[i].len, i);
    for (size_t i = 0; i < n && ok; i++)
        if (kinds[i] == KIND_NORMAL)
            ok = add_cuts(&ids, &pieces[i], scores[i], out);
    map_release(&ids);
    if (!ok)
        return err_nomem(err);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, better);
    return SOOTH_OK;
}
