/* jinja_eval.c: evaluating expressions. Every node is a step and a frame; both have ceilings. */
#include <math.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

/* ---- scopes and arguments ---- */

bool jinja_scope_set(struct render *r, struct scope *s, const char *name, struct value v)
{
    struct binding *b;
    for (b = s->bindings; b; b = b->next)
        if (b->name == name || !strcmp(b->name, name)) {
            b->value = v;
            return !r->status;
        }
    b = jinja_alloc(r, sizeof *b);
    if (!b)
        return false;
    *b = (struct binding){name, v, s->bindings};
    s->bindings = b;
    return true;
}

static struct value scope_get(struct render *r, const struct scope *s, const char *name)
{
    for (; s; s = s->parent)
        for (const struct binding *b = s->bindings; b; b = b->next)
            if (b->name == name || !strcmp(b->name, name))
                return b->value;
    (void)r;
    return (struct value){.kind = VAL_UNDEFINED, .name = name};
}

static const struct binding *keyword(const struct jargs *args, const char *name)
{
    for (const struct binding *b = args->keywords; b; b = b->next)
        if (name && !strcmp(b->name, name))
            return b;
    return NULL;
}

struct value jinja_arg(const struct jargs *args, size_t k, const char *name)
{
    const struct binding *b = keyword(args, name);
    return b ? b->value : k < args->count ? args->items[k] : UNDEFINED;
}

bool jinja_arg_given(const struct jargs *args, size_t k, const char *name)
{
    return k < args->count || keyword(args, name);
}

bool jinja_eval_args(struct render *r, struct scope *s, const struct expr *list, struct jargs *out)
{
    size_t n = 0;
    *out = (struct jargs){0};
    for (const struct expr *e = list; e; e = e->next)
        n++;
    out->items = n ? jinja_alloc(r, n * sizeof *out->items) : NULL;
    for (const struct expr *e = list; e && !r->status; e = e->next) {
        struct value v = jinja_eval(r, s, e);
        struct binding *b;
        if (!e->keyword) {
            out->items[out->count++] = v;
            continue;
        }
        b = jinja_alloc(r, sizeof *b);
        if (b) {
            *b = (struct binding){e->keyword, v, out->keywords};
            out->keywords = b;
        }
    }
    return !r->status;
}

/* ---- attributes and items ---- */

static struct value loop_attr(struct render *r, const struct jloop *l, const char *name)
{
    int64_t i = (int64_t)l->index, n = (int64_t)l->over->count;
    if (!strcmp(name, "index"))
        return INTEGER(i + 1);
    if (!strcmp(name, "index0"))
        return INTEGER(i);
    if (!strcmp(name, "first"))
        return BOOLEAN(i == 0);
    if (!strcmp(name, "last"))
        return BOOLEAN(i + 1 == n);
    if (!strcmp(name, "length"))
        return INTEGER(n);
    if (!strcmp(name, "revindex"))
        return INTEGER(n - i);
    if (!strcmp(name, "revindex0"))
        return INTEGER(n - i - 1);
    if (!strcmp(name, "depth"))
        return INTEGER(l->depth);
    if (!strcmp(name, "depth0"))
        return INTEGER(l->depth - 1);
    if (!strcmp(name, "previtem"))
        return i ? l->over->items[i - 1] : UNDEFINED;
    if (!strcmp(name, "nextitem"))
        return i + 1 < n ? l->over->items[i + 1] : UNDEFINED;
    (void)r;
    return UNDEFINED;
}

static struct value bound_method(struct render *r, struct value self, const char *name)
{
    struct jmethod *m = jinja_alloc(r, sizeof *m);
    if (!m)
        return UNDEFINED;
    *m = (struct jmethod){self, name};
    return (struct value){.kind = VAL_METHOD, .method = m};
}

struct value value_attr(struct render *r, struct value v, const char *name)
{
    const struct value *found;
    if (v.kind == VAL_UNDEFINED)
        return jinja_fail(r, SOOTH_ERR_ARG, "'%s' is undefined, so it has no '%s'", v.name, name);
    if (jinja_method_exists(v, name))
        return bound_method(r, v, name);
    if (v.kind == VAL_DICT && (found = jdict_find_name(v.dict, name)))
        return *found;
    if (v.kind == VAL_LOOP)
        return loop_attr(r, v.loop, name);
    return (struct value){.kind = VAL_UNDEFINED, .name = name};
}

