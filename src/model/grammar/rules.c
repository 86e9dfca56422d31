/* rules.c: building rules from pieces, and the checks that make matching safe. Nothing here recurses.
 *
 * Characters become bytes by cutting a range of code points where UTF-8 changes its length and where a continuation byte
 * does not run over its whole range:   U+0080..U+07FF = C2..DF 80..BF,   U+0800..U+0FFF = E0 A0..BF 80..BF, ...
 *
 * The checks are one propagation over nodes: what can be reached from a rule's beginning without reading a byte? A rule whose
 * end is reached may be empty; a call reached is an edge "begins with", and a cycle of those edges is left recursion. The
 * same propagation passing over bytes too tells which rules can end at all. */
#include "model/grammar/rules.h"
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "model/grammar/grammar.h"

void rules_init(struct rules *b)
{
    memset(b, 0, sizeof *b);
    map_init(&b->names);
}

void rules_release(struct rules *b)
{
    vec_free(&b->nodes);
    vec_free(&b->repeats);
    vec_free(&b->rules);
    map_release(&b->names);
}

static void rules_fail(struct rules *b, enum sooth_status status)
{
    if (b->status == SOOTH_OK)
        b->status = status;
}

/* ---- nodes and rules; index 0 stands in for what failed ---- */

static uint32_t rules_node(struct rules *b, struct node n)
{
    if (b->nodes.count >= RULES_NODES)
        rules_fail(b, SOOTH_ERR_LIMIT);
    else if (!vec_push(&b->nodes, n))
        rules_fail(b, SOOTH_ERR_NOMEM);
    else
        return (uint32_t)b->nodes.count - 1;
    return 0;
}

static uint32_t rules_open(struct rules *b)
{
    return rules_node(b, (struct node){NODE_SPLIT, 0, 0, RULES_NONE, RULES_NONE});
}

void rules_link(struct rules *b, uint32_t last, uint32_t next)
{
    if (b->status == SOOTH_OK)
        b->nodes.items[last].next = next;
}

uint32_t rules_fork(struct rules *b, uint32_t x, uint32_t y)
{
    return rules_node(b, (struct node){NODE_SPLIT, 0, 0, x, y});
}

uint32_t rules_rule(struct rules *b)
{
    struct rule r = {RULES_NONE, ""};
    if (b->rules.count >= RULES_MOST)
        rules_fail(b, SOOTH_ERR_LIMIT);
    else if (!vec_push(&b->rules, r))
        rules_fail(b, SOOTH_ERR_NOMEM);
    else
        return (uint32_t)b->rules.count - 1;
    return 0;
}

uint32_t rules_named(struct rules *b, const char *name, size_t len)
{
    uint64_t rule;
    if (map_find(&b->names, name, len, &rule))
        return (uint32_t)rule;
    rule = rules_rule(b);
    if (b->status == SOOTH_OK && !map_put(&b->names, name, len, rule))
        rules_fail(b, SOOTH_ERR_NOMEM);
    return (uint32_t)rule;
}

void rules_define(struct rules *b, uint32_t rule, struct piece body)
{
    uint32_t end = rules_node(b, (struct node){NODE_END, 0, 0, RULES_NONE, RULES_NONE});
    rules_link(b, body.last, end);
    if (b->status == SOOTH_OK)
        b->rules.items[rule].first = body.first;
}

bool rules_defined(const struct rules *b, uint32_t rule)
{
    return b->status != SOOTH_OK || b->rules.items[rule].first != RULES_NONE;
}

/* ---- pieces ---- */

struct piece rules_empty(struct rules *b)
{
    uint32_t n = rules_open(b);
    return (struct piece){n, n};
}

struct piece rules_bytes(struct rules *b, unsigned char lo, unsigned char hi)
{
    uint32_t last = rules_open(b), first = rules_node(b, (struct node){NODE_BYTES, lo, hi, last, RULES_NONE});
    return (struct piece){first, last};
}

struct piece rules_text(struct rules *b, const char *text, size_t len)
{
    struct piece p = rules_empty(b);
    for (size_t i = 0; i < len && b->status == SOOTH_OK; i++)
        p = rules_then(b, p, rules_bytes(b, (unsigned char)text[i], (unsigned char)text[i]));
    return p;
}

struct piece rules_then(struct rules *b, struct piece x, struct piece y)
{
    rules_link(b, x.last, y.first);
    return (struct piece){x.first, y.last};
}

struct piece rules_either(struct rules *b, struct piece x, struct piece y)
{
    uint32_t last = rules_open(b), first = rules_fork(b, x.first, y.first);
    rules_link(b, x.last, last);
    rules_link(b, y.last, last);
    return (struct piece){first, last};
}

