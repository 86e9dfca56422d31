/* cmd_run.c: `sooth run MODEL [PROMPT]`: generate, or talk on a terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "core/base/vec.h"

extern const struct verb_row verb_run;

struct run_args {
    struct common_args common;
    struct sample_args sample;
    const char *system, *api_model;
    int64_t logprobs, prompt_batch, context;
    bool raw;
};

static const struct option_row run_options[] = {
    SAMPLE_OPTIONS(run_args),
    OPT_TEXT(run_args, system, "system", 0, "TEXT", "system message"),
    OPT_FLAG(run_args, raw, "raw", 0, "no chat template: continue the prompt as it stands"),
    OPT_INT(run_args, logprobs, "logprobs", 0, "N", "with --json: log-probabilities, and N alternatives each", 1, 20),
    OPT_INT(run_args, prompt_batch, "prompt-batch", 0, "N", "prompt tokens read at once; never changes the result", 1, 8192),
    OPT_INT(run_args, context, "context", 0, "N", "tokens the session can hold (default: the model's, at most 8192)", 8, 1e7),
    OPT_TEXT(run_args, api_model, "api-model", 0, "NAME", "for a server: its name for the model"),
};

static bool on_text(void *user, const char *text, size_t len)
{
    if (user) {
        cli_safe(stdout, text, len);
        fflush(stdout);
    }
    return !cli_interrupted();
}

static const char *finish_name(enum sooth_finish f)
{
    return f == SOOTH_FINISH_STOP ? "stop" : f == SOOTH_FINISH_LENGTH ? "length" : "cancelled";
}

static void logprobs_json(struct json_writer *w, const struct sooth_model *model, const struct sooth_generation *g)
{
    jsonw_key(w, "logprobs");
    jsonw_array(w);
    for (size_t i = 0; g->logprobs && i < g->n_tokens; i++) {
        char *piece = g->ids ? sooth_detokenize(model, &g->ids[i], 1) : NULL;
        jsonw_object(w);
        if (g->ids)
            jsonw_key(w, "id"), jsonw_int(w, g->ids[i]);
        jsonw_key(w, "text"), jsonw_string(w, piece);
        jsonw_key(w, "logprob"), jsonw_double(w, g->logprobs[i], 7);
        jsonw_key(w, "top");
        jsonw_array(w);
        for (size_t t = 0; g->top && t < g->n_top; t++) {
            jsonw_object(w);
            jsonw_key(w, "id"), jsonw_int(w, g->top[i * g->n_top + t].id);
            jsonw_key(w, "logprob"), jsonw_double(w, g->top[i * g->n_top + t].logprob, 7);
            jsonw_end_object(w);
        }
        jsonw_end_array(w);
        jsonw_end_object(w);
        sooth_free(piece);
    }
    jsonw_end_array(w);
}

static void generation_json(const struct sooth_model *model, const struct sooth_generation *g)
{
    struct buf line = BUF_INIT;
    struct json_writer w;
    jsonw_init(&w, &line);
    jsonw_object(&w);
    jsonw_key(&w, "text"), jsonw_string(&w, g->text);
    jsonw_key(&w, "finish"), jsonw_string(&w, finish_name(g->finish));
    jsonw_key(&w, "tokens");
    jsonw_object(&w);
    jsonw_key(&w, "prompt"), jsonw_int(&w, (int64_t)g->n_prompt);
    jsonw_key(&w, "generated"), jsonw_int(&w, (int64_t)g->n_tokens);
    jsonw_end_object(&w);
    if (g->ids) {
        jsonw_key(&w, "ids");
        jsonw_array(&w);
        for (size_t i = 0; i < g->n_tokens; i++)
            jsonw_int(&w, g->ids[i]);
        jsonw_end_array(&w);
    }
    jsonw_key(&w, "seconds");
    jsonw_object(&w);
    jsonw_key(&w, "prompt"), jsonw_double(&w, g->prompt_seconds, 4);
    jsonw_key(&w, "generate"), jsonw_double(&w, g->seconds, 4);
    jsonw_end_object(&w);
    if (g->logprobs)
        logprobs_json(&w, model, g);
    jsonw_end_object(&w);
    cli_json_line(&line);
    buf_release(&line);
}

static int one_prompt(const struct run_args *a, struct sooth_model *model, struct sooth_session *session, const char *prompt, size_t len,
                      const struct sooth_generate_options *options)
{
    struct sooth_message messages[2];
    struct sooth_generation g = { 0 };
    struct sooth_error err = { 0 };
    size_t n = 0;
    if (a->system)
        messages[n++] = (struct sooth_message){ "system", a->system };
    messages[n++] = (struct sooth_message){ "user", prompt };
    enum sooth_status s = a->raw ? sooth_complete(session, prompt, len, options, &g, &err) : sooth_chat(session, messages, n, options, &g, &err);
    if (s != SOOTH_OK)
        return cli_fail(&err);
    if (a->common.json)
        generation_json(model, &g);
    else
        putchar('\n');
    if (!a->common.json && isatty(STDERR_FILENO))
        cli_say(&a->common, "%zu prompt tokens in %.2f s (%.0f/s), %zu generated in %.2f s (%.0f/s)", g.n_prompt, g.prompt_seconds,
                (double)(g.n_prompt - g.n_reused) / (g.prompt_seconds + 1e-9), g.n_tokens, g.seconds, (double)g.n_tokens / (g.seconds + 1e-9));
    sooth_generation_release(&g);
    return EXIT_DONE;
}

/* --- a conversation -- */

