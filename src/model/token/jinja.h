/* jinja.h: inside of the template interpreter: values, syntax tree, and the state of one rendering.
 *
 *     jinja_lex.c     template text -> text pieces and tags, tags -> tokens (trim_blocks and lstrip_blocks on)
 *     jinja_expr.c    tokens -> expressions         jinja_parse.c   tags -> statements
 *     jinja_value.c   values, texts that know where they come from, Python's way of writing them
 *     jinja_eval.c    expressions                   jinja_exec.c    statements
 *     jinja_filter.c, jinja_test.c, jinja_method.c  the library
 *
 * Every byte of a text value carries its origin: the template, or the input (messages, tools). Whatever is done to
 * texts, bytes keep it; the output is cut into segments by it. Evaluation has no access to anything but values. */
#ifndef TOKEN_JINJA_H
#define TOKEN_JINJA_H
#include "core/base/vec.h"
#include "model/token/token.h"

enum { JINJA_MAX_SOURCE = 1 << 20, JINJA_MAX_DEPTH = 200, JINJA_MAX_FRAMES = 2000, JINJA_MAX_STEPS = 1000000,
       JINJA_MAX_RANGE = 100000, JINJA_MAX_OUTPUT = 8 << 20, JINJA_MAX_MEMORY = 128 << 20 };

/* ---- values ---- */

enum value_kind { VAL_UNDEFINED, VAL_NONE, VAL_BOOL, VAL_INT, VAL_FLOAT, VAL_TEXT, VAL_LIST, VAL_DICT, VAL_MACRO,
                  VAL_METHOD, VAL_LOOP, VAL_GLOBAL };
enum text_origin { FROM_TEMPLATE, FROM_INPUT, FROM_BOTH };

struct jtext {
    const char *text;
    size_t len;
    enum text_origin origin;
    const unsigned char *from; /* FROM_BOTH: [len] of FROM_TEMPLATE or FROM_INPUT */
};
struct value {
    enum value_kind kind;
    union {
        bool truth;
        int64_t i;
        double f;
        const struct jtext *text;
        struct jlist *list;
        struct jdict *dict;
        struct jmacro *macro;
        struct jmethod *method;
        struct jloop *loop;
        const char *name; /* VAL_UNDEFINED: what was looked for; VAL_GLOBAL: the function */
    };
};
struct jlist { struct value *items; size_t count, cap; bool tuple; };
struct jpair { struct value key, value; };
struct jdict { struct jpair *items; size_t count, cap; bool is_namespace; };
struct jmethod { struct value self; const char *name; };
struct jmacro { const struct stmt *stmt; struct scope *scope; struct value caller; };
struct jloop { const struct jlist *over; size_t index, depth; const struct stmt *stmt; struct scope *scope; };

/* ---- syntax ---- */

enum expr_kind { EX_CONST, EX_NAME, EX_LIST, EX_TUPLE, EX_DICT, EX_ATTR, EX_ITEM, EX_SLICE, EX_CALL, EX_FILTER, EX_TEST,
                 EX_NOT, EX_NEG, EX_POS, EX_BINARY, EX_AND, EX_OR, EX_COMPARE, EX_COND };
enum binary_op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOOR, OP_MOD, OP_POW, OP_CONCAT, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
                 OP_IN, OP_NOT_IN };
struct expr {
    enum expr_kind kind;
    unsigned line;
    enum binary_op op;      /* EX_BINARY; EX_COMPARE: of a with b, then chain */
    const char *name;       /* of a name, attribute, filter, test; interned */
    struct value constant;
    struct expr *a, *b, *c, *d; /* EX_SLICE: a[b:c:d]; EX_COND: a if b else c */
    struct expr *args;      /* list, tuple, call: linked by next; EX_DICT: key, value, key, ... */
    struct expr *next;
    const char *keyword;    /* an argument's name, or NULL */
};

enum stmt_kind { ST_TEXT, ST_PRINT, ST_IF, ST_FOR, ST_SET, ST_SET_BLOCK, ST_MACRO, ST_CALL, ST_FILTER, ST_GENERATION, ST_BREAK,
                 ST_CONTINUE };
struct stmt {
    enum stmt_kind kind;
    unsigned line;
    const char *text;       /* ST_TEXT */
    size_t len;
    const char *name;       /* ST_MACRO */
    struct expr *target;    /* ST_SET*, ST_FOR: names (a tuple for several), or namespace.attribute */
    struct expr *value;     /* printed, tested, looped over, assigned, called; ST_FILTER, ST_SET_BLOCK: filters over NULL */
    struct expr *filter;    /* ST_FOR: if */
    struct expr *params;    /* ST_MACRO, ST_CALL: EX_NAME each, its default in a */
    bool recursive;
    struct stmt *body, *otherwise, *next;
};

struct template {
    struct arena arena;
    char *source;
    size_t len;
    struct stmt *body;
};

/* ---- parsing ---- */

enum jtoken_kind { TK_END, TK_NAME, TK_TEXT, TK_INT, TK_FLOAT, TK_OP, TK_TAG_END };
struct jtoken { enum jtoken_kind kind; const char *text; size_t len; struct value value; };

