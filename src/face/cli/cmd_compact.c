/* cmd_compact.c: `sooth compact`: give the bytes of forgotten documents back. */
#include "cli.h"

struct compact_args {
    struct common_args common;
    struct kb_args kb;
};

static const struct option_row compact_options[] = { KB_OPTIONS(compact_args) };

static int compact_run(void *p)
{
    const struct compact_args *a = p;
    struct sooth_error err = { 0 };
    uint64_t before = 0, after = 0;
    int status;
    struct sooth_kb *kb = cli_open_kb(&a->common, &a->kb, false, false, &status);
    if (!kb)
        return status;
    if (sooth_kb_compact(kb, &before, &after, &err) != SOOTH_OK)
        status = cli_fail(&err);
    else if (a->common.json)
        printf("{\"before\":%llu,\"after\":%llu}\n", (unsigned long long)before, (unsigned long long)after);
    else
        printf("%.1f MB, was %.1f MB\n", (double)after / 1e6, (double)before / 1e6);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_compact = {
    .name = "compact", .group = "knowledge", .usage = "", .summary = "give the bytes of forgotten documents back",
    .about = "Rewrites the database, so that it is no larger than it must be and holds no byte of what was forgotten.",
    .options = compact_options, .n_options = sizeof compact_options / sizeof compact_options[0],
    .args_size = sizeof(struct compact_args), .run = compact_run,
};
