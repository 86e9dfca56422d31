/* quantity.c: numbers and dates with their values, however they are written.
 *
 *   1,500  1500  １５００  1.5 thousand  一千五百      1500
 *   12 %   twelve percent  百分之十二                12, percent
 *   2024-03-05  March 5, 2024  2024年3月5日  二〇二四年三月五日
 *   2 weeks = 14 days, 1.5 km = 1500 m             known units, in their base unit
 *
 * Chinese numerals: digit, then 十 百 千 as multipliers inside a section, 万 and 亿 closing sections:
 *   value = (section * 10^4 or 10^8) + ..., section = sum of digit * {10, 100, 1000}
 * "one" and a lone 一 are kept but soft: they may support, never contradict. Left out: roman numerals, fractions. */
#include "know/verify/lexeme.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/hash.h"
#include "core/base/utf8.h"

#define MAX_QUANTITIES 512
struct named { const char *name; double value; };
static const struct named small[] = { { "zero", 0 }, { "one", 1 }, { "two", 2 }, { "three", 3 }, { "four", 4 }, { "five", 5 }, { "six", 6 },
    { "seven", 7 }, { "eight", 8 }, { "nine", 9 }, { "ten", 10 }, { "eleven", 11 }, { "twelve", 12 }, { "thirteen", 13 }, { "fourteen", 14 },
    { "fifteen", 15 }, { "sixteen", 16 }, { "seventeen", 17 }, { "eighteen", 18 }, { "nineteen", 19 }, { "twenty", 20 }, { "thirty", 30 },
    { "forty", 40 }, { "fifty", 50 }, { "sixty", 60 }, { "seventy", 70 }, { "eighty", 80 }, { "ninety", 90 }, { "dozen", 12 } };
static const struct named ordinals[] = { { "first", 1 }, { "second", 2 }, { "third", 3 }, { "fourth", 4 }, { "fifth", 5 }, { "sixth", 6 },
    { "seventh", 7 }, { "eighth", 8 }, { "ninth", 9 }, { "tenth", 10 } };
static const struct named powers[] = { { "hundred", 1e2 }, { "thousand", 1e3 }, { "million", 1e6 }, { "billion", 1e9 }, { "trillion", 1e12 } };
static const struct named months[] = { { "january", 1 }, { "february", 2 }, { "march", 3 }, { "april", 4 }, { "may", 5 }, { "june", 6 },
    { "july", 7 }, { "august", 8 }, { "september", 9 }, { "october", 10 }, { "november", 11 }, { "december", 12 }, { "jan", 1 },
    { "feb", 2 }, { "mar", 3 }, { "apr", 4 }, { "jun", 6 }, { "jul", 7 }, { "aug", 8 }, { "sep", 9 }, { "sept", 9 }, { "oct", 10 },
    { "nov", 11 }, { "dec", 12 } };
struct unit { const char *name; uint8_t dimension; double factor; };
enum { DIM_NONE, DIM_TIME, DIM_MASS, DIM_LENGTH, DIM_BYTES, DIM_MONTHS };
static const struct unit units[] = { { "second", DIM_TIME, 1 }, { "sec", DIM_TIME, 1 }, { "minute", DIM_TIME, 60 }, { "min", DIM_TIME, 60 },
    { "hour", DIM_TIME, 3600 }, { "day", DIM_TIME, 86400 }, { "week", DIM_TIME, 604800 }, { "month", DIM_MONTHS, 1 }, { "year", DIM_MONTHS, 12 },
    { "kg", DIM_MASS, 1e3 }, { "g", DIM_MASS, 1 }, { "gram", DIM_MASS, 1 }, { "kilogram", DIM_MASS, 1e3 }, { "mg", DIM_MASS, 1e-3 },
    { "km", DIM_LENGTH, 1e3 }, { "m", DIM_LENGTH, 1 }, { "cm", DIM_LENGTH, 1e-2 }, { "mm", DIM_LENGTH, 1e-3 }, { "metre", DIM_LENGTH, 1 },
    { "meter", DIM_LENGTH, 1 }, { "kilometre", DIM_LENGTH, 1e3 }, { "kilometer", DIM_LENGTH, 1e3 }, { "kb", DIM_BYTES, 1e3 },
    { "mb", DIM_BYTES, 1e6 }, { "gb", DIM_BYTES, 1e9 }, { "tb", DIM_BYTES, 1e12 }, { "byte", DIM_BYTES, 1 },
    { "秒", DIM_TIME, 1 }, { "分钟", DIM_TIME, 60 }, { "小时", DIM_TIME, 3600 }, { "天", DIM_TIME, 86400 }, { "周", DIM_TIME, 604800 },
    { "星期", DIM_TIME, 604800 }, { "个月", DIM_MONTHS, 1 }, { "公斤", DIM_MASS, 1e3 }, { "千克", DIM_MASS, 1e3 }, { "克", DIM_MASS, 1 },
    { "公里", DIM_LENGTH, 1e3 }, { "千米", DIM_LENGTH, 1e3 }, { "厘米", DIM_LENGTH, 1e-2 }, { "毫米", DIM_LENGTH, 1e-3 }, { "米", DIM_LENGTH, 1 },
    { "字节", DIM_BYTES, 1 } };

