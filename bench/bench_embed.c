/* bench_embed.c: tokens a second of text embedding, through the public call, every arithmetic in turn in one run.
 *
 * usage: bench_embed MODEL LINES.txt [THREADS] [ROUNDS] [COMPUTE...]      one text a line; the median round counts
 * Cosines are to the first arithmetic named (default: f32 bf16 int8). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/fsio.h"
#include "sooth/model.h"

enum { TEXTS = 4096, ROUNDS = 9 };

static const char *texts[TEXTS];
static size_t lens[TEXTS], count, dim;

static void lines_of(char *text)
{
    for (char *line = strtok(text, "\n"); line && count < TEXTS; line = strtok(NULL, "\n")) {
        texts[count] = line;
        lens[count++] = strlen(line);
    }
}

static double tokens_of(struct sooth_model *m)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        struct sooth_tokens t = {0};
        if (sooth_tokenize(m, texts[i], lens[i], true, false, &t, NULL) == SOOTH_OK)
            n = t.count;
        sooth_tokens_release(&t);
        sum += (double)n;
    }
    return sum;
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double least_cosine(const float *a, const float *b)
{
    double least = 1;
    for (size_t i = 0; i < count; i++) {
        double dot = 0;
        for (size_t j = 0; j < dim; j++)
            dot += (double)a[i * dim + j] * (double)b[i * dim + j];
        least = dot < least ? dot : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    static const char *usual[] = { "f32", "bf16", "int8" };
    struct buf file = BUF_INIT;
    struct sooth_error err = { 0 };
    if (argc < 3 || file_read(argv[2], 1 << 28, &file, &err)) {
        fprintf(stderr, "usage: bench_embed MODEL LINES.txt [THREADS] [ROUNDS] [COMPUTE...]\n%s\n", err.text);
        return 2;
    }
    lines_of(file.data);
    const char **words = argc > 5 ? (const char **)argv + 5 : usual;
    const int n = argc > 5 ? argc - 5 : 3, rounds = argc > 4 && atoi(argv[4]) < ROUNDS ? atoi(argv[4]) : 3;
    float *first = NULL;
    for (int w = 0; w < n; w++) {
        struct sooth_model_options o = { .threads = argc > 3 ? (unsigned)atoi(argv[3]) : 2, .compute = words[w] };
        struct sooth_model *m;
        double times[ROUNDS];
        if (sooth_model_open(argv[1], &o, &m, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        dim = sooth_embed_dim(m);
        float *out = mem_array(count * dim, sizeof *out);
        for (int i = 0; i < rounds; i++) {
            const double t = clock_seconds();
            if (sooth_embed(m, SOOTH_EMBED_PASSAGE, texts, lens, count, out, NULL, &err))
                return fprintf(stderr, "%s\n", err.text), 1;
            times[i] = clock_seconds() - t;
        }
        qsort(times, (size_t)rounds, sizeof *times, by_time);
        printf("%s %s: %zu texts, %.0f tok/s (best %.0f); least cosine to %s %.6f\n", argv[1], words[w], count, tokens_of(m) / times[rounds / 2],
               tokens_of(m) / times[0], words[0], first ? least_cosine(first, out) : 1);
        sooth_model_close(m);
        if (first)
            mem_free(out);
        else
            first = out;
    }
    mem_free(first);
    buf_release(&file);
    return 0;
}
