/* ask.c: the ask loop: one question, one search, one answer.
 *
 * What tables can be asked is worked out first (know/retrieve). Iterative retrieval does not pay by default and bad
 * context hurts, so: search once, judge what was found, answer from the best sentences or not at all. A draft by a model is only ever kept where the sources bear it; if nothing of
 * it survives, the best sentences are quoted instead. */
#include "core/base/alloc.h"
#include <math.h>
#include <string.h>
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/sentence.h"
#include "know/answer/answer.h"
#include "know/retrieve/retrieve.h"

#define RETRIEVED 10         /* passages shown as found */
#define READ 8               /* passages whose sentences are read */
#define DRAFT_SENTENCES 5    /* that a model is given */
#define ANSWER_TOKENS 96
#define TEMPLATE_TOKENS 64   /* what a chat template adds, generously */
#define WEAK 1000000000u     /* parameters below which a model writes answers only when told to */

struct asking {
    struct sooth_kb *kb;
    struct sooth_session *session;
    const struct sooth_ask_options *o;
    const struct sooth_reader *reader; /* NULL: none beside the embedder, or not wanted */
    struct question q;
    struct evidence e;
    size_t use;              /* passages worth reading */
    struct sooth_answer *out;
    struct sooth_error *err;
};

void sooth_ask_options_init(struct sooth_ask_options *o)
{
    *o = (struct sooth_ask_options){ .mode = SOOTH_ANSWER_AUTO, .verify = true };
    o->sampling.top_p = 1;
    o->sampling.repeat_penalty = 1;
    o->sampling.repeat_last = 64;
}

const char *sooth_verdict_name(enum sooth_verdict v)
{
    static const char *const names[] = { "supported", "partly", "unsupported", "contradicted" };
    return (unsigned)v < 4 ? names[v] : "unsupported";
}

static enum sooth_status abstain(struct asking *k, const char *reason)
{
    const char *say = k->q.han ? "文档中没有这个问题的答案。" : "The documents do not answer this.";
    if (k->q.small_talk)
        say = k->q.han ? "请就您的文档提问。" : "Ask a question about your documents.";
    mem_free(k->out->answer);
    k->out->answer = mem_strdup(say);
    k->out->reason = mem_strdup(reason);
    k->out->abstained = true;
    k->out->mode = "abstained";
    return k->out->answer && k->out->reason ? SOOTH_OK : err_nomem(k->err);
}

/* Similarity of meaning by the store's own embedder, the same scale in and across languages (know/index/align.c). */
static enum sooth_status dense(void *user, const char *question, const char *const *texts, const size_t *lens, size_t n, float *out, struct sooth_error *err)
{
    struct asking *k = user;
    const struct embedder *e;
    const struct snapshot *view;
    size_t q_len = strlen(question);
    enum sooth_status st = kb_embedder(k->kb, &e, err);
    if (!st)
        st = store_snapshot(kb_store(k->kb), true, &view, err);
    if (st)
        return st;
    float *v = mem_array(n + 1, e->dim * sizeof *v);
    enum script *scripts = mem_array(n + 1, sizeof *scripts);
    st = v && scripts ? e->embed(e, true, &question, &q_len, 1, v, err) : err_nomem(err);
    if (!st)
        st = e->embed(e, false, texts, lens, n, v + e->dim, err);
    for (size_t i = 0; i < n && !st; i++)
        scripts[i] = script_of(texts[i], lens[i]);
    if (!st)
        st = aligned_vectors(kb_store(k->kb), view, v, script_of(question, q_len), v + e->dim, scripts, n, out, err);
    mem_free(v);
    mem_free(scripts);
    return st;
}

static enum sooth_status read_texts(void *user, const char *question, const char *const *texts, const size_t *lens, size_t n,
                                    struct sooth_reading *out, struct sooth_error *err)
{
    const struct asking *k = user;
    return sooth_read(k->reader, question, strlen(question), texts, lens, n, out, err);
}

