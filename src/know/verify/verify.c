/* verify.c: sentences against sources.
 *
 * Sources are cut into sentences and lexed once. For a claim with terms t of weight w(t),
 *
 *   coverage(window) = sum of w(t) over the terms found in the window / sum of w(t)
 *   w(t) = kind (number, code 2; name 1.6; word 1; Han pair 0.8) * (1/2 + idf(t)/2),  idf over the sources' sentences
 *
 * where a window is 1..3 neighbouring sentences and each sentence beyond the first costs a little. The rows of the
 * check table then look at the best few windows: one window that supports the claim is enough; otherwise the best
 * window's finding stands. The words of the question count a third: they were given, not claimed.
 *
 * A conflict contradicts; a missing number or name, or little coverage, leaves a claim unsupported; a doubt or
 * middling coverage supports it partly. A sentence is as good as its worst claim. */
#include "know/verify/verify.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/sentence.h"

#define MAX_TERMS 160 /* of a claim that are looked at */
#define TOP 4         /* windows the rows look at */
#define FULL 0.70     /* coverage that supports */
#define HALF 0.45     /* coverage that supports partly */

#define ROW(x) extern const struct check_row check_##x;
#include "know/verify/check_rows.inc"
#undef ROW
static const struct check_row *const check_rows[] = {
#define ROW(x) &check_##x,
#include "know/verify/check_rows.inc"
#undef ROW
};

const struct check_row *check_at(size_t i) { return i < sizeof check_rows / sizeof *check_rows ? check_rows[i] : NULL; }

struct piece { size_t source, start, end; struct lexed lexed; };
struct verifier {
    struct verify_source *sources;
    struct lexed *around; /* [n_sources] title and headings */
    size_t n_sources;
    VEC(struct piece) pieces;
    struct map df;        /* key -> sentences that hold it */
};

static void df_count(struct verifier *v, const struct lexed *l)
{
    for (size_t i = 0; i < l->terms.count; i++) {
        uint64_t key = l->terms.items[i].key, n = 0;
        bool seen = false;
        for (size_t k = 0; k < i && !seen && i < 400; k++)
            seen = l->terms.items[k].key == key;
        if (seen)
            continue;
        map_find(&v->df, &key, sizeof key, &n);
        map_put(&v->df, &key, sizeof key, n + 1);
    }
}

enum sooth_status verifier_new(const struct verify_source *sources, size_t n, struct verifier **out, struct sooth_error *err)
{
    *out = NULL;
    struct verifier *v = mem_calloc(1, sizeof *v);
    if (!v)
        return err_nomem(err);
    v->sources = mem_calloc(n ? n : 1, sizeof *v->sources);
    v->around = mem_calloc(n ? n : 1, sizeof *v->around);
    map_init(&v->df);
    bool failed = !v->sources || !v->around;
    for (size_t i = 0; i < n && !failed; i++) {
        v->sources[i] = sources[i];
        v->n_sources = i + 1;
        const char *context = sources[i].context ? sources[i].context : "";
        lex_text(context, strlen(context), &v->around[i]);
        failed |= v->around[i].failed;
        v->around[i].text = ""; /* only terms and values are read: the context may go */
        v->around[i].len = 0;
        size_t at = 0;
        for (struct sentence s; !failed && sentence_next(sources[i].text, sources[i].len, &at, &s);) {
            struct piece p = { .source = i, .start = s.start, .end = s.end };
            lex_text(sources[i].text + s.start, s.end - s.start, &p.lexed);
            failed |= p.lexed.failed;
            df_count(v, &p.lexed);
            if (!vec_push(&v->pieces, p)) {
                lexed_release(&p.lexed);
                failed = true;
            }
        }
    }
    if (failed || v->df.failed) {
        verifier_free(v);
        return err_nomem(err);
    }
    *out = v;
    return SOOTH_OK;
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->pieces.count; i++)
        lexed_release(&v->pieces.items[i].lexed);
    for (size_t i = 0; i < v->n_sources && v->around; i++)
        lexed_release(&v->around[i]);
    vec_free(&v->pieces);
    map_release(&v->df);
    mem_free(v->sources);
    mem_free(v->around);
    mem_free(v);
}

