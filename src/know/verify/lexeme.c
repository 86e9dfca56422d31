/* lexeme.c: text into terms.
 *
 * One walk over the characters: runs of Han, kana or Hangul become overlapping pairs; runs of letters, digits and
 * the joints - _ . / ' @ between them become words, codes or numbers. Folding is lower case and half width; stems
 * are light (plural, -ed, -ing), since here both sides of a comparison are prose and a wrong merge ("universe",
 * "university") would let a false sentence pass, where in a search it only costs a rank.
 *
 * Negation is scoped: the first content term behind a negation word in the same clause is what is denied. That is
 * the parity rule of FactCC-like checks without a parser. Left out: lemmas of irregular verbs but the commonest. */
#include "know/verify/lexeme.h"
#include <string.h>
#include "core/base/hash.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

#define LEX_MAX_TEXT ((size_t)1 << 16)
#define WORD_BYTES 96

static const char stop_words[] =
    " a an the this that these those there here it its he she they them his her their him i me my we us our you your who whom whose which "
    "what when where why how is are was were be been being am do does did done has have had having will would shall should can could may "
    "might must of in on at by to from for with as into onto upon about over under between through during than then so if or and but nor "
    "not no never none neither without cannot also too very just only even still such some any each every all both either more most other "
    "own same s t ll ve re d m up out off again because while although though however per via etc e.g i.e one's let get gets got please tell "
    "say says said according yes ";
static const char neg_words[] = " not no never none neither nor without cannot hardly nobody nothing nowhere lacks lacking ";
static const char be_words[] = " is are was were be been being get gets got gotten ";
static const char clause_words[] = " but however although though whereas while because unless ";
/* Han: characters of grammar, pairs that look like a negation and are none, and pairs that only ask or connect. */
static const char han_stop[] = "的了是在和与及或也都就而于之其这那个们被把将从向对给让使由为以所着过吗呢吧啊呀么哪谁几多少何怎样很更最还又再等每各该此若如则且但并请问";
static const char han_neg[] = "不没未无非勿莫否";
static const char *const han_not_neg[] = { "不同", "不过", "不仅", "不断", "不但", "不久", "不管", "不论", "不少", "不妨", "不如", "不得不", "差不多",
    "无论", "无线", "无比", "无数", "非常", "非洲", "未来", "没收", "不错", "是否", "能否", "可否", "否则", "不然", "不止", "无疑", "并非不" };

static bool in_list(const char *list, const char *w, size_t len)
{
    char key[WORD_BYTES + 3];
    if (len > WORD_BYTES)
        return false;
    key[0] = ' ';
    memcpy(key + 1, w, len);
    key[len + 1] = ' ';
    key[len + 2] = 0;
    return strstr(list, key) != NULL;
}

static uint32_t narrow(uint32_t c) { return c >= 0xFF01 && c <= 0xFF5E ? c - 0xFEE0 : c; }
static bool is_vowel(char c) { return c && strchr("aeiouy", c); }
static bool ends(const char *w, size_t n, const char *tail)
{
    size_t m = strlen(tail);
    return n > m && !memcmp(w + n - m, tail, m);
}

static bool has_vowel(const char *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_vowel(w[i]))
            return true;
    return false;
}

/* Light stem of a folded word, in place. */
static size_t stem_light(char *w, size_t n)
{
    static const struct { const char *form, *base; } odd[] = {
        { "written", "write" }, { "wrote", "write" }, { "made", "make" }, { "began", "begin" }, { "begun", "begin" }, { "held", "hold" },
        { "built", "build" }, { "sold", "sell" }, { "bought", "buy" }, { "took", "take" }, { "taken", "take" }, { "gave", "give" },
        { "given", "give" }, { "found", "find" }, { "led", "lead" }, { "left", "leave" }, { "won", "win" }, { "chosen", "choose" },
        { "chose", "choose" }, { "ran", "run" }, { "sent", "send" }, { "kept", "keep" }, { "became", "become" }, { "went", "go" },
        { "gone", "go" }, { "grew", "grow" }, { "grown", "grow" }, { "known", "know" }, { "knew", "know" }, { "people", "person" },
        { "children", "child" }, { "lost", "lose" }, { "paid", "pay" }, { "drawn", "draw" }, { "drew", "draw" }, { "men", "man" },
        { "women", "woman" }, { "colour", "color" }, { "spoke", "speak" }, { "broken", "break" }, { "shown", "show" } };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (strlen(odd[i].form) == n && !memcmp(odd[i].form, w, n)) {
            n = strlen(odd[i].base);
            memcpy(w, odd[i].base, n);
            return n;
        }
    if (n < 4)
        return n;
    if (ends(w, n, "ies") && n > 4)
        w[n - 3] = 'i', n -= 2;
    else if (ends(w, n, "sses") || ends(w, n, "xes") || ends(w, n, "ches") || ends(w, n, "shes"))
        n -= 2;
    else if (w[n - 1] == 's' && w[n - 2] != 's' && w[n - 2] != 'u' && w[n - 2] != 'i')
        n--;
    if (ends(w, n, "ingly"))
        n -= 2;
    if (n > 5 && ends(w, n, "ing") && has_vowel(w, n - 3))
        n -= 3;
    else if (n > 4 && ends(w, n, "ed") && has_vowel(w, n - 2))
        n -= 2;
    else if (n > 5 && ends(w, n, "ly"))
        n -= 2;
    if (n > 3 && w[n - 1] == w[n - 2] && !is_vowel(w[n - 1]) && !strchr("lsz", w[n - 1]))
        n--;
    if (n > 3 && w[n - 1] == 'e')
        n--;
    if (n > 2 && w[n - 1] == 'y' && !is_vowel(w[n - 2]))
        w[n - 1] = 'i';
    return n;
}