struct piece rules_optional(struct rules *b, struct piece x)
{
    return rules_either(b, x, rules_empty(b));
}

struct piece rules_call(struct rules *b, uint32_t rule)
{
    uint32_t last = rules_open(b), first = rules_node(b, (struct node){NODE_CALL, 0, 0, last, rule});
    return (struct piece){first, last};
}

/* x* is a loop; x+ is x, then the loop over the same nodes. */
static struct piece rules_loop(struct rules *b, struct piece x, bool once)
{
    uint32_t last = rules_open(b), again = rules_fork(b, x.first, last);
    rules_link(b, x.last, again);
    return (struct piece){once ? x.first : again, last};
}

struct piece rules_repeat(struct rules *b, struct piece x, uint32_t min, uint32_t max)
{
    if (min <= 1 && max == REPEAT_ALWAYS)
        return rules_loop(b, x, min);
    if (min == 1 && max == 1)
        return x;
    if (min == 0 && max == 1)
        return rules_optional(b, x);
    struct repeat r = {rules_rule(b), min, max};
    rules_define(b, r.rule, x);
    if (!vec_push(&b->repeats, r))
        rules_fail(b, SOOTH_ERR_NOMEM);
    uint32_t last = rules_open(b),
             first = rules_node(b, (struct node){NODE_REPEAT, 0, 0, last, (uint32_t)b->repeats.count - 1});
    return (struct piece){first, last};
}

/* ---- classes ---- */

static int range_order(const void *a, const void *b)
{
    const struct class_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

size_t class_ranges(struct class_range *r, size_t n, bool others)
{
    size_t count = 0;
    qsort(r, n, sizeof *r, range_order);
    for (size_t i = 0; i < n; i++) {
        if (count && r[i].lo <= r[count - 1].hi + 1)
            r[count - 1].hi = r[i].hi > r[count - 1].hi ? r[i].hi : r[count - 1].hi;
        else
            r[count++] = r[i];
    }
    if (!others)
        return count;
    uint32_t at = 0;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        struct class_range in = r[i]; /* overwritten at left <= i */
        if (in.lo > at)
            r[left++] = (struct class_range){at, in.lo - 1};
        at = in.hi + 1;
    }
    if (at <= 0x10FFFF)
        r[left++] = (struct class_range){at, 0x10FFFF};
    return left;
}

/* Code points lo..hi of one encoded length n whose bytes differ in ranges only: adds them to the list of alternatives. */
static void class_sequence(struct rules *b, const char *lo, const char *hi, size_t n, struct piece *all, bool *any)
{
    struct piece p = rules_bytes(b, (unsigned char)lo[0], (unsigned char)hi[0]);
    for (size_t i = 1; i < n; i++)
        p = rules_then(b, p, rules_bytes(b, (unsigned char)lo[i], (unsigned char)hi[i]));
    *all = *any ? rules_either(b, *all, p) : p;
    *any = true;
}

