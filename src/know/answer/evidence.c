/* evidence.c: the sentences of the passages, scored against the question.
 *
 *   score = MEANING * d + WORDS * (0.6 cover + 0.4 near) + KIND * kind + RANK / rank + READ * r - penalties
 *
 * cover is the share of the question's weight (idf over the sentences at hand, more for names, codes, numbers) that
 * the sentence holds; near also counts its neighbours, heading path and title, for answers often stand in the next
 * sentence; d is the similarity of meaning stretched to 0..1 over the sentences at hand, since cosines of one embedder
 * live in a narrow band; r is the reader's probability that the answer's words stand in the sentence. A sentence in another language than the question's is
 * scored by meaning mostly, since its words cannot match. Headings, questions
 * and sentences that only repeat the question are penalised: they do not answer.
 *
 * Meaning is measured for the EMBEDDED best by words and rank only: that bounds the time of a whole ask. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/sentence.h"
#include "core/base/vec.h"
#include "know/answer/answer.h"

#define UNITS_MAX 400
#define EMBEDDED 40
#define MEANING 0.40
#define WORDS 0.40
#define KIND 0.14
#define KIND_HARD 0.24
#define RANK 0.10
#define READ 0.60         /* set by hand: no reader that was good enough to fit it has been trained here (docs/book/reading.md) */
#define READ_BIAS 0.0
#define READ_SPAN 0.25
#define READ_PRESENT 0.5
#define MAX_TERMS 128
#define CROSS_KNOWN 0.5   /* of the question's weight known in its own language, under which the other gets more places */
#define CROSS_BEHIND 0.15
#define CROSS_MEANING 0.5 /* share of WORDS that goes to meaning for a sentence in the other language */

struct context {          /* of one passage */
    struct lexed around;  /* title and headings */
};
struct finder {
    const struct question *q;
    const struct sooth_hits *hits;
    size_t n_hits;
    VEC(struct unit) units;
    struct context *contexts; /* [n_hits] */
    struct map df;
    double weight[MAX_TERMS], total;
    size_t n_terms;
    unsigned char *has;   /* [units * n_terms] */
};

static enum sooth_status cut(struct finder *f, struct sooth_error *err)
{
    for (size_t h = 0; h < f->n_hits; h++) {
        const struct sooth_hit *hit = &f->hits->items[h];
        struct buf around = BUF_INIT;
        buf_printf(&around, "%s\n%s", hit->title ? hit->title : "", hit->heading ? hit->heading : "");
        /* the lexed text is only read for its terms, which hold no pointers */
        lex_text(buf_str(&around), around.len, &f->contexts[h].around);
        f->contexts[h].around.text = "";
        f->contexts[h].around.len = 0;
        bool failed = around.failed || f->contexts[h].around.failed;
        buf_release(&around);
        size_t at = 0, len = strlen(hit->text);
        for (struct sentence s; !failed && f->units.count < UNITS_MAX && sentence_next(hit->text, len, &at, &s);) {
            struct unit u = { .hit = h, .start = s.start, .end = s.end, .dense = NAN, .read = NAN };
            lex_text(hit->text + s.start, s.end - s.start, &u.lexed);
            failed = u.lexed.failed;
            u.han = text_is_han(hit->text + s.start, s.end - s.start);
            for (size_t i = s.start; i + 3 <= s.end && !u.row; i++)
                u.row = !memcmp(hit->text + i, " | ", 3);
            if (!vec_push(&f->units, u)) {
                lexed_release(&u.lexed);
                failed = true;
            }
        }
        if (failed)
            return err_nomem(err);
    }
    return SOOTH_OK;
}

static bool holds(const struct lexed *l, const struct lexed *q, const struct lexeme *t)
{
    size_t n = t->end - t->start;
    for (size_t i = 0; i < l->terms.count; i++) {
        const struct lexeme *e = &l->terms.items[i];
        if (e->key == t->key)
            return true;
        if (t->kind != LEX_WORD || e->kind != LEX_WORD || n < 5 || !l->len)
            continue; /* one family: "install", "installation" */
        size_t m = e->end - e->start, k = 0;
        while (k < n && k < m && (l->text[e->start + k] | 32) == (q->text[t->start + k] | 32))
            k++;
        if (k >= 5 && 10 * k >= 7 * (n > m ? n : m))
            return true;
    }
    return false;
}

