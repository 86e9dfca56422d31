/* cmd_info.c: `sooth info FILE`: what a file is, and which verb wants it. */
#include <string.h>
#include "cli.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_info;

struct info_args {
    struct common_args common;
    bool tensors, metadata;
};

static const struct option_row info_options[] = {
    OPT_FLAG(info_args, tensors, "tensors", 0, "also list every tensor"),
    OPT_FLAG(info_args, metadata, "metadata", 0, "also list every metadata key"),
};

static void number(struct json_writer *w, const char *key, uint64_t v)
{
    jsonw_key(w, key);
    jsonw_int(w, (int64_t)v);
}

static bool tensor_json(void *user, const struct sooth_tensor_info *t)
{
    struct json_writer *w = user;
    jsonw_object(w);
    jsonw_key(w, "name"), jsonw_string(w, t->name);
    jsonw_key(w, "type"), jsonw_string(w, t->type);
    jsonw_key(w, "shape");
    jsonw_array(w);
    for (unsigned i = 0; i < t->n_dims; i++)
        jsonw_int(w, (int64_t)t->dims[i]);
    jsonw_end_array(w);
    number(w, "bytes", t->bytes);
    jsonw_end_object(w);
    return true;
}

static bool tensor_print(void *user, const struct sooth_tensor_info *t)
{
    printf("  %-44s %-6s [", t->name, t->type);
    for (unsigned i = 0; i < t->n_dims; i++)
        printf("%s%llu", i ? ", " : "", (unsigned long long)t->dims[i]);
    printf("] %llu bytes\n", (unsigned long long)t->bytes);
    return true;
}

static bool meta_json(void *user, const char *key, const char *value)
{
    jsonw_key(user, key);
    jsonw_string(user, value);
    return true;
}

static bool meta_print(void *user, const char *key, const char *value)
{
    printf("  %-44s ", key);
    cli_safe(stdout, value, strlen(value));
    putchar('\n');
    return true;
}

static const char *wanted_by(const struct sooth_model_info *i)
{
    return i->kind == SOOTH_MODEL_ENCODER ? "embed, add, search" : i->kind == SOOTH_MODEL_DECODER ? "run, ask, chat" : "run, ask, embed";
}

static void model_json(const struct info_args *a, const struct sooth_model_info *i, const char *path, struct buf *line)
{
    struct json_writer w;
    struct sooth_error err;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "kind"), jsonw_string(&w, "model");
    jsonw_key(&w, "path"), jsonw_string(&w, i->path);
    jsonw_key(&w, "format"), jsonw_string(&w, i->format);
    jsonw_key(&w, "arch"), jsonw_string(&w, i->arch);
    jsonw_key(&w, "name"), jsonw_string(&w, i->name);
    jsonw_key(&w, "weights"), jsonw_string(&w, i->weights);
    jsonw_key(&w, "tokenizer"), jsonw_string(&w, i->tokenizer);
    jsonw_key(&w, "pretokenizer"), jsonw_string(&w, i->pretokenizer);
    jsonw_key(&w, "pooling"), jsonw_string(&w, i->pooling);
    if (i->n_classes) {
        jsonw_key(&w, "classes");
        jsonw_array(&w);
        for (size_t k = 0; k < i->n_classes; k++)
            jsonw_string(&w, i->classes[k]);
        jsonw_end_array(&w);
    }
    number(&w, "parameters", i->parameters);
    number(&w, "file_bytes", i->file_bytes);
    number(&w, "memory_bytes", i->memory_bytes);
    number(&w, "layers", i->layers);
    number(&w, "dim", i->dim);
    number(&w, "heads", i->heads);
    number(&w, "kv_heads", i->kv_heads);
    number(&w, "head_dim", i->head_dim);
    number(&w, "ff", i->ff);
    number(&w, "vocab", i->vocab);
    number(&w, "context", i->context);
    jsonw_key(&w, "template"), jsonw_bool(&w, i->has_template);
    jsonw_key(&w, "wanted_by"), jsonw_string(&w, wanted_by(i));
    jsonw_key(&w, "warnings");
    jsonw_array(&w);
    for (size_t n = 0; n < i->n_warnings; n++)
        jsonw_string(&w, i->warnings[n]);
    jsonw_end_array(&w);
    if (a->metadata) {
        jsonw_key(&w, "metadata");
        jsonw_object(&w);
        sooth_file_meta(path, meta_json, &w, &err);
        jsonw_end_object(&w);
    }
    if (a->tensors) {
        jsonw_key(&w, "tensors");
        jsonw_array(&w);
        sooth_file_tensors(path, tensor_json, &w, &err);
        jsonw_end_array(&w);
    }
    jsonw_end_object(&w);
    cli_json_line(line);
}

