/* jinja_method.c: methods of strings, lists and mappings under their Python names, and the global functions. */
#include <string.h>
#include <time.h>
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

static const char *const text_methods[] = {"strip", "lstrip", "rstrip", "split", "rsplit", "startswith", "endswith", "replace", "upper",
                                           "lower", "title", "capitalize", "format", "join", "find", "count", "splitlines", "isdigit", NULL};
static const char *const list_methods[] = {"append", "pop", "index", "count", NULL};
static const char *const dict_methods[] = {"get", "items", "keys", "values", "pop", "update", "copy", NULL};
static const char *const loop_methods[] = {"cycle", NULL};

bool jinja_method_exists(struct value v, const char *name)
{
    const char *const *list = v.kind == VAL_TEXT ? text_methods : v.kind == VAL_LIST ? list_methods : v.kind == VAL_LOOP ? loop_methods
                              : v.kind == VAL_DICT && !v.dict->is_namespace ? dict_methods : NULL;
    for (; list && *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

static bool want_text(struct render *r, struct value v, const char *what)
{
    if (v.kind == VAL_TEXT)
        return true;
    jinja_fail(r, SOOTH_ERR_ARG, "%s wants a string, not %s", what, value_kind_name(v));
    return false;
}

/* ---- strings ---- */

/* Length of the white space (chars NULL) or of a character of chars at s, else 0. */
static size_t strippable(const char *s, size_t n, const struct jtext *chars)
{
    size_t size;
    uint32_t c = utf8_decode(s, n, &size);
    if (!chars)
        return c != UTF8_BAD && (uni_class(c) & UNI_SPACE || (c >= 0x1C && c <= 0x1F)) ? size : 0;
    return memmem(chars->text, chars->len, s, size) ? size : 0;
}

static struct value strip(struct render *r, const struct jtext *t, struct value chars, bool left, bool right)
{
    const struct jtext *set = chars.kind == VAL_TEXT ? chars.text : NULL;
    size_t from = 0, to = t->len, n;
    while (left && from < to && (n = strippable(t->text + from, to - from, set)))
        from += n;
    while (right && to > from) {
        size_t at = utf8_floor(t->text, t->len, to - 1);
        if (at < from || strippable(t->text + at, to - at, set) != to - at)
            break;
        to = at;
    }
    jinja_step(r, t->len / 64);
    return jtext_part(r, t, from, to);
}

static struct value split_blank(struct render *r, const struct jtext *t, int64_t most)
{
    struct value out = jlist_new(r, 0);
    for (size_t at = 0, n, from; !r->status;) {
        while (at < t->len && (n = strippable(t->text + at, t->len - at, NULL)))
            at += n;
        if (at >= t->len)
            break;
        from = at;
        if (most >= 0 && (int64_t)out.list->count == most) {
            struct value rest = jtext_part(r, t, from, t->len);
            jlist_add(r, out.list, strip(r, rest.text, NONE, false, true));
            break;
        }
        while (at < t->len && !strippable(t->text + at, t->len - at, NULL)) {
            utf8_decode(t->text + at, t->len - at, &n);
            at += n;
        }
        jlist_add(r, out.list, jtext_part(r, t, from, at));
    }
    return out;
}

static struct value split(struct render *r, const struct jtext *t, const struct jtext *by, int64_t most)
{
    struct value out = jlist_new(r, 0);
    size_t from = 0;
    jinja_step(r, t->len / 64);
    while (!r->status && (most < 0 || (int64_t)out.list->count < most)) {
        const char *hit = memmem(t->text + from, t->len - from, by->text, by->len);
        if (!hit)
            break;
        jlist_add(r, out.list, jtext_part(r, t, from, (size_t)(hit - t->text)));
        from = (size_t)(hit - t->text) + by->len;
    }
    jlist_add(r, out.list, jtext_part(r, t, from, t->len));
    return out;
}

/* From the right: all splits, then the first ones joined again. */
static struct value rsplit(struct render *r, const struct jtext *t, const struct jtext *by, int64_t most)
{
    struct value all = split(r, t, by, -1), out;
    size_t keep, from;
    if (r->status || most < 0 || (int64_t)all.list->count <= most + 1)
        return all;
    keep = all.list->count - (size_t)most;
    from = 0;
    for (size_t i = 0; i < keep; i++)
        from += all.list->items[i].text->len + (i ? by->len : 0);
    out = jlist_new(r, 0);
    jlist_add(r, out.list, jtext_part(r, t, 0, from));
    for (size_t i = keep; i < all.list->count && !r->status; i++)
        jlist_add(r, out.list, all.list->items[i]);
    return out;
}

static struct value split_lines(struct render *r, const struct jtext *t, bool keep)
{
    struct value out = jlist_new(r, 0);
    for (size_t at = 0, end; at < t->len && !r->status; at = end) {
        size_t stop = at;
        while (stop < t->len && t->text[stop] != '\n' && t->text[stop] != '\r')
            stop++;
        end = stop + (stop < t->len) + (stop + 1 < t->len && t->text[stop] == '\r' && t->text[stop + 1] == '\n');
        jlist_add(r, out.list, jtext_part(r, t, at, keep ? end : stop));
    }
    return out;
}

static bool has_end(const struct jtext *t, const struct jtext *end, bool front)
{
    return end->len <= t->len && !memcmp(front ? t->text : t->text + t->len - end->len, end->text, end->len);
}

static struct value ends(struct render *r, const struct jtext *t, struct value end, bool front)
{
    if (end.kind == VAL_LIST) {
        for (size_t i = 0; i < end.list->count; i++)
            if (end.list->items[i].kind == VAL_TEXT && has_end(t, end.list->items[i].text, front))
                return BOOLEAN(true);
        return BOOLEAN(false);
    }
    return want_text(r, end, front ? "startswith" : "endswith") ? BOOLEAN(has_end(t, end.text, front)) : UNDEFINED;
}

/* "{}", "{0}" and "{name}"; no format specifications. */
static struct value format(struct render *r, const struct jtext *t, struct jargs *args)
{
    struct joutput o;
    size_t next = 0;
    joutput_init(&o);
    for (size_t i = 0; i < t->len && !r->status; i++) {
        char name[64];
        size_t end = i;
        if ((t->text[i] == '{' || t->text[i] == '}') && i + 1 < t->len && t->text[i + 1] == t->text[i]) {
            joutput_text(r, &o, t, i, i + 1);
            i++;
            continue;
        }
        if (t->text[i] != '{') {
            joutput_text(r, &o, t, i, i + 1);
            continue;
        }
        while (end < t->len && t->text[end] != '}' && t->text[end] != ':' && t->text[end] != '!')
            end++;
        if (end >= t->len || t->text[end] != '}' || end - i > sizeof name) {
            jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "format specifications are not supported");
            break;
        }
        memcpy(name, t->text + i + 1, end - i - 1);
        name[end - i - 1] = 0;
        joutput_value(r, &o, *name && (*name < '0' || *name > '9') ? jinja_arg(args, SIZE_MAX, name)
                                                                     : jinja_arg(args, *name ? (size_t)(*name - '0') : next++, NULL));
        i = end;
    }
    return joutput_take(r, &o);
}

static struct value find(struct render *r, const struct jtext *t, struct value what, bool count)
{
    int64_t n = 0;
    size_t at = 0;
    if (!want_text(r, what, "find"))
        return UNDEFINED;
    for (const char *hit; what.text->len && (hit = memmem(t->text + at, t->len - at, what.text->text, what.text->len)); n++) {
        if (!count)
            return INTEGER(utf8_length(t->text, (size_t)(hit - t->text)));
        at = (size_t)(hit - t->text) + what.text->len;
    }
    jinja_step(r, t->len / 64);
    return INTEGER(count ? n : what.text->len ? -1 : 0);
}

static struct value call_split(struct render *r, const char *name, const struct jtext *t, struct jargs *args)
{
    struct value by = jinja_arg(args, 0, "sep"), most = jinja_arg(args, 1, "maxsplit");
    int64_t limit = most.kind == VAL_INT ? most.i : -1;
    if (by.kind == VAL_NONE || by.kind == VAL_UNDEFINED)
        return *name == 's' ? split_blank(r, t, limit) : limit < 0 ? split_blank(r, t, -1)
                            : jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "rsplit at blanks with a limit is not supported");
    if (!want_text(r, by, "split"))
        return UNDEFINED;
    if (!by.text->len)
        return jinja_fail(r, SOOTH_ERR_ARG, "split by an empty string");
    return *name == 's' ? split(r, t, by.text, limit) : rsplit(r, t, by.text, limit);
}

