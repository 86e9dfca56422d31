/* gbnf.c: grammars as text, in the notation of llama.cpp.
 *
 *     root   ::= greeting " " name ("," " " name){0,3} "."     # the rule the text must be
 *     name   ::= [A-Z] [a-z]+ | "\"" [^"\n]* "\""
 *
 * Literals and classes take \n \r \t \\ \" \[ \] \- \xHH \uHHHH \UHHHHHHHH; "." is any character; repeats are * + ? {m} {m,}
 * {m,n}. A line end ends a rule, except inside parentheses and before a line that begins with '|'. Comments run from # to
 * the line's end.
 *
 * The parser keeps its open parentheses in a list of its own: nesting costs no stack. Left out: tokens by number (<[12]>). */
#include <string.h>
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/grammar/grammar.h"
#include "model/grammar/rules.h"

/* One open parenthesis, or the rule itself: what stands before the last '|', what after it, and the last element. */
struct gbnf_level {
    bool has_before, has_row, has_item;
    struct piece before, row, item;
};
struct gbnf {
    const char *text;
    size_t len, at;
    struct rules rules;
    VEC(struct gbnf_level) levels;
    struct sooth_error *err;
    enum sooth_status status;
};

static void gbnf_fail(struct gbnf *g, const char *what)
{
    size_t line = 1;
    for (size_t i = 0; i < g->at && i < g->len; i++)
        line += g->text[i] == '\n';
    if (g->status == SOOTH_OK)
        g->status = err_set(g->err, SOOTH_ERR_ARG, "grammar line %zu: %s", line, what);
    if (!g->err)
        g->status = SOOTH_ERR_ARG;
}

static char gbnf_peek(const struct gbnf *g)
{
    return g->at < g->len ? g->text[g->at] : 0;
}

static void gbnf_blanks(struct gbnf *g, bool lines)
{
    while (g->at < g->len) {
        char c = g->text[g->at];
        if (c == '#')
            while (g->at < g->len && g->text[g->at] != '\n')
                g->at++;
        else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n'))
            g->at++;
        else
            return;
    }
}

static bool gbnf_is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t gbnf_name(struct gbnf *g)
{
    size_t from = g->at;
    while (g->at < g->len && gbnf_is_name(g->text[g->at]))
        g->at++;
    return g->at - from;
}

static uint32_t gbnf_hex(struct gbnf *g, size_t digits)
{
    uint32_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = gbnf_peek(g);
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 16;
        if (d == 16 || v >> 28)
            return gbnf_fail(g, "an escape wants hexadecimal digits"), 0;
        v = v * 16 + d;
        g->at++;
    }
    if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
        gbnf_fail(g, "an escape names no character");
    return v;
}

/* One character of a literal or class. */
static uint32_t gbnf_char(struct gbnf *g)
{
    size_t size;
    if (gbnf_peek(g) != '\\') {
        uint32_t c = utf8_decode(g->text + g->at, g->len - g->at, &size);
        if (c == UTF8_BAD)
            return gbnf_fail(g, "the text is not valid UTF-8"), 0;
        g->at += size;
        return c;
    }
    g->at++;
    char c = gbnf_peek(g);
    g->at++;
    switch (c) {
    case 'x': return gbnf_hex(g, 2);
    case 'u': return gbnf_hex(g, 4);
    case 'U': return gbnf_hex(g, 8);
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case '\\': case '"': case '[': case ']': case '-': case '^': return (unsigned char)c;
    default: return gbnf_fail(g, "unknown escape"), 0;
    }
}

static struct piece gbnf_literal(struct gbnf *g)
{
    struct piece p = rules_empty(&g->rules);
    g->at++;
    while (g->status == SOOTH_OK && gbnf_peek(g) != '"') {
        char bytes[4];
        if (g->at >= g->len || gbnf_peek(g) == '\n')
            return gbnf_fail(g, "a literal is not closed"), p;
        uint32_t c = gbnf_char(g);
        p = rules_then(&g->rules, p, rules_text(&g->rules, bytes, utf8_encode(c, bytes)));
    }
    g->at++;
    return p;
}

