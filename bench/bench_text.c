/* bench_text.c: text search over passages, one a line, for bench/text, which runs bm25s beside it.
 *
 * usage: bench_text PASSAGES QUESTIONS DIR   (writes DIR/terms: each passage's terms as numbers; DIR/top: each
 * question's terms, a tab, its ten best passages) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/base/alloc.h"
#include "know/index/segment.h"
#include "know/index/storedb.h"

enum { K = 10, ROUNDS = 5, EACH = 500 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct lines {
    struct buf text;
    VEC(size_t) start;
};

static size_t lines_load(struct lines *l, const char *path)
{
    if (file_read(path, (size_t)1 << 30, &l->text, NULL) != SOOTH_OK)
        exit(1);
    for (size_t i = 0; i < l->text.len;) {
        const char *end = memchr(l->text.data + i, '\n', l->text.len - i);
        vec_push(&l->start, i);
        i = end ? (size_t)(end - l->text.data) + 1 : l->text.len;
    }
    vec_push(&l->start, l->text.len + 1);
    return l->start.count - 1;
}

static size_t line_len(const struct lines *l, size_t i)
{
    return l->start.items[i + 1] - l->start.items[i] - 1;
}

static bool write_term(void *user, enum term_kind kind, const char *term, size_t len)
{
    (void)kind;
    fprintf(user, "%" PRIx64 " ", term_key(term, len));
    return true;
}

static void put(struct store *s, const struct lines *l, size_t from, size_t to)
{
    static struct store_chunk chunks[EACH];
    static const float one[4] = {1, 0, 0, 0};
    unsigned char packed[4 + 3 * 4];
    char name[32];
    size_t base = l->start.items[from];
    snprintf(name, sizeof name, "%zu", from);
    vector_pack(one, 4, packed);
    for (size_t i = from; i < to; i++) {
        struct store_chunk *c = &chunks[i - from];
        *c = (struct store_chunk){.start = l->start.items[i] - base,
                                  .end = l->start.items[i] - base + line_len(l, i),
                                  .heading = "",
                                  .context = l->text.data + l->start.items[i],
                                  .context_len = line_len(l, i),
                                  .vector = packed};
        store_hash(c->context, c->context_len, c->hash);
    }
    const struct store_document d = {.doc = name, .hash = name, .parse = "", .text = l->text.data + base,
                                     .text_len = l->start.items[to] - base - 1};
    if (store_put(s, &d, chunks, to - from, false, NULL, NULL) != SOOTH_OK)
        exit(1);
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median questions a second, one at a time. */
static double rate(struct store *s, const struct lines *q, size_t n, FILE *top)
{
    double rates[ROUNDS];
    struct scored out[K];
    const struct snapshot *v;
    for (int r = 0; r < ROUNDS; r++) {
        double t0 = processor_seconds();
        for (size_t i = 0; i < n; i++) {
            size_t found = 0;
            if (store_snapshot(s, false, &v, NULL) != SOOTH_OK ||
                text_search(s, v, bm25_find(NULL), q->text.data + q->start.items[i], line_len(q, i), NULL, K, out,
                            &found, NULL, NULL) != SOOTH_OK)
                exit(1);
            if (r || !top)
                continue;
            segment_text(q->text.data + q->start.items[i], line_len(q, i), write_term, top, NULL);
            fputc('\t', top);
            for (size_t j = 0; j < found; j++)
                fprintf(top, "%u:%.6f ", out[j].slot, out[j].score);
            fputc('\n', top);
        }
        rates[r] = (double)n / (processor_seconds() - t0);
    }
    qsort(rates, ROUNDS, sizeof *rates, by_double);
    return rates[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    struct lines passages = {0}, questions = {0};
    struct store *s;
    char path[4096];
    if (argc != 4)
        return fprintf(stderr, "usage: bench_text PASSAGES QUESTIONS DIR\n"), 2;
    size_t n = lines_load(&passages, argv[1]), nq = lines_load(&questions, argv[2]);
    const struct store_embedder e = {"bench", "0", "cosine", "", "", 4, 64, NULL};
    snprintf(path, sizeof path, "%s/kb", argv[3]);
    if (store_open(path, STORE_CREATE, &s, NULL) != SOOTH_OK || store_embedder_set(s, &e, false, NULL) != SOOTH_OK)
        return 1;
    double t0 = processor_seconds();
    for (size_t i = 0; i < n; i += EACH)
        put(s, &passages, i, i + EACH < n ? i + EACH : n);
    printf("sooth rows %.2f s", processor_seconds() - t0);
    t0 = processor_seconds();
    store_index_from(s, SIZE_MAX);
    double rows = rate(s, &questions, nq < 100 ? nq : 100, NULL);
    store_index_from(s, 1000);
    t0 = processor_seconds();
    if (store_index_refresh(s, 1, true, NULL) != SOOTH_OK)
        return 1;
    printf(", index files %.2f s\n", processor_seconds() - t0);
    printf("sooth rows rate %.0f\n", rows);
    snprintf(path, sizeof path, "%s/terms", argv[3]);
    FILE *terms = fopen(path, "w");
    for (size_t i = 0; i < n && terms; i++) {
        segment_text(passages.text.data + passages.start.items[i], line_len(&passages, i), write_term, terms, NULL);
        fputc('\n', terms);
    }
    snprintf(path, sizeof path, "%s/top", argv[3]);
    FILE *top = fopen(path, "w");
    if (!terms || !top)
        return 1;
    double file = rate(s, &questions, nq, top);
    fclose(terms);
    fclose(top);
    printf("sooth file rate %.0f\n", file);
    store_close(s);
    return 0;
}
