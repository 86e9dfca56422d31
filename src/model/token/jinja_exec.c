/* jinja_exec.c: running statements, and one whole rendering.
 *
 * Scopes as in Jinja: a loop's body, a macro and a block of set, filter or call have their own; if has none. A macro sees
 * the scope where it was defined, as it is when the macro runs. */
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static enum flow run(struct render *r, struct scope *s, const struct stmt *body);

static void assign(struct render *r, struct scope *s, const struct expr *target, struct value v)
{
    struct value of;
    struct jlist *parts;
    const struct expr *e;
    size_t i = 0;
    if (r->status)
        return;
    if (target->kind == EX_NAME) {
        jinja_scope_set(r, s, target->name, v);
        return;
    }
    if (target->kind == EX_ATTR) {
        of = jinja_eval(r, s, target->a);
        if (of.kind != VAL_DICT || !of.dict->is_namespace)
            jinja_fail(r, SOOTH_ERR_ARG, "only a namespace takes attributes");
        else
            jdict_put(r, of.dict, jtext_literal(r, target->name), v);
        return;
    }
    parts = value_elements(r, v);
    for (e = target->args; parts && e && i < parts->count; e = e->next)
        assign(r, s, e, parts->items[i++]);
    if (parts && (e || i < parts->count))
        jinja_fail(r, SOOTH_ERR_ARG, "%zu values for another number of names", parts->count);
}

/* What the body prints, as a text. */
static struct value capture(struct render *r, struct scope *s, const struct stmt *body)
{
    struct joutput own, *before = r->out;
    struct scope inner = {NULL, s}, *kept = jinja_alloc(r, sizeof *kept);
    if (!kept)
        return UNDEFINED;
    *kept = inner;
    joutput_init(&own);
    r->out = &own;
    run(r, kept, body);
    r->out = before;
    return joutput_take(r, &own);
}

/* ---- macros ---- */

struct value jinja_call_macro(struct render *r, struct jmacro *m, struct jargs *args)
{
    struct scope *s = jinja_alloc(r, sizeof *s);
    struct value out;
    size_t k = 0;
    if (!s)
        return UNDEFINED;
    *s = (struct scope){NULL, m->scope};
    if (++r->macros > JINJA_MAX_DEPTH)
        return jinja_fail(r, SOOTH_ERR_LIMIT, "macros nested deeper than %d", JINJA_MAX_DEPTH);
    for (const struct expr *p = m->stmt->params; p && !r->status; p = p->next, k++) {
        struct value v = jinja_arg(args, k, p->name);
        if (!jinja_arg_given(args, k, p->name) && p->a)
            v = jinja_eval(r, s, p->a);
        if (v.kind == VAL_UNDEFINED)
            v.name = p->name;
        jinja_scope_set(r, s, p->name, v);
    }
    if (args->count > k)
        jinja_fail(r, SOOTH_ERR_ARG, "macro '%s' takes at most %zu arguments", m->stmt->name, k);
    if (m->caller.kind != VAL_UNDEFINED)
        jinja_scope_set(r, s, "caller", m->caller);
    out = capture(r, s, m->stmt->body);
    r->macros--;
    return out;
}

static struct value macro_value(struct render *r, struct scope *s, const struct stmt *st)
{
    struct jmacro *m = jinja_alloc(r, sizeof *m);
    if (!m)
        return UNDEFINED;
    *m = (struct jmacro){st, s, UNDEFINED};
    return (struct value){.kind = VAL_MACRO, .macro = m};
}

static void run_call(struct render *r, struct scope *s, const struct stmt *st)
{
    struct value f = jinja_eval(r, s, st->value->a), out;
    struct jargs args;
    struct jmacro with;
    if (r->status || !jinja_eval_args(r, s, st->value->args, &args))
        return;
    if (f.kind != VAL_MACRO) {
        jinja_fail(r, SOOTH_ERR_ARG, "call block of a %s", value_kind_name(f));
        return;
    }
    with = *f.macro;
    with.caller = macro_value(r, s, st);
    out = jinja_call_macro(r, &with, &args);
    joutput_value(r, r->out, out);
}

/* ---- loops ---- */

