/* check_polarity.c: what the claim denies the evidence must deny, and the other way round.
 *
 *   claim    "The driver does not [support] colour."      denied: support
 *   evidence "The driver [supports] colour printing."     not denied: conflict
 *
 * Negations are scoped by lex_text. "unsupported" counts as a denied "supported". A term that the evidence uses
 * both ways is no conflict. Left out: double negation, "few", "hardly any". */
#include <stdio.h>
#include <string.h>
#include "know/verify/verify.h"

#define DENIED (LEX_NEG | LEX_NEAR_NEG)

/* How l uses the term with that key: bit 0 plainly, bit 1 denied, bit 2 possibly denied. */
static unsigned uses(const struct lexed *l, uint64_t key)
{
    unsigned u = 0;
    for (size_t i = 0; i < l->terms.count; i++)
        if (l->terms.items[i].key == key)
            u |= l->terms.items[i].flags & LEX_NEG ? 2 : l->terms.items[i].flags & LEX_NEAR_NEG ? 4 : 1;
    return u;
}

static void conflict(struct check_finding *f, const struct lexed *l, const struct lexeme *t, bool claim_denies)
{
    f->kind = CHECK_CONFLICT;
    snprintf(f->why, sizeof f->why, claim_denies ? "denies '%.*s', which the source states" : "states '%.*s', which the source denies",
             (int)(t->end - t->start < 60 ? t->end - t->start : 60), l->text + t->start);
}

/* A first denied term of `a` that `b` uses only plainly. Pure subjects (names) are passed over. */
static const struct lexeme *clash(const struct lexed *a, const struct lexed *b)
{
    for (size_t i = 0; i < a->terms.count; i++) {
        const struct lexeme *t = &a->terms.items[i];
        if (!(t->flags & LEX_NEG) || (t->flags & LEX_STOP) || (uses(a, t->key) & 1))
            continue;
        if (uses(b, t->key) == 1)
            return t;
    }
    return NULL;
}

/* "unsupported" in a where b has a plain "supported" and no other denial of it. */
static const struct lexeme *prefixed(const struct lexed *a, const struct lexed *b)
{
    static const char *const prefixes[] = { "un", "in", "im", "non-", "non", "dis", "ir" };
    for (size_t i = 0; i < a->terms.count; i++) {
        const struct lexeme *t = &a->terms.items[i];
        size_t n = t->end - t->start;
        if (t->kind != LEX_WORD || (t->flags & DENIED) || uses(b, t->key))
            continue;
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
            size_t m = strlen(prefixes[k]);
            if (n >= m + 4 && !memcmp(a->text + t->start, prefixes[k], m) && uses(b, lex_key(a->text + t->start + m, n - m)) == 1)
                return t;
        }
    }
    return NULL;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    const struct lexeme *t;
    if (c->coverage < 0.5)
        return;
    if ((t = clash(c->claim, c->window)) || (t = prefixed(c->claim, c->window)))
        conflict(f, c->claim, t, true);
    else if ((t = clash(c->window, c->claim)) || (t = prefixed(c->window, c->claim)))
        conflict(f, c->window, t, false);
}

const struct check_row check_polarity = { "negation", "what is denied is denied on both sides", run };
