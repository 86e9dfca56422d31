/* cmd_forget.c: `sooth forget`: a document out of every index. */
#include <string.h>
#include "cli.h"

extern const struct verb_row verb_forget;

struct forget_args {
    struct common_args common;
    struct kb_args kb;
};

static const struct option_row forget_options[] = { KB_OPTIONS(forget_args) };

static int forget_run(void *p)
{
    const struct forget_args *a = p;
    int status;
    if (a->common.rest.count == 0)
        return cli_usage(&verb_forget, "forget wants documents: 'sooth docs' lists them");
    struct sooth_kb *kb = cli_open_kb(&a->common, &a->kb, false, false, &status);
    if (!kb)
        return status;
    for (size_t i = 0; i < a->common.rest.count; i++) {
        struct sooth_error err = { 0 };
        const char *doc = a->common.rest.items[i];
        if (sooth_kb_forget(kb, doc, &err) != SOOTH_OK)
            status = cli_fail(&err);
        else
            cli_say(&a->common, "forgot %s", doc);
    }
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_forget = {
    .name = "forget", .group = "knowledge", .usage = "DOC...", .summary = "remove documents from every index",
    .about = "DOC is a path, the name 'sooth docs' shows, or a file name that only one document has. The document is gone from\n"
             "every index at once; 'sooth compact' then overwrites its bytes on disk.",
    .examples = "  sooth forget old-contract.pdf && sooth compact\n",
    .options = forget_options, .n_options = sizeof forget_options / sizeof forget_options[0],
    .args_size = sizeof(struct forget_args), .run = forget_run,
};
