/* embed.c: sentence vectors and token vectors.
 *
 *   tokenize all texts (in parallel) -> sort by length -> pack texts end to end, without padding ->
 * one run a pack
 *
 * A pack is a run whose sequences are the texts: attention stays inside each, so its rows get the
 * same bits as alone. Sorting puts texts of like length together: the work of a pack is then even,
 * and the longest ones go first. Pooling is the model's own (mean, first or last token), then unit
 * length. */
#include "model/infer/embed.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/vec.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/infer/handle.h"
#include "model/infer/remote.h"

enum {
    EMBED_PACK = 1024, /* tokens a run: bounds memory; larger ones are no faster */
    EMBED_TEXTS = 4096 /* texts tokenized at once: bounds memory, leaves enough to sort */
};

struct embed_tokenize_job {
    const struct sooth_model *m;
    const struct embed_source *source;
    struct embed_item *items;
};

static size_t source_len(const char *const *texts, const size_t *lens, size_t i)
{
    return lens ? lens[i] : strlen(texts[i]);
}

static enum sooth_status embed_item_new(const struct sooth_model *m, const struct embed_source *s,
                                        size_t i, struct embed_item *item, struct sooth_error *err)
{
    size_t len = source_len(s->texts, s->lens, i);
    if (!s->pairs)
        return embed_tokenize(m, s->kind, s->texts[i], len, s->spans, item, err);
    return embed_tokenize_pair(m, s->texts[i], len, s->pairs[i],
                               source_len(s->pairs, s->pair_lens, i), item, err);
}

static void embed_tokenize_tile(void *ctx, size_t tile, unsigned worker)
{
    struct embed_tokenize_job *j = ctx;
    (void)worker;
    j->items[tile].index = tile;
    j->items[tile].status = embed_item_new(j->m, j->source, tile, &j->items[tile], NULL);
}

