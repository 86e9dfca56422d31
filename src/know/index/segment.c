/* segment.c: cuts text into index terms without a dictionary, for Chinese, English and the codes
 * between them.
 *
 * The text is folded first (in the index only; what is shown is never touched): NFKC makes full
 * width equal half width and takes ligatures and circled numbers apart, letters become small, Latin
 * letters lose their accents, Traditional and variant Han characters become the Simplified one.
 *
 *   gen-itgc后50条    ->  gen-itgc* gen itgc   后·   50   条·
 *   數據庫            ->  数据 据库   (and 数 据 库 for questions of one character)
 *   Installing C++   ->  instal   c++* c
 *
 * - A run of Han, kana or Hangul becomes overlapping pairs, plus its single characters, so that
 * words of any length are found; a dictionary would split a word the wrong way now and then, pairs
 * cannot.
 * - Anything else is a run of letters, digits and the joints of codes (_ - . + # ~ / : @ ' &). A
 * run with joints is indexed as it stands (*) and by its parts; a part that changes between letters
 * and digits also by those.
 * - Words of plain English letters are stemmed (stem.c). There is no stop list: common words weigh
 * next to nothing by their document frequency, and "IT", "AND" or "who" can be the very thing
 * looked for.
 *
 * - Chinese numerals are also indexed as the number they are (numeral.c), so that 二〇二四年三月 and
 * 2024年3月 are one; a single numeral only before a word that counts or dates. 1,500 is 1500.
 *
 * What it leaves out: spelling, synonyms, word segmentation of Thai, Khmer and Lao (each run is one
 * word). */
#include "know/index/segment.h"
#include <stdio.h>
#include <string.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"
#include "know/index/stem.h"

static const char han_fold[] =
#include "know/index/han_fold.inc"
    ; /* pairs of three-byte characters, ordered by the first */

struct segment {
    term_fn *fn;
    void *user;
    bool stop;
    char run[1024]; /* the code run being collected; longer ones are emitted in pieces */
    size_t run_len;
    char cjk[4]; /* the last character of a run of Han, kana or Hangul */
    size_t cjk_len, cjk_count;
    uint32_t numeral[NUMERAL_MAX + 1]; /* the run of numerals being collected */
    size_t numeral_len;
};

static void emit(struct segment *s, enum term_kind kind, const char *term, size_t len)
{
    if (len > 0 && !s->stop)
        s->stop = !s->fn(s->user, kind, term, len);
}

static bool is_joint(uint32_t c)
{
    return c < 128 && c != 0 && strchr("_-.+#~/:@'&\\", (int)c) != NULL;
}

static bool joint_at(const char *s, size_t i)
{
    return is_joint((unsigned char)s[i]);
}

/* A word: cut to the limit at a character boundary, stemmed. */
static void emit_word(struct segment *s, const char *word, size_t len)
{
    char term[TERM_MAX];
    if (len > TERM_MAX)
        len = utf8_floor(word, len, TERM_MAX);
    memcpy(term, word, len);
    emit(s, TERM_WORD, term, stem_english(term, len));
}

/* Where letters meet digits inside a part: "x86", "810mb". */
static void emit_part(struct segment *s, const char *part, size_t len)
{
    size_t from = 0;
    emit_word(s, part, len);
    for (size_t i = 1; i <= len; i++) {
        bool change = i < len && (part[i] >= '0' && part[i] <= '9') !=
                                     (part[i - 1] >= '0' && part[i - 1] <= '9');
        if (change || (i == len && from > 0)) {
            if (i - from <= TERM_MAX)
                emit(s, TERM_WHOLE, part + from, i - from);
            from = i;
        }
    }
}

/* A run such as "dh_make," or "don't" or "c++": the sentence's own stops at its end are not part of
 * it. */