static const struct jlist *filtered(struct render *r, struct scope *s, const struct stmt *st, struct jlist *all)
{
    struct value kept;
    if (!st->filter || !all)
        return all;
    kept = jlist_new(r, 0);
    for (size_t i = 0; i < all->count && !r->status; i++) {
        struct scope *inner = jinja_alloc(r, sizeof *inner);
        if (!inner)
            return NULL;
        *inner = (struct scope){NULL, s};
        assign(r, inner, st->target, all->items[i]);
        if (value_true(jinja_eval(r, inner, st->filter)))
            jlist_add(r, kept.list, all->items[i]);
    }
    return r->status ? NULL : kept.list;
}

static void loop_over(struct render *r, struct scope *s, const struct stmt *st, struct value over, size_t depth)
{
    const struct jlist *list = filtered(r, s, st, value_elements(r, over));
    struct jlist frozen;
    struct jloop *loop = jinja_alloc(r, sizeof *loop);
    if (!list || !loop)
        return;
    frozen = *list; /* a list that grows meanwhile does not make the loop longer */
    *loop = (struct jloop){&frozen, 0, depth, st, s};
    for (; loop->index < frozen.count && jinja_step(r, 1); loop->index++) {
        struct scope *inner = jinja_alloc(r, sizeof *inner);
        if (!inner)
            break;
        *inner = (struct scope){NULL, s};
        jinja_scope_set(r, inner, "loop", (struct value){.kind = VAL_LOOP, .loop = loop});
        assign(r, inner, st->target, frozen.items[loop->index]);
        if (run(r, inner, st->body) == FLOW_BREAK)
            break;
    }
    loop->over = list; /* outlives this call */
    if (!frozen.count && st->otherwise && !r->status)
        run(r, s, st->otherwise);
}

struct value jinja_call_loop(struct render *r, struct jloop *l, struct jargs *args)
{
    struct joutput own, *before = r->out;
    if (!l->stmt->recursive || args->count != 1)
        return jinja_fail(r, SOOTH_ERR_ARG, "the loop is not recursive");
    if (++r->macros > JINJA_MAX_DEPTH)
        return jinja_fail(r, SOOTH_ERR_LIMIT, "loops nested deeper than %d", JINJA_MAX_DEPTH);
    joutput_init(&own);
    r->out = &own;
    loop_over(r, l->scope, l->stmt, args->items[0], l->depth + 1);
    r->out = before;
    r->macros--;
    return joutput_take(r, &own);
}

/* ---- statements ---- */

/* A chain of filters whose innermost value is v. */
static struct value through_filters(struct render *r, struct scope *s, const struct expr *e, struct value v)
{
    struct jargs args;
    if (!e || r->status)
        return v;
    v = through_filters(r, s, e->a, v);
    if (r->status || !jinja_eval_args(r, s, e->args, &args))
        return UNDEFINED;
    return jinja_call_filter(r, e->name, v, &args);
}

static enum flow run_if(struct render *r, struct scope *s, const struct stmt *st)
{
    for (;;) {
        bool yes = value_true(jinja_eval(r, s, st->value));
        if (r->status)
            return FLOW_ON;
        if (yes)
            return run(r, s, st->body);
        if (!st->otherwise || st->otherwise->kind != ST_IF || st->otherwise->next)
            return run(r, s, st->otherwise);
        st = st->otherwise;
    }
}

static enum flow run_one(struct render *r, struct scope *s, const struct stmt *st)
{
    struct value v;
    switch (st->kind) {
    case ST_TEXT: joutput_add(r, r->out, st->text, st->len, FROM_TEMPLATE); break;
    case ST_PRINT:
        v = jinja_eval(r, s, st->value);
        if (!r->status)
            joutput_value(r, r->out, v);
        break;
    case ST_IF: return run_if(r, s, st);
    case ST_FOR:
        v = jinja_eval(r, s, st->value);
        if (!r->status)
            loop_over(r, s, st, v, 1);
        break;
    case ST_SET: assign(r, s, st->target, jinja_eval(r, s, st->value)); break;
    case ST_SET_BLOCK: assign(r, s, st->target, through_filters(r, s, st->value, capture(r, s, st->body))); break;
    case ST_MACRO: jinja_scope_set(r, s, st->name, macro_value(r, s, st)); break;
    case ST_CALL: run_call(r, s, st); break;
    case ST_FILTER:
        v = through_filters(r, s, st->value, capture(r, s, st->body));
        if (!r->status)
            joutput_value(r, r->out, v);
        break;
    case ST_GENERATION:
        v = capture(r, s, st->body);
        if (!r->status)
            joutput_value(r, r->out, v);
        break;
    case ST_BREAK: return FLOW_BREAK;
    case ST_CONTINUE: return FLOW_CONTINUE;
    }
    return FLOW_ON;
}

