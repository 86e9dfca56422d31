/* check_slot.c: one word of the claim stands where the evidence has another, and all around agrees.
 *
 *   claim    该桥  由  [上海]  公司  建造
 *   evidence 该桥  由  [北京]  公司  建造
 *
 * The two may mean the same, so this is a doubt, never a conflict. Numbers and capitalised names have rows of
 * their own; this one is for Han words and plain nouns. */
#include <stdio.h>
#include "know/verify/verify.h"

static bool loose(const struct check_case *c, size_t i)
{
    const struct lexeme *t = &c->claim->terms.items[i];
    return !c->match[i] && !(t->flags & LEX_STOP) && t->kind != LEX_NUMBER;
}

/* Content terms of the window in [from, to) that the claim lacks. */
static size_t strangers(const struct check_case *c, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t k = from; k < to; k++) {
        const struct lexeme *e = &c->window->terms.items[k];
        bool used = (e->flags & LEX_STOP) != 0;
        for (size_t i = 0; i < c->claim->terms.count && !used; i++)
            used = c->claim->terms.items[i].key == e->key;
        n += !used;
    }
    return n;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    if (c->coverage < 0.5)
        return;
    for (size_t i = 0; i < c->claim->terms.count;) {
        size_t j = i;
        while (j < c->claim->terms.count && loose(c, j))
            j++;
        bool han = j > i && c->claim->terms.items[i].kind == LEX_HAN;
        size_t left = i, right = j;
        while (left > 0 && !c->match[left - 1])
            left--;
        while (right < c->claim->terms.count && !c->match[right])
            right++;
        size_t from = left ? c->match[left - 1] : 0;
        size_t to = right < c->claim->terms.count ? c->match[right] - 1 : c->window->terms.count;
        bool framed = left > 0 || right < c->claim->terms.count;
        size_t gap = to > from ? to - from : 0;
        if (j - i >= (han ? 2 : 1) && j - i <= (han ? 8 : 3) && framed && gap <= (han ? 10 : 6) && strangers(c, from, to) >= (han ? 2 : 1)) {
            f->kind = CHECK_DOUBT;
            snprintf(f->why, sizeof f->why, "'%.*s' stands where the source says '%.*s'",
                     (int)(c->claim->terms.items[j - 1].end - c->claim->terms.items[i].start), c->claim->text + c->claim->terms.items[i].start,
                     (int)(c->window->terms.items[to - 1].end - c->window->terms.items[from].start), c->window->text + c->window->terms.items[from].start);
            return;
        }
        i = j > i ? j : i + 1;
    }
}

const struct check_row check_slot = { "slots", "no word is replaced by another", run };
