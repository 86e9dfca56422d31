/* test_seams.c: what later methods hang on a model, without the model's file knowing: adapters, hooks, trained prefixes,
 * observers, checkpoints. Each on the tiny models of tests/golden/arch; each absent must mean the very same bits. */
#include "arch_fixture.h"
#include "core/base/rng.h"

enum { T = 24, RANK = 3, PREFIX = 4 };
static int32_t ids[T], target[T];
static uint32_t pos[T], seq[T];
static float weights_of_loss[T];
static const struct rows all_rows = {.n = T, .token = ids, .pos = pos, .seq = seq, .target = target};

static int fill_rows(void **state)
{
    for (size_t i = 0; i < T; i++) {
        ids[i] = (int32_t)((i * 29 + 7) % 90) + 3;
        target[i] = (int32_t)((i * 31 + 1) % 96);
        pos[i] = (uint32_t)i;
        weights_of_loss[i] = -1.0f / T;
    }
    return 0;
}

/* A weight of random numbers that a test owns. */
static void weight_open(struct weight *w, const char *name, size_t rows, size_t cols, float scale)
{
    struct rng rng;
    float *v = mem_array(rows * cols, sizeof *v);
    assert_non_null(v);
    rng_seed(&rng, rows * 1000 + cols);
    for (size_t i = 0; i < rows * cols; i++)
        v[i] = scale * rng_normal(&rng);
    w->name = name;
    qmat_init(&w->q, qtype_by_id(0), rows, cols, v);
}

static float *logits(const struct arch_model *m, const struct run_options *o)
{
    struct run *r = run_new(o);
    float *y = arch_run(r, m, ids, T, 0, 0, NULL, true);
    run_free(r);
    return y;
}

static float backward(const struct arch_model *m, const struct run_options *o, size_t *peak)
{
    struct run *r = run_new(o);
    struct sooth_error err = {0};
    run_begin(r, &all_rows);
    struct mat *loss = op_weigh(r, weights_of_loss, arch_logprobs(m, r, arch_hidden(m, r)));
    if (run_end(r, &err) != SOOTH_OK || run_backward(r, loss, 1, &err) != SOOTH_OK)
        fail_msg("%s", err.text);
    float value = loss->v[0];
    if (peak)
        *peak = run_peak(r);
    run_free(r);
    return value;
}

