/* cmd_graph.c: `sooth graph`: entities and what the documents say between them. */
#include <string.h>
#include "cli.h"

extern const struct verb_row verb_graph;

struct graph_args {
    struct common_args common;
    struct kb_args kb;
    bool dry_run;
    int64_t depth;
};

static const struct option_row graph_options[] = {
    KB_OPTIONS(graph_args),
    OPT_FLAG(graph_args, dry_run, "dry-run", 0, "only say what reading the documents would take"),
    OPT_INT(graph_args, depth, "depth", 0, "N", "how far from the entity to look (default 1)", 1, 2),
};

static bool on_progress(void *user, size_t done, size_t total)
{
    progress_set(user, done, total);
    return !cli_interrupted();
}

static void counts_json(const struct sooth_graph_counts *c, bool dry_run)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "passages"), jsonw_int(&w, (int64_t)c->passages);
    jsonw_key(&w, "unread"), jsonw_int(&w, (int64_t)c->unread);
    jsonw_key(&w, "entities"), jsonw_int(&w, (int64_t)c->entities);
    jsonw_key(&w, "mentions"), jsonw_int(&w, (int64_t)c->mentions);
    jsonw_key(&w, "facts"), jsonw_int(&w, (int64_t)c->facts);
    jsonw_key(&w, "calls"), jsonw_int(&w, (int64_t)c->calls);
    jsonw_key(&w, "seconds"), jsonw_double(&w, c->seconds, 4);
    jsonw_key(&w, "dry_run"), jsonw_bool(&w, dry_run);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int make(const struct graph_args *a, struct sooth_kb *kb)
{
    struct sooth_graph_counts c;
    struct sooth_error err = { 0 };
    struct progress progress;
    progress_begin(&progress, &a->common, "reading");
    enum sooth_status status = sooth_kb_graph(kb, a->dry_run, on_progress, &progress, &c, &err);
    progress_end(&progress);
    if (status != SOOTH_OK)
        return cli_fail(&err);
    if (a->common.json)
        counts_json(&c, a->dry_run);
    else if (a->dry_run)
        printf("%zu passages to read (%zu are read): no calls of a model, about %.1f s\n", c.unread, c.passages, c.seconds);
    else
        printf("%zu passages, %zu entities, %zu mentions, %zu facts\n", c.passages, c.entities, c.mentions, c.facts);
    if (!a->dry_run && c.passages && c.entities == 0)
        cli_say(&a->common, "warning: no entities were found in %zu passages", c.passages);
    return EXIT_DONE;
}

static bool on_fact(void *user, const struct sooth_fact *f)
{
    const struct graph_args *a = user;
    if (a->common.json) {
        struct buf line = BUF_INIT;
        struct json_writer w;
        jsonw_init(&w, &line);
        jsonw_object(&w);
        jsonw_key(&w, "subject"), jsonw_string(&w, f->subject);
        jsonw_key(&w, "relation"), jsonw_string(&w, f->relation);
        jsonw_key(&w, "object"), jsonw_string(&w, f->object);
        jsonw_key(&w, "doc"), jsonw_string(&w, f->doc);
        jsonw_key(&w, "page");
        if (f->page)
            jsonw_int(&w, (int64_t)f->page);
        else
            jsonw_null(&w);
        jsonw_key(&w, "start"), jsonw_int(&w, (int64_t)f->start);
        jsonw_key(&w, "end"), jsonw_int(&w, (int64_t)f->end);
        jsonw_end_object(&w);
        cli_json_line(&line);
        buf_release(&line);
        return true;
    }
    cli_safe(stdout, f->subject, strlen(f->subject));
    printf(" -- ");
    cli_safe(stdout, f->relation, strlen(f->relation));
    printf(" -> ");
    cli_safe(stdout, f->object, strlen(f->object));
    printf("   (");
    cli_safe(stdout, f->doc, strlen(f->doc));
    printf(f->page ? ", page %zu)\n" : ")\n", f->page);
    return true;
}

static int graph_run(void *p)
{
    struct graph_args *a = p;
    int status;
    struct sooth_error err = { 0 };
    if (a->common.rest.count > 1)
        return cli_usage(&verb_graph, "graph wants one name, in quotes, or none");
    bool asks = a->common.rest.count == 1;
    cli_catch_interrupt();
    struct sooth_kb *kb = cli_open_kb(&a->common, &a->kb, false, asks || a->dry_run, &status);
    if (!kb)
        return status;
    if (!asks)
        status = make(a, kb);
    else if (sooth_kb_facts(kb, a->common.rest.items[0], a->depth ? (unsigned)a->depth : 1, on_fact, a, &err) != SOOTH_OK)
        status = cli_fail(&err);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_graph = {
    .name = "graph", .group = "knowledge", .usage = "[NAME]", .summary = "entities and what the documents say between them",
    .about = "Without a name: reads the passages that are not yet in the graph, by rules for English and Chinese, without a model.\n"
             "With a name: the facts about it, each with its source. 'sooth search --mode graph' follows the graph to passages.\n"
             "Forgetting a document takes its facts out; what other documents say stays.",
    .examples = "  sooth graph --dry-run\n  sooth graph\n  sooth graph \"Ada Lovelace\" --depth 2\n  sooth search --mode graph \"where was its inventor born\"\n",
    .options = graph_options, .n_options = sizeof graph_options / sizeof graph_options[0],
    .args_size = sizeof(struct graph_args), .run = graph_run,
};