static const struct named *named_find(const struct named *t, size_t n, const char *w, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(t[i].name) == len && !memcmp(t[i].name, w, len))
            return &t[i];
    return NULL;
}
#define NAMED(t, w, len) named_find(t, sizeof(t) / sizeof *(t), w, len)

/* The term's text in lower-case half-width form. */
static size_t plain(const struct lexed *l, size_t start, size_t end, char *out, size_t size)
{
    size_t n = 0, m;
    for (size_t i = start; i < end; i += m) {
        uint32_t c = utf8_decode(l->text + i, end - i, &m);
        c = c >= 0xFF01 && c <= 0xFF5E ? c - 0xFEE0 : c;
        char e[4];
        size_t k = utf8_encode(c >= 'A' && c <= 'Z' ? c + 32 : c, e);
        if (n + k >= size)
            break;
        memcpy(out + n, e, k);
        n += k;
    }
    out[n] = 0;
    return n;
}

static bool starts(const struct lexed *l, size_t at, const char *w)
{
    size_t n = strlen(w);
    return at + n <= l->len && !memcmp(l->text + at, w, n);
}

static size_t blanks(const struct lexed *l, size_t at)
{
    while (at < l->len && (l->text[at] == ' ' || starts(l, at, "\xC2\xA0")))
        at += l->text[at] == ' ' ? 1 : 2;
    return at;
}

static void push(struct lexed *l, struct quantity q)
{
    if (l->quantities.count < MAX_QUANTITIES && !vec_push(&l->quantities, q))
        l->failed = true;
}

/* Reads what stands behind a number: percent, magnitude, unit. Moves q->end over what it used. */
static void read_tail(struct lexed *l, struct quantity *q)
{
    static const struct { const char *s; double f; } han_power[] = { { "亿", 1e8 }, { "万", 1e4 }, { "千", 1e3 }, { "百", 1e2 } };
    size_t at = blanks(l, q->end);
    for (size_t i = 0; i < sizeof han_power / sizeof *han_power; i++)
        if (starts(l, at, han_power[i].s) && !starts(l, at, "千克") && !starts(l, at, "千米") && !starts(l, at, "百分")) {
            q->value *= han_power[i].f;
            q->end = (uint32_t)(at += strlen(han_power[i].s));
        }
    char w[40];
    size_t end = at;
    while (end < l->len && (((l->text[end] | 32) >= 'a' && (l->text[end] | 32) <= 'z')))
        end++;
    size_t n = plain(l, at, end, w, sizeof w);
    const struct named *power = n ? NAMED(powers, w, n) : NULL;
    if (power) {
        q->value *= power->value;
        q->end = (uint32_t)end;
        at = end = blanks(l, end);
        while (end < l->len && (((l->text[end] | 32) >= 'a' && (l->text[end] | 32) <= 'z')))
            end++;
        n = plain(l, at, end, w, sizeof w);
    }
    if (starts(l, at, "%") || starts(l, at, "％") || !strcmp(w, "percent") || !strcmp(w, "per") || !strcmp(w, "pct")) {
        q->kind = strcmp(w, "per") || starts(l, blanks(l, end), "cent") ? QTY_PERCENT : q->kind;
        q->end = (uint32_t)(n ? end : at + 1);
        return;
    }
    if (!strcmp(w, "st") || !strcmp(w, "nd") || !strcmp(w, "rd") || !strcmp(w, "th")) {
        q->kind = QTY_ORDINAL;
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const char *u = units[i].name;
        bool ascii = (unsigned char)*u < 0x80, plural = ascii && n == strlen(u) + 1 && w[n - 1] == 's' && !strncmp(w, u, n - 1) && n > 3;
        if (ascii ? !strcmp(w, u) || plural : starts(l, at, u)) {
            q->value *= units[i].factor;
            q->dimension = units[i].dimension;
            return;
        }
    }
    if (n > 2)
        q->unit = lex_key(w, n);
}

