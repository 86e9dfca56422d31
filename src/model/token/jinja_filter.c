/* jinja_filter.c: filters: functions of the value before "|". One row each. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

typedef struct value filter(struct render *r, struct value v, struct jargs *args);

static struct value wrong(struct render *r, const char *filter_name, struct value v)
{
    return jinja_fail(r, SOOTH_ERR_ARG, "%s of %s", filter_name, value_kind_name(v));
}

/* ---- texts ---- */

enum casing { CASE_LOWER, CASE_UPPER, CASE_CAPITAL, CASE_TITLE };

static struct value recase(struct render *r, struct value v, enum casing how)
{
    struct joutput o;
    bool start = true;
    v = value_to_text(r, v);
    joutput_init(&o);
    for (size_t i = 0, size; !r->status && i < v.text->len; i += size) {
        uint32_t c = utf8_decode(v.text->text + i, v.text->len - i, &size), to = c;
        char bytes[4];
        if (c == UTF8_BAD) {
            joutput_text(r, &o, v.text, i, i + size);
            continue;
        }
        to = how == CASE_UPPER || (how != CASE_LOWER && start) ? uni_upper(c) : uni_lower(c);
        start = how == CASE_TITLE && (uni_class(c) & UNI_SPACE || memchr("-([{<", (int)c, 5)) && c < 128;
        joutput_add(r, &o, bytes, utf8_encode(to, bytes), v.text->from ? (enum text_origin)v.text->from[i] : v.text->origin);
    }
    return joutput_take(r, &o);
}

static struct value f_lower(struct render *r, struct value v, struct jargs *a) { (void)a; return recase(r, v, CASE_LOWER); }
static struct value f_upper(struct render *r, struct value v, struct jargs *a) { (void)a; return recase(r, v, CASE_UPPER); }
static struct value f_capitalize(struct render *r, struct value v, struct jargs *a) { (void)a; return recase(r, v, CASE_CAPITAL); }
static struct value f_title(struct render *r, struct value v, struct jargs *a) { (void)a; return recase(r, v, CASE_TITLE); }
static struct value f_string(struct render *r, struct value v, struct jargs *a) { (void)a; return value_to_text(r, v); }

static struct value f_trim(struct render *r, struct value v, struct jargs *args)
{
    struct jmethod m;
    v = value_to_text(r, v);
    m = (struct jmethod){v, "strip"};
    return r->status ? UNDEFINED : jinja_call_method(r, &m, args);
}

/* All of `old`, or the first `count`. An empty `old` stands before each character and at the end. */
static struct value f_replace(struct render *r, struct value v, struct jargs *args)
{
    struct value old = jinja_arg(args, 0, "old"), new = jinja_arg(args, 1, "new"), most = jinja_arg(args, 2, "count");
    int64_t left = most.kind == VAL_INT ? most.i : -1;
    struct joutput o;
    size_t at = 0, size;
    v = value_to_text(r, v);
    if (r->status || old.kind != VAL_TEXT || new.kind != VAL_TEXT)
        return wrong(r, "replace", old);
    joutput_init(&o);
    while (!r->status && left != 0) {
        const char *hit = old.text->len ? memmem(v.text->text + at, v.text->len - at, old.text->text, old.text->len) : v.text->text + at;
        if (!hit)
            break;
        joutput_text(r, &o, v.text, at, (size_t)(hit - v.text->text));
        joutput_value(r, &o, new);
        at = (size_t)(hit - v.text->text) + old.text->len;
        left -= left > 0;
        if (!old.text->len) {
            if (at >= v.text->len)
                break;
            utf8_decode(v.text->text + at, v.text->len - at, &size);
            joutput_text(r, &o, v.text, at, at + size);
            at += size;
        }
        jinja_step(r, 1);
    }
    joutput_text(r, &o, v.text, at < v.text->len ? at : v.text->len, v.text->len);
    return joutput_take(r, &o);
}

/* Every line but the first (unless first) and the empty ones (unless blank) moves right. */
static struct value f_indent(struct render *r, struct value v, struct jargs *args)
{
    struct value width = jinja_arg(args, 0, "width"), pad;
    bool first = value_true(jinja_arg(args, 1, "first")), blank = value_true(jinja_arg(args, 2, "blank")), start = true;
    struct joutput o;
    v = value_to_text(r, v);
    if (width.kind == VAL_UNDEFINED)
        width = INTEGER(4);
    pad = width.kind == VAL_TEXT ? width : jinja_binary(r, OP_MUL, jtext_literal(r, " "), width);
    if (r->status)
        return UNDEFINED;
    joutput_init(&o);
    for (size_t at = 0; at < v.text->len && !r->status; start = false) {
        const char *end = memchr(v.text->text + at, '\n', v.text->len - at);
        size_t stop = end ? (size_t)(end - v.text->text) + 1 : v.text->len;
        bool is_blank = v.text->text[at] == '\n';
        if ((!start || first) && (!is_blank || blank))
            joutput_value(r, &o, pad);
        joutput_text(r, &o, v.text, at, stop);
        at = stop;
    }
    return joutput_take(r, &o);
}

