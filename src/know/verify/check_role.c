/* check_role.c: who did what to whom.
 *
 *   claim    A  v  B        evidence  B  v  A        both active or both passive: conflict
 *
 * All words are there, so coverage and vectors see nothing; only the order around a shared pivot tells. The pivot
 * is any matched term that is not a name; A and B are names or codes, or, in a claim whose every term is matched,
 * any content terms. Symmetric relations ("met", "equals") are no conflict. */
#include <stdio.h>
#include <string.h>
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/verify/verify.h"

static bool symmetric(uint64_t key)
{
    static const char *const words[] = { "meet", "met", "marry", "married", "equal", "match", "differ", "border", "resemble", "and", "or", "between",
                                         "same", "with", "versus", "合作", "结婚", "相同", "等于", "相邻", "之间", "见面" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (lex_key(words[i], strlen(words[i])) == key)
            return true;
    return false;
}

static bool actor(const struct lexeme *t, bool all)
{
    if (t->flags & LEX_STOP || t->kind == LEX_NUMBER)
        return false;
    return all || t->kind == LEX_CODE || (t->flags & (LEX_NAME | LEX_HEAD));
}

/* An actor on one side of the pivot in the claim and on the other in the evidence. before: left in the claim. */
static const struct lexeme *crossed(const struct check_case *c, size_t pivot, bool before, bool all)
{
    size_t place = c->match[pivot] - 1;
    for (size_t i = 0; i < c->claim->terms.count; i++) {
        const struct lexeme *t = &c->claim->terms.items[i];
        if ((i < pivot) != before || i == pivot || !c->match[i] || !actor(t, all))
            continue;
        if ((c->match[i] - 1 < place) == before || c->match[i] - 1 == place)
            continue;
        bool both = false; /* the evidence has it on the claim's side as well */
        for (size_t k = 0; k < c->window->terms.count && !both; k++)
            both = c->window->terms.items[k].key == t->key && k != place && (k < place) == before;
        if (!both)
            return t;
    }
    return NULL;
}

/* The claim is made of Han characters that are all in the window: pairs across a changed place hide it from coverage. */
static bool same_characters(const struct check_case *c)
{
    size_t m, n = 0;
    for (size_t i = 0; i < c->claim->len; i += m) {
        uint32_t ch = utf8_decode(c->claim->text + i, c->claim->len - i, &m);
        if (ch == UTF8_BAD || !uni_is_han(ch))
            continue;
        n++;
        bool found = false;
        for (size_t k = 0; k + m <= c->window->len && !found; k++)
            found = !memcmp(c->window->text + k, c->claim->text + i, m);
        if (!found)
            return false;
    }
    return n >= 5;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    bool han = same_characters(c), all = han || c->coverage > 0.97;
    if (c->coverage < (han ? 0.35 : 0.75))
        return;
    for (size_t p = 0; p < c->claim->terms.count; p++) {
        const struct lexeme *t = &c->claim->terms.items[p];
        if (!c->match[p] || ((t->flags & LEX_STOP) && t->kind != LEX_HAN) || t->kind == LEX_NUMBER || t->kind == LEX_CODE || (t->flags & LEX_NAME) || symmetric(t->key))
            continue;
        const struct lexeme *e = &c->window->terms.items[c->match[p] - 1];
        if ((t->flags ^ e->flags) & LEX_PASSIVE || t->clause != c->claim->terms.items[0].clause)
            continue;
        const struct lexeme *a = crossed(c, p, true, all), *b = crossed(c, p, false, all);
        if (!a || !b)
            continue;
        f->kind = CHECK_CONFLICT;
        snprintf(f->why, sizeof f->why, "'%.*s' and '%.*s' have changed places", (int)(a->end - a->start), c->claim->text + a->start,
                 (int)(b->end - b->start), c->claim->text + b->start);
        return;
    }
}

const struct check_row check_role = { "roles", "who does it and to whom it is done agree", run };
