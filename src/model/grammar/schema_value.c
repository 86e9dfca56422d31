/* schema_value.c: JSON values: strings, numbers, lists, objects.
 *
 * Space is allowed where people put it: nothing, one blank, or a line end and up to 20 blanks. An unbounded choice of space would
 * let a model write blanks for ever.
 *
 * An object is two rows of places, "nothing written yet" and "something written", so that commas come out right whatever
 * optional members are left out:
 *
 *     none:   -> a? -> b? -> c? -> }          writing a member leads from the upper row into the lower,
 *                \    \    \                  where each further one begins with a comma
 *     some:       -> ,b? -> ,c? -> }
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "model/grammar/schema.h"

enum { NUMBER_DIGITS = 18, KEY_LONGEST = 256 };

static struct piece text(struct schema *s, const char *t)
{
    return rules_text(&s->rules, t, strlen(t));
}
static struct piece then(struct schema *s, struct piece a, struct piece b)
{
    return rules_then(&s->rules, a, b);
}
static struct piece either(struct schema *s, struct piece a, struct piece b)
{
    return rules_either(&s->rules, a, b);
}
static struct piece digits(struct schema *s, uint32_t min, uint32_t max)
{
    return rules_repeat(&s->rules, rules_bytes(&s->rules, '0', '9'), min, max);
}
static struct piece hex(struct schema *s, uint32_t n)
{
    struct class_range r[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    return rules_repeat(&s->rules, rules_class(&s->rules, r, 3, false), n, n);
}

/* ---- shared rules ---- */

static struct piece part_char(struct schema *s)
{
    struct class_range plain[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0, 0}}, sign[] = {{'"', '"'}, {'\\', '\\'}, {'/', '/'},
        {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}}, high[] = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}},
        d[] = {{'d', 'd'}, {'D', 'D'}};
    /* \uD800 to \uDFFF would be half a character */
    struct piece code = either(s, then(s, rules_class(&s->rules, high, 5, false), hex(s, 3)),
                               then(s, then(s, rules_class(&s->rules, d, 2, false), rules_bytes(&s->rules, '0', '7')), hex(s, 2)));
    struct piece escape = either(s, rules_class(&s->rules, sign, 8, false), then(s, text(s, "u"), code));
    return either(s, rules_class(&s->rules, plain, 3, true), then(s, text(s, "\\"), escape));
}

static struct piece part_number(struct schema *s)
{
    struct class_range e[] = {{'e', 'e'}, {'E', 'E'}}, sign[] = {{'+', '+'}, {'-', '-'}};
    struct piece whole = either(s, text(s, "0"), then(s, rules_bytes(&s->rules, '1', '9'), digits(s, 0, NUMBER_DIGITS - 1)));
    struct piece power = then(s, rules_class(&s->rules, e, 2, false),
                              then(s, rules_optional(&s->rules, rules_class(&s->rules, sign, 2, false)), digits(s, 1, 2)));
    struct piece rest = then(s, rules_optional(&s->rules, then(s, text(s, "."), digits(s, 1, 17))), rules_optional(&s->rules, power));
    return then(s, whole, rest);
}

static struct piece part_space(struct schema *s)
{
    struct class_range blank[] = {{' ', ' '}, {'\t', '\t'}};
    struct piece line = then(s, text(s, "\n"), rules_repeat(&s->rules, rules_class(&s->rules, blank, 2, false), 0, 20));
    return rules_optional(&s->rules, either(s, text(s, " "), line));
}

static struct piece listed(struct schema *s, const char *open, struct piece items, const char *close)
{
    struct piece inside = then(s, schema_part(s, PART_SPACE), then(s, items, schema_part(s, PART_SPACE)));
    return then(s, text(s, open), then(s, inside, text(s, close)));
}

static struct piece comma(struct schema *s, struct piece item)
{
    return then(s, text(s, ","), then(s, schema_part(s, PART_SPACE), item));
}

