/* question.c: what a question asks for, by its words. No model is needed for this.
 *
 * The kind of thing wanted follows from the question word ("how many" a number, "when" a date, 谁 a person ...), as in
 * the answer-type rules of early TREC systems. It ranks sentences (one with a number answers "how many") and is one
 * sign for abstaining; it never excludes a sentence by itself. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/answer/answer.h"

struct rule { const char *words; enum want want; };
/* First match wins. English: where a question may begin (QUESTION_STARTS), not in the middle of a clause: "which
 * version is assumed when the line is missing" asks for a version. */
static const struct rule english[] = {
    { "how many", WANT_NUMBER }, { "how much", WANT_NUMBER }, { "how long", WANT_NUMBER }, { "how old", WANT_NUMBER }, { "how far", WANT_NUMBER },
    { "how often", WANT_NUMBER }, { "how large", WANT_NUMBER }, { "how big", WANT_NUMBER }, { "how high", WANT_NUMBER }, { "how tall", WANT_NUMBER },
    { "how deep", WANT_NUMBER }, { "how fast", WANT_NUMBER }, { "how heavy", WANT_NUMBER }, { "how wide", WANT_NUMBER }, { "how late", WANT_DATE },
    { "how early", WANT_DATE }, { "when ", WANT_DATE }, { "who ", WANT_PERSON }, { "whom ", WANT_PERSON }, { "whose ", WANT_PERSON },
    { "who's", WANT_PERSON }, { "where ", WANT_PLACE }, { "why ", WANT_REASON }, { "how do ", WANT_PROCEDURE }, { "how can ", WANT_PROCEDURE },
    { "how to ", WANT_PROCEDURE }, { "how should ", WANT_PROCEDURE }, { "how does ", WANT_PROCEDURE }, { "how is ", WANT_PROCEDURE },
    { "what does", WANT_DEFINITION }, { "what is a ", WANT_DEFINITION }, { "what is an ", WANT_DEFINITION }, { "define ", WANT_DEFINITION },
    { "what are", WANT_LIST }, { "which are", WANT_LIST }, { "list ", WANT_LIST }, { "name all", WANT_LIST }, { "which ", WANT_NAME }, { "what ", WANT_NAME } };
static const char *const question_starts[] = { "", ", ", "and ", "in ", "on ", "at ", "since ", "by ", "until ", "from ", "over ", "for ", "after ", "of ",
                                               "to ", "with ", "about ", "under ", "during ", "within ", "before ", "than ", "through ", "but " };
/* "which X", "what X": X close behind the question word tells the kind. */
static const struct rule nouns[] = {
    { "version", WANT_NUMBER }, { "release", WANT_NUMBER }, { "number", WANT_NUMBER }, { "percentage", WANT_NUMBER }, { "percent", WANT_NUMBER },
    { "share", WANT_NUMBER }, { "year", WANT_DATE }, { "date", WANT_DATE }, { "month", WANT_DATE }, { "season", WANT_DATE }, { "day", WANT_DATE },
    { "century", WANT_DATE }, { "country", WANT_PLACE }, { "city", WANT_PLACE }, { "place", WANT_PLACE }, { "town", WANT_PLACE }, { "two", WANT_LIST },
    { "three", WANT_LIST }, { "four", WANT_LIST }, { "five", WANT_LIST }, { "price", WANT_NUMBER }, { "temperature", WANT_NUMBER }, { "height", WANT_NUMBER },
    { "weight", WANT_NUMBER }, { "length", WANT_NUMBER }, { "p-value", WANT_NUMBER }, { "population", WANT_NUMBER }, { "person", WANT_PERSON },
    { "author", WANT_PERSON }, { "actor", WANT_PERSON } };