/* Start of character `index` of a text, or its length. */
static size_t character_at(const struct jtext *t, size_t index)
{
    size_t at = 0, size;
    for (; index && at < t->len; index--, at += size)
        utf8_decode(t->text + at, t->len - at, &size);
    return at;
}

static struct value text_item(struct render *r, const struct jtext *t, int64_t i)
{
    int64_t n = (int64_t)utf8_length(t->text, t->len);
    size_t at, size;
    jinja_step(r, t->len / 64);
    i += i < 0 ? n : 0;
    if (i < 0 || i >= n)
        return UNDEFINED;
    at = character_at(t, (size_t)i);
    utf8_decode(t->text + at, t->len - at, &size);
    return jtext_part(r, t, at, at + size);
}

struct value value_item(struct render *r, struct value v, struct value key)
{
    char name[64];
    const struct value *found;
    int64_t i = key.kind == VAL_BOOL ? key.truth : key.i;
    bool is_index = key.kind == VAL_INT || key.kind == VAL_BOOL;
    if (v.kind == VAL_UNDEFINED)
        return jinja_fail(r, SOOTH_ERR_ARG, "'%s' is undefined, so it has no items", v.name);
    if (v.kind == VAL_DICT && (found = jdict_find(r, v.dict, key)))
        return *found;
    if (v.kind == VAL_LIST && is_index) {
        i += i < 0 ? (int64_t)v.list->count : 0;
        return i < 0 || i >= (int64_t)v.list->count ? UNDEFINED : v.list->items[i];
    }
    if (v.kind == VAL_TEXT && is_index)
        return text_item(r, v.text, i);
    if (key.kind != VAL_TEXT || key.text->len >= sizeof name)
        return UNDEFINED;
    memcpy(name, key.text->text, key.text->len);
    name[key.text->len] = 0;
    if (v.kind == VAL_DICT && !jinja_method_exists(v, name))
        return UNDEFINED;
    if (v.kind == VAL_LOOP)
        return loop_attr(r, v.loop, name);
    return UNDEFINED;
}

/* Python's slice of n things: *from, *to clipped; false when the step is 0. */
static bool slice_bounds(struct render *r, struct value b, struct value c, struct value d, int64_t n, int64_t *from, int64_t *to,
                         int64_t *step)
{
    struct value parts[3] = {b, c, d};
    for (int i = 0; i < 3; i++)
        if (parts[i].kind != VAL_INT && parts[i].kind != VAL_NONE && parts[i].kind != VAL_UNDEFINED) {
            jinja_fail(r, SOOTH_ERR_ARG, "slice by a %s", value_kind_name(parts[i]));
            return false;
        }
    *step = d.kind == VAL_INT ? d.i : 1;
    if (*step == 0 || *step == INT64_MIN) {
        jinja_fail(r, SOOTH_ERR_ARG, "slice with step 0");
        return false;
    }
    *from = b.kind == VAL_INT ? b.i : *step > 0 ? 0 : n - 1;
    *to = c.kind == VAL_INT ? c.i : *step > 0 ? n : -1;
    if (b.kind == VAL_INT && *from < 0)
        *from = *from < -n ? (*step > 0 ? 0 : -1) : *from + n;
    if (c.kind == VAL_INT && *to < 0)
        *to = *to < -n ? (*step > 0 ? 0 : -1) : *to + n;
    if (*step > 0) {
        *from = *from > n ? n : *from;
        *to = *to > n ? n : *to;
    } else {
        *from = *from >= n ? n - 1 : *from;
        *to = *to >= n ? n - 1 : *to;
    }
    return true;
}

