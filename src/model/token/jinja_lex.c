/* jinja_lex.c: cutting a template into text and tags, and tags into tokens.
 *
 * White space as chat templates are rendered everywhere: trim_blocks (the newline after a block or comment goes) and
 * lstrip_blocks (blanks between a line's start and a block or comment go); "-" inside a tag eats all white space on that side,
 * "+" keeps it. A newline at the template's very end goes. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

bool jinja_parser_fail(struct parser *p, enum sooth_status status, const char *format, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    if (p->status)
        return false;
    va_start(ap, format);
    buf_vprintf(&b, format, ap);
    va_end(ap);
    p->status = err_set(p->err, status, "template line %u: %s", p->line, buf_str(&b));
    buf_release(&b);
    return false;
}

void *jinja_parser_alloc(struct parser *p, size_t size)
{
    void *out = arena_calloc(p->arena, 1, size);
    if (!out && !p->status)
        p->status = err_nomem(p->err);
    return out;
}

const char *jinja_parser_intern(struct parser *p, const char *s, size_t len)
{
    const char *copy;
    for (size_t i = 0; i < p->names.count; i++)
        if (strlen(p->names.items[i]) == len && !memcmp(p->names.items[i], s, len))
            return p->names.items[i];
    copy = arena_strndup(p->arena, s, len);
    if ((!copy || !vec_push(&p->names, copy)) && !p->status)
        p->status = err_nomem(p->err);
    return copy;
}

/* ---- text between tags ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_to(struct parser *p, size_t to)
{
    for (; p->at < to; p->at++)
        p->line += p->t->source[p->at] == '\n';
}

/* What the end of a tag swallows: all white space after "-", else one newline after a block or comment. */
static void after_tag(struct parser *p, bool minus, bool trims)
{
    const char *s = p->t->source;
    size_t to = p->at;
    if (minus)
        while (to < p->t->len && is_blank(s[to]))
            to++;
    else if (trims && to < p->t->len && s[to] == '\n')
        to++;
    p->line_starting = to > p->at && s[to - 1] == '\n';
    skip_to(p, to);
}

/* Shortens text [from, *to) for the tag that begins at *to. */
static void before_tag(const struct parser *p, size_t from, size_t *to, char sign, bool block)
{
    const char *s = p->t->source;
    size_t line = *to;
    if (sign == '-') {
        while (*to > from && is_blank(s[*to - 1]))
            --*to;
        return;
    }
    if (sign == '+' || !block)
        return;
    while (line > from && s[line - 1] != '\n')
        line--;
    for (size_t i = line; i < *to; i++)
        if (!is_blank(s[i]))
            return;
    if (line > from || p->line_starting)
        *to = line;
}

static bool skip_comment(struct parser *p)
{
    const char *s = p->t->source, *end = memmem(s + p->at + 2, p->t->len - p->at - 2, "#}", 2);
    if (!end)
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "comment without end");
    skip_to(p, (size_t)(end - s) + 2);
    after_tag(p, end > s && end[-1] == '-', true);
    return true;
}

int jinja_lex_text(struct parser *p, const char **text, size_t *len)
{
    const char *s = p->t->source;
    size_t from = p->at, to = from;
    char sign;
    while (to + 1 < p->t->len && !(s[to] == '{' && (s[to + 1] == '{' || s[to + 1] == '%' || s[to + 1] == '#')))
        to++;
    *text = s + from;
    if (to + 1 >= p->t->len) {
        skip_to(p, p->t->len);
        *len = p->t->len - from;
        return 0;
    }
    skip_to(p, to);
    sign = to + 2 < p->t->len ? s[to + 2] : 0;
    before_tag(p, from, &to, sign, s[p->at + 1] != '{');
    *len = to - from;
    if (s[p->at + 1] == '#')
        return skip_comment(p) ? '#' : 0;
    p->in_print = s[p->at + 1] == '{';
    p->braces = 0;
    skip_to(p, p->at + 2 + (sign == '-' || sign == '+'));
    return jinja_lex_next(p) ? (p->in_print ? '{' : '%') : 0;
}

/* ---- tokens ---- */

static unsigned hex_digits(const char *s, size_t n, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        char c = s[i];
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                   : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 99;
        if (d == 99)
            return 0;
        *out = *out * 16 + d;
    }
    return (unsigned)n;
}

