/* table_plan.c: from a question to a statement, by templates.
 *
 *   "How many Adelie penguins weigh over 4000 g?"     count   species = Adelie, body_mass_g > 4000
 *   "2008年企鹅的平均体重"                               avg     year = 2008
 *   "average bill length by species"                  avg     bill_length_mm per species
 *   "the three heaviest penguins"                     list    by body_mass_g, 3
 *
 * Three links are sought, each in the question's own words (schema linking): an aggregate by its key
 * words; columns by the words of their names; values of text columns that stand in the question. A
 * number becomes a condition on the column named before it, with the comparison that stands beside
 * it; a bare year belongs to a column called year or date. A table that no column or value links is
 * not asked. What the words of the question do not say is not made up.
 *
 * What it leaves out: joins; "or"; arithmetic between columns; words for columns that are not in
 * their names (a model may write the statement then, behind the same guards). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/alloc.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/retrieve/table_ask.h"

enum { WORDS = 24, VALUE_MAX = 200 };

struct phrase {
    const char *words;
    int what;
};
static const struct phrase aggregates[] = {
    {"how many", AGG_COUNT}, {"number of", AGG_COUNT}, {"count", AGG_COUNT}, {"多少个", AGG_COUNT},
    {"多少条", AGG_COUNT}, {"多少行", AGG_COUNT}, {"多少只", AGG_COUNT}, {"多少人", AGG_COUNT},
    {"几个", AGG_COUNT}, {"几条", AGG_COUNT}, {"几只", AGG_COUNT}, {"有多少", AGG_COUNT},
    {"数量", AGG_COUNT}, {"个数", AGG_COUNT},
    {"average", AGG_AVG}, {"mean", AGG_AVG}, {"平均", AGG_AVG}, {"均值", AGG_AVG},
    {"sum", AGG_SUM}, {"total", AGG_SUM}, {"altogether", AGG_SUM}, {"总和", AGG_SUM},
    {"合计", AGG_SUM}, {"总计", AGG_SUM}, {"一共", AGG_SUM}, {"总共", AGG_SUM}, {"总额", AGG_SUM},
    {"highest", AGG_MAX}, {"largest", AGG_MAX}, {"maximum", AGG_MAX}, {"biggest", AGG_MAX},
    {"longest", AGG_MAX}, {"heaviest", AGG_MAX}, {"greatest", AGG_MAX}, {"most", AGG_MAX},
    {"max", AGG_MAX}, {"latest", AGG_MAX}, {"oldest", AGG_MAX}, {"最高", AGG_MAX},
    {"最大", AGG_MAX}, {"最多", AGG_MAX}, {"最长", AGG_MAX}, {"最重", AGG_MAX}, {"最晚", AGG_MAX},
    {"lowest", AGG_MIN}, {"smallest", AGG_MIN}, {"minimum", AGG_MIN}, {"shortest", AGG_MIN},
    {"lightest", AGG_MIN}, {"least", AGG_MIN}, {"fewest", AGG_MIN}, {"min", AGG_MIN},
    {"earliest", AGG_MIN}, {"youngest", AGG_MIN}, {"最低", AGG_MIN}, {"最小", AGG_MIN},
    {"最少", AGG_MIN}, {"最短", AGG_MIN}, {"最轻", AGG_MIN}, {"最早", AGG_MIN},
};
static const char *const operators[] = {">", "<", ">=", "<=", "="};
static const struct phrase comparisons[] = {
    {"more than", 0}, {"greater than", 0}, {"larger than", 0}, {"over", 0}, {"above", 0},
    {"longer than", 0}, {"heavier than", 0}, {"higher than", 0}, {"after", 0}, {"大于", 0},
    {"超过", 0}, {"高于", 0}, {"多于", 0}, {"重于", 0}, {"晚于", 0},
    {"less than", 1}, {"smaller than", 1}, {"fewer than", 1}, {"under", 1}, {"below", 1},
    {"shorter than", 1}, {"lighter than", 1}, {"lower than", 1}, {"before", 1}, {"小于", 1},
    {"少于", 1}, {"低于", 1}, {"不到", 1}, {"早于", 1},
    {"at least", 2}, {"不少于", 2}, {"不低于", 2}, {"至少", 2},
    {"at most", 3}, {"不超过", 3}, {"不多于", 3}, {"至多", 3},
    {"equal to", 4}, {"等于", 4},
};

/* --- the question
 * --------------------------------------------------------------------------------------------- */

