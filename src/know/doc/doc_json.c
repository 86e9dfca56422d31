/* doc_json.c: JSON and JSON Lines.
 *
 * What matters is whether the file is a list of records:
 *
 *   [{"id":1,"name":"tap"},{"id":2,"name":"seal"}]   records with plain values under common keys are
 *                                                    a table: id | name, a row each
 *   {"faq":[{"q":"...","a":["...","..."]}]}          other records: a heading each where they have a
 *                                                    name, then a paragraph "key: value" a line
 *   {"indent":2,"deep":{"a":[1]}}                    no list of records in it: kept as written
 *
 * Keys of nested objects are joined with a point. JSON Lines is one record a line; a line that is no
 * JSON is counted in a warning, and a file that is none (comments, cut short) is kept as written. The reader's limits (depth 200) are those of core/base/json.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "know/doc/docfmt.h"

enum { COLUMNS_MAX = 64 };
#define JSON_MEMORY ((size_t)768 << 20)

static bool plain(const struct json *j)
{
    return j->type != JSON_ARRAY && j->type != JSON_OBJECT;
}

static bool is_records(const struct json *j)
{
    if (j->type != JSON_ARRAY || j->len == 0)
        return false;
    for (const struct json *c = j->child; c != NULL; c = c->next)
        if (c->type != JSON_OBJECT)
            return false;
    return true;
}

/* Walks all nodes without recursion; true when one of them is a list of records. */
static bool holds_records(const struct json *root)
{
    const struct json *stack[JSON_MAX_DEPTH + 2];
    size_t depth = 0;
    stack[0] = root;
    while (true) {
        const struct json *j = stack[depth];
        if (j != NULL && is_records(j))
            return true;
        if (j != NULL && !plain(j) && j->child != NULL && depth < JSON_MAX_DEPTH) {
            stack[++depth] = j->child;
            continue;
        }
        while (depth > 0 && (stack[depth] == NULL || stack[depth]->next == NULL))
            depth--;
        if (depth == 0)
            return false;
        stack[depth] = stack[depth]->next;
    }
}

static void value_puts(struct builder *b, const struct json *j)
{
    static const char *const words[] = {"", "false", "true"};
    if (j->type == JSON_NUMBER || j->type == JSON_STRING)
        builder_text(b, j->text, j->len);
    else if (plain(j))
        builder_puts(b, words[j->type]);
}

/* ---- tables ---- */

struct columns {
    struct map index;
    const char *names[COLUMNS_MAX];
    size_t lens[COLUMNS_MAX], count;
    bool fits; /* plain values, few keys, short texts: a table */
};

static void columns_learn(struct columns *c, const struct json *record)
{
    for (const struct json *m = record->child; m != NULL && c->fits; m = m->next) {
        bool fresh = false;
        c->fits = plain(m) && m->len < 400 &&
                  map_add(&c->index, m->key, m->key_len, c->count, &fresh) &&
                  (!fresh || c->count < COLUMNS_MAX);
        if (c->fits && fresh) {
            c->names[c->count] = m->key;
            c->lens[c->count++] = m->key_len;
        }
    }
}

static void row_write(struct builder *b, const struct columns *c, const struct json *record)
{
    const struct json *values[COLUMNS_MAX] = {NULL};
    uint64_t at;
    for (const struct json *m = record->child; m != NULL; m = m->next)
        if (map_find(&c->index, m->key, m->key_len, &at))
            values[at] = m;
    builder_row(b, false);
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0)
            builder_cell(b);
        if (values[i] != NULL)
            value_puts(b, values[i]);
    }
    builder_close(b);
}