static struct value eval_slice(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v = jinja_eval(r, s, e->a), b = e->b ? jinja_eval(r, s, e->b) : NONE, c = e->c ? jinja_eval(r, s, e->c) : NONE;
    struct value d = e->d ? jinja_eval(r, s, e->d) : NONE, out;
    struct jlist *l;
    struct joutput o;
    int64_t from, to, step;
    if (r->status)
        return UNDEFINED;
    if (v.kind != VAL_LIST && v.kind != VAL_TEXT)
        return jinja_fail(r, SOOTH_ERR_ARG, "%s has no slices", value_kind_name(v));
    if (v.kind == VAL_TEXT && !e->d && slice_bounds(r, b, c, d, (int64_t)utf8_length(v.text->text, v.text->len), &from, &to, &step)) {
        size_t start = character_at(v.text, (size_t)from);
        jinja_step(r, v.text->len / 64);
        return jtext_part(r, v.text, start, to > from ? character_at(v.text, (size_t)to) : start);
    }
    l = r->status ? NULL : value_elements(r, v);
    if (!l || !slice_bounds(r, b, c, d, (int64_t)l->count, &from, &to, &step))
        return UNDEFINED;
    out = jlist_new(r, 0);
    for (; !r->status && (step > 0 ? from < to : from > to); from += step)
        if (!jlist_add(r, out.list, l->items[from]) || (step > 0 ? from > INT64_MAX - step : from < INT64_MIN - step))
            break;
    if (r->status || v.kind == VAL_LIST) {
        if (!r->status)
            out.list->tuple = v.list->tuple;
        return out;
    }
    joutput_init(&o);
    for (size_t i = 0; i < out.list->count; i++)
        joutput_value(r, &o, out.list->items[i]);
    return joutput_take(r, &o);
}

/* ---- arithmetic ---- */

static struct value concat(struct render *r, struct value a, struct value b)
{
    struct joutput o;
    joutput_init(&o);
    joutput_value(r, &o, a);
    joutput_value(r, &o, b);
    return joutput_take(r, &o);
}

static struct value repeat(struct render *r, struct value v, int64_t n)
{
    struct joutput o;
    struct value out;
    if (v.kind == VAL_TEXT) {
        joutput_init(&o);
        for (int64_t i = 0; i < n && v.text->len && jinja_step(r, 1); i++)
            joutput_value(r, &o, v);
        return joutput_take(r, &o);
    }
    out = jlist_new(r, 0);
    for (int64_t i = 0; i < n && v.list->count && !r->status; i++)
        for (size_t k = 0; k < v.list->count && jlist_add(r, out.list, v.list->items[k]); k++)
            ;
    return out;
}

static struct value join_lists(struct render *r, const struct jlist *a, const struct jlist *b)
{
    struct value out = jlist_new(r, a->count + b->count);
    for (size_t i = 0; i < a->count && jlist_add(r, out.list, a->items[i]); i++)
        ;
    for (size_t i = 0; i < b->count && !r->status && jlist_add(r, out.list, b->items[i]); i++)
        ;
    return out;
}

static struct value floats(struct render *r, enum binary_op op, double a, double b)
{
    if ((op == OP_DIV || op == OP_FLOOR || op == OP_MOD) && b == 0)
        return jinja_fail(r, SOOTH_ERR_ARG, "division by zero");
    switch (op) {
    case OP_ADD: a += b; break;
    case OP_SUB: a -= b; break;
    case OP_MUL: a *= b; break;
    case OP_DIV: a /= b; break;
    case OP_FLOOR: a = floor(a / b); break;
    case OP_MOD: a -= b * floor(a / b); break;
    default: a = pow(a, b); break;
    }
    return (struct value){.kind = VAL_FLOAT, .f = a};
}

static bool int_power(int64_t a, int64_t b, int64_t *out)
{
    *out = 1;
    for (; b > 0; b--) {
        if (__builtin_mul_overflow(*out, a, out))
            return false;
        if (*out == 0 || (*out == 1 && a == 1))
            return true;
        if (a == -1)
            b = b % 2 ? 1 : 2;
    }
    return true;
}

