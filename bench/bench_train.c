/* bench_train.c: one training step on made-up tokens, timed: forward, backward, and the memory they take.
 *
 * usage: bench_train MODEL.gguf [MODE] [BATCH] [LENGTH] [STEPS] [THREADS] [COMPUTE] [keep]
 *   MODE     lora (r = 8 on q, k, v, o), full (every matrix, as f32 copies), forward
 *   COMPUTE  int8 (packed as served; gradients in bf16), bf16, f32
 *   keep     all activations kept; without it each layer keeps its input and runs again in backward
 * The shape of SmolLM2 with 4 x 512 tokens is what docs/speed.md compares with PyTorch. No optimizer step is taken. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/kernel/kernel.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/file/file.h"

enum { RANK = 8 };

struct low_rank {
    struct adapter adapter; /* first: the op hands this back */
    struct weight a, b;     /* [RANK, in], [out, RANK] */
};

static struct mat *low_rank_linear(struct run *r, const struct adapter *self, const struct weight *w, struct mat *x, struct mat *y)
{
    const struct low_rank *l = (const struct low_rank *)(const void *)self;
    return op_add(r, y, op_scale(r, 2, op_linear(r, &l->b, NULL, op_linear(r, &l->a, NULL, x))));
}

struct bench {
    struct arch_model *m;
    const struct weight **trained;
    size_t n_trained, parameters;
    struct low_rank *ranks;
    size_t n_ranks;
    struct adapters *adapters;
};

static void matrix_init(struct weight *w, const char *name, size_t rows, size_t cols)
{
    struct rng rng;
    float *v = mem_array(rows * cols, sizeof *v);
    if (!v)
        abort();
    rng_seed(&rng, rows * cols);
    for (size_t i = 0; i < rows * cols; i++)
        v[i] = rng_normal(&rng) * 0.02f;
    w->name = name;
    qmat_init(&w->q, qtype_by_id(0), rows, cols, v);
}

static void train(struct bench *b, const struct weight *w)
{
    b->trained[b->n_trained++] = w;
    b->parameters += w->q.rows * w->q.cols;
}

static void attach_low_rank(struct bench *b)
{
    b->adapters = adapters_new();
    b->ranks = mem_calloc(arch_weights(b->m), sizeof *b->ranks);
    for (size_t i = 0; i < arch_weights(b->m); i++) {
        const struct arch_weight *w = arch_weight_at(b->m, i);
        if (w->vector || (strcmp(w->role, "attn_q") && strcmp(w->role, "attn_k") && strcmp(w->role, "attn_v") && strcmp(w->role, "attn_output")))
            continue;
        struct low_rank *l = &b->ranks[b->n_ranks++];
        l->adapter.linear = low_rank_linear;
        matrix_init(&l->a, "a", RANK, w->weight->q.cols);
        matrix_init(&l->b, "b", w->weight->q.rows, RANK);
        train(b, &l->a);
        train(b, &l->b);
        if (adapters_attach(b->adapters, w->weight, &l->adapter))
            abort();
    }
}

/* Trained weights change, so they are f32 and not packed. */
static void thaw(struct bench *b)
{
    for (size_t i = 0; i < arch_weights(b->m); i++) {
        struct weight *w = (struct weight *)arch_weight_at(b->m, i)->weight;
        if (!arch_weight_at(b->m, i)->vector) {
            float *v = mem_array(w->q.rows * w->q.cols, sizeof *v);
            if (!v)
                abort();
            for (size_t row = 0; row < w->q.rows; row++)
                qmat_row(&w->q, row, v + row * w->q.cols);
            qmat_release(&w->q);
            qmat_init(&w->q, qtype_by_id(0), w->q.rows, w->q.cols, v);
        }
        train(b, w);
    }
}

static double step(struct run *r, const struct bench *b, const struct rows *rows, const float *each, bool forward, double *half)
{
    struct sooth_error err = {0};
    const double t0 = clock_seconds();
    run_begin(r, rows);
    struct mat *loss = op_weigh(r, each, arch_logprobs(b->m, r, arch_hidden(b->m, r)));
    enum sooth_status s = run_end(r, &err);
    *half = clock_seconds() - t0;
    if (!s && !forward)
        s = run_backward(r, loss, 1, &err);
    if (s) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    printf("loss %.4f: ", (double)loss->v[0]);
    return clock_seconds() - t0;
}