static struct piece member(struct schema *s, struct piece key, struct piece value)
{
    struct piece colon = then(s, text(s, ":"), schema_part(s, PART_SPACE));
    return then(s, key, then(s, colon, value));
}

/* item (, item)* or nothing */
static struct piece list_of(struct schema *s, struct piece first, struct piece again)
{
    return rules_optional(&s->rules, then(s, first, rules_repeat(&s->rules, comma(s, again), 0, REPEAT_ALWAYS)));
}

static struct piece part_value(struct schema *s)
{
    struct rules *b = &s->rules;
    struct piece m[2];
    for (size_t i = 0; i < 2; i++)
        m[i] = member(s, schema_part(s, PART_STRING), schema_part(s, PART_VALUE));
    struct piece words = either(s, text(s, "null"), either(s, text(s, "true"), text(s, "false")));
    struct piece numbers = then(s, rules_optional(b, text(s, "-")), schema_part(s, PART_NUMBER));
    struct piece array = listed(s, "[", list_of(s, schema_part(s, PART_VALUE), schema_part(s, PART_VALUE)), "]");
    struct piece object = listed(s, "{", list_of(s, m[0], m[1]), "}");
    return either(s, either(s, words, numbers), either(s, schema_part(s, PART_STRING), either(s, array, object)));
}

static struct piece quoted(struct schema *s, struct piece inside)
{
    return then(s, text(s, "\""), then(s, inside, text(s, "\"")));
}

static struct piece part_make(struct schema *s, enum schema_part part)
{
    struct class_range plain[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0, 0}};
    switch (part) {
    case PART_VALUE: return part_value(s);
    case PART_STRING: return quoted(s, rules_repeat(&s->rules, part_char(s), 0, REPEAT_ALWAYS));
    case PART_NUMBER: return part_number(s);
    case PART_SPACE: return part_space(s);
    case PART_CHAR: return part_char(s);
    default: /* the rest of a key, without escapes */
        return then(s, rules_repeat(&s->rules, rules_class(&s->rules, plain, 3, true), 0, REPEAT_ALWAYS), text(s, "\""));
    }
}

struct piece schema_part(struct schema *s, enum schema_part part)
{
    if (s->part[part] == RULES_NONE) {
        s->part[part] = rules_rule(&s->rules); /* before its body, which may call it */
        rules_define(&s->rules, s->part[part], part_make(s, part));
    }
    return rules_call(&s->rules, s->part[part]);
}

/* ---- literals ---- */

static void literal_write(struct json_writer *w, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL: jsonw_null(w); return;
    case JSON_FALSE: case JSON_TRUE: jsonw_bool(w, v->type == JSON_TRUE); return;
    case JSON_STRING: jsonw_stringn(w, v->text, v->len); return;
    case JSON_NUMBER: /* as it stands in the schema; the writer only sees to the comma */
        jsonw_int(w, 0);
        w->out->data[--w->out->len] = 0;
        buf_add(w->out, v->text, v->len);
        return;
    case JSON_ARRAY: jsonw_array(w); break;
    case JSON_OBJECT: jsonw_object(w); break;
    }
    for (const struct json *m = v->child; m && !w->out->failed; m = m->next) {
        if (v->type == JSON_OBJECT)
            jsonw_key(w, m->key);
        literal_write(w, m);
    }
    v->type == JSON_ARRAY ? jsonw_end_array(w) : jsonw_end_object(w);
}

struct piece schema_literal(struct schema *s, const struct json *value)
{
    struct buf t = BUF_INIT;
    struct json_writer w;
    buf_reserve(&t, 64);
    jsonw_init(&w, &t);
    if (!t.failed)
        literal_write(&w, value);
    struct piece p = t.failed ? schema_fail(s, SOOTH_ERR_NOMEM, "out of memory") : rules_text(&s->rules, buf_str(&t), t.len);
    buf_release(&t);
    return p;
}

/* ---- strings ---- */