struct talk {
    VEC(struct sooth_message) messages;
};

static bool talk_add(struct talk *t, const char *role, const char *content)
{
    char *copy = mem_strdup(content);
    struct sooth_message m = { role, copy };
    return copy && vec_push(&t->messages, m);
}

static int converse(const struct run_args *a, struct sooth_session *session, const struct sooth_generate_options *options)
{
    struct talk talk = { 0 };
    char *line = NULL;
    size_t cap = 0;
    int status = EXIT_DONE;
    if (a->system)
        talk_add(&talk, "system", a->system);
    cli_say(&a->common, "an empty line or Ctrl-D ends");
    for (;;) {
        struct sooth_generation g = { 0 };
        struct sooth_error err = { 0 };
        fputs("> ", stderr);
        ssize_t n = getline(&line, &cap, stdin);
        if (n <= 1)
            break;
        line[n - 1] = 0;
        if (!talk_add(&talk, "user", line) ||
            sooth_chat(session, talk.messages.items, talk.messages.count, options, &g, &err) != SOOTH_OK) {
            status = cli_fail(&err);
            break;
        }
        putchar('\n');
        bool kept = talk_add(&talk, "assistant", g.text);
        sooth_generation_release(&g);
        if (!kept || cli_interrupted())
            break;
    }
    for (size_t i = 0; i < talk.messages.count; i++)
        mem_free((void *)talk.messages.items[i].content);
    vec_free(&talk.messages);
    free(line);
    return status;
}

static int run_with(const struct run_args *a, struct sooth_model *model)
{
    struct sooth_generate_options options;
    struct sooth_session *session = NULL;
    struct sooth_error err = { 0 };
    struct buf prompt = BUF_INIT;
    int status = EXIT_DONE;
    cli_sampling(&a->common, &a->sample, &options);
    options.logprobs = (unsigned)a->logprobs;
    options.prompt_batch = (size_t)a->prompt_batch;
    options.on_text = on_text;
    options.user = a->common.json ? NULL : (void *)a;
    if (sooth_session_new(model, &session, &err) != SOOTH_OK)
        return cli_fail(&err);
    bool talk = a->common.rest.count == 1 && isatty(STDIN_FILENO) && !a->raw && !a->common.json;
    if (talk) {
        status = converse(a, session, &options);
    } else {
        if (a->common.rest.count == 2)
            buf_puts(&prompt, a->common.rest.items[1]);
        else
            status = cli_read_stdin(&prompt);
        if (status == EXIT_DONE)
            status = one_prompt(a, model, session, buf_str(&prompt), prompt.len, &options);
    }
    buf_release(&prompt);
    sooth_session_free(session);
    return status;
}

static int run_run(void *p)
{
    const struct run_args *a = p;
    struct sooth_model_options options = { .threads = (unsigned)a->common.threads, .context = (size_t)a->context, .api_model = a->api_model };
    struct sooth_model *model = NULL;
    struct sooth_error err = { 0 };
    if (a->common.rest.count < 1 || a->common.rest.count > 2)
        return cli_usage(&verb_run, "run wants a model and at most one prompt, in quotes");
    if (sooth_model_open(a->common.rest.items[0], &options, &model, &err) != SOOTH_OK)
        return cli_fail(&err);
    const struct sooth_model_info *info = sooth_model_info(model);
    for (size_t i = 0; i < info->n_warnings; i++)
        cli_say(&a->common, "warning: %s", info->warnings[i]);
    cli_catch_interrupt();
    int status = run_with(a, model);
    sooth_model_close(model);
    return status;
}

const struct verb_row verb_run = {
    .name = "run", .group = "models", .usage = "MODEL [PROMPT]", .summary = "generate text, or talk with a model",
    .about = "With a prompt (or one on standard input), generates an answer with the model's own chat template. Without one, on a\n"
             "terminal, holds a conversation. MODEL is a file, a directory, a short name, or http(s)://host:port/v1. The same\n"
             "seed, model and prompt give the same text on any number of threads.",
    .examples = "  sooth run smollm2 \"What is the capital of France?\"\n  sooth run gemma3 --raw \"The river Rhine\" --max-tokens 40\n"
                "  sooth run smollm2 \"Name three rivers.\" --temperature 0.7 --seed 1 --json\n",
    .options = run_options, .n_options = sizeof run_options / sizeof run_options[0],
    .args_size = sizeof(struct run_args), .run = run_run,
};