static bool letter(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Width folded, small letters; other signs but . and % between digits become blanks. */
static char *fold(const char *text, struct arena *a)
{
    struct buf b = BUF_INIT;
    char *out = NULL;
    if (uni_normalize(UNI_NFKC, text, strlen(text), &b, NULL) == SOOTH_OK) {
        for (size_t i = 0; i < b.len; i++) {
            char c = (char)tolower((unsigned char)b.data[i]);
            bool kept = letter(c) || (c == '.' && i > 0 && isdigit((unsigned char)b.data[i - 1]) &&
                                      isdigit((unsigned char)b.data[i + 1])) || c == '-';
            bool comma = c == ',' && i > 0 && isdigit((unsigned char)b.data[i - 1]) &&
                         isdigit((unsigned char)b.data[i + 1]);
            b.data[i] = kept ? c : comma ? '\1' : ' ';
        }
        out = arena_strndup(a, buf_str(&b), b.len);
        if (out) {
            char *to = out;
            for (const char *p = out; *p; p++)
                if (*p != '\1')
                    *to++ = *p;
            *to = '\0';
        }
    }
    buf_release(&b);
    return out;
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

/* Where the words stand in text as whole words (other scripts: anywhere); NULL = nowhere. An
 * English plural of the last word counts. */
static const char *stands_in(const char *text, const char *words)
{
    size_t n = strlen(words);
    bool whole = is_ascii(words);
    for (const char *p = text; n && (p = strstr(p, words)); p++) {
        const char *end = p + n;
        if (!whole)
            return p;
        if (*end == 's')
            end++;
        if ((p == text || !letter(p[-1]) || (unsigned char)p[-1] >= 0x80) &&
            (!letter(*end) || (unsigned char)*end >= 0x80))
            return p;
    }
    return NULL;
}

/* --- links
 * ----------------------------------------------------------------------------------------------------
 */

/* A column name's words, small: "body_mass_g" -> body mass g, "BillLength" -> bill length. */
static size_t name_words(const char *name, struct arena *a, char *out[WORDS])
{
    struct buf b = BUF_INIT;
    size_t n = 0;
    for (const char *p = name; *p; p++) {
        if (p > name && isupper((unsigned char)*p) && islower((unsigned char)p[-1]))
            buf_putc(&b, ' ');
        buf_putc(&b, letter(*p) ? (char)tolower((unsigned char)*p) : ' ');
    }
    for (const char *p = buf_str(&b); *p && n < WORDS;) {
        size_t len = strcspn(p, " ");
        if (len && (out[n] = arena_strndup(a, p, len)))
            n++;
        p += len + strspn(p + len, " ");
    }
    buf_release(&b);
    return n;
}

/* Share of the name's words in the question, units such as g, mm and kg aside; *at: the first. */
static double column_link(const char *question, const char *name, struct arena *a, const char **at)
{
    char *words[WORDS];
    size_t n = name_words(name, a, words), found = 0, wanted = 0;
    *at = NULL;
    for (size_t i = 0; i < n; i++) {
        bool unit = i > 0 && strlen(words[i]) <= 2 && is_ascii(words[i]);
        const char *p = stands_in(question, words[i]);
        wanted += !unit;
        found += p && !unit;
        if (p && !unit && (!*at || p < *at))
            *at = p;
    }
    return wanted ? (double)found / (double)wanted : 0;
}

struct linked {
    double score;
    const char *at;
};

static size_t best_column(const struct table *t, const struct linked *links, bool numeric,
                          size_t except)
{
    size_t best = SIZE_MAX;
    for (size_t c = 0; c < t->columns; c++)
        if (c != except && links[c].score > 0.45 && (!numeric || t->numeric[c]) &&
            (best == SIZE_MAX || links[c].score > links[best].score))
            best = c;
    return best;
}

static bool add(struct table_plan *p, struct condition c)
{
    for (size_t i = 0; i < p->n_conditions; i++)
        if (p->conditions[i].column == c.column && strcmp(p->conditions[i].op, c.op) == 0)
            return true; /* the first stands */
    if (p->n_conditions == CONDITIONS)
        return false;
    p->conditions[p->n_conditions++] = c;
    return true;
}

/* Values of text columns in the question; the longest of a column. */
static void link_values(struct table_plan *p, const char *question, struct arena *a,
                        char *consumed)
{
    const struct table *t = p->table;
    for (size_t c = 0; c < t->columns; c++) {
        const char *best = NULL, *best_at = NULL;
        size_t best_len = 0;
        for (size_t r = 0; r < t->rows.count && !t->numeric[c]; r++) {
            const char *cell = t->rows.items[r].cells[c];
            size_t n = strlen(cell);
            if (n <= best_len || n > VALUE_MAX || n < 2)
                continue;
            char *folded = fold(cell, a);
            const char *at = folded ? stands_in(question, folded) : NULL;
            if (at) {
                best = cell;
                best_at = at;
                best_len = n;
            }
        }
        if (best && add(p, (struct condition){c, "=", best, 0})) {
            memset(consumed + (best_at - question), 1, best_len);
            p->fit += 1;
        }
    }
}

static const char *comparison_before(const char *question, const char *at)
{
    const char *op = NULL;
    size_t best = 0;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        const char *w = comparisons[i].words;
        size_t n = strlen(w);
        for (const char *p = question; (p = strstr(p, w)) && p < at; p++)
            if ((size_t)(at - p) <= n + 2 && n > best) {
                op = operators[comparisons[i].what];
                best = n;
            }
    }
    return op;
}

static bool calendar(const char *name)
{
    char small[64] = {0};
    for (size_t i = 0; name[i] && i + 1 < sizeof small; i++)
        small[i] = (char)tolower((unsigned char)name[i]);
    return strstr(small, "year") || strstr(small, "date") || strstr(small, "年");
}

/* The column a number is about: named nearest before it, else the one being measured, else for a
 * bare number the calendar's. */
static size_t column_of_number(const struct table_plan *p, const struct linked *links,
                               const char *at, bool compared, bool year)
{
    const struct table *t = p->table;
    size_t best = SIZE_MAX;
    for (size_t c = 0; c < t->columns && compared; c++)
        if (t->numeric[c] && links[c].score > 0.45 && links[c].at && links[c].at < at &&
            (best == SIZE_MAX || links[c].at > links[best].at))
            best = c;
    if (best == SIZE_MAX && compared)
        for (size_t c = 0; c < t->columns; c++)
            if (t->numeric[c] && links[c].score > 0.45)
                best = c;
    for (size_t c = 0; c < t->columns && best == SIZE_MAX && year; c++)
        if (t->numeric[c] && calendar(t->names[c]))
            best = c;
    return best;
}

static bool value_there(const struct table *t, size_t c, double v)
{
    for (size_t r = 0; r < t->rows.count; r++) {
        double x;
        const char *cell = t->rows.items[r].cells[c];
        if (tabledb_number(cell, strlen(cell), &x) && x == v)
            return true;
    }
    return false;
}

static void link_numbers(struct table_plan *p, const char *question, const struct linked *links,
                         const char *consumed)
{
    for (const char *s = question; *s;) {
        char *end;
        bool begins = isdigit((unsigned char)*s) &&
                      (s == question || !isalnum((unsigned char)s[-1]));
        double v = begins ? strtod(s, &end) : 0;
        if (!begins || consumed[s - question]) {
            s++;
            continue;
        }
        const char *op = comparison_before(question, s);
        bool year = v >= 1000 && v < 3000 && end - s == 4;
        bool top = !op && v >= 1 && v <= 1000 && !year;
        size_t c = op || year ? column_of_number(p, links, s, op != NULL, year) : SIZE_MAX;
        if (op && year) { /* "after 2008": a calendar column before a measure */
            size_t cal = column_of_number(p, links, s, false, true);
            c = cal != SIZE_MAX ? cal : c;
        }
        if (c != SIZE_MAX && (op || value_there(p->table, c, v))) {
            if (add(p, (struct condition){c, op ? op : "=", NULL, v}))
                p->fit += 0.7;
        } else if (top && !p->top && (strstr(question, "top") || strstr(question, "first") ||
                                      strstr(question, "前") || strstr(question, "最") ||
                                      strstr(question, "est "))) {
            p->top = (size_t)v;
        }
        s = end;
    }
}

static size_t number_word(const char *question)
{
    static const char *const words[] = {"one", "two", "three", "four", "five", "six", "seven",
                                        "eight", "nine", "ten"};
    static const char *const han[] = {"一", "二", "三", "四", "五", "六", "七", "八", "九", "十"};
    for (size_t i = 0; i < 10; i++) {
        char before[32];
        snprintf(before, sizeof before, "前%s", han[i]);
        if (i > 0 && stands_in(question, words[i]))
            return i + 1;
        if (strstr(question, before))
            return i + 1;
    }
    return 0;
}

/* "by species", "per year", "each island", "按年份", "每个", "各". */
static size_t group_column(const struct table *t, const struct linked *links, const char *question)
{
    static const char *const marks[] = {"by", "per", "each", "every", "按", "每个", "每种", "各"};
    size_t best = SIZE_MAX;
    for (size_t m = 0; m < sizeof marks / sizeof *marks && best == SIZE_MAX; m++) {
        const char *p = stands_in(question, marks[m]);
        size_t n = strlen(marks[m]);
        for (size_t c = 0; c < t->columns && p; c++)
            if (links[c].score > 0.45 && links[c].at >= p + n && links[c].at <= p + n + 8)
                best = c;
    }
    return best;
}

/* The words are a column's own name: "数量" asks nothing where a column is called so. */
static bool names_column(const struct table *t, const char *words)
{
    for (size_t c = 0; c < t->columns; c++)
        if (strcasestr(t->names[c], words))
            return true;
    return false;
}

static enum aggregate aggregate_of(const struct table *t, const char *question, bool *found)
{
    const char *first = NULL;
    enum aggregate out = AGG_LIST;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++) {
        const char *p = stands_in(question, aggregates[i].words);
        size_t n = strlen(aggregates[i].words);
        if (p && !names_column(t, aggregates[i].words) && (!first || p < first || (p == first && n > longest))) {
            first = p;
            longest = n;
            out = (enum aggregate)aggregates[i].what;
        }
    }
    *found = first != NULL;
    return out;
}

