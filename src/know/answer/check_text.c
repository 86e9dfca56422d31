/* check_text.c: sooth_check: any text against given sources, or against what a knowledge base finds for it.
 *
 * With sources, each sentence is checked against all of them. Without, each sentence is its own query, and what the
 * search finds for it are its sources. Questions claim nothing and are passed over. */
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/sentence.h"
#include "know/answer/answer.h"

#define FOUND 5        /* passages a sentence is checked against */
#define CHECKED 2000   /* sentences of one text */

static enum sooth_status one(struct sooth_answer *out, const struct verifier *v, const struct sooth_hit *hits, struct sooth_kb *kb, const char *s,
                             size_t len, struct sooth_error *err)
{
    struct verify_result r;
    enum sooth_status st = verifier_check(v, s, len, NULL, &r, err);
    if (!st)
        st = answer_add_sentence(out, s, len, &r, false, err);
    for (size_t i = 0; i < r.n_best && !st; i++)
        st = answer_cite(out, kb, &hits[r.best[i].source], r.best[i].start, r.best[i].end, err);
    return st;
}

static bool is_question(const char *s, size_t len)
{
    struct claim c[CLAIMS_MAX];
    return claims_split(s, len, c) == 0;
}

static enum sooth_status check_sources(const char *const *sources, size_t n, const char *text, size_t len, struct sooth_answer *out, struct sooth_error *err)
{
    struct sooth_hit *hits = mem_calloc(n + 1, sizeof *hits);
    struct verify_source *list = mem_calloc(n + 1, sizeof *list);
    char (*names)[32] = mem_calloc(n + 1, sizeof *names);
    struct verifier *v = NULL;
    enum sooth_status st = hits && list && names ? SOOTH_OK : err_nomem(err);
    for (size_t i = 0; i < n && !st; i++) {
        snprintf(names[i], sizeof names[i], "source %zu", i + 1);
        hits[i] = (struct sooth_hit){ .doc = names[i], .text = (char *)sources[i], .end = strlen(sources[i]) };
        list[i] = (struct verify_source){ sources[i], strlen(sources[i]), NULL };
    }
    if (!st)
        st = verifier_new(list, n, &v, err);
    size_t at = 0;
    for (struct sentence s; !st && out->n_sentences < CHECKED && sentence_next(text, len, &at, &s);)
        if (!is_question(text + s.start, s.end - s.start))
            st = one(out, v, hits, NULL, text + s.start, s.end - s.start, err);
    verifier_free(v);
    mem_free(hits);
    mem_free(list);
    mem_free(names);
    return st;
}

static enum sooth_status check_found(struct sooth_kb *kb, const char *s, size_t len, struct sooth_answer *out, struct sooth_error *err)
{
    struct sooth_search_options o;
    struct sooth_hits hits = { 0 };
    struct verify_source list[FOUND];
    struct verifier *v = NULL;
    char *query = mem_strndup(s, len);
    sooth_search_options_init(&o);
    o.k = FOUND;
    enum sooth_status st = query ? sooth_search(kb, query, &o, &hits, err) : err_nomem(err);
    size_t n = hits.count < FOUND ? hits.count : FOUND;
    for (size_t i = 0; i < n && !st; i++)
        list[i] = (struct verify_source){ hits.items[i].text, strlen(hits.items[i].text), hits.items[i].heading };
    if (!st)
        st = verifier_new(list, n, &v, err);
    if (!st)
        st = one(out, v, hits.items, kb, s, len, err);
    verifier_free(v);
    sooth_hits_release(&hits);
    mem_free(query);
    return st;
}

enum sooth_status sooth_check(struct sooth_kb *kb, const char *const *sources, size_t n_sources, const char *text, size_t len,
                              struct sooth_answer *out, struct sooth_error *err)
{
    enum sooth_status st = SOOTH_OK;
    double t0 = clock_seconds();
    memset(out, 0, sizeof *out);
    out->mode = "checked";
    if (!kb && !n_sources)
        return err_set(err, SOOTH_ERR_ARG, "nothing to check against: neither a source nor a knowledge base");
    if (n_sources) {
        st = check_sources(sources, n_sources, text, len, out, err);
    } else {
        size_t at = 0;
        for (struct sentence s; !st && out->n_sentences < CHECKED && sentence_next(text, len, &at, &s);)
            if (!is_question(text + s.start, s.end - s.start))
                st = check_found(kb, text + s.start, s.end - s.start, out, err);
    }
    if (!st && (!(out->question = mem_strdup("")) || !(out->standalone = mem_strdup(""))))
        st = err_nomem(err);
    if (!st)
        st = answer_finish(out, err);
    out->verify_seconds = out->total_seconds = clock_seconds() - t0;
    if (st)
        sooth_answer_release(out);
    return st;
}
