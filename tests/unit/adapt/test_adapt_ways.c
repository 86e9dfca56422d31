/* test_adapt_ways.c: method x architecture x number format: a recording run, prompts whole and in pieces, decoding and a crowd give the
 * same bits under every adapter; it starts as the model; the base keeps its bytes. Random models written by this program, packed as served. */
#include "adapt_fixture.h"
#include <unistd.h>
#include "../arch/random_model.h"

enum { N = 12, SLOTS = 3 };
static int32_t ids[N];

struct way {
    const struct arch_model *m;
    struct adapt *a;
    size_t lead, wide;
    uint32_t start;
    const float *whole; /* [N, wide] */
    char what[128];
};

static void same_bits(const struct way *w, const float *got, size_t from, size_t n, const char *how)
{
    if (memcmp(got, w->whole + from * w->wide, n * w->wide * sizeof *got))
        fail_msg("%s: %s gives other bits", w->what, how);
}

/* Rows [from, to) of the sequence of placeholders and text; y gets those of the text. */
static void piece(const struct way *w, struct run *r, uint32_t seq, size_t from, size_t to, const char *how)
{
    struct text t;
    size_t count, first = from > w->lead ? from - w->lead : 0;
    text_fill(&t, w->lead, w->start, ids, N);
    for (size_t i = 0; i < t.rows.n; i++)
        t.seq[i] = seq;
    struct rows rows = {.n = to - from, .token = t.token + from, .pos = t.pos + from, .seq = t.seq + from, .want = t.want + from};
    float *y = rows_run(r, w->m, &rows, &count);
    same_bits(w, y, first, count / w->wide, how);
    mem_free(y);
}

static void crowd(const struct way *w, struct run *r, struct kv_cache *kv)
{
    static const size_t from[SLOTS] = {7, 3, 11}, to[SLOTS] = {9, 7, 12};
    uint32_t pos[N], seq[N];
    int32_t token[N];
    size_t n = 0, count;
    for (size_t s = 0; s < SLOTS; s++) {
        kv_cache_truncate(kv, s, w->start + from[s]);
        for (size_t i = from[s]; i < to[s]; i++, n++) {
            pos[n] = w->start + (uint32_t)i;
            seq[n] = (uint32_t)s;
            token[n] = ids[i];
        }
    }
    struct rows rows = {.n = n, .token = token, .pos = pos, .seq = seq};
    float *y = rows_run(r, w->m, &rows, &count);
    for (size_t i = 0; i < n; i++)
        same_bits(w, y + i * w->wide, pos[i] - w->start, 1, "a crowd");
    mem_free(y);
}

static void served(const struct way *w)
{
    struct kv_cache *kv;
    struct sooth_error err = {0};
    struct run_options o = {0};
    size_t all = w->lead + N;
    assert_int_equal(arch_cache_new(w->m, SLOTS, CONTEXT, KV_F32, &kv, NULL), SOOTH_OK);
    o.cache = kv;
    assert_int_equal(adapt_apply(w->a, &o, &err), SOOTH_OK);
    struct run *r = run_new(&o);
    piece(w, r, 0, 0, all, "a prompt");
    assert_int_equal(kv_cache_length(kv, 0), w->start + N);
    for (size_t at = 0, step = 2; at < all; at += step, step = step * 2 % 7) {
        step = step > all - at ? all - at : step;
        piece(w, r, 1, at, at + step, "a prompt in pieces");
    }
    for (size_t at = 0; at < all; at++)
        piece(w, r, 2, at, at + 1, "decoding");
    crowd(w, r, kv);
    run_free(r);
    kv_cache_free(kv);
}

/* Two sequences without a cache, as a training batch, recorded. */
static void recorded(const struct way *w)
{
    struct grads *g = adapt_grads(w->a);
    struct run_options o = {.tape = true, .grads = g};
    struct sooth_error err = {0};
    struct text t[2];
    int32_t token[2 * ROWS_MOST];
    uint32_t pos[2 * ROWS_MOST], seq[2 * ROWS_MOST];
    uint8_t want[2 * ROWS_MOST];
    size_t n = w->lead + N, count;
    assert_int_equal(adapt_apply(w->a, &o, &err), SOOTH_OK);
    struct run *r = run_new(&o);
    for (size_t s = 0; s < 2; s++) {
        text_fill(&t[s], w->lead, w->start, ids, N);
        memcpy(token + s * n, t[s].token, n * sizeof *token);
        memcpy(pos + s * n, t[s].pos, n * sizeof *pos);
        memcpy(want + s * n, t[s].want, n);
        for (size_t i = 0; i < n; i++)
            seq[s * n + i] = (uint32_t)s;
    }
    struct rows rows = {.n = 2 * n, .token = token, .pos = pos, .seq = seq, .want = want};
    float *y = rows_run(r, w->m, &rows, &count);
    same_bits(w, y, 0, N, "a recording run");
    same_bits(w, y + N * w->wide, 0, N, "the second of a batch");
    mem_free(y);
    run_free(r);
    grads_free(g);
}

