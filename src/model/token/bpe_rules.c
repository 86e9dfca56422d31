/* bpe_rules.c: the rule sets and their scanners. Letters as in the expressions: L letter, N number, M mark, S white
 * space, O none of S, L, N. An invalid byte is an O of one byte. In each pass the first alternative that matches wins.
 *
 *     gpt-2     's|'t|'re|'ve|'m|'ll|'d | ?L+ | ?N+ | ?O+ | S+(?!\S) | S+
 *     smollm    pass 1: each N by itself; pass 2: gpt-2
 *     llama3    the contractions in either case | [^\r\nLN]?L+ | N{1,3} | ?O+[\r\n]* | S*[\r\n]+ | S+(?!\S) | S+
 *     qwen2     as llama3, N one by one, after NFC
 *     qwen35    as qwen2, with marks in words
 *     deepseek  llm and v3, below
 *
 * Sources: the expressions in the models' own tokenizer.json files. Left out: rules that split at a change of case
 * (gpt-4o, tekken), whose class of marks differs between the files in use. */
#include "model/token/bpe_rules.h"
#include <stdint.h>
#include <string.h>
#include "core/base/unicode.h"
#include "core/base/utf8.h"

enum { OTHER = 0x100, END = 0x200 }; /* beside enum uni_class */

struct character {
    uint32_t code;
    unsigned cls;
    size_t size;
};

static struct character peek(const char *s, size_t at, size_t end)
{
    struct character c = {0, END, 0};
    if (at >= end)
        return c;
    c.code = utf8_decode(s + at, end - at, &c.size);
    if (c.code == UTF8_BAD) {
        c.cls = OTHER;
        return c;
    }
    c.cls = uni_class(c.code);
    if (!(c.cls & (UNI_SPACE | UNI_LETTER | UNI_NUMBER)))
        c.cls |= OTHER;
    return c;
}

/* End of the run of characters of the classes in `mask`, none in `without`. */
static size_t run_end(const char *s, size_t at, size_t end, unsigned mask, unsigned without)
{
    for (struct character c; (c = peek(s, at, end)).cls & mask && !(c.cls & without); at += c.size)
        ;
    return at;
}

