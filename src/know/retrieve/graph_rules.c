/* graph_rules.c: entities and what is said between them, by patterns over the text.
 *
 * English: an entity is a run of words that begin with a capital letter ("of", "the", "de" may stand
 * inside), not the first word of a sentence unless it goes on; a run of capitals or a code. A fact is
 *
 *     X is|was the R of Y     X, the R of Y,     X was founded|born|located|built ... by|in|at Y
 *     X founded|acquired|wrote|married|invented|... Y          X lies|is in Y
 *
 * Chinese: an entity ends in what such names end in (公司 大学 省 市 河 ...), stands in 《》, or is a side of
 *
 *     X是Y的R    X的R是Y    X位于Y    X出生于|毕业于|成立于|发源于|属于Y    X由Y创立|发明|开发|编写
 *
 * Patterns see one sentence. They miss much and invent little: nothing is in the graph that is not in
 * a sentence.
 *
 * What it leaves out: pronouns, other languages, names without a sign of being one. */
#include <ctype.h>
#include <string.h>
#include "core/base/sentence.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/retrieve/graph.h"

enum { ENTITY_MAX = 80, WORDS_MAX = 400, HAN_SIDE = 36 };

struct word {
    size_t start, end;
    bool capital, connector, first;
};

static bool is_connector(const char *s, size_t n)
{
    static const char *const list[] = {"of", "the", "de", "van", "von", "der", "la", "du", "di"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strlen(list[i]) == n && memcmp(list[i], s, n) == 0)
            return true;
    return false;
}

/* Words that begin sentences without being names. */
static bool is_common(const char *s, size_t n)
{
    static const char *const list[] = {
        "The", "A", "An", "This", "That", "These", "Those", "It", "He", "She", "They", "We", "I",
        "You", "In", "On", "At", "By", "For", "From", "With", "When", "Where", "Who", "What", "Which",
        "How", "Why", "If", "As", "After", "Before", "While", "Although", "And", "But", "Or", "There",
        "Its", "His", "Her", "Their", "Our", "My", "Is", "Are", "Was", "Were", "Do", "Does", "Did",
        "Can", "Note", "See", "To", "Not", "No", "Yes", "All", "Some", "Each", "Most", "Many", "Then",
        "Also", "However", "Since", "During", "Between", "Such", "Both", "Any", "Every", "Use", "Your"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strlen(list[i]) == n && memcmp(list[i], s, n) == 0)
            return true;
    return false;
}

static size_t words_of(const char *s, size_t len, struct word *out)
{
    size_t n = 0, i = 0;
    while (i < len && n < WORDS_MAX) {
        while (i < len && !isalnum((unsigned char)s[i]) && (unsigned char)s[i] < 0x80)
            i++;
        size_t from = i;
        while (i < len && (isalnum((unsigned char)s[i]) || (unsigned char)s[i] >= 0x80 ||
                           ((s[i] == '-' || s[i] == '\'' || s[i] == '.') && i > from && i + 1 < len &&
                            isalnum((unsigned char)s[i + 1]))))
            i++;
        if (i == from)
            break;
        out[n] = (struct word){from, i, isupper((unsigned char)s[from]) != 0,
                               is_connector(s + from, i - from), n == 0};
        n++;
    }
    return n;
}

struct pattern {
    const char *between; /* words between two entities */
    const char *relation;
};
static const struct pattern patterns[] = {
    {"was founded by", "founded by"}, {"was founded in", "founded in"},
    {"was born in", "born in"}, {"was built by", "built by"},
    {"was built in", "built in"}, {"was invented by", "invented by"},
    {"was discovered by", "discovered by"}, {"was written by", "written by"},
    {"was directed by", "directed by"}, {"was acquired by", "acquired by"},
    {"was designed by", "designed by"}, {"was developed by", "developed by"},
    {"is located in", "located in"}, {"was located in", "located in"},
    {"is in", "located in"}, {"lies in", "located in"}, {"lies on", "lies on"},
    {"is part of", "part of"}, {"belongs to", "belongs to"},
    {"works for", "works for"}, {"worked for", "works for"},
    {"works at", "works at"}, {"studied at", "studied at"},
    {"lives in", "lives in"}, {"lived in", "lives in"}, {"died in", "died in"},
    {"founded", "founded"}, {"acquired", "acquired"}, {"wrote", "wrote"},
    {"married", "married"}, {"invented", "invented"}, {"discovered", "discovered"},
    {"directed", "directed"}, {"designed", "designed"}, {"developed", "developed"},
    {"leads", "leads"}, {"owns", "owns"}, {"produces", "produces"},
    {"borders", "borders"}, {"supports", "supports"}, {"uses", "uses"},
    {"requires", "requires"}, {"replaces", "replaces"}, {"contains", "contains"},
    {"depends on", "depends on"}, {"flows through", "flows through"},
};