static void model_print(const struct info_args *a, const struct sooth_model_info *i, const char *path)
{
    struct sooth_error err;
    printf("%s: a language model for: %s\n", i->path, wanted_by(i));
    printf("  %-12s %s, %s\n", "file", i->format, i->weights ? i->weights : "");
    printf("  %-12s %s%s%s\n", "architecture", i->arch ? i->arch : "", i->name && *i->name ? ", " : "", i->name ? i->name : "");
    printf("  %-12s %.1f M parameters, %.1f MB in the file, %.1f MB in memory\n", "size", (double)i->parameters / 1e6,
           (double)i->file_bytes / 1e6, (double)i->memory_bytes / 1e6);
    printf("  %-12s %zu layers, width %zu, %zu heads (%zu key/value) of %zu, feed-forward %zu\n", "shape", i->layers, i->dim, i->heads,
           i->kv_heads, i->head_dim, i->ff);
    printf("  %-12s %zu tokens; vocabulary %zu, %s%s%s\n", "context", i->context, i->vocab, i->tokenizer ? i->tokenizer : "",
           i->pretokenizer && *i->pretokenizer ? " / " : "", i->pretokenizer ? i->pretokenizer : "");
    if (i->pooling && *i->pooling)
        printf("  %-12s %s\n", "pooling", i->pooling);
    if (i->n_classes)
        printf("  %-12s %zu%s\n", "classes", i->n_classes, i->n_classes == 1 ? ", a cross-encoder" : "");
    if (i->kind == SOOTH_MODEL_DECODER)
        printf("  %-12s %s\n", "template", i->has_template ? "its own" : "none: a plain one is used");
    for (size_t n = 0; n < i->n_warnings; n++)
        printf("  %-12s %s\n", "warning", i->warnings[n]);
    if (a->metadata)
        sooth_file_meta(path, meta_print, NULL, &err);
    if (a->tensors)
        sooth_file_tensors(path, tensor_print, NULL, &err);
}

static int info_kb(const struct info_args *a, const char *dir)
{
    struct sooth_error err = { 0 };
    struct sooth_kb_info i = { 0 };
    struct sooth_kb_options options = { .read_only = true };
    struct sooth_kb *kb = NULL;
    if (sooth_kb_open(dir, &options, &kb, &err) != SOOTH_OK || sooth_kb_info(kb, &i, &err) != SOOTH_OK) {
        sooth_kb_close(kb);
        return cli_fail(&err);
    }
    if (a->common.json) {
        struct buf line = BUF_INIT;
        struct json_writer w;
        jsonw_init(&w, &line);
        jsonw_object(&w);
        jsonw_key(&w, "kind"), jsonw_string(&w, "knowledge base");
        jsonw_key(&w, "path"), jsonw_string(&w, i.path);
        jsonw_key(&w, "embedder"), jsonw_string(&w, i.embedder);
        jsonw_key(&w, "fingerprint"), jsonw_string(&w, i.fingerprint);
        jsonw_key(&w, "metric"), jsonw_string(&w, i.metric);
        number(&w, "dim", i.dim), number(&w, "docs", i.docs), number(&w, "chunks", i.chunks);
        number(&w, "chunk_tokens", i.chunk_tokens), number(&w, "bytes", i.bytes), number(&w, "schema", (uint64_t)i.schema);
        jsonw_end_object(&w);
        cli_json_line(&line);
        buf_release(&line);
    } else {
        printf("%s: a knowledge base for: add, ask, chat, search, docs\n  %zu documents, %zu chunks of at most %zu tokens, %.1f MB\n"
               "  embedder %s, %zu dimensions, %s\n", i.path, i.docs, i.chunks, i.chunk_tokens, (double)i.bytes / 1e6, i.embedder, i.dim, i.metric);
    }
    sooth_kb_close(kb);
    return EXIT_DONE;
}

static bool is_kb(const char *path)
{
    struct buf file = BUF_INIT;
    buf_printf(&file, "%s/kb.sqlite", path);
    bool found = file_is_dir(path) && file_exists(buf_str(&file));
    buf_release(&file);
    return found;
}

static int info_run(void *p)
{
    const struct info_args *a = p;
    int status;
    char path[4096];
    struct sooth_error err = { 0 };
    if (a->common.rest.count != 1)
        return cli_usage(&verb_info, "info wants one file");
    if (is_kb(a->common.rest.items[0]))
        return info_kb(a, a->common.rest.items[0]);
    if (sooth_model_find(a->common.rest.items[0], path, sizeof path, &err) != SOOTH_OK)
        return cli_fail(&err);
    struct common_args silent = a->common;
    silent.quiet = true; /* its warnings are part of the listing */
    struct sooth_model *model = cli_open_model(&silent, path, NULL, &status);
    if (!model)
        return status;
    struct buf line = BUF_INIT;
    if (a->common.json)
        model_json(a, sooth_model_info(model), path, &line);
    else
        model_print(a, sooth_model_info(model), path);
    buf_release(&line);
    sooth_model_close(model);
    return EXIT_DONE;
}

const struct verb_row verb_info = {
    .name = "info", .group = "models", .usage = "FILE", .summary = "what a file is, and which verb wants it",
    .about = "FILE is a model (a file, a directory or a short name such as smollm2) or a knowledge base.",
    .examples = "  sooth info smollm2\n  sooth info models/minilm --tensors\n  sooth info .sooth\n",
    .options = info_options, .n_options = sizeof info_options / sizeof info_options[0],
    .args_size = sizeof(struct info_args), .run = info_run,
};
