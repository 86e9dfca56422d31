/* cmd_ask.c: `sooth ask`: a cited, checked answer from the documents. */
#include <stdlib.h>
#include <string.h>
#include "asking.h"
#include "core/base/alloc.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_ask;

struct ask_args {
    struct common_args common;
    struct asking_args asking;
    const char *batch;
    bool why;
};

static const struct option_row ask_options[] = {
    ASKING_OPTIONS(ask_args),
    OPT_TEXT(ask_args, batch, "batch", 0, "FILE", "questions as JSON Lines: {\"id\", \"question\", \"history\"?}"),
    OPT_FLAG(ask_args, why, "why", 0, "also show how each sentence was judged"),
};

static int ask_one(const struct ask_args *a, struct asking *k, const char *id, const char *question, const struct sooth_message *history,
                   size_t n_history, bool json)
{
    struct sooth_ask_options options;
    struct sooth_answer answer = { 0 };
    struct sooth_error err = { 0 };
    asking_options(k, &options);
    options.history = history;
    options.n_history = n_history;
    if (sooth_ask(k->kb, k->session, question, &options, &answer, &err) != SOOTH_OK)
        return cli_fail(&err);
    if (json) {
        struct buf line = BUF_INIT;
        answer_json(&answer, id, &line);
        cli_json_line(&line);
        buf_release(&line);
    } else {
        answer_print(stdout, &answer, a->why);
    }
    int status = answer.abstained ? EXIT_ABSTAINED : EXIT_DONE;
    sooth_answer_release(&answer);
    return status;
}

/* --- batch -- */

static int batch_row(const struct ask_args *a, struct asking *k, const char *line, size_t len, size_t n)
{
    struct arena arena;
    struct sooth_error err = { 0 };
    char number[32];
    arena_init(&arena, (size_t)64 << 20);
    const struct json *row = json_parse(&arena, line, len, 0, NULL, &err);
    const char *question = row ? json_string(row, "question", NULL) : NULL;
    int status = EXIT_FAILED;
    if (!question) {
        fprintf(stderr, "sooth: '%s' line %zu: %s\n", a->batch, n, row ? "no question" : err.text);
    } else {
        const struct json *turns = json_get(row, "history"), *id = json_get(row, "id");
        size_t count = turns && turns->type == JSON_ARRAY ? turns->len : 0, i = 0;
        struct sooth_message *history = arena_calloc(&arena, count + 1, sizeof *history);
        for (const struct json *t = history && count ? turns->child : NULL; t; t = t->next, i++)
            history[i] = (struct sooth_message){ json_string(t, "role", "user"), json_string(t, "content", "") };
        snprintf(number, sizeof number, "%zu", n);
        status = ask_one(a, k, id && id->text ? id->text : number, question, history, i, true);
    }
    arena_release(&arena);
    return status;
}

static int batch_run(const struct ask_args *a, struct asking *k)
{
    struct buf text = BUF_INIT;
    struct sooth_error err = { 0 };
    int status = EXIT_DONE;
    if (file_read(a->batch, (size_t)256 << 20, &text, &err) != SOOTH_OK) {
        buf_release(&text);
        return cli_fail(&err);
    }
    struct progress progress;
    progress_begin(&progress, &a->common, "asking");
    size_t n = 0;
    for (size_t i = 0; i < text.len && !cli_interrupted();) {
        const char *line = text.data + i, *end = memchr(line, '\n', text.len - i);
        size_t len = end ? (size_t)(end - line) : text.len - i;
        i += len + 1;
        n++;
        if (len && batch_row(a, k, line, len, n) == EXIT_FAILED)
            status = EXIT_FAILED;
        progress_set(&progress, i < text.len ? i : text.len, text.len);
    }
    progress_end(&progress);
    buf_release(&text);
    return status;
}

static int ask_run(void *p)
{
    const struct ask_args *a = p;
    struct asking k;
    if (a->common.rest.count != (a->batch ? 0 : 1))
        return cli_usage(&verb_ask, "ask wants one question, in quotes%s", a->batch ? ", or --batch FILE, not both" : "");
    cli_catch_interrupt();
    int status = asking_open(&k, &a->common, &a->asking);
    if (status == EXIT_DONE)
        status = a->batch ? batch_run(a, &k) : ask_one(a, &k, NULL, a->common.rest.items[0], NULL, 0, a->common.json);
    asking_close(&k);
    return status;
}

const struct verb_row verb_ask = {
    .name = "ask", .group = "knowledge", .usage = "QUESTION", .summary = "a cited, checked answer from the documents",
    .about = "Searches, answers from the passages found, and checks every sentence of the answer against them: what no passage\n"
             "supports is left out. When the documents do not answer, it says so and exits with status 3. With a weak model\n"
             "(below a billion parameters) the answer is quoted from the documents; '--answer generate' has it written all the same.",
    .examples = "  sooth ask \"How long is the notice period?\"\n  sooth ask \"年假有几天？\" --json\n  sooth ask --batch questions.jsonl > answers.jsonl\n",
    .options = ask_options, .n_options = sizeof ask_options / sizeof ask_options[0],
    .args_size = sizeof(struct ask_args), .run = ask_run,
};
