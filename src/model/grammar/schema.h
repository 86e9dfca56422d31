/* schema.h: a JSON schema being compiled; private to this folder. */
#ifndef GRAMMAR_SCHEMA_H
#define GRAMMAR_SCHEMA_H
#include "core/base/json.h"
#include "model/grammar/rules.h"

enum schema_type {
    TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_INTEGER = 4, TYPE_NUMBER = 8, TYPE_STRING = 16, TYPE_ARRAY = 32, TYPE_OBJECT = 64,
    TYPE_ANY = 127 - 4 /* integers are numbers */
};
enum schema_part { PART_VALUE, PART_STRING, PART_NUMBER, PART_SPACE, PART_CHAR, PART_KEY_TAIL, PART_COUNT };

struct schema_ref {
    const struct json *to;
    uint32_t rule;
};
struct schema {
    struct rules rules;
    const struct json *root;
    uint32_t part[PART_COUNT]; /* rules every schema shares, RULES_NONE until wanted */
    VEC(struct schema_ref) refs;
    struct sooth_error *err;
    enum sooth_status status;
};

/* Says why and where; always SOOTH_ERR_UNSUPPORTED or what is given. Returns an empty piece. */
struct piece schema_fail(struct schema *s, enum sooth_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct piece schema_value(struct schema *s, const struct json *node); /* schema.c: any schema */
bool schema_equal(const struct json *a, const struct json *b);

/* schema_value.c */
struct piece schema_part(struct schema *s, enum schema_part part);    /* a call of the shared rule */
struct piece schema_literal(struct schema *s, const struct json *value);
struct piece schema_string(struct schema *s, const struct json *node);
struct piece schema_number(struct schema *s, const struct json *node, bool integer);
struct piece schema_array(struct schema *s, const struct json *node);
struct piece schema_object(struct schema *s, const struct json *node);

/* schema_pattern.c: the inside of a JSON string whose value fits a regular expression. */
struct piece schema_pattern(struct schema *s, const char *pattern, size_t len);
/* One character of the ranges as it is written inside a JSON string. ranges has room for n + 1. */
struct piece schema_class(struct schema *s, struct class_range *ranges, size_t n, bool others);
#endif
