/* jinja_value.c: values as Python has them, as far as templates see: truth, equality, order, membership; texts whose bytes
 * know their origin; lists and dictionaries that keep their order. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

/* ---- failures and memory ---- */

struct value jinja_fail(struct render *r, enum sooth_status status, const char *format, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    if (r->status)
        return UNDEFINED;
    va_start(ap, format);
    buf_vprintf(&b, format, ap);
    va_end(ap);
    r->status = err_set(r->err, status, "template line %u: %s", r->line, buf_str(&b));
    buf_release(&b);
    return UNDEFINED;
}

void *jinja_alloc(struct render *r, size_t size)
{
    void *out = r->status ? NULL : arena_array(r->arena, size ? size : 1, 1);
    if (!out)
        jinja_fail(r, r->arena->max && r->arena->used + size > r->arena->max ? SOOTH_ERR_LIMIT : SOOTH_ERR_NOMEM, "out of memory");
    return out;
}

bool jinja_step(struct render *r, size_t n)
{
    r->steps += n;
    if (r->steps > JINJA_MAX_STEPS)
        jinja_fail(r, SOOTH_ERR_LIMIT, "more than %d steps", JINJA_MAX_STEPS);
    return !r->status;
}

/* ---- texts ---- */

static struct value text_value(struct render *r, struct jtext t)
{
    struct jtext *copy = jinja_alloc(r, sizeof *copy);
    if (!copy)
        return UNDEFINED;
    *copy = t;
    return (struct value){.kind = VAL_TEXT, .text = copy};
}

struct value jtext_new(struct render *r, const char *s, size_t len, enum text_origin origin)
{
    char *copy = jinja_alloc(r, len);
    if (!copy)
        return UNDEFINED;
    if (len)
        memcpy(copy, s, len);
    return text_value(r, (struct jtext){copy, len, origin, NULL});
}

struct value jtext_literal(struct render *r, const char *s)
{
    return text_value(r, (struct jtext){s, strlen(s), FROM_TEMPLATE, NULL});
}

struct value jtext_part(struct render *r, const struct jtext *t, size_t from, size_t to)
{
    return text_value(r, (struct jtext){t->text + from, to - from, t->origin, t->from ? t->from + from : NULL});
}

bool jtext_is(struct value v, const char *s)
{
    return v.kind == VAL_TEXT && v.text->len == strlen(s) && !memcmp(v.text->text, s, v.text->len);
}

void joutput_init(struct joutput *o)
{
    buf_init(&o->text, 0);
    buf_init(&o->from, 0);
    o->max = JINJA_MAX_OUTPUT;
}

void joutput_release(struct joutput *o)
{
    buf_release(&o->text);
    buf_release(&o->from);
}

static bool output_room(struct render *r, struct joutput *o, size_t len)
{
    if (r->status)
        return false;
    if (len > o->max || o->text.len > o->max - len) {
        jinja_fail(r, SOOTH_ERR_LIMIT, "text longer than %zu bytes", o->max);
        return false;
    }
    if (!buf_reserve(&o->text, len + 1) || !buf_reserve(&o->from, len + 1)) {
        jinja_fail(r, SOOTH_ERR_NOMEM, "out of memory");
        return false;
    }
    return jinja_step(r, len / 64);
}

void joutput_add(struct render *r, struct joutput *o, const char *s, size_t len, enum text_origin origin)
{
    if (!output_room(r, o, len))
        return;
    buf_add(&o->text, s, len);
    memset(o->from.data + o->from.len, (int)origin, len);
    o->from.len += len;
}

void joutput_text(struct render *r, struct joutput *o, const struct jtext *t, size_t from, size_t to)
{
    if (t->origin != FROM_BOTH) {
        joutput_add(r, o, t->text + from, to - from, t->origin);
    } else if (output_room(r, o, to - from)) {
        buf_add(&o->text, t->text + from, to - from);
        buf_add(&o->from, t->from + from, to - from);
    }
}

struct value joutput_take(struct render *r, struct joutput *o)
{
    struct jtext t = {.len = o->text.len};
    char *text = jinja_alloc(r, t.len), *from = NULL;
    bool both = o->from.len && memchr(o->from.data, FROM_INPUT, o->from.len) && memchr(o->from.data, FROM_TEMPLATE, o->from.len);
    if (both)
        from = jinja_alloc(r, t.len);
    if (r->status) {
        joutput_release(o);
        return UNDEFINED;
    }
    if (t.len)
        memcpy(text, o->text.data, t.len);
    if (both)
        memcpy(from, o->from.data, t.len);
    t.text = text;
    t.from = (unsigned char *)from;
    t.origin = both ? FROM_BOTH : t.len ? (enum text_origin)o->from.data[0] : FROM_TEMPLATE;
    joutput_release(o);
    return text_value(r, t);
}