static bool all_digits(const struct jtext *t)
{
    for (size_t i = 0, size; i < t->len; i += size)
        if (!(uni_class(utf8_decode(t->text + i, t->len - i, &size)) & UNI_NUMBER))
            return false;
    return t->len > 0;
}

static struct value text_method(struct render *r, const char *name, struct value self, struct jargs *args)
{
    const struct jtext *t = self.text;
    struct jargs none = {0};
    if (!strcmp(name, "strip") || !strcmp(name, "lstrip") || !strcmp(name, "rstrip"))
        return strip(r, t, jinja_arg(args, 0, NULL), *name != 'r', *name != 'l');
    if (!strcmp(name, "split") || !strcmp(name, "rsplit"))
        return call_split(r, name, t, args);
    if (!strcmp(name, "startswith") || !strcmp(name, "endswith"))
        return ends(r, t, jinja_arg(args, 0, NULL), *name == 's');
    if (!strcmp(name, "format"))
        return format(r, t, args);
    if (!strcmp(name, "splitlines"))
        return split_lines(r, t, value_true(jinja_arg(args, 0, "keepends")));
    if (!strcmp(name, "find") || !strcmp(name, "count"))
        return find(r, t, jinja_arg(args, 0, NULL), *name == 'c');
    if (!strcmp(name, "isdigit"))
        return BOOLEAN(all_digits(t));
    if (!strcmp(name, "join")) {
        none = (struct jargs){.items = &self, .count = 1};
        return jinja_call_filter(r, "join", jinja_arg(args, 0, NULL), &none);
    }
    return jinja_call_filter(r, name, self, strcmp(name, "replace") ? &none : args); /* replace, upper, lower, title, capitalize */
}

