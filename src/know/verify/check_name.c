/* check_name.c: every name, quotation and code of a claim must be in its evidence, the source around it or its title.
 *
 * A name that is nowhere while the evidence puts another in its place is a conflict. Capital letters mark names, so
 * this row is silent about Chinese names; there check_slot.c sees a replaced word. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "know/verify/verify.h"

static bool text_has(const char *s, size_t len, const char *w, size_t n)
{
    for (size_t i = 0; i + n <= len; i++)
        if (!strncasecmp(s + i, w, n))
            return true;
    return false;
}

static bool ends_with(const char *w, size_t n, const char *tail)
{
    size_t m = strlen(tail);
    return n >= m + 2 && !strncasecmp(w + n - m, tail, m);
}

/* A capital at the head of a sentence marks a name unless the word looks like any other part of speech. */
static bool named(const struct lexed *l, const struct lexeme *t)
{
    if (t->flags & LEX_STOP)
        return false;
    if (t->kind == LEX_CODE || (t->kind == LEX_WORD && (t->flags & LEX_NAME)))
        return true;
    const char *w = l->text + t->start;
    size_t n = t->end - t->start;
    return t->kind == LEX_WORD && (t->flags & LEX_HEAD) &&
           !(ends_with(w, n, "ing") || ends_with(w, n, "ed") || ends_with(w, n, "ly") || ends_with(w, n, "s"));
}

static bool known(const struct check_case *c, size_t i)
{
    const struct lexeme *t = &c->claim->terms.items[i];
    if (c->match[i] || c->given[i])
        return true;
    for (size_t k = 0; c->around && k < c->around->terms.count; k++)
        if (c->around->terms.items[k].key == t->key)
            return true;
    return text_has(c->source, c->source_len, c->claim->text + t->start, t->end - t->start);
}

static const struct lexeme *rival(const struct check_case *c, uint8_t kind)
{
    for (size_t k = 0; k < c->window->terms.count; k++) {
        const struct lexeme *e = &c->window->terms.items[k];
        bool used = !named(c->window, e) || e->kind != kind;
        for (size_t i = 0; i < c->claim->terms.count && !used; i++)
            used = c->claim->terms.items[i].key == e->key;
        if (!used)
            return e;
    }
    return NULL;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    for (size_t i = 0; i < c->claim->terms.count; i++) {
        const struct lexeme *t = &c->claim->terms.items[i];
        if (!named(c->claim, t) || known(c, i))
            continue;
        const struct lexeme *e = rival(c, t->kind);
        bool sure = (t->flags & LEX_NAME) || t->kind == LEX_CODE || e;
        if (!sure)
            continue;
        f->kind = e && c->rest >= 0.6 ? CHECK_CONFLICT : CHECK_MISSING;
        if (f->kind == CHECK_CONFLICT)
            snprintf(f->why, sizeof f->why, "names '%.*s' where the source names '%.*s'", (int)(t->end - t->start), c->claim->text + t->start,
                     (int)(e->end - e->start), c->window->text + e->start);
        else
            snprintf(f->why, sizeof f->why, "'%.*s' is not in the source", (int)(t->end - t->start), c->claim->text + t->start);
        return;
    }
}

const struct check_row check_name = { "names", "names, quotations and codes are in the source", run };