struct value value_to_text(struct render *r, struct value v)
{
    struct joutput o;
    if (v.kind == VAL_TEXT)
        return v;
    joutput_init(&o);
    joutput_value(r, &o, v);
    return joutput_take(r, &o);
}

/* ---- lists and dictionaries ---- */

struct value jlist_new(struct render *r, size_t cap)
{
    struct jlist *l = jinja_alloc(r, sizeof *l);
    if (!l)
        return UNDEFINED;
    *l = (struct jlist){.items = jinja_alloc(r, cap * sizeof *l->items), .cap = cap};
    return l->items ? (struct value){.kind = VAL_LIST, .list = l} : UNDEFINED;
}

bool jlist_add(struct render *r, struct jlist *l, struct value v)
{
    if (r->status || !jinja_step(r, 1))
        return false;
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 8;
        struct value *items = jinja_alloc(r, cap * sizeof *items);
        if (!items)
            return false;
        if (l->count)
            memcpy(items, l->items, l->count * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->count++] = v;
    return true;
}

struct value jdict_new(struct render *r)
{
    struct jdict *d = jinja_alloc(r, sizeof *d);
    if (!d)
        return UNDEFINED;
    *d = (struct jdict){0};
    return (struct value){.kind = VAL_DICT, .dict = d};
}

struct value *jdict_find(struct render *r, const struct jdict *d, struct value key)
{
    jinja_step(r, d->count / 16);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].key.kind == key.kind || key.kind != VAL_TEXT)
            if (value_equal(r, d->items[i].key, key))
                return &d->items[i].value;
    return NULL;
}

struct value *jdict_find_name(const struct jdict *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++)
        if (jtext_is(d->items[i].key, name))
            return &d->items[i].value;
    return NULL;
}

static bool dict_add(struct render *r, struct jdict *d, struct value key, struct value v)
{
    if (r->status)
        return false;
    if (d->count == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 4;
        struct jpair *items = jinja_alloc(r, cap * sizeof *items);
        if (!items)
            return false;
        if (d->count)
            memcpy(items, d->items, d->count * sizeof *items);
        d->items = items;
        d->cap = cap;
    }
    d->items[d->count++] = (struct jpair){key, v};
    return true;
}

bool jdict_put(struct render *r, struct jdict *d, struct value key, struct value v)
{
    struct value *at = jdict_find(r, d, key);
    if (!at)
        return dict_add(r, d, key, v);
    *at = v;
    return !r->status;
}

static struct value json_text(struct render *r, const char *s, size_t len)
{
    return text_value(r, (struct jtext){s, len, FROM_INPUT, NULL});
}

static struct value json_number_value(const struct json *j)
{
    if (!strpbrk(j->text, ".eE") && j->number > -9e18 && j->number < 9e18)
        return INTEGER(strtoll(j->text, NULL, 10));
    return (struct value){.kind = VAL_FLOAT, .f = j->number};
}

/* Depth is bounded by the reader's. Texts stay where they are: the JSON outlives the rendering. */
struct value value_from_json(struct render *r, const struct json *j)
{
    struct value v = UNDEFINED;
    switch (j->type) {
    case JSON_NULL: return NONE;
    case JSON_FALSE: return BOOLEAN(false);
    case JSON_TRUE: return BOOLEAN(true);
    case JSON_NUMBER: return json_number_value(j);
    case JSON_STRING: return json_text(r, j->text, j->len);
    case JSON_ARRAY:
        v = jlist_new(r, j->len);
        for (const struct json *e = j->child; e && !r->status; e = e->next)
            v.list->items[v.list->count++] = value_from_json(r, e);
        return v;
    case JSON_OBJECT:
        v = jdict_new(r);
        for (const struct json *e = j->child; e && !r->status; e = e->next)
            dict_add(r, v.dict, json_text(r, e->key, e->key_len), value_from_json(r, e));
        return v;
    }
    return v;
}

struct jlist *value_elements(struct render *r, struct value v)
{
    struct value out;
    if (v.kind == VAL_LIST)
        return v.list;
    out = jlist_new(r, 0);
    if (v.kind == VAL_DICT && !r->status)
        for (size_t i = 0; i < v.dict->count; i++)
            jlist_add(r, out.list, v.dict->items[i].key);
    else if (v.kind == VAL_TEXT && !r->status)
        for (size_t at = 0, size; at < v.text->len && !r->status; at += size) {
            utf8_decode(v.text->text + at, v.text->len - at, &size);
            jlist_add(r, out.list, jtext_part(r, v.text, at, at + size));
        }
    else if (v.kind != VAL_UNDEFINED)
        jinja_fail(r, SOOTH_ERR_ARG, "%s cannot be gone through", value_kind_name(v));
    return r->status ? NULL : out.list;
}

const char *value_kind_name(struct value v)
{
    static const char *const names[] = {"undefined", "none", "boolean", "integer", "float", "string", "list", "mapping", "macro",
                                        "method", "loop", "function"};
    return names[v.kind];
}

