/* bm25.c: how much a term in a passage counts: five formulas of one family.
 *
 *   score(q, D) = sum over t in q of  idf(t) part(tf, |D| / avg)
 *
 *               idf                                        part,  K = k1 (1 - b + b |D|/avg)
 *   lucene      ln(1 + (N - df + 0.5) / (df + 0.5))        tf / (tf + K)
 *   robertson   ln max(1, (N - df + 0.5) / (df + 0.5))     tf / (tf + K)
 *   atire       ln(N / df)                                 tf (k1 + 1) / (tf + K)
 *   bm25l       ln((N + 1) / (df + 0.5))                   (k1 + 1)(c + d) / (k1 + c + d) - what c = 0 gives,
 *                                                          c = tf / (1 - b + b |D|/avg)
 *   bm25plus    ln((N + 1) / df)                           tf (k1 + 1) / (tf + K)
 *
 * Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009); Trotman, Jia and Crane
 * (2012, ATIRE); Lv and Zhai (CIKM and SIGIR 2011, the last two). Those two also give points for a
 * term that is absent, the same to every passage; they are taken off, which changes no order.
 *
 * All parts rise with tf and fall with length, which is what lets a block of passages be passed over
 * by its largest tf and smallest length (words.c). The parts of the first two stay below 1, so that
 * the sum of the idf is a ceiling. */
#include <math.h>
#include <string.h>
#include "know/index/index.h"

static double idf_lucene(double n, double df)
{
    return log(1 + (n - df + 0.5) / (df + 0.5));
}

static double idf_robertson(double n, double df)
{
    return log(fmax(1, (n - df + 0.5) / (df + 0.5)));
}

static double idf_atire(double n, double df)
{
    return df > 0 ? log(n / df) : 0;
}

static double idf_l(double n, double df)
{
    return log((n + 1) / (df + 0.5));
}

static double idf_plus(double n, double df)
{
    return df > 0 ? log((n + 1) / df) : 0;
}

static double part_plain(const struct bm25 *p, double tf, double norm)
{
    return tf / (tf + p->k1 * norm);
}

static double part_scaled(const struct bm25 *p, double tf, double norm)
{
    return tf * (p->k1 + 1) / (tf + p->k1 * norm);
}

static double part_l(const struct bm25 *p, double tf, double norm)
{
    double c = tf / norm;
    return (p->k1 + 1) * ((c + p->delta) / (p->k1 + c + p->delta) - p->delta / (p->k1 + p->delta));
}

static const struct bm25 variants[] = {
    {"lucene", 1.2, 0.75, 0, idf_lucene, part_plain, 1},
    {"robertson", 1.2, 0.75, 0, idf_robertson, part_plain, 1},
    {"atire", 1.2, 0.75, 0, idf_atire, part_scaled, 2.2},
    {"bm25l", 1.2, 0.75, 0.5, idf_l, part_l, 0},
    {"bm25plus", 1.2, 0.75, 0.5, idf_plus, part_scaled, 2.2},
};

const struct bm25 *bm25_at(size_t i)
{
    return i < sizeof variants / sizeof *variants ? &variants[i] : NULL;
}

const struct bm25 *bm25_find(const char *name)
{
    for (size_t i = 0; bm25_at(i); i++)
        if (!name || strcmp(variants[i].name, name) == 0)
            return &variants[i];
    return NULL;
}

double bm25_norm(const struct bm25 *p, double length, double average)
{
    return 1 - p->b + p->b * (average > 0 ? length / average : 1);
}
