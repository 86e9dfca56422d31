/* json.c: a strict RFC 8259 reader without recursion.
 *
 * Open containers stand on a stack of JSON_MAX_DEPTH frames; nodes, keys and unescaped strings go
 * to the caller's arena, whose ceiling bounds the memory of a hostile text. Time is linear in the
 * text, the search for duplicate keys included. Not accepted: comments, trailing commas, a byte
 * order mark, NaN, invalid UTF-8. */
#include "core/base/json.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/base/utf8.h"

struct frame {
    struct json *node;
    struct json **tail; /* where the next child is hung */
};

struct parser {
    struct arena *arena;
    const char *text;
    size_t len, at;
    unsigned flags;
    struct sooth_error *err;
    size_t depth;
    struct frame stack[JSON_MAX_DEPTH];
};

static bool fail(struct parser *p, const char *what)
{
    err_set(p->err, SOOTH_ERR_FORMAT, "invalid JSON at byte %zu: %s", p->at, what);
    return false;
}

static bool no_memory(struct parser *p)
{
    if (p->arena->limited)
        err_set(p->err, SOOTH_ERR_LIMIT, "JSON text needs more than %zu bytes of memory",
                p->arena->max);
    else
        err_nomem(p->err);
    return false;
}

static int peek(const struct parser *p)
{
    return p->at < p->len ? (unsigned char)p->text[p->at] : -1;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->len && (p->text[p->at] == ' ' || p->text[p->at] == '\n' ||
                              p->text[p->at] == '\r' || p->text[p->at] == '\t'))
        p->at++;
}

