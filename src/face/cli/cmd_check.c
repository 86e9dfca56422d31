/* cmd_check.c: `sooth check`: is each sentence of a text true to its sources? */
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "core/base/fsio.h"

extern const struct verb_row verb_check;

struct check_args {
    struct common_args common;
    struct kb_args kb;
    const char *answer;
    struct text_list sources;
};

static const struct option_row check_options[] = {
    OPT_TEXT(check_args, answer, "answer", 0, "FILE|TEXT", "what to check: a file, or the text itself; '-' is standard input"),
    OPT_LIST(check_args, sources, "source", 0, "FILE", "a text it must be true to (may be given again)"),
    KB_OPTIONS(check_args),
};

/* A name that opens as a file is the file. */
static int answer_read(const char *answer, struct buf *out)
{
    struct sooth_error err = { 0 };
    if (strcmp(answer, "-") == 0)
        return cli_read_stdin(out);
    if (!file_exists(answer) || file_is_dir(answer))
        return buf_puts(out, answer) ? EXIT_DONE : EXIT_FAILED;
    return file_read(answer, (size_t)64 << 20, out, &err) == SOOTH_OK ? EXIT_DONE : cli_fail(&err);
}

static int sources_read(const struct check_args *a, struct buf *texts, const char **items)
{
    struct sooth_error err = { 0 };
    for (size_t i = 0; i < a->sources.count; i++) {
        if (file_read(a->sources.items[i], (size_t)64 << 20, &texts[i], &err) != SOOTH_OK)
            return cli_fail(&err);
        items[i] = buf_str(&texts[i]);
    }
    return EXIT_DONE;
}

static bool any_unsupported(const struct sooth_answer *r)
{
    for (size_t i = 0; i < r->n_sentences; i++)
        if (r->sentences[i].verdict != SOOTH_SUPPORTED)
            return true;
    return false;
}

static void result_print(const struct check_args *a, const struct sooth_answer *r)
{
    if (a->common.json) {
        struct buf line = BUF_INIT;
        answer_json(r, NULL, &line);
        cli_json_line(&line);
        buf_release(&line);
        return;
    }
    for (size_t i = 0; i < r->n_sentences; i++) {
        const struct sooth_sentence *s = &r->sentences[i];
        const char *paint = s->verdict == SOOTH_SUPPORTED ? "\033[32m" : s->verdict == SOOTH_PARTLY ? "\033[33m" : "\033[31m";
        printf("%s%-12s%s %.2f  ", cli_paint(stdout, paint), sooth_verdict_name(s->verdict), cli_paint(stdout, "\033[0m"), s->score);
        cli_safe(stdout, s->text, strlen(s->text));
        printf("\n");
        if (s->why)
            printf("                   %s\n", s->why);
        for (size_t c = 0; c < s->n_citations; c++)
            for (size_t j = 0; j < r->n_citations; j++)
                if (r->citations[j].n == s->citations[c]) {
                    fputs("                   ", stdout);
                    cli_safe(stdout, r->citations[j].doc, strlen(r->citations[j].doc));
                    fputs(": ", stdout);
                    cli_safe(stdout, r->citations[j].quote, strlen(r->citations[j].quote));
                    putchar('\n');
                }
    }
}

static int check_texts(const struct check_args *a, struct sooth_kb *kb, const char *const *sources, const struct buf *text)
{
    struct sooth_answer result = { 0 };
    struct sooth_error err = { 0 };
    if (sooth_check(kb, sources, a->sources.count, buf_str(text), text->len, &result, &err) != SOOTH_OK)
        return cli_fail(&err);
    result_print(a, &result);
    int status = any_unsupported(&result) ? EXIT_ABSTAINED : EXIT_DONE;
    sooth_answer_release(&result);
    return status;
}

static int check_run(void *p)
{
    const struct check_args *a = p;
    struct buf text = BUF_INIT;
    int status;
    if (!a->answer || a->common.rest.count)
        return cli_usage(&verb_check, "check wants --answer, and --source or --kb");
    size_t n = a->sources.count;
    struct buf *texts = mem_calloc(n + 1, sizeof *texts);
    const char **items = mem_calloc(n + 1, sizeof *items);
    struct sooth_kb *kb = NULL;
    status = texts && items ? answer_read(a->answer, &text) : EXIT_FAILED;
    if (status == EXIT_DONE)
        status = sources_read(a, texts, items);
    if (status == EXIT_DONE && n == 0)
        kb = cli_open_kb(&a->common, &a->kb, false, true, &status);
    if (status == EXIT_DONE)
        status = check_texts(a, kb, items, &text);
    for (size_t i = 0; texts && i < n; i++)
        buf_release(&texts[i]);
    mem_free(texts);
    mem_free(items);
    buf_release(&text);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_check = {
    .name = "check", .group = "measuring", .usage = "--answer FILE|TEXT [--source FILE... | --kb DIR]", .summary = "is each sentence true to its sources?",
    .about = "Splits a text into sentences and checks each against the sources: numbers, names, dates, negation, and support.\n"
             "Exit status 3 when a sentence is not supported.",
    .examples = "  sooth check --answer \"The lease runs for 5 years.\" --source lease.txt\n  sooth check --answer summary.txt --kb .sooth --json\n",
    .options = check_options, .n_options = sizeof check_options / sizeof check_options[0],
    .args_size = sizeof(struct check_args), .run = check_run,
};
