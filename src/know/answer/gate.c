/* gate.c: is there an answer in the passages at all, and how many passages are worth reading?
 *
 * A logistic model over a few signs that can each be explained:
 *
 *   P = 1 / (1 + exp(-(b + w . x)))
 *   x: share of the question's weight known to the passages at all; the best passage's share; the best sentence's
 *      share with its surroundings; whether a thing of the wanted kind is there; similarity of meaning
 *
 * "Not in the documents" shows first as words of the question that no passage knows. Fitted on questions written for
 * documents of our own (tests/golden/answer, tools/golden/gate.py); the weights are below so that a reader may check
 * them. The passages are cut where the similarity falls (adaptive k). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "know/answer/answer.h"

#define W_BIAS -4.2
#define W_KNOWN 2.6
#define W_PASSAGE 2.4
#define W_NEAR 2.2
#define W_KIND 1.4
#define W_MEANING 14.0  /* times similarity above MEANING_ZERO */
#define MEANING_ZERO 0.84

double gate_answerable(const struct question *q, const struct evidence *e, const struct sooth_hits *hits, char *why, size_t size)
{
    double near = 0, kind = 0, meaning = -INFINITY;
    for (size_t i = 0; i < e->count && i < 5; i++) {
        near = fmax(near, e->items[i].near);
        kind = fmax(kind, e->items[i].kind);
    }
    for (size_t i = 0; i < e->count; i++)
        if (!isnan(e->items[i].dense))
            meaning = fmax(meaning, e->items[i].dense);
    if (!e->count || !hits->count) {
        snprintf(why, size, "no passage was found");
        return 0;
    }
    bool measured = isfinite(meaning);
    double m = measured ? fmin(fmax(meaning - MEANING_ZERO, -0.06), 0.06) : 0;
    double z = W_BIAS + W_KIND * kind + W_MEANING * m;
    if (e->cross && measured)
        z += 0.75 * (W_KNOWN + W_PASSAGE + W_NEAR); /* words cannot speak across languages */
    else
        z += W_KNOWN * e->known + W_PASSAGE * e->passage + W_NEAR * near;
    double p = 1 / (1 + exp(-z));
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
