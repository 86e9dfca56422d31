/* print_answer.c: an answer for a person and as the JSON of the contract. */
#include <math.h>
#include <string.h>
#include "cli.h"

static const char *base_name(const char *doc)
{
    const char *slash = strrchr(doc, '/');
    return slash && slash[1] ? slash + 1 : doc;
}

static void sentences_print(FILE *out, const struct sooth_answer *a)
{
    struct buf line = BUF_INIT;
    for (size_t i = 0; i < a->n_sentences; i++) {
        const struct sooth_sentence *s = &a->sentences[i];
        if (s->dropped)
            continue;
        if (line.len)
            buf_putc(&line, ' ');
        buf_puts(&line, s->text);
        for (size_t c = 0; c < s->n_citations; c++)
            buf_printf(&line, "%s[%zu]", c ? "" : " ", s->citations[c]);
    }
    cli_wrap(out, line.len ? buf_str(&line) : a->answer, 0, cli_width());
    buf_release(&line);
}

static void citation_print(FILE *out, const struct sooth_citation *c)
{
    fprintf(out, "%s[%zu]%s ", cli_paint(out, "\033[36m"), c->n, cli_paint(out, "\033[0m"));
    cli_safe(out, base_name(c->doc), strlen(base_name(c->doc)));
    if (c->page && c->page_label)
        fprintf(out, ", page %zu (printed %s)", c->page, c->page_label);
    else if (c->page)
        fprintf(out, ", page %zu", c->page);
    fprintf(out, "\n%s", cli_paint(out, "\033[2m"));
    cli_wrap(out, c->quote, 4, cli_width());
    fputs(cli_paint(out, "\033[0m"), out);
}

void answer_print(FILE *out, const struct sooth_answer *a, bool why)
{
    if (a->abstained) {
        cli_wrap(out, a->answer && *a->answer ? a->answer : "The documents do not answer this.", 0, cli_width());
        if (a->reason)
            fprintf(out, "%s(%s)%s\n", cli_paint(out, "\033[2m"), a->reason, cli_paint(out, "\033[0m"));
    } else {
        fputs(cli_paint(out, "\033[1m"), out);
        sentences_print(out, a);
        fputs(cli_paint(out, "\033[0m"), out);
        if (a->n_citations)
            fputc('\n', out);
        for (size_t i = 0; i < a->n_citations; i++)
            citation_print(out, &a->citations[i]);
    }
    for (size_t i = 0; why && i < a->n_sentences; i++) {
        const struct sooth_sentence *s = &a->sentences[i];
        fprintf(out, "  %s %.2f%s  ", sooth_verdict_name(s->verdict), s->score, s->dropped ? ", left out" : "");
        cli_safe(out, s->text, strlen(s->text));
        if (s->why)
            fprintf(out, "\n      %s", s->why);
        fputc('\n', out);
    }
}

static void page_json(struct json_writer *w, size_t page)
{
    jsonw_key(w, "page");
    if (page)
        jsonw_int(w, (int64_t)page);
    else
        jsonw_null(w);
}

static void sentences_json(struct json_writer *w, const struct sooth_answer *a)
{
    jsonw_key(w, "sentences");
    jsonw_array(w);
    for (size_t i = 0; i < a->n_sentences; i++) {
        const struct sooth_sentence *s = &a->sentences[i];
        jsonw_object(w);
        jsonw_key(w, "text"), jsonw_string(w, s->text);
        jsonw_key(w, "verdict"), jsonw_string(w, sooth_verdict_name(s->verdict));
        jsonw_key(w, "score"), jsonw_double(w, s->score, 4);
        jsonw_key(w, "citations");
        jsonw_array(w);
        for (size_t c = 0; c < s->n_citations; c++)
            jsonw_int(w, (int64_t)s->citations[c]);
        jsonw_end_array(w);
        jsonw_key(w, "dropped"), jsonw_bool(w, s->dropped);
        jsonw_key(w, "why"), jsonw_string(w, s->why);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void citations_json(struct json_writer *w, const struct sooth_answer *a)
{
    jsonw_key(w, "citations");
    jsonw_array(w);
    for (size_t i = 0; i < a->n_citations; i++) {
        const struct sooth_citation *c = &a->citations[i];
        jsonw_object(w);
        jsonw_key(w, "n"), jsonw_int(w, (int64_t)c->n);
        jsonw_key(w, "doc"), jsonw_string(w, c->doc);
        jsonw_key(w, "title"), jsonw_string(w, c->title);
        page_json(w, c->page);
        jsonw_key(w, "start"), jsonw_int(w, (int64_t)c->start);
        jsonw_key(w, "end"), jsonw_int(w, (int64_t)c->end);
        jsonw_key(w, "quote"), jsonw_string(w, c->quote);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void retrieved_json(struct json_writer *w, const struct sooth_answer *a)
{
    jsonw_key(w, "retrieved");
    jsonw_array(w);
    for (size_t i = 0; i < a->retrieved.count; i++) {
        const struct sooth_hit *h = &a->retrieved.items[i];
        jsonw_object(w);
        jsonw_key(w, "rank"), jsonw_int(w, (int64_t)h->rank);
        jsonw_key(w, "doc"), jsonw_string(w, h->doc);
        page_json(w, h->page);
        jsonw_key(w, "start"), jsonw_int(w, (int64_t)h->start);
        jsonw_key(w, "end"), jsonw_int(w, (int64_t)h->end);
        jsonw_key(w, "score"), jsonw_double(w, h->score, 6);
        jsonw_key(w, "text"), jsonw_string(w, h->text);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void numbers_json(struct json_writer *w, const struct sooth_answer *a)
{
    jsonw_key(w, "queries");
    jsonw_array(w);
    for (size_t i = 0; i < a->n_queries; i++)
        jsonw_string(w, a->queries[i]);
    jsonw_end_array(w);
    jsonw_key(w, "seconds");
    jsonw_object(w);
    jsonw_key(w, "retrieve"), jsonw_double(w, a->retrieve_seconds, 4);
    jsonw_key(w, "generate"), jsonw_double(w, a->generate_seconds, 4);
    jsonw_key(w, "verify"), jsonw_double(w, a->verify_seconds, 4);
    jsonw_key(w, "total"), jsonw_double(w, a->total_seconds, 4);
    jsonw_end_object(w);
    jsonw_key(w, "tokens");
    jsonw_object(w);
    jsonw_key(w, "prompt"), jsonw_int(w, (int64_t)a->prompt_tokens);
    jsonw_key(w, "answer"), jsonw_int(w, (int64_t)a->answer_tokens);
    jsonw_end_object(w);
}

void answer_json(const struct sooth_answer *a, const char *id, struct buf *line)
{
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "id"), jsonw_string(&w, id);
    jsonw_key(&w, "question"), jsonw_string(&w, a->question);
    jsonw_key(&w, "answer"), jsonw_string(&w, a->abstained ? "" : a->answer);
    jsonw_key(&w, "abstained"), jsonw_bool(&w, a->abstained);
    jsonw_key(&w, "reason"), jsonw_string(&w, a->reason);
    jsonw_key(&w, "mode"), jsonw_string(&w, a->mode);
    sentences_json(&w, a);
    citations_json(&w, a);
    retrieved_json(&w, a);
    numbers_json(&w, a);
    jsonw_end_object(&w);
}
