/* test_formats.c: the agreement table: architecture x number format.
 *
 * Whole without a cache, prefill, prompt in pieces, decode, and a crowd of conversations give the same bits, for every
 * format; so does a recording run over the same packed weights (adapters on a frozen base train what is served). Over the file
 * form products are in f32, over packed quantized weights activations are 8 bits: for F32, F16 and BF16 both give
 * the same bits; for the others the largest difference of a logit stays under BOUND of the largest logit. The models here are random, two blocks or six, 256 wide,
 * written as GGUF by this program.
 *
 * The same writer makes the files that must be refused: a tensor missing, surplus, of the wrong shape, not finite. */
#include "random_model.h"
#include <unistd.h>

#define BOUND 0.06 /* measured: 0.04 at most (k-quants, llama); random weights do not average errors out as trained ones do */

/* ---- agreement ---- */

enum { T = 40 };
static int32_t ids[T];

static void same(const float *a, const float *b, size_t n, const struct family *f, const struct qtype *t, const char *what)
{
    if (memcmp(a, b, n * sizeof *a))
        fail_msg("%s, %s: %s gives other bits", f->arch, t->name, what);
}

/* A cache that rounds what it keeps gives bits of its own: those of the prompt read whole count then. */
static void serve_every_way(const struct family *f, const struct qtype *t, const struct arch_model *m, struct pool *pool, enum kv_type type,
                            const float *whole)
{
    static const struct {
        uint32_t seq;
        size_t from, to;
    } crowd[] = {{2, 12, 15}, {0, 30, 31}, {1, 5, 12}};
    struct kv_cache *kv;
    uint32_t pos[T], seq[T];
    int32_t token[T];
    size_t n = 0;
    assert_int_equal(arch_cache_new(m, 3, CONTEXT, type, &kv, NULL), SOOTH_OK);
    struct run_options o = {.pool = pool, .cache = kv};
    struct run *r = run_new(&o);
    float *y = arch_run(r, m, ids, T, 0, 0, NULL, true);
    float *own = y;
    if (type == KV_F32)
        same(y, whole, T * V, f, t, "prefill");
    else
        whole = own;
    for (size_t at = 0, step = 1; at < T; at += step, step = step * 3 % 17) {
        step = step > T - at ? T - at : step;
        y = arch_run(r, m, ids + at, step, (uint32_t)at, 1, NULL, true);
        same(y, whole + at * V, step * V, f, t, "a prompt in pieces");
        mem_free(y);
    }
    for (size_t at = 0; at < T; at++) {
        y = arch_run(r, m, ids + at, 1, (uint32_t)at, 2, NULL, true);
        same(y, whole + at * V, V, f, t, "decoding");
        mem_free(y);
    }
    for (size_t i = 0; i < 3; i++) {
        kv_cache_truncate(kv, crowd[i].seq, crowd[i].from);
        for (size_t j = crowd[i].from; j < crowd[i].to; j++, n++) {
            pos[n] = (uint32_t)j;
            seq[n] = crowd[i].seq;
            token[n] = ids[j];
        }
    }
    struct rows rows = {.n = n, .token = token, .pos = pos, .seq = seq};
    run_begin(r, &rows);
    struct mat *z = arch_logits(m, r, arch_hidden(m, r));
    assert_int_equal(run_end(r, NULL), SOOTH_OK);
    for (size_t i = 0; i < n; i++)
        same(z->v + i * V, whole + pos[i] * V, V, f, t, "a crowd");
    mem_free(own);
    run_free(r);
    kv_cache_free(kv);
}

/* As a training step sees it: file form, tape on, something trained. */
static float *train_forward(const struct arch_model *m, struct pool *pool, bool decoder)
{
    const struct weight *w = arch_weight_at(m, arch_weights(m) - 1)->weight;
    struct grads *g = grads_new(&w, 1);
    struct run_options o = {.pool = pool, .tape = true, .grads = g};
    struct run *r = run_new(&o);
    float *y = arch_run(r, m, ids, T, 0, 0, NULL, decoder);
    run_free(r);
    grads_free(g);
    return y;
}

static double check_format(const struct family *f, const struct qtype *t, struct pool *pool)
{
    struct tensor_file *file = model_file(f, t, NULL);
    struct arch_options serve = {.pool = pool}, train = {.pool = pool, .no_pack = true};
    struct arch_model *m = arch_open_model(file, &serve), *plain = arch_open_model(file, &train);
    struct run_options o = {.pool = pool};
    struct run *r = run_new(&o);
    size_t width = f->decoder ? V : D;
    float *whole = arch_run(r, m, ids, T, 0, 0, NULL, f->decoder), *trained = train_forward(plain, pool, f->decoder);
    float *recorded = train_forward(m, pool, f->decoder);
    double top = 0, worst = 0;
    same(recorded, whole, T * width, f, t, "a recording run");
    if (f->decoder)
        for (int type = KV_F32; kv_type_name((enum kv_type)type) && (type == KV_F32 || !strcmp(t->name, "q4_1")); type++)
            serve_every_way(f, t, m, pool, (enum kv_type)type, whole);
    for (size_t i = 0; i < T * width; i++) {
        top = fmax(top, fabs((double)trained[i]));
        worst = fmax(worst, fabs((double)trained[i] - (double)whole[i]));
    }
    assert_true(top > 0.1 && isfinite(top));
    if (t->block == 1)
        same(whole, trained, T * width, f, t, "the file form");
    assert_ptr_equal(arch_info(m)->type, t);
    mem_free(whole);
    mem_free(trained);
    mem_free(recorded);
    run_free(r);
    arch_free(m);
    arch_free(plain);
    tensor_file_close(file);
    return worst / top;
}

