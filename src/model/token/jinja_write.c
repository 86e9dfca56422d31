/* jinja_write.c: values as text: as print writes them, as Python's repr does inside lists, and as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

static void put(struct render *r, struct joutput *o, const char *s)
{
    joutput_add(r, o, s, strlen(s), FROM_TEMPLATE);
}

/* Python's repr of a float: the shortest digits that read back the same; exponents from 1e16 and below 1e-4. */
static void put_float(struct render *r, struct joutput *o, double f, bool json)
{
    char digits[40], out[64];
    int precision = 1, exponent;
    if (isnan(f) || isinf(f)) {
        put(r, o, isnan(f) ? (json ? "NaN" : "nan") : f > 0 ? (json ? "Infinity" : "inf") : json ? "-Infinity" : "-inf");
        return;
    }
    for (; precision < 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision - 1, f);
        if (strtod(digits, NULL) == f)
            break;
    }
    snprintf(digits, sizeof digits, "%.*e", precision - 1, f);
    exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (f != 0 && (exponent < -4 || exponent >= 16))
        snprintf(out, sizeof out, "%.*se%c%02d", (int)(strchr(digits, 'e') - digits), digits, exponent < 0 ? '-' : '+', abs(exponent));
    else
        snprintf(out, sizeof out, "%.*f", precision - 1 - exponent > 1 ? precision - 1 - exponent : 1, f);
    put(r, o, out);
}

static void put_int(struct render *r, struct joutput *o, int64_t i)
{
    char out[32];
    snprintf(out, sizeof out, "%lld", (long long)i);
    put(r, o, out);
}

/* ---- repr ---- */