/* Folds s into out (at most WORD_BYTES); *inner tells of capitals behind the first letter, *digits of digits. */
static size_t fold(const char *s, size_t len, char *out, bool *upper, bool *inner, bool *digits)
{
    size_t n = 0, m;
    bool first = true;
    *upper = *inner = *digits = false;
    for (size_t i = 0; i < len; i += m) {
        uint32_t c = utf8_decode(s + i, len - i, &m);
        if (c == UTF8_BAD)
            continue;
        c = narrow(c);
        uint32_t l = uni_lower(c);
        if (l != c)
            *(first ? upper : inner) = true;
        *digits |= c >= '0' && c <= '9';
        if (c == '_' || c == 0x2010 || c == 0x2011)
            l = '-';
        first = false;
        char enc[4];
        size_t k = utf8_encode(l, enc);
        if (n + k > WORD_BYTES)
            break;
        memcpy(out + n, enc, k);
        n += k;
    }
    return n;
}

uint64_t lex_key(const char *word, size_t len)
{
    char w[WORD_BYTES + 8];
    bool a, b, c;
    size_t n = fold(word, len, w, &a, &b, &c);
    return hash64(w, stem_light(w, n), 1);
}

double lex_weight(const struct lexeme *t)
{
    if (t->flags & LEX_STOP)
        return 0;
    if (t->kind == LEX_NUMBER || t->kind == LEX_CODE)
        return 2;
    return t->kind == LEX_HAN ? 0.8 : t->flags & LEX_NAME ? 1.6 : 1;
}

/* --- the walk ---------------------------------------------------------------------------------------------- */

struct walk {
    struct lexed *l;
    const char *s;
    size_t len, at;
    uint16_t clause;
    bool clause_new;
    unsigned deny;        /* 2: the next content term is denied; 1: the one after */
    unsigned since_be;    /* terms since a form of be; 0 = none near */
    bool head;            /* no word yet in this sentence */
    uint32_t last_end;
};

static void emit(struct walk *w, size_t start, size_t end, uint64_t key, enum lex_kind kind, unsigned flags)
{
    if (w->clause_new) {
        flags |= LEX_BREAK;
        w->clause_new = false;
    }
    if (start == w->last_end && w->l->terms.count)
        flags |= LEX_GLUED;
    if (!(flags & LEX_STOP)) {
        if (w->deny)
            flags |= w->deny-- == 2 ? LEX_NEG : LEX_NEAR_NEG;
        if (w->since_be && w->since_be++ <= 2)
            flags |= LEX_PASSIVE;
    }
    if (w->since_be > 3)
        w->since_be = 0;
    struct lexeme t = { key, (uint32_t)start, (uint32_t)end, (uint8_t)kind, (uint8_t)flags, w->clause };
    if (!vec_push(&w->l->terms, t))
        w->l->failed = true;
    w->last_end = (uint32_t)end;
}

static void clause_end(struct walk *w, bool sentence)
{
    if (w->clause < UINT16_MAX)
        w->clause++;
    w->clause_new = true;
    w->deny = 0;
    w->since_be = 0;
    w->head |= sentence;
}

static bool han_listed(const char *list, const char *c, size_t n)
{
    for (const char *p = list; *p;) {
        size_t m;
        utf8_decode(p, strlen(p), &m);
        if (m == n && !memcmp(p, c, n))
            return true;
        p += m;
    }
    return false;
}