static struct value f_join(struct render *r, struct value v, struct jargs *args)
{
    struct value by = jinja_arg(args, 0, "d"), name = jinja_arg(args, 1, "attribute");
    struct jlist *l = value_elements(r, v);
    struct joutput o;
    if (!l)
        return UNDEFINED;
    joutput_init(&o);
    for (size_t i = 0; i < l->count && !r->status; i++) {
        if (i && by.kind != VAL_UNDEFINED)
            joutput_value(r, &o, by);
        joutput_value(r, &o, name.kind == VAL_UNDEFINED ? l->items[i] : value_item(r, l->items[i], name));
        jinja_step(r, 1);
    }
    return joutput_take(r, &o);
}

static struct value f_tojson(struct render *r, struct value v, struct jargs *args)
{
    struct value indent = jinja_arg(args, 1, "indent"), separators = jinja_arg(args, 2, "separators"), ascii = jinja_arg(args, 0, "ensure_ascii");
    const char *comma = indent.kind == VAL_INT ? "," : ", ", *colon = ": ";
    char given[2][16] = {{0}};
    for (size_t i = 0; separators.kind == VAL_LIST && separators.list->count == 2 && i < 2; i++) {
        struct value s = separators.list->items[i];
        if (s.kind != VAL_TEXT || s.text->len >= sizeof *given)
            return jinja_fail(r, SOOTH_ERR_ARG, "tojson: separators are two short strings");
        memcpy(given[i], s.text->text, s.text->len);
        comma = given[0];
        colon = i ? given[1] : colon;
    }
    if (indent.kind == VAL_INT && (indent.i < 0 || indent.i > 100))
        return jinja_fail(r, SOOTH_ERR_LIMIT, "tojson: indent of %lld", (long long)indent.i);
    return value_to_json(r, v, indent.kind == VAL_INT ? (int)indent.i : -1, value_true(jinja_arg(args, 3, "sort_keys")), comma, colon, value_true(ascii));
}

static struct value f_from_json(struct render *r, struct value v, struct jargs *args)
{
    struct sooth_error err;
    struct json *j;
    (void)args;
    if (v.kind != VAL_TEXT)
        return wrong(r, "from_json", v);
    j = json_parse(r->arena, v.text->text, v.text->len, 0, NULL, &err);
    jinja_step(r, v.text->len / 16);
    return j ? value_from_json(r, j) : jinja_fail(r, SOOTH_ERR_ARG, "from_json: %s", err.text);
}

/* ---- numbers ---- */

static bool read_number(struct render *r, struct value v, double *out)
{
    struct jmethod m = {v, "strip"};
    struct jargs none = {0};
    char text[64], *end;
    if (v.kind == VAL_TEXT)
        v = jinja_call_method(r, &m, &none);
    if (v.kind == VAL_INT || v.kind == VAL_BOOL || v.kind == VAL_FLOAT) {
        *out = v.kind == VAL_FLOAT ? v.f : v.kind == VAL_BOOL ? v.truth : (double)v.i;
        return true;
    }
    if (v.kind != VAL_TEXT || !v.text->len || v.text->len >= sizeof text)
        return false;
    memcpy(text, v.text->text, v.text->len);
    text[v.text->len] = 0;
    *out = strtod(text, &end);
    return !*end;
}

static struct value f_int(struct render *r, struct value v, struct jargs *args)
{
    double d;
    struct value fallback = jinja_arg(args, 0, "default");
    if (v.kind == VAL_INT)
        return v;
    if (read_number(r, v, &d) && d > -9e18 && d < 9e18)
        return INTEGER((int64_t)d);
    return fallback.kind == VAL_UNDEFINED ? INTEGER(0) : fallback;
}

static struct value f_float(struct render *r, struct value v, struct jargs *args)
{
    double d = 0;
    struct value fallback = jinja_arg(args, 0, "default");
    if (!read_number(r, v, &d) && fallback.kind != VAL_UNDEFINED)
        return fallback;
    return (struct value){.kind = VAL_FLOAT, .f = d};
}

