/* bench_grammar.c: what a grammar costs a token: the mask over the vocabulary of a model, first met and met again.
 *
 * usage: bench_grammar MODEL [SCHEMA.json]
 * Texts are random walks: at each step a random token of those allowed. Needs the model's tokenizer only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/fsio.h"
#include "core/base/rng.h"
#include "model/file/file.h"
#include "model/grammar/grammar.h"

static const char schema_default[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":40}},\"kind\":{\"enum\":[\"person\",\"place\",\"thing\"]},"
    "\"more\":{}},\"required\":[\"name\",\"age\",\"kind\"]}";

enum { WALKS = 40, STEPS = 120, TIMES = WALKS * STEPS };

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* A random allowed token, strings favoured not to end at once: any will do. */
static int32_t choose(const uint64_t *mask, size_t vocab, struct rng *rng)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        size_t id = rng_below(rng, vocab);
        if (mask[id / 64] >> (id % 64) & 1)
            return (int32_t)id;
    }
    for (size_t id = 0; id < vocab; id++)
        if (mask[id / 64] >> (id % 64) & 1)
            return (int32_t)id;
    return -1;
}

int main(int argc, char **argv)
{
    struct sooth_error err = {0};
    struct tensor_file *f;
    struct tokenizer *t;
    struct token_trie *trie;
    struct sooth_grammar *g;
    struct matcher *m;
    struct buf schema = BUF_INIT;
    static double seconds[TIMES];
    size_t n = 0;
    struct rng rng;
    if (argc < 2 || tensor_file_open(argv[1], NULL, &f, &err) != SOOTH_OK || tokenizer_from_file(f, &t, &err) != SOOTH_OK ||
        (argc > 2 && file_read(argv[2], 1 << 20, &schema, &err) != SOOTH_OK)) {
        fprintf(stderr, "bench_grammar: %s\n", argc < 2 ? "MODEL [SCHEMA.json]" : err.text);
        return 1;
    }
    if (argc < 3)
        buf_puts(&schema, schema_default);
    size_t vocab = token_vocab_size(t);
    double t0 = clock_seconds();
    if (token_trie_new(t, vocab, &trie, &err) != SOOTH_OK)
        return 1;
    double t1 = clock_seconds();
    if (sooth_grammar_schema(schema.data, schema.len, &g, &err) != SOOTH_OK || matcher_new(g, trie, &m, &err) != SOOTH_OK) {
        fprintf(stderr, "bench_grammar: %s\n", err.text);
        return 1;
    }
    double t2 = clock_seconds(), all = 0, first = 0;
    size_t slow = 0, ended = 0;
    rng_seed(&rng, 1);
    for (size_t walk = 0; walk < WALKS; walk++) {
        matcher_reset(m);
        for (size_t step = 0; step < STEPS && !matcher_ended(m); step++) {
            double at = clock_seconds();
            const uint64_t *mask = matcher_mask(m, &err);
            seconds[n] = clock_seconds() - at;
            int32_t id = mask ? choose(mask, vocab, &rng) : -1;
            if (id < 0)
                return fprintf(stderr, "bench_grammar: %s\n", err.text), 1;
            all += seconds[n];
            first += walk == 0 ? seconds[n] : 0;
            slow += seconds[n] > 50e-6;
            n++;
            if (token_is_end(t, id)) {
                ended++;
                break;
            }
            if (matcher_add(m, id, &err) != SOOTH_OK)
                return 1;
        }
    }
    qsort(seconds, n, sizeof *seconds, by_size);
    printf("vocabulary %zu: trie %.0f ms (once a model), schema %.2f ms; %zu masks: median %.2f us, 90 %% %.2f us, 99 %% %.1f us, worst %.0f us, "
           "mean %.1f us; %.1f %% over 50 us; the first text %.2f ms in all\n",
           vocab, (t1 - t0) * 1e3, (t2 - t1) * 1e3, n, seconds[n / 2] * 1e6, seconds[n * 9 / 10] * 1e6, seconds[n * 99 / 100] * 1e6,
           seconds[n - 1] * 1e6, all / (double)n * 1e6, 100.0 * (double)slow / (double)n, first * 1e3);
    matcher_free(m);
    sooth_grammar_free(g);
    token_trie_free(trie);
    tokenizer_free(t);
    tensor_file_close(f);
    buf_release(&schema);
    return 0;
}
