/* rules.h: a grammar as rules over bytes, and the pieces they are built from; private to this folder.
 *
 * Each rule is a small automaton (Thompson 1968) whose edges are bytes or calls of rules: a pushdown automaton in all.
 *
 *     BYTES lo hi   one byte of lo..hi, then next
 *     SPLIT         next, or arg; arg NONE: next
 *     CALL          rule arg, then next
 *     REPEAT        rule of repeats[arg], min to max times, then next: counted while matching, so {0,100000} is one node
 *     END           of the rule
 *
 * A piece is a part under construction: it begins at first, and last is a SPLIT whose next is still open. A piece may be
 * used once. Everything that fails (memory, too many nodes) is remembered by the builder, and told by rules_finish. */
#ifndef GRAMMAR_RULES_H
#define GRAMMAR_RULES_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/map.h"
#include "core/base/vec.h"
#include "sooth/error.h"

#define RULES_NONE UINT32_MAX
#define REPEAT_ALWAYS UINT32_MAX /* no maximum */
enum { RULES_MOST = 100000, RULES_NODES = 1 << 20, RULES_NESTING = 500, RULES_REPEAT = 1000000, RULES_TEXT = 1 << 20 };

enum node_kind { NODE_BYTES, NODE_SPLIT, NODE_CALL, NODE_REPEAT, NODE_END };
struct node {
    uint8_t kind, lo, hi;
    uint32_t next, arg;
};
struct repeat {
    uint32_t rule, min, max;
};
struct rule {
    uint32_t first; /* RULES_NONE: named but not defined */
    const char *name; /* "" for rules that the builder made */
};
struct sooth_grammar {
    struct node *nodes;
    struct repeat *repeats;
    struct rule *rules;
    size_t n_nodes, n_repeats, n_rules;
    uint32_t root;
    struct map names; /* keeps the rules' names */
    atomic_uint holders;
};

struct piece {
    uint32_t first, last;
};
struct class_range {
    uint32_t lo, hi; /* code points */
};

struct rules {
    VEC(struct node) nodes;
    VEC(struct repeat) repeats;
    VEC(struct rule) rules;
    struct map names;
    enum sooth_status status; /* of the first failure */
};

void rules_init(struct rules *b);
void rules_release(struct rules *b);
uint32_t rules_rule(struct rules *b);                                        /* a new one without a name */
uint32_t rules_named(struct rules *b, const char *name, size_t len);         /* that name's, made if new */
void rules_define(struct rules *b, uint32_t rule, struct piece body);
bool rules_defined(const struct rules *b, uint32_t rule);

struct piece rules_empty(struct rules *b);
struct piece rules_bytes(struct rules *b, unsigned char lo, unsigned char hi);
struct piece rules_text(struct rules *b, const char *text, size_t len);
struct piece rules_then(struct rules *b, struct piece x, struct piece y);
struct piece rules_either(struct rules *b, struct piece x, struct piece y);
struct piece rules_optional(struct rules *b, struct piece x);
struct piece rules_call(struct rules *b, uint32_t rule);
struct piece rules_repeat(struct rules *b, struct piece x, uint32_t min, uint32_t max); /* max REPEAT_ALWAYS: no end */
/* For shapes that pieces cannot make: a node that goes to either, and what an open end leads to. */
uint32_t rules_fork(struct rules *b, uint32_t x, uint32_t y);
void rules_link(struct rules *b, uint32_t last, uint32_t next);
/* Any one character of the ranges (or of all others), as UTF-8. The ranges are sorted in place. */
struct piece rules_class(struct rules *b, struct class_range *ranges, size_t n, bool others);
/* Sorts and joins; with others, turns into what is left of all characters (room for n + 1 ranges then). Returns how many. */
size_t class_ranges(struct class_range *ranges, size_t n, bool others);

/* Checks the whole (every rule defined, none left-recursive, each can end, no repeat of what may be empty) and takes it over;
 * the builder is released in any case. */
enum sooth_status rules_finish(struct rules *b, uint32_t root, struct sooth_grammar **out, struct sooth_error *err);
#endif
