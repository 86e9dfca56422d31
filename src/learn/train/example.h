/* example.h: a sample made ready: token ids, and for each whether it is a trained target.
 *
 *     ids    <s>  user  Hi  </s>  assistant  Hello  !  </s>  \n
 *     train   0    0    0    0        0        1    1    1    0        the row before a 1 is wanted by the loss
 *
 * The mask is made from byte spans while the model's template is rendered: the prompt that a server would read, the same
 * with the answer, and what lies between them is the answer. Tokens are never searched. */
#ifndef TRAIN_EXAMPLE_H
#define TRAIN_EXAMPLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/vec.h"
#include "learn/train/sample.h"
#include "sooth/model.h"

enum train_on {
    TRAIN_ANSWER, /* every answer of a conversation, with its end token */
    TRAIN_ALL,    /* every token */
    TRAIN_LAST,   /* the last answer only */
    TRAIN_TURNS   /* as ANSWER, but every answer is an example of its own, with the history as it was then rendered */
};
enum layout {
    LAYOUT_AUTO,  /* CHAT where the model has a template, else PLAIN */
    LAYOUT_CHAT,  /* strings become a message of the user and one of the assistant */
    LAYOUT_PLAIN, /* BOS ⊕ prompt ⊕ answer ⊕ EOS (BOS by the model's own rule) */
    LAYOUT_NOTES  /* prompt ⊕ BOS ⊕ answer ⊕ EOS: the first trained position is the one that reads BOS */
};
struct example_options {
    enum train_on on;
    enum layout layout;
    size_t most;        /* tokens of an example; longer prompts lose their beginning, longer texts become several examples */
    double pivot;       /* text: share of each sentence that is left untrained (sentence-completion loss); 0 = off */
    bool topic;         /* text: "title: " before each sentence, where the sample has a title */
};

struct example {
    int32_t *ids;       /* [n] */
    uint8_t *train;     /* [n] 0 or 1; train[0] is 0 */
    size_t n, trained;
    size_t row;         /* of the sample, from 1 */
};
struct examples {
    struct arena arena;
    VEC(struct example) list;
    size_t tokens, trained;  /* of all examples */
    size_t rows;             /* samples read */
    size_t cut;              /* prompts that lost their beginning */
    size_t cut_answers;      /* answers that lost their end */
    size_t dropped;          /* samples of which nothing trained was left */
    size_t split;            /* conversations whose template rewrites history: one example a turn */
};
void examples_init(struct examples *e);
void examples_release(struct examples *e);

/* Appends the examples of one sample. SOOTH_ERR_UNSUPPORTED where the template does not tell what the answer is. */
enum sooth_status example_add(struct examples *e, const struct sooth_model *m, const struct sample *s, const struct example_options *o,
                              struct sooth_error *err);
/* All samples. More than one dropped in a hundred is an error unless `lenient`. */
enum sooth_status examples_make(struct examples *e, const struct sooth_model *m, const struct samples *s, const struct example_options *o,
                                bool lenient, struct sooth_error *err);
/* Examples that occur before in `e`, and those of `e` that occur in `other` (may be NULL). False when memory is out. */
bool examples_repeated(const struct examples *e, const struct examples *other, size_t *duplicates, size_t *shared);

#endif