/* Cuts lo..hi into spans of one length whose continuation bytes run over whole ranges behind the first that differs. */
static void class_span(struct rules *b, uint32_t lo, uint32_t hi, struct piece *all, bool *any)
{
    static const uint32_t lengths[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    while (lo <= hi) {
        uint32_t end = hi;
        if (lo >= 0xD800 && lo <= 0xDFFF) { /* surrogates are no characters */
            lo = 0xE000;
            continue;
        }
        if (lo < 0xD800 && end >= 0xD800)
            end = 0xD7FF;
        for (size_t i = 0; i < 4; i++)
            if (lo <= lengths[i] && end > lengths[i])
                end = lengths[i];
        for (unsigned shift = 18; shift >= 6; shift -= 6) { /* 6, 12, 18 bits lie in the last 1, 2, 3 bytes */
            uint32_t low = (1u << shift) - 1;
            if ((lo & ~low) == (end & ~low) || end <= 0x7F)
                continue;
            if (lo & low)
                end = end < (lo | low) ? end : (lo | low);
            else if ((end & low) != low)
                end = (end & ~low) - 1;
        }
        char from[4], to[4];
        size_t n = utf8_encode(lo, from);
        utf8_encode(end, to);
        class_sequence(b, from, to, n, all, any);
        lo = end + 1;
    }
}

struct piece rules_class(struct rules *b, struct class_range *ranges, size_t n, bool others)
{
    struct piece all = {0, 0};
    bool any = false;
    n = class_ranges(ranges, n, others);
    for (size_t i = 0; i < n && b->status == SOOTH_OK; i++)
        class_span(b, ranges[i].lo, ranges[i].hi, &all, &any);
    if (!any) /* nothing but surrogates, or nothing at all: no byte fits */
        all = rules_bytes(b, 1, 0);
    return all;
}

/* ---- checks ---- */

/* Nodes reached from the rules' beginnings; passing bytes or not. */
struct reach {
    const struct rules *b;
    uint32_t *rule;     /* [nodes] + 1 of the rule it was reached in; 0: not reached */
    uint32_t *waiting;  /* [rules] first call that waits for the rule to have an end */
    uint32_t *after;    /* [nodes] next such call */
    uint32_t *work;
    size_t n_work;
    bool *ends;         /* [rules] the end is reached */
};

static void reach_mark(struct reach *r, uint32_t node, uint32_t rule)
{
    if (node == RULES_NONE || r->rule[node])
        return;
    r->rule[node] = rule + 1;
    r->work[r->n_work++] = node;
}

static void reach_call(struct reach *r, uint32_t node, uint32_t callee, bool skip)
{
    if (r->ends[callee] || skip)
        reach_mark(r, r->b->nodes.items[node].next, r->rule[node] - 1);
    else {
        r->after[node] = r->waiting[callee];
        r->waiting[callee] = node;
    }
}

static void reach_run(struct reach *r, bool bytes)
{
    const struct rules *b = r->b;
    for (uint32_t i = 0; i < b->rules.count; i++)
        reach_mark(r, b->rules.items[i].first, i);
    while (r->n_work) {
        uint32_t at = r->work[--r->n_work], rule = r->rule[at] - 1;
        const struct node *n = &b->nodes.items[at];
        if (n->kind == NODE_SPLIT || (n->kind == NODE_BYTES && bytes && n->lo <= n->hi)) {
            reach_mark(r, n->next, rule);
            if (n->kind == NODE_SPLIT)
                reach_mark(r, n->arg, rule);
        } else if (n->kind == NODE_CALL) {
            reach_call(r, at, n->arg, false);
        } else if (n->kind == NODE_REPEAT) {
            reach_call(r, at, b->repeats.items[n->arg].rule, b->repeats.items[n->arg].min == 0);
        } else if (n->kind == NODE_END && !r->ends[rule]) {
            r->ends[rule] = true;
            for (uint32_t call = r->waiting[rule]; call != RULES_NONE; call = r->after[call])
                reach_mark(r, b->nodes.items[call].next, r->rule[call] - 1);
        }
    }
}

static void reach_release(struct reach *r)
{
    mem_free(r->rule);
    mem_free(r->waiting);
    mem_free(r->after);
    mem_free(r->work);
    mem_free(r->ends);
}

static bool reach_init(struct reach *r, const struct rules *b, bool bytes)
{
    size_t nodes = b->nodes.count, rules = b->rules.count;
    *r = (struct reach){.b = b,
                        .rule = mem_calloc(nodes, sizeof *r->rule),
                        .waiting = mem_array(rules, sizeof *r->waiting),
                        .after = mem_array(nodes, sizeof *r->after),
                        .work = mem_array(nodes, sizeof *r->work),
                        .ends = mem_calloc(rules, sizeof *r->ends)};
    if (!r->rule || !r->waiting || !r->after || !r->work || !r->ends) {
        reach_release(r);
        return false;
    }
    memset(r->waiting, 0xFF, rules * sizeof *r->waiting);
    reach_run(r, bytes);
    return true;
}

static const char *rule_name(const struct rules *b, uint32_t rule)
{
    return b->rules.items[rule].name[0] ? b->rules.items[rule].name : "(part of a rule)";
}

static uint32_t node_callee(const struct rules *b, const struct node *n)
{
    return n->kind == NODE_CALL ? n->arg : n->kind == NODE_REPEAT ? b->repeats.items[n->arg].rule : RULES_NONE;
}

/* Takes away rules that begin with none that is left (Kahn 1962), over edges callee -> caller; what stays is a cycle. */
static enum sooth_status check_left_recursion(const struct rules *b, const struct reach *r, struct sooth_error *err)
{
    size_t rules = b->rules.count, n_work = 0, gone = 0;
    uint32_t *begins = mem_calloc(rules, sizeof *begins), *head = mem_array(rules, sizeof *head),
             *next = mem_array(b->nodes.count, sizeof *next), *work = mem_array(rules, sizeof *work);
    enum sooth_status status = begins && head && next && work ? SOOTH_OK : err_nomem(err);
    if (status == SOOTH_OK)
        memset(head, 0xFF, rules * sizeof *head);
    for (uint32_t i = 0; status == SOOTH_OK && i < b->nodes.count; i++) {
        uint32_t callee = r->rule[i] ? node_callee(b, &b->nodes.items[i]) : RULES_NONE;
        if (callee == RULES_NONE)
            continue;
        begins[r->rule[i] - 1]++;
        next[i] = head[callee];
        head[callee] = i;
    }
    for (uint32_t i = 0; status == SOOTH_OK && i < rules; i++)
        if (!begins[i])
            work[n_work++] = i;
    for (; n_work; gone++)
        for (uint32_t at = head[work[--n_work]]; at != RULES_NONE; at = next[at])
            if (--begins[r->rule[at] - 1] == 0)
                work[n_work++] = r->rule[at] - 1;
    if (status == SOOTH_OK && gone < rules) {
        uint32_t in = RULES_NONE; /* one of the cycle, or above it; best one that has a name */
        for (uint32_t i = 0; i < rules; i++)
            if (begins[i] && (in == RULES_NONE || !b->rules.items[in].name[0]))
                in = i;
        err_set(err, SOOTH_ERR_ARG, "grammar rule '%.60s' begins with itself", rule_name(b, in));
        err_hint(err, "write a list as 'x ::= item x | item', or with '*'");
        status = SOOTH_ERR_ARG;
    }
    mem_free(begins);
    mem_free(head);
    mem_free(next);
    mem_free(work);
    return status;
}

static enum sooth_status rules_check(const struct rules *b, uint32_t root, struct sooth_error *err)
{
    struct reach empty, whole = {0};
    enum sooth_status status = SOOTH_OK;
    for (uint32_t i = 0; i < b->rules.count; i++)
        if (b->rules.items[i].first == RULES_NONE)
            return err_set(err, SOOTH_ERR_ARG, "grammar rule '%.60s' is used but not defined", rule_name(b, i));
    if (!reach_init(&empty, b, false))
        return err_nomem(err);
    status = check_left_recursion(b, &empty, err);
    for (size_t i = 0; status == SOOTH_OK && i < b->repeats.count; i++)
        if (empty.ends[b->repeats.items[i].rule])
            status = err_set(err, SOOTH_ERR_UNSUPPORTED, "a counted repeat of what may be empty is not supported");
    reach_release(&empty);
    if (status == SOOTH_OK && !reach_init(&whole, b, true))
        return err_nomem(err);
    for (uint32_t i = 0; status == SOOTH_OK && i < b->rules.count; i++)
        if (!whole.ends[i] && (i == root || b->rules.items[i].name[0]))
            status = err_set(err, SOOTH_ERR_ARG, "no text satisfies grammar rule '%.60s'", rule_name(b, i));
    reach_release(&whole);
    return status;
}

static enum sooth_status rules_take(struct rules *b, uint32_t root, struct sooth_grammar **out, struct sooth_error *err)
{
    struct sooth_grammar *g = mem_calloc(1, sizeof *g);
    if (!g)
        return err_nomem(err);
    *g = (struct sooth_grammar){.nodes = b->nodes.items, .repeats = b->repeats.items, .rules = b->rules.items,
                                .n_nodes = b->nodes.count, .n_repeats = b->repeats.count, .n_rules = b->rules.count,
                                .root = root, .names = b->names};
    atomic_init(&g->holders, 1);
    memset(b, 0, sizeof *b);
    *out = g;
    return SOOTH_OK;
}

enum sooth_status rules_finish(struct rules *b, uint32_t root, struct sooth_grammar **out, struct sooth_error *err)
{
    enum sooth_status status = b->status;
    const char *name;
    uint64_t rule;
    *out = NULL;
    if (status == SOOTH_ERR_NOMEM)
        err_nomem(err);
    else if (status == SOOTH_ERR_LIMIT)
        err_set(err, status, "the grammar needs more than %d rules or %d nodes", (int)RULES_MOST, (int)RULES_NODES);
    for (size_t at = 0, len; status == SOOTH_OK && map_next(&b->names, &at, &name, &len, &rule);)
        b->rules.items[rule].name = name;
    if (status == SOOTH_OK)
        status = rules_check(b, root, err);
    if (status == SOOTH_OK)
        status = rules_take(b, root, out, err);
    rules_release(b);
    return status;
}

struct sooth_grammar *grammar_hold(const struct sooth_grammar *g)
{
    struct sooth_grammar *held = (struct sooth_grammar *)g; /* the count is the one thing that changes */
    atomic_fetch_add(&held->holders, 1);
    return held;
}

void sooth_grammar_free(struct sooth_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->holders, 1) != 1)
        return;
    mem_free(g->nodes);
    mem_free(g->repeats);
    mem_free(g->rules);
    map_release(&g->names);
    mem_free(g);
}