static double processor_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 + (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

static double norm_of(const struct bench *b, const struct grads *g)
{
    double sum = 0;
    for (size_t i = 0; i < b->n_trained; i++)
        sum += (double)kernel_get()->sum_squares(grads_find(g, b->trained[i]), b->trained[i]->q.rows * b->trained[i]->q.cols);
    return sqrt(sum);
}

static void measure(const struct bench *b, struct run_options *o, size_t batch, size_t length, int steps, bool forward)
{
    const size_t n = batch * length;
    int32_t *token = mem_array(n, sizeof *token), *target = mem_array(n, sizeof *target);
    uint32_t *pos = mem_array(n, sizeof *pos), *seq = mem_array(n, sizeof *seq);
    float *each = mem_array(n, sizeof *each);
    struct grads *g = grads_new(b->trained, b->n_trained);
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < n; i++) {
        token[i] = (int32_t)rng_below(&rng, arch_info(b->m)->vocab);
        pos[i] = (uint32_t)(i % length);
        seq[i] = (uint32_t)(i / length);
        each[i] = -1.0f / (float)n;
    }
    for (size_t i = 0; i < n; i++)
        target[i] = token[(i + 1) % n];
    const struct rows rows = {.n = n, .token = token, .pos = pos, .seq = seq, .target = target};
    o->grads = g;
    struct run *r = run_new(o);
    double best = INFINITY, least = INFINITY; /* time; seconds of processor, which other programs disturb less */
    for (int i = 0; i <= steps; i++) {
        double half, t;
        grads_clear(g);
        const double before = processor_seconds();
        t = step(r, b, &rows, each, forward, &half);
        const double used = processor_seconds() - before;
        best = i && t < best ? t : best;
        least = i && used < least ? used : least;
        printf("%.3f s, %.3f of them forward; gradient norm %.5f\n", t, half, norm_of(b, g));
    }
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%zu trained, %zu x %zu tokens: %.3f s, %.1f tok/s; run %.0f MB, process %.0f MB, %.2f s of processor a step\n", b->parameters, batch, length, best,
           (double)n / best, (double)run_peak(r) / 1e6, (double)u.ru_maxrss * 1024 / 1e6, least);
    run_free(r);
    grads_free(g);
    mem_free(token);
    mem_free(target);
    mem_free(pos);
    mem_free(seq);
    mem_free(each);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[2] : "lora", *compute = argc > 7 ? argv[7] : "bf16";
    struct tensor_file *f;
    struct bench b = {0};
    struct sooth_error err = {0};
    if (argc < 2 || tensor_file_open(argv[1], NULL, &f, &err)) {
        fprintf(stderr, "usage: bench_train MODEL.gguf [MODE] [BATCH] [LENGTH] [STEPS] [THREADS] [COMPUTE] [keep]\n%s\n", err.text);
        return 2;
    }
    struct run_options o = {.pool = pool_new(argc > 6 ? (unsigned)atoi(argv[6]) : 2), .tape = strcmp(mode, "forward") != 0};
    o.products = strcmp(compute, "f32") == 0 ? PRODUCTS_F32 : strcmp(compute, "int8") == 0 ? PRODUCTS_BF16_BACK : PRODUCTS_BF16;
    struct arch_options a = {.pool = o.pool, .no_pack = strcmp(compute, "int8") || strcmp(mode, "full") == 0};
    o.checkpoint = argc < 9;
    if (arch_load(f, &a, &b.m, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    b.trained = mem_calloc(3 * arch_weights(b.m), sizeof *b.trained);
    if (strcmp(mode, "lora") == 0)
        attach_low_rank(&b);
    else if (strcmp(mode, "full") == 0)
        thaw(&b);
    o.adapters = b.adapters;
    printf("kernels %s, %s, %s\n", kernel_get()->name, mode, compute);
    measure(&b, &o, argc > 3 ? (size_t)atoi(argv[3]) : 4, argc > 4 ? (size_t)atoi(argv[4]) : 512, argc > 5 ? atoi(argv[5]) : 3,
            strcmp(mode, "forward") == 0);
    return 0;
}