/* --- Chinese numerals --------------------------------------------------------------------------------------- */

static int han_digit(const char *s, size_t n)
{
    static const char digits[] = "〇一二三四五六七八九";
    if (n != 3)
        return -1;
    for (int i = 0; i < 10; i++)
        if (!memcmp(s, digits + 3 * i, 3))
            return i;
    return !memcmp(s, "零", 3) ? 0 : !memcmp(s, "两", 3) || !memcmp(s, "貳", 3) ? 2 : -1;
}

static double han_power(const char *s)
{
    return !memcmp(s, "十", 3) ? 10 : !memcmp(s, "百", 3) ? 100 : !memcmp(s, "千", 3) ? 1000 : !memcmp(s, "万", 3) || !memcmp(s, "萬", 3) ? 1e4
         : !memcmp(s, "亿", 3) || !memcmp(s, "億", 3) ? 1e8 : 0;
}

/* Reads a numeral at `at`; returns its end (or at). *chars counts its characters, *listed tells of 二〇二四. */
static size_t han_numeral(const struct lexed *l, size_t at, double *value, size_t *chars)
{
    double total = 0, section = 0, digit = -1, string = 0;
    bool any_power = false, ok = false;
    *chars = 0;
    while (at + 3 <= l->len && *chars < 20) {
        int d = han_digit(l->text + at, 3);
        double p = d < 0 ? han_power(l->text + at) : 0;
        if (d < 0 && (p == 0 || (!ok && p != 10)))
            break;
        if (d >= 0) {
            string = string * 10 + d;
            digit = d;
        } else if (p < 1e4) {
            section += (digit < 0 ? 1 : digit) * p;
            digit = -1;
            any_power = true;
        } else {
            total = (total + section + (digit < 0 ? 0 : digit)) * p;
            section = 0;
            digit = -1;
            any_power = true;
        }
        ok = true;
        at += 3;
        ++*chars;
    }
    *value = any_power ? total + section + (digit < 0 ? 0 : digit) : string;
    return at;
}

static const char *const measures[] = { "个", "名", "位", "本", "种", "台", "条", "只", "张", "件", "次", "年", "月", "日", "天", "小时", "分",
    "秒", "层", "块", "元", "美元", "页", "章", "岁", "倍", "米", "公", "号", "周", "星期", "人", "家", "辆", "万", "亿", "款", "项", "步", "座", "所",
    "首", "句", "季", "代", "版", "篇", "卷", "字", "行", "列", "组", "套", "间", "片", "颗", "度", "克", "千克", "千米", "吨", "升", "毫", "厘" };

static bool measure_at(const struct lexed *l, size_t at)
{
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        if (starts(l, at, measures[i]))
            return true;
    return false;
}

static void han_find(struct lexed *l)
{
    for (size_t at = 0; at + 3 <= l->len;) {
        if ((unsigned char)l->text[at] < 0xE3) {
            at++;
            continue;
        }
        bool percent = starts(l, at, "百分之"), nth = starts(l, at, "第");
        size_t from = at + (percent ? 9 : nth ? 3 : 0), chars;
        double v;
        size_t end = from + 3 <= l->len ? han_numeral(l, from, &v, &chars) : from;
        if (end <= from) {
            at += 3;
            continue;
        }
        if (chars > 1 || percent || nth || measure_at(l, end)) {
            bool one = chars == 1 && v == 1 && !percent && !nth && !starts(l, end, "年") && !starts(l, end, "月") && !starts(l, end, "日");
            struct quantity q = { .value = v, .start = (uint32_t)at, .end = (uint32_t)end, .soft = one,
                                  .kind = percent ? QTY_PERCENT : nth ? QTY_ORDINAL : QTY_PLAIN };
            if (!percent && !nth)
                read_tail(l, &q);
            push(l, q);
        }
        at = end;
    }
}

/* --- numbers in digits and English words --------------------------------------------------------------------- */

static double digits_value(const char *w, size_t *used)
{
    double v = 0, scale = 0;
    size_t i = 0;
    for (; w[i]; i++) {
        if (w[i] >= '0' && w[i] <= '9') {
            v = v * 10 + (w[i] - '0');
            scale *= 10;
        } else if (w[i] == '.' && scale == 0 && w[i + 1] >= '0' && w[i + 1] <= '9') {
            scale = 1;
        } else if (w[i] != ',') {
            break;
        }
    }
    *used = i;
    return scale > 1 ? v / scale : v;
}