static const struct rule chinese[] = {
    { "多少", WANT_NUMBER }, { "百分之几", WANT_NUMBER }, { "多长", WANT_NUMBER }, { "多久", WANT_NUMBER }, { "多大", WANT_NUMBER }, { "多高", WANT_NUMBER },
    { "多远", WANT_NUMBER }, { "多重", WANT_NUMBER }, { "哪年", WANT_DATE }, { "哪一年", WANT_DATE }, { "何时", WANT_DATE }, { "什么时候", WANT_DATE },
    { "几月", WANT_DATE }, { "哪天", WANT_DATE }, { "什么时间", WANT_DATE }, { "谁", WANT_PERSON }, { "哪位", WANT_PERSON }, { "什么人", WANT_PERSON },
    { "哪里", WANT_PLACE }, { "哪儿", WANT_PLACE }, { "何处", WANT_PLACE }, { "什么地方", WANT_PLACE }, { "哪些", WANT_LIST }, { "哪两", WANT_LIST },
    { "哪几", WANT_LIST }, { "哪三", WANT_LIST }, { "列出", WANT_LIST }, { "几", WANT_NUMBER }, { "为什么", WANT_REASON }, { "为何", WANT_REASON },
    { "什么是", WANT_DEFINITION }, { "什么意思", WANT_DEFINITION }, { "怎么", WANT_PROCEDURE }, { "怎样", WANT_PROCEDURE }, { "如何", WANT_PROCEDURE },
    { "哪", WANT_NAME }, { "什么", WANT_NAME }, { "吗", WANT_YESNO }, { "是否", WANT_YESNO } };
static const char *const yes_no[] = { "is ", "are ", "was ", "were ", "do ", "does ", "did ", "can ", "could ", "may ", "must ", "should ", "will ", "has ", "have " };
static const char *const greetings[] = { "hello", "hi", "hey", "good morning", "good evening", "good afternoon", "hi there", "hello there", "how are you",
                                         "你好", "您好", "嗨", "早上好", "晚上好", "大家好", "在吗", "哈喽", "test", "bye", "goodbye", "再见" };
static const char *const thanks[] = { "yes", "yes please", "ok", "okay", "thanks", "thank you", "sure", "go on", "continue", "tell me more", "more", "great",
                                      "是", "是的", "好", "好的", "对", "谢谢", "继续", "请继续", "多谢", "嗯", "可以", "还有呢", "还有吗" };

bool text_is_han(const char *s, size_t len)
{
    size_t han = 0, other = 0, m;
    for (size_t i = 0; i < len; i += m) {
        uint32_t c = utf8_decode(s + i, len - i, &m);
        if (c == UTF8_BAD)
            continue;
        if (uni_is_cjk(c))
            han++;
        else if (uni_class(c) & UNI_LETTER)
            other++;
    }
    return 4 * han > other && han > 0; /* a character says about as much as four letters */
}

static bool only(const char *const *list, size_t n, const char *text)
{
    size_t len = strlen(text);
    static const char *const tails[] = { ".", "!", "?", " ", ",", "。", "！", "？", "，", "~", "～" };
    for (bool again = true; again && len;) {
        again = false;
        for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
            size_t t = strlen(tails[i]);
            if (len >= t && !memcmp(text + len - t, tails[i], t))
                len -= t, again = true;
        }
    }
    while (len && *text == ' ')
        text++, len--;
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && !strncasecmp(list[i], text, len))
            return true;
    return len == 0;
}

/* Where w stands in text as the opening of a question; NULL when nowhere. */
static const char *opening(const char *text, const char *w)
{
    size_t n = strlen(w);
    for (const char *p = text; *p; p++) {
        if (strncasecmp(p, w, n))
            continue;
        if (p == text)
            return p;
        for (size_t i = 1; i < sizeof question_starts / sizeof *question_starts; i++) {
            size_t k = strlen(question_starts[i]);
            if ((size_t)(p - text) >= k && !strncasecmp(p - k, question_starts[i], k) && ((size_t)(p - text) == k || p[-(long)k - 1] == ' ' || question_starts[i][0] == ','))
                return p;
        }
    }
    return NULL;
}

