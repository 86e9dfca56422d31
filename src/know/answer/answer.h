/* answer.h: from a question and passages to a short, cited, checked answer. The front door of this folder;
 * sooth_ask, sooth_check and their kin of sooth/kb.h are implemented here.
 *
 *   question -> standalone (followup.c) -> what is wanted (question.c) -> passages (know/retrieve)
 *            -> sentences scored against the question (evidence.c) -> enough? else abstain (gate.c)
 *            -> quoted (compose.c), or drafted by a model (answer_prompt.c, draft.c) and checked (know/verify)
 *            -> citations (cite.c)
 *
 * All of it but the asking itself is pure: text in, text out. Thread use: any thread, each with its own structs. */
#ifndef KNOW_ANSWER_H
#define KNOW_ANSWER_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/buf.h"
#include "know/verify/verify.h"
#include "sooth/kb.h"

/* --- question.c ----------------------------------------------------------------------------------------------- */

enum want { WANT_ANY, WANT_NUMBER, WANT_DATE, WANT_PERSON, WANT_PLACE, WANT_LIST, WANT_YESNO, WANT_DEFINITION, WANT_PROCEDURE, WANT_REASON, WANT_NAME };
struct question {
    const char *text;     /* borrowed */
    struct lexed lexed;
    size_t own;           /* where the question itself begins, behind what followup.c put before it */
    enum want want;
    bool han;             /* asked in Chinese (or its kin) */
    bool calendar;        /* a year, month or date it must be: an hour would not do */
    bool several;         /* asks for more than one thing */
    bool small_talk;      /* a greeting: nothing to search */
    bool thanks;          /* "yes", "thanks": goes on with what there is */
};
enum sooth_status question_read(const char *text, struct question *out, struct sooth_error *err);
void question_release(struct question *q);
const char *want_name(enum want w);
/* Mostly Han among the letters. */
bool text_is_han(const char *s, size_t len);
/* Does the text hold a thing of the kind wanted that the question itself does not? 0..1; 0.5 where no rule can tell. */
double want_met(const struct question *q, const struct lexed *text);

/* --- followup.c ----------------------------------------------------------------------------------------------- */

/* The question as it can be searched alone, appended to out: with the entities and the topic of the turn before
 * where it leans on them. *own: where the question itself begins in it. *same: it goes on with the last sources ("yes"). */
enum sooth_status followup_resolve(const char *question, const struct sooth_message *history, size_t n, struct buf *out, size_t *own,
                                   bool *same, struct sooth_error *err);

/* --- evidence.c ----------------------------------------------------------------------------------------------- */

struct unit {             /* a sentence, list item or table row of a passage */
    size_t hit, start, end; /* bytes of hits->items[hit].text */
    struct lexed lexed;
    double cover;         /* share of the question's weight in it, 0..1 */
    double near;          /* the same with its neighbours, headings and title */
    double dense;         /* similarity of meaning; NAN when there is no embedder */
    double read;          /* probability that the answer's words stand here, by the reader; NAN when there is none */
    double kind;          /* want_met */
    double fresh;         /* share of its content that the question does not hold */
    double favour, score;
    bool row, heading, han;
};
struct evidence {
    struct unit *items;   /* best first */
    size_t count;
    double known;         /* share of the question's weight found anywhere in the passages */
    double passage;       /* best single passage's share of it */
    double relation;      /* best sentence's share, with its surroundings, of what is not a name: what is asked, not about what */
    double names;         /* share of the question's Latin names and codes in the best sentence's passage; 1 when it has none */
    double read;          /* best of the sentences'; NAN when there is no reader */
    bool cross;           /* the best sentence is in another language than the question */
};
/* What can be asked of models; either may be NULL. Without both, words alone decide. */
struct evidence_senses {
    /* Similarity of the question with each of n texts. */
    enum sooth_status (*dense)(void *user, const char *question, const char *const *texts, const size_t *lens, size_t n, float *out,
                               struct sooth_error *err);
    /* Where in each of n texts the answer stands. */
    enum sooth_status (*read)(void *user, const char *question, const char *const *texts, const size_t *lens, size_t n,
                              struct sooth_reading *out, struct sooth_error *err);
    void *user;
};
enum sooth_status evidence_find(const struct question *q, const struct sooth_hits *hits, size_t n_hits, const struct evidence_senses *senses,
                                struct evidence *out, struct sooth_error *err);
void evidence_release(struct evidence *e);

/* --- gate.c --------------------------------------------------------------------------------------------------- */

/* Probability that the passages answer the question, and the reason in one line when it is under GATE. */
#define GATE 0.5
double gate_answerable(const struct question *q, const struct evidence *e, const struct sooth_hits *hits, char *why, size_t size);
/* How many passages are worth using: those near enough to the best; why says how it was decided. */
size_t gate_passages(const struct sooth_hits *hits, size_t limit, char *why, size_t size);

/* --- compose.c ------------------------------------------------------------------------------------------------ */

struct quote { size_t hit, start, end; }; /* bytes of the hit's text */
#define QUOTES_MAX 4
/* The one to three spans that answer best, in reading order. */
size_t compose_quotes(const struct question *q, const struct evidence *e, const struct sooth_hits *hits, struct quote out[QUOTES_MAX]);
/* A span as it is shown: a table row with its header's words, blanks put in order. */
bool quote_show(const char *text, size_t len, const char *header, struct buf *out);

/* --- answer_prompt.c ------------------------------------------------------------------------------------------ */

struct prompt {
    struct buf system, user;
    size_t used, dropped;    /* passages in, and left out for want of room (the lowest ranked) */
    size_t tokens;
    char listed[200];        /* which were left out: "8, 9, 10" */
};
typedef size_t prompt_count_fn(void *user, const char *text, size_t len); /* tokens */
/* Passages best first; whole ones only. room: tokens for the prompt, answer and template already taken off.
 * SOOTH_ERR_LIMIT when the question alone does not fit. */
enum sooth_status prompt_build(const char *question, const char *const *passages, size_t n, size_t room, prompt_count_fn *count, void *user,
                               struct prompt *out, struct sooth_error *err);
void prompt_release(struct prompt *p);

/* --- draft.c -------------------------------------------------------------------------------------------------- */

/* What a model wrote, without its thinking, fences, JSON wrapping and citation marks: plain prose appended to out. */
enum sooth_status draft_clean(const char *text, size_t len, struct buf *out, struct sooth_error *err);

/* --- cite.c --------------------------------------------------------------------------------------------------- */

/* Adds a sentence to the answer. */
enum sooth_status answer_add_sentence(struct sooth_answer *a, const char *text, size_t len, const struct verify_result *r, bool dropped,
                                      struct sooth_error *err);
/* Cites text[start, end) of a hit for the answer's last sentence; the same span has the same number everywhere. kb may
 * be NULL (no page then). */
enum sooth_status answer_cite(struct sooth_answer *a, struct sooth_kb *kb, const struct sooth_hit *hit, size_t start, size_t end,
                              struct sooth_error *err);
/* Joins the kept sentences into answer->answer and puts the dropped ones last. */
enum sooth_status answer_finish(struct sooth_answer *a, struct sooth_error *err);
#endif
