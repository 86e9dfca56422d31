/* cmd_chat.c: `sooth chat`: `ask` as a conversation; follow-ups are made standalone. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "asking.h"
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/vec.h"

extern const struct verb_row verb_chat;

struct chat_args {
    struct common_args common;
    struct asking_args asking;
};

static const struct option_row chat_options[] = { ASKING_OPTIONS(chat_args) };

struct conversation {
    VEC(struct sooth_message) turns;
    struct sooth_answer last;
    bool has_last;
};

static bool turn_add(struct conversation *c, const char *role, const char *text)
{
    char *copy = mem_strdup(text);
    struct sooth_message m = { role, copy };
    return copy && vec_push(&c->turns, m);
}

static void conversation_release(struct conversation *c)
{
    for (size_t i = 0; i < c->turns.count; i++)
        mem_free((void *)c->turns.items[i].content);
    vec_free(&c->turns);
    if (c->has_last)
        sooth_answer_release(&c->last);
}

static void sources_print(const struct sooth_answer *a)
{
    for (size_t i = 0; i < a->retrieved.count; i++) {
        const struct sooth_hit *h = &a->retrieved.items[i];
        printf("%2zu  %.3f  ", h->rank, h->score);
        cli_safe(stdout, h->doc, strlen(h->doc));
        if (h->page)
            printf(", page %zu", h->page);
        putchar('\n');
    }
}

static void save(const struct conversation *c, const char *path)
{
    struct buf text = BUF_INIT;
    struct sooth_error err = { 0 };
    for (size_t i = 0; i < c->turns.count; i++)
        buf_printf(&text, "**%s**: %s\n\n", c->turns.items[i].role, c->turns.items[i].content);
    if (!*path)
        fprintf(stderr, "sooth: /save wants a file name\n");
    else if (text.failed || file_write_atomic(path, text.len ? text.data : "", text.len, &err) != SOOTH_OK)
        cli_fail(&err);
    else
        fprintf(stderr, "saved %s\n", path);
    buf_release(&text);
}

static bool command(const struct conversation *c, const char *line)
{
    if (line[0] != '/')
        return false;
    if (strncmp(line, "/save", 5) == 0)
        save(c, line + 5 + strspn(line + 5, " "));
    else if (strcmp(line, "/sources") == 0 && c->has_last)
        sources_print(&c->last);
    else if (strcmp(line, "/why") == 0 && c->has_last)
        answer_print(stdout, &c->last, true);
    else if (strcmp(line, "/help") != 0 && !c->has_last)
        fprintf(stderr, "ask something first\n");
    else
        fprintf(stderr, "/sources  what was found\n/why      how each sentence was judged\n/save FILE  the conversation as Markdown\n");
    return true;
}

static int turn(struct conversation *c, struct asking *k, const char *question, bool json)
{
    struct sooth_ask_options options;
    struct sooth_answer answer = { 0 };
    struct sooth_error err = { 0 };
    asking_options(k, &options);
    options.history = c->turns.items;
    options.n_history = c->turns.count;
    if (sooth_ask(k->kb, k->session, question, &options, &answer, &err) != SOOTH_OK)
        return cli_fail(&err);
    if (json) {
        struct buf line = BUF_INIT;
        answer_json(&answer, NULL, &line);
        cli_json_line(&line);
        buf_release(&line);
    } else {
        if (answer.standalone && strcmp(answer.standalone, question) != 0)
            cli_say(k->common, "(searched: %s)", answer.standalone);
        answer_print(stdout, &answer, false);
    }
    if (c->has_last)
        sooth_answer_release(&c->last);
    c->last = answer;
    c->has_last = true;
    bool kept = turn_add(c, "user", question) && turn_add(c, "assistant", answer.answer ? answer.answer : "");
    return kept ? EXIT_DONE : EXIT_FAILED;
}

static int chat_loop(struct conversation *c, struct asking *k, bool json)
{
    char *line = NULL;
    size_t cap = 0;
    int status = EXIT_DONE;
    bool terminal = isatty(STDIN_FILENO);
    ssize_t n;
    while (status == EXIT_DONE && !cli_interrupted()) {
        if (terminal)
            fputs("> ", stderr);
        if ((n = getline(&line, &cap, stdin)) < 0)
            break;
        while (n > 0 && strchr("\r\n", line[n - 1]))
            line[--n] = 0;
        if (n == 0 || command(c, line))
            continue;
        status = turn(c, k, line, json);
        fflush(stdout);
    }
    free(line);
    return status;
}

static int chat_run(void *p)
{
    const struct chat_args *a = p;
    struct conversation c = { 0 };
    struct asking k;
    if (a->common.rest.count)
        return cli_usage(&verb_chat, "chat takes its questions from standard input");
    cli_catch_interrupt();
    int status = asking_open(&k, &a->common, &a->asking);
    if (status == EXIT_DONE) {
        if (isatty(STDIN_FILENO))
            cli_say(&a->common, "ask away; /sources, /why, /save FILE; Ctrl-D ends");
        status = chat_loop(&c, &k, a->common.json);
    }
    conversation_release(&c);
    asking_close(&k);
    return status;
}

const struct verb_row verb_chat = {
    .name = "chat", .group = "knowledge", .usage = "", .summary = "ask as a conversation",
    .about = "One question a line. A follow-up such as \"and the second year?\" is made standalone before it is searched; what was\n"
             "searched is shown. /sources lists the passages of the last answer, /why how each sentence was judged, /save FILE\n"
             "writes the conversation as Markdown. With --json, one object a turn.",
    .examples = "  sooth chat\n  printf 'How long is the lease?\\nAnd the deposit?\\n' | sooth chat --json\n",
    .options = chat_options, .n_options = sizeof chat_options / sizeof chat_options[0],
    .args_size = sizeof(struct chat_args), .run = chat_run,
};
