/* cmd_bench.c: `sooth bench MODEL`: tokens a second on this machine. */
#include "cli.h"

extern const struct verb_row verb_bench;

struct bench_args {
    struct common_args common;
    int64_t prompt, generate, repeat;
};

static const struct option_row bench_options[] = {
    OPT_INT(bench_args, prompt, "prompt", 'p', "N", "prompt tokens (default 512)", 1, 1e6),
    OPT_INT(bench_args, generate, "generate", 'g', "N", "tokens to generate (default 128)", 1, 1e6),
    OPT_INT(bench_args, repeat, "repeat", 'r', "N", "rounds; the median counts (default 3)", 1, 1000),
};

static void bench_print(const struct bench_args *a, const struct sooth_model_info *i, const struct sooth_bench *b)
{
    if (!a->common.json) {
        printf("%s, %s, %u thread%s: prompt %.1f tok/s (%zu), generation %.1f tok/s (%zu), load %.3f s, peak %.1f MB\n", i->path, i->weights,
               b->threads, b->threads == 1 ? "" : "s", b->prompt_rate, b->prompt_tokens, b->generate_rate, b->generated, b->load_seconds,
               (double)b->peak_bytes / 1e6);
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "model"), jsonw_string(&w, i->path);
    jsonw_key(&w, "weights"), jsonw_string(&w, i->weights);
    jsonw_key(&w, "threads"), jsonw_int(&w, b->threads);
    jsonw_key(&w, "prompt_tokens"), jsonw_int(&w, (int64_t)b->prompt_tokens);
    jsonw_key(&w, "prompt_rate"), jsonw_double(&w, b->prompt_rate, 6);
    jsonw_key(&w, "generated"), jsonw_int(&w, (int64_t)b->generated);
    jsonw_key(&w, "generate_rate"), jsonw_double(&w, b->generate_rate, 6);
    jsonw_key(&w, "load_seconds"), jsonw_double(&w, b->load_seconds, 4);
    jsonw_key(&w, "peak_bytes"), jsonw_int(&w, (int64_t)b->peak_bytes);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int bench_run(void *p)
{
    const struct bench_args *a = p;
    struct sooth_bench b = { 0 };
    struct sooth_error err = { 0 };
    int status;
    if (a->common.rest.count != 1)
        return cli_usage(&verb_bench, "bench wants one model");
    struct sooth_model *model = cli_open_model(&a->common, a->common.rest.items[0], NULL, &status);
    if (!model)
        return status;
    if (sooth_bench_run(model, a->prompt ? (size_t)a->prompt : 512, a->generate ? (size_t)a->generate : 128,
                        a->repeat ? (unsigned)a->repeat : 3, &b, &err) == SOOTH_OK)
        bench_print(a, sooth_model_info(model), &b);
    else
        status = cli_fail(&err);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_bench = {
    .name = "bench", .group = "measuring", .usage = "MODEL", .summary = "prompt and generation speed on this machine",
    .about = "Reads a prompt of random tokens, then generates; prints the medians of several rounds in tokens a second.",
    .examples = "  sooth bench smollm2 --threads 1\n",
    .options = bench_options, .n_options = sizeof bench_options / sizeof bench_options[0],
    .args_size = sizeof(struct bench_args), .run = bench_run,
};