/* "2. Rent and costs", "3) Notice": the number of a heading or list item counts nothing. */
static bool is_marker(const struct lexed *l, const struct lexeme *t)
{
    bool head = t->start == 0 || l->text[t->start - 1] == '\n';
    return head && t->end - t->start <= 3 && t->end + 1 < l->len && (l->text[t->end] == '.' || l->text[t->end] == ')') && l->text[t->end + 1] == ' ';
}

/* A LEX_NUMBER term: all numbers in it ("64-bit", "4-5"), or one ISO date. */
static void digits_push(struct lexed *l, const struct lexeme *t)
{
    char w[100];
    plain(l, t->start, t->end, w, sizeof w);
    unsigned y, m, d;
    int used = 0;
    if (sscanf(w, "%4u-%2u-%2u%n", &y, &m, &d, &used) == 3 && used && !w[used] && m >= 1 && m <= 12 && d >= 1 && d <= 31) {
        push(l, (struct quantity){ .start = t->start, .end = t->end, .kind = QTY_DATE, .year = (uint16_t)y, .month = (uint8_t)m, .day = (uint8_t)d });
        return;
    }
    bool minus = t->start && l->text[t->start - 1] == '-' && (t->start < 2 || l->text[t->start - 2] == ' ');
    for (size_t at = 0; w[at];) {
        if (w[at] < '0' || w[at] > '9') {
            at++;
            continue;
        }
        size_t n;
        struct quantity q = { .value = digits_value(w + at, &n), .start = t->start, .end = t->end };
        if (minus && !at)
            q.value = -q.value;
        if (!w[at + n] || strlen(w) != t->end - t->start)
            read_tail(l, &q);
        else if ((size_t)q.start + at + n <= t->end) {
            q.end = (uint32_t)(q.start + at + n + (w[at + n] == '-'));
            read_tail(l, &q);
        }
        push(l, q);
        at += n;
    }
}

/* English number words from term i on; returns the index behind them. */
static size_t words_push(struct lexed *l, size_t i)
{
    double total = 0, part = -1;
    size_t first = i, last = i;
    char w[40];
    for (; i < l->terms.count; i++) {
        const struct lexeme *t = &l->terms.items[i];
        size_t n = t->kind == LEX_WORD ? plain(l, t->start, t->end, w, sizeof w) : 0;
        if (i > first && blanks(l, l->terms.items[i - 1].end) < t->start && l->text[l->terms.items[i - 1].end] != '-')
            break;
        const struct named *s = NAMED(small, w, n), *p = NAMED(powers, w, n);
        if (n && i == first && !s)
            return first;
        if (s && n) {
            if (part >= 0 && !(part >= 20 && fmod(part, 10) == 0 && s->value < 10))
                break;
            part = (part < 0 ? 0 : part) + s->value;
        } else if (p && n) {
            part = (part < 0 ? 1 : part) * p->value;
            if (p->value >= 1000) {
                total += part;
                part = -1;
            }
        } else if (!(n == 3 && !strcmp(w, "and") && i > first && (part >= 100 || total > 0))) {
            break;
        } else {
            continue;
        }
        last = i;
    }
    struct quantity q = { .value = total + (part < 0 ? 0 : part), .start = l->terms.items[first].start, .end = l->terms.items[last].end };
    q.soft = q.value == 1 && first == last;
    read_tail(l, &q);
    push(l, q);
    return last + 1;
}

static void latin_find(struct lexed *l)
{
    char w[40];
    for (size_t i = 0; i < l->terms.count;) {
        const struct lexeme *t = &l->terms.items[i];
        if (t->kind == LEX_NUMBER) {
            if (!is_marker(l, t))
                digits_push(l, t);
        } else if (t->kind == LEX_WORD) {
            size_t n = plain(l, t->start, t->end, w, sizeof w);
            const struct named *o = NAMED(ordinals, w, n);
            if (o)
                push(l, (struct quantity){ .value = o->value, .start = t->start, .end = t->end, .kind = QTY_ORDINAL, .soft = true });
            size_t next = NAMED(small, w, n) ? words_push(l, i) : i;
            if (next > i) {
                i = next;
                continue;
            }
        }
        i++;
    }
}

/* --- dates ---------------------------------------------------------------------------------------------------- */

