/* encoding.c: finding the character encoding of a whole file.
 *
 * In this order: a byte order mark; valid UTF-8 (a text of some length in another encoding is
 * practically never valid UTF-8 by chance); otherwise every candidate decodes the text and its
 * characters are weighed by how usual they are in running text. The score is a mean over the bytes
 * above 0x7f (over all bytes for UTF-16):
 *
 *   common Han character (the lists below)  1      kana, CJK punctuation, full-width   0.6
 *   other Han                               0.05   Latin letter next to a letter      0.8
 *   half-width kana                        -0.4    lone Latin letter or sign          -0.3
 *   private use, unassigned                -1      invalid sequence                   -3
 *
 * The 500 commonest characters make up some four fifths of any Chinese text, while a text read in a
 * wrong encoding hits them one time in forty; a few words are enough. Lines without a byte above
 * 0x7f say nothing and are left out, so that a 100 MB file with one Chinese line costs what that
 * line costs. The lists are character frequencies of Chinese manuals and of common prose.
 *
 * Left out: ISO-2022 and HZ (escape sequences, unseen today), Cyrillic and other single-byte sets:
 * these work when the file declares them or the user says so. */
#include "know/doc/encoding.h"
#include <string.h>
#include <strings.h>
#include "core/base/error.h"
#include "core/base/unicode.h"
#include "core/base/utf8.h"

#define SAMPLE_MAX ((size_t)4 << 20)

static const char common_simplified[] = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会"
                                        "可也你对生能而子那得于着下自之年过发后作里"
                                        "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分"
                                        "还进好小部其些主样理心她本前开但因只从想实"
                                        "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正"
                                        "业外将两高间由问很最重并物手应战向头文体政"
                                        "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老"
                                        "给世位次度门任常先海通教儿原东声提立及比员"
                                        "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何"
                                        "电数安少报才结反受目太量再感建务做接必场件"
                                        "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五"
                                        "基眼书非则听白却界达光放强即像难且权思王象"
                                        "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领"
                                        "共确传师观清今切院让识候带导争运包软您版需"
                                        "装序供算码模源令型录章布构持具参户存标息请列语页例档编每助"
                                        "置改容库选支创字器图含维单级护节帮修项习译"
                                        "获网示整注查游试号案执引复括组述吗片技配简哪升找检输测索词"
                                        "核况写言读始符练步训根影换推准优调册择载架"
                                        "阅功邮除块台预细够效议添服态值依须缺描脚否称策增句客答赖操"
                                        "转风适集显移划另未响验证站层段似随按享致线"
                                        "约排减";

static const char common_traditional[] = "瞭這個們來為國說時會妳對於著過發後裡種經麼學現當沒動還進"
                                         "樣開從實軍無與長機關點業將兩間問並應戰頭體見"
                                         "產話閤內給門兒東聲員論處義幾認條氣題爾別變總電數報結務場"
                                         "計資許統區隊決馬書則聽卻達強難權設記類據邊張"
                                         "該規萬覺術領確傳師觀讓識帶導爭運軟裝碼錄搆參戶標請語頁檔"
                                         "編庫選創圖維單級護節幫脩項習譯獲網註遊試號執"
                                         "復組嗎簡檢輸測詞況寫讀練訓換準優調冊擇載閱郵塊臺預細夠傚"
                                         "議態須腳稱賴轉風適顯劃響驗証層隨緻線約減說裏將";

/* One bit a code point of the basic plane. */
static void common_mark(unsigned char bits[8192], const char *s)
{
    size_t len = strlen(s), n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t c = utf8_decode(s + i, len - i, &n);
        bits[c >> 3 & 8191] |= (unsigned char)(1u << (c & 7));
    }
}

static bool latin_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= 0xc0 && c <= 0x24f && c != 0xd7 && c != 0xf7);
}

/* Signs that ordinary Western text uses: quotes, dashes, ellipsis, copyright, degree, euro,
 * guillemets. */
static bool latin_sign(uint32_t c)
{
    return (c >= 0x2013 && c <= 0x201e) || c == 0x2026 || c == 0x2122 || c == 0xa0 || c == 0xa9 ||
           c == 0xae || c == 0xb0 || c == 0xab || c == 0xbb || c == 0xa7 || c == 0xb7 ||
           c == 0x20ac || c == 0xa3 || c == 0x2022;
}

static double char_weight(const unsigned char bits[8192], uint32_t c, uint32_t before,
                          uint32_t after)
{
    if (c >= 0x4e00 && c <= 0x9fff)
        return bits[c >> 3] >> (c & 7) & 1 ? 1.0 : 0.05;
    if (c == 0xfffd)
        return -3.0;
    if ((c >= 0x3001 && c <= 0x3011) || (c >= 0x3041 && c <= 0x30fe) ||
        (c >= 0xff01 && c <= 0xff5e))
        return 0.6;
    if (c >= 0xac00 && c <= 0xd7a3)
        return 0.5;
    if (c >= 0xff61 && c <= 0xff9f)
        return -0.4;
    if ((c >= 0xe000 && c <= 0xf8ff) || (c >= 0x80 && c < 0xa0) || c >= 0x2fffe)
        return -1.0;
    if (latin_sign(c))
        return 0.5;
    if (latin_letter(c)) /* an accented letter lives among plain ones, not in a row of its like */
        return (before < 0x80 && latin_letter(before)) || (after < 0x80 && latin_letter(after))
                   ? 0.8
                   : -0.3;
    return c >= 0x3400 && c < 0x4e00 ? -0.2 : -0.3;
}

