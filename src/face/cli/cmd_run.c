/* cmd_run.c: `sooth run MODEL [PROMPT]`: generate, or talk on a terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/vec.h"

extern const struct verb_row verb_run;

struct run_args {
    struct common_args common;
    struct sample_args sample;
    const char *system, *api_model, *strategy, *source, *amateur, *speculate, *draft, *grammar, *schema, *cache;
    struct text_list adapters;
    int64_t logprobs, prompt_batch, context;
    bool raw, context_shift;
};

/* A run: the options with every model and text they name opened. */
struct running {
    const struct run_args *args;
    struct sooth_model *model, *amateur, *draft;
    struct sooth_session *session;
    struct sooth_grammar *grammar;
    struct adapter_list adapters;
    struct buf source; /* goes before the prompt, "" = none */
    struct sooth_generate_options options;
};

static const struct option_row run_options[] = {
    SAMPLE_OPTIONS(run_args),
    OPT_TEXT(run_args, system, "system", 0, "TEXT", "system message"),
    OPT_FLAG(run_args, raw, "raw", 0, "no chat template: continue the prompt as it stands"),
    OPT_LIST(run_args, adapters, "adapter", 0, "DIR[:SCALE]", "wear an adapter (may be given again)"),
    OPT_TEXT(run_args, strategy, "strategy", 0, "NAME[:PARAM=X,...]", "how a token is chosen: 'sooth list strategy' (default sample)"),
    OPT_TEXT(run_args, source, "source", 0, "FILE", "a text to answer from, put before the prompt; cad contrasts with the prompt alone"),
    OPT_TEXT(run_args, amateur, "amateur", 0, "MODEL", "for contrast: a weaker model of the same vocabulary"),
    OPT_TEXT(run_args, grammar, "grammar", 0, "FILE", "write only what this grammar (GBNF) allows"),
    OPT_TEXT(run_args, schema, "json-schema", 0, "FILE", "write only JSON that satisfies this schema"),
    OPT_TEXT(run_args, speculate, "speculate", 0, "off|lookup", "guess that what followed once follows again; never changes the result"),
    OPT_TEXT(run_args, draft, "draft", 0, "MODEL", "guess what a smaller model of the same vocabulary says; never changes the result"),
    OPT_INT(run_args, logprobs, "logprobs", 0, "N", "with --json: log-probabilities, and N alternatives each", 1, 20),
    OPT_INT(run_args, prompt_batch, "prompt-batch", 0, "N", "prompt tokens read at once; never changes the result", 1, 8192),
    OPT_TEXT(run_args, cache, "cache", 0, "f32|f16|q8_0|q4_0", "how keys and values are kept (default f32): smaller is less exact"),
    OPT_INT(run_args, context, "context", 0, "N", "tokens the session can hold (default: the model's, at most 8192)", 8, 1e7),
    OPT_FLAG(run_args, context_shift, "context-shift", 0, "go on when the context is full, forgetting the oldest; shorten a prompt that is too long"),
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
    jsonw_key(&w, "reused"), jsonw_int(&w, (int64_t)g->n_reused);
    jsonw_key(&w, "dropped"), jsonw_int(&w, (int64_t)g->n_dropped);
    jsonw_key(&w, "guessed"), jsonw_int(&w, (int64_t)g->n_guessed);
    jsonw_key(&w, "right"), jsonw_int(&w, (int64_t)g->n_right);
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

/* --- one prompt, or a conversation -- */

/* The turns so far, and the same without the source. */
struct talk {
    VEC(struct sooth_message) with;
    VEC(struct sooth_message) without;
};

static bool talk_add(struct talk *t, const char *role, const char *source, const char *content)
{
    struct buf joined = BUF_INIT;
    bool ok = (!source[0] || buf_printf(&joined, "%s\n\n", source)) && buf_puts(&joined, content);
    struct sooth_message with = { role, ok ? buf_take(&joined) : NULL }, without = { role, mem_strdup(content) };
    if (with.content && without.content && vec_push(&t->with, with) && vec_push(&t->without, without))
        return true;
    buf_release(&joined);
    return false;
}

static void talk_release(struct talk *t)
{
    for (size_t i = 0; i < t->with.count; i++)
        mem_free((void *)t->with.items[i].content);
    for (size_t i = 0; i < t->without.count; i++)
        mem_free((void *)t->without.items[i].content);
    vec_free(&t->with);
    vec_free(&t->without);
}

/* The source stands before the first words of the user. */
static bool talk_user(struct talk *t, const struct running *r, const char *content)
{
    bool first = t->with.count == 0 || (t->with.count == 1 && r->args->system);
    return talk_add(t, "user", first ? buf_str(&r->source) : "", content);
}

static enum sooth_status talk_generate(struct running *r, const struct talk *t, struct sooth_generation *g, struct sooth_error *err)
{
    struct sooth_prompt with = { .messages = t->with.items, .n_messages = t->with.count };
    struct sooth_prompt without = { .messages = t->without.items, .n_messages = t->without.count };
    if (r->args->raw) { /* one text each */
        with = (struct sooth_prompt){ .text = t->with.items[0].content, .len = strlen(t->with.items[0].content) };
        without = (struct sooth_prompt){ .text = t->without.items[0].content, .len = strlen(t->without.items[0].content) };
    }
    r->options.without = r->source.len ? &without : NULL;
    return sooth_generate(r->session, &with, &r->options, g, err);
}

static void tell_speed(const struct running *r, const struct sooth_generation *g)
{
    char guesses[96] = "";
    if (g->n_guessed)
        snprintf(guesses, sizeof guesses, "; %zu of %zu guesses were right", g->n_right, g->n_guessed);
    if (g->n_dropped)
        cli_say(&r->args->common, "the context was full: %zu of the oldest tokens were left out", g->n_dropped);
    if (isatty(STDERR_FILENO))
        cli_say(&r->args->common, "%zu prompt tokens in %.2f s (%.0f/s), %zu generated in %.2f s (%.0f/s)%s", g->n_prompt, g->prompt_seconds,
                (double)(g->n_prompt - g->n_reused) / (g->prompt_seconds + 1e-9), g->n_tokens, g->seconds,
                (double)g->n_tokens / (g->seconds + 1e-9), guesses);
}

static int one_prompt(struct running *r, const char *prompt)
{
    struct talk talk = { 0 };
    struct sooth_generation g = { 0 };
    struct sooth_error err = { 0 };
    bool ok = (r->args->raw || !r->args->system || talk_add(&talk, "system", "", r->args->system)) && talk_user(&talk, r, prompt);
    int status = EXIT_DONE;
    if (!ok) {
        fputs("sooth: out of memory\n", stderr);
        status = EXIT_FAILED;
    } else if (talk_generate(r, &talk, &g, &err) != SOOTH_OK) {
        status = cli_fail(&err);
    } else if (r->args->common.json) {
        generation_json(r->model, &g);
    } else {
        putchar('\n');
        tell_speed(r, &g);
    }
    sooth_generation_release(&g);
    talk_release(&talk);
    return status;
}

static int converse(struct running *r)
{
    struct talk talk = { 0 };
    char *line = NULL;
    size_t cap = 0;
    int status = EXIT_DONE;
    if (r->args->system)
        talk_add(&talk, "system", "", r->args->system);
    cli_say(&r->args->common, "an empty line or Ctrl-D ends");
    for (;;) {
        struct sooth_generation g = { 0 };
        struct sooth_error err = { 0 };
        fputs("> ", stderr);
        ssize_t n = getline(&line, &cap, stdin);
        if (n <= 1)
            break;
        line[n - 1] = 0;
        if (!talk_user(&talk, r, line) || talk_generate(r, &talk, &g, &err) != SOOTH_OK) {
            status = cli_fail(&err);
            break;
        }
        putchar('\n');
        bool kept = talk_add(&talk, "assistant", "", g.text);
        sooth_generation_release(&g);
        if (!kept || cli_interrupted())
            break;
    }
    talk_release(&talk);
    free(line);
    return status;
}

/* --- opening -- */

static enum sooth_status open_grammar(struct running *r, struct sooth_error *err)
{
    const struct run_args *a = r->args;
    struct buf text = BUF_INIT;
    enum sooth_status s = file_read(a->grammar ? a->grammar : a->schema, (size_t)1 << 20, &text, err);
    if (s == SOOTH_OK)
        s = a->grammar ? sooth_grammar_gbnf(buf_str(&text), text.len, &r->grammar, err)
                       : sooth_grammar_schema(buf_str(&text), text.len, &r->grammar, err);
    r->options.grammar = r->grammar;
    buf_release(&text);
    return s;
}

static int running_open(struct running *r)
{
    const struct run_args *a = r->args;
    struct sooth_error err = { 0 };
    int status = EXIT_DONE;
    cli_sampling(&a->common, &a->sample, &r->options);
    r->options.logprobs = (unsigned)a->logprobs;
    r->options.prompt_batch = (size_t)a->prompt_batch;
    r->options.strategy = a->strategy;
    r->options.lookup = a->speculate && strcmp(a->speculate, "lookup") == 0;
    r->options.context_shift = a->context_shift;
    r->options.on_text = on_text;
    r->options.user = a->common.json ? NULL : (void *)a;
    if (a->source && file_read(a->source, (size_t)64 << 20, &r->source, &err) != SOOTH_OK)
        return cli_fail(&err);
    if (a->grammar && a->schema)
        return cli_usage(&verb_run, "--grammar and --json-schema exclude each other");
    if ((a->grammar || a->schema) && open_grammar(r, &err) != SOOTH_OK)
        return cli_fail(&err);
    if (a->amateur && !(r->amateur = cli_open_model(&a->common, a->amateur, NULL, &status)))
        return status;
    if (a->draft && !(r->draft = cli_open_model(&a->common, a->draft, NULL, &status)))
        return status;
    r->options.amateur = r->amateur;
    r->options.draft = r->draft;
    if ((status = cli_open_adapters(&a->adapters, r->model, &r->adapters)) != EXIT_DONE)
        return status;
    if (sooth_session_new(r->model, &r->session, &err) != SOOTH_OK ||
        sooth_session_wear(r->session, r->adapters.items, r->adapters.count, &err) != SOOTH_OK)
        return cli_fail(&err);
    return EXIT_DONE;
}

static int run_with(const struct run_args *a, struct sooth_model *model)
{
    struct running r = { .args = a, .model = model };
    struct buf prompt = BUF_INIT;
    int status = running_open(&r);
    bool talk = a->common.rest.count == 1 && isatty(STDIN_FILENO) && !a->raw && !a->common.json;
    if (status == EXIT_DONE && talk) {
        status = converse(&r);
    } else if (status == EXIT_DONE) {
        if (a->common.rest.count == 2)
            buf_puts(&prompt, a->common.rest.items[1]);
        else
            status = cli_read_stdin(&prompt);
        if (status == EXIT_DONE && strlen(buf_str(&prompt)) != prompt.len) {
            fputs("sooth: the prompt holds a zero byte\n", stderr);
            status = EXIT_FAILED;
        }
        if (status == EXIT_DONE)
            status = one_prompt(&r, buf_str(&prompt));
    }
    buf_release(&prompt);
    buf_release(&r.source);
    sooth_session_free(r.session);
    sooth_grammar_free(r.grammar);
    cli_close_adapters(&r.adapters);
    sooth_model_close(r.amateur);
    sooth_model_close(r.draft);
    return status;
}

static int run_run(void *p)
{
    const struct run_args *a = p;
    struct sooth_model_options options = { .threads = (unsigned)a->common.threads, .context = (size_t)a->context, .api_model = a->api_model,
        .cache = a->cache };
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
                "  sooth run smollm2 \"Name three rivers.\" --temperature 0.7 --seed 1 --json\n"
                "  sooth run smollm2 \"When was the tower built?\" --source tower.txt --strategy cad\n",
    .options = run_options, .n_options = sizeof run_options / sizeof run_options[0],
    .args_size = sizeof(struct run_args), .run = run_run,
};