static struct value f_abs(struct render *r, struct value v, struct jargs *args)
{
    (void)args;
    if (v.kind == VAL_FLOAT)
        v.f = fabs(v.f);
    else if (v.kind == VAL_INT)
        return v.i < 0 ? jinja_binary(r, OP_SUB, INTEGER(0), v) : v;
    else
        return wrong(r, "abs", v);
    return v;
}

/* ---- lists ---- */

static struct value f_length(struct render *r, struct value v, struct jargs *args)
{
    (void)args;
    switch (v.kind) {
    case VAL_UNDEFINED: return INTEGER(0);
    case VAL_TEXT: jinja_step(r, v.text->len / 64); return INTEGER(utf8_length(v.text->text, v.text->len));
    case VAL_LIST: return INTEGER(v.list->count);
    case VAL_DICT: return INTEGER(v.dict->count);
    default: return wrong(r, "length", v);
    }
}

static struct value copy_list(struct render *r, struct value v)
{
    struct jlist *l = value_elements(r, v);
    struct value out = l ? jlist_new(r, l->count) : UNDEFINED;
    for (size_t i = 0; !r->status && i < l->count; i++)
        jlist_add(r, out.list, l->items[i]);
    return out;
}

static struct value f_list(struct render *r, struct value v, struct jargs *args)
{
    (void)args;
    return copy_list(r, v);
}

static struct value f_first(struct render *r, struct value v, struct jargs *args)
{
    struct jlist *l = value_elements(r, v);
    (void)args;
    return l && l->count ? l->items[0] : UNDEFINED;
}

static struct value f_last(struct render *r, struct value v, struct jargs *args)
{
    struct jlist *l = value_elements(r, v);
    (void)args;
    return l && l->count ? l->items[l->count - 1] : UNDEFINED;
}

static struct value f_reverse(struct render *r, struct value v, struct jargs *args)
{
    struct value out = copy_list(r, v), swap;
    struct joutput o;
    (void)args;
    for (size_t i = 0; !r->status && i < out.list->count / 2; i++) {
        swap = out.list->items[i];
        out.list->items[i] = out.list->items[out.list->count - 1 - i];
        out.list->items[out.list->count - 1 - i] = swap;
    }
    if (r->status || v.kind != VAL_TEXT)
        return out;
    joutput_init(&o);
    for (size_t i = 0; i < out.list->count; i++)
        joutput_value(r, &o, out.list->items[i]);
    return joutput_take(r, &o);
}

static struct value f_items(struct render *r, struct value v, struct jargs *args)
{
    struct value out = jlist_new(r, 0), pair;
    (void)args;
    if (v.kind == VAL_UNDEFINED || r->status)
        return out;
    if (v.kind != VAL_DICT)
        return wrong(r, "items", v);
    for (size_t i = 0; i < v.dict->count && !r->status; i++) {
        pair = jlist_new(r, 2);
        if (r->status || !jlist_add(r, pair.list, v.dict->items[i].key) || !jlist_add(r, pair.list, v.dict->items[i].value))
            break;
        pair.list->tuple = true;
        jlist_add(r, out.list, pair);
    }
    return out;
}

/* "a.b.0" looked up part by part. */
static struct value get_path(struct render *r, struct value v, struct value path)
{
    const struct jtext *t = path.text;
    if (path.kind == VAL_INT)
        return value_item(r, v, path);
    if (path.kind != VAL_TEXT)
        return jinja_fail(r, SOOTH_ERR_ARG, "attribute name is %s", value_kind_name(path));
    for (size_t at = 0, end; at <= t->len && !r->status; at = end + 1) {
        char *rest;
        struct value part;
        const char *dot = memchr(t->text + at, '.', t->len - at);
        end = dot ? (size_t)(dot - t->text) : t->len;
        part = jtext_part(r, t, at, end);
        if (end > at && t->text[at] >= '0' && t->text[at] <= '9')
            part = INTEGER(strtoll(t->text + at, &rest, 10));
        if (v.kind == VAL_UNDEFINED || r->status)
            return v;
        v = value_item(r, v, part);
    }
    return v;
}

/* Sorting key: texts without regard to case unless asked. */
static struct value sort_key(struct render *r, struct value v, struct value attribute, bool cased)
{
    if (attribute.kind != VAL_UNDEFINED && attribute.kind != VAL_NONE)
        v = get_path(r, v, attribute);
    return v.kind == VAL_TEXT && !cased ? recase(r, v, CASE_LOWER) : v;
}