static enum sooth_status find_evidence(struct asking *k)
{
    const struct sooth_reader *reader;
    enum sooth_status st = kb_reader(k->kb, &reader, k->err);
    k->reader = k->o->no_reader ? NULL : reader;
    const struct evidence_senses senses = { .dense = dense, .read = k->reader ? read_texts : NULL, .user = k };
    return st ? st : evidence_find(&k->q, &k->out->retrieved, k->use, &senses, &k->e, k->err);
}

/* --- quoted ---------------------------------------------------------------------------------------------------- */

static enum sooth_status quote_one(struct asking *k, const struct quote *x)
{
    const struct sooth_hit *h = &k->out->retrieved.items[x->hit];
    struct buf header = BUF_INIT, shown = BUF_INIT;
    struct verify_result r = { .verdict = SOOTH_SUPPORTED, .score = 1, .why = "quoted word for word" };
    enum sooth_status st = SOOTH_OK;
    if (memmem(h->text + x->start, x->end - x->start, " | ", 3))
        st = kb_table_header(k->kb, h->chunk, &header, k->err);
    if (!st && !quote_show(h->text + x->start, x->end - x->start, header.len ? buf_str(&header) : NULL, &shown))
        st = err_nomem(k->err);
    if (!st)
        st = answer_add_sentence(k->out, buf_str(&shown), shown.len, &r, false, k->err);
    if (!st)
        st = answer_cite(k->out, k->kb, h, x->start, x->end, k->err);
    buf_release(&header);
    buf_release(&shown);
    return st;
}

static enum sooth_status quoted(struct asking *k)
{
    struct quote quotes[QUOTES_MAX];
    size_t n = compose_quotes(&k->q, &k->e, &k->out->retrieved, quotes);
    enum sooth_status st = SOOTH_OK;
    k->out->mode = "quoted";
    k->out->used = k->use;
    for (size_t i = 0; i < n && !st; i++)
        st = quote_one(k, &quotes[i]);
    return st ? st : answer_finish(k->out, k->err);
}

/* --- generated ------------------------------------------------------------------------------------------------- */

static size_t count_tokens(void *user, const char *text, size_t len) { return sooth_count_tokens(user, text, len); }

/* A sentence with the one behind it, under its title: short contexts are copied from best. */
static bool draft_passage(const struct asking *k, const struct unit *u, struct buf *out)
{
    const struct sooth_hit *h = &k->out->retrieved.items[u->hit];
    size_t end = u->end, at = u->end;
    struct sentence s;
    if (sentence_next(h->text, strlen(h->text), &at, &s) && s.end - u->end < 200)
        end = s.end;
    if (h->title && *h->title)
        buf_printf(out, "(%s) ", h->title);
    return buf_add(out, h->text + u->start, end - u->start);
}

static enum sooth_status draft(struct asking *k, struct buf *text)
{
    struct sooth_model *model = sooth_session_model(k->session);
    struct buf passages[DRAFT_SENTENCES] = { BUF_INIT };
    const char *list[DRAFT_SENTENCES];
    size_t n = k->e.count < DRAFT_SENTENCES ? k->e.count : DRAFT_SENTENCES;
    size_t answer = k->o->max_tokens ? k->o->max_tokens : ANSWER_TOKENS, context = sooth_model_info(model)->context;
    for (size_t i = 0; i < n; i++) {
        draft_passage(k, &k->e.items[i], &passages[i]);
        list[i] = buf_str(&passages[i]);
    }
    struct prompt p;
    size_t room = context == 0 ? 4096 : context > answer + TEMPLATE_TOKENS ? context - answer - TEMPLATE_TOKENS : 0;
    enum sooth_status st = prompt_build(k->q.text + k->q.own, list, n, room, count_tokens, model, &p, k->err);
    for (size_t i = 0; i < n; i++)
        buf_release(&passages[i]);
    if (st)
        return st;
    struct sooth_message messages[] = { { "system", buf_str(&p.system) }, { "user", buf_str(&p.user) } };
    struct sooth_generate_options g;
    struct sooth_generation made;
    sooth_generate_options_init(&g);
    g.sampling = k->o->sampling;
    g.max_tokens = answer;
    g.on_text = k->o->on_text;
    g.user = k->o->user;
    if (p.dropped)
        log_write(LOG_INFO, "passages %s left out: they do not fit the model's context", p.listed);
    st = sooth_chat(k->session, messages, 2, &g, &made, k->err);
    if (!st) {
        k->out->prompt_tokens = made.n_prompt;
        k->out->answer_tokens = made.n_tokens;
        st = draft_clean(made.text, made.len, text, k->err);
        sooth_generation_release(&made);
    }
    prompt_release(&p);
    return st;
}

