/* rerank.c: passages by a question: a cross-encoder's own score, or late interaction.
 *
 * A model with a head of one class (a cross-encoder: classify.c) reads question and passage together; its score
 * is the sigmoid of what the head says, as it was trained. Of any other encoder the token vectors
 * are compared (Khattab & Zaharia, ColBERT 2020):
 *
 *     score(q, d) = mean over tokens i of q of  max over tokens j of d of  cos(q_i, d_j)
 *
 * The mean instead of ColBERT's sum keeps scores of long and short questions on one scale. Specials
 * and prefixes take no part. A passage without tokens scores -1, a query without tokens 0 for all.
 */
#include <math.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/kernel/kernel.h"
#include "model/infer/embed.h"
#include "model/infer/handle.h"

enum { RERANK_TEXTS = 256 }; /* passages tokenized at once */

struct rerank {
    const struct kernel *k;
    const struct sooth_token_vectors *query;
    float *best; /* [passage tokens] scratch of one query token against a passage */
    float *scores;
};

static void rerank_passage(void *user, const struct embed_item *item, const float *vectors)
{
    struct rerank *r = user;
    size_t dim = r->query->dim, n = item->n - item->front - item->back;
    const float *d = vectors + item->front * dim;
    float sum = 0;
    for (size_t i = 0; i < r->query->count; i++) {
        r->k->dot_rows(r->query->vectors + i * dim, d, dim, n, dim, r->best);
        sum += n ? r->k->max(r->best, n) : -1.0f;
    }
    r->scores[item->index] = r->query->count ? sum / (float)r->query->count : 0;
}

/* Question and each passage read together. */
static enum sooth_status rerank_cross(struct sooth_model *m, const char *query, size_t query_len,
                                      const char *const *passages, const size_t *lens, size_t n,
                                      float *scores, struct sooth_error *err)
{
    const char *queries[RERANK_TEXTS];
    size_t query_lens[RERANK_TEXTS];
    enum sooth_status status = SOOTH_OK;
    for (size_t i = 0; i < RERANK_TEXTS; i++) {
        queries[i] = query;
        query_lens[i] = query_len;
    }
    for (size_t at = 0; status == SOOTH_OK && at < n; at += RERANK_TEXTS) {
        size_t count = n - at < RERANK_TEXTS ? n - at : RERANK_TEXTS;
        struct sooth_pairs pairs = {queries, query_lens, passages + at, lens ? lens + at : NULL, count};
        status = sooth_classify(m, &pairs, scores + at, NULL, err);
        for (size_t i = 0; status == SOOTH_OK && i < count; i++)
            scores[at + i] = 1 / (1 + expf(-scores[at + i]));
    }
    return status;
}

enum sooth_status sooth_rerank(struct sooth_model *m, const char *query, size_t query_len,
                               const char *const *passages, const size_t *lens, size_t n,
                               float *scores, struct sooth_error *err)
{
    struct sooth_token_vectors q;
    if (m->info.n_classes == 1)
        return rerank_cross(m, query, query_len, passages, lens, n, scores, err);
    if (m->info.n_classes)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' tells %zu classes apart: it is no reranker",
                       m->info.path, m->info.n_classes);
    enum sooth_status status = sooth_embed_tokens(m, SOOTH_EMBED_QUERY, query, query_len, &q, err);
    if (status != SOOTH_OK)
        return status;
    struct rerank r = {.k = kernel_get(), .query = &q};
    r.best = mem_array(m->embed_limit + 1, sizeof *r.best);
    if (!r.best)
        status = err_nomem(err);
    for (size_t at = 0; status == SOOTH_OK && at < n; at += RERANK_TEXTS) {
        size_t count = n - at < RERANK_TEXTS ? n - at : RERANK_TEXTS;
        struct embed_texts t;
        r.scores = scores + at;
        struct embed_source source = {.kind = SOOTH_EMBED_PASSAGE,
                                      .texts = passages + at,
                                      .lens = lens ? lens + at : NULL,
                                      .n = count,
                                      .spans = true};
        status = embed_texts_new(m, &source, &t, err);
        if (status != SOOTH_OK)
            break;
        status = embed_forward(m, &t, EMBED_TOKENS, rerank_passage, &r, err);
        embed_texts_release(&t);
    }
    mem_free(r.best);
    sooth_token_vectors_release(&q);
    return status;
}
