/* embed.h: texts through an encoder in packs, shared by embeddings and late interaction. */
#ifndef INFER_EMBED_H
#define INFER_EMBED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/model.h"

/* One text as the encoder sees it:  [start] prefix... text... [end] */
struct embed_item {
    int32_t *ids;
    uint32_t *start, *end; /* byte span in the text of each token; NULL unless spans are wanted */
    size_t n;
    size_t front, back; /* tokens at either end that are not of the text: specials and prefix */
    size_t index;       /* of the caller's text */
    bool cut;           /* the text was longer than the limit */
    enum sooth_status status; /* of its tokenizing */
};

struct embed_texts {
    struct embed_item *items; /* longest first */
    size_t n;
};

/* Tokenizes texts in parallel. spans: keep the byte span of each token. */
enum sooth_status embed_texts_new(const struct sooth_model *m, enum sooth_embed_kind kind,
                                  const char *const *texts, const size_t *lens, size_t n,
                                  bool spans, struct embed_texts *out, struct sooth_error *err);
void embed_texts_release(struct embed_texts *t);

/* Told each text's result: pooled, one unit vector; else one unit vector a token [item->n, dim]. */
typedef void embed_result_fn(void *user, const struct embed_item *item, const float *vectors);
enum sooth_status embed_forward(const struct sooth_model *m, const struct embed_texts *t,
                                bool pooled, embed_result_fn *fn, void *user,
                                struct sooth_error *err);
#endif