/* ---- truth, equality, order ---- */

bool value_true(struct value v)
{
    switch (v.kind) {
    case VAL_UNDEFINED:
    case VAL_NONE: return false;
    case VAL_BOOL: return v.truth;
    case VAL_INT: return v.i != 0;
    case VAL_FLOAT: return v.f != 0;
    case VAL_TEXT: return v.text->len > 0;
    case VAL_LIST: return v.list->count > 0;
    case VAL_DICT: return v.dict->is_namespace || v.dict->count > 0;
    default: return true;
    }
}

static bool is_number(struct value v)
{
    return v.kind == VAL_BOOL || v.kind == VAL_INT || v.kind == VAL_FLOAT;
}

static double number(struct value v)
{
    return v.kind == VAL_FLOAT ? v.f : v.kind == VAL_BOOL ? v.truth : (double)v.i;
}

static bool same_dicts(struct render *r, const struct jdict *a, const struct jdict *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct value *v = jdict_find(r, b, a->items[i].key);
        if (!v || !value_equal(r, a->items[i].value, *v))
            return false;
    }
    return true;
}

bool value_equal(struct render *r, struct value a, struct value b)
{
    bool same = true;
    if (!jinja_step(r, 1))
        return false;
    if (is_number(a) && is_number(b))
        return a.kind != VAL_FLOAT && b.kind != VAL_FLOAT ? (a.kind == VAL_INT ? a.i : a.truth) == (b.kind == VAL_INT ? b.i : b.truth)
                                                          : number(a) == number(b);
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case VAL_UNDEFINED:
    case VAL_NONE: return true;
    case VAL_TEXT: return a.text->len == b.text->len && !memcmp(a.text->text, b.text->text, a.text->len);
    case VAL_LIST:
        if (++r->frames > JINJA_MAX_FRAMES)
            jinja_fail(r, SOOTH_ERR_LIMIT, "values nested too deep");
        same = a.list->count == b.list->count && a.list->tuple == b.list->tuple && !r->status;
        for (size_t i = 0; same && i < a.list->count; i++)
            same = value_equal(r, a.list->items[i], b.list->items[i]);
        r->frames--;
        return same;
    case VAL_DICT:
        if (a.dict == b.dict || ++r->frames > JINJA_MAX_FRAMES)
            return a.dict == b.dict;
        same = same_dicts(r, a.dict, b.dict);
        r->frames--;
        return same;
    case VAL_MACRO: return a.macro == b.macro;
    case VAL_LOOP: return a.loop == b.loop;
    default: return false;
    }
}

int value_compare(struct render *r, struct value a, struct value b)
{
    size_t n;
    int c = 0;
    if (is_number(a) && is_number(b)) {
        if (a.kind == VAL_INT && b.kind == VAL_INT)
            return (a.i > b.i) - (a.i < b.i);
        return (number(a) > number(b)) - (number(a) < number(b));
    }
    if (a.kind == VAL_TEXT && b.kind == VAL_TEXT) { /* UTF-8 sorts as code points do */
        n = a.text->len < b.text->len ? a.text->len : b.text->len;
        c = memcmp(a.text->text, b.text->text, n);
        return c ? (c > 0) - (c < 0) : (a.text->len > b.text->len) - (a.text->len < b.text->len);
    }
    if (a.kind == VAL_LIST && b.kind == VAL_LIST && ++r->frames <= JINJA_MAX_FRAMES) {
        n = a.list->count < b.list->count ? a.list->count : b.list->count;
        for (size_t i = 0; i < n && !c && jinja_step(r, 1); i++)
            c = value_compare(r, a.list->items[i], b.list->items[i]);
        r->frames--;
        return c ? c : (a.list->count > b.list->count) - (a.list->count < b.list->count);
    }
    jinja_fail(r, SOOTH_ERR_ARG, "%s and %s have no order", value_kind_name(a), value_kind_name(b));
    return 0;
}

bool value_inside(struct render *r, struct value item, struct value whole)
{
    if (whole.kind == VAL_TEXT) {
        if (item.kind != VAL_TEXT) {
            jinja_fail(r, SOOTH_ERR_ARG, "%s is looked for in a string", value_kind_name(item));
            return false;
        }
        jinja_step(r, whole.text->len / 64);
        return !item.text->len || memmem(whole.text->text, whole.text->len, item.text->text, item.text->len);
    }
    if (whole.kind == VAL_DICT)
        return jdict_find(r, whole.dict, item) != NULL;
    if (whole.kind == VAL_LIST) {
        for (size_t i = 0; i < whole.list->count && !r->status; i++)
            if (value_equal(r, whole.list->items[i], item))
                return true;
        return false;
    }
    if (whole.kind != VAL_UNDEFINED)
        jinja_fail(r, SOOTH_ERR_ARG, "%s holds nothing to look in", value_kind_name(whole));
    return false;
}
