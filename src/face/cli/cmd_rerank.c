/* cmd_rerank.c: `sooth rerank QUERY < passages`: order passages by late interaction, or by a cross-encoder. */
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "lines.h"

extern const struct verb_row verb_rerank;

struct rerank_args {
    struct common_args common;
    const char *model;
    int64_t k;
};

static const struct option_row rerank_options[] = {
    OPT_TEXT(rerank_args, model, "reranker", 0, "MODEL", "the model (default e5)"),
    OPT_INT(rerank_args, k, "count", 'k', "N", "print only the best N", 1, 1e9),
};

struct scored {
    float score;
    size_t index;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void scored_print(const struct rerank_args *a, const struct scored *s, const struct lines *in, struct buf *line)
{
    if (!a->common.json) {
        printf("%.4f  ", (double)s->score);
        cli_safe(stdout, in->items[s->index], in->lens[s->index]);
        putchar('\n');
        return;
    }
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "index"), jsonw_int(&w, (int64_t)s->index);
    jsonw_key(&w, "score"), jsonw_double(&w, (double)s->score, 7);
    jsonw_end_object(&w);
    cli_json_line(line);
}

static int rerank_lines(const struct rerank_args *a, struct sooth_model *model, const struct lines *in)
{
    const char *query = a->common.rest.items[0];
    struct sooth_error err = { 0 };
    struct buf line = BUF_INIT;
    float *scores = mem_array(in->count + 1, sizeof *scores);
    struct scored *order = mem_array(in->count + 1, sizeof *order);
    int status = EXIT_DONE;
    if (!scores || !order) {
        fprintf(stderr, "sooth: out of memory\n");
        status = EXIT_FAILED;
    } else if (sooth_rerank(model, query, strlen(query), in->items, in->lens, in->count, scores, &err) != SOOTH_OK) {
        status = cli_fail(&err);
    } else {
        size_t keep = a->k && (size_t)a->k < in->count ? (size_t)a->k : in->count;
        for (size_t i = 0; i < in->count; i++)
            order[i] = (struct scored){ scores[i], i };
        qsort(order, in->count, sizeof *order, by_score);
        for (size_t i = 0; i < keep; i++)
            scored_print(a, &order[i], in, &line);
    }
    mem_free(scores);
    mem_free(order);
    buf_release(&line);
    return status;
}

static int rerank_run(void *p)
{
    const struct rerank_args *a = p;
    struct lines in = { .text = BUF_INIT };
    int status;
    if (a->common.rest.count != 1)
        return cli_usage(&verb_rerank, "rerank wants one question, in quotes; passages are the lines of standard input");
    struct sooth_model *model = cli_open_model(&a->common, a->model ? a->model : "e5", NULL, &status);
    if (!model)
        return status;
    status = lines_read(&in);
    if (status == EXIT_DONE && in.count)
        status = rerank_lines(a, model, &in);
    lines_release(&in);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_rerank = {
    .name = "rerank", .group = "models", .usage = "QUESTION", .summary = "order passages by how well they answer",
    .about = "Reads passages, one a line, from standard input and prints them best first. The score is the mean, over the question's\n"
             "tokens, of the best cosine with any token of the passage.",
    .examples = "  sooth rerank \"how long is the warranty?\" < passages.txt\n",
    .options = rerank_options, .n_options = sizeof rerank_options / sizeof rerank_options[0],
    .args_size = sizeof(struct rerank_args), .run = rerank_run,
};
