/* followup.c: a follow-up made standalone, without a model.
 *
 *   user       Which make target gives the text menu?
 *   assistant  make nconfig.
 *   user       And which library does it need?      -> Which make target gives the text menu? nconfig. And which ...
 *
 * A question leans on the turn before when it holds a pronoun without its own name for it, begins with "and", "what
 * about", 那, or is too short to be searched. Then the content of the last question and the new names of the last
 * answer are put before it: the words searched must hold the entity; how they read is nobody's business. A question
 * that names its own topic is left alone: that is how a change of topic drops the old one.
 * Left out: reference to turns further back than the last that had a topic. */
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "know/answer/answer.h"

#define SHORT_ANSWER 60

static const char *const leads[] = { "and ", "what about", "how about", "but ", "or ", "also ", "then ", "so ", "why not", "why?", "which one", "since when",
                                     "for how", "by whom", "in which" };
static const char *const han_leads[] = { "那", "那么", "还有", "另外", "然后", "以及", "为什么呢", "其中", "它", "他", "她", "这", "此", "该" };
static const char pronouns[] = " it its he she they them his her their this that these those there one ones ";
static const char *const han_pronouns[] = { "它", "他", "她", "这个", "那个", "其", "这些", "那些", "此", "该", "前者", "后者", "这里", "那里", "这样", "当时" };

static bool begins(const char *s, const char *w)
{
    return !strncasecmp(s, w, strlen(w));
}

static bool has_pronoun(const struct question *q)
{
    char key[16];
    for (size_t i = 0; i < sizeof han_pronouns / sizeof *han_pronouns && q->han; i++)
        if (strstr(q->text, han_pronouns[i]))
            return true;
    for (size_t i = 0; i < q->lexed.terms.count; i++) {
        const struct lexeme *t = &q->lexed.terms.items[i];
        size_t n = t->end - t->start;
        if (t->kind != LEX_WORD || n > 10)
            continue;
        key[0] = ' ';
        for (size_t k = 0; k < n; k++)
            key[k + 1] = (char)(q->text[t->start + k] | 32);
        key[n + 1] = ' ';
        key[n + 2] = 0;
        if (strstr(pronouns, key))
            return true;
    }
    return false;
}

/* Content the question brings itself; names and codes apart. */
static void own_content(const struct question *q, size_t *content, size_t *names)
{
    *content = *names = 0;
    for (size_t i = 0; i < q->lexed.terms.count; i++) {
        const struct lexeme *t = &q->lexed.terms.items[i];
        if (t->flags & LEX_STOP)
            continue;
        ++*content;
        *names += t->kind == LEX_CODE || (t->kind == LEX_WORD && (t->flags & LEX_NAME));
        *names += q->han && t->kind == LEX_WORD; /* a Latin word in a Chinese question */
    }
}

static bool leans(const struct question *q)
{
    size_t content, names;
    own_content(q, &content, &names);
    bool lead = false;
    for (size_t i = 0; i < sizeof leads / sizeof *leads && !q->han; i++)
        lead |= begins(q->text, leads[i]);
    for (size_t i = 0; i < sizeof han_leads / sizeof *han_leads && q->han; i++)
        lead |= begins(q->text, han_leads[i]);
    if (lead && names == 0)
        return true;
    if (has_pronoun(q) && names == 0)
        return content <= (q->han ? 12 : 6);
    return content <= (q->han ? 2 : 1) || (lead && content <= (q->han ? 4 : 2));
}

/* Appends the content terms of text (in its own spelling) that `seen` does not hold; at most `limit`. names: only
 * names, codes, numbers and quoted words. */
static void carry(const char *text, size_t len, const struct lexed *seen, bool names, size_t limit, struct buf *out)
{
    struct lexed l;
    size_t taken = 0, last = 0;
    lex_text(text, len, &l);
    for (size_t i = 0; i < l.terms.count && taken < limit; i++) {
        const struct lexeme *t = &l.terms.items[i];
        bool hard = t->kind == LEX_CODE || t->kind == LEX_NUMBER || (t->flags & (LEX_NAME | LEX_HEAD));
        bool known = (t->flags & LEX_STOP) || (names && !hard) || t->start < last;
        for (size_t k = 0; k < seen->terms.count && !known; k++)
            known = seen->terms.items[k].key == t->key;
        if (known)
            continue;
        if (out->len)
            buf_putc(out, ' ');
        buf_add(out, text + t->start, t->end - t->start);
        last = t->end;
        taken++;
    }
    lexed_release(&l);
}

static const struct sooth_message *last_of(const struct sooth_message *h, size_t n, const char *role, size_t *at)
{
    for (size_t i = n; i-- > 0;)
        if (h[i].role && h[i].content && !strcmp(h[i].role, role)) {
            *at = i;
            return &h[i];
        }
    return NULL;
}

/* The last question that has a topic of its own, with what it leant on in turn. */
static const struct sooth_message *topic_turn(const struct sooth_message *h, size_t n, size_t *at)
{
    const struct sooth_message *m = NULL;
    for (size_t from = n; (m = last_of(h, from, "user", at)); from = *at) {
        struct question q;
        if (question_read(m->content, &q, NULL))
            return m;
        bool topic = !q.thanks && !q.small_talk && !leans(&q);
        question_release(&q);
        if (topic)
            return m;
    }
    return last_of(h, n, "user", at);
}

enum sooth_status followup_resolve(const char *question, const struct sooth_message *history, size_t n, struct buf *out, size_t *own,
                                   bool *same, struct sooth_error *err)
{
    struct question q;
    size_t topic_at = 0, answer_at = 0;
    *same = false;
    *own = 0;
    enum sooth_status st = question_read(question, &q, err);
    if (st)
        return st;
    const struct sooth_message *topic = topic_turn(history, n, &topic_at);
    const struct sooth_message *answer = last_of(history, n, "assistant", &answer_at);
    if (topic && q.thanks) {
        *same = true;
        buf_puts(out, topic->content);
    } else if (topic && !q.small_talk && leans(&q)) {
        struct buf lead = BUF_INIT;
        buf_puts(&lead, topic->content);
        size_t content, names;
        own_content(&q, &content, &names);
        /* "what about a service?" puts its own thing in the place of the old one: the old answer would mislead */
        if (answer && answer_at > topic_at && (has_pronoun(&q) || content == 0)) {
            struct lexed seen;
            lex_text(topic->content, strlen(topic->content), &seen);
            size_t len = strlen(answer->content);
            carry(answer->content, len > 400 ? utf8_floor(answer->content, len, 400) : len, &seen, len > SHORT_ANSWER, 6, &lead); /* of a short answer, all of it */
            lexed_release(&seen);
        }
        buf_add(out, lead.data, lead.len);
        buf_putc(out, ' ');
        *own = out->len;
        buf_puts(out, question);
        if (lead.failed)
            out->failed = true;
        buf_release(&lead);
    } else {
        buf_puts(out, question);
    }
    question_release(&q);
    return out->failed ? err_nomem(err) : SOOTH_OK;
}