/* Records as a table; false (and nothing written) when they are none. */
static bool table_write(struct builder *b, const struct json *const *records, size_t n)
{
    struct columns c = {.fits = n > 1};
    map_init(&c.index);
    for (size_t i = 0; i < n && c.fits; i++)
        columns_learn(&c, records[i]);
    if (c.fits && c.count > 1) {
        builder_table_begin(b);
        builder_row(b, true);
        for (size_t i = 0; i < c.count; i++) {
            if (i > 0)
                builder_cell(b);
            builder_text(b, c.names[i], c.lens[i]);
        }
        for (size_t i = 0; i < n; i++)
            row_write(b, &c, records[i]);
        builder_table_end(b);
    }
    bool done = c.fits && c.count > 1;
    map_release(&c.index);
    return done;
}

/* ---- records and trees ---- */

struct walk {
    struct builder *b;
    struct buf path; /* "author.name" */
    unsigned level;
    bool failed;
};

static const char *record_name(const struct json *record, size_t *len)
{
    static const char *const keys[] = {"title", "name", "heading", "subject", "question", "id"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct json *m = json_get(record, keys[i]);
        if (m != NULL && (m->type == JSON_STRING || m->type == JSON_NUMBER) && m->len > 0 &&
            m->len < 200) {
            *len = m->len;
            return m->text;
        }
    }
    return NULL;
}

static void records_write(struct walk *w, const struct json *first);

/* "key: value", a line; a list of plain values on one line. */
static void member_line(struct walk *w, const struct json *j)
{
    if (j->type == JSON_NULL || (!plain(j) && j->child == NULL))
        return;
    if (!w->b->open)
        builder_open(w->b, DOC_PARAGRAPH, 0);
    else
        builder_break(w->b);
    if (w->path.len > 0) {
        builder_text(w->b, w->path.data, w->path.len);
        builder_puts(w->b, ": ");
    }
    if (plain(j)) {
        value_puts(w->b, j);
        return;
    }
    for (const struct json *c = j->child; c != NULL; c = c->next) {
        value_puts(w->b, c);
        if (c->next != NULL)
            builder_puts(w->b, c->len > 0 && strchr(".!?", c->text[c->len - 1]) ? " " : ", ");
    }
}

static bool plain_list(const struct json *j)
{
    for (const struct json *c = j->child; c != NULL; c = c->next)
        if (!plain(c))
            return false;
    return j->type == JSON_ARRAY;
}

/* Depth is bounded by the reader (200). */
static void value_write(struct walk *w, const struct json *j)
{
    if (plain(j) || plain_list(j)) {
        member_line(w, j);
    } else if (is_records(j)) {
        builder_close(w->b);
        if (w->path.len > 0 && w->level < BUILDER_MAX_LEVEL) {
            builder_open(w->b, DOC_HEADING, w->level);
            builder_text(w->b, w->path.data, w->path.len);
            builder_close(w->b);
        }
        w->level++;
        records_write(w, j->child);
        w->level--;
    } else {
        size_t len = w->path.len;
        for (const struct json *m = j->child; m != NULL; m = m->next) {
            if (m->key != NULL)
                buf_printf(&w->path, "%s%.*s", len > 0 ? "." : "", (int)m->key_len, m->key);
            value_write(w, m);
            if (w->path.data != NULL)
                w->path.data[w->path.len = len] = '\0';
        }
    }
}

static void record_write(struct walk *w, const struct json *record)
{
    size_t len, path = w->path.len;
    const char *name = record_name(record, &len);
    builder_close(w->b);
    if (name != NULL) {
        builder_open(w->b, DOC_HEADING, w->level < BUILDER_MAX_LEVEL ? w->level : BUILDER_MAX_LEVEL);
        builder_text(w->b, name, len);
        builder_close(w->b);
    }
    char *kept = path > 0 ? mem_strndup(w->path.data, path) : NULL; /* keys start anew inside */
    buf_clear(&w->path);
    value_write(w, record);
    buf_clear(&w->path);
    if (kept != NULL)
        buf_add(&w->path, kept, path);
    w->failed = w->failed || w->path.failed || (path > 0 && kept == NULL);
    mem_free(kept);
    builder_close(w->b);
}

