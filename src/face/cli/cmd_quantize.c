/* cmd_quantize.c: `sooth quantize IN OUT --type T | --bytes N`. */
#include <stdlib.h>
#include "cli.h"
#include "core/base/fsio.h"
#include "sooth/quantize.h"

extern const struct verb_row verb_quantize;

struct quantize_args {
    struct common_args common;
    const char *type, *bytes, *method, *calibrate, *measure, *importance, *save_importance;
    int64_t context, chunks;
    bool no_measure;
};

static const struct option_row quantize_options[] = {
    OPT_TEXT(quantize_args, type, "type", 't', "TYPE", "a number format (q4_k), or a mixture of them (q4_k_m)"),
    OPT_TEXT(quantize_args, bytes, "bytes", 0, "N", "instead of a type: at most N bytes (K, M, G for powers of 1000), a format for each matrix by measuring"),
    OPT_TEXT(quantize_args, method, "method", 0, "nearest", "how codes are chosen: each block on its own, by importance with a text"),
    OPT_TEXT(quantize_args, calibrate, "calibrate", 0, "FILE", "a text like those the model will see: tells which columns matter"),
    OPT_TEXT(quantize_args, measure, "measure", 0, "FILE", "the text the result is measured on (default: the calibration text)"),
    OPT_TEXT(quantize_args, importance, "importance", 0, "FILE", "an importance matrix (GGUF) instead of one made from the text"),
    OPT_TEXT(quantize_args, save_importance, "save-importance", 0, "FILE", "keep the importance matrix"),
    OPT_INT(quantize_args, context, "context", 0, "N", "tokens a window (default 512)", 64, 1e6),
    OPT_INT(quantize_args, chunks, "chunks", 0, "N", "windows to calibrate and to measure on, at most (default 16)", 1, 1e6),
    OPT_FLAG(quantize_args, no_measure, "no-measure", 0, "do not compare the result with the source"),
};

struct noting {
    const struct common_args *common;
    struct progress bar;
    const char *what;
};

static void on_note(void *user, const char *what, size_t done, size_t total)
{
    struct noting *n = user;
    if (n->what != what) {
        if (n->what)
            progress_end(&n->bar);
        progress_begin(&n->bar, n->common, what);
        n->what = what;
    }
    progress_set(&n->bar, done, total);
}

/* "80M" -> 80000000; 0: not such a number. */
static uint64_t parse_bytes(const char *s)
{
    char *end;
    const double v = strtod(s, &end);
    const double unit = *end == 'K' || *end == 'k' ? 1e3 : *end == 'M' || *end == 'm' ? 1e6 : *end == 'G' || *end == 'g' ? 1e9 : 1;
    if (end == s || !(v > 0) || v * unit > 1e18 || (*end && unit == 1) || (unit > 1 && end[1]))
        return 0;
    return (uint64_t)(v * unit);
}

static void result_json(const struct sooth_quantize_result *r)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "source_bytes"), jsonw_int(&w, (int64_t)r->source_bytes);
    jsonw_key(&w, "bytes"), jsonw_int(&w, (int64_t)r->bytes);
    jsonw_key(&w, "types"), jsonw_object(&w);
    for (size_t i = 0; i < r->n_types; i++)
        jsonw_key(&w, r->types[i].type), jsonw_int(&w, (int64_t)r->types[i].tensors);
    jsonw_end_object(&w);
    if (r->measured) {
        jsonw_key(&w, "kl"), jsonw_double(&w, r->divergence.kl, 8);
        jsonw_key(&w, "kl_99"), jsonw_double(&w, r->divergence.most_99, 6);
        jsonw_key(&w, "same_top"), jsonw_double(&w, r->divergence.same_top, 6);
        jsonw_key(&w, "perplexity"), jsonw_double(&w, r->divergence.perplexity, 8);
        jsonw_key(&w, "source_perplexity"), jsonw_double(&w, r->divergence.source_perplexity, 8);
        jsonw_key(&w, "tokens"), jsonw_int(&w, (int64_t)r->divergence.tokens);
    }
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static void result_print(const struct quantize_args *a, const struct sooth_quantize_result *r)
{
    const struct sooth_divergence *d = &r->divergence;
    if (a->common.json) {
        result_json(r);
        return;
    }
    printf("%.1f MB of %.1f MB (%.1f %%):", (double)r->bytes / 1e6, (double)r->source_bytes / 1e6, 100.0 * (double)r->bytes / (double)r->source_bytes);
    for (size_t i = 0; i < r->n_types; i++)
        printf(" %zu %s%s", r->types[i].tensors, r->types[i].type, i + 1 < r->n_types ? "," : "\n");
    if (r->measured)
        printf("divergence from the source %.6f nats a token (99 %% below %.4f), same likeliest token %.2f %%\n"
               "perplexity %.4f, of the source %.4f; over %zu tokens\n",
               d->kl, d->most_99, 100 * d->same_top, d->perplexity, d->source_perplexity, d->tokens);
}

static enum sooth_status read_text(const char *path, struct buf *out, const char **text, size_t *len, struct sooth_error *err)
{
    if (!path)
        return SOOTH_OK;
    enum sooth_status status = file_read(path, (size_t)1 << 26, out, err);
    *text = buf_str(out);
    *len = out->len;
    return status;
}

static int quantize_run(void *p)
{
    const struct quantize_args *a = p;
    struct sooth_error err = { 0 };
    struct sooth_quantize_result result;
    struct buf calibrate = BUF_INIT, measure = BUF_INIT;
    struct noting noting = { .common = &a->common };
    struct sooth_quantize_options o = { .type = a->type, .bytes = a->bytes ? parse_bytes(a->bytes) : 0, .method = a->method,
        .importance = a->importance, .save_importance = a->save_importance, .context = (size_t)a->context, .chunks = (size_t)a->chunks,
        .no_measure = a->no_measure, .threads = (unsigned)a->common.threads, .note = on_note, .user = &noting };
    if (a->common.rest.count != 2)
        return cli_usage(&verb_quantize, "quantize wants a model and where to write it");
    if (a->bytes && !o.bytes)
        return cli_usage(&verb_quantize, "'%s' is not a number of bytes", a->bytes);
    enum sooth_status status = read_text(a->calibrate, &calibrate, &o.text, &o.text_len, &err);
    if (status == SOOTH_OK)
        status = read_text(a->measure, &measure, &o.measure, &o.measure_len, &err);
    if (status == SOOTH_OK)
        status = sooth_quantize(a->common.rest.items[0], a->common.rest.items[1], &o, &result, &err);
    if (noting.what)
        progress_end(&noting.bar);
    if (status == SOOTH_OK)
        result_print(a, &result);
    buf_release(&calibrate);
    buf_release(&measure);
    return status == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
}

const struct verb_row verb_quantize = {
    .name = "quantize", .group = "models", .usage = "IN OUT", .summary = "make a model smaller, and say what it cost",
    .about = "Writes a GGUF file in another number format. With --calibrate errors are weighed by what each column of a matrix sees;\n"
             "with --bytes every matrix gets the format that loses least within the budget, which takes minutes of measuring. The result\n"
             "is read back, and compared with its source on a text: divergence of the next token's distribution, and perplexity.",
    .examples = "  sooth quantize large.gguf small.gguf --type q4_k_m --calibrate text.txt\n"
                "  sooth quantize large.gguf small.gguf --bytes 80M --calibrate text.txt --json\n",
    .options = quantize_options, .n_options = sizeof quantize_options / sizeof quantize_options[0],
    .args_size = sizeof(struct quantize_args), .run = quantize_run,
};
