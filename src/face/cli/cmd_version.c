/* cmd_version.c: `sooth version`. */
#include "cli.h"
#include "core/base/cpu.h"

struct version_args {
    struct common_args common;
};

static const char *level_name(const struct cpu *cpu)
{
    return cpu->level == CPU_AVX512 ? "avx512" : cpu->level == CPU_AVX2 ? "avx2" : "c";
}

static int version_run(void *p)
{
    const struct version_args *a = p;
    if (!a->common.json) {
        printf("sooth %s\n", sooth_version());
        return EXIT_DONE;
    }
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "version"), jsonw_string(&w, sooth_version());
    jsonw_key(&w, "cpu"), jsonw_string(&w, level_name(cpu_get()));
    jsonw_key(&w, "cores"), jsonw_int(&w, cpu_granted());
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
    return EXIT_DONE;
}

const struct verb_row verb_version = {
    .name = "version", .group = "help", .usage = "", .summary = "print the version",
    .about = "Prints the version; with --json also the instruction set in use and the cores granted.",
    .args_size = sizeof(struct version_args), .run = version_run,
};
