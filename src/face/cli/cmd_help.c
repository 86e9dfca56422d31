/* cmd_help.c: `sooth help [VERB]`. */
#include "cli.h"

extern const struct verb_row verb_help;

struct help_args {
    struct common_args common;
    bool man, completion;
};

static const struct option_row help_options[] = {
    OPT_FLAG(help_args, man, "man", 0, "print the manual page (roff) of VERB, or of sooth itself"),
    OPT_FLAG(help_args, completion, "completion", 0, "print bash completion"),
};

static int help_run(void *p)
{
    const struct help_args *a = p;
    const struct text_list *rest = &a->common.rest;
    const struct verb_row *verb = NULL;
    if (rest->count > 1)
        return cli_usage(&verb_help, "help takes one verb");
    if (rest->count && !(verb = verb_find(rest->items[0]))) {
        const char *near = verb_nearest(rest->items[0]);
        return near ? cli_usage(&verb_help, "unknown verb '%s'; did you mean '%s'?", rest->items[0], near)
                    : cli_usage(&verb_help, "unknown verb '%s'", rest->items[0]);
    }
    if (a->completion)
        help_completion(stdout);
    else if (a->man)
        help_manual(verb, stdout);
    else if (verb)
        help_verb(verb, stdout);
    else
        help_overview(stdout);
    return EXIT_DONE;
}

const struct verb_row verb_help = {
    .name = "help", .group = "help", .usage = "[VERB]", .summary = "explain the verbs",
    .about = "Without a verb, lists them all. With one, prints its options and examples.",
    .examples = "  sooth help ask\n  sooth help --man ask | man -l -\n  source <(sooth help --completion)\n",
    .options = help_options, .n_options = sizeof help_options / sizeof help_options[0],
    .args_size = sizeof(struct help_args), .run = help_run,
};
