/* cmd_embed.c: `sooth embed`: vectors of lines. */
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "lines.h"

extern const struct verb_row verb_embed;

struct embed_args {
    struct common_args common;
    const char *model, *kind, *compute, *api_model;
};

static const struct option_row embed_options[] = {
    OPT_TEXT(embed_args, model, "embedder", 0, "MODEL", "embedding model (default e5)"),
    OPT_TEXT(embed_args, model, "model", 'm', "MODEL", "the same as --embedder"),
    OPT_TEXT(embed_args, kind, "kind", 0, "query|passage|raw", "which prefix the text gets (default passage)"),
    OPT_TEXT(embed_args, compute, "compute", 0, "auto|f32|bf16|int8", "how weights are multiplied (default auto)"),
    OPT_TEXT(embed_args, api_model, "api-model", 0, "NAME", "for a server: its name for the model"),
};

static void vector_line(const float *v, size_t dim, struct buf *line)
{
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_array(&w);
    for (size_t i = 0; i < dim; i++)
        jsonw_double(&w, v[i], 9);
    jsonw_end_array(&w);
    cli_json_line(line);
}

static enum sooth_embed_kind kind_of(const char *kind)
{
    if (kind && strcmp(kind, "query") == 0)
        return SOOTH_EMBED_QUERY;
    return kind && strcmp(kind, "raw") == 0 ? SOOTH_EMBED_RAW : SOOTH_EMBED_PASSAGE;
}

enum { EMBED_GROUP = 256 }; /* lines a call: enough to fill the cores, little enough to stream */

static int embed_lines(const struct embed_args *a, struct sooth_model *model, const char *const *texts, const size_t *lens, size_t n)
{
    size_t dim = sooth_embed_dim(model), cut = 0, all_cut = 0;
    struct sooth_error err = { 0 };
    struct buf line = BUF_INIT;
    int status = EXIT_DONE;
    float *vectors = mem_array(EMBED_GROUP, dim * sizeof *vectors);
    if (!vectors) {
        fprintf(stderr, "sooth: out of memory\n");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < n && status == EXIT_DONE && !cli_interrupted(); i += EMBED_GROUP) {
        size_t group = n - i < EMBED_GROUP ? n - i : EMBED_GROUP;
        if (sooth_embed(model, kind_of(a->kind), texts + i, lens + i, group, vectors, &cut, &err) != SOOTH_OK)
            status = cli_fail(&err);
        for (size_t j = 0; j < group && status == EXIT_DONE; j++)
            vector_line(vectors + j * dim, dim, &line);
        all_cut += cut;
    }
    if (all_cut)
        cli_say(&a->common, "warning: %zu text%s over the model's %zu tokens: cut", all_cut, all_cut == 1 ? " was" : "s were", sooth_embed_limit(model));
    mem_free(vectors);
    buf_release(&line);
    return status;
}

static int embed_run(void *p)
{
    const struct embed_args *a = p;
    struct sooth_model_options options = { .threads = (unsigned)a->common.threads, .compute = a->compute, .api_model = a->api_model };
    struct sooth_model *model = NULL;
    struct sooth_error err = { 0 };
    struct lines in = { .text = BUF_INIT };
    size_t n = a->common.rest.count;
    int status;
    if (sooth_model_open(a->model ? a->model : "e5", &options, &model, &err) != SOOTH_OK)
        return cli_fail(&err);
    cli_catch_interrupt();
    if (n) {
        size_t *lens = mem_array(n, sizeof *lens);
        for (size_t i = 0; lens && i < n; i++)
            lens[i] = strlen(a->common.rest.items[i]);
        status = lens ? embed_lines(a, model, a->common.rest.items, lens, n) : EXIT_FAILED;
        mem_free(lens);
    } else {
        status = lines_read(&in);
        if (status == EXIT_DONE)
            status = embed_lines(a, model, in.items, in.lens, in.count);
        lines_release(&in);
    }
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_embed = {
    .name = "embed", .group = "models", .usage = "[TEXT...]", .summary = "turn texts into vectors",
    .about = "Prints one JSON list of numbers a text; texts are the arguments, or the lines of standard input. Vectors have length\n"
             "1, so their dot product is their cosine.",
    .examples = "  sooth embed --kind query \"when does the lease end?\"\n  sooth embed --embedder minilm < sentences.txt > vectors.jsonl\n",
    .options = embed_options, .n_options = sizeof embed_options / sizeof embed_options[0],
    .args_size = sizeof(struct embed_args), .run = embed_run,
};