/* Merge sort: stable, n log n comparisons, each a step. */
static void merge_sort(struct render *r, struct jpair *items, struct jpair *spare, size_t n, bool reverse)
{
    size_t half = n / 2, a = 0, b = half;
    if (n < 2 || r->status)
        return;
    merge_sort(r, items, spare, half, reverse);
    merge_sort(r, items + half, spare, n - half, reverse);
    for (size_t i = 0; i < n && jinja_step(r, 1); i++) {
        bool left = a < half && (b >= n || (reverse ? value_compare(r, items[a].key, items[b].key) >= 0 : value_compare(r, items[a].key, items[b].key) <= 0));
        spare[i] = left ? items[a++] : items[b++];
    }
    if (!r->status)
        memcpy(items, spare, n * sizeof *items);
}

static struct value sorted(struct render *r, struct value v, struct value attribute, bool cased, bool reverse)
{
    struct value out = copy_list(r, v);
    struct jpair *items, *spare;
    size_t n = r->status ? 0 : out.list->count;
    if (r->status || !n)
        return out;
    items = jinja_alloc(r, n * sizeof *items);
    spare = jinja_alloc(r, n * sizeof *spare);
    for (size_t i = 0; !r->status && i < n; i++)
        items[i] = (struct jpair){sort_key(r, out.list->items[i], attribute, cased), out.list->items[i]};
    if (!r->status)
        merge_sort(r, items, spare, n, reverse);
    for (size_t i = 0; !r->status && i < n; i++)
        out.list->items[i] = items[i].value;
    return out;
}

static struct value f_sort(struct render *r, struct value v, struct jargs *args)
{
    return sorted(r, v, jinja_arg(args, 2, "attribute"), value_true(jinja_arg(args, 1, "case_sensitive")), value_true(jinja_arg(args, 0, "reverse")));
}

static struct value f_dictsort(struct render *r, struct value v, struct jargs *args)
{
    struct value pairs = f_items(r, v, args);
    bool by_value = jtext_is(jinja_arg(args, 1, "by"), "value");
    return r->status ? UNDEFINED : sorted(r, pairs, INTEGER(by_value), value_true(jinja_arg(args, 0, "case_sensitive")), value_true(jinja_arg(args, 2, "reverse")));
}

static struct value f_unique(struct render *r, struct value v, struct jargs *args)
{
    struct jlist *l = value_elements(r, v);
    struct value out = jlist_new(r, 0), seen = jlist_new(r, 0), attribute = jinja_arg(args, 1, "attribute");
    bool cased = value_true(jinja_arg(args, 0, "case_sensitive"));
    for (size_t i = 0; l && !r->status && i < l->count; i++) {
        struct value key = sort_key(r, l->items[i], attribute, cased);
        if (value_inside(r, key, seen))
            continue;
        jlist_add(r, seen.list, key);
        jlist_add(r, out.list, l->items[i]);
    }
    return out;
}

static struct value extreme(struct render *r, struct value v, struct jargs *args, int sign)
{
    struct jlist *l = value_elements(r, v);
    struct value attribute = jinja_arg(args, 1, "attribute"), best = UNDEFINED, best_key = UNDEFINED;
    for (size_t i = 0; l && !r->status && i < l->count; i++) {
        struct value key = sort_key(r, l->items[i], attribute, value_true(jinja_arg(args, 0, "case_sensitive")));
        if (i && sign * value_compare(r, key, best_key) <= 0)
            continue;
        best = l->items[i];
        best_key = key;
    }
    return best;
}

static struct value f_min(struct render *r, struct value v, struct jargs *args) { return extreme(r, v, args, -1); }
static struct value f_max(struct render *r, struct value v, struct jargs *args) { return extreme(r, v, args, 1); }

static struct value f_sum(struct render *r, struct value v, struct jargs *args)
{
    struct jlist *l = value_elements(r, v);
    struct value attribute = jinja_arg(args, 0, "attribute"), sum = INTEGER(0);
    for (size_t i = 0; l && !r->status && i < l->count; i++)
        sum = jinja_binary(r, OP_ADD, sum, attribute.kind == VAL_UNDEFINED ? l->items[i] : get_path(r, l->items[i], attribute));
    return sum;
}

static struct jargs rest_of(const struct jargs *args, size_t from)
{
    return from < args->count ? (struct jargs){args->items + from, args->count - from, args->keywords} : (struct jargs){0, 0, args->keywords};
}

/* The texts that name filters and tests are written in templates, hence short. */
static bool take_name(struct render *r, struct value v, char out[64])
{
    if (v.kind != VAL_TEXT || v.text->len >= 64) {
        jinja_fail(r, SOOTH_ERR_ARG, "name of a filter or test expected");
        return false;
    }
    memcpy(out, v.text->text, v.text->len);
    out[v.text->len] = 0;
    return true;
}

