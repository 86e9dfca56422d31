/* check_number.c: every number and date of a claim must be in its evidence, by value.
 *
 * A number that is missing while the evidence gives another of the same kind and unit in its place is a conflict;
 * one with nothing to compare is merely not there. "about 1500" accepts what is within 5 %. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "know/verify/verify.h"

static bool approximate(const struct lexed *l, const struct quantity *q)
{
    static const char *const words[] = { "about ", "around ", "roughly ", "nearly ", "almost ", "approximately ", "some ", "约", "大约", "近", "将近" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (q->start >= n && !memcmp(l->text + q->start - n, words[i], n))
            return true;
    }
    return false;
}

static bool same(const struct check_case *c, const struct quantity *q, const struct quantity *e)
{
    if (quantity_same(q, e))
        return true;
    return approximate(c->claim, q) && quantity_comparable(q, e) && fabs(q->value - e->value) <= 0.05 * fabs(e->value);
}

static const struct quantity *rival(const struct check_case *c, const struct quantity *q);

/* A bare "2" (a heading's number, a cell) says "2 months" only where nothing else counts months. */
static bool said(const struct check_case *c, const struct quantity *q)
{
    bool rivalled = rival(c, q) != NULL;
    for (size_t i = 0; i < c->window->quantities.count; i++) {
        const struct quantity *e = &c->window->quantities.items[i];
        if (same(c, q, e) && (q->kind == QTY_DATE || e->kind == QTY_DATE || e->dimension == q->dimension || !rivalled))
            return true;
    }
    for (size_t i = 0; c->around && i < c->around->quantities.count; i++)
        if (same(c, q, &c->around->quantities.items[i]))
            return true;
    for (size_t i = 0; i < c->claim->terms.count; i++) /* asked with it, or the same spelling inside a code */
        if (c->claim->terms.items[i].start >= q->start && c->claim->terms.items[i].end <= q->end && c->given[i])
            return true;
    return false;
}

/* Another value of the kind in the evidence that the claim does not repeat elsewhere. */
static const struct quantity *rival(const struct check_case *c, const struct quantity *q)
{
    for (size_t i = 0; i < c->window->quantities.count; i++) {
        const struct quantity *e = &c->window->quantities.items[i];
        bool used = e->soft && q->kind != QTY_ORDINAL;
        for (size_t k = 0; k < c->claim->quantities.count && !used; k++)
            used = same(c, &c->claim->quantities.items[k], e);
        if (!used && quantity_comparable(q, e))
            return e;
    }
    return NULL;
}

static void run(const struct check_case *c, struct check_finding *f)
{
    for (size_t i = 0; i < c->claim->quantities.count; i++) {
        const struct quantity *q = &c->claim->quantities.items[i];
        if (q->soft && q->kind != QTY_ORDINAL)
            continue;
        if (said(c, q))
            continue;
        const struct quantity *e = rival(c, q);
        const char *text = c->claim->text + q->start;
        int n = (int)(q->end - q->start < 40 ? q->end - q->start : 40);
        if (e && c->rest >= 0.5) {
            f->kind = CHECK_CONFLICT;
            snprintf(f->why, sizeof f->why, "says '%.*s' where the source says '%.*s'", n, text,
                     (int)(e->end - e->start < 40 ? e->end - e->start : 40), c->window->text + e->start);
            return;
        }
        if (q->soft)
            continue;
        f->kind = CHECK_MISSING;
        snprintf(f->why, sizeof f->why, "'%.*s' is not in the source", n, text);
    }
}

const struct check_row check_number = { "numbers", "numbers, dates and units agree by value", run };
