/* options.c: command lines and config files, read by the option rows.
 *
 * `--name value`, `--name=value`, `-k value`, flags alone or `--no-name`; `--` ends the options. A config file has
 * `name = value` lines with the same long names; the command line wins because it is read after. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "core/base/alloc.h"
#include "core/base/fsio.h"
#include "core/base/near.h"

const struct option_row common_options[] = {
    OPT_FLAG(common_args, json, "json", 0, "print JSON: one object, or one a line where results stream"),
    OPT_FLAG(common_args, quiet, "quiet", 'q', "no progress and no remarks on standard error"),
    OPT_INT(common_args, threads, "threads", 't', "N", "threads (default: the cores this process is granted)", 1, 1024),
    OPT_INT(common_args, seed, "seed", 0, "N", "seed of everything random (default 0)", 0, 9e15),
    OPT_TEXT(common_args, config, "config", 0, "FILE", "read options from FILE, lines of 'name = value'"),
    OPT_FLAG(common_args, help, "help", 'h', "print this help"),
};
const size_t n_common_options = sizeof common_options / sizeof common_options[0];

/* --- finding -- */

const char *verb_nearest(const char *name)
{
    unsigned best = NEAR_NONE;
    const char *found = NULL;
    for (size_t i = 0; i < verb_count(); i++)
        if (near_better(name, verb_at(i)->name, &best))
            found = verb_at(i)->name;
    return found;
}

static const struct option_row *row_at(const struct verb_row *verb, size_t i)
{
    return i < verb->n_options ? &verb->options[i] : i - verb->n_options < n_common_options ? &common_options[i - verb->n_options] : NULL;
}

static const struct option_row *find_long(const struct verb_row *verb, const char *name, size_t len)
{
    const struct option_row *o;
    for (size_t i = 0; (o = row_at(verb, i)); i++)
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

static const struct option_row *find_letter(const struct verb_row *verb, char letter)
{
    const struct option_row *o;
    for (size_t i = 0; (o = row_at(verb, i)); i++)
        if (o->letter == letter)
            return o;
    return NULL;
}

int cli_usage(const struct verb_row *verb, const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "sooth: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\nhint: 'sooth %s -h' shows how\n", verb->name);
    return EXIT_USAGE;
}

static int unknown_option(const struct verb_row *verb, const char *name, size_t len)
{
    char word[64];
    unsigned best = NEAR_NONE;
    const char *near = NULL;
    const struct option_row *o;
    if (len < sizeof word) {
        memcpy(word, name, len);
        word[len] = 0;
        for (size_t i = 0; (o = row_at(verb, i)); i++)
            if (near_better(word, o->name, &best))
                near = o->name;
    }
    if (!near)
        return cli_usage(verb, "%s has no option '--%.*s'", verb->name, (int)len, name);
    fprintf(stderr, "sooth: %s has no option '--%.*s'\nhint: did you mean '--%s'?\n", verb->name, (int)len, name, near);
    return EXIT_USAGE;
}

/* --- storing -- */

static bool list_add(struct text_list *list, const char *item)
{
    const char **items = mem_realloc(list->items, list->count + 1, sizeof *items);
    if (!items)
        return false;
    list->items = items;
    char *copy = mem_strdup(item);
    if (!copy)
        return false;
    items[list->count++] = copy;
    return true;
}

/* Options with a choice "a|b|c" accept only those words. */
static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    if (!strchr(choices, '|'))
        return true;
    for (const char *p = choices;; p++) {
        const char *end = strchrnul(p, '|');
        bool word = *p >= 'a' && *p <= 'z'; /* "auto|N" admits numbers: an upper-case word is a placeholder */
        if (!word || ((size_t)(end - p) == len && memcmp(p, value, len) == 0))
            return true;
        if (!*end)
            return false;
        p = end;
    }
}

static int store_number(const struct verb_row *verb, const struct option_row *o, const char *value, void *field)
{
    char *end;
    errno = 0;
    double v = strtod(value, &end);
    bool whole = o->kind != OPTION_INT || (v == floor(v) && fabs(v) < 9.007199254740992e15);
    if (end == value || *end || errno || !isfinite(v) || !whole)
        return cli_usage(verb, "--%s wants a %s, not '%s'", o->name, o->kind == OPTION_INT ? "whole number" : "number", value);
    if ((o->low != 0 || o->high != 0) && (v < o->low || v > o->high))
        return cli_usage(verb, "--%s must lie between %g and %g, not %s", o->name, o->low, o->high, value);
    if (o->kind == OPTION_INT)
        *(int64_t *)field = (int64_t)v;
    else
        *(double *)field = v;
    return EXIT_DONE;
}

static int store(const struct verb_row *verb, const struct option_row *o, const char *value, bool on, void *args)
{
    void *field = (char *)args + o->offset;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)field = on;
        return EXIT_DONE;
    case OPTION_INT:
    case OPTION_REAL:
        return store_number(verb, o, value, field);
    case OPTION_TEXT: {
        if (!is_choice(o->arg, value))
            return cli_usage(verb, "--%s wants one of %s, not '%s'", o->name, o->arg, value);
        char *copy = mem_strdup(value);
        if (!copy)
            break;
        mem_free((void *)*(const char **)field);
        *(const char **)field = copy;
        return EXIT_DONE;
    }
    case OPTION_LIST:
        if (list_add(field, value))
            return EXIT_DONE;
        break;
    }
    fprintf(stderr, "sooth: out of memory\n");
    return EXIT_FAILED;
}

