/* benchrun.c: tokens a second, as llama.cpp's bench counts them: a prompt of random tokens in one
 * piece, then greedy steps from an almost empty cache. Medians over the repeats; one short warm-up
 * is not counted. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/tensor/tensor.h"
#include "model/arch/arch.h"
#include "model/infer/engine.h"
#include "model/infer/handle.h"

enum { BENCH_PIECE = 512, BENCH_REPEATS = 64, BENCH_FIRST = 16, BENCH_STREAMS = 1024 };

/* n rows from where slot 0 stands; only the last is wanted. */
static enum sooth_status bench_forward(const struct sooth_model *m, struct run *run,
                                       struct kv_cache *cache, const int32_t *ids, size_t n,
                                       struct sooth_error *err)
{
    uint32_t pos[BENCH_PIECE], seq[BENCH_PIECE] = {0};
    uint8_t want[BENCH_PIECE] = {0};
    for (size_t i = 0; i < n; i++)
        pos[i] = (uint32_t)(kv_cache_length(cache, 0) + i);
    want[n - 1] = 1;
    struct rows rows = {.n = n, .token = ids, .pos = pos, .seq = seq, .want = want};
    run_begin(run, &rows);
    arch_logits(m->arch, run, arch_hidden(m->arch, run));
    return run_end(run, err);
}

/* Seconds for `total` tokens in pieces of at most `piece`, from an empty cache. */
static enum sooth_status bench_time(const struct sooth_model *m, struct run *run,
                                    struct kv_cache *cache, const int32_t *ids, size_t total,
                                    size_t piece, double *seconds, struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    kv_cache_truncate(cache, 0, 0);
    double start = clock_seconds();
    for (size_t at = 0; status == SOOTH_OK && at < total; at += piece)
        status =
            bench_forward(m, run, cache, ids + at, total - at < piece ? total - at : piece, err);
    *seconds = clock_seconds() - start;
    return status;
}

static int bench_by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double bench_median(double *v, unsigned n)
{
    qsort(v, n, sizeof *v, bench_by_size);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static enum sooth_status bench_repeat(const struct sooth_model *m, struct run *run,
                                      struct kv_cache *cache, const int32_t *ids, size_t prompt,
                                      size_t generate, unsigned repeat, struct sooth_bench *out,
                                      struct sooth_error *err)
{
    double p[BENCH_REPEATS] = {0}, g[BENCH_REPEATS] = {0}, first, warm;
    enum sooth_status status = bench_time(m, run, cache, ids, BENCH_FIRST, BENCH_FIRST, &first, err); /* the model is cold */
    out->first_token_seconds = m->load_seconds + first;
    if (status == SOOTH_OK)
        status = bench_time(m, run, cache, ids, BENCH_FIRST, 8, &warm, err);
    for (unsigned i = 0; status == SOOTH_OK && i < repeat; i++) {
        status = bench_time(m, run, cache, ids, prompt, BENCH_PIECE, &p[i], err);
        if (status == SOOTH_OK)
            status = bench_time(m, run, cache, ids, generate, 1, &g[i], err);
    }
    if (status != SOOTH_OK)
        return status;
    double ps = bench_median(p, repeat), gs = bench_median(g, repeat);
    out->prompt_rate = prompt && ps > 0 ? (double)prompt / ps : 0;
    out->generate_rate = generate && gs > 0 ? (double)generate / gs : 0;
    out->prompt_tokens = prompt;
    out->generated = generate;
    return SOOTH_OK;
}

enum sooth_status sooth_bench_run(struct sooth_model *m, size_t prompt, size_t generate,
                                  unsigned repeat, struct sooth_bench *out, struct sooth_error *err)
{
    memset(out, 0, sizeof *out);
    size_t n = prompt > generate ? prompt : generate;
    repeat = repeat ? repeat : 1;
    if (!m->arch || !arch_info(m->arch)->decoder)
        return err_set(err, SOOTH_ERR_UNSUPPORTED, "bench needs a local model that generates text");
    if (!n || n > model_context_most(m) || repeat > BENCH_REPEATS)
        return err_set(err, SOOTH_ERR_ARG, "bench takes 1 to %zu tokens and 1 to %d repeats",
                       model_context_most(m), (int)BENCH_REPEATS);
    struct kv_cache *cache = NULL;
    struct run *run = NULL;
    int32_t *ids = mem_array(n + BENCH_FIRST, sizeof *ids);
    enum sooth_status status = ids ? arch_cache_new(m->arch, 1, n + BENCH_FIRST, m->cache_type, &cache, err)
                                   : err_nomem(err);
    if (status == SOOTH_OK) {
        struct run_options options = {.pool = m->pool, .cache = cache};
        struct rng rng;
        run = run_new(&options);
        rng_seed(&rng, 1);
        for (size_t i = 0; i < n + BENCH_FIRST; i++)
            ids[i] = (int32_t)rng_below(&rng, m->info.vocab);
        status = run ? bench_repeat(m, run, cache, ids, prompt, generate, repeat, out, err)
                     : err_nomem(err);
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    out->load_seconds = m->load_seconds;
    out->peak_bytes = (uint64_t)use.ru_maxrss * 1024;
    out->threads = pool_threads(m->pool);
    run_free(run);
    kv_cache_free(cache);
    mem_free(ids);
    return status;
}

/* ---- many at once ---- */

/* Seconds for `generate` tokens of each of e's streams, behind their prompts; random tokens, since the sampler is not measured. */
static enum sooth_status streams_round(struct engine *e, size_t streams, size_t prompt, size_t generate, struct rng *rng, double *seconds,
                                       struct sooth_error *err)
{
    enum sooth_status status = SOOTH_OK;
    double start = 0;
    for (size_t i = 0; i < streams; i++)
        engine_keep(e, i, 0);
    for (size_t step = 0; step <= generate && status == SOOTH_OK; step++) {
        size_t rows = step ? 1 : prompt, from = step ? prompt + step - 1 : 0;
        engine_clear(e);
        for (size_t i = 0; i < streams * rows; i++)
            if (!engine_row(e, i / rows, from + i % rows, (int32_t)rng_below(rng, e->vocab), i % rows + 1 == rows))
                return err_nomem(err);
        if (step == 1)
            start = clock_seconds();
        status = engine_run(e, err);
    }
    *seconds = clock_seconds() - start;
    return status;
}

enum sooth_status sooth_bench_streams(struct sooth_model *m, size_t streams, size_t prompt, size_t generate, unsigned repeat, double *rate,
                                      struct sooth_error *err)
{
    struct engine *e;
    struct rng rng;
    double seconds[BENCH_REPEATS];
    repeat = repeat ? repeat : 1;
    *rate = 0;
    if (!streams || streams > BENCH_STREAMS || !prompt || !generate || prompt + generate > model_context_most(m) || repeat > BENCH_REPEATS)
        return err_set(err, SOOTH_ERR_ARG, "bench takes 1 to %d streams of at most %zu tokens", (int)BENCH_STREAMS, model_context_most(m));
    enum sooth_status status = engine_new(m, streams, prompt + generate, &e, err);
    if (status != SOOTH_OK)
        return status;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < repeat && status == SOOTH_OK; i++)
        status = streams_round(e, streams, prompt, generate, &rng, &seconds[i], err);
    if (status == SOOTH_OK)
        *rate = (double)(streams * generate) / bench_median(seconds, repeat);
    engine_free(e);
    return status;
}