/* ---- lists and mappings ---- */

static struct value list_method(struct render *r, const char *name, struct value self, struct jargs *args)
{
    struct jlist *l = self.list;
    struct value what = jinja_arg(args, 0, NULL), out;
    int64_t i, n = 0;
    if (!strcmp(name, "append"))
        return l->tuple ? jinja_fail(r, SOOTH_ERR_ARG, "a tuple does not grow") : (jlist_add(r, l, what), NONE);
    if (!strcmp(name, "pop")) {
        i = what.kind == VAL_INT ? what.i : -1;
        i += i < 0 ? (int64_t)l->count : 0;
        if (i < 0 || i >= (int64_t)l->count || l->tuple)
            return jinja_fail(r, SOOTH_ERR_ARG, "pop from a place that is not there");
        out = l->items[i];
        memmove(l->items + i, l->items + i + 1, (l->count - (size_t)i - 1) * sizeof *l->items);
        l->count--;
        return out;
    }
    for (i = 0; i < (int64_t)l->count && !r->status; i++)
        if (value_equal(r, l->items[i], what)) {
            if (*name == 'i')
                return INTEGER(i);
            n++;
        }
    return *name == 'c' ? INTEGER(n) : jinja_fail(r, SOOTH_ERR_ARG, "index of what is not in the list");
}

static struct value dict_pop(struct render *r, struct jdict *d, struct jargs *args)
{
    struct value *at = jdict_find(r, d, jinja_arg(args, 0, NULL)), out;
    size_t i;
    if (!at)
        return args->count > 1 ? args->items[1] : jinja_fail(r, SOOTH_ERR_ARG, "pop of a key that is not there");
    out = *at;
    i = (size_t)((struct jpair *)((char *)at - offsetof(struct jpair, value)) - d->items);
    memmove(d->items + i, d->items + i + 1, (d->count - i - 1) * sizeof *d->items);
    d->count--;
    return out;
}

static struct value dict_method(struct render *r, const char *name, struct value self, struct jargs *args)
{
    struct jdict *d = self.dict;
    struct value out, key = jinja_arg(args, 0, NULL), *found;
    if (!strcmp(name, "get")) {
        found = jdict_find(r, d, key);
        return found ? *found : jinja_arg_given(args, 1, "default") ? jinja_arg(args, 1, "default") : NONE;
    }
    if (!strcmp(name, "items"))
        return jinja_call_filter(r, "items", self, args);
    if (!strcmp(name, "pop"))
        return dict_pop(r, d, args);
    if (!strcmp(name, "update") || !strcmp(name, "copy")) {
        struct value into = *name == 'u' ? self : jdict_new(r), from = *name == 'u' ? key : self;
        for (size_t i = 0; !r->status && from.kind == VAL_DICT && i < from.dict->count; i++)
            jdict_put(r, into.dict, from.dict->items[i].key, from.dict->items[i].value);
        for (const struct binding *b = *name == 'u' ? args->keywords : NULL; b && !r->status; b = b->next)
            jdict_put(r, into.dict, jtext_literal(r, b->name), b->value);
        return *name == 'u' ? NONE : into;
    }
    out = jlist_new(r, d->count);
    for (size_t i = 0; i < d->count && !r->status; i++)
        jlist_add(r, out.list, *name == 'k' ? d->items[i].key : d->items[i].value);
    return out;
}

/* ---- global functions ---- */