/* The first of the `nouns` among the four words behind "which" or "what". */
static enum want noun_behind(const char *p, enum want otherwise)
{
    p += strcspn(p, " ");
    for (int word = 0; word < 4 && *p; word++) {
        p += strspn(p, " ");
        size_t n = strcspn(p, " ?,.");
        for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++) {
            size_t m = strlen(nouns[i].words);
            if ((n == m || (n == m + 1 && p[m] == 's')) && !strncasecmp(p, nouns[i].words, m))
                return nouns[i].want;
        }
        p += n;
        if (*p == ',' || *p == '?')
            break;
    }
    return otherwise;
}

static enum want wanted(const char *text, bool han)
{
    for (size_t i = 0; i < sizeof chinese / sizeof *chinese && han; i++)
        if (strstr(text, chinese[i].words))
            return chinese[i].want;
    for (size_t i = 0; i < sizeof yes_no / sizeof *yes_no && !han; i++)
        if (!strncasecmp(text, yes_no[i], strlen(yes_no[i])))
            return WANT_YESNO;
    for (size_t i = 0; i < sizeof english / sizeof *english && !han; i++) {
        const char *p = opening(text, english[i].words);
        if (p)
            return english[i].want == WANT_NAME || !strcmp(english[i].words, "what are") ? noun_behind(p, english[i].want) : english[i].want;
    }
    return WANT_ANY;
}

/* "how long", "which year": the words that only say what kind of thing is wanted need not stand in an answer. */
static void mute_kind_words(struct question *q)
{
    static const char measures[] = " long many much often old far large big high tall deep fast heavy wide late early ";
    char key[16];
    for (size_t i = 1; i < q->lexed.terms.count; i++) {
        const struct lexeme *before = &q->lexed.terms.items[i - 1];
        struct lexeme *t = &q->lexed.terms.items[i];
        size_t n = t->end - t->start, m = before->end - before->start;
        const char *w = q->text + before->start;
        bool how = m == 3 && !strncasecmp(w, "how", 3), which = (m == 5 && !strncasecmp(w, "which", 5)) || (m == 4 && !strncasecmp(w, "what", 4));
        if (t->kind != LEX_WORD || n > 12 || !(how || which))
            continue;
        snprintf(key, sizeof key, " %.*s ", (int)n, q->text + t->start);
        bool kind = how && strstr(measures, key) != NULL;
        for (size_t k = 0; k < sizeof nouns / sizeof *nouns && which; k++)
            kind |= strlen(nouns[k].words) == n && !strncasecmp(nouns[k].words, q->text + t->start, n);
        if (kind)
            t->flags |= LEX_STOP;
    }
}

enum sooth_status question_read(const char *text, struct question *out, struct sooth_error *err)
{
    *out = (struct question){ .text = text, .han = text_is_han(text, strlen(text)) };
    lex_text(text, strlen(text), &out->lexed);
    if (out->lexed.failed) {
        question_release(out);
        return err_nomem(err);
    }
    out->thanks = only(thanks, sizeof thanks / sizeof *thanks, text);
    out->small_talk = !out->thanks && only(greetings, sizeof greetings / sizeof *greetings, text);
    out->want = wanted(text, out->han);
    static const char *const calendar[] = { "year", "month", "date", "season", "century", "哪年", "哪一年", "几月", "日期", "年份" };
    for (size_t i = 0; i < sizeof calendar / sizeof *calendar; i++)
        out->calendar |= strstr(text, calendar[i]) != NULL;
    mute_kind_words(out);
    static const char *const both[] = { ", and w", " and which", " and what", " and where", " and who", " and when", " and how", "，分别", "和哪", "以及", "，又",
                                        "谁的哪", "各是", "各为" };
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        out->several |= strstr(text, both[i]) != NULL;
    return SOOTH_OK;
}

void question_release(struct question *q) { lexed_release(&q->lexed); }

const char *want_name(enum want w)
{
    static const char *const names[] = { "anything", "a number", "a date", "a person", "a place", "a list", "yes or no", "a definition", "a procedure", "a reason", "a name" };
    return names[w];
}

static bool asked(const struct question *q, uint64_t key)
{
    for (size_t i = 0; i < q->lexed.terms.count; i++)
        if (q->lexed.terms.items[i].key == key)
            return true;
    return false;
}

