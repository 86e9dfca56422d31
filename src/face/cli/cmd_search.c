/* cmd_search.c: `sooth search`: the passages nearest to a question. */
#include <math.h>
#include <string.h>
#include "cli.h"

extern const struct verb_row verb_search;

struct search_args {
    struct common_args common;
    struct kb_args kb;
    const char *mode, *filter, *rewrite, *k, *fusion;
    double diversity;
    double min_score;
    bool explain, no_rerank, snippets;
};

static const struct option_row search_options[] = {
    KB_OPTIONS(search_args),
    OPT_TEXT(search_args, mode, "mode", 0, "hybrid|vector|text|sql|graph", "how to search (default hybrid: by meaning and words, fused and reranked)"),
    OPT_TEXT(search_args, k, "count", 'k', "N", "how many passages (default 10), or 'auto': as many as the evidence is worth"),
    OPT_TEXT(search_args, filter, "filter", 0, "EXPR", "only passages that match, such as \"year=2024 and page<10\""),
    OPT_REAL(search_args, min_score, "min-score", 0, "X", "leave out passages below this similarity", -1e9, 1e9),
    OPT_TEXT(search_args, rewrite, "rewrite", 0, "none|hyde|query2doc|multi|sub|stepback|rm3", "search for more than the question (default none)"),
    OPT_TEXT(search_args, fusion, "fusion", 0, "evidence|rrf|relative", "what orders the candidates of the hybrid mode (default evidence)"),
    OPT_REAL(search_args, diversity, "diversity", 0, "X", "towards 1, passages unlike those above them come first (hybrid mode)", 0, 1),
    OPT_FLAG(search_args, no_rerank, "no-rerank", 0, "skip the late-interaction reranking of the hybrid mode"),
    OPT_FLAG(search_args, snippets, "snippets", 0, "show only the part that matches, its words marked"),
    OPT_FLAG(search_args, explain, "explain", 0, "show each stage's score and rank"),
};

static void stage(struct json_writer *w, const char *key, double v)
{
    jsonw_key(w, key);
    jsonw_double(w, v, 6); /* NAN becomes null */
}

/* Marks as offsets into the extracted text, like start and end. */
static void snippet_json(const struct sooth_hit *h, const char *query, struct json_writer *w)
{
    struct sooth_snippet s;
    if (sooth_snippet_make(query, h->text, strlen(h->text), 0, &s, NULL) != SOOTH_OK)
        return;
    jsonw_key(w, "snippet"), jsonw_stringn(w, h->text + s.start, s.end - s.start);
    jsonw_key(w, "marks"), jsonw_array(w);
    for (size_t i = 0; i < s.n_marks; i++) {
        jsonw_array(w);
        jsonw_int(w, (int64_t)(h->start + s.marks[i].start));
        jsonw_int(w, (int64_t)(h->start + s.marks[i].end));
        jsonw_end_array(w);
    }
    jsonw_end_array(w);
}

static void snippet_print(const struct sooth_hit *h, const char *query)
{
    struct sooth_snippet s;
    if (sooth_snippet_make(query, h->text, strlen(h->text), 0, &s, NULL) != SOOTH_OK)
        return;
    bool color = cli_color(stdout);
    size_t at = s.start;
    fputs("    ", stdout);
    for (size_t i = 0; i < s.n_marks; i++) {
        cli_safe(stdout, h->text + at, s.marks[i].start - at);
        fputs(color ? "\033[1m" : "[", stdout);
        cli_safe(stdout, h->text + s.marks[i].start, s.marks[i].end - s.marks[i].start);
        fputs(color ? "\033[0m" : "]", stdout);
        at = s.marks[i].end;
    }
    cli_safe(stdout, h->text + at, s.end - at);
    putchar('\n');
}

static void hit_json(const struct sooth_hit *h, const char *query, const struct search_args *a, struct buf *line)
{
    bool explain = a->explain;
    struct json_writer w;
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "rank"), jsonw_int(&w, (int64_t)h->rank);
    jsonw_key(&w, "score"), jsonw_double(&w, h->score, 6);
    jsonw_key(&w, "doc"), jsonw_string(&w, h->doc);
    jsonw_key(&w, "title"), jsonw_string(&w, h->title);
    jsonw_key(&w, "page");
    if (h->page)
        jsonw_int(&w, (int64_t)h->page);
    else
        jsonw_null(&w);
    jsonw_key(&w, "start"), jsonw_int(&w, (int64_t)h->start);
    jsonw_key(&w, "end"), jsonw_int(&w, (int64_t)h->end);
    jsonw_key(&w, "text"), jsonw_string(&w, h->text);
    if (a->snippets)
        snippet_json(h, query, &w);
    if (explain) {
        jsonw_key(&w, "heading"), jsonw_string(&w, h->heading);
        stage(&w, "vector_score", h->vector_score);
        stage(&w, "text_score", h->text_score);
        stage(&w, "rerank_score", h->rerank_score);
        jsonw_key(&w, "vector_rank"), jsonw_int(&w, (int64_t)h->vector_rank);
        jsonw_key(&w, "text_rank"), jsonw_int(&w, (int64_t)h->text_rank);
    }
    jsonw_end_object(&w);
    cli_json_line(line);
}