/* Judges one drafted sentence and, where it is borne, cites the evidence. */
static enum sooth_status judge(struct asking *k, const struct verifier *v, const char *s, size_t len)
{
    struct verify_result r = { .verdict = SOOTH_PARTLY, .score = 0.5, .why = "not checked" };
    enum sooth_status st = k->o->verify ? verifier_check(v, s, len, k->q.text + k->q.own, &r, k->err) : SOOTH_OK;
    bool keep = r.verdict == SOOTH_SUPPORTED || r.verdict == SOOTH_PARTLY;
    if (!st)
        st = answer_add_sentence(k->out, s, len, &r, !keep, k->err);
    for (size_t i = 0; i < r.n_best && keep && !st; i++)
        st = answer_cite(k->out, k->kb, &k->out->retrieved.items[r.best[i].source], r.best[i].start, r.best[i].end, k->err);
    return st;
}

static enum sooth_status verifier_of(struct asking *k, struct verifier **v)
{
    size_t n = k->use;
    struct verify_source *sources = mem_calloc(n + 1, sizeof *sources);
    struct buf *context = mem_calloc(n + 1, sizeof *context);
    enum sooth_status st = sources && context ? SOOTH_OK : err_nomem(k->err);
    for (size_t i = 0; i < n && !st; i++) {
        const struct sooth_hit *h = &k->out->retrieved.items[i];
        buf_printf(&context[i], "%s\n%s", h->title ? h->title : "", h->heading ? h->heading : "");
        sources[i] = (struct verify_source){ h->text, strlen(h->text), buf_str(&context[i]) };
    }
    if (!st)
        st = verifier_new(sources, n, v, k->err);
    for (size_t i = 0; i < n && context; i++)
        buf_release(&context[i]);
    mem_free(context);
    mem_free(sources);
    return st;
}

static void sentences_drop(struct sooth_answer *a)
{
    for (size_t i = 0; i < a->n_sentences; i++)
        a->sentences[i].dropped = true;
}

/* A draft that names the kind of thing asked for. */
static bool draft_answers(const struct asking *k)
{
    double met = 0;
    for (size_t i = 0; i < k->out->n_sentences; i++) {
        const struct sooth_sentence *s = &k->out->sentences[i];
        struct lexed l;
        if (s->dropped)
            continue;
        lex_text(s->text, strlen(s->text), &l);
        met = fmax(met, want_met(&k->q, &l));
        lexed_release(&l);
    }
    return met >= 0.5;
}

