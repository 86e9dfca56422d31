/* json.h: strict RFC 8259 reader into an arena, and a writer onto a buf.
 * The reader does not recurse: depth is bounded by JSON_MAX_DEPTH, memory by the arena's ceiling. Duplicate keys are
 * an error when asked, lone surrogates become U+FFFD, invalid UTF-8 is refused, numbers keep their text (the double
 * of "1e999" is infinite). */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "sooth/error.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    const char *text;        /* string bytes (unescaped) or the number as written; NUL-terminated */
    size_t len;              /* of text; for arrays and objects the number of children */
    double number;           /* JSON_NUMBER */
    const char *key;         /* of an object's member, else NULL */
    size_t key_len;
    struct json *child;      /* first child of an array or object, in file order */
    struct json *next;       /* next sibling */
};

#define JSON_MAX_DEPTH 200
enum { JSON_UNIQUE_KEYS = 1, JSON_ALLOW_TAIL = 2 }; /* flags: refuse duplicate keys; stop after the first value */

/* NULL on failure. *used (may be NULL) gets the bytes consumed. Nodes live in the arena. */
struct json *json_parse(struct arena *a, const char *text, size_t len, unsigned flags, size_t *used,
                        struct sooth_error *err);
const struct json *json_get(const struct json *object, const char *key); /* NULL if absent or not an object */
const struct json *json_at(const struct json *array, size_t i);
const char *json_string(const struct json *object, const char *key, const char *fallback);
double json_number(const struct json *object, const char *key, double fallback);
int64_t json_int(const struct json *object, const char *key, int64_t fallback); /* fallback unless integral */
bool json_bool(const struct json *object, const char *key, bool fallback);

/* Writer. Commas and colons are its business: open, key, value, close. Output is compact, one line, UTF-8 kept
 * as it is; invalid bytes become U+FFFD; NaN and infinities are written as null. */
struct json_writer {
    struct buf *out;
    unsigned depth;
    bool need_comma;
};
void jsonw_init(struct json_writer *w, struct buf *out);
void jsonw_object(struct json_writer *w);
void jsonw_array(struct json_writer *w);
void jsonw_end_object(struct json_writer *w);
void jsonw_end_array(struct json_writer *w);
void jsonw_key(struct json_writer *w, const char *key);
void jsonw_string(struct json_writer *w, const char *s); /* NULL writes null */
void jsonw_stringn(struct json_writer *w, const char *s, size_t len);
void jsonw_int(struct json_writer *w, int64_t v);
void jsonw_double(struct json_writer *w, double v, int digits); /* significant digits, 1..17 */
void jsonw_bool(struct json_writer *w, bool v);
void jsonw_null(struct json_writer *w);
#endif
