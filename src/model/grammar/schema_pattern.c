/* schema_pattern.c: regular expressions of JSON Schema (ECMA 262, without the u flag's extras) as rules over the inside of a JSON
 * string.
 *
 * An expression speaks of the value; the text has escapes. So every class of characters is the union of those written as they
 * are and those that need a backslash: "[^a]" also allows \" and \n. Known: literals, ".", classes with ranges, \d \w \s and
 * their opposites, \n \t \r \f \v \xHH \uHHHH, groups (also ?:), |, * + ? {m,n} and their lazy forms, ^ at the beginning and $ at the end
 * of an alternative of the whole; without them anything may stand before or behind. Refused by name: look-around,
 * back-references, \b, \p, named groups, ^ and $ elsewhere. */
#include <stdio.h>
#include <string.h>
#include "core/base/utf8.h"
#include "model/grammar/schema.h"

enum { PATTERN_DEPTH = 100, CLASS_RANGES = 256 };

struct pattern {
    struct schema *s;
    const char *text;
    size_t len, at;
    unsigned depth;
};
struct class_list {
    struct class_range items[CLASS_RANGES + 8];
    size_t n;
};

static struct piece pattern_fail(struct pattern *p, const char *what)
{
    return schema_fail(p->s, SOOTH_ERR_UNSUPPORTED, "pattern '%.*s': %s", (int)(p->len < 80 ? p->len : 80), p->text, what);
}

static int pattern_peek(const struct pattern *p, size_t ahead)
{
    return p->at + ahead < p->len ? (unsigned char)p->text[p->at + ahead] : -1;
}

/* ---- one character, as JSON writes it ---- */

struct piece schema_class(struct schema *s, struct class_range *ranges, size_t n, bool others)
{
    static const struct { uint32_t c; const char *text; } escapes[] = {
        {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}, {'\b', "\\b"}, {'\f', "\\f"}};
    struct rules *b = &s->rules;
    struct class_range plain[2 * (CLASS_RANGES + 8)];
    struct piece all = {0, 0};
    bool any = false;
    size_t kept = 0;
    n = class_ranges(ranges, n, others);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof escapes / sizeof *escapes; k++)
            if (escapes[k].c >= ranges[i].lo && escapes[k].c <= ranges[i].hi) {
                struct piece p = rules_text(b, escapes[k].text, 2);
                all = any ? rules_either(b, all, p) : p;
                any = true;
            }
        uint32_t lo = ranges[i].lo < 0x20 ? 0x20 : ranges[i].lo; /* other control characters are never chosen */
        static const uint32_t cuts[] = {'"', '\\', 0x110000};
        for (size_t k = 0; k < 3 && lo <= ranges[i].hi && kept < sizeof plain / sizeof *plain; k++) {
            if (cuts[k] < lo)
                continue;
            uint32_t hi = cuts[k] - 1 < ranges[i].hi ? cuts[k] - 1 : ranges[i].hi;
            if (hi >= lo)
                plain[kept++] = (struct class_range){lo, hi};
            lo = cuts[k] + 1;
        }
    }
    if (kept || !any) {
        struct piece p = rules_class(b, plain, kept, false);
        all = any ? rules_either(b, all, p) : p;
    }
    return all;
}

static void class_add(struct class_list *l, uint32_t lo, uint32_t hi)
{
    if (l->n < CLASS_RANGES)
        l->items[l->n] = (struct class_range){lo, hi};
    l->n++; /* counted past the end: told by the caller */
}

static struct piece class_piece(struct pattern *p, struct class_list *l, bool others)
{
    if (l->n > CLASS_RANGES)
        return pattern_fail(p, "a class has too many ranges");
    return schema_class(p->s, l->items, l->n, others);
}

