/* rewrite.h: the table of query rewritings: other questions that may find what the question misses. */
#ifndef RETRIEVE_REWRITE_H
#define RETRIEVE_REWRITE_H
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "know/retrieve/retrieve.h"

enum { REWRITE_MAX = 4 }; /* derived queries; with the question itself five are searched */

struct derived {
    char *text;    /* searched by words, and embedded unless there is a vector */
    float *vector; /* of length 1, or NULL */
};
struct feedback { /* a passage the question itself found */
    const char *text, *heading, *title;
    size_t len;
    double weight; /* its share of the evidence; all sum to 1 */
};
struct rewriting {
    const struct embedder *e;
    const char *question;
    const float *vector; /* of the question */
    const struct feedback *best;
    size_t n_best;
    struct sooth_session *session; /* a model that writes, or NULL: then rules do */
    struct arena arena;            /* texts and vectors live here */
    VEC(struct derived) out;
    struct sooth_error *err;
};

struct rewrite_row {
    const char *name, *about;
    size_t feedback;    /* passages it wants to see */
    double share;       /* of a passage's evidence that comes from the derived queries */
    const char *prompt; /* what a model is told before the question; each line of its reply is a query */
    enum sooth_status (*derive)(struct rewriting *r); /* without a model */
    /* with the model's lines; NULL: each line is searched as it is */
    enum sooth_status (*use)(struct rewriting *r, char *const *lines, size_t n);
};
const struct rewrite_row *rewrite_at(size_t i);
const struct rewrite_row *rewrite_find(const char *name);
/* Fills r->out by the row's rules, or by the model. */
enum sooth_status rewrite_run(const struct rewrite_row *row, struct rewriting *r);
void rewrite_release(struct rewriting *r);

/* For the rows. rewrite_add drops what is empty, the question itself, or there already. */
enum sooth_status rewrite_add(struct rewriting *r, const char *text, size_t len);
enum sooth_status rewrite_add_vector(struct rewriting *r, const char *text, const float *v);
/* The question without the words that only ask ("what is the", 什么 是 的); names and numbers too when
 * `plain`. */
bool rewrite_keywords(const char *question, bool plain, struct buf *out);
/* q + weight * mean of the texts as passages, of length 1. */
enum sooth_status rewrite_towards(struct rewriting *r, const char *const *texts, const size_t *lens, size_t n, double weight,
                                  float **out);
#endif