/* Mean weight; wide: ASCII counts too (UTF-16, where every byte speaks). */
static double text_score(const unsigned char bits[8192], const struct buf *t, bool wide)
{
    double sum = 0, count = 0;
    uint32_t before = ' ';
    size_t n;
    for (size_t i = 0; i < t->len; i += n) {
        uint32_t c = utf8_decode(t->data + i, t->len - i, &n), after = ' ';
        size_t m;
        if (i + n < t->len)
            after = utf8_decode(t->data + i + n, t->len - i - n, &m);
        if (c >= 0x80) {
            sum += char_weight(bits, c, before, after);
            count++;
        } else if (wide) {
            bool plain = c >= 0x20 || c == '\n' || c == '\r' || c == '\t';
            sum += plain ? 0.8 : -3.0;
            count++;
        }
        before = c;
    }
    return count > 0 ? sum / count : 0;
}

/* The lines that hold a byte above 0x7f. A byte 0x0a never is the second half of a double-byte
 * character. */
static bool sample_take(const unsigned char *data, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len && out->len < SAMPLE_MAX;) {
        const unsigned char *end = memchr(data + i, '\n', len - i);
        size_t stop = end ? (size_t)(end - data) + 1 : len;
        bool high = false;
        for (size_t k = i; k < stop && !high; k++)
            high = data[k] >= 0x80;
        if (high && !buf_add(out, data + i, stop - i < SAMPLE_MAX ? stop - i : SAMPLE_MAX))
            return false;
        i = stop;
    }
    return true;
}

static double candidate_score(const unsigned char bits[8192], const char *name,
                              const unsigned char *data, size_t len, bool wide)
{
    struct buf text = BUF_INIT;
    size_t bad = 0;
    double score = -9;
    if (uni_decode(name, data, len, &text, &bad, NULL) == SOOTH_OK && !text.failed)
        score = text_score(bits, &text, wide);
    buf_release(&text);
    return score;
}

