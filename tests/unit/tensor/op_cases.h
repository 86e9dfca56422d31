/* op_cases.h: one or more small calculations for each row of the op table, used by test_op.c.
 *
 * Everything that may carry a gradient is a weight w[0..]: an activation comes from op_lookup over a table of its rows. All
 * cases share one set of nine rows in three sequences (5, 1 and 3 long). */
#ifndef TEST_OP_CASES_H
#define TEST_OP_CASES_H
#include <math.h>
#include "core/tensor/op.h"
#include "core/tensor/tensor.h"

enum { N = 9, CASE_WEIGHTS = 6 };
static const int32_t case_token[N] = {3, 0, 4, 4, 1, 2, 5, 0, 3};
static const uint32_t case_pos[N] = {0, 1, 2, 3, 4, 7, 2, 3, 4};
static const uint32_t case_seq[N] = {0, 0, 0, 0, 0, 4, 2, 2, 2};
static const uint8_t case_want[N] = {0, 1, 0, 1, 1, 1, 1, 0, 1};
static const uint8_t case_type[N] = {0, 0, 1, 1, 1, 0, 1, 1, 0};
static const int32_t case_targets[N] = {1, -1, 5, 0, 6, 2, 3, -1, 4};
static const struct rows case_rows = {N, case_token, case_pos, case_seq, case_want, case_type, case_targets};
static const int32_t first_rows[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

struct op_case {
    const char *op, *name;
    size_t shape[CASE_WEIGHTS][2];
    struct mat *(*build)(struct run *r, const struct weight *const *w);
    size_t prefix; /* rows of trained cache entries: w[3], w[4] */
    bool away;     /* keep numbers away from 0, where the function has a kink */
};

static struct mat *in(struct run *r, const struct weight *w)
{
    return op_lookup(r, w, first_rows, w->q.rows);
}

static struct mat *case_embed(struct run *r, const struct weight *const *w)
{
    struct mat *x = op_add(r, op_embed(r, w[0], IDS_TOKEN, 0), op_embed(r, w[1], IDS_POSITION, 2));
    return op_add(r, x, op_embed(r, w[2], IDS_TYPE, 0));
}
static struct mat *case_lookup(struct run *r, const struct weight *const *w)
{
    static const int32_t ids[4] = {2, 0, 2, 1};
    return op_lookup(r, w[0], ids, 4);
}
static struct mat *case_linear(struct run *r, const struct weight *const *w)
{
    return op_linear(r, w[1], w[2], in(r, w[0]));
}
static struct mat *case_linears(struct run *r, const struct weight *const *w)
{
    struct mat *y[3];
    op_linears(r, 3, (const struct weight *[]){w[1], w[2], w[3]}, (const struct weight *[]){NULL, w[4], NULL}, in(r, w[0]), y);
    return op_mul(r, op_mul(r, y[0], y[1]), y[2]);
}
static struct mat *case_linears_one_unused(struct run *r, const struct weight *const *w)
{
    struct mat *y[2];
    op_linears(r, 2, (const struct weight *[]){w[1], w[2]}, NULL, in(r, w[0]), y);
    return y[1];
}
static struct mat *case_rmsnorm(struct run *r, const struct weight *const *w)
{
    return op_rmsnorm(r, w[1], 1e-3f, in(r, w[0]));
}
static struct mat *case_layernorm(struct run *r, const struct weight *const *w)
{
    return op_layernorm(r, w[1], w[2], 1e-3f, in(r, w[0]));
}
static struct mat *case_layernorm_no_bias(struct run *r, const struct weight *const *w)
{
    return op_layernorm(r, w[1], NULL, 1e-3f, in(r, w[0]));
}
static const double case_freq[4] = {1.0, 0.3, 0.05, 0.01};
static const struct rope rope_halves = {.dim = 8, .freq = case_freq, .scale = 1.25, .halves = true};
static const struct rope rope_part = {.dim = 4, .freq = case_freq, .scale = 1};
static const struct rope rope_grows = {.dim = 8, .freq = case_freq, .scale = 1, .dynamic_base = 100, .dynamic_factor = 2, .dynamic_from = 3};
static struct mat *case_rope(struct run *r, const struct weight *const *w)
{
    struct mat *x = op_rope(r, &rope_halves, 8, in(r, w[0]));
    return op_rope(r, &rope_grows, 8, op_rope(r, &rope_part, 8, x));
}
static struct mat *attend(struct run *r, const struct weight *const *w, struct attend_op a)
{
    a.dk = 8;
    a.dv = 4;
    a.scale = 0.4f;
    return op_attend(r, &a, in(r, w[0]), in(r, w[1]), in(r, w[2]));
}
static struct mat *case_causal(struct run *r, const struct weight *const *w)
{
    return attend(r, w, (struct attend_op){.heads = 4, .kv_heads = 2, .causal = true});
}
static struct mat *case_window(struct run *r, const struct weight *const *w)
{
    return attend(r, w, (struct attend_op){.heads = 4, .kv_heads = 2, .causal = true, .window = 2, .softcap = 0.8f});
}
static struct mat *case_both_ways(struct run *r, const struct weight *const *w)
{
    return attend(r, w, (struct attend_op){.heads = 2, .kv_heads = 2});
}
#define ACT_CASE(name, kind)                                                                   \
    static struct mat *case_##name(struct run *r, const struct weight *const *w)               \
    {                                                                                          \
        return op_act(r, kind, in(r, w[0]));                                                   \
    }                                                                                          \
    static struct mat *case_glu_##name(struct run *r, const struct weight *const *w)           \
    {                                                                                          \
        return op_glu(r, kind, in(r, w[0]), in(r, w[1]));                                      \
    }
ACT_CASE(silu, ACT_SILU)
ACT_CASE(gelu, ACT_GELU)
ACT_CASE(gelu_tanh, ACT_GELU_TANH)
ACT_CASE(relu, ACT_RELU)
ACT_CASE(tanh, ACT_TANH)
ACT_CASE(sigmoid, ACT_SIGMOID)

static struct mat *case_add(struct run *r, const struct weight *const *w)
{
    struct mat *x = in(r, w[0]);
    return op_add(r, op_add(r, x, in(r, w[1])), x); /* x twice: both gradients must arrive */
}
static struct mat *case_mul(struct run *r, const struct weight *const *w)
{
    struct mat *x = in(r, w[0]);
    return op_mul(r, op_mul(r, x, in(r, w[1])), x);
}
static struct mat *case_scale(struct run *r, const struct weight *const *w)
{
    return op_scale(r, -1.75f, in(r, w[0]));
}
static struct mat *case_add_row(struct run *r, const struct weight *const *w)
{
    return op_add_row(r, w[1], in(r, w[0]));
}
static struct mat *case_mul_row(struct run *r, const struct weight *const *w)
{
    return op_mul_row(r, w[1], in(r, w[0]));
}
static struct mat *case_ratio_row(struct run *r, const struct weight *const *w)
{
    return op_ratio_row(r, w[1], w[2], in(r, w[0]));
}
static struct mat *case_dropout(struct run *r, const struct weight *const *w)
{
    return op_dropout(r, 0.4f, 17, in(r, w[0]));
}
static struct mat *case_join(struct run *r, const struct weight *const *w)
{
    return op_join(r, in(r, w[0]), in(r, w[1]));
}
static struct mat *case_place(struct run *r, const struct weight *const *w)
{
    return op_place(r, 2, in(r, w[1]), in(r, w[0]));
}
static struct mat *case_lstm(struct run *r, const struct weight *const *w)
{
    struct mat *x = in(r, w[0]);
    return op_join(r, op_lstm(r, w[1], w[2], false, x), op_lstm(r, w[1], w[2], true, x));
}
static struct mat *case_softcap(struct run *r, const struct weight *const *w)
{
    return op_softcap(r, 0.7f, in(r, w[0]));
}
static struct mat *case_softmax(struct run *r, const struct weight *const *w)
{
    return op_softmax(r, in(r, w[0]));
}
static struct mat *case_logsigmoid(struct run *r, const struct weight *const *w)
{
    return op_logsigmoid(r, in(r, w[0]));
}
static struct mat *case_unit(struct run *r, const struct weight *const *w)
{
    return op_unit(r, in(r, w[0]));
}
static struct mat *case_columns(struct run *r, const struct weight *const *w)
{
    return op_columns(r, 3, 4, in(r, w[0]));
}
static struct mat *case_concat(struct run *r, const struct weight *const *w)
{
    return op_concat(r, in(r, w[0]), in(r, w[1]));
}
static struct mat *case_wanted(struct run *r, const struct weight *const *w)
{
    return op_wanted(r, in(r, w[0]));
}
static struct mat *case_rows_twice(struct run *r, const struct weight *const *w)
{
    static const uint32_t index[5] = {4, 0, 4, 8, 1};
    return op_rows(r, index, 5, in(r, w[0]));
}
static struct mat *case_mean(struct run *r, const struct weight *const *w)
{
    return op_pool(r, POOL_MEAN, op_wanted(r, in(r, w[0])));
}
static struct mat *case_first(struct run *r, const struct weight *const *w)
{
    return op_pool(r, POOL_FIRST, op_wanted(r, in(r, w[0])));
}
static struct mat *case_last(struct run *r, const struct weight *const *w)
{
    return op_pool(r, POOL_LAST, op_wanted(r, in(r, w[0])));
}
static struct mat *case_logprob(struct run *r, const struct weight *const *w)
{
    return op_logprob(r, w[1], 0, case_targets, in(r, w[0]));
}
static struct mat *case_logprob_capped(struct run *r, const struct weight *const *w)
{
    return op_logprob(r, w[1], 1.5f, NULL, op_wanted(r, in(r, w[0])));
}
static struct mat *case_target(struct run *r, const struct weight *const *w)
{
    return op_target(r, case_targets, in(r, w[0]));
}
static struct mat *case_target_of_wanted(struct run *r, const struct weight *const *w)
{
    return op_target(r, NULL, op_wanted(r, in(r, w[0])));
}
static struct mat *case_weigh(struct run *r, const struct weight *const *w)
{
    static const float c[N * 8] = {1, -2, 3, 0.5f, 0, 0, 1, 1, -1, 2};
    return op_weigh(r, c, in(r, w[0]));
}
struct block_weights {
    const struct weight *norm, *w;
};
static struct mat *case_block(struct run *r, const void *model, unsigned layer, struct mat *x)
{
    const struct block_weights *b = model;
    return op_add(r, x, op_act(r, ACT_SILU, op_linear(r, b->w, NULL, op_rmsnorm(r, b->norm, 1e-3f, x))));
}
static struct mat *case_layer(struct run *r, const struct weight *const *w)
{
    static struct block_weights b; /* outlives the run's backward */
    b = (struct block_weights){w[1], w[2]};
    struct mat *x = in(r, w[0]);
    for (unsigned i = 0; i < 3; i++)
        x = op_layer(r, case_block, &b, i, x);
    return x;
}

#define ACTS(name, label)                                                                                           \
    {"act", label, {{N, 8}}, case_##name, .away = true}, {"glu", label, {{N, 8}, {N, 8}}, case_glu_##name, .away = true}

static const struct op_case op_cases[] = {
    {"embed", "token, position, type", {{6, 5}, {10, 5}, {2, 5}}, case_embed},
    {"lookup", "rows that repeat", {{3, 7}}, case_lookup},
    {"linear", "with bias", {{N, 12}, {7, 12}, {1, 7}}, case_linear},
    {"linear", "three at once", {{N, 6}, {5, 6}, {5, 6}, {5, 6}, {1, 5}}, case_linears},
    {"linear", "one output unused", {{N, 6}, {5, 6}, {4, 6}}, case_linears_one_unused},
    {"rmsnorm", "a row", {{N, 8}, {1, 8}}, case_rmsnorm},
    {"rmsnorm", "each head", {{N, 12}, {1, 4}}, case_rmsnorm},
    {"layernorm", "a row", {{N, 8}, {1, 8}, {1, 8}}, case_layernorm},
    {"layernorm", "no bias", {{N, 8}, {1, 8}}, case_layernorm_no_bias},
    {"rope", "both pairings, part of a head, growing base", {{N, 16}}, case_rope},
    {"attend", "causal, heads share keys", {{N, 32}, {N, 16}, {N, 8}}, case_causal},
    {"attend", "window, soft cap", {{N, 32}, {N, 16}, {N, 8}}, case_window},
    {"attend", "both ways", {{N, 16}, {N, 16}, {N, 8}}, case_both_ways},
    {"attend", "after a trained prefix", {{N, 32}, {N, 16}, {N, 8}, {2, 16}, {2, 8}}, case_causal, .prefix = 2},
    ACTS(silu, "silu"), ACTS(gelu, "gelu"), ACTS(gelu_tanh, "gelu_tanh"), ACTS(relu, "relu"), ACTS(tanh, "tanh"), ACTS(sigmoid, "sigmoid"),
    {"add", "one input twice", {{N, 5}, {N, 5}}, case_add},
    {"mul", "one input twice", {{N, 5}, {N, 5}}, case_mul},
    {"scale", "", {{N, 5}}, case_scale},
    {"add_row", "", {{N, 5}, {1, 5}}, case_add_row},
    {"mul_row", "", {{N, 5}, {1, 5}}, case_mul_row},
    {"ratio_row", "", {{N, 5}, {1, 5}, {1, 5}}, case_ratio_row, .away = true},
    {"dropout", "", {{N, 5}}, case_dropout},
    {"softcap", "", {{N, 5}}, case_softcap},
    {"softmax", "", {{N, 11}}, case_softmax},
    {"logsigmoid", "", {{N, 5}}, case_logsigmoid},
    {"unit", "", {{N, 6}}, case_unit},
    {"columns", "", {{N, 9}}, case_columns},
    {"concat", "", {{3, 5}, {4, 5}}, case_concat},
    {"join", "", {{4, 5}, {4, 3}}, case_join},
    {"place", "three rows from position 2", {{N, 5}, {3, 5}}, case_place},
    {"lstm", "both directions", {{5, 12}, {12, 3}, {1, 12}}, case_lstm},
    {"wanted", "", {{N, 5}}, case_wanted},
    {"rows", "one row twice", {{N, 5}}, case_rows_twice},
    {"pool", "mean", {{N, 5}}, case_mean},
    {"pool", "first", {{N, 5}}, case_first},
    {"pool", "last", {{N, 5}}, case_last},
    {"logprob", "given targets, some absent", {{N, 6}, {9, 6}}, case_logprob},
    {"logprob", "capped, the wanted rows' targets", {{N, 6}, {9, 6}}, case_logprob_capped},
    {"target", "given targets, some absent", {{N, 9}}, case_target},
    {"target", "the wanted rows' targets", {{N, 9}}, case_target_of_wanted},
    {"weigh", "", {{N, 8}}, case_weigh},
    {"layer", "three checkpointed blocks", {{N, 6}, {1, 6}, {6, 6}}, case_layer},
};
#endif