static bool han_negates(const char *s, size_t len, size_t at)
{
    size_t m;
    utf8_decode(s + at, len - at, &m);
    if (!han_listed(han_neg, s + at, m))
        return false;
    for (size_t i = 0; i < sizeof han_not_neg / sizeof *han_not_neg; i++) {
        size_t n = strlen(han_not_neg[i]);
        for (size_t back = 0; back + m <= n; back += 3)
            if (at >= back && at - back + n <= len && !memcmp(s + at - back, han_not_neg[i], n))
                return false;
    }
    return true;
}

/* One run of Han and its kin [start, end). Pairs across a negation or two grammar characters carry no content. */
static void walk_han(struct walk *w, size_t start, size_t end)
{
    size_t m, k;
    for (size_t at = start; at < end; at += m) {
        utf8_decode(w->s + at, end - at, &m);
        if (han_negates(w->s, end, at)) {
            w->deny = 2;
            continue;
        }
        if (m == 3 && !memcmp(w->s + at, "被", 3))
            w->since_be = 1;
        bool stop = han_listed(han_stop, w->s + at, m);
        if (at + m >= end) {
            if (at == start)
                emit(w, at, at + m, hash64(w->s + at, m, 1), LEX_HAN, stop ? LEX_STOP : 0);
            continue;
        }
        utf8_decode(w->s + at + m, end - at - m, &k);
        bool stop2 = han_listed(han_stop, w->s + at + m, k) || han_negates(w->s, end, at + m);
        emit(w, at, at + m + k, hash64(w->s + at, m + k, 1), LEX_HAN, stop || stop2 ? LEX_STOP : 0);
    }
    w->last_end = (uint32_t)end;
    w->head = false;
}

static bool joint(uint32_t c) { return c == '-' || c == '_' || c == '.' || c == '/' || c == '\'' || c == 0x2019 || c == '@' || c == 0x2010 || c == 0x2011 || c == '+' || c == '~'; }
static bool wordish(uint32_t c) { return c != UTF8_BAD && !uni_is_cjk(c) && (uni_class(narrow(c)) & (UNI_LETTER | UNI_NUMBER | UNI_MARK)); }

static void emit_word(struct walk *w, size_t start, size_t end, bool part, bool quoted)
{
    char f[WORD_BYTES + 8];
    bool upper, inner, digits;
    size_t n = fold(w->s + start, end - start, f, &upper, &inner, &digits);
    unsigned flags = 0;
    if (in_list(stop_words, f, n) || !n)
        flags = LEX_STOP;
    else if (upper && !part)
        flags = w->head ? LEX_HEAD : LEX_NAME;
    if (quoted && !flags)
        flags = LEX_NAME;
    if (!part && in_list(clause_words, f, n))
        clause_end(w, false);
    emit(w, start, end, hash64(f, stem_light(f, n), 1), LEX_WORD, flags);
    if (in_list(be_words, f, n))
        w->since_be = 1;
    bool not_only = n == 3 && !memcmp(f, "not", 3) && end + 5 <= w->len && !memcmp(w->s + end, " only", 5);
    if (in_list(neg_words, f, n) && !not_only)
        w->deny = 2;
}

/* "don't": do, denied. "Li's": Li. True when the apostrophe was all there is to it. */
static bool emit_apostrophe(struct walk *w, size_t start, size_t end, bool quoted)
{
    size_t at = start, m = 0;
    uint32_t c = 0;
    for (; at < end; at += m) {
        c = utf8_decode(w->s + at, end - at, &m);
        if (c == '\'' || c == 0x2019)
            break;
        if (!wordish(c))
            return false;
    }
    if (at >= end)
        return false;
    size_t tail = end - at - m;
    if (tail == 1 && w->s[end - 1] == 't' && at > start + 1 && w->s[at - 1] == 'n') {
        emit_word(w, start, at - 1, false, false);
        w->deny = 2;
    } else if (tail <= 2) {
        emit_word(w, start, at, false, quoted);
    } else {
        return false;
    }
    w->last_end = (uint32_t)end;
    return true;
}

