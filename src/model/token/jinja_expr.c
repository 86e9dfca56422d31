/* jinja_expr.c: expressions by recursive descent, loosest first:
 *
 *     x if y else z | or | and | not | == != < <= > >= in, not in (chained) | + - | ~ | * / // % | ** | unary - +
 *     | primary, then .name [index] (call), then |filter and is test */
#include <string.h>
#include "core/base/error.h"
#include "model/token/jinja.h"

static struct expr *new_expr(struct parser *p, enum expr_kind kind)
{
    struct expr *e = jinja_parser_alloc(p, sizeof *e);
    if (e) {
        e->kind = kind;
        e->line = p->line;
    }
    return e;
}

static struct expr *new_pair(struct parser *p, enum expr_kind kind, enum binary_op op, struct expr *a, struct expr *b)
{
    struct expr *e = a && b ? new_expr(p, kind) : NULL;
    if (e) {
        e->op = op;
        e->a = a;
        e->b = b;
        e->line = a->line;
    }
    return e;
}

static struct expr *unexpected(struct parser *p)
{
    if (p->token.kind == TK_TAG_END)
        jinja_parser_fail(p, SOOTH_ERR_FORMAT, "expression expected before the end of the tag");
    else
        jinja_parser_fail(p, SOOTH_ERR_FORMAT, "unexpected '%.*s'", (int)(p->token.len > 40 ? 40 : p->token.len), p->token.text);
    return NULL;
}

static struct expr *constant(struct parser *p, struct value v)
{
    struct expr *e = new_expr(p, EX_CONST);
    if (e)
        e->constant = v;
    return e;
}

/* Items up to the closing bracket, which is eaten. */
static bool parse_items(struct parser *p, const char *close, bool pairs, struct expr *into)
{
    struct expr **tail = &into->args;
    while (!p->status && !jinja_lex_is(p, close)) {
        for (int half = 0; half < 1 + pairs; half++) {
            if (half && !jinja_lex_expect(p, ":"))
                return false;
            *tail = jinja_parse_expr(p);
            if (!*tail)
                return false;
            tail = &(*tail)->next;
        }
        if (!jinja_lex_accept(p, ","))
            break;
    }
    return jinja_lex_expect(p, close);
}

static struct expr *parse_bracketed(struct parser *p)
{
    struct expr *e;
    if (jinja_lex_accept(p, "(")) {
        if (jinja_lex_accept(p, ")"))
            return new_expr(p, EX_TUPLE);
        e = jinja_parse_tuple(p, true);
        return jinja_lex_expect(p, ")") ? e : NULL;
    }
    e = new_expr(p, jinja_lex_is(p, "[") ? EX_LIST : EX_DICT);
    if (!e)
        return NULL;
    if (jinja_lex_accept(p, "["))
        return parse_items(p, "]", false, e) ? e : NULL;
    return jinja_lex_expect(p, "{") && parse_items(p, "}", true, e) ? e : NULL;
}

static struct expr *parse_strings(struct parser *p)
{
    struct expr *e = constant(p, p->token.value);
    while (e && jinja_lex_next(p) && p->token.kind == TK_TEXT) /* neighbours are one string, as in Python */
        e = new_pair(p, EX_BINARY, OP_CONCAT, e, constant(p, p->token.value));
    return p->status ? NULL : e;
}

static struct expr *parse_name(struct parser *p)
{
    static const struct { const char *name; struct value v; } words[] = {
        {"true", {.kind = VAL_BOOL, .truth = true}}, {"True", {.kind = VAL_BOOL, .truth = true}},
        {"false", {.kind = VAL_BOOL}}, {"False", {.kind = VAL_BOOL}}, {"none", {.kind = VAL_NONE}}, {"None", {.kind = VAL_NONE}}};
    const char *name = p->token.text;
    struct expr *e;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].name, name))
            return jinja_lex_next(p) ? constant(p, words[i].v) : NULL;
    e = new_expr(p, EX_NAME);
    if (e)
        e->name = name;
    return jinja_lex_next(p) ? e : NULL;
}

static struct expr *parse_primary(struct parser *p)
{
    struct expr *e;
    switch (p->token.kind) {
    case TK_NAME:
        return parse_name(p);
    case TK_TEXT:
        return parse_strings(p);
    case TK_INT:
    case TK_FLOAT:
        e = constant(p, p->token.value);
        return jinja_lex_next(p) ? e : NULL;
    case TK_OP:
        if (jinja_lex_is(p, "(") || jinja_lex_is(p, "[") || jinja_lex_is(p, "{"))
            return parse_bracketed(p);
        return unexpected(p);
    default:
        return unexpected(p);
    }
}

