/* cmd_add.c: `sooth add`: documents into the knowledge base. */
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"

extern const struct verb_row verb_add;

struct add_args {
    struct common_args common;
    struct kb_args kb;
    struct text_list include, exclude, tags;
    const char *name, *encoding, *ocr, *metric, *split;
    int64_t chunk_tokens;
    bool reembed, watch;
};

static const struct option_row add_options[] = {
    KB_OPTIONS(add_args),
    OPT_LIST(add_args, include, "include", 0, "GLOB", "only files whose path or name matches (may be given again)"),
    OPT_LIST(add_args, exclude, "exclude", 0, "GLOB", "not files whose path or name matches (may be given again)"),
    OPT_LIST(add_args, tags, "tag", 0, "K=V", "remember this with each document, for --filter (may be given again)"),
    OPT_TEXT(add_args, name, "name", 0, "NAME", "what standard input ('-') is called; its ending tells the format"),
    OPT_TEXT(add_args, encoding, "encoding", 0, "NAME", "the text encoding, instead of detecting it"),
    OPT_TEXT(add_args, ocr, "ocr", 0, "auto|always|never", "text in scanned pages and pictures: of pages without usable text (default), of all, of none"),
    OPT_INT(add_args, chunk_tokens, "chunk-tokens", 0, "N", "tokens a chunk, fixed with the first add (default: the embedder's own size)", 16, 8192),
    OPT_TEXT(add_args, split, "split", 0, "NAME", "how documents are cut: sentence (default), fixed, recursive, window, semantic, parent; fixed with the first add"),
    OPT_TEXT(add_args, metric, "metric", 0, "cosine|dot|l2|l1", "vector similarity, fixed with the first add (default cosine)"),
    OPT_FLAG(add_args, watch, "watch", 0, "then follow the files until Ctrl-C: add what appears or changes, forget what vanishes"),
    OPT_FLAG(add_args, reembed, "reembed", 0, "embed every chunk again with --embedder, which then belongs to the store"),
};

struct add_state {
    const struct add_args *args;
    struct progress all, one; /* files; within one file */
    char what[80];            /* that file, and which of how many */
    size_t done, total;       /* files */
    size_t bytes;             /* of those that were read */
    struct buf line;
};

static void file_json(struct buf *line, const struct sooth_added *f)
{
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "file"), jsonw_string(&w, f->file);
    jsonw_key(&w, "status"), jsonw_string(&w, sooth_add_status_name(f->status));
    jsonw_key(&w, "doc"), jsonw_string(&w, f->doc);
    jsonw_key(&w, "pages"), jsonw_int(&w, (int64_t)f->pages);
    jsonw_key(&w, "chunks"), jsonw_int(&w, (int64_t)f->chunks);
    jsonw_key(&w, "embedded"), jsonw_int(&w, (int64_t)f->embedded);
    jsonw_key(&w, "encoding"), jsonw_string(&w, f->encoding);
    jsonw_key(&w, "seconds"), jsonw_double(&w, f->seconds, 4);
    jsonw_key(&w, "error"), jsonw_string(&w, f->error);
    jsonw_end_object(&w);
    cli_json_line(line);
}

static bool on_file(void *user, const struct sooth_added *f)
{
    struct add_state *s = user;
    progress_end(&s->one);
    progress_end(&s->all);
    s->what[0] = 0;
    s->done = f->done;
    s->bytes += f->embedded ? f->bytes : 0;
    s->total = f->total;
    if (s->args->common.json) {
        file_json(&s->line, f);
    } else if (f->status == SOOTH_FAILED || f->status == SOOTH_NO_TEXT) {
        fprintf(stderr, "sooth: %s: ", f->status == SOOTH_FAILED ? "cannot read" : "no text in");
        cli_safe(stderr, f->file, strlen(f->file));
        fprintf(stderr, ": %s\n", f->error ? f->error : "no text found");
    } else if (f->status != SOOTH_UNCHANGED && f->status != SOOTH_SKIPPED) {
        printf("%-9s ", sooth_add_status_name(f->status));
        cli_safe(stdout, f->file, strlen(f->file));
        if (f->status != SOOTH_FORGOTTEN)
            printf("  %zu chunk%s", f->chunks, f->chunks == 1 ? "" : "s");
        if (f->pages)
            printf(", %zu page%s", f->pages, f->pages == 1 ? "" : "s");
        putchar('\n');
        if (f->error)
            cli_say(&s->args->common, "warning: %s: %s", f->file, f->error);
    }
    progress_set(&s->all, f->done, f->total);
    return !cli_interrupted();
}

/* "report.pdf (3 of 10)", from a name that may hold anything. */
static void what_set(struct add_state *s, const char *file)
{
    const char *slash = strrchr(file, '/');
    char name[41];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : file);
    for (char *p = name; *p; p++)
        *p = (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p;
    for (size_t n = strlen(name); n == sizeof name - 1 && n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80; n--)
        name[n] = 0;
    if (s->total > 1)
        snprintf(s->what, sizeof s->what, "%s (%zu of %zu)", name, s->done + 1, s->total);
    else
        snprintf(s->what, sizeof s->what, "%s", name);
}

static bool on_progress(void *user, const char *file, size_t done, size_t total)
{
    struct add_state *s = user;
    if (file && total > 0) {
        char before[sizeof s->what];
        memcpy(before, s->what, sizeof before);
        what_set(s, file);
        if (strcmp(before, s->what) != 0)
            progress_begin(&s->one, &s->args->common, s->what);
        progress_set(&s->one, done, total);
    }
    return !cli_interrupted();
}