static int embed_by_length(const void *a, const void *b)
{
    const struct embed_item *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

enum sooth_status embed_texts_new(const struct sooth_model *m, const struct embed_source *source,
                                  struct embed_texts *out, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    size_t n = out->n = source->n;
    out->items = mem_calloc(n ? n : 1, sizeof *out->items);
    if (!out->items)
        return err_nomem(err);
    struct embed_tokenize_job job = {m, source, out->items};
    pool_run(n > 1 ? m->pool : NULL, n, embed_tokenize_tile, &job);
    for (size_t i = 0; i < n && status == SOOTH_OK; i++) {
        if (out->items[i].status != SOOTH_OK) /* once more, for its sentence */
            status = embed_item_new(m, source, i, &out->items[i], err);
    }
    if (status != SOOTH_OK)
        embed_texts_release(out);
    else
        qsort(out->items, n, sizeof *out->items, embed_by_length);
    return status;
}

void embed_texts_release(struct embed_texts *t)
{
    for (size_t i = 0; t->items && i < t->n; i++) {
        mem_free(t->items[i].ids);
        mem_free(t->items[i].start);
        mem_free(t->items[i].end);
    }
    mem_free(t->items);
    t->items = NULL;
    t->n = 0;
}

/* Rows of one pack. */
struct embed_pack {
    VEC(int32_t) token;
    VEC(uint32_t) pos;
    VEC(uint32_t) seq;
    VEC(uint8_t) type; /* segment of a pair */
    VEC(uint8_t) want; /* the first row of each text, which is all that a classifier looks at */
};

static bool pack_add(struct embed_pack *p, const struct embed_item *item, size_t seq)
{
    for (size_t i = 0; i < item->n; i++)
        if (!vec_push(&p->token, item->ids[i]) || !vec_push(&p->pos, (uint32_t)i) ||
            !vec_push(&p->seq, (uint32_t)seq) ||
            !vec_push(&p->type, item->second && i >= item->second) || !vec_push(&p->want, i == 0))
            return false;
    return true;
}

static enum sooth_status embed_run(const struct sooth_model *m, struct run *run,
                                   struct embed_pack *p, const struct embed_item *items,
                                   size_t count, enum embed_result result, embed_result_fn *fn,
                                   void *user, struct sooth_error *err)
{
    struct rows rows = {.n = p->token.count,
                        .token = p->token.items,
                        .pos = p->pos.items,
                        .seq = p->seq.items,
                        .type = p->type.items,
                        .want = result == EMBED_SCORES ? p->want.items : NULL};
    run_begin(run, &rows);
    struct mat *h = arch_hidden(m->arch, run);
    struct mat *v = result == EMBED_SCORES   ? arch_scores(m->arch, run, h)
                    : result == EMBED_POOLED ? arch_pooled(m->arch, run, h)
                                             : op_unit(run, h);
    enum sooth_status status = run_end(run, err);
    if (status != SOOTH_OK)
        return status;
    const float *at = v->v;
    for (size_t i = 0; i < count; i++) {
        fn(user, &items[i], at);
        at += (result == EMBED_TOKENS ? items[i].n : 1) * v->cols;
    }
    return SOOTH_OK;
}

enum sooth_status embed_forward(const struct sooth_model *m, const struct embed_texts *t,
                                enum embed_result result, embed_result_fn *fn, void *user,
                                struct sooth_error *err)
{
    struct run_options options = {.pool = m->pool};
    struct embed_pack pack = {0};
    struct run *run = run_new(&options);
    enum sooth_status status = run ? SOOTH_OK : err_nomem(err);
    for (size_t at = 0, count; status == SOOTH_OK && at < t->n; at += count) {
        pack.token.count = pack.pos.count = pack.seq.count = pack.type.count = pack.want.count = 0;
        for (count = 0; at + count < t->n &&
                        (!count || pack.token.count + t->items[at + count].n <= EMBED_PACK);
             count++)
            if (!pack_add(&pack, &t->items[at + count], count)) {
                status = err_nomem(err);
                break;
            }
        if (status == SOOTH_OK)
            status = embed_run(m, run, &pack, t->items + at, count, result, fn, user, err);
    }
    run_free(run);
    vec_free(&pack.token);
    vec_free(&pack.pos);
    vec_free(&pack.seq);
    vec_free(&pack.type);
    vec_free(&pack.want);
    return status;
}

/* ---- the public calls ---- */

size_t sooth_embed_dim(const struct sooth_model *m)
{
    if (m->remote)
        return remote_dim(m->remote);
    return m->arch && !arch_info(m->arch)->decoder ? m->info.dim : 0;
}

size_t sooth_embed_limit(const struct sooth_model *m)
{
    return m->embed_limit;
}

const char *sooth_embed_prefix(const struct sooth_model *m, enum sooth_embed_kind kind)
{
    const char *prefix = kind == SOOTH_EMBED_QUERY     ? m->query_prefix
                         : kind == SOOTH_EMBED_PASSAGE ? m->passage_prefix
                                                       : NULL;
    return prefix ? prefix : "";
}

static enum sooth_status embed_check(const struct sooth_model *m, struct sooth_error *err)
{
    if (m->arch && !arch_info(m->arch)->decoder)
        return SOOTH_OK;
    return err_set(err, SOOTH_ERR_UNSUPPORTED, "model '%s' does not embed", m->info.path);
}

struct embed_sink {
    float *out;
    size_t dim, cut;
};

static void embed_keep(void *user, const struct embed_item *item, const float *vectors)
{
    struct embed_sink *s = user;
    memcpy(s->out + item->index * s->dim, vectors, s->dim * sizeof *vectors);
    s->cut += item->cut;
}

enum sooth_status sooth_embed(struct sooth_model *m, enum sooth_embed_kind kind,
                              const char *const *texts, const size_t *lens, size_t n, float *out,
                              size_t *cut, struct sooth_error *err)
{
    if (cut)
        *cut = 0;
    if (m->remote)
        return remote_embed(m->remote, texts, lens, n, out, err);
    enum sooth_status status = embed_check(m, err);
    for (size_t at = 0; status == SOOTH_OK && at < n; at += EMBED_TEXTS) {
        size_t count = n - at < EMBED_TEXTS ? n - at : EMBED_TEXTS;
        struct embed_texts t;
        struct embed_sink sink = {out + at * m->info.dim, m->info.dim, 0};
        struct embed_source source = {
            .kind = kind, .texts = texts + at, .lens = lens ? lens + at : NULL, .n = count};
        status = embed_texts_new(m, &source, &t, err);
        if (status != SOOTH_OK)
            break;
        status = embed_forward(m, &t, EMBED_POOLED, embed_keep, &sink, err);
        embed_texts_release(&t);
        if (cut)
            *cut += sink.cut;
    }
    return status;
}

void sooth_token_vectors_release(struct sooth_token_vectors *v)
{
    mem_free(v->vectors);
    mem_free(v->start);
    mem_free(v->end);
    memset(v, 0, sizeof *v);
}

static void embed_keep_tokens(void *user, const struct embed_item *item, const float *vectors)
{
    struct sooth_token_vectors *v = user;
    memcpy(v->vectors, vectors + item->front * v->dim, v->count * v->dim * sizeof *vectors);
    memcpy(v->start, item->start + item->front, v->count * sizeof *v->start);
    memcpy(v->end, item->end + item->front, v->count * sizeof *v->end);
}

enum sooth_status sooth_embed_tokens(struct sooth_model *m, enum sooth_embed_kind kind,
                                     const char *text, size_t len, struct sooth_token_vectors *out,
                                     struct sooth_error *err)
{
    struct embed_texts t;
    memset(out, 0, sizeof *out);
    enum sooth_status status = embed_check(m, err);
    if (status == SOOTH_OK)
        status = embed_texts_new(
            m,
            &(struct embed_source){.kind = kind, .texts = &text, .lens = &len, .n = 1, .spans = true},
            &t, err);
    if (status != SOOTH_OK)
        return status;
    out->dim = m->info.dim;
    out->count = t.items[0].n - t.items[0].front - t.items[0].back;
    out->vectors = mem_array(out->count ? out->count : 1, out->dim * sizeof *out->vectors);
    out->start = mem_array(out->count ? out->count : 1, sizeof *out->start);
    out->end = mem_array(out->count ? out->count : 1, sizeof *out->end);
    status = out->vectors && out->start && out->end
                 ? embed_forward(m, &t, EMBED_TOKENS, embed_keep_tokens, out, err)
                 : err_nomem(err);
    embed_texts_release(&t);
    if (status != SOOTH_OK)
        sooth_token_vectors_release(out);
    return status;
}