static struct value range(struct render *r, struct jargs *args)
{
    int64_t part[3] = {0, 0, 1};
    struct value out;
    for (size_t i = 0; i < args->count && i < 3; i++) {
        if (args->items[i].kind != VAL_INT)
            return jinja_fail(r, SOOTH_ERR_ARG, "range wants integers");
        part[args->count == 1 ? 1 : i] = args->items[i].i;
    }
    if (!args->count || args->count > 3 || !part[2])
        return jinja_fail(r, SOOTH_ERR_ARG, "range wants one to three integers, the step not 0");
    out = jlist_new(r, 0);
    for (int64_t i = part[0]; !r->status && (part[2] > 0 ? i < part[1] : i > part[1]);) {
        if (out.list->count >= JINJA_MAX_RANGE)
            return jinja_fail(r, SOOTH_ERR_LIMIT, "range longer than %d", JINJA_MAX_RANGE);
        jlist_add(r, out.list, INTEGER(i));
        if (__builtin_add_overflow(i, part[2], &i))
            break;
    }
    return out;
}

static struct value strftime_now(struct render *r, struct jargs *args)
{
    struct value f = jinja_arg(args, 0, NULL);
    time_t now = (time_t)(r->now < 0 ? time(NULL) : r->now);
    char pattern[128], out[512];
    struct tm tm;
    if (!want_text(r, f, "strftime_now"))
        return UNDEFINED;
    if (f.text->len >= sizeof pattern || !gmtime_r(&now, &tm))
        return jinja_fail(r, SOOTH_ERR_LIMIT, "strftime_now: pattern too long");
    memcpy(pattern, f.text->text, f.text->len);
    pattern[f.text->len] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return jtext_new(r, out, strftime(out, sizeof out, pattern, &tm), FROM_TEMPLATE);
#pragma GCC diagnostic pop
}

static struct value new_namespace(struct render *r, struct jargs *args, bool is_namespace)
{
    struct value out = jdict_new(r), from = jinja_arg(args, 0, NULL);
    const struct binding *given[64];
    size_t n = 0;
    if (!r->status)
        out.dict->is_namespace = is_namespace;
    for (size_t i = 0; !r->status && from.kind == VAL_DICT && i < from.dict->count; i++)
        jdict_put(r, out.dict, from.dict->items[i].key, from.dict->items[i].value);
    for (const struct binding *b = args->keywords; b && n < 64; b = b->next) /* last given stands first */
        given[n++] = b;
    while (n-- > 0 && !r->status)
        jdict_put(r, out.dict, jtext_literal(r, given[n]->name), given[n]->value);
    return out;
}

static struct value call_global(struct render *r, const char *name, struct jargs *args)
{
    struct value v = jinja_arg(args, 0, NULL);
    if (!strcmp(name, "namespace") || !strcmp(name, "dict"))
        return new_namespace(r, args, *name == 'n');
    if (!strcmp(name, "range"))
        return range(r, args);
    if (!strcmp(name, "strftime_now"))
        return strftime_now(r, args);
    if (!strcmp(name, "raise_exception"))
        return v.kind == VAL_TEXT ? jinja_fail(r, SOOTH_ERR_ARG, "the template refuses: %.*s", (int)(v.text->len > 300 ? 300 : v.text->len), v.text->text)
                                  : jinja_fail(r, SOOTH_ERR_ARG, "the template refuses");
    if (!strcmp(name, "joiner")) { /* "" at its first call, then what it was given */
        struct jmethod *m = jinja_alloc(r, sizeof *m);
        if (!m)
            return UNDEFINED;
        *m = (struct jmethod){v.kind == VAL_TEXT ? v : jtext_literal(r, ", "), "joiner first"};
        return (struct value){.kind = VAL_METHOD, .method = m};
    }
    return jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "function '%s' is not supported", name);
}

struct value jinja_call_method(struct render *r, struct jmethod *m, struct jargs *args)
{
    if (r->status || !jinja_step(r, 1))
        return UNDEFINED;
    if (m->self.kind == VAL_GLOBAL)
        return call_global(r, m->name, args);
    if (!strcmp(m->name, "joiner first")) {
        m->name = "joiner";
        return jtext_literal(r, "");
    }
    if (!strcmp(m->name, "joiner"))
        return m->self;
    switch (m->self.kind) {
    case VAL_TEXT: return text_method(r, m->name, m->self, args);
    case VAL_LIST: return list_method(r, m->name, m->self, args);
    case VAL_DICT: return dict_method(r, m->name, m->self, args);
    case VAL_LOOP:
        return args->count ? args->items[m->self.loop->index % args->count] : jinja_fail(r, SOOTH_ERR_ARG, "cycle without values");
    default: return jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "method '%s' is not supported", m->name);
    }
}
