/* cmd_convert.c: `sooth convert IN OUT`: the same model in another container. */
#include "cli.h"
#include "sooth/adapter.h"

extern const struct verb_row verb_convert;

struct convert_args {
    struct common_args common;
    const char *model;
    bool any_base;
};

static const struct option_row convert_options[] = {
    OPT_TEXT(convert_args, model, "model", 'm', "MODEL", "IN is an adapter of this model"),
    OPT_FLAG(convert_args, any_base, "any-base", 0, "even if it was trained on another model"),
};

static int convert_run(void *p)
{
    const struct convert_args *a = p;
    struct sooth_error err = { 0 };
    if (a->common.rest.count != 2)
        return cli_usage(&verb_convert, "convert wants a model and where to write it");
    const char *in = a->common.rest.items[0], *out = a->common.rest.items[1];
    if ((a->model ? sooth_adapter_convert(in, a->model, out, a->any_base, &err) : sooth_convert(in, out, &err)) != SOOTH_OK)
        return cli_fail(&err);
    cli_say(&a->common, "wrote %s", a->common.rest.items[1]);
    return EXIT_DONE;
}

const struct verb_row verb_convert = {
    .name = "convert", .group = "models", .usage = "IN OUT", .summary = "rewrite a model in another container",
    .about = "A safetensors directory or an E5S1 file becomes GGUF; a GGUF file becomes a safetensors directory when OUT ends in\n"
             "'/'. With --model, IN is an adapter of that model (a directory of PEFT, AdapterHub or MLX, or GGUF) and OUT is GGUF when it ends\n"
             "in .gguf, else a directory in PEFT's layout. The result is read back and compared before it takes its name.",
    .examples = "  sooth convert e5-small-q4.bin models/e5.gguf\n  sooth convert models/minilm minilm.gguf\n"
                "  sooth convert out out.gguf --model smollm2\n",
    .options = convert_options, .n_options = sizeof convert_options / sizeof convert_options[0],
    .args_size = sizeof(struct convert_args), .run = convert_run,
};
