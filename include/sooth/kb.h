/* sooth/kb.h: a knowledge base: documents in, cited and checked answers out.
 *
 * One knowledge base is one directory with one SQLite database. Several processes may read while one writes.
 * Ownership: results are released by their _release function and are empty after a failure.
 * Thread use: one struct sooth_kb belongs to one thread at a time; open several for several threads. */
#ifndef SOOTH_KB_H
#define SOOTH_KB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sooth/error.h"
#include "sooth/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sooth_kb;

struct sooth_kb_options {
    const char *embedder;   /* a name for sooth_model_open; NULL = what the store remembers, else "e5" */
    const char *metric;     /* "cosine" (default), "dot", "l2", "l1": fixed when the store is made */
    unsigned threads;       /* 0 = granted cores */
    bool create;            /* make the store if there is none; otherwise that is SOOTH_ERR_NOTFOUND */
    bool read_only;
    bool reembed;           /* embed every chunk again with `embedder`, which then belongs to the store */
    size_t chunk_tokens;    /* 0 = the embedder's own good size; fixed when the store is made */
    const char *split;      /* how documents are cut: a row of sooth_kb_list("splitter"), NULL = what the store remembers,
                               else "sentence"; fixed when the store is made. Kept by pointer while the store is open */
};

/* A store remembers its embedder (fingerprint, dimension, prefixes). Another one is SOOTH_ERR_ARG, with the command
 * that re-embeds as the hint. The embedder itself is loaded when first needed. */
enum sooth_status sooth_kb_open(const char *dir, const struct sooth_kb_options *options, struct sooth_kb **out, struct sooth_error *err);
void sooth_kb_close(struct sooth_kb *kb);

/* --- documents --------------------------------------------------------------------------------------------- */

enum sooth_add_status { SOOTH_ADDED, SOOTH_UNCHANGED, SOOTH_UPDATED, SOOTH_NO_TEXT, SOOTH_FAILED, SOOTH_SKIPPED,
                        SOOTH_FORGOTTEN /* by sooth_kb_watch only: its file is gone */ };
struct sooth_added {                /* one file; strings live for the callback only */
    const char *file, *doc;         /* path as given; identity: normalised path */
    enum sooth_add_status status;
    size_t pages, chunks, embedded; /* embedded: chunks whose vectors had to be computed */
    size_t bytes;
    const char *encoding;           /* NULL when the format has none */
    const char *error;              /* NULL unless FAILED, NO_TEXT or a warning */
    double seconds;
    size_t done, total;             /* files so far and in all */
};
const char *sooth_add_status_name(enum sooth_add_status s); /* "added", "unchanged", ... */
typedef bool sooth_added_fn(void *user, const struct sooth_added *file); /* false stops cleanly after this file */
/* Within one big file: chunks embedded, or pages read by OCR so far; total 0 and file NULL when there is nothing to
 * tell. Called a few times a second; false stops. */
typedef bool sooth_add_progress_fn(void *user, const char *file, size_t done, size_t total);

struct sooth_tag { const char *key, *value; };
struct sooth_add_options {
    const char *const *include, *const *exclude; /* glob patterns on the path or its last part */
    size_t n_include, n_exclude;
    const struct sooth_tag *tags;
    size_t n_tags;
    const char *encoding;          /* override; NULL = detect */
    const char *ocr;               /* NULL or "auto": pages without usable text and pictures; "always": every page; "never" */
    sooth_added_fn *on_file;
    sooth_add_progress_fn *on_progress;
    void *user;
};
struct sooth_add_totals { size_t added, unchanged, updated, no_text, failed, skipped, chunks, embedded; double seconds; };

/* Files and directories (walked in sorted order, hidden entries left out, links to directories not followed).
 * One transaction a document: what is killed halfway is simply done by the next run. A file that fails costs its
 * own line; the call itself fails only when nothing more can be done. options and totals may be NULL. */
enum sooth_status sooth_kb_add(struct sooth_kb *kb, const char *const *paths, size_t n, const struct sooth_add_options *options,
                               struct sooth_add_totals *totals, struct sooth_error *err);
/* Adds the paths, then follows them until on_progress says stop: files that appear or change are added, files that
 * vanish are forgotten (also those that vanished before it began; nothing is, where a folder is all empty). */
enum sooth_status sooth_kb_watch(struct sooth_kb *kb, const char *const *paths, size_t n, const struct sooth_add_options *options,
                                 struct sooth_error *err);
enum sooth_status sooth_kb_add_bytes(struct sooth_kb *kb, const char *name, const void *bytes, size_t len,
                                     const struct sooth_add_options *options, struct sooth_add_totals *totals, struct sooth_error *err);

struct sooth_doc { const char *doc, *title, *format, *encoding, *hash; size_t chunks, pages, bytes; const char *added; };
typedef bool sooth_doc_fn(void *user, const struct sooth_doc *doc);
enum sooth_status sooth_kb_docs(struct sooth_kb *kb, sooth_doc_fn *fn, void *user, struct sooth_error *err);
/* doc: identity, path (relative or absolute), or unique file name. Clears every index in one transaction.
 * SOOTH_ERR_NOTFOUND when there is none; an ambiguous file name is SOOTH_ERR_ARG and lists the candidates. */
