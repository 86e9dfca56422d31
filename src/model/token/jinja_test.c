/* jinja_test.c: what may stand behind "is". */
#include <string.h>
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "model/token/jinja.h"

static bool is_cased(struct value v, bool upper)
{
    bool any = false;
    if (v.kind != VAL_TEXT)
        return false;
    for (size_t i = 0, size; i < v.text->len; i += size) {
        uint32_t c = utf8_decode(v.text->text + i, v.text->len - i, &size);
        if (c == UTF8_BAD || uni_lower(c) == uni_upper(c))
            continue;
        if (c != (upper ? uni_upper(c) : uni_lower(c)))
            return false;
        any = true;
    }
    return any;
}

static bool is_numeric(struct value v)
{
    return v.kind == VAL_INT || v.kind == VAL_FLOAT || v.kind == VAL_BOOL;
}

/* Tests of the value alone: 1 yes, 0 no, -1 no such test. */
static int plain_test(const char *name, struct value v)
{
    const struct { const char *name; bool holds; } tests[] = {
        {"defined", v.kind != VAL_UNDEFINED},
        {"undefined", v.kind == VAL_UNDEFINED},
        {"none", v.kind == VAL_NONE},
        {"string", v.kind == VAL_TEXT},
        {"mapping", v.kind == VAL_DICT && !v.dict->is_namespace},
        {"iterable", v.kind == VAL_TEXT || v.kind == VAL_LIST || (v.kind == VAL_DICT && !v.dict->is_namespace) || v.kind == VAL_UNDEFINED},
        {"sequence", v.kind == VAL_TEXT || v.kind == VAL_LIST || (v.kind == VAL_DICT && !v.dict->is_namespace) || v.kind == VAL_UNDEFINED},
        {"boolean", v.kind == VAL_BOOL},
        {"true", v.kind == VAL_BOOL && v.truth},
        {"false", v.kind == VAL_BOOL && !v.truth},
        {"integer", v.kind == VAL_INT},
        {"float", v.kind == VAL_FLOAT},
        {"number", is_numeric(v)},
        {"callable", v.kind == VAL_MACRO || v.kind == VAL_METHOD || v.kind == VAL_GLOBAL || v.kind == VAL_LOOP},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (!strcmp(tests[i].name, name))
            return tests[i].holds;
    return -1;
}

static bool divides(struct render *r, struct value v, struct value by)
{
    struct value rest = jinja_binary(r, OP_MOD, v, by);
    return !r->status && !value_true(rest);
}

bool jinja_call_test(struct render *r, const char *name, struct value v, struct jargs *args)
{
    static const struct { const char *name; enum binary_op op; } comparisons[] = {
        {"eq", OP_EQ}, {"equalto", OP_EQ}, {"==", OP_EQ}, {"ne", OP_NE}, {"!=", OP_NE}, {"lt", OP_LT}, {"lessthan", OP_LT}, {"<", OP_LT},
        {"le", OP_LE}, {"<=", OP_LE}, {"gt", OP_GT}, {"greaterthan", OP_GT}, {">", OP_GT}, {"ge", OP_GE}, {">=", OP_GE}, {"in", OP_IN}};
    int plain = plain_test(name, v);
    if (plain >= 0)
        return plain;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (!strcmp(comparisons[i].name, name))
            return value_true(jinja_binary(r, comparisons[i].op, v, jinja_arg(args, 0, NULL)));
    if (!strcmp(name, "odd"))
        return !divides(r, v, INTEGER(2)) && !r->status;
    if (!strcmp(name, "even"))
        return divides(r, v, INTEGER(2));
    if (!strcmp(name, "divisibleby"))
        return divides(r, v, jinja_arg(args, 0, "num"));
    if (!strcmp(name, "lower") || !strcmp(name, "upper"))
        return is_cased(v, *name == 'u');
    jinja_fail(r, SOOTH_ERR_UNSUPPORTED, "test '%s' is not supported", name);
    return false;
}
