/* strategy.h: decoding strategies: what happens to the logits of one token before the sampler sees them.
 *
 *   logits -> combine (contrast) -> grammar mask -> penalty -> top-k -> top-p -> min-p -> temperature -> draw
 *
 * A strategy is one row in one file. It says what it needs to see beside the model's own logits (the same prompt without
 * its context, another model, early exits), and the generation loop brings it. Its numbers are named and bounded in
 * the row, and given as text: "cad", "cad:alpha=1,gate=0". Thread use: a struct strategy belongs to one generation. */
#ifndef INFER_STRATEGY_H
#define INFER_STRATEGY_H
#include <stdbool.h>
#include <stddef.h>
#include "sooth/error.h"
#include "sooth/model.h"

enum { STRATEGY_PARAMS = 6, STRATEGY_EXITS = 32 };
struct strategy;
struct sampler;

struct strategy_param {
    const char *name;
    double fallback, low, high;
};
/* What one token is chosen from; z is changed in place. All rows have `vocab` numbers. */
struct strategy_view {
    float *z;           /* the model's logits */
    const float *other; /* of the second prompt or the second model */
    const float *exits; /* [n_layers, vocab] of the early exits */
    size_t vocab;
};
/* What a strategy may want to know of the model. */
struct strategy_model {
    size_t layers;
    bool tied; /* the output matrix is the embedding */
};
struct strategy_row {
    const char *name, *note;
    const struct strategy_param *params; /* ended by a NULL name; may be NULL */
    bool other_prompt, other_model;      /* what `other` is */
    /* Optional. Checks and derives what the generation needs; may adjust the sampling. */
    enum sooth_status (*prepare)(struct strategy *s, const struct strategy_model *m, struct sooth_sampling *sampling,
                                 struct sooth_error *err);
    void (*combine)(const struct strategy *s, const struct strategy_view *v); /* optional */
    /* Optional. Told the text so far before each choice; may turn the sampler's dials. */
    void (*before)(struct strategy *s, struct sampler *sampler, const char *text, size_t len);
};
struct strategy {
    const struct strategy_row *row;
    double p[STRATEGY_PARAMS];        /* in the order of the row */
    unsigned layers[STRATEGY_EXITS];  /* early exits wanted: 0 the embeddings, j the output of block j */
    size_t n_layers;
    bool raw_exits;                   /* exits without the final norm */
    size_t sentence_text, in_sentence; /* nucleus: bytes of text seen, tokens since the sentence began */
};

/* spec NULL: "sample". SOOTH_ERR_ARG names what is not known or out of bounds. Then prepare is called. */
enum sooth_status strategy_init(struct strategy *s, const char *spec, const struct strategy_model *m,
                                struct sooth_sampling *sampling, struct sooth_error *err);
const char *strategy_name_at(size_t i, const char **note); /* NULL past the last */

/* Jensen-Shannon divergence in nats (at most ln 2) of the distributions of two rows of logits, whose logsumexps are given. */
double strategy_jsd(const float *a, double a_norm, const float *b, double b_norm, size_t n);
#endif