/* --- one claim ------------------------------------------------------------------------------------------------ */

struct window { size_t first, last; double score, coverage; };
struct work {
    const struct verifier *v;
    struct lexed claim;
    size_t n;                /* terms looked at */
    double weight[MAX_TERMS], total;
    bool given[MAX_TERMS];
    unsigned match[MAX_TERMS];
    struct window top[TOP];
    size_t n_top;
};

static size_t prefix_common(const char *a, size_t n, const char *b, size_t m)
{
    size_t i = 0;
    while (i < n && i < m && (a[i] | 32) == (b[i] | 32))
        i++;
    return i;
}

/* 1 for the same term, 0.6 for words of one family ("installation", "installed"), 0 otherwise. */
static double term_match(const struct lexed *a, const struct lexeme *t, const struct lexed *b, const struct lexeme *e)
{
    if (t->key == e->key)
        return 1;
    if (t->kind != LEX_WORD || e->kind != LEX_WORD || (t->flags & LEX_STOP))
        return 0;
    size_t n = t->end - t->start, m = e->end - e->start, k = prefix_common(a->text + t->start, n, b->text + e->start, m);
    return k >= 5 && 10 * k >= 6 * (n > m ? n : m) ? 0.6 : 0;
}

static void weigh(struct work *w)
{
    double n = (double)w->v->pieces.count + 1;
    w->n = w->claim.terms.count < MAX_TERMS ? w->claim.terms.count : MAX_TERMS;
    w->total = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct lexeme *t = &w->claim.terms.items[i];
        uint64_t df = 0;
        map_find(&w->v->df, &t->key, sizeof t->key, &df);
        double idf = log(n / (1 + (double)df)) / log(n + 1);
        w->weight[i] = lex_weight(t) * (0.5 + 0.5 * (idf < 0 ? 0 : idf)) * (w->given[i] ? 0.35 : 1);
        w->total += w->weight[i];
    }
}

static void top_add(struct work *w, struct window x)
{
    size_t i = w->n_top < TOP ? w->n_top++ : TOP;
    if (i == TOP && x.score <= w->top[TOP - 1].score)
        return;
    i = i == TOP ? TOP - 1 : i;
    for (; i > 0 && w->top[i - 1].score < x.score; i--)
        w->top[i] = w->top[i - 1];
    w->top[i] = x;
}

/* The best windows that start at each sentence. hits: [pieces * n] share of each claim term found in a sentence. */
static void windows_rank(struct work *w, const float *hits)
{
    const struct verifier *v = w->v;
    for (size_t i = 0; i < v->pieces.count; i++) {
        float best[MAX_TERMS];
        memset(best, 0, sizeof best);
        double previous = 0;
        for (size_t j = i; j < i + 3 && j < v->pieces.count && v->pieces.items[j].source == v->pieces.items[i].source; j++) {
            double sum = 0;
            for (size_t t = 0; t < w->n; t++) {
                best[t] = fmaxf(best[t], hits[j * w->n + t]);
                sum += w->weight[t] * best[t];
            }
            double coverage = w->total > 0 ? sum / w->total : 0;
            if (coverage > 0 && (j == i || coverage > previous + 0.05))
                top_add(w, (struct window){ i, j, coverage - 0.04 * (double)(j - i), coverage });
            previous = coverage;
        }
    }
}

/* Matches each claim term to the window's first term of the same key that no earlier one took, keeping order where
 * a word occurs twice. */