static struct value ints(struct render *r, enum binary_op op, int64_t a, int64_t b)
{
    int64_t out = 0;
    bool over = false;
    if (op == OP_DIV || (op == OP_POW && b < 0))
        return floats(r, op, (double)a, (double)b);
    if ((op == OP_FLOOR || op == OP_MOD) && b == 0)
        return jinja_fail(r, SOOTH_ERR_ARG, "division by zero");
    switch (op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, &out); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, &out); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, &out); break;
    case OP_POW: over = !int_power(a, b, &out); break;
    default: /* rounded towards minus infinity, as in Python */
        if (b == -1) {
            over = op == OP_FLOOR && __builtin_sub_overflow(0, a, &out);
            break;
        }
        out = op == OP_FLOOR ? a / b - (a % b && (a % b < 0) != (b < 0)) : a % b + (a % b && (a % b < 0) != (b < 0) ? b : 0);
    }
    return over ? jinja_fail(r, SOOTH_ERR_LIMIT, "integer too large") : INTEGER(out);
}

static bool as_int(struct value v, int64_t *out)
{
    *out = v.kind == VAL_INT ? v.i : v.kind == VAL_BOOL && v.truth;
    return v.kind == VAL_INT || v.kind == VAL_BOOL;
}

struct value jinja_binary(struct render *r, enum binary_op op, struct value a, struct value b)
{
    int64_t x, y;
    if (r->status)
        return UNDEFINED;
    switch (op) {
    case OP_CONCAT: return concat(r, a, b);
    case OP_EQ: return BOOLEAN(value_equal(r, a, b));
    case OP_NE: return BOOLEAN(!value_equal(r, a, b));
    case OP_LT: return BOOLEAN(value_compare(r, a, b) < 0);
    case OP_LE: return BOOLEAN(value_compare(r, a, b) <= 0);
    case OP_GT: return BOOLEAN(value_compare(r, a, b) > 0);
    case OP_GE: return BOOLEAN(value_compare(r, a, b) >= 0);
    case OP_IN: return BOOLEAN(value_inside(r, a, b));
    case OP_NOT_IN: return BOOLEAN(!value_inside(r, a, b));
    default: break;
    }
    if (as_int(a, &x) && as_int(b, &y))
        return ints(r, op, x, y);
    if ((a.kind == VAL_FLOAT || as_int(a, &x)) && (b.kind == VAL_FLOAT || as_int(b, &y)))
        return floats(r, op, a.kind == VAL_FLOAT ? a.f : (double)x, b.kind == VAL_FLOAT ? b.f : (as_int(b, &y), (double)y));
    if (op == OP_ADD && a.kind == VAL_TEXT && b.kind == VAL_TEXT)
        return concat(r, a, b);
    if (op == OP_ADD && a.kind == VAL_LIST && b.kind == VAL_LIST)
        return join_lists(r, a.list, b.list);
    if (op == OP_MUL && (a.kind == VAL_TEXT || a.kind == VAL_LIST) && as_int(b, &y))
        return repeat(r, a, y);
    if (op == OP_MUL && (b.kind == VAL_TEXT || b.kind == VAL_LIST) && as_int(a, &x))
        return repeat(r, b, x);
    if (op == OP_MOD && a.kind == VAL_TEXT)
        return jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "formatting by %% is not supported");
    return jinja_fail(r, SOOTH_ERR_ARG, "%s and %s cannot be combined so", value_kind_name(a), value_kind_name(b));
}

/* ---- calls ---- */

struct value jinja_call_value(struct render *r, struct value f, struct jargs *args)
{
    switch (f.kind) {
    case VAL_MACRO: return jinja_call_macro(r, f.macro, args);
    case VAL_METHOD: return jinja_call_method(r, f.method, args);
    case VAL_LOOP: return jinja_call_loop(r, f.loop, args);
    case VAL_GLOBAL: {
        struct jmethod m = {NONE, f.name};
        m.self.kind = VAL_GLOBAL;
        return jinja_call_method(r, &m, args);
    }
    case VAL_UNDEFINED: return jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "'%s' is undefined and cannot be called", f.name);
    default: return jinja_fail(r, SOOTH_ERR_ARG, "%s cannot be called", value_kind_name(f));
    }
}

static struct value eval_call(struct render *r, struct scope *s, const struct expr *e)
{
    struct value f = jinja_eval(r, s, e->a);
    struct jargs args;
    if (r->status || !jinja_eval_args(r, s, e->args, &args))
        return UNDEFINED;
    r->line = e->line;
    return jinja_call_value(r, f, &args);
}

