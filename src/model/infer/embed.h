/* embed.h: texts through an encoder in packs, shared by embeddings, late interaction and classifiers. */
#ifndef INFER_EMBED_H
#define INFER_EMBED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/model.h"

/* One text as the encoder sees it:  [start] prefix... text... [end]; or a pair:  [start] a... [end] b... [end] */
struct embed_item {
    int32_t *ids;
    uint32_t *start, *end; /* byte span in the text of each token; NULL unless spans are wanted */
    size_t n;
    size_t front, back; /* tokens at either end that are not of the text: specials and prefix */
    size_t second;      /* from here on tokens are of type 1; 0: none is */
    size_t index;       /* of the caller's text */
    bool cut;           /* the text was longer than the limit */
    enum sooth_status status; /* of its tokenizing */
};

struct embed_texts {
    struct embed_item *items; /* longest first */
    size_t n;
};

/* What is to be tokenized. */
struct embed_source {
    enum sooth_embed_kind kind;
    const char *const *texts, *const *pairs; /* pairs: the second texts, or NULL */
    const size_t *lens, *pair_lens;          /* or NULL */
    size_t n;
    bool spans;                              /* keep the byte span of each token; not of pairs */
};
/* Tokenizes texts in parallel. */
enum sooth_status embed_texts_new(const struct sooth_model *m, const struct embed_source *source,
                                  struct embed_texts *out, struct sooth_error *err);
void embed_texts_release(struct embed_texts *t);

/* What comes out of a text: one unit vector; one unit vector a token [item->n, dim]; the scores of the classes. */
enum embed_result { EMBED_POOLED, EMBED_TOKENS, EMBED_SCORES };
typedef void embed_result_fn(void *user, const struct embed_item *item, const float *vectors);
enum sooth_status embed_forward(const struct sooth_model *m, const struct embed_texts *t,
                                enum embed_result result, embed_result_fn *fn, void *user,
                                struct sooth_error *err);
#endif