static struct piece gbnf_class(struct gbnf *g)
{
    VEC(struct class_range) ranges = {0};
    struct piece p = {0, 0};
    g->at++;
    bool others = gbnf_peek(g) == '^';
    g->at += others;
    while (g->status == SOOTH_OK && gbnf_peek(g) != ']') {
        if (g->at >= g->len)
            gbnf_fail(g, "a class is not closed");
        struct class_range r;
        r.lo = r.hi = g->status == SOOTH_OK ? gbnf_char(g) : 0;
        if (g->status == SOOTH_OK && gbnf_peek(g) == '-' && g->at + 1 < g->len && g->text[g->at + 1] != ']') {
            g->at++;
            r.hi = gbnf_char(g);
            if (r.hi < r.lo)
                gbnf_fail(g, "a range of a class runs backwards");
        }
        if (g->status == SOOTH_OK && (!vec_push(&ranges, r) || !vec_reserve(&ranges, ranges.count + 1)))
            g->status = err_nomem(g->err);
    }
    g->at++;
    if (g->status == SOOTH_OK && !ranges.count && !others)
        gbnf_fail(g, "an empty class fits nothing");
    struct class_range none;
    if (g->status == SOOTH_OK)
        p = rules_class(&g->rules, ranges.items ? ranges.items : &none, ranges.count, others);
    vec_free(&ranges);
    return p;
}

/* ---- levels ---- */

static struct gbnf_level *gbnf_top(struct gbnf *g)
{
    return &g->levels.items[g->levels.count - 1];
}

static void level_row(struct gbnf *g, struct gbnf_level *l)
{
    if (l->has_item)
        l->row = l->has_row ? rules_then(&g->rules, l->row, l->item) : l->item;
    l->has_row = l->has_row || l->has_item;
    l->has_item = false;
}

static void level_item(struct gbnf *g, struct piece p)
{
    struct gbnf_level *l = gbnf_top(g);
    level_row(g, l);
    l->item = p;
    l->has_item = true;
}

static void level_or(struct gbnf *g)
{
    struct gbnf_level *l = gbnf_top(g);
    level_row(g, l);
    struct piece row = l->has_row ? l->row : rules_empty(&g->rules);
    l->before = l->has_before ? rules_either(&g->rules, l->before, row) : row;
    l->has_before = true;
    l->has_row = false;
}

static struct piece level_close(struct gbnf *g)
{
    level_or(g);
    return g->levels.items[--g->levels.count].before;
}

static void level_open(struct gbnf *g)
{
    struct gbnf_level l = {0};
    if (g->levels.count > RULES_NESTING)
        gbnf_fail(g, "parentheses are nested too deep");
    else if (!vec_push(&g->levels, l))
        g->status = err_nomem(g->err);
}

/* ---- repeats ---- */

static uint32_t gbnf_number(struct gbnf *g)
{
    uint32_t v = 0;
    size_t from = g->at;
    for (; gbnf_peek(g) >= '0' && gbnf_peek(g) <= '9'; g->at++)
        if ((v = v * 10 + (uint32_t)(gbnf_peek(g) - '0')) > RULES_REPEAT)
            return gbnf_fail(g, "a repeat is over 1000000"), 0;
    if (g->at == from)
        gbnf_fail(g, "a repeat wants a number");
    return v;
}

static void gbnf_repeat(struct gbnf *g)
{
    char c = g->text[g->at++];
    uint32_t min = c == '+', max = c == '?' ? 1 : REPEAT_ALWAYS;
    struct gbnf_level *l = gbnf_top(g);
    if (c == '{') {
        gbnf_blanks(g, false);
        min = max = gbnf_peek(g) == ',' ? 0 : gbnf_number(g);
        gbnf_blanks(g, false);
        if (gbnf_peek(g) == ',') {
            g->at++;
            gbnf_blanks(g, false);
            max = gbnf_peek(g) == '}' ? REPEAT_ALWAYS : gbnf_number(g);
            gbnf_blanks(g, false);
        }
        if (g->status == SOOTH_OK && gbnf_peek(g) != '}')
            gbnf_fail(g, "a repeat is not closed");
        g->at++;
    }
    if (g->status == SOOTH_OK && !l->has_item)
        gbnf_fail(g, "a repeat has nothing to repeat");
    if (g->status == SOOTH_OK && max < min)
        gbnf_fail(g, "a repeat runs backwards");
    if (g->status == SOOTH_OK)
        l->item = max == 0 ? rules_empty(&g->rules) : rules_repeat(&g->rules, l->item, min, max);
}