/* Four hex digits at the cursor, or -1. */
static int32_t hex4(struct parser *p)
{
    int32_t v = 0;
    if (p->len - p->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p->text[p->at++];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* After "\u": one character, from two escapes when they are a surrogate pair. A lone half is
 * U+FFFD. */
static bool unicode_escape(struct parser *p, uint32_t *out)
{
    int32_t high = hex4(p), low;
    if (high < 0)
        return fail(p, "bad \\u escape");
    *out = (uint32_t)high;
    if (high < 0xD800 || high > 0xDFFF)
        return true;
    *out = 0xFFFD;
    if (high <= 0xDBFF && p->len - p->at >= 6 && p->text[p->at] == '\\' &&
        p->text[p->at + 1] == 'u') {
        size_t before = p->at;
        p->at += 2;
        low = hex4(p);
        if (low >= 0xDC00 && low <= 0xDFFF)
            *out = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
        else
            p->at = before; /* not a pair: the second escape stands for itself */
    }
    return true;
}

/* The cursor is behind a backslash; writes the character, advances *to. No escape grows when
 * unescaped. */
static bool escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    const char *known = c > 0 ? strchr(from, c) : NULL;
    uint32_t cp;
    if (known) {
        p->at++;
        *(*to)++ = into[known - from];
        return true;
    }
    if (c != 'u')
        return fail(p, "unknown escape");
    p->at++;
    if (!unicode_escape(p, &cp))
        return false;
    *to += utf8_encode(cp, *to);
    return true;
}

/* Finds the closing quote from the cursor on; escapes are stepped over, not checked. */
static bool closing_quote(struct parser *p, size_t *end)
{
    size_t i = p->at;
    while (i < p->len && p->text[i] != '"')
        i += p->text[i] == '\\' ? 2 : 1;
    *end = i;
    return i < p->len;
}

/* The cursor is on the opening quote. */
static bool string(struct parser *p, const char **out, size_t *len)
{
    size_t end, size;
    char *start, *to;
    p->at++;
    if (!closing_quote(p, &end)) {
        p->at = p->len;
        return fail(p, "unterminated string");
    }
    start = to = arena_strndup(p->arena, p->text + p->at, end - p->at);
    if (!start)
        return no_memory(p);
    while (p->at < end) {
        unsigned char c = (unsigned char)p->text[p->at];
        if (c == '\\') {
            p->at++;
            if (!escape(p, &to))
                return false;
        } else if (c < 0x20) {
            return fail(p, "control character in a string");
        } else if (utf8_decode(p->text + p->at, end - p->at, &size) == UTF8_BAD) {
            return fail(p, "invalid UTF-8");
        } else {
            while (size--)
                *to++ = p->text[p->at++];
        }
    }
    p->at++;
    *to = 0;
    *out = start;
    *len = (size_t)(to - start);
    return true;
}

static size_t digits(struct parser *p)
{
    size_t before = p->at;
    while (p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at - before;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* strtod obeys the program's locale, which may want a decimal comma. */
static double c_strtod(const char *s)
{
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale ? strtod_l(s, NULL, c_locale) : strtod(s, NULL);
}

static bool number(struct parser *p, struct json *node)
{
    size_t start = p->at;
    if (peek(p) == '-')
        p->at++;
    if (peek(p) == '0')
        p->at++;
    else if (!digits(p))
        return fail(p, "expected a value");
    if (peek(p) == '.') {
        p->at++;
        if (!digits(p))
            return fail(p, "digit expected after the point");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (!digits(p))
            return fail(p, "digit expected in the exponent");
    }
    node->type = JSON_NUMBER;
    node->len = p->at - start;
    node->text = arena_strndup(p->arena, p->text + start, node->len);
    if (!node->text)
        return no_memory(p);
    node->number = c_strtod(node->text);
    return true;
}

static bool word(struct parser *p, struct json *node, const char *w, enum json_type type)
{
    size_t n = strlen(w);
    if (p->len - p->at < n || memcmp(p->text + p->at, w, n))
        return fail(p, "expected a value");
    p->at += n;
    node->type = type;
    return true;
}

static bool scalar(struct parser *p, struct json *node)
{
    switch (peek(p)) {
    case '"':
        node->type = JSON_STRING;
        return string(p, &node->text, &node->len);
    case 't':
        return word(p, node, "true", JSON_TRUE);
    case 'f':
        return word(p, node, "false", JSON_FALSE);
    case 'n':
        return word(p, node, "null", JSON_NULL);
    default:
        return number(p, node);
    }
}

static bool same_key(const struct json *a, const struct json *b)
{
    return a->key_len == b->key_len && !memcmp(a->key, b->key, a->key_len);
}

static bool keys_unique(struct parser *p, const struct json *object)
{
    struct map seen;
    bool fresh = true, ok = true;
    if (object->len <= 8) { /* most objects: comparing beats hashing */
        for (const struct json *a = object->child; a; a = a->next)
            for (const struct json *b = a->next; b; b = b->next)
                if (same_key(a, b))
                    return fail(p, "duplicate key");
        return true;
    }
    map_init(&seen);
    for (const struct json *a = object->child; a && ok && fresh; a = a->next)
        ok = map_add(&seen, a->key, a->key_len, 0, &fresh);
    map_release(&seen);
    if (!ok)
        return err_nomem(p->err), false;
    return fresh || fail(p, "duplicate key");
}

/* key, colon. */
static bool member_key(struct parser *p, const char **key, size_t *len)
{
    skip_space(p);
    if (peek(p) != '"')
        return fail(p, "expected a key");
    if (!string(p, key, len))
        return false;
    skip_space(p);
    if (peek(p) != ':')
        return fail(p, "expected ':'");
    p->at++;
    return true;
}

/* A new node, hung into the container on top of the stack. */
static struct json *new_node(struct parser *p, const char *key, size_t key_len)
{
    struct json *node = arena_calloc(p->arena, 1, sizeof *node);
    if (!node)
        return no_memory(p), NULL;
    node->key = key;
    node->key_len = key_len;
    if (p->depth) {
        struct frame *top = &p->stack[p->depth - 1];
        *top->tail = node;
        top->tail = &node->next;
        top->node->len++;
    }
    return node;
}

/* After a value: closes what ends here. True with *more set when another value follows, its key
 * read. */
static bool after_value(struct parser *p, bool opened, bool *more, const char **key,
                        size_t *key_len)
{
    *key = NULL;
    *key_len = 0;
    for (; p->depth; opened = false) {
        struct json *top = p->stack[p->depth - 1].node;
        bool object = top->type == JSON_OBJECT;
        skip_space(p);
        if (peek(p) == (object ? '}' : ']')) {
            if (object && (p->flags & JSON_UNIQUE_KEYS) && !keys_unique(p, top))
                return false;
            p->at++;
            p->depth--;
            continue;
        }
        if (!opened) {
            if (peek(p) != ',')
                return fail(p, object ? "expected ',' or '}'" : "expected ',' or ']'");
            p->at++;
        }
        *more = true;
        return !object || member_key(p, key, key_len);
    }
    *more = false;
    return true;
}

static bool value(struct parser *p, struct json *node, bool *opened)
{
    int c = peek(p);
    *opened = c == '{' || c == '[';
    if (!*opened)
        return scalar(p, node);
    if (p->depth == JSON_MAX_DEPTH) {
        err_set(p->err, SOOTH_ERR_LIMIT, "JSON text is nested deeper than %d", JSON_MAX_DEPTH);
        return false;
    }
    p->at++;
    node->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
    p->stack[p->depth++] = (struct frame){node, &node->child};
    return true;
}

struct json *json_parse(struct arena *a, const char *text, size_t len, unsigned flags, size_t *used,
                        struct sooth_error *err)
{
    struct parser p = {.arena = a, .text = text, .len = len, .flags = flags, .err = err};
    struct json *root = NULL;
    const char *key = NULL;
    size_t key_len = 0;
    bool more = true, opened;
    while (more) {
        struct json *node;
        skip_space(&p);
        if (p.at == len)
            return fail(&p, "unexpected end"), NULL;
        node = new_node(&p, key, key_len);
        if (!node || !value(&p, node, &opened) || !after_value(&p, opened, &more, &key, &key_len))
            return NULL;
        if (!root)
            root = node;
    }
    if (!(flags & JSON_ALLOW_TAIL)) {
        skip_space(&p);
        if (p.at != len)
            return fail(&p, "text after the value"), NULL;
    }
    if (used)
        *used = p.at;
    return root;
}

const struct json *json_get(const struct json *object, const char *key)
{
    size_t len = strlen(key);
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json *m = object->child; m; m = m->next)
        if (m->key_len == len && !memcmp(m->key, key, len))
            return m;
    return NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
    const struct json *m = array && array->type == JSON_ARRAY ? array->child : NULL;
    while (m && i--)
        m = m->next;
    return m;
}

const char *json_string(const struct json *object, const char *key, const char *fallback)
{
    const struct json *m = json_get(object, key);
    return m && m->type == JSON_STRING ? m->text : fallback;
}

double json_number(const struct json *object, const char *key, double fallback)
{
    const struct json *m = json_get(object, key);
    return m && m->type == JSON_NUMBER ? m->number : fallback;
}

int64_t json_int(const struct json *object, const char *key, int64_t fallback)
{
    const struct json *m = json_get(object, key);
    char *end;
    long long v;
    if (!m || m->type != JSON_NUMBER)
        return fallback;
    errno = 0;
    v = strtoll(m->text, &end, 10);
    if (!*end)
        return errno ? fallback : v;
    /* "1e3" and "2.0" are integers too, exactly so up to 2^53. */
    return fabs(m->number) <= 0x1p53 && m->number == floor(m->number) ? (int64_t)m->number
                                                                      : fallback;
}

bool json_bool(const struct json *object, const char *key, bool fallback)
{
    const struct json *m = json_get(object, key);
    return m && m->type == JSON_TRUE ? true : m && m->type == JSON_FALSE ? false : fallback;
}