/* --- config file -- */

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    for (char *e = s + strlen(s); e > s && strchr(" \t\r", e[-1]);)
        *--e = 0;
    return s;
}

static int config_line(const struct verb_row *verb, char *line, const char *path, unsigned n, void *args)
{
    line = trim(line);
    if (!*line || *line == '#')
        return EXIT_DONE;
    char *eq = strchr(line, '=');
    if (!eq)
        return cli_usage(verb, "'%s' line %u is not 'name = value'", path, n);
    *eq = 0;
    char *name = trim(line), *value = trim(eq + 1);
    const struct option_row *o = find_long(verb, name, strlen(name));
    if (!o)
        return unknown_option(verb, name, strlen(name));
    bool on = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "1") == 0;
    return store(verb, o, value, on, args);
}

static int config_read(const struct verb_row *verb, const char *path, void *args)
{
    struct buf text = BUF_INIT;
    struct sooth_error err;
    int status = EXIT_DONE;
    if (file_read(path, 1 << 20, &text, &err) != SOOTH_OK) {
        buf_release(&text);
        return cli_fail(&err);
    }
    unsigned n = 0;
    for (char *p = text.data; p && *p && status == EXIT_DONE;) {
        char *end = strchrnul(p, '\n');
        char *next = *end ? end + 1 : end;
        *end = 0;
        status = config_line(verb, p, path, ++n, args);
        p = next;
    }
    buf_release(&text);
    return status;
}

/* --- command line -- */

struct scan {
    const struct verb_row *verb;
    int argc, i;
    char **argv;
    void *args;
};

static int take(struct scan *s, const struct option_row *o, const char *inline_value)
{
    if (o->kind == OPTION_FLAG) {
        if (inline_value)
            return cli_usage(s->verb, "--%s takes no value", o->name);
        return store(s->verb, o, NULL, true, s->args);
    }
    const char *value = inline_value ? inline_value : s->i + 1 < s->argc ? s->argv[++s->i] : NULL;
    if (!value)
        return cli_usage(s->verb, "--%s wants a value: %s", o->name, o->arg);
    return store(s->verb, o, value, true, s->args);
}

static int take_long(struct scan *s, const char *name)
{
    const char *eq = strchr(name, '=');
    size_t len = eq ? (size_t)(eq - name) : strlen(name);
    const struct option_row *o = find_long(s->verb, name, len);
    if (!o && !eq && strncmp(name, "no-", 3) == 0 && (o = find_long(s->verb, name + 3, len - 3)) && o->kind == OPTION_FLAG)
        return store(s->verb, o, NULL, false, s->args);
    if (!o)
        return unknown_option(s->verb, name, len);
    return take(s, o, eq ? eq + 1 : NULL);
}

static int scan_args(struct scan *s)
{
    struct common_args *common = s->args;
    bool ended = false;
    for (s->i = 0; s->i < s->argc; s->i++) {
        const char *a = s->argv[s->i];
        int status = EXIT_DONE;
        if (ended || a[0] != '-' || !a[1]) {
            if (!list_add(&common->rest, a))
                status = EXIT_FAILED;
        } else if (strcmp(a, "--") == 0) {
            ended = true;
        } else if (a[1] == '-') {
            status = take_long(s, a + 2);
        } else {
            const struct option_row *o = find_letter(s->verb, a[1]);
            status = o ? take(s, o, a[2] ? a + 2 : NULL) : cli_usage(s->verb, "%s has no option '-%c'", s->verb->name, a[1]);
        }
        if (status != EXIT_DONE)
            return status;
    }
    return EXIT_DONE;
}

/* A verb may have a --config of its own, which says something else (a model's shape). */
static const char *config_named(const struct verb_row *verb, int argc, char **argv)
{
    const struct option_row *row = find_long(verb, "config", 6);
    if (row < common_options || row >= common_options + n_common_options)
        return NULL;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            return argv[i] + 9;
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            return argv[i + 1];
    }
    return NULL;
}

int options_parse(const struct verb_row *verb, int argc, char **argv, void *args)
{
    const char *config = config_named(verb, argc, argv);
    int status = config ? config_read(verb, config, args) : EXIT_DONE;
    struct scan s = { verb, argc, 0, argv, args };
    return status == EXIT_DONE ? scan_args(&s) : status;
}

static void list_release(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free((void *)list->items[i]);
    mem_free(list->items);
    *list = (struct text_list){ 0 };
}

void options_release(const struct verb_row *verb, void *args)
{
    const struct option_row *o;
    for (size_t i = 0; (o = row_at(verb, i)); i++) {
        void *field = (char *)args + o->offset;
        if (o->kind == OPTION_TEXT) {
            mem_free((void *)*(const char **)field);
            *(const char **)field = NULL; /* two names may share a field */
        } else if (o->kind == OPTION_LIST)
            list_release(field);
    }
    list_release(&((struct common_args *)args)->rest);
}
