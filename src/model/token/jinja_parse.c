/* jinja_parse.c: tags to statements, and the front of parsing.
 *
 * Known: if/elif/else, for (unpacking, if, else, recursive), break, continue, set (also as a block), macro, call, filter,
 * generation. Anything else is refused with its line and name. */
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

static struct stmt *parse_body(struct parser *p, const char *const *ends);

static struct stmt *new_stmt(struct parser *p, enum stmt_kind kind)
{
    struct stmt *s = jinja_parser_alloc(p, sizeof *s);
    if (s) {
        s->kind = kind;
        s->line = p->line;
    }
    return s;
}

static bool end_tag(struct parser *p)
{
    if (p->status)
        return false;
    if (p->token.kind != TK_TAG_END)
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "unexpected '%.*s'", (int)(p->token.len > 40 ? 40 : p->token.len), p->token.text);
    return true;
}

/* The rest of this tag, the body, and the tag that closes it. */
static struct stmt *block(struct parser *p, struct stmt *s, const char *close)
{
    const char *const ends[] = {close, NULL};
    if (!s || !end_tag(p))
        return NULL;
    s->body = parse_body(p, ends);
    return jinja_lex_expect(p, close) && end_tag(p) ? s : NULL;
}

static struct stmt *parse_if(struct parser *p)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL}, *const last[] = {"endif", NULL};
    struct stmt *first = new_stmt(p, ST_IF), *s = first;
    while (s) {
        s->value = jinja_parse_tuple(p, true);
        if (!s->value || !end_tag(p))
            return NULL;
        s->body = parse_body(p, ends);
        if (!jinja_lex_accept(p, "elif"))
            break;
        s = s->otherwise = new_stmt(p, ST_IF);
    }
    if (s && jinja_lex_accept(p, "else") && end_tag(p))
        s->otherwise = parse_body(p, last);
    return jinja_lex_expect(p, "endif") && end_tag(p) ? first : NULL;
}

static struct stmt *parse_for(struct parser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL}, *const last[] = {"endfor", NULL};
    struct stmt *s = new_stmt(p, ST_FOR);
    if (!s)
        return NULL;
    s->target = jinja_parse_target(p, false);
    if (!s->target || !jinja_lex_expect(p, "in"))
        return NULL;
    s->value = jinja_parse_tuple(p, false);
    if (s->value && jinja_lex_accept(p, "if"))
        s->filter = jinja_parse_expr(p);
    s->recursive = jinja_lex_accept(p, "recursive");
    if (!end_tag(p))
        return NULL;
    s->body = parse_body(p, ends);
    if (jinja_lex_accept(p, "else") && end_tag(p))
        s->otherwise = parse_body(p, last);
    return jinja_lex_expect(p, "endfor") && end_tag(p) ? s : NULL;
}

static struct stmt *parse_set(struct parser *p)
{
    struct stmt *s = new_stmt(p, ST_SET);
    if (!s)
        return NULL;
    s->target = jinja_parse_target(p, true);
    if (!s->target)
        return NULL;
    if (jinja_lex_accept(p, "=")) {
        s->value = jinja_parse_tuple(p, true);
        return s->value && end_tag(p) ? s : NULL;
    }
    s->kind = ST_SET_BLOCK;
    if (jinja_lex_accept(p, "|"))
        s->value = jinja_parse_filters(p, NULL);
    return block(p, s, "endset");
}

/* (name, name=default, ...) */
static bool parse_params(struct parser *p, struct stmt *s)
{
    struct expr **tail = &s->params;
    while (!p->status && !jinja_lex_is(p, ")")) {
        struct expr *e = jinja_parser_alloc(p, sizeof *e);
        if (!e)
            return false;
        if (p->token.kind != TK_NAME)
            return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "name of a parameter expected");
        *e = (struct expr){.kind = EX_NAME, .name = p->token.text, .line = p->line};
        jinja_lex_next(p);
        if (jinja_lex_accept(p, "="))
            e->a = jinja_parse_expr(p);
        *tail = e;
        tail = &e->next;
        if (!jinja_lex_accept(p, ","))
            break;
    }
    return jinja_lex_expect(p, ")");
}

static struct stmt *parse_macro(struct parser *p)
{
    struct stmt *s = new_stmt(p, ST_MACRO);
    if (!s)
        return NULL;
    if (p->token.kind != TK_NAME) {
        jinja_parser_fail(p, SOOTH_ERR_FORMAT, "name of the macro expected");
        return NULL;
    }
    s->name = p->token.text;
    if (!jinja_lex_next(p) || !jinja_lex_expect(p, "(") || !parse_params(p, s))
        return NULL;
    return block(p, s, "endmacro");
}

static struct stmt *parse_call_block(struct parser *p)
{
    struct stmt *s = new_stmt(p, ST_CALL);
    if (!s || (jinja_lex_accept(p, "(") && !parse_params(p, s)))
        return NULL;
    s->name = "caller";
    s->value = jinja_parse_expr(p);
    if (s->value && s->value->kind != EX_CALL) {
        jinja_parser_fail(p, SOOTH_ERR_FORMAT, "call block without a call");
        return NULL;
    }
    return s->value ? block(p, s, "endcall") : NULL;
}