struct expr *jinja_parse_args(struct parser *p)
{
    struct expr *first = NULL, **tail = &first;
    while (!p->status && !jinja_lex_is(p, ")")) {
        const char *keyword = NULL;
        struct expr *e;
        if (jinja_lex_is(p, "*") || jinja_lex_is(p, "**")) {
            jinja_parser_fail(p, SOOTH_ERR_UNSUPPORTED, "arguments by * or ** are not supported");
            return NULL;
        }
        e = jinja_parse_expr(p);
        if (e && e->kind == EX_NAME && jinja_lex_is(p, "=")) {
            keyword = e->name;
            e = jinja_lex_next(p) ? jinja_parse_expr(p) : NULL;
        }
        if (!e)
            return NULL;
        e->keyword = keyword;
        *tail = e;
        tail = &e->next;
        if (!jinja_lex_accept(p, ","))
            break;
    }
    jinja_lex_expect(p, ")");
    return first;
}

static struct expr *parse_subscript(struct parser *p, struct expr *of)
{
    struct expr *e = new_expr(p, EX_ITEM), *parts[3] = {NULL, NULL, NULL};
    int n = 0;
    bool slice = false;
    if (!e)
        return NULL;
    while (!p->status && !jinja_lex_is(p, "]")) {
        if (jinja_lex_accept(p, ":")) {
            slice = true;
            if (++n > 2)
                return unexpected(p);
            continue;
        }
        if (parts[n])
            return unexpected(p);
        parts[n] = jinja_parse_expr(p);
    }
    if (!jinja_lex_expect(p, "]"))
        return NULL;
    if (!slice && !parts[0])
        return unexpected(p);
    e->kind = slice ? EX_SLICE : EX_ITEM;
    e->a = of;
    e->b = parts[0];
    e->c = parts[1];
    e->d = parts[2];
    return e;
}

static struct expr *parse_dot(struct parser *p, struct expr *of)
{
    struct expr *e = new_expr(p, EX_ATTR);
    if (!e)
        return NULL;
    e->a = of;
    if (p->token.kind == TK_INT) {
        e->kind = EX_ITEM;
        e->b = constant(p, p->token.value);
    } else if (p->token.kind == TK_NAME) {
        e->name = p->token.text;
    } else {
        return unexpected(p);
    }
    return jinja_lex_next(p) ? e : NULL;
}

static struct expr *parse_call(struct parser *p, struct expr *of)
{
    struct expr *e = new_expr(p, EX_CALL);
    if (!e)
        return NULL;
    e->a = of;
    e->args = jinja_parse_args(p);
    return p->status ? NULL : e;
}

/* Links that hang on one another nest the tree as deep as the chain is long. */
static bool deeper(struct parser *p, unsigned *links)
{
    if (++*links + p->depth <= JINJA_MAX_DEPTH)
        return true;
    return jinja_parser_fail(p, SOOTH_ERR_LIMIT, "expression nested deeper than %d", JINJA_MAX_DEPTH);
}

static struct expr *parse_postfix(struct parser *p, struct expr *e, unsigned *links)
{
    while (e && !p->status && deeper(p, links)) {
        if (jinja_lex_accept(p, "."))
            e = parse_dot(p, e);
        else if (jinja_lex_accept(p, "["))
            e = parse_subscript(p, e);
        else if (jinja_lex_accept(p, "("))
            e = parse_call(p, e);
        else
            return e;
    }
    return NULL;
}

static struct expr *parse_filter(struct parser *p, struct expr *of)
{
    struct expr *e = new_expr(p, EX_FILTER);
    if (!e || p->token.kind != TK_NAME)
        return e ? unexpected(p) : NULL;
    e->a = of;
    e->name = p->token.text;
    if (!jinja_lex_next(p))
        return NULL;
    if (jinja_lex_accept(p, "("))
        e->args = jinja_parse_args(p);
    return p->status ? NULL : e;
}

struct expr *jinja_parse_filters(struct parser *p, struct expr *e)
{
    unsigned links = 0;
    do
        e = deeper(p, &links) ? parse_filter(p, e) : NULL;
    while (e && jinja_lex_accept(p, "|"));
    return p->status ? NULL : e;
}