static enum flow run(struct render *r, struct scope *s, const struct stmt *body)
{
    enum flow flow = FLOW_ON;
    if (++r->frames > JINJA_MAX_FRAMES)
        jinja_fail(r, SOOTH_ERR_LIMIT, "statements nested too deep");
    for (; body && flow == FLOW_ON && jinja_step(r, 1); body = body->next) {
        r->line = body->line;
        flow = run_one(r, s, body);
    }
    r->frames--;
    return flow;
}

/* ---- a rendering ---- */

static void set_text(struct render *r, const char *name, const char *text)
{
    jinja_scope_set(r, r->globals, name, jtext_literal(r, text ? text : ""));
}

static void set_globals(struct render *r, const struct json *messages, const struct json *tools, const struct template_options *o)
{
    static const char *const functions[] = {"namespace", "range", "raise_exception", "strftime_now", "joiner", "dict", NULL};
    for (size_t i = 0; functions[i]; i++)
        jinja_scope_set(r, r->globals, functions[i], (struct value){.kind = VAL_GLOBAL, .name = functions[i]});
    for (const struct json *e = o->extra && o->extra->type == JSON_OBJECT ? o->extra->child : NULL; e; e = e->next)
        jinja_scope_set(r, r->globals, e->key, value_from_json(r, e));
    jinja_scope_set(r, r->globals, "messages", value_from_json(r, messages));
    jinja_scope_set(r, r->globals, "tools", tools ? value_from_json(r, tools) : NONE);
    jinja_scope_set(r, r->globals, "add_generation_prompt", BOOLEAN(o->add_generation_prompt));
    set_text(r, "bos_token", o->bos);
    set_text(r, "eos_token", o->eos);
}

static enum sooth_status cut_segments(const struct joutput *out, struct arena *a, struct token_segments *segments, struct sooth_error *err)
{
    size_t n = 0, len = out->text.len;
    char *text = arena_strndup(a, buf_str(&out->text), len);
    for (size_t i = 0; i < len; i++)
        n += i == 0 || out->from.data[i] != out->from.data[i - 1];
    segments->items = arena_array(a, n ? n : 1, sizeof *segments->items);
    if (!text || !segments->items)
        return err_nomem(err);
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || out->from.data[i] != out->from.data[i - 1])
            segments->items[segments->count++] =
                (struct token_segment){out->from.data[i] == FROM_INPUT ? SEG_TEXT : SEG_CONTROL, text + i, 0};
        segments->items[segments->count - 1].len++;
    }
    return SOOTH_OK;
}

enum sooth_status template_render(const struct template *t, const struct json *messages, const struct json *tools,
                                  const struct template_options *o, struct arena *a, struct token_segments *out, struct sooth_error *err)
{
    struct joutput output;
    struct scope globals = {0}, top = {NULL, &globals};
    struct arena work;
    struct render r = {.t = t, .arena = &work, .globals = &globals, .out = &output, .now = o->now, .err = err};
    *out = (struct token_segments){0};
    if (!messages || messages->type != JSON_ARRAY)
        return err_set(err, SOOTH_ERR_ARG, "messages are no list");
    arena_init(&work, JINJA_MAX_MEMORY);
    joutput_init(&output);
    set_globals(&r, messages, tools, o);
    run(&r, &top, t->body);
    if (!r.status)
        r.status = cut_segments(&output, a, out, err);
    joutput_release(&output);
    arena_release(&work);
    return r.status;
}

const char template_plain[] =
    "{% for message in messages %}{{ 'System' if message.role == 'system' else 'Assistant' if message.role == 'assistant' else 'User' }}: "
    "{{ message.content }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";
