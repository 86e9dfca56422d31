/* cmd_perplexity.c: `sooth perplexity MODEL FILE`. */
#include "cli.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_perplexity;

struct perplexity_args {
    struct common_args common;
    int64_t context, chunks;
    const char *source;
};

static const struct option_row perplexity_options[] = {
    OPT_INT(perplexity_args, context, "context", 0, "N", "tokens a window (default 512)", 8, 1e6),
    OPT_INT(perplexity_args, chunks, "chunks", 0, "N", "windows to score (default: all)", 1, 1e9),
    OPT_TEXT(perplexity_args, source, "kl", 0, "MODEL", "also measure the divergence from this model, which MODEL was made of"),
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

static void divergence_print(const struct perplexity_args *a, const struct sooth_divergence *d)
{
    if (!a->common.json) {
        printf("perplexity %.4f +- %.4f, of the source %.4f\n", d->perplexity, d->perplexity_error, d->source_perplexity);
        printf("divergence %.6f +- %.6f nats a token; half below %.6f, 99 %% below %.6f, at most %.4f\n", d->kl, d->error, d->median,
               d->most_99, d->largest);
        printf("same likeliest token %.2f %%; %zu tokens in %zu windows\n", 100 * d->same_top, d->tokens, d->chunks);
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "perplexity"), jsonw_double(&w, d->perplexity, 8);
    jsonw_key(&w, "error"), jsonw_double(&w, d->perplexity_error, 6);
    jsonw_key(&w, "source_perplexity"), jsonw_double(&w, d->source_perplexity, 8);
    jsonw_key(&w, "kl"), jsonw_double(&w, d->kl, 8);
    jsonw_key(&w, "kl_error"), jsonw_double(&w, d->error, 6);
    jsonw_key(&w, "kl_median"), jsonw_double(&w, d->median, 6);
    jsonw_key(&w, "kl_99"), jsonw_double(&w, d->most_99, 6);
    jsonw_key(&w, "kl_max"), jsonw_double(&w, d->largest, 6);
    jsonw_key(&w, "same_top"), jsonw_double(&w, d->same_top, 6);
    jsonw_key(&w, "tokens"), jsonw_int(&w, (int64_t)d->tokens);
    jsonw_key(&w, "chunks"), jsonw_int(&w, (int64_t)d->chunks);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static enum sooth_status perplexity_measure(const struct perplexity_args *a, struct sooth_model *model, struct sooth_model *source,
                                            const struct buf *text, struct sooth_error *err)
{
    struct sooth_perplexity r;
    struct sooth_divergence d;
    struct progress progress;
    const size_t context = (size_t)a->context, chunks = (size_t)a->chunks;
    progress_begin(&progress, &a->common, "scoring");
    enum sooth_status status =
        source ? sooth_divergence_measure(model, source, text->data, text->len, context, chunks, on_chunk, &progress, &d, err)
               : sooth_perplexity(model, text->data, text->len, context, chunks, on_chunk, &progress, &r, err);
    progress_end(&progress);
    if (status == SOOTH_OK && source)
        divergence_print(a, &d);
    else if (status == SOOTH_OK)
        result_print(a, &r);
    return status;
}

static int perplexity_run(void *p)
{
    const struct perplexity_args *a = p;
    struct sooth_error err = { 0 };
    struct buf text = BUF_INIT;
    struct sooth_model *model = NULL, *source = NULL;
    int status = EXIT_DONE;
    if (a->common.rest.count != 2)
        return cli_usage(&verb_perplexity, "perplexity wants a model and a text file");
    if (file_read(a->common.rest.items[1], (size_t)1 << 30, &text, &err) != SOOTH_OK) {
        buf_release(&text);
        return cli_fail(&err);
    }
    buf_str(&text);
    model = cli_open_model(&a->common, a->common.rest.items[0], NULL, &status);
    if (model && a->source)
        source = cli_open_model(&a->common, a->source, NULL, &status);
    if (model && (source || !a->source) && perplexity_measure(a, model, source, &text, &err) != SOOTH_OK)
        status = cli_fail(&err);
    buf_release(&text);
    sooth_model_close(source);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_perplexity = {
    .name = "perplexity", .group = "measuring", .usage = "MODEL FILE", .summary = "how well a model predicts a text",
    .about = "Cuts the text into disjoint windows and scores the second half of each, given the first. Lower is better; compare only\n"
             "figures with the same window and the same tokenizer. With --kl the guesses of the next token are compared with those of another\n"
             "model, token by token: 0 means the same distribution, and unlike perplexity it cannot improve by luck.",
    .examples = "  sooth perplexity smollm2 text.txt --context 512 --chunks 20\n  sooth perplexity small.gguf text.txt --kl large.gguf\n",
    .options = perplexity_options, .n_options = sizeof perplexity_options / sizeof perplexity_options[0],
    .args_size = sizeof(struct perplexity_args), .run = perplexity_run,
};