static void check_model(const struct family *f, const struct qtype *t, struct arch_model *m)
{
    uint64_t before = base_hash(m);
    size_t plain_count, count;
    float *plain = adapt_run(m, NULL, ids, N, &plain_count);
    for (size_t i = 0; adapt_method_at(i, NULL); i++)
        for (size_t v = 0; v == 0 || adapt_variant_at(i, v); v++) {
            struct adapt_options o = {.method = adapt_method_at(i, NULL), .variant = adapt_variant_at(i, v), .rank = 3, .tokens = 5, .width = 8};
            struct way w = {.m = m, .a = adapt_open_new(m, &o), .wide = f->decoder ? V : D};
            snprintf(w.what, sizeof w.what, "%s %s on %s, %s", o.method, o.variant ? o.variant : "", f->arch, t->name);
            float *start = adapt_run(m, w.a, ids, N, &count);
            double away = furthest(start, plain, count), top = 0;
            for (size_t k = 0; k < count; k++)
                top = fmax(top, fabs((double)plain[k]));
            /* full reads a quantized weight in f32, without the rounding of activations */
            if (adapt_start(w.a) == 0 && !(away <= (strcmp(o.method, "full") ? 2e-6 : 0.06) * top))
                fail_msg("%s starts %g away", w.what, away);
            adapt_shake(w.a, 0.05f);
            w.lead = adapt_rows(w.a);
            w.start = adapt_start(w.a);
            float *whole = adapt_run(m, w.a, ids, N, &count);
            w.whole = whole;
            assert_true(furthest(whole, plain, count) > 1e-4 * top);
            recorded(&w);
            if (f->decoder)
                served(&w);
            mem_free(start);
            mem_free(whole);
            adapt_free(w.a);
        }
    assert_true(base_hash(m) == before);
    mem_free(plain);
}

static void check(const struct family *f, const struct qtype *t)
{
    struct tensor_file *file = model_file(f, t, NULL);
    struct arch_model *m = arch_open_model(file, NULL);
    check_model(f, t, m);
    arch_free(m);
    tensor_file_close(file);
}

/* QLoRA's own format, which GGUF does not have: the products of a block become NF4 after loading. */
static void every_way_agrees_over_nf4(void **state)
{
    const struct qtype *nf4 = qtype_by_name("nf4");
    struct tensor_file *file = model_file(&families[0], qtype_by_name("f32"), NULL);
    struct arch_options ao = {.no_pack = true};
    struct arch_model *m = arch_open_model(file, &ao);
    void **data = mem_calloc(arch_weights(m), sizeof *data);
    for (size_t i = 0; i < arch_weights(m); i++) {
        struct qmat *q = (struct qmat *)&arch_weight_at(m, i)->weight->q;
        size_t bytes;
        if (arch_weight_at(m, i)->vector || arch_weight_at(m, i)->layer < 0)
            continue;
        assert_true(qtype_bytes(nf4, q->rows, q->cols, &bytes));
        assert_non_null(data[i] = mem_alloc(bytes));
        nf4->quantize(q->data, data[i], q->rows * q->cols);
        qmat_init(q, nf4, q->rows, q->cols, data[i]);
        assert_int_equal(qmat_pack(q, NULL, QMAT_NATIVE, NULL), SOOTH_OK);
    }
    check_model(&families[0], nf4, m);
    for (size_t i = 0; i < arch_weights(m); i++)
        mem_free(data[i]);
    mem_free(data);
    arch_free(m);
    tensor_file_close(file);
}

static void every_way_agrees_for_every_format(void **state)
{
    for (size_t k = 0; qtype_at(k); k++)
        if (qtype_at(k)->id < QTYPE_NF4) /* not in GGUF: below */
            check(&families[0], qtype_at(k));
}

static void every_way_agrees_for_every_architecture(void **state)
{
    for (size_t i = 1; i < sizeof families / sizeof *families; i++)
        check(&families[i], qtype_by_name("q4_k"));
}

/* m and c come from the same numbers of the format itself: at the start m / c is exactly 1, whatever the blocks are. */
static void lesson_training_22_dora_starts_as_the_base_in_every_format(void **state)
{
    for (size_t k = 0; qtype_at(k); k++) {
        if (qtype_at(k)->id >= QTYPE_NF4)
            continue;
        struct tensor_file *file = model_file(&families[0], qtype_at(k), NULL);
        struct arch_model *m = arch_open_model(file, NULL);
        struct adapt_options o = {.method = "dora", .rank = 2, .targets = "all-linear"};
        struct adapt *a = adapt_open_new(m, &o);
        size_t n;
        float *plain = adapt_run(m, NULL, ids, N, &n), *worn = adapt_run(m, a, ids, N, &n);
        double top = 0;
        for (size_t i = 0; i < n; i++)
            top = fmax(top, fabs((double)plain[i]));
        if (!(furthest(plain, worn, n) <= 2e-6 * top))
            fail_msg("%s: starts %g away", qtype_at(k)->name, furthest(plain, worn, n));
        for (size_t i = 0; i < adapt_trained(a); i++)
            if (strstr(adapt_weight(a, i)->name, ".dora_m"))
                assert_int_equal(adapt_weight(a, i)->q.rows, 1);
        mem_free(plain);
        mem_free(worn);
        adapt_free(a);
        arch_free(m);
        tensor_file_close(file);
    }
}

static int open_path(void **state)
{
    snprintf(random_path, sizeof random_path, "/tmp/sooth_adapt_%ld.gguf", (long)getpid());
    for (size_t i = 0; i < N; i++)
        ids[i] = (int32_t)((i * 37 + 11) % V);
    return 0;
}

static int close_path(void **state)
{
    return unlink(random_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_agrees_for_every_format),
        cmocka_unit_test(every_way_agrees_over_nf4),
        cmocka_unit_test(lesson_training_22_dora_starts_as_the_base_in_every_format),
        cmocka_unit_test(every_way_agrees_for_every_architecture),
    };
    return cmocka_run_group_tests(tests, open_path, close_path);
}