static void records_write(struct walk *w, const struct json *first)
{
    VEC(const struct json *) records = {0};
    for (const struct json *c = first; c != NULL; c = c->next)
        w->failed = !vec_push(&records, c) || w->failed;
    if (!w->failed && !table_write(w->b, records.items, records.count))
        for (size_t i = 0; i < records.count; i++)
            record_write(w, records.items[i]);
    vec_free(&records);
}

/* ---- the two layouts ---- */

/* JSON Lines: every line that is JSON, as the children of one list. */
static struct json *lines_read(struct arena *a, const char *s, size_t len, size_t *bad)
{
    struct json *list = arena_calloc(a, 1, sizeof *list), **tail = list != NULL ? &list->child : NULL;
    for (size_t i = 0; list != NULL && i < len;) {
        const char *nl = memchr(s + i, '\n', len - i);
        size_t n = nl != NULL ? (size_t)(nl - s) - i : len - i, blank = 0;
        while (blank < n && strchr(" \t\r", s[i + blank]) != NULL)
            blank++;
        struct json *j = blank < n ? json_parse(a, s + i, n, 0, NULL, NULL) : NULL;
        if (j != NULL) {
            *tail = j;
            tail = &j->next;
            list->len++;
        } else if (blank < n) {
            ++*bad;
        }
        i += n + (nl != NULL);
    }
    if (list != NULL)
        list->type = JSON_ARRAY;
    return list;
}

static void code_write(struct builder *b, const char *text, size_t len)
{
    builder_open_raw(b, DOC_CODE, 0);
    builder_text(b, text, len);
    builder_close(b);
}

static enum sooth_status tree_write(const struct json *root, const char *text, size_t len,
                                    struct builder *b, struct sooth_error *err)
{
    struct walk w = {.b = b, .path = BUF_INIT, .level = 1};
    if (!holds_records(root)) {
        code_write(b, text, len);
    } else {
        value_write(&w, root);
    }
    builder_close(b);
    bool failed = w.failed || w.path.failed;
    buf_release(&w.path);
    return failed ? err_nomem(err) : SOOTH_OK;
}

static enum sooth_status json_parse_any(const struct doc_input *in, struct builder *b,
                                        struct sooth_error *err)
{
    struct buf text = BUF_INIT;
    struct arena a;
    struct sooth_error why = {0};
    size_t bad = 0;
    const char *dot = strrchr(in->name, '.');
    bool lines = dot != NULL && (strcasecmp(dot, ".jsonl") == 0 || strcasecmp(dot, ".ndjson") == 0);
    enum sooth_status s = docfmt_decode(in, b, &text, err);
    arena_init(&a, JSON_MEMORY);
    if (s == SOOTH_OK && text.len > 0) {
        struct json *root = lines ? NULL : json_parse(&a, text.data, text.len, 0, NULL, &why);
        if (root == NULL && why.status != SOOTH_ERR_NOMEM) {
            root = lines_read(&a, text.data, text.len, &bad);
            if (root != NULL && root->len < 2 && bad > 0) /* not lines of JSON either */
                root = NULL;
        }
        if (root != NULL) {
            s = tree_write(root, text.data, text.len, b, err);
            if (bad > 0)
                builder_warn(b, "%zu lines are not JSON", bad);
        } else if (a.failed) {
            s = err_nomem(err);
        } else {
            builder_warn(b, "it is not JSON as it should be and was kept as written: %s",
                         why.text[0] != '\0' ? why.text : "no line of it is");
            code_write(b, text.data, text.len);
        }
    }
    arena_release(&a);
    buf_release(&text);
    return s;
}

const struct docfmt docfmt_json = {
    .name = "json",
    .about = "JSON and JSON Lines: records as rows or paragraphs",
    .extensions = "json jsonl ndjson geojson",
    .parse = json_parse_any,
};