enum sooth_status sooth_kb_forget(struct sooth_kb *kb, const char *doc, struct sooth_error *err);
/* Rewrites the database so that no byte of forgotten text is left in any file. */
enum sooth_status sooth_kb_compact(struct sooth_kb *kb, uint64_t *before, uint64_t *after, struct sooth_error *err);
/* Counts of problems found by comparing every index with the chunks; each told to fn as one line. */
typedef void sooth_line_fn(void *user, const char *line);
enum sooth_status sooth_kb_check(struct sooth_kb *kb, sooth_line_fn *fn, void *user, size_t *problems, struct sooth_error *err);

struct sooth_kb_info { const char *path, *embedder, *metric, *fingerprint; size_t dim, docs, chunks, chunk_tokens; uint64_t bytes; int schema; };
enum sooth_status sooth_kb_info(struct sooth_kb *kb, struct sooth_kb_info *out, struct sooth_error *err);

/* The tables of knowledge bases ("format": kinds of documents ...) and their rows, for listings: NULL past the end. */
const char *sooth_kb_list_tables(size_t i);
const char *sooth_kb_list(const char *table, size_t i, const char **note);

/* --- search ------------------------------------------------------------------------------------------------ */

/* SQL: totals, counts and extremes over the tables among the documents (CSV, spreadsheets), worked out by a database
 * behind read-only guards: hits are the rows it rests on, `answer` says the result, `sql` the statement.
 * GRAPH: passages that hang together with what the question names; sooth_kb_graph makes the graph. */
enum sooth_search_mode { SOOTH_SEARCH_HYBRID, SOOTH_SEARCH_VECTOR, SOOTH_SEARCH_TEXT, SOOTH_SEARCH_SQL, SOOTH_SEARCH_GRAPH };
/* The mode of a name ("hybrid", "vector", ...); false when there is none. A listing: row i, false past the end. */
bool sooth_search_mode_parse(const char *name, enum sooth_search_mode *out);
bool sooth_search_mode_at(size_t i, const char **name, const char **about);
/* EVIDENCE: similarity and share of words covered, reranked. RRF: by ranks alone. RELATIVE: by scores stretched to 0..1. */
enum sooth_fusion { SOOTH_FUSE_EVIDENCE, SOOTH_FUSE_RRF, SOOTH_FUSE_RELATIVE };
struct sooth_search_options {
    enum sooth_search_mode mode;
    size_t k;               /* how many to return; 0 = 10 */
    double min_score;       /* similarity floor on `score`; -INFINITY = none */
    bool rerank;            /* late interaction over the fused candidates (hybrid) */
    bool windows;           /* hits come with their neighbours of the same page (hybrid); default true */
    const char *filter;     /* "tag=v and page<10"; NULL = none */
    bool explain;
    bool adaptive;          /* k is chosen by where the evidence falls (hybrid, vector, text): hits.reason says why */
    enum sooth_fusion fusion; /* hybrid: what orders the candidates; default evidence */
    double diversity;       /* hybrid: 0 = none; towards 1 passages unlike those above them come first (MMR over twenty) */
    const char *rewrite;    /* hybrid: a name of sooth_rewrite_at, "none" or NULL: what else is searched beside the question */
    struct sooth_session *session; /* a model that writes what `rewrite` derives; NULL: rules do */
};
/* The rewritings: name and one line on each; false past the end. */
bool sooth_rewrite_at(size_t i, const char **name, const char **about);
void sooth_search_options_init(struct sooth_search_options *o);

struct sooth_hit {
    size_t rank;               /* from 1 */
    double score;              /* one similarity that falls as distance grows, whatever the metric or mode */
    double vector_score, text_score, rerank_score; /* stages; NAN where the stage did not see it */
    size_t vector_rank, text_rank;                 /* 0 = not found there */
    int64_t chunk;             /* stable chunk id */
    char *doc, *title, *heading; /* heading: "A > B" path, "" when none */
    size_t page;               /* physical, from 1; 0 = none */
    char *page_label;          /* printed label where it differs, else NULL */
    size_t start, end;         /* byte offsets into the extracted text */
    char *text;                /* the chunk, exactly text[start, end) */
    char **also;               /* other documents that hold the very same text */
    size_t n_also;
};
struct sooth_hits {
    struct sooth_hit *items;
    size_t count, candidates, reranked;
    double seconds;
    char *answer;  /* what was worked out (SQL), else NULL */
    char *sql;     /* the statement behind it */
    char *reason;  /* why there are no hits, or so many and no more, where that can be said; else NULL */
    char **queries; /* what was searched beside the question */
    size_t n_queries;
};
/* query is text, never query syntax. */
enum sooth_status sooth_search(struct sooth_kb *kb, const char *query, const struct sooth_search_options *options,
                               struct sooth_hits *out, struct sooth_error *err);
void sooth_hits_release(struct sooth_hits *hits);

