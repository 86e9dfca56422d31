/* bench_vectors.c: the vector indexes on vectors from a file, for bench/vectors, which runs peers
 * on the same ones.
 *
 * usage: bench_vectors VECTORS QUERIES TRUTH N DIM NQ THREADS   (float32, float32, uint32 [nq, 10]) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "core/base/alloc.h"
#include "core/kernel/kernel.h"
#include "know/index/storedb.h"
#include "know/index/vindex.h"

enum { K = 10, ROUNDS = 5 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *load(const char *path, size_t bytes)
{
    FILE *f = fopen(path, "rb");
    void *p = malloc(bytes);
    if (!f || !p || fread(p, 1, bytes, f) != bytes) {
        fprintf(stderr, "cannot read '%s'\n", path);
        exit(1);
    }
    fclose(f);
    return p;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The best wide candidates again, by the vectors themselves: what the store does from its halves. */
static void rescore(struct scored *out, size_t n, const float *q, const float *vectors, size_t dim)
{
    for (size_t i = 0; i < n; i++)
        out[i].score = (double)kernel_get()->dot(q, vectors + out[i].slot * dim, dim);
    best_sort(out, n);
}

struct task {
    const struct vindex *x;
    const float *vectors, *queries;
    const uint32_t *truth;
    size_t dim, nq, effort, wide;
};

/* Median questions a second of five rounds; *recall of the first ten. */
static double measure(const struct task *t, double *recall)
{
    double rates[ROUNDS];
    struct vsearch v = {.effort = t->effort};
    struct scored out[64];
    for (int r = 0; r < ROUNDS; r++) {
        size_t hits = 0;
        double t0 = processor_seconds();
        for (size_t i = 0; i < t->nq; i++) {
            size_t n;
            const float *q = t->queries + i * t->dim;
            vquery_release(&v.query);
            if (!vquery_init(&v.query, &t->x->set, METRIC_DOT, q, false) ||
                t->x->row->search(t->x, &v, t->wide ? t->wide : K, out, &n, NULL) != SOOTH_OK)
                exit(1);
            if (t->wide)
                rescore(out, n, q, t->vectors, t->dim);
            for (size_t j = 0; j < K && j < n; j++)
                for (size_t k = 0; k < K; k++)
                    hits += t->truth[i * K + k] == out[j].slot;
        }
        rates[r] = (double)t->nq / (processor_seconds() - t0);
        *recall = (double)hits / (double)(t->nq * K);
    }
    vsearch_release(&v);
    qsort(rates, ROUNDS, sizeof *rates, by_double);
    return rates[ROUNDS / 2];
}

static struct vindex *build(const char *name, const float *v, size_t n, size_t dim, unsigned threads)
{
    struct vindex *x;
    struct pool *pool = pool_new(threads);
    double t0 = processor_seconds();
    if (vindex_new(vindex_row_find(name), METRIC_COSINE, dim, &x, NULL) != SOOTH_OK ||
        !vindex_reserve(x, n))
        exit(1);
    for (size_t i = 0; i < n; i++)
        vindex_add(x, (int64_t)i + 1, 0, v + i * dim);
    if (x->row->join(x, pool, NULL) != SOOTH_OK)
        exit(1);
    double seconds = processor_seconds() - t0;
    struct stat st;
    if (vindex_save(x, "bench.vix", NULL) != SOOTH_OK || stat("bench.vix", &st) != 0)
        exit(1);
    printf("sooth %s build %.2f s threads %u, %.0f bytes a vector in its file\n", name, seconds,
           threads, (double)st.st_size / (double)n);
    fflush(stdout);
    remove("bench.vix");
    pool_free(pool);
    return x;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return fprintf(stderr, "usage: bench_vectors VECTORS QUERIES TRUTH N DIM NQ THREADS\n"), 2;
    size_t n = strtoull(argv[4], NULL, 10), dim = strtoull(argv[5], NULL, 10),
           nq = strtoull(argv[6], NULL, 10);
    unsigned threads = (unsigned)atoi(argv[7]);
    struct task t = {.vectors = load(argv[1], n * dim * 4),
                     .queries = load(argv[2], nq * dim * 4),
                     .truth = load(argv[3], nq * K * 4),
                     .dim = dim,
                     .nq = nq};
    static const size_t efforts[] = {10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 200};
    double recall;
    for (size_t r = 0; vindex_row_at(r); r++) {
        const char *name = vindex_row_at(r)->name;
        bool flat = strcmp(name, "flat") == 0;
        struct vindex *x = build(name, t.vectors, n, dim, threads);
        t.x = x;
        t.nq = flat ? 200 : nq;
        for (size_t e = 0; e < (flat ? 1 : sizeof efforts / sizeof *efforts); e++) {
            t.effort = efforts[e];
            t.wide = flat || t.effort >= 16 ? 16 : t.effort;
            double rate = measure(&t, &recall);
            printf("sooth %s%s effort %zu recall %.4f rate %.0f\n", name, flat ? "" : "+f32", t.effort, recall, rate);
            fflush(stdout);
            if (recall >= 0.9985)
                break;
        }
        vindex_free(x);
    }
    return 0;
}
