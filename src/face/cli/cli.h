/* cli.h: what all verbs share: the option table, the terminal, and how failures are said.
 *
 * A verb is one file cmd_VERB.c with one `const struct verb_row verb_VERB`. Its option rows drive parsing, `-h`,
 * the manual page, shell completion and the config file; nothing about an option is written twice. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "core/base/buf.h"
#include "core/base/json.h"
#include "sooth/error.h"
#include "sooth/kb.h"
#include "sooth/model.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_ABSTAINED = 3 };

/* --- options ---------------------------------------------------------------------------------------------- */

struct text_list {
    const char **items;
    size_t count;
};

enum option_kind {
    OPTION_FLAG, /* bool */
    OPTION_INT,  /* int64_t within [low, high] */
    OPTION_REAL, /* double within [low, high] */
    OPTION_TEXT, /* const char * */
    OPTION_LIST  /* struct text_list: may be given again */
};

struct option_row {
    const char *name; /* long name without dashes */
    char letter;      /* short form, 0 = none */
    enum option_kind kind;
    size_t offset; /* into the verb's arguments */
    const char *arg;  /* what the value is called in help: "N", "FILE"; for words "a|b|c" the value is checked */
    const char *help;
    double low, high; /* numbers only; both 0 = no bound */
};

#define OPT_FLAG(s, f, n, l, h) { n, l, OPTION_FLAG, offsetof(struct s, f), NULL, h, 0, 0 }
#define OPT_INT(s, f, n, l, a, h, lo, hi) { n, l, OPTION_INT, offsetof(struct s, f), a, h, lo, hi }
#define OPT_REAL(s, f, n, l, a, h, lo, hi) { n, l, OPTION_REAL, offsetof(struct s, f), a, h, lo, hi }
#define OPT_TEXT(s, f, n, l, a, h) { n, l, OPTION_TEXT, offsetof(struct s, f), a, h, 0, 0 }
#define OPT_LIST(s, f, n, l, a, h) { n, l, OPTION_LIST, offsetof(struct s, f), a, h, 0, 0 }

/* Every verb's arguments begin with these. */
struct common_args {
    bool json, quiet, help;
    int64_t threads, seed;
    const char *config;
    struct text_list rest; /* arguments that are not options */
};

/* Groups that several verbs share: first in the argument struct after common, as field `kb` or `sample`. */
struct kb_args {
    const char *dir, *embedder;
};
#define KB_OPTIONS(s) \
    OPT_TEXT(s, kb.dir, "kb", 0, "DIR", "the knowledge base (default $SOOTH_KB, else ./.sooth)"), \
    OPT_TEXT(s, kb.embedder, "embedder", 0, "MODEL", "embedding model (default: what the store remembers, else e5)")

struct sample_args {
    double temperature, top_p, min_p, repeat_penalty;
    int64_t top_k, max_tokens;
    struct text_list stop;
};
#define SAMPLE_OPTIONS(s) \
    OPT_REAL(s, sample.temperature, "temperature", 0, "X", "0 is greedy (the default)", 0, 100), \
    OPT_INT(s, sample.top_k, "top-k", 0, "N", "keep the N likeliest tokens; 0 is off", 0, 1e9), \
    OPT_REAL(s, sample.top_p, "top-p", 0, "X", "keep the smallest set of mass X; 1 is off", 0, 1), \
    OPT_REAL(s, sample.min_p, "min-p", 0, "X", "drop tokens below X times the likeliest; 0 is off", 0, 1), \
    OPT_REAL(s, sample.repeat_penalty, "repeat-penalty", 0, "X", "divide the logits of recent tokens by X; 1 is off", 0.01, 100), \
    OPT_INT(s, sample.max_tokens, "max-tokens", 'n', "N", "most tokens to generate", 1, 1e9), \
    OPT_LIST(s, sample.stop, "stop", 0, "TEXT", "stop before this text (may be given again)")

