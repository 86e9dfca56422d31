/* cmd_perplexity.c: `sooth perplexity MODEL FILE`. */
#include "cli.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_perplexity;

struct perplexity_args {
    struct common_args common;
    int64_t context, chunks;
};

static const struct option_row perplexity_options[] = {
    OPT_INT(perplexity_args, context, "context", 0, "N", "tokens a window (default 512)", 8, 1e6),
    OPT_INT(perplexity_args, chunks, "chunks", 0, "N", "windows to score (default: all)", 1, 1e9),
};

static void on_chunk(void *user, size_t done, size_t total)
{
    progress_set(user, done, total);
}

static void result_print(const struct perplexity_args *a, const struct sooth_perplexity *r)
{
    if (!a->common.json) {
        printf("perplexity %.4f +- %.4f over %zu tokens in %zu windows\n", r->value, r->error, r->tokens, r->chunks);
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "perplexity"), jsonw_double(&w, r->value, 8);
    jsonw_key(&w, "error"), jsonw_double(&w, r->error, 6);
    jsonw_key(&w, "tokens"), jsonw_int(&w, (int64_t)r->tokens);
    jsonw_key(&w, "chunks"), jsonw_int(&w, (int64_t)r->chunks);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int perplexity_run(void *p)
{
    const struct perplexity_args *a = p;
    struct sooth_perplexity r = { 0 };
    struct sooth_error err = { 0 };
    struct buf text = BUF_INIT;
    struct progress progress;
    int status;
    if (a->common.rest.count != 2)
        return cli_usage(&verb_perplexity, "perplexity wants a model and a text file");
    if (file_read(a->common.rest.items[1], (size_t)1 << 30, &text, &err) != SOOTH_OK) {
        buf_release(&text);
        return cli_fail(&err);
    }
    struct sooth_model *model = cli_open_model(&a->common, a->common.rest.items[0], NULL, &status);
    if (model) {
        progress_begin(&progress, &a->common, "scoring");
        enum sooth_status s = sooth_perplexity(model, buf_str(&text), text.len, (size_t)a->context, (size_t)a->chunks, on_chunk, &progress, &r, &err);
        progress_end(&progress);
        if (s == SOOTH_OK)
            result_print(a, &r);
        else
            status = cli_fail(&err);
    }
    buf_release(&text);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_perplexity = {
    .name = "perplexity", .group = "measuring", .usage = "MODEL FILE", .summary = "how well a model predicts a text",
    .about = "Cuts the text into disjoint windows and scores the second half of each, given the first. Lower is better; compare only\n"
             "figures with the same window and the same tokenizer.",
    .examples = "  sooth perplexity smollm2 text.txt --context 512 --chunks 20\n",
    .options = perplexity_options, .n_options = sizeof perplexity_options / sizeof perplexity_options[0],
    .args_size = sizeof(struct perplexity_args), .run = perplexity_run,
};
