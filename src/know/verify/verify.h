/* verify.h: is this sentence true to its sources? The front door of the checker.
 *
 *   sentence -> claims -> for each the best window of 1..3 neighbouring source sentences -> rows of the `check` table
 *
 * No model is asked: numbers, dates, names, negation, opposites, swapped roles and replaced words are compared by
 * rule, and the rest by weighted coverage. A similarity of vectors cannot do this ("Alice sued Bob" and "Bob sued
 * Alice" are nearly one vector). A trained checker is one more row (docs/arch/answer.md).
 * Thread use: a verifier is immutable once made; several threads may check against it. */
#ifndef KNOW_VERIFY_H
#define KNOW_VERIFY_H
#include <stdbool.h>
#include <stddef.h>
#include "know/verify/lexeme.h"
#include "sooth/error.h"
#include "sooth/kb.h"

struct verify_source {
    const char *text;    /* borrowed for the verifier's life */
    size_t len;
    const char *context; /* title and headings it stands under, or NULL: names in it count as said; read at once */
};
struct verify_evidence { size_t source, start, end; }; /* whole sentences of the source's text */
struct verify_result {
    enum sooth_verdict verdict;
    double score;        /* 0..1 */
    char why[240];
    struct verify_evidence best[3]; /* one a claim at most, without repeats */
    size_t n_best;
};

struct verifier;
enum sooth_status verifier_new(const struct verify_source *sources, size_t n, struct verifier **out, struct sooth_error *err);
void verifier_free(struct verifier *v); /* NULL is fine */
/* One sentence. given: text whose words need little support of their own, such as the question; may be NULL. */
enum sooth_status verifier_check(const struct verifier *v, const char *sentence, size_t len, const char *given,
                                 struct verify_result *out, struct sooth_error *err);

/* --- claims ------------------------------------------------------------------------------------------------- */

/* One statement of a sentence; its subject when it stands in an earlier clause (else start == end). */
struct claim { size_t start, end, subject_start, subject_end; };
#define CLAIMS_MAX 8
/* Splits one sentence; returns how many (0 for a question or nothing at all). Spans lie inside the sentence. */
size_t claims_split(const char *sentence, size_t len, struct claim out[CLAIMS_MAX]);

/* --- the check table ---------------------------------------------------------------------------------------- */

enum check_kind { CHECK_PASS, CHECK_DOUBT, CHECK_MISSING, CHECK_CONFLICT };
struct check_case {
    const struct lexed *claim, *window, *around; /* around: title, headings */
    const char *source;                          /* whole text of the window's source */
    size_t source_len;
    const unsigned *match;  /* a claim term's place in the window plus 1; 0 = not there */
    const bool *given;      /* the claim's term is in the question */
    double coverage;        /* weighted share of the claim's terms found, 0..1 */
    double rest;            /* the same without names, codes and numbers; 1 when there is nothing else */
};
struct check_finding { enum check_kind kind; char why[160]; };
struct check_row {
    const char *name, *note;
    void (*run)(const struct check_case *c, struct check_finding *f); /* f comes in as PASS */
};
const struct check_row *check_at(size_t i); /* NULL past the end */
#endif
