/* schema.c: JSON Schema to rules: the texts that are values of a schema, in compact or lightly spaced JSON.
 *
 * What is enforced (drafts 6 to 2020-12 agree on these): type, enum, const, properties, required, additionalProperties, items,
 * prefixItems, minItems, maxItems, minLength, maxLength, pattern, format (date, time, date-time, uuid), minimum, maximum and
 * their exclusive forms for integers, anyOf, oneOf whose branches exclude each other, allOf of one, $ref inside the document, also
 * recursive. Titles, descriptions, defaults and examples say nothing about values. Any other keyword is refused by name:
 * a schema that compiles is kept.
 *
 * The texts are a choice among those the schema allows: members come in the order of `properties`; without
 * `additionalProperties` there are no others; numbers have at most 18 digits before the point. */
#include "model/grammar/schema.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/base/arena.h"
#include "core/base/error.h"
#include "model/grammar/grammar.h"

enum { SCHEMA_MEMORY = 64 << 20, SCHEMA_DEPTH = 64 };

struct piece schema_fail(struct schema *s, enum sooth_status status, const char *format, ...)
{
    char text[400];
    va_list ap;
    if (s->rules.status != SOOTH_OK) { /* what looks wrong now is only unfinished: rules_finish tells why */
        s->status = s->rules.status;
    } else if (s->status == SOOTH_OK) {
        va_start(ap, format);
        vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        err_set(s->err, status, "schema: %s", text);
        s->status = status;
    }
    return rules_empty(&s->rules);
}

/* ---- keywords ---- */

enum keyword_kind { WORD_NOTE, WORD_VALUE, WORD_WHOLE }; /* notes; what may stand together; what says all alone */
static const struct {
    const char *name;
    enum keyword_kind kind;
    unsigned types; /* that it speaks of, when it tells the type of a schema without one */
} keywords[] = {
    {"title", WORD_NOTE, 0}, {"description", WORD_NOTE, 0}, {"default", WORD_NOTE, 0}, {"examples", WORD_NOTE, 0},
    {"example", WORD_NOTE, 0}, {"$schema", WORD_NOTE, 0}, {"$id", WORD_NOTE, 0}, {"$comment", WORD_NOTE, 0}, {"$defs", WORD_NOTE, 0},
    {"definitions", WORD_NOTE, 0}, {"deprecated", WORD_NOTE, 0}, {"readOnly", WORD_NOTE, 0}, {"writeOnly", WORD_NOTE, 0},
    {"type", WORD_NOTE, 0},
    {"properties", WORD_VALUE, TYPE_OBJECT}, {"required", WORD_VALUE, TYPE_OBJECT}, {"additionalProperties", WORD_VALUE, TYPE_OBJECT},
    {"items", WORD_VALUE, TYPE_ARRAY}, {"prefixItems", WORD_VALUE, TYPE_ARRAY}, {"minItems", WORD_VALUE, TYPE_ARRAY},
    {"maxItems", WORD_VALUE, TYPE_ARRAY}, {"uniqueItems", WORD_VALUE, TYPE_ARRAY},
    {"minLength", WORD_VALUE, TYPE_STRING}, {"maxLength", WORD_VALUE, TYPE_STRING}, {"pattern", WORD_VALUE, TYPE_STRING},
    {"format", WORD_VALUE, TYPE_STRING},
    {"minimum", WORD_VALUE, TYPE_NUMBER}, {"maximum", WORD_VALUE, TYPE_NUMBER}, {"exclusiveMinimum", WORD_VALUE, TYPE_NUMBER},
    {"exclusiveMaximum", WORD_VALUE, TYPE_NUMBER},
    {"$ref", WORD_WHOLE, 0}, {"enum", WORD_WHOLE, 0}, {"const", WORD_WHOLE, 0}, {"anyOf", WORD_WHOLE, 0}, {"oneOf", WORD_WHOLE, 0},
    {"allOf", WORD_WHOLE, 0},
};

static size_t keyword_find(const char *name)
{
    size_t i = 0;
    while (i < sizeof keywords / sizeof *keywords && strcmp(keywords[i].name, name) != 0)
        i++;
    return i;
}