static bool is_line_end(uint32_t c)
{
    return c == '\r' || c == '\n';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(const char *s, size_t at, size_t end, bool any_case)
{
    char a, b;
    if (s[at] != '\'' || end - at < 2)
        return 0;
    a = any_case ? lower(s[at + 1]) : s[at + 1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (end - at < 3)
        return 0;
    b = any_case ? lower(s[at + 2]) : s[at + 2];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* S+(?!\S) | S+ : all but the last blank when something follows. */
static size_t blanks(const char *s, size_t at, size_t end)
{
    size_t stop = at, last = at;
    for (struct character c; (c = peek(s, stop, end)).cls & UNI_SPACE; stop += c.size)
        last = stop;
    return (stop < end && last > at ? last : stop) - at;
}

static size_t pass_gpt2(const char *s, size_t at, size_t end, size_t *skip)
{
    size_t found = contraction(s, at, end, false), from = at + (s[at] == ' ');
    struct character c = peek(s, from, end);
    (void)skip;
    if (found)
        return found;
    if (c.cls & UNI_LETTER)
        return run_end(s, from, end, UNI_LETTER, 0) - at;
    if (c.cls & UNI_NUMBER)
        return run_end(s, from, end, UNI_NUMBER, 0) - at;
    if (c.cls & OTHER)
        return run_end(s, from, end, OTHER, 0) - at;
    return blanks(s, at, end);
}

static size_t pass_each_number(const char *s, size_t at, size_t end, size_t *skip)
{
    struct character c = peek(s, at, end);
    (void)skip;
    return c.cls & UNI_NUMBER ? c.size : 0;
}

static size_t numbers(const char *s, size_t at, size_t end, unsigned most)
{
    size_t stop = at;
    for (struct character c; most && (c = peek(s, stop, end)).cls & UNI_NUMBER; most--)
        stop += c.size;
    return stop - at;
}

/* S*[\r\n]+ : a run of blanks up to its last line end; 0 when there is none. */
static size_t line_ends(const char *s, size_t at, size_t end)
{
    size_t stop = at, last = at;
    for (struct character c; (c = peek(s, stop, end)).cls & UNI_SPACE;) {
        stop += c.size;
        if (is_line_end(c.code))
            last = stop;
    }
    return last - at;
}

static size_t after_line_ends(const char *s, size_t at, size_t end)
{
    while (at < end && is_line_end((unsigned char)s[at]))
        at++;
    return at;
}

/* llama3's family: `digits` numbers at most in a row; word: what words are made of, besides letters. */
static size_t llama_like(const char *s, size_t at, size_t end, unsigned digits, unsigned word)
{
    size_t found = contraction(s, at, end, true), from;
    struct character c = peek(s, at, end), next;
    if (found)
        return found;
    if (c.cls & (UNI_LETTER | word))
        return run_end(s, at, end, UNI_LETTER | word, 0) - at;
    if (c.cls & UNI_NUMBER)
        return numbers(s, at, end, digits);
    next = peek(s, at + c.size, end);
    if (!is_line_end(c.code) && next.cls & (UNI_LETTER | word))
        return run_end(s, at + c.size, end, UNI_LETTER | word, 0) - at;
    from = at + (c.code == ' ');
    c = peek(s, from, end);
    if (c.cls & OTHER && !(c.cls & word))
        return after_line_ends(s, run_end(s, from, end, OTHER, word), end) - at;
    found = line_ends(s, at, end);
    return found ? found : blanks(s, at, end);
}

static size_t pass_llama3(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return llama_like(s, at, end, 3, 0);
}

static size_t pass_qwen2(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return llama_like(s, at, end, 1, 0);
}

static size_t pass_qwen35(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return llama_like(s, at, end, 1, UNI_MARK);
}

/* ---- deepseek: [\r\n] ; \s?letters+ ; \s?marks+ ; \s+$ ; ideographs and Hangul ; N+ ---- */

struct code_range { uint32_t low, high; };

/* Cased letters, as the model's file lists them. */
static const struct code_range cased_letters[] = {
    {0x41, 0x5A}, {0x61, 0x7A}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA}, {0x1BC, 0x1BF},
    {0x1C4, 0x293}, {0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x376}, {0x377, 0x377}, {0x37B, 0x37D}, {0x37F, 0x37F},
    {0x386, 0x386}, {0x388, 0x38A}, {0x38C, 0x38C}, {0x38E, 0x3A1}, {0x3A3, 0x3F5}, {0x3F7, 0x481}, {0x48A, 0x52F},
    {0x531, 0x556}, {0x10A0, 0x10C5}, {0x13A0, 0x13F5}, {0x13F8, 0x13FD}, {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF},
    {0x1D00, 0x1D2B}, {0x1D6B, 0x1D77}, {0x1D79, 0x1D9A}, {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45},
    {0x1F48, 0x1F4D}, {0x1F50, 0x1F57}, {0x1F59, 0x1F59}, {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D},
    {0x1F80, 0x1FB4}, {0x1FB6, 0x1FBC}, {0x1FBE, 0x1FBE}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3},
    {0x1FD6, 0x1FDB}, {0x1FE0, 0x1FEC}, {0x1FF2, 0x1FF4}, {0x1FF6, 0x1FFC}, {0x2102, 0x2102}, {0x2107, 0x2107},
    {0x210A, 0x2113}, {0x2115, 0x2115}, {0x2119, 0x211D}, {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128},
    {0x212A, 0x212D}, {0x212F, 0x2134}, {0x2139, 0x2139}, {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E},
    {0x2183, 0x2183}, {0x2184, 0x2184}, {0x2C00, 0x2C7B}, {0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF2},
    {0x2CF3, 0x2CF3}, {0xA640, 0xA66D}, {0xA680, 0xA69B}, {0xA722, 0xA76F}, {0xA771, 0xA787}, {0xA78B, 0xA78E},
    {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}, {0xFF21, 0xFF3A}, {0xFF41, 0xFF5A}, {0x10400, 0x1044F},
    {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF},
    {0x1E900, 0x1E943},
};
static const struct code_range deepseek_marks[] = {
    {0x21, 0x2F}, {0x3A, 0x7E}, {0x2018, 0x201F}, {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E},
};
static const struct code_range deepseek_ideographs[] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};
static const struct code_range deepseek3_ideographs[] = {{0x3040, 0x30FF}, {0x4E00, 0x9FA5}};

static bool inside(const struct code_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c < ranges[mid].low)
            high = mid;
        else if (c > ranges[mid].high)
            low = mid + 1;
        else
            return true;
    }
    return false;
}

/* \s?[ranges]+ , the blank only where `blank`. */
static size_t range_run(const char *s, size_t at, size_t end, const struct code_range *ranges, size_t n, bool blank)
{
    struct character c = peek(s, at, end);
    size_t from = at, stop;
    if (blank && c.cls & UNI_SPACE && !inside(ranges, n, peek(s, at + c.size, end).code))
        blank = false;
    if (blank && c.cls & UNI_SPACE)
        from += c.size;
    for (stop = from; (c = peek(s, stop, end)).cls != END && inside(ranges, n, c.code); stop += c.size)
        ;
    return stop > from ? stop - at : 0;
}

#define RANGES(x) (x), sizeof (x) / sizeof *(x)

static size_t pass_line_end(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)end, (void)skip;
    return is_line_end((unsigned char)s[at]);
}

static size_t pass_cased(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return range_run(s, at, end, RANGES(cased_letters), true);
}

static size_t pass_marks(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return range_run(s, at, end, RANGES(deepseek_marks), true);
}

static size_t pass_last_blanks(const char *s, size_t at, size_t end, size_t *skip)
{
    size_t stop = run_end(s, at, end, UNI_SPACE, 0);
    *skip = stop - at;
    return stop == end ? stop - at : 0;
}

static size_t pass_ideographs(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return range_run(s, at, end, RANGES(deepseek_ideographs), false);
}