static struct value eval_filter(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v = jinja_eval(r, s, e->a);
    struct jargs args;
    if (r->status || !jinja_eval_args(r, s, e->args, &args))
        return UNDEFINED;
    r->line = e->line;
    return jinja_call_filter(r, e->name, v, &args);
}

static struct value eval_test(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v = jinja_eval(r, s, e->a);
    struct jargs args;
    if (r->status || !jinja_eval_args(r, s, e->args, &args))
        return UNDEFINED;
    r->line = e->line;
    return BOOLEAN(jinja_call_test(r, e->name, v, &args));
}

static struct value eval_items(struct render *r, struct scope *s, const struct expr *e)
{
    struct value out = jlist_new(r, 0);
    for (const struct expr *x = e->args; x && !r->status; x = x->next)
        jlist_add(r, out.list, jinja_eval(r, s, x));
    if (!r->status)
        out.list->tuple = e->kind == EX_TUPLE;
    return out;
}

static struct value eval_dict(struct render *r, struct scope *s, const struct expr *e)
{
    struct value out = jdict_new(r);
    for (const struct expr *x = e->args; x && !r->status; x = x->next->next) {
        struct value key = jinja_eval(r, s, x), v = jinja_eval(r, s, x->next);
        if (key.kind == VAL_LIST || key.kind == VAL_DICT)
            jinja_fail(r, SOOTH_ERR_ARG, "a %s cannot be a key", value_kind_name(key));
        if (!r->status)
            jdict_put(r, out.dict, key, v);
    }
    return out;
}

static struct value eval_sign(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v = jinja_eval(r, s, e->a);
    if (v.kind == VAL_FLOAT)
        return (struct value){.kind = VAL_FLOAT, .f = e->kind == EX_NEG ? -v.f : v.f};
    return e->kind == EX_NEG ? jinja_binary(r, OP_SUB, INTEGER(0), v) : jinja_binary(r, OP_ADD, INTEGER(0), v);
}

static struct value eval_node(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v;
    switch (e->kind) {
    case EX_CONST: return e->constant;
    case EX_NAME: return scope_get(r, s, e->name);
    case EX_LIST:
    case EX_TUPLE: return eval_items(r, s, e);
    case EX_DICT: return eval_dict(r, s, e);
    case EX_ATTR:
        v = jinja_eval(r, s, e->a);
        return r->status ? UNDEFINED : value_attr(r, v, e->name);
    case EX_ITEM:
        v = jinja_eval(r, s, e->a);
        return r->status ? UNDEFINED : value_item(r, v, jinja_eval(r, s, e->b));
    case EX_SLICE: return eval_slice(r, s, e);
    case EX_CALL: return eval_call(r, s, e);
    case EX_FILTER: return eval_filter(r, s, e);
    case EX_TEST: return eval_test(r, s, e);
    case EX_NOT: return BOOLEAN(!value_true(jinja_eval(r, s, e->a)));
    case EX_NEG:
    case EX_POS: return eval_sign(r, s, e);
    case EX_BINARY:
    case EX_COMPARE:
        v = jinja_eval(r, s, e->a);
        return jinja_binary(r, e->op, v, jinja_eval(r, s, e->b));
    case EX_AND:
        v = jinja_eval(r, s, e->a);
        return value_true(v) ? jinja_eval(r, s, e->b) : v;
    case EX_OR:
        v = jinja_eval(r, s, e->a);
        return value_true(v) ? v : jinja_eval(r, s, e->b);
    case EX_COND:
        if (value_true(jinja_eval(r, s, e->b)))
            return jinja_eval(r, s, e->a);
        return e->c ? jinja_eval(r, s, e->c) : UNDEFINED;
    }
    return UNDEFINED;
}

struct value jinja_eval(struct render *r, struct scope *s, const struct expr *e)
{
    struct value v;
    if (r->status || !jinja_step(r, 1))
        return UNDEFINED;
    if (++r->frames > JINJA_MAX_FRAMES)
        jinja_fail(r, SOOTH_ERR_LIMIT, "evaluation nested too deep");
    r->line = e->line;
    v = eval_node(r, s, e);
    r->frames--;
    return r->status ? UNDEFINED : v;
}