static bool starts_argument(const struct parser *p)
{
    if (p->token.kind == TK_NAME)
        return !jinja_lex_is(p, "else") && !jinja_lex_is(p, "or") && !jinja_lex_is(p, "and") && !jinja_lex_is(p, "is") && !jinja_lex_is(p, "if") && !jinja_lex_is(p, "not") &&
               !jinja_lex_is(p, "in");
    return p->token.kind == TK_TEXT || p->token.kind == TK_INT || p->token.kind == TK_FLOAT || jinja_lex_is(p, "[") || jinja_lex_is(p, "{");
}

static struct expr *parse_test(struct parser *p, struct expr *of)
{
    bool negated = jinja_lex_accept(p, "not");
    struct expr *e = new_expr(p, EX_TEST), *whole = e;
    unsigned links = 0;
    if (!e || p->token.kind != TK_NAME)
        return e ? unexpected(p) : NULL;
    e->a = of;
    e->name = p->token.text;
    if (!jinja_lex_next(p))
        return NULL;
    if (jinja_lex_accept(p, "(")) {
        e->args = jinja_parse_args(p);
    } else if (starts_argument(p)) {
        e->args = parse_primary(p);
        e->args = e->args ? parse_postfix(p, e->args, &links) : NULL;
    }
    if (negated) {
        whole = new_expr(p, EX_NOT);
        if (whole)
            whole->a = e;
    }
    return p->status ? NULL : whole;
}

static struct expr *parse_unary(struct parser *p, bool with_filter)
{
    struct expr *e;
    unsigned links = 0;
    if (p->status || ++p->depth > JINJA_MAX_DEPTH) {
        jinja_parser_fail(p, SOOTH_ERR_LIMIT, "expression nested deeper than %d", JINJA_MAX_DEPTH);
        return NULL;
    }
    if (jinja_lex_is(p, "-") || jinja_lex_is(p, "+")) {
        e = new_expr(p, jinja_lex_is(p, "-") ? EX_NEG : EX_POS);
        if (e)
            e->a = jinja_lex_next(p) ? parse_unary(p, false) : NULL;
        e = e && e->a ? e : NULL;
    } else {
        e = parse_primary(p);
    }
    e = e ? parse_postfix(p, e, &links) : NULL;
    while (e && with_filter && !p->status && deeper(p, &links)) {
        if (jinja_lex_accept(p, "|"))
            e = parse_filter(p, e);
        else if (jinja_lex_accept(p, "is"))
            e = parse_test(p, e);
        else if (jinja_lex_is(p, "("))
            e = parse_postfix(p, e, &links);
        else
            break;
    }
    p->depth--;
    return p->status ? NULL : e;
}

/* Left-associative levels, from ** up to +. */
static struct expr *parse_level(struct parser *p, int level)
{
    static const struct { int level; const char *op; enum binary_op code; } table[] = {
        {0, "**", OP_POW}, {1, "*", OP_MUL}, {1, "/", OP_DIV}, {1, "//", OP_FLOOR}, {1, "%", OP_MOD}, {2, "~", OP_CONCAT},
        {3, "+", OP_ADD}, {3, "-", OP_SUB}};
    struct expr *e = level ? parse_level(p, level - 1) : parse_unary(p, true);
    unsigned links = 0;
    for (bool found = true; e && found && !p->status;) {
        found = false;
        for (size_t i = 0; !found && i < sizeof table / sizeof *table; i++)
            if (table[i].level == level && p->token.kind == TK_OP && jinja_lex_accept(p, table[i].op)) {
                found = true;
                if (!deeper(p, &links))
                    return NULL;
                e = new_pair(p, EX_BINARY, table[i].code, e, level ? parse_level(p, level - 1) : parse_unary(p, true));
            }
    }
    return p->status ? NULL : e;
}

