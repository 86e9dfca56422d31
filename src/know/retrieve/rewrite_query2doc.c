/* rewrite_query2doc.c: the question and a document that would answer it, as one query (Wang et al.,
 * EMNLP 2023).
 *
 *   by words   q q q q q d        by meaning   f(q d)
 *
 * d is written by a model; without one it is the sentence of the first passage that shares most words
 * with the question. */
#include "know/retrieve/rewrite.h"
#include <string.h>
#include "core/base/error.h"
#include "core/base/sentence.h"

enum { TIMES = 5 };

static enum sooth_status join(struct rewriting *r, const char *d, size_t len)
{
    struct buf b = BUF_INIT;
    for (int i = 0; i < TIMES; i++)
        buf_printf(&b, "%s ", r->question);
    buf_add(&b, d, len);
    enum sooth_status status = b.failed ? err_nomem(r->err) : rewrite_add(r, b.data, b.len);
    buf_release(&b);
    return status;
}

struct shared {
    const char *question;
    size_t n;
};

static bool count_shared(void *user, enum term_kind kind, const char *term, size_t len)
{
    struct shared *s = user;
    if (term_counts(kind) && len > 2)
        s->n += memmem(s->question, strlen(s->question), term, len) != NULL;
    return true;
}

static enum sooth_status query2doc_derive(struct rewriting *r)
{
    struct sentence s, best = {0, 0};
    size_t at = 0, most = 0;
    enum sooth_status status = SOOTH_OK;
    if (r->n_best == 0)
        return SOOTH_OK;
    const struct feedback *p = &r->best[0];
    while (status == SOOTH_OK && sentence_next(p->text, p->len, &at, &s)) {
        struct shared shared = {r->question, 0};
        status = segment_text(p->text + s.start, s.end - s.start, count_shared, &shared, r->err);
        if (shared.n > most || best.end == 0) {
            most = shared.n;
            best = s;
        }
    }
    return status == SOOTH_OK && best.end ? join(r, p->text + best.start, best.end - best.start) : status;
}

static enum sooth_status query2doc_use(struct rewriting *r, char *const *lines, size_t n)
{
    return n ? join(r, lines[0], strlen(lines[0])) : SOOTH_OK;
}

const struct rewrite_row rewrite_query2doc = {
    .name = "query2doc",
    .about = "the question with a document that would answer it; without a model, its best sentence",
    .feedback = 1,
    .share = 0.3,
    .prompt = "Write one or two sentences that answer the question.",
    .derive = query2doc_derive,
    .use = query2doc_use,
};
