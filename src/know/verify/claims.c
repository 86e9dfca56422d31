/* claims.c: a sentence into the single statements it makes.
 *
 *   "According to the report, Acme was founded in 1990 and has 50 shops."
 *        -> [Acme was founded in 1990]   [has 50 shops] with subject [Acme]
 *   "该公司成立于1990年，有五十家门店。"  -> [该公司成立于1990年] [有五十家门店] with subject [该公司]
 *
 * A boundary is a semicolon, or "and"/"but"/a comma with a finite verb on both sides (Chinese: a predicate on both
 * sides of ，). A finite verb is known by a list of auxiliaries and by -ed: without a tagger that is what can be
 * trusted, and a missed split only makes one larger claim. After FActScore's atomic facts (Min et al. 2023), by rule.
 * Left out: relative clauses, lists of objects. */
#include <string.h>
#include <strings.h>
#include "core/base/utf8.h"
#include "know/verify/verify.h"

static const char finite_words[] = " is are was were has have had does do did can could will would shall should may might must became began uses used "
                             "needs requires supports contains includes provides holds runs makes gives takes says means ";
static const char pronouns[] = " he she it they this these we ";
static const char *const han_predicates[] = { "是", "有", "为", "在", "能", "会", "可", "需", "了", "被", "让", "用", "支持", "提供", "包括", "位于", "成立",
                                              "发布", "要", "没", "不", "于" };

static bool in_words(const char *list, const char *w, size_t n)
{
    char key[40] = " ";
    if (!n || n > 30)
        return false;
    for (size_t i = 0; i < n; i++)
        key[i + 1] = w[i] >= 'A' && w[i] <= 'Z' ? (char)(w[i] + 32) : w[i];
    key[n + 1] = ' ';
    key[n + 2] = 0;
    return strstr(list, key) != NULL;
}

static bool letter(char c) { return (unsigned char)c >= 0x80 || (c | 32) >= 'a' ? ((unsigned char)c >= 0x80 || (c | 32) <= 'z') : false; }

static size_t word_end(const char *s, size_t len, size_t at)
{
    while (at < len && (letter(s[at]) || s[at] == '\''))
        at++;
    return at;
}

static bool is_finite(const char *w, size_t n)
{
    return in_words(finite_words, w, n) || (n > 4 && w[n - 2] == 'e' && w[n - 1] == 'd');
}

/* Where the first finite verb of [from, to) starts, or to. */
static size_t verb_find(const char *s, size_t from, size_t to)
{
    for (size_t at = from; at < to;) {
        size_t e = word_end(s, to, at);
        if (e > at && is_finite(s + at, e - at))
            return at;
        at = e > at ? e : at + 1;
    }
    return to;
}

static size_t predicate_find(const char *s, size_t from, size_t to)
{
    size_t m;
    for (size_t at = from; at < to; at += m) {
        utf8_decode(s + at, to - at, &m);
        for (size_t i = 0; i < sizeof han_predicates / sizeof *han_predicates; i++) {
            size_t n = strlen(han_predicates[i]);
            if (at + n <= to && !memcmp(s + at, han_predicates[i], n))
                return at;
        }
    }
    return to;
}

static size_t skip_blanks(const char *s, size_t len, size_t at)
{
    while (at < len && (s[at] == ' ' || s[at] == '\t'))
        at++;
    return at;
}

static bool starts(const char *s, size_t len, size_t at, const char *w)
{
    size_t n = strlen(w);
    return at + n <= len && !strncasecmp(s + at, w, n);
}

/* "According to X, ", "据X，", "X said that ": what is claimed stands behind. */
static size_t strip_attribution(const char *s, size_t len)
{
    static const char *const leads[] = { "according to ", "as stated in ", "as noted in ", "based on ", "per the " };
    static const char *const han_leads[] = { "根据", "据", "按照" };
    static const char *const says[] = { " states that ", " says that ", " said that ", " notes that ", " mentions that ", " explains that " };
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if (starts(s, len, 0, leads[i])) {
            const char *comma = memchr(s, ',', len);
            if (comma && (size_t)(comma - s) + 1 < len)
                return skip_blanks(s, len, (size_t)(comma - s) + 1);
        }
    for (size_t i = 0; i < sizeof han_leads / sizeof *han_leads; i++) {
        size_t n = strlen(han_leads[i]);
        for (size_t at = n; starts(s, len, 0, han_leads[i]) && at + 3 < len; at++)
            if (!memcmp(s + at, "，", 3))
                return at + 3;
    }
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        for (size_t at = 0; at + 12 < len && at < 80; at++)
            if (starts(s, len, at, says[i]))
                return at + strlen(says[i]);
    return 0;
}

/* Length of a joint at `at` that may part two clauses, and whether it does so by itself. */
static size_t joint_at(const char *s, size_t len, size_t at, bool *strong)
{
    static const struct { const char *w; bool strong; } joints[] = { { "; ", true }, { "；", true }, { ", and ", false }, { ", but ", false },
        { " and ", false }, { " but ", false }, { ", while ", false }, { ", whereas ", false }, { ", which ", false }, { "，", false } };
    for (size_t i = 0; i < sizeof joints / sizeof *joints; i++)
        if (starts(s, len, at, joints[i].w)) {
            *strong = joints[i].strong;
            return strlen(joints[i].w);
        }
    return 0;
}

static bool parts(const char *s, size_t len, size_t from, size_t at, size_t right)
{
    if (!memcmp(s + at, "，", at + 3 <= len ? 3 : 0) && at + 3 <= len)
        return at - from >= 9 && len - right >= 9 && predicate_find(s, from, at) < at && predicate_find(s, right, right + 24 < len ? right + 24 : len) < len;
    size_t e = word_end(s, len, right);
    bool opens = is_finite(s + right, e - right) || in_words(pronouns, s + right, e - right);
    size_t v = verb_find(s, right, len);
    bool own = s[at] == ',' && v < len && v - right < 60; /* ", and the other thing is" */
    if (s[at] == ',' && in_words(pronouns, s + right, e - right))
        return true;
    return verb_find(s, from, at) < at && (opens || own);
}

size_t claims_split(const char *s, size_t len, struct claim out[CLAIMS_MAX])
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\n'))
        len--;
    if (!len || s[len - 1] == '?' || (len >= 3 && !memcmp(s + len - 3, "？", 3)))
        return 0;
    size_t n = 0, from = strip_attribution(s, len), subject = from, subject_end = from;
    for (size_t at = from; at < len && n + 1 < CLAIMS_MAX; at++) {
        bool strong = false;
        size_t j = joint_at(s, len, at, &strong), right = at + j;
        if (!j || right >= len || at == from || !(strong || parts(s, len, from, at, right)))
            continue;
        if (!n) {
            size_t v = verb_find(s, from, at), p = predicate_find(s, from, at);
            subject_end = v < at ? v : p;
            subject_end = subject_end - subject > 80 ? subject : subject_end;
            while (subject_end > subject && s[subject_end - 1] == ' ')
                subject_end--;
        }
        out[n] = (struct claim){ from, at, subject, n ? subject_end : subject };
        n++;
        from = right;
        at = right - 1;
    }
    size_t e = word_end(s, len, from);
    bool carries = n && (is_finite(s + from, e - from) || in_words(pronouns, s + from, e - from) || (unsigned char)s[from] >= 0xE0);
    out[n] = (struct claim){ from, len, subject, carries ? subject_end : subject };
    return n + 1;
}