/* A quantity of the text that the question does not give. */
static bool new_quantity(const struct question *q, const struct lexed *t, bool dates)
{
    for (size_t i = 0; i < t->quantities.count; i++) {
        const struct quantity *x = &t->quantities.items[i];
        bool given = (x->soft && x->kind != QTY_ORDINAL) || (dates && x->kind != QTY_DATE);
        for (size_t k = 0; k < q->lexed.quantities.count && !given; k++)
            given = quantity_same(x, &q->lexed.quantities.items[k]);
        if (!given)
            return true;
    }
    for (size_t i = 0; i < t->terms.count && !dates; i++) /* versions: 0.8.3 */
        if (t->terms.items[i].kind == LEX_CODE && t->text[t->terms.items[i].start] >= '0' && t->text[t->terms.items[i].start] <= '9')
            return true;
    return false;
}

static size_t new_names(const struct question *q, const struct lexed *t, bool codes)
{
    size_t n = 0;
    for (size_t i = 0; i < t->terms.count; i++) {
        const struct lexeme *x = &t->terms.items[i];
        bool name = (x->flags & (LEX_NAME | LEX_HEAD)) || (codes && x->kind == LEX_CODE);
        n += name && !(x->flags & LEX_STOP) && !asked(q, x->key);
    }
    return n;
}

/* A capitalised word with small letters, not asked with, beside another or inside a sentence: "MIME" is nobody. */
static bool new_person(const struct question *q, const struct lexed *t)
{
    for (size_t i = 0; i < t->terms.count; i++) {
        const struct lexeme *x = &t->terms.items[i];
        if (x->kind != LEX_WORD || (x->flags & LEX_STOP) || !(x->flags & (LEX_NAME | LEX_HEAD)) || asked(q, x->key) || x->end - x->start < 3)
            continue;
        char second = t->text[x->start + 1];
        bool small = (unsigned char)second >= 0x80 || (second >= 'a' && second <= 'z');
        bool pair = i + 1 < t->terms.count && (t->terms.items[i + 1].flags & LEX_NAME) && t->terms.items[i + 1].start == x->end + 1;
        if (small && ((x->flags & LEX_NAME) || pair))
            return true;
    }
    return false;
}

static size_t separators(const struct lexed *t)
{
    static const char *const marks[] = { ",", "、", "，", ";", "；", " and ", " or ", "和", "|", "与", "或" };
    size_t n = 0;
    for (size_t i = 0; i < t->len; i++)
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
            n += i + strlen(marks[k]) <= t->len && !memcmp(t->text + i, marks[k], strlen(marks[k]));
    return n;
}

/* A weekday or a time of the day: some kind of "when". */
static bool names_time(const struct lexed *t)
{
    static const char *const words[] = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "noon", "midnight", "morning",
                                         "evening", "summer", "winter", "spring", "autumn", "周一", "周二", "周三", "周四", "周五", "周六", "周日", "星期",
                                         "上午", "下午", "晚上", "早上", "点", "春", "夏", "秋", "冬" };
    for (size_t i = 0; i < t->len; i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (i + strlen(words[k]) <= t->len && !strncasecmp(t->text + i, words[k], strlen(words[k])))
                return true;
    return false;
}

double want_met(const struct question *q, const struct lexed *t)
{
    switch (q->want) {
    case WANT_NUMBER:
        return new_quantity(q, t, false) ? 1 : 0;
    case WANT_DATE:
        return new_quantity(q, t, true) ? 1 : !q->calendar && (names_time(t) || new_quantity(q, t, false)) ? 0.6 : 0;
    case WANT_PERSON:
        return new_person(q, t) ? 0.9 : text_is_han(t->text, t->len) ? 0.5 : 0.1;
    case WANT_PLACE:
        return new_names(q, t, true) ? 0.8 : 0.4;
    case WANT_LIST:
        return separators(t) >= 1 ? 1 : 0.3;
    case WANT_NAME:
        return new_names(q, t, true) ? 0.8 : 0.5;
    default:
        return 0.5;
    }
}