static enum sooth_status weigh(struct finder *f, struct sooth_error *err)
{
    const struct lexed *q = &f->q->lexed;
    f->n_terms = q->terms.count < MAX_TERMS ? q->terms.count : MAX_TERMS;
    f->has = mem_calloc(f->units.count + 1, f->n_terms + 1);
    if (!f->has)
        return err_nomem(err);
    double n = (double)f->units.count + 1;
    for (size_t t = 0; t < f->n_terms; t++) {
        size_t df = 0;
        bool repeated = false;
        for (size_t k = 0; k < t && !repeated; k++)
            repeated = q->terms.items[k].key == q->terms.items[t].key;
        for (size_t u = 0; u < f->units.count; u++)
            df += f->has[u * f->n_terms + t] = holds(&f->units.items[u].lexed, q, &q->terms.items[t]);
        double idf = log(n / (1 + (double)df)) / log(n + 1), own = q->terms.items[t].start >= f->q->own ? 1 : 0.4;
        f->weight[t] = repeated ? 0 : own * lex_weight(&q->terms.items[t]) * (0.3 + 0.7 * (idf > 0 ? idf : 0));
        f->total += f->weight[t];
    }
    return SOOTH_OK;
}

static double share(const struct finder *f, const unsigned char *a)
{
    double s = 0;
    for (size_t t = 0; t < f->n_terms; t++)
        s += a[t] ? f->weight[t] : 0;
    return f->total > 0 ? s / f->total : 0;
}

/* The same among the terms that are neither names nor codes. */
static double relation_share(const struct finder *f, const unsigned char *a)
{
    double s = 0, total = 0;
    for (size_t t = 0; t < f->n_terms; t++) {
        const struct lexeme *x = &f->q->lexed.terms.items[t];
        if (x->kind == LEX_CODE || (x->flags & LEX_NAME) || (f->q->han && x->kind == LEX_WORD))
            continue;
        total += f->weight[t];
        s += a[t] ? f->weight[t] : 0;
    }
    return total > 0 ? s / total : 1;
}

/* "Figure 3: ...", "Table 2:", "Listing 7.": captions name things and rarely answer. */
static bool is_caption(const char *s, size_t len)
{
    static const char *const heads[] = { "Figure ", "Fig. ", "Table ", "Listing ", "图 ", "表 ", "图", "表" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i]);
        if (len > n + 1 && !memcmp(s, heads[i], n) && s[n] >= '0' && s[n] <= '9')
            return true;
    }
    return false;
}

static void cover(struct finder *f, struct evidence *out)
{
    unsigned char all[MAX_TERMS] = { 0 }, passage[MAX_TERMS] = { 0 };
    for (size_t u = 0; u < f->units.count; u++) {
        struct unit *x = &f->units.items[u];
        unsigned char near[MAX_TERMS];
        const unsigned char *own = f->has + u * f->n_terms;
        if (u == 0 || f->units.items[u - 1].hit != x->hit)
            memset(passage, 0, sizeof passage);
        x->cover = share(f, own);
        for (size_t t = 0; t < f->n_terms; t++) {
            bool before = u > 0 && f->units.items[u - 1].hit == x->hit && own[t - f->n_terms];
            bool after = u + 1 < f->units.count && f->units.items[u + 1].hit == x->hit && own[t + f->n_terms];
            bool around = holds(&f->contexts[x->hit].around, &f->q->lexed, &f->q->lexed.terms.items[t]);
            near[t] = own[t] || before || after || around;
            passage[t] |= own[t] || around;
            all[t] |= passage[t];
        }
        x->near = share(f, near);
        out->relation = fmax(out->relation, relation_share(f, near));
        out->passage = fmax(out->passage, share(f, passage));
        x->kind = want_met(f->q, &x->lexed);
        if (is_caption(f->hits->items[x->hit].text + x->start, x->end - x->start))
            x->kind *= 0.3; /* its number is its own */
        size_t fresh = 0, content = 0;
        for (size_t i = 0; i < x->lexed.terms.count; i++) {
            const struct lexeme *t = &x->lexed.terms.items[i];
            if (t->flags & LEX_STOP)
                continue;
            content++;
            bool given = false;
            for (size_t k = 0; k < f->n_terms && !given; k++)
                given = f->q->lexed.terms.items[k].key == t->key;
            fresh += !given;
        }
        x->fresh = content ? (double)fresh / (double)content : 0;
        const char *last = f->hits->items[x->hit].text + x->end - 1;
        x->heading = x->end - x->start < 60 && !x->row && *last != '.' && *last != ':' && *last != '!' && (unsigned char)*last < 0x80 && content < 6;
    }
    out->known = share(f, all);
}