/* Every keyword is known, and one that says all stands alone; *whole gets it. */
static bool schema_check(struct schema *s, const struct json *node, const struct json **whole)
{
    const struct json *value = NULL;
    *whole = NULL;
    for (const struct json *m = node->child; m; m = m->next) {
        size_t k = keyword_find(m->key);
        if (k == sizeof keywords / sizeof *keywords || strlen(m->key) != m->key_len)
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "keyword '%.60s' is not supported", m->key), false;
        if (strcmp(m->key, "uniqueItems") == 0 && m->type != JSON_FALSE)
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "keyword 'uniqueItems' is not supported"), false;
        if (keywords[k].kind == WORD_VALUE)
            value = m;
        else if (keywords[k].kind == WORD_WHOLE && *whole)
            return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'%s' beside '%s' is not supported", m->key, (*whole)->key), false;
        else if (keywords[k].kind == WORD_WHOLE)
            *whole = m;
    }
    if (*whole && value)
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'%s' beside '%s' is not supported", value->key, (*whole)->key), false;
    return true;
}

/* ---- types ---- */

static unsigned type_named(const char *name)
{
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    for (unsigned i = 0; i < 7; i++)
        if (strcmp(names[i], name) == 0)
            return 1u << i;
    return 0;
}

/* What `type` says; what the other keywords speak of where it is silent; 0: said why. */
static unsigned schema_types(struct schema *s, const struct json *node)
{
    const struct json *type = json_get(node, "type");
    unsigned types = 0;
    if (!type) {
        for (const struct json *m = node->child; m; m = m->next) {
            size_t k = keyword_find(m->key);
            types |= k < sizeof keywords / sizeof *keywords ? keywords[k].types : 0;
        }
        return types ? types : TYPE_ANY;
    }
    for (const struct json *t = type->type == JSON_ARRAY ? type->child : type; t; t = type->type == JSON_ARRAY ? t->next : NULL) {
        unsigned one = t->type == JSON_STRING ? type_named(t->text) : 0;
        if (!one)
            return schema_fail(s, SOOTH_ERR_ARG, "'type' must name a type"), 0;
        types |= one;
    }
    if (!types)
        schema_fail(s, SOOTH_ERR_ARG, "'type' must name a type");
    return types & TYPE_NUMBER ? types & ~(unsigned)TYPE_INTEGER : types;
}

static unsigned value_type(const struct json *v)
{
    static const unsigned types[] = {[JSON_NULL] = TYPE_NULL, [JSON_FALSE] = TYPE_BOOLEAN, [JSON_TRUE] = TYPE_BOOLEAN,
                                     [JSON_NUMBER] = TYPE_NUMBER, [JSON_STRING] = TYPE_STRING, [JSON_ARRAY] = TYPE_ARRAY,
                                     [JSON_OBJECT] = TYPE_OBJECT};
    return v->type == JSON_NUMBER && !strpbrk(v->text, ".eE") ? TYPE_INTEGER | TYPE_NUMBER : types[v->type];
}

static struct piece schema_of_type(struct schema *s, const struct json *node, unsigned type)
{
    struct rules *b = &s->rules;
    switch (type) {
    case TYPE_NULL: return rules_text(b, "null", 4);
    case TYPE_BOOLEAN: return rules_either(b, rules_text(b, "true", 4), rules_text(b, "false", 5));
    case TYPE_INTEGER: return schema_number(s, node, true);
    case TYPE_NUMBER: return schema_number(s, node, false);
    case TYPE_STRING: return schema_string(s, node);
    case TYPE_ARRAY: return schema_array(s, node);
    default: return schema_object(s, node);
    }
}

/* ---- $ref ---- */

/* A JSON pointer behind '#'; NULL: leads nowhere. */
static const struct json *schema_pointer(const struct json *at, const char *p)
{
    while (at && *p) {
        char name[512];
        size_t n = 0;
        if (*p++ != '/')
            return NULL;
        for (; *p && *p != '/' && n + 1 < sizeof name; p++) {
            name[n] = *p;
            if (*p == '~' && (p[1] == '0' || p[1] == '1'))
                name[n] = *++p == '0' ? '~' : '/';
            n++;
        }
        name[n] = 0;
        if (*p && *p != '/')
            return NULL;
        if (at->type == JSON_ARRAY) {
            size_t i = 0;
            for (size_t k = 0; k < n && k < 9; k++) {
                if (name[k] < '0' || name[k] > '9')
                    return NULL;
                i = 10 * i + (size_t)(name[k] - '0');
            }
            at = n && n < 9 ? json_at(at, i) : NULL;
        } else {
            at = json_get(at, name);
        }
    }
    return at;
}

static const struct json *schema_target(struct schema *s, const struct json *ref)
{
    const struct json *to = ref->type == JSON_STRING && ref->text[0] == '#' ? schema_pointer(s->root, ref->text + 1) : NULL;
    if (!to)
        schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'$ref' to '%.100s' does not lead into this schema", ref->type == JSON_STRING ? ref->text : "?");
    return to;
}