static double match_terms(struct work *w, const struct lexed *window, double *rest)
{
    double found = 0, plain = 0, plain_total = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct lexeme *t = &w->claim.terms.items[i];
        double best = 0;
        w->match[i] = 0;
        for (size_t k = 0; k < window->terms.count; k++) {
            double m = term_match(&w->claim, t, window, &window->terms.items[k]);
            bool taken = false;
            for (size_t p = 0; p < i && m > 0 && !taken; p++)
                taken = w->match[p] == k + 1;
            if (m > best || (m > 0 && m == best && w->match[i] && taken)) {
                if (taken && best > 0)
                    continue;
                best = m;
                w->match[i] = (unsigned)k + 1;
            }
        }
        found += w->weight[i] * best;
        bool hard = t->kind == LEX_NUMBER || t->kind == LEX_CODE || (t->flags & (LEX_NAME | LEX_HEAD));
        if (!hard) {
            plain += w->weight[i] * best;
            plain_total += w->weight[i];
        }
    }
    *rest = plain_total > 0 ? plain / plain_total : 1;
    return w->total > 0 ? found / w->total : 0;
}

struct ruling { enum sooth_verdict verdict; double score; char why[240]; };

static enum sooth_status window_rule(struct work *w, const struct window *x, struct ruling *r, struct sooth_error *err)
{
    const struct piece *a = &w->v->pieces.items[x->first], *b = &w->v->pieces.items[x->last];
    const struct verify_source *src = &w->v->sources[a->source];
    struct lexed window;
    lex_text(src->text + a->start, b->end - a->start, &window);
    if (window.failed) {
        lexed_release(&window);
        return err_nomem(err);
    }
    struct check_case c = { .claim = &w->claim, .window = &window, .around = &w->v->around[a->source], .source = src->text,
                            .source_len = src->len, .match = w->match, .given = w->given };
    c.coverage = match_terms(w, &window, &c.rest);
    struct check_finding worst = { CHECK_PASS, "" };
    for (size_t i = 0; i < sizeof check_rows / sizeof *check_rows; i++) {
        struct check_finding f = { CHECK_PASS, "" };
        check_rows[i]->run(&c, &f);
        if (f.kind > worst.kind)
            worst = f;
    }
    r->score = c.coverage;
    if (worst.kind == CHECK_CONFLICT) {
        r->verdict = SOOTH_CONTRADICTED;
        r->score = 0.1 * c.coverage;
    } else if (worst.kind == CHECK_MISSING || c.coverage < HALF) {
        r->verdict = SOOTH_UNSUPPORTED;
        r->score = 0.5 * c.coverage;
    } else {
        r->verdict = worst.kind == CHECK_DOUBT || c.coverage < FULL ? SOOTH_PARTLY : SOOTH_SUPPORTED;
        if (worst.kind == CHECK_DOUBT)
            r->score *= 0.8;
    }
    if (worst.kind != CHECK_PASS)
        snprintf(r->why, sizeof r->why, "%s", worst.why);
    else
        snprintf(r->why, sizeof r->why, "%.0f %% of its words by weight are in the source", 100 * c.coverage);
    lexed_release(&window);
    return SOOTH_OK;
}

/* Order of rulings: supported beats partly beats contradicted beats unsupported, when windows are close. */
static int rank_of(enum sooth_verdict v) { return v == SOOTH_SUPPORTED ? 3 : v == SOOTH_PARTLY ? 2 : v == SOOTH_CONTRADICTED ? 1 : 0; }

static enum sooth_status claim_rule(struct work *w, struct ruling *r, struct window *at, struct sooth_error *err)
{
    const struct verifier *v = w->v;
    *r = (struct ruling){ SOOTH_UNSUPPORTED, 0, "no source says anything like it" };
    float *hits = mem_calloc(v->pieces.count * w->n + 1, sizeof *hits);
    if (!hits)
        return err_nomem(err);
    for (size_t p = 0; p < v->pieces.count; p++)
        for (size_t t = 0; t < w->n; t++) {
            const struct lexed *l = &v->pieces.items[p].lexed;
            double best = 0;
            for (size_t k = 0; k < l->terms.count && best < 1 && w->weight[t] > 0; k++)
                best = fmax(best, term_match(&w->claim, &w->claim.terms.items[t], l, &l->terms.items[k]));
            hits[p * w->n + t] = (float)best;
        }
    w->n_top = 0;
    windows_rank(w, hits);
    mem_free(hits);
    for (size_t i = 0; i < w->n_top; i++) {
        struct ruling x = { SOOTH_UNSUPPORTED, 0, "" };
        enum sooth_status st = window_rule(w, &w->top[i], &x, err);
        if (st)
            return st;
        bool near_best = w->top[i].coverage >= w->top[0].coverage - 0.25;
        if (i == 0 || (near_best && (rank_of(x.verdict) > rank_of(r->verdict) && (x.verdict != SOOTH_CONTRADICTED || w->top[i].score >= w->top[0].score - 0.02)))) {
            *r = x;
            *at = w->top[i];
        }
    }
    return SOOTH_OK;
}

