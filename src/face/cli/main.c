/* main.c: finds the verb, parses its options, runs it. Everything else is a row in the verb table. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"

#define ROW(name) extern const struct verb_row verb_##name;
#include "face/cli/verb_rows.inc"
#undef ROW

static const struct verb_row *const verbs[] = {
#define ROW(name) &verb_##name,
#include "face/cli/verb_rows.inc"
#undef ROW
};

size_t verb_count(void)
{
    return sizeof verbs / sizeof verbs[0];
}

const struct verb_row *verb_at(size_t i)
{
    return i < verb_count() ? verbs[i] : NULL;
}

const struct verb_row *verb_find(const char *name)
{
    for (size_t i = 0; i < verb_count(); i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *near = verb_nearest(name);
    fprintf(stderr, "sooth: unknown verb '%s'\n", name);
    if (near)
        fprintf(stderr, "hint: did you mean 'sooth %s'?\n", near);
    else
        fprintf(stderr, "hint: 'sooth help' lists the verbs\n");
    return EXIT_USAGE;
}

static int run_verb(const struct verb_row *verb, int argc, char **argv)
{
    struct common_args *args = mem_calloc(1, verb->args_size);
    if (!args) {
        fprintf(stderr, "sooth: out of memory\n");
        return EXIT_FAILED;
    }
    int status = options_parse(verb, argc, argv, args);
    if (status == EXIT_DONE) {
        if (args->help)
            help_verb(verb, stdout);
        else
            status = verb->run(args);
    }
    options_release(verb, args);
    mem_free(args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (errno != EPIPE)
            fprintf(stderr, "sooth: cannot write to standard output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0)
        name = "version";
    else if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    const struct verb_row *verb = verb_find(name);
    return verb ? run_verb(verb, argc - 2, argv + 2) : unknown_verb(name);
}
