/* sample.h: rows of data: from a line of JSON to a sample, whatever its keys; from files and directories to samples.
 *
 * A row kind is recognised by its keys. All kinds become one of three things: plain text, a plain prompt with its
 * completion, or a conversation (list of messages), perhaps with a chosen and a rejected ending. Everything a sample holds
 * lives in the arena of its set. */
#ifndef TRAIN_SAMPLE_H
#define TRAIN_SAMPLE_H
#include <stdbool.h>
#include <stddef.h>
#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "sooth/error.h"

struct sample {
    const char *kind;              /* the row's name */
    size_t row;                    /* from 1, in its file */
    const char *text, *title;      /* plain text; title: of its document, or NULL */
    const char *prompt, *completion; /* plain strings */
    const struct json *messages;   /* [{role, content, ...}]; with chosen: the prompt */
    const struct json *tools;      /* list, or NULL */
    const struct json *chosen, *rejected; /* lists of messages after the prompt */
    int label;                     /* unpaired: 1 good, 0 bad; -1 none */
};

struct sample_row {
    const char *name, *keys;
    bool (*match)(const struct json *row);
    enum sooth_status (*read)(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err);
};
const struct sample_row *sample_row_at(size_t i); /* in the order they are tried; NULL past the last */

/* One object; SOOTH_ERR_FORMAT names what is wrong with it. */
enum sooth_status sample_read(struct arena *a, const struct json *row, struct sample *out, struct sooth_error *err);

struct samples {
    struct arena arena;
    VEC(struct sample) list;
};
void samples_init(struct samples *s);
void samples_release(struct samples *s);
/* A JSON array of objects, or one object a line; empty lines are passed over. Failures name the row. name: for messages. */
enum sooth_status samples_parse(struct samples *s, const char *name, const char *text, size_t len, struct sooth_error *err);
/* Appends the rows of a file. A name that ends in .txt or .md is one text. */
enum sooth_status samples_load(struct samples *s, const char *path, struct sooth_error *err);
/* path/part.jsonl or path/part.json of a directory. SOOTH_ERR_NOTFOUND when there is neither. */
enum sooth_status samples_load_part(struct samples *s, const char *path, const char *part, struct sooth_error *err);

/* Building messages, for the row files. False when memory is out. */
struct json *message_list(struct arena *a);
bool message_add(struct arena *a, struct json *list, const char *role, const char *content);
/* A copy of a list of messages with role and content checked; parts of a content are joined. One message counts as a list. */
enum sooth_status message_read(struct arena *a, const struct json *from, struct json *list, struct sooth_error *err);
/* The string under a key; NULL when absent or null; an error when it is something else. */
enum sooth_status sample_string(const struct json *row, const char *key, const char **out, struct sooth_error *err);
/* A tools member: a list, or a list inside a string (ShareGPT). NULL when there are none. */
enum sooth_status sample_tools(struct arena *a, const struct json *row, const struct json **out, struct sooth_error *err);

#endif