static void flush_run(struct segment *s)
{
    const char *r = s->run;
    size_t a = 0, b = s->run_len;
    s->run_len = 0;
    while (b > a && strchr(".:'/-\\&@", r[b - 1]))
        b--;
    while (a < b && strchr(":'/-\\&@+#", r[a]))
        a++;
    if (b - a == 0)
        return;
    if (b - a > 2 && r[b - 2] == '\'' && r[b - 1] == 's')
        b -= 2; /* "the driver's" */
    size_t joints = 0;
    for (size_t i = a; i < b; i++)
        joints += joint_at(r, i);
    if (joints > 0 && joints < b - a && b - a <= TERM_MAX)
        emit(s, TERM_WHOLE, r + a, b - a);
    for (size_t i = a; i < b;) {
        size_t j = i;
        while (j < b && !joint_at(r, j))
            j++;
        if (j > i)
            emit_part(s, r + i, j - i);
        i = j + 1;
    }
}

/* Words behind which one numeral alone is a number: 年月日号 章节条页 级楼周 and, but for "one", what counts. */
static bool counts_behind(uint32_t next, bool one)
{
    static const uint32_t dates[] = {0x5E74, 0x6708, 0x65E5, 0x53F7, 0x7AE0, 0x8282,
                                     0x6761, 0x9875, 0x7EA7, 0x697C, 0x5468};
    static const uint32_t things[] = {0x4E2A, 0x6B21, 0x5929, 0x5C81, 0x500D, 0x5143, 0x540D,
                                      0x4EBA, 0x53F0, 0x9879, 0x79CD, 0x5206, 0x79D2, 0x65F6,
                                      0x70B9, 0x5C42, 0x5757, 0x53EA, 0x4EF6, 0x5BB6};
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
        if (next == dates[i])
            return true;
    for (size_t i = 0; i < sizeof things / sizeof *things && !one; i++)
        if (next == things[i])
            return true;
    return false;
}

/* The run of numerals before `next` (0 = the end) as its number. */
static void flush_numeral(struct segment *s, uint32_t next)
{
    size_t n = s->numeral_len;
    uint64_t value;
    char digits[24];
    s->numeral_len = 0;
    if (n == 0 || n > NUMERAL_MAX || !numeral_value(s->numeral, n, &value))
        return;
    if (n == 1 && numeral_unit(s->numeral[0]) == 0 && !counts_behind(next, value == 1))
        return;
    emit(s, TERM_WHOLE, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value));
}

static void note_numeral(struct segment *s, uint32_t c)
{
    if (numeral_digit(c) < 0 && numeral_unit(c) == 0)
        flush_numeral(s, c);
    else if (s->numeral_len <= NUMERAL_MAX) /* one more than that is no number */
        s->numeral[s->numeral_len < NUMERAL_MAX ? s->numeral_len : NUMERAL_MAX] = c,
        s->numeral_len++;
}

static void flush_cjk(struct segment *s)
{
    flush_numeral(s, 0);
    if (s->cjk_count == 1)
        emit(s, TERM_ALONE, s->cjk, s->cjk_len);
    else if (s->cjk_count > 1)
        emit(s, TERM_CHAR, s->cjk, s->cjk_len);
    s->cjk_count = 0;
}

static void add_cjk(struct segment *s, const char *bytes, size_t size)
{
    if (s->cjk_count > 0) {
        char pair[8];
        memcpy(pair, s->cjk, s->cjk_len);
        memcpy(pair + s->cjk_len, bytes, size);
        emit(s, TERM_CHAR, s->cjk, s->cjk_len);
        emit(s, TERM_PAIR, pair, s->cjk_len + size);
    }
    memcpy(s->cjk, bytes, size);
    s->cjk_len = size;
    s->cjk_count++;
}

/* Traditional to Simplified: bisection over the pairs. bytes is three long and is changed in place.
 */