static bool plan_one(const struct table *t, const char *question, struct table_plan *p,
                     struct arena *a)
{
    bool asked;
    struct linked links[TABLEDB_COLUMNS];
    char *consumed = arena_calloc(a, strlen(question) + VALUE_MAX + 2, 1);
    *p = (struct table_plan){.table = t, .column = SIZE_MAX, .group = SIZE_MAX};
    if (!consumed)
        return false;
    p->aggregate = aggregate_of(t, question, &asked);
    for (size_t c = 0; c < t->columns; c++)
        links[c].score = column_link(question, t->names[c], a, &links[c].at);
    link_values(p, question, a, consumed);
    link_numbers(p, question, links, consumed);
    p->group = group_column(t, links, question);
    p->column = best_column(t, links, true, p->group);
    for (size_t i = 0; i < p->n_conditions && p->aggregate == AGG_COUNT; i++)
        if (p->conditions[i].column == p->column)
            p->column = SIZE_MAX; /* "how many weigh over": rows are counted */
    if (p->aggregate == AGG_COUNT)
        p->column = SIZE_MAX;
    bool extreme = p->aggregate == AGG_MAX || p->aggregate == AGG_MIN;
    bool measures = p->aggregate == AGG_SUM || p->aggregate == AGG_AVG || extreme;
    if (extreme && !p->top)
        p->top = number_word(question);
    p->whole_row = extreme && (p->top > 1 || stands_in(question, "which") ||
                               stands_in(question, "who") || strstr(question, "哪") ||
                               strstr(question, "谁"));
    if (p->column != SIZE_MAX)
        p->fit += links[p->column].score;
    if (p->group != SIZE_MAX)
        p->fit += 0.5;
    const char *slash = strrchr(t->doc->doc, '/'), *name = slash ? slash + 1 : t->doc->doc;
    char stem[64] = {0};
    for (size_t i = 0; name[i] && name[i] != '.' && i + 1 < sizeof stem; i++)
        stem[i] = (char)tolower((unsigned char)name[i]);
    size_t n = strlen(stem);
    bool named = n > 2 && (strstr(question, stem) || (stem[n - 1] == 's' && (stem[n - 1] = 0, strstr(question, stem))));
    p->fit += named ? 0.6 : 0;
    if (!asked || (measures && p->column == SIZE_MAX && p->aggregate != AGG_SUM))
        p->fit = 0;
    if (p->aggregate == AGG_SUM && p->column == SIZE_MAX) /* "in total": rows */
        p->aggregate = AGG_COUNT;
    return p->fit >= 0.5;
}