static void all_paths_agree_for_every_format(void **state)
{
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        struct pool *pool = pool_new(threads);
        for (size_t i = 0; i < sizeof families / sizeof *families; i++)
            for (size_t k = 0; qtype_at(k); k++) {
                if (qtype_at(k)->id >= QTYPE_NF4) /* GGUF has no number for it */
                    continue;
                double d = check_format(&families[i], qtype_at(k), pool);
                if (threads == 1)
                    print_message("# %-10s %-5s packed differs from file form by %.2g\n", families[i].arch, qtype_at(k)->name, d);
                if (!(d <= (qtype_at(k)->block == 1 ? 0 : BOUND)))
                    fail_msg("%s, %s: packed and file form differ by %g", families[i].arch, qtype_at(k)->name, d);
            }
        pool_free(pool);
    }
}

/* ---- files that must be refused ---- */

static void tensors_that_do_not_fit_are_named(void **state)
{
    static const struct damage damages[] = {
        {"blk.1.ffn_up.weight", LEFT_OUT}, {"output_norm.weight", LEFT_OUT}, {"token_embd.weight", LEFT_OUT}, {"blk.0.attn_k.weight", WIDER},
        {"blk.1.ffn_norm.weight", WIDER}, {"blk.1.ffn_down.weight", NOT_FINITE}, {"blk.0.attn_norm.weight", NOT_FINITE},
        {"token_embd.weight", NOT_FINITE}, {"blk.0.attn_sinks.weight", BESIDE}, {"blk.2.attn_q.weight", BESIDE},
    };
    static const char *const formats[] = {"f32", "q4_1", "q8_0", "q6_k"};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
            /* the scale of a q6_k block stands last: its first bytes are always fine */
            if (k == 3 && damages[i].kind == NOT_FINITE && strstr(damages[i].tensor, "norm") == NULL)
                continue;
            struct tensor_file *file = model_file(&families[0], qtype_by_name(formats[k]), &damages[i]);
            struct arch_model *m;
            struct sooth_error err = {0};
            uint64_t live = mem_live();
            enum sooth_status s = arch_load(file, NULL, &m, &err);
            assert_true(s == SOOTH_ERR_FORMAT || s == SOOTH_ERR_UNSUPPORTED);
            assert_null(m);
            if (!strstr(err.text, damages[i].tensor) && strcmp(damages[i].tensor, "token_embd.weight"))
                fail_msg("'%s' does not name '%s'", err.text, damages[i].tensor);
            assert_int_equal(mem_live(), live);
            tensor_file_close(file);
        }
}

static void loading_survives_failing_memory(void **state)
{
    struct tensor_file *file = model_file(&families[0], qtype_by_name("q8_0"), NULL);
    struct arch_model *m = NULL;
    uint64_t live = mem_live(), at = 0, before = mem_count();
    assert_int_equal(arch_load(file, NULL, &m, NULL), SOOTH_OK);
    uint64_t needed = mem_count() - before;
    arch_free(m);
    m = NULL;
    while (!m) {
        struct sooth_error err = {0};
        mem_fail_at(++at);
        enum sooth_status s = arch_load(file, NULL, &m, &err);
        mem_fail_at(0);
        assert_true(s == SOOTH_OK ? m != NULL : s == SOOTH_ERR_NOMEM && !m && err.text[0]);
        assert_true(m || mem_live() == live);
        assert_true(at < 10000);
    }
    assert_int_equal(at, needed + 1); /* every allocation of a load had its turn to fail */
    arch_free(m);
    assert_int_equal(mem_live(), live);
    tensor_file_close(file);
}

/* The list walks every tensor of the file once, with the reference's other name beside it. */
static void the_list_is_the_file(void **state)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct tensor_file *file = model_file(&families[i], qtype_by_name("f16"), NULL);
        struct arch_model *m = arch_open_model(file, NULL);
        uint64_t numbers = 0;
        assert_int_equal(arch_weights(m), tensor_file_count(file));
        for (size_t k = 0; k < arch_weights(m); k++) {
            const struct arch_weight *w = arch_weight_at(m, k);
            assert_non_null(tensor_file_find(file, w->weight->name));
            assert_ptr_equal(arch_weight_find(m, w->weight->name), w->weight);
            assert_true(w->hf_name[0] && w->role[0] && w->vector == (w->weight->q.rows == 1));
            assert_int_equal(w->layer < 0, strncmp(w->weight->name, "blk.", 4) != 0);
            numbers += w->weight->q.rows * w->weight->q.cols;
        }
        assert_int_equal(arch_info(m)->parameters, numbers);
        assert_null(arch_weight_find(m, "blk.0.nothing"));
        arch_free(m);
        tensor_file_close(file);
    }
}

static int open_path(void **state)
{
    snprintf(random_path, sizeof random_path, "/tmp/sooth_formats_%ld.gguf", (long)getpid());
    for (size_t i = 0; i < T; i++)
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
        cmocka_unit_test(all_paths_agree_for_every_format),
        cmocka_unit_test(tensors_that_do_not_fit_are_named),
        cmocka_unit_test(loading_survives_failing_memory),
        cmocka_unit_test(the_list_is_the_file),
    };
    return cmocka_run_group_tests(tests, open_path, close_path);
}
