/* cmd_bench.c: `sooth bench MODEL`: tokens a second on this machine. */
#include "cli.h"

extern const struct verb_row verb_bench;

struct bench_args {
    struct common_args common;
    int64_t prompt, generate, repeat, streams;
    bool kernels;
};

static const struct option_row bench_options[] = {
    OPT_INT(bench_args, prompt, "prompt", 'p', "N", "prompt tokens (default 512)", 1, 1e6),
    OPT_INT(bench_args, generate, "generate", 'g', "N", "tokens to generate (default 128)", 1, 1e6),
    OPT_INT(bench_args, repeat, "repeat", 'r', "N", "rounds; the median counts (default 3)", 1, 1000),
    OPT_INT(bench_args, streams, "streams", 's', "N", "also N texts at once, each behind 64 tokens", 1, 1024),
    OPT_FLAG(bench_args, kernels, "kernels", 0, "the kernels alone, without a model: checked against plain C, as shares of the machine's peaks"),
};

/* --- a model -- */

static void bench_print(const struct bench_args *a, const struct sooth_model_info *i, const struct sooth_bench *b, double streams)
{
    char many[64] = "";
    if (a->streams)
        snprintf(many, sizeof many, ", %d streams %.1f tok/s", (int)a->streams, streams);
    if (!a->common.json) {
        printf("%s, %s, %u thread%s: prompt %.1f tok/s (%zu), generation %.1f tok/s (%zu)%s, load %.3f s, first token %.3f s, peak %.1f MB\n", i->path,
               i->weights, b->threads, b->threads == 1 ? "" : "s", b->prompt_rate, b->prompt_tokens, b->generate_rate, b->generated, many,
               b->load_seconds, b->first_token_seconds, (double)b->peak_bytes / 1e6);
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
    if (a->streams) {
        jsonw_key(&w, "streams"), jsonw_int(&w, a->streams);
        jsonw_key(&w, "streams_rate"), jsonw_double(&w, streams, 6);
    }
    jsonw_key(&w, "load_seconds"), jsonw_double(&w, b->load_seconds, 4);
    jsonw_key(&w, "first_token_seconds"), jsonw_double(&w, b->first_token_seconds, 4);
    jsonw_key(&w, "peak_bytes"), jsonw_int(&w, (int64_t)b->peak_bytes);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int bench_model(const struct bench_args *a)
{
    struct sooth_bench b = { 0 };
    struct sooth_error err = { 0 };
    size_t generate = a->generate ? (size_t)a->generate : 128;
    unsigned repeat = a->repeat ? (unsigned)a->repeat : 3;
    double streams = 0;
    int status;
    struct sooth_model *model = cli_open_model(&a->common, a->common.rest.items[0], NULL, &status);
    if (!model)
        return status;
    enum sooth_status s = sooth_bench_run(model, a->prompt ? (size_t)a->prompt : 512, generate, repeat, &b, &err);
    if (s == SOOTH_OK && a->streams)
        s = sooth_bench_streams(model, (size_t)a->streams, 64, generate, repeat, &streams, &err);
    if (s == SOOTH_OK)
        bench_print(a, sooth_model_info(model), &b, streams);
    else
        status = cli_fail(&err);
    sooth_model_close(model);
    return status;
}

/* --- kernels -- */

struct kernels {
    const struct bench_args *args;
    const struct sooth_peaks *peaks;
    size_t rows, wrong;
};

static void kernels_head(const struct kernels *k)
{
    const struct sooth_peaks *p = k->peaks;
    printf("one core: f32 %.0f, bf16 %.0f, bf16 tiles %.0f GFLOP/s, int8 %.0f GOP/s, memory read %.1f GB/s\n", p->f32 / 1e9, p->bf16 / 1e9, p->tile / 1e9,
           p->i8 / 1e9, p->read / 1e9);
    printf("%-8s %-8s %22s %26s\n", "format", "level", "one row: GB/s, share", "128 rows: GOP/s, share");
}

static void kernels_row(void *user, const struct sooth_kernel_bench *r)
{
    struct kernels *k = user;
    k->wrong += !r->same_bits;
    if (!k->args->common.json) {
        if (!k->rows++)
            kernels_head(k);
        if (r->same_bits)
            printf("%-8s %-8s %14.1f %6.0f %% %17.0f %6.0f %%\n", r->format, r->level, r->one_row_bytes / 1e9, 100 * r->one_row_share, r->many_rows_ops / 1e9,
                   100 * r->many_rows_share);
        else
            printf("%-8s %-8s differs from plain C\n", r->format, r->level);
        fflush(stdout);
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "format"), jsonw_string(&w, r->format);
    jsonw_key(&w, "level"), jsonw_string(&w, r->level);
    jsonw_key(&w, "same_bits"), jsonw_bool(&w, r->same_bits);
    jsonw_key(&w, "one_row_bytes"), jsonw_double(&w, r->one_row_bytes, 5);
    jsonw_key(&w, "one_row_share"), jsonw_double(&w, r->one_row_share, 4);
    jsonw_key(&w, "many_rows_ops"), jsonw_double(&w, r->many_rows_ops, 5);
    jsonw_key(&w, "many_rows_share"), jsonw_double(&w, r->many_rows_share, 4);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int bench_kernels(const struct bench_args *a)
{
    struct sooth_peaks peaks;
    struct kernels k = { .args = a, .peaks = &peaks };
    struct sooth_error err = { 0 };
    if (sooth_bench_kernels(kernels_row, &k, &peaks, &err) != SOOTH_OK)
        return cli_fail(&err);
    return k.wrong ? EXIT_FAILED : EXIT_DONE;
}

static int bench_run(void *p)
{
    const struct bench_args *a = p;
    if (a->kernels)
        return a->common.rest.count == 0 ? bench_kernels(a) : cli_usage(&verb_bench, "bench --kernels wants no model");
    return a->common.rest.count == 1 ? bench_model(a) : cli_usage(&verb_bench, "bench wants one model");
}

const struct verb_row verb_bench = {
    .name = "bench", .group = "measuring", .usage = "MODEL | --kernels", .summary = "prompt and generation speed on this machine",
    .about = "Reads a prompt of random tokens, then generates; prints the medians of several rounds in tokens a second, the time from the\n"
             "name to the loaded model and to its first token, and the most memory that was held. With --kernels every number format is\n"
             "multiplied by every kernel this machine can run: first compared with plain C, then timed on one core.",
    .examples = "  sooth bench smollm2 --threads 1\n  sooth bench smollm2 --streams 8 --json\n  sooth bench --kernels\n",
    .options = bench_options, .n_options = sizeof bench_options / sizeof bench_options[0],
    .args_size = sizeof(struct bench_args), .run = bench_run,
};