/* Promise of a unit before its meaning is known; `favour` is for those in the other language, whose words cannot match. */
static double rough(const struct unit *u) { return 0.6 * u->cover + 0.4 * u->near + 0.15 * u->kind + 0.5 / (1.0 + (double)u->hit) + u->favour; }

static int by_rough(const void *a, const void *b)
{
    double x = rough(*(const struct unit *const *)a), y = rough(*(const struct unit *const *)b);
    return x != y ? (x > y ? -1 : 1) : (*(const struct unit *const *)a > *(const struct unit *const *)b) - (*(const struct unit *const *)a < *(const struct unit *const *)b);
}

static enum sooth_status measure(struct finder *f, double known, const struct evidence_senses *senses, struct sooth_error *err)
{
    struct unit **order = mem_array(f->units.count + 1, sizeof *order);
    const char *texts[EMBEDDED];
    size_t lens[EMBEDDED], n = f->units.count < EMBEDDED ? f->units.count : EMBEDDED;
    float scores[EMBEDDED];
    if (!order)
        return err_nomem(err);
    for (size_t i = 0; i < f->units.count; i++) {
        order[i] = &f->units.items[i];
        order[i]->favour = order[i]->han != f->q->han && known < CROSS_KNOWN ? 0.3 : 0;
    }
    qsort(order, f->units.count, sizeof *order, by_rough);
    struct buf joined[EMBEDDED];
    for (size_t i = 0; i < n; i++) { /* a sentence under its last heading says more */
        const struct sooth_hit *h = &f->hits->items[order[i]->hit];
        const char *heading = h->heading ? strrchr(h->heading, '>') : NULL;
        heading = heading ? heading + 1 : h->heading && *h->heading ? h->heading : h->title ? h->title : "";
        buf_init(&joined[i], 0);
        buf_puts(&joined[i], heading + (*heading == ' '));
        buf_putc(&joined[i], '\n');
        buf_add(&joined[i], h->text + order[i]->start, order[i]->end - order[i]->start);
        texts[i] = buf_str(&joined[i]);
        lens[i] = joined[i].len;
    }
    enum sooth_status st = n ? senses->dense(senses->user, f->q->text, texts, lens, n, scores, err) : SOOTH_OK;
    for (size_t i = 0; i < n; i++) {
        if (!st)
            order[i]->dense = scores[i];
        buf_release(&joined[i]);
    }
    mem_free(order);
    return st;
}

/* Both judgements of the reader in one probability (read.c); the scale is that of held-out questions. */
static double read_probability(const struct sooth_reading *r)
{
    return r->end > r->start ? 1 / (1 + exp(-(READ_BIAS + READ_SPAN * r->span + READ_PRESENT * r->present))) : 0;
}

/* The reader looks at whole passages; the sentence that holds most of the words it points at gets what it says. */
static enum sooth_status read_passages(struct finder *f, const struct evidence_senses *senses, struct evidence *out, struct sooth_error *err)
{
    const char **texts = mem_array(f->n_hits + 1, sizeof *texts);
    size_t *lens = mem_array(f->n_hits + 1, sizeof *lens);
    struct sooth_reading *readings = mem_calloc(f->n_hits + 1, sizeof *readings);
    enum sooth_status st = texts && lens && readings ? SOOTH_OK : err_nomem(err);
    for (size_t h = 0; h < f->n_hits && !st; h++) {
        texts[h] = f->hits->items[h].text;
        lens[h] = strlen(texts[h]);
    }
    if (!st)
        st = senses->read(senses->user, f->q->text, texts, lens, f->n_hits, readings, err);
    out->read = 0;
    for (size_t i = 0; i < f->units.count && !st; i++)
        f->units.items[i].read = 0;
    for (size_t h = 0; h < f->n_hits && !st; h++) {
        const struct sooth_reading *r = &readings[h];
        struct unit *best = NULL;
        size_t most = 0;
        for (size_t i = 0; i < f->units.count; i++) {
            struct unit *u = &f->units.items[i];
            size_t from = u->start > r->start ? u->start : r->start, to = u->end < r->end ? u->end : r->end;
            if (u->hit == h && to > from && to - from > most) {
                most = to - from;
                best = u;
            }
        }
        if (best)
            best->read = read_probability(r);
        out->read = fmax(out->read, best ? best->read : 0);
    }
    mem_free(texts);
    mem_free(lens);
    mem_free(readings);
    return st;
}