/* A keyword that counts something; false: said why. */
static bool schema_count(struct schema *s, const struct json *node, const char *word, uint32_t fallback, uint32_t *out)
{
    const struct json *v = json_get(node, word);
    *out = fallback;
    if (!v)
        return true;
    if (v->type != JSON_NUMBER || v->number < 0 || v->number != floor(v->number))
        return schema_fail(s, SOOTH_ERR_ARG, "'%s' must be a whole number", word), false;
    if (v->number > RULES_REPEAT)
        return schema_fail(s, SOOTH_ERR_LIMIT, "'%s' may be at most %d", word, (int)RULES_REPEAT), false;
    *out = (uint32_t)v->number;
    return true;
}

static struct piece schema_format(struct schema *s, const char *format)
{
#define DATE "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
    static const char *const formats[][2] = {
        {"date", "^" DATE "$"}, {"time", "^" TIME "$"}, {"date-time", "^" DATE "T" TIME "$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i][0], format) == 0)
            return schema_pattern(s, formats[i][1], strlen(formats[i][1]));
    return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "format '%.40s' is not supported", format);
}

struct piece schema_string(struct schema *s, const struct json *node)
{
    const struct json *pattern = json_get(node, "pattern"), *format = json_get(node, "format");
    uint32_t min, max;
    if (!schema_count(s, node, "minLength", 0, &min) || !schema_count(s, node, "maxLength", REPEAT_ALWAYS, &max))
        return rules_empty(&s->rules);
    if (min > max)
        return schema_fail(s, SOOTH_ERR_ARG, "no string has %u to %u characters", min, max);
    if ((pattern || format) && (min || max != REPEAT_ALWAYS || (pattern && format)))
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'pattern', 'format' and lengths together are not supported");
    if (pattern && pattern->type == JSON_STRING)
        return quoted(s, schema_pattern(s, pattern->text, pattern->len));
    if (format && format->type == JSON_STRING)
        return quoted(s, schema_format(s, format->text));
    if (pattern || format)
        return schema_fail(s, SOOTH_ERR_ARG, "'pattern' and 'format' must be strings");
    if (!min && max == REPEAT_ALWAYS)
        return schema_part(s, PART_STRING);
    return quoted(s, max ? rules_repeat(&s->rules, part_char(s), min, max) : rules_empty(&s->rules));
}

/* ---- numbers ---- */

/* The n-digit texts from lo to hi (both of n digits). */
static struct piece same_length(struct schema *s, const char *lo, const char *hi, uint32_t n)
{
    struct rules *b = &s->rules;
    if (!n)
        return rules_empty(b);
    if (strspn(lo, "0") >= n && strspn(hi, "9") >= n)
        return digits(s, n, n);
    if (*lo == *hi)
        return then(s, rules_text(b, lo, 1), same_length(s, lo + 1, hi + 1, n - 1));
    static const char nines[] = "9999999999999999999", zeros[] = "0000000000000000000";
    struct piece low = then(s, rules_text(b, lo, 1), same_length(s, lo + 1, nines, n - 1));
    struct piece high = then(s, rules_text(b, hi, 1), same_length(s, zeros, hi + 1, n - 1));
    struct piece all = either(s, low, high);
    if (*hi - *lo > 1)
        all = either(s, all, then(s, rules_bytes(b, (unsigned char)(*lo + 1), (unsigned char)(*hi - 1)), digits(s, n - 1, n - 1)));
    return all;
}

/* Whole numbers lo..hi, 0 <= lo <= hi < 10^18, without leading zeros: one length after the other. */
static struct piece range(struct schema *s, int64_t lo, int64_t hi)
{
    struct piece all = {0, 0};
    bool any = false;
    int64_t end = 9; /* 9, 99, 999, ... */
    for (uint32_t n = 1; n <= NUMBER_DIGITS; n++, end = 10 * end + 9) {
        int64_t from = n == 1 ? 0 : end / 10 + 1;
        char a[24], b[24];
        if (hi < from || lo > end)
            continue;
        snprintf(a, sizeof a, "%lld", (long long)(lo > from ? lo : from));
        snprintf(b, sizeof b, "%lld", (long long)(hi < end ? hi : end));
        struct piece p = same_length(s, a, b, n);
        all = any ? either(s, all, p) : p;
        any = true;
    }
    return all;
}

static const int64_t number_most = 999999999999999999; /* 18 digits */

/* The least (sign 1) or greatest (sign -1) whole number that the two keywords allow; false: said why. */
static bool schema_bound(struct schema *s, const struct json *node, const char *word, const char *exclusive, int sign, int64_t *out)
{
    const struct json *in = json_get(node, word), *ex = json_get(node, exclusive);
    const struct json *both[2] = {in, ex};
    *out = -sign * number_most;
    for (size_t i = 0; i < 2; i++) {
        if (!both[i])
            continue;
        if (both[i]->type != JSON_NUMBER)
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'%s' must be a number", both[i]->key), false;
        double v = sign * both[i]->number, whole = ceil(v);
        whole += i == 1 && whole == v;
        if (!(fabs(whole) <= 9007199254740992.0))
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'%s' beyond 2^53 is not supported", both[i]->key), false;
        int64_t bound = sign * (int64_t)whole;
        if (sign > 0 ? bound > *out : bound < *out)
            *out = bound;
    }
    return true;
}

static struct piece schema_integer(struct schema *s, const struct json *node)
{
    int64_t lo, hi;
    if (!schema_bound(s, node, "minimum", "exclusiveMinimum", 1, &lo) || !schema_bound(s, node, "maximum", "exclusiveMaximum", -1, &hi))
        return rules_empty(&s->rules);
    if (lo > hi)
        return schema_fail(s, SOOTH_ERR_ARG, "no whole number lies between 'minimum' and 'maximum'");
    if (lo >= 0)
        return range(s, lo, hi);
    struct piece negative = then(s, text(s, "-"), range(s, hi < 0 ? -hi : 1, -lo));
    return hi < 0 ? negative : either(s, negative, range(s, 0, hi));
}

struct piece schema_number(struct schema *s, const struct json *node, bool integer)
{
    static const char *const bounds[] = {"maximum", "exclusiveMinimum", "exclusiveMaximum"};
    const struct json *min = json_get(node, "minimum");
    if (integer)
        return schema_integer(s, node);
    for (size_t i = 0; i < 3; i++)
        if (json_get(node, bounds[i]))
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'%s' is supported for integers only", bounds[i]);
    if (min && (min->type != JSON_NUMBER || min->number != 0))
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'minimum' other than 0 is supported for integers only");
    struct piece number = schema_part(s, PART_NUMBER);
    return min ? number : then(s, rules_optional(&s->rules, text(s, "-")), number);
}

/* ---- lists ---- */

/* The rule of every item behind the prefix, compiled once: nested lists would double at each level. */
static uint32_t array_item(struct schema *s, const struct json *items)
{
    uint32_t rule = rules_rule(&s->rules);
    rules_define(&s->rules, rule, items ? schema_value(s, items) : schema_part(s, PART_VALUE));
    return rule;
}

struct piece schema_array(struct schema *s, const struct json *node)
{
    const struct json *items = json_get(node, "items"), *prefix = json_get(node, "prefixItems");
    struct rules *b = &s->rules;
    uint32_t min, max, n = 0;
    if (!schema_count(s, node, "minItems", 0, &min) || !schema_count(s, node, "maxItems", REPEAT_ALWAYS, &max))
        return rules_empty(b);
    if (items && items->type == JSON_ARRAY)
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "a list of 'items' is not supported: use 'prefixItems'");
    if (prefix && prefix->type != JSON_ARRAY)
        return schema_fail(s, SOOTH_ERR_ARG, "'prefixItems' must be a list");
    n = prefix ? (uint32_t)prefix->len : 0;
    if ((items && items->type == JSON_FALSE) || (prefix && !items && min <= n)) /* no more than those named */
        max = max < n ? max : n;
    if (min > max)
        return schema_fail(s, SOOTH_ERR_ARG, "no list has %u to %u items", min, max);
    if (!max)
        return listed(s, "[", rules_empty(b), "]");
    n = n < max ? n : max;
    uint32_t head = n ? n : 1; /* items written one by one; the rest are a repeat */
    uint32_t rest = max > n ? array_item(s, items) : 0;
    struct piece tail = rules_empty(b);
    if (max > head)
        tail = rules_repeat(b, comma(s, rules_call(b, rest)), min > head ? min - head : 0, max == REPEAT_ALWAYS ? max : max - head);
    for (uint32_t i = head; i-- > 0 && s->status == SOOTH_OK;) {
        struct piece item = i < n ? schema_value(s, json_at(prefix, i)) : rules_call(b, rest);
        tail = then(s, i ? comma(s, item) : item, tail);
        if (i >= min)
            tail = rules_optional(b, tail);
    }
    return listed(s, "[", tail, "]");
}