static bool compare_op(struct parser *p, enum binary_op *op)
{
    static const struct { const char *op; enum binary_op code; } table[] = {
        {"==", OP_EQ}, {"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE}, {"<", OP_LT}, {">", OP_GT}, {"in", OP_IN}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (jinja_lex_accept(p, table[i].op)) {
            *op = table[i].code;
            return true;
        }
    *op = OP_NOT_IN;
    return jinja_lex_accept(p, "not") && jinja_lex_expect(p, "in");
}

/* a < b < c is a < b and b < c: b hangs on both. */
static struct expr *parse_compare(struct parser *p)
{
    struct expr *left = parse_level(p, 3), *whole = NULL, *right, *one;
    unsigned links = 0;
    enum binary_op op;
    if (!left)
        return NULL;
    while (!p->status && compare_op(p, &op)) {
        if (!deeper(p, &links))
            return NULL;
        right = parse_level(p, 3);
        one = new_pair(p, EX_COMPARE, op, left, right);
        whole = whole ? new_pair(p, EX_AND, 0, whole, one) : one;
        left = right;
    }
    return p->status ? NULL : whole ? whole : left;
}

static struct expr *parse_not(struct parser *p)
{
    struct expr *e;
    if (!jinja_lex_is(p, "not"))
        return parse_compare(p);
    if (++p->depth > JINJA_MAX_DEPTH) {
        jinja_parser_fail(p, SOOTH_ERR_LIMIT, "expression nested deeper than %d", JINJA_MAX_DEPTH);
        return NULL;
    }
    e = new_expr(p, EX_NOT);
    if (e)
        e->a = jinja_lex_next(p) ? parse_not(p) : NULL;
    p->depth--;
    return e && e->a ? e : NULL;
}

static struct expr *parse_logic(struct parser *p, bool any)
{
    struct expr *e = any ? parse_logic(p, false) : parse_not(p);
    unsigned links = 0;
    while (e && !p->status && jinja_lex_accept(p, any ? "or" : "and")) {
        if (!deeper(p, &links))
            return NULL;
        e = new_pair(p, any ? EX_OR : EX_AND, 0, e, any ? parse_logic(p, false) : parse_not(p));
    }
    return p->status ? NULL : e;
}

struct expr *jinja_parse_expr(struct parser *p)
{
    struct expr *e = NULL, *cond;
    if (p->status || ++p->depth > JINJA_MAX_DEPTH) {
        jinja_parser_fail(p, SOOTH_ERR_LIMIT, "expression nested deeper than %d", JINJA_MAX_DEPTH);
        return NULL;
    }
    e = parse_logic(p, true);
    while (e && !p->status && jinja_lex_accept(p, "if")) {
        cond = new_expr(p, EX_COND);
        if (!cond)
            return NULL;
        cond->a = e;
        cond->b = parse_logic(p, true);
        if (jinja_lex_accept(p, "else"))
            cond->c = jinja_parse_expr(p);
        e = cond;
    }
    p->depth--;
    return p->status ? NULL : e;
}

/* a or a, b, ...: with_condition false stops before "if" (a for loop's). */
struct expr *jinja_parse_tuple(struct parser *p, bool with_condition)
{
    struct expr *first = with_condition ? jinja_parse_expr(p) : parse_logic(p, true), *tuple, **tail;
    if (!first || !jinja_lex_is(p, ","))
        return first;
    tuple = new_expr(p, EX_TUPLE);
    if (!tuple)
        return NULL;
    tuple->args = first;
    tail = &first->next;
    while (jinja_lex_accept(p, ",") && p->token.kind != TK_TAG_END && !jinja_lex_is(p, ")") && !jinja_lex_is(p, "=")) {
        *tail = with_condition ? jinja_parse_expr(p) : parse_logic(p, true);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    }
    return p->status ? NULL : tuple;
}

/* Names to assign to: a | a, b | (a, b) | namespace.attribute where allowed. */
struct expr *jinja_parse_target(struct parser *p, bool attribute)
{
    bool bracket = jinja_lex_accept(p, "(");
    struct expr *tuple = new_expr(p, EX_TUPLE), **tail = tuple ? &tuple->args : NULL;
    size_t n = 0;
    while (tuple && p->token.kind == TK_NAME) {
        struct expr *e = parse_name(p);
        if (!e || e->kind != EX_NAME)
            return p->status ? NULL : unexpected(p);
        if (attribute && jinja_lex_accept(p, "."))
            e = parse_dot(p, e);
        if (!e)
            return NULL;
        *tail = e;
        tail = &e->next;
        n++;
        if (!jinja_lex_accept(p, ","))
            break;
    }
    if (bracket && !jinja_lex_expect(p, ")"))
        return NULL;
    if (!n)
        return tuple ? unexpected(p) : NULL;
    return p->status ? NULL : n == 1 ? tuple->args : tuple;
}