static enum sooth_status generated(struct asking *k)
{
    struct buf text = BUF_INIT;
    struct verifier *v = NULL;
    double t0 = clock_seconds();
    enum sooth_status st = draft(k, &text);
    k->out->generate_seconds = clock_seconds() - t0;
    t0 = clock_seconds();
    if (!st)
        st = verifier_of(k, &v);
    size_t at = 0;
    for (struct sentence s; !st && sentence_next(buf_str(&text), text.len, &at, &s);)
        st = judge(k, v, text.data + s.start, s.end - s.start);
    verifier_free(v);
    buf_release(&text);
    k->out->verify_seconds = clock_seconds() - t0;
    k->out->mode = "generated";
    k->out->used = k->use;
    if (st)
        return st;
    if (!draft_answers(k)) { /* nothing that answers survived: the sources speak themselves */
        sentences_drop(k->out);
        for (size_t i = 0; i < k->out->n_citations; i++) {
            mem_free(k->out->citations[i].doc);
            mem_free(k->out->citations[i].title);
            mem_free(k->out->citations[i].page_label);
            mem_free(k->out->citations[i].quote);
        }
        k->out->n_citations = 0;
        for (size_t i = 0; i < k->out->n_sentences; i++)
            k->out->sentences[i].n_citations = 0;
        return quoted(k);
    }
    return answer_finish(k->out, k->err);
}

/* --- the loop -------------------------------------------------------------------------------------------------- */

/* Left to itself a model below WEAK parameters writes fluent sentences with wrong numbers in them, more than the check can catch:
 * on 63 real documents quoting answered 65 % of the questions, a draft of 135M parameters 54 %. */
static bool wants_draft(const struct asking *k)
{
    if (!k->session || k->o->mode == SOOTH_ANSWER_QUOTE)
        return false;
    if (k->o->mode == SOOTH_ANSWER_GENERATE)
        return true;
    const struct sooth_model_info *info = sooth_model_info(sooth_session_model(k->session));
    return info->kind == SOOTH_MODEL_REMOTE || info->parameters >= WEAK;
}

static bool rewrite_known(const char *name)
{
    const char *row, *about;
    for (size_t i = 0; sooth_rewrite_at(i, &row, &about); i++)
        if (strcmp(row, name) == 0)
            return true;
    return false;
}

/* The question first, then what was searched beside it. */
static enum sooth_status queries_take(struct asking *k)
{
    struct sooth_hits *h = &k->out->retrieved;
    char **all = mem_realloc(k->out->queries, 1 + h->n_queries, sizeof *all);
    if (!all)
        return err_nomem(k->err);
    k->out->queries = all;
    for (size_t i = 0; i < h->n_queries; i++)
        all[k->out->n_queries++] = h->queries[i];
    h->n_queries = 0;
    return SOOTH_OK;
}

static enum sooth_status search(struct asking *k)
{
    struct sooth_search_options s;
    sooth_search_options_init(&s);
    s.k = k->o->k > RETRIEVED ? k->o->k : RETRIEVED;
    s.filter = k->o->filter;
    s.rewrite = k->o->rewrite && rewrite_known(k->o->rewrite) ? k->o->rewrite : NULL;
    k->out->queries = mem_calloc(1, sizeof *k->out->queries);
    if (!k->out->queries || !(k->out->queries[0] = mem_strdup(k->out->standalone)))
        return err_nomem(k->err);
    k->out->n_queries = 1;
    enum sooth_status st = sooth_search(k->kb, k->out->standalone, &s, &k->out->retrieved, k->err);
    return st ? st : queries_take(k);
}

/* A total, an extreme or a count over tables is worked out by SQL, not read: the sentence says the result, the rows behind it are cited. */
static enum sooth_status worked_out(struct asking *k, bool *done)
{
    struct sooth_search_options s;
    sooth_search_options_init(&s);
    s.mode = SOOTH_SEARCH_SQL;
    s.k = RETRIEVED;
    s.filter = k->o->filter;
    enum sooth_status st = sooth_search(k->kb, k->out->standalone, &s, &k->out->retrieved, k->err);
    struct sooth_hits *rows = &k->out->retrieved;
    *done = !st && rows->answer;
    if (st || !*done) {
        sooth_hits_release(rows);
        return st;
    }
    const struct verify_result r = { .verdict = SOOTH_SUPPORTED, .score = 1, .why = "worked out from the rows cited" };
    k->out->mode = "quoted";
    k->out->used = rows->count;
    k->out->queries = mem_calloc(1, sizeof *k->out->queries);
    if (!k->out->queries || !(k->out->queries[0] = mem_strdup(rows->sql ? rows->sql : k->out->standalone)))
        return err_nomem(k->err);
    k->out->n_queries = 1;
    st = answer_add_sentence(k->out, rows->answer, strlen(rows->answer), &r, false, k->err);
    for (size_t i = 0; i < rows->count && !st; i++)
        st = answer_cite(k->out, k->kb, &rows->items[i], 0, strlen(rows->items[i].text), k->err);
    return st ? st : answer_finish(k->out, k->err);
}

