/* classify.c: the scores that the head of a sequence classifier or cross-encoder gives to texts or pairs of texts.
 *
 *     [start] a [end] b [end] -> encoder -> first token's vector h -> W2·tanh(W1·h + b1) + b2     [classes]
 *
 * Texts are tokenized in parallel and packed without padding as for embeddings (embed.c); only the first row of each
 * goes on to the head. The numbers are the head's own: softmax them for one class of several, take the sigmoid
 * of each where classes do not exclude one another. */
#include <string.h>
#include "core/base/error.h"
#include "model/infer/embed.h"
#include "model/infer/handle.h"

enum { CLASSIFY_TEXTS = 4096 }; /* pairs tokenized at once */

struct classify_sink {
    float *scores;
    size_t classes, cut;
};

static void classify_keep(void *user, const struct embed_item *item, const float *scores)
{
    struct classify_sink *s = user;
    memcpy(s->scores + item->index * s->classes, scores, s->classes * sizeof *scores);
    s->cut += item->cut;
}

enum sooth_status sooth_classify(struct sooth_model *m, const struct sooth_pairs *pairs,
                                 float *scores, size_t *cut, struct sooth_error *err)
{
    size_t classes = m->info.n_classes;
    enum sooth_status status = SOOTH_OK;
    if (cut)
        *cut = 0;
    if (!classes)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' is no classifier", m->info.path);
    for (size_t at = 0; status == SOOTH_OK && at < pairs->n; at += CLASSIFY_TEXTS) {
        struct classify_sink sink = {scores + at * classes, classes, 0};
        struct embed_source source = {
            .kind = SOOTH_EMBED_RAW,
            .texts = pairs->a + at,
            .lens = pairs->a_lens ? pairs->a_lens + at : NULL,
            .pairs = pairs->b ? pairs->b + at : NULL,
            .pair_lens = pairs->b_lens ? pairs->b_lens + at : NULL,
            .n = pairs->n - at < CLASSIFY_TEXTS ? pairs->n - at : CLASSIFY_TEXTS};
        struct embed_texts t;
        status = embed_texts_new(m, &source, &t, err);
        if (status != SOOTH_OK)
            break;
        status = embed_forward(m, &t, EMBED_SCORES, classify_keep, &sink, err);
        embed_texts_release(&t);
        if (cut)
            *cut += sink.cut;
    }
    return status;
}