/* A call of the rule for what is referred to; the rule is filled in later, so references may be recursive. */
static struct piece schema_ref(struct schema *s, const struct json *ref)
{
    struct schema_ref r = {schema_target(s, ref), RULES_NONE};
    if (!r.to)
        return rules_empty(&s->rules);
    for (size_t i = 0; i < s->refs.count; i++)
        if (s->refs.items[i].to == r.to)
            return rules_call(&s->rules, s->refs.items[i].rule);
    r.rule = rules_rule(&s->rules);
    if (!vec_push(&s->refs, r))
        return schema_fail(s, SOOTH_ERR_NOMEM, "out of memory");
    return rules_call(&s->rules, r.rule);
}

/* ---- enum, anyOf, oneOf ---- */

bool schema_equal(const struct json *a, const struct json *b)
{
    if (a->type != b->type || a->len != b->len)
        return a->type == JSON_NUMBER && b->type == JSON_NUMBER && a->number == b->number;
    return (a->type == JSON_STRING || a->type == JSON_NUMBER) ? memcmp(a->text, b->text, a->len) == 0 : a->type < JSON_NUMBER;
}

static struct piece schema_enum(struct schema *s, const struct json *node, const struct json *list)
{
    unsigned types = json_get(node, "type") ? schema_types(s, node) : TYPE_ANY;
    struct piece all = {0, 0};
    bool any = false;
    if (list->type != JSON_ARRAY)
        return schema_fail(s, SOOTH_ERR_ARG, "'enum' must be a list");
    for (const struct json *v = list->child; v && s->status == SOOTH_OK; v = v->next) {
        if (!(value_type(v) & types))
            continue;
        struct piece p = schema_literal(s, v);
        all = any ? rules_either(&s->rules, all, p) : p;
        any = true;
    }
    return any ? all : schema_fail(s, SOOTH_ERR_ARG, "no value satisfies an 'enum'");
}

static struct piece schema_const(struct schema *s, const struct json *node, const struct json *value)
{
    unsigned types = json_get(node, "type") ? schema_types(s, node) : TYPE_ANY;
    return value_type(value) & types ? schema_literal(s, value) : schema_fail(s, SOOTH_ERR_ARG, "a 'const' is not of its 'type'");
}

/* The types a schema's values may have, as far as is seen at a glance. */
static unsigned schema_glance(struct schema *s, const struct json *node, unsigned depth)
{
    const struct json *w;
    unsigned types = 0;
    if (!node || node->type != JSON_OBJECT || depth > SCHEMA_DEPTH)
        return TYPE_ANY;
    if ((w = json_get(node, "$ref")))
        return schema_glance(s, schema_target(s, w), depth + 1);
    if ((w = json_get(node, "const")))
        return value_type(w);
    if ((w = json_get(node, "enum")) || (w = json_get(node, "anyOf")) || (w = json_get(node, "oneOf"))) {
        bool values = w->key[0] == 'e';
        for (const struct json *v = w->child; v; v = v->next)
            types |= values ? value_type(v) : schema_glance(s, v, depth + 1);
        return types;
    }
    return schema_types(s, node);
}

static bool schema_requires(const struct json *node, const char *name)
{
    const struct json *required = json_get(node, "required");
    for (const struct json *r = required && required->type == JSON_ARRAY ? required->child : NULL; r; r = r->next)
        if (r->type == JSON_STRING && strcmp(r->text, name) == 0)
            return true;
    return false;
}

/* Two objects that must hold one member with different constants. */
static bool schema_told_apart(struct schema *s, const struct json *a, const struct json *b)
{
    const struct json *ra = json_get(a, "$ref"), *rb = json_get(b, "$ref");
    a = ra ? schema_target(s, ra) : a;
    b = rb ? schema_target(s, rb) : b;
    const struct json *pa = json_get(a, "properties"), *pb = json_get(b, "properties");
    for (const struct json *m = pa && pa->type == JSON_OBJECT ? pa->child : NULL; m; m = m->next) {
        const struct json *x = json_get(m, "const"), *y = json_get(json_get(pb, m->key), "const");
        if (x && y && !schema_equal(x, y) && x->type == y->type && x->type <= JSON_STRING && schema_requires(a, m->key) && schema_requires(b, m->key))
            return true;
    }
    return false;
}

/* Texts of the branches' union are texts of exactly one only where no value satisfies two. */
static bool schema_exclusive(struct schema *s, const struct json *list)
{
    for (const struct json *a = list->child; a; a = a->next)
        for (const struct json *b = a->next; b; b = b->next) {
            unsigned x = schema_glance(s, a, 0), y = schema_glance(s, b, 0);
            unsigned numbers = TYPE_INTEGER | TYPE_NUMBER;
            x |= x & numbers ? numbers : 0;
            y |= y & numbers ? numbers : 0;
            if ((x & y) && !((x & y) == TYPE_OBJECT && schema_told_apart(s, a, b)))
                return false;
        }
    return true;
}