/* What follows a name says something of it. */
static bool begins_fact(const char *s, size_t len)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t k = strlen(patterns[i].between);
        if (len > k + 1 && s[0] == ' ' && memcmp(s + 1, patterns[i].between, k) == 0)
            return true;
    }
    return (len > 8 && (memcmp(s, " is the ", 8) == 0)) || (len > 9 && memcmp(s, " was the ", 9) == 0);
}

static bool adjoins(const char *s, size_t a, size_t b) /* only a blank between two words */
{
    return b == a + 1 && s[a] == ' ';
}

/* The run of capital words that begins at word i; its number of words, 0 = none. */
static size_t run_at(const char *s, const struct word *w, size_t n, size_t i)
{
    size_t last = i;
    if (!w[i].capital || (is_common(s + w[i].start, w[i].end - w[i].start)))
        return 0;
    for (size_t j = i + 1; j < n && adjoins(s, w[j - 1].end, w[j].start); j++) {
        if (w[j].capital && !is_common(s + w[j].start, w[j].end - w[j].start))
            last = j;
        else if (!w[j].connector)
            break;
    }
    if (w[i].first && last == i) { /* alone, the first word of a sentence is a name only by a sign */
        size_t capitals = 0;
        for (size_t k = w[i].start; k < w[i].end; k++)
            capitals += isupper((unsigned char)s[k]) || isdigit((unsigned char)s[k]);
        if (capitals < 2 && !begins_fact(s + w[i].end, w[n - 1].end - w[i].end))
            return 0;
    }
    return w[last].end - w[i].start <= ENTITY_MAX ? last - i + 1 : 0;
}

static bool take(struct graph_found *f, const char *s, size_t from, size_t to)
{
    char *name = arena_strndup(&f->arena, s + from, to - from);
    return name && vec_push(&f->entities, name);
}

static bool fact(struct graph_found *f, const char *a, size_t an, const char *r, size_t rn,
                 const char *b, size_t bn)
{
    struct graphdb_fact x = {arena_strndup(&f->arena, a, an), arena_strndup(&f->arena, r, rn),
                             arena_strndup(&f->arena, b, bn)};
    return x.subject && x.relation && x.object && vec_push(&f->facts, x);
}

/* "is|was the R of" or ", the R of": the relation's words, NULL when it is neither. */
static const char *role_of(const char *p, size_t n, size_t *len)
{
    static const char *const starts[] = {" is the ", " was the ", ", the ", " is a ", " was a ", " is an "};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t k = strlen(starts[i]);
        if (n > k + 4 && memcmp(p, starts[i], k) == 0 &&
            (memcmp(p + n - 4, " of ", 4) == 0 || (n > 8 && memcmp(p + n - 8, " of the ", 8) == 0))) {
            size_t tail = memcmp(p + n - 4, " of ", 4) == 0 ? 4 : 8;
            *len = n - k - tail + 3; /* with " of" */
            return *len < 60 && n > k + tail ? p + k : NULL;
        }
    }
    return NULL;
}

static bool english_fact(struct graph_found *f, const char *s, const size_t a[2], const size_t b[2])
{
    const char *between = s + a[1];
    size_t n = b[0] - a[1], len;
    if (n < 3 || n > 80)
        return true;
    const char *role = role_of(between, n, &len);
    if (role)
        return fact(f, s + a[0], a[1] - a[0], role, len, s + b[0], b[1] - b[0]);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t k = strlen(patterns[i].between);
        bool article = n == k + 6 && memcmp(between + 1 + k, " the ", 5) == 0;
        if ((n == k + 2 || article) && between[0] == ' ' && memcmp(between + 1, patterns[i].between, k) == 0)
            return fact(f, s + a[0], a[1] - a[0], patterns[i].relation, strlen(patterns[i].relation),
                        s + b[0], b[1] - b[0]);
    }
    return true;
}

static bool english(struct graph_found *f, const char *s, size_t len)
{
    struct word w[WORDS_MAX];
    size_t n = words_of(s, len, w), last[2] = {0, 0};
    for (size_t i = 0; i < n;) {
        size_t run = run_at(s, w, n, i);
        if (run == 0) {
            i++;
            continue;
        }
        size_t now[2] = {w[i].start, w[i + run - 1].end};
        if (!take(f, s, now[0], now[1]) || (last[1] > 0 && !english_fact(f, s, last, now)))
            return false;
        last[0] = now[0];
        last[1] = now[1];
        i += run;
    }
    return true;
}

/* --- Chinese
 * --------------------------------------------------------------------------------------------------
 */

/* Bytes of the run of Han, letters and digits that ends at `at` (back) or begins there. */
static size_t side(const char *s, size_t len, size_t at, bool back)
{
    size_t n = 0;
    while (n < HAN_SIDE) {
        size_t from = at, size = 0;
        if (back) {
            if (at - n == 0)
                break;
            from = at - n - 1;
            while (from > 0 && ((unsigned char)s[from] & 0xC0) == 0x80)
                from--;
        } else {
            from = at + n;
            if (from >= len)
                break;
        }
        uint32_t c = utf8_decode(s + from, len - from, &size);
        if (c == UTF8_BAD || !(uni_is_han(c) || isalnum((int)(c < 128 ? c : ' ')) || c == 0xB7))
            break;
        n += size;
    }
    return n;
}

