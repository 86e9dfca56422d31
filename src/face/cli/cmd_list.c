/* cmd_list.c: `sooth list [TABLE]`: the rows of the library's tables. */
#include <string.h>
#include "cli.h"
#include "sooth/kb.h"
#include "sooth/train.h"

extern const struct verb_row verb_list;

struct list_args {
    struct common_args common;
};

static void list_line(const struct list_args *a, const char *table, const char *name, const char *note, struct buf *line)
{
    if (!a->common.json) {
        printf("  %-16s %s\n", name, note ? note : "");
        return;
    }
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "table"), jsonw_string(&w, table);
    jsonw_key(&w, "name"), jsonw_string(&w, name);
    jsonw_key(&w, "note"), jsonw_string(&w, note);
    jsonw_end_object(&w);
    cli_json_line(line);
}

/* Each floor lists its own tables. */
static const struct {
    const char *(*tables)(size_t i);
    const char *(*rows)(const char *table, size_t i, const char **note);
} floors[] = {
    {sooth_list_tables, sooth_list},
    {sooth_kb_list_tables, sooth_kb_list},
    {sooth_train_list_tables, sooth_train_list},
};
enum { FLOORS = sizeof floors / sizeof floors[0] };

/* The i-th table of all: the verbs, then those of each floor. */
static const char *table_at(size_t i)
{
    const char *name;
    if (i-- == 0)
        return "verb";
    for (size_t f = 0; f < FLOORS; f++)
        for (size_t t = 0; (name = floors[f].tables(t)); t++)
            if (i-- == 0)
                return name;
    return NULL;
}

static void list_table(const struct list_args *a, const char *table, struct buf *line)
{
    const char *name, *note;
    if (!a->common.json)
        printf("%s\n", table);
    if (strcmp(table, "verb") == 0)
        for (size_t i = 0; i < verb_count(); i++)
            list_line(a, table, verb_at(i)->name, verb_at(i)->summary, line);
    for (size_t f = 0; f < FLOORS; f++)
        for (size_t i = 0; (name = floors[f].rows(table, i, &note)); i++)
            list_line(a, table, name, note, line);
}

static int list_run(void *p)
{
    const struct list_args *a = p;
    struct buf line = BUF_INIT;
    const char *name;
    size_t given = a->common.rest.count, shown = 0;
    for (size_t i = 0; (name = table_at(i)); i++) {
        bool wanted = given == 0;
        for (size_t j = 0; j < given; j++) /* "methods" means "method" */
            wanted |= strncmp(a->common.rest.items[j], name, strlen(name)) == 0;
        if (wanted)
            list_table(a, name, &line);
        shown += wanted;
    }
    buf_release(&line);
    return given && !shown ? cli_usage(&verb_list, "no table is called '%s'; 'sooth list' shows all", a->common.rest.items[0]) : EXIT_DONE;
}

const struct verb_row verb_list = {
    .name = "list", .group = "help", .usage = "[TABLE...]", .summary = "list architectures, number formats, document formats ...",
    .about = "Prints the rows of the named tables, or of all: what this build knows.",
    .examples = "  sooth list arch\n  sooth list formats\n  sooth list qtype --json\n",
    .args_size = sizeof(struct list_args), .run = list_run,
};