static void hit_print(const struct sooth_hit *h, const char *query, const struct search_args *a)
{
    bool explain = a->explain;
    printf("%s%zu%s  %.3f  ", cli_paint(stdout, "\033[1m"), h->rank, cli_paint(stdout, "\033[0m"), h->score);
    cli_safe(stdout, h->doc, strlen(h->doc));
    if (h->page)
        printf(", page %zu", h->page);
    if (h->heading && *h->heading) {
        fputs("  ", stdout);
        cli_safe(stdout, h->heading, strlen(h->heading));
    }
    putchar('\n');
    if (explain)
        printf("    vector %.4f (rank %zu)  text %.4f (rank %zu)  rerank %.4f\n", h->vector_score, h->vector_rank, h->text_score,
               h->text_rank, h->rerank_score);
    if (a->snippets)
        snippet_print(h, query);
    else
        cli_wrap(stdout, h->text, 4, cli_width());
}

/* What was worked out comes before the rows it rests on. */
static void answer_show(const struct search_args *a, const struct sooth_hits *h, struct buf *line)
{
    struct json_writer w;
    if (!h->answer)
        return;
    if (!a->common.json) {
        cli_wrap(stdout, h->answer, 0, cli_width());
        if (a->explain)
            printf("    %s\n", h->sql);
        return;
    }
    jsonw_init(&w, line);
    jsonw_object(&w);
    jsonw_key(&w, "answer"), jsonw_string(&w, h->answer);
    jsonw_key(&w, "sql"), jsonw_string(&w, h->sql);
    jsonw_key(&w, "rows"), jsonw_int(&w, (int64_t)h->candidates);
    jsonw_end_object(&w);
    cli_json_line(line);
}

static int search_run(void *p)
{
    const struct search_args *a = p;
    struct sooth_error err = { 0 };
    struct sooth_hits hits = { 0 };
    struct sooth_search_options options;
    struct buf line = BUF_INIT;
    int status;
    if (a->common.rest.count != 1)
        return cli_usage(&verb_search, "search wants one question, in quotes");
    sooth_search_options_init(&options);
    if ((status = cli_count(a->k, &options.k)) != EXIT_DONE)
        return status;
    struct sooth_kb *kb = cli_open_kb(&a->common, &a->kb, false, true, &status);
    if (!kb)
        return status;
    if (a->mode)
        sooth_search_mode_parse(a->mode, &options.mode);
    options.adaptive = a->k && strcmp(a->k, "auto") == 0;
    options.rewrite = a->rewrite;
    options.diversity = a->diversity;
    if (a->fusion)
        options.fusion = strcmp(a->fusion, "rrf") == 0 ? SOOTH_FUSE_RRF
                         : strcmp(a->fusion, "relative") == 0 ? SOOTH_FUSE_RELATIVE
                                                              : SOOTH_FUSE_EVIDENCE;
    options.filter = a->filter;
    options.explain = a->explain;
    options.rerank = !a->no_rerank;
    if (a->min_score != 0)
        options.min_score = a->min_score;
    if (sooth_search(kb, a->common.rest.items[0], &options, &hits, &err) != SOOTH_OK)
        status = cli_fail(&err);
    answer_show(a, &hits, &line);
    for (size_t i = 0; i < hits.count; i++)
        if (a->common.json)
            hit_json(&hits.items[i], a->common.rest.items[0], a, &line);
        else
            hit_print(&hits.items[i], a->common.rest.items[0], a);
    for (size_t i = 0; i < hits.n_queries && a->explain; i++)
        cli_say(&a->common, "also searched: %s", hits.queries[i]);
    if (status == EXIT_DONE && a->explain && hits.reason && hits.count)
        cli_say(&a->common, "%s", hits.reason);
    if (status == EXIT_DONE && a->explain)
        cli_say(&a->common, "%zu candidates, %zu reranked, %zu shown, %.3f s", hits.candidates, hits.reranked, hits.count, hits.seconds);
    if (status == EXIT_DONE && hits.count == 0)
        cli_say(&a->common, "nothing found%s%s", hits.reason ? ": " : "", hits.reason ? hits.reason : "");
    sooth_hits_release(&hits);
    buf_release(&line);
    sooth_kb_close(kb);
    return status;
}

const struct verb_row verb_search = {
    .name = "search", .group = "knowledge", .usage = "QUESTION", .summary = "the passages nearest to a question",
    .about = "Searches by meaning (vectors) and by words (BM25), fuses both and reranks the best. The question is plain text:\n"
             "no sign in it is query syntax. The score is one similarity: it falls as distance grows, in every mode.",
    .examples = "  sooth search \"notice period\" -k 5\n  sooth search \"续租\" --mode text --json\n"
                "  sooth search \"average body mass by species\" --mode sql\n",
    .options = search_options, .n_options = sizeof search_options / sizeof search_options[0],
    .args_size = sizeof(struct search_args), .run = search_run,
};