struct verb_row {
    const char *name, *group; /* group: heading in `sooth help` */
    const char *usage;        /* after the verb's name */
    const char *summary;      /* one line */
    const char *about;        /* paragraphs for -h and the manual */
    const char *examples;     /* lines, each a command */
    const struct option_row *options;
    size_t n_options;
    size_t args_size;
    int (*run)(void *args); /* an exit status */
};

size_t verb_count(void);
const struct verb_row *verb_at(size_t i);
const struct verb_row *verb_find(const char *name);
const char *verb_nearest(const char *name); /* NULL when nothing is near */
extern const struct option_row common_options[];
extern const size_t n_common_options;

/* Fills args (verb->args_size bytes, zeroed by the caller, then defaulted by the verb's own NULL-is-default rule).
 * Returns EXIT_DONE or EXIT_USAGE with the complaint already printed. */
int options_parse(const struct verb_row *verb, int argc, char **argv, void *args);
void options_release(const struct verb_row *verb, void *args);

void help_overview(FILE *out);
void help_verb(const struct verb_row *verb, FILE *out);
void help_manual(const struct verb_row *verb, FILE *out);     /* roff; NULL = sooth.1 */
void help_completion(FILE *out);                              /* bash */

/* --- saying things ---------------------------------------------------------------------------------------- */

int cli_fail(const struct sooth_error *err);                  /* "sooth: ..." and hint; EXIT_USAGE for bad arguments */
int cli_usage(const struct verb_row *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool cli_color(FILE *stream);                                 /* a terminal, and NO_COLOR unset */
const char *cli_paint(FILE *stream, const char *code);        /* the escape, or "" */
unsigned cli_width(void);                                     /* columns of stderr's terminal; 80 elsewhere */
void cli_say(const struct common_args *c, const char *format, ...) __attribute__((format(printf, 2, 3))); /* stderr, not when quiet */

/* Ctrl-C sets a flag; the second one ends the program. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);

/* Prints text wrapped to width with an indent; Han counts two columns and may break anywhere. */
void cli_wrap(FILE *out, const char *text, unsigned indent, unsigned width);
/* Passes terminal text on without control characters (a document must not drive the terminal). */
void cli_safe(FILE *out, const char *text, size_t len);

/* Progress on stderr: only on a terminal, only after a second, with time left. */
struct progress {
    const char *what;
    double started, drawn;
    bool on, shown;
};
void progress_begin(struct progress *p, const struct common_args *c, const char *what);
void progress_set(struct progress *p, size_t done, size_t total);
void progress_end(struct progress *p);

/* One line of JSON on stdout. */
void cli_json_line(struct buf *line);

/* --- shared by verbs -------------------------------------------------------------------------------------- */

int cli_read_stdin(struct buf *out);                          /* EXIT_DONE or EXIT_FAILED, said */
const char *cli_kb_dir(const struct kb_args *kb);
struct sooth_kb *cli_open_kb(const struct common_args *c, const struct kb_args *kb, bool create, bool read_only, int *status);
struct sooth_model *cli_open_model(const struct common_args *c, const char *name, const char *api_model, int *status);
/* Adapters given as PATH or PATH:scale, opened for a model; EXIT_DONE or what was said. */
struct adapter_list {
    struct sooth_adapter *items[16];
    size_t count;
};
int cli_open_adapters(const struct text_list *paths, struct sooth_model *model, struct adapter_list *out);
void cli_close_adapters(struct adapter_list *list);
void cli_sampling(const struct common_args *c, const struct sample_args *s, struct sooth_generate_options *out);
/* -k: a number from 1 to 1000; NULL and "auto" leave *k. EXIT_DONE or EXIT_USAGE, said. */
int cli_count(const char *text, size_t *k);
void answer_print(FILE *out, const struct sooth_answer *a, bool why);
void answer_json(const struct sooth_answer *a, const char *id, struct buf *line);
#endif