static void fold_han(char bytes[3])
{
    size_t lo = 0, hi = (sizeof han_fold - 1) / 6;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = memcmp(han_fold + mid * 6, bytes, 3);
        if (d == 0) {
            memcpy(bytes, han_fold + mid * 6 + 3, 3);
            return;
        }
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
}

/* An accented Latin letter without its accent; anything else as it is. */
static uint32_t fold_latin(uint32_t c)
{
    if (!((c >= 0xC0 && c < 0x250) || (c >= 0x1E00 && c < 0x1F00)))
        return c;
    char bytes[4];
    struct buf out = BUF_INIT;
    size_t n = utf8_encode(c, bytes), size;
    if (uni_normalize(UNI_NFD, bytes, n, &out, NULL) == SOOTH_OK && out.len > 0)
        c = utf8_decode(out.data, out.len, &size);
    buf_release(&out);
    return c;
}

static void add_char(struct segment *s, uint32_t c)
{
    char bytes[4];
    if (uni_is_cjk(c)) {
        size_t size = utf8_encode(c, bytes);
        if (size == 3 && c >= 0x3400)
            fold_han(bytes);
        if (s->run_len)
            flush_run(s);
        if (size == 3)
            c = utf8_decode(bytes, 3, &size); /* as folded */
        note_numeral(s, c);
        add_cjk(s, bytes, size);
        return;
    }
    if (c >= 0x80)
        c = fold_latin(c);
    unsigned class = c < 0x80 ? 0 : uni_class(c);
    bool letter = c < 0x80 ? (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
                           : (class & (UNI_LETTER | UNI_NUMBER | UNI_MARK)) != 0;
    flush_cjk(s);
    if (c == 0x2019)
        c = '\''; /* the typographer's apostrophe */
    if (!letter && !is_joint(c)) {
        if (s->run_len)
            flush_run(s);
        return;
    }
    size_t size = utf8_encode(c, bytes);
    if (s->run_len + size > sizeof s->run)
        flush_run(s);
    memcpy(s->run + s->run_len, bytes, size);
    s->run_len += size;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A comma between a run that ends in a digit and exactly three more. */
static bool thousands(const struct segment *s, const char *rest, size_t len)
{
    return s->run_len > 0 && is_digit(s->run[s->run_len - 1]) && len >= 3 && is_digit(rest[0]) &&
           is_digit(rest[1]) && is_digit(rest[2]) && (len == 3 || !is_digit(rest[3]));
}

enum sooth_status segment_text(const char *text, size_t len, term_fn *fn, void *user,
                               struct sooth_error *err)
{
    struct segment s = {.fn = fn, .user = user};
    struct buf folded = BUF_INIT;
    bool ascii = true;
    for (size_t i = 0; i < len && ascii; i++)
        ascii = (signed char)text[i] > 0;
    if (!ascii) {
        enum sooth_status status = uni_normalize(UNI_NFKC, text, len, &folded, err);
        if (status != SOOTH_OK) {
            buf_release(&folded);
            return status;
        }
        text = buf_str(&folded);
        len = folded.len;
    }
    for (size_t i = 0, size; i < len && !s.stop; i += size) {
        uint32_t c = utf8_decode(text + i, len - i, &size);
        if (c == UTF8_BAD)
            c = ' ';
        else if (c < 0x80)
            c = c >= 'A' && c <= 'Z' ? c + 32 : c;
        else
            c = uni_lower(c);
        if (c == ',' && thousands(&s, text + i + 1, len - i - 1))
            continue;
        add_char(&s, c);
    }
    if (s.run_len)
        flush_run(&s);
    flush_cjk(&s);
    buf_release(&folded);
    return SOOTH_OK;
}

/* FNV-1a, then a mixing step so that near keys are far apart. */
uint64_t term_key(const char *term, size_t len)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)term[i]) * 0x100000001B3u;
    h ^= h >> 33;
    h *= 0xFF51AFD7ED558CCDu;
    h ^= h >> 33;
    return h;
}
