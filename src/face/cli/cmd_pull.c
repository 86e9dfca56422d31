/* cmd_pull.c: `sooth pull NAME`: fetch a model, going on where it was broken off. */
#include "cli.h"

extern const struct verb_row verb_pull;

struct pull_args {
    struct common_args common;
    const char *out, *sha256, *endpoint;
};

static const struct option_row pull_options[] = {
    OPT_TEXT(pull_args, out, "out", 'o', "PATH", "save as this file, or in this folder (ends in '/')"),
    OPT_TEXT(pull_args, sha256, "sha256", 0, "HEX", "refuse a file that has another SHA-256"),
    OPT_TEXT(pull_args, endpoint, "endpoint", 0, "URL", "where hf: names lead (default $HF_ENDPOINT, else https://huggingface.co)"),
};

static bool pull_progress(void *user, const char *file, uint64_t done, uint64_t total)
{
    progress_set(user, (size_t)done, (size_t)total);
    return !cli_interrupted();
}

static void pull_print(const struct pull_args *a, const struct sooth_pull_result *r)
{
    if (!a->common.json) {
        printf("%s\n", r->path);
        cli_say(&a->common, "%zu file%s, %.1f MB%s; SHA-256 %s", r->files, r->files == 1 ? "" : "s", (double)r->bytes / 1e6,
                r->resumed ? ", gone on from a part" : "", r->checked ? "checked" : "not told by the server: not checked");
        return;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "file"), jsonw_string(&w, r->path);
    jsonw_key(&w, "files"), jsonw_int(&w, (int64_t)r->files);
    jsonw_key(&w, "bytes"), jsonw_int(&w, (int64_t)r->bytes);
    jsonw_key(&w, "sha256"), jsonw_string(&w, r->sha256[0] ? r->sha256 : NULL);
    jsonw_key(&w, "checked"), jsonw_bool(&w, r->checked);
    jsonw_key(&w, "resumed"), jsonw_bool(&w, r->resumed);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int pull_run(void *p)
{
    const struct pull_args *a = p;
    struct progress progress;
    struct sooth_pull_options options = { .out = a->out, .sha256 = a->sha256, .endpoint = a->endpoint, .on_bytes = pull_progress, .user = &progress };
    struct sooth_pull_result result;
    struct sooth_error err = { 0 };
    if (a->common.rest.count != 1)
        return cli_usage(&verb_pull, "pull wants one name: NAME, hf:owner/repo/file, hf:owner/repo or a URL");
    cli_catch_interrupt();
    progress_begin(&progress, &a->common, "fetching");
    enum sooth_status s = sooth_pull(a->common.rest.items[0], &options, &result, &err);
    progress_end(&progress);
    if (s != SOOTH_OK)
        return cli_fail(&err);
    pull_print(a, &result);
    return EXIT_DONE;
}

const struct verb_row verb_pull = {
    .name = "pull", .group = "models", .usage = "NAME|hf:OWNER/REPO[/FILE]|URL", .summary = "fetch a model",
    .about = "Fetches a file, or all files of a model directory, into the models folder. A pull that was broken off goes on where it\n"
             "ended; a file gets its name only when it is whole and, where a SHA-256 is known or told by the server, has it. Redirects are\n"
             "followed up to five times, never from https to http. A key in HF_TOKEN goes to the endpoint alone.",
    .examples = "  sooth pull smollm2\n  sooth pull hf:sentence-transformers/all-MiniLM-L6-v2\n  sooth pull https://example.org/model.gguf --out models/\n",
    .options = pull_options, .n_options = sizeof pull_options / sizeof pull_options[0],
    .args_size = sizeof(struct pull_args), .run = pull_run,
};