/* map and select pass over whatever is false: none too. */
static struct jlist *elements_if_any(struct render *r, struct value v)
{
    return value_elements(r, value_true(v) ? v : UNDEFINED);
}

static struct value f_map(struct render *r, struct value v, struct jargs *args)
{
    struct jlist *l = elements_if_any(r, v);
    struct value out = jlist_new(r, 0), attribute = jinja_arg(args, SIZE_MAX, "attribute"), item;
    struct value fallback = jinja_arg(args, SIZE_MAX, "default");
    struct jargs rest = rest_of(args, 1);
    char name[64];
    if (!l || (attribute.kind == VAL_UNDEFINED && !take_name(r, jinja_arg(args, 0, NULL), name)))
        return UNDEFINED;
    for (size_t i = 0; !r->status && i < l->count; i++) {
        item = attribute.kind == VAL_UNDEFINED ? jinja_call_filter(r, name, l->items[i], &rest) : get_path(r, l->items[i], attribute);
        jlist_add(r, out.list, item.kind == VAL_UNDEFINED && fallback.kind != VAL_UNDEFINED ? fallback : item);
    }
    return out;
}

/* select, reject, selectattr, rejectattr: keep what passes (or fails) a test, by default truth. */
static struct value choose(struct render *r, struct value v, struct jargs *args, bool by_attribute, bool keep)
{
    struct jlist *l = elements_if_any(r, v);
    struct value out = jlist_new(r, 0);
    size_t at = by_attribute;
    struct jargs rest = rest_of(args, at + 1);
    char name[64] = "";
    if (!l || (at < args->count && !take_name(r, args->items[at], name)))
        return UNDEFINED;
    if (by_attribute && !args->count)
        return jinja_fail(r, SOOTH_ERR_ARG, "selectattr without an attribute");
    for (size_t i = 0; !r->status && i < l->count; i++) {
        struct value item = by_attribute ? get_path(r, l->items[i], args->items[0]) : l->items[i];
        bool holds = *name ? jinja_call_test(r, name, item, &rest) : value_true(item);
        if (holds == keep)
            jlist_add(r, out.list, l->items[i]);
    }
    return out;
}

static struct value f_select(struct render *r, struct value v, struct jargs *a) { return choose(r, v, a, false, true); }
static struct value f_reject(struct render *r, struct value v, struct jargs *a) { return choose(r, v, a, false, false); }
static struct value f_selectattr(struct render *r, struct value v, struct jargs *a) { return choose(r, v, a, true, true); }
static struct value f_rejectattr(struct render *r, struct value v, struct jargs *a) { return choose(r, v, a, true, false); }

static struct value f_default(struct render *r, struct value v, struct jargs *args)
{
    bool falsy = value_true(jinja_arg(args, 1, "boolean"));
    if (v.kind != VAL_UNDEFINED && (!falsy || value_true(v)))
        return v;
    return jinja_arg_given(args, 0, "default_value") ? jinja_arg(args, 0, "default_value") : jtext_literal(r, "");
}

static struct value f_safe(struct render *r, struct value v, struct jargs *args)
{
    (void)args;
    return value_to_text(r, v);
}

static struct value f_attr(struct render *r, struct value v, struct jargs *args)
{
    return value_item(r, v, jinja_arg(args, 0, "name"));
}

static const struct { const char *name; filter *call; } filters[] = {
    {"abs", f_abs}, {"attr", f_attr}, {"capitalize", f_capitalize}, {"count", f_length}, {"d", f_default}, {"default", f_default},
    {"dictsort", f_dictsort}, {"first", f_first}, {"float", f_float}, {"from_json", f_from_json}, {"indent", f_indent}, {"int", f_int},
    {"items", f_items}, {"join", f_join}, {"last", f_last}, {"length", f_length}, {"list", f_list}, {"lower", f_lower}, {"map", f_map},
    {"max", f_max}, {"min", f_min}, {"reject", f_reject}, {"rejectattr", f_rejectattr}, {"replace", f_replace}, {"reverse", f_reverse},
    {"safe", f_safe}, {"select", f_select}, {"selectattr", f_selectattr}, {"sort", f_sort}, {"string", f_string}, {"sum", f_sum},
    {"title", f_title}, {"tojson", f_tojson}, {"trim", f_trim}, {"unique", f_unique}, {"upper", f_upper},
};

struct value jinja_call_filter(struct render *r, const char *name, struct value v, struct jargs *args)
{
    if (r->status || !jinja_step(r, 1))
        return UNDEFINED;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (!strcmp(filters[i].name, name))
            return filters[i].call(r, v, args);
    return jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "filter '%s' is not supported", name);
}