/* The part of a hit's text that shows why it was found: most different words of the question within `most` bytes
 * (0 = 240), and where they stand, as byte offsets into text. */
#define SOOTH_SNIPPET_MARKS 32
struct sooth_mark { size_t start, end; };
struct sooth_snippet { size_t start, end, n_marks; struct sooth_mark marks[SOOTH_SNIPPET_MARKS]; };
enum sooth_status sooth_snippet_make(const char *query, const char *text, size_t len, size_t most,
                                     struct sooth_snippet *out, struct sooth_error *err);

/* --- graph -------------------------------------------------------------------------------------------------- */

struct sooth_graph_counts {
    size_t passages, unread;         /* read into the graph; still to read */
    size_t entities, mentions, facts;
    size_t calls;                    /* of a language model that reading the rest takes: none by rules */
    double seconds;                  /* that it took, or with dry_run is expected to take */
};
typedef bool sooth_graph_progress_fn(void *user, size_t done, size_t total); /* false stops; what is read stays */
/* Reads the passages that the graph lacks. dry_run: only says what that would take, from a sample. */
enum sooth_status sooth_kb_graph(struct sooth_kb *kb, bool dry_run, sooth_graph_progress_fn *on_progress, void *user,
                                 struct sooth_graph_counts *out, struct sooth_error *err);
struct sooth_fact { const char *subject, *relation, *object, *doc; size_t page, start, end; const char *text; };
typedef bool sooth_fact_fn(void *user, const struct sooth_fact *fact);
/* What is said about an entity and, with depth 2, about those it leads to: 50 facts at most, each with its passage.
 * SOOTH_ERR_NOTFOUND when no passage names it. */
enum sooth_status sooth_kb_facts(struct sooth_kb *kb, const char *entity, unsigned depth, sooth_fact_fn *fn, void *user,
                                 struct sooth_error *err);

/* --- answers ----------------------------------------------------------------------------------------------- */

enum sooth_answer_mode { SOOTH_ANSWER_AUTO, SOOTH_ANSWER_GENERATE, SOOTH_ANSWER_QUOTE };
struct sooth_ask_options {
    size_t k;                      /* passages used; 0 = auto */
    enum sooth_answer_mode mode;
    bool verify;                   /* default true */
    const char *rewrite;           /* "auto" (also NULL): follow-ups are made standalone; "none": asked as they stand */
    const char *filter;
    bool no_reader;                /* do without the reader that lies beside the embedder */
    const struct sooth_message *history; /* earlier turns, oldest first */
    size_t n_history;
    struct sooth_sampling sampling;
    size_t max_tokens;             /* 0 = 256 */
    sooth_text_fn *on_text;        /* draft text while it is written; may be NULL */
    void *user;
};
void sooth_ask_options_init(struct sooth_ask_options *o);

enum sooth_verdict { SOOTH_SUPPORTED, SOOTH_PARTLY, SOOTH_UNSUPPORTED, SOOTH_CONTRADICTED };
const char *sooth_verdict_name(enum sooth_verdict v);

struct sooth_sentence {
    char *text;
    enum sooth_verdict verdict;
    double score;               /* 0..1 support */
    char *why;                  /* one line: what matched or what did not */
    size_t *citations;          /* numbers n of struct sooth_citation */
    size_t n_citations;
    bool dropped;               /* judged and left out of the answer */
};
struct sooth_citation {
    size_t n;                   /* from 1, the number printed */
    char *doc, *title;
    size_t page;                /* 0 = none */
    char *page_label;
    size_t start, end;          /* byte span of the quote in the extracted text */
    char *quote;                /* exactly those bytes */
};
struct sooth_answer {
    char *question, *standalone; /* standalone: the question as searched, follow-ups resolved */
    char *answer;                /* without citation marks */
    bool abstained;
    char *reason;                /* why it abstained, or NULL */
    const char *mode;            /* "generated", "quoted", "abstained" */
    struct sooth_sentence *sentences; /* those dropped come last */
    size_t n_sentences;
    struct sooth_citation *citations;
    size_t n_citations;
    struct sooth_hits retrieved;
    char **queries;
    size_t n_queries;
    size_t used;                 /* passages that went into the prompt */
    double retrieve_seconds, generate_seconds, verify_seconds, total_seconds;
    size_t prompt_tokens, answer_tokens;
};
/* session may be NULL: then answers are quoted. */
enum sooth_status sooth_ask(struct sooth_kb *kb, struct sooth_session *session, const char *question,
                            const struct sooth_ask_options *options, struct sooth_answer *out, struct sooth_error *err);
void sooth_answer_release(struct sooth_answer *answer);

/* Checks any text against sources: each sentence with its verdict and its best evidence. kb may be NULL when
 * sources are given. The result's citations quote the sources ("source 1", ... as doc). */
enum sooth_status sooth_check(struct sooth_kb *kb, const char *const *sources, size_t n_sources, const char *text, size_t len,
                              struct sooth_answer *out, struct sooth_error *err);

#ifdef __cplusplus
}
#endif
#endif