static bool whole(const struct quantity *q, double low, double high)
{
    return q->kind != QTY_PERCENT && q->kind != QTY_DATE && !q->dimension && q->value >= low && q->value <= high && q->value == floor(q->value);
}

static struct quantity *ending_at(struct lexed *l, size_t at)
{
    for (size_t i = 0; i < l->quantities.count; i++)
        if (l->quantities.items[i].end == at)
            return &l->quantities.items[i];
    return NULL;
}

static struct quantity *starting_at(struct lexed *l, size_t at)
{
    for (size_t i = 0; i < l->quantities.count; i++)
        if (l->quantities.items[i].start == at)
            return &l->quantities.items[i];
    return NULL;
}

static void drop(struct lexed *l, struct quantity *q) { q->start = q->end = UINT32_MAX; (void)l; }

/* March 5, 2024; 5 March 2024; March 2024. */
static void month_join(struct lexed *l, const struct lexeme *t, unsigned month)
{
    struct quantity date = { .kind = QTY_DATE, .start = t->start, .end = t->end, .month = (uint8_t)month };
    size_t before = t->start, after = t->end;
    while (before && l->text[before - 1] == ' ')
        before--;
    if (before > 3 && !memcmp(l->text + before - 3, " of", 3))
        before -= 3;
    if (before > 2 && strchr("tnrs", l->text[before - 2]) && strchr("htd", l->text[before - 1]) && l->text[before - 3] <= '9')
        before -= 2;
    struct quantity *d = ending_at(l, before), *e;
    if (d && whole(d, 1, 31)) {
        date.day = (uint8_t)d->value;
        date.start = d->start;
        drop(l, d);
    }
    after = blanks(l, after + (after < l->len && l->text[after] == '.'));
    e = starting_at(l, after);
    if (e && !date.day && whole(e, 1, 31)) {
        date.day = (uint8_t)e->value;
        after = e->end;
        if (after + 2 <= l->len && strchr("tnrs", l->text[after]) && strchr("htd", l->text[after + 1]))
            after += 2;
        date.end = (uint32_t)after;
        drop(l, e);
    }
    while (after < l->len && (l->text[after] == ',' || l->text[after] == ' '))
        after++;
    e = starting_at(l, after);
    if (e && whole(e, 1000, 2999)) {
        date.year = (uint16_t)e->value;
        date.end = e->end;
        drop(l, e);
    }
    if (date.day || date.year)
        push(l, date);
}

/* 2024年3月5日 and parts of it; a bare year. */
static void han_dates(struct lexed *l)
{
    for (size_t i = 0; i < l->quantities.count; i++) {
        struct quantity *q = &l->quantities.items[i], *m, *d;
        size_t at = q->end;
        if (q->start == UINT32_MAX || q->kind != QTY_PLAIN || q->dimension)
            continue;
        at = blanks(l, at);
        bool year = starts(l, at, "年") && whole(q, 100, 2999) && !starts(l, at, "年前") && !starts(l, at, "年后");
        bool month = starts(l, at, "月") && whole(q, 1, 12);
        if (!year && !month)
            continue;
        struct quantity date = { .kind = QTY_DATE, .start = q->start, .end = (uint32_t)at + 3 };
        if (year) {
            date.year = (uint16_t)q->value;
            m = starting_at(l, blanks(l, date.end));
            if (m && whole(m, 1, 12) && starts(l, blanks(l, m->end), "月")) {
                date.month = (uint8_t)m->value;
                date.end = (uint32_t)blanks(l, m->end) + 3;
                drop(l, m);
            }
        } else {
            date.month = (uint8_t)q->value;
        }
        d = date.month ? starting_at(l, blanks(l, date.end)) : NULL;
        if (d && whole(d, 1, 31) && (starts(l, blanks(l, d->end), "日") || starts(l, blanks(l, d->end), "号"))) {
            date.day = (uint8_t)d->value;
            date.end = (uint32_t)blanks(l, d->end) + 3;
            drop(l, d);
        }
        l->quantities.items[i] = date;
    }
}

/* A bare 1000..2999 that a preposition, a bracket or the lack of a counted word marks as a year. */
static void bare_years(struct lexed *l)
{
    static const char *const leads[] = { "in ", "since ", "by ", "until ", "from ", "of ", "year ", "(", "before ", "after ", "to ", "and " };
    for (size_t i = 0; i < l->quantities.count; i++) {
        struct quantity *q = &l->quantities.items[i];
        if (q->start == UINT32_MAX || q->kind != QTY_PLAIN || q->dimension || !whole(q, 1000, 2100) || q->end - q->start != 4)
            continue;
        bool lead = false;
        for (size_t k = 0; k < sizeof leads / sizeof *leads; k++) {
            size_t n = strlen(leads[k]);
            lead |= q->start >= n && !strncasecmp(l->text + q->start - n, leads[k], n);
        }
        if (lead || (!q->unit && q->start == 0))
            *q = (struct quantity){ .kind = QTY_DATE, .start = q->start, .end = q->end, .year = (uint16_t)q->value };
    }
}