static void repr_text(struct render *r, struct joutput *o, const struct jtext *t)
{
    bool single = t->len && memchr(t->text, '\'', t->len), twice = t->len && memchr(t->text, '"', t->len);
    char quote = single && !twice ? '"' : '\'';
    joutput_add(r, o, &quote, 1, FROM_TEMPLATE);
    for (size_t i = 0, size; i < t->len && !r->status; i += size) {
        uint32_t c = utf8_decode(t->text + i, t->len - i, &size);
        char esc[16];
        if (c == '\n' || c == '\r' || c == '\t')
            snprintf(esc, sizeof esc, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c == '\\' || c == (unsigned char)quote)
            snprintf(esc, sizeof esc, "\\%c", (char)c);
        else if (c != UTF8_BAD && c != ' ' && (c < 32 || c == 127 || uni_class(c) & (UNI_CONTROL | UNI_SPACE | UNI_UNASSIGNED)))
            snprintf(esc, sizeof esc, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        else
            *esc = 0;
        if (*esc)
            joutput_add(r, o, esc, strlen(esc), t->from ? (enum text_origin)t->from[i] : t->origin);
        else
            joutput_text(r, o, t, i, i + size);
    }
    joutput_add(r, o, &quote, 1, FROM_TEMPLATE);
}

static void repr_items(struct render *r, struct joutput *o, struct value v, unsigned depth)
{
    bool dict = v.kind == VAL_DICT, tuple = !dict && v.list->tuple;
    size_t n = dict ? v.dict->count : v.list->count;
    put(r, o, dict ? "{" : tuple ? "(" : "[");
    for (size_t i = 0; i < n && !r->status; i++) {
        put(r, o, i ? ", " : "");
        if (dict) {
            joutput_repr(r, o, v.dict->items[i].key, depth + 1);
            put(r, o, ": ");
        }
        joutput_repr(r, o, dict ? v.dict->items[i].value : v.list->items[i], depth + 1);
    }
    put(r, o, dict ? "}" : tuple ? (n == 1 ? ",)" : ")") : "]");
}

void joutput_repr(struct render *r, struct joutput *o, struct value v, unsigned depth)
{
    if (depth > JINJA_MAX_DEPTH)
        jinja_fail(r, SOOTH_ERR_LIMIT, "value nested deeper than %d", JINJA_MAX_DEPTH);
    if (r->status || !jinja_step(r, 1))
        return;
    if (v.kind == VAL_TEXT)
        repr_text(r, o, v.text);
    else if (v.kind == VAL_LIST || v.kind == VAL_DICT)
        repr_items(r, o, v, depth);
    else if (v.kind == VAL_UNDEFINED)
        put(r, o, "Undefined");
    else
        joutput_value(r, o, v);
}

void joutput_value(struct render *r, struct joutput *o, struct value v)
{
    switch (v.kind) {
    case VAL_UNDEFINED: return;
    case VAL_NONE: put(r, o, "None"); return;
    case VAL_BOOL: put(r, o, v.truth ? "True" : "False"); return;
    case VAL_INT: put_int(r, o, v.i); return;
    case VAL_FLOAT: put_float(r, o, v.f, false); return;
    case VAL_TEXT: joutput_text(r, o, v.text, 0, v.text->len); return;
    case VAL_LIST:
    case VAL_DICT: joutput_repr(r, o, v, 0); return;
    default: jinja_fail(r, SOOTH_ERR_ARG, "a %s cannot be printed", value_kind_name(v));
    }
}

/* ---- JSON ---- */

struct json_style {
    int indent;
    bool sort, ascii;
    const char *comma, *colon;
};

static void json_escape(struct render *r, struct joutput *o, uint32_t c, enum text_origin origin)
{
    char out[16];
    if (c == '"' || c == '\\')
        snprintf(out, sizeof out, "\\%c", (char)c);
    else if (c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f')
        snprintf(out, sizeof out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c == '\b' ? 'b' : 'f');
    else if (c < 0x10000)
        snprintf(out, sizeof out, "\\u%04x", (unsigned)c);
    else
        snprintf(out, sizeof out, "\\u%04x\\u%04x", (unsigned)(0xD7C0 + (c >> 10)), (unsigned)(0xDC00 | (c & 0x3FF)));
    joutput_add(r, o, out, strlen(out), origin);
}

static void json_text(struct render *r, struct joutput *o, const struct jtext *t, const struct json_style *style)
{
    size_t plain = 0, size;
    put(r, o, "\"");
    for (size_t i = 0; i < t->len && !r->status; i += size) {
        uint32_t c = utf8_decode(t->text + i, t->len - i, &size);
        if (c >= 32 && c != '"' && c != '\\' && c != 127 && !(style->ascii && c > 126))
            continue;
        if (c == 127 || c == UTF8_BAD)
            continue;
        joutput_text(r, o, t, plain, i);
        json_escape(r, o, c, t->from ? (enum text_origin)t->from[i] : t->origin);
        plain = i + size;
    }
    joutput_text(r, o, t, plain, t->len);
    put(r, o, "\"");
}

static void json_line(struct render *r, struct joutput *o, const struct json_style *style, unsigned depth)
{
    if (style->indent < 0)
        return;
    put(r, o, "\n");
    for (unsigned i = 0; i < depth * (unsigned)style->indent && !r->status; i++)
        put(r, o, " ");
}

static int by_key(const void *a, const void *b)
{
    const struct jtext *x = ((const struct jpair *)a)->key.text, *y = ((const struct jpair *)b)->key.text;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static const struct jpair *sorted_pairs(struct render *r, const struct jdict *d, bool sort)
{
    struct jpair *copy;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].key.kind != VAL_TEXT) {
            jinja_fail(r, SOOTH_ERR_ARG, "tojson: a key is no string");
            return NULL;
        }
    if (!sort || !d->count)
        return d->items;
    copy = jinja_alloc(r, d->count * sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, d->items, d->count * sizeof *copy);
    qsort(copy, d->count, sizeof *copy, by_key);
    return copy;
}

static void json_value(struct render *r, struct joutput *o, struct value v, const struct json_style *style, unsigned depth);

static void json_items(struct render *r, struct joutput *o, struct value v, const struct json_style *style, unsigned depth)
{
    bool dict = v.kind == VAL_DICT;
    size_t n = dict ? v.dict->count : v.list->count;
    const struct jpair *pairs = dict ? sorted_pairs(r, v.dict, style->sort) : NULL;
    put(r, o, dict ? "{" : "[");
    for (size_t i = 0; i < n && !r->status; i++) {
        put(r, o, i ? style->comma : "");
        json_line(r, o, style, depth + 1);
        if (dict) {
            json_text(r, o, pairs[i].key.text, style);
            put(r, o, style->colon);
        }
        json_value(r, o, dict ? pairs[i].value : v.list->items[i], style, depth + 1);
    }
    if (n)
        json_line(r, o, style, depth);
    put(r, o, dict ? "}" : "]");
}

static void json_value(struct render *r, struct joutput *o, struct value v, const struct json_style *style, unsigned depth)
{
    if (depth > JINJA_MAX_DEPTH)
        jinja_fail(r, SOOTH_ERR_LIMIT, "value nested deeper than %d", JINJA_MAX_DEPTH);
    if (r->status || !jinja_step(r, 1))
        return;
    switch (v.kind) {
    case VAL_NONE: put(r, o, "null"); return;
    case VAL_BOOL: put(r, o, v.truth ? "true" : "false"); return;
    case VAL_INT: put_int(r, o, v.i); return;
    case VAL_FLOAT: put_float(r, o, v.f, true); return;
    case VAL_TEXT: json_text(r, o, v.text, style); return;
    case VAL_LIST:
    case VAL_DICT:
        if (v.kind == VAL_LIST || !v.dict->is_namespace) {
            json_items(r, o, v, style, depth);
            return;
        } /* fall through */
    default: jinja_fail(r, SOOTH_ERR_ARG, "tojson: %s cannot be written as JSON", value_kind_name(v));
    }
}

struct value value_to_json(struct render *r, struct value v, int indent, bool sort, const char *comma, const char *colon, bool ascii)
{
    struct json_style style = {indent, sort, ascii, comma, colon};
    struct joutput o;
    joutput_init(&o);
    json_value(r, &o, v, &style, 0);
    return joutput_take(r, &o);
}