static double furthest(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

/* ---- an adapter: LoRA as a later file will write it ---- */

struct low_rank {
    struct adapter base;
    struct weight a, b; /* [rank, in], [out, rank] */
};

static struct mat *low_rank_linear(struct run *r, const struct adapter *base, const struct weight *w, struct mat *x, struct mat *y)
{
    const struct low_rank *l = (const struct low_rank *)base;
    return op_add(r, y, op_scale(r, 0.5f, op_linear(r, &l->b, NULL, op_linear(r, &l->a, NULL, x))));
}

static void an_adapter_is_its_merged_weight(void **state)
{
    struct tensor_file *f = arch_open("llama_yarn"); /* q has a bias: it comes after the adapter */
    struct arch_model *m = arch_open_model(f, NULL);
    const struct weight *w = arch_weight_find(m, "blk.1.attn_q.weight");
    size_t vocab = arch_info(m)->vocab, rows = w->q.rows, cols = w->q.cols;
    struct low_rank l = {.base = {low_rank_linear}};
    struct adapters *set = adapters_new();
    float *zero = mem_calloc(rows * RANK, sizeof *zero), *merged = mem_array(rows * cols, sizeof *merged);
    weight_open(&l.a, "a", RANK, cols, 0.3f);
    weight_open(&l.b, "b", rows, RANK, 0.3f);
    assert_int_equal(adapters_attach(set, w, &l.base), SOOTH_OK);
    struct run_options off = {0}, on = {.adapters = set};
    float *plain = logits(m, &off), *adapted = logits(m, &on);
    assert_true(furthest(plain, adapted, T * vocab) > 1e-2);

    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            merged[i * cols + j] = ((const float *)w->q.data)[i * cols + j];
            for (size_t k = 0; k < RANK; k++)
                merged[i * cols + j] += 0.5f * weight_vec(&l.b)[i * RANK + k] * weight_vec(&l.a)[k * cols + j];
        }
    struct qmat *q = (struct qmat *)&w->q, before = *q;
    qmat_init(q, qtype_by_id(0), rows, cols, merged);
    float *same = logits(m, &off);
    assert_true(furthest(same, adapted, T * vocab) < 1e-4);
    *q = before;

    /* B = 0: the model itself, dA = 0, dB not; nothing flows into the frozen base */
    const float *b = l.b.q.data;
    l.b.q.data = zero;
    const struct weight *trained[] = {&l.a, &l.b};
    struct grads *g = grads_new(trained, 2);
    float *start = logits(m, &on);
    assert_memory_equal(start, plain, T * vocab * sizeof *plain);
    struct run_options train = {.adapters = set, .tape = true, .grads = g};
    backward(m, &train, NULL);
    double da = 0, db = 0;
    for (size_t i = 0; i < RANK * cols; i++)
        da += fabs((double)grads_find(g, &l.a)[i]);
    for (size_t i = 0; i < rows * RANK; i++)
        db += fabs((double)grads_find(g, &l.b)[i]);
    assert_true(da == 0 && db > 1e-3);
    assert_null(grads_find(g, w));
    l.b.q.data = b;

    /* one set of weights: the policy with, its reference without */
    struct run *r = run_new(&on);
    run_adapters(r, NULL);
    float *reference = arch_run(r, m, ids, T, 0, 0, NULL, true);
    assert_memory_equal(reference, plain, T * vocab * sizeof *plain);
    run_adapters(r, set);
    float *policy = arch_run(r, m, ids, T, 0, 0, NULL, true);
    assert_memory_equal(policy, adapted, T * vocab * sizeof *plain);
    run_free(r);
    float *all[] = {plain, adapted, same, start, reference, policy, merged, zero, (float *)l.a.q.data, (float *)b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    grads_free(g);
    adapters_free(set);
    arch_free(m);
    tensor_file_close(f);
}

/* ---- hooks and the observer ---- */

struct watch {
    size_t sites[HOOK_BLOCK + 1], ops;
    const struct weight *steer; /* added at the given site */
    enum hook_site site;
    struct mat *seen;           /* what the hook returned */
};

static struct mat *watching(void *user, struct run *r, enum hook_site site, unsigned layer, struct mat *x)
{
    struct watch *w = user;
    w->sites[site]++;
    if (w->steer && site == w->site && layer == 0)
        x = w->seen = op_add_row(r, w->steer, x);
    return x;
}

static void counting(void *user, const char *op, const struct weight *w, const struct mat *x, const struct mat *y)
{
    struct watch *watch = user;
    assert_true(op && y && y->v);
    watch->ops++;
}

static void hooks_see_every_site(void **state)
{
    static const char *const names[] = {"llama", "gemma3"};
    for (size_t i = 0; i < 2; i++) {
        struct tensor_file *f = arch_open(names[i]);
        struct arch_model *m = arch_open_model(f, NULL);
        struct watch w = {.steer = NULL};
        struct run_options plain = {0}, o = {.hook = watching, .hook_user = &w, .observer = counting, .observer_user = &w};
        float *a = logits(m, &plain), *b = logits(m, &o);
        assert_memory_equal(a, b, T * arch_info(m)->vocab * sizeof *a);
        assert_int_equal(w.sites[HOOK_EMBED], 1);
        for (int s = HOOK_HEADS; s <= HOOK_BLOCK; s++)
            assert_int_equal(w.sites[s], arch_info(m)->layers);
        assert_true(w.ops > 10 * arch_info(m)->layers);
        mem_free(a);
        mem_free(b);
        arch_free(m);
        tensor_file_close(f);
    }
}

/* A vector added at a hook: its gradient is the sum of the gradient at that point, and agrees with differences. */
static void a_hook_returns_the_gradient_at_its_point(void **state)
{
    struct tensor_file *f = arch_open("llama");
    struct arch_options ao = {.no_pack = true};
    struct arch_model *m = arch_open_model(f, &ao);
    struct weight steer;
    const struct weight *trained[] = {&steer};
    for (int site = HOOK_EMBED; site <= HOOK_BLOCK; site++) {
        size_t width = site == HOOK_HEADS || site == HOOK_FF_HIDDEN ? 64 : 32;
        weight_open(&steer, "steer", 1, width, 0.1f);
        float *v = (float *)steer.q.data;
        struct grads *g = grads_new(trained, 1);
        struct watch w = {.steer = &steer, .site = (enum hook_site)site};
        struct run_options o = {.tape = true, .grads = g, .hook = watching, .hook_user = &w};
        backward(m, &o, NULL);
        for (size_t i = 0; i < width; i += 7) {
            float at = v[i], h = 1e-2f, got = grads_find(g, &steer)[i];
            struct grads *unused = grads_new(trained, 1);
            o.grads = unused;
            v[i] = at + h;
            float up = backward(m, &o, NULL);
            v[i] = at - h;
            float down = backward(m, &o, NULL);
            v[i] = at;
            grads_free(unused);
            if (!(fabsf((up - down) / (2 * h) - got) < 2e-3f + 2e-2f * fabsf(got)))
                fail_msg("site %d: %g, differences say %g", site, (double)got, (double)((up - down) / (2 * h)));
        }
        grads_free(g);
        mem_free(v);
    }
    arch_free(m);
    tensor_file_close(f);
}

/* ---- a trained prefix ---- */

struct prefix {
    struct weight k, v;
};

static void give_prefix(void *user, struct run *r, unsigned layer, struct mat **k, struct mat **v)
{
    static const int32_t rows[PREFIX] = {0, 1, 2, 3};
    struct prefix *p = user;
    *k = op_lookup(r, &p[layer].k, rows, PREFIX);
    *v = op_lookup(r, &p[layer].v, rows, PREFIX);
}

static void a_prefix_is_cached_entries(void **state)
{
    struct tensor_file *f = arch_open("llama");
    struct arch_model *m = arch_open_model(f, NULL);
    struct prefix p[2];
    struct kv_cache *kv;
    size_t vocab = arch_info(m)->vocab;
    const struct weight *trained[] = {&p[0].k, &p[1].v};
    for (size_t l = 0; l < 2; l++) {
        weight_open(&p[l].k, "k", PREFIX, 32, 1);
        weight_open(&p[l].v, "v", PREFIX, 32, 1);
    }
    struct grads *g = grads_new(trained, 2);
    assert_int_equal(arch_cache_new(m, 1, T + PREFIX, KV_F32, &kv, NULL), SOOTH_OK);
    struct run_options none = {0}, o = {.prefix = give_prefix, .prefix_user = p, .prefix_rows = PREFIX}, cached = o, train = o;
    cached.cache = kv;
    train.tape = true;
    train.grads = g;
    float *plain = logits(m, &none), *whole = logits(m, &o);
    assert_true(furthest(plain, whole, T * vocab) > 1e-2);
    struct run *r = run_new(&cached);
    for (size_t at = 0; at < T; at += 6) {
        float *y = arch_run(r, m, ids + at, 6, (uint32_t)at, 0, NULL, true);
        assert_memory_equal(y, whole + at * vocab, 6 * vocab * sizeof *y);
        mem_free(y);
    }
    assert_int_equal(kv_cache_length(kv, 0), T + PREFIX);
    kv_cache_truncate(kv, 0, PREFIX + 6); /* the prefix stays */
    float *y = arch_run(r, m, ids + 6, 6, 6, 0, NULL, true);
    assert_memory_equal(y, whole + 6 * vocab, 6 * vocab * sizeof *y);
    mem_free(y);
    run_free(r);
    backward(m, &train, NULL);
    for (size_t k = 0; k < 2; k++) {
        double sum = 0;
        for (size_t i = 0; i < PREFIX * 32; i++)
            sum += fabs((double)grads_find(g, trained[k])[i]);
        assert_true(sum > 1e-3);
    }
    for (size_t l = 0; l < 2; l++) {
        mem_free((void *)p[l].k.q.data);
        mem_free((void *)p[l].v.q.data);
    }
    mem_free(plain);
    mem_free(whole);
    grads_free(g);
    kv_cache_free(kv);
    arch_free(m);
    tensor_file_close(f);
}

/* ---- checkpoints: less memory, the same bits ---- */

static void checkpoints_change_memory_only(void **state)
{
    struct tensor_file *f = arch_open("gemma3");
    struct arch_options ao = {.no_pack = true};
    struct arch_model *m = arch_open_model(f, &ao);
    size_t n = arch_weights(m), peak[2];
    const struct weight **list = mem_calloc(n, sizeof *list);
    struct grads *g[2];
    float loss[2];
    for (size_t i = 0; i < n; i++)
        list[i] = arch_weight_at(m, i)->weight;
    for (int c = 0; c < 2; c++) {
        g[c] = grads_new(list, n);
        struct run_options o = {.tape = true, .checkpoint = c == 1, .grads = g[c]};
        loss[c] = backward(m, &o, &peak[c]);
    }
    assert_true(loss[0] == loss[1]);
    assert_true(2 * peak[1] < peak[0]); /* six layers: one layer's notes instead of six */
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(grads_find(g[0], list[i]), grads_find(g[1], list[i]), list[i]->q.rows * list[i]->q.cols * sizeof(float));
    grads_free(g[0]);
    grads_free(g[1]);
    mem_free(list);
    arch_free(m);
    tensor_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_its_merged_weight),
        cmocka_unit_test(hooks_see_every_site),
        cmocka_unit_test(a_hook_returns_the_gradient_at_its_point),
        cmocka_unit_test(a_prefix_is_cached_entries),
        cmocka_unit_test(checkpoints_change_memory_only),
    };
    return cmocka_run_group_tests(tests, fill_rows, NULL);
}
