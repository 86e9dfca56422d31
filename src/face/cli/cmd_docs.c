/* cmd_docs.c: `sooth docs`: what is in the knowledge base, and whether it is sound. */
#include <string.h>
#include "cli.h"

struct docs_args {
    struct common_args common;
    struct kb_args kb;
    bool check;
};

static const struct option_row docs_options[] = {
    KB_OPTIONS(docs_args),
    OPT_FLAG(docs_args, check, "check", 0, "compare every index with the documents instead of listing them"),
};

struct docs_state {
    const struct docs_args *args;
    struct buf line;
    size_t count;
};

static bool on_doc(void *user, const struct sooth_doc *d)
{
    struct docs_state *s = user;
    s->count++;
    if (!s->args->common.json) {
        printf("%5zu chunks  %4zu pages  ", d->chunks, d->pages);
        cli_safe(stdout, d->doc, strlen(d->doc));
        if (d->title && *d->title) {
            fputs("  ", stdout);
            cli_safe(stdout, d->title, strlen(d->title));
        }
        putchar('\n');
        return !cli_interrupted();
    }
    struct json_writer w;
    jsonw_init(&w, &s->line);
    jsonw_object(&w);
    jsonw_key(&w, "doc"), jsonw_string(&w, d->doc);
    jsonw_key(&w, "title"), jsonw_string(&w, d->title);
    jsonw_key(&w, "format"), jsonw_string(&w, d->format);
    jsonw_key(&w, "encoding"), jsonw_string(&w, d->encoding);
    jsonw_key(&w, "chunks"), jsonw_int(&w, (int64_t)d->chunks);
    jsonw_key(&w, "pages"), jsonw_int(&w, (int64_t)d->pages);
    jsonw_key(&w, "bytes"), jsonw_int(&w, (int64_t)d->bytes);
    jsonw_key(&w, "sha256"), jsonw_string(&w, d->hash);
    jsonw_key(&w, "added"), jsonw_string(&w, d->added);
    jsonw_end_object(&w);
    cli_json_line(&s->line);
    return !cli_interrupted();
}

static void on_line(void *user, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static int docs_run(void *p)
{
    const struct docs_args *a = p;
    struct docs_state state = { a, BUF_INIT, 0 };
    struct sooth_error err = { 0 };
    size_t problems = 0;
    int status;
    struct sooth_kb *kb = cli_open_kb(&a->common, &a->kb, false, true, &status);
    if (!kb)
        return status;
    cli_catch_interrupt();
    if (a->check) {
        if (sooth_kb_check(kb, on_line, NULL, &problems, &err) != SOOTH_OK)
            status = cli_fail(&err);
        else if (problems)
            status = EXIT_FAILED;
        if (status == EXIT_DONE)
            cli_say(&a->common, "the store is sound");
    } else if (sooth_kb_docs(kb, on_doc, &state, &err) != SOOTH_OK) {
        status = cli_fail(&err);
    } else if (state.count == 0) {
        cli_say(&a->common, "no documents yet: 'sooth add PATH' adds some");
    }
    buf_release(&state.line);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_docs = {
    .name = "docs", .group = "knowledge", .usage = "", .summary = "list the documents, or check the store",
    .about = "Lists each document with its chunks and pages. With --check, verifies that database, vectors and full text agree.",
    .examples = "  sooth docs\n  sooth docs --check\n",
    .options = docs_options, .n_options = sizeof docs_options / sizeof docs_options[0],
    .args_size = sizeof(struct docs_args), .run = docs_run,
};