/* Digits at the start of n bytes, which end where the caller's buffer may: no terminator is looked for. */
static size_t digit_run(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

/* A run of word characters and joints: a word, a code with its parts, or a number. */
static void walk_word(struct walk *w, size_t start, size_t end, bool quoted)
{
    char f[WORD_BYTES + 8];
    bool upper, inner, digits, hard = false, hyphen = false;
    size_t n = fold(w->s + start, end - start, f, &upper, &inner, &digits), m;
    if (emit_apostrophe(w, start, end, quoted)) {
        w->head = false;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        hyphen |= f[i] == '-';
        hard |= f[i] && strchr("./@+~", f[i]) != NULL;
    }
    hard |= memchr(w->s + start, '_', end - start) != NULL;
    bool caps = upper && inner && !digits && !hard && !hyphen; /* NASA, GitHub: names */
    if (!hyphen && !hard && !digits) {
        emit_word(w, start, end, false, quoted || caps);
        w->head = false;
        return;
    }
    bool number = f[0] >= '0' && f[0] <= '9';
    f[n] = 0;
    size_t whole = strspn(f, "0123456789.,"), tail = number ? n - whole : 0;
    bool decimal = number && !hyphen && strchr(f, '.') == strrchr(f, '.') && !strpbrk(f, "/@+~");
    if (number && (!hard || decimal) && (tail <= 3 || hyphen)) {
        emit(w, start, tail && !hyphen && n == end - start ? start + whole : end, hash64(f, n, 1), LEX_NUMBER, 0);
        w->last_end = (uint32_t)end;
    } else if (digits || hard) {
        emit(w, start, end, hash64(f, n, 1), LEX_CODE, 0);
    } else {
        emit(w, start, end, hash64(f, n, 1), LEX_CODE, LEX_STOP); /* six-colour: the parts count, the whole helps */
    }
    unsigned deny = w->deny;
    for (size_t at = start, from = start; (hyphen || hard) && !decimal && at <= end; at += m) {
        uint32_t c = at < end ? utf8_decode(w->s + at, end - at, &m) : '-';
        if (at == end)
            m = 1;
        if (!joint(c))
            continue;
        if (at > from && digit_run(w->s + from, at - from) < at - from)
            emit_word(w, from, at, true, false);
        from = at + m;
    }
    if (deny && w->deny)
        w->deny = 0;
    w->head = false;
}

static void walk_sign(struct walk *w, uint32_t c, bool *quoted)
{
    if (c == '"' || c == 0x201C || c == 0x201D || c == 0x300C || c == 0x300D || c == '`' || c == 0x300A || c == 0x300B)
        *quoted = c == '"' || c == '`' ? !*quoted : c == 0x201C || c == 0x300C || c == 0x300A;
    else if (c == ',' || c == ';' || c == ':' || c == '(' || c == ')' || c == 0xFF0C || c == 0xFF1A || c == 0xFF1B || c == '|')
        clause_end(w, false);
    else if (c == '.' || c == '!' || c == '?' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == '\n') {
        clause_end(w, true);
        *quoted = false;
    }
}

void lex_text(const char *text, size_t len, struct lexed *out)
{
    memset(out, 0, sizeof *out);
    if (len > LEX_MAX_TEXT)
        len = utf8_floor(text, len, LEX_MAX_TEXT);
    out->text = text;
    out->len = len;
    struct walk w = { .l = out, .s = text, .len = len, .head = true, .clause_new = true, .last_end = UINT32_MAX };
    bool quoted = false;
    size_t m;
    while (w.at < len) {
        uint32_t c = utf8_decode(text + w.at, len - w.at, &m);
        size_t end = w.at + m;
        if (c != UTF8_BAD && uni_is_cjk(c)) {
            for (size_t k; end < len; end += k) {
                uint32_t d = utf8_decode(text + end, len - end, &k);
                if (d == UTF8_BAD || !uni_is_cjk(d))
                    break;
            }
            walk_han(&w, w.at, end);
        } else if (wordish(c) || ((c == '~' || c == '-' || c == '.') && end < len && w.at && text[w.at - 1] == ' ' && wordish((unsigned char)text[end]))) {
            bool number = c >= '0' && c <= '9';
            for (size_t k; end < len; end += k) {
                uint32_t d = utf8_decode(text + end, len - end, &k);
                if (wordish(d))
                    continue;
                size_t j;
                bool more = end + k < len && wordish(utf8_decode(text + end + k, len - end - k, &j));
                bool comma = d == ',' && number && end + 4 <= len && digit_run(text + end + 1, len - end - 1) == 3;
                if (!(more && (joint(d) || comma)))
                    break;
            }
            walk_word(&w, w.at, end, quoted);
        } else {
            walk_sign(&w, c, &quoted);
        }
        w.at = end;
    }
    quantity_find(out);
}

void lexed_release(struct lexed *l)
{
    vec_free(&l->terms);
    vec_free(&l->quantities);
}