/* ---- objects ---- */

static bool is_required(const struct json *required, const struct json *m)
{
    for (const struct json *r = required ? required->child : NULL; r; r = r->next)
        if (r->len == m->key_len && memcmp(r->text, m->key, r->len) == 0)
            return true;
    return false;
}

/* The rest of a key, closing quote included, that makes none of the names; all of them begin with the same `at` bytes. */
static struct piece key_except(struct schema *s, const struct json *const *names, size_t n, size_t at)
{
    struct rules *b = &s->rules;
    struct class_range *next = mem_array(n + 5, sizeof *next);
    const struct json **same = mem_array(n + 1, sizeof *same);
    struct piece all = text(s, "\"");
    size_t n_next = 0, ended = 0;
    if (!next || !same) {
        mem_free(next);
        mem_free(same);
        return schema_fail(s, SOOTH_ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        size_t size;
        ended += names[i]->key_len == at;
        if (names[i]->key_len > at) {
            uint32_t c = utf8_decode(names[i]->key + at, names[i]->key_len - at, &size);
            next[n_next++] = (struct class_range){c, c};
        }
    }
    size_t kinds = class_ranges(next, n_next, false);
    if (ended)
        all = rules_bytes(b, 1, 0); /* a name ends here: this key must not */
    for (size_t k = 0; k < kinds; k++)
        for (uint32_t c = next[k].lo; c <= next[k].hi && s->status == SOOTH_OK; c++) {
            char bytes[4];
            size_t size = utf8_encode(c, bytes), count = 0;
            for (size_t i = 0; i < n; i++)
                if (names[i]->key_len >= at + size && memcmp(names[i]->key + at, bytes, size) == 0)
                    same[count++] = names[i];
            all = either(s, all, then(s, rules_text(b, bytes, size), key_except(s, same, count, at + size)));
        }
    next[kinds++] = (struct class_range){0, 0x1F};
    next[kinds++] = (struct class_range){'"', '"'};
    next[kinds++] = (struct class_range){'\\', '\\'};
    all = either(s, all, then(s, rules_class(b, next, kinds, true), schema_part(s, PART_KEY_TAIL)));
    mem_free(next);
    mem_free(same);
    return all;
}

/* The rule of a member whose name is none of the properties'. */
static uint32_t other_member(struct schema *s, const struct json *properties, const struct json *value)
{
    uint32_t rule = rules_rule(&s->rules);
    size_t n = properties ? properties->len : 0, count = 0;
    const struct json **names = mem_array(n + 1, sizeof *names);
    if (!names)
        return schema_fail(s, SOOTH_ERR_NOMEM, "out of memory"), rule;
    for (const struct json *m = n ? properties->child : NULL; m; m = m->next) {
        bool plain = true; /* a key is written without escapes, so it cannot be a name that needs one */
        for (size_t i = 0; i < m->key_len; i++)
            plain = plain && (unsigned char)m->key[i] >= 0x20 && m->key[i] != '"' && m->key[i] != '\\';
        if (m->key_len > KEY_LONGEST)
            schema_fail(s, SOOTH_ERR_LIMIT, "a name of more than %d bytes beside 'additionalProperties'", (int)KEY_LONGEST);
        if (plain)
            names[count++] = m;
    }
    struct piece key = then(s, text(s, "\""), key_except(s, names, count, 0));
    mem_free(names);
    rules_define(&s->rules, rule, member(s, key, value->type == JSON_TRUE ? schema_part(s, PART_VALUE) : schema_value(s, value)));
    return rule;
}

static uint32_t named_member(struct schema *s, const struct json *m)
{
    struct buf key = BUF_INIT;
    struct json_writer w;
    uint32_t rule = rules_rule(&s->rules);
    jsonw_init(&w, &key);
    jsonw_stringn(&w, m->key, m->key_len);
    if (key.failed)
        schema_fail(s, SOOTH_ERR_NOMEM, "out of memory");
    rules_define(&s->rules, rule, member(s, rules_text(&s->rules, buf_str(&key), key.len), schema_value(s, m)));
    buf_release(&key);
    return rule;
}

static bool object_check(struct schema *s, const struct json *properties, const struct json *required, const struct json *more)
{
    if (properties && properties->type != JSON_OBJECT)
        return schema_fail(s, SOOTH_ERR_ARG, "'properties' must be an object"), false;
    if (required && required->type != JSON_ARRAY)
        return schema_fail(s, SOOTH_ERR_ARG, "'required' must be a list"), false;
    if (more && more->type != JSON_OBJECT && more->type != JSON_TRUE && more->type != JSON_FALSE)
        return schema_fail(s, SOOTH_ERR_ARG, "'additionalProperties' must be a schema"), false;
    for (const struct json *r = required ? required->child : NULL; r; r = r->next)
        if (r->type != JSON_STRING || !json_get(properties, r->text))
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "required member '%.60s' is not among the 'properties'",
                               r->type == JSON_STRING ? r->text : "?"), false;
    return true;
}

