/* filter.c: "tag=v and page<10": which passages a search may return.
 *
 * The text is parsed into a tree of at most 256 nodes and 64 levels, names are resolved once
 * against the store (an unknown one is an error, not an empty result), then the tree is asked for
 * every passage before the search, so that a rare tag and a small k still give exactly the rare
 * rows.
 *
 * Comparison: page is a number. Other fields are text; < and > compare them as numbers when both
 * sides are, else by bytes (which is right for dates written 2024-03-05). `between` takes both ends.
 * prefix and contains compare small letters. What is asked of `text` is looked up once: a phrase in
 * the passages that have all its words (filter_text.c). doc equals its identity, or its last part (the file's name). A passage
 * without the tag fails every comparison but !=. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "know/retrieve/filter_text.h"

enum { NODES = 256, LEVELS = 64, VALUES = 64 };
enum node_kind { NODE_OR, NODE_AND, NODE_NOT, NODE_COMPARE };
enum field { FIELD_DOC, FIELD_TITLE, FIELD_FORMAT, FIELD_PAGE, FIELD_TEXT, FIELD_ANY_TAG, FIELD_TAG };
enum compare { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_IN, CMP_PREFIX, CMP_CONTAINS, CMP_BETWEEN };

struct node {
    enum node_kind kind;
    int left, right; /* indexes; NOT uses left */
    enum field field;
    enum compare op;
    const char *tag; /* FIELD_TAG: the key */
    const char **values;
    size_t n_values;
    unsigned char *found; /* FIELD_TEXT: [n] */
};

struct filter {
    struct store *store;
    const struct snapshot *view;
    const char *text, *at;
    struct arena arena;
    struct node nodes[NODES];
    int n_nodes, depth;
    const struct json **tags; /* of each document */
    size_t n_docs;
    struct sooth_error *err;
    enum sooth_status status;
};

static int fail(struct filter *f, const char *what)
{
    if (f->status == SOOTH_OK) {
        f->status =
            err_set(f->err, SOOTH_ERR_ARG, "filter '%s': %s at '%.20s'", f->text, what, f->at);
        err_hint(f->err,
                 "such as: tag=invoice and page<10, doc='a b.pdf' or year>=2020, kind in (x, y)");
        f->status = SOOTH_ERR_ARG;
    }
    return -1;
}

static void skip_space(struct filter *f)
{
    while (*f->at == ' ' || *f->at == '\t' || *f->at == '\n')
        f->at++;
}

static bool is_word(char c)
{
    return c && !strchr(" \t\n()=!<>,'\"", c);
}

/* The keyword, in any case, followed by no word character. */
static bool take_word(struct filter *f, const char *word)
{
    size_t n = strlen(word);
    skip_space(f);
    if (strncasecmp(f->at, word, n) != 0 || is_word(f->at[n]))
        return false;
    f->at += n;
    return true;
}

static bool take_char(struct filter *f, char c)
{
    skip_space(f);
    if (*f->at != c)
        return false;
    f->at++;
    return true;
}

/* A word or a quoted string; NULL with the failure set. */
static const char *take_value(struct filter *f, const char *what)
{
    skip_space(f);
    const char *from = f->at;
    char *out = NULL;
    if (*from == '\'' || *from == '"') {
        const char *end = strchr(from + 1, *from);
        if (!end)
            return fail(f, "a quote is not closed"), NULL;
        out = arena_strndup(&f->arena, from + 1, (size_t)(end - from - 1));
        f->at = end + 1;
    } else {
        while (is_word(*f->at))
            f->at++;
        if (f->at == from)
            return fail(f, what), NULL;
        out = arena_strndup(&f->arena, from, (size_t)(f->at - from));
    }
    if (!out && f->status == SOOTH_OK)
        f->status = err_nomem(f->err);
    return out;
}

static int node_new(struct filter *f, struct node n)
{
    if (f->n_nodes == NODES)
        return fail(f, "it is too long");
    f->nodes[f->n_nodes] = n;
    return f->n_nodes++;
}

static bool tag_known(const struct filter *f, const char *key)
{
    for (size_t i = 0; i < f->n_docs; i++)
        if (json_get(f->tags[i], key))
            return true;
    return false;
}

static bool resolve(struct filter *f, const char *name, struct node *n)
{
    static const struct {
        const char *name;
        enum field field;
    } fields[] = {
        {"doc", FIELD_DOC},   {"title", FIELD_TITLE}, {"format", FIELD_FORMAT},
        {"page", FIELD_PAGE}, {"tag", FIELD_ANY_TAG}, {"text", FIELD_TEXT},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(name, fields[i].name) == 0) {
            n->field = fields[i].field;
            return true;
        }
    n->field = FIELD_TAG;
    n->tag = strncmp(name, "tag.", 4) == 0 ? name + 4 : name;
    if (tag_known(f, n->tag))
        return true;
    f->status = err_set(f->err, SOOTH_ERR_ARG, "filter '%s': no document has the field '%s'",
                        f->text, name);
    err_hint(f->err, "fields are doc, title, format, page, text, tag and the keys given with --tag");
    f->status = SOOTH_ERR_ARG;
    return false;
}

