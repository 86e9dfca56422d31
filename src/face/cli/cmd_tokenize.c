/* cmd_tokenize.c: `sooth tokenize`: how a model sees a text. */
#include <string.h>
#include "cli.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_tokenize;

struct tokenize_args {
    struct common_args common;
    const char *model, *vocab, *pair, *template_file, *messages;
    bool ids, bos, special, text;
};

static const struct option_row tokenize_options[] = {
    OPT_TEXT(tokenize_args, model, "model", 'm', "MODEL", "whose tokenizer (default smollm2)"),
    OPT_TEXT(tokenize_args, vocab, "vocab", 0, "FILE", "a GGUF file with only a vocabulary"),
    OPT_FLAG(tokenize_args, ids, "ids", 0, "print ids only, separated by blanks"),
    OPT_FLAG(tokenize_args, bos, "bos", 0, "add what the model's own rule adds"),
    OPT_FLAG(tokenize_args, special, "special", 0, "let the text name control tokens"),
    OPT_TEXT(tokenize_args, pair, "pair", 0, "TEXT2", "the model's pair form, with this second text"),
    OPT_TEXT(tokenize_args, template_file, "template", 0, "FILE", "with --messages: a Jinja chat template instead of the model's"),
    OPT_TEXT(tokenize_args, messages, "messages", 0, "FILE", "JSON: a list of messages, or an object with messages, tools and variables"),
    OPT_FLAG(tokenize_args, text, "text", 0, "with --messages: print the rendered text, not its tokens"),
};

static void tokens_json(const struct sooth_model *model, const struct sooth_tokens *t)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "ids");
    jsonw_array(&w);
    for (size_t i = 0; i < t->count; i++)
        jsonw_int(&w, t->ids[i]);
    jsonw_end_array(&w);
    jsonw_key(&w, "pieces");
    jsonw_array(&w);
    for (size_t i = 0; i < t->count; i++) {
        char *piece = sooth_detokenize(model, &t->ids[i], 1);
        jsonw_string(&w, piece);
        sooth_free(piece);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static void tokens_print(const struct tokenize_args *a, const struct sooth_model *model, const struct sooth_tokens *t)
{
    if (a->common.json) {
        tokens_json(model, t);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (a->ids) {
            printf("%s%d", i ? " " : "", t->ids[i]);
            continue;
        }
        char *piece = sooth_detokenize(model, &t->ids[i], 1);
        printf("%7d  ", t->ids[i]);
        for (const char *c = piece ? piece : ""; *c; c++)
            if (*c == '\n')
                fputs("\\n", stdout);
            else
                cli_safe(stdout, c, strlen(c)), c += strlen(c) - 1;
        putchar('\n');
        sooth_free(piece);
    }
    if (a->ids)
        putchar('\n');
}

static int render(const struct tokenize_args *a, const struct sooth_model *model)
{
    struct sooth_error err = { 0 };
    struct sooth_tokens t = { 0 };
    struct buf request = BUF_INIT, source = BUF_INIT;
    char *text = NULL;
    enum sooth_status s = file_read(a->messages, 16 << 20, &request, &err);
    if (s == SOOTH_OK && a->template_file)
        s = file_read(a->template_file, 1 << 20, &source, &err);
    if (s == SOOTH_OK)
        s = sooth_render_json(model, a->template_file ? buf_str(&source) : NULL, buf_str(&request), request.len, a->bos, a->text ? &text : NULL,
                              a->text ? NULL : &t, &err);
    int status = s == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
    if (s == SOOTH_OK && a->text)
        fwrite(text, 1, strlen(text), stdout);
    else if (s == SOOTH_OK)
        tokens_print(a, model, &t);
    sooth_tokens_release(&t);
    sooth_free(text);
    buf_release(&source);
    buf_release(&request);
    return status;
}

static int tokenize_text(const struct tokenize_args *a, const struct sooth_model *model)
{
    struct buf text = BUF_INIT;
    struct sooth_tokens t = { 0 };
    struct sooth_error err = { 0 };
    int status = EXIT_DONE;
    if (a->common.rest.count)
        buf_puts(&text, a->common.rest.items[0]);
    else
        status = cli_read_stdin(&text);
    if (status == EXIT_DONE) {
        enum sooth_status s = a->pair ? sooth_tokenize_pair(model, buf_str(&text), text.len, a->pair, strlen(a->pair), &t, &err)
                                      : sooth_tokenize(model, buf_str(&text), text.len, a->bos, a->special, &t, &err);
        if (s == SOOTH_OK)
            tokens_print(a, model, &t);
        else
            status = cli_fail(&err);
    }
    sooth_tokens_release(&t);
    buf_release(&text);
    return status;
}

static int tokenize_run(void *p)
{
    const struct tokenize_args *a = p;
    int status;
    if (a->common.rest.count > 1)
        return cli_usage(&verb_tokenize, "tokenize wants one text, in quotes, or standard input");
    const char *name = a->vocab ? a->vocab : a->model ? a->model : "smollm2";
    struct sooth_model_options options = { .threads = 1, .vocab_only = true };
    struct sooth_model *model = NULL;
    struct sooth_error err = { 0 };
    if (sooth_model_open(name, &options, &model, &err) != SOOTH_OK)
        return cli_fail(&err);
    const struct sooth_model_info *info = sooth_model_info(model);
    for (size_t i = 0; i < info->n_warnings; i++)
        cli_say(&a->common, "warning: %s", info->warnings[i]);
    status = a->messages ? render(a, model) : tokenize_text(a, model);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_tokenize = {
    .name = "tokenize", .group = "models", .usage = "[TEXT]", .summary = "how a model sees a text",
    .about = "Prints one token a line, its id and its text. All of standard input is one text when TEXT is not given. Control\n"
             "tokens named in the text are plain text unless --special is given.",
    .examples = "  sooth tokenize \"untokenizable\"\n  sooth tokenize --model e5 --ids \"你好，世界\"\n"
                "  sooth tokenize --model smollm2 --messages talk.json --text\n",
    .options = tokenize_options, .n_options = sizeof tokenize_options / sizeof tokenize_options[0],
    .args_size = sizeof(struct tokenize_args), .run = tokenize_run,
};