static enum sooth_status answer_question(struct asking *k)
{
    char why[200];
    double t0 = clock_seconds();
    if (k->q.small_talk)
        return abstain(k, "nothing was asked");
    bool done;
    enum sooth_status st = worked_out(k, &done);
    if (!st && done)
        k->out->retrieve_seconds = clock_seconds() - t0;
    if (!st && !done)
        st = search(k);
    if (st || done)
        return st;
    if (!k->out->retrieved.count) {
        k->out->retrieve_seconds = clock_seconds() - t0;
        return abstain(k, "no passage was found");
    }
    k->use = gate_passages(&k->out->retrieved, k->o->k ? k->o->k : READ, why, sizeof why);
    if (k->o->k)
        k->use = k->out->retrieved.count < k->o->k ? k->out->retrieved.count : k->o->k;
    log_write(LOG_INFO, "%s", why);
    st = find_evidence(k);
    k->out->retrieve_seconds = clock_seconds() - t0;
    if (st)
        return st;
    double p = gate_answerable(&k->q, &k->e, &k->out->retrieved, why, sizeof why);
    log_write(LOG_DEBUG, "answerable with probability %.2f; wanted: %s", p, want_name(k->q.want));
    if (p < GATE)
        return abstain(k, why);
    return wants_draft(k) ? generated(k) : quoted(k);
}

enum sooth_status sooth_ask(struct sooth_kb *kb, struct sooth_session *session, const char *question, const struct sooth_ask_options *options,
                            struct sooth_answer *out, struct sooth_error *err)
{
    struct sooth_ask_options defaults;
    struct asking k = { .kb = kb, .session = session, .o = options, .out = out, .err = err };
    struct question own;
    struct buf standalone = BUF_INIT;
    double t0 = clock_seconds();
    size_t own_at = 0;
    bool same = false;
    memset(out, 0, sizeof *out);
    if (!options) {
        sooth_ask_options_init(&defaults);
        k.o = &defaults;
    }
    bool plain = k.o->rewrite && strcmp(k.o->rewrite, "none") == 0;
    if (k.o->rewrite && !plain && strcmp(k.o->rewrite, "auto") != 0 && !rewrite_known(k.o->rewrite))
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "rewriting '%s' is not known", k.o->rewrite);
    enum sooth_status st = followup_resolve(question, k.o->history, plain ? 0 : k.o->n_history, &standalone, &own_at, &same, err);
    if (!st && (!(out->question = mem_strdup(question)) || !(out->standalone = buf_take(&standalone))))
        st = err_nomem(err);
    buf_release(&standalone);
    if (!st && !(st = question_read(out->standalone, &k.q, err))) {
        k.q.own = own_at;
        if (own_at && !(st = question_read(out->standalone + own_at, &own, err))) {
            k.q.want = own.want;
            k.q.calendar = own.calendar;
            k.q.several = own.several;
            question_release(&own);
        }
        if (!st)
            st = answer_question(&k);
        evidence_release(&k.e);
        question_release(&k.q);
    }
    out->total_seconds = clock_seconds() - t0;
    if (st)
        sooth_answer_release(out);
    return st;
}
