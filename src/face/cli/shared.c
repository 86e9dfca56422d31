/* shared.c: opening what most verbs open, and reading standard input. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define STDIN_MAX ((size_t)256 << 20)

int cli_read_stdin(struct buf *out)
{
    char block[65536];
    ssize_t n;
    buf_init(out, STDIN_MAX);
    while ((n = read(STDIN_FILENO, block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR && !cli_interrupted())
            continue;
        if (n < 0) {
            fprintf(stderr, "sooth: cannot read standard input: %s\n", strerror(errno));
            return EXIT_FAILED;
        }
        if (!buf_add(out, block, (size_t)n)) {
            fprintf(stderr, "sooth: standard input is longer than %zu MiB\n", STDIN_MAX >> 20);
            return EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}

const char *cli_kb_dir(const struct kb_args *kb)
{
    const char *env = getenv("SOOTH_KB");
    return kb->dir ? kb->dir : env && *env ? env : ".sooth";
}

struct sooth_kb *cli_open_kb(const struct common_args *c, const struct kb_args *kb, bool create, bool read_only, int *status)
{
    struct sooth_kb_options options = {
        .embedder = kb->embedder, .threads = (unsigned)c->threads, .create = create, .read_only = read_only
    };
    struct sooth_kb *out = NULL;
    struct sooth_error err = { 0 };
    *status = sooth_kb_open(cli_kb_dir(kb), &options, &out, &err) == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
    return out;
}

struct sooth_model *cli_open_model(const struct common_args *c, const char *name, const char *api_model, int *status)
{
    struct sooth_model_options options = { .threads = (unsigned)c->threads, .api_model = api_model };
    struct sooth_model *model = NULL;
    struct sooth_error err = { 0 };
    *status = sooth_model_open(name, &options, &model, &err) == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
    if (!model)
        return NULL;
    const struct sooth_model_info *info = sooth_model_info(model);
    for (size_t i = 0; i < info->n_warnings; i++)
        cli_say(c, "warning: %s", info->warnings[i]);
    return model;
}

/* The scale behind the last colon, where what follows it is a number and what stands before is not all of an existing path. */
static double adapter_scale(const char *text, char *path, size_t size)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    double scale = 1;
    snprintf(path, size, "%s", text);
    if (!colon || access(text, F_OK) == 0 || !colon[1])
        return scale;
    double given = strtod(colon + 1, &end);
    if (*end)
        return scale;
    if ((size_t)(colon - text) < size)
        path[colon - text] = 0;
    return given;
}

int cli_open_adapters(const struct text_list *paths, struct sooth_model *model, struct adapter_list *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < paths->count; i++) {
        char path[4096];
        struct sooth_error err = { 0 };
        double scale = adapter_scale(paths->items[i], path, sizeof path);
        if (out->count == sizeof out->items / sizeof *out->items) {
            fprintf(stderr, "sooth: at most %zu adapters at once\n", out->count);
            return EXIT_USAGE;
        }
        if (sooth_adapter_open(model, path, scale, &out->items[out->count], &err) != SOOTH_OK)
            return cli_fail(&err);
        out->count++;
    }
    return EXIT_DONE;
}

void cli_close_adapters(struct adapter_list *list)
{
    while (list->count)
        sooth_adapter_close(list->items[--list->count]);
}

void cli_sampling(const struct common_args *c, const struct sample_args *s, struct sooth_generate_options *out)
{
    sooth_generate_options_init(out);
    out->sampling.temperature = s->temperature;
    out->sampling.top_k = (int)s->top_k;
    out->sampling.top_p = s->top_p == 0 ? 1 : s->top_p;
    out->sampling.min_p = s->min_p;
    out->sampling.repeat_penalty = s->repeat_penalty == 0 ? 1 : s->repeat_penalty;
    out->sampling.seed = (uint64_t)c->seed;
    if (s->max_tokens)
        out->max_tokens = (size_t)s->max_tokens;
    out->stop = s->stop.items;
    out->n_stop = s->stop.count;
}

int cli_count(const char *text, size_t *k)
{
    char *end;
    if (!text || strcmp(text, "auto") == 0)
        return EXIT_DONE;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || v < 1 || v > 1000) {
        fprintf(stderr, "sooth: -k wants 'auto' or a number between 1 and 1000, not '%s'\n", text);
        return EXIT_USAGE;
    }
    *k = v;
    return EXIT_DONE;
}