/* The list is walked backwards: a member is built with what follows it. */
static struct piece object_members(struct schema *s, const struct json *properties, const struct json *required, const struct json *more)
{
    struct rules *b = &s->rules;
    size_t n = properties ? properties->len : 0;
    const struct json **list = mem_array(n + 1, sizeof *list);
    struct piece some = rules_empty(b), none = rules_empty(b);
    uint32_t last = some.last;
    if (!list)
        return schema_fail(s, SOOTH_ERR_NOMEM, "out of memory");
    n = 0;
    for (const struct json *m = properties ? properties->child : NULL; m; m = m->next)
        list[n++] = m;
    if (more && more->type != JSON_FALSE) {
        uint32_t rule = other_member(s, properties, more);
        some = rules_then(b, rules_repeat(b, comma(s, rules_call(b, rule)), 0, REPEAT_ALWAYS), some);
        none = list_of(s, rules_call(b, rule), rules_call(b, rule));
    }
    rules_link(b, none.last, last);
    uint32_t at_some = some.first, at_none = none.first;
    while (n-- > 0 && s->status == SOOTH_OK) {
        uint32_t rule = named_member(s, list[n]);
        struct piece with_comma = comma(s, rules_call(b, rule)), alone = rules_call(b, rule);
        bool must = is_required(required, list[n]);
        rules_link(b, with_comma.last, at_some);
        rules_link(b, alone.last, at_some);
        at_none = must ? alone.first : rules_fork(b, alone.first, at_none);
        at_some = must ? with_comma.first : rules_fork(b, with_comma.first, at_some);
    }
    mem_free(list);
    return (struct piece){at_none, last};
}

struct piece schema_object(struct schema *s, const struct json *node)
{
    static const struct json anything = {.type = JSON_TRUE};
    const struct json *properties = json_get(node, "properties"), *required = json_get(node, "required"),
                      *more = json_get(node, "additionalProperties");
    if (!properties && !required && !more)
        more = &anything;
    if (!object_check(s, properties, required, more))
        return rules_empty(&s->rules);
    return listed(s, "{", object_members(s, properties, required, more), "}");
}
