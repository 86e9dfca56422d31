/* gate.c: is there an answer in the passages at all, and how many passages are worth reading?
 *
 * A logistic model over a few signs that can each be explained:
 *
 *   P = 1 / (1 + exp(-(b + w . x)))
 *   x: share of the question's weight known to the passages at all; the best passage's share; the best sentence's
 *      share with its surroundings; whether a thing of the wanted kind is there; similarity of meaning
 *
 * "Not in the documents" shows first as words of the question that no passage knows. Weights and biases are set by
 * hand, with the 45 questions they are measured on in view: those figures are not held out (tools/golden/gate.md). Weights
 * fitted on published reading questions refuse half of what people ask in words of their own, because such sets ask in
 * the words of the text. Pairs of Han characters are shared less often by two ways of saying a thing than words are: a
 * bias of their own. Across languages words cannot speak; there the similarity of the best sentence decides, and
 * names in Latin letters, which both languages write alike, must all be in its passage. The passages are cut where the
 * similarity falls (adaptive k). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "know/answer/answer.h"

#define W_BIAS -4.6
#define W_HAN 0.6
#define W_KNOWN 2.6
#define W_PASSAGE 2.4
#define W_NEAR 2.2
#define W_KIND 1.4
#define W_MEANING 8.0    /* times aligned similarity above MEANING_ZERO, within MEANING_SPAN */
#define MEANING_ZERO 0.35
#define MEANING_SPAN 0.15
#define W_CROSS 15.0
#define CROSS_ZERO 0.33  /* aligned similarity at which a sentence in the other language is as likely right as wrong */

static double logistic(double z) { return 1 / (1 + exp(-z)); }

double gate_answerable(const struct question *q, const struct evidence *e, const struct sooth_hits *hits, char *why, size_t size)
{
    double near = 0, kind = 0, meaning = -INFINITY;
    for (size_t i = 0; i < e->count && i < 5; i++) {
        near = fmax(near, e->items[i].near);
        kind = fmax(kind, e->items[i].kind);
    }
    for (size_t i = 0; i < e->count; i++)
        if (!isnan(e->items[i].dense) && (!e->cross || e->items[i].han != q->han))
            meaning = fmax(meaning, e->items[i].dense);
    if (!e->count || !hits->count) {
        snprintf(why, size, "no passage was found");
        return 0;
    }
    double m = isfinite(meaning) ? fmin(fmax(meaning - MEANING_ZERO, -MEANING_SPAN), MEANING_SPAN) : 0, p;
    if (e->cross)
        p = e->names < 1 || !isfinite(meaning) ? 0 : logistic(W_CROSS * (meaning - CROSS_ZERO));
    else
        p = logistic(W_BIAS + (q->han ? W_HAN : 0) + W_KIND * kind + W_MEANING * m + W_KNOWN * e->known + W_PASSAGE * e->passage + W_NEAR * near);
    if (!e->cross && e->known < 0.55)
        snprintf(why, size, "the passages found do not know what the question is about");
    else if (kind < 0.2 && q->want != WANT_ANY)
        snprintf(why, size, "the passages found name no %s that would answer", q->want == WANT_NUMBER ? "number" : q->want == WANT_DATE ? "date" : "one");
    else
        snprintf(why, size, "no sentence of the passages found answers it well enough");
    return p;
}

size_t gate_passages(const struct sooth_hits *hits, size_t limit, char *why, size_t size)
{
    size_t n = hits->count < limit ? hits->count : limit, cut = n;
    double best_gap = 0.02;
    for (size_t i = 1; i < n && i < 8; i++) { /* the largest fall behind the third passage */
        double gap = hits->items[i - 1].score - hits->items[i].score;
        if (i >= 3 && gap > best_gap) {
            best_gap = gap;
            cut = i;
        }
    }
    if (cut < n)
        snprintf(why, size, "%zu passages: similarity falls by %.3f behind them", cut, best_gap);
    else
        snprintf(why, size, "%zu passages: no clear fall of similarity among them", n);
    return cut;
}