static bool take_operator(struct filter *f, enum compare *op)
{
    static const struct {
        const char *text;
        enum compare op;
    } ops[] = {
        {"!=", CMP_NE}, {"<=", CMP_LE}, {">=", CMP_GE}, {"==", CMP_EQ},
        {"=", CMP_EQ},  {"<", CMP_LT},  {">", CMP_GT},
    };
    skip_space(f);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strncmp(f->at, ops[i].text, strlen(ops[i].text)) == 0) {
            f->at += strlen(ops[i].text);
            *op = ops[i].op;
            return true;
        }
    static const struct {
        const char *word;
        enum compare op;
    } words[] = {{"in", CMP_IN}, {"prefix", CMP_PREFIX}, {"contains", CMP_CONTAINS}, {"between", CMP_BETWEEN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (take_word(f, words[i].word)) {
            *op = words[i].op;
            return true;
        }
    return false;
}

static bool is_number(const char *s, double *out)
{
    char *end;
    if (!isdigit((unsigned char)*s) && *s != '-' && *s != '+' && *s != '.')
        return false;
    *out = strtod(s, &end);
    return end != s && *end == '\0';
}

static bool comparable(enum field field, enum compare op)
{
    bool inside = op == CMP_PREFIX || op == CMP_CONTAINS;
    return field == FIELD_TEXT ? inside : field != FIELD_PAGE || !inside;
}

/* Which passages have the phrase, or a word that begins so. */
static bool look_up(struct filter *f, struct node *n)
{
    n->found = arena_calloc(&f->arena, f->view->n + 1, 1);
    if (!n->found)
        f->status = err_nomem(f->err);
    else if (!f->store)
        f->status = err_set(f->err, SOOTH_ERR_ARG, "filter '%s': there are no texts to look into", f->text);
    else
        f->status = n->op == CMP_PREFIX
                        ? filter_prefix(f->store, f->view, n->values[0], n->found, f->err)
                        : filter_phrase(f->store, f->view, n->values[0], n->found, f->err);
    return f->status == SOOTH_OK;
}

static int parse_compare(struct filter *f)
{
    struct node n = {.kind = NODE_COMPARE};
    const char *values[VALUES];
    const char *name = take_value(f, "a field is missing");
    double number;
    if (!name || !resolve(f, name, &n))
        return -1;
    if (!take_operator(f, &n.op))
        return fail(f, "one of = != < <= > >= in prefix contains between is missing");
    if (n.op == CMP_IN && !take_char(f, '('))
        return fail(f, "'(' is missing");
    do {
        if (n.n_values == VALUES)
            return fail(f, "the list is too long");
        const char *v = take_value(f, "a value is missing");
        if (!v)
            return -1;
        if (n.field == FIELD_PAGE && !is_number(v, &number))
            return fail(f, "page is compared with a number");
        values[n.n_values++] = v;
    } while ((n.op == CMP_IN && take_char(f, ',')) ||
             (n.op == CMP_BETWEEN && n.n_values == 1 && take_word(f, "and")));
    if (n.op == CMP_BETWEEN && n.n_values != 2)
        return fail(f, "between wants two values with 'and'");
    if (!comparable(n.field, n.op))
        return fail(f, n.field == FIELD_TEXT ? "text is asked for 'contains' or 'prefix'"
                                             : "page is a number");
    if (n.op == CMP_IN && !take_char(f, ')'))
        return fail(f, "')' is missing");
    n.values = arena_array(&f->arena, n.n_values, sizeof *n.values);
    if (!n.values) {
        f->status = err_nomem(f->err);
        return -1;
    }
    memcpy(n.values, values, n.n_values * sizeof *values);
    if (n.field == FIELD_TEXT && !look_up(f, &n))
        return -1;
    return node_new(f, n);
}

static int parse_or(struct filter *f);

static int parse_not(struct filter *f)
{
    int inner;
    if (++f->depth > LEVELS)
        return fail(f, "it is nested too deep");
    if (take_word(f, "not")) {
        inner = parse_not(f);
        inner = inner < 0 ? -1 : node_new(f, (struct node){.kind = NODE_NOT, .left = inner});
    } else if (take_char(f, '(')) {
        inner = parse_or(f);
        if (inner >= 0 && !take_char(f, ')'))
            inner = fail(f, "')' is missing");
    } else {
        inner = parse_compare(f);
    }
    f->depth--;
    return inner;
}

static int parse_chain(struct filter *f, const char *word, enum node_kind kind,
                       int (*next)(struct filter *))
{
    int left = next(f);
    while (left >= 0 && take_word(f, word)) {
        int right = next(f);
        left = right < 0 ? -1
                         : node_new(f, (struct node){.kind = kind, .left = left, .right = right});
    }
    return left;
}

static int parse_and(struct filter *f)
{
    return parse_chain(f, "and", NODE_AND, parse_not);
}

static int parse_or(struct filter *f)
{
    return parse_chain(f, "or", NODE_OR, parse_and);
}

/* --- asking
 * ---------------------------------------------------------------------------------------------------
 */

static bool satisfies(enum compare op, int order)
{
    switch (op) {
    case CMP_NE:
        return order != 0;
    case CMP_LT:
        return order < 0;
    case CMP_LE:
        return order <= 0;
    case CMP_GT:
        return order > 0;
    case CMP_GE:
        return order >= 0;
    default:
        return order == 0;
    }
}

static int order_of(const char *a, const char *b)
{
    double x, y;
    if (is_number(a, &x) && is_number(b, &y))
        return x < y ? -1 : x > y;
    return strcmp(a, b);
}

static bool text_matches(const struct node *n, const char *have)
{
    bool any = false;
    if (n->op == CMP_PREFIX)
        return strncasecmp(have, n->values[0], strlen(n->values[0])) == 0;
    if (n->op == CMP_CONTAINS)
        return strcasestr(have, n->values[0]) != NULL;
    if (n->op == CMP_BETWEEN)
        return order_of(have, n->values[0]) >= 0 && order_of(have, n->values[1]) <= 0;
    for (size_t i = 0; i < n->n_values && !any; i++)
        any = satisfies(n->op, order_of(have, n->values[i]));
    return any;
}

static bool doc_matches(const struct node *n, const char *doc)
{
    const char *slash = strrchr(doc, '/');
    const char *name = slash ? slash + 1 : doc;
    if (n->op == CMP_NE)
        return text_matches(n, doc) && text_matches(n, name);
    return text_matches(n, doc) || text_matches(n, name);
}

static bool compare_matches(const struct filter *f, const struct node *n, const struct snapshot *v,
                            size_t slot)
{
    const struct snapshot_doc *d = &v->docs[v->doc[slot]];
    const struct json *tags = f->tags[v->doc[slot]], *t;
    double page = v->page[slot];
    switch (n->field) {
    case FIELD_DOC:
        return doc_matches(n, d->doc);
    case FIELD_TITLE:
        return text_matches(n, d->title);
    case FIELD_FORMAT:
        return text_matches(n, d->format);
    case FIELD_TEXT:
        return n->found[slot] != 0;
    case FIELD_PAGE:
        if (page == 0)
            return n->op == CMP_NE;
        if (n->op == CMP_BETWEEN)
            return page >= strtod(n->values[0], NULL) && page <= strtod(n->values[1], NULL);
        for (size_t i = 0; i < n->n_values; i++) {
            double want = strtod(n->values[i], NULL);
            if (satisfies(n->op, page < want ? -1 : page > want))
                return true;
        }
        return false;
    case FIELD_ANY_TAG:
        for (t = tags ? tags->child : NULL; t; t = t->next)
            if (text_matches(n, t->text) != (n->op == CMP_NE))
                return n->op != CMP_NE;
        return n->op == CMP_NE;
    default:
        t = json_get(tags, n->tag);
        return t ? text_matches(n, t->text) : n->op == CMP_NE;
    }
}

static bool node_matches(const struct filter *f, int at, const struct snapshot *v, size_t slot)
{
    const struct node *n = &f->nodes[at];
    switch (n->kind) {
    case NODE_OR:
        return node_matches(f, n->left, v, slot) || node_matches(f, n->right, v, slot);
    case NODE_AND:
        return node_matches(f, n->left, v, slot) && node_matches(f, n->right, v, slot);
    case NODE_NOT:
        return !node_matches(f, n->left, v, slot);
    default:
        return compare_matches(f, n, v, slot);
    }
}

enum sooth_status filter_apply(const char *filter, struct store *s, const struct snapshot *v,
                               unsigned char *allow, struct sooth_error *err)
{
    struct filter *f = mem_calloc(1, sizeof *f);
    if (!f)
        return err_nomem(err);
    *f = (struct filter){
        .store = s, .view = v, .text = filter, .at = filter, .n_docs = v->n_docs, .err = err};
    arena_init(&f->arena, 0);
    f->tags = arena_calloc(&f->arena, v->n_docs + 1, sizeof *f->tags);
    for (size_t i = 0; f->tags && i < v->n_docs; i++)
        f->tags[i] = json_parse(&f->arena, v->docs[i].tags, strlen(v->docs[i].tags), 0, NULL, NULL);
    int root = f->tags ? parse_or(f) : -1;
    skip_space(f);
    if (root >= 0 && *f->at)
        root = fail(f, "unexpected text");
    if (root >= 0)
        for (size_t i = 0; i < v->n; i++)
            allow[i] = node_matches(f, root, v, i);
    enum sooth_status status = root >= 0               ? SOOTH_OK
                               : f->status != SOOTH_OK ? f->status
                                                       : err_nomem(err);
    arena_release(&f->arena);
    mem_free(f);
    return status;
}
