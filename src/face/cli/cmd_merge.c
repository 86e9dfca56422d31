/* cmd_merge.c: `sooth merge`: adapters into a model's weights, and what that costs. */
#include "cli.h"
#include "core/base/fsio.h"
#include "sooth/adapter.h"

extern const struct verb_row verb_merge;

struct merge_args {
    struct common_args common;
    const char *model, *out, *type, *text;
    struct text_list adapters;
    double max_kl;
    bool any_base;
};

static const struct option_row merge_options[] = {
    OPT_TEXT(merge_args, model, "model", 'm', "MODEL", "the base: a file, a directory or a short name"),
    OPT_LIST(merge_args, adapters, "adapter", 'a', "PATH[:SCALE]", "directory or GGUF file of an adapter (may be given again)"),
    OPT_TEXT(merge_args, out, "out", 'o', "FILE", "the GGUF file to write"),
    OPT_TEXT(merge_args, type, "type", 0, "TYPE", "number format of the matrices: f32, f16, q8_0, q4_k, ... (default same: each keeps its own)"),
    OPT_TEXT(merge_args, text, "text", 0, "FILE", "text to measure the cost on (default: a short one of our own)"),
    OPT_REAL(merge_args, max_kl, "max-kl", 0, "X", "keep no file if it differs by more than X nats a token", 0, 1e6),
    OPT_FLAG(merge_args, any_base, "any-base", 0, "also adapters that were trained on another model"),
};

static void on_tensor(void *user, size_t done, size_t total)
{
    progress_set(user, done, total);
}

static void result_json(const struct merge_args *a, const struct sooth_merge *r)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "file"), jsonw_string(&w, a->out);
    jsonw_key(&w, "type"), jsonw_string(&w, r->type);
    jsonw_key(&w, "bytes"), jsonw_int(&w, (int64_t)r->bytes);
    jsonw_key(&w, "changed"), jsonw_int(&w, (int64_t)r->changed);
    jsonw_key(&w, "untied"), jsonw_bool(&w, r->untied);
    jsonw_key(&w, "tokens"), jsonw_int(&w, (int64_t)r->tokens);
    jsonw_key(&w, "kl"), jsonw_double(&w, r->kl, 6);
    jsonw_key(&w, "kl_max"), jsonw_double(&w, r->kl_max, 6);
    jsonw_key(&w, "same_choice"), jsonw_double(&w, r->same_choice, 6);
    jsonw_key(&w, "perplexity");
    jsonw_object(&w);
    jsonw_key(&w, "base"), jsonw_double(&w, r->perplexity_base, 8);
    jsonw_key(&w, "adapter"), jsonw_double(&w, r->perplexity_adapter, 8);
    jsonw_key(&w, "merged"), jsonw_double(&w, r->perplexity_merged, 8);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static void result_print(const struct merge_args *a, const struct sooth_merge *r)
{
    if (a->common.json) {
        result_json(a, r);
        return;
    }
    printf("%zu tensors changed, %.1f MB%s\n", r->changed, (double)r->bytes / 1e6, r->untied ? "; the output matrix is now one of its own" : "");
    if (!r->tokens)
        return;
    printf("  %-22s perplexity %.4f\n", "base", r->perplexity_base);
    printf("  %-22s perplexity %.4f\n", "adapter on base", r->perplexity_adapter);
    printf("  merged, %-14s perplexity %.4f, KL to adapter on base %.6f (worst %.4f), same choice %.1f %%, %zu tokens\n", r->type, r->perplexity_merged, r->kl,
           r->kl_max, 100 * r->same_choice, r->tokens);
}

static int merge_run(void *p)
{
    const struct merge_args *a = p;
    struct sooth_merge r;
    struct sooth_error err = { 0 };
    struct buf text = BUF_INIT;
    struct progress progress;
    if (!a->model || !a->out || !a->adapters.count || a->common.rest.count)
        return cli_usage(&verb_merge, "merge wants --model, --adapter and --out");
    if (a->text && file_read(a->text, (size_t)64 << 20, &text, &err) != SOOTH_OK) {
        buf_release(&text);
        return cli_fail(&err);
    }
    progress_begin(&progress, &a->common, "merging");
    struct sooth_merge_options o = { .model = a->model, .adapters = a->adapters.items, .n_adapters = a->adapters.count, .type = a->type,
                                     .text = a->text ? buf_str(&text) : NULL, .text_len = text.len, .max_kl = a->max_kl, .any_base = a->any_base,
                                     .threads = (unsigned)a->common.threads, .on_tensor = on_tensor, .user = &progress };
    enum sooth_status status = sooth_merge(&o, a->out, &r, &err);
    progress_end(&progress);
    buf_release(&text);
    if (status)
        return cli_fail(&err);
    result_print(a, &r);
    return EXIT_DONE;
}

const struct verb_row verb_merge = {
    .name = "merge", .group = "models", .usage = "--model MODEL --adapter PATH --out FILE", .summary = "work adapters into a model's weights",
    .about = "LoRA, DoRA and full fine-tuning are changes of weights and can be merged; prompts, prefixes and bottlenecks are worn instead\n"
             "(`run --adapter`). Each changed matrix is made in full precision and rounded once. The file is read back and compared with the\n"
             "adapter worn by the same base: perplexities, and the divergence of predictions, which rounding into few bits can make large.",
    .examples = "  sooth merge --model smollm2 --adapter out --out merged.gguf --type f16\n"
                "  sooth merge --model gemma3 --adapter out:0.5 --out merged.gguf --max-kl 0.05\n",
    .options = merge_options, .n_options = sizeof merge_options / sizeof merge_options[0],
    .args_size = sizeof(struct merge_args), .run = merge_run,
};