/* "k=v" -> key and value; the list keeps the bytes. */
static int parse_tags(const struct text_list *list, struct sooth_tag *tags)
{
    for (size_t i = 0; i < list->count; i++) {
        char *eq = strchr(list->items[i], '=');
        if (!eq || eq == list->items[i])
            return cli_usage(&verb_add, "--tag wants key=value, not '%s'", list->items[i]);
        *eq = 0;
        tags[i] = (struct sooth_tag){ list->items[i], eq + 1 };
    }
    return EXIT_DONE;
}

static enum sooth_status add_all(struct sooth_kb *kb, const struct add_args *a, const struct sooth_add_options *options,
                                 struct sooth_add_totals *totals, struct sooth_error *err)
{
    const struct text_list *rest = &a->common.rest;
    if (rest->count != 1 || strcmp(rest->items[0], "-") != 0)
        return sooth_kb_add(kb, rest->items, rest->count, options, totals, err);
    struct buf in = BUF_INIT;
    enum sooth_status s = SOOTH_ERR_IO;
    if (cli_read_stdin(&in) == EXIT_DONE)
        s = sooth_kb_add_bytes(kb, a->name ? a->name : "standard-input.txt", in.data ? in.data : "", in.len, options, totals, err);
    else
        snprintf(err->text, sizeof err->text, "cannot read standard input");
    buf_release(&in);
    return s;
}

static void say_totals(const struct add_args *a, const struct sooth_add_totals *t, size_t bytes)
{
    char rate[80] = "";
    if (t->embedded && t->seconds > 0)
        snprintf(rate, sizeof rate, " (%.0f chunks/s, %.1f MB/min)", (double)t->embedded / t->seconds,
                 (double)bytes / 1e6 / t->seconds * 60);
    cli_say(&a->common, "%zu added, %zu updated, %zu unchanged, %zu without text, %zu failed; %zu chunks embedded in %.1f s%s",
            t->added, t->updated, t->unchanged, t->no_text, t->failed, t->embedded, t->seconds, rate);
}

static struct sooth_kb *open_store(const struct add_args *a, int *status)
{
    struct sooth_kb_options options = {
        .embedder = a->kb.embedder, .metric = a->metric, .threads = (unsigned)a->common.threads, .create = true,
        .reembed = a->reembed, .split = a->split, .chunk_tokens = (size_t)a->chunk_tokens,
    };
    const char *dir = cli_kb_dir(&a->kb);
    struct sooth_kb *kb = NULL;
    struct sooth_error err = { 0 };
    *status = sooth_kb_open(dir, &options, &kb, &err) == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
    return kb;
}

static int add_run(void *p)
{
    const struct add_args *a = p;
    struct sooth_tag tags[64];
    struct sooth_error err = { 0 };
    struct sooth_add_totals totals = { 0 };
    int status;
    if (a->common.rest.count == 0 && !a->reembed)
        return cli_usage(&verb_add, "add wants files or directories");
    if (a->watch && (a->common.rest.count == 0 || strcmp(a->common.rest.items[0], "-") == 0))
        return cli_usage(&verb_add, "--watch wants files or directories to follow");
    if (a->tags.count > 64)
        return cli_usage(&verb_add, "at most 64 tags");
    if ((status = parse_tags(&a->tags, tags)) != EXIT_DONE)
        return status;
    struct sooth_kb *kb = open_store(a, &status);
    if (!kb)
        return status;
    struct add_state state = { .args = a, .line = BUF_INIT };
    struct sooth_add_options options = {
        .include = a->include.items, .n_include = a->include.count, .exclude = a->exclude.items, .n_exclude = a->exclude.count,
        .tags = tags, .n_tags = a->tags.count, .encoding = a->encoding, .ocr = a->ocr,
        .on_file = on_file, .on_progress = on_progress, .user = &state,
    };
    cli_catch_interrupt();
    if (a->watch)
        cli_say(&a->common, "watching; Ctrl-C stops");
    progress_begin(&state.all, &a->common, "adding");
    enum sooth_status s = a->watch ? sooth_kb_watch(kb, a->common.rest.items, a->common.rest.count, &options, &err)
                          : a->common.rest.count ? add_all(kb, a, &options, &totals, &err) : SOOTH_OK;
    progress_end(&state.one);
    progress_end(&state.all);
    if (s != SOOTH_OK)
        status = cli_fail(&err);
    else if (totals.failed)
        status = EXIT_FAILED;
    if (s == SOOTH_OK && !a->watch)
        say_totals(a, &totals, state.bytes);
    buf_release(&state.line);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_add = {
    .name = "add", .group = "knowledge", .usage = "PATH...", .summary = "put documents into the knowledge base",
    .about = "Reads files and directories (PDF, Word, PowerPoint, Excel, OpenDocument, EPUB, HTML, Markdown, RTF, mail, CSV, JSON,\n"
             "subtitles, source code, text in any encoding, and archives of these: 'sooth list formats'),\n"
             "cuts them into chunks, embeds them and stores all of it in one database. A file that has not changed costs\n"
             "nothing; a changed one is updated. '-' reads standard input. A file that cannot be read costs one line on\n"
             "standard error and exit status 1; the others are added all the same.",
    .examples = "  sooth add ~/Documents/contracts\n  sooth add ~/Documents --watch\n  sooth add report.pdf --tag year=2024\n  curl -s https://example.org/ | sooth add - --name page.html\n",
    .options = add_options, .n_options = sizeof add_options / sizeof add_options[0],
    .args_size = sizeof(struct add_args), .run = add_run,
};