static size_t pass_numbers(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return run_end(s, at, end, UNI_NUMBER, 0) - at;
}

/* deepseek-v3: N{1,3} ; ideographs and kana ; ASCII mark and ASCII letters | [^\r\nLPS]?[LM]+ | ?[PS]+[\r\n]*
 * | S*[\r\n]+ | S+(?!\S) | S+ */

static size_t pass_three_numbers(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return numbers(s, at, end, 3);
}

static size_t pass_kana(const char *s, size_t at, size_t end, size_t *skip)
{
    (void)skip;
    return range_run(s, at, end, RANGES(deepseek3_ideographs), false);
}

static bool is_ascii_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static size_t pass_deepseek3(const char *s, size_t at, size_t end, size_t *skip)
{
    const unsigned word = UNI_LETTER | UNI_MARK, mark = UNI_PUNCT | UNI_SYMBOL;
    struct character c = peek(s, at, end), next = peek(s, at + c.size, end);
    size_t from = at, found;
    (void)skip;
    if (c.code < 128 && c.cls & mark && at + 1 < end && is_ascii_letter(s[at + 1])) {
        for (from = at + 1; from < end && is_ascii_letter(s[from]); from++)
            ;
        return from - at;
    }
    if (c.cls & word)
        return run_end(s, at, end, word, 0) - at;
    if (!is_line_end(c.code) && !(c.cls & (UNI_LETTER | mark)) && next.cls & word)
        return run_end(s, at + c.size, end, word, 0) - at;
    if (c.code == ' ' && next.cls & mark)
        from = at + 1;
    if (peek(s, from, end).cls & mark)
        return after_line_ends(s, run_end(s, from, end, mark, 0), end) - at;
    found = line_ends(s, at, end);
    return found ? found : blanks(s, at, end);
}

/* ---- the table ---- */

static const struct bpe_rules all_rules[] = {
    {.name = "gpt-2", .passes = {pass_gpt2},
     .aliases = " phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe modern-bert mpt olmo "
                "jais exaone4 mellum gigachat a.x-4.0 trillion granite-docling "},
    {.name = "smollm", .passes = {pass_each_number, pass_gpt2},
     .aliases = " starcoder refact command-r codeshell exaone minerva-7b mellum2 "},
    {.name = "llama-bpe", .passes = {pass_llama3}, .whole_first = true, .add_bos = true,
     .aliases = " llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano "},
    {.name = "dbrx", .passes = {pass_llama3}, .aliases = " smaug-bpe chatglm-bpe "},
    {.name = "glm4", .passes = {pass_llama3}, .whole_first = true, .aliases = " glm5 "},
    {.name = "qwen2", .passes = {pass_qwen2}, .compose = true,
     .aliases = " deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2 "},
    {.name = "qwen35", .passes = {pass_qwen35}, .compose = true, .aliases = " "},
    {.name = "deepseek-llm", .aliases = " ",
     .passes = {pass_line_end, pass_cased, pass_marks, pass_last_blanks, pass_ideographs, pass_numbers}},
    {.name = "deepseek-v3", .passes = {pass_three_numbers, pass_kana, pass_deepseek3},
     .aliases = " hunyuan-dense joyai-llm "},
};

const struct bpe_rules *bpe_rules_find(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof all_rules / sizeof *all_rules; i++) {
        if (!strcmp(all_rules[i].name, name))
            return &all_rules[i];
        for (const char *p = all_rules[i].aliases; len && (p = strstr(p, name)); p++)
            if (p[-1] == ' ' && p[len] == ' ')
                return &all_rules[i];
    }
    return NULL;
}

const struct bpe_rules *bpe_rules_by_pattern(const char *pattern)
{
    static const struct { const char *pattern, *name; } known[] = {
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "gpt-2"},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
         "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "dbrx"},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
         "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "qwen2"},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
         "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "qwen35"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].pattern, pattern))
            return bpe_rules_find(known[i].name);
    return NULL;
}

/* ---- passes ---- */

struct cutter {
    const struct bpe_rules *rules;
    const char *s;
    bpe_piece *piece;
    void *user;
};

/* Depth of the recursion: the number of passes. */
static bool cut_pass(const struct cutter *c, unsigned pass, size_t at, size_t end)
{
    size_t gap = at;
    if (at == end)
        return true;
    if (!c->rules->passes[pass])
        return c->piece(c->user, c->s, at, end);
    while (at < end) {
        size_t skip = 0, size = c->rules->passes[pass](c->s, at, end, &skip);
        if (size) {
            if (!cut_pass(c, pass + 1, gap, at) || !cut_pass(c, pass + 1, at, at + size))
                return false;
            gap = at += size;
        } else {
            at += skip ? skip : peek(c->s, at, end).size;
        }
    }
    return cut_pass(c, pass + 1, gap, end);
}

bool bpe_cut(const struct bpe_rules *rules, const char *s, size_t len, bpe_piece *piece, void *user)
{
    struct cutter c = {rules, s, piece, user};
    return cut_pass(&c, 0, 0, len);
}
