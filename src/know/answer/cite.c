/* cite.c: sentences and their citations inside a struct sooth_answer.
 *
 * One numbering from 1 for the whole answer; the same span of the same document has the same number; every number a
 * sentence carries is in the list. The page is the one the quote starts on, not the passage's; where that cannot be
 * known there is none, rather than a guess. */
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "know/answer/answer.h"
#include "know/retrieve/retrieve.h"

static bool grow(void *list, size_t count, size_t size)
{
    void **p = list;
    void *more = mem_realloc(*p, count + 1, size);
    if (more)
        *p = more;
    return more != NULL;
}

enum sooth_status answer_add_sentence(struct sooth_answer *a, const char *text, size_t len, const struct verify_result *r, bool dropped,
                                      struct sooth_error *err)
{
    struct sooth_sentence s = { .text = mem_strndup(text, len), .verdict = r->verdict, .score = r->score, .why = mem_strdup(r->why), .dropped = dropped };
    if (!s.text || !s.why || !grow(&a->sentences, a->n_sentences, sizeof *a->sentences)) {
        mem_free(s.text);
        mem_free(s.why);
        return err_nomem(err);
    }
    a->sentences[a->n_sentences++] = s;
    return SOOTH_OK;
}

static struct sooth_citation *find(struct sooth_answer *a, const char *doc, size_t start, size_t end)
{
    for (size_t i = 0; i < a->n_citations; i++)
        if (a->citations[i].start == start && a->citations[i].end == end && !strcmp(a->citations[i].doc, doc))
            return &a->citations[i];
    return NULL;
}

static void citation_release(struct sooth_citation *c)
{
    mem_free(c->doc);
    mem_free(c->title);
    mem_free(c->page_label);
    mem_free(c->quote);
}

enum sooth_status answer_cite(struct sooth_answer *a, struct sooth_kb *kb, const struct sooth_hit *hit, size_t start, size_t end, struct sooth_error *err)
{
    struct sooth_sentence *s = &a->sentences[a->n_sentences - 1];
    struct sooth_citation *c = find(a, hit->doc, hit->start + start, hit->start + end);
    if (!c) {
        struct sooth_citation x = { .n = a->n_citations + 1, .doc = mem_strdup(hit->doc), .title = mem_strdup(hit->title),
                                    .start = hit->start + start, .end = hit->start + end, .quote = mem_strndup(hit->text + start, end - start) };
        enum sooth_status st = SOOTH_OK;
        if (kb)
            st = kb_page_at(kb, hit->chunk, x.start, &x.page, &x.page_label, err);
        if (!st && (!x.doc || !x.quote || (hit->title && !x.title) || !grow(&a->citations, a->n_citations, sizeof *a->citations)))
            st = err_nomem(err);
        if (st) {
            citation_release(&x);
            return st;
        }
        a->citations[a->n_citations++] = x;
        c = &a->citations[a->n_citations - 1];
    }
    for (size_t i = 0; i < s->n_citations; i++)
        if (s->citations[i] == c->n)
            return SOOTH_OK;
    if (!grow(&s->citations, s->n_citations, sizeof *s->citations))
        return err_nomem(err);
    s->citations[s->n_citations++] = c->n;
    return SOOTH_OK;
}

enum sooth_status answer_finish(struct sooth_answer *a, struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    size_t kept = 0;
    for (size_t i = 0; i < a->n_sentences; i++) /* stable: kept ones to the front */
        if (!a->sentences[i].dropped) {
            struct sooth_sentence t = a->sentences[i];
            memmove(&a->sentences[kept + 1], &a->sentences[kept], (i - kept) * sizeof t);
            a->sentences[kept++] = t;
        }
    buf_puts(&text, "");
    for (size_t i = 0; i < kept; i++) {
        const char *s = a->sentences[i].text;
        bool han = text.len && (unsigned char)text.data[text.len - 1] >= 0x80 && (unsigned char)*s >= 0xE3;
        if (text.len && !han)
            buf_putc(&text, ' ');
        buf_puts(&text, s);
    }
    mem_free(a->answer);
    a->answer = buf_take(&text);
    return a->answer ? SOOTH_OK : err_nomem(err);
}

void sooth_answer_release(struct sooth_answer *a)
{
    for (size_t i = 0; i < a->n_sentences; i++) {
        mem_free(a->sentences[i].text);
        mem_free(a->sentences[i].why);
        mem_free(a->sentences[i].citations);
    }
    for (size_t i = 0; i < a->n_citations; i++)
        citation_release(&a->citations[i]);
    for (size_t i = 0; i < a->n_queries; i++)
        mem_free(a->queries[i]);
    mem_free(a->question);
    mem_free(a->standalone);
    mem_free(a->answer);
    mem_free(a->reason);
    mem_free(a->sentences);
    mem_free(a->citations);
    mem_free(a->queries);
    sooth_hits_release(&a->retrieved);
    memset(a, 0, sizeof *a);
}