static void best_add(const struct verifier *v, const struct window *x, struct verify_result *out)
{
    const struct piece *a = &v->pieces.items[x->first], *b = &v->pieces.items[x->last];
    struct verify_evidence e = { a->source, a->start, b->end };
    for (size_t i = 0; i < out->n_best; i++)
        if (out->best[i].source == e.source && out->best[i].start <= e.start && out->best[i].end >= e.end)
            return;
    if (out->n_best < sizeof out->best / sizeof *out->best)
        out->best[out->n_best++] = e;
}

/* Names, codes and numbers only: a fragment that answers, without a predicate of its own. */
static bool bare(const char *s, size_t len)
{
    struct lexed l;
    bool plain = false;
    lex_text(s, len, &l);
    for (size_t i = 0; i < l.terms.count; i++)
        plain |= lex_content(&l.terms.items[i]) && (l.terms.items[i].kind == LEX_HAN || (l.terms.items[i].kind == LEX_WORD && !(l.terms.items[i].flags & (LEX_NAME | LEX_HEAD))));
    lexed_release(&l);
    return !plain;
}

enum sooth_status verifier_check(const struct verifier *v, const char *sentence, size_t len, const char *given,
                                 struct verify_result *out, struct sooth_error *err)
{
    *out = (struct verify_result){ .verdict = SOOTH_UNSUPPORTED, .why = "states nothing that can be checked" };
    struct claim claims[CLAIMS_MAX];
    size_t n = claims_split(sentence, len, claims);
    struct work *w = mem_calloc(1, sizeof *w);
    struct buf text = BUF_INIT;
    struct lexed asked;
    lex_text(given ? given : "", given ? strlen(given) : 0, &asked);
    enum sooth_status st = w && !asked.failed ? SOOTH_OK : err_nomem(err);
    bool first = true;
    for (size_t i = 0; i < n && !st; i++) {
        buf_clear(&text);
        if (claims[i].subject_end > claims[i].subject_start) {
            buf_add(&text, sentence + claims[i].subject_start, claims[i].subject_end - claims[i].subject_start);
            buf_putc(&text, ' ');
        }
        buf_add(&text, sentence + claims[i].start, claims[i].end - claims[i].start);
        if (given && bare(buf_str(&text), text.len)) { /* "Lindbergh in 1951.": the question holds the predicate */
            buf_putc(&text, ' ');
            buf_puts(&text, given);
        }
        lex_text(buf_str(&text), text.len, &w->claim);
        w->v = v;
        for (size_t t = 0; t < w->claim.terms.count && t < MAX_TERMS; t++) {
            w->given[t] = false;
            for (size_t k = 0; k < asked.terms.count && !w->given[t]; k++)
                w->given[t] = asked.terms.items[k].key == w->claim.terms.items[t].key;
        }
        weigh(w);
        if (text.failed || w->claim.failed) {
            st = err_nomem(err);
        } else if (w->total > 0) {
            struct ruling r;
            struct window at = { 0 };
            st = claim_rule(w, &r, &at, err);
            bool worse = first || r.verdict > out->verdict || (r.verdict == out->verdict && r.score < out->score);
            if (!st && worse) {
                out->verdict = r.verdict;
                out->score = r.score;
                snprintf(out->why, sizeof out->why, "%s", r.why);
            }
            if (!st && w->n_top && r.score > 0)
                best_add(v, &at, out);
            first = false;
        }
        lexed_release(&w->claim);
    }
    buf_release(&text);
    lexed_release(&asked);
    mem_free(w);
    return st;
}
