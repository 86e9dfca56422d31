/* adapt_fixture.h: a tiny model wearing an adapter, and its forwards: whole, in pieces, token by token, in a crowd, and recorded. */
#ifndef TEST_ADAPT_FIXTURE_H
#define TEST_ADAPT_FIXTURE_H
#include "../arch/arch_fixture.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "model/adapt/adapt.h"

enum { T = 16, LEAD_MOST = 32, ROWS_MOST = T + LEAD_MOST };

static inline struct adapt *adapt_open_new(const struct arch_model *m, const struct adapt_options *o)
{
    struct adapt *a;
    struct sooth_error err = {0};
    if (adapt_new(m, o, &a, &err) != SOOTH_OK)
        fail_msg("%s: %s", o->method, err.text);
    return a;
}

/* Trained numbers away from their start, so that nothing is zero by accident. */
static inline void adapt_shake(struct adapt *a, float scale)
{
    struct rng rng;
    struct sooth_error err = {0};
    rng_seed(&rng, 99);
    for (size_t i = 0; i < adapt_trained(a); i++)
        for (size_t j = 0; j < adapt_weight(a, i)->q.rows * adapt_weight(a, i)->q.cols; j++)
            adapt_values(a, i)[j] += scale * rng_normal(&rng);
    assert_int_equal(adapt_refresh(a, &err), SOOTH_OK);
}

/* Rows of one sequence: placeholders, then text. Only the last `n` are wanted. */
struct text {
    struct rows rows;
    int32_t token[ROWS_MOST], target[ROWS_MOST];
    uint32_t pos[ROWS_MOST], seq[ROWS_MOST];
    uint8_t want[ROWS_MOST];
};

static inline const struct rows *text_fill(struct text *t, size_t lead, uint32_t start, const int32_t *ids, size_t n)
{
    assert_true(lead + n <= ROWS_MOST);
    for (size_t i = 0; i < lead + n; i++) {
        t->token[i] = i < lead ? 0 : ids[i - lead];
        t->target[i] = i < lead ? -1 : (int32_t)((i - lead) * 31 % 90) + 1;
        t->pos[i] = start - (uint32_t)lead + (uint32_t)i;
        t->seq[i] = 0;
        t->want[i] = i >= lead;
    }
    t->rows = (struct rows){.n = lead + n, .token = t->token, .pos = t->pos, .seq = t->seq, .want = t->want, .target = t->target};
    return &t->rows;
}

/* Logits (hidden states of an encoder) of the text's rows; the caller frees. */
static inline float *rows_run(struct run *r, const struct arch_model *m, const struct rows *rows, size_t *count)
{
    struct sooth_error err = {0};
    run_begin(r, rows);
    struct mat *h = arch_hidden(m, r), *y = arch_info(m)->decoder ? arch_logits(m, r, h) : h;
    if (run_end(r, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    float *out = mem_dup(y->v, y->rows * y->cols * sizeof *out);
    assert_non_null(out);
    *count = y->rows * y->cols;
    return out;
}

static inline float *set_run(const struct arch_model *m, struct adapt_set *s, const int32_t *ids, size_t n, size_t *count)
{
    struct run_options o = {0};
    struct sooth_error err = {0};
    struct text t;
    if (s && adapt_set_apply(s, &o, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct run *r = run_new(&o);
    float *y = rows_run(r, m, text_fill(&t, s ? adapt_set_rows(s) : 0, s ? adapt_set_start(s) : 0, ids, n), count);
    run_free(r);
    return y;
}

static inline float *adapt_run(const struct arch_model *m, struct adapt *a, const int32_t *ids, size_t n, size_t *count)
{
    struct run_options o = {0};
    struct sooth_error err = {0};
    struct text t;
    if (a && adapt_apply(a, &o, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct run *r = run_new(&o);
    float *y = rows_run(r, m, text_fill(&t, a ? adapt_rows(a) : 0, a ? adapt_start(a) : 0, ids, n), count);
    run_free(r);
    return y;
}

/* A scalar of the text: the mean log-probability loss of a decoder, a fixed weighing of an encoder's states. */
static inline float adapt_loss(const struct arch_model *m, struct adapt *a, struct grads *g, bool checkpoint, const int32_t *ids, size_t n)
{
    struct run_options o = {.tape = g != NULL, .grads = g, .checkpoint = checkpoint};
    struct sooth_error err = {0};
    struct text t;
    float c[ROWS_MOST * 64];
    if (adapt_apply(a, &o, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    struct run *r = run_new(&o);
    run_begin(r, text_fill(&t, adapt_rows(a), adapt_start(a), ids, n));
    struct mat *h = arch_hidden(m, r), *y = arch_info(m)->decoder ? arch_logprobs(m, r, h) : h;
    for (size_t i = 0; y && i < y->rows * y->cols; i++)
        c[i] = y->cols == 1 ? -1.0f / (float)y->rows : (float)((int)(i * 7 % 11) - 5) / 16;
    struct mat *loss = op_weigh(r, c, y);
    if (run_end(r, &err) != SOOTH_OK || (g && run_backward(r, loss, 1, &err) != SOOTH_OK))
        fail_msg("%s", err.text);
    float value = loss->v[0];
    run_free(r);
    return value;
}

static inline struct grads *adapt_grads(const struct adapt *a)
{
    const struct weight **list = mem_calloc(adapt_trained(a) + 1, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < adapt_trained(a); i++)
        list[i] = adapt_weight(a, i);
    struct grads *g = grads_new(list, adapt_trained(a));
    assert_non_null(g);
    mem_free((void *)list);
    return g;
}

static inline uint64_t base_hash(const struct arch_model *m)
{
    uint64_t h = 0;
    for (size_t i = 0; i < arch_weights(m); i++) {
        const struct qmat *q = &arch_weight_at(m, i)->weight->q;
        size_t bytes;
        assert_true(qtype_bytes(q->type, q->rows, q->cols, &bytes));
        h = hash64(q->data, bytes, h);
    }
    return h;
}

static inline double furthest(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}
#endif