/* One escape after a backslash; returns the bytes used. An unknown one stays as it is, as in Python. */
static size_t unescape(const char *s, size_t left, struct buf *out)
{
    static const char plain[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
    size_t digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
    uint32_t c;
    if (*s == '\n')
        return 1;
    if (digits && left > digits && hex_digits(s + 1, digits, &c)) {
        buf_put_utf8(out, c);
        return 1 + digits;
    }
    for (size_t i = 0; i + 1 < sizeof plain - 1; i += 2)
        if (plain[i] == *s) {
            buf_putc(out, plain[i + 1]);
            return 1;
        }
    buf_putc(out, '\\');
    return 0;
}

static bool lex_string(struct parser *p)
{
    const char *s = p->t->source;
    char quote = s[p->at];
    size_t i = p->at + 1;
    struct buf b = BUF_INIT;
    struct jtext *t;
    while (i < p->t->len && s[i] != quote) {
        if (s[i] == '\\' && i + 1 < p->t->len) {
            i++;
            i += unescape(s + i, p->t->len - i, &b);
        } else {
            buf_putc(&b, s[i++]);
        }
    }
    if (i >= p->t->len) {
        buf_release(&b);
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "string without end");
    }
    skip_to(p, i + 1);
    t = jinja_parser_alloc(p, sizeof *t);
    if (t) {
        *t = (struct jtext){.text = arena_strndup(p->arena, buf_str(&b), b.len), .len = b.len};
        p->token = (struct jtoken){TK_TEXT, t->text, t->len, {.kind = VAL_TEXT, .text = t}};
    }
    if (b.failed || (t && !t->text))
        p->status = err_nomem(p->err);
    buf_release(&b);
    return !p->status;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool lex_number(struct parser *p)
{
    const char *s = p->t->source + p->at;
    char digits[64], *end;
    size_t n = 0, used = 0;
    bool real = false;
    for (;; used++) {
        char c = s[used];
        bool point = c == '.' && !real && is_digit(s[used + 1]);
        bool power = (c == 'e' || c == 'E') && used && (is_digit(s[used + 1]) || (s[used + 1] == '-' && is_digit(s[used + 2])));
        if (!is_digit(c) && c != '_' && !point && !power)
            break;
        if (n + 3 >= sizeof digits)
            return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "number too long");
        real = real || point || power;
        if (c != '_')
            digits[n++] = c;
        if (power && s[used + 1] == '-')
            digits[n++] = s[++used];
    }
    digits[n] = 0;
    p->token = (struct jtoken){real ? TK_FLOAT : TK_INT, s, used, NONE};
    errno = 0;
    if (real)
        p->token.value = (struct value){.kind = VAL_FLOAT, .f = strtod(digits, &end)};
    else
        p->token.value = INTEGER(strtoll(digits, &end, 10));
    if (!real && errno)
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "number too large");
    p->at += used;
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool lex_tag_end(struct parser *p)
{
    const char *s = p->t->source + p->at, *close = p->in_print ? "}}" : "%}";
    size_t sign = *s == '-' || *s == '+';
    if (p->braces || p->t->len - p->at < 2 + sign || memcmp(s + sign, close, 2))
        return false;
    p->at += 2 + sign;
    p->token = (struct jtoken){TK_TAG_END, close, 2, NONE};
    after_tag(p, *s == '-', !p->in_print && *s != '+');
    return true;
}

bool jinja_lex_next(struct parser *p)
{
    static const char *const operators[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")",
                                            "[", "]", "{", "}", ",", ":", ".", "|", NULL};
    const char *s = p->t->source;
    if (p->status)
        return false;
    while (p->at < p->t->len && is_blank(s[p->at]))
        skip_to(p, p->at + 1);
    if (p->at >= p->t->len)
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "tag without end");
    if (lex_tag_end(p))
        return true;
    s += p->at;
    if (*s == '\'' || *s == '"')
        return lex_string(p);
    if (is_digit(*s))
        return lex_number(p);
    if (is_word(*s)) {
        size_t n = 1;
        while (is_word(s[n]))
            n++;
        p->token = (struct jtoken){TK_NAME, jinja_parser_intern(p, s, n), n, NONE};
        p->at += n;
        return !p->status;
    }
    for (size_t i = 0; operators[i]; i++)
        if (!strncmp(s, operators[i], strlen(operators[i]))) {
            p->token = (struct jtoken){TK_OP, operators[i], strlen(operators[i]), NONE};
            p->at += p->token.len;
            p->braces += *s == '{' || *s == '[' || *s == '(';
            p->braces -= p->braces && (*s == '}' || *s == ']' || *s == ')');
            return true;
        }
    return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "unexpected character '%c'", *s);
}

bool jinja_lex_is(const struct parser *p, const char *op)
{
    return (p->token.kind == TK_OP || p->token.kind == TK_NAME) && !strcmp(p->token.text, op);
}

bool jinja_lex_accept(struct parser *p, const char *op)
{
    return !p->status && jinja_lex_is(p, op) && (jinja_lex_next(p) || true);
}

bool jinja_lex_expect(struct parser *p, const char *op)
{
    if (p->status)
        return false;
    if (!jinja_lex_is(p, op))
        return jinja_parser_fail(p, SOOTH_ERR_FORMAT, "expected '%s' before '%.*s'", op, (int)(p->token.len > 40 ? 40 : p->token.len), p->token.text);
    return jinja_lex_next(p);
}