static struct piece schema_branches(struct schema *s, const struct json *node, const struct json *list)
{
    struct piece all = {0, 0};
    if (list->type != JSON_ARRAY || !list->len)
        return schema_fail(s, SOOTH_ERR_ARG, "'%s' must be a list", list->key);
    if (json_get(node, "type"))
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'type' beside '%s' is not supported", list->key);
    if (strcmp(list->key, "allOf") == 0 && list->len > 1)
        return schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'allOf' of more than one schema is not supported");
    if (strcmp(list->key, "oneOf") == 0 && !schema_exclusive(s, list)) {
        schema_fail(s, SOOTH_ERR_UNSUPPORTED, "a 'oneOf' whose schemas may share a value is not supported");
        err_hint(s->err, "'anyOf' is, and so are types or constants that tell the schemas apart");
        return rules_empty(&s->rules);
    }
    for (const struct json *v = list->child; v && s->status == SOOTH_OK; v = v->next) {
        struct piece p = schema_value(s, v);
        all = v == list->child ? p : rules_either(&s->rules, all, p);
    }
    return all;
}

/* ---- any schema ---- */

struct piece schema_value(struct schema *s, const struct json *node)
{
    const struct json *whole;
    if (s->status != SOOTH_OK)
        return rules_empty(&s->rules);
    if (node->type == JSON_TRUE)
        return schema_part(s, PART_VALUE);
    if (node->type == JSON_FALSE)
        return schema_fail(s, SOOTH_ERR_ARG, "no value satisfies 'false'");
    if (node->type != JSON_OBJECT)
        return schema_fail(s, SOOTH_ERR_ARG, "a schema is an object or a boolean");
    if (!schema_check(s, node, &whole))
        return rules_empty(&s->rules);
    if (whole && strcmp(whole->key, "$ref") == 0)
        return json_get(node, "type") ? schema_fail(s, SOOTH_ERR_UNSUPPORTED, "'type' beside '$ref' is not supported")
                                      : schema_ref(s, whole);
    if (whole && strcmp(whole->key, "enum") == 0)
        return schema_enum(s, node, whole);
    if (whole && strcmp(whole->key, "const") == 0)
        return schema_const(s, node, whole);
    if (whole)
        return schema_branches(s, node, whole);
    unsigned types = schema_types(s, node);
    if (types == TYPE_ANY)
        return schema_part(s, PART_VALUE);
    struct piece all = {0, 0};
    bool any = false;
    for (unsigned t = TYPE_NULL; t <= TYPE_OBJECT && s->status == SOOTH_OK; t *= 2) {
        if (!(types & t))
            continue;
        struct piece p = schema_of_type(s, node, t);
        all = any ? rules_either(&s->rules, all, p) : p;
        any = true;
    }
    return any ? all : rules_empty(&s->rules);
}

enum sooth_status sooth_grammar_schema(const char *json, size_t len, struct sooth_grammar **out, struct sooth_error *err)
{
    struct schema s = {.err = err};
    struct arena arena;
    *out = NULL;
    if (len > RULES_TEXT)
        return err_set(err, SOOTH_ERR_LIMIT, "a schema may have at most %d bytes", (int)RULES_TEXT);
    arena_init(&arena, SCHEMA_MEMORY);
    s.root = json_parse(&arena, json, len, JSON_UNIQUE_KEYS, NULL, err);
    if (!s.root) {
        enum sooth_status status = arena.failed && !arena.limited ? err_nomem(err) : SOOTH_ERR_ARG;
        if (err && status != SOOTH_ERR_NOMEM) {
            err_prefix(err, "schema");
            err->status = SOOTH_ERR_ARG;
        }
        arena_release(&arena);
        return status;
    }
    rules_init(&s.rules);
    memset(s.part, 0xFF, sizeof s.part);
    uint32_t root = rules_named(&s.rules, "root", 4);
    rules_define(&s.rules, root, schema_value(&s, s.root));
    for (size_t i = 0; i < s.refs.count && s.status == SOOTH_OK; i++) { /* grows while it is walked */
        struct schema_ref r = s.refs.items[i];
        rules_define(&s.rules, r.rule, schema_value(&s, r.to));
    }
    vec_free(&s.refs);
    arena_release(&arena);
    if (s.status != SOOTH_OK && s.rules.status == SOOTH_OK) {
        rules_release(&s.rules);
        return s.status;
    }
    return rules_finish(&s.rules, root, out, err);
}