bool table_plan(const struct tables *ts, const char *question, struct table_plan *out,
                struct arena *a)
{
    struct table_plan p;
    char *folded = fold(question, a);
    out->fit = 0;
    for (size_t i = 0; i < ts->list.count && folded; i++)
        if (plan_one(&ts->list.items[i], folded, &p, a) && p.fit > out->fit)
            *out = p;
    for (const char *s = question; *s && out->fit > 0; s++)
        out->chinese |= (unsigned char)*s >= 0xE3 && (unsigned char)*s <= 0xE9;
    return out->fit > 0;
}

/* --- the statement
 * -------------------------------------------------------------------------------------------- */

static void where(const struct table_plan *p, struct buf *out)
{
    for (size_t i = 0; i < p->n_conditions; i++)
        buf_printf(out, "%s c%zu %s ?%zu", i ? " AND" : " WHERE", p->conditions[i].column,
                   p->conditions[i].op, i + 1);
    bool extreme = p->aggregate == AGG_MAX || p->aggregate == AGG_MIN;
    if (p->column != SIZE_MAX && (extreme || p->aggregate == AGG_AVG || p->aggregate == AGG_SUM))
        buf_printf(out, "%s c%zu IS NOT NULL", p->n_conditions ? " AND" : " WHERE", p->column);
}