struct parser {
    struct template *t;
    struct arena *arena;
    size_t at;
    unsigned line, depth;
    struct jtoken token;    /* the one to be read next, inside a tag */
    bool in_print;          /* the tag is {{ }} */
    unsigned braces;
    bool line_starting, text_trim;
    enum sooth_status status;
    struct sooth_error *err;
    VEC(const char *) names;
};
void *jinja_parser_alloc(struct parser *p, size_t size);
const char *jinja_parser_intern(struct parser *p, const char *s, size_t len);
bool jinja_parser_fail(struct parser *p, enum sooth_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool jinja_lex_next(struct parser *p);                       /* the next token of the tag */
/* Text up to the next tag (trimmed as the tags ask), then what opens there: 0 the end, '{' print, '%' block. */
int jinja_lex_text(struct parser *p, const char **text, size_t *len);
bool jinja_lex_is(const struct parser *p, const char *op);   /* next token is this operator or name */
bool jinja_lex_accept(struct parser *p, const char *op);
bool jinja_lex_expect(struct parser *p, const char *op);
struct expr *jinja_parse_expr(struct parser *p);             /* conditional expression; NULL on failure */
struct expr *jinja_parse_tuple(struct parser *p, bool with_condition);
struct expr *jinja_parse_args(struct parser *p);             /* after "(", eats ")"; status tells failure from none */
struct expr *jinja_parse_target(struct parser *p, bool attribute);
struct expr *jinja_parse_filters(struct parser *p, struct expr *node); /* at "|" or a filter's name */
bool jinja_parse_template(struct parser *p);

/* ---- rendering ---- */

struct binding { const char *name; struct value value; struct binding *next; };
struct scope { struct binding *bindings; struct scope *parent; };
struct joutput { struct buf text, from; size_t max; };

struct render {
    const struct template *t;
    struct arena *arena;
    struct scope *globals;
    struct joutput *out;
    size_t steps;
    unsigned frames, macros, line;
    int64_t now;
    enum sooth_status status;
    struct sooth_error *err;
};
struct jargs { struct value *items; size_t count; struct binding *keywords; };

/* Sets the failure once; returns undefined, so that it may be returned. */
struct value jinja_fail(struct render *r, enum sooth_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void *jinja_alloc(struct render *r, size_t size); /* NULL: failed */
bool jinja_step(struct render *r, size_t n);
bool jinja_scope_set(struct render *r, struct scope *s, const char *name, struct value v);
struct value jinja_eval(struct render *r, struct scope *s, const struct expr *e);
bool jinja_eval_args(struct render *r, struct scope *s, const struct expr *args, struct jargs *out);
struct value jinja_call_value(struct render *r, struct value f, struct jargs *args);
struct value jinja_call_macro(struct render *r, struct jmacro *m, struct jargs *args);
struct value jinja_call_loop(struct render *r, struct jloop *l, struct jargs *args);
struct value jinja_call_filter(struct render *r, const char *name, struct value v, struct jargs *args);
struct value jinja_call_method(struct render *r, struct jmethod *m, struct jargs *args);
bool jinja_call_test(struct render *r, const char *name, struct value v, struct jargs *args);
bool jinja_method_exists(struct value v, const char *name);
struct value value_attr(struct render *r, struct value v, const char *name);
struct value value_item(struct render *r, struct value v, struct value key);
struct value jinja_binary(struct render *r, enum binary_op op, struct value a, struct value b);
/* The k-th argument, or the one so named; undefined if neither. */
struct value jinja_arg(const struct jargs *args, size_t k, const char *name);
bool jinja_arg_given(const struct jargs *args, size_t k, const char *name);

/* ---- values (jinja_value.c) ---- */

#define UNDEFINED ((struct value){.kind = VAL_UNDEFINED, .name = ""})
#define NONE ((struct value){.kind = VAL_NONE})
#define BOOLEAN(x) ((struct value){.kind = VAL_BOOL, .truth = (x)})
#define INTEGER(x) ((struct value){.kind = VAL_INT, .i = (int64_t)(x)})
bool value_true(struct value v);
bool value_equal(struct render *r, struct value a, struct value b);
int value_compare(struct render *r, struct value a, struct value b); /* -1 0 1; fails for what has no order */
bool value_inside(struct render *r, struct value item, struct value whole);
struct value jtext_new(struct render *r, const char *s, size_t len, enum text_origin origin);
struct value jtext_literal(struct render *r, const char *s);
struct value jtext_part(struct render *r, const struct jtext *t, size_t from, size_t to); /* bytes [from, to) */
bool jtext_is(struct value v, const char *s);
struct value jlist_new(struct render *r, size_t cap);
bool jlist_add(struct render *r, struct jlist *l, struct value v);
struct value jdict_new(struct render *r);
bool jdict_put(struct render *r, struct jdict *d, struct value key, struct value v);
struct value *jdict_find(struct render *r, const struct jdict *d, struct value key);
struct value *jdict_find_name(const struct jdict *d, const char *name);
/* Elements as a list: of a list itself; a dict's keys; a text's characters; nothing of undefined. */
struct jlist *value_elements(struct render *r, struct value v);
const char *value_kind_name(struct value v);

/* Building texts. */
void joutput_init(struct joutput *o);
void joutput_release(struct joutput *o);
void joutput_add(struct render *r, struct joutput *o, const char *s, size_t len, enum text_origin origin);
void joutput_text(struct render *r, struct joutput *o, const struct jtext *t, size_t from, size_t to);
void joutput_value(struct render *r, struct joutput *o, struct value v);          /* as print writes it */
void joutput_repr(struct render *r, struct joutput *o, struct value v, unsigned depth);
struct value joutput_take(struct render *r, struct joutput *o); /* as a text; releases o */
struct value value_to_text(struct render *r, struct value v);
struct value value_from_json(struct render *r, const struct json *j);
/* json.dumps of Python; indent < 0 = one line */
struct value value_to_json(struct render *r, struct value v, int indent, bool sort, const char *comma, const char *colon, bool ascii);
#endif
