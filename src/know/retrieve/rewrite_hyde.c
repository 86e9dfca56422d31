/* rewrite_hyde.c: hypothetical documents (Gao et al., ACL 2023): search with the vector of an answer.
 *
 *   v = mean(f(q), f(d_1) ... f(d_N))      d_i: passages a model writes as if it knew, embedded as passages
 *
 * Without a model the passages found first stand for the answer, which is Rocchio's feedback (1971):
 *
 *   v = q + 0.75 mean(f(p_1), f(p_2), f(p_3)) */
#include "know/retrieve/rewrite.h"
#include <string.h>

#define ROCCHIO 0.75
enum { FEEDBACK = 3 };

static enum sooth_status towards(struct rewriting *r, const char *const *texts, const size_t *lens, size_t n, double weight)
{
    float *v;
    if (n == 0)
        return SOOTH_OK;
    enum sooth_status status = rewrite_towards(r, texts, lens, n, weight, &v);
    return status == SOOTH_OK ? rewrite_add_vector(r, r->question, v) : status;
}

static enum sooth_status hyde_derive(struct rewriting *r)
{
    const char *texts[FEEDBACK];
    size_t lens[FEEDBACK], n = r->n_best < FEEDBACK ? r->n_best : FEEDBACK;
    for (size_t i = 0; i < n; i++) {
        texts[i] = r->best[i].text;
        lens[i] = r->best[i].len;
    }
    return towards(r, texts, lens, n, ROCCHIO);
}

static enum sooth_status hyde_use(struct rewriting *r, char *const *lines, size_t n)
{
    size_t lens[REWRITE_MAX];
    for (size_t i = 0; i < n; i++)
        lens[i] = strlen(lines[i]);
    return towards(r, (const char *const *)lines, lens, n, (double)n);
}

const struct rewrite_row rewrite_hyde = {
    .name = "hyde",
    .about = "by the vector of a supposed answer; without a model, of the first passages (Rocchio)",
    .feedback = FEEDBACK,
    .share = 0.3,
    .prompt = "Write one short passage, as from a handbook, that answers the question.",
    .derive = hyde_derive,
    .use = hyde_use,
};