/* The terms a quantity was written with give way to one that stands for its value (a date: one a part), so that
 * equal values have equal keys however they are written. */
static void terms_replace(struct lexed *l, const struct quantity *q, size_t written)
{
    if (q->soft)
        return;
    const struct { char sign; double v; bool there; } parts[] = {
        { '#', q->value, q->kind != QTY_DATE }, { '#', q->year, q->kind == QTY_DATE && q->year },
        { 'm', q->month, q->kind == QTY_DATE && q->month }, { 'd', q->day, q->kind == QTY_DATE && q->day } };
    struct lexeme model = { .start = q->start, .end = q->end, .kind = LEX_NUMBER };
    bool first = true;
    for (size_t i = 0; i < written; i++) {
        struct lexeme *t = &l->terms.items[i];
        if (t->start >= q->end || t->end <= q->start || (t->kind != LEX_NUMBER && (t->start < q->start || t->end > q->end)))
            continue;
        if (first) {
            model.clause = t->clause;
            model.flags = t->flags & (LEX_NEG | LEX_NEAR_NEG | LEX_BREAK);
        }
        first = false;
        t->flags |= LEX_STOP;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char v[40];
        int n = snprintf(v, sizeof v, "%c%.10g", parts[i].sign, parts[i].v);
        model.key = hash64(v, (size_t)n, 2);
        if (parts[i].there && !vec_push(&l->terms, model))
            l->failed = true;
    }
}

static int by_start(const void *a, const void *b)
{
    const struct lexeme *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

void quantity_find(struct lexed *l)
{
    char w[40];
    latin_find(l);
    han_find(l);
    for (size_t i = 0; i < l->terms.count; i++) {
        const struct lexeme *t = &l->terms.items[i];
        size_t n = t->kind == LEX_WORD ? plain(l, t->start, t->end, w, sizeof w) : 0;
        const struct named *month = n ? NAMED(months, w, n) : NULL;
        if (month)
            month_join(l, t, (unsigned)month->value);
    }
    han_dates(l);
    bare_years(l);
    size_t kept = 0;
    for (size_t i = 0; i < l->quantities.count; i++)
        if (l->quantities.items[i].start != UINT32_MAX)
            l->quantities.items[kept++] = l->quantities.items[i];
    l->quantities.count = kept;
    size_t written = l->terms.count;
    for (size_t i = 0; i < kept && !l->failed; i++)
        terms_replace(l, &l->quantities.items[i], written);
    if (l->terms.count > written)
        qsort(l->terms.items, l->terms.count, sizeof *l->terms.items, by_start);
}

static bool part_same(unsigned a, unsigned b) { return !a || !b || a == b; }

bool quantity_same(const struct quantity *a, const struct quantity *b)
{
    if (a->kind == QTY_DATE && b->kind == QTY_DATE)
        return part_same(a->year, b->year) && part_same(a->month, b->month) && part_same(a->day, b->day) &&
               ((a->year && b->year) || (a->month && b->month));
    if (a->kind == QTY_DATE || b->kind == QTY_DATE) {
        const struct quantity *d = a->kind == QTY_DATE ? a : b, *o = a->kind == QTY_DATE ? b : a;
        return d->year && !d->month && o->value == d->year && !o->dimension;
    }
    if ((a->kind == QTY_PERCENT) != (b->kind == QTY_PERCENT))
        return false;
    if (a->dimension && b->dimension && a->dimension != b->dimension)
        return false;
    return fabs(a->value - b->value) <= 1e-9 * fmax(fabs(a->value), fabs(b->value));
}

bool quantity_comparable(const struct quantity *a, const struct quantity *b)
{
    if (a->kind == QTY_DATE || b->kind == QTY_DATE)
        return a->kind == b->kind && ((a->year && b->year) || (a->month && b->month));
    if (a->kind != b->kind || a->dimension != b->dimension)
        return false;
    return a->dimension || a->kind != QTY_PLAIN || !a->unit || !b->unit || a->unit == b->unit;
}