static const char *bom_find(const unsigned char *d, size_t len, size_t *size)
{
    static const struct {
        const char *bytes, *name;
        size_t len;
    } marks[] = {{"\xef\xbb\xbf", "utf-8", 3},    {"\xff\xfe\0\0", "utf-32le", 4},
                 {"\0\0\xfe\xff", "utf-32be", 4}, {"\xff\xfe", "utf-16le", 2},
                 {"\xfe\xff", "utf-16be", 2},     {"\x84\x31\x95\x33", "gb18030", 4}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (len >= marks[i].len && memcmp(d, marks[i].bytes, marks[i].len) == 0) {
            *size = marks[i].len;
            return marks[i].name;
        }
    *size = 0;
    return NULL;
}

struct census {
    size_t high, nul, control, multi, broken; /* bytes; multi, broken: UTF-8 sequences */
};

static struct census census_take(const unsigned char *d, size_t len)
{
    struct census c = {0};
    for (size_t i = 0; i < len;) {
        if (d[i] < 0x80) {
            c.nul += d[i] == 0;
            c.control += (d[i] < 0x20 && d[i] != 0 && !strchr("\t\n\r\f\x1b", d[i])) ||
                         d[i] == 0x7f;
            i++;
            continue;
        }
        size_t n;
        bool good = utf8_decode((const char *)d + i, len - i, &n) != UTF8_BAD;
        if (!good && len - i >= 3 && d[i] == 0xed && d[i + 1] >= 0xa0 &&
            (d[i + 2] & 0xc0) == 0x80) {
            n = 3; /* a lone surrogate: wrong, but a sign of UTF-8 all the same */
            good = true;
        }
        c.multi += good;
        c.broken += !good;
        c.high += n;
        i += n;
    }
    return c;
}

/* The names by which files declare the sets that are read as their supersets. */
static const char *declared_name(const char *s)
{
    static const char *const alias[][2] = {
        {"gb2312", "gb18030"},
        {"gbk", "gb18030"},
        {"gb_2312-80", "gb18030"},
        {"x-gbk", "gb18030"},
        {"cp936", "gb18030"},
        {"big5-hkscs", "big5"},
        {"x-big5", "big5"},
        {"cp950", "big5"},
        {"iso-8859-1", "windows-1252"},
        {"latin1", "windows-1252"},
        {"us-ascii", "windows-1252"},
        {"x-sjis", "shift_jis"},
        {"windows-31j", "shift_jis"},
        {"sjis", "shift_jis"},
        {"utf8", "utf-8"},
    };
    for (size_t i = 0; i < sizeof alias / sizeof *alias; i++)
        if (strcasecmp(s, alias[i][0]) == 0)
            return alias[i][1];
    return s;
}

static void guess_better(struct encoding_guess *g, const char *name, double score)
{
    if (score > g->score) {
        g->name = name;
        g->score = score;
    }
}

/* UTF-16 without a mark: half of the bytes of Western text are NUL; Chinese text decodes to usual
 * characters. */
static void guess_wide(const unsigned char bits[8192], const unsigned char *data, size_t len,
                       struct encoding_guess *out)
{
    size_t take = (len < SAMPLE_MAX ? len : SAMPLE_MAX) & ~(size_t)1;
    if (take < 4)
        return;
    guess_better(out, "utf-16le", candidate_score(bits, "utf-16le", data, take, true));
    guess_better(out, "utf-16be", candidate_score(bits, "utf-16be", data, take, true));
}

static void guess_score(const unsigned char *data, size_t len, const char *declared,
                        const struct census *c, struct encoding_guess *out)
{
    static const char *const candidates[] = {"gb18030", "big5",   "shift_jis",
                                             "euc-jp",  "euc-kr", "windows-1252"};
    static const size_t count = sizeof candidates / sizeof *candidates;
    unsigned char bits[8192] = {0};
    common_mark(bits, common_simplified);
    common_mark(bits, common_traditional);
    struct buf sample = BUF_INIT;
    if (sample_take(data, len, &sample)) {
        guess_wide(bits, data, len, out);
        bool known = false;
        for (size_t i = 0; i < count && sample.len > 0; i++) {
            double score = candidate_score(bits, candidates[i], (const unsigned char *)sample.data,
                                           sample.len, false);
            bool told = declared != NULL && strcasecmp(declared, candidates[i]) == 0;
            known = known || told;
            guess_better(out, candidates[i], score + (told && score > -0.5 ? 0.4 : 0));
        }
        if (declared != NULL && !known && sample.len > 0 && out->score < 0.7 && c->nul == 0 &&
            strncasecmp(declared, "utf", 3) != 0 &&
            candidate_score(bits, declared, (const unsigned char *)sample.data, sample.len, false) >
                -1.0) {
            out->name = declared;
            out->score = 0.7;
        }
    }
    buf_release(&sample);
}

void encoding_detect(const unsigned char *data, size_t len, const char *declared,
                     struct encoding_guess *out)
{
    *out = (struct encoding_guess){NULL, 0, -9};
    const char *marked = bom_find(data, len, &out->bom);
    struct census c = census_take(data, len);
    if (marked != NULL) {
        out->name = marked;
        out->score = 1;
        return;
    }
    bool few_nul = c.nul <= len / 1000 + 2 && c.nul * 4 <= len;
    bool texty = few_nul && c.control <= len / 100 + 1;
    /* a handful of broken sequences in much valid UTF-8 is damage, not another encoding */
    if (texty && c.broken * 50 <= c.multi) {
        out->name = "utf-8";
        out->score = 1;
        return;
    }
    guess_score(data, len, declared ? declared_name(declared) : NULL, &c, out);
    bool wide = out->name != NULL && strncmp(out->name, "utf-16", 6) == 0;
    if (out->score < (wide ? 0.3 : -0.4) || (!wide && !texty))
        out->name = NULL;
}

enum sooth_status encoding_decode(const unsigned char *data, size_t len, const char *forced,
                                  const char *declared, struct buf *out, char name[32], size_t *bad,
                                  struct sooth_error *err)
{
    struct encoding_guess g = {forced, 0, 1};
    *bad = 0;
    if (forced == NULL) {
        encoding_detect(data, len, declared, &g);
    } else {
        const char *marked = bom_find(data, len, &g.bom);
        if (marked == NULL || strcasecmp(marked, forced) != 0)
            g.bom = 0;
    }
    if (g.name == NULL)
        return err_set(err, SOOTH_ERR_FORMAT, "it is not text in any encoding known here");
    size_t n = strlen(g.name);
    if (n > 31)
        return err_set(err, SOOTH_ERR_ARG, "unknown encoding '%.40s'", g.name);
    for (size_t i = 0; i <= n; i++)
        name[i] = (char)(g.name[i] >= 'A' && g.name[i] <= 'Z' ? g.name[i] + 32 : g.name[i]);
    if (strcmp(name, "utf-8") != 0)
        return uni_decode(name, data + g.bom, len - g.bom, out, bad, err);
    for (size_t i = g.bom, step; i < len;
         i += step) { /* invalid bytes stay; the builder shows U+FFFD */
        *bad += utf8_decode((const char *)data + i, len - i, &step) == UTF8_BAD;
    }
    return buf_add(out, data + g.bom, len - g.bom) ? SOOTH_OK : err_nomem(err);
}