/* \d \w \s; the opposites are turned over before they are added. */
static bool class_named(struct class_list *l, int c)
{
    static const struct class_range d[] = {{'0', '9'}}, w[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                                    s[] = {{9, 13}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                                           {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    int lower = c | 0x20;
    const struct class_range *from = lower == 'd' ? d : lower == 'w' ? w : s;
    size_t n = lower == 'd' ? 1 : lower == 'w' ? 4 : 10;
    struct class_range copy[12];
    if (lower != 'd' && lower != 'w' && lower != 's')
        return false;
    memcpy(copy, from, n * sizeof *copy);
    n = class_ranges(copy, n, c != lower);
    for (size_t i = 0; i < n; i++)
        class_add(l, copy[i].lo, copy[i].hi);
    return true;
}

static uint32_t pattern_hex(struct pattern *p, size_t digits)
{
    uint32_t v = 0;
    for (size_t i = 0; i < digits; i++, p->at++) {
        int c = pattern_peek(p, 0);
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return pattern_fail(p, "an escape wants hexadecimal digits"), 0;
        v = 16 * v + (uint32_t)d;
    }
    return v;
}

/* The character behind a backslash that stands for itself or for a control character; at stands behind the backslash. */
static uint32_t pattern_escape(struct pattern *p)
{
    int c = pattern_peek(p, 0);
    p->at++;
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'x': return pattern_hex(p, 2);
    case 'u': return pattern_hex(p, 4);
    default: break;
    }
    if (c > ' ' && c < 127 && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z'))
        return (uint32_t)c;
    pattern_fail(p, "this escape is not supported");
    return 0;
}

static uint32_t pattern_char(struct pattern *p)
{
    size_t size;
    uint32_t c = utf8_decode(p->text + p->at, p->len - p->at, &size);
    p->at += size;
    return c;
}

static struct piece pattern_class(struct pattern *p)
{
    struct class_list l = {.n = 0};
    p->at++;
    bool others = pattern_peek(p, 0) == '^';
    p->at += others;
    while (p->s->status == SOOTH_OK && pattern_peek(p, 0) != ']') {
        if (pattern_peek(p, 0) < 0)
            return pattern_fail(p, "a class is not closed");
        bool escape = pattern_peek(p, 0) == '\\';
        p->at += escape;
        if (escape && class_named(&l, pattern_peek(p, 0))) {
            p->at++;
            continue;
        }
        uint32_t lo = escape ? pattern_escape(p) : pattern_char(p), hi = lo;
        if (pattern_peek(p, 0) == '-' && pattern_peek(p, 1) != ']' && pattern_peek(p, 1) >= 0) {
            p->at++;
            bool again = pattern_peek(p, 0) == '\\';
            p->at += again;
            hi = again ? pattern_escape(p) : pattern_char(p);
        }
        if (hi < lo)
            return pattern_fail(p, "a range runs backwards");
        class_add(&l, lo, hi);
    }
    p->at++;
    return class_piece(p, &l, others);
}

/* ---- the expression ---- */

static struct piece pattern_either(struct pattern *p, bool top);

static struct piece pattern_atom(struct pattern *p)
{
    struct class_list l = {.n = 0};
    int c = pattern_peek(p, 0);
    if (c == '[')
        return pattern_class(p);
    if (c == '(') {
        p->at++;
        if (pattern_peek(p, 0) == '?' && pattern_peek(p, 1) != ':')
            return pattern_fail(p, "look-around and named groups are not supported");
        p->at += pattern_peek(p, 0) == '?' ? 2 : 0;
        struct piece inside = pattern_either(p, false);
        if (p->s->status == SOOTH_OK && pattern_peek(p, 0) != ')')
            return pattern_fail(p, "a group is not closed");
        p->at++;
        return inside;
    }
    if (c == '.') { /* all but line ends */
        p->at++;
        class_add(&l, '\n', '\n');
        class_add(&l, '\r', '\r');
        class_add(&l, 0x2028, 0x2029);
        return class_piece(p, &l, true);
    }
    if (c == '^' || c == '$')
        return pattern_fail(p, "'^' and '$' are supported at the ends only");
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return pattern_fail(p, "a repeat has nothing to repeat");
    p->at += c == '\\';
    if (c == '\\' && class_named(&l, pattern_peek(p, 0))) {
        p->at++;
        return class_piece(p, &l, false);
    }
    uint32_t one = c == '\\' ? pattern_escape(p) : pattern_char(p);
    class_add(&l, one, one);
    return class_piece(p, &l, false);
}

static uint32_t pattern_number(struct pattern *p)
{
    uint32_t v = 0;
    for (; pattern_peek(p, 0) >= '0' && pattern_peek(p, 0) <= '9'; p->at++)
        if ((v = 10 * v + (uint32_t)(pattern_peek(p, 0) - '0')) > RULES_REPEAT) {
            pattern_fail(p, "a repeat is over 1000000");
            return 0;
        }
    return v;
}

static struct piece pattern_repeat(struct pattern *p, struct piece x)
{
    int c = pattern_peek(p, 0);
    uint32_t min = c == '+', max = c == '?' ? 1 : REPEAT_ALWAYS;
    if (c != '*' && c != '+' && c != '?' && c != '{')
        return x;
    p->at++;
    if (c == '{') {
        min = max = pattern_number(p);
        if (pattern_peek(p, 0) == ',') {
            p->at++;
            max = pattern_peek(p, 0) == '}' ? REPEAT_ALWAYS : pattern_number(p);
        }
        if (p->s->status == SOOTH_OK && (pattern_peek(p, 0) != '}' || max < min))
            return pattern_fail(p, "a repeat is not {m}, {m,} or {m,n}");
        p->at++;
    }
    if (pattern_peek(p, 0) == '?') /* lazy: the same texts */
        p->at++;
    c = pattern_peek(p, 0);
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return pattern_fail(p, "a repeat of a repeat");
    return max ? rules_repeat(&p->s->rules, x, min, max) : rules_empty(&p->s->rules);
}

/* Anything, where an alternative of the whole is not tied to an end. */
static struct piece pattern_anything(struct pattern *p)
{
    return rules_repeat(&p->s->rules, schema_part(p->s, PART_CHAR), 0, REPEAT_ALWAYS);
}

static struct piece pattern_row(struct pattern *p, bool top)
{
    struct rules *b = &p->s->rules;
    bool begins = top && pattern_peek(p, 0) == '^', ends = false;
    p->at += begins;
    struct piece row = top && !begins ? pattern_anything(p) : rules_empty(b);
    while (p->s->status == SOOTH_OK && b->status == SOOTH_OK) {
        int c = pattern_peek(p, 0);
        if (c < 0 || c == '|' || c == ')')
            break;
        if (top && c == '$' && (pattern_peek(p, 1) < 0 || pattern_peek(p, 1) == '|')) {
            p->at++;
            ends = true;
            break;
        }
        struct piece atom = pattern_atom(p);
        row = rules_then(b, row, pattern_repeat(p, atom));
    }
    return top && !ends ? rules_then(b, row, pattern_anything(p)) : row;
}

static struct piece pattern_either(struct pattern *p, bool top)
{
    if (++p->depth > PATTERN_DEPTH)
        return pattern_fail(p, "groups are nested too deep");
    struct piece all = pattern_row(p, top);
    while (p->s->status == SOOTH_OK && pattern_peek(p, 0) == '|') {
        p->at++;
        all = rules_either(&p->s->rules, all, pattern_row(p, top));
    }
    p->depth--;
    return all;
}

struct piece schema_pattern(struct schema *s, const char *pattern, size_t len)
{
    struct pattern p = {.s = s, .text = pattern, .len = len};
    struct piece all = pattern_either(&p, true);
    if (s->status == SOOTH_OK && p.at < len)
        return pattern_fail(&p, "a group is closed that was not opened");
    return all;
}
