/* cmd_convert.c: `sooth convert IN OUT`: the same model in another container. */
#include "cli.h"

extern const struct verb_row verb_convert;

struct convert_args {
    struct common_args common;
};

static int convert_run(void *p)
{
    const struct convert_args *a = p;
    struct sooth_error err = { 0 };
    if (a->common.rest.count != 2)
        return cli_usage(&verb_convert, "convert wants a model and where to write it");
    if (sooth_convert(a->common.rest.items[0], a->common.rest.items[1], &err) != SOOTH_OK)
        return cli_fail(&err);
    cli_say(&a->common, "wrote %s", a->common.rest.items[1]);
    return EXIT_DONE;
}

const struct verb_row verb_convert = {
    .name = "convert", .group = "models", .usage = "IN OUT", .summary = "rewrite a model in another container",
    .about = "A safetensors directory or an E5S1 file becomes GGUF; a GGUF file becomes a safetensors directory when OUT ends in\n"
             "'/'. The result is read back and compared before it takes its name.",
    .examples = "  sooth convert e5-small-q4.bin models/e5.gguf\n  sooth convert models/minilm minilm.gguf\n",
    .args_size = sizeof(struct convert_args), .run = convert_run,
};