static void score(struct finder *f)
{
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < f->units.count; i++) {
        const struct unit *u = &f->units.items[i];
        lo = isnan(u->dense) ? lo : fmin(lo, u->dense);
        hi = isnan(u->dense) ? hi : fmax(hi, u->dense);
    }
    for (size_t i = 0; i < f->units.count; i++) {
        struct unit *u = &f->units.items[i];
        double d = isnan(u->dense) || hi <= lo ? 0 : (u->dense - lo) / (hi - lo), words = 0.6 * u->cover + 0.4 * u->near;
        double meaning = hi > lo ? MEANING : 0, w = hi > lo ? WORDS : MEANING + WORDS;
        if (u->han != f->q->han && hi > lo) {
            meaning += CROSS_MEANING * w;
            w *= 1 - CROSS_MEANING;
            d -= CROSS_BEHIND; /* the question's own language goes first when both are as good */
        }
        const char *text = f->hits->items[u->hit].text;
        bool hard = f->q->want == WANT_NUMBER || f->q->want == WANT_DATE; /* there is one or there is none */
        u->score = meaning * d + w * words + (hard ? KIND_HARD : KIND) * u->kind + RANK / (1.0 + (double)u->hit);
        if (!isnan(u->read))
            u->score += READ * u->read;
        if (u->heading)
            u->score -= 0.15;
        if (text[u->end - 1] == '?' || (u->end - u->start >= 3 && !memcmp(text + u->end - 3, "？", 3)))
            u->score -= 0.25;
        if (is_caption(text + u->start, u->end - u->start))
            u->score -= 0.1;
        if (u->fresh < 0.2)
            u->score -= 0.15;
    }
}

/* Of the names and codes of a Chinese question, how many the passage holds: they are written alike in both languages. */
static double names_share(const struct question *q, const struct sooth_hit *h)
{
    struct lexed l;
    size_t names = 0, found = 0;
    if (!q->han)
        return 1;
    lex_text(h->text, strlen(h->text), &l);
    for (size_t t = 0; t < q->lexed.terms.count; t++) {
        const struct lexeme *x = &q->lexed.terms.items[t];
        if ((x->kind != LEX_WORD && x->kind != LEX_CODE) || (x->flags & LEX_STOP))
            continue;
        names++;
        found += holds(&l, &q->lexed, x);
    }
    lexed_release(&l);
    return names ? (double)found / (double)names : 1;
}

static int by_score(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->hit != y->hit ? (x->hit < y->hit ? -1 : 1) : (x->start > y->start) - (x->start < y->start);
}

enum sooth_status evidence_find(const struct question *q, const struct sooth_hits *hits, size_t n_hits, const struct evidence_senses *senses,
                                struct evidence *out, struct sooth_error *err)
{
    *out = (struct evidence){ .read = NAN };
    struct finder f = { .q = q, .hits = hits, .n_hits = n_hits < hits->count ? n_hits : hits->count };
    f.contexts = mem_calloc(f.n_hits + 1, sizeof *f.contexts);
    enum sooth_status st = f.contexts ? cut(&f, err) : err_nomem(err);
    if (!st)
        st = weigh(&f, err);
    if (!st) {
        cover(&f, out);
        if (senses && senses->dense)
            st = measure(&f, out->known, senses, err);
        if (!st && senses && senses->read)
            st = read_passages(&f, senses, out, err);
    }
    if (!st) {
        score(&f);
        if (f.units.count)
            qsort(f.units.items, f.units.count, sizeof *f.units.items, by_score);
        out->cross = senses && senses->dense && f.units.count && f.units.items[0].han != q->han;
        out->names = f.units.count ? names_share(q, &hits->items[f.units.items[0].hit]) : 0;
    }
    for (size_t i = 0; i < f.n_hits && f.contexts; i++)
        lexed_release(&f.contexts[i].around);
    mem_free(f.contexts);
    mem_free(f.has);
    out->items = f.units.items;
    out->count = f.units.count;
    if (st)
        evidence_release(out);
    return st;
}

void evidence_release(struct evidence *e)
{
    for (size_t i = 0; i < e->count; i++)
        lexed_release(&e->items[i].lexed);
    mem_free(e->items);
    *e = (struct evidence){ 0 };
}