bool table_sql(const struct table_plan *p, bool rows, struct buf *out)
{
    static const char *const names[] = {"", "count", "sum", "avg", "max", "min"};
    bool extreme = p->aggregate == AGG_MAX || p->aggregate == AGG_MIN;
    size_t t = p->table->number;
    if (rows || p->aggregate == AGG_LIST || (extreme && p->group == SIZE_MAX)) {
        buf_printf(out, "SELECT rowid FROM t%zu", t);
        where(p, out);
        if (extreme && p->group == SIZE_MAX)
            buf_printf(out, " ORDER BY c%zu %s, rowid LIMIT %zu", p->column,
                       p->aggregate == AGG_MAX ? "DESC" : "ASC", p->top ? p->top : 1);
        else
            buf_puts(out, " ORDER BY rowid LIMIT 1000");
        return !out->failed;
    }
    buf_puts(out, "SELECT ");
    if (p->group != SIZE_MAX)
        buf_printf(out, "c%zu, ", p->group);
    if (p->aggregate == AGG_COUNT)
        buf_puts(out, "count(*)");
    else
        buf_printf(out, "%s(c%zu)", names[p->aggregate], p->column);
    buf_printf(out, ", count(*) FROM t%zu", t);
    where(p, out);
    if (p->group != SIZE_MAX)
        buf_printf(out, " GROUP BY c%zu ORDER BY c%zu LIMIT 1000", p->group, p->group);
    return !out->failed;
}