static const struct {
    const char *mark, *relation, *end; /* X mark Y [end] */
} han_patterns[] = {
    {"位于", "位于", NULL}, {"出生于", "出生于", NULL}, {"毕业于", "毕业于", NULL},
    {"成立于", "成立于", NULL}, {"发源于", "发源于", NULL}, {"隶属于", "隶属于", NULL},
    {"属于", "属于", NULL}, {"流入", "流入", NULL}, {"流经", "流经", NULL}, {"收购了", "收购", NULL},
    {"创立了", "创立", NULL}, {"创办了", "创办", NULL}, {"发明了", "发明", NULL},
    {"由", "创立者", "创立"}, {"由", "创办者", "创办"}, {"由", "发明者", "发明"}, {"由", "开发者", "开发"},
    {"由", "作者", "编写"}, {"由", "建造者", "建造"}, {"是", NULL, "的"},
};

/* The side's own name: behind 的, 在, 了 and the like its last part. */
static size_t trim_left(const char *s, size_t n)
{
    static const char *const cuts[] = {"的", "在", "了", "和", "与", "及", "年", "月", "日", "其中", "例如"};
    size_t from = 0;
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
        for (size_t i = 0, k = strlen(cuts[c]); i + k < n; i++)
            if (memcmp(s + i, cuts[c], k) == 0 && i + k > from)
                from = i + k;
    return from;
}

static bool han_pattern(struct graph_found *f, const char *s, size_t len, size_t p)
{
    const char *mark = han_patterns[p].mark, *end = han_patterns[p].end;
    size_t k = strlen(mark);
    for (size_t i = 0; i + k < len; i++) {
        if (memcmp(s + i, mark, k) != 0)
            continue;
        size_t left = side(s, len, i, true), right = side(s, len, i + k, false);
        size_t cut = trim_left(s + i - left, left), a = i - left + cut, an = left - cut;
        const char *b = s + i + k;
        size_t bn = right;
        if (an < 3 || bn < 3 || an > HAN_SIDE || (end && !memmem(b, bn, end, strlen(end))))
            continue;
        if (end)
            bn = (size_t)((const char *)memmem(b, right, end, strlen(end)) - b);
        const char *stop = memmem(b, bn, "的", 3);
        if (stop && !end)
            bn = (size_t)(stop - b);
        const char *r = han_patterns[p].relation;
        size_t rn = r ? strlen(r) : 0;
        if (!r) { /* X是Y的R */
            r = b + bn + 3;
            rn = right - bn - 3;
            rn = rn > 24 ? 0 : rn;
        }
        if (bn >= 3 && rn > 0 && !fact(f, s + a, an, r, rn, b, bn))
            return false;
        i += k;
    }
    return true;
}

static bool han_names(struct graph_found *f, const char *s, size_t len)
{
    static const char *const ends[] = {"公司", "大学", "学院", "银行", "集团", "委员会", "研究所",
                                       "省", "市", "县", "河", "江", "湖", "山", "寺", "协议", "系统"};
    for (size_t i = 0; i < len;) {
        const char *open = memmem(s + i, len - i, "《", 3), *close;
        if (!open || !(close = memmem(open, len - (size_t)(open - s), "》", 3)))
            break;
        if (close - open > 3 && close - open <= ENTITY_MAX &&
            !take(f, s, (size_t)(open - s) + 3, (size_t)(close - s)))
            return false;
        i = (size_t)(close - s) + 3;
    }
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++)
        for (size_t i = 0, k = strlen(ends[e]); i + k <= len; i++) {
            if (memcmp(s + i, ends[e], k) != 0)
                continue;
            size_t left = side(s, len, i, true), cut = trim_left(s + i - left, left);
            if (left - cut >= 6 && left - cut + k <= 36 && !take(f, s, i - left + cut, i + k))
                return false;
            i += k - 1;
        }
    return true;
}

static bool chinese(struct graph_found *f, const char *s, size_t len)
{
    bool ok = han_names(f, s, len);
    for (size_t p = 0; p < sizeof han_patterns / sizeof *han_patterns && ok; p++)
        ok = han_pattern(f, s, len, p);
    return ok;
}

/* --- a passage
 * ------------------------------------------------------------------------------------------------ */

bool graph_read(const char *text, size_t len, struct graph_found *out)
{
    size_t at = 0;
    struct sentence s;
    bool ok = true;
    while (ok && sentence_next(text, len, &at, &s)) {
        const char *p = text + s.start;
        size_t n = s.end - s.start;
        bool han = script_of(p, n) == SCRIPT_HAN;
        ok = han ? chinese(out, p, n) : english(out, p, n);
    }
    return ok && !out->arena.failed;
}

void graph_found_init(struct graph_found *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena, (size_t)64 << 20);
}

void graph_found_clear(struct graph_found *f)
{
    vec_free(&f->entities);
    vec_free(&f->facts);
    arena_release(&f->arena);
}
