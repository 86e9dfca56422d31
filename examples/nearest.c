/* nearest.c: embeddings in a program of your own: which of these sentences is nearest to the question?
 *
 *     ./nearest e5 "How do I cook rice?" "米饭的做法" "The stock market fell." "Rice needs twice its volume of water." */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sooth/model.h>

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

int main(int argc, char **argv)
{
    struct sooth_error err = { 0 };
    struct sooth_model *model = NULL;
    if (argc < 4) {
        fprintf(stderr, "usage: nearest MODEL QUESTION SENTENCE...\n");
        return 2;
    }
    if (sooth_model_open(argv[1], NULL, &model, &err) != SOOTH_OK) {
        fprintf(stderr, "nearest: %s\n", err.text);
        return 1;
    }
    size_t dim = sooth_embed_dim(model), n = (size_t)argc - 3, best = 0;
    const char *const *texts = (const char *const *)argv + 3, *question = argv[2];
    size_t question_len = strlen(question), *lens = calloc(n, sizeof *lens);
    float *q = calloc(dim, sizeof *q), *v = calloc(n * dim, sizeof *v);
    int status = 1;
    for (size_t i = 0; lens && i < n; i++)
        lens[i] = strlen(texts[i]);
    if (!lens || !q || !v)
        fprintf(stderr, "nearest: out of memory\n");
    else if (sooth_embed(model, SOOTH_EMBED_QUERY, &question, &question_len, 1, q, NULL, &err) != SOOTH_OK ||
             sooth_embed(model, SOOTH_EMBED_PASSAGE, texts, lens, n, v, NULL, &err) != SOOTH_OK)
        fprintf(stderr, "nearest: %s\n", err.text);
    else {
        for (size_t i = 0; i < n; i++) {
            printf("%.3f  %s\n", (double)dot(q, v + i * dim, dim), texts[i]);
            if (dot(q, v + i * dim, dim) > dot(q, v + best * dim, dim))
                best = i;
        }
        printf("nearest: %s\n", texts[best]);
        status = 0;
    }
    free(lens);
    free(q);
    free(v);
    sooth_model_close(model);
    return status;
}