/* ---- rules ---- */

/* One element or sign of a rule; false at the rule's end. */
static bool gbnf_step(struct gbnf *g)
{
    gbnf_blanks(g, g->levels.count > 1);
    char c = gbnf_peek(g);
    if (c == '\n') {
        gbnf_blanks(g, true);
        if (gbnf_peek(g) != '|')
            return false;
        c = '|';
    }
    if (g->at >= g->len) {
        if (g->levels.count > 1)
            gbnf_fail(g, "a parenthesis is not closed");
        return false;
    }
    if (c == '"') {
        level_item(g, gbnf_literal(g));
    } else if (c == '[') {
        level_item(g, gbnf_class(g));
    } else if (c == '.') {
        struct class_range all = {0, 0x10FFFF};
        g->at++;
        level_item(g, rules_class(&g->rules, &all, 1, false));
    } else if (c == '(') {
        g->at++;
        level_open(g);
    } else if (c == ')') {
        g->at++;
        if (g->levels.count < 2)
            return gbnf_fail(g, "a parenthesis closes nothing"), false;
        struct piece p = level_close(g);
        level_item(g, p);
    } else if (c == '|') {
        g->at++;
        level_or(g);
    } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        gbnf_repeat(g);
    } else if (gbnf_is_name(c)) {
        size_t from = g->at, n = gbnf_name(g);
        level_item(g, rules_call(&g->rules, rules_named(&g->rules, g->text + from, n)));
    } else {
        gbnf_fail(g, c == '<' ? "tokens by number are not supported" : "unexpected character");
    }
    return g->status == SOOTH_OK && g->rules.status == SOOTH_OK;
}

static void gbnf_rule(struct gbnf *g)
{
    size_t from = g->at, n = gbnf_name(g);
    uint32_t rule = n ? rules_named(&g->rules, g->text + from, n) : 0;
    gbnf_blanks(g, true);
    if (!n)
        gbnf_fail(g, "a rule wants a name");
    else if (g->len - g->at < 3 || memcmp(g->text + g->at, "::=", 3) != 0)
        gbnf_fail(g, "a rule's name wants '::=' behind it");
    else if (rules_defined(&g->rules, rule) && g->rules.status == SOOTH_OK)
        gbnf_fail(g, "a rule is defined twice");
    if (g->status != SOOTH_OK)
        return;
    g->at += 3;
    gbnf_blanks(g, true);
    level_open(g);
    while (g->status == SOOTH_OK && gbnf_step(g))
        ;
    if (g->status == SOOTH_OK && g->rules.status == SOOTH_OK)
        rules_define(&g->rules, rule, level_close(g));
}

enum sooth_status sooth_grammar_gbnf(const char *text, size_t len, struct sooth_grammar **out, struct sooth_error *err)
{
    struct gbnf g = {.text = text, .len = len, .err = err};
    *out = NULL;
    if (len > RULES_TEXT)
        return err_set(err, SOOTH_ERR_LIMIT, "a grammar may have at most %d bytes", (int)RULES_TEXT);
    rules_init(&g.rules);
    uint32_t root = rules_named(&g.rules, "root", 4);
    gbnf_blanks(&g, true);
    while (g.at < len && g.status == SOOTH_OK && g.rules.status == SOOTH_OK) {
        gbnf_rule(&g);
        gbnf_blanks(&g, true);
    }
    vec_free(&g.levels);
    if (g.status != SOOTH_OK) {
        rules_release(&g.rules);
        return g.status;
    }
    return rules_finish(&g.rules, root, out, err);
}