static struct stmt *parse_simple(struct parser *p, enum stmt_kind kind, const char *close)
{
    struct stmt *s = new_stmt(p, kind);
    if (s && kind == ST_FILTER)
        s->value = jinja_parse_filters(p, NULL);
    if (close)
        return block(p, s, close);
    return end_tag(p) ? s : NULL;
}

static struct stmt *parse_tag(struct parser *p)
{
    char name[64];
    if (p->token.kind != TK_NAME) {
        jinja_parser_fail(p, SOOTH_ERR_FORMAT, "name of a statement expected");
        return NULL;
    }
    if (jinja_lex_accept(p, "if"))
        return parse_if(p);
    if (jinja_lex_accept(p, "for"))
        return parse_for(p);
    if (jinja_lex_accept(p, "set"))
        return parse_set(p);
    if (jinja_lex_accept(p, "macro"))
        return parse_macro(p);
    if (jinja_lex_accept(p, "call"))
        return parse_call_block(p);
    if (jinja_lex_accept(p, "filter"))
        return parse_simple(p, ST_FILTER, "endfilter");
    if (jinja_lex_accept(p, "generation"))
        return parse_simple(p, ST_GENERATION, "endgeneration");
    if (jinja_lex_accept(p, "break"))
        return parse_simple(p, ST_BREAK, NULL);
    if (jinja_lex_accept(p, "continue"))
        return parse_simple(p, ST_CONTINUE, NULL);
    snprintf(name, sizeof name, "%.*s", (int)(p->token.len > 60 ? 60 : p->token.len), p->token.text);
    jinja_parser_fail(p, SOOTH_ERR_UNSUPPORTED, "statement '%s' is not supported", name);
    return NULL;
}

static struct stmt *parse_print(struct parser *p)
{
    struct stmt *s = new_stmt(p, ST_PRINT);
    if (!s)
        return NULL;
    s->value = jinja_parse_tuple(p, true);
    return s->value && end_tag(p) ? s : NULL;
}

static struct stmt *text_stmt(struct parser *p, const char *text, size_t len)
{
    struct stmt *s = new_stmt(p, ST_TEXT);
    if (s) {
        s->text = text;
        s->len = len;
    }
    return s;
}

static bool is_end(const struct parser *p, const char *const *ends)
{
    for (size_t i = 0; p->token.kind == TK_NAME && ends && ends[i]; i++)
        if (jinja_lex_is(p, ends[i]))
            return true;
    return false;
}

/* Statements up to one of the names, which is the next token then; ends NULL = up to the end of the template. */
static struct stmt *parse_body(struct parser *p, const char *const *ends)
{
    struct stmt *first = NULL, **tail = &first;
    if (p->status || ++p->depth > JINJA_MAX_DEPTH) {
        jinja_parser_fail(p, SOOTH_ERR_LIMIT, "statements nested deeper than %d", JINJA_MAX_DEPTH);
        return NULL;
    }
    while (!p->status) {
        const char *text;
        size_t len;
        int tag = jinja_lex_text(p, &text, &len);
        if (len && (*tail = text_stmt(p, text, len)))
            tail = &(*tail)->next;
        if (tag == 0) {
            if (ends)
                jinja_parser_fail(p, SOOTH_ERR_FORMAT, "end of the template before '%s'", ends[0]);
            break;
        }
        if (tag == '%' && is_end(p, ends))
            break;
        if (tag == '#')
            continue;
        *tail = tag == '{' ? parse_print(p) : parse_tag(p);
        if (*tail)
            tail = &(*tail)->next;
    }
    p->depth--;
    return p->status ? NULL : first;
}

bool jinja_parse_template(struct parser *p)
{
    p->line = 1;
    p->line_starting = true;
    p->t->body = parse_body(p, NULL);
    return !p->status;
}

/* Line ends become "\n"; the last one goes. */
static bool copy_source(struct template *t, const char *text, size_t len)
{
    t->source = arena_array(&t->arena, len + 4, 1); /* the lexer looks up to three bytes ahead: zeros */
    if (!t->source)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        t->source[t->len++] = text[i] == '\r' ? '\n' : text[i];
    }
    t->len -= t->len && t->source[t->len - 1] == '\n';
    memset(t->source + t->len, 0, 4 + len - t->len);
    return true;
}

enum sooth_status template_parse(const char *text, size_t len, struct template **out, struct sooth_error *err)
{
    struct template *t;
    struct parser p = {.err = err};
    *out = NULL;
    if (len > JINJA_MAX_SOURCE)
        return err_set(err, SOOTH_ERR_LIMIT, "template is longer than %d bytes", JINJA_MAX_SOURCE);
    if (!utf8_valid(text, len) || memchr(text, 0, len))
        return err_set(err, SOOTH_ERR_FORMAT, "template is not UTF-8 text");
    t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_nomem(err);
    arena_init(&t->arena, JINJA_MAX_MEMORY);
    p.t = t;
    p.arena = &t->arena;
    if (copy_source(t, text, len))
        jinja_parse_template(&p);
    else
        p.status = err_nomem(err);
    vec_free(&p.names);
    if (p.status)
        template_free(t);
    else
        *out = t;
    return p.status;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    arena_release(&t->arena);
    mem_free(t);
}
